#include "core/base/check.h"
#include "core/base/status.h"
#include "node/control.h"

// The governed handshake, both ends, in the order of spec/objects.md §4. A step that fails leaves
// no trace: floors, caches and records change only after the presentation's signature verified.
namespace aqmesh::node {

using namespace std::chrono_literals;
using authority::Presentation;
using authority::Reason;
using authority::Rung;
using frame::Drop;

namespace {

constexpr auto kNegativeFor = 60s;
constexpr auto kNoticeEvery = 10s;
constexpr int kNoticesPerSecond = 10;
constexpr size_t kNegativeMax = 4'096;
constexpr size_t kFloorsMax = 1 << 17;
constexpr uint64_t kStampAheadMax = 120;

Drop FromWireGuard(wireguard::Drop d) {
  switch (d) {
    case wireguard::Drop::kReplayedTimestamp: return Drop::kTimestamp;
    case wireguard::Drop::kBadMac1: return Drop::kInnerMac1;
    case wireguard::Drop::kUnknownIndex:
    case wireguard::Drop::kWrongState: return Drop::kHandshakeUnknown;
    default: return Drop::kNoise;
  }
}

uint64_t SecondsOf(const wireguard::Tai64n& stamp) {
  const uint64_t tai = LoadBe<uint64_t>(stamp.data());
  constexpr uint64_t kEpoch = 0x400000000000000a;
  return tai < kEpoch ? 0 : tai - kEpoch;
}

std::vector<Ref16> RefsOf(std::span<const SignedPtr> items) {
  std::vector<Ref16> out;
  for (const SignedPtr& s : items) out.push_back(s->ref());
  return out;
}

}  // namespace

// (3) and (4). True: stop here.
bool Control::MustProveAddress(
    Turn& t, ByteView datagram, const Endpoint& from, const wireguard::Source& at, Drop& why) {
  if (!load_.OnHandshake(t.now.mono)) return false;
  if (!cookies_.Mac2Ok(
          t.now.mono, datagram.first(frame::kMac2At), datagram.subspan(frame::kMac2At), from)) {
    const auto sealed = cookies_.MakeReply(t.now.mono, frame::Mac1Of(datagram), from);
    const auto reply = frame::PackCookie(frame::InnerSender(datagram), sealed.nonce, sealed.sealed);
    t.out.wg.AddDatagram(reply, from, at, wireguard::Handshaker::kHandshakeTos, wireguard::kNoPeer);
    why = Drop::kMac2Needed;
    return true;
  }
  if (limiter_.Allow(t.now.mono, from.address)) return false;
  why = Drop::kSourceRate;
  return true;
}

Drop Control::OnInitiation(Turn& t,
                           ByteView datagram,
                           const Endpoint& from,
                           const wireguard::Source& at) {
  constexpr auto kKind = frame::Handshake::kInitiation;
  if (const Drop d = frame::CheckOuter(datagram, kKind); d != Drop::kNone)
    return Dropped(d);  // (1)
  if (const Drop d = frame::CheckMac1(datagram, own_keys_); d != Drop::kNone)
    return Dropped(d);  // (2)
  Drop why = Drop::kNone;
  if (MustProveAddress(t, datagram, from, at, why)) return Dropped(why);  // (3) (4)
  if (const Drop d = frame::CheckInner(datagram, kKind, own_keys_); d != Drop::kNone)
    return Dropped(d);                                            // (5)
  std::optional<wireguard::Handshaker::PeekedInitiation> peeked;  // (6) (8)
  if (const auto d = device_.handshaker().PeekInitiation(frame::Inner(datagram, kKind), peeked);
      d != wireguard::Drop::kNone) {
    return Dropped(FromWireGuard(d));
  }
  wireguard::ConsumedInitiation consumed = std::move(peeked->consumed);
  const X25519Key static_key = consumed.peer;
  if (consumed.timestamp <= FloorOf(static_key)) return Dropped(Drop::kTimestamp);
  frame::Bundle bundle;
  if (const Drop d = frame::OpenBundle(datagram, kKind, consumed.chain.ck.view(), bundle);
      d != Drop::kNone) {  // (9)
    return Dropped(d);
  }
  auto first = authority::Signed::Parse(bundle[0]);  // (10)
  if (!first.ok()) return Dropped(Drop::kParse);
  if (first->ctx() == authority::Ctx::kRequest) {
    SignedPtr invite;
    if (bundle.size() == 2) {
      auto second = authority::Signed::Parse(bundle[1]);
      if (!second.ok()) return Dropped(Drop::kParse);
      invite = std::make_shared<const authority::Signed>(*std::move(second));
    }
    if (bundle.size() > 2) return Dropped(Drop::kCitation);
    return OnRequest(t,
                     std::move(consumed),
                     std::make_shared<const authority::Signed>(*std::move(first)),
                     invite,
                     from,
                     at);
  }
  auto presented = ParsePresented(bundle, static_key, why);
  if (!presented) return Dropped(why);
  const Presentation& p = presented->presentation.body;
  if (negative_.contains({static_key, p.refs[0]})) return Dropped(Drop::kNegativeCache);
  if (!Equal(p.h, consumed.chain.h)) return Dropped(Drop::kTranscript);
  if (p.role != 1) return Dropped(Drop::kRole);
  if (SecondsOf(consumed.timestamp) > t.now.wall.seconds() + kStampAheadMax)
    return Dropped(Drop::kFuture);
  return OnPresentation(t, std::move(consumed), *std::move(presented), from, at);
}

std::optional<Control::Presented> Control::ParsePresented(const frame::Bundle& bundle,
                                                          const X25519Key& static_key,
                                                          Drop& why) {
  why = Drop::kParse;
  auto presentation = authority::ParseObject<Presentation>(bundle[0]);
  if (!presentation.ok()) return std::nullopt;
  std::vector<SignedPtr> items;
  for (size_t i = 1; i < bundle.size(); ++i) {
    auto item = authority::Signed::Parse(bundle[i]);
    if (!item.ok()) return std::nullopt;
    items.push_back(std::make_shared<const authority::Signed>(*std::move(item)));
  }
  why = frame::CheckCitation(presentation->body.refs, RefsOf(items));
  if (why != Drop::kNone) return std::nullopt;
  return Presented{*std::move(presentation), std::move(items), static_key};
}

wireguard::Tai64n Control::FloorOf(const X25519Key& static_key) const {
  wireguard::Tai64n floor{};
  if (const auto it = floors_.find(static_key); it != floors_.end()) floor = it->second;
  if (const auto id = device_.FindPeer(static_key))
    floor = std::max(floor, device_.handshaker().timestamp_floor(*id));
  return floor;
}

// WireGuard's own floor rises when it accepts the initiation, which may have to wait for the disk.
bool Control::RaiseFloor(const wireguard::ConsumedInitiation& consumed) {
  if (floors_.size() >= kFloorsMax && !floors_.contains(consumed.peer)) return false;
  floors_[consumed.peer] = consumed.timestamp;
  recorder_.PutState("floor/" + ToHex(consumed.peer),
                     Bytes(consumed.timestamp.bytes.begin(), consumed.timestamp.bytes.end()));
  return true;
}

// (11) to (16) at the responder.
Drop Control::OnPresentation(Turn& t,
                             wireguard::ConsumedInitiation consumed,
                             Presented presented,
                             const Endpoint& from,
                             const wireguard::Source& at) {
  authority::AuthReport report;
  // What the cheap checks refuse costs signatures only as far as it may be answered.
  const size_t if_bad = NoticesLeft(t) ? authority::kSignaturesMax : 0;
  auto verified =
      mesh_.Authenticate(&presented.presentation, presented.items, t.now.wall, report, if_bad);
  if (!verified) return Dropped(Drop::kIssuerUnknown);
  if (!report.presenter_verified) {
    if (report.signature_checks > 0 && verified->rung() < Rung::kEscalate) ++notices_this_second_;
    return Dropped(report.signature_checks == 0 ? Drop::kVerdict : Drop::kSignature);
  }
  const Kid& subject = verified->chain().subject;
  if (const auto it = proved_.find(consumed.peer); it != proved_.end() && it->second != subject)
    return Dropped(Drop::kIdentity);
  if (recorder_.Full()) return Dropped(Drop::kSourceRate);

  // (14) Only now may anything be remembered.
  if (!RaiseFloor(consumed)) return Dropped(Drop::kSourceRate);
  const Digest auth_digest = frame::AuthDigestOf(presented.presentation.oid());
  Peer* known = nullptr;
  if (const auto id = device_.FindPeer(consumed.peer)) known = PeerOf(*id);
  if (known && known->plain) {  // it speaks governed now, and is never served bare again
    RecordEnd(t, *known);
    Forget(t, known->id);
    known = nullptr;
  }
  admission::TrustMemory memory = MemoryFor(known, subject);
  const authority::Chain& chain = verified->chain();
  NoteOverreach(t, report, chain);
  if (verified->rung() >= Rung::kEscalate) mesh_.Learn(chain);
  TakeStapled(t, subject, presented.items);
  Basis basis = BasisOf(report, presented.presentation.envelope, presented.items);
  authority::Decision decision =
      Decide(t, *std::move(verified), known, presented.presentation.body, memory, basis);
  if (known) known->memory = memory;
  if (decision.rung() < Rung::kEscalate) {
    const Oid inputs = StoreInputs(t, presented.presentation.body, std::move(basis));
    RecordDecision(t, authority::RecordKind::kDecided, decision, auth_digest, inputs);
    if (negative_.size() < kNegativeMax)
      negative_[{consumed.peer, presented.presentation.body.refs[0]}] = t.now.mono + kNegativeFor;
    Say(t,
        Event::Kind::kRefused,
        decision.chain().subject,
        decision.chain().grants.empty() ? "" : decision.chain().grants[0].body.name,
        Join(authority::ReasonName(decision.reason()), report.why.empty() ? "" : ": ", report.why));
    SendNotice(t, consumed, decision.reason(), presented.presentation.body.refs[0], from, at);
    return Dropped(Drop::kVerdict);
  }
  Peer* peer = EnsurePeer(t, consumed.peer);
  if (peer == nullptr) return Dropped(Drop::kSourceRate);
  const PeerId id = peer->id;
  peer->memory = memory;
  const Answer answer{presented.presentation.oid(), presented.presentation.body.rx_handle};
  if (SameAsDecided(*peer, decision, presented)) {
    // spec: authority#G a rekey under the same authority and verdict needs no record of its own.
    Accept(t, id, answer, consumed, from);
    return Drop::kNone;
  }
  if (peer->join) {  // it asked, it was granted, now it opens with what it got
    peer->join.reset();
    peer->committed = false;
  }
  const Oid inputs = StoreInputs(t, presented.presentation.body, std::move(basis));
  const Digest decided =
      RecordDecision(t, authority::RecordKind::kProposed, decision, auth_digest, inputs);
  TakeDecision(t, *peer, decision, presented);
  PeerPlan plan = PlanFor(t, *peer, decision);
  plan.decided = decided;
  actuator_.Arm(plan, t.now);
  RecordThen(recorder_,
             std::move(decision),
             [this, id, answer, plan = std::move(plan), from, consumed = std::move(consumed)](
                 Recorded recorded) mutable {
               if (MakeReady(*turn_, id, std::move(recorded), std::move(plan)))
                 Accept(*turn_, id, answer, consumed, from);
             });
  return Drop::kNone;
}

void Control::Accept(Turn& t,
                     PeerId id,
                     const Answer& answer,
                     const wireguard::ConsumedInitiation& consumed,
                     const Endpoint& from) {
  Peer* peer = PeerOf(id);
  if (peer == nullptr || peer->static_key != consumed.peer)
    return;  // closed while the disk was busy
  answering_[id] = answer;
  RouteControl(*peer);
  device_.SetEndpoint(id, from, t.out.wg);
  if (const auto d = device_.handshaker().AcceptInitiation(t.now, id, consumed, t.out.wg);
      d != wireguard::Drop::kNone) {
    answering_.erase(id);
    Dropped(FromWireGuard(d));
  }
}

bool Control::SameAsDecided(const Peer& peer,
                            const authority::Decision& decision,
                            const Presented& presented) const {
  const Presentation& p = presented.presentation.body;
  return peer.committed && peer.rung == decision.rung() && peer.decided_refs == p.refs &&
         peer.decided_charter == p.charter_version && !ready_.contains(peer.id);
}

Presentation Control::NewPresentation(const Digest& h,
                                      uint8_t role,
                                      uint32_t rx_handle,
                                      std::span<const SignedPtr> words) const {
  Presentation p;
  p.h = h;
  p.role = role;
  p.rx_handle = rx_handle;
  p.charter_version = mesh_.charter().body.version;
  for (const SignedPtr& s : mesh_.cited()) p.refs.push_back(s->ref());
  for (const SignedPtr& s : words) p.refs.push_back(s->ref());
  p.restrict_root = mesh_.RestrictionRoot16();
  return p;
}

// A governed initiation that WireGuard's timers, or a hint, made.
void Control::WrapInitiation(Turn& t, const wireguard::GovernedHandshake& h) {
  Peer* peer = PeerOf(h.peer);
  if (peer == nullptr || !h.to) return;
  std::erase_if(pending_,
                [&](const auto& p) { return p.second.peer == h.peer; });  // only the newest counts
  PendingInitiation pending;
  pending.peer = h.peer;
  pending.rx_handle = datapath_.NewHandle(rng_, h.peer);
  pending.k_pre = frame::PreKeyOf(h.ck.view());
  const Digest hash = *Digest::From(h.h);
  std::vector<ByteView> items;
  std::optional<authority::Signed> first;
  std::shared_ptr<const authority::Signed> request_invite;
  if (mesh_.leaf() != nullptr) {
    const std::vector<SignedPtr> words = WordsFor(t.now, peer->kid);
    first = authority::SignObject(NewPresentation(hash, 1, pending.rx_handle, words), signing_);
    items = ItemsBeside(*first, frame::Handshake::kInitiation, words);
  } else if (config_.invitation) {
    pending.request = true;
    rng_.Fill(MutableBytes(pending.nonce.bytes));
    auto request = LiveRequest(t, hash, pending.rx_handle, pending.nonce);
    if (!request.ok()) return;
    first = *request->envelope;
    request_invite = config_.invitation->invite.envelope;
    items = {first->bytes(), request_invite->bytes()};
  } else {
    return;  // nothing to open with
  }
  pending.first_item = first->oid();
  const auto keys = frame::StaticKeysOf(peer->static_key);
  auto envelope = frame::BuildEnvelope({.kind = frame::Handshake::kInitiation,
                                        .inner = ByteView(h.message).first(h.size),
                                        .items = items,
                                        .ck = h.ck.view(),
                                        .receiver = keys});
  if (!envelope.ok()) return;
  pending_.insert_or_assign(h.local_index, std::move(pending));
  SendEnvelope(t, h, *envelope);
}

void Control::WrapResponse(Turn& t, const wireguard::GovernedHandshake& h) {
  const auto answer = answering_.find(h.peer);
  if (answer == answering_.end() || !h.to || mesh_.leaf() == nullptr) return;
  const Answer a = answer->second;
  answering_.erase(answer);
  const uint32_t rx_handle = datapath_.NewHandle(rng_, h.peer);
  const Peer* reader = PeerOf(h.peer);
  const std::vector<SignedPtr> words = WordsFor(t.now, reader ? reader->kid : std::nullopt);
  Presentation p = NewPresentation(*Digest::From(h.h), 2, rx_handle, words);
  p.answers = a.answers;
  const auto first = authority::SignObject(p, signing_);
  const auto keys = frame::StaticKeysOf(device_.handshaker().public_key(h.peer));
  auto envelope =
      frame::BuildEnvelope({.kind = frame::Handshake::kResponse,
                            .inner = ByteView(h.message).first(h.size),
                            .items = ItemsBeside(first, frame::Handshake::kResponse, words),
                            .ck = h.ck.view(),
                            .receiver = keys});
  if (!envelope.ok()) return;
  if (Peer* peer = PeerOf(h.peer); peer && peer->join) peer->join->final_h = *Digest::From(h.h);
  Prepare({.peer = h.peer,
           .ours = frame::Direction::kFromResponder,
           .local_index = h.local_index,
           .rx_handle = rx_handle,
           .tx_handle = a.tx_handle,
           .our_first = first.oid(),
           .their_first = a.answers},
          h.ck.view());
  SendEnvelope(t, h, *envelope);
}

void Control::SendEnvelope(Turn& t,
                           const wireguard::GovernedHandshake& h,
                           const frame::Envelope& envelope) {
  frame::Envelope bytes = envelope;
  const auto keeper = keepers_.find(h.peer);
  AQ_CHECK(keeper != keepers_.end());
  keeper->second.Mac1(ByteView(bytes).first(frame::kMac1At));
  const auto mac2 = keeper->second.Mac2(t.now.mono, ByteView(bytes).first(frame::kMac2At));
  std::memcpy(bytes.data() + frame::kMac2At, mac2.data(), mac2.size());
  t.out.wg.AddDatagram(
      bytes, *h.to, h.from, wireguard::Handshaker::kHandshakeTos, wireguard::kNoPeer);
}

// The frame keys of a session that is about to be installed.
void Control::Prepare(const SessionEnds& ends, ByteView ck) {
  const auto theirs = ends.ours == frame::Direction::kFromInitiator
                          ? frame::Direction::kFromResponder
                          : frame::Direction::kFromInitiator;
  SessionOrder order{.peer = ends.peer,
                     .local_index = ends.local_index,
                     .rx_handle = ends.rx_handle,
                     .tx_handle = ends.tx_handle,
                     .rx_key = frame::FrameKeyOf(
                         ck, theirs, frame::AuthDigestOf(ends.their_first), ends.rx_handle),
                     .tx_key = frame::FrameKeyOf(
                         ck, ends.ours, frame::AuthDigestOf(ends.our_first), ends.tx_handle),
                     .presentation = ends.their_first,
                     .subject = PeerOf(ends.peer) ? PeerOf(ends.peer)->kid : std::nullopt};
  installing_.insert_or_assign(ends.peer, std::move(order));
}

Drop Control::OnResponse(Turn& t,
                         ByteView datagram,
                         const Endpoint& from,
                         const wireguard::Source& at) {
  constexpr auto kKind = frame::Handshake::kResponse;
  (void)at;
  if (const Drop d = frame::CheckOuter(datagram, kKind); d != Drop::kNone) return Dropped(d);
  if (const Drop d = frame::CheckMac1(datagram, own_keys_); d != Drop::kNone) return Dropped(d);
  if (const Drop d = frame::CheckInner(datagram, kKind, own_keys_); d != Drop::kNone)
    return Dropped(d);
  const auto pending = pending_.find(frame::InnerReceiver(datagram));
  if (pending == pending_.end()) return Dropped(Drop::kHandshakeUnknown);
  std::optional<wireguard::Handshaker::PeekedResponse> peeked;
  if (const auto d = device_.handshaker().PeekResponse(frame::Inner(datagram, kKind), peeked);
      d != wireguard::Drop::kNone) {
    return Dropped(FromWireGuard(d));
  }
  frame::Bundle bundle;
  if (const Drop d = frame::OpenBundle(datagram, kKind, peeked->consumed.chain.ck.view(), bundle);
      d != Drop::kNone)
    return Dropped(d);
  Peer* peer = PeerOf(peeked->peer);
  if (peer == nullptr) return Dropped(Drop::kHandshakeUnknown);
  Drop why = Drop::kNone;
  auto presented = ParsePresented(bundle, peer->static_key, why);
  if (!presented) return Dropped(why);
  const Presentation& p = presented->presentation.body;
  if (!Equal(p.h, peeked->consumed.chain.h)) return Dropped(Drop::kTranscript);
  if (p.role != 2) return Dropped(Drop::kRole);
  if (p.answers != pending->second.first_item) return Dropped(Drop::kAnswers);
  if (joining()) return OnSponsorResponse(t, *std::move(peeked), *std::move(presented), from);
  return OnAnswer(t, *std::move(peeked), *std::move(presented), from);
}

// (11) to (16) at the initiator.
Drop Control::OnAnswer(Turn& t,
                       wireguard::Handshaker::PeekedResponse response,
                       Presented presented,
                       const Endpoint& from) {
  const auto pending = pending_.find(response.local_index);
  Peer* peer = PeerOf(response.peer);
  if (pending == pending_.end() || peer == nullptr) return Dropped(Drop::kHandshakeUnknown);
  const Presentation& p = presented.presentation.body;
  authority::AuthReport report;
  auto verified = mesh_.Authenticate(&presented.presentation,
                                     presented.items,
                                     t.now.wall,
                                     report,
                                     authority::kSignaturesMax);  // we asked for it
  if (!verified) return Dropped(Drop::kIssuerUnknown);
  if (!report.presenter_verified) return Dropped(Drop::kSignature);
  if (const auto it = proved_.find(peer->static_key);
      it != proved_.end() && it->second != verified->chain().subject) {
    return Dropped(Drop::kIdentity);
  }
  if (verified->rung() >= Rung::kEscalate) mesh_.Learn(verified->chain());
  NoteOverreach(t, report, verified->chain());
  TakeStapled(t, verified->chain().subject, presented.items);
  peer->memory = MemoryFor(peer, verified->chain().subject);
  const Digest auth_digest = frame::AuthDigestOf(presented.presentation.oid());
  Basis basis = BasisOf(report, presented.presentation.envelope, presented.items);
  authority::Decision decision = Decide(t, *std::move(verified), peer, p, peer->memory, basis);
  if (decision.rung() < Rung::kEscalate) {
    const Oid inputs = StoreInputs(t, p, std::move(basis));
    RecordDecision(t, authority::RecordKind::kDecided, decision, auth_digest, inputs);
    Say(t,
        Event::Kind::kRefused,
        decision.chain().subject,
        peer->name,
        Join(authority::ReasonName(decision.reason()), report.why.empty() ? "" : ": ", report.why));
    return Dropped(Drop::kVerdict);
  }
  const SessionEnds ends{.peer = peer->id,
                         .ours = frame::Direction::kFromInitiator,
                         .local_index = response.local_index,
                         .rx_handle = pending->second.rx_handle,
                         .tx_handle = p.rx_handle,
                         .our_first = pending->second.first_item,
                         .their_first = presented.presentation.oid()};
  pending_.erase(pending);
  if (SameAsDecided(*peer, decision, presented)) {
    AcceptAnswer(t, ends, response, from);
    return Drop::kNone;
  }
  const Oid inputs = StoreInputs(t, p, std::move(basis));
  const Digest decided =
      RecordDecision(t, authority::RecordKind::kDecided, decision, auth_digest, inputs);
  TakeDecision(t, *peer, decision, presented);
  PeerPlan plan = PlanFor(t, *peer, decision);
  plan.decided = decided;
  actuator_.Arm(plan, t.now);
  RecordThen(recorder_,
             std::move(decision),
             [this, ends, from, plan = std::move(plan), response = std::move(response)](
                 Recorded recorded) mutable {
               if (MakeReady(*turn_, ends.peer, std::move(recorded), std::move(plan)))
                 AcceptAnswer(*turn_, ends, response, from);
             });
  return Drop::kNone;
}

void Control::AcceptAnswer(Turn& t,
                           const SessionEnds& ends,
                           const wireguard::Handshaker::PeekedResponse& response,
                           const Endpoint& from) {
  Peer* peer = PeerOf(ends.peer);
  if (peer == nullptr) return;  // closed while the disk was busy
  RouteControl(*peer);
  Prepare(ends, response.consumed.chain.ck.view());
  device_.SetEndpoint(ends.peer, from, t.out.wg);
  if (device_.handshaker().AcceptResponse(t.now, response, t.out.wg) != wireguard::Drop::kNone)
    installing_.erase(ends.peer);
}

Drop Control::OnCookie(Turn& t, ByteView datagram) {
  if (const Drop d = frame::CheckCookie(datagram); d != Drop::kNone) return Dropped(d);
  const auto pending = pending_.find(frame::CookieReceiver(datagram));
  if (pending == pending_.end()) return Dropped(Drop::kHandshakeUnknown);
  const PeerId id = pending->second.peer;
  const auto keeper = keepers_.find(id);
  if (keeper == keepers_.end() ||
      !keeper->second.OnReply(
          t.now.mono, frame::CookieNonce(datagram), frame::CookieSealed(datagram))) {
    return Dropped(Drop::kCookieSeal);
  }
  // spec: objects#4 one retry per cookie, at least 250 ms after the last initiation.
  if (Peer* peer = PeerOf(id)) peer->retry_at = t.now.mono + 250ms;
  return Drop::kNone;
}

Drop Control::OnBefore(Turn& t, ByteView datagram) {
  frame::Before kind{};
  if (const Drop d = frame::CheckBefore(datagram, kind); d != Drop::kNone) return Dropped(d);
  if (kind != frame::Before::kNotice) return Dropped(Drop::kBeforeKind);
  const auto pending = pending_.find(frame::BeforeReceiver(datagram));
  if (pending == pending_.end()) return Dropped(Drop::kHandshakeUnknown);
  frame::Notice notice;
  if (const Drop d = frame::OpenNotice(datagram, pending->second.k_pre.view(), notice);
      d != Drop::kNone)
    return Dropped(d);
  Peer* peer = PeerOf(pending->second.peer);
  if (peer == nullptr) return Dropped(Drop::kHandshakeUnknown);
  peer->reason = notice.reason;
  peer->retry_at = t.now.mono + std::chrono::seconds(std::max<int>(notice.retry_seconds, 5));
  Say(t,
      Event::Kind::kNotice,
      peer->kid.value_or(Kid{}),
      peer->name,
      std::string(authority::ReasonName(notice.reason)));
  return Drop::kNone;
}

// Ten a second in all, for all that a refused presenter costs.
bool Control::NoticesLeft(Turn& t) {
  if (t.now.mono - notice_second_ >= 1s) {
    notice_second_ = t.now.mono;
    notices_this_second_ = 0;
  }
  return notices_this_second_ < kNoticesPerSecond;
}

// One a static key and ten seconds; never larger than what it answers.
void Control::SendNotice(Turn& t,
                         const wireguard::ConsumedInitiation& refused,
                         Reason reason,
                         const Ref16& about,
                         const Endpoint& to,
                         const wireguard::Source& at) {
  if (!NoticesLeft(t)) return;
  ++notices_this_second_;
  if (const auto it = noticed_.find(refused.peer);
      it != noticed_.end() && t.now.mono - it->second < kNoticeEvery)
    return;
  if (noticed_.size() >= kNegativeMax) noticed_.clear();
  noticed_[refused.peer] = t.now.mono;
  const frame::Notice notice{
      .reason = reason, .retry_seconds = 60, .now_seconds = t.now.wall.seconds(), .about = about};
  const auto bytes = frame::BuildNotice(refused.sender_index,
                                        frame::PreKeyOf(refused.chain.ck.view()).view(),
                                        rng_.Array<24>(),
                                        notice);
  t.out.wg.AddDatagram(bytes, to, at, wireguard::Handshaker::kHandshakeTos, wireguard::kNoPeer);
}

}  // namespace aqmesh::node
