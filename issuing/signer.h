// Who signs, and where the numbers of what it signs come from: each (kid, stream, seq) is used
// once, ever.
// Spec:   spec/objects.md §1 streams; authority A.6 "fsyncs the reserved seq before it signs".
//         Stream E: grant, fragment, invite, approve...: gaps are harmless, a number is merely
//         consumed. Stream R: revoke, rotate: dense and hash-linked, so a number is reserved
//         together with its statement. Signing is deterministic, so a statement that a crash cut
//         short is signed again.
// Thread: one owner. Errors: FailedPrecondition or DataLoss where the counter cannot be trusted.
#ifndef AQMESH_ISSUING_SIGNER_H_
#define AQMESH_ISSUING_SIGNER_H_

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>

#include <optional>

#include "core/authority/codec.h"
#include "core/authority/signed.h"

namespace aqmesh::issuing {

// What stream R of one key holds last.
struct RestrictionHead {
  uint64_t seq = 0;  // 0: nothing yet
  Oid oid{};
  authority::Ctx ctx = authority::Ctx::kRevoke;
  Bytes body{};  // empty where the head was learnt from a peer
  bool operator==(const RestrictionHead&) const = default;
};

class SeqSource {
 public:
  virtual ~SeqSource() = default;
  // The next number of stream E, durable as used before it is returned.
  virtual absl::StatusOr<uint64_t> ReserveExpansion(const Kid& kid) = 0;
  virtual absl::StatusOr<RestrictionHead> LastRestriction(const Kid& kid) = 0;
  // Durable on return. next.seq is the last one's plus 1.
  virtual absl::Status ReserveRestriction(const Kid& kid, const RestrictionHead& next) = 0;
};

// Numbers in memory, for worlds without disks: the simulator, and a key that lives for one process.
// Bounds: an entry a key of the caller's.
class MemorySeqs final : public SeqSource {
 public:
  absl::StatusOr<uint64_t> ReserveExpansion(const Kid& kid) override;
  absl::StatusOr<RestrictionHead> LastRestriction(const Kid& kid) override;
  absl::Status ReserveRestriction(const Kid& kid, const RestrictionHead& next) override;

 private:
  absl::flat_hash_map<Kid, uint64_t> expansions_;
  absl::flat_hash_map<Kid, RestrictionHead> restrictions_;
};

// A suite 1 key and its numbers, borrowed for a call.
class Signer {
 public:
  Signer(const crypto::Ed25519Seed& seed, SeqSource& seqs);
  const crypto::Ed25519Seed& seed() const { return *seed_; }
  SeqSource& seqs() const { return *seqs_; }
  const Ed25519Key& key() const { return key_; }
  const Kid& kid() const { return kid_; }

 private:
  const crypto::Ed25519Seed* seed_;
  SeqSource* seqs_;
  Ed25519Key key_;
  Kid kid_;
};

// Signs and keeps the envelope beside the body.
template <class T>
authority::Held<T> Seal(const T& body, const crypto::Ed25519Seed& seed) {
  return {std::make_shared<const authority::Signed>(authority::SignObject(body, seed)), body};
}

// The same for what a person or a caller composed: its rules and its size limit are checked first.
template <class T>
absl::StatusOr<authority::Held<T>> TrySeal(const T& body, const crypto::Ed25519Seed& seed) {
  const absl::StatusOr<Bytes> bytes = authority::TryEncodeBody(body);
  if (!bytes.ok()) return bytes.status();
  return authority::Held<T>{
      std::make_shared<const authority::Signed>(authority::Sign(T::kCtx, *bytes, seed)), body};
}

// The oid that `body` will have once signed under kid: it does not cover the signature.
Oid OidOf(authority::Ctx ctx, const Kid& kid, ByteView body);

// The last restriction, signed again: what to publish at start, in case the last run died before it
// could.
absl::StatusOr<std::optional<authority::Signed>> ResignLast(const Signer& signer);

}  // namespace aqmesh::issuing

#endif  // AQMESH_ISSUING_SIGNER_H_
