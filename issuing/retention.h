// Makes retention rules: how long the logs of a mesh keep their records.
// Spec:   spec/objects.md §2 retention; spec/lineage.md §12.4.
// Thread: a function without state. Errors: PermissionDenied (not a voter), InvalidArgument (a
// rule),
//         the SeqSource's.
#ifndef AQMESH_ISSUING_RETENTION_H_
#define AQMESH_ISSUING_RETENTION_H_

#include <optional>
#include <vector>

#include "core/authority/retention.h"
#include "issuing/issue.h"

namespace aqmesh::issuing {

struct RetentionTerms {
  std::optional<Kid> log = {};  // absent: every log of the mesh
  std::vector<authority::KeepRule> rules = {};
};
// Signed by a voter. Takes a number of its stream E.
absl::StatusOr<Held<authority::Retention>> MakeRetention(const Issuer& root,
                                                         RetentionTerms terms,
                                                         uint64_t now);

}  // namespace aqmesh::issuing

#endif  // AQMESH_ISSUING_RETENTION_H_
