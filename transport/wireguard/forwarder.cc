#include "transport/wireguard/forwarder.h"

#include <algorithm>

#include "transport/wireguard/packet.h"

namespace aqmesh::wireguard {

namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

// Makes `next` part of the run, if it lies behind it and one UDP_SEGMENT message can hold both.
template <class Run>
bool Extend(Run& run, MutableBytes next, uint8_t tos) {
  const size_t stride = run.segment != 0 ? run.segment : run.size;
  const bool fits = run.data + run.size == next.data() && run.tos == tos && next.size() <= stride &&
                    run.size % stride == 0 && run.size / stride < kRunSegmentsMax &&
                    run.size + next.size() <= kRunBytesMax;
  if (!fits) return false;
  run.segment = stride;
  run.size += next.size();
  return true;
}

}  // namespace

Forwarder::Forwarder(uint16_t mtu_bytes, size_t governed_headroom)
    : mtu_bytes_(mtu_bytes), governed_headroom_(governed_headroom) {}

void Forwarder::Apply(Now now, const Order& order, Outbox& out) {
  // What waits for its AEAD needs its session.
  if (std::holds_alternative<RemoveSessionOrder>(order) ||
      std::holds_alternative<InstallOrder>(order)) {
    SealPending(out);
  }
  std::visit(
      Overloaded{
          [this](const AddPeerOrder& o) {
            if (o.peer >= peers_.size()) peers_.resize(o.peer + 1);
            if (!At(o.peer).live) At(o.peer) = Peer{};
            At(o.peer).live = true;
            At(o.peer).governed = o.governed;
          },
          [this](const RemovePeerOrder& o) { RemovePeer(o.peer); },
          [this](const InstallOrder& o) {
            found_ = nullptr;
            sessions_[o.local_index] = std::make_shared<Keypair>(o);
          },
          [this](const MakeCurrentOrder& o) { At(o.peer).current = FindSession(o.local_index); },
          [this](const RemoveSessionOrder& o) { RemoveSession(o.local_index); },
          [this](const StopSendingOrder&) {
            for (auto& [index, k] : sessions_) k->sendable = false;
          },
          [this](const EndpointOrder& o) {
            At(o.peer).endpoint = o.endpoint;
            At(o.peer).source = o.source;
          },
          [this](const ForgetSourceOrder& o) { At(o.peer).source = {}; },
          [this, now, &out](const KeepaliveOrder& o) {
            if (At(o.peer).staged == nullptr) {
              Emit(now, o.peer, TunPacket{}, 0, out);
            } else {
              Flush(now, o.peer, out);
            }
          },
          [this, now, &out](const FlushOrder& o) { Flush(now, o.peer, out); },
          [this](const DropStagedOrder& o) { At(o.peer).staged.reset(); },
          [this](const AllowOrder& o) { allowed_ips_.Insert(o.prefix, o.peer); },
          [this](const DisallowOrder& o) { allowed_ips_.Remove(o.prefix, o.peer); },
          [this](const DisallowAllOrder& o) { allowed_ips_.RemovePeer(o.peer); },
      },
      order);
}

void Forwarder::RemovePeer(PeerId peer) {
  allowed_ips_.RemovePeer(peer);
  std::erase(dirty_, peer);
  At(peer) = Peer{};
}

void Forwarder::RemoveSession(uint32_t local_index) {
  const auto it = sessions_.find(local_index);
  if (it == sessions_.end()) return;
  Peer& p = At(it->second->peer);
  if (p.current == it->second.get()) p.current = nullptr;
  found_ = nullptr;
  sessions_.erase(it);
}

void Forwarder::TakeFacts(std::vector<PeerFacts>& facts) {
  for (PeerId peer : dirty_) {
    facts.push_back(At(peer).facts);
    facts.back().rx_bytes = At(peer).stats.rx_bytes;
    facts.back().tx_bytes = At(peer).stats.tx_bytes;
    At(peer).facts = {};
  }
  dirty_.clear();
  urgent_ = false;
}

PeerFacts& Forwarder::Note(PeerId peer, uint32_t flags) {
  PeerFacts& facts = At(peer).facts;
  if (facts.flags == 0) {
    facts.peer = peer;
    dirty_.push_back(peer);
  }
  if (flags & PeerFacts::kPacketSent) facts.flags |= PeerFacts::kSentLast;
  if (flags & PeerFacts::kPacketReceived) facts.flags &= ~uint32_t{PeerFacts::kSentLast};
  urgent_ |= (flags & (PeerFacts::kConfirmed | PeerFacts::kRekeyWanted | PeerFacts::kRoamed |
                       PeerFacts::kSourceLost)) != 0;
  facts.flags |= flags;
  return facts;
}

Keypair* Forwarder::FindSession(uint32_t local_index) const {
  if (found_ != nullptr && found_->local_index == local_index) return found_;
  const auto it = sessions_.find(local_index);
  return it == sessions_.end() ? nullptr : found_ = it->second.get();
}

const Keypair* Forwarder::Session(uint32_t local_index) const { return FindSession(local_index); }
const Keypair* Forwarder::Current(PeerId peer) const {
  return Live(peer) ? peers_[peer].current : nullptr;
}
size_t Forwarder::staged(PeerId peer) const {
  return Live(peer) && peers_[peer].staged != nullptr ? peers_[peer].staged->size() : 0;
}
Forwarder::Stats Forwarder::stats(PeerId peer) const {
  return Live(peer) ? peers_[peer].stats : Stats{};
}

// ---- sending ----

size_t Forwarder::SealedSize(size_t packet_size) const {
  return kOverhead + packet_size + PaddingFor(packet_size, mtu_bytes_);
}

void Forwarder::Stage(PeerId peer, ByteView packet) {
  if (!Live(peer)) return;
  std::unique_ptr<std::deque<Bytes>>& staged = At(peer).staged;
  if (staged == nullptr) staged = std::make_unique<std::deque<Bytes>>();
  if (staged->size() >= kStagedMax) staged->pop_front();
  staged->emplace_back(packet.begin(), packet.end());
}

Forwarder::Sealed Forwarder::Seal(
    Now now, PeerId peer, MutableBytes buffer, size_t headroom, size_t size) {
  if (!Live(peer)) return {.why = Drop::kUnknownPeer};
  Keypair* const k = At(peer).current;
  if (k == nullptr || !k->MaySend(now.mono)) {
    Note(peer, PeerFacts::kRekeyWanted);
    return {.why = Drop::kStaged};
  }
  return SealLaid(LayOut(now, *k, buffer, headroom, size));
}

Forwarder::Sealed Forwarder::SealOn(
    Now now, uint32_t local_index, MutableBytes buffer, size_t headroom, size_t size) {
  Keypair* const k = FindSession(local_index);
  if (k == nullptr) return {.why = Drop::kUnknownIndex};
  // A responder's session may not speak before the initiator has.
  if (!k->confirmed || !k->MaySend(now.mono)) return {.why = Drop::kSessionExpired};
  return SealLaid(LayOut(now, *k, buffer, headroom, size));
}

Forwarder::Laid Forwarder::LayOut(
    Now now, Keypair& k, MutableBytes buffer, size_t headroom, size_t size) {
  const auto refused = [](Drop why) { return Laid{.sealed = {.why = why}}; };
  if (size > kPacketMax) return refused(Drop::kTooLong);
  const size_t padding = PaddingFor(size, mtu_bytes_);
  const size_t total = kOverhead + size + padding;
  if (buffer.size() < headroom || buffer.size() - headroom < total) return refused(Drop::kTooLong);
  uint8_t* const message = buffer.data() + headroom;
  uint8_t* const text = message + kTransportHeader;
  std::memset(text + size, 0, padding);

  At(k.peer).stats.tx_bytes += total;
  uint32_t flags = PeerFacts::kPacketSent;
  if (size != 0) flags |= PeerFacts::kDataSent;
  if (k.RekeyDueOnSend(now.mono)) flags |= PeerFacts::kRekeyWanted;
  Note(k.peer, flags);
  return {.sealed = {.size = total, .local_index = k.local_index, .remote_index = k.remote_index},
          .session = &k,
          .text = {text, size + padding}};
}

Forwarder::Sealed Forwarder::SealLaid(const Laid& laid) {
  if (laid.sealed.why == Drop::kNone) ciphers_.SealOne(*laid.session, laid.text);
  return laid.sealed;
}

void Forwarder::LoseSource(PeerId peer) {
  if (!Live(peer)) return;
  At(peer).source = {};
  Note(peer, PeerFacts::kSourceLost);
}

// Where the packet's message is laid out: around it, or in the arena.
MutableBytes Forwarder::Room(const TunPacket& packet, size_t headroom, Outbox& out) const {
  const size_t total = headroom + SealedSize(packet.bytes.size());
  const size_t before = headroom + kTransportHeader;
  if (packet.headroom >= before && packet.tailroom >= total - before - packet.bytes.size())
    return {packet.bytes.data() - before, total};
  uint8_t* const copy = out.arena.Take(total);
  if (!packet.bytes.empty()) std::memcpy(copy + before, packet.bytes.data(), packet.bytes.size());
  return {copy, total};
}

Drop Forwarder::Emit(Now now, PeerId peer, const TunPacket& packet, uint8_t ecn, Outbox& out) {
  const Peer& p = At(peer);
  if (!p.governed && !p.endpoint) return Drop::kNoEndpoint;
  Keypair* const k = p.current;
  if (k == nullptr || !k->MaySend(now.mono)) {
    Note(peer, PeerFacts::kRekeyWanted);
    return Drop::kStaged;
  }
  const size_t headroom = p.governed ? governed_headroom_ : 0;
  const MutableBytes room = Room(packet, headroom, out);
  const Laid laid = LayOut(now, *k, room, headroom, packet.bytes.size());
  if (laid.sealed.why != Drop::kNone) return laid.sealed.why;
  if (out.pending_sessions.empty() || out.pending_sessions.back() != k)
    out.held_sessions.push_back(k->shared_from_this());
  out.pending.push_back({.key = &k->send, .data = laid.text.data(), .size = laid.text.size()});
  out.pending_sessions.push_back(k);
  if (p.governed) {
    if (packet.headroom != 0 && !out.frames.empty() &&
        out.frames.back().local_index == k->local_index && Extend(out.frames.back(), room, ecn))
      return Drop::kNone;
    out.frames.push_back({.peer = peer,
                          .local_index = k->local_index,
                          .to = p.endpoint,
                          .from = p.source,
                          .tos = ecn,
                          .data = room.data(),
                          .size = room.size()});
  } else {
    if (packet.headroom != 0 && !out.datagrams.empty() && out.datagrams.back().peer == peer &&
        Extend(out.datagrams.back(), room, ecn))
      return Drop::kNone;
    out.datagrams.push_back({.to = *p.endpoint,
                             .from = p.source,
                             .tos = ecn,
                             .peer = peer,
                             .data = room.data(),
                             .size = room.size()});
  }
  return Drop::kNone;
}

Drop Forwarder::Send(Now now, const TunPacket& packet, Outbox& out) {
  const std::optional<InnerPacket> inner = ReadInner(packet.bytes);
  if (!inner) return Drop::kBadInner;
  const PeerId peer = Route(inner->destination);
  if (peer == kNoPeer) {
    Unreachable(packet.bytes, out);
    return Drop::kNoRoute;
  }
  return SendRead(now, peer, packet, inner->ecn, out);
}

Drop Forwarder::SendTo(Now now, PeerId peer, const TunPacket& packet, Outbox& out) {
  const std::optional<InnerPacket> inner = ReadInner(packet.bytes);
  if (!inner) return Drop::kBadInner;
  return SendRead(now, peer, packet, inner->ecn, out);
}

Drop Forwarder::SendRead(Now now, PeerId peer, const TunPacket& packet, uint8_t ecn, Outbox& out) {
  if (!Live(peer)) return Drop::kUnknownPeer;
  if (packet.bytes.size() > kPacketMax) return Drop::kTooLong;
  const Drop why = At(peer).staged == nullptr ? Emit(now, peer, packet, ecn, out) : Drop::kStaged;
  if (why == Drop::kStaged) {
    Stage(peer, packet.bytes);
    Note(peer, PeerFacts::kRekeyWanted);
  } else if (why == Drop::kNoEndpoint) {
    Unreachable(packet.bytes, out);
  }
  return why;
}

void Forwarder::Flush(Now now, PeerId peer, Outbox& out) {
  std::unique_ptr<std::deque<Bytes>>& staged = At(peer).staged;
  while (staged != nullptr) {
    const std::optional<InnerPacket> inner = ReadInner(staged->front());
    const uint8_t ecn = inner ? inner->ecn : uint8_t{0};
    if (Emit(now, peer, {.bytes = staged->front()}, ecn, out) == Drop::kStaged) return;
    staged->pop_front();
    if (staged->empty()) staged.reset();
  }
}

void Forwarder::Unreachable(ByteView packet, Outbox& out) {
  std::array<uint8_t, kUnreachableMax> icmp;
  const size_t size = WriteUnreachable(packet, icmp);
  if (size == 0) return;
  uint8_t* const data = out.arena.Take(size);
  std::memcpy(data, icmp.data(), size);
  out.tun.push_back({.peer = kNoPeer, .data = data, .size = size});
}

// ---- receiving; the order of spec/wire.md §1.7 ----

Looked Forwarder::Look(Now now, MutableBytes message, Framing framing) const {
  TransportHeader header;
  if (Drop why = Parse(message, header); why != Drop::kNone) return {.why = why};
  Keypair* const k = FindSession(header.receiver_index);
  if (k == nullptr) return {.why = Drop::kUnknownIndex};
  if (peers_[k->peer].governed != (framing == Framing::kGoverned)) return {.why = Drop::kNotPlain};
  if (!k->MayReceive(now.mono) || header.counter >= kRejectAfterMessages)
    return {.why = Drop::kSessionExpired};
  // A look before the AEAD spares it for plain replays; what decides stands after it.
  if (k->sync->Seen(header.counter)) return {.why = Drop::kReplayed};
  return {.local_index = k->local_index,
          .session = k,
          .counter = header.counter,
          .box = message.subspan(kTransportHeader)};
}

Forwarder::Opened Forwarder::Take(Now now,
                                  const Looked& looked,
                                  const Endpoint* from,
                                  const Source* at) {
  if (looked.why != Drop::kNone) return {.why = looked.why};
  Keypair* const k = FindSession(looked.local_index);
  if (k == nullptr || k != looked.session) return {.why = Drop::kUnknownIndex};
  if (!k->sync->Accept(looked.counter)) return {.why = Drop::kReplayed};

  const MutableBytes text = looked.box.first(looked.box.size() - kTag);
  Heard(now, *k, text.size() + kOverhead, !text.empty(), from, at);
  Opened opened{.peer = k->peer, .local_index = k->local_index};
  if (text.empty()) return opened;
  const std::optional<InnerPacket> inner = ReadInner(text);
  if (!inner) {
    opened.why = Drop::kBadInner;
  } else if (allowed_ips_.Find(inner->source) != k->peer) {
    opened.why = Drop::kBadSource;
  } else {
    opened.packet = text.first(inner->size);
  }
  return opened;
}

Forwarder::Opened Forwarder::Open(
    Now now, MutableBytes message, Framing framing, const Endpoint* from, const Source* at) {
  Looked looked = Look(now, message, framing);
  ciphers_.OpenAll({&looked, 1});
  return Take(now, looked, from, at);
}

void Forwarder::Heard(
    Now now, Keypair& k, size_t message_size, bool data, const Endpoint* from, const Source* at) {
  Peer& p = At(k.peer);
  p.stats.rx_bytes += message_size;
  uint32_t flags = PeerFacts::kPacketReceived;
  if (data) flags |= PeerFacts::kDataReceived;
  if (from != nullptr && (p.endpoint != *from || (at != nullptr && p.source != *at))) {
    p.endpoint = *from;
    p.source = at != nullptr ? *at : Source{};
    flags |= PeerFacts::kRoamed;
  }
  if (!k.confirmed) {
    k.confirmed = true;
    flags |= PeerFacts::kConfirmed;
  }
  if (k.RekeyDueOnReceive(now.mono)) {
    k.rekey_asked = true;
    flags |= PeerFacts::kRekeyWanted;
  }
  PeerFacts& facts = Note(k.peer, flags);
  if (flags & PeerFacts::kConfirmed) facts.confirmed_index = k.local_index;
  if (flags & PeerFacts::kRoamed) {
    facts.endpoint = *p.endpoint;
    facts.source = p.source;
  }
}

void Forwarder::Receive(Now now,
                        std::span<const InDatagram> in,
                        Outbox& out,
                        std::vector<Drop>& drops) {
  looked_.clear();
  for (const InDatagram& d : in) looked_.push_back(Look(now, d.bytes, Framing::kBare));
  ciphers_.OpenAll(looked_);
  for (size_t i = 0; i < in.size(); ++i) {
    const Opened opened = Take(now, looked_[i], &in[i].from, &in[i].at);
    Drop why = opened.why;
    if (why == Drop::kNone && !CombineEcn(in[i].tos, opened.packet)) why = Drop::kBadInner;
    drops.push_back(why);
    if (why != Drop::kNone || opened.packet.empty()) continue;
    out.tun.push_back(
        {.peer = opened.peer, .data = opened.packet.data(), .size = opened.packet.size()});
  }
}

}  // namespace aqmesh::wireguard
