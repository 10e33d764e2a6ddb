// The control half of a device: identity, peers, handshakes, indices, cookies, timers, session
// slots.
// Spec:   WireGuard paper §5, §6; spec/wire.md §1.3 to §1.7. Governed peers: spec/objects.md §4.
// Bounds: Options::peers_max peers; four indices a peer; nothing is kept for strangers but a rate bucket
//         (behind a valid mac2 only).
// Thread: one owner. Speaks to the data half by out.orders, hears it by OnFacts.
// Errors: a Drop; then no peer's state has changed and nothing was answered (under load: a cookie reply).
//
// Governed peers: a node wraps their handshakes, so initiations and responses lie in out.governed,
// and theirs come by PeekInitiation → (the node's gate) → AcceptInitiation, and PeekResponse →
// (gate) → AcceptResponse. A bare message of theirs is kNotPlain, found out before any state is
// touched. mac2, cookies and load of the envelope are the node's (CookieChecker, RateLimiter,
// LoadMeter serve it too).
#ifndef AQMESH_TRANSPORT_WIREGUARD_HANDSHAKER_H_
#define AQMESH_TRANSPORT_WIREGUARD_HANDSHAKER_H_

#include <absl/status/statusor.h>

#include <memory>
#include <queue>
#include <vector>

#include "transport/wireguard/cookie.h"
#include "transport/wireguard/forwarder.h"
#include "transport/wireguard/index_table.h"
#include "transport/wireguard/noise.h"
#include "transport/wireguard/ratelimiter.h"
#include "transport/wireguard/timers.h"

namespace aqmesh::wireguard {

class Handshaker {
 public:
  static constexpr uint8_t kHandshakeTos = 0x88;  // AF41
  static constexpr uint32_t kLanesMax = 16;

  // lanes: how many threads receive, a power of two: each peer's messages come to one. shared: more
  // than one thread uses a session.
  Handshaker(size_t peers_max, uint32_t lanes, bool shared, Rng rng);

  // ---- settings; ids below must be live ----
  void SetPrivateKey(const crypto::X25519Private& key, Outbox& out);
  const Identity& identity() const { return us_; }
  std::optional<PeerId> FindPeer(const X25519Key& key) const;
  absl::StatusOr<PeerId> AddPeer(const X25519Key& key, bool governed, Outbox& out);
  void RemovePeer(PeerId peer, Outbox& out);
  void SetGoverned(PeerId peer,
                   bool governed,
                   Outbox& out);  // ends the peer's sessions if it changes
  void SetPresharedKey(PeerId peer, const Secret<32>& psk);
  void SetEndpoint(PeerId peer, const Endpoint& endpoint, Outbox& out);
  void SetPersistentKeepalive(Now now, PeerId peer, uint16_t seconds, Outbox& out);
  void ForgetSource(PeerId peer, Outbox& out);  // of one that may be gone
  void ForgetSources(Outbox& out);
  void SetUp(Now now, bool up, Outbox& out);

  bool Live(PeerId peer) const { return peer < peers_.size() && peers_[peer] != nullptr; }
  std::vector<PeerId> peers() const;
  const X25519Key& public_key(PeerId peer) const { return At(peer).public_key; }
  const Secret<32>& psk(PeerId peer) const { return At(peer).psk; }
  std::optional<Endpoint> endpoint(PeerId peer) const { return At(peer).endpoint; }
  bool IsAPeers(const Endpoint& e) const { return endpoints_.contains(e); }
  WallTime last_handshake(PeerId peer) const { return At(peer).last_handshake; }
  uint16_t persistent_keepalive(PeerId peer) const {
    return At(peer).timers.persistent_keepalive();
  }
  Forwarder::Stats stats(PeerId peer) const { return At(peer).stats; }  // handshake bytes only
  bool governed(PeerId peer) const { return At(peer).governed; }

  // ---- input ----
  Drop OnMessage(Now now, const InDatagram& in, Outbox& out);  // bare types 1 to 3
  // Bare initiations that came together, up to kTogetherMax: their Diffie-Hellmans are done
  // together. worth: one a message, in order.
  static constexpr size_t kTogetherMax = 32;
  void OnInitiations(Now now,
                     std::span<const InDatagram> in,
                     Outbox& out,
                     std::vector<Drop>& worth);
  void OnFacts(Now now, const PeerFacts& facts, Outbox& out);
  void OnWake(Now now, Outbox& out);
  Instant NextWake() const { return wakes_.empty() ? kNever : wakes_.top().first; }
  bool UnderLoad(Instant now) const { return load_.UnderLoad(now); }

  // ---- governed peers ----
  struct PeekedInitiation {
    ConsumedInitiation consumed;
    std::optional<PeerId> peer;  // of that static key, governed or not
  };
  // Steps 5 to 8 of spec/objects.md §4: size, type, mac1, zero mac2, es, static, ss, timestamp.
  // Pure.
  Drop PeekInitiation(ByteView message, std::optional<PeekedInitiation>& peeked) const;
  // Re-checks timestamp floor and flood, raises the floor, and puts the response into out.governed.
  // `peer` is governed and has the consumed static key. kUnknownPeer, kNotPlain,
  // kReplayedTimestamp, kInitiationFlood, kBadHandshake: nothing changed.
  Drop AcceptInitiation(Now now, PeerId peer, const ConsumedInitiation& initiation, Outbox& out);
  struct PeekedResponse {
    PeerId peer = kNoPeer;
    uint32_t local_index = 0;
    ConsumedResponse consumed;
  };
  Drop PeekResponse(ByteView message,
                    std::optional<PeekedResponse>& peeked) const;  // pure, like PeekInitiation
  Drop AcceptResponse(Now now,
                      const PeekedResponse& response,
                      Outbox& out);  // kWrongState: overtaken meanwhile
  // Initiates afresh if our last handshake message to the peer is at least `spacing` old.
  bool Initiate(Now now, PeerId peer, std::chrono::nanoseconds spacing, Outbox& out);
  // The largest timestamp accepted from the peer, to persist and to restore (never lowers).
  Tai64n timestamp_floor(PeerId peer) const { return At(peer).timestamp_floor; }
  void RaiseTimestampFloor(PeerId peer, const Tai64n& floor);

 private:
  struct SlotEntry {
    uint32_t local_index = 0;
    uint32_t remote_index = 0;
    bool initiator = false;
  };
  struct Peer {
    explicit Peer(const X25519Key& key) : public_key(key), cookies(kPlainLabels, key) {}
    X25519Key public_key;
    bool governed = false;
    StaticStatic ss;
    Secret<32> psk;
    std::optional<Endpoint> endpoint;
    Source source;
    std::optional<InitiatorState>
        in_flight;  // our initiation; an accepted one of theirs replaces it
    std::optional<SlotEntry> previous, current, next;
    Tai64n timestamp_floor;
    std::optional<Instant> last_initiation_accepted;
    std::optional<Instant> last_handshake_sent;
    WallTime last_handshake;
    CookieKeeper cookies;
    PeerTimers timers;
    Instant scheduled = kNever;  // earliest entry for it in wakes_
    Forwarder::Stats stats;
  };

  Peer& At(PeerId peer) { return *peers_[peer]; }
  const Peer& At(PeerId peer) const { return *peers_[peer]; }

  // Messages.
  Drop Admit(Now now, const InDatagram& in, size_t mac1_at, uint32_t sender_index, Outbox& out);
  // One of several initiations that came together.
  struct Arrived {
    const InDatagram* in = nullptr;
    Drop why = Drop::kNone;
    Initiation message;
    FirstSecret first;
    PeerId peer = kNoPeer;
    std::optional<ConsumedInitiation> consumed;
    size_t second = 0;  // its place among the answers' secrets
  };
  Drop Consume(Arrived& a) const;
  Drop MayAnswer(Now now, PeerId peer, const ConsumedInitiation& initiation) const;
  Drop OnResponse(Now now, const InDatagram& in, Outbox& out);
  Drop OnCookieReply(Now now, ByteView message);
  Drop Commit(Now now,
              PeerId peer,
              const ConsumedInitiation& initiation,
              const SecondSecrets& agreed,
              const InDatagram* in,
              Outbox& out);
  Drop Commit(Now now, const PeekedResponse& response, const InDatagram* in, Outbox& out);
  Drop PeekResponseOf(const Response& message,
                      bool governed,
                      std::optional<PeekedResponse>& peeked) const;
  bool Mac1Good(ByteView message, size_t mac1_at) const;

  // Sending.
  bool WantInitiation(
      Now now, PeerId peer, bool retry, std::chrono::nanoseconds spacing, Outbox& out);
  void SendInitiation(Now now, PeerId peer, Outbox& out);
  void SendHandshake(Now now, PeerId peer, GovernedHandshake entry, Outbox& out);
  void NoteReceived(Now now, PeerId peer, size_t size, const InDatagram* in, Outbox& out);

  // Sessions.
  void Install(
      Now now, PeerId peer, Slot slot, const SlotEntry& entry, const Chain& chain, Outbox& out);
  void Forget(PeerId peer, std::optional<SlotEntry>& slot, Outbox& out);
  void Promote(Now now, PeerId peer, Outbox& out);
  void DropHandshake(Peer& p);
  void Wipe(PeerId peer, Outbox& out);  // handshake and all sessions
  void Complete(Now now, Peer& p);

  void MoveTo(Peer& p, const std::optional<Endpoint>& endpoint);  // keeps endpoints_ true
  void Act(Now now, PeerId peer, TimerAction action, Outbox& out);
  void Schedule(PeerId peer);

  size_t peers_max_;
  const bool shared_;
  Rng rng_;
  Identity us_;
  CookieChecker checker_;
  RateLimiter limiter_;
  LoadMeter load_;
  Tai64nClock stamps_;
  IndexTable indices_;
  std::vector<std::unique_ptr<Peer>> peers_;  // by PeerId
  std::vector<PeerId> free_;                  // empty places in it
  absl::flat_hash_map<X25519Key, PeerId> by_key_;
  absl::flat_hash_map<Endpoint, uint32_t> endpoints_;  // how many peers are at each
  using WakeEntry = std::pair<Instant, PeerId>;
  std::priority_queue<WakeEntry, std::vector<WakeEntry>, std::greater<>>
      wakes_;  // may be early, never late
  bool up_ = false;
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_HANDSHAKER_H_
