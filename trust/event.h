// What can happen that says something about a key, and how much it says.
// Spec:   spec/trust.md §6. Silence, loss and timeouts are no events: they only open a gap.
#ifndef AQMESH_TRUST_EVENT_H_
#define AQMESH_TRUST_EVENT_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "trust/fold.h"

namespace aqmesh::trust {

enum class Event : uint8_t {
  kSessionConfirmed = 0,  // and what was done for it, read back; also for each key of its chain
  kCheckpointFresh,       // and consistent with the one before
  kAttestationConfirmed,  // later, by our own eyes
  kTimelyTurn,            // a rotation or a revocation, in time
  kObjectMalformed,       // or a stale one, again and again
  kReadBackMismatch,      // caused by its directive
  kLogRestart,            // unexplained
  kGrantOutsideScope,     // its own
  kRollbackAttempt,
  kAttestationContradicted,  // by a proof
  kSignedAfterRevocation,    // its own
  kEquivocation,             // collapses, if proven
};
inline constexpr size_t kEventCount = 12;

struct EventRule {
  Event event;
  const char* name;
  bool against;
  uint32_t weight;  // Q16
};

inline constexpr std::array<EventRule, kEventCount> kEvents = {{
    {Event::kSessionConfirmed, "session confirmed", false, kOne / 32},
    {Event::kCheckpointFresh, "checkpoint fresh", false, kOne / 16},
    {Event::kAttestationConfirmed, "attestation confirmed", false, kOne / 16},
    {Event::kTimelyTurn, "timely rotation or revocation", false, kOne / 8},
    {Event::kObjectMalformed, "object malformed or stale", true, kOne / 4},
    {Event::kReadBackMismatch, "read-back mismatch", true, kOne},
    {Event::kLogRestart, "log restart", true, kOne},
    {Event::kGrantOutsideScope, "grant outside its scope", true, kMajor},
    {Event::kRollbackAttempt, "rollback attempt", true, kMajor},
    {Event::kAttestationContradicted, "attestation contradicted", true, kMajor},
    {Event::kSignedAfterRevocation, "signed after its revocation", true, 16 * kOne},
    // No number says it: as heavy as the memory is wide, so that nothing outweighs it.
    {Event::kEquivocation, "equivocation", true, kBadMax},
}};

constexpr const EventRule& RuleOf(Event e) { return kEvents[static_cast<size_t>(e)]; }

static_assert([] {
  for (size_t i = 0; i < kEventCount; ++i) {
    if (static_cast<size_t>(kEvents[i].event) != i) return false;
  }
  return true;
}());

}  // namespace aqmesh::trust

#endif  // AQMESH_TRUST_EVENT_H_
