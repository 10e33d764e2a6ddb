// Starts aqmeshd: by the service manager where it knows the unit and the paths are the usual ones,
// else as a process of its own that outlives the CLI; and waits until it answers. Waits for its
// end.
// Bounds: waits kStartMax, kStopMax. Thread: blocks. Errors: what the daemon said last, from its log.
#ifndef AQMESH_DAEMON_CLI_DAEMON_START_H_
#define AQMESH_DAEMON_CLI_DAEMON_START_H_

#include <absl/status/statusor.h>

#include <chrono>
#include <string>

namespace aqmesh::cli {

inline constexpr std::chrono::seconds kStartMax{10}, kStopMax{10};

// true: started; false: one answered already. The program is looked for beside this one, then in
// PATH.
absl::StatusOr<bool> StartDaemon(const std::string& state, const std::string& socket);
// After it was told to stop: until its store is free. It answers, and closes its socket, before.
absl::Status AwaitDaemonEnd(const std::string& store);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_DAEMON_START_H_
