// A bounded queue between two threads whose reader sleeps in epoll: values go in at one end, and a
// descriptor becomes readable at the other.
// Bounds: as constructed; a value more is refused. Thread: Put from any, Take from one.
// Cost:   a lock and, if the reader had emptied it, one system call; a reader that sleeps is woken
//         in about 25 us. Not for packets.
#ifndef AQMESH_TRANSPORT_OS_MAILBOX_H_
#define AQMESH_TRANSPORT_OS_MAILBOX_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "transport/os/fd.h"

namespace aqmesh::os {

template <class T>
class Mailbox {
 public:
  static absl::StatusOr<std::unique_ptr<Mailbox>> Open(size_t values_max) {
    Fd fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!fd.valid()) return ErrnoStatus(errno, "opening an event descriptor");
    return std::unique_ptr<Mailbox>(new Mailbox(std::move(fd), values_max));
  }
  int fd() const { return fd_.get(); }  // readable: something is in it

  bool HasRoom() const {
    const std::lock_guard lock(mutex_);
    return values_.size() < values_max_;
  }
  // Moves `value` in. False: full, and `value` is as it was.
  bool Put(T& value) {
    const std::lock_guard lock(mutex_);
    if (values_.size() >= values_max_) return false;
    values_.push_back(std::move(value));
    if (values_.size() == 1) Signal();
    return true;
  }
  // All that is in it, in order. `values` is cleared first.
  void Take(std::vector<T>& values) {
    values.clear();
    const std::lock_guard lock(mutex_);
    if (values_.empty()) return;
    std::swap(values, values_);
    uint64_t count = 0;
    (void)!::read(fd_.get(), &count, sizeof count);  // it was written to
  }

 private:
  Mailbox(Fd fd, size_t values_max) : fd_(std::move(fd)), values_max_(values_max) {}
  void Signal() {
    const uint64_t one = 1;
    (void)!::write(fd_.get(), &one, sizeof one);  // it is zero, so there is room
  }

  Fd fd_;
  const size_t values_max_;
  mutable std::mutex mutex_;
  std::vector<T> values_;
};

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_MAILBOX_H_
