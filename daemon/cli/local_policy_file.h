// policy.toml: what the owner of this machine allows, whatever the mesh says.
//   default_rung  = "ADMIT"        # ceiling for governed peers: REFUSE DEFER ESCALATE PROBATION
//   CONSTRAIN ADMIT plain_ceiling = "CONSTRAIN"    # ceiling for plain WireGuard peers
//   [[deny]]
//   src = "tag:guest"              # any | tag:a.b | node:KID | ADDRESS[/LEN]; default any
//   dst = "any"
//   service = "tcp:22,8000-8010"   # as in a rule; default any
//   note = "no shells for guests"  # shown by explain
// Spec:   spec/authority.md C.4: absent or unreadable = deny.
// Bounds: kDenialsMax denials, kPolicyFileMax bytes. Thread: pure, but for LoadLocalPolicy's one file.
// Errors: "FILE:LINE:COLUMN: what; the mend". Unknown keys are errors: a typing error must not widen.
#ifndef AQMESH_DAEMON_CLI_LOCAL_POLICY_FILE_H_
#define AQMESH_DAEMON_CLI_LOCAL_POLICY_FILE_H_

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "admission/local_policy.h"

namespace aqmesh::cli {

// The store keeps it beside the decisions that were made under it, so as an object's bound.
inline constexpr size_t kPolicyFileMax = 64 * 1024;

absl::StatusOr<admission::LocalPolicy> ParseLocalPolicy(std::string_view text,
                                                        std::string_view file_name);

// What to run under, and why it is not what the file says, if it is not: then nothing is allowed
// (readable = false). file_hash is of the bytes read, zero if there were none.
struct LoadedPolicy {
  admission::LocalPolicy policy;
  absl::Status status;
};
LoadedPolicy LoadLocalPolicy(const std::string& path);

// What the file of that hash said, by what was kept of it. One that could not be read or parsed
// allowed nothing. DataLoss: not kept, or altered.
absl::StatusOr<admission::LocalPolicy> KeptPolicy(const Digest& hash,
                                                  const std::optional<Bytes>& text);

std::string DefaultPolicyText();  // what `init` and `join` write

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_LOCAL_POLICY_FILE_H_
