#include "lineage/tlog/proof.h"

#include <algorithm>
#include <bit>

#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace aqmesh::tlog {

namespace {

// Where a range of more than one leaf splits: its left side has this many.
uint64_t SplitOf(uint64_t leaves) { return std::bit_floor(leaves - 1); }

absl::Status WrongLength(std::string_view what, size_t hashes) {
  return InvalidArgument("the ", what, " proof cannot have ", hashes, " hashes at these sizes");
}

// The walk that both verifications share. From the subtree (fn, sn) upward every hash of the proof
// is a left or a right neighbour; `fold(left, hash)` says which. False: the number of hashes is not
// the one that these sizes need.
template <class Fold>
bool Climb(uint64_t fn, uint64_t sn, std::span<const Digest> proof, Fold fold) {
  for (const Digest& hash : proof) {
    if (sn == 0) return false;
    const bool left = (fn & 1) != 0 || fn == sn;
    fold(left, hash);
    if (left) {
      while ((fn & 1) == 0 && fn != 0) fn >>= 1, sn >>= 1;
    }
    fn >>= 1, sn >>= 1;
  }
  return sn == 0;
}

}  // namespace

absl::Status VerifyInclusion(const Digest& leaf,
                             uint64_t index,
                             uint64_t size,
                             std::span<const Digest> proof,
                             const Digest& root) {
  if (size > kTreeSizeMax || index >= size)
    return InvalidArgument("there is no record ", index, " in a log of ", size);
  Digest at = leaf;
  const bool whole = Climb(index, size - 1, proof, [&at](bool left, const Digest& hash) {
    at = left ? NodeHash(hash, at) : NodeHash(at, hash);
  });
  if (!whole) return WrongLength("inclusion", proof.size());
  if (at != root) {
    return Unauthenticated(
        "the path from record ", index, " leads to ", ToHex(at), ", the head says ", ToHex(root));
  }
  return absl::OkStatus();
}

absl::Status VerifyConsistency(uint64_t old_size,
                               const Digest& old_root,
                               uint64_t size,
                               const Digest& root,
                               std::span<const Digest> proof) {
  if (size > kTreeSizeMax || old_size == 0 || old_size > size)
    return InvalidArgument("no proof leads from ", old_size, " records to ", size);
  if (old_size == size) {
    if (!proof.empty()) return WrongLength("consistency", proof.size());
    return old_root == root ? absl::OkStatus()
                            : Unauthenticated("two heads of ", size, " records differ");
  }
  // The largest subtree that ends where the old tree ended. If it is the whole old tree, its hash
  // is the old root and not in the proof.
  uint64_t fn = old_size - 1, sn = size - 1;
  while ((fn & 1) != 0) fn >>= 1, sn >>= 1;
  Digest old_at = old_root;
  if (fn != 0) {
    if (proof.empty()) return WrongLength("consistency", proof.size());
    old_at = proof.front();
    proof = proof.subspan(1);
  }
  Digest at = old_at;
  const bool whole = Climb(fn, sn, proof, [&](bool left, const Digest& hash) {
    if (left) old_at = NodeHash(hash, old_at);
    at = left ? NodeHash(hash, at) : NodeHash(at, hash);
  });
  if (!whole) return WrongLength("consistency", proof.size());
  if (old_at != old_root)
    return Unauthenticated("the proof leads to another head of ", old_size, " records");
  if (at != root) return Unauthenticated("the proof leads to another head of ", size, " records");
  return absl::OkStatus();
}

Prover::Prover(uint64_t size, const Digest& root, TileReader read)
    : size_(size), root_(root), read_(std::move(read)) {}

absl::StatusOr<Digest> Prover::Hash(const Node& node) {
  const TilePlace place = PlaceOf(node, size_);
  auto held = std::ranges::find_if(tiles_, [&](const Held& h) { return h.tile == place.tile; });
  if (held == tiles_.end()) {
    AQ_ASSIGN_OR_RETURN(Bytes bytes, read_(place.tile));
    if (bytes.size() < 32 * size_t{place.tile.width}) {
      return DataLoss(
          TilePath(place.tile), " has ", bytes.size(), " bytes, not ", 32 * place.tile.width);
    }
    if (tiles_.size() == kTilesHeldMax) tiles_.erase(tiles_.begin());
    held = tiles_.insert(tiles_.end(), {place.tile, std::move(bytes)});
  }
  std::array<Digest, kTileWidth / 2> level;
  const ByteView hashes = ByteView(held->bytes).subspan(32 * size_t{place.at});
  for (unsigned i = 0; i < place.count; ++i)
    level[i] = *Digest::From(hashes.subspan(32 * size_t{i}, 32));
  for (unsigned n = place.count; n > 1; n /= 2) {
    for (unsigned i = 0; i < n / 2; ++i) level[i] = NodeHash(level[2 * i], level[2 * i + 1]);
  }
  return level[0];
}

absl::StatusOr<Digest> Prover::Range(uint64_t first, uint64_t end) {
  const Cover cover(first, end);
  std::array<Digest, 64> hashes;
  size_t count = 0;
  for (const Node& node : cover.nodes()) {
    AQ_ASSIGN_OR_RETURN(hashes[count], Hash(node));
    ++count;
  }
  return FoldRight({hashes.data(), count});
}

absl::StatusOr<Edge> Prover::EdgeAt(uint64_t size) {
  if (size > size_ || size_ > kTreeSizeMax)
    return InvalidArgument("there are no ", size, " records in a log of ", size_);
  const Cover cover(0, size);
  std::array<Digest, 64> hashes;
  size_t count = 0;
  for (const Node& node : cover.nodes()) {
    AQ_ASSIGN_OR_RETURN(hashes[count], Hash(node));
    ++count;
  }
  AQ_ASSIGN_OR_RETURN(const Edge edge, Edge::Restore(size, {hashes.data(), count}));
  if (size == size_) AQ_RETURN_IF_ERROR(edge.CheckAgainst(size_, root_));
  return edge;
}

absl::StatusOr<Digest> Prover::Leaf(uint64_t index) {
  if (index >= size_ || size_ > kTreeSizeMax)
    return InvalidArgument("there is no record ", index, " in a log of ", size_);
  return Hash({0, index});
}

absl::StatusOr<Proof> Prover::Inclusion(uint64_t index) {
  AQ_ASSIGN_OR_RETURN(const Digest leaf, Leaf(index));
  Proof proof;
  for (uint64_t first = 0, end = size_; end - first > 1;) {
    const uint64_t middle = first + SplitOf(end - first);
    const bool in_left = index < middle;
    AQ_ASSIGN_OR_RETURN(const Digest side, in_left ? Range(middle, end) : Range(first, middle));
    proof.push_back(side);
    (in_left ? end : first) = middle;
  }
  std::ranges::reverse(proof);
  if (const auto ok = VerifyInclusion(leaf, index, size_, proof, root_); !ok.ok())
    return DataLoss("the stored tiles are not this log's: ", Text(ok));
  return proof;
}

absl::StatusOr<Prover::Consistent> Prover::Consistency(uint64_t old_size) {
  if (old_size == 0 || old_size > size_ || size_ > kTreeSizeMax)
    return InvalidArgument("no proof leads from ", old_size, " records to ", size_);
  AQ_ASSIGN_OR_RETURN(const Edge old_edge, EdgeAt(old_size));
  Consistent out{old_edge.Root(), {}};
  if (old_size == size_) return out;
  // Down to the smallest range that begins and ends where the old tree does; what lies beside the
  // way is the proof.
  uint64_t first = 0, end = size_;
  while (end != old_size) {
    const uint64_t middle = first + SplitOf(end - first);
    const bool in_left = old_size <= middle;
    AQ_ASSIGN_OR_RETURN(const Digest side, in_left ? Range(middle, end) : Range(first, middle));
    out.proof.push_back(side);
    (in_left ? end : first) = middle;
  }
  if (first != 0) {
    AQ_ASSIGN_OR_RETURN(const Digest start, Range(first, end));
    out.proof.push_back(start);
  }
  std::ranges::reverse(out.proof);
  const auto ok = VerifyConsistency(old_size, out.old_root, size_, root_, out.proof);
  if (!ok.ok()) return DataLoss("the stored tiles are not this log's: ", Text(ok));
  return out;
}

}  // namespace aqmesh::tlog
