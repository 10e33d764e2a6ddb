// One data thread's ends: a queue of the TUN, a pair of sockets, and the memory
// between them. Reads batches, and puts an Outbox into effect.
// Spec:   spec/life-of-a-packet.md; spec/wire.md §4 (offloads).
// Bounds: a read is one recvmmsg of a family, or kTunReadsMax TUN reads and the arena.
// Thread: one owner. Errors: what the kernel refuses is lost and counted below.
// Cost:   about 0.8 MiB, touched at the start.
#ifndef AQMESH_DAEMON_LANE_PACKET_LANE_H_
#define AQMESH_DAEMON_LANE_PACKET_LANE_H_

#include <array>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "daemon/lane/datagrams.h"
#include "transport/os/arena.h"
#include "transport/os/standing_queue.h"
#include "transport/os/tun.h"
#include "transport/os/udp.h"
#include "transport/wireguard/outbox.h"

namespace aqmesh::daemon {

// What came, in memory that stands until the next read of its kind.
struct LanePackets {
  Now now;
  std::span<const wireguard::TunPacket> packets;
  bool has_more = false;
  bool gone = false;  // the interface was deleted
};
struct LaneDatagrams {
  Now now;
  std::span<const wireguard::InDatagram> datagrams;
};

class PacketLane {
 public:
  // headroom: what is written before a packet, the header of its message among it. mtu: as
  // os::PacketArena has it.
  PacketLane(std::unique_ptr<os::Tun> tun, size_t headroom, size_t mtu);

  os::Tun& tun() { return *tun_; }
  os::UdpPair* udp() { return udp_.get(); }  // nullptr: the interface is down
  // Gives back those before. What was read from them stands in their memory.
  std::unique_ptr<os::UdpPair> SetUdp(std::unique_ptr<os::UdpPair> udp) {
    return std::exchange(udp_, std::move(udp));
  }
  // epoll says so; before ReadTun.
  void SetTunReadable(size_t queue) { tun_->SetReadable(queue); }
  void SetMtu(uint16_t mtu_bytes) { arena_.SetMtu(mtu_bytes); }
  // Congestion signals that were given, for queues that stood: the TUN's and the sockets'.
  struct Signals {
    uint64_t tun = 0, udp = 0;
  };
  const Signals& signals() const { return signals_; }

  // A packet that no datagram can carry is answered with ICMP in `out`.
  LanePackets ReadTun(wireguard::Outbox& out);
  LaneDatagrams ReadUdp(os::Family family);
  // From other sockets than the lane's own: those of the control queue.
  LaneDatagrams ReadFrom(os::UdpPair& udp, os::Family family);
  // Sends and writes what is in `out`, and clears it. False: the interface is gone. refused: peers
  // whose source address may be.
  bool Flush(wireguard::Outbox& out, std::vector<wireguard::PeerId>& refused);

 private:
  // As many as one round of UDP may cause ACKs: fewer, and the TUN's queue overflows. Super-packets
  // end a turn sooner, by the arena.
  static constexpr size_t kTunReadsMax = 256;

  const size_t inner_max_;  // the longest packet that fits a datagram
  std::unique_ptr<os::Tun> tun_;
  std::unique_ptr<os::UdpPair> udp_;
  Signals signals_;
  bool signal_ = false;  // to whoever fills the socket's queue, in what is written next
  os::StandingQueue tun_queue_;
  std::array<os::StandingQueue, 2> udp_queues_;  // v4, v6

  // Kept for their memory.
  os::PacketArena arena_;
  std::vector<wireguard::TunPacket> packets_;
  std::vector<ByteView> to_tun_;
  DatagramReader reader_;
  DatagramSender sender_;
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_LANE_PACKET_LANE_H_
