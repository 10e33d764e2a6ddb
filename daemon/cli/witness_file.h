// witnesses.policy: the public witnesses that cosign this machine's log, as a C2SP tlog-policy file
// in the state directory. Without the file there are none.
//   witness NAME VKEY URL     asked to cosign each head, at URL/add-checkpoint
//   witness NAME VKEY         not asked; its cosignatures count where others gathered them
//   group, quorum             which of them are enough, for `aqmesh lineage verify`
// Spec:   spec/lineage.md §7.8; C2SP tlog-policy.
// Bounds: node::PublicWitnesses::kWitnessesMax with a URL; a URL kUrlBytesMax.
// Thread: pure but for the file. Errors: the file, the line and the mend.
#ifndef AQMESH_DAEMON_CLI_WITNESS_FILE_H_
#define AQMESH_DAEMON_CLI_WITNESS_FILE_H_

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "lineage/tlog/policy.h"

namespace aqmesh::cli {

inline constexpr size_t kUrlBytesMax = 1024;

// Where such a URL leads.
struct WitnessUrl {
  std::string host;  // a name or an address, without brackets
  uint16_t port = 0;
  bool tls = false;
};
// http:// or https://, a host, maybe a port and a path; no user, query or fragment.
absl::StatusOr<WitnessUrl> ParseWitnessUrl(std::string_view url);

// NotFound: there is no such file.
absl::StatusOr<tlog::Policy> LoadWitnesses(const std::string& path);
absl::StatusOr<tlog::Policy> ParseWitnesses(std::string_view text, std::string_view file_name);
// Those that are asked: they have a URL.
std::vector<tlog::Policy::Peer> Asked(const tlog::Policy& policy);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_WITNESS_FILE_H_
