// The fuzz target over stored states of trust: taken only as they would be written, and what is
// taken can be gone on from.
#ifndef AQMESH_TESTS_FUZZ_LEDGER_TARGETS_H_
#define AQMESH_TESTS_FUZZ_LEDGER_TARGETS_H_

#include <algorithm>

#include "core/base/check.h"
#include "trust/ledger.h"

namespace aqmesh::fuzz {

inline void FuzzLedger(ByteView bytes) {
  if (auto standing = trust::Standing::Decode(bytes); standing.ok()) {
    AQ_CHECK(Equal(standing->Encode(), bytes));
    standing->Step(trust::kEpochMax, {UINT32_MAX, UINT32_MAX, UINT32_MAX, false});
    AQ_CHECK(standing->Read(UINT64_MAX).ladm <= trust::kOne);
  }
  auto ledger = trust::Ledger::Decode(bytes);
  if (!ledger.ok()) return;
  AQ_CHECK(Equal(ledger->Encode(), bytes));
  trust::Settled settled;
  trust::Observation o;
  if (bytes.size() >= 25) o.subject = *Kid::From(bytes.subspan(9, 16));  // of the first row
  o.event = trust::Event::kGrantOutsideScope;
  o.basis = trust::Basis::kProven;
  o.evidence.bytes.fill(1);
  o.issuer = o.subject;
  for (const uint64_t epoch : {ledger->epoch(), ledger->epoch() + 1, ledger->epoch() + 9'000}) {
    o.epoch = std::min(epoch, trust::kEpochMax);
    ledger->Note(o, settled);
    AQ_CHECK(trust::Ledger::Decode(ledger->Encode()).ok());
  }
}

}  // namespace aqmesh::fuzz

#endif  // AQMESH_TESTS_FUZZ_LEDGER_TARGETS_H_
