// What a data thread waits for: its lane's ends, and one descriptor by which others call it.
// Bounds: one TUN and one pair of sockets at a time. Thread: one owner. Errors: absl::Status.
#ifndef AQMESH_DAEMON_LANE_LANE_POLL_H_
#define AQMESH_DAEMON_LANE_LANE_POLL_H_

#include <absl/status/statusor.h>

#include "daemon/lane/packet_lane.h"
#include "transport/os/fd.h"

namespace aqmesh::daemon {

class LanePoll {
 public:
  static absl::StatusOr<LanePoll> Open();

  absl::Status WatchCalls(int fd);
  absl::Status WatchTun(const os::Tun& tun);  // all its queues
  void ForgetTun(const os::Tun& tun);
  absl::Status WatchUdp(const os::UdpPair& udp);  // closing it forgets it

  struct Ready {
    bool called = false, tun = false, udp4 = false, udp6 = false;
  };
  // wait_ms as epoll_wait has it. The lane hears which queues of its TUN are readable.
  absl::StatusOr<Ready> Wait(int wait_ms, PacketLane& lane);

 private:
  explicit LanePoll(os::Fd epoll) : epoll_(std::move(epoll)) {}
  absl::Status Watch(int fd, uint32_t tag);

  os::Fd epoll_;
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_LANE_LANE_POLL_H_
