#include "core/authority/approval.h"

#include "core/authority/chain.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace aqmesh::authority {
namespace {

Objection Not(Reason reason, std::string_view why) { return {reason, Join("approval: ", why)}; }

// The key of whoever may say so, and where it stands.
std::optional<Ed25519Key> Approver(const Held<Approve>& a,
                                   const Chain& chain,
                                   const Charter& charter,
                                   ApprovalPlace& by) {
  for (size_t i = 1; i < chain.grants.size(); ++i) {
    const Grant& g = chain.grants[i].body;
    if (KidOf(g.suite, g.key) != a.signer() || chain.grants[i].oid() != a.body.authority) continue;
    if ((g.caps & kCapApprove) == 0) continue;
    by.place = i;
    return g.key;
  }
  for (const Voter& v : charter.voters) {
    if (KidOf(v.suite, v.key) != a.signer()) continue;
    by.place = chain.grants.size();
    return v.key;
  }
  return std::nullopt;
}

}  // namespace

Nonce16 EscalationItem(const ScopeId& scope, const Kid& subject, Cause cause) {
  const std::array<uint8_t, 1> number = {static_cast<uint8_t>(cause)};
  return Nonce16{crypto::H128({AsBytes("aqmesh/1/escalation"), scope, subject, number})};
}

std::optional<Answers> WhatAnswers(const Approve& a) {
  const auto is = [&a](Cause cause) { return a.item == EscalationItem(a.scope, a.subject, cause); };
  if (is(Cause::kTrust) || is(Cause::kCorroboration)) return Answers::kStanding;
  if (is(Cause::kAction)) return Answers::kFlows;
  return std::nullopt;
}

MaybeObjection CheckApproval(const Held<Approve>& approve,
                             const Chain& chain,
                             const ScopeId& scope,
                             const Charter& charter,
                             WallTime now,
                             ApprovalPlace& by) {
  const Approve& a = approve.body;
  if (a.scope != scope) return Not(Reason::kMalformed, "of another scope");
  if (a.subject != chain.subject) return Not(Reason::kMalformed, "of another subject");
  const auto what = WhatAnswers(a);
  if (!what) return Not(Reason::kMalformed, "of another cause");
  if ((a.hlc >> 16) / 1'000 > now.seconds() + kClockSlackSeconds)
    return Not(Reason::kClock, "said more than 120 s from now");
  if (now.seconds() >= a.until) return Not(Reason::kExpired, "its time is over");
  by.what = *what;
  const std::optional<Ed25519Key> key = Approver(approve, chain, charter, by);
  if (!key) return Not(Reason::kClassOrCap, "its signer is not above the subject with `approve`");
  if (!VerifySignature(*approve.envelope, *key))
    return Not(Reason::kSignature, "the signature is wrong");
  return std::nullopt;
}

}  // namespace aqmesh::authority
