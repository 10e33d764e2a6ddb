#include "tests/fuzz/ledger_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  aqmesh::fuzz::FuzzLedger(aqmesh::ByteView(data, size));
  return 0;
}
