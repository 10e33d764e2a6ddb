// What the fuzz entry of fork proofs claims, so that the plain suite can claim it too: every text
// that is taken is written again as it came, and nobody of a mesh that never forked is convicted.
#ifndef AQMESH_TESTS_FUZZ_FORK_TARGETS_H_
#define AQMESH_TESTS_FUZZ_FORK_TARGETS_H_

#include "core/base/check.h"
#include "core/base/status.h"
#include "lineage/fork_proof.h"

namespace aqmesh::fuzz {

inline void FuzzFork(ByteView bytes) {
  const std::string_view text = AsText(bytes);
  const auto proof = lineage::ParseForkProof(text);
  if (!proof.ok()) return;
  AQ_CHECK(proof->Text() == text);
  (void)proof->Id();
  // A charter whose one voter nobody has the key of.
  static const authority::Held<authority::Charter> charter = [] {
    authority::Held<authority::Charter> held;
    held.body.version = 2;
    held.body.scope = *ScopeId::From(Bytes(16, 7));
    held.body.voters.push_back({.suite = authority::Suite::kEd25519,
                                .key = *Ed25519Key::From(Bytes(32, 9)),
                                .weight = 1,
                                .group = {},
                                .next_key = {}});
    held.envelope = std::make_shared<const authority::Signed>(
        authority::Sign(authority::Ctx::kCharter, Bytes(1, 1), crypto::Ed25519Seed(Bytes(32, 1))));
    return held;
  }();
  AQ_CHECK(!lineage::CheckForkProof(*proof, charter).ok());
}

}  // namespace aqmesh::fuzz

#endif  // AQMESH_TESTS_FUZZ_FORK_TARGETS_H_
