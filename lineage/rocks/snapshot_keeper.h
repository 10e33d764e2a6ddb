// SnapshotKeeper: a thread that folds the log as it grows and puts a snapshot beside it, so that
// any instant of a long log can be shown within a second. Commits never wait for it: it reads what
// they made durable. A log that an older version wrote gets its snapshots one after the other.
// Spec:   spec/lineage.md §8.2. Bounds: lineage/history/replay.h. Thread: Poke and Stop from any.
// Errors: none leave it: a snapshot that could not be made is tried again 32,768 records later.
// Cost:   ~3 us a record on its own thread, in runs of 32,768 records and at the lowest priority.
#ifndef AQMESH_LINEAGE_ROCKS_SNAPSHOT_KEEPER_H_
#define AQMESH_LINEAGE_ROCKS_SNAPSHOT_KEEPER_H_

#include <atomic>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <thread>

#include "lineage/history/replay.h"
#include "lineage/store.h"

namespace aqmesh::lineage {

class SnapshotKeeper {
 public:
  // `store` outlives the keeper, and may be read from any thread.
  explicit SnapshotKeeper(Store& store);
  ~SnapshotKeeper();  // Stop()
  SnapshotKeeper(const SnapshotKeeper&) = delete;
  SnapshotKeeper& operator=(const SnapshotKeeper&) = delete;

  // The log has grown to so many records. Cheap unless a snapshot is due.
  void Poke(uint64_t records) {
    const uint64_t due = due_.load(std::memory_order_relaxed);
    if (records >= due || records + Snapshots::kEveryMax < due) Wake();  // or another log began
  }
  // Ends the thread after the snapshot that it is making.
  void Stop();

 private:
  void Wake();
  void Run();

  Store& store_;
  std::atomic<uint64_t> due_ = 0;
  std::mutex mutex_;  // guards the two below
  std::condition_variable woken_;
  bool poked_ = true;  // the first look is at once
  bool stopping_ = false;
  std::latch humble_{1};  // its priority is set: a sandbox that comes later may not let it
  std::thread thread_;    // last: it uses all of the above
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_ROCKS_SNAPSHOT_KEEPER_H_
