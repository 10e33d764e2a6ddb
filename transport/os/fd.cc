#include "transport/os/fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace aqmesh::os {

void Fd::Close() {
  if (fd_ >= 0)
    ::close(fd_);  // an error here leaves nothing to do: Linux frees the number in any case
  fd_ = -1;
}

std::string ErrnoText(int err) {
  char buffer[128];
  return strerror_r(
      err, buffer, sizeof buffer);  // the GNU form: returns the text, perhaps not in buffer
}

namespace {
absl::StatusCode CodeOf(int err) {
  switch (err) {
    case EPERM:
    case EACCES: return absl::StatusCode::kPermissionDenied;
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case ESRCH:
    case EADDRNOTAVAIL: return absl::StatusCode::kNotFound;
    case EEXIST:
    case EADDRINUSE: return absl::StatusCode::kAlreadyExists;
    case EINVAL:
    case ENAMETOOLONG: return absl::StatusCode::kInvalidArgument;
    case EAGAIN:
    case EBUSY:
    case ENETDOWN:
    case EINTR: return absl::StatusCode::kUnavailable;
    case ENOBUFS:
    case ENOMEM:
    case EMFILE:
    case ENFILE: return absl::StatusCode::kResourceExhausted;
    default: return absl::StatusCode::kInternal;
  }
}
}  // namespace

absl::Status ErrnoStatus(int err, std::string_view what, std::string_view mend) {
  const std::string text = mend.empty() ? Join(what, ": ", ErrnoText(err))
                                        : Join(what, ": ", ErrnoText(err), "; ", mend);
  return absl::Status(CodeOf(err), text);
}

absl::Status SetNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
    return ErrnoStatus(errno, Join("descriptor ", fd, ": making it non-blocking"));
  }
  return absl::OkStatus();
}

}  // namespace aqmesh::os
