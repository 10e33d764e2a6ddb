// How many threads carry packets, and other numbers of the environment.
// Spec:   spec/performance.md §5. Bounds: as the fields say. Thread: before any thread starts.
// Errors: InvalidArgument naming the variable and what it may be.
#ifndef AQMESH_DAEMON_LANE_THREADS_H_
#define AQMESH_DAEMON_LANE_THREADS_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>

namespace aqmesh::daemon {

// The variable's number of at most nine digits; nullopt if it is unset or empty.
absl::StatusOr<std::optional<uint32_t>> NumberFromEnvironment(const char* name);

struct Threads {
  uint32_t data = 1;     // 1, 2, 4, 8 or 16
  uint32_t helpers = 0;  // that only seal and open, up to 16
  // TUN queues of each data thread, among which the kernel spreads flows, so that sparse ones need
  // not wait behind others: 1 to os::Tun::kQueuesMax.
  uint32_t flow_queues() const { return data > 4 ? 4 : 8; }
};
// Below four cores one thread does better than two that wake each other.
Threads ThreadsFor(unsigned cores);
// The environment's PREFIX_THREADS and PREFIX_HELPERS; what they leave open as the number of cores
// says. Data threads that were asked for have no helpers unasked.
absl::StatusOr<Threads> ReadThreads(const std::string& prefix);

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_LANE_THREADS_H_
