#include "sim/packet.h"

namespace aqmesh::sim {

namespace {

constexpr size_t kIp6Bytes = 40, kUdpBytes = 8, kProbeBytes = kIp6Bytes + kUdpBytes + 4;
constexpr uint8_t kUdp = 17;

}  // namespace

Bytes ProbePacket(const IpAddress& src, const IpAddress& dst, uint16_t port, uint32_t mark) {
  constexpr uint16_t kPayload = kProbeBytes - kIp6Bytes;
  Bytes p(kProbeBytes);
  p[0] = 0x60;
  StoreBe<uint16_t>(p.data() + 4, kPayload);
  p[6] = kUdp;
  p[7] = 64;
  std::memcpy(p.data() + 8, src.bytes().data(), 16);
  std::memcpy(p.data() + 24, dst.bytes().data(), 16);
  StoreBe<uint16_t>(p.data() + kIp6Bytes, port);
  StoreBe<uint16_t>(p.data() + kIp6Bytes + 2, port);
  StoreBe<uint16_t>(p.data() + kIp6Bytes + 4, kPayload);
  StoreBe<uint32_t>(p.data() + kIp6Bytes + kUdpBytes, mark);
  uint32_t sum = kPayload + kUdp;
  for (size_t i = 8; i < p.size(); i += 2) sum += LoadBe<uint16_t>(p.data() + i);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  StoreBe<uint16_t>(p.data() + kIp6Bytes + 6, static_cast<uint16_t>(~sum));
  return p;
}

std::optional<uint32_t> MarkOf(ByteView packet) {
  if (packet.size() != kProbeBytes || packet[6] != kUdp) return std::nullopt;
  return LoadBe<uint32_t>(packet.data() + kIp6Bytes + kUdpBytes);
}

}  // namespace aqmesh::sim
