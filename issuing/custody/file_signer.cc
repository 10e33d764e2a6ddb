#include "issuing/custody/file_signer.h"

#include <utility>

#include "core/base/status.h"

namespace aqmesh::issuing {

FileSigner::FileSigner(KeyStore& store, crypto::Ed25519Seed seed)
    : seed_(std::move(seed)), counter_(store.dir()) {
  signer_.emplace(seed_, counter_);
}

absl::StatusOr<std::unique_ptr<FileSigner>> FileSigner::Create(KeyStore& store,
                                                               std::string_view name,
                                                               Rng& rng,
                                                               const NewKeyOptions& options) {
  if (store.Has(name))
    return AlreadyExists("key ", name, " exists in ", store.dir().path(), "; name another");
  std::unique_ptr<FileSigner> out(new FileSigner(store, crypto::NewEd25519(rng)));
  AQ_RETURN_IF_ERROR(out->counter_.Create(out->signer_->kid()));
  AQ_RETURN_IF_ERROR(
      options.passphrase.empty()
          ? store.SaveEd25519(name, out->seed_)
          : store.SealEd25519(name, out->seed_, options.passphrase, options.cost, rng));
  return out;
}

absl::StatusOr<std::unique_ptr<FileSigner>> FileSigner::Open(KeyStore& store,
                                                             std::string_view name,
                                                             std::string_view passphrase) {
  AQ_ASSIGN_OR_RETURN(crypto::Ed25519Seed seed, store.LoadEd25519(name, passphrase));
  std::unique_ptr<FileSigner> out(new FileSigner(store, std::move(seed)));
  // Fail now, not at the first signature, where the counter is missing or damaged.
  const absl::StatusOr<RestrictionHead> last = out->counter_.LastRestriction(out->signer_->kid());
  if (!last.ok()) return last.status();
  return out;
}

}  // namespace aqmesh::issuing
