// Trace: what happened in a world, a line an event, and the hash over those lines. Two runs of one
// seed print the same hash; where they do not, the first line that differs says where to look.
// Wire:   hash = BLAKE2b-256 over all lines, each with its newline (what `b2sum -l 256` says of the
// file).
// Bounds: kTailMax lines are kept; the rest goes to the sink, if there is one.
// Thread: one owner.
#ifndef AQMESH_SIM_TRACE_H_
#define AQMESH_SIM_TRACE_H_

#include <sodium.h>

#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/time.h"

namespace aqmesh::sim {

// "12.345678901", seconds since the world began.
std::string TimeText(Instant at, Instant began);

class Trace {
 public:
  using Sink = std::function<void(std::string_view line)>;  // with its newline
  static constexpr size_t kTailMax = 40;

  explicit Trace(Sink sink);
  void Add(std::string line);  // without its newline
  std::string Hash() const;    // hex; more lines may follow
  const std::deque<std::string>& tail() const { return tail_; }
  uint64_t lines() const { return lines_; }

 private:
  Sink sink_;
  crypto_generichash_state state_;
  std::deque<std::string> tail_;
  uint64_t lines_ = 0;
};

}  // namespace aqmesh::sim

#endif  // AQMESH_SIM_TRACE_H_
