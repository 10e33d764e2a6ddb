// The engine's end of the pair to aqmesh-net.
// Spec:   net_protocol.h. Bounds: one request in flight; an answer within kAnswerSeconds.
// Thread: one owner; calls block for as long as a netlink call takes (microseconds).
// Errors: what aqmesh-net said, as it said it; NotFound when it is gone; Unavailable when it is silent.
#ifndef AQMESH_DAEMON_NET_NET_CLIENT_H_
#define AQMESH_DAEMON_NET_NET_CLIENT_H_

#include <memory>
#include <vector>

#include "daemon/net/net_protocol.h"
#include "transport/os/fd.h"

namespace aqmesh::daemon {

class NetClient {
 public:
  static constexpr int kAnswerSeconds = 5;

  // `fd`: one end of os::SequencedPair(), whose other end aqmesh-net has.
  static absl::StatusOr<std::unique_ptr<NetClient>> Take(os::Fd fd);

  struct Interface {
    std::vector<os::Fd> queues;  // as many as asked for, or one: more it does not have
    uint32_t ifindex = 0;
    std::string name;
  };
  absl::StatusOr<Interface> OpenTun(const std::string& name, uint32_t mtu, size_t queues);
  // Any request that is answered by DONE.
  absl::Status Do(const net::Request& request);
  absl::StatusOr<net::State> ReadBack();
  absl::StatusOr<std::vector<IpAddress>> MachineAddresses();

  int fd() const { return fd_.get(); }  // to watch: when readable, ask IsGone()
  bool IsGone() const;

 private:
  explicit NetClient(os::Fd fd) : fd_(std::move(fd)) {}
  absl::StatusOr<net::Reply> Ask(const net::Request& request, std::vector<os::Fd>& fds);
  template <class T>
  absl::StatusOr<T> AskFor(const net::Request& request, std::vector<os::Fd>& fds);

  os::Fd fd_;
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_NET_NET_CLIENT_H_
