// The monitor: carries out the few changes of the kernel's tables that the engine may ask for, on
// its own interface and under its own route protocol, and takes all of them back when the engine
// goes.
// Spec:   spec/reliability.md §5 (aqmesh-net); spec/authority.md F (read back by another path).
// Bounds: those of net_protocol.h; one interface; nothing of another interface is ever changed.
// Thread: one; Serve blocks. Errors: each request's own in its answer; Serve's are the end.
#ifndef AQMESH_DAEMON_NET_NET_MONITOR_H_
#define AQMESH_DAEMON_NET_NET_MONITOR_H_

#include <memory>
#include <vector>

#include "daemon/net/net_protocol.h"
#include "transport/os/fd.h"
#include "transport/os/netlink.h"

namespace aqmesh::daemon {

class NetMonitor {
 public:
  static absl::StatusOr<std::unique_ptr<NetMonitor>> Open();

  // Answers requests on `fd` until the engine closes it (OK) or breaks the protocol. Undoes on the
  // way out.
  absl::Status Serve(int fd);

 private:
  NetMonitor(std::unique_ptr<os::Netlink> writer, std::unique_ptr<os::Netlink> reader)
      : writer_(std::move(writer)), reader_(std::move(reader)) {}
  net::Reply Answer(const net::Request& request, std::vector<os::Fd>& pass);
  absl::Status Change(const net::Request& request);
  absl::StatusOr<net::Reply> OpenTun(const net::OpenTun& request, std::vector<os::Fd>& pass);
  absl::Status AddAddress(const IpAddress& address);
  absl::Status AddRoute(const Prefix& prefix);
  absl::StatusOr<net::State> ReadBack();
  absl::StatusOr<net::Addresses> MachineAddresses();
  os::InterfaceAddress Own(const IpAddress& address) const;
  os::Route Own(const Prefix& prefix) const;
  void Undo();

  std::unique_ptr<os::Netlink> writer_;
  std::unique_ptr<os::Netlink>
      reader_;  // another socket: what the first one claims is not believed
  NetOrder order_;
  uint32_t ifindex_ = 0;
  std::vector<IpAddress> addresses_;  // put there by us, in order
  std::vector<Prefix> routes_;
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_NET_NET_MONITOR_H_
