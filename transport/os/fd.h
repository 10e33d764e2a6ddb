// One owned file descriptor, and the text of what the kernel refused.
// Thread: a value with one owner; move-only. `get()` may be lent to
// boost::asio::posix::stream_descriptor, which must be release()d before the Fd goes.
#ifndef AQMESH_TRANSPORT_OS_FD_H_
#define AQMESH_TRANSPORT_OS_FD_H_

#include <string_view>

#include "core/base/status.h"

namespace aqmesh::os {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { Close(); }
  Fd(Fd&& o) noexcept : fd_(o.Release()) {}
  Fd& operator=(Fd&& o) noexcept {
    if (this != &o) {
      Close();
      fd_ = o.Release();
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() {
    int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void Close();  // no-op when not valid

 private:
  int fd_ = -1;
};

// "`what`: <text of err>; `mend`" under the absl code that fits err: EPERM/EACCES PermissionDenied,
// ENOENT/ENODEV NotFound, EEXIST/EADDRINUSE AlreadyExists, EINVAL InvalidArgument,
// EAGAIN/EBUSY/ENETDOWN Unavailable, ENOBUFS/ENOMEM/EMFILE ResourceExhausted, others Internal.
// `mend` may be empty.
absl::Status ErrnoStatus(int err, std::string_view what, std::string_view mend = {});

// Text of an errno value, thread-safe.
std::string ErrnoText(int err);

absl::Status SetNonBlocking(int fd);

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_FD_H_
