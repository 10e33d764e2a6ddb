// Forks at the command line: what this store holds of keys that signed twice, as files that convict
// them elsewhere. `prove` and `check` come here for such.
// Spec:   spec/lineage.md §7.9. Thread: one owner. Errors: as commands.h.
#ifndef AQMESH_DAEMON_CLI_FORK_COMMANDS_H_
#define AQMESH_DAEMON_CLI_FORK_COMMANDS_H_

#include <string>
#include <string_view>

#include "daemon/cli/commands.h"

namespace aqmesh::cli {

// The fork whose id begins so, to `out`.
absl::StatusOr<int> ProveFork(Session& s, const std::string& which, const std::string& out);
// The fork that the head in a file makes with what the store holds, to `out`.
absl::StatusOr<int> ProveHead(Session& s, const std::string& head, const std::string& out);
// Nothing but the text and the charter is believed.
absl::StatusOr<int> CheckFork(Session& s,
                              std::string_view text,
                              const std::string& file,
                              const std::string& charter);
void AddForks(Tree& tree, CLI::App* lineage);  // forks

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_FORK_COMMANDS_H_
