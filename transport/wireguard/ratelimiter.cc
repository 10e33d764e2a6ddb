#include "transport/wireguard/ratelimiter.h"

#include <algorithm>

namespace aqmesh::wireguard {

namespace {
using std::chrono::nanoseconds;
using std::chrono::seconds;
constexpr nanoseconds kCost = nanoseconds(seconds(1)) / RateLimiter::kPerSecond;
constexpr nanoseconds kFull = kCost * RateLimiter::kBurst;
constexpr nanoseconds kIdle = seconds(1);
constexpr nanoseconds kService = nanoseconds(seconds(1)) / LoadMeter::kServedPerSecond;
}  // namespace

RateLimiter::Key RateLimiter::KeyOf(const IpAddress& source) {
  Key key;
  key.data()[0] = source.is_v6() ? 6 : 4;
  std::memcpy(
      key.data() + 1, source.bytes().data(), source.is_v6() ? 8 : 4);  // a v6 customer owns a /64
  return key;
}

bool RateLimiter::Allow(Instant now, const IpAddress& source) {
  if (now - swept_ >= kIdle) Sweep(now);
  const Key key = KeyOf(source);
  auto it = buckets_.find(key);
  if (it == buckets_.end()) {
    if (buckets_.size() >= kEntriesMax) return false;
    buckets_.emplace(key, Bucket{now, kFull - kCost});
    return true;
  }
  Bucket& b = it->second;
  b.tokens = std::min(kFull, b.tokens + (now - b.last));
  b.last = now;
  if (b.tokens < kCost) return false;
  b.tokens -= kCost;
  return true;
}

void RateLimiter::Sweep(Instant now) {
  absl::erase_if(buckets_, [now](const auto& entry) { return now - entry.second.last > kIdle; });
  swept_ = now;
}

bool LoadMeter::OnHandshake(Instant now) {
  backlog_ = std::max(nanoseconds(0), backlog_ - (now - last_));
  last_ = now;
  // The backlog stops growing where the state cannot get worse, so that it also ends in time.
  backlog_ = std::min(backlog_ + kService, kService * kDeep);
  if (backlog_ >= kService * kDeep) until_ = now + seconds(1);
  return UnderLoad(now);
}

}  // namespace aqmesh::wireguard
