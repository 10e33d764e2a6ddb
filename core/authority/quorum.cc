#include "core/authority/quorum.h"

#include <algorithm>
#include <map>

#include "core/authority/charter.h"
#include "core/base/status.h"

namespace aqmesh::authority {

namespace {

constexpr uint8_t kSlotE = 1, kSlotR = 2, kSlotCharter = 3, kSlotInvitation = 4;

template <class T>
absl::StatusOr<Slot> BySeq(const Signed& object, uint8_t kind) {
  AQ_ASSIGN_OR_RETURN(const Held<T> held, ParseObject<T>(object));
  return Slot{held.body.scope, kind, object.kid(), held.body.seq};
}

absl::StatusOr<Slot> OfCharter(const Signed& object) {
  AQ_ASSIGN_OR_RETURN(const Held<Charter> held, ParseObject<Charter>(object));
  const ScopeId scope = ScopeIdOf(held);
  return Slot{scope, kSlotCharter, *Kid::From(scope.view()), held.body.version};
}

absl::StatusOr<Slot> OfRevoke(const Signed& object) {
  AQ_ASSIGN_OR_RETURN(const Slot slot, BySeq<Revoke>(object, kSlotR));
  if (slot.number == kTerminalSeq)
    return InvalidArgument("revoke: the terminal number is nobody's to vote on");
  return slot;
}

}  // namespace

absl::StatusOr<Slot> SlotOf(const Signed& object) {
  switch (object.ctx()) {
    case Ctx::kCharter: return OfCharter(object);
    case Ctx::kGrant: return BySeq<Grant>(object, kSlotE);
    case Ctx::kFragment: return BySeq<Fragment>(object, kSlotE);
    case Ctx::kKeybind: return BySeq<Keybind>(object, kSlotE);
    case Ctx::kTreaty: return BySeq<Treaty>(object, kSlotE);
    case Ctx::kPardon: return BySeq<Pardon>(object, kSlotE);
    case Ctx::kInvite: return BySeq<Invite>(object, kSlotE);
    case Ctx::kApprove: return BySeq<Approve>(object, kSlotE);
    case Ctx::kRetention: return BySeq<Retention>(object, kSlotE);
    case Ctx::kRotate: return BySeq<Rotate>(object, kSlotR);
    case Ctx::kRevoke: return OfRevoke(object);
    case Ctx::kAttest:
    case Ctx::kCosign:
    case Ctx::kObserve:
    case Ctx::kPresentation:
    case Ctx::kRequest:
    case Ctx::kAnnounce:
    case Ctx::kPolicy: break;
  }
  return InvalidArgument("a ", CtxName(object.ctx()), " answers no slot: nobody votes on it");
}

absl::StatusOr<Counting> CountingOf(const Charter& charter) {
  const auto param = std::ranges::find(charter.params, kConsensusParam, &Param::id);
  const uint64_t value = param == charter.params.end() ? 0 : param->value;
  if (value > static_cast<uint64_t>(Counting::kNestedGroups)) {
    return InvalidArgument("charter: param ",
                           kConsensusParam,
                           " (how votes are counted) is ",
                           value,
                           "; known are 0 (by weight) and 1 (nested groups)");
  }
  return static_cast<Counting>(value);
}

Kid LineageOf(const Voter& voter, const Restrictions* restrictions) {
  const Kid kid = KidOf(voter.suite, voter.key);
  return restrictions == nullptr ? kid : restrictions->First(kid);
}

// ---- Electorate

Electorate::Electorate(const Charter& charter,
                       Quorum quorum,
                       const Restrictions* restrictions,
                       const std::set<Kid>& not_counted) {
  const bool witnesses = quorum == Quorum::kWitnesses;
  need_ = witnesses ? charter.q_wit : quorum == Quorum::kSensitive ? charter.q_sens : charter.q_reg;
  if (const auto counting = CountingOf(charter); counting.ok()) counting_ = *counting;
  std::set<Kid> lineages, keys;
  for (const Voter& v : witnesses ? charter.witnesses : charter.voters) {
    Row row{.first = LineageOf(v, restrictions),
            .now = KidOf(v.suite, v.key),
            .key = v.key,
            .weight = v.weight,
            .group = v.group};
    Suite suite = v.suite;
    const Kid newest = restrictions == nullptr ? row.now : restrictions->Newest(row.now);
    while (row.now != newest) {
      const Held<Rotate>* step = restrictions->RotationOf(row.now);
      if (step == nullptr) break;
      row.now = step->signer(), row.key = step->body.key, suite = step->body.suite;
    }
    row.listed =
        std::ranges::find(charter.suites, static_cast<uint16_t>(suite)) != charter.suites.end();
    const bool first_row = lineages.insert(row.first).second;
    row.doubled = !keys.insert(row.now).second || !first_row;
    row.counts = row.listed && !row.doubled && !not_counted.contains(row.first);
    rows_.push_back(std::move(row));
  }
}

std::optional<size_t> Electorate::Find(const Kid& signer) const {
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].now == signer && rows_[i].listed && !rows_[i].doubled) return i;
  }
  return std::nullopt;
}

Count Electorate::CountWeights(const std::vector<bool>& behind) const {
  Count count{.have = 0, .need = need_, .unit = ""};
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (behind[i] && rows_[i].counts) count.have += rows_[i].weight;
  }
  return count;
}

Count Electorate::CountGroups(const std::vector<bool>& behind) const {
  std::map<std::string_view, Count> groups;
  for (size_t i = 0; i < rows_.size(); ++i) {
    Count& group = groups[rows_[i].group];
    group.need += rows_[i].weight;  // of them all, until the sum is known
    if (behind[i] && rows_[i].counts) group.have += rows_[i].weight;
  }
  Count count{.have = 0, .need = QuorumOf(groups.size()), .unit = " groups"};
  for (const auto& [name, group] : groups) {
    if (group.have >= QuorumOf(group.need)) ++count.have;
  }
  return count;
}

Count Electorate::CountOf(const std::vector<bool>& behind) const {
  if (!counting_ || rows_.empty()) return {};
  switch (*counting_) {
    case Counting::kWeighted: return CountWeights(behind);
    case Counting::kNestedGroups: return CountGroups(behind);
  }
  return {};
}

// ---- ConsensusRule

ConsensusRule::ConsensusRule(Electorate electorate, const Slot& slot, SignedPtr target)
    : electorate_(std::move(electorate)),
      slot_(slot),
      target_(std::move(target)),
      heard_(electorate_.size()) {
  // A grant does not say which use of an invitation it takes: there its signer votes like others.
  if (slot_.kind != kSlotInvitation) Hear(target_, target_->oid());
}

Added ConsensusRule::Add(const Held<Cosign>& vote) {
  if (SlotOf(vote.body) != slot_) return Added::kOtherSlot;
  const Added added = Hear(vote.envelope, vote.body.target);
  if (added == Added::kCounted) heard_[*electorate_.Find(vote.signer())].vote = vote;
  return added;
}

Added ConsensusRule::AddRival(const SignedPtr& object) {
  const absl::StatusOr<Slot> slot = SlotOf(*object);
  if (!slot.ok() || *slot != slot_) return Added::kOtherSlot;
  return Hear(object, object->oid());
}

Added ConsensusRule::Hear(const SignedPtr& said, const Oid& target) {
  const std::optional<size_t> elector = electorate_.Find(said->kid());
  if (!elector) return Added::kNoElector;
  Heard& h = heard_[*elector];
  const bool mine = target == target_->oid();
  const bool known =
      mine ? h.mine != nullptr : h.conflict.has_value() || (h.other && h.other_target == target);
  if (known) return Added::kAgain;
  if (!VerifySignature(*said, electorate_.KeyOf(*elector))) return Added::kWrongSignature;
  const SignedPtr& before = mine || h.other ? h.other : h.mine;
  if (!h.conflict && before) h.conflict = ProveEquivocation(*before, *said);
  if (mine) {
    h.mine = said;
  } else if (!h.other) {
    h.other = said, h.other_target = target;
  }
  return mine ? Added::kCounted : Added::kOther;
}

Count ConsensusRule::Counted() const {
  std::vector<bool> behind(heard_.size());
  for (size_t i = 0; i < heard_.size(); ++i) behind[i] = Has(i);
  return electorate_.CountOf(behind);
}

std::vector<Held<Cosign>> ConsensusRule::Votes() const {
  std::vector<Held<Cosign>> out;
  for (const Heard& h : heard_) {
    if (h.vote) out.push_back(*h.vote);
  }
  return out;
}

std::vector<Equivocation> ConsensusRule::Conflicts() const {
  std::vector<Equivocation> out;
  for (const Heard& h : heard_) {
    if (h.conflict) out.push_back(*h.conflict);
  }
  return out;
}

}  // namespace aqmesh::authority
