// What every shard that uses one session shares of it: the counter to send next, and the window of
// those that came.
// Spec:   spec/wire.md §1.7, §1.8; spec/performance.md §5 (shards).
// Bounds: about 1.1 KiB. Thread: any, if it was made `shared`; else one, and nothing is locked.
// Cost:   a session's receiver is one shard, so the lock is free: about 5 ns a packet; a
// reservation
//         is one atomic addition a batch.
#ifndef AQMESH_TRANSPORT_WIREGUARD_SESSION_SYNC_H_
#define AQMESH_TRANSPORT_WIREGUARD_SESSION_SYNC_H_

#include <atomic>

#include "transport/wireguard/replay.h"

namespace aqmesh::wireguard {

class SessionSync {
 public:
  explicit SessionSync(bool shared) : shared_(shared) {}

  // `n` counters that nobody else gets, from the one returned on. A caller that has seen
  // next() < kRejectAfterMessages may reserve up to kReserveMax: 16 shards that do so at once still
  // end below 2^64.
  static constexpr uint64_t kReserveMax = 256;
  uint64_t Reserve(uint64_t n) {
    if (shared_) return next_.fetch_add(n, std::memory_order_relaxed);
    const uint64_t first = next_.load(std::memory_order_relaxed);
    next_.store(first + n, std::memory_order_relaxed);
    return first;
  }
  uint64_t next() const { return next_.load(std::memory_order_relaxed); }
  void SetNextForTest(uint64_t next) { next_.store(next); }

  // As ReplayWindow has them.
  bool Accept(uint64_t counter) {
    const Lock lock(*this);
    return replay_.Accept(counter);
  }
  bool Seen(uint64_t counter) {
    const Lock lock(*this);
    return replay_.Seen(counter);
  }

 private:
  // Held for some nanoseconds; whoever is put to sleep in between is waited for by the scheduler.
  class Lock {
   public:
    explicit Lock(SessionSync& sync);
    ~Lock() {
      if (sync_.shared_) sync_.busy_.clear(std::memory_order_release);
    }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    SessionSync& sync_;
  };

  const bool shared_;
  std::atomic<uint64_t> next_{0};
  // On a line of its own: senders on other shards move next_ all the time.
  alignas(64) std::atomic_flag busy_;
  ReplayWindow replay_;
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_SESSION_SYNC_H_
