// The state directory of one machine, shared by the CLI and the daemon: where each thing lies, and
// how it is opened.
//   keys/         KeyStore: identity, static (x25519), log, root (maybe sealed), root-next until it
//   is on paper store/        RocksStore: signed objects on shelf kSigned by oid; state values; the
//   log policy.toml   local policy (local_policy_file.h) aqmesh.toml   Config invitation    the
//   line being redeemed, 0600; gone once joined aqmeshd.log   the daemon's talk when no service
//   manager takes it
// Spec:   spec/reliability.md §5 (0700, 0600, links not followed).
// Bounds: files are read up to kStateFileMax. Thread: a value.
// Errors: NotFound names the command that makes the directory; else those of PrivateDir and RocksStore.
#ifndef AQMESH_DAEMON_CLI_STATE_H_
#define AQMESH_DAEMON_CLI_STATE_H_

#include <absl/status/statusor.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/authority/signed.h"
#include "core/base/net.h"
#include "issuing/custody/keystore.h"
#include "lineage/rocks/rocks_store.h"
#include "transport/os/offload_set.h"

namespace aqmesh::cli {

inline constexpr std::string_view kDefaultState = "/var/lib/aqmesh";
inline constexpr std::string_view kDefaultSocket = "/run/aqmesh/aqmeshd.sock";
inline constexpr size_t kStateFileMax = 256 * 1024;
inline constexpr size_t kConfigEndpointsMax = 8;

inline constexpr std::string_view kIdentityKey = "identity", kStaticKey = "static", kLogKey = "log",
                                  kRootKey = "root", kRootNextKey = "root-next";

// aqmesh.toml.
struct Config {
  std::string name{};             // lab: this machine
  std::optional<ScopeId> mesh{};  // pinned: objects of another mesh are not taken
  uint16_t listen_port = 41'641;
  std::string interface = "aq0";
  std::vector<Endpoint> endpoints{};  // where others may find us; empty: the daemon finds out
  uint16_t mtu = 1'380;
  std::string sealed{};  // where sealed copies of records lie; empty: `sealed` beside the store
  os::OffloadSet offloads{};  // that may be used, of those the kernel has
  bool operator==(const Config&) const = default;
};
std::string PrintConfig(const Config& config);
absl::StatusOr<Config> ParseConfig(std::string_view text, std::string_view file_name);

// Signed objects of shelf kSigned, by kind; charters oldest first, grants by seq.
struct KnownObjects {
  template <class T>
  using Held = authority::Held<T>;
  std::vector<Held<authority::Charter>> charters;
  std::vector<Held<authority::Grant>> grants;
  std::vector<Held<authority::Fragment>> fragments;
  std::vector<std::shared_ptr<const authority::Signed>> others;

  const Held<authority::Charter>* charter() const {
    return charters.empty() ? nullptr : &charters.back();
  }
  // The newest in-date grant to `kid` of this class; nullptr if there is none.
  const Held<authority::Grant>* GrantOf(const Kid& kid, authority::Class cls, uint64_t now) const;
  const Held<authority::Grant>* GrantNamed(const Oid& oid) const;
  std::vector<std::shared_ptr<const authority::Signed>> All() const;
};

class StateDir {
 public:
  // Makes the directory (not its parents), or opens the one that is there.
  static absl::StatusOr<StateDir> Create(const std::string& path);
  static absl::StatusOr<StateDir> Open(const std::string& path);

  const std::string& path() const { return dir_.path(); }
  std::string keys_path() const { return path() + "/keys"; }
  std::string store_path() const { return path() + "/store"; }
  std::string policy_path() const { return path() + "/policy.toml"; }
  std::string witnesses_path() const { return path() + "/witnesses.policy"; }
  std::string config_path() const { return path() + "/aqmesh.toml"; }
  std::string invitation_path() const { return path() + "/invitation"; }
  std::string archive_path() const { return path() + "/archive"; }  // of `lineage import`
  absl::StatusOr<std::string> SealedPath() const;  // where `lineage prune` looks for sealed copies
  std::string log_path() const { return path() + "/aqmeshd.log"; }

  absl::StatusOr<issuing::KeyStore> Keys(bool create = false) const;
  // Makes those of identity, static and log that are not there yet. Identity and log get their
  // counters.
  absl::Status MakeMachineKeys(Rng& rng) const;
  absl::StatusOr<Kid> KidOfKey(std::string_view name) const;  // of an Ed25519 key

  absl::StatusOr<std::unique_ptr<lineage::RocksStore>> OpenStore()
      const;  // to write; the daemon must be down
  absl::StatusOr<std::unique_ptr<lineage::RocksStore>> ReadStore()
      const;  // beside a live daemon too

  absl::StatusOr<Config> ReadConfig() const;
  absl::Status WriteConfig(const Config& config);
  absl::Status WritePolicy(std::string_view text);  // never over one that is there
  bool HasPolicy() const { return dir_.Exists("policy.toml"); }

  absl::StatusOr<std::optional<issuing::SecretText>> ReadInvitation() const;
  absl::Status WriteInvitation(std::string_view line);
  absl::Status RemoveInvitation();

 private:
  explicit StateDir(issuing::PrivateDir dir) : dir_(std::move(dir)) {}
  issuing::PrivateDir dir_;
};

bool IsProposed(const authority::Signed& object);
absl::StatusOr<KnownObjects> LoadObjects(const lineage::Store& store);
absl::Status StoreObjects(lineage::Store& store,
                          std::span<const std::shared_ptr<const authority::Signed>> objects);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_STATE_H_
