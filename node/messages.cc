#include <algorithm>

#include "node/control.h"

// What members say inside their tunnels. A message confers nothing: it moves signed objects, asks
// for them, or hints. Spec: spec/objects.md §6.
namespace aqmesh::node {

using namespace std::chrono_literals;
using authority::Ctx;
using authority::Rung;
using ControlKind = frame::Control;
using frame::Drop;

namespace {

constexpr size_t kAnnouncesMax = 4'096;
constexpr size_t kPulledMax = 4'096;
constexpr uint32_t kAnnounceTtl = 86'400;
constexpr auto kNoticeEvery = 10s;
constexpr int kGreets = 3;
constexpr auto kGreetAgain = 1s;  // and four times that for the last
constexpr size_t kOfferedAtOnce = 64;
constexpr size_t kJoinRefsMax = 1'024;  // grants, and every charter with its votes

}  // namespace

void Control::OnControl(Turn& t, const ControlPacket& packet) {
  Peer* peer = PeerOf(packet.peer);
  if (peer == nullptr || !peer->kid) return;
  const PeerId id = peer->id;
  frame::Messages messages;
  const IpAddress control = authority::ControlAddress(ScopeForControl());
  if (const Drop d = frame::ParsePacket(packet.packet, Address6Of(*peer->kid), control, messages);
      d != Drop::kNone) {
    Dropped(d);
    return;
  }
  for (const frame::Message& m : messages) {
    peer = PeerOf(id);  // a message may have closed the session
    if (peer == nullptr) return;
    OnMessage(t, *peer, m);
  }
}

// Below PROBATION a peer may pull what it was offered, and restrictions, to become fresh again.
bool Control::MayPull(const Peer& peer, const frame::Message& m) const {
  frame::Refs refs;
  if (m.kind != ControlKind::kPull || frame::ParseRefs(m.body, refs) != Drop::kNone) return false;
  return std::ranges::all_of(refs.view(), [&](const Ref16& r) {
    if (std::ranges::find(peer.offered, r) != peer.offered.end()) return true;
    return mesh_.has_charter() &&
           (mesh_.restrictions().Statement(r) != nullptr || mesh_.charters().Find(r) != nullptr);
  });
}

void Control::OnMessage(Turn& t, Peer& peer, const frame::Message& m) {
  // While joining, or waiting for a renewal, offers are believed as far as their signatures go, at
  // any rung of who makes them.
  const bool renews = m.kind == ControlKind::kOffer && t.now.mono < renew_at_;
  // And whoever speaks of a charter that is not held here may offer it.
  const bool brings =
      m.kind == ControlKind::kOffer && peer.reason == authority::Reason::kCharterUnknown;
  const bool entitled = joining() || renews || brings || MayPull(peer, m);
  if (!joining() && peer.rung < frame::LeastRung(m.kind, entitled)) {
    Dropped(Drop::kControlRung);
    return;
  }
  const bool needs_charter = m.kind == ControlKind::kVector || m.kind == ControlKind::kDeposit ||
                             m.kind == ControlKind::kCosign;
  if (needs_charter && !mesh_.has_charter()) {
    Dropped(Drop::kUnasked);
    return;
  }
  switch (m.kind) {
    case ControlKind::kPull: OnPull(t, peer, m); break;
    case ControlKind::kObject: OnObject(t, peer, m); break;
    case ControlKind::kOffer: OnOffer(t, peer, m); break;
    case ControlKind::kVector: OnVector(t, peer, m); break;
    case ControlKind::kWords: OnWords(t, peer, m); break;
    case ControlKind::kDeposit: OnDeposit(t, peer, m); break;
    case ControlKind::kNotice: {
      frame::FlowNotice notice;
      if (const Drop d = frame::ParseFlowNotice(m.body, notice); d != Drop::kNone) {
        Dropped(d);
        return;
      }
      std::string text(authority::ReasonName(notice.notice.reason));
      if (notice.flow) {
        text += ": " + notice.flow->source.ToString() + " -> " +
                notice.flow->destination.ToString() + " port " +
                std::to_string(notice.flow->destination_port);
      }
      Say(t, Event::Kind::kNotice, peer.kid.value_or(Kid{}), peer.name, text);
      break;
    }
    case ControlKind::kNote:
    case ControlKind::kAsk:
    case ControlKind::kCosign:
    case ControlKind::kCosigned: OnHeads(t, peer, m); break;
  }
}

void Control::SendControl(
    Turn& t, const Peer& peer, ControlKind kind, ByteView body, uint32_t request) {
  frame::PacketWriter writer;
  if (!writer.Add(kind, request, body)) return;
  Bytes packet = [&] {
    const ByteView p =
        writer.Finish(Address6Of(mesh_.kid()), authority::ControlAddress(ScopeForControl()));
    return Bytes(p.begin(), p.end());
  }();
  const wireguard::DataLock::Hold hold(device_.lock());
  device_.forwarder().SendTo(t.now, peer.id, {.bytes = packet}, t.out.wg);
}

void Control::SendObject(Turn& t, const Peer& peer, const authority::Signed& object) {
  for (size_t at = 0; at < object.bytes().size(); at += frame::kObjectPiece) {
    SendControl(
        t, peer, ControlKind::kObject, frame::EncodeObjectPiece(object.ref(), object.bytes(), at));
  }
}

void Control::SendRefs(Turn& t, const Peer& peer, ControlKind kind, std::span<const Ref16> refs) {
  while (!refs.empty()) {
    const size_t n = std::min(refs.size(), frame::kRefsMax);
    SendControl(t, peer, kind, frame::EncodeRefs(refs.first(n)));
    refs = refs.subspan(n);
  }
}

void Control::Pull(Turn& t, Peer& peer, std::span<const Ref16> refs) {
  std::vector<Ref16> wanted;
  for (const Ref16& r : refs) {
    if (mesh_.Find(r) != nullptr || announce_refs_.contains(r) || attestations_.Holds(r)) continue;
    if (pulled_.size() >= kPulledMax) pulled_.erase(pulled_.begin());
    pulled_[r] = peer.id;
    wanted.push_back(r);
  }
  SendRefs(t, peer, ControlKind::kPull, wanted);
}

void Control::SendVector(Turn& t, const Peer& peer) {
  const auto parts = frame::EncodeVector(mesh_.Rows());
  const uint32_t request = rng_.U32();  // one for all parts: that is how they are put together
  for (const Bytes& part : parts) SendControl(t, peer, ControlKind::kVector, part, request);
}

// The first words of a session: what restrictions we hold, and whom we know.
void Control::Greet(Turn& t, Peer& peer) {
  if (joining()) {
    if (join_ && join_->sponsor == peer.id) SayWords(t, peer);
    return;
  }
  if (peer.join) return;  // the joiner speaks first
  peer.greet_at =
      ++peer.greets < kGreets ? t.now.mono + peer.greets * peer.greets * kGreetAgain : kNever;
  SendVector(t, peer);
  OfferWords(t, peer);
  OfferCharters(t, peer);
  if (peer.rung < Rung::kProbation) return;
  OfferAnnounces(t, peer);
  SendDeposit(t, peer);
}

// Some of whom we know, so that in the end everyone hears of everyone.
void Control::OfferAnnounces(Turn& t, const Peer& peer) {
  std::vector<Ref16> refs;
  for (const auto& [kid, a] : announces_) {
    const auto& [object, body] = a;
    if (kid != peer.kid && body.time + body.ttl > t.now.wall.seconds())
      refs.push_back(object->ref());
  }
  while (refs.size() > kOfferedAtOnce) {
    std::swap(refs[rng_.Below(refs.size())], refs.back());
    refs.pop_back();
  }
  if (!refs.empty()) SendRefs(t, peer, ControlKind::kOffer, refs);
}

void Control::OnPull(Turn& t, Peer& peer, const frame::Message& m) {
  frame::Refs refs;
  if (const Drop d = frame::ParseRefs(m.body, refs); d != Drop::kNone) {
    Dropped(d);
    return;
  }
  for (const Ref16& r : refs.view()) {
    SignedPtr object = mesh_.Find(r);
    if (object == nullptr) object = attestations_.Find(r);
    if (const auto it = announce_refs_.find(r); it != announce_refs_.end())
      object = announces_.at(it->second).first;
    if (object != nullptr) SendObject(t, peer, *object);
  }
}

void Control::OnOffer(Turn& t, Peer& peer, const frame::Message& m) {
  frame::Refs refs;
  if (const Drop d = frame::ParseRefs(m.body, refs); d != Drop::kNone) {
    Dropped(d);
    return;
  }
  if (joining()) {
    for (const Ref16& r : refs.view()) {
      if (join_refs_.size() < kJoinRefsMax && std::ranges::find(join_refs_, r) == join_refs_.end())
        join_refs_.push_back(r);
    }
  }
  Pull(t, peer, refs.view());
}

void Control::OnObject(Turn& t, Peer& peer, const frame::Message& m) {
  frame::Piece piece;
  if (const Drop d = frame::ParseObjectPiece(m.body, piece); d != Drop::kNone) {
    Dropped(d);
    return;
  }
  std::optional<Bytes> whole;
  const auto key = *frame::ObjectAssembler::PeerKey::From(peer.kid->view());
  if (const Drop d = assembler_.Add(t.now.mono, key, piece, whole); d != Drop::kNone) {
    Dropped(d);
    return;
  }
  if (!whole) return;
  auto object = authority::Signed::Parse(*whole);
  if (!object.ok() || object->ref() != piece.ref) {
    Dropped(Drop::kControlBody);
    NoteMalformed(t, peer, *whole);
    return;
  }
  TakeObject(t, peer, std::make_shared<const authority::Signed>(*std::move(object)));
}

void Control::TakeObject(Turn& t, Peer& peer, const SignedPtr& object) {
  if (object->ctx() == Ctx::kRevoke || object->ctx() == Ctx::kRotate) {
    (void)OnRestriction(t, object, &peer);  // counted; nobody is owed an answer
    return;
  }
  if (object->ctx() == Ctx::kRequest) {
    OnRenewalRequest(t, peer, object);
    return;
  }
  if (pulled_.erase(object->ref()) == 0) {
    Dropped(Drop::kUnasked);
    return;
  }
  switch (object->ctx()) {
    case Ctx::kAnnounce: TakeAnnounce(t, object); break;
    case Ctx::kApprove:
      if (!TakeApproval(t, object, &peer).ok()) Dropped(Drop::kControlBody);
      break;
    case Ctx::kAttest:
      if (!TakeAttestation(t, object, peer)) Dropped(Drop::kControlBody);
      break;
    case Ctx::kCharter:
    case Ctx::kCosign: {
      const absl::Status taken = TakeCharter(t, object, &peer);
      if (!taken.ok() && !absl::IsUnavailable(taken)) Dropped(Drop::kControlBody);
      if (joining()) {
        OnOwnObjects(t);
      } else if (absl::IsUnauthenticated(taken)) {
        NoteMalformed(t, peer, object->bytes());
      }
      break;
    }
    case Ctx::kGrant:
    case Ctx::kFragment:
      received_.push_back(object);
      mesh_.Hold(object);
      OnOwnObjects(t);
      ExamineGrant(t, object, &peer);
      break;
    default: Dropped(Drop::kControlBody);
  }
}

void Control::OnVector(Turn& t, Peer& peer, const frame::Message& m) {
  if (!mesh_.has_charter()) {  // a joiner has nothing to compare yet
    Dropped(Drop::kUnasked);
    return;
  }
  frame::VectorPart part;
  if (const Drop d = frame::ParseVectorPart(m.body, part); d != Drop::kNone) {
    Dropped(d);
    return;
  }
  if (const Drop d = peer.vector.Add(m.request, part); d != Drop::kNone) {
    Dropped(d);
    return;
  }
  if (!peer.vector.complete()) return;
  std::vector<authority::Restrictions::Row> rows;
  for (const frame::Row& r : peer.vector.Rows()) rows.push_back({r.kid, r.seq, r.oid});
  // What the peer lacks goes unasked; what we lack is pulled.
  SendRestrictions(t, peer, mesh_.restrictions().Beyond(rows));
  if (mesh_.restrictions().Covers(rows)) {
    const bool was = std::exchange(peer.level, true);
    synced_wall_ = t.now.wall.seconds();
    Bytes at;
    AppendLe<uint64_t>(at, synced_wall_);
    recorder_.PutState("synced", std::move(at));
    if (!was) Redecide(t, peer);
    return;
  }
  const auto missing = mesh_.restrictions().MissingFor(rows);
  SendRefs(t, peer, ControlKind::kPull, missing);
}

// A restriction acts at first sight and is spread the moment it is durable.
absl::Status Control::OnRestriction(Turn& t, const SignedPtr& object, const Peer* from) {
  bool fresh = false;
  const absl::Status s = mesh_.AddRestriction(object, fresh);
  if (!s.ok()) {
    Dropped(s.code() == absl::StatusCode::kUnavailable ? Drop::kIssuerUnknown : Drop::kSignature);
    if (from != nullptr && absl::IsUnauthenticated(s)) NoteMalformed(t, *from, object->bytes());
    return s;
  }
  if (fresh) OnRestrictionTaken(t, object, from);
  return s;
}

void Control::OnRestrictionTaken(Turn& t, const SignedPtr& object, const Peer* from) {
  recorder_.PutObject(lineage::Shelf::kSigned, object->oid(), object->bytes());
  // What a restart needs to believe it, and to know what came before it.
  for (const SignedPtr& g : mesh_.ChainOf(object->kid()))
    recorder_.PutObject(lineage::Shelf::kSigned, g->oid(), g->bytes());
  Bytes before;
  AppendLe<uint64_t>(before, mesh_.HeldBefore(object->oid()));
  recorder_.PutState("cut/" + ToHex(object->oid()), std::move(before));
  RecordRestriction(t, object);
  const PeerId except = from ? from->id : wireguard::kNoPeer;
  // spec: rooms#3: what narrows access may act before the disk has it; telling others may not.
  RepeatFloor(t, object);
  NoteTurn(t, object);
  RedecideAll(t);
  recorder_.WhenDurable([this, object, except] { Spread(*turn_, object, PeerOf(except)); });
}

void Control::RecordRestriction(Turn& t, const SignedPtr& object) {
  authority::Observe o;
  o.kind = authority::RecordKind::kRevokeSeen;
  o.scope = mesh_.scope();
  if (const auto r = authority::ParseBody<authority::Revoke>(object->body()); r.ok() && r->kid)
    o.subject = r->kid;
  o.evidence = *Digest::From(object->oid().view());
  o.rung = Rung::kRefuse;
  o.reason = static_cast<uint16_t>(authority::Reason::kRevoked);
  o.action = static_cast<uint16_t>(admission::Action::kRestrict);
  recorder_.Record(std::move(o), t.now.wall);
}

void Control::Spread(Turn& t, const SignedPtr& object, const Peer* except) {
  for (auto& [id, peer] : peers_) {
    if (!peer.confirmed || (except != nullptr && id == except->id)) continue;
    SendRestrictions(t, peer, std::span(&object, 1));
  }
}

// What came to bear without being added just now: see Mesh::TakeLateRestrictions.
void Control::TakeLate(Turn& t) {
  for (const SignedPtr& s : mesh_.TakeLateRestrictions()) OnRestrictionTaken(t, s, nullptr);
  for (const Mesh::HeldStatement& h : mesh_.TakeHeld()) {
    std::array<uint8_t, 8> order{};  // big-endian, so that names sort by it
    StoreBe<uint64_t>(order.data(), h.order);
    recorder_.PutState("held/" + ToHex(order), h.statement->bytes());
  }
  const auto proofs = mesh_.TakeProofs();
  for (const authority::Equivocation& e : proofs) {
    recorder_.PutState("proof/" + ToHex(e.id), e.proof);
    recorder_.PutObject(lineage::Shelf::kProof, Oid{e.id.bytes}, e.proof);
    authority::Observe o;
    o.kind = authority::RecordKind::kEscalated;
    o.scope = mesh_.scope();
    o.subject = e.signer;
    o.evidence = e.id;
    o.reason = static_cast<uint16_t>(authority::Reason::kEquivocation);
    recorder_.Record(std::move(o), t.now.wall);
    NoteEquivocation(t, e);
    OpenItem(t, e.signer, authority::Cause::kCrypto, {.reason = authority::Reason::kEquivocation});
  }
  if (!proofs.empty()) RedecideAll(t);
}

// A restriction goes with the offer of the grants by which its signer is believed: the receiver may
// never have met a chain through that signer.
void Control::SendRestrictions(Turn& t, Peer& peer, std::span<const SignedPtr> objects) {
  std::vector<Ref16> refs;
  for (const SignedPtr& s : objects) {
    SendObject(t, peer, *s);
    for (const SignedPtr& g : mesh_.ChainOf(s->kid())) {
      if (std::find(refs.begin(), refs.end(), g->ref()) == refs.end()) refs.push_back(g->ref());
    }
  }
  if (!refs.empty()) Offer(t, peer, refs);
}

void Control::Offer(Turn& t, Peer& peer, std::span<const Ref16> refs) {
  SendRefs(t, peer, ControlKind::kOffer, refs);
  for (const Ref16& r : refs) {
    if (std::ranges::find(peer.offered, r) == peer.offered.end()) peer.offered.push_back(r);
  }
  if (peer.offered.size() > kOfferedAtOnce)
    peer.offered.erase(peer.offered.begin(), peer.offered.end() - kOfferedAtOnce);
}

void Control::TakeAnnounce(Turn& t, const SignedPtr& object) {
  auto body = authority::ParseBody<authority::Announce>(object->body());
  if (!body.ok() || body->scope != ScopeForControl() || object->kid() == mesh_.kid()) return;
  if (body->time > t.now.wall.seconds() + authority::kClockSlackSeconds) return;
  const Kid kid = object->kid();
  // Where the key is known a forged hint is dropped; else it stays a hint, and the bundle will
  // tell.
  if (const auto key = mesh_.KeyOf(kid); key && !authority::VerifySignature(*object, *key)) return;
  const auto held = announces_.find(kid);
  if (held != announces_.end() && held->second.second.time >= body->time) return;
  if (held == announces_.end() && announces_.size() >= kAnnouncesMax) return;
  if (held != announces_.end()) announce_refs_.erase(held->second.first->ref());
  announces_[kid] = {object, *body};
  announce_refs_[object->ref()] = kid;
  recorder_.PutState("announce/" + ToHex(kid), object->bytes());
  if (Peer* peer = EnsurePeer(t, body->static_key)) {
    peer->hints.assign(body->endpoints.begin(), body->endpoints.end());
    if (peer->hints.size() > Peer::kHintsMax) peer->hints.resize(Peer::kHintsMax);
    if (peer->name.empty()) peer->name = body->name;
    if (!peer->committed) TrySoon(t, *peer);
  }
  const std::array<Ref16, 1> refs = {object->ref()};
  for (const auto& [id, peer] : peers_) {
    if (peer.speaks() && peer.rung >= Rung::kProbation && peer.kid != kid)
      SendRefs(t, peer, ControlKind::kOffer, refs);
  }
}

void Control::RenewAnnounce(Turn& t) {
  if (mesh_.leaf() == nullptr || config_.endpoints.empty()) return;
  const auto mine = announces_.find(mesh_.kid());
  const uint64_t now = t.now.wall.seconds();
  if (mine != announces_.end()) {
    const authority::Announce& a = mine->second.second;
    std::vector<Endpoint> held = a.endpoints, want = config_.endpoints;
    std::sort(held.begin(), held.end());
    std::sort(want.begin(), want.end());
    if (held == want && now < a.time + a.ttl / 2) return;
  }
  auto made = issuing::MakeAnnounce(config_.identity,
                                    {.scope = mesh_.scope(),
                                     .static_key = device_.public_key(),
                                     .endpoints = config_.endpoints,
                                     .relays = {},
                                     .name = mesh_.leaf()->body.name,
                                     .ttl = kAnnounceTtl},
                                    now);
  if (!made.ok()) return;
  if (mine != announces_.end()) announce_refs_.erase(mine->second.first->ref());
  announces_[mesh_.kid()] = {made->envelope, made->body};
  announce_refs_[made->envelope->ref()] = mesh_.kid();
  const std::array<Ref16, 1> refs = {made->envelope->ref()};
  for (const auto& [id, peer] : peers_) {
    if (peer.speaks() && peer.rung >= Rung::kProbation)
      SendRefs(t, peer, ControlKind::kOffer, refs);
  }
}

void Control::NoticePeer(Turn& t,
                         Peer& peer,
                         authority::Reason reason,
                         const std::optional<frame::Flow>& flow) {
  if (peer.plain) return;  // it would not understand
  if (peer.has_noticed && t.now.mono - peer.noticed_at < kNoticeEvery && flow) return;
  if (!HasSession(peer.id)) return;
  peer.noticed_at = t.now.mono;
  peer.has_noticed = true;
  frame::FlowNotice n;
  n.notice = {
      .reason = reason, .retry_seconds = 0, .now_seconds = t.now.wall.seconds(), .about = {}};
  n.flow = flow;
  SendControl(t, peer, ControlKind::kNotice, frame::EncodeFlowNotice(n));
}

}  // namespace aqmesh::node
