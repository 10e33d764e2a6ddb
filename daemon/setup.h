// What a node starts from: everything that the state directory holds, read and checked before any
// socket is open.
// Spec:   daemon/cli/state.h (the directory), spec/authority.md C.4 (no readable policy: nothing is allowed).
// Bounds: kImageObjectsMax objects, kImageStateMax state values are loaded.
// Thread: a resource; one owner. Errors: the file or key at fault, and the mend.
#ifndef AQMESH_DAEMON_SETUP_H_
#define AQMESH_DAEMON_SETUP_H_

#include <memory>
#include <string>

#include "daemon/cli/local_policy_file.h"
#include "daemon/cli/state.h"
#include "issuing/custody/seq_counter.h"
#include "lineage/rocks/rocks_store.h"
#include "lineage/tlog/policy.h"
#include "node/control.h"

namespace aqmesh::daemon {

inline constexpr size_t kImageObjectsMax = 65'536;
inline constexpr size_t kImageStateMax = 65'536;

struct Setup {
  std::unique_ptr<cli::StateDir> dir;
  std::unique_ptr<issuing::KeyStore> keys;  // whose directory `seqs` uses
  std::unique_ptr<issuing::SeqCounter> seqs;
  std::unique_ptr<lineage::RocksStore> store;
  cli::Config file;         // aqmesh.toml
  std::string config_path;  // where it was read
  node::Image image;
  absl::Status policy;                        // why nothing is allowed, if so
  std::vector<tlog::Policy::Peer> witnesses;  // that are asked to cosign this log
  absl::Status witnesses_file;                // why none is, if there is a file
};

// `config_path` empty: the state directory's own. Fills everything of Setup.
absl::StatusOr<Setup> LoadSetup(const std::string& state_path, const std::string& config_path);
// The node's configuration; its keys are read here and live in it alone.
absl::StatusOr<node::Config> NodeConfig(Setup& setup);
// The key of a log that is about to begin lies beside the log's until its first record is durable
// (spec: lineage#7.6). Makes it the log's key if that has happened, and removes it if not.
inline constexpr std::string_view kNextLogKey = "log-next";
absl::Status SettleLogKey(issuing::KeyStore& keys, const lineage::RocksStore& store);
absl::StatusOr<cli::Config> ReadConfigFile(const std::string& path);

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_SETUP_H_
