// A rate with a burst, in integers.
// Bounds: a request above the burst never passes. Thread: one owner. Cost: ~2 ns.
#ifndef AQMESH_ADMISSION_TOKEN_BUCKET_H_
#define AQMESH_ADMISSION_TOKEN_BUCKET_H_

#include <algorithm>
#include <cstdint>

#include "core/base/time.h"

namespace aqmesh::admission {

class TokenBucket {
 public:
  TokenBucket() = default;  // passes nothing
  TokenBucket(uint64_t per_second, uint64_t burst, Instant start)
      : per_second_(std::min(per_second, kMost)), burst_(burst), tokens_(burst), at_(start) {}

  // Takes n tokens or none. Time that runs backwards adds nothing.
  bool Take(uint64_t n, Instant now) {
    Refill(now);
    if (n > tokens_) return false;
    tokens_ -= n;
    return true;
  }
  bool Has(uint64_t n, Instant now) {
    Refill(now);
    return n <= tokens_;
  }

 private:
  static constexpr uint64_t kMost = 300'000'000;  // a second; above it is no limit that we set

  void Refill(Instant now) {
    if (now <= at_ || per_second_ == 0) return;
    // An hour's silence is worth no more than a minute's: keeps the product below 2^64.
    const auto elapsed =
        static_cast<uint64_t>(std::min<int64_t>((now - at_).count(), 60'000'000'000));
    const uint64_t whole = elapsed * per_second_ / 1'000'000'000;
    if (whole > burst_ - tokens_) {
      tokens_ = burst_;
      at_ = now;
      return;
    }
    tokens_ += whole;
    // Only the time of whole tokens is spent, so that fractions add up.
    at_ += std::chrono::nanoseconds(whole * 1'000'000'000 / per_second_);
  }

  uint64_t per_second_ = 0, burst_ = 0, tokens_ = 0;
  Instant at_{};
};

}  // namespace aqmesh::admission

#endif  // AQMESH_ADMISSION_TOKEN_BUCKET_H_
