// What a person answers an escalation with: which item it is, and whether an approval may stand in
// for trust in a chain.
// Spec:   spec/objects.md §2 approve, §7 escalation item; spec/admission.md §4.
// Thread: pure. Errors: an Objection naming the check. Cost: one signature.
#ifndef AQMESH_CORE_AUTHORITY_APPROVAL_H_
#define AQMESH_CORE_AUTHORITY_APPROVAL_H_

#include "core/authority/attenuation.h"
#include "core/authority/objects_held.h"
#include "core/base/time.h"

namespace aqmesh::authority {

// Why a person is asked. In the item, so the numbers are frozen.
enum class Cause : uint8_t {
  kCrypto = 1,
  kTrust,
  kCorroboration,
  kFreshness,
  kAction,
  kLocal,
  kAddress,
  kJoin,
};
inline constexpr std::string_view kCauseNames[] = {
    "", "crypto", "trust", "corroboration", "freshness", "action", "local", "address", "join"};
inline constexpr std::string_view CauseName(Cause c) { return kCauseNames[static_cast<size_t>(c)]; }

// The same everywhere in the mesh, so that it is asked and answered once.
Nonce16 EscalationItem(const ScopeId& scope, const Kid& subject, Cause cause);

// What an answer is about: how far its subject is let in (trust, corroboration), or the flows that
// a rule holds for a person (action).
enum class Answers : uint8_t { kStanding, kFlows };
// nullopt: neither, or another subject or scope than it names.
std::optional<Answers> WhatAnswers(const Approve& approve);
// Who said it, and of what; as a place in the chain: grants[place] is the approver's own;
// grants.size(): a voter.
struct ApprovalPlace {
  size_t place = 0;
  Answers what{};
};
// Of the chain's subject, in date, signed by a key above it that may approve.
MaybeObjection CheckApproval(const Held<Approve>& approve,
                             const Chain& chain,
                             const ScopeId& scope,
                             const Charter& charter,
                             WallTime now,
                             ApprovalPlace& by);

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_APPROVAL_H_
