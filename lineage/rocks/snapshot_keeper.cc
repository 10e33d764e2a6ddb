#include "lineage/rocks/snapshot_keeper.h"

#include <sys/resource.h>

#include <utility>

#include "lineage/history/replay.h"

namespace aqmesh::lineage {

SnapshotKeeper::SnapshotKeeper(Store& store) : store_(store), thread_([this] { Run(); }) {
  humble_.wait();
}

SnapshotKeeper::~SnapshotKeeper() { Stop(); }

void SnapshotKeeper::Wake() {
  {
    const std::lock_guard lock(mutex_);
    poked_ = true;
  }
  woken_.notify_one();
}

void SnapshotKeeper::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  woken_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SnapshotKeeper::Run() {
  constexpr int kLowest = 19;
  // Of this thread alone, as Linux has it. If the system says no, snapshots cost what they cost.
  (void)::setpriority(PRIO_PROCESS, 0, kLowest);
  humble_.count_down();
  Snapshots snapshots(store_);
  bool open = false, more = false;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      woken_.wait(lock, [&] { return stopping_ || poked_ || more; });
      if (stopping_) return;
      poked_ = false;
    }
    // Until it could look for the newest, it must not take the log for one without any.
    if (!open) open = snapshots.Open().ok();
    const absl::StatusOr<bool> took = open ? snapshots.TakeNext() : false;
    more = took.ok() && *took;
    const uint64_t next = took.ok() ? snapshots.due() : store_.size() + Snapshots::kEveryMin;
    due_.store(next, std::memory_order_relaxed);
  }
}

}  // namespace aqmesh::lineage
