// Several pairs of sockets on one port: one for handshakes and whatever else is no data, and one
// for each data thread. So neither a flood of handshakes nor one of data fills the other's queue,
// and a datagram comes to the thread that its receiver index names, without a thread in between.
// Spec:   SO_REUSEPORT with a classic BPF program (Linux 4.5); spec/performance.md §5.
// Bounds: kDataLanesMax data lanes. Thread: opening from one; each pair then has an owner.
// Errors: as UdpPair::Open. Another program's claim to the port is found out (AlreadyExists), also
//         one that shares its port.
#ifndef AQMESH_TRANSPORT_OS_UDP_GROUP_H_
#define AQMESH_TRANSPORT_OS_UDP_GROUP_H_

#include <memory>
#include <span>
#include <vector>

#include "transport/os/udp.h"

namespace aqmesh::os {

// A datagram that begins with `first` is data, and its byte at `at` names the lane: modulo their
// number.
struct SteerRule {
  uint8_t first = 0;
  uint8_t at = 0;
};

struct UdpGroup {
  static constexpr size_t kDataLanesMax = 16;
  static constexpr size_t kSteerRulesMax = 4;

  std::unique_ptr<UdpPair> control;            // what no rule names, and what is too short for it
  std::vector<std::unique_ptr<UdpPair>> data;  // by lane

  // lanes: 1 to kDataLanesMax.
  static absl::StatusOr<UdpGroup> Open(const UdpPair::Options& options,
                                       size_t lanes,
                                       std::span<const SteerRule> rules);
};

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_UDP_GROUP_H_
