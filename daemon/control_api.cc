#include "daemon/control_api.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>

namespace aqmesh::daemon {

namespace {

constexpr size_t kLengthBytes = 4;

constexpr std::array kVerbs = {
    VerbRow{Verb::kStatus, "status", Role::kRead},
    VerbRow{Verb::kPeers, "peers", Role::kRead},
    VerbRow{Verb::kPing, "ping", Role::kRead},
    VerbRow{Verb::kWhois, "whois", Role::kRead},
    VerbRow{Verb::kWhoami, "whoami", Role::kRead},
    VerbRow{Verb::kIp, "ip", Role::kRead},
    VerbRow{Verb::kWait, "wait", Role::kRead},
    VerbRow{Verb::kExplain, "explain", Role::kRead},
    VerbRow{Verb::kCan, "can", Role::kRead},
    VerbRow{Verb::kFollow, "follow", Role::kRead},
    VerbRow{Verb::kEscalations, "escalations", Role::kRead},
    VerbRow{Verb::kAttest, "attest", Role::kRead},
    VerbRow{Verb::kInvite, "invite", Role::kChange},
    VerbRow{Verb::kAnswer, "answer", Role::kChange},
    VerbRow{Verb::kApprove, "approve", Role::kChange},
    VerbRow{Verb::kRevoke, "revoke", Role::kChange},
    VerbRow{Verb::kRedact, "redact", Role::kChange},
    VerbRow{Verb::kImport, "import", Role::kChange},
    VerbRow{Verb::kUp, "up", Role::kChange},
    VerbRow{Verb::kDown, "down", Role::kChange},
    VerbRow{Verb::kPolicyReload, "policy-reload", Role::kChange},
    VerbRow{Verb::kStop, "stop", Role::kChange},
    VerbRow{Verb::kPrune, "prune", Role::kChange},
};

gid_t GroupNamed(const char* name) {
  std::array<char, 16 * 1024> buffer;
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(name, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return static_cast<gid_t>(-1);
  }
  return found->gr_gid;
}

}  // namespace

std::span<const VerbRow> VerbTable() { return kVerbs; }

const VerbRow* FindVerb(std::string_view name) {
  const auto row =
      std::find_if(kVerbs.begin(), kVerbs.end(), [&](const VerbRow& r) { return r.name == name; });
  return row == kVerbs.end() ? nullptr : row;
}

RoleGroups RoleGroups::OfMachine() {
  return {.read = GroupNamed("aqmesh"), .change = GroupNamed("aqmesh-operator")};
}

Role RoleOf(const os::PeerCredentials& who, const RoleGroups& groups, uid_t daemon_user) {
  constexpr auto kNoGroup = static_cast<gid_t>(-1);
  const auto in = [&](gid_t group) {
    return group != kNoGroup &&
           (who.gid == group ||
            std::find(who.groups.begin(), who.groups.end(), group) != who.groups.end());
  };
  if (who.uid == 0 || who.uid == daemon_user || in(groups.change)) return Role::kChange;
  return in(groups.read) ? Role::kRead : Role::kNone;
}

// ---- framing ----

absl::StatusOr<std::optional<cli::LiveRequest>> Unframer::Next() {
  if (buffer_.size() >= kLengthBytes && LoadBe<uint32_t>(buffer_.data()) > kRequestBytesMax) {
    return InvalidArgument("request of more than ", kRequestBytesMax, " bytes: send it in parts");
  }
  AQ_ASSIGN_OR_RETURN(const size_t whole, cli::MessageIn(buffer_));
  if (whole == 0) return std::nullopt;
  AQ_ASSIGN_OR_RETURN(
      cli::LiveRequest request,
      cli::ParseRequest(ByteView(buffer_).subspan(kLengthBytes, whole - kLengthBytes)));
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(whole));
  return request;
}

cli::LiveReply Refusal(std::string error, int exit) {
  return {.ok = false, .error = std::move(error), .answer = {.exit = exit}};
}
cli::LiveReply Refusal(const absl::Status& status) { return Refusal(Text(status)); }

// ---- connections ----

struct ControlServer::Session {
  Session(boost::asio::io_context& io, SessionId i, os::Fd fd, uid_t u, Role r)
      : id(i), user(u), role(r), socket(io, fd.Release()), deadline(io) {}
  const SessionId id;
  const uid_t user;
  const Role role;
  boost::asio::posix::stream_descriptor socket;
  boost::asio::steady_timer deadline;
  Unframer in;
  Bytes out;
  bool busy = false;     // a request is being answered; the next one waits
  bool writing = false;  // waits for the socket to take more
};

ControlServer::ControlServer(boost::asio::io_context& io,
                             std::unique_ptr<os::UnixListener> listener,
                             RoleGroups groups,
                             Handler handler)
    : io_(io),
      listener_(std::move(listener)),
      acceptor_(io, ::fcntl(listener_->fd(), F_DUPFD_CLOEXEC, 0)),
      groups_(groups),
      handler_(std::move(handler)) {
  WaitForClient();
}

ControlServer::~ControlServer() = default;

void ControlServer::WaitForClient() {
  acceptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       [this](boost::system::error_code error) {
                         if (error) return;
                         TakeClients();
                         WaitForClient();
                       });
}

void ControlServer::TakeClients() {
  for (size_t i = 0; i < kConnectionsMax; ++i) {
    os::Fd fd = listener_->Accept();
    if (!fd.valid()) return;
    Admit(std::move(fd));
  }
}

void ControlServer::Admit(os::Fd fd) {
  const auto who = os::CredentialsOf(fd.get());
  if (!who.ok() || sessions_.size() >= kConnectionsMax) return;  // closed at once
  const auto same = std::count_if(sessions_.begin(), sessions_.end(), [&](const auto& s) {
    return s.second->user == who->uid;
  });
  if (static_cast<size_t>(same) >= kConnectionsPerUserMax) return;
  const Role role = RoleOf(*who, groups_, ::geteuid());
  const SessionId id = ++last_session_;
  auto& session = sessions_[id] = std::make_unique<Session>(io_, id, std::move(fd), who->uid, role);
  ArmDeadline(*session);
  Read(*session);
}

void ControlServer::ArmDeadline(Session& session) {
  session.deadline.expires_after(kReadDeadline);
  session.deadline.async_wait([this, id = session.id](boost::system::error_code error) {
    const auto it = sessions_.find(id);
    if (!error && it != sessions_.end() && !it->second->busy) Close(id);
  });
}

void ControlServer::Read(Session& session) {
  session.socket.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                            [this, id = session.id](boost::system::error_code error) {
                              const auto it = sessions_.find(id);
                              if (error || it == sessions_.end()) return;
                              std::array<uint8_t, 64 * 1024> buffer;
                              const ssize_t n = ::read(
                                  it->second->socket.native_handle(), buffer.data(), buffer.size());
                              if (n < 0 && (errno == EAGAIN || errno == EINTR))
                                return Read(*it->second);
                              if (n <= 0) return Close(id);
                              OnBytes(*it->second, ByteView(buffer).first(static_cast<size_t>(n)));
                              // The handler may have closed it.
                              if (const auto still = sessions_.find(id); still != sessions_.end())
                                Read(*still->second);
                            });
}

void ControlServer::OnBytes(Session& session, ByteView bytes) {
  session.in.Add(bytes);
  Dispatch(session);
}

void ControlServer::Dispatch(Session& session) {
  if (session.busy) {
    // One request at a time: whoever pipelines more than one other is not our CLI.
    if (session.in.size() > kRequestBytesMax + kLengthBytes) Close(session.id);
    return;
  }
  auto call = session.in.Next();
  if (!call.ok()) return Close(session.id);
  if (!*call) return;
  session.busy = true;
  session.deadline.cancel();
  const VerbRow* row = FindVerb((*call)->verb);
  if (row == nullptr) {
    return Reply(
        session.id,
        Refusal(
            Join("no verb ", (*call)->verb, ": is the CLI newer than the daemon? Restart aqmeshd"),
            2));
  }
  if (session.role < row->needs) {
    const char* group = row->needs == Role::kRead ? "aqmesh" : "aqmesh-operator";
    return Reply(
        session.id,
        Refusal(Join(row->name, ": you may not; ask as root, or join the group ", group), 4));
  }
  handler_(session.id, row->verb, **call);
}

void ControlServer::Reply(SessionId id, const cli::LiveReply& reply) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;
  Session& session = *it->second;
  Append(session.out, cli::EncodeReply(reply));
  if (session.out.size() > kUnreadMax) return Close(id);
  if (!reply.more) {
    session.busy = false;
    ArmDeadline(session);
    // A next request may have come meanwhile; not from here, where a handler is still on the stack.
    boost::asio::post(io_, [this, id] {
      if (const auto next = sessions_.find(id); next != sessions_.end()) Dispatch(*next->second);
    });
  }
  if (!session.writing) Write(session);
}

void ControlServer::Write(Session& session) {
  session.writing = false;
  while (!session.out.empty()) {
    const ssize_t n = ::send(session.socket.native_handle(),
                             session.out.data(),
                             session.out.size(),
                             MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return;  // the read side hears of it and closes
    if (n < 0) break;
    session.out.erase(session.out.begin(), session.out.begin() + n);
  }
  if (session.out.empty()) return;
  session.writing = true;
  session.socket.async_wait(boost::asio::posix::stream_descriptor::wait_write,
                            [this, id = session.id](boost::system::error_code error) {
                              const auto it = sessions_.find(id);
                              if (!error && it != sessions_.end()) Write(*it->second);
                            });
}

void ControlServer::Close(SessionId id) { sessions_.erase(id); }

void ControlServer::CloseAll() {
  for (auto& [id, session] : sessions_) {
    if (!session->out.empty()) Write(*session);
  }
  sessions_.clear();
  acceptor_.close();
}

}  // namespace aqmesh::daemon
