// The control half's peers: settings, facts from the data half, and timers.
#include <bit>

#include "core/base/check.h"
#include "core/base/status.h"
#include "transport/wireguard/handshaker.h"

namespace aqmesh::wireguard {

Handshaker::Handshaker(size_t peers_max, uint32_t lanes, bool shared, Rng rng)
    : peers_max_(peers_max),
      shared_(shared),
      rng_(std::move(rng)),
      checker_(kPlainLabels, rng_.Child("cookie")),
      indices_(lanes) {
  AQ_CHECK(std::has_single_bit(lanes) && lanes <= kLanesMax);
}

void Handshaker::SetPrivateKey(const crypto::X25519Private& key, Outbox& out) {
  Identity fresh = MakeIdentity(key);
  if (fresh.public_key == us_.public_key) return;
  us_ = std::move(fresh);
  checker_.SetKey(us_.public_key);
  if (const std::optional<PeerId> self = FindPeer(us_.public_key)) RemovePeer(*self, out);
  out.orders.push_back(StopSendingOrder{});
  for (PeerId peer : peers()) {
    Peer& p = At(peer);
    p.ss = Precompute(us_, p.public_key);
    DropHandshake(p);
    p.last_handshake_sent.reset();  // a handshake under the new key may start at once
  }
}

std::optional<PeerId> Handshaker::FindPeer(const X25519Key& key) const {
  const auto it = by_key_.find(key);
  if (it == by_key_.end()) return std::nullopt;
  return it->second;
}

absl::StatusOr<PeerId> Handshaker::AddPeer(const X25519Key& key, bool governed, Outbox& out) {
  if (const std::optional<PeerId> known = FindPeer(key)) return *known;
  if (key.is_zero())
    return InvalidArgument("peer: the public key is zero; give the peer's real key");
  if (key == us_.public_key)
    return InvalidArgument("peer: that is this device's own public key; name another");
  if (by_key_.size() >= peers_max_) {
    return ResourceExhausted("peer: the device holds ", peers_max_, " peers already; remove some");
  }
  PeerId peer = static_cast<PeerId>(peers_.size());
  if (free_.empty()) {
    peers_.emplace_back();
  } else {
    peer = free_.back();
    free_.pop_back();
  }
  peers_[peer] = std::make_unique<Peer>(key);
  At(peer).governed = governed;
  At(peer).ss = Precompute(us_, key);
  by_key_.emplace(key, peer);
  out.orders.push_back(AddPeerOrder{peer, governed});
  return peer;
}

void Handshaker::RemovePeer(PeerId peer, Outbox& out) {
  Wipe(peer, out);
  out.orders.push_back(RemovePeerOrder{peer});
  MoveTo(At(peer), std::nullopt);
  by_key_.erase(At(peer).public_key);
  peers_[peer].reset();
  free_.push_back(peer);
}

void Handshaker::SetGoverned(PeerId peer, bool governed, Outbox& out) {
  Peer& p = At(peer);
  if (p.governed == governed) return;
  Wipe(peer, out);  // a session's framing is fixed at its handshake
  p.timers.Stop();
  p.governed = governed;
  out.orders.push_back(AddPeerOrder{peer, governed});
}

void Handshaker::SetPresharedKey(PeerId peer, const Secret<32>& psk) { At(peer).psk = psk.Clone(); }

void Handshaker::MoveTo(Peer& p, const std::optional<Endpoint>& endpoint) {
  if (p.endpoint == endpoint) return;
  if (p.endpoint) {
    const auto it = endpoints_.find(*p.endpoint);
    if (--it->second == 0) endpoints_.erase(it);
  }
  p.endpoint = endpoint;
  if (endpoint) ++endpoints_[*endpoint];
}

void Handshaker::SetEndpoint(PeerId peer, const Endpoint& endpoint, Outbox& out) {
  MoveTo(At(peer), endpoint);
  At(peer).source = {};
  out.orders.push_back(EndpointOrder{peer, endpoint, {}});
}

void Handshaker::SetPersistentKeepalive(Now now, PeerId peer, uint16_t seconds, Outbox& out) {
  PeerTimers& timers = At(peer).timers;
  const bool begins = timers.persistent_keepalive() == 0 && seconds != 0;
  timers.SetPersistentKeepalive(seconds);
  if (!begins || !up_) return;
  timers.ArmPersistent(now.mono);
  out.orders.push_back(KeepaliveOrder{peer});
  Schedule(peer);
}

void Handshaker::ForgetSource(PeerId peer, Outbox& out) {
  if (!Live(peer)) return;
  At(peer).source = {};
  out.orders.push_back(ForgetSourceOrder{peer});
}

void Handshaker::ForgetSources(Outbox& out) {
  for (PeerId peer : peers()) ForgetSource(peer, out);
}

void Handshaker::RaiseTimestampFloor(PeerId peer, const Tai64n& floor) {
  Tai64n& now = At(peer).timestamp_floor;
  if (floor > now) now = floor;
}

std::vector<PeerId> Handshaker::peers() const {
  std::vector<PeerId> out;
  out.reserve(by_key_.size());
  for (size_t i = 0; i < peers_.size(); ++i) {
    if (peers_[i] != nullptr) out.push_back(static_cast<PeerId>(i));
  }
  return out;
}

void Handshaker::SetUp(Now now, bool up, Outbox& out) {
  if (up == up_) return;
  up_ = up;
  for (PeerId peer : peers()) {
    Peer& p = At(peer);
    if (up) {
      if (p.timers.persistent_keepalive() == 0) continue;
      p.timers.ArmPersistent(now.mono);
      out.orders.push_back(KeepaliveOrder{peer});
      Schedule(peer);
      continue;
    }
    Wipe(peer, out);
    p.timers.Stop();
    p.last_handshake_sent.reset();
    out.orders.push_back(DropStagedOrder{peer});
  }
}

void Handshaker::OnFacts(Now now, const PeerFacts& facts, Outbox& out) {
  if (!Live(facts.peer) || !up_) return;
  Peer& p = At(facts.peer);
  if (facts.flags & PeerFacts::kRoamed) {
    MoveTo(p, facts.endpoint);
    p.source = facts.source;
  }
  // Receive order of spec/wire.md §1.7: promotion, rekey, timers.
  if ((facts.flags & PeerFacts::kConfirmed) && p.next &&
      p.next->local_index == facts.confirmed_index) {
    Promote(now, facts.peer, out);
  }
  const auto received = [&] {
    if (facts.flags & PeerFacts::kPacketReceived) p.timers.OnAuthenticatedReceived(now.mono);
    if (facts.flags & PeerFacts::kDataReceived) p.timers.OnDataReceived(now.mono);
  };
  // The last one decides what a timer waits for.
  if (facts.flags & PeerFacts::kSentLast) received();
  if (facts.flags & PeerFacts::kPacketSent) p.timers.OnAuthenticatedSent(now.mono);
  if (facts.flags & PeerFacts::kDataSent) p.timers.OnDataSent(now.mono, rng_);
  if (!(facts.flags & PeerFacts::kSentLast)) received();
  if (facts.flags & PeerFacts::kRekeyWanted)
    WantInitiation(now, facts.peer, false, kRekeyTimeout, out);
  Schedule(facts.peer);
}

// An entry is pushed only when the deadline came nearer; one that moved away is found out when it
// pops. So a busy peer costs the heap nothing per packet.
void Handshaker::Schedule(PeerId peer) {
  Peer& p = At(peer);
  const Instant next = p.timers.NextDeadline();
  if (next >= p.scheduled) return;
  p.scheduled = next;
  wakes_.emplace(next, peer);
}

void Handshaker::OnWake(Now now, Outbox& out) {
  while (!wakes_.empty() && wakes_.top().first <= now.mono) {
    const auto [at, peer] = wakes_.top();
    wakes_.pop();
    if (!Live(peer) || At(peer).scheduled != at) continue;
    At(peer).scheduled = kNever;
    while (const std::optional<TimerAction> action = At(peer).timers.PopDue(now.mono)) {
      Act(now, peer, *action, out);
    }
    Schedule(peer);
  }
}

void Handshaker::Act(Now now, PeerId peer, TimerAction action, Outbox& out) {
  switch (action) {
    case TimerAction::kRetryInitiation:
    case TimerAction::kInitiate:
      // Perhaps the address that we answered from is why nobody answers.
      ForgetSource(peer, out);
      WantInitiation(now, peer, action == TimerAction::kRetryInitiation, kRekeyTimeout, out);
      return;
    case TimerAction::kGiveUp: out.orders.push_back(DropStagedOrder{peer}); return;
    case TimerAction::kSendKeepalive: out.orders.push_back(KeepaliveOrder{peer}); return;
    case TimerAction::kZeroKeys: Wipe(peer, out); return;
  }
}

}  // namespace aqmesh::wireguard
