#include "daemon/lane/packet_lane.h"

#include <cstring>

#include "transport/os/clock.h"
#include "transport/wireguard/forwarder.h"
#include "transport/wireguard/packet.h"

namespace aqmesh::daemon {

namespace {

// The longest packet that fits a datagram of IPv4 (65,507 bytes) with headers and tag around it,
// padded. An MTU of up to 65,535 may be set, and above this nothing can be carried.
size_t InnerMax(size_t headroom) { return (65507 - headroom - wireguard::kTag) & ~size_t{15}; }

os::LocalSource ToOs(const wireguard::Source& s) {
  return s.known ? os::LocalSource{.address = s.address, .ifindex = s.ifindex} : os::LocalSource{};
}
wireguard::Source FromOs(const os::LocalSource& s) {
  return {.address = s.address, .ifindex = s.ifindex, .known = s.is_set()};
}

// Else TCP would send it again until it gives up.
void AnswerTooLong(ByteView packet, size_t inner_max, wireguard::Outbox& out) {
  std::array<uint8_t, wireguard::kUnreachableMax> icmp;
  const size_t size = wireguard::WriteTooBig(packet, static_cast<uint16_t>(inner_max), icmp);
  if (size == 0) return;
  uint8_t* const data = out.arena.Take(size);
  std::memcpy(data, icmp.data(), size);
  out.tun.push_back({.peer = wireguard::kNoPeer, .data = data, .size = size});
}

}  // namespace

PacketLane::PacketLane(std::unique_ptr<os::Tun> tun, size_t headroom, size_t mtu)
    : inner_max_(InnerMax(headroom)),
      tun_(std::move(tun)),
      arena_({.headroom = headroom, .mtu = mtu}) {}

LanePackets PacketLane::ReadTun(wireguard::Outbox& out) {
  arena_.Clear();
  packets_.clear();
  const os::TunState state = tun_->ReadBatch(arena_, kTunReadsMax);
  bool fits = false;
  for (const os::PacketSlot& p : arena_.packets()) {
    const bool follows = fits && p.follows;
    fits = p.size <= inner_max_;
    if (!fits) {
      AnswerTooLong(p.bytes(), inner_max_, out);
      continue;
    }
    packets_.push_back({.bytes = p.bytes(),
                        .headroom = static_cast<uint16_t>(arena_.headroom()),
                        .tailroom = p.tailroom,
                        .follows = follows});
  }
  const Now now = os::ReadNow();
  if (tun_queue_.OnRead(now.mono, state == os::TunState::kDrained)) {
    wireguard::SignalCongestion(packets_);
    ++signals_.tun;
  }
  return {.now = now,
          .packets = packets_,
          .has_more = state == os::TunState::kOk,
          .gone = state == os::TunState::kGone};
}

bool PacketLane::Receive(os::UdpPair& udp, os::Family family) {
  received_.clear();
  const bool has_more = udp.Receive(family, received_);
  came_.clear();
  for (const os::Datagram& d : received_)
    came_.push_back({.bytes = d.bytes, .from = d.remote, .at = FromOs(d.local), .tos = d.tos});
  return has_more;
}

LaneDatagrams PacketLane::ReadUdp(os::Family family) {
  if (udp_ == nullptr) return {};  // closed earlier in this turn
  const bool emptied = !Receive(*udp_, family);
  const Now now = os::ReadNow();
  signal_ = udp_queues_[family == os::Family::kV4 ? 0 : 1].OnRead(now.mono, emptied);
  return {.now = now, .datagrams = came_};
}

LaneDatagrams PacketLane::ReadFrom(os::UdpPair& udp, os::Family family) {
  Receive(udp, family);
  return {.now = os::ReadNow(), .datagrams = came_};
}

void PacketLane::Send(const wireguard::Outbox& out, std::vector<wireguard::PeerId>& refused) {
  outgoing_.clear();
  for (const wireguard::OutDatagram& d : out.datagrams) {
    outgoing_.push_back({.bytes = out.bytes(d),
                         .remote = d.to,
                         .local = ToOs(d.from),
                         .tos = d.tos,
                         .segment = d.segment});
  }
  const uint64_t before = udp_->counters().source_refused;
  udp_->Send(outgoing_);
  if (udp_->counters().source_refused == before) return;
  // An address went with its interface. Whose packet it was is not known; asking the kernel anew
  // costs the other peers of this batch nothing.
  for (const wireguard::OutDatagram& d : out.datagrams) {
    if (d.from.known && d.peer != wireguard::kNoPeer) refused.push_back(d.peer);
  }
}

bool PacketLane::Flush(wireguard::Outbox& out, std::vector<wireguard::PeerId>& refused) {
  refused.clear();
  if (udp_ != nullptr && !out.datagrams.empty()) Send(out, refused);
  if (signal_ && !out.tun.empty()) {
    wireguard::SignalCongestion(out.tun);
    ++signals_.udp;
  }
  signal_ = false;
  bool there = true;
  if (!out.tun.empty()) {
    to_tun_.clear();
    for (const wireguard::OutPacket& p : out.tun) to_tun_.emplace_back(out.bytes(p));
    there = tun_->WritePackets(to_tun_) != os::TunState::kGone;
  }
  out.Clear();
  return there;
}

}  // namespace aqmesh::daemon
