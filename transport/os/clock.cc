#include "transport/os/clock.h"

#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

#include "core/base/check.h"

namespace aqmesh::os {

namespace {
int64_t Nanos(clockid_t id) {
  timespec t{};
  AQ_CHECK(clock_gettime(id, &t) == 0);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}
}  // namespace

Now ReadNow() {
  return {.mono = Instant(std::chrono::nanoseconds(Nanos(CLOCK_BOOTTIME))),
          .wall = {Nanos(CLOCK_REALTIME)}};
}

Rng::Seed KernelSeed() {
  Rng::Seed seed{};
  size_t have = 0;
  while (have < seed.size()) {
    const ssize_t n = getrandom(seed.data() + have, seed.size() - have, 0);
    AQ_CHECK(n > 0 || errno == EINTR);
    if (n > 0) have += static_cast<size_t>(n);
  }
  return seed;
}

int PollTimeoutMs(Instant now, Instant deadline) {
  if (deadline == kNever) return -1;
  if (deadline <= now) return 0;
  constexpr int64_t kHourMs = 3'600'000;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
  return static_cast<int>(std::min(left, kHourMs));
}

}  // namespace aqmesh::os
