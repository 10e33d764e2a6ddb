// The plain values that cross the doors of the WireGuard room: drops, datagrams, packets, and the
// Outbox in which one call's effects lie.
// Bounds: an Outbox holds what one call makes; a driver empties it before the next call. Its arena
//         keeps its memory across Clear(), so a steady driver does not allocate per packet.
// Memory: what an Outbox names lies in its arena, or where the driver's own packet or datagram lay
//         (sealed and opened in place): that memory must stand until the Outbox is carried out.
// Thread: values; one owner at a time.
#ifndef AQMESH_TRANSPORT_WIREGUARD_OUTBOX_H_
#define AQMESH_TRANSPORT_WIREGUARD_OUTBOX_H_

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/net.h"
#include "core/base/secret.h"
#include "core/base/time.h"
#include "core/crypto/aead_batch.h"
#include "core/crypto/hash.h"
#include "transport/wireguard/session_sync.h"

namespace aqmesh::wireguard {

// A peer's slot in one device. A slot is reused after its peer is removed.
using PeerId = uint32_t;
inline constexpr PeerId kNoPeer = UINT32_MAX;

// Why a packet went no further. Counted per reason, never answered.
enum class Drop : uint8_t {
  kNone,
  kBadType,  // unknown first word, or reserved bytes not zero
  kBadSize,  // wrong length for its type
  kBadMac1,
  kCookieWanted,  // under load and mac2 missing or stale: a cookie reply went out
  kRateLimited,   // under load and the source's bucket is empty
  kNoPrivateKey,  // this device has no identity yet
  kBadHandshake,  // a Diffie-Hellman was zero or a field did not open
  kUnknownPeer,
  kNotPlain,  // a bare message for a governed peer or session, or the reverse
  kReplayedTimestamp,
  kInitiationFlood,  // less than 20 ms after the last one accepted
  kUnknownIndex,
  kWrongState,  // a response to a handshake that is no longer in flight
  kBadCookie,
  kSessionExpired,  // too old, or the counter reached its limit
  kBadSeal,
  kReplayed,   // outside the window, or seen before
  kBadInner,   // not IPv4 or IPv6, or a length that does not fit
  kBadSource,  // the inner source is not routed to that peer
  kNoRoute,    // no allowed ip covers the destination
  kNoEndpoint,
  kTooLong,  // more than a buffer holds
  kStaged,   // not a loss: waits for a session
  kDown,
  kCount,
};

// The local address that a peer's packets come in on, so that ours leave from it.
struct Source {
  IpAddress address;
  uint32_t ifindex = 0;
  bool known = false;
  bool operator==(const Source&) const = default;
};

struct InDatagram {
  MutableBytes bytes;  // a whole UDP payload; a cut one must not be handed in. Opened in place
  Endpoint from;
  Source at;
  uint8_t tos = 0;  // outer TOS or traffic class, 0 if the driver does not know it
};

// One IP packet from the TUN.
struct TunPacket {
  MutableBytes bytes;
  // Bytes of the caller's around it. With room for the headers of its peer's kind before, and for
  // padding and tag behind, it is sealed where it lies; and packets that lie end to end at the
  // wire's stride leave as one run.
  uint16_t headroom = 0, tailroom = 0;
  // A segment of the super-packet that the packet before is of: the same flow, and judged with it.
  bool follows = false;
};

// Bytes of one Outbox, appended without zero filling, in blocks that stay where they are.
class Arena {
 public:
  uint8_t* Take(size_t n);  // n fresh bytes, uninitialised, good until Clear()
  void Clear();

 private:
  static constexpr size_t kBlock = 64 * 1024;
  struct Block {
    std::unique_ptr<uint8_t[]> bytes;
    size_t size = 0;
  };
  std::vector<Block> blocks_;
  size_t block_ = 0, used_ = 0;  // the block that is being filled, and how far
};

// What one UDP_SEGMENT message takes on a new kernel; on an older one the driver parts it.
inline constexpr size_t kRunSegmentsMax = 128;
inline constexpr size_t kRunBytesMax = 65'000;

struct OutDatagram {
  Endpoint to;
  Source from;      // known: send from there; else let the kernel choose
  uint8_t tos = 0;  // 0x88 on handshakes; the inner packet's ECN bits on data
  PeerId peer = kNoPeer;
  uint8_t* data = nullptr;
  size_t size = 0;
  // Not 0: a run, datagrams of so many bytes end to end, the last one perhaps shorter.
  size_t segment = 0;
};

// A data frame of a governed peer, or a run of them: `headroom` blank bytes, then the WireGuard
// message sealed on the session local_index. The node fills the front, chooses the path and sends.
struct OutFrame {
  PeerId peer = kNoPeer;
  uint32_t local_index = 0;
  std::optional<Endpoint> to;  // where the peer was last heard, if anywhere
  Source from;
  uint8_t tos = 0;
  uint8_t* data = nullptr;
  size_t size = 0;     // headroom included
  size_t segment = 0;  // as in OutDatagram
};

// Calls f(bytes) for each datagram or frame of `run`.
template <class Run, class F>
void ForEachSegment(const Run& run, F f) {
  const size_t stride = run.segment != 0 ? run.segment : run.size;
  for (size_t at = 0; at < run.size; at += stride)
    f(MutableBytes(run.data + at, std::min(stride, run.size - at)));
}

// A packet for the TUN. peer == kNoPeer: an ICMP error of ours to a sender whose packet had no way
// out.
struct OutPacket {
  PeerId peer = kNoPeer;
  uint8_t* data = nullptr;
  size_t size = 0;
};

// A handshake message of a governed peer: the node wraps it and finds its way.
// message has its mac1 and a zero mac2; ck is the chaining key after ss (initiation) or psk
// (response), h the hash after the timestamp (initiation) or the final one (response).
struct GovernedHandshake {
  enum class Kind : uint8_t { kInitiation, kResponse };
  Kind kind = Kind::kInitiation;
  PeerId peer = kNoPeer;
  uint32_t local_index = 0;
  std::array<uint8_t, 148> message{};
  size_t size = 0;  // 148 or 92
  Secret<32> ck;
  crypto::Hash32 h{};
  std::optional<Endpoint> to;
  Source from;
};

enum class Slot : uint8_t { kPrevious, kCurrent, kNext };

// What became of sessions, in order. Promoted: a responder's next session became current, which is
// WireGuard's key confirmation.
struct SessionEvent {
  enum class Kind : uint8_t { kInstalled, kPromoted, kGone };
  Kind kind = Kind::kInstalled;
  PeerId peer = kNoPeer;
  uint32_t local_index = 0;
  uint32_t remote_index = 0;
  Slot slot = Slot::kCurrent;
  bool initiator = false;
};

// Orders from the control half to the data half, applied in order.
struct AddPeerOrder {
  PeerId peer;
  bool governed;
};
struct RemovePeerOrder {
  PeerId peer;
};  // after orders to remove its sessions
struct InstallOrder {
  PeerId peer;
  uint32_t local_index;
  uint32_t remote_index;
  bool initiator;
  Instant birth;
  Secret<32> send_key;
  Secret<32> receive_key;
  std::shared_ptr<SessionSync> sync;  // never null
};
struct MakeCurrentOrder {
  PeerId peer;
  uint32_t local_index;
};  // the session that sending uses
struct RemoveSessionOrder {
  PeerId peer;
  uint32_t local_index;
};
struct StopSendingOrder {};  // every session of now only opens
struct EndpointOrder {
  PeerId peer;
  Endpoint endpoint;
  Source source;
};
struct ForgetSourceOrder {
  PeerId peer;
};
struct KeepaliveOrder {
  PeerId peer;
};  // staged packets go instead, if any
struct FlushOrder {
  PeerId peer;
};
struct DropStagedOrder {
  PeerId peer;
};
// Cryptokey routing, for shards: whoever gives these orders has done the same to a table of its
// own.
struct AllowOrder {
  PeerId peer;
  Prefix prefix;
};
struct DisallowOrder {
  PeerId peer;
  Prefix prefix;
};
struct DisallowAllOrder {
  PeerId peer;
};
using Order = std::variant<AddPeerOrder,
                           RemovePeerOrder,
                           InstallOrder,
                           MakeCurrentOrder,
                           RemoveSessionOrder,
                           StopSendingOrder,
                           EndpointOrder,
                           ForgetSourceOrder,
                           KeepaliveOrder,
                           FlushOrder,
                           DropStagedOrder,
                           AllowOrder,
                           DisallowOrder,
                           DisallowAllOrder>;

struct Keypair;

struct Outbox {
  Arena arena;
  std::vector<OutDatagram> datagrams;  // in sending order
  std::vector<OutFrame> frames;        // of governed peers; not to be sent as they are
  // Of either, what still waits for its counter and its AEAD, and on whose session:
  // Ciphers::SealPending, before anybody reads it. Empty once a call of Device or the node ends.
  std::vector<crypto::AeadJob> pending;
  std::vector<Keypair*> pending_sessions;               // of each
  std::vector<std::shared_ptr<Keypair>> held_sessions;  // they live until then: one a run
  std::vector<OutPacket> tun;                           // in delivery order
  std::vector<GovernedHandshake> governed;
  std::vector<SessionEvent> sessions;
  std::vector<Order> orders;  // internal to Device; a node that splits the halves forwards them
  std::optional<uint16_t> listen_port;  // set: bind the UDP sockets to it now, 0 = any
  std::optional<uint32_t> fwmark;       // set: put it on the sockets now

  static MutableBytes bytes(const OutDatagram& d) { return {d.data, d.size}; }
  static MutableBytes bytes(const OutFrame& f) { return {f.data, f.size}; }
  static MutableBytes bytes(const OutPacket& p) { return {p.data, p.size}; }
  void AddDatagram(
      ByteView message, const Endpoint& to, const Source& from, uint8_t tos, PeerId peer);
  void Clear();
};

// A driver's congestion signal on what it read or is about to write: the packet in the middle of
// the batch, which is most likely one of those that fill the queue, is marked, or dropped where its
// sender cannot hear a mark (RFC 3168 §5).
void SignalCongestion(std::vector<TunPacket>& packets);
void SignalCongestion(std::vector<OutPacket>& packets);

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_OUTBOX_H_
