#include "transport/wireguard/tai64n.h"

#include <algorithm>

namespace aqmesh::wireguard {

namespace {
constexpr uint64_t kBase = 0x400000000000000aULL;
constexpr uint32_t kWhitener = 0xffffff;
constexpr int64_t kSecond = 1'000'000'000;
}  // namespace

Tai64n ToTai64n(WallTime wall) {
  const int64_t nanos = std::max<int64_t>(wall.nanos, 0);
  Tai64n t;
  StoreBe(t.data(), kBase + static_cast<uint64_t>(nanos / kSecond));
  StoreBe(t.data() + 8, static_cast<uint32_t>(nanos % kSecond) & ~kWhitener);
  return t;
}

Tai64n Tai64nClock::Next(WallTime wall) {
  int64_t nanos = std::max<int64_t>(wall.nanos, 0);
  // A step of a whole whitening unit is always seen, also where the step crosses into the next
  // second.
  if (last_nanos_ >= 0 && ToTai64n({nanos}) <= ToTai64n({last_nanos_}))
    nanos = last_nanos_ + kWhitener + 1;
  last_nanos_ = nanos;
  return ToTai64n({nanos});
}

}  // namespace aqmesh::wireguard
