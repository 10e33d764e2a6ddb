// Seal: writes sealed segments of a log, each whole or not at all.
// Spec:   spec/lineage.md §12.1, §12.2.
// Bounds: one segment in memory. Thread: reads the store from any one thread.
// Errors: FailedPrecondition (no signed head covers what is asked for), Unavailable (another process
//         writes there), ResourceExhausted (the disk), the store's.
// Cost:   ~10 us a record, and an fsync a file.
#ifndef AQMESH_LINEAGE_SEALED_SEAL_H_
#define AQMESH_LINEAGE_SEALED_SEAL_H_

#include <string>

#include "lineage/store.h"

namespace aqmesh::lineage {

struct SealReport {
  uint64_t segments = 0, records = 0;  // written now
  Seq first = 0, end = 0;              // that lie there now: first..end-1
  bool uncovered = false;              // more would have been sealed, but for a head over it
};

// Seals the whole tiles of the records before `until` that DIR does not have yet, in segments of at
// most kSegmentRecordsMax. What a killed run left half is removed first.
absl::StatusOr<SealReport> Seal(const Store& store, const std::string& dir, Seq until);

// Reads what DIR has of the records first..end-1 of this store's log and holds it against the
// store: every file, and each record by its hash. FailedPrecondition: not all of them are there.
absl::Status CheckSealed(const Store& store, const std::string& dir, Seq first, Seq end);

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_SEALED_SEAL_H_
