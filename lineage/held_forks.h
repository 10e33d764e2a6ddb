// What a store holds of forks: proofs that the engine kept, and what lies on its shelves and
// contradicts itself.
// Spec:   spec/lineage.md §4 (proof/ID), §7.4, §7.9. Bounds: kHeldForksMax, in the order of ids.
// Thread: pure; reads the store. Errors: the store's; DataLoss where a kept proof is none.
// Cost:   a parse of each note and each signed object.
#ifndef AQMESH_LINEAGE_HELD_FORKS_H_
#define AQMESH_LINEAGE_HELD_FORKS_H_

#include <vector>

#include "lineage/fork_proof.h"
#include "lineage/store.h"

namespace aqmesh::lineage {

inline constexpr size_t kHeldForksMax = 1024;

struct HeldFork {
  Digest id;
  ForkProof proof;  // cites nothing yet
  Kid signer;       // of both; of heads the log key
};
absl::StatusOr<std::vector<HeldFork>> HeldForks(const Store& store);

// Whether a head that came from elsewhere contradicts what this store holds of the same log: a head
// of that size with another root, or, where it is this store's own log, another beginning of its
// newest head. NotFound: it does not. The signatures are not looked at.
absl::StatusOr<HeldFork> ForkWith(const Store& store, const tlog::SignedCheckpoint& theirs);

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_HELD_FORKS_H_
