// The data half of a device: sessions, endpoints, staged packets and cryptokey routing. Seals and
// opens; decides nothing about handshakes, but says what it saw.
// Spec:   WireGuard paper §5.4.6, §6; spec/wire.md §1.6 to §1.9.
// Bounds: kStagedMax packets a peer, oldest dropped; three sessions a peer by the control half's orders.
// Thread: one owner, or several under one DataLock that bring Ciphers of their own. It meets the
//         control half only through Order and PeerFacts values.
// Errors: a Drop; the packet is gone (or staged), the state as before.
// Cost:   Seal and Open: one AEAD, one hash look-up (open), no allocation, no copy beyond the
// caller's choice. What goes into an Outbox is sealed together at the end of a call, and what came
// together is opened together: the AEAD is several times cheaper by the batch.
#ifndef AQMESH_TRANSPORT_WIREGUARD_FORWARDER_H_
#define AQMESH_TRANSPORT_WIREGUARD_FORWARDER_H_

#include <deque>
#include <memory>
#include <vector>

#include "transport/wireguard/allowed_ips.h"
#include "transport/wireguard/ciphers.h"
#include "transport/wireguard/keypair.h"
#include "transport/wireguard/messages.h"
#include "transport/wireguard/outbox.h"

namespace aqmesh::wireguard {

// What happened to one peer since the facts were last taken.
struct PeerFacts {
  enum Flag : uint32_t {
    kDataSent = 1 << 0,
    kPacketSent = 1 << 1,  // data or keepalive
    kDataReceived = 1 << 2,
    kPacketReceived = 1 << 3,
    kConfirmed = 1 << 4,    // first packet under session `confirmed_index`
    kRekeyWanted = 1 << 5,  // no session, or one that is getting old
    kRoamed = 1 << 6,       // heard from `endpoint`
    kSentLast = 1 << 7,     // of what was sent and received, the last was sent
    kSourceLost = 1 << 8,   // LoseSource
  };
  PeerId peer = kNoPeer;
  uint32_t flags = 0;
  uint32_t confirmed_index = 0;
  Endpoint endpoint;
  Source source;
  uint64_t rx_bytes = 0, tx_bytes = 0;  // of messages, since this forwarder knows the peer
};

class Forwarder {
 public:
  static constexpr size_t kStagedMax = 128;
  static constexpr size_t kOverhead = kTransportHeader + kTag;
  static constexpr size_t kPacketMax = 65535;

  explicit Forwarder(uint16_t mtu_bytes, size_t governed_headroom);

  AllowedIps& allowed_ips() { return allowed_ips_; }
  const AllowedIps& allowed_ips() const { return allowed_ips_; }
  void SetMtu(uint16_t mtu_bytes) { mtu_bytes_ = mtu_bytes; }

  // ---- from the control half; what it makes us send goes to `out` ----
  void Apply(Now now, const Order& order, Outbox& out);
  // Moves the facts since the last call to `facts`, one entry a peer.
  void TakeFacts(std::vector<PeerFacts>& facts);
  bool has_facts() const { return !dirty_.empty(); }
  // Among them some that a handshake or another shard waits for.
  bool has_urgent_facts() const { return urgent_; }

  // ---- the whole way, into an Outbox ----
  // Route, seal and aim one IP packet from the TUN, or stage it (kStaged).
  Drop Send(Now now, const TunPacket& packet, Outbox& out);
  // The same for a packet whose peer the caller chose.
  Drop SendTo(Now now, PeerId peer, const TunPacket& packet, Outbox& out);
  // The same for one that the caller has read already: a whole packet without padding; ecn: its
  // bits.
  Drop SendRead(Now now, PeerId peer, const TunPacket& packet, uint8_t ecn, Outbox& out);
  // Open bare type 4 messages in place and deliver what is in them. drops: one a datagram, in
  // order.
  void Receive(Now now, std::span<const InDatagram> in, Outbox& out, std::vector<Drop>& drops);
  // Seals what waits in out.pending. Whoever reads or sends datagrams or frames calls it first.
  void SealPending(Outbox& out) { ciphers_.SealPending(out); }

  // The driver could not send to `peer` from its source: the kernel is to choose until it is heard.
  void LoseSource(PeerId peer);
  void SetHelpers(crypto::AeadHelpers* helpers) { ciphers_.SetHelpers(helpers); }  // or nullptr

  // ---- the bare steps, in the caller's buffers ----
  struct Sealed {
    Drop why = Drop::kNone;    // kStaged: no usable session; the caller may Stage()
    size_t size = 0;           // of the WireGuard message, behind the headroom
    uint32_t local_index = 0;  // of the session that was used
    uint32_t remote_index = 0;
  };
  // `buffer`: headroom, 16 bytes, the packet of `size` bytes, room for padding and tag
  // (SealedSize()). Sealed where it lies. size 0: a keepalive.
  Sealed Seal(Now now, PeerId peer, MutableBytes buffer, size_t headroom, size_t size);
  // The same on one session, named by its local index, whatever slot it is in.
  Sealed SealOn(Now now, uint32_t local_index, MutableBytes buffer, size_t headroom, size_t size);
  size_t SealedSize(size_t packet_size) const;  // of the message, headroom excluded
  void Stage(PeerId peer, ByteView packet);

  struct Opened {
    Drop why = Drop::kNone;
    PeerId peer = kNoPeer;
    uint32_t local_index = 0;
    MutableBytes packet{};  // trimmed, its source checked; empty: a keepalive
  };
  enum class Framing : uint8_t { kBare, kGoverned };  // must be the peer's own
  // Opens in place, in three steps, so that many messages share the second: Look at each (header,
  // session, age, replay), Ciphers::OpenAll, then Take each in order. from and at: where it came
  // from, or nullptr if the peer's endpoint must stay (a node that owns paths). A packet that
  // opened but may not be delivered (kBadInner, kBadSource) still counts as heard. A session that
  // ended between the steps takes nothing.
  Looked Look(Now now, MutableBytes message, Framing framing) const;
  Opened Take(Now now, const Looked& looked, const Endpoint* from, const Source* at);
  Opened Open(Now now,
              MutableBytes message,
              Framing framing,
              const Endpoint* from,
              const Source* at);  // all three, for one

  struct Stats {
    uint64_t rx_bytes = 0;
    uint64_t tx_bytes = 0;
  };
  Stats stats(PeerId peer) const;
  PeerId Route(const IpAddress& destination) const { return allowed_ips_.Find(destination); }
  // The session that sending uses now; nullptr: none. Valid until the next call.
  const Keypair* Current(PeerId peer) const;
  const Keypair* Session(uint32_t local_index) const;
  size_t staged(PeerId peer) const;
  Keypair* SessionForTest(uint32_t local_index) { return FindSession(local_index); }

 private:
  struct Peer {
    bool live = false;
    bool governed = false;
    Keypair* current = nullptr;
    std::optional<Endpoint> endpoint;
    Source source;
    Stats stats;
    // None, or a packet at least: an empty deque is half a KiB, and most peers wait for nothing.
    std::unique_ptr<std::deque<Bytes>> staged;
    PeerFacts facts;
  };
  Peer& At(PeerId peer) { return peers_[peer]; }
  bool Live(PeerId peer) const { return peer < peers_.size() && peers_[peer].live; }
  Keypair* FindSession(uint32_t local_index) const;
  PeerFacts& Note(PeerId peer, uint32_t flags);
  // Padding and counts. Counter, header and AEAD come later. `text` is what the AEAD is to seal.
  struct Laid {
    Sealed sealed;
    Keypair* session = nullptr;
    MutableBytes text{};
  };
  Laid LayOut(Now now, Keypair& k, MutableBytes buffer, size_t headroom, size_t size);
  Sealed SealLaid(const Laid& laid);
  MutableBytes Room(const TunPacket& packet, size_t headroom, Outbox& out) const;
  Drop Emit(Now now, PeerId peer, const TunPacket& packet, uint8_t ecn, Outbox& out);
  void Flush(Now now, PeerId peer, Outbox& out);
  void Heard(
      Now now, Keypair& k, size_t message_size, bool data, const Endpoint* from, const Source* at);
  void RemoveSession(uint32_t local_index);
  void RemovePeer(PeerId peer);
  void Unreachable(ByteView packet, Outbox& out);

  AllowedIps allowed_ips_;
  std::vector<Peer> peers_;  // by PeerId
  absl::flat_hash_map<uint32_t, std::shared_ptr<Keypair>> sessions_;
  // The session that was asked for last: packets come in runs.
  mutable Keypair* found_ = nullptr;
  std::vector<PeerId> dirty_;  // peers with facts
  bool urgent_ = false;
  Ciphers ciphers_;
  std::vector<Looked> looked_;  // kept for its memory
  uint16_t mtu_bytes_;
  size_t governed_headroom_;
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_FORWARDER_H_
