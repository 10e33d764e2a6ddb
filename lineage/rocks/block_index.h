// What 256 records in a row are, in 4 bytes each: enough to pass over those that a question is not
// about without reading them.
// Spec:   spec/lineage.md §4 `idx_block`.
// Wire:   u8 n, n * 4 bytes (first of each AuthDigest in the block), 256 * u8 (kind | rung << 5),
//         256 * u8 (0 no authority, i the i-th, 255 one that found no place), 256 * 2 bytes (first
//         of the leaf hash).
// Bounds: 1 + 4 * 254 + 1024 bytes a block. Thread: values.
// Errors: a block of another length is nullopt, and its records are then read.
#ifndef AQMESH_LINEAGE_ROCKS_BLOCK_INDEX_H_
#define AQMESH_LINEAGE_ROCKS_BLOCK_INDEX_H_

#include <array>
#include <bitset>
#include <optional>
#include <utility>
#include <vector>

#include "lineage/chain.h"
#include "lineage/record.h"

namespace aqmesh::lineage {

inline constexpr size_t kBlockRecords = 256;

// Which records of a block a question may be about, by their place in it.
using BlockHits = std::bitset<kBlockRecords>;

class Block {
 public:
  // Takes the next record. AQ_CHECKs that there is room.
  void Add(const RecordEntry& entry);
  size_t size() const { return size_; }
  bool full() const { return size_ == kBlockRecords; }

  Bytes Encode() const;  // of a full one
  static std::optional<Block> Parse(
      ByteView bytes);  // without subjects(), which are rows of their own

  // Whom its records are about, each once, and which records those are.
  const std::vector<std::pair<Kid, BlockHits>>& subjects() const { return subjects_; }

  // Never leaves out one that matches.
  BlockHits Find(const Where& where) const;

 private:
  static constexpr size_t kAuthoritiesMax = 254;
  static constexpr uint8_t kOtherAuthority = 255;
  using Short = std::array<uint8_t, 4>;

  uint8_t PlaceOf(const Digest& authority);
  BlockHits& HitsOf(const Kid& subject);

  size_t size_ = 0;
  std::vector<Short> authorities_;
  std::array<uint8_t, kBlockRecords> traits_{};
  std::array<uint8_t, kBlockRecords> authority_{};
  std::array<std::array<uint8_t, 2>, kBlockRecords> leaves_{};
  std::vector<std::pair<Kid, BlockHits>> subjects_;
};

// Wire: the places, a byte each, ascending, if they are fewer than 32; else 32 bytes, bit i % 8 of
// byte i / 8 for place i.
Bytes EncodeHits(const BlockHits& hits);
std::optional<BlockHits> ParseHits(ByteView bytes);  // nullopt: no such

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_ROCKS_BLOCK_INDEX_H_
