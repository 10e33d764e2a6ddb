#include <algorithm>

#include "core/base/status.h"
#include "node/approval.h"
#include "node/control.h"

// What waits for a person, and what a person said. Spec: spec/admission.md §4.
namespace aqmesh::node {

using authority::Cause;
using authority::Held;
using authority::Rung;

namespace {

constexpr size_t kApprovalsMax = 1'024;

std::string StateName(const std::pair<Kid, authority::Answers>& about) {
  const bool flows = about.second == authority::Answers::kFlows;
  return Join(flows ? "approve-flows/" : "approve/", ToHex(about.first));
}

}  // namespace

std::optional<admission::Approval> ApprovalIn(const Held<authority::Approve>& approve,
                                              const authority::Chain& chain,
                                              std::span<const trust::Link> links,
                                              const ApprovalGround& ground) {
  authority::ApprovalPlace by;
  if (authority::CheckApproval(approve, chain, ground.scope, ground.charter, ground.now, by) ||
      by.what != ground.what)
    return std::nullopt;
  // Nobody lends more trust than it has: who says it stands at ADMIT, with all above it. Links go
  // down from the voter, grants up from the leaf.
  if (links.size() < chain.grants.size()) return std::nullopt;
  const size_t voter = links.size() - chain.grants.size();
  const size_t above = std::min(links.size(), voter + chain.grants.size() - by.place);
  const authority::ChainTrust trust =
      trust::TrustIn(ground.charter, links.first(std::max<size_t>(above, voter)), ground.epoch);
  const admission::GateParams params = admission::GateParams::From(ground.charter);
  if (trust.ladm < params.admit_down || trust.broken || trust.scars >= trust::kScarCapsAt)
    return std::nullopt;
  return admission::Approval{approve.body.ceiling, approve.body.until};
}

const Held<authority::Approve>* Control::ApprovalOf(const Kid& subject, Answers what) const {
  const auto it = approvals_.find({subject, what});
  return it == approvals_.end() ? nullptr : &it->second;
}

ApprovalGround Control::GroundForApprovals(Now now) const {
  return {.scope = mesh_.scope(),
          .charter = mesh_.charter().body,
          .now = now.wall,
          .epoch = trust_.epoch()};
}

// The chain by which a key is known here.
authority::Chain Control::ChainHeld(const Kid& kid) const {
  authority::Chain chain;
  chain.subject = kid;
  for (const SignedPtr& s : mesh_.ChainOf(kid)) {
    auto body = authority::ParseBody<authority::Grant>(s->body());
    if (body.ok()) chain.grants.push_back({s, *std::move(body)});
  }
  chain.voter = chain.grants.empty() ? kid : chain.grants.back().signer();
  return chain;
}

uint64_t Control::FlowsReleased(const Kid& subject, Now now) const {
  const Held<authority::Approve>* said = ApprovalOf(subject, Answers::kFlows);
  if (said == nullptr || !mesh_.has_charter()) return 0;
  const authority::Chain chain = ChainHeld(subject);
  ApprovalGround ground = GroundForApprovals(now);
  ground.what = Answers::kFlows;
  const auto links = trust_.LinksOf(trust::StepsOf(chain), mesh_.charter().body);
  const auto approval = ApprovalIn(*said, chain, links, ground);
  return approval && approval->ceiling >= Rung::kProbation ? approval->until : 0;
}

// A rule holds a flow of the peer's until a person has spoken.
void Control::HoldFlow(Turn& t, const Peer& peer) {
  if (!peer.kid) return;
  Escalate(t,
           *peer.kid,
           Cause::kAction,
           {.rung = peer.rung, .reason = authority::Reason::kHeld, .ladm = peer.ladm});
}

// True: it was not open yet; what it rests on is recorded by who found it.
bool Control::OpenItem(Turn& t, const Kid& subject, Cause cause, const Escalation& about) {
  const authority::Nonce16 item = authority::EscalationItem(mesh_.scope(), subject, cause);
  Escalation e = about;
  e.subject = subject;
  e.cause = cause;
  e.opened = t.now.wall.seconds();
  if (!escalations_.Open(item, e)) return false;
  const Peer* peer = nullptr;
  for (const auto& [id, p] : peers_) peer = p.kid == subject ? &p : peer;
  Say(t, Event::Kind::kEscalated, subject, peer ? peer->name : "", ToHex(item));
  return true;
}

void Control::Escalate(Turn& t, const Kid& subject, Cause cause, const Escalation& about) {
  if (!mesh_.has_charter() || !OpenItem(t, subject, cause, about)) return;
  authority::Observe o;
  o.kind = authority::RecordKind::kEscalated;
  o.scope = mesh_.scope();
  o.subject = subject;
  o.rung = about.rung;
  o.ladm = about.ladm;
  o.action_id = authority::ActionId{authority::EscalationItem(mesh_.scope(), subject, cause).bytes};
  o.reason = static_cast<uint16_t>(about.reason);
  recorder_.Record(std::move(o), t.now.wall);
}

// Evidence against somebody in the chain holds the subject down, or its slope broke, or it slept
// long: a person may know better.
void Control::EscalateDecision(Turn& t, const authority::Decision& d, bool approved, bool slept) {
  const authority::ChainTrust& trust = d.weighed().trust();
  const bool held = d.setter() == authority::Gate::kTrust && d.rung() < Rung::kAdmit;
  const bool why = trust.broken || trust.negative || trust.scars >= trust::kScarCapsAt || slept;
  if (approved || !held || !why) return;
  Escalate(t,
           d.chain().subject,
           Cause::kTrust,
           {.rung = d.rung(), .reason = d.reason(), .ladm = trust.ladm});
}

// The one that lapsed first makes room; those that did not are not for another's sake.
bool Control::DropLapsedApproval(Turn& t) {
  const auto first =
      std::ranges::min_element(approvals_, {}, [](const auto& a) { return a.second.body.until; });
  if (first == approvals_.end() || first->second.body.until > t.now.wall.seconds()) return false;
  recorder_.DeleteState(StateName(first->first));
  approvals_.erase(first);
  return true;
}

// From a file, from another member, or signed here. What it is worth is found out at each decision;
// here it is only kept, if somebody above its subject said it.
absl::Status Control::TakeApproval(Turn& t, const SignedPtr& object, const Peer* from) {
  if (!mesh_.has_charter()) return FailedPrecondition("an approval: no charter is held here yet");
  AQ_ASSIGN_OR_RETURN(auto body, authority::ParseBody<authority::Approve>(object->body()));
  const Held<authority::Approve> approve{object, body};
  const Kid subject = approve.body.subject;
  const auto what = authority::WhatAnswers(approve.body);
  if (!what) return InvalidArgument("an approval of no item that a person can answer");
  authority::ApprovalPlace by;
  const authority::Chain chain = ChainHeld(subject);
  if (chain.grants.empty())
    return NotFound("an approval of ", ToHex(subject), ", who is not known here");
  if (const auto o = authority::CheckApproval(
          approve, chain, mesh_.scope(), mesh_.charter().body, t.now.wall, by))
    return PermissionDenied(o->detail);
  const Held<authority::Approve>* held = ApprovalOf(subject, *what);
  if (held != nullptr && held->body.hlc >= approve.body.hlc) return absl::OkStatus();  // no news
  if (held == nullptr && approvals_.size() >= kApprovalsMax && !DropLapsedApproval(t))
    return ResourceExhausted("more approvals in force than are kept");
  mesh_.Hold(object);
  recorder_.PutState(StateName({subject, *what}), object->bytes());
  recorder_.PutObject(lineage::Shelf::kSigned, object->oid(), object->bytes());
  authority::Observe o;
  o.kind = authority::RecordKind::kApproved;
  o.scope = mesh_.scope();
  o.subject = subject;
  o.rung = approve.body.ceiling;
  o.action_id = authority::ActionId{approve.body.item.bytes};
  o.evidence = Digest{object->oid().bytes};
  recorder_.Record(std::move(o), t.now.wall);
  approvals_.insert_or_assign(std::pair(subject, *what), approve);
  for (const Cause cause : {Cause::kTrust, Cause::kCorroboration, Cause::kAction}) {
    if ((cause == Cause::kAction) == (*what == Answers::kFlows))
      escalations_.Close(authority::EscalationItem(mesh_.scope(), subject, cause));
  }
  for (PeerId id : PeersWhere([&](const Peer& p) { return p.kid == subject; })) {
    if (Peer* peer = PeerOf(id)) Redecide(t, *peer);
  }
  for (auto& [id, peer] : peers_) {
    if (peer.speaks() && &peer != from && peer.rung >= Rung::kProbation)
      Offer(t, peer, std::vector<Ref16>{object->ref()});
  }
  return absl::OkStatus();
}

absl::StatusOr<Held<authority::Approve>> Control::Approve(Now now,
                                                          const issuing::ApproveTerms& terms,
                                                          Outbox& out) {
  Turn t{now, out};
  if (mesh_.enroller() == nullptr)
    return FailedPrecondition(
        "this machine holds no grant with `approve`; sign it by the root: --root");
  const issuing::Signer signer(config_.identity, *config_.seqs);
  auto made = issuing::MakeApprove({signer, mesh_.charter(), mesh_.enroller()},
                                   terms,
                                   now.wall.seconds(),
                                   recorder_.chain().clock().Tick(now.wall));
  if (!made.ok()) return made.status();
  absl::Status taken = TakeApproval(t, made->envelope, nullptr);
  EndTurn(t);
  if (!taken.ok()) return taken;
  return made;
}

}  // namespace aqmesh::node
