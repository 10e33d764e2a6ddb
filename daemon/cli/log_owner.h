// Whose log is this? Answered from signed objects alone: the keybind of the log key, the grants of
// whoever signed it, the charter.
// Spec:   spec/lineage.md §7.7. Thread: pure. Errors: Unauthenticated, naming what is missing.
#ifndef AQMESH_DAEMON_CLI_LOG_OWNER_H_
#define AQMESH_DAEMON_CLI_LOG_OWNER_H_

#include <span>
#include <string>
#include <vector>

#include "daemon/cli/session.h"

namespace aqmesh::cli {

// Members whom the grants among `objects` prove under the charter, at that time.
struct Member {
  Kid kid;
  Ed25519Key key;
  std::string name;
};
std::vector<Member> MembersIn(const std::vector<SignedPtr>& objects,
                              const Held<authority::Charter>& charter,
                              uint64_t at);

struct LogOwner {
  Ed25519Key log;
  Member member;
};
absl::StatusOr<LogOwner> OwnerOf(const Kid& log,
                                 const std::vector<SignedPtr>& objects,
                                 std::span<const Member> members,
                                 const ScopeId& scope);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_LOG_OWNER_H_
