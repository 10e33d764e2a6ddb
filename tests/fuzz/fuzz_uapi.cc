#include "tests/fuzz/wg_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  aqmesh::fuzz::FuzzUapi(aqmesh::ByteView(data, size));
  return 0;
}
