#include "transport/os/standing_queue.h"

#include <algorithm>
#include <cmath>

namespace aqmesh::os {

bool StandingQueue::OnRead(Instant now, bool emptied) {
  if (emptied) {
    if (next_ != kNever) ended_ = now;
    since_ = next_ = kNever;
    return false;
  }
  if (since_ == kNever) since_ = now;
  if (next_ == kNever) {
    if (now - since_ < kInterval) return false;
    // One that stands again soon goes on nearly where it stopped: the rate was about right.
    count_ = count_ > 2 && now - ended_ < 16 * kInterval ? count_ - 2 : 1;
  } else {
    if (now < next_) return false;
    count_ = std::min(count_ + 1, kCountMax);
  }
  next_ = now + std::chrono::nanoseconds(static_cast<int64_t>(
                    static_cast<double>(std::chrono::nanoseconds(kInterval).count()) /
                    std::sqrt(static_cast<double>(count_))));
  return true;
}

}  // namespace aqmesh::os
