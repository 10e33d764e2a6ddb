#include "transport/os/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace aqmesh::os {

namespace {

constexpr int kBacklog = 16;

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof a.sun_path) {
    return InvalidArgument("socket path \"",
                           path,
                           "\": must have 1 to ",
                           sizeof a.sun_path - 1,
                           " bytes; choose a shorter directory");
  }
  std::memcpy(a.sun_path, path.data(), path.size());
  return a;
}

absl::Status MakeDirectory(const std::string& path, mode_t mode) {
  if (path.empty() || path == "/" || ::mkdir(path.c_str(), mode) == 0 || errno == EEXIST)
    return absl::OkStatus();
  return ErrnoStatus(
      errno, Join("creating directory ", path), "create it, or run with the rights to");
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

int Bind(int fd, const sockaddr_un& a, mode_t mode) {
  // The umask decides the socket's mode at birth, so there is no moment in which it is open to
  // others.
  const mode_t old = ::umask(static_cast<mode_t>(~mode & 0777));
  const int err = ::bind(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0 ? 0 : errno;
  ::umask(old);
  return err;
}

bool Alive(const sockaddr_un& a, int& err) {
  Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return true;
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0) return true;
  err = errno;
  return err != ECONNREFUSED && err != ENOENT;  // EAGAIN: a full backlog is a live server
}

}  // namespace

UnixListener::UnixListener(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {
  struct stat s{};
  if (!path_.empty() && ::stat(path_.c_str(), &s) == 0) {
    device_ = s.st_dev;
    inode_ = s.st_ino;
  }
}

bool UnixListener::FileIsThere() const {
  struct stat s{};
  return !path_.empty() && ::stat(path_.c_str(), &s) == 0 && s.st_dev == device_ &&
         s.st_ino == inode_;
}

UnixListener::~UnixListener() {
  if (FileIsThere()) ::unlink(path_.c_str());
}

void UnixListener::Abandon() { path_.clear(); }

absl::StatusOr<std::unique_ptr<UnixListener>> UnixListener::Listen(const Options& options) {
  AQ_ASSIGN_OR_RETURN(const sockaddr_un a, AddressOf(options.path));
  const std::string directory = ParentOf(options.path);
  AQ_RETURN_IF_ERROR(MakeDirectory(ParentOf(directory), options.directory_mode));
  AQ_RETURN_IF_ERROR(MakeDirectory(directory, options.directory_mode));
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "opening a Unix socket");
  int err = Bind(fd.get(), a, options.mode);
  if (err == EADDRINUSE) {
    int probe_err = 0;
    if (Alive(a, probe_err)) {
      return AlreadyExists("socket ",
                           options.path,
                           ": another process listens there; ",
                           options.stale_advice.empty() ? "stop it first" : options.stale_advice);
    }
    if (::unlink(options.path.c_str()) < 0 && errno != ENOENT) {
      return ErrnoStatus(
          errno, Join("removing the stale socket ", options.path), "remove it by hand");
    }
    err = Bind(fd.get(), a, options.mode);
  }
  if (err == 0 && ::listen(fd.get(), kBacklog) < 0) err = errno;
  if (err != 0)
    return ErrnoStatus(
        err, Join("listening on ", options.path), "check the rights on its directory");
  return std::unique_ptr<UnixListener>(new UnixListener(std::move(fd), options.path));
}

absl::StatusOr<std::unique_ptr<UnixListener>> UnixListener::Adopt(Fd fd, std::string path) {
  int listening = 0;
  socklen_t n = sizeof listening;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) < 0) {
    return ErrnoStatus(errno,
                       Join("inherited descriptor ", fd.get(), ": asking whether it listens"));
  }
  if (listening == 0 && ::listen(fd.get(), kBacklog) < 0) {
    return ErrnoStatus(errno,
                       Join("inherited descriptor ", fd.get(), ": listening"),
                       "pass a bound Unix stream socket");
  }
  AQ_RETURN_IF_ERROR(SetNonBlocking(fd.get()));
  return std::unique_ptr<UnixListener>(new UnixListener(std::move(fd), std::move(path)));
}

Fd UnixListener::Accept() {
  return Fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

absl::StatusOr<Fd> ConnectUnix(const std::string& path) {
  AQ_ASSIGN_OR_RETURN(const sockaddr_un a, AddressOf(path));
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "opening a Unix socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) < 0) {
    const int err = errno;
    return err == ENOENT || err == ECONNREFUSED
               ? NotFound("socket ", path, ": nobody listens there; start the daemon first")
               : ErrnoStatus(err, Join("connecting to ", path), "your user may lack the right to");
  }
  return fd;
}

absl::StatusOr<PeerCredentials> CredentialsOf(int fd) {
  ucred c{};
  socklen_t n = sizeof c;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) < 0)
    return ErrnoStatus(errno, "asking who is connected");
  PeerCredentials out{.pid = c.pid, .uid = c.uid, .gid = c.gid, .groups = {}};
  constexpr size_t kGroupsMax = 65536;  // NGROUPS_MAX of Linux
  out.groups.resize(64);
  n = static_cast<socklen_t>(out.groups.size() * sizeof(gid_t));
  int got = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, out.groups.data(), &n);
  if (got < 0 && errno == ERANGE && n / sizeof(gid_t) <= kGroupsMax) {  // n says how much it takes
    out.groups.resize(n / sizeof(gid_t));
    got = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, out.groups.data(), &n);
  }
  if (got < 0) return ErrnoStatus(errno, "asking the groups of who is connected");
  out.groups.resize(n / sizeof(gid_t));
  return out;
}

absl::StatusOr<std::pair<Fd, Fd>> SequencedPair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
    return ErrnoStatus(errno, "making a socket pair");
  return std::pair<Fd, Fd>(Fd(fds[0]), Fd(fds[1]));
}

absl::Status SendMessage(int fd, ByteView bytes, std::span<const int> fds) {
  if (bytes.empty() || bytes.size() > kMessageMax || fds.size() > kMessageFdsMax) {
    return InvalidArgument("message of ",
                           bytes.size(),
                           " bytes and ",
                           fds.size(),
                           " descriptors: 1 to ",
                           kMessageMax,
                           " bytes and at most ",
                           kMessageFdsMax,
                           " descriptors go in one");
  }
  iovec part{.iov_base = const_cast<uint8_t*>(bytes.data()), .iov_len = bytes.size()};
  msghdr m{};
  m.msg_iov = &part;
  m.msg_iovlen = 1;
  alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(kMessageFdsMax * sizeof(int))> control{};
  if (!fds.empty()) {
    m.msg_control = control.data();
    m.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
  }
  for (;;) {
    if (::sendmsg(fd, &m, MSG_NOSIGNAL) >= 0) return absl::OkStatus();
    if (errno == EINTR) continue;
    if (errno == EPIPE || errno == ECONNRESET)
      return NotFound("sending to the partner process: it is gone; restart it");
    return ErrnoStatus(errno, "sending to the partner process");
  }
}

absl::StatusOr<Message> ReceiveMessage(int fd) {
  Message out;
  out.bytes.resize(kMessageMax);
  iovec part{.iov_base = out.bytes.data(), .iov_len = out.bytes.size()};
  msghdr m{};
  m.msg_iov = &part;
  m.msg_iovlen = 1;
  alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(kMessageFdsMax * sizeof(int))> control{};
  m.msg_control = control.data();
  m.msg_controllen = control.size();
  ssize_t n;
  do {
    n = ::recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return ErrnoStatus(errno, "receiving from the partner process");
  for (cmsghdr* c = CMSG_FIRSTHDR(&m); c != nullptr; c = CMSG_NXTHDR(&m, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int passed;
      std::memcpy(&passed, CMSG_DATA(c) + i * sizeof(int), sizeof passed);
      out.fds.emplace_back(passed);  // owned at once, so that every error below closes it
    }
  }
  if (n == 0) return NotFound("the partner process closed its socket; restart it");
  if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return InvalidArgument("message from the partner process: longer than ",
                           kMessageMax,
                           " bytes or too many descriptors");
  }
  out.bytes.resize(static_cast<size_t>(n));
  return out;
}

}  // namespace aqmesh::os
