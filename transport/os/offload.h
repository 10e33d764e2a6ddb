// What the kernel left undone on a packet read from a TUN with IFF_VNET_HDR: checksums completed,
// TCP and UDP super-packets cut into MTU-sized segments (the way back: coalesce.h). Pure.
// Wire:   virtio_net_hdr, 10 bytes, host endian: flags u8, gso_type u8, hdr_len u16, gso_size u16,
//         csum_start u16, csum_offset u16. (linux/virtio_net.h; spec/wire.md §4)
// Bounds: input <= 65535 bytes; at most 65535 segments in theory, in practice as many as the arena holds.
// Errors: OffloadDrop, for a header that contradicts its packet; the arena is left as it was.
#ifndef AQMESH_TRANSPORT_OS_OFFLOAD_H_
#define AQMESH_TRANSPORT_OS_OFFLOAD_H_

#include <cstdint>

#include "core/base/bytes.h"
#include "transport/os/arena.h"

namespace aqmesh::os {

inline constexpr size_t kVnetHeaderSize = 10;
inline constexpr uint8_t kVnetNeedsCsum = 1;
inline constexpr uint8_t kGsoNone = 0;
inline constexpr uint8_t kGsoTcp4 = 1;
inline constexpr uint8_t kGsoTcp6 = 4;
inline constexpr uint8_t kGsoUdpL4 = 5;   // not in the headers of Linux 6.1
inline constexpr uint8_t kGsoEcn = 0x80;  // modifier of the TCP types

// What TUNSETOFFLOAD asks for: each kind of super-packet that may pass, read or written.
inline constexpr uint32_t kTunCsum = 0x01;  // the others need this one
inline constexpr uint32_t kTunTso4 = 0x02;
inline constexpr uint32_t kTunTso6 = 0x04;
inline constexpr uint32_t kTunUso4 = 0x20;  // Linux 6.2, and only both together;
inline constexpr uint32_t kTunUso6 = 0x40;  // not in the headers of 6.1
inline constexpr uint32_t kTunOffloads = kTunCsum | kTunTso4 | kTunTso6 | kTunUso4 | kTunUso6;

struct VnetHeader {
  uint8_t flags = 0;
  uint8_t gso_type = kGsoNone;
  uint16_t hdr_len = 0;
  uint16_t gso_size = 0;
  uint16_t csum_start = 0;
  uint16_t csum_offset = 0;
};
VnetHeader ParseVnetHeader(std::span<const uint8_t, kVnetHeaderSize> b);
void StoreVnetHeader(const VnetHeader& h, std::span<uint8_t, kVnetHeaderSize> b);

enum class OffloadDrop : uint8_t {
  kNone,
  kTooShort,         // shorter than an IP header, or empty
  kBadCsumRange,     // csum_start or csum_offset outside the packet
  kUnknownGso,       // gso_type that was never negotiated
  kFamilyMismatch,   // gso_type says v4 and the version nibble v6, or the reverse
  kBadHeaderLength,  // L4 header not inside the packet, TCP data offset < 20, not TCP/UDP
  kZeroGsoSize,
  kArenaFull,
};

// The 16-bit one's complement sum (RFC 1071) of `b` on top of `initial`, not yet complemented or
// folded.
uint64_t ChecksumAdd(ByteView b, uint64_t initial);
uint16_t ChecksumFold(uint64_t sum);  // folded, not complemented
// Sum of the pseudo header of an IPv4 or IPv6 packet whose L4 part is `l4_size` bytes of
// `protocol`.
uint64_t PseudoHeaderSum(ByteView source, ByteView destination, uint8_t protocol, size_t l4_size);

// Completes the checksum that NEEDS_CSUM asks for, in place. UDP's zero becomes ffff.
OffloadDrop CompleteChecksum(const VnetHeader& h, MutableBytes packet);

// Puts the packet or its segments into `out`, each finished as if it had been sent alone: lengths,
// IPv4 ids and header checksums, TCP sequence and flags (FIN and PSH on the last only, CWR on the
// first only), L4 checksum. hdr_len is not trusted.
OffloadDrop Split(const VnetHeader& h, MutableBytes packet, PacketArena& out);

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_OFFLOAD_H_
