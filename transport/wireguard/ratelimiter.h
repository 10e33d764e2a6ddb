// How many handshakes one source, and all together, may cost us.
// Spec:   spec/wire.md §1.4: 20 initiations a second, burst 5, per IPv4 address or IPv6 /64; entries
//         collected after 1 s idle. Used only behind a valid MAC, or a spoofer could lock out his
//         victim.
// Bounds: kEntriesMax sources; a new one beyond that is refused until the sweep, at most 1 s later.
// Thread: one owner. Cost: O(1), a sweep a second.
#ifndef AQMESH_TRANSPORT_WIREGUARD_RATELIMITER_H_
#define AQMESH_TRANSPORT_WIREGUARD_RATELIMITER_H_

#include <absl/container/flat_hash_map.h>

#include "core/base/net.h"
#include "core/base/time.h"

namespace aqmesh::wireguard {

class RateLimiter {
 public:
  static constexpr int kPerSecond = 20;
  static constexpr int kBurst = 5;
  static constexpr size_t kEntriesMax = 16384;

  bool Allow(Instant now, const IpAddress& source);
  size_t size() const { return buckets_.size(); }

 private:
  struct Bucket {
    Instant last;
    std::chrono::nanoseconds tokens;
  };
  using Key = FixedBytes<9, struct RateKeyTag>;  // family, then 4 or 8 bytes
  static Key KeyOf(const IpAddress& source);
  void Sweep(Instant now);

  absl::flat_hash_map<Key, Bucket> buckets_;
  Instant swept_{};
};

// Under load: as if handshakes waited in a queue that drains at kServedPerSecond; deep is kDeep
// entries, an eighth of wireguard-go's queue, and the state lasts 1 s after. Data never queues
// behind it.
class LoadMeter {
 public:
  static constexpr int kServedPerSecond = 1000;
  static constexpr int kDeep = 128;

  bool OnHandshake(Instant now);  // counts one message with a good mac1; true if under load
  bool UnderLoad(Instant now) const { return now < until_; }

 private:
  Instant last_{};
  std::chrono::nanoseconds backlog_{};
  Instant until_{};
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_RATELIMITER_H_
