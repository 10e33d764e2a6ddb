// rtnetlink, by hand: links, addresses, routes, and the watch on links.
// Spec:   RFC 3549; linux/rtnetlink.h. Every change is acknowledged by the kernel before the call returns; to
//         confirm an effect, dump it again through a second Netlink (another socket).
// Bounds: dumps are refused above kDumpMax entries. Thread: one owner; calls block (microseconds).
// Errors: absl::Status with the object, the kernel's word and the mend. Adding what is there, or removing what is
//         not, is AlreadyExists or NotFound: the caller decides whether that is success.
#ifndef AQMESH_TRANSPORT_OS_NETLINK_H_
#define AQMESH_TRANSPORT_OS_NETLINK_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/net.h"
#include "core/base/status.h"
#include "transport/os/fd.h"

namespace aqmesh::os {

inline constexpr size_t kDumpMax = 65536;
inline constexpr uint8_t kRouteProtocolAqmesh =
    0xa1;  // marks the routes that are ours, and only ours are removed
inline constexpr uint32_t kRouteTableMain = 254;

struct Link {
  uint32_t index = 0;
  std::string name;
  uint32_t mtu = 0;
  bool up = false;
  bool operator==(const Link&) const = default;
};

// An interface's address, host bits kept.
struct InterfaceAddress {
  uint32_t ifindex = 0;
  IpAddress address;
  uint8_t length = 0;
  bool operator==(const InterfaceAddress&) const = default;
};

struct Route {
  Prefix destination;
  uint32_t ifindex = 0;
  uint32_t table = kRouteTableMain;
  uint32_t metric = 0;  // 0 = the kernel's default
  uint8_t protocol = kRouteProtocolAqmesh;
  std::optional<IpAddress> gateway = std::nullopt;  // only read back; ours are device routes
  std::optional<IpAddress> preferred_source = std::nullopt;  // "src"
  bool operator==(const Route&) const = default;
};

class Netlink {
 public:
  static absl::StatusOr<std::unique_ptr<Netlink>> Open();
  int fd() const { return fd_.get(); }

  absl::StatusOr<Link> LinkByName(std::string_view name);
  absl::StatusOr<Link> LinkByIndex(uint32_t ifindex);
  absl::StatusOr<std::vector<Link>> Links();
  absl::Status SetUp(uint32_t ifindex, bool up);
  absl::Status SetMtu(uint32_t ifindex, uint32_t mtu);
  // How long a super-packet may be that the kernel hands to the interface, of either family.
  // Kernels before 6.3 know it for both families together.
  absl::Status SetGsoMax(uint32_t ifindex, uint32_t bytes);

  // IPv6 without duplicate address detection; neither family gets the kernel's prefix route.
  absl::Status AddAddress(const InterfaceAddress& address);
  absl::Status RemoveAddress(const InterfaceAddress& address);
  absl::StatusOr<std::vector<InterfaceAddress>> Addresses(
      std::optional<uint32_t> ifindex = std::nullopt);

  absl::Status AddRoute(const Route& route);
  absl::Status RemoveRoute(const Route& route);
  // Unicast routes of both families; of one device or all, of one protocol or all.
  absl::StatusOr<std::vector<Route>> Routes(std::optional<uint32_t> ifindex = std::nullopt,
                                            std::optional<uint8_t> protocol = std::nullopt);

 private:
  explicit Netlink(Fd fd) : fd_(std::move(fd)) {}
  class Request;
  // Sends and waits for the acknowledgement: 0 or an errno value.
  int Transact(Request& request);
  // Sends a dump request and hands over each answer's payload; an errno value or 0.
  template <typename OnMessage>
  int Dump(Request& request, OnMessage on_message);
  absl::StatusOr<Link> GetLink(Request& request, std::string_view what);

  Fd fd_;
  uint32_t sequence_ = 0;
};

struct LinkEvent {
  Link link;
  bool deleted = false;
};

// Hears of changes to links of the namespace it was opened in.
class LinkWatch {
 public:
  static absl::StatusOr<std::unique_ptr<LinkWatch>> Open();
  int fd() const { return fd_.get(); }
  // Appends what has come. False: the kernel's queue overflowed and events were lost; read the
  // state afresh.
  bool Drain(std::vector<LinkEvent>& out);

 private:
  explicit LinkWatch(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_NETLINK_H_
