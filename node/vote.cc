#include <algorithm>

#include "core/authority/charter.h"
#include "core/base/status.h"
#include "lineage/inputs.h"
#include "node/control.h"

// The next charter: proposals and votes, how they are kept and passed on, and what follows when one
// comes into force. Spec: spec/quorum.md §9.
namespace aqmesh::node {

using authority::Ctx;
using authority::Rung;

namespace {

constexpr uint8_t kSlotCharter = 3;

std::string StateOf(const authority::Signed& object) {
  return std::string(object.ctx() == Ctx::kCharter ? kProposalState : kVoteState) +
         ToHex(object.oid());
}

std::vector<Ref16> RefsOf(std::span<const SignedPtr> objects) {
  std::vector<Ref16> out;
  for (const SignedPtr& s : objects) out.push_back(s->ref());
  return out;
}

}  // namespace

// From a file, or from another member. A joiner takes what belongs to the mesh of its invitation;
// that the charter which the invitation names is among it is seen to before it joins (join.cc).
absl::Status Control::TakeCharter(Turn& t, const SignedPtr& object, const Peer* from) {
  absl::Status taken;
  if (object->ctx() == Ctx::kCosign) {
    const auto vote = authority::ParseBody<authority::Cosign>(object->body());
    if (vote.ok() && vote->slot != kSlotCharter) return TakeVote(t, object, from);
  }
  if (object->ctx() == Ctx::kCharter) {
    const bool first = !mesh_.has_charter();
    const auto body = authority::ParseBody<authority::Charter>(object->body());
    const bool ours = !first || !config_.invitation || !body.ok() ||
                      authority::ScopeIdOf({object, *body}) == ScopeForControl();
    taken = ours ? mesh_.AddCharter(object)
                 : PermissionDenied("charter ", ToHex(object->oid()), ": it is of another mesh");
  } else {
    taken = mesh_.TakeVoted(object);
  }
  SettleCharters(t, from);
  return taken;
}

// For a grant that needs its voters' certificate, or a restriction: kept, and who was refused for
// want of it may come again.
absl::Status Control::TakeVote(Turn& t, const SignedPtr& object, const Peer* from) {
  bool fresh = false;
  AQ_RETURN_IF_ERROR(mesh_.AddVote(object, fresh));
  if (!fresh) return absl::OkStatus();
  recorder_.PutObject(lineage::Shelf::kSigned, object->oid(), object->bytes());
  negative_.clear();
  mesh_.LearnIssuers(t.now.wall);
  RedecideAll(t);
  OfferToAll(t, {object->ref()}, from);
  return absl::OkStatus();
}

// Kept, recorded, in force; and told to others the moment that it is durable.
void Control::SettleCharters(Turn& t, const Peer* from) {
  const Charters::News news = mesh_.TakeCharterNews();
  if (news.empty()) return;
  for (const SignedPtr& s : news.dropped) recorder_.DeleteState(StateOf(*s));
  for (const SignedPtr& s : news.held) recorder_.PutState(StateOf(*s), s->bytes());
  std::vector<SignedPtr> fresh = news.held;
  for (const Charters::Proposal& p : news.in_force) {
    std::vector<SignedPtr> objects = {p.charter.envelope};
    for (const auto& [signer, vote] : p.votes) objects.push_back(vote.envelope);
    if (joining()) {  // kept with its grants, when those hold
      received_.insert(received_.end(), objects.begin(), objects.end());
      continue;
    }
    for (const SignedPtr& s : objects)
      recorder_.PutObject(lineage::Shelf::kSigned, s->oid(), s->bytes());
    if (p.charter.body.version > 1) RecordCharter(t, p.charter, objects);
    fresh.insert(fresh.end(), objects.begin(), objects.end());
  }
  if (!news.conflicts.empty()) TakeLate(t);  // recorded before anything is decided by it
  if (!news.in_force.empty()) OnCharterChanged(t);
  if (joining() || fresh.empty()) return;
  OfferToAll(t, RefsOf(fresh), from);
}

// Once it is durable. Not to joiners: they get what they need with their grants.
void Control::OfferToAll(Turn&, std::vector<Ref16> refs, const Peer* from) {
  const PeerId except = from ? from->id : wireguard::kNoPeer;
  recorder_.WhenDurable([this, refs = std::move(refs), except] {
    for (auto& [id, peer] : peers_) {
      if (peer.speaks() && id != except && !peer.join) Offer(*turn_, peer, refs);
    }
  });
}

// Everybody was let in under another: judged again, by the new numbers, voters and classes.
void Control::OnCharterChanged(Turn& t) {
  gate_ = admission::Gate(admission::GateParams::From(mesh_.charter().body));
  datapath_.SetControlAddress(mesh_.control_address());
  if (joining()) return;
  mesh_.Refresh(t.now.wall);
  mesh_.LearnIssuers(t.now.wall);
  ++policy_generation_;
  // If third parties are asked from now on, they are those whom this machine knows already.
  for (auto& [id, peer] : peers_) {
    if (Asks() && peer.speaks() && peer.kid)
      attestations_.Meet(*peer.kid, ChainBehind(t.now, *peer.kid), t.now.wall.seconds());
  }
  RedecideAll(t);
  if (up_) RefreshPlain(t);
  Say(t,
      Event::Kind::kCharter,
      mesh_.charter().signer(),
      mesh_.charter().body.name,
      Join("version ", mesh_.charter().body.version));
}

// Cites the charter, and as inputs all that it took: the one before, and the votes.
void Control::RecordCharter(Turn& t,
                            const Held<authority::Charter>& charter,
                            std::span<const SignedPtr> objects) {
  Basis basis;
  if (charter.body.prev) basis.inputs.oids.push_back(*charter.body.prev);
  for (const SignedPtr& s : objects) {
    if (basis.inputs.oids.size() < lineage::kInputOidsMax) basis.inputs.oids.push_back(s->oid());
  }
  basis.inputs.policy = config_.policy.file_hash;
  basis.inputs.wall_millis = std::max<uint64_t>(t.now.wall.millis(), 1);
  basis.inputs.mono_nanos =
      static_cast<uint64_t>(std::max<int64_t>(t.now.mono.time_since_epoch().count(), 1));
  const Bytes bytes = lineage::EncodeInputs(std::move(basis.inputs));
  const Oid id = lineage::InputsId(bytes);
  recorder_.PutObject(lineage::Shelf::kInputs, id, bytes);
  authority::Observe o;
  o.kind = authority::RecordKind::kApproved;
  o.scope = mesh_.scope();
  o.inputs = id;
  o.evidence = Digest{charter.oid().bytes};
  o.intent_gen = charter.body.version;
  recorder_.Record(std::move(o), t.now.wall);
}

// What a peer lacks by the version that it named when it presented itself, and what is open.
void Control::OfferCharters(Turn& t, Peer& peer) {
  if (peer.join) return;  // it gets them with its grants
  const uint32_t has = peer.presentation ? peer.presentation->body.charter_version : 0;
  std::vector<SignedPtr> lacks = mesh_.charters().Beyond(has);
  for (SignedPtr& vote : mesh_.StatementVotes()) lacks.push_back(std::move(vote));
  if (!lacks.empty()) Offer(t, peer, RefsOf(lacks));
}

}  // namespace aqmesh::node
