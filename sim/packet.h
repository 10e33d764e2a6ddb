// Probe packets: what the machines of a world send each other, and how they are known again.
// Wire: IPv6, UDP port 7 unless said otherwise, payload = the mark, BE32. Thread: pure.
#ifndef AQMESH_SIM_PACKET_H_
#define AQMESH_SIM_PACKET_H_

#include <optional>

#include "core/base/bytes.h"
#include "core/base/net.h"

namespace aqmesh::sim {

inline constexpr uint16_t kProbePort = 7;

// With a right checksum.
Bytes ProbePacket(const IpAddress& src, const IpAddress& dst, uint16_t port, uint32_t mark);
std::optional<uint32_t> MarkOf(ByteView packet);  // of a probe

}  // namespace aqmesh::sim

#endif  // AQMESH_SIM_PACKET_H_
