#include "transport/os/netlink.h"

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>

namespace aqmesh::os {

namespace {

constexpr size_t kReceiveBytes = 64 * 1024;
constexpr time_t kAnswerSeconds =
    5;  // the kernel answers at once; a lost answer must not hang a daemon

absl::StatusOr<Fd> OpenSocket(uint32_t groups, int extra_flags) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | extra_flags, NETLINK_ROUTE));
  if (!fd.valid())
    return ErrnoStatus(
        errno, "opening a netlink socket", "AF_NETLINK must be allowed for this process");
  sockaddr_nl a{};
  a.nl_family = AF_NETLINK;
  a.nl_groups = groups;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) < 0)
    return ErrnoStatus(errno, "binding a netlink socket");
  const timeval timeout{.tv_sec = kAnswerSeconds, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  return fd;
}

// The attributes behind a message's fixed part, by type; lengths checked. Unknown types are left
// out.
template <size_t N>
struct Attributes {
  std::array<ByteView, N> by_type{};
  std::array<bool, N> present{};

  explicit Attributes(ByteView b) {
    while (b.size() >= sizeof(rtattr)) {
      rtattr a;
      std::memcpy(&a, b.data(), sizeof a);
      if (a.rta_len < sizeof(rtattr) || a.rta_len > b.size()) return;
      const size_t type = a.rta_type & 0x3fffu;  // without the nested and byte-order flags
      if (type < N) {
        by_type[type] = b.subspan(sizeof(rtattr), a.rta_len - sizeof(rtattr));
        present[type] = true;
      }
      b = b.subspan(std::min<size_t>(b.size(), RTA_ALIGN(a.rta_len)));
    }
  }
  std::optional<uint32_t> U32(size_t type) const {
    if (!present[type] || by_type[type].size() != 4) return std::nullopt;
    return LoadLe<uint32_t>(by_type[type].data());  // host order
  }
  std::optional<IpAddress> Address(size_t type) const {
    return present[type] ? IpAddress::From(by_type[type]) : std::nullopt;
  }
};

template <typename T>
bool ReadFixed(ByteView payload, T& out) {
  if (payload.size() < sizeof(T)) return false;
  std::memcpy(&out, payload.data(), sizeof(T));
  return true;
}
template <typename T>
ByteView AfterFixed(ByteView payload) {
  return payload.subspan(std::min<size_t>(payload.size(), NLMSG_ALIGN(sizeof(T))));
}

std::optional<Link> ReadLink(ByteView payload) {
  ifinfomsg m;
  if (!ReadFixed(payload, m)) return std::nullopt;
  const Attributes<IFLA_MTU + 1> a(AfterFixed<ifinfomsg>(payload));
  Link out;
  out.index = static_cast<uint32_t>(m.ifi_index);
  out.up = (m.ifi_flags & IFF_UP) != 0;
  const std::string_view name = AsText(a.by_type[IFLA_IFNAME]);
  out.name = std::string(name.substr(0, name.find('\0')));
  out.mtu = a.U32(IFLA_MTU).value_or(0);
  return out;
}

std::optional<InterfaceAddress> ReadAddress(ByteView payload) {
  ifaddrmsg m;
  if (!ReadFixed(payload, m)) return std::nullopt;
  const Attributes<IFA_LOCAL + 1> a(AfterFixed<ifaddrmsg>(payload));
  // On point-to-point links IFA_ADDRESS is the peer's end, IFA_LOCAL ours.
  auto address = a.Address(IFA_LOCAL);
  if (!address) address = a.Address(IFA_ADDRESS);
  if (!address) return std::nullopt;
  return InterfaceAddress{.ifindex = m.ifa_index, .address = *address, .length = m.ifa_prefixlen};
}

std::optional<Route> ReadRoute(ByteView payload) {
  rtmsg m;
  if (!ReadFixed(payload, m) || m.rtm_type != RTN_UNICAST || (m.rtm_flags & RTM_F_CLONED) != 0)
    return std::nullopt;
  if (m.rtm_family != AF_INET && m.rtm_family != AF_INET6) return std::nullopt;
  const Attributes<RTA_TABLE + 1> a(AfterFixed<rtmsg>(payload));
  Route out;
  auto to = a.Address(RTA_DST);
  if (!to) to = m.rtm_family == AF_INET6 ? IpAddress::From(Bytes(16, 0)) : IpAddress();
  const auto prefix = Prefix::Make(*to, m.rtm_dst_len);
  const auto device = a.U32(RTA_OIF);
  if (!prefix || !device) return std::nullopt;
  out.destination = *prefix;
  out.ifindex = *device;
  out.table = a.U32(RTA_TABLE).value_or(m.rtm_table);
  out.metric = a.U32(RTA_PRIORITY).value_or(0);
  out.protocol = m.rtm_protocol;
  out.gateway = a.Address(RTA_GATEWAY);
  out.preferred_source = a.Address(RTA_PREFSRC);
  return out;
}

uint8_t FamilyOf(const IpAddress& a) { return a.is_v6() ? AF_INET6 : AF_INET; }

std::string Describe(const InterfaceAddress& a) {
  return Join("address ", a.address.ToString(), "/", int{a.length}, " on interface ", a.ifindex);
}
std::string Describe(const Route& r) {
  return Join("route to ",
              r.destination.ToString(),
              " through interface ",
              r.ifindex,
              " in table ",
              r.table);
}
constexpr std::string_view kNeedsNetAdmin =
    "needs CAP_NET_ADMIN; see `ip link`, `ip addr`, `ip route`";

}  // namespace

// A message under construction: header, fixed part, attributes.
class Netlink::Request {
 public:
  template <typename T>
  Request(uint16_t type, uint16_t flags, const T& fixed) {
    bytes_.resize(NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(T)));
    std::memcpy(bytes_.data() + NLMSG_HDRLEN, &fixed, sizeof fixed);
    header_.nlmsg_type = type;
    header_.nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST);
  }
  void Put(uint16_t type, ByteView value) {
    rtattr a{};
    a.rta_len = static_cast<uint16_t>(sizeof(rtattr) + value.size());
    a.rta_type = type;
    const size_t at = bytes_.size();
    bytes_.resize(at + RTA_ALIGN(a.rta_len));
    std::memcpy(bytes_.data() + at, &a, sizeof a);
    std::memcpy(bytes_.data() + at + sizeof a, value.data(), value.size());
  }
  void PutU32(uint16_t type, uint32_t value) {
    uint8_t b[4];
    std::memcpy(b, &value, 4);
    Put(type, b);
  }
  ByteView Finish(uint32_t sequence) {
    header_.nlmsg_seq = sequence;
    header_.nlmsg_len = static_cast<uint32_t>(bytes_.size());
    std::memcpy(bytes_.data(), &header_, sizeof header_);
    return bytes_;
  }
  void AddFlags(uint16_t flags) {
    header_.nlmsg_flags = static_cast<uint16_t>(header_.nlmsg_flags | flags);
  }

 private:
  nlmsghdr header_{};
  Bytes bytes_;
};

namespace {

int SendRequest(int fd, ByteView bytes) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const ssize_t n = ::sendto(
      fd, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
  return n == static_cast<ssize_t>(bytes.size()) ? 0 : n < 0 ? errno : EIO;
}

// Calls on_message(header, payload) for each message of one datagram from the kernel; false from it
// stops.
template <typename OnMessage>
int ReceiveOnce(int fd, Bytes& buffer, int flags, OnMessage on_message) {
  sockaddr_nl from{};
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  msghdr m{};
  m.msg_name = &from;
  m.msg_namelen = sizeof from;
  m.msg_iov = &part;
  m.msg_iovlen = 1;
  const ssize_t n = ::recvmsg(fd, &m, flags);
  if (n < 0) return errno;
  if (from.nl_pid != 0) return 0;  // only the kernel is believed
  if ((m.msg_flags & MSG_TRUNC) != 0) return EMSGSIZE;
  ByteView rest(buffer.data(), static_cast<size_t>(n));
  while (rest.size() >= sizeof(nlmsghdr)) {
    nlmsghdr h;
    std::memcpy(&h, rest.data(), sizeof h);
    if (h.nlmsg_len < sizeof h || h.nlmsg_len > rest.size()) return EBADMSG;
    on_message(h, rest.subspan(NLMSG_HDRLEN, h.nlmsg_len - NLMSG_HDRLEN));
    rest = rest.subspan(std::min<size_t>(rest.size(), NLMSG_ALIGN(h.nlmsg_len)));
  }
  return 0;
}

// Gathers the answers to `sequence` until its end. An errno value or 0.
template <typename OnPayload>
int ReceiveAnswers(int fd, uint32_t sequence, OnPayload on_payload) {
  Bytes buffer(kReceiveBytes);
  bool done = false;
  int result = 0;
  while (!done) {
    const int err = ReceiveOnce(fd, buffer, 0, [&](const nlmsghdr& h, ByteView payload) {
      if (h.nlmsg_seq != sequence || done) return;  // a late answer to something that timed out
      if ((h.nlmsg_flags & NLM_F_DUMP_INTR) != 0) result = EAGAIN;
      if (h.nlmsg_type == NLMSG_ERROR || h.nlmsg_type == NLMSG_DONE) {
        int code = 0;
        if (payload.size() >= sizeof code) std::memcpy(&code, payload.data(), sizeof code);
        if (code != 0) result = -code;
        done = true;
      } else {
        on_payload(h, payload);
      }
    });
    if (err == EINTR) continue;
    if (err != 0) return err == EAGAIN ? ETIMEDOUT : err;
  }
  return result;
}

}  // namespace

int Netlink::Transact(Request& request) {
  request.AddFlags(NLM_F_ACK);
  const uint32_t sequence = ++sequence_;
  if (const int err = SendRequest(fd_.get(), request.Finish(sequence)); err != 0) return err;
  return ReceiveAnswers(fd_.get(), sequence, [](const nlmsghdr&, ByteView) {});
}

template <typename OnMessage>
int Netlink::Dump(Request& request, OnMessage on_message) {
  const uint32_t sequence = ++sequence_;
  if (const int err = SendRequest(fd_.get(), request.Finish(sequence)); err != 0) return err;
  size_t seen = 0;
  const int err = ReceiveAnswers(fd_.get(), sequence, [&](const nlmsghdr& h, ByteView payload) {
    if (++seen <= kDumpMax) on_message(h, payload);
  });
  return err == 0 && seen > kDumpMax ? EOVERFLOW : err;
}

absl::StatusOr<std::unique_ptr<Netlink>> Netlink::Open() {
  AQ_ASSIGN_OR_RETURN(Fd fd, OpenSocket(0, 0));
  return std::unique_ptr<Netlink>(new Netlink(std::move(fd)));
}

absl::StatusOr<Link> Netlink::GetLink(Request& request, std::string_view what) {
  request.AddFlags(NLM_F_ACK);  // so that the answer has an end
  std::optional<Link> found;
  const int err = Dump(request, [&](const nlmsghdr& h, ByteView payload) {
    if (h.nlmsg_type == RTM_NEWLINK) found = ReadLink(payload);
  });
  if (err != 0) return ErrnoStatus(err, what, "see `ip link`");
  if (!found) return NotFound(what, ": the kernel gave no answer; see `ip link`");
  return *found;
}

absl::StatusOr<Link> Netlink::LinkByName(std::string_view name) {
  const std::string what = Join("interface ", name);
  if (name.empty() || name.size() >= IFNAMSIZ)
    return InvalidArgument(what, ": a name has 1 to 15 characters");
  Request request(RTM_GETLINK, 0, ifinfomsg{});
  const std::string terminated(name);
  request.Put(
      IFLA_IFNAME,
      ByteView(reinterpret_cast<const uint8_t*>(terminated.c_str()), terminated.size() + 1));
  return GetLink(request, what);
}

absl::StatusOr<Link> Netlink::LinkByIndex(uint32_t ifindex) {
  ifinfomsg m{};
  m.ifi_index = static_cast<int>(ifindex);
  Request request(RTM_GETLINK, 0, m);
  return GetLink(request, Join("interface number ", ifindex));
}

absl::StatusOr<std::vector<Link>> Netlink::Links() {
  Request request(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{});
  std::vector<Link> out;
  const int err = Dump(request, [&](const nlmsghdr& h, ByteView payload) {
    if (h.nlmsg_type != RTM_NEWLINK) return;
    if (auto link = ReadLink(payload)) out.push_back(*std::move(link));
  });
  if (err != 0) return ErrnoStatus(err, "listing interfaces");
  return out;
}

absl::Status Netlink::SetUp(uint32_t ifindex, bool up) {
  ifinfomsg m{};
  m.ifi_index = static_cast<int>(ifindex);
  m.ifi_change = IFF_UP;
  m.ifi_flags = up ? unsigned{IFF_UP} : 0u;
  Request request(RTM_NEWLINK, 0, m);
  const int err = Transact(request);
  if (err != 0)
    return ErrnoStatus(err,
                       Join("interface number ", ifindex, ": setting it ", up ? "up" : "down"),
                       kNeedsNetAdmin);
  return absl::OkStatus();
}

absl::Status Netlink::SetMtu(uint32_t ifindex, uint32_t mtu) {
  ifinfomsg m{};
  m.ifi_index = static_cast<int>(ifindex);
  Request request(RTM_NEWLINK, 0, m);
  request.PutU32(IFLA_MTU, mtu);
  const int err = Transact(request);
  if (err != 0)
    return ErrnoStatus(
        err, Join("interface number ", ifindex, ": setting MTU ", mtu), kNeedsNetAdmin);
  return absl::OkStatus();
}

absl::Status Netlink::SetGsoMax(uint32_t ifindex, uint32_t bytes) {
  constexpr uint16_t kGsoIpv4MaxSize = 63;  // IFLA_GSO_IPV4_MAX_SIZE, newer than our headers
  ifinfomsg m{};
  m.ifi_index = static_cast<int>(ifindex);
  for (const bool both : {true, false}) {
    Request request(RTM_NEWLINK, 0, m);
    request.PutU32(IFLA_GSO_MAX_SIZE, bytes);
    if (both) request.PutU32(kGsoIpv4MaxSize, bytes);
    const int err = Transact(request);
    if (err == 0) return absl::OkStatus();
    if (!both) {
      return ErrnoStatus(err,
                         Join("interface number ", ifindex, ": setting gso_max_size ", bytes),
                         kNeedsNetAdmin);
    }
  }
  return absl::OkStatus();
}

namespace {
ifaddrmsg AddressMessage(const InterfaceAddress& a) {
  ifaddrmsg m{};
  m.ifa_family = FamilyOf(a.address);
  m.ifa_prefixlen = a.length;
  m.ifa_index = a.ifindex;
  return m;
}
}  // namespace

absl::Status Netlink::AddAddress(const InterfaceAddress& address) {
  Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, AddressMessage(address));
  request.Put(IFA_LOCAL, address.address.bytes());
  request.Put(IFA_ADDRESS, address.address.bytes());
  request.PutU32(IFA_FLAGS,
                 IFA_F_NOPREFIXROUTE | (address.address.is_v6() ? unsigned{IFA_F_NODAD} : 0u));
  const int err = Transact(request);
  return err == 0 ? absl::OkStatus()
                  : ErrnoStatus(err, Join("adding ", Describe(address)), kNeedsNetAdmin);
}

absl::Status Netlink::RemoveAddress(const InterfaceAddress& address) {
  Request request(RTM_DELADDR, 0, AddressMessage(address));
  request.Put(IFA_LOCAL, address.address.bytes());
  const int err = Transact(request);
  return err == 0 ? absl::OkStatus()
                  : ErrnoStatus(err, Join("removing ", Describe(address)), kNeedsNetAdmin);
}

absl::StatusOr<std::vector<InterfaceAddress>> Netlink::Addresses(std::optional<uint32_t> ifindex) {
  Request request(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{});
  std::vector<InterfaceAddress> out;
  const int err = Dump(request, [&](const nlmsghdr& h, ByteView payload) {
    if (h.nlmsg_type != RTM_NEWADDR) return;
    const auto a = ReadAddress(payload);
    if (a && (!ifindex || a->ifindex == *ifindex)) out.push_back(*a);
  });
  if (err != 0) return ErrnoStatus(err, "listing addresses");
  return out;
}

namespace {
rtmsg RouteMessage(const Route& r) {
  rtmsg m{};
  m.rtm_family = FamilyOf(r.destination.address);
  m.rtm_dst_len = r.destination.length;
  m.rtm_table = r.table < 256 ? static_cast<uint8_t>(r.table) : uint8_t{RT_TABLE_UNSPEC};
  m.rtm_protocol = r.protocol;
  m.rtm_type = RTN_UNICAST;
  m.rtm_scope = r.destination.address.is_v6() ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  return m;
}
}  // namespace

absl::Status Netlink::AddRoute(const Route& route) {
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, RouteMessage(route));
  request.Put(RTA_DST, route.destination.address.bytes());
  request.PutU32(RTA_OIF, route.ifindex);
  request.PutU32(RTA_TABLE, route.table);
  if (route.metric != 0) request.PutU32(RTA_PRIORITY, route.metric);
  if (route.preferred_source) request.Put(RTA_PREFSRC, route.preferred_source->bytes());
  const int err = Transact(request);
  return err == 0 ? absl::OkStatus()
                  : ErrnoStatus(err,
                                Join("adding ", Describe(route)),
                                "set the interface up first; needs CAP_NET_ADMIN");
}

absl::Status Netlink::RemoveRoute(const Route& route) {
  Request request(RTM_DELROUTE, 0, RouteMessage(route));
  request.Put(RTA_DST, route.destination.address.bytes());
  request.PutU32(RTA_OIF, route.ifindex);
  request.PutU32(RTA_TABLE, route.table);
  if (route.metric != 0) request.PutU32(RTA_PRIORITY, route.metric);
  const int err = Transact(request);
  return err == 0 ? absl::OkStatus()
                  : ErrnoStatus(err, Join("removing ", Describe(route)), kNeedsNetAdmin);
}

absl::StatusOr<std::vector<Route>> Netlink::Routes(std::optional<uint32_t> ifindex,
                                                   std::optional<uint8_t> protocol) {
  Request request(RTM_GETROUTE, NLM_F_DUMP, rtmsg{});
  std::vector<Route> out;
  const int err = Dump(request, [&](const nlmsghdr& h, ByteView payload) {
    if (h.nlmsg_type != RTM_NEWROUTE) return;
    auto r = ReadRoute(payload);
    if (r && (!ifindex || r->ifindex == *ifindex) && (!protocol || r->protocol == *protocol))
      out.push_back(*std::move(r));
  });
  if (err != 0) return ErrnoStatus(err, "listing routes");
  return out;
}

absl::StatusOr<std::unique_ptr<LinkWatch>> LinkWatch::Open() {
  AQ_ASSIGN_OR_RETURN(Fd fd, OpenSocket(RTMGRP_LINK, SOCK_NONBLOCK));
  return std::unique_ptr<LinkWatch>(new LinkWatch(std::move(fd)));
}

bool LinkWatch::Drain(std::vector<LinkEvent>& out) {
  Bytes buffer(kReceiveBytes);
  for (;;) {
    const int err =
        ReceiveOnce(fd_.get(), buffer, MSG_DONTWAIT, [&](const nlmsghdr& h, ByteView payload) {
          if (h.nlmsg_type != RTM_NEWLINK && h.nlmsg_type != RTM_DELLINK) return;
          if (auto link = ReadLink(payload))
            out.push_back({.link = *std::move(link), .deleted = h.nlmsg_type == RTM_DELLINK});
        });
    if (err == EINTR) continue;
    if (err == EAGAIN) return true;
    if (err != 0) return false;
  }
}

}  // namespace aqmesh::os
