// Time as an input: a clock without now(), so that only a driver can mint an Instant.
// Spec: spec/rooms.md §3; CLOCK_BOOTTIME, so that a laptop's sleep counts against key ages.
#ifndef AQMESH_CORE_BASE_TIME_H_
#define AQMESH_CORE_BASE_TIME_H_

#include <chrono>
#include <compare>
#include <cstdint>

namespace aqmesh {

struct Boottime {
  using rep = int64_t;
  using period = std::nano;
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<Boottime>;
  // NOLINTNEXTLINE(readability-identifier-naming): the standard library's name for it
  static constexpr bool is_steady = true;
};
using Instant = Boottime::time_point;
inline constexpr Instant kNever = Instant::max();

// Wall time: nanoseconds since 1970 UTC. For validity windows and records, never for protocol
// timers.
struct WallTime {
  int64_t nanos = 0;
  uint64_t seconds() const { return nanos < 0 ? 0 : static_cast<uint64_t>(nanos) / 1'000'000'000u; }
  uint64_t millis() const { return nanos < 0 ? 0 : static_cast<uint64_t>(nanos) / 1'000'000u; }
  static WallTime FromSeconds(uint64_t s) { return {static_cast<int64_t>(s) * 1'000'000'000}; }
  auto operator<=>(const WallTime&) const = default;
};

// What every engine call is handed.
struct Now {
  Instant mono;
  WallTime wall;
  bool operator==(const Now&) const = default;
};

// base + d without overflow: far deadlines stop at kNever.
inline Instant After(Instant base, std::chrono::nanoseconds d) {
  return d >= kNever - base ? kNever : base + d;
}

}  // namespace aqmesh

#endif  // AQMESH_CORE_BASE_TIME_H_
