// The Env of a real process: its standard streams, clock, entropy and daemon.
// Thread: one owner, which is the process. Errors: a stream that is gone is not an error worth a
// word.
#ifndef AQMESH_DAEMON_CLI_TERMINAL_H_
#define AQMESH_DAEMON_CLI_TERMINAL_H_

#include "daemon/cli/env.h"

namespace aqmesh::cli {

Env ProcessEnv(std::string version);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_TERMINAL_H_
