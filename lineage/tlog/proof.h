// Proofs over a log: that a record is in it, and that a later head only appended to an earlier one.
// Made from O(log n) tiles, verified from nothing but hashes.
// Spec:   RFC 6962 §2.1.1, §2.1.2, verification as RFC 9162 §2.1.3.2 and §2.1.4.2; spec/lineage.md §7.1.
// Bounds: a proof has at most kProofHashesMax hashes; making one reads at most two tiles a level; a
//         Prover holds kTilesHeldMax tiles, the oldest goes.
// Thread: pure; a Prover has one owner.
// Errors: verify: InvalidArgument (sizes, or the number of hashes), Unauthenticated (other roots).
//         make: InvalidArgument (no such leaf or size), DataLoss (tiles that are not this tree's),
//         and what the reader of tiles says.
// Cost:   bench/micro/tlog_bench.cc.
#ifndef AQMESH_LINEAGE_TLOG_PROOF_H_
#define AQMESH_LINEAGE_TLOG_PROOF_H_

#include <functional>
#include <vector>

#include "lineage/tlog/tile.h"

namespace aqmesh::tlog {

inline constexpr size_t kProofHashesMax = 63;

using Proof = std::vector<Digest>;  // from the leaf's side up

// Total: any sizes, any number of hashes. Sizes above kTreeSizeMax are refused.
absl::Status VerifyInclusion(const Digest& leaf,
                             uint64_t index,
                             uint64_t size,
                             std::span<const Digest> proof,
                             const Digest& root);
// 0 < old_size <= size: from an empty tree there is nothing to prove, and it is refused.
absl::Status VerifyConsistency(uint64_t old_size,
                               const Digest& old_root,
                               uint64_t size,
                               const Digest& root,
                               std::span<const Digest> proof);

// Reads a tile: at least 32 × tile.width bytes (a store may hold a wider one: tiles only grow).
using TileReader = std::function<absl::StatusOr<Bytes>(const Tile& tile)>;

// Makes proofs in the tree of one head. Each proof is verified against the head before it is given
// out, so tiles that rotted cannot become a false statement.
class Prover {
 public:
  static constexpr size_t kTilesHeldMax = 32;  // 256 KiB; a proof needs 16

  Prover(uint64_t size, const Digest& root, TileReader read);

  // The right edge of the first `size` leaves (up to the head's): what Append goes on from after a
  // restart, and what gives the root of any earlier head. Not verified against the head: who has
  // the earlier head compares (Edge::CheckAgainst); the head's own edge is compared here.
  absl::StatusOr<Edge> EdgeAt(uint64_t size);
  absl::StatusOr<Digest> Leaf(uint64_t index);  // its hash, as level 0 holds it
  absl::StatusOr<Proof> Inclusion(uint64_t index);
  // With the old root, which the proof also proves.
  struct Consistent {
    Digest old_root;
    Proof proof;  // empty for old_size == size
  };
  absl::StatusOr<Consistent> Consistency(uint64_t old_size);

  size_t tiles_held() const { return tiles_.size(); }

 private:
  absl::StatusOr<Digest> Hash(const Node& node);
  absl::StatusOr<Digest> Range(uint64_t first, uint64_t end);  // as RFC 6962 splits

  struct Held {
    Tile tile;
    Bytes bytes;
  };
  uint64_t size_;
  Digest root_;
  TileReader read_;
  std::vector<Held> tiles_;
};

}  // namespace aqmesh::tlog

#endif  // AQMESH_LINEAGE_TLOG_PROOF_H_
