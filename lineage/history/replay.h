// The state of a log at any instant: from the newest snapshot before it and the records since; and
// the snapshots themselves, made as the log grows.
// Spec:   spec/lineage.md §8. A snapshot counts only if the log holds the record that it ends at.
// Bounds: between kEveryMin and kEveryMax records lie between two snapshots.
// Thread: pure; as the store's reads and its PutSnapshot.
// Errors: DataLoss (a record is not what was written), and the store's.
// Cost:   a state of n subjects: ~1 us each to read, then ~2.5 us a record
// (bench/micro/history_bench.cc).
#ifndef AQMESH_LINEAGE_HISTORY_REPLAY_H_
#define AQMESH_LINEAGE_HISTORY_REPLAY_H_

#include "lineage/history/state.h"
#include "lineage/store.h"

namespace aqmesh::lineage {

// How many records a log has up to and including this instant.
absl::StatusOr<uint64_t> RecordsUntil(const Store& log, uint64_t hlc);

// What the first `records` records come to; all of them if there are fewer. `newest`: snapshots of
// more records than these are not used, 0 folds from the beginning.
absl::StatusOr<State> StateOf(const Store& log, uint64_t records, uint64_t newest = UINT64_MAX);
// At that instant.
absl::StatusOr<State> StateAt(const Store& log, uint64_t hlc);

// Folds the records that follow `state` up to `records` into it.
absl::Status Advance(const Store& log, uint64_t records, State& state);

class Snapshots {
 public:
  static constexpr uint64_t kEveryMin = 32'768, kEveryMax = 131'072;

  // Borrows the store.
  explicit Snapshots(Store& store) : store_(store) {}
  // Looks for the newest that there is.
  absl::Status Open();
  // The log has to hold so many records for the next.
  uint64_t due() const { return due_; }
  // Makes the next one, if it is due; false if it is not.
  absl::StatusOr<bool> TakeNext();

 private:
  void Took(uint64_t records, size_t bytes);

  Store& store_;
  uint64_t due_ = kEveryMin;
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_HISTORY_REPLAY_H_
