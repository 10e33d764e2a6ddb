// Key files: Ed25519 seeds (identity, root, enroller) and X25519 statics, one a file, in a private
// directory.
// Spec:   spec/security.md §3: directory 0700, files 0600, both the user's own; opened without
//         following links; regular, one link; written aside, fsynced, renamed, directory fsynced.
// Wire:   text, LF: "-----BEGIN AQMESH PRIVATE KEY-----", "version 1", "kind ed25519|x25519",
//         "public HEX64", then either "secret HEX64" or
//         "kdf argon2id OPS BYTES SALT32HEX" and "sealed HEX" = nonce 24 || XChaCha20-Poly1305(seed
//         32), its additional data all lines above it; "-----END AQMESH PRIVATE KEY-----". Nothing
//         else is read.
// Bounds: kKeyFileMax bytes a file; Argon2id at most kKdfOpsMax passes over kKdfBytesMax.
// Errors: PermissionDenied (owner, mode, links; the mend is a command), NotFound, AlreadyExists,
//         DataLoss (a damaged file), Unauthenticated (the passphrase), Unavailable (the disk).
// Thread: one owner; any number of processes may read.
#ifndef AQMESH_ISSUING_CUSTODY_KEYSTORE_H_
#define AQMESH_ISSUING_CUSTODY_KEYSTORE_H_

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "core/crypto/keys.h"
#include "issuing/custody/private_dir.h"

namespace aqmesh::issuing {

inline constexpr size_t kKeyFileMax = 2'048;
inline constexpr uint64_t kKdfOpsMax = 16;
inline constexpr uint64_t kKdfBytesMax = uint64_t{1} << 30;

// What a guess of the passphrase costs: about 0.1 s and 64 MiB, or 0.7 s and 256 MiB.
enum class KdfCost : uint8_t { kInteractive, kModerate };

class KeyStore {
 public:
  // Creates the directory (not its parents) if `create`.
  static absl::StatusOr<KeyStore> Open(const std::string& path, bool create);

  // Names are [a-z0-9-]{1,32}; the file is NAME.key. Saving never replaces a key.
  absl::Status SaveEd25519(std::string_view name, const crypto::Ed25519Seed& seed);
  absl::Status SaveX25519(std::string_view name, const crypto::X25519Private& key);
  // The seed under a passphrase (not empty). Salt and nonce come from rng.
  absl::Status SealEd25519(std::string_view name,
                           const crypto::Ed25519Seed& seed,
                           std::string_view passphrase,
                           KdfCost cost,
                           Rng& rng);

  // `passphrase` is needed, and read, only where the file is sealed.
  absl::StatusOr<crypto::Ed25519Seed> LoadEd25519(std::string_view name,
                                                  std::string_view passphrase = {}) const;
  absl::StatusOr<crypto::X25519Private> LoadX25519(std::string_view name) const;

  // What can be known without the passphrase.
  struct Info {
    bool sealed = false;
    bool x25519 = false;
    std::array<uint8_t, 32> public_key{};
  };
  absl::StatusOr<Info> Look(std::string_view name) const;
  bool Has(std::string_view name) const;
  absl::Status Remove(std::string_view name);  // unlinks; what the disk keeps, it keeps

  PrivateDir& dir() { return dir_; }

 private:
  explicit KeyStore(PrivateDir dir) : dir_(std::move(dir)) {}
  PrivateDir dir_;
};

}  // namespace aqmesh::issuing

#endif  // AQMESH_ISSUING_CUSTODY_KEYSTORE_H_
