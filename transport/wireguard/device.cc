#include "transport/wireguard/device.h"

#include "core/base/status.h"

namespace aqmesh::wireguard {

namespace {

bool IsData(ByteView message) {
  const Classified c = Classify(message);
  return c.why == Drop::kNone && c.type == MessageType::kTransport;
}

}  // namespace

Device::Device(const Options& options, Rng rng)
    : handshaker_(options.peers_max, std::move(rng)),
      forwarder_(options.mtu, options.governed_headroom) {}

Drop Device::Count(Drop why) {
  if (why != Drop::kNone) ++drops_[static_cast<size_t>(why)];
  return why;
}

// Orders may make the data half send, which are facts; facts may make the control half give orders.
// It ends, because what a fact of sending leads to is timers alone, and initiations are spaced.
void Device::Settle(Now now, Outbox& out) {
  for (;;) {
    // By index: applying an order appends to other parts of the outbox, never to the orders.
    for (size_t i = 0; i < out.orders.size(); ++i) forwarder_.Apply(now, out.orders[i], out);
    out.orders.clear();
    if (!forwarder_.has_facts()) return;
    facts_.clear();
    forwarder_.TakeFacts(facts_);
    for (const PeerFacts& f : facts_) handshaker_.OnFacts(now, f, out);
  }
}

void Device::Finish(Now now, Outbox& out) {
  Settle(now, out);
  forwarder_.SealPending(out);
}

void Device::OnTunPackets(Now now, std::span<const TunPacket> packets, Outbox& out) {
  for (const TunPacket& packet : packets)
    Count(up_ ? forwarder_.Send(now, packet, out) : Drop::kDown);
  Finish(now, out);
}

Drop Device::OnDatagram(Now now, const InDatagram& in, Outbox& out) {
  OnDatagrams(now, {&in, 1}, out);
  return worth_.back();
}

void Device::OnDatagrams(Now now, std::span<const InDatagram> in, Outbox& out) {
  worth_.clear();
  for (size_t i = 0; i < in.size();) {
    const Classified c = Classify(in[i].bytes);
    const Drop why = c.why != Drop::kNone ? c.why : up_ ? Drop::kNone : Drop::kDown;
    if (why != Drop::kNone || c.type != MessageType::kTransport) {
      worth_.push_back(why != Drop::kNone ? why : handshaker_.OnMessage(now, in[i], out));
      ++i;
    } else {
      size_t run = 1;
      while (i + run < in.size() && IsData(in[i + run].bytes)) ++run;
      forwarder_.Receive(now, in.subspan(i, run), out, worth_);
      i += run;
    }
    Settle(now, out);
  }
  for (Drop d : worth_) Count(d);
  forwarder_.SealPending(out);
}

void Device::OnWake(Now now, Outbox& out) {
  handshaker_.OnWake(now, out);
  Finish(now, out);
}

Instant Device::NextWake() const { return handshaker_.NextWake(); }

void Device::SetUp(Now now, bool up, Outbox& out) {
  up_ = up;
  handshaker_.SetUp(now, up, out);
  Finish(now, out);
}

void Device::SetMtu(uint16_t mtu_bytes) { forwarder_.SetMtu(mtu_bytes); }

void Device::OnSourceRefused(PeerId peer, Outbox& out) {
  handshaker_.ForgetSource(peer, out);
  ApplyQuietly(out);
}

void Device::SetPrivateKey(Now now, const crypto::X25519Private& key, Outbox& out) {
  handshaker_.SetPrivateKey(key, out);
  Finish(now, out);
}

void Device::SetListenPort(uint16_t port, Outbox& out) {
  listen_port_ = port;
  out.listen_port = port;
  handshaker_.ForgetSources(out);
  ApplyQuietly(out);
}

void Device::SetBoundPort(uint16_t port) { listen_port_ = port; }

void Device::SetFwmark(uint32_t mark, Outbox& out) {
  fwmark_ = mark;
  out.fwmark = mark;
  handshaker_.ForgetSources(out);
  ApplyQuietly(out);
}

// For settings that make nothing be sent, and so need no time.
void Device::ApplyQuietly(Outbox& out) {
  for (const Order& order : out.orders) forwarder_.Apply(Now{}, order, out);
  out.orders.clear();
}

void Device::RemoveAllPeers(Now now, Outbox& out) {
  for (PeerId peer : handshaker_.peers()) handshaker_.RemovePeer(peer, out);
  Finish(now, out);
}

const X25519Key& Device::public_key() const { return handshaker_.identity().public_key; }

std::optional<PeerId> Device::FindPeer(const X25519Key& key) const {
  return handshaker_.FindPeer(key);
}

absl::StatusOr<PeerId> Device::AddPeer(Now now, const X25519Key& key, Outbox& out) {
  absl::StatusOr<PeerId> peer = handshaker_.AddPeer(key, /*governed=*/false, out);
  Finish(now, out);
  return peer;
}

void Device::RemovePeer(Now now, PeerId peer, Outbox& out) {
  handshaker_.RemovePeer(peer, out);
  Finish(now, out);
}

void Device::SetPresharedKey(PeerId peer, const Secret<32>& psk) {
  handshaker_.SetPresharedKey(peer, psk);
}

void Device::SetEndpoint(PeerId peer, const Endpoint& endpoint, Outbox& out) {
  handshaker_.SetEndpoint(peer, endpoint, out);
  ApplyQuietly(out);
}

void Device::SetPersistentKeepalive(Now now, PeerId peer, uint16_t seconds, Outbox& out) {
  handshaker_.SetPersistentKeepalive(now, peer, seconds, out);
  Finish(now, out);
}

void Device::ClearAllowedIps(PeerId peer) { forwarder_.allowed_ips().RemovePeer(peer); }

absl::Status Device::AddAllowedIp(PeerId peer, const Prefix& prefix) {
  if (forwarder_.allowed_ips().Insert(prefix, peer)) return absl::OkStatus();
  return ResourceExhausted("allowed ip ",
                           prefix.ToString(),
                           ": the device holds ",
                           kAllowedIpsMax,
                           " prefixes already; remove some");
}

void Device::RemoveAllowedIp(PeerId peer, const Prefix& prefix) {
  forwarder_.allowed_ips().Remove(prefix, peer);
}

void Device::FlushStaged(Now now, PeerId peer, Outbox& out) {
  if (!up_) return;
  out.orders.push_back(FlushOrder{peer});
  Finish(now, out);
}

DeviceConfig Device::GetConfig() const {
  DeviceConfig config{.private_key = handshaker_.identity().private_key.Clone(),
                      .listen_port = listen_port_,
                      .fwmark = fwmark_,
                      .peers = {}};
  for (PeerId peer : handshaker_.peers()) {
    const Forwarder::Stats data = forwarder_.stats(peer);
    const Forwarder::Stats handshakes = handshaker_.stats(peer);
    config.peers.push_back({.public_key = handshaker_.public_key(peer),
                            .preshared_key = handshaker_.psk(peer).Clone(),
                            .endpoint = handshaker_.endpoint(peer),
                            .last_handshake = handshaker_.last_handshake(peer),
                            .tx_bytes = data.tx_bytes + handshakes.tx_bytes,
                            .rx_bytes = data.rx_bytes + handshakes.rx_bytes,
                            .persistent_keepalive = handshaker_.persistent_keepalive(peer),
                            .allowed_ips = forwarder_.allowed_ips().Of(peer)});
  }
  return config;
}

}  // namespace aqmesh::wireguard
