// Gives up what a process does not need, for good.
// Spec:   spec/reliability.md §5: the engine has no capability, the monitor CAP_NET_ADMIN alone; capabilities(7),
//         PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE. Thread: before any other thread exists.
// Errors: PermissionDenied with the mend. A failure to give something up is fatal to the caller.
#ifndef AQMESH_DAEMON_NET_PRIVILEGES_H_
#define AQMESH_DAEMON_NET_PRIVILEGES_H_

#include <absl/status/statusor.h>

#include <string>

namespace aqmesh::daemon {

bool HasNetAdmin();                                // effective now
absl::Status KeepOnlyNetAdmin();                   // PermissionDenied if it is not held
absl::Status DropCapabilities();                   // all of them
std::string DirectoryOf(const std::string& path);  // of a file: "." and "/" where it names none
// The directory of a control socket, 0750, and the one above it, 0755, where they are missing.
absl::Status MakeSocketDirectory(const std::string& socket);
// Where we are root and `state` belongs to the user `aqmesh`: makes the directory of `socket` that
// user's, and becomes it. Capabilities go with root. Elsewhere nothing happens. Says who we are
// then.
absl::StatusOr<std::string> BecomeServiceUser(const std::string& state, const std::string& socket);
// No new privileges, no core file, no ptrace by our own user, no group or world bits on new files.
absl::Status Seal();

// Of the running process, for --selfcheck.
struct Privileges {
  bool no_capabilities = false;  // permitted, effective and ambient are empty
  bool no_new_privileges = false;
  bool not_dumpable = false;
};
Privileges ReadPrivileges();

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_NET_PRIVILEGES_H_
