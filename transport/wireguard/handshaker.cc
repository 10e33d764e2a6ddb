// The handshake corridor: message in → mac1 → load, mac2, bucket → consume on copies → look-up →
// re-check → commit → answer; and its mirror, want → gate → create → mac1, mac2 → out.
#include "transport/wireguard/handshaker.h"

#include <algorithm>

namespace aqmesh::wireguard {

Drop Handshaker::OnMessage(Now now, const InDatagram& in, Outbox& out) {
  const Classified c = Classify(in.bytes);
  if (c.why != Drop::kNone) return c.why;
  if (!up_) return Drop::kDown;
  if (us_.private_key.is_zero()) return Drop::kNoPrivateKey;
  switch (c.type) {
    case MessageType::kInitiation: {
      std::vector<Drop> worth;
      OnInitiations(now, {&in, 1}, out, worth);
      return worth[0];
    }
    case MessageType::kResponse: return OnResponse(now, in, out);
    case MessageType::kCookieReply: return OnCookieReply(now, in.bytes);
    case MessageType::kTransport: break;
  }
  return Drop::kBadType;
}

bool Handshaker::Mac1Good(ByteView message, size_t mac1_at) const {
  return checker_.Mac1Ok(message.first(mac1_at), message.subspan(mac1_at, kMac));
}

// spec/wire.md §1.4: (a) mac1, (b) under load mac2 or a cookie reply, (c) under load the bucket.
Drop Handshaker::Admit(
    Now now, const InDatagram& in, size_t mac1_at, uint32_t sender_index, Outbox& out) {
  const ByteView m = in.bytes;
  if (!Mac1Good(m, mac1_at)) return Drop::kBadMac1;
  if (!load_.OnHandshake(now.mono)) return Drop::kNone;
  const size_t mac2_at = mac1_at + kMac;
  if (!checker_.Mac2Ok(now.mono, m.first(mac2_at), m.subspan(mac2_at, kMac), in.from)) {
    const SealedCookie cookie = checker_.MakeReply(now.mono, m.subspan(mac1_at, kMac), in.from);
    const auto reply = Serialize(CookieReply{
        .receiver_index = sender_index, .nonce = cookie.nonce, .sealed_cookie = cookie.sealed});
    out.AddDatagram(reply, in.from, in.at, kHandshakeTos, kNoPeer);
    return Drop::kCookieWanted;
  }
  return limiter_.Allow(now.mono, in.from.address) ? Drop::kNone : Drop::kRateLimited;
}

void Handshaker::OnInitiations(Now now,
                               std::span<const InDatagram> in,
                               Outbox& out,
                               std::vector<Drop>& worth) {
  std::vector<Arrived> arrived(in.size());
  std::vector<FirstSecret> first;
  for (size_t i = 0; i < in.size(); ++i) {
    Arrived& a = arrived[i];
    a.in = &in[i];
    a.why = !up_                        ? Drop::kDown
            : us_.private_key.is_zero() ? Drop::kNoPrivateKey
                                        : Parse(in[i].bytes, a.message);
    if (a.why == Drop::kNone)
      a.why = Admit(now, in[i], Initiation::kMac1At, a.message.sender_index, out);
    if (a.why == Drop::kNone) first.push_back({.ephemeral = a.message.ephemeral, .es = {}});
  }
  Agree(us_, first);
  std::vector<SecondSecrets> second;
  auto next = first.begin();
  for (Arrived& a : arrived) {
    if (a.why != Drop::kNone) continue;
    a.first = std::move(*next++);
    a.why = Consume(a);
    if (a.why == Drop::kNone) a.why = MayAnswer(now, a.peer, *a.consumed);
    if (a.why != Drop::kNone) continue;
    a.second = second.size();
    second.push_back(SecretsFor(*a.consumed, crypto::NewX25519(rng_)));
  }
  Agree(second);
  for (Arrived& a : arrived) {
    if (a.why == Drop::kNone) a.why = Commit(now, a.peer, *a.consumed, second[a.second], a.in, out);
    worth.push_back(a.why);
  }
}

// Who speaks, and whether it really is that peer.
Drop Handshaker::Consume(Arrived& a) const {
  std::optional<OpenedStatic> opened = OpenStatic(a.message, us_, a.first);
  if (!opened) return Drop::kBadHandshake;
  const std::optional<PeerId> peer = FindPeer(opened->peer);
  if (!peer) return Drop::kUnknownPeer;
  // Before any state: no floor moves, nothing is answered.
  if (At(*peer).governed) return Drop::kNotPlain;
  a.peer = *peer;
  a.consumed = OpenTimestamp(a.message, *std::move(opened), us_, &At(*peer).ss);
  return a.consumed ? Drop::kNone : Drop::kBadHandshake;
}

Drop Handshaker::PeekInitiation(ByteView message, std::optional<PeekedInitiation>& peeked) const {
  Initiation m;
  if (Drop why = Parse(message, m); why != Drop::kNone) return why;
  if (us_.private_key.is_zero()) return Drop::kNoPrivateKey;
  if (!Mac1Good(message, Initiation::kMac1At)) return Drop::kBadMac1;
  if (!Equal(message.subspan(Initiation::kMac2At), crypto::Mac16{})) return Drop::kBadMac1;
  std::optional<OpenedStatic> opened = OpenStatic(m, us_);
  if (!opened) return Drop::kBadHandshake;
  const std::optional<PeerId> peer = FindPeer(opened->peer);
  std::optional<ConsumedInitiation> consumed =
      OpenTimestamp(m, *std::move(opened), us_, peer ? &At(*peer).ss : nullptr);
  if (!consumed) return Drop::kBadHandshake;
  peeked = PeekedInitiation{.consumed = *std::move(consumed), .peer = peer};
  return Drop::kNone;
}

Drop Handshaker::AcceptInitiation(Now now,
                                  PeerId peer,
                                  const ConsumedInitiation& initiation,
                                  Outbox& out) {
  if (!up_) return Drop::kDown;
  if (!Live(peer) || At(peer).public_key != initiation.peer) return Drop::kUnknownPeer;
  if (!At(peer).governed) return Drop::kNotPlain;
  if (Drop why = MayAnswer(now, peer, initiation); why != Drop::kNone) return why;
  SecondSecrets agreed = SecretsFor(initiation, crypto::NewX25519(rng_));
  Agree({&agreed, 1});
  return Commit(now, peer, initiation, agreed, nullptr, out);
}

Drop Handshaker::MayAnswer(Now now, PeerId peer, const ConsumedInitiation& initiation) const {
  const Peer& p = At(peer);
  if (initiation.timestamp <= p.timestamp_floor) return Drop::kReplayedTimestamp;
  if (p.last_initiation_accepted && now.mono - *p.last_initiation_accepted < kInitiationSpacing)
    return Drop::kInitiationFlood;
  return Drop::kNone;
}

// The only place where an initiation of theirs changes anything of ours.
Drop Handshaker::Commit(Now now,
                        PeerId peer,
                        const ConsumedInitiation& initiation,
                        const SecondSecrets& agreed,
                        const InDatagram* in,
                        Outbox& out) {
  // Again: another that came with it may have been answered meanwhile.
  if (Drop why = MayAnswer(now, peer, initiation); why != Drop::kNone) return why;
  Peer& p = At(peer);
  const uint32_t local_index = indices_.New(rng_, peer);
  const std::optional<CreatedResponse> created =
      CreateResponse(initiation, agreed, p.psk, local_index);
  if (!created) {
    indices_.Free(local_index);
    return Drop::kBadHandshake;
  }
  p.timestamp_floor = initiation.timestamp;
  p.last_initiation_accepted = now.mono;
  DropHandshake(p);  // ours, if any: its response will be refused
  NoteReceived(now, peer, Initiation::kSize, in, out);

  // Responder's slots: next = new, previous gone. It must not send on next.
  Forget(peer, p.next, out);
  Forget(peer, p.previous, out);
  p.next = SlotEntry{local_index, initiation.sender_index, false};
  Install(now, peer, Slot::kNext, *p.next, created->chain, out);

  const auto bytes = Serialize(created->message);
  GovernedHandshake entry;
  entry.kind = GovernedHandshake::Kind::kResponse;
  entry.local_index = local_index;
  entry.size = bytes.size();
  std::copy(bytes.begin(), bytes.end(), entry.message.begin());
  entry.ck = created->chain.ck.Clone();
  entry.h = created->chain.h;
  SendHandshake(now, peer, std::move(entry), out);
  Schedule(peer);
  return Drop::kNone;
}

Drop Handshaker::OnResponse(Now now, const InDatagram& in, Outbox& out) {
  Response m;
  if (Drop why = Parse(in.bytes, m); why != Drop::kNone) return why;
  if (Drop why = Admit(now, in, Response::kMac1At, m.sender_index, out); why != Drop::kNone)
    return why;
  std::optional<PeekedResponse> peeked;
  if (Drop why = PeekResponseOf(m, false, peeked); why != Drop::kNone) return why;
  return Commit(now, *peeked, &in, out);
}

Drop Handshaker::PeekResponse(ByteView message, std::optional<PeekedResponse>& peeked) const {
  Response m;
  if (Drop why = Parse(message, m); why != Drop::kNone) return why;
  if (us_.private_key.is_zero()) return Drop::kNoPrivateKey;
  if (!Mac1Good(message, Response::kMac1At)) return Drop::kBadMac1;
  if (!Equal(message.subspan(Response::kMac2At), crypto::Mac16{})) return Drop::kBadMac1;
  return PeekResponseOf(m, true, peeked);
}

Drop Handshaker::PeekResponseOf(const Response& m,
                                bool governed,
                                std::optional<PeekedResponse>& peeked) const {
  const PeerId peer = indices_.Find(m.receiver_index);
  if (peer == kNoPeer) return Drop::kUnknownIndex;
  const Peer& p = At(peer);
  if (p.governed != governed) return Drop::kNotPlain;
  if (!p.in_flight || p.in_flight->local_index != m.receiver_index) return Drop::kWrongState;
  std::optional<ConsumedResponse> consumed = ConsumeResponse(m, *p.in_flight, us_, p.psk);
  if (!consumed) return Drop::kBadHandshake;
  peeked = PeekedResponse{
      .peer = peer, .local_index = m.receiver_index, .consumed = *std::move(consumed)};
  return Drop::kNone;
}

Drop Handshaker::AcceptResponse(Now now, const PeekedResponse& response, Outbox& out) {
  if (!up_) return Drop::kDown;
  if (!Live(response.peer) || !At(response.peer).governed) return Drop::kNotPlain;
  return Commit(now, response, nullptr, out);
}

Drop Handshaker::Commit(Now now,
                        const PeekedResponse& response,
                        const InDatagram* in,
                        Outbox& out) {
  const PeerId peer = response.peer;
  Peer& p = At(peer);
  if (!p.in_flight || p.in_flight->local_index != response.local_index) return Drop::kWrongState;
  p.in_flight.reset();  // wipes the ephemeral; the index lives on as the session's
  NoteReceived(now, peer, Response::kSize, in, out);

  // Initiator's slots.
  if (p.next) {
    Forget(peer, p.previous, out);
    p.previous = std::exchange(p.next, std::nullopt);
    Forget(peer, p.current, out);
  } else {
    Forget(peer, p.previous, out);
    p.previous = std::exchange(p.current, std::nullopt);
  }
  p.current = SlotEntry{response.local_index, response.consumed.remote_index, true};
  Install(now, peer, Slot::kCurrent, *p.current, response.consumed.chain, out);
  out.orders.push_back(MakeCurrentOrder{peer, response.local_index});
  Complete(now, p);
  out.orders.push_back(
      KeepaliveOrder{peer});  // what is staged, or the key confirmation that they wait for
  Schedule(peer);
  return Drop::kNone;
}

// Never roams, never counts as heard, never triggers a resend: the next retry carries mac2.
Drop Handshaker::OnCookieReply(Now now, ByteView message) {
  CookieReply m;
  if (Drop why = Parse(message, m); why != Drop::kNone) return why;
  const PeerId peer = indices_.Find(m.receiver_index);
  if (peer == kNoPeer) return Drop::kUnknownIndex;
  if (At(peer).governed) return Drop::kNotPlain;
  return At(peer).cookies.OnReply(now.mono, m.nonce, m.sealed_cookie) ? Drop::kNone
                                                                      : Drop::kBadCookie;
}

// ---- sending ----

bool Handshaker::Initiate(Now now, PeerId peer, std::chrono::nanoseconds spacing, Outbox& out) {
  const bool sent = WantInitiation(now, peer, false, spacing, out);
  Schedule(peer);
  return sent;
}

bool Handshaker::WantInitiation(
    Now now, PeerId peer, bool retry, std::chrono::nanoseconds spacing, Outbox& out) {
  Peer& p = At(peer);
  if (!retry) p.timers.OnFreshInitiation();
  if (!up_ || us_.private_key.is_zero() || !p.ss.ok) return false;
  if (!p.governed && !p.endpoint) return false;
  if (p.last_handshake_sent && now.mono - *p.last_handshake_sent < spacing) return false;
  SendInitiation(now, peer, out);
  return true;
}

void Handshaker::SendInitiation(Now now, PeerId peer, Outbox& out) {
  Peer& p = At(peer);
  DropHandshake(p);
  const uint32_t local_index = indices_.New(rng_, peer);
  std::optional<CreatedInitiation> created = CreateInitiation(
      us_, p.public_key, p.ss, crypto::NewX25519(rng_), stamps_.Next(now.wall), local_index);
  if (!created) {
    indices_.Free(local_index);
    return;
  }
  const auto bytes = Serialize(created->message);
  GovernedHandshake entry;
  entry.local_index = local_index;
  entry.size = bytes.size();
  std::copy(bytes.begin(), bytes.end(), entry.message.begin());
  entry.ck = created->state.chain.ck.Clone();
  entry.h = created->state.chain.h;
  p.in_flight = std::move(created->state);
  SendHandshake(now, peer, std::move(entry), out);
  p.timers.OnInitiationSent(now.mono, rng_);
}

// Adds the MACs and aims: bare datagram, or an entry for the node to wrap.
void Handshaker::SendHandshake(Now now, PeerId peer, GovernedHandshake entry, Outbox& out) {
  Peer& p = At(peer);
  const MutableBytes m = MutableBytes(entry.message).first(entry.size);
  const size_t mac2_at = m.size() - kMac;
  const size_t mac1_at = mac2_at - kMac;
  const crypto::Mac16 mac1 = p.cookies.Mac1(m.first(mac1_at));
  std::copy(mac1.begin(), mac1.end(), m.begin() + static_cast<ptrdiff_t>(mac1_at));
  p.last_handshake_sent = now.mono;
  p.stats.tx_bytes += m.size();
  p.timers.OnAuthenticatedSent(now.mono);
  if (p.governed) {
    entry.peer = peer;
    entry.to = p.endpoint;
    entry.from = p.source;
    out.governed.push_back(std::move(entry));
    return;
  }
  const crypto::Mac16 mac2 = p.cookies.Mac2(now.mono, m.first(mac2_at));
  std::copy(mac2.begin(), mac2.end(), m.begin() + static_cast<ptrdiff_t>(mac2_at));
  out.AddDatagram(m, *p.endpoint, p.source, kHandshakeTos, peer);
}

void Handshaker::NoteReceived(
    Now now, PeerId peer, size_t size, const InDatagram* in, Outbox& out) {
  Peer& p = At(peer);
  p.stats.rx_bytes += size;
  p.timers.OnAuthenticatedReceived(now.mono);
  if (in == nullptr || (p.endpoint == in->from && p.source == in->at)) return;
  MoveTo(p, in->from);
  p.source = in->at;
  out.orders.push_back(EndpointOrder{peer, in->from, in->at});
}

// ---- sessions ----

void Handshaker::Install(
    Now now, PeerId peer, Slot slot, const SlotEntry& e, const Chain& chain, Outbox& out) {
  TransportKeys keys = DeriveKeys(chain, e.initiator);
  out.orders.push_back(InstallOrder{.peer = peer,
                                    .local_index = e.local_index,
                                    .remote_index = e.remote_index,
                                    .initiator = e.initiator,
                                    .birth = now.mono,
                                    .send_key = std::move(keys.send),
                                    .receive_key = std::move(keys.receive),
                                    .sync = std::make_shared<SessionSync>(shared_)});
  out.sessions.push_back({.kind = SessionEvent::Kind::kInstalled,
                          .peer = peer,
                          .local_index = e.local_index,
                          .remote_index = e.remote_index,
                          .slot = slot,
                          .initiator = e.initiator});
  At(peer).timers.OnSessionDerived(now.mono);
}

void Handshaker::Forget(PeerId peer, std::optional<SlotEntry>& slot, Outbox& out) {
  if (!slot) return;
  const SlotEntry e = *std::exchange(slot, std::nullopt);
  indices_.Free(e.local_index);
  out.orders.push_back(RemoveSessionOrder{peer, e.local_index});
  out.sessions.push_back({.kind = SessionEvent::Kind::kGone,
                          .peer = peer,
                          .local_index = e.local_index,
                          .remote_index = e.remote_index,
                          .slot = Slot::kPrevious,
                          .initiator = e.initiator});
}

// First packet under next: the initiator has the keys.
void Handshaker::Promote(Now now, PeerId peer, Outbox& out) {
  Peer& p = At(peer);
  Forget(peer, p.previous, out);
  p.previous = std::exchange(p.current, std::exchange(p.next, std::nullopt));
  out.orders.push_back(MakeCurrentOrder{peer, p.current->local_index});
  out.sessions.push_back({.kind = SessionEvent::Kind::kPromoted,
                          .peer = peer,
                          .local_index = p.current->local_index,
                          .remote_index = p.current->remote_index,
                          .slot = Slot::kCurrent,
                          .initiator = false});
  Complete(now, p);
  out.orders.push_back(FlushOrder{peer});
}

void Handshaker::Complete(Now now, Peer& p) {
  p.timers.OnHandshakeComplete();
  p.last_handshake = now.wall;
}

void Handshaker::DropHandshake(Peer& p) {
  if (!p.in_flight) return;
  indices_.Free(p.in_flight->local_index);
  p.in_flight.reset();
}

void Handshaker::Wipe(PeerId peer, Outbox& out) {
  Peer& p = At(peer);
  DropHandshake(p);
  Forget(peer, p.previous, out);
  Forget(peer, p.current, out);
  Forget(peer, p.next, out);
}

}  // namespace aqmesh::wireguard
