// A key file and its counter, opened together: what signs for this machine.
// Spec: spec/authority.md A.6. Thread: one owner. Errors: those of KeyStore and SeqCounter.
#ifndef AQMESH_ISSUING_CUSTODY_FILE_SIGNER_H_
#define AQMESH_ISSUING_CUSTODY_FILE_SIGNER_H_

#include <memory>
#include <optional>

#include "issuing/custody/keystore.h"
#include "issuing/custody/seq_counter.h"

namespace aqmesh::issuing {

struct NewKeyOptions {
  std::string_view passphrase;  // empty: not sealed
  KdfCost cost = KdfCost::kModerate;
};

// Neither copied nor moved: the Signer it lends points into it. `store` outlives it.
class FileSigner {
 public:
  // Counter first, key second: a crash between the two leaves a counter without a key, never the
  // reverse.
  static absl::StatusOr<std::unique_ptr<FileSigner>> Create(KeyStore& store,
                                                            std::string_view name,
                                                            Rng& rng,
                                                            const NewKeyOptions& options);
  static absl::StatusOr<std::unique_ptr<FileSigner>> Open(KeyStore& store,
                                                          std::string_view name,
                                                          std::string_view passphrase = {});

  const Signer& signer() const { return *signer_; }
  SeqCounter& counter() { return counter_; }

  FileSigner(const FileSigner&) = delete;
  FileSigner& operator=(const FileSigner&) = delete;

 private:
  FileSigner(KeyStore& store, crypto::Ed25519Seed seed);
  crypto::Ed25519Seed seed_;
  SeqCounter counter_;
  std::optional<Signer> signer_;
};

}  // namespace aqmesh::issuing

#endif  // AQMESH_ISSUING_CUSTODY_FILE_SIGNER_H_
