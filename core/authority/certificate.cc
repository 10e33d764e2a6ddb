#include "core/authority/certificate.h"

#include <algorithm>

#include "core/authority/charter.h"
#include "core/authority/taxonomy.h"
#include "core/base/status.h"

namespace aqmesh::authority {

namespace {

constexpr uint8_t kSlotInvitation = 4;

absl::Status NotNeeded(std::string_view what) {
  return InvalidArgument("certificate: ", what, " needs no votes");
}

absl::StatusOr<Needs> NeedsOfGrant(const Signed& target, const Charter& charter) {
  AQ_ASSIGN_OR_RETURN(const Held<Grant> held, ParseObject<Grant>(target));
  const Taxonomy taxonomy = Taxonomy::Of(charter);
  const ClassRule* row = taxonomy.Find(held.body.cls);
  if (row == nullptr || !row->certificate)
    return NotNeeded(Join("a ", ClassName(held.body.cls), " grant"));
  return Needs{Quorum::kRegular, {}};
}

Kid FirstOf(const Kid& kid, const Restrictions* restrictions) {
  return restrictions == nullptr ? kid : restrictions->First(kid);
}

absl::StatusOr<Needs> NeedsOfPardon(const Signed& target, const Restrictions* restrictions) {
  AQ_ASSIGN_OR_RETURN(const Held<Pardon> held, ParseObject<Pardon>(target));
  return Needs{Quorum::kRegular, {FirstOf(held.body.subject, restrictions)}};
}

absl::StatusOr<Needs> NeedsOfRevoke(const Signed& target, const Restrictions* restrictions) {
  AQ_ASSIGN_OR_RETURN(const Held<Revoke> held, ParseObject<Revoke>(target));
  // No voter helps to end its own key, or another in its own name.
  if (held.body.type == RevokeType::kKey)
    return Needs{Quorum::kSensitive, {FirstOf(*held.body.kid, restrictions)}};
  return Needs{Quorum::kSensitive, {}};
}

absl::StatusOr<Needs> NeedsOfRotate(const Signed& target,
                                    const Charter& charter,
                                    const Restrictions* restrictions) {
  AQ_ASSIGN_OR_RETURN(const Held<Rotate> held, ParseObject<Rotate>(target));
  const Kid old = FirstOf(held.body.old, restrictions);
  const bool voter = std::ranges::any_of(
      charter.voters, [&](const Voter& v) { return LineageOf(v, restrictions) == old; });
  if (voter) return NotNeeded("a voter's own rotate");
  return Needs{Quorum::kWitnesses, {}};
}

// In slots 1 to 3 the object says its own; in slot 4 a grant can stand for any use.
absl::Status CheckSlot(const Slot& slot, const Signed& target, const ScopeId& scope) {
  AQ_ASSIGN_OR_RETURN(const Slot own, SlotOf(target));
  if (slot.scope != scope || own.scope != scope)
    return InvalidArgument("certificate: it is for another scope");
  if (slot.kind != kSlotInvitation)
    return slot == own ? absl::OkStatus()
                       : InvalidArgument("certificate: its slot is not the object's");
  if (target.ctx() != Ctx::kGrant)
    return InvalidArgument("certificate: a use of an invitation lets a grant in, not a ",
                           CtxName(target.ctx()));
  if (slot.number == 0) return InvalidArgument("certificate: uses count from 1");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Needs> NeedsOf(const Slot& slot,
                              const Signed& target,
                              const Charter& charter,
                              const Restrictions* restrictions) {
  if (slot.kind == kSlotInvitation) return Needs{Quorum::kWitnesses, {}};
  switch (target.ctx()) {
    case Ctx::kGrant: return NeedsOfGrant(target, charter);
    case Ctx::kTreaty: return Needs{Quorum::kRegular, {}};
    case Ctx::kPardon: return NeedsOfPardon(target, restrictions);
    case Ctx::kRevoke: return NeedsOfRevoke(target, restrictions);
    case Ctx::kRotate: return NeedsOfRotate(target, charter, restrictions);
    case Ctx::kCharter:
    case Ctx::kFragment:
    case Ctx::kKeybind:
    case Ctx::kAttest:
    case Ctx::kCosign:
    case Ctx::kObserve:
    case Ctx::kPresentation:
    case Ctx::kInvite:
    case Ctx::kRequest:
    case Ctx::kApprove:
    case Ctx::kAnnounce:
    case Ctx::kPolicy:
    case Ctx::kRetention: break;
  }
  return NotNeeded(Join("a ", CtxName(target.ctx())));
}

absl::StatusOr<ConsensusRule> RuleFor(const Slot& slot,
                                      const SignedPtr& target,
                                      const Held<Charter>& charter,
                                      const Restrictions* restrictions) {
  AQ_RETURN_IF_ERROR(CheckSlot(slot, *target, ScopeIdOf(charter)));
  AQ_ASSIGN_OR_RETURN(const Needs needs, NeedsOf(slot, *target, charter.body, restrictions));
  Electorate electorate(charter.body, needs.quorum, restrictions, needs.not_counted);
  if (electorate.size() == 0)
    return FailedPrecondition("certificate: the charter names no witnesses to vote");
  if (const auto signer = electorate.Find(target->kid());
      signer && !VerifySignature(*target, electorate.KeyOf(*signer))) {
    return Unauthenticated(
        "certificate: the signature of the ", CtxName(target->ctx()), " is wrong");
  }
  return ConsensusRule(std::move(electorate), slot, target);
}

Certificate CertificateOf(const ConsensusRule& rule) {
  return {rule.slot(), rule.target(), rule.Votes()};
}

absl::Status CheckCertificate(const Certificate& certificate,
                              const Held<Charter>& charter,
                              const Restrictions* restrictions) {
  const auto& [slot, target, votes] = certificate;
  if (votes.size() > Certificate::kVotesMax)
    return InvalidArgument(
        "certificate: ", votes.size(), " votes, at most ", Certificate::kVotesMax);
  const bool names = std::ranges::all_of(votes, [&certificate](const Held<Cosign>& v) {
    return SlotOf(v.body) == certificate.slot && v.body.target == certificate.target->oid();
  });
  if (!names) return InvalidArgument("certificate: a vote in it is about something else");
  if (target->ctx() == Ctx::kCharter) {
    AQ_RETURN_IF_ERROR(CheckSlot(slot, *target, ScopeIdOf(charter)));
    AQ_ASSIGN_OR_RETURN(const Held<Charter> next, ParseObject<Charter>(*target));
    return VerifyCharter(next, next.body.version == 1 ? nullptr : &charter, votes, restrictions);
  }
  AQ_ASSIGN_OR_RETURN(ConsensusRule rule, RuleFor(slot, target, charter, restrictions));
  for (const Held<Cosign>& v : votes) rule.Add(v);
  const Count count = rule.Counted();
  if (!count.enough()) {
    return PermissionDenied("certificate: right votes for the ",
                            CtxName(target->ctx()),
                            " give ",
                            count.have,
                            " of ",
                            count.need,
                            count.unit);
  }
  return absl::OkStatus();
}

}  // namespace aqmesh::authority
