// The command line `aqmesh`: its tree of commands, and one run of it.
// Spec:   spec/objects.md §5 (files); output rules: stdout the answer, stderr the talk; --json is a contract.
// Errors: exit 0 done or yes, 1 failed or no, 2 usage. One line on stderr: what, where, the mend.
// Thread: one owner.
#ifndef AQMESH_DAEMON_CLI_CLI_H_
#define AQMESH_DAEMON_CLI_CLI_H_

#include <string>
#include <vector>

#include "daemon/cli/env.h"

namespace aqmesh::cli {

// `args` without the program's name.
int RunCli(Env& env, std::vector<std::string> args);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_CLI_H_
