// What aqmeshd and aqmesh-net say to each other: a closed set of messages over one SOCK_SEQPACKET
// pair, and the order in which they may come. aqmesh-net holds CAP_NET_ADMIN; whoever owns aqmeshd
// gets these messages and nothing else.
// Spec:   spec/reliability.md §5 (processes): closed enum, allowed-order state machine.
// Wire:   one message a packet: u8 kind, then its fields, big endian. address = u8 size (4 or 16)
// || bytes;
//         prefix = address || u8 length; list = u16 count || items; text = u16 size || bytes.
//           request  1 OPEN_TUN mtu u32 || name text      2 SET_UP u8
//                    3 ADD_ADDRESS address                4 REMOVE_ADDRESS address
//                    5 ADD_ROUTE prefix                   6 REMOVE_ROUTE prefix
//                    7 READ_BACK                          8 MACHINE_ADDRESSES
//           reply   65 DONE                              66 FAILED u8 code || text
//                   67 TUN ifindex u32 || name text, with one descriptor
//                   68 STATE up u8 || mtu u32 || addresses list || routes list
//                   69 ADDRESSES list
// Bounds: kAddressesMax own addresses (host prefixes), kRoutesMax routes, none wider than MayRoute allows,
//         kMachineAddressesMax addresses of the machine.
// Thread: values. Errors: InvalidArgument naming the message; the parser reads all bytes or
// nothing.
#ifndef AQMESH_DAEMON_NET_NET_PROTOCOL_H_
#define AQMESH_DAEMON_NET_NET_PROTOCOL_H_

#include <absl/status/statusor.h>

#include <string>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/net.h"

namespace aqmesh::daemon {

inline constexpr size_t kAddressesMax = 16;
inline constexpr size_t kRoutesMax = 256;
inline constexpr size_t kQueuesMax = 64;  // 16 data threads with 4 each
inline constexpr size_t kMachineAddressesMax = 256;
inline constexpr uint32_t kMtuMin = 576, kMtuMax = 65535;

namespace net {

// ---- requests ----
struct OpenTun {
  uint32_t mtu = 0;
  uint8_t queues = 1;  // descriptors to open on it: 1 to kQueuesMax
  std::string name;
  bool operator==(const OpenTun&) const = default;
};
struct SetUp {
  bool up = false;
  bool operator==(const SetUp&) const = default;
};
struct AddAddress {
  IpAddress address;
  bool operator==(const AddAddress&) const = default;
};
struct RemoveAddress {
  IpAddress address;
  bool operator==(const RemoveAddress&) const = default;
};
struct AddRoute {
  Prefix prefix;
  bool operator==(const AddRoute&) const = default;
};
struct RemoveRoute {
  Prefix prefix;
  bool operator==(const RemoveRoute&) const = default;
};
struct ReadBack {
  bool operator==(const ReadBack&) const = default;
};
struct MachineAddresses {
  bool operator==(const MachineAddresses&) const = default;
};
using Request = std::variant<OpenTun,
                             SetUp,
                             AddAddress,
                             RemoveAddress,
                             AddRoute,
                             RemoveRoute,
                             ReadBack,
                             MachineAddresses>;

// ---- replies ----
struct Done {
  bool operator==(const Done&) const = default;
};
struct Failed {
  absl::StatusCode code = absl::StatusCode::kInternal;
  std::string text;
  bool operator==(const Failed&) const = default;
};
struct TunOpened {
  uint32_t ifindex = 0;
  std::string name;
  bool operator==(const TunOpened&) const = default;
};
// The interface as a fresh dump through another socket shows it. Only aqmesh's own routes.
struct State {
  bool up = false;
  uint32_t mtu = 0;
  std::vector<Prefix> addresses;
  std::vector<Prefix> routes;
  bool operator==(const State&) const = default;
};
// Addresses under which others might reach this machine: no loopback, link-local or aqmesh
// interface.
struct Addresses {
  std::vector<IpAddress> list;
  bool operator==(const Addresses&) const = default;
};
using Reply = std::variant<Done, Failed, TunOpened, State, Addresses>;

}  // namespace net

Bytes Encode(const net::Request& request);
Bytes Encode(const net::Reply& reply);
absl::StatusOr<net::Request> ParseRequest(ByteView bytes);
absl::StatusOr<net::Reply> ParseReply(ByteView bytes);

// No default route and nothing that would swallow an internet: at least /8 (IPv4) or /16 (IPv6)
// long, unicast, not loopback or link-local.
bool MayRoute(const Prefix& prefix);

// Could others reach this machine under it? Not loopback, link-local, multicast or unspecified.
bool IsReachableAddress(const IpAddress& address);

// Which request may come now. One that may not means that the other process is not ours any more:
// the monitor undoes what it did and exits.
class NetOrder {
 public:
  // nullptr: in order, and counted. Else which rule it broke.
  const char* Admit(const net::Request& request);

 private:
  bool opened_ = false;
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_NET_NET_PROTOCOL_H_
