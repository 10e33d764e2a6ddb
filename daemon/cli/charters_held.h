// The charters of a store as the node would read them: in force with their votes, and proposed.
// Bounds: those of node::Charters. Thread: pure.
#ifndef AQMESH_DAEMON_CLI_CHARTERS_HELD_H_
#define AQMESH_DAEMON_CLI_CHARTERS_HELD_H_

#include "daemon/cli/state.h"
#include "node/charters.h"

namespace aqmesh::cli {

absl::StatusOr<node::Charters> ChartersIn(const lineage::Store& store, const KnownObjects& known);
// Takes the charters and votes among `objects`, in any order. All or none: what does not fit is the
// error.
absl::Status TakeCharters(node::Charters& charters,
                          std::span<const std::shared_ptr<const authority::Signed>> objects);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_CHARTERS_HELD_H_
