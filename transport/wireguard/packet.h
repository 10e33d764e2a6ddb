// What the data path must know of the IP packets inside: addresses, true length, padding, ECN, and
// the ICMP errors for a packet that has no way out or is too long for it.
// Spec:   spec/wire.md §1.9; RFC 6040 (ECN in tunnels); RFC 792, RFC 4443 (unreachable);
//         RFC 1191, RFC 4443 §3.2 (too big).
// Errors: nullopt for what is not one whole IPv4 or IPv6 packet. Thread: pure.
#ifndef AQMESH_TRANSPORT_WIREGUARD_PACKET_H_
#define AQMESH_TRANSPORT_WIREGUARD_PACKET_H_

#include <optional>

#include "core/base/bytes.h"
#include "core/base/net.h"

namespace aqmesh::wireguard {

// Zero bytes to append: up to a multiple of 16, never past the MTU. mtu 0: no clamp.
size_t PaddingFor(size_t size, size_t mtu_bytes);

struct InnerPacket {
  IpAddress source;
  IpAddress destination;
  size_t size = 0;  // what the IP header says; at most what was given
  uint8_t ecn = 0;
};
// Of a whole packet that may be followed by padding.
std::optional<InnerPacket> ReadInner(ByteView packet);

inline constexpr uint8_t kCongestionExperienced = 3;  // of the two ECN bits (RFC 3168)
// Carries a congestion mark of the outer header inward, mending the IPv4 checksum. False: the
// packet must be dropped, because the mark came on one whose sender cannot hear it.
[[nodiscard]] bool CombineEcn(uint8_t outer_tos, MutableBytes packet);

inline constexpr size_t kUnreachableMax =
    40 + 8 + 1232;  // an ICMPv6 error fits the least MTU of 1280
// Writes "host unreachable" (v4) or "address unreachable" (v6) for `packet` to out, from its
// destination to its source. 0: none may be sent (an ICMP error itself, a multicast or unspecified
// address, a later fragment).
size_t WriteUnreachable(ByteView packet, std::span<uint8_t, kUnreachableMax> out);
// The same for a packet that is longer than the way out allows: "fragmentation needed" (v4) or
// "packet too big" (v6), with what would fit. 0 also for an IPv4 packet that may be fragmented.
size_t WriteTooBig(ByteView packet, uint16_t fits_bytes, std::span<uint8_t, kUnreachableMax> out);

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_PACKET_H_
