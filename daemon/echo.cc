#include "daemon/echo.h"

namespace aqmesh::daemon {

namespace {

constexpr size_t kIp4Header = 20, kIp6Header = 40, kIcmpHeader = 8;
constexpr uint8_t kIcmp = 1, kIcmp6 = 58, kTtl = 64;
constexpr uint8_t kEchoReply4 = 0, kEchoRequest4 = 8, kEchoRequest6 = 128, kEchoReply6 = 129;

// RFC 1071; `sum` carries what was added before. Data of odd length is padded with a zero.
uint32_t Sum(ByteView bytes, uint32_t sum = 0) {
  for (size_t i = 0; i < bytes.size(); ++i)
    sum += i % 2 == 0 ? uint32_t{bytes[i]} << 8 : uint32_t{bytes[i]};
  return sum;
}
uint16_t Checksum(uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

}  // namespace

Bytes EchoRequest(const Echo& echo, size_t payload_bytes) {
  const bool v6 = echo.to.is_v6();
  const size_t header = v6 ? kIp6Header : kIp4Header;
  const size_t icmp_size = kIcmpHeader + payload_bytes;
  Bytes packet(header + icmp_size);
  uint8_t* ip = packet.data();
  uint8_t* icmp = ip + header;
  icmp[0] = v6 ? kEchoRequest6 : kEchoRequest4;
  StoreBe(icmp + 4, echo.id);
  StoreBe(icmp + 6, echo.sequence);
  if (v6) {
    ip[0] = 0x60;
    StoreBe(ip + 4, static_cast<uint16_t>(icmp_size));
    ip[6] = kIcmp6;
    ip[7] = kTtl;
    std::memcpy(ip + 8, echo.from.bytes().data(), 16);
    std::memcpy(ip + 24, echo.to.bytes().data(), 16);
    // The pseudo-header (RFC 8200 §8.1): addresses, length, next header.
    const uint32_t pseudo = Sum(ByteView(ip + 8, 32)) + static_cast<uint32_t>(icmp_size) + kIcmp6;
    StoreBe(icmp + 2, Checksum(Sum(ByteView(icmp, icmp_size), pseudo)));
  } else {
    ip[0] = 0x45;
    StoreBe(ip + 2, static_cast<uint16_t>(packet.size()));
    ip[8] = kTtl;
    ip[9] = kIcmp;
    std::memcpy(ip + 12, echo.from.bytes().data(), 4);
    std::memcpy(ip + 16, echo.to.bytes().data(), 4);
    StoreBe(ip + 10, Checksum(Sum(ByteView(ip, kIp4Header))));
    StoreBe(icmp + 2, Checksum(Sum(ByteView(icmp, icmp_size))));
  }
  return packet;
}

std::optional<Echo> ParseEchoReply(ByteView p) {
  if (p.empty()) return std::nullopt;
  const bool v6 = p[0] >> 4 == 6;
  const size_t header = v6 ? kIp6Header : kIp4Header;
  if (p.size() < header + kIcmpHeader) return std::nullopt;
  // Replies to ours carry no options and no extension headers.
  const bool icmp = v6 ? p[6] == kIcmp6 : p[0] == 0x45 && p[9] == kIcmp;
  if (!icmp || p[header] != (v6 ? kEchoReply6 : kEchoReply4) || p[header + 1] != 0)
    return std::nullopt;
  const size_t width = v6 ? 16 : 4, source = v6 ? 8 : 12;
  const auto replier = IpAddress::From(p.subspan(source, width));
  const auto asker = IpAddress::From(p.subspan(source + width, width));
  if (!replier || !asker) return std::nullopt;
  return Echo{.from = *asker,
              .to = *replier,
              .id = LoadBe<uint16_t>(p.data() + header + 4),
              .sequence = LoadBe<uint16_t>(p.data() + header + 6)};
}

}  // namespace aqmesh::daemon
