// Who may say how long logs keep their records, and which of several such rules holds.
// Spec:   spec/lineage.md §12.4; spec/objects.md §2 retention.
// Thread: pure. Errors: PermissionDenied (not a voter's, or not enough of the voters),
// Unauthenticated.
#ifndef AQMESH_CORE_AUTHORITY_RETENTION_H_
#define AQMESH_CORE_AUTHORITY_RETENTION_H_

#include <optional>
#include <span>

#include "core/authority/signed.h"

namespace aqmesh::authority {

// A voter of the charter signed it, whose weight is the regular quorum, for this scope.
absl::StatusOr<Held<Retention>> VerifyRetention(const Signed& object, const Held<Charter>& charter);

// Of those for this log that have begun, the newest: by not_before, then seq, then oid.
const Held<Retention>* RetentionOf(std::span<const Held<Retention>> held,
                                   const Kid& log,
                                   uint64_t now);

// The rule for records of this kind: the first that names it. nullptr: they stay.
const KeepRule* KeepOf(const Retention& retention, RecordKind kind);

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_RETENTION_H_
