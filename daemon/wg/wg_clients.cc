// The loop's configuration connections, and what is set through them.
#include <sodium.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "daemon/wg/wg_client.h"
#include "transport/os/clock.h"

namespace aqmesh::daemon {

namespace {

void Wipe(std::string& text) {
  sodium_memzero(text.data(), text.size());
  text.clear();
}

}  // namespace

WgLoop::Client::~Client() {
  Wipe(asked);
  Wipe(reply);
}

int WgLoop::ApplySettings(wireguard::Outbox& out) {
  int error = 0;
  if (out.fwmark) {
    fwmark_ = *out.fwmark;
    if (const absl::Status s = SetMark(); !s.ok()) {
      Log(LogLevel::kError, Text(s));
      error = wireguard::kUapiIo;
    }
  }
  if (out.listen_port) {
    if (control_ == nullptr) {
      // FollowInterface binds it once the interface is up; if it is already, `wg` is to hear of it.
      wanted_port_ = *out.listen_port;
      const int bound = lane_.tun().IsUp() ? BindUdp(wanted_port_) : 0;
      if (bound != 0) error = bound;
    } else if (const int bound = BindUdp(*out.listen_port); bound != 0) {
      device_.SetBoundPort(port());  // the old sockets go on
      error = bound;
    }
  }
  Flush(out);
  return error;
}

void WgLoop::OnNewClient() {
  os::Fd fd = listener_->Accept();
  if (!fd.valid() || clients_.size() >= kClientsMax) return;  // one too many is closed at once
  auto client = std::make_unique<Client>(
      std::move(fd), device_, [this](wireguard::Outbox& out) { return ApplySettings(out); });
  if (const absl::Status s = Watch(client->fd.get(), client->tag(), EPOLLIN); !s.ok())
    return Log(LogLevel::kError, Text(s));
  clients_.push_back(std::move(client));
}

// A client that does not read its answer is not heard further: it cannot make us hoard. Nor does
// one that asks much keep the packets waiting: a turn serves one request, or a slice of it.
void WgLoop::OnClient(Client& client, uint32_t events) {
  if (applying_ != nullptr) return;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !client.busy() && !ReadAsked(client)) {
    client.closed = true;
    return;
  }
  Serve(client);
}

void WgLoop::Serve(Client& client) {
  if (client.reply.empty()) AnswerNext(client);
  applying_ = client.session.applying() ? &client : nullptr;
  SendReply(client);
  if (client.closing && client.reply.empty()) client.closed = true;
  if (!client.closed) Rewatch(client.fd.get(), client.tag(), client.busy() ? EPOLLOUT : EPOLLIN);
}

bool WgLoop::ReadAsked(Client& client) {
  client.asked.resize(16 * 1024);
  const ssize_t n = ::read(client.fd.get(), client.asked.data(), client.asked.size());
  const bool again = n < 0 && (errno == EAGAIN || errno == EINTR);
  client.asked.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return n > 0 || again;
}

// Goes on with a request until its answer is there, or what was read is used up.
void WgLoop::AnswerNext(Client& client) {
  if (client.session.applying()) client.session.GoOn(os::ReadNow(), client.reply);
  while (client.reply.empty() && !client.session.applying() && !client.closing &&
         client.asked_at < client.asked.size()) {
    const size_t newline = client.asked.find('\n', client.asked_at);
    const size_t end = std::min(newline, client.asked.size() - 1) + 1;
    const std::string_view line(client.asked.data() + client.asked_at, end - client.asked_at);
    client.asked_at = end;
    client.closing = !client.session.OnBytes(os::ReadNow(), AsBytes(line), client.reply);
  }
  if (client.asked_at == client.asked.size() || client.closing) {
    Wipe(client.asked);
    client.asked_at = 0;
  }
  // A port that was taken may now be free, or another.
  if (!client.reply.empty()) FollowInterface();
}

void WgLoop::SendReply(Client& client) {
  while (client.reply_at < client.reply.size()) {
    const ssize_t n = ::send(client.fd.get(),
                             client.reply.data() + client.reply_at,
                             client.reply.size() - client.reply_at,
                             MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      client.closed = errno != EAGAIN;
      return;
    }
    client.reply_at += static_cast<size_t>(n);
  }
  Wipe(client.reply);
  client.reply_at = 0;
}

void WgLoop::DropClosedClients() {
  std::erase_if(clients_, [](const std::unique_ptr<Client>& c) { return c->closed; });
}

}  // namespace aqmesh::daemon
