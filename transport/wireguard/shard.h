// One data thread's part of a device that runs on several: packets and sessions, no handshakes.
// Device is the first shard itself and the control half of all; the others follow its orders and
// report what they saw.
// Spec:   spec/performance.md §5. Each shard knows every session and every prefix, so that whatever
//         the kernel hands it is served; the kernel hands one flow, and one peer's messages, to
//         one.
// Bounds: a report at most each kReportUrgent; what it says of a peer is one entry.
// Thread: one owner. Orders and reports are values that a driver carries between threads.
// Errors: a Drop, counted here.
#ifndef AQMESH_TRANSPORT_WIREGUARD_SHARD_H_
#define AQMESH_TRANSPORT_WIREGUARD_SHARD_H_

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "transport/wireguard/forwarder.h"

namespace aqmesh::wireguard {

// What the control half changed, for every other shard, to be applied in the order of `number`.
struct ShardOrders {
  uint64_t number = 0;  // from 1, no gaps
  std::vector<Order> orders;
  bool up = false;  // as they are after these orders
  uint16_t mtu = 0;
  // An order of this index is not for the shard that it came from.
  struct Except {
    size_t index = 0;
    uint32_t shard = 0;
  };
  std::vector<Except> except;
};

struct ShardReport {
  uint32_t shard = 0;    // 1, 2, …; 0 is the Device
  uint64_t applied = 0;  // the last orders that it knew: older facts may be about another peer
  std::vector<PeerFacts> facts;
};

class Shard {
 public:
  // How late the control half hears: of what a handshake waits for, and of the rest.
  static constexpr std::chrono::milliseconds kReportUrgent{1};
  static constexpr std::chrono::milliseconds kReportSoon{50};

  Shard(uint32_t number, size_t governed_headroom);  // number: 1, 2, …

  void Apply(Now now, const ShardOrders& orders, Outbox& out);
  void OnTunPackets(Now now, std::span<const TunPacket> packets, Outbox& out);
  // Data messages are opened where they lie. What is none goes to `others`: it is the Device's.
  // Orders that stand ready when the datagrams were read must have been applied: one of them may
  // bring the session.
  void OnDatagrams(Now now,
                   std::span<const InDatagram> in,
                   Outbox& out,
                   std::vector<const InDatagram*>& others);

  void OnSourceRefused(PeerId peer) { forwarder_.LoseSource(peer); }  // as Device has it
  void SetHelpers(crypto::AeadHelpers* helpers) { forwarder_.SetHelpers(helpers); }

  Instant ReportDue(Instant now) const;  // kNever: nothing to say
  ShardReport TakeReport(Instant now);

  bool up() const { return up_; }
  const Forwarder& forwarder() const { return forwarder_; }
  uint64_t drops(Drop why) const { return drops_[static_cast<size_t>(why)]; }

 private:
  void Count(Drop why);

  const uint32_t number_;
  Forwarder forwarder_;
  bool up_ = false;
  uint64_t applied_ = 0;
  Instant reported_{};
  std::vector<Drop> worth_;  // kept for its memory
  std::array<uint64_t, static_cast<size_t>(Drop::kCount)> drops_{};
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_SHARD_H_
