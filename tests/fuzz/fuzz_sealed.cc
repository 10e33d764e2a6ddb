#include "tests/fuzz/sealed_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  aqmesh::fuzz::FuzzSealed(aqmesh::ByteView(data, size));
  return 0;
}
