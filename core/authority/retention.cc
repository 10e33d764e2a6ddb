#include "core/authority/retention.h"

#include <algorithm>
#include <tuple>

#include "core/authority/chain.h"
#include "core/authority/charter.h"
#include "core/authority/quorum.h"
#include "core/base/status.h"

namespace aqmesh::authority {

absl::StatusOr<Held<Retention>> VerifyRetention(const Signed& object,
                                                const Held<Charter>& charter) {
  AQ_ASSIGN_OR_RETURN(Held<Retention> held, ParseObject<Retention>(object));
  const std::string name = Join("retention rule ", ToHex(held.oid()));
  if (held.body.scope != ScopeIdOf(charter))
    return PermissionDenied(name, " is of another mesh than ", charter.body.name);
  const auto& voters = charter.body.voters;
  const auto voter = std::ranges::find_if(
      voters, [&](const Voter& v) { return KidOf(v.suite, v.key) == held.signer(); });
  if (voter == voters.end())
    return PermissionDenied(name,
                            " is signed by ",
                            ToHex(held.signer()),
                            ", who is no voter of the charter; the root key signs such rules");
  const Electorate electorate(charter.body, Quorum::kRegular, nullptr);
  std::vector<bool> alone(electorate.size());
  alone[static_cast<size_t>(voter - voters.begin())] = true;
  if (!electorate.CountOf(alone).enough())
    return PermissionDenied(
        name, " is signed by one voter; this charter asks for ", charter.body.q_reg);
  if (!VerifySignature(*held.envelope, voter->key))
    return Unauthenticated(name, ": its signature is wrong");
  return held;
}

const Held<Retention>* RetentionOf(std::span<const Held<Retention>> held,
                                   const Kid& log,
                                   uint64_t now) {
  const auto rank = [](const Held<Retention>& r) {
    return std::tuple(r.body.not_before, r.body.seq, r.oid());
  };
  const Held<Retention>* best = nullptr;
  for (const Held<Retention>& r : held) {
    if (r.body.log.value_or(log) != log || NotYet(r.body.not_before, now)) continue;
    if (best == nullptr || rank(r) > rank(*best)) best = &r;
  }
  return best;
}

const KeepRule* KeepOf(const Retention& retention, RecordKind kind) {
  const uint32_t bit = 1u << (static_cast<uint32_t>(kind) - 1);
  const auto rule = std::ranges::find_if(retention.rules,
                                         [bit](const KeepRule& k) { return (k.kinds & bit) != 0; });
  return rule == retention.rules.end() ? nullptr : &*rule;
}

}  // namespace aqmesh::authority
