// Where a question about the lineage is put: this machine's store, with what was imported into its
// archive, or whatever --from and --with name: a state directory, a store, sealed segments.
// Spec:   spec/lineage.md §6, §12.3, §12.5.
// Thread: pure but for the files. Errors: NotFound (nothing to ask there, or no such log),
//         InvalidArgument (more than one log fits), the stores'.
#ifndef AQMESH_DAEMON_CLI_LINEAGE_SOURCE_H_
#define AQMESH_DAEMON_CLI_LINEAGE_SOURCE_H_

#include <memory>
#include <string>

#include "daemon/cli/state.h"
#include "lineage/store.h"

namespace aqmesh::cli {

// `log`: the first digits of the log's key; "": the newest of a store.
absl::StatusOr<std::unique_ptr<lineage::Store>> OpenLineageAt(const std::string& path,
                                                              const std::string& log = "");
// This machine's own.
absl::StatusOr<std::unique_ptr<lineage::Store>> OpenLineageOf(const StateDir& state,
                                                              const std::string& log = "");
// Whose log it is; nullopt: it has no record.
absl::StatusOr<std::optional<Kid>> LogKidOf(const lineage::Store& store);
// The newest binding of a log key that is known; nullptr: none.
const std::shared_ptr<const authority::Signed>* KeybindOf(const KnownObjects& known,
                                                          const Kid& log,
                                                          authority::Keybind& body);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_LINEAGE_SOURCE_H_
