#include "core/authority/charter.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "core/authority/restrictions.h"
#include "core/base/status.h"

namespace aqmesh::authority {

ScopeId ScopeIdOf(const Held<Charter>& charter) {
  return charter.body.scope ? *charter.body.scope : ScopeOf(charter.envelope->body());
}

namespace {

constexpr uint64_t Quorum(uint64_t weight) { return 2 * weight / 3 + 1; }

absl::Status CheckThresholds(const Charter& c) {
  uint64_t weight = 0;
  for (const Voter& v : c.voters) weight += v.weight;
  for (const uint32_t q : {c.q_reg, c.q_sens}) {
    if (q < Quorum(weight) || q > weight)
      return InvalidArgument(
          "charter: a quorum of ", q, " is not in ", Quorum(weight), "..", weight);
  }
  return absl::OkStatus();
}

// Who, of these voters, is behind the charter: signer and voters whose right cosign names it.
class Ballot {
 public:
  Ballot(const Held<Charter>& charter, std::span<const Held<Cosign>> votes, const Restrictions* r)
      : r_(r) {
    Try(*charter.envelope);
    const Kid id = *Kid::From(ScopeIdOf(charter).view());
    for (const Held<Cosign>& v : votes) {
      const bool names = v.body.slot == 3 && v.body.id == id &&
                         v.body.number == charter.body.version && v.body.target == charter.oid();
      if (names && signed_.size() < 256) Try(*v.envelope);
    }
  }
  // A voter counts by its newest key alone, and only if that key's signature is right.
  bool Has(const Voter& v) const {
    Kid kid = KidOf(v.suite, v.key);
    Ed25519Key key = v.key;
    if (r_ != nullptr && r_->Newest(kid) != kid) {
      Kid at = kid;
      for (const Held<Rotate>* step = r_->RotationOf(at); step != nullptr && at != r_->Newest(kid);
           step = r_->RotationOf(at)) {
        at = step->signer(), key = step->body.key;
      }
      kid = at;
    }
    return std::ranges::any_of(
        signed_, [&](const Signed* s) { return s->kid() == kid && VerifySignature(*s, key); });
  }
  Kid Identity(const Voter& v) const {
    const Kid kid = KidOf(v.suite, v.key);
    return r_ == nullptr ? kid : r_->First(kid);
  }

 private:
  void Try(const Signed& s) { signed_.push_back(&s); }
  const Restrictions* r_;
  std::vector<const Signed*> signed_;
};

// `counts` says which voters may; a quorum that moves a voter does not count it.
uint64_t WeightOf(const Ballot& ballot,
                  const std::vector<Voter>& voters,
                  const std::set<Kid>& not_counted) {
  uint64_t weight = 0;
  std::set<Kid> counted;
  for (const Voter& v : voters) {
    const Kid id = ballot.Identity(v);
    if (!not_counted.contains(id) && counted.insert(id).second && ballot.Has(v)) weight += v.weight;
  }
  return weight;
}

absl::Status CheckSuccession(const Held<Charter>& charter,
                             const Held<Charter>& prev,
                             const Ballot& ballot) {
  const Charter &now = charter.body, &was = prev.body;
  if (now.version != was.version + 1)
    return FailedPrecondition("charter: version ", now.version, " does not follow ", was.version);
  if (!now.scope || *now.scope != ScopeIdOf(prev))
    return InvalidArgument("charter: another scope than the one before it");
  if (!now.prev || *now.prev != prev.oid())
    return InvalidArgument("charter: prev is not the oid of the one before it");
  // Moved: gone, or another key commitment without a rotation of its own (A.6).
  std::map<Kid, const Voter*> after;
  for (const Voter& v : now.voters) after[ballot.Identity(v)] = &v;
  std::set<Kid> moved;
  for (const Voter& v : was.voters) {
    const auto it = after.find(ballot.Identity(v));
    if (it == after.end() || (it->second->key == v.key && it->second->next_key != v.next_key))
      moved.insert(ballot.Identity(v));
  }
  const bool sensitive = now.voters != was.voters || now.witnesses != was.witnesses ||
                         now.q_reg != was.q_reg || now.q_sens != was.q_sens ||
                         now.q_wit != was.q_wit || now.flags != was.flags;
  const uint32_t need = sensitive ? was.q_sens : was.q_reg;
  const uint64_t old_weight = WeightOf(ballot, was.voters, moved);
  if (old_weight < need)
    return PermissionDenied("charter: the voters before it give ", old_weight, " of ", need);
  return absl::OkStatus();
}

}  // namespace

absl::Status VerifyCharter(const Held<Charter>& charter,
                           const Held<Charter>* prev,
                           std::span<const Held<Cosign>> votes,
                           const Restrictions* restrictions) {
  const Charter& c = charter.body;
  AQ_RETURN_IF_ERROR(CheckThresholds(c));
  const Ballot ballot(charter, votes, restrictions);
  const bool by_voter = std::ranges::any_of(
      c.voters, [&](const Voter& v) { return KidOf(v.suite, v.key) == charter.signer(); });
  const bool by_old =
      prev != nullptr && std::ranges::any_of(prev->body.voters, [&](const Voter& v) {
        return KidOf(v.suite, v.key) == charter.signer();
      });
  if (!by_voter && !by_old) return PermissionDenied("charter: its signer is no voter of it");
  if (prev == nullptr && (c.version != 1 || c.scope || c.prev)) {
    return FailedPrecondition(
        "charter: version ", c.version, " needs the one before it; fetch that first");
  }
  if (prev != nullptr) AQ_RETURN_IF_ERROR(CheckSuccession(charter, *prev, ballot));
  std::set<Kid> before;
  if (prev != nullptr) {
    for (const Voter& v : prev->body.voters) before.insert(ballot.Identity(v));
  }
  for (const Voter& v : c.voters) {
    if (!before.contains(ballot.Identity(v)) && !ballot.Has(v)) {
      return Unauthenticated("charter: the new voter ",
                             ToHex(KidOf(v.suite, v.key)),
                             " did not sign it, or its signature is wrong");
    }
  }
  const uint64_t weight = WeightOf(ballot, c.voters, {});
  if (weight < c.q_reg)
    return Unauthenticated(
        "charter: right signatures of its voters give ", weight, " of ", c.q_reg);
  return absl::OkStatus();
}

}  // namespace aqmesh::authority
