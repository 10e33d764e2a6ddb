#include "daemon/net/net_monitor.h"

#include <algorithm>

#include "core/base/status.h"
#include "transport/os/tun.h"
#include "transport/os/unix_socket.h"

namespace aqmesh::daemon {

namespace {

constexpr uint32_t kFrameOverhead = 16 + 32;  // a frame's header, and WireGuard's own with its tag

net::Reply Failure(const absl::Status& status) { return net::Failed{status.code(), Text(status)}; }

bool IsLinkLocal(const IpAddress& a) {
  return a.is_v6() && a.bytes()[0] == 0xfe && (a.bytes()[1] & 0xc0) == 0x80;
}

}  // namespace

absl::StatusOr<std::unique_ptr<NetMonitor>> NetMonitor::Open() {
  AQ_ASSIGN_OR_RETURN(auto writer, os::Netlink::Open());
  AQ_ASSIGN_OR_RETURN(auto reader, os::Netlink::Open());
  return std::unique_ptr<NetMonitor>(new NetMonitor(std::move(writer), std::move(reader)));
}

absl::Status NetMonitor::Serve(int fd) {
  absl::Status end;
  for (;;) {
    auto message = os::ReceiveMessage(fd);
    if (!message.ok()) {
      end = absl::IsNotFound(message.status()) ? absl::OkStatus() : message.status();
      break;
    }
    const auto request = ParseRequest(message->bytes);
    if (!request.ok()) {
      end = request.status();
      break;
    }
    if (const char* broken = order_.Admit(*request); broken != nullptr) {
      end = FailedPrecondition("the engine broke the protocol: ", broken);
      break;
    }
    std::vector<os::Fd> pass;
    const Bytes reply = Encode(Answer(*request, pass));
    std::vector<int> fds;
    for (const os::Fd& p : pass) fds.push_back(p.get());
    end = os::SendMessage(fd, reply, fds);
    if (!end.ok()) break;
  }
  Undo();
  return end;
}

net::Reply NetMonitor::Answer(const net::Request& request, std::vector<os::Fd>& pass) {
  if (const auto* open = std::get_if<net::OpenTun>(&request)) {
    auto reply = OpenTun(*open, pass);
    if (reply.ok()) return *std::move(reply);
    pass.clear();
    return Failure(reply.status());
  }
  if (std::holds_alternative<net::ReadBack>(request)) {
    auto state = ReadBack();
    return state.ok() ? net::Reply(*std::move(state)) : Failure(state.status());
  }
  if (std::holds_alternative<net::MachineAddresses>(request)) {
    auto addresses = MachineAddresses();
    return addresses.ok() ? net::Reply(*std::move(addresses)) : Failure(addresses.status());
  }
  const absl::Status done = Change(request);
  return done.ok() ? net::Reply(net::Done{}) : Failure(done);
}

absl::Status NetMonitor::Change(const net::Request& request) {
  if (ifindex_ == 0) return FailedPrecondition("no interface: opening it failed");
  if (const auto* up = std::get_if<net::SetUp>(&request)) return writer_->SetUp(ifindex_, up->up);
  if (const auto* add = std::get_if<net::AddAddress>(&request)) return AddAddress(add->address);
  if (const auto* add = std::get_if<net::AddRoute>(&request)) return AddRoute(add->prefix);
  if (const auto* remove = std::get_if<net::RemoveAddress>(&request)) {
    std::erase(addresses_, remove->address);
    return writer_->RemoveAddress(Own(remove->address));
  }
  const auto& remove = std::get<net::RemoveRoute>(request);
  std::erase(routes_, remove.prefix);
  return writer_->RemoveRoute(Own(remove.prefix));
}

absl::StatusOr<net::Reply> NetMonitor::OpenTun(const net::OpenTun& request,
                                               std::vector<os::Fd>& pass) {
  const uint32_t first = std::min<uint32_t>(request.queues, os::Tun::kQueuesMax);
  AQ_ASSIGN_OR_RETURN(const auto tun, os::Tun::Open({.name = request.name, .queues = first}));
  AQ_ASSIGN_OR_RETURN(const std::string name, tun->Name());
  AQ_ASSIGN_OR_RETURN(const os::Link link, writer_->LinkByName(name));
  AQ_RETURN_IF_ERROR(writer_->SetMtu(link.index, request.mtu));
  // A kernel that does not know it sends a little slower.
  if (const uint32_t most = os::GsoMaxFor(request.mtu, kFrameOverhead); most != 0)
    (void)writer_->SetGsoMax(link.index, most);
  ifindex_ = link.index;
  // The engine's will be the only descriptors: the device goes when the engine does.
  const bool one = tun->queues() == 1;  // it was there before, and has one
  pass = tun->Detach();
  while (!one && pass.size() < request.queues) {
    AQ_ASSIGN_OR_RETURN(const auto queue, os::Tun::Open({.name = name, .multi_queue = true}));
    pass.push_back(std::move(queue->Detach().front()));
  }
  return net::Reply(net::TunOpened{link.index, name});
}

absl::Status NetMonitor::AddAddress(const IpAddress& address) {
  if (!IsReachableAddress(address))
    return PermissionDenied("address ", address.ToString(), ": no node may have it");
  if (addresses_.size() >= kAddressesMax) {
    return ResourceExhausted(
        "address ", address.ToString(), ": an interface takes at most ", kAddressesMax);
  }
  AQ_RETURN_IF_ERROR(writer_->AddAddress(Own(address)));
  addresses_.push_back(address);
  return absl::OkStatus();
}

absl::Status NetMonitor::AddRoute(const Prefix& prefix) {
  if (!MayRoute(prefix))
    return PermissionDenied("route ", prefix.ToString(), ": wider than any mesh may take");
  if (routes_.size() >= kRoutesMax) {
    return ResourceExhausted(
        "route ", prefix.ToString(), ": an interface takes at most ", kRoutesMax);
  }
  AQ_RETURN_IF_ERROR(writer_->AddRoute(Own(prefix)));
  routes_.push_back(prefix);
  return absl::OkStatus();
}

absl::StatusOr<net::State> NetMonitor::ReadBack() {
  if (ifindex_ == 0) return FailedPrecondition("no interface: opening it failed");
  AQ_ASSIGN_OR_RETURN(const os::Link link, reader_->LinkByIndex(ifindex_));
  AQ_ASSIGN_OR_RETURN(const auto addresses, reader_->Addresses(ifindex_));
  AQ_ASSIGN_OR_RETURN(const auto routes, reader_->Routes(ifindex_, os::kRouteProtocolAqmesh));
  net::State state{.up = link.up, .mtu = link.mtu, .addresses = {}, .routes = {}};
  for (const os::InterfaceAddress& a : addresses) {
    // The kernel gives every interface a link-local address of its own.
    if (const auto p = Prefix::Make(a.address, a.length); p && !IsLinkLocal(a.address))
      state.addresses.push_back(*p);
  }
  for (const os::Route& r : routes) state.routes.push_back(r.destination);
  if (state.addresses.size() > kAddressesMax || state.routes.size() > kRoutesMax) {
    return ResourceExhausted(
        "interface ", link.name, ": holds more addresses or routes than we ever put there");
  }
  return state;
}

absl::StatusOr<net::Addresses> NetMonitor::MachineAddresses() {
  AQ_ASSIGN_OR_RETURN(const auto links, reader_->Links());
  AQ_ASSIGN_OR_RETURN(const auto addresses, reader_->Addresses());
  net::Addresses out;
  for (const os::InterfaceAddress& a : addresses) {
    const auto link = std::find_if(
        links.begin(), links.end(), [&](const os::Link& l) { return l.index == a.ifindex; });
    const bool usable =
        link != links.end() && link->up && !link->name.starts_with("aq") && a.ifindex != ifindex_;
    if (usable && IsReachableAddress(a.address) && out.list.size() < kMachineAddressesMax)
      out.list.push_back(a.address);
  }
  return out;
}

os::InterfaceAddress NetMonitor::Own(const IpAddress& address) const {
  return {.ifindex = ifindex_, .address = address, .length = static_cast<uint8_t>(address.bits())};
}

os::Route NetMonitor::Own(const Prefix& prefix) const {
  os::Route route{.destination = prefix, .ifindex = ifindex_};
  // "src": without it the kernel may choose an address of another interface, which peers would
  // refuse.
  for (const IpAddress& a : addresses_) {
    if (a.is_v6() == prefix.address.is_v6()) {
      route.preferred_source = a;
      break;
    }
  }
  return route;
}

void NetMonitor::Undo() {
  // What is gone already, with the interface as a rule, needs no undoing: results do not matter.
  for (auto p = routes_.rbegin(); p != routes_.rend(); ++p) (void)writer_->RemoveRoute(Own(*p));
  for (auto a = addresses_.rbegin(); a != addresses_.rend(); ++a)
    (void)writer_->RemoveAddress(Own(*a));
  if (ifindex_ != 0) (void)writer_->SetUp(ifindex_, false);
  routes_.clear();
  addresses_.clear();
}

}  // namespace aqmesh::daemon
