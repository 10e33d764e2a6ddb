// ClockWatch: whether somebody set the wall clock. Between two looks it has to go on as the
// monotonic one does; credentials are in date by the wall, so who reads a log has to know when it
// was moved.
// Spec:   spec/lineage.md §2 (CLOCK_STEP); spec/authority.md E.3. Thread: a value, no clock of its own.
#ifndef AQMESH_NODE_CLOCK_WATCH_H_
#define AQMESH_NODE_CLOCK_WATCH_H_

#include <cstdint>
#include <cstdlib>
#include <optional>

#include "core/base/time.h"

namespace aqmesh::node {

class ClockWatch {
 public:
  struct Step {
    uint64_t expected_millis = 0, found_millis = 0;
  };
  // What is less is a clock that is being steered.
  static constexpr int64_t kLeastMillis = 1'000;

  explicit ClockWatch(Now start) : seen_(start) {}

  // Since the look before.
  std::optional<Step> Look(Now now) {
    const auto passed =
        std::chrono::duration_cast<std::chrono::milliseconds>(now.mono - seen_.mono).count();
    const Step step{seen_.wall.millis() + static_cast<uint64_t>(passed), now.wall.millis()};
    seen_ = now;
    const auto off = static_cast<int64_t>(step.found_millis - step.expected_millis);
    if (std::abs(off) < kLeastMillis) return std::nullopt;
    return step;
  }

 private:
  Now seen_;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_CLOCK_WATCH_H_
