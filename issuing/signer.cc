#include "issuing/signer.h"

#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace aqmesh::issuing {

absl::StatusOr<uint64_t> MemorySeqs::ReserveExpansion(const Kid& kid) {
  uint64_t& last = expansions_[kid];
  if (last + 1 >= authority::kTerminalSeq)
    return ResourceExhausted("key ", ToHex(kid), ": out of numbers");
  return ++last;
}

absl::StatusOr<RestrictionHead> MemorySeqs::LastRestriction(const Kid& kid) {
  const auto it = restrictions_.find(kid);
  return it == restrictions_.end() ? RestrictionHead{} : it->second;
}

absl::Status MemorySeqs::ReserveRestriction(const Kid& kid, const RestrictionHead& next) {
  RestrictionHead& last = restrictions_[kid];
  if (next.seq != last.seq + 1) {
    return FailedPrecondition(
        "key ", ToHex(kid), ": restriction ", next.seq, " does not follow ", last.seq);
  }
  last = next;
  return absl::OkStatus();
}

Signer::Signer(const crypto::Ed25519Seed& seed, SeqSource& seqs)
    : seed_(&seed),
      seqs_(&seqs),
      key_(crypto::Ed25519Public(seed)),
      kid_(authority::KidOf(authority::Suite::kEd25519, key_)) {}

Oid OidOf(authority::Ctx ctx, const Kid& kid, ByteView body) {
  const Bytes pae = authority::Pae(
      Join("aqmesh/1/", authority::CtxName(ctx)), authority::Suite::kEd25519, kid, body);
  return *Oid::From(crypto::Blake2bPersonal("aqmesh-oid-v1", {pae}));
}

absl::StatusOr<std::optional<authority::Signed>> ResignLast(const Signer& signer) {
  AQ_ASSIGN_OR_RETURN(const RestrictionHead last, signer.seqs().LastRestriction(signer.kid()));
  if (last.body.empty()) return std::optional<authority::Signed>();
  authority::Signed again = authority::Sign(last.ctx, last.body, signer.seed());
  if (again.oid() != last.oid) {
    return DataLoss(
        "key ", ToHex(signer.kid()), ": restriction ", last.seq, " was reserved under another oid");
  }
  return std::optional<authority::Signed>(std::move(again));
}

}  // namespace aqmesh::issuing
