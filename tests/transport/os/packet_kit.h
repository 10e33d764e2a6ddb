// Packets for the tests of splitting and joining, and a checksum that shares no code with ours.
#ifndef AQMESH_TESTS_TRANSPORT_OS_PACKET_KIT_H_
#define AQMESH_TESTS_TRANSPORT_OS_PACKET_KIT_H_

#include <netinet/in.h>

#include <algorithm>

#include "core/base/bytes.h"

namespace aqmesh::os::kit {

struct Spec {
  bool v6 = false;
  bool tcp = true;
  uint16_t port = 1000;
  uint32_t seq = 0;  // of UDP: no part of the packet
  uint16_t id = 0;
  bool df = true;
  uint8_t tos = 0;
  uint8_t ttl = 64;
  uint8_t flags = 0x10;
  size_t options = 0;  // of TCP, a multiple of four
  size_t payload = 100;
};

// RFC 1071, a byte at a time.
inline uint16_t Sum(ByteView b, uint32_t start = 0) {
  uint32_t sum = start;
  const uint8_t* p = b.data();  // the fuzzer spends its time here
  for (size_t left = b.size(); left > 0; --left, ++p) {
    sum += (b.size() - left) % 2 == 0 ? uint32_t{*p} << 8 : uint32_t{*p};
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

inline bool IsV6(ByteView p) { return p[0] >> 4 == 6; }
// Over the pseudo header and all from `l4_at` on: ffff when the checksum there is right.
inline uint16_t SumL4(ByteView p, size_t l4_at, uint8_t protocol) {
  const bool v6 = IsV6(p);
  const ByteView addresses = v6 ? p.subspan(8, 32) : p.subspan(12, 8);
  const auto size = static_cast<uint32_t>(p.size() - l4_at);
  const uint16_t length = Sum(Bytes{0, 0}, (size >> 16) + (size & 0xffff) + protocol);
  return Sum(p.subspan(l4_at), Sum(addresses, length));
}

// Writes the lengths and the checksums that belong to the packet as it is now: for TCP and UDP
// right behind a plain header; others stay as they are.
inline void Mend(Bytes& p) {
  if (p.size() < 28 || (p[0] != 0x45 && (!IsV6(p) || p.size() < 48))) return;
  const bool v6 = IsV6(p);
  const size_t l4_at = v6 ? 40 : 20;
  const uint8_t protocol = v6 ? p[6] : p[9];
  if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) return;
  if (protocol == IPPROTO_TCP && p.size() < l4_at + 20) return;
  if (v6) {
    StoreBe<uint16_t>(&p[4], static_cast<uint16_t>(p.size() - 40));
  } else {
    StoreBe<uint16_t>(&p[2], static_cast<uint16_t>(p.size()));
    StoreBe<uint16_t>(&p[10], 0);
    StoreBe<uint16_t>(&p[10], static_cast<uint16_t>(~Sum(ByteView(p).first(20))));
  }
  const size_t csum_at = l4_at + (protocol == IPPROTO_TCP ? 16 : 6);
  if (protocol == IPPROTO_UDP)
    StoreBe<uint16_t>(&p[l4_at + 4], static_cast<uint16_t>(p.size() - l4_at));
  StoreBe<uint16_t>(&p[csum_at], 0);
  uint16_t sum = static_cast<uint16_t>(~SumL4(p, l4_at, protocol));
  if (sum == 0 && protocol == IPPROTO_UDP) sum = 0xffff;
  StoreBe<uint16_t>(&p[csum_at], sum);
}

// The payload is the stream from `seq` on, so that segments put in a wrong place are seen.
inline Bytes Make(const Spec& s) {
  const size_t l4_at = s.v6 ? 40 : 20;
  const size_t head = l4_at + (s.tcp ? 20 + s.options : 8);
  Bytes p(head + s.payload);
  if (s.v6) {
    StoreBe<uint32_t>(p.data(), 0x60000000u | uint32_t{s.tos} << 20);
    p[6] = s.tcp ? IPPROTO_TCP : IPPROTO_UDP;
    p[7] = s.ttl;
    for (size_t i = 8; i < 40; ++i) p[i] = static_cast<uint8_t>(i);
  } else {
    p[0] = 0x45, p[1] = s.tos;
    StoreBe<uint16_t>(&p[4], s.id);
    p[6] = s.df ? 0x40 : 0;
    p[8] = s.ttl;
    p[9] = s.tcp ? IPPROTO_TCP : IPPROTO_UDP;
    for (size_t i = 12; i < 20; ++i) p[i] = static_cast<uint8_t>(i);
  }
  uint8_t* l4 = &p[l4_at];
  StoreBe<uint16_t>(l4, s.port);
  StoreBe<uint16_t>(l4 + 2, 5201);
  if (s.tcp) {
    StoreBe<uint32_t>(l4 + 4, s.seq);
    StoreBe<uint32_t>(l4 + 8, 77);
    l4[12] = static_cast<uint8_t>((20 + s.options) / 4 << 4);
    l4[13] = s.flags;
    StoreBe<uint16_t>(l4 + 14, 500);
    std::fill_n(l4 + 20, s.options, uint8_t{1});
  }
  for (size_t i = 0; i < s.payload; ++i) {
    const uint64_t at = s.seq + i;
    p[head + i] = static_cast<uint8_t>(at * 0x9e3779b97f4a7c15u >> 56);
  }
  Mend(p);
  return p;
}

}  // namespace aqmesh::os::kit

#endif  // AQMESH_TESTS_TRANSPORT_OS_PACKET_KIT_H_
