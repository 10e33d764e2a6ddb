// One run of the CLI: what was typed, the state directory, keys, files, and how an answer leaves.
// Errors: absl::Status with what, where, mend; Usage() marks the ones that are the typist's (exit 2).
// Thread: one owner.
#ifndef AQMESH_DAEMON_CLI_SESSION_H_
#define AQMESH_DAEMON_CLI_SESSION_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "daemon/cli/env.h"
#include "daemon/cli/state.h"
#include "issuing/custody/file_signer.h"
#include "issuing/issue.h"

namespace aqmesh::cli {

using SignedPtr = std::shared_ptr<const authority::Signed>;
template <class T>
using Held = authority::Held<T>;

// Each command's own flags for the passphrase of a sealed key.
struct PassphraseFlags {
  bool none = false;
  std::string file;  // "": ask on the terminal
};

// Keys and grant of whoever signs, kept together while `issuer()` borrows them.
class Pen {
 public:
  Pen(issuing::KeyStore keys, KnownObjects known)
      : keys_(std::move(keys)), known_(std::move(known)) {}
  Pen(const Pen&) = delete;
  Pen& operator=(const Pen&) = delete;
  const KnownObjects& known() const { return known_; }
  const issuing::Signer& signer() const { return signer_->signer(); }
  issuing::Issuer issuer() const {
    return {.signer = signer(), .charter = *known_.charter(), .grant = grant_};
  }
  const Held<authority::Grant>* grant() const { return grant_; }

 private:
  friend class Session;
  issuing::KeyStore keys_;
  KnownObjects known_;
  std::unique_ptr<issuing::FileSigner> signer_;
  const Held<authority::Grant>* grant_ = nullptr;
};

class Session {
 public:
  explicit Session(Env& env) : env_(env) {}

  // ---- what was typed before the command's own flags ----
  std::string state_path = std::string(kDefaultState);
  std::string socket_path = std::string(kDefaultSocket);
  bool json = false;
  // Of the commands that ask the lineage: another place than this machine's store, and the first
  // digits of another log than the newest.
  std::string from, log;

  Env& env() { return env_; }
  Rng& rng() { return *env_.rng; }
  uint64_t now() const { return env_.now().wall.seconds(); }
  WallTime wall() const { return env_.now().wall; }

  // ---- answers ----
  void Out(std::string_view text) { env_.out(text); }
  void Say(std::string_view line) { env_.err(Join(line, "\n")); }  // a line of talk
  absl::Status Usage(std::string_view what);
  bool usage() const { return usage_; }

  // ---- files ----
  absl::StatusOr<std::string> ReadFile(const std::string& path, size_t bytes_max);  // "-": stdin
  absl::Status WriteFile(const std::string& path,
                         std::string_view text);  // "-": stdout; never over another
  absl::StatusOr<std::vector<SignedPtr>> ReadObjects(const std::string& path);  // armoured or raw
  template <class T>
  absl::StatusOr<Held<T>> ReadOne(const std::string& path) {
    AQ_ASSIGN_OR_RETURN(const std::vector<SignedPtr> objects, ReadObjects(path));
    for (const SignedPtr& o : objects) {
      if (o->ctx() != T::kCtx) continue;
      auto body = authority::ParseBody<T>(o->body());
      if (!body.ok()) return Annotate(body.status(), path);
      return Held<T>{o, *std::move(body)};
    }
    return NotFound(path,
                    ": holds no ",
                    authority::CtxName(T::kCtx),
                    "; `aqmesh inspect ",
                    path,
                    "` shows what it is");
  }

  // ---- state ----
  absl::StatusOr<StateDir> State() { return StateDir::Open(state_path); }
  absl::StatusOr<KnownObjects> Known(const StateDir& state);
  // What --from and --log say, or this machine's own (daemon/cli/lineage_source.h).
  absl::StatusOr<std::unique_ptr<lineage::Store>> Lineage();
  // Whose machine wrote it; nullopt: nothing in a copy says so.
  absl::StatusOr<std::optional<Kid>> OwnerOf(const lineage::Store& lineage,
                                             const KnownObjects& known);
  // Opens the root key, or this machine's identity with its enroller grant.
  absl::StatusOr<std::unique_ptr<Pen>> TakePen(const StateDir& state,
                                               bool root,
                                               const PassphraseFlags& flags);
  // Into the store: through the daemon when it runs, else straight.
  absl::Status Keep(const StateDir& state, std::span<const SignedPtr> objects);
  // For sealing a new key (asked twice), or opening one.
  absl::StatusOr<issuing::SecretText> NewPassphrase(const PassphraseFlags& flags);
  absl::StatusOr<issuing::SecretText> Passphrase(const PassphraseFlags& flags,
                                                 std::string_view key_name);

  // ---- the daemon ----
  std::unique_ptr<LiveClient> Live() { return env_.connect(socket_path); }

 private:
  Env& env_;
  bool usage_ = false;
};

// Strict parse of the body too: what `inspect` and `import` ask of a stranger's file.
absl::Status CheckBody(const authority::Signed& object);
std::string ShortId(ByteView id);  // "3e90a1c2"
std::string ArmourAll(std::span<const SignedPtr> objects);
// Of a NODE grant: IPv4 first.
std::vector<std::string> AddressesOf(const authority::Grant& grant);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_SESSION_H_
