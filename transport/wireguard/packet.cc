#include "transport/wireguard/packet.h"

#include <algorithm>

namespace aqmesh::wireguard {

namespace {

constexpr size_t kV4Header = 20;
constexpr size_t kV6Header = 40;
constexpr uint8_t kIcmp = 1;
constexpr uint8_t kIcmp6 = 58;
constexpr uint8_t kEcnMask = 3;

uint32_t Sum(ByteView b, uint32_t sum = 0) {
  for (size_t i = 0; i + 1 < b.size(); i += 2) sum += LoadBe<uint16_t>(b.data() + i);
  if (b.size() % 2 != 0) sum += static_cast<uint32_t>(b.back()) << 8;
  return sum;
}
uint16_t Fold(uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

bool IsUnicast(const IpAddress& a) {
  const uint8_t first = a.bytes()[0];
  if (a == IpAddress() || first == 0xff) return false;
  if (!a.is_v6()) return first < 224;
  return std::any_of(a.bytes().begin(), a.bytes().end(), [](uint8_t b) { return b != 0; });
}

struct IcmpError {
  uint8_t type;
  uint8_t code;
  uint32_t word;  // the second one of the ICMP header
};

size_t WriteError4(const IcmpError& error,
                   ByteView packet,
                   std::span<uint8_t, kUnreachableMax> out) {
  const size_t header = size_t{packet[0] & 0x0fu} * 4;
  if (header < kV4Header || packet.size() < header) return 0;
  if ((LoadBe<uint16_t>(packet.data() + 6) & 0x1fff) != 0) return 0;
  if (packet[9] == kIcmp &&
      (packet.size() <= header || (packet[header] != 8 && packet[header] != 0)))
    return 0;
  const size_t quoted = std::min(packet.size(), size_t{548});  // RFC 1812: at most 576 in all
  const size_t size = kV4Header + 8 + quoted;
  std::fill_n(out.begin(), kV4Header + 8, uint8_t{0});
  out[0] = 0x45;
  out[1] = 0xc0;
  StoreBe(out.data() + 2, static_cast<uint16_t>(size));
  out[8] = 64;
  out[9] = kIcmp;
  std::copy_n(packet.begin() + 16, 4, out.begin() + 12);
  std::copy_n(packet.begin() + 12, 4, out.begin() + 16);
  StoreBe(out.data() + 10, Fold(Sum(ByteView(out).first(kV4Header))));
  out[kV4Header] = error.type;
  out[kV4Header + 1] = error.code;
  StoreBe(out.data() + kV4Header + 4, error.word);
  std::copy_n(packet.begin(), quoted, out.begin() + kV4Header + 8);
  StoreBe(out.data() + kV4Header + 2, Fold(Sum(ByteView(out).subspan(kV4Header, 8 + quoted))));
  return size;
}

size_t WriteError6(const IcmpError& error,
                   ByteView packet,
                   std::span<uint8_t, kUnreachableMax> out) {
  if (packet[6] == kIcmp6 && (packet.size() <= kV6Header || packet[kV6Header] < 128)) return 0;
  const size_t quoted = std::min(packet.size(), kUnreachableMax - kV6Header - 8);
  std::fill_n(out.begin(), kV6Header + 8, uint8_t{0});
  out[0] = 0x60;
  StoreBe(out.data() + 4, static_cast<uint16_t>(8 + quoted));
  out[6] = kIcmp6;
  out[7] = 64;
  std::copy_n(packet.begin() + 24, 16, out.begin() + 8);
  std::copy_n(packet.begin() + 8, 16, out.begin() + 24);
  out[kV6Header] = error.type;
  out[kV6Header + 1] = error.code;
  StoreBe(out.data() + kV6Header + 4, error.word);
  std::copy_n(packet.begin(), quoted, out.begin() + kV6Header + 8);
  const ByteView written(out);
  const uint32_t pseudo = Sum(written.subspan(8, 32), static_cast<uint32_t>(8 + quoted) + kIcmp6);
  StoreBe(out.data() + kV6Header + 2, Fold(Sum(written.subspan(kV6Header, 8 + quoted), pseudo)));
  return kV6Header + 8 + quoted;
}

size_t WriteError(const IcmpError& v4,
                  const IcmpError& v6,
                  ByteView packet,
                  std::span<uint8_t, kUnreachableMax> out) {
  const std::optional<InnerPacket> inner = ReadInner(packet);
  if (!inner || !IsUnicast(inner->source) || !IsUnicast(inner->destination)) return 0;
  packet = packet.first(inner->size);
  return packet[0] >> 4 == 4 ? WriteError4(v4, packet, out) : WriteError6(v6, packet, out);
}

}  // namespace

size_t PaddingFor(size_t size, size_t mtu_bytes) {
  size_t last = size;
  if (mtu_bytes != 0 && last > mtu_bytes) last %= mtu_bytes;
  size_t padded = (last + 15) & ~size_t{15};
  if (mtu_bytes != 0) padded = std::min(padded, mtu_bytes);
  return padded - last;
}

std::optional<InnerPacket> ReadInner(ByteView packet) {
  if (packet.size() < kV4Header) return std::nullopt;
  InnerPacket out;
  switch (packet[0] >> 4) {
    case 4:
      out.size = LoadBe<uint16_t>(packet.data() + 2);
      if (out.size < kV4Header || out.size > packet.size()) return std::nullopt;
      out.source = *IpAddress::From(packet.subspan(12, 4));
      out.destination = *IpAddress::From(packet.subspan(16, 4));
      out.ecn = packet[1] & kEcnMask;
      return out;
    case 6:
      if (packet.size() < kV6Header) return std::nullopt;
      out.size = size_t{LoadBe<uint16_t>(packet.data() + 4)} + kV6Header;
      if (out.size > packet.size()) return std::nullopt;
      out.source = *IpAddress::From(packet.subspan(8, 16));
      out.destination = *IpAddress::From(packet.subspan(24, 16));
      out.ecn = (packet[1] >> 4) & kEcnMask;
      return out;
    default: return std::nullopt;
  }
}

bool CombineEcn(uint8_t outer_tos, MutableBytes packet) {
  if ((outer_tos & kEcnMask) != kCongestionExperienced || packet.size() < kV4Header) return true;
  const bool v4 = packet[0] >> 4 == 4;
  const uint8_t inner = static_cast<uint8_t>((v4 ? packet[1] : packet[1] >> 4) & kEcnMask);
  if (inner == 0) return false;
  if (!v4) {
    packet[1] |= kCongestionExperienced << 4;
    return true;
  }
  const size_t header = size_t{packet[0] & 0x0fu} * 4;
  if (header < kV4Header || header > packet.size()) return true;
  packet[1] |= kCongestionExperienced;
  // RFC 1624: the sum grows by what was added to the word at 0.
  const uint32_t old_sum = static_cast<uint16_t>(~LoadBe<uint16_t>(packet.data() + 10));
  StoreBe(packet.data() + 10,
          Fold(old_sum + static_cast<uint32_t>(kCongestionExperienced - inner)));
  return true;
}

size_t WriteUnreachable(ByteView packet, std::span<uint8_t, kUnreachableMax> out) {
  constexpr IcmpError kHost{.type = 3, .code = 1, .word = 0};
  constexpr IcmpError kAddress{.type = 1, .code = 3, .word = 0};
  return WriteError(kHost, kAddress, packet, out);
}

size_t WriteTooBig(ByteView packet, uint16_t fits_bytes, std::span<uint8_t, kUnreachableMax> out) {
  constexpr uint8_t kDontFragment = 0x40;
  if (packet.size() < kV4Header || (packet[0] >> 4 == 4 && (packet[6] & kDontFragment) == 0))
    return 0;
  return WriteError({.type = 3, .code = 4, .word = fits_bytes},
                    {.type = 2, .code = 0, .word = fits_bytes},
                    packet,
                    out);
}

}  // namespace aqmesh::wireguard
