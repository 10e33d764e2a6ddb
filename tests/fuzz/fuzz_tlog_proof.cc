#include "tests/fuzz/tlog_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  aqmesh::fuzz::FuzzProof(aqmesh::ByteView(data, size));
  return 0;
}
