// The Merkle tree of a log: where its subtrees lie, and its right edge, which is all that appending
// and the newest root need.
// Spec:   RFC 6962 §2.1 (leaf, node, split at the largest power of two); spec/lineage.md §7.1.
// Wire:   an edge: BE64 size, then 32 bytes for each one bit of the size, the largest subtree
// first.
// Bounds: 2^63 - 1 leaves (kTreeSizeMax); an edge holds at most 63 hashes. No allocation an
//         append, but for many at once.
// Thread: values with one owner. Errors: InvalidArgument (an edge that is none), DataLoss.
// Cost:   an append is one node hash on average; Root at most 62. bench/micro/tlog_bench.cc.
#ifndef AQMESH_LINEAGE_TLOG_TREE_H_
#define AQMESH_LINEAGE_TLOG_TREE_H_

#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <span>

#include "core/base/bytes.h"
#include "core/base/ids.h"

namespace aqmesh::tlog {

inline constexpr uint64_t kTreeSizeMax = (uint64_t{1} << 63) - 1;
inline constexpr unsigned kLevelMax = 62;  // of a complete subtree
inline constexpr unsigned kTileHeight = 8;

Digest LeafHash(ByteView data);  // SHA-256(00 || data)
Digest NodeHash(const Digest& left, const Digest& right);
Digest EmptyRoot();  // SHA-256("")

// A complete subtree: it has the leaves from index << level up to (index + 1) << level.
struct Node {
  unsigned level = 0;
  uint64_t index = 0;
  uint64_t first_leaf() const { return index << level; }
  auto operator<=>(const Node&) const = default;
};

// One hash of a tile: the complete subtree of 256^level leaves whose number is `index`.
struct TileEntry {
  unsigned level = 0;  // of the tile, 0..7
  uint64_t index = 0;
  Digest hash;
  bool operator==(const TileEntry&) const = default;
};
using TileEntryVisitor = absl::FunctionRef<void(const TileEntry&)>;

// The complete subtrees, from the left, that the leaves first..end-1 consist of. `first` must be a
// multiple of the power of two at or above end - first: such are the sides of RFC 6962's splits.
class Cover {
 public:
  Cover(uint64_t first, uint64_t end);
  std::span<const Node> nodes() const& { return {nodes_.data(), count_}; }
  std::span<const Node> nodes() const&& = delete;  // a loop over a temporary's would read its grave

 private:
  std::array<Node, 64> nodes_;
  size_t count_ = 0;
};
// The root over subtrees of falling size that lie side by side: folded from the right. Of none: the
// empty root.
Digest FoldRight(std::span<const Digest> subtrees);

class Edge {
 public:
  Edge() = default;  // of the empty tree
  // InvalidArgument: the size is too large, or has not as many one bits as there are hashes.
  static absl::StatusOr<Edge> Restore(uint64_t size, std::span<const Digest> subtrees);
  static absl::StatusOr<Edge> Parse(ByteView bytes);

  // Adds a leaf by its hash, and shows every tile entry that it completed: the leaf itself, and for
  // each 256 leaves one a level up. AQ_CHECKs that there is room: a log ends at 2^63 - 1 records.
  void Append(const Digest& leaf, TileEntryVisitor made);
  void Append(const Digest& leaf);
  // Many at once: the same tree and the same entries, level by level. A third of the time each.
  void Append(std::span<const Digest> leaves, TileEntryVisitor made);

  uint64_t size() const { return size_; }
  std::span<const Digest> subtrees() const& { return {subtrees_.data(), count_}; }
  std::span<const Digest> subtrees() const&& = delete;
  Digest Root() const { return FoldRight(subtrees()); }
  // Does this edge belong to that head? DataLoss says how the two differ.
  absl::Status CheckAgainst(uint64_t size, const Digest& root) const;
  void AppendTo(Bytes& out) const;

  bool operator==(const Edge& other) const;

 private:
  const Digest& Waiting(unsigned level) const;

  uint64_t size_ = 0;
  size_t count_ = 0;
  std::array<Digest, 63> subtrees_;  // the first count_
};

}  // namespace aqmesh::tlog

#endif  // AQMESH_LINEAGE_TLOG_TREE_H_
