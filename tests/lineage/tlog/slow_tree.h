// The tree as RFC 6962 defines it, by recursion over all leaves, sharing nothing with lineage/tlog;
// and a store of tiles in memory.
#ifndef AQMESH_TESTS_LINEAGE_TLOG_SLOW_TREE_H_
#define AQMESH_TESTS_LINEAGE_TLOG_SLOW_TREE_H_

#include <map>

#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "lineage/tlog/proof.h"

namespace aqmesh::tlog {

using Leaves = std::span<const Digest>;

inline Digest SlowHash(ByteView a, ByteView b, uint8_t prefix) {
  const uint8_t first[] = {prefix};
  return {crypto::Sha256({first, a, b})};
}
inline size_t SlowSplit(size_t n) {
  size_t k = 1;
  while (2 * k < n) k *= 2;
  return k;
}
inline Digest SlowRoot(Leaves d) {  // MTH
  if (d.empty()) return {crypto::Sha256({})};
  if (d.size() == 1) return d[0];
  const size_t k = SlowSplit(d.size());
  return SlowHash(SlowRoot(d.first(k)), SlowRoot(d.subspan(k)), 1);
}
inline Proof SlowPath(size_t m, Leaves d) {  // PATH
  if (d.size() == 1) return {};
  const size_t k = SlowSplit(d.size());
  Proof path = m < k ? SlowPath(m, d.first(k)) : SlowPath(m - k, d.subspan(k));
  path.push_back(SlowRoot(m < k ? d.subspan(k) : d.first(k)));
  return path;
}
inline Proof SlowSubproof(size_t m, Leaves d, bool known) {  // SUBPROOF
  if (m == d.size()) return known ? Proof{} : Proof{SlowRoot(d)};
  const size_t k = SlowSplit(d.size());
  Proof proof =
      m <= k ? SlowSubproof(m, d.first(k), known) : SlowSubproof(m - k, d.subspan(k), false);
  proof.push_back(SlowRoot(m <= k ? d.subspan(k) : d.first(k)));
  return proof;
}

inline std::vector<Digest> NumberedLeaves(size_t count, uint8_t fork_at_last = 0) {
  std::vector<Digest> leaves;
  for (size_t i = 0; i < count; ++i) {
    uint8_t data[9] = {};
    StoreBe(data, static_cast<uint64_t>(i));
    data[8] = i + 1 == count ? fork_at_last : uint8_t{0};
    leaves.push_back(SlowHash(data, {}, 0));
  }
  return leaves;
}
// The leaves of the RFC's reference implementation.
inline std::vector<Digest> ReferenceLeaves() {
  std::vector<Digest> leaves;
  for (const char* hex : {"",
                          "00",
                          "10",
                          "2021",
                          "3031",
                          "40414243",
                          "5051525354555657",
                          "606162636465666768696a6b6c6d6e6f"})
    leaves.push_back(SlowHash(*FromHex(hex), {}, 0));
  return leaves;
}

// Writes each entry where it belongs; a tile grows as the log does.
class TileStore {
 public:
  void Append(const Digest& leaf) {
    edge_.Append(leaf, [this](const TileEntry& e) {
      Bytes& tile = tiles_[{e.level, e.index / kTileWidth}];
      AQ_CHECK(tile.size() == 32 * (e.index % kTileWidth));
      aqmesh::Append(tile, e.hash);
    });
  }
  explicit TileStore(Leaves leaves = {}) {
    for (const Digest& leaf : leaves) Append(leaf);
  }
  TileReader Reader() {
    return [this](const Tile& tile) -> absl::StatusOr<Bytes> {
      ++reads_;
      const auto found = tiles_.find({tile.level, tile.index});
      if (found == tiles_.end()) return NotFound(TilePath(tile));
      return found->second;
    };
  }
  Prover At(uint64_t size, const Digest& root) { return Prover(size, root, Reader()); }
  Prover Newest() { return At(edge_.size(), edge_.Root()); }
  Edge& edge() { return edge_; }
  std::map<std::pair<unsigned, uint64_t>, Bytes>& tiles() { return tiles_; }
  size_t reads() const { return reads_; }

 private:
  Edge edge_;
  std::map<std::pair<unsigned, uint64_t>, Bytes> tiles_;
  size_t reads_ = 0;
};

}  // namespace aqmesh::tlog

#endif  // AQMESH_TESTS_LINEAGE_TLOG_SLOW_TREE_H_
