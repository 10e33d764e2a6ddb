#include "tests/fuzz/row_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  aqmesh::fuzz::FuzzRow(aqmesh::ByteView(data, size));
  return 0;
}
