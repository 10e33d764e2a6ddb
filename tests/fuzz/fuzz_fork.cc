#include "tests/fuzz/fork_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  aqmesh::fuzz::FuzzFork(aqmesh::ByteView(data, size));
  return 0;
}
