// `aqmesh verify`: one object with only what is passed, no memory of a mesh.
// Spec:   spec/objects.md §4; what cannot be checked without a mesh is listed, never assumed.
// Bounds: those of chain.h. Thread: pure. Errors: in the report's status.
#ifndef AQMESH_CORE_AUTHORITY_STANDALONE_H_
#define AQMESH_CORE_AUTHORITY_STANDALONE_H_

#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/authority/chain.h"
#include "core/authority/objects_held.h"
#include "core/base/time.h"

namespace aqmesh::authority {

struct StandaloneReport {
  absl::Status status;
  std::vector<std::string> made, not_made;
  std::optional<Overreach> overreach;  // proven: every signature held
};
// `charter` is in force; those before it count where they are among `objects`.
StandaloneReport VerifyStandalone(ByteView object,
                                  const Held<Charter>& charter,
                                  std::span<const SignedPtr> objects,
                                  WallTime now);

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_STANDALONE_H_
