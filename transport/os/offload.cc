#include "transport/os/offload.h"

#include <netinet/in.h>

#include <algorithm>
#include <bit>

namespace aqmesh::os {

namespace {

constexpr size_t kIp4Min = 20;
constexpr size_t kIp6Size = 40;
constexpr size_t kUdpSize = 8;
constexpr size_t kTcpMin = 20;
constexpr uint8_t kTcpFin = 0x01;
constexpr uint8_t kTcpPsh = 0x08;
constexpr uint8_t kTcpCwr = 0x80;
constexpr size_t kTcpCsumAt = 16;
constexpr size_t kUdpCsumAt = 6;

template <typename T>
T LoadHost(const uint8_t* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// One packet's anatomy, checked against its own length and its virtio header.
struct Layout {
  bool v6 = false;
  bool tcp = false;
  size_t l4_at = 0;  // where TCP or UDP begins: csum_start, since v6 may carry extension headers
  size_t payload_at = 0;  // all headers end here
};

OffloadDrop ReadLayout(const VnetHeader& h, ByteView p, Layout& out) {
  const uint8_t type = h.gso_type & static_cast<uint8_t>(~kGsoEcn);
  if (type != kGsoTcp4 && type != kGsoTcp6 && type != kGsoUdpL4) return OffloadDrop::kUnknownGso;
  if (type == kGsoUdpL4 && (h.gso_type & kGsoEcn) != 0) return OffloadDrop::kUnknownGso;
  out.tcp = type != kGsoUdpL4;
  const unsigned version = p[0] >> 4;
  if (version != 4 && version != 6) return OffloadDrop::kFamilyMismatch;
  out.v6 = version == 6;
  if ((type == kGsoTcp4 && out.v6) || (type == kGsoTcp6 && !out.v6))
    return OffloadDrop::kFamilyMismatch;
  if (h.gso_size == 0) return OffloadDrop::kZeroGsoSize;

  const size_t ip_size = out.v6 ? kIp6Size : size_t{p[0] & 0x0fu} * 4;
  if (ip_size < kIp4Min || p.size() < ip_size) return OffloadDrop::kTooShort;
  out.l4_at = h.csum_start;
  // In v4 the transport header follows the IP header; in v6 there may be extension headers between.
  if (out.v6 ? out.l4_at < ip_size : out.l4_at != ip_size) return OffloadDrop::kBadHeaderLength;
  if (h.csum_offset != (out.tcp ? kTcpCsumAt : kUdpCsumAt)) return OffloadDrop::kBadCsumRange;
  const size_t l4_min = out.tcp ? kTcpMin : kUdpSize;
  if (p.size() < out.l4_at + l4_min) return OffloadDrop::kBadHeaderLength;
  const uint8_t wanted = out.tcp ? IPPROTO_TCP : IPPROTO_UDP;
  if (!out.v6 && p[9] != wanted) return OffloadDrop::kBadHeaderLength;
  if (out.v6 && out.l4_at == kIp6Size && p[6] != wanted) return OffloadDrop::kBadHeaderLength;
  size_t l4_size = kUdpSize;
  if (out.tcp) {
    l4_size = (size_t{p[out.l4_at + 12]} >> 4) * 4;
    if (l4_size < kTcpMin) return OffloadDrop::kBadHeaderLength;
  }
  out.payload_at = out.l4_at + l4_size;
  if (p.size() < out.payload_at) return OffloadDrop::kBadHeaderLength;
  return OffloadDrop::kNone;
}

void FixIp(MutableBytes s, const Layout& l, size_t index) {
  if (l.v6) {
    StoreBe<uint16_t>(&s[4], static_cast<uint16_t>(s.size() - kIp6Size));
    return;
  }
  StoreBe<uint16_t>(&s[2], static_cast<uint16_t>(s.size()));
  StoreBe<uint16_t>(&s[4], static_cast<uint16_t>(LoadBe<uint16_t>(&s[4]) + index));
  s[10] = s[11] = 0;
  StoreBe<uint16_t>(&s[10], static_cast<uint16_t>(~ChecksumFold(ChecksumAdd(s.first(l.l4_at), 0))));
}

// Every byte that leaves a super-packet, and every one that is joined to one, comes by here once.
// The loop is one that the compiler turns into as wide adds as the processor has.
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
__attribute__((target_clones("arch=x86-64-v4", "avx2", "default"), optimize("O3")))
#endif
uint64_t
SumWords(const uint8_t* p, size_t words) {
  uint64_t sum = 0;
  for (size_t i = 0; i < words; ++i) sum += LoadHost<uint32_t>(p + 4 * i);
  return sum;
}

void FixL4(MutableBytes s, const Layout& l, size_t payload_offset, bool first, bool last) {
  uint8_t* l4 = &s[l.l4_at];
  const size_t l4_size = s.size() - l.l4_at;
  uint8_t* csum = l4 + (l.tcp ? kTcpCsumAt : kUdpCsumAt);
  if (l.tcp) {
    StoreBe<uint32_t>(l4 + 4, LoadBe<uint32_t>(l4 + 4) + static_cast<uint32_t>(payload_offset));
    if (!last) l4[13] = static_cast<uint8_t>(l4[13] & ~(kTcpFin | kTcpPsh));
    if (!first) l4[13] = static_cast<uint8_t>(l4[13] & ~kTcpCwr);
  } else {
    StoreBe<uint16_t>(l4 + 4, static_cast<uint16_t>(l4_size));
  }
  csum[0] = csum[1] = 0;
  const ByteView ip = s;
  const uint8_t protocol = l.tcp ? IPPROTO_TCP : IPPROTO_UDP;
  const uint64_t pseudo =
      l.v6 ? PseudoHeaderSum(ip.subspan(8, 16), ip.subspan(24, 16), protocol, l4_size)
           : PseudoHeaderSum(ip.subspan(12, 4), ip.subspan(16, 4), protocol, l4_size);
  uint16_t sum = static_cast<uint16_t>(~ChecksumFold(ChecksumAdd(ip.subspan(l.l4_at), pseudo)));
  if (!l.tcp && sum == 0) sum = 0xffff;
  StoreBe<uint16_t>(csum, sum);
}

}  // namespace

VnetHeader ParseVnetHeader(std::span<const uint8_t, kVnetHeaderSize> b) {
  return {.flags = b[0],
          .gso_type = b[1],
          .hdr_len = LoadHost<uint16_t>(&b[2]),
          .gso_size = LoadHost<uint16_t>(&b[4]),
          .csum_start = LoadHost<uint16_t>(&b[6]),
          .csum_offset = LoadHost<uint16_t>(&b[8])};
}

void StoreVnetHeader(const VnetHeader& h, std::span<uint8_t, kVnetHeaderSize> b) {
  b[0] = h.flags;
  b[1] = h.gso_type;
  std::memcpy(&b[2], &h.hdr_len, 2);
  std::memcpy(&b[4], &h.gso_size, 2);
  std::memcpy(&b[6], &h.csum_start, 2);
  std::memcpy(&b[8], &h.csum_offset, 2);
}

// Sums are kept in network order, so that ChecksumFold's value is stored big-endian. A one's
// complement sum does not care for the width of the words added: 32-bit loads, swapped once at the
// end.
uint64_t ChecksumAdd(ByteView b, uint64_t initial) {
  const size_t words = b.size() / 4;
  uint64_t little = SumWords(b.data(), words);  // at most 16384 words of 32 bits: far from overflow
  const uint8_t* rest = b.data() + 4 * words;
  if ((b.size() & 2) != 0) {
    little += LoadHost<uint16_t>(rest);
    rest += 2;
  }
  if ((b.size() & 1) != 0)
    little += *rest;  // the odd byte is the high one in network order: the low one here
  static_assert(std::endian::native == std::endian::little);
  const uint16_t folded = ChecksumFold(little);
  return initial + static_cast<uint16_t>((folded << 8) | (folded >> 8));
}

uint16_t ChecksumFold(uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

uint64_t PseudoHeaderSum(ByteView source, ByteView destination, uint8_t protocol, size_t l4_size) {
  uint64_t sum = ChecksumAdd(source, 0);
  sum = ChecksumAdd(destination, sum);
  return sum + protocol + (l4_size & 0xffff) + (l4_size >> 16);
}

OffloadDrop CompleteChecksum(const VnetHeader& h, MutableBytes packet) {
  if ((h.flags & kVnetNeedsCsum) == 0) return OffloadDrop::kNone;
  const size_t at = size_t{h.csum_start} + h.csum_offset;
  if (at + 2 > packet.size()) return OffloadDrop::kBadCsumRange;
  // The field holds the pseudo header's sum, so summing over it includes that.
  uint16_t sum = static_cast<uint16_t>(~ChecksumFold(ChecksumAdd(packet.subspan(h.csum_start), 0)));
  // A zero would say "no checksum" in UDP; in TCP ffff is as good as 0.
  if (sum == 0 && h.csum_offset == kUdpCsumAt) sum = 0xffff;
  StoreBe<uint16_t>(&packet[at], sum);
  return OffloadDrop::kNone;
}

OffloadDrop Split(const VnetHeader& h, MutableBytes packet, PacketArena& out) {
  if (packet.size() < kIp4Min) return OffloadDrop::kTooShort;
  if (h.gso_type == kGsoNone) {
    if (const OffloadDrop why = CompleteChecksum(h, packet); why != OffloadDrop::kNone) return why;
    uint8_t* to = out.Reserve(packet.size());
    if (to == nullptr) return OffloadDrop::kArenaFull;
    std::memcpy(to, packet.data(), packet.size());
    return OffloadDrop::kNone;
  }
  Layout l;
  if (const OffloadDrop why = ReadLayout(h, packet, l); why != OffloadDrop::kNone) return why;
  const size_t payload = packet.size() - l.payload_at;
  const size_t count = std::max<size_t>(1, (payload + h.gso_size - 1) / h.gso_size);
  if (!out.HasRoomFor(count, l.payload_at + std::min<size_t>(h.gso_size, payload)))
    return OffloadDrop::kArenaFull;
  for (size_t i = 0; i < count; ++i) {
    const size_t offset = i * h.gso_size;
    const size_t size = std::min<size_t>(h.gso_size, payload - offset);
    uint8_t* to = out.Reserve(l.payload_at + size, /*follows=*/i > 0);
    std::memcpy(to, packet.data(), l.payload_at);
    std::memcpy(to + l.payload_at, packet.data() + l.payload_at + offset, size);
    const MutableBytes segment(to, l.payload_at + size);
    FixIp(segment, l, i);
    FixL4(segment, l, offset, i == 0, i + 1 == count);
  }
  return OffloadDrop::kNone;
}

}  // namespace aqmesh::os
