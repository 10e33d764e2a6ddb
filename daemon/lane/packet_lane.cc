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

LaneDatagrams PacketLane::ReadUdp(os::Family family) {
  if (udp_ == nullptr) return {};  // closed earlier in this turn
  const auto came = reader_.Read(*udp_, family);
  const Now now = os::ReadNow();
  signal_ = udp_queues_[family == os::Family::kV4 ? 0 : 1].OnRead(now.mono, reader_.emptied());
  return {.now = now, .datagrams = came};
}

LaneDatagrams PacketLane::ReadFrom(os::UdpPair& udp, os::Family family) {
  const auto came = reader_.Read(udp, family);
  return {.now = os::ReadNow(), .datagrams = came};
}

bool PacketLane::Flush(wireguard::Outbox& out, std::vector<wireguard::PeerId>& refused) {
  refused.clear();
  if (udp_ != nullptr) sender_.Send(*udp_, out.datagrams, refused);
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
