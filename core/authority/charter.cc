#include "core/authority/charter.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "core/authority/quorum.h"
#include "core/base/status.h"

namespace aqmesh::authority {

ScopeId ScopeIdOf(const Held<Charter>& charter) {
  return charter.body.scope ? *charter.body.scope : ScopeOf(charter.envelope->body());
}

bool IsSensitive(const Charter& now, const Charter& was) {
  const auto counting = [](const Charter& c) {
    return CountingOf(c).value_or(Counting::kWeighted);
  };
  return now.voters != was.voters || now.witnesses != was.witnesses || now.q_reg != was.q_reg ||
         now.q_sens != was.q_sens || now.q_wit != was.q_wit || now.flags != was.flags ||
         counting(now) != counting(was);
}

namespace {

constexpr size_t kVotesMax = 256, kGroupsMin = 4;

absl::Status CheckThresholds(const Charter& c) {
  uint64_t weight = 0;
  for (const Voter& v : c.voters) weight += v.weight;
  for (const uint32_t q : {c.q_reg, c.q_sens}) {
    if (q < QuorumOf(weight) || q > weight)
      return InvalidArgument(
          "charter: a quorum of ", q, " is not in ", QuorumOf(weight), "..", weight);
  }
  return absl::OkStatus();
}

// Nested groups have quorums of their own; the charter's may not promise more than they do.
absl::Status CheckUnreadQuorums(const Charter& c) {
  for (const bool witnesses : {false, true}) {
    uint64_t weight = 0;
    for (const Voter& v : witnesses ? c.witnesses : c.voters) weight += v.weight;
    if (weight == 0) continue;
    const uint64_t least = QuorumOf(weight);
    const bool right = witnesses ? c.q_wit == least : c.q_reg == least && c.q_sens == least;
    if (!right) {
      return InvalidArgument("charter: under nested groups the ",
                             witnesses ? "witnesses' quorum" : "voters' quorums",
                             " are not read; it has to say ",
                             least);
    }
  }
  return absl::OkStatus();
}

// No group's failure alone may do harm, or the charter says that it claims no such thing.
absl::Status CheckDomains(const std::vector<Voter>& rows, std::string_view who) {
  std::map<std::string_view, uint64_t> groups;
  uint64_t weight = 0;
  for (const Voter& v : rows) groups[v.group] += v.weight, weight += v.weight;
  if (groups.empty()) return absl::OkStatus();
  if (groups.size() < kGroupsMin) {
    return InvalidArgument("charter: its ",
                           who,
                           " are of ",
                           groups.size(),
                           " groups; with fewer than ",
                           kGroupsMin,
                           " it has to say single_domain");
  }
  for (const auto& [name, held] : groups) {
    if (held > FaultyOf(weight)) {
      return InvalidArgument("charter: group ",
                             name,
                             " holds ",
                             held,
                             " of the ",
                             who,
                             "' weight, more than ",
                             FaultyOf(weight));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckShape(const Charter& c) {
  AQ_RETURN_IF_ERROR(CheckThresholds(c));
  AQ_ASSIGN_OR_RETURN(const Counting counting, CountingOf(c));
  if (counting == Counting::kNestedGroups) AQ_RETURN_IF_ERROR(CheckUnreadQuorums(c));
  if ((c.flags & kSingleDomain) != 0) return absl::OkStatus();
  AQ_RETURN_IF_ERROR(CheckDomains(c.voters, "voters"));
  return CheckDomains(c.witnesses, "witnesses");
}

// Moved: gone, or another key commitment without a rotation of its own (A.6).
std::set<Kid> Moved(const Charter& now, const Charter& was, const Restrictions* restrictions) {
  std::multimap<Kid, const Voter*> after;
  for (const Voter& v : now.voters) after.emplace(LineageOf(v, restrictions), &v);
  std::set<Kid> moved;
  for (const Voter& v : was.voters) {
    const Kid lineage = LineageOf(v, restrictions);
    const auto [begin, end] = after.equal_range(lineage);
    const bool another = std::any_of(begin, end, [&v](const auto& row) {
      return row.second->key == v.key && row.second->next_key != v.next_key;
    });
    if (begin == end || another) moved.insert(lineage);
  }
  return moved;
}

// The votes for this charter, counted among these electors.
ConsensusRule Hear(Electorate electorate,
                   const Held<Charter>& charter,
                   std::span<const Held<Cosign>> votes) {
  const ScopeId scope = ScopeIdOf(charter);
  const Slot slot{scope, 3, *Kid::From(scope.view()), charter.body.version};
  ConsensusRule rule(std::move(electorate), slot, charter.envelope);
  size_t tried = 0;
  for (const Held<Cosign>& v : votes) {
    const bool names = SlotOf(v.body) == slot && v.body.target == charter.oid();
    if (names && ++tried <= kVotesMax) rule.Add(v);
  }
  return rule;
}

absl::Status CheckSuccession(const Held<Charter>& charter,
                             const Held<Charter>& prev,
                             std::span<const Held<Cosign>> votes,
                             const Restrictions* restrictions) {
  const Charter &now = charter.body, &was = prev.body;
  if (now.version != was.version + 1)
    return FailedPrecondition("charter: version ", now.version, " does not follow ", was.version);
  if (!now.scope || *now.scope != ScopeIdOf(prev))
    return InvalidArgument("charter: another scope than the one before it");
  if (!now.prev || *now.prev != prev.oid())
    return InvalidArgument("charter: prev is not the oid of the one before it");
  const Quorum quorum = IsSensitive(now, was) ? Quorum::kSensitive : Quorum::kRegular;
  const Count old =
      Hear(Electorate(was, quorum, restrictions, Moved(now, was, restrictions)), charter, votes)
          .Counted();
  if (!old.enough()) {
    return PermissionDenied(
        "charter: the voters before it give ", old.have, " of ", old.need, old.unit);
  }
  return absl::OkStatus();
}

// The key under which a charter was proposed: a voter's, as its row has it or its newest.
std::optional<Ed25519Key> ProposerOf(const Kid& signer,
                                     const Charter& charter,
                                     const Restrictions* restrictions) {
  for (const Voter& v : charter.voters) {
    if (KidOf(v.suite, v.key) == signer) return v.key;
  }
  const Electorate voters(charter, Quorum::kRegular, restrictions);
  const std::optional<size_t> newest = voters.Find(signer);
  return newest ? std::optional(voters.KeyOf(*newest)) : std::nullopt;
}

absl::Status CheckNewVoters(const ConsensusRule& rule,
                            const Charter& now,
                            const Held<Charter>* prev,
                            const Restrictions* restrictions) {
  std::set<Kid> signed_or_old;
  if (prev != nullptr) {
    for (const Voter& v : prev->body.voters) signed_or_old.insert(LineageOf(v, restrictions));
  }
  for (size_t i = 0; i < rule.electorate().size(); ++i) {
    if (rule.Has(i)) signed_or_old.insert(rule.electorate().First(i));
  }
  for (const Voter& v : now.voters) {
    if (!signed_or_old.contains(LineageOf(v, restrictions))) {
      return Unauthenticated("charter: the new voter ",
                             ToHex(KidOf(v.suite, v.key)),
                             " did not sign it, or its signature is wrong");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status VerifyCharter(const Held<Charter>& charter,
                           const Held<Charter>* prev,
                           std::span<const Held<Cosign>> votes,
                           const Restrictions* restrictions) {
  const Charter& c = charter.body;
  AQ_RETURN_IF_ERROR(CheckShape(c));
  std::optional<Ed25519Key> proposer = ProposerOf(charter.signer(), c, restrictions);
  if (!proposer && prev != nullptr)
    proposer = ProposerOf(charter.signer(), prev->body, restrictions);
  if (!proposer) return PermissionDenied("charter: its signer is no voter of it");
  if (prev == nullptr && (c.version != 1 || c.scope || c.prev)) {
    return FailedPrecondition(
        "charter: version ", c.version, " needs the one before it; fetch that first");
  }
  if (prev != nullptr) AQ_RETURN_IF_ERROR(CheckSuccession(charter, *prev, votes, restrictions));
  const ConsensusRule rule = Hear(Electorate(c, Quorum::kRegular, restrictions), charter, votes);
  AQ_RETURN_IF_ERROR(CheckNewVoters(rule, c, prev, restrictions));
  if (const Count count = rule.Counted(); !count.enough()) {
    return Unauthenticated("charter: right signatures of its voters give ",
                           count.have,
                           " of ",
                           count.need,
                           count.unit);
  }
  // Votes may be enough without the proposer's; who passes its charter on must find it whole.
  if (!VerifySignature(*charter.envelope, *proposer))
    return Unauthenticated("charter: the signature of its signer is wrong");
  return absl::OkStatus();
}

}  // namespace aqmesh::authority
