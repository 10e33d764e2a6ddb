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

}  // namespace

Forwarder::Forwarder(uint16_t mtu_bytes, size_t governed_headroom)
    : mtu_bytes_(mtu_bytes), governed_headroom_(governed_headroom) {}

void Forwarder::Apply(Now now, const Order& order, Outbox& out) {
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
            sessions_[o.local_index] = std::make_unique<Keypair>(o);
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
            if (At(o.peer).staged.empty()) {
              Emit(now, o.peer, {}, 0, out);
            } else {
              Flush(now, o.peer, out);
            }
          },
          [this, now, &out](const FlushOrder& o) { Flush(now, o.peer, out); },
          [this](const DropStagedOrder& o) { At(o.peer).staged.clear(); },
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
  sessions_.erase(it);
}

void Forwarder::TakeFacts(std::vector<PeerFacts>& facts) {
  for (PeerId peer : dirty_) {
    facts.push_back(At(peer).facts);
    At(peer).facts = {};
  }
  dirty_.clear();
}

PeerFacts& Forwarder::Note(PeerId peer, uint32_t flags) {
  PeerFacts& facts = At(peer).facts;
  if (facts.flags == 0) {
    facts.peer = peer;
    dirty_.push_back(peer);
  }
  facts.flags |= flags;
  return facts;
}

Keypair* Forwarder::FindSession(uint32_t local_index) const {
  const auto it = sessions_.find(local_index);
  return it == sessions_.end() ? nullptr : it->second.get();
}

const Keypair* Forwarder::Session(uint32_t local_index) const { return FindSession(local_index); }
const Keypair* Forwarder::Current(PeerId peer) const {
  return Live(peer) ? peers_[peer].current : nullptr;
}
size_t Forwarder::staged(PeerId peer) const { return Live(peer) ? peers_[peer].staged.size() : 0; }
Forwarder::Stats Forwarder::stats(PeerId peer) const {
  return Live(peer) ? peers_[peer].stats : Stats{};
}

// ---- sending ----

size_t Forwarder::SealedSize(size_t packet_size) const {
  return kOverhead + packet_size + PaddingFor(packet_size, mtu_bytes_);
}

void Forwarder::Stage(PeerId peer, ByteView packet) {
  if (!Live(peer)) return;
  std::deque<Bytes>& staged = At(peer).staged;
  if (staged.size() >= kStagedMax) staged.pop_front();
  staged.emplace_back(packet.begin(), packet.end());
}

Forwarder::Sealed Forwarder::Seal(
    Now now, PeerId peer, MutableBytes buffer, size_t headroom, size_t size) {
  if (!Live(peer)) return {.why = Drop::kUnknownPeer};
  Keypair* const k = At(peer).current;
  if (k == nullptr || !k->MaySend(now.mono)) {
    Note(peer, PeerFacts::kRekeyWanted);
    return {.why = Drop::kStaged};
  }
  return SealWith(now, *k, buffer, headroom, size);
}

Forwarder::Sealed Forwarder::SealOn(
    Now now, uint32_t local_index, MutableBytes buffer, size_t headroom, size_t size) {
  Keypair* const k = FindSession(local_index);
  if (k == nullptr) return {.why = Drop::kUnknownIndex};
  // A responder's session may not speak before the initiator has.
  if (!k->confirmed || !k->MaySend(now.mono)) return {.why = Drop::kSessionExpired};
  return SealWith(now, *k, buffer, headroom, size);
}

Forwarder::Sealed Forwarder::SealWith(
    Now now, Keypair& k, MutableBytes buffer, size_t headroom, size_t size) {
  if (size > kPacketMax) return {.why = Drop::kTooLong};
  const size_t padding = PaddingFor(size, mtu_bytes_);
  const size_t total = kOverhead + size + padding;
  if (buffer.size() < headroom || buffer.size() - headroom < total) return {.why = Drop::kTooLong};
  uint8_t* const message = buffer.data() + headroom;
  uint8_t* const plain = message + kTransportHeader;
  const uint64_t counter = k.send_counter++;
  WriteTransportHeader({.receiver_index = k.remote_index, .counter = counter}, message);
  std::memset(plain + size, 0, padding);
  k.send.Seal(counter, ByteView(plain, size + padding), plain);

  At(k.peer).stats.tx_bytes += total;
  uint32_t flags = PeerFacts::kPacketSent;
  if (size != 0) flags |= PeerFacts::kDataSent;
  if (k.RekeyDueOnSend(now.mono)) flags |= PeerFacts::kRekeyWanted;
  Note(k.peer, flags);
  return {.size = total, .local_index = k.local_index, .remote_index = k.remote_index};
}

Drop Forwarder::Emit(Now now, PeerId peer, ByteView packet, uint8_t ecn, Outbox& out) {
  const Peer& p = At(peer);
  if (!p.governed && !p.endpoint) return Drop::kNoEndpoint;
  const size_t headroom = p.governed ? governed_headroom_ : 0;
  const size_t total = headroom + SealedSize(packet.size());
  const size_t offset = out.arena.Take(total);
  const MutableBytes buffer = out.arena.At(offset, total);
  if (!packet.empty())
    std::memcpy(buffer.data() + headroom + kTransportHeader, packet.data(), packet.size());
  const Sealed sealed = Seal(now, peer, buffer, headroom, packet.size());
  if (sealed.why != Drop::kNone) {
    out.arena.Trim(offset);
    return sealed.why;
  }
  if (p.governed) {
    out.frames.push_back({.peer = peer,
                          .local_index = sealed.local_index,
                          .to = p.endpoint,
                          .from = p.source,
                          .tos = ecn,
                          .offset = offset,
                          .size = total});
  } else {
    out.datagrams.push_back({.to = *p.endpoint,
                             .from = p.source,
                             .tos = ecn,
                             .peer = peer,
                             .offset = offset,
                             .size = total});
  }
  return Drop::kNone;
}

Drop Forwarder::Send(Now now, ByteView packet, Outbox& out) {
  const std::optional<InnerPacket> inner = ReadInner(packet);
  if (!inner) return Drop::kBadInner;
  const PeerId peer = Route(inner->destination);
  if (peer == kNoPeer) {
    Unreachable(packet, out);
    return Drop::kNoRoute;
  }
  return SendTo(now, peer, packet, out);
}

Drop Forwarder::SendTo(Now now, PeerId peer, ByteView packet, Outbox& out) {
  if (!Live(peer)) return Drop::kUnknownPeer;
  const std::optional<InnerPacket> inner = ReadInner(packet);
  if (!inner) return Drop::kBadInner;
  if (packet.size() > kPacketMax) return Drop::kTooLong;
  const Drop why =
      At(peer).staged.empty() ? Emit(now, peer, packet, inner->ecn, out) : Drop::kStaged;
  if (why == Drop::kStaged) {
    Stage(peer, packet);
    Note(peer, PeerFacts::kRekeyWanted);
  } else if (why == Drop::kNoEndpoint) {
    Unreachable(packet, out);
  }
  return why;
}

void Forwarder::Flush(Now now, PeerId peer, Outbox& out) {
  std::deque<Bytes>& staged = At(peer).staged;
  while (!staged.empty()) {
    const std::optional<InnerPacket> inner = ReadInner(staged.front());
    if (Emit(now, peer, staged.front(), inner ? inner->ecn : uint8_t{0}, out) == Drop::kStaged)
      return;
    staged.pop_front();
  }
}

void Forwarder::Unreachable(ByteView packet, Outbox& out) {
  std::array<uint8_t, kUnreachableMax> icmp;
  const size_t size = WriteUnreachable(packet, icmp);
  if (size == 0) return;
  const size_t offset = out.arena.Take(size);
  std::memcpy(out.arena.At(offset, size).data(), icmp.data(), size);
  out.tun.push_back({.peer = kNoPeer, .offset = offset, .size = size});
}

// ---- receiving; the order of spec/wire.md §1.7 ----

Forwarder::Opened Forwarder::Open(Now now,
                                  ByteView message,
                                  MutableBytes out,
                                  Framing framing,
                                  const Endpoint* from,
                                  const Source* at) {
  TransportHeader header;
  if (Drop why = Parse(message, header); why != Drop::kNone) return {.why = why};
  if (out.size() < message.size() - kOverhead) return {.why = Drop::kTooLong};
  Keypair* const k = FindSession(header.receiver_index);
  if (k == nullptr) return {.why = Drop::kUnknownIndex};
  if (At(k->peer).governed != (framing == Framing::kGoverned)) return {.why = Drop::kNotPlain};
  if (!k->MayReceive(now.mono) || header.counter >= kRejectAfterMessages)
    return {.why = Drop::kSessionExpired};
  // A look before the AEAD spares it for plain replays; what decides stands after it.
  if (k->replay.Seen(header.counter)) return {.why = Drop::kReplayed};
  if (!k->receive.Open(header.counter, message.subspan(kTransportHeader), out.data()))
    return {.why = Drop::kBadSeal};
  if (!k->replay.Accept(header.counter)) return {.why = Drop::kReplayed};

  const size_t plain_size = message.size() - kOverhead;
  Heard(now, *k, message.size(), plain_size != 0, from, at);
  Opened opened{.peer = k->peer, .local_index = k->local_index};
  if (plain_size == 0) return opened;
  const std::optional<InnerPacket> inner = ReadInner(out.first(plain_size));
  if (!inner) {
    opened.why = Drop::kBadInner;
  } else if (allowed_ips_.Find(inner->source) != k->peer) {
    opened.why = Drop::kBadSource;
  } else {
    opened.packet = out.first(inner->size);
  }
  return opened;
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

Drop Forwarder::Receive(Now now, const InDatagram& in, Outbox& out) {
  if (in.bytes.size() < kTransportMin) return Drop::kBadSize;
  const size_t room = in.bytes.size() - kOverhead;
  const size_t offset = out.arena.Take(room);
  const Opened opened =
      Open(now, in.bytes, out.arena.At(offset, room), Framing::kBare, &in.from, &in.at);
  Drop why = opened.why;
  if (why == Drop::kNone && !CombineEcn(in.tos, opened.packet)) why = Drop::kBadInner;
  if (why != Drop::kNone || opened.packet.empty()) {
    out.arena.Trim(offset);
    return why;
  }
  out.arena.Trim(offset + opened.packet.size());
  out.tun.push_back({.peer = opened.peer, .offset = offset, .size = opened.packet.size()});
  return Drop::kNone;
}

}  // namespace aqmesh::wireguard
