// Echo requests that the daemon itself sends through the tunnel, for `ping`, and the replies to
// them.
// Spec:   RFC 792, RFC 4443 §4; the reply is known by identifier, sequence and both addresses.
// Thread: values, pure. Errors: a packet that is no reply of ours is nullopt.
#ifndef AQMESH_DAEMON_ECHO_H_
#define AQMESH_DAEMON_ECHO_H_

#include <optional>

#include "core/base/bytes.h"
#include "core/base/net.h"

namespace aqmesh::daemon {

struct Echo {
  IpAddress from, to;  // both of one family
  uint16_t id = 0, sequence = 0;
  bool operator==(const Echo&) const = default;
};

// A whole IP packet with `payload_bytes` of zeros.
Bytes EchoRequest(const Echo& echo, size_t payload_bytes);
// The request that this packet answers (from and to as in the request).
std::optional<Echo> ParseEchoReply(ByteView packet);

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_ECHO_H_
