#include "transport/wireguard/device.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/status.h"

namespace aqmesh::wireguard {

namespace {

bool IsInitiation(ByteView message) {
  const Classified c = Classify(message);
  return c.why == Drop::kNone && c.type == MessageType::kInitiation;
}

// Nobody but the first shard sends keepalives; what others have staged goes all the same.
Order ForOthers(Order order) {
  if (const auto* keepalive = std::get_if<KeepaliveOrder>(&order))
    return FlushOrder{keepalive->peer};
  return order;
}

}  // namespace

Device::Device(const Options& options, Rng rng)
    : shards_(options.shards),
      handshaker_(options.peers_max,
                  std::max({options.shards, options.lanes, 1u}),
                  options.shards > 1 || options.lanes > 0,
                  std::move(rng)),
      lock_(options.lanes > 0),
      forwarder_(options.mtu, options.governed_headroom),
      mtu_(options.mtu),
      shard_stats_(options.shards - 1) {
  AQ_CHECK(options.shards == 1 || options.lanes == 0);
}

Drop Device::Count(Drop why) {
  if (why != Drop::kNone) ++drops_[static_cast<size_t>(why)];
  return why;
}

// Orders may make the data half send, which are facts; facts may make the control half give orders.
// It ends, because what a fact of sending leads to is timers alone, and initiations are spaced.
// Facts without consequences end it too: threads with traffic make them all the time.
void Device::Settle(Now now, Outbox& out) {
  do {
    facts_.clear();
    {
      const DataLock::Hold hold(lock_);
      // By index: applying an order appends to other parts of the outbox, never to the orders.
      for (size_t i = 0; i < out.orders.size(); ++i) {
        forwarder_.Apply(now, out.orders[i], out);
        Tell(std::move(out.orders[i]));
      }
      out.orders.clear();
      forwarder_.TakeFacts(facts_);
    }
    for (const PeerFacts& f : facts_) {
      if (f.flags & PeerFacts::kRoamed) Tell(EndpointOrder{f.peer, f.endpoint, f.source});
      handshaker_.OnFacts(now, f, out);
    }
  } while (!out.orders.empty());
}

void Device::Finish(Now now, Outbox& out) {
  Settle(now, out);
  SealPending(out);
}

void Device::SealPending(Outbox& out) {
  if (out.pending.empty()) return;
  const DataLock::Hold hold(lock_);
  forwarder_.SealPending(out);
}

void Device::OnTunPackets(Now now, std::span<const TunPacket> packets, Outbox& out) {
  {
    const DataLock::Hold hold(lock_);
    for (const TunPacket& packet : packets)
      Count(up_ ? forwarder_.Send(now, packet, out) : Drop::kDown);
  }
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
    if (why == Drop::kNone && c.type == MessageType::kInitiation) {
      size_t run = 1;
      while (i + run < in.size() && run < Handshaker::kTogetherMax &&
             IsInitiation(in[i + run].bytes))
        ++run;
      handshaker_.OnInitiations(now, in.subspan(i, run), out, worth_);
      i += run;
    } else if (why != Drop::kNone || c.type != MessageType::kTransport) {
      worth_.push_back(why != Drop::kNone ? why : handshaker_.OnMessage(now, in[i], out));
      ++i;
    } else {
      size_t run = 1;
      while (i + run < in.size() && IsData(in[i + run].bytes)) ++run;
      const DataLock::Hold hold(lock_);
      forwarder_.Receive(now, in.subspan(i, run), out, worth_);
      i += run;
    }
    Settle(now, out);
  }
  for (Drop d : worth_) Count(d);
  SealPending(out);
}

void Device::OnHandshakes(Now now, std::span<const InDatagram> in, Outbox& out) {
  known_.clear();
  strangers_.clear();
  for (const InDatagram& d : in) {
    if (handshaker_.IsAPeers(d.from)) {
      known_.push_back(d);
    } else if (strangers_.size() < kStrangersMax) {
      strangers_.push_back(d);
    } else {
      Count(Drop::kRateLimited);
    }
  }
  OnDatagrams(now, known_, out);
  OnDatagrams(now, strangers_, out);
}

void Device::OnWake(Now now, Outbox& out) {
  handshaker_.OnWake(now, out);
  Finish(now, out);
}

Instant Device::NextWake() const { return handshaker_.NextWake(); }

void Device::SetUp(Now now, bool up, Outbox& out) {
  up_ = up;
  told_ = false;
  handshaker_.SetUp(now, up, out);
  Finish(now, out);
}

void Device::SetMtu(uint16_t mtu_bytes) {
  if (mtu_bytes == mtu_) return;
  mtu_ = mtu_bytes;
  told_ = false;
  const DataLock::Hold hold(lock_);
  forwarder_.SetMtu(mtu_bytes);
}

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
  const DataLock::Hold hold(lock_);
  for (Order& order : out.orders) {
    forwarder_.Apply(Now{}, order, out);
    Tell(std::move(order));
  }
  out.orders.clear();
}

// ---- the other shards ----

void Device::Tell(Order order) {
  if (shards_ == 1) return;
  if (const auto* added = std::get_if<AddPeerOrder>(&order)) {
    if (peer_since_.size() <= added->peer) peer_since_.resize(added->peer + 1);
    peer_since_[added->peer] = next_orders_.number + 1;
    for (auto& stats : shard_stats_) {
      if (stats.size() <= added->peer) stats.resize(added->peer + 1);
      stats[added->peer] = {};
    }
  }
  next_orders_.orders.push_back(ForOthers(std::move(order)));
}

std::shared_ptr<const ShardOrders> Device::TakeOrders() {
  if (shards_ == 1 || (told_ && next_orders_.orders.empty())) return nullptr;
  told_ = true;
  next_orders_.up = up_;
  next_orders_.mtu = mtu_;
  const uint64_t number = ++next_orders_.number;
  auto taken = std::make_shared<const ShardOrders>(std::exchange(next_orders_, {}));
  next_orders_.number = number;
  return taken;
}

bool Device::IsStale(const ShardReport& report, PeerId peer) const {
  return !handshaker_.Live(peer) || report.applied < peer_since_[peer];
}

void Device::OnReport(Now now, const ShardReport& report, Outbox& out) {
  AQ_CHECK(report.shard != 0 && report.shard < shards_);
  for (const PeerFacts& f : report.facts) {
    if (IsStale(report, f.peer)) continue;
    shard_stats_[report.shard - 1][f.peer] = {.rx_bytes = f.rx_bytes, .tx_bytes = f.tx_bytes};
    if (f.flags & PeerFacts::kSourceLost) handshaker_.ForgetSource(f.peer, out);
    if (f.flags & PeerFacts::kRoamed) {
      const EndpointOrder moved{f.peer, f.endpoint, f.source};
      forwarder_.Apply(now, moved, out);
      next_orders_.except.push_back({.index = next_orders_.orders.size(), .shard = report.shard});
      Tell(moved);
    }
    handshaker_.OnFacts(now, f, out);
  }
  Finish(now, out);
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

void Device::ClearAllowedIps(PeerId peer) {
  const DataLock::Hold hold(lock_);
  forwarder_.allowed_ips().RemovePeer(peer);
  Tell(DisallowAllOrder{peer});
}

absl::Status Device::AddAllowedIp(PeerId peer, const Prefix& prefix) {
  const DataLock::Hold hold(lock_);
  if (forwarder_.allowed_ips().Insert(prefix, peer)) {
    Tell(AllowOrder{peer, prefix});
    return absl::OkStatus();
  }
  return ResourceExhausted("allowed ip ",
                           prefix.ToString(),
                           ": the device holds ",
                           kAllowedIpsMax,
                           " prefixes already; remove some");
}

void Device::RemoveAllowedIp(PeerId peer, const Prefix& prefix) {
  const DataLock::Hold hold(lock_);
  forwarder_.allowed_ips().Remove(prefix, peer);
  Tell(DisallowOrder{peer, prefix});
}

void Device::FlushStaged(Now now, PeerId peer, Outbox& out) {
  if (!up_) return;
  out.orders.push_back(FlushOrder{peer});
  Finish(now, out);
}

DeviceConfig Device::GetConfig() const {
  const DataLock::Hold hold(lock_);
  DeviceConfig config{.private_key = handshaker_.identity().private_key.Clone(),
                      .listen_port = listen_port_,
                      .fwmark = fwmark_,
                      .peers = {}};
  for (PeerId peer : handshaker_.peers()) {
    Forwarder::Stats data = forwarder_.stats(peer);
    for (const auto& stats : shard_stats_) {
      data.rx_bytes += stats[peer].rx_bytes;
      data.tx_bytes += stats[peer].tx_bytes;
    }
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
