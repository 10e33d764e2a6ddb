#include "daemon/cli/live.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "control.pb.h"
#include "core/base/status.h"
#include "transport/os/unix_socket.h"

namespace aqmesh::cli {

namespace {

template <class Message>
Bytes Framed(const Message& message) {
  Bytes out;
  const std::string body = message.SerializeAsString();
  AppendBe(out, static_cast<uint32_t>(body.size()));
  Append(out, AsBytes(body));
  return out;
}

absl::Status WriteAll(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return os::ErrnoStatus(errno, "asking the daemon", "look at its log, or start it: aqmesh up");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

class OverSocket final : public LiveClient {
 public:
  explicit OverSocket(std::string path) : path_(std::move(path)) {}

  absl::StatusOr<LiveAnswer> Call(const LiveRequest& request, const LiveEvent& on_event) override {
    absl::StatusOr<os::Fd> fd = os::ConnectUnix(path_);
    if (absl::IsPermissionDenied(fd.status())) {
      return PermissionDenied(
          "not allowed to ask the daemon at ", path_, "; repeat the command with sudo");
    }
    if (!fd.ok())
      return FailedPrecondition(
          "the daemon is not running (nothing answers at ", path_, "); start it: aqmesh up");
    AQ_RETURN_IF_ERROR(WriteAll(fd->get(), EncodeRequest(request)));
    Bytes buffer;
    while (true) {
      AQ_ASSIGN_OR_RETURN(const Bytes message, Read(fd->get(), buffer));
      AQ_ASSIGN_OR_RETURN(LiveReply reply, ParseReply(message));
      if (!reply.ok) {
        const bool late = reply.answer.exit == kExitTimeIsOver;
        return absl::Status(late ? absl::StatusCode::kDeadlineExceeded : absl::StatusCode::kAborted,
                            reply.error);
      }
      if (!reply.more) return std::move(reply.answer);
      if (!on_event(reply.answer)) return LiveAnswer{};
    }
  }

 private:
  absl::StatusOr<Bytes> Read(int fd, Bytes& buffer) const {
    while (true) {
      AQ_ASSIGN_OR_RETURN(const size_t whole, MessageIn(buffer));
      if (whole > 0) {
        const auto end = buffer.begin() + static_cast<ptrdiff_t>(whole);
        Bytes out(buffer.begin() + 4, end);
        buffer.erase(buffer.begin(), end);
        return out;
      }
      uint8_t chunk[16'384];
      const ssize_t n = recv(fd, chunk, sizeof chunk, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return os::ErrnoStatus(errno, "the daemon's answer");
      if (n == 0)
        return Unavailable(
            "the daemon went away in the middle of its answer; look at its log, then: aqmesh up");
      Append(buffer, ByteView(chunk, static_cast<size_t>(n)));
    }
  }

  std::string path_;
};

}  // namespace

std::unique_ptr<LiveClient> SocketClient(std::string socket_path) {
  return std::make_unique<OverSocket>(std::move(socket_path));
}

bool SocketAnswers(const std::string& socket_path) { return os::ConnectUnix(socket_path).ok(); }

Bytes EncodeRequest(const LiveRequest& request) {
  control::Request m;
  m.set_verb(request.verb);
  m.set_json(request.json);
  m.set_payload(request.payload);
  return Framed(m);
}

Bytes EncodeReply(const LiveReply& reply) {
  control::Response m;
  m.set_ok(reply.ok);
  m.set_error(reply.error);
  m.set_json(reply.answer.json);
  m.set_payload(reply.answer.payload);
  m.set_more(reply.more);
  m.set_exit(reply.answer.exit);
  return Framed(m);
}

absl::StatusOr<LiveRequest> ParseRequest(ByteView message) {
  control::Request m;
  if (!m.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return InvalidArgument("control message: not a Request of proto/control.proto");
  }
  return LiveRequest{m.verb(), m.json(), m.payload()};
}

absl::StatusOr<LiveReply> ParseReply(ByteView message) {
  control::Response m;
  if (!m.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return InvalidArgument(
        "the daemon's answer is not a Response of proto/control.proto; are aqmesh and aqmeshd one "
        "version?");
  }
  return LiveReply{m.ok(), m.error(), {m.json(), m.payload(), m.exit()}, m.more()};
}

absl::StatusOr<size_t> MessageIn(ByteView buffer) {
  if (buffer.size() < 4) return size_t{0};
  const size_t size = LoadBe<uint32_t>(buffer.data());
  if (size > kControlMessageMax)
    return InvalidArgument("control message of ", size, " bytes, over ", kControlMessageMax);
  return buffer.size() >= 4 + size ? 4 + size : size_t{0};
}

}  // namespace aqmesh::cli
