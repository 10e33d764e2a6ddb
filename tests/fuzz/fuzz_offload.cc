#include "tests/fuzz/offload_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  aqmesh::fuzz::FuzzOffload(aqmesh::ByteView(data, size));
  return 0;
}
