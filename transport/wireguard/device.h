// One WireGuard device for one thread: what aqmesh-wg runs, and what a node drives for its peers.
// Glues the control half (Handshaker) to the data half (Forwarder); decides nothing itself.
// Spec:   WireGuard paper; spec/wire.md §1 (protocol), §2 (the meaning of each setting).
// Bounds: Options::peers_max peers, kAllowedIpsMax prefixes, 128 staged packets a peer and shard.
// Thread: one owner. No I/O, clock, lock or entropy of its own. On several threads it is the first
//         shard and the control half of all (shard.h), or it shares its Forwarder with other
//         threads (data_lock.h). As a shard: after each call its driver carries TakeOrders() to
//         every Shard, before it sends what the call made: what answers a handshake may come to any
//         of them. Their reports go to OnReport.
// Errors: packets: a counted Drop, silence outside. Settings: absl::Status where they can fail.
// Cost:   no allocation per packet once the Outbox has grown; a handshake is about four X25519.
//
// A driver's turn: call one On…/Set… with a cleared Outbox; apply out.listen_port and out.fwmark;
// send out.datagrams; write out.tun; then sleep until NextWake() or input.
#ifndef AQMESH_TRANSPORT_WIREGUARD_DEVICE_H_
#define AQMESH_TRANSPORT_WIREGUARD_DEVICE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/base/net.h"
#include "core/base/rng.h"
#include "core/base/time.h"
#include "core/crypto/keys.h"
#include "transport/wireguard/data_lock.h"
#include "transport/wireguard/forwarder.h"
#include "transport/wireguard/handshaker.h"
#include "transport/wireguard/outbox.h"
#include "transport/wireguard/shard.h"

namespace aqmesh::wireguard {

// A snapshot for `get=1`. Holds secrets: show only to who may see them.
struct PeerConfig {
  X25519Key public_key;
  Secret<32> preshared_key;  // zero: none
  std::optional<Endpoint> endpoint;
  WallTime last_handshake;  // 0: never
  uint64_t tx_bytes = 0;
  uint64_t rx_bytes = 0;
  uint16_t persistent_keepalive = 0;  // seconds, 0: off
  std::vector<Prefix> allowed_ips;    // sorted
};
struct DeviceConfig {
  crypto::X25519Private private_key;  // zero: none
  uint16_t listen_port = 0;           // as last set here or reported by SetBoundPort
  uint32_t fwmark = 0;
  std::vector<PeerConfig> peers;
};

class Device {
 public:
  struct Options {
    size_t peers_max = 1 << 16;
    uint16_t mtu = 1420;            // of the TUN; clamps padding; 0: no clamp
    size_t governed_headroom = 16;  // blank bytes before each message in out.frames
    uint32_t shards = 1;            // data threads, this one among them: 1, 2, 4, 8 or 16
    // Threads beside this one that use forwarder() under lock(): 0, 1, 2, 4, 8 or 16. Not with
    // shards.
    uint32_t lanes = 0;
  };
  Device(const Options& options, Rng rng);

  // ---- packets ----
  // Sealed, staged, or answered with ICMP in out.tun.
  void OnTunPackets(Now now, std::span<const TunPacket> packets, Outbox& out);
  // One UDP payload of WireGuard type 1 to 4, opened where it lies. What it was worth: kNone if it
  // counted.
  Drop OnDatagram(Now now, const InDatagram& in, Outbox& out);
  // The same for what came together, in order: data messages that follow one another are opened
  // together.
  void OnDatagrams(Now now, std::span<const InDatagram> in, Outbox& out);
  // The same for what came by a queue of its own that holds no data but by mistake. Peers'
  // endpoints have a lane of their own: they are heard first, and all of them. Of strangers
  // kStrangersMax are heard a call, the others are kRateLimited.
  static constexpr size_t kStrangersMax = 64;
  void OnHandshakes(Now now, std::span<const InDatagram> in, Outbox& out);
  void OnWake(Now now, Outbox& out);
  Instant NextWake() const;  // kNever: nothing is due
  // Up: peers with a persistent keepalive speak at once. Down: sessions and handshakes are wiped,
  // and packets of either side are dropped. Settings work in both states. Starts down.
  void SetUp(Now now, bool up, Outbox& out);
  bool up() const { return up_; }
  void SetMtu(uint16_t mtu_bytes);
  // The driver could not send to `peer` from the address that its packets came to: the kernel is to
  // choose until the peer is heard again.
  void OnSourceRefused(PeerId peer, Outbox& out);

  // ---- the other shards ----
  // What they must do since the last call; nullptr: nothing.
  std::shared_ptr<const ShardOrders> TakeOrders();
  void SetHelpers(crypto::AeadHelpers* helpers) { forwarder_.SetHelpers(helpers); }
  void OnReport(Now now, const ShardReport& report, Outbox& out);

  // ---- settings, in the order of their effect; meaning as UAPI keys have it ----
  // Clamped here; zero removes the identity. A peer with the new public key is removed.
  void SetPrivateKey(Now now, const crypto::X25519Private& key, Outbox& out);
  void SetListenPort(uint16_t port,
                     Outbox& out);   // puts out.listen_port; 0 = any. Sticky sources are forgotten
  void SetBoundPort(uint16_t port);  // the driver says what it really got
  void SetFwmark(uint32_t mark, Outbox& out);  // puts out.fwmark. Sticky sources are forgotten
  void RemoveAllPeers(Now now, Outbox& out);   // replace_peers=true

  const X25519Key& public_key() const;  // zero while there is no private key
  std::optional<PeerId> FindPeer(const X25519Key& key) const;
  // Finds or creates. InvalidArgument for our own key (UAPI: ignore the section) or a zero key;
  // ResourceExhausted when the table is full.
  absl::StatusOr<PeerId> AddPeer(Now now, const X25519Key& key, Outbox& out);
  // The setters below take a live id of FindPeer or AddPeer.
  void RemovePeer(Now now, PeerId peer, Outbox& out);
  void SetPresharedKey(PeerId peer,
                       const Secret<32>& psk);  // from the next handshake on; zero: none
  void SetEndpoint(PeerId peer, const Endpoint& endpoint, Outbox& out);
  void SetPersistentKeepalive(Now now,
                              PeerId peer,
                              uint16_t seconds,
                              Outbox& out);                      // 0→n while up speaks at once
  void ClearAllowedIps(PeerId peer);                             // replace_allowed_ips=true
  absl::Status AddAllowedIp(PeerId peer, const Prefix& prefix);  // moves it from any other peer
  void RemoveAllowedIp(PeerId peer, const Prefix& prefix);       // only if that peer holds it
  void FlushStaged(Now now, PeerId peer, Outbox& out);           // at the end of a peer's section
  DeviceConfig GetConfig() const;

  // ---- for the node: governed peers (see handshaker.h for the calls' contracts) ----
  Handshaker& handshaker() { return handshaker_; }
  const Handshaker& handshaker() const { return handshaker_; }
  // With lanes only under the lock; the calls of this class take it where they need it.
  Forwarder& forwarder() { return forwarder_; }
  const Forwarder& forwarder() const { return forwarder_; }
  DataLock& lock() const { return lock_; }
  // Carries orders to the data half and facts to the control half until both are still. Every call
  // above ends with it and with Forwarder::SealPending; a node that has called a half directly
  // calls both.
  void Settle(Now now, Outbox& out);

  uint64_t drops(Drop why) const { return drops_[static_cast<size_t>(why)]; }
  std::optional<Endpoint> endpoint(PeerId peer) const { return handshaker_.endpoint(peer); }

 private:
  Drop Count(Drop why);
  void Finish(Now now, Outbox& out);
  void SealPending(Outbox& out);
  void ApplyQuietly(Outbox& out);
  void Tell(Order order);  // to the other shards, if there are any
  bool IsStale(const ShardReport& report, PeerId peer) const;

  const uint32_t shards_;
  Handshaker handshaker_;
  mutable DataLock lock_;
  Forwarder forwarder_;
  uint16_t listen_port_ = 0;
  uint32_t fwmark_ = 0;
  uint16_t mtu_;
  bool up_ = false;
  ShardOrders next_orders_{};         // until they are taken
  bool told_ = false;                 // up_ and mtu_ are in orders that were taken
  std::vector<uint64_t> peer_since_;  // by PeerId: the orders that add it
  std::vector<std::vector<Forwarder::Stats>> shard_stats_;  // by shard - 1 and PeerId
  std::vector<PeerFacts> facts_;                            // kept for their memory
  std::vector<Drop> worth_;
  std::vector<InDatagram> known_, strangers_;
  std::array<uint64_t, static_cast<size_t>(Drop::kCount)> drops_{};
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_DEVICE_H_
