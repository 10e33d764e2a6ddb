// What the attestations of others are worth for one subject: the same for the engine and for the
// audit.
// Spec:   spec/admission.md §4 Corroboration; spec/authority.md C.3.
// Bounds: kVoicesMax attestations of a subject are looked at. Thread: pure but for the signature
//         cache. Errors: none: what does not count says why.
// Cost:   a chain and a signature each; where the cache knows them, some 10 us.
#ifndef AQMESH_NODE_CORROBORATION_H_
#define AQMESH_NODE_CORROBORATION_H_

#include <absl/functional/function_ref.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "admission/gate.h"
#include "core/authority/chain.h"

namespace aqmesh::node {

inline constexpr uint64_t kAttestGrace = 900;  // seconds after its end in which it still counts
inline constexpr size_t kVoicesMax = 8;

// One attestation, and whether it counts here.
struct Voice {
  authority::Held<authority::Attest> attest;
  std::string group;  // of the voter above its signer
  uint32_t ladm = 0;  // of its signer's chain
  const char* why{};  // nullptr: it counts
  uint32_t votes() const { return why != nullptr ? 0 : (1'000 * ladm) >> 16; }
};

struct VoiceGround {
  const authority::ScopeHeld& scope;
  WallTime now;
  authority::SignatureCache* cache = nullptr;
};
// The level of an attester's chain; nullopt: it is not known, and its word weighs nothing.
using LevelOf = absl::FunctionRef<std::optional<uint32_t>(const authority::Chain&)>;

// What `objects` hold of it: attestations of the subject, and the grants behind their signers. In
// the order of the signers, one each.
std::vector<Voice> VoicesIn(const Kid& subject,
                            std::span<const authority::SignedPtr> objects,
                            const VoiceGround& ground,
                            LevelOf level);
// Milli-votes, each issuing group capped. `eligible` is the caller's to fill in.
admission::Corroboration SumOf(std::span<const Voice> voices, const authority::Charter& charter);

// A chain of grants, lowest first, holds now: known scope, unrevoked, in date, every signature.
std::optional<authority::Chain> ChainThatHolds(std::span<const authority::SignedPtr> grants,
                                               const VoiceGround& ground);
// The issuing group: what the charter calls the voter's. Nobody but a quorum makes another.
std::string GroupOf(const authority::Charter& charter, const Kid& voter);

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_CORROBORATION_H_
