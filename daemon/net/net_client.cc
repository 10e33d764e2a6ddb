#include "daemon/net/net_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/base/status.h"
#include "transport/os/unix_socket.h"

namespace aqmesh::daemon {

absl::StatusOr<std::unique_ptr<NetClient>> NetClient::Take(os::Fd fd) {
  AQ_RETURN_IF_ERROR(
      os::SetNonBlocking(fd.get()));  // an event loop that watches it would do so anyway
  return std::unique_ptr<NetClient>(new NetClient(std::move(fd)));
}

bool NetClient::IsGone() const {
  uint8_t byte = 0;
  const ssize_t n = ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

absl::StatusOr<net::Reply> NetClient::Ask(const net::Request& request, std::vector<os::Fd>& fds) {
  AQ_RETURN_IF_ERROR(os::SendMessage(fd_.get(), Encode(request)));
  pollfd answer{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = ::poll(&answer, 1, kAnswerSeconds * 1000);
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) return Unavailable("aqmesh-net gives no answer; restart aqmeshd");
  AQ_ASSIGN_OR_RETURN(os::Message message, os::ReceiveMessage(fd_.get()));
  fds = std::move(message.fds);
  return ParseReply(message.bytes);
}

template <class T>
absl::StatusOr<T> NetClient::AskFor(const net::Request& request, std::vector<os::Fd>& fds) {
  AQ_ASSIGN_OR_RETURN(net::Reply reply, Ask(request, fds));
  if (const auto* failed = std::get_if<net::Failed>(&reply))
    return absl::Status(failed->code, failed->text);
  T* answer = std::get_if<T>(&reply);
  if (answer == nullptr)
    return Internal("aqmesh-net gave an answer to another question; restart aqmeshd");
  return std::move(*answer);
}

absl::StatusOr<NetClient::Interface> NetClient::OpenTun(const std::string& name,
                                                        uint32_t mtu,
                                                        size_t queues) {
  std::vector<os::Fd> fds;
  AQ_ASSIGN_OR_RETURN(
      net::TunOpened opened,
      AskFor<net::TunOpened>(
          net::OpenTun{.mtu = mtu, .queues = static_cast<uint8_t>(queues), .name = name}, fds));
  if (fds.size() != queues && fds.size() != 1)
    return Internal(
        "aqmesh-net passed ", fds.size(), " descriptors for the interface, not ", queues);
  return Interface{
      .queues = std::move(fds), .ifindex = opened.ifindex, .name = std::move(opened.name)};
}

absl::Status NetClient::Do(const net::Request& request) {
  std::vector<os::Fd> fds;
  return AskFor<net::Done>(request, fds).status();
}

absl::StatusOr<net::State> NetClient::ReadBack() {
  std::vector<os::Fd> fds;
  return AskFor<net::State>(net::ReadBack{}, fds);
}

absl::StatusOr<std::vector<IpAddress>> NetClient::MachineAddresses() {
  std::vector<os::Fd> fds;
  AQ_ASSIGN_OR_RETURN(net::Addresses answer, AskFor<net::Addresses>(net::MachineAddresses{}, fds));
  return std::move(answer.list);
}

}  // namespace aqmesh::daemon
