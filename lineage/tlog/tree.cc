#include "lineage/tlog/tree.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "core/base/check.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace aqmesh::tlog {

Digest LeafHash(ByteView data) { return {crypto::MerkleLeaf(data)}; }
Digest NodeHash(const Digest& left, const Digest& right) {
  return {crypto::MerkleNode(left, right)};
}
Digest EmptyRoot() { return {crypto::Sha256({})}; }

Cover::Cover(uint64_t first, uint64_t end) {
  AQ_CHECK(first <= end);
  AQ_CHECK(end <= kTreeSizeMax);
  uint64_t left = end - first;
  AQ_CHECK(left == 0 || (first & (std::bit_ceil(left) - 1)) == 0);
  while (left > 0) {
    const auto level = static_cast<unsigned>(std::bit_width(left) - 1);
    nodes_[count_++] = {level, first >> level};
    first += uint64_t{1} << level;
    left -= uint64_t{1} << level;
  }
}

Digest FoldRight(std::span<const Digest> subtrees) {
  if (subtrees.empty()) return EmptyRoot();
  Digest root = subtrees.back();
  for (size_t i = subtrees.size() - 1; i-- > 0;) root = NodeHash(subtrees[i], root);
  return root;
}

absl::StatusOr<Edge> Edge::Restore(uint64_t size, std::span<const Digest> subtrees) {
  if (size > kTreeSizeMax) return InvalidArgument("a tree of ", size, " leaves is too large");
  if (subtrees.size() != static_cast<size_t>(std::popcount(size))) {
    return InvalidArgument("the right edge of a tree of ",
                           size,
                           " leaves has ",
                           std::popcount(size),
                           " hashes, not ",
                           subtrees.size());
  }
  Edge edge;
  edge.size_ = size;
  edge.count_ = subtrees.size();
  std::copy(subtrees.begin(), subtrees.end(), edge.subtrees_.begin());
  return edge;
}

absl::StatusOr<Edge> Edge::Parse(ByteView bytes) {
  if (bytes.size() < 8 || bytes.size() % 32 != 8 || bytes.size() > 8 + 63 * 32)
    return InvalidArgument("a right edge has 8 bytes and up to 63 hashes, not ", bytes.size());
  std::array<Digest, 63> subtrees;
  const size_t count = bytes.size() / 32;
  for (size_t i = 0; i < count; ++i) subtrees[i] = *Digest::From(bytes.subspan(8 + 32 * i, 32));
  return Restore(LoadBe<uint64_t>(bytes.data()), {subtrees.data(), count});
}

void Edge::Append(const Digest& leaf, TileEntryVisitor made) {
  AQ_CHECK(size_ < kTreeSizeMax);
  Digest hash = leaf;
  uint64_t index = size_;
  unsigned level = 0;
  made({0, index, hash});
  // Each trailing one bit of the size is a subtree that now finds its right half.
  for (; (index & 1) != 0; index >>= 1) {
    hash = NodeHash(subtrees_[--count_], hash);
    ++level;
    if (level % kTileHeight == 0) made({level / kTileHeight, index >> 1, hash});
  }
  subtrees_[count_++] = hash;
  ++size_;
}

void Edge::Append(const Digest& leaf) {
  Append(leaf, [](const TileEntry&) {});
}

void Edge::Append(std::span<const Digest> leaves, TileEntryVisitor made) {
  AQ_CHECK(leaves.size() <= kTreeSizeMax - size_);
  Edge after;
  after.size_ = size_ + leaves.size();
  // Of each level what is new, after the subtree that waits there for its right half.
  std::vector<Digest> row(leaves.begin(), leaves.end());
  uint64_t index = size_;
  std::array<Digest, 63> waiting;
  unsigned level = 0;
  for (; !row.empty(); ++level, index >>= 1) {
    if (level % kTileHeight == 0) {
      for (size_t i = 0; i < row.size(); ++i) made({level / kTileHeight, index + i, row[i]});
    }
    if ((index & 1) != 0) row.insert(row.begin(), Waiting(level));
    if (row.size() % 2 == 1) {
      waiting[level] = row.back();
      row.pop_back();
    }
    const size_t bytes = row.size() / 2 * Digest::kSize;
    if (bytes > 0) crypto::MerkleNodes({row[0].data(), 2 * bytes}, {row[0].data(), bytes});
    row.resize(row.size() / 2);
  }
  for (unsigned at = kLevelMax + 1; at-- > 0;) {
    if ((after.size_ >> at & 1) != 0)
      after.subtrees_[after.count_++] = at < level ? waiting[at] : Waiting(at);
  }
  *this = after;
}

// The complete subtree of that level; the size has that bit.
const Digest& Edge::Waiting(unsigned level) const {
  return subtrees_[static_cast<size_t>(std::popcount(size_ >> level)) - 1];
}

absl::Status Edge::CheckAgainst(uint64_t size, const Digest& root) const {
  if (size != size_) {
    return DataLoss("the stored right edge is of ", size_, " records, the head of ", size);
  }
  const Digest own = Root();
  if (own != root) {
    return DataLoss("the stored right edge of ",
                    size,
                    " records has the root ",
                    ToHex(own),
                    ", the head says ",
                    ToHex(root));
  }
  return absl::OkStatus();
}

void Edge::AppendTo(Bytes& out) const {
  AppendBe(out, size_);
  for (const Digest& d : subtrees()) aqmesh::Append(out, d);
}

bool Edge::operator==(const Edge& other) const {
  return size_ == other.size_ && std::ranges::equal(subtrees(), other.subtrees());
}

}  // namespace aqmesh::tlog
