// Audit: reads a log from its first record to its last, and all that was signed about it.
// Spec:   spec/lineage.md §1, §7.
// Bounds: one record at a time; 48 bytes a head, 24 a cosigner. Thread: pure; reads the store.
// Errors: DataLoss naming the record or the head, and what differs; Unauthenticated (a signature).
// Cost:   ~2 us a record, 39 us a signature.
#ifndef AQMESH_LINEAGE_AUDIT_H_
#define AQMESH_LINEAGE_AUDIT_H_

#include <optional>
#include <span>
#include <vector>

#include "lineage/heads.h"
#include "lineage/store.h"

namespace aqmesh::lineage {

struct AuditReport {
  uint64_t records = 0;       // read, each from where it is
  Gone gone = {};             // those before: of these the hashes alone
  uint64_t heads = 0;         // of this log, each over the records that it says
  uint64_t cosignatures = 0;  // under them, of known members; those of others are not counted
  uint64_t covered = 0;       // records under the newest head
  std::optional<Head> end;
  std::optional<tlog::SignedCheckpoint> newest;  // the longest of the heads
  struct Cosigned {
    uint64_t heads = 0;
    uint64_t size = 0, time = 0;  // of the longest of them
  };
  std::vector<Cosigned> by_cosigner;  // as they were passed
};

// Recomputes the chain and the tree. Every head of this log on the note shelf must be signed by
// `log` and have the root that the records give, and none may be longer than the log. Of records
// that have left, the hashes that stayed must lead to the same root.
absl::StatusOr<AuditReport> AuditLog(const Store& store,
                                     const tlog::NoteKey& log,
                                     std::span<const tlog::NoteKey> cosigners);

struct ContentReport {
  uint64_t open = 0;    // records whose content can be read, and is what they commit to
  uint64_t closed = 0;  // whose key is not here
  uint64_t absent = 0;  // whose content is not in this store
};
// Opens what every record commits to. DataLoss names the record whose content is not that.
absl::StatusOr<ContentReport> AuditContents(const Store& store);

// The head that proves record `seq` best: of the first heads that cover it, the one with the most
// signatures. NotFound: none covers it yet.
absl::StatusOr<tlog::SignedCheckpoint> HeadOver(const Store& store,
                                                Seq seq,
                                                std::string_view origin);

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_AUDIT_H_
