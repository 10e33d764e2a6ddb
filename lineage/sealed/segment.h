// Segment: a run of records that was sealed: in tiles as others' tools know them, with what the
// records cite and a head that covers them. Each file is held against the manifest as it is read.
// Spec:   spec/lineage.md §12.
// Bounds: those of manifest.h, items.h and frame.h; one file in memory at a time.
// Thread: reads from one thread at a time.
// Errors: DataLoss naming the file and what is wrong in it; the system's.
// Cost:   a bundle of 256 records: ~0.5 ms.
#ifndef AQMESH_LINEAGE_SEALED_SEGMENT_H_
#define AQMESH_LINEAGE_SEALED_SEGMENT_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lineage/sealed/items.h"
#include "lineage/sealed/manifest.h"
#include "lineage/store.h"
#include "lineage/tlog/checkpoint.h"

namespace aqmesh::lineage {

// 256 records, each with the hash that its tile gives it.
struct Bundle {
  Bytes content;
  std::vector<ByteView> bodies;  // views into it
  std::vector<Digest> leaves;
};
// Of what lies in a bundle's file and in the tile of its hashes. DataLoss names the record.
absl::StatusOr<Bundle> UnpackBundle(ByteView packed, ByteView tile, Seq first);

// The tiles of a segment under a head of so many records: those of its leaves, those above them,
// and the right edge: all that a path from any of its records to that head goes by.
std::vector<tlog::Tile> TilesOf(Seq first, Seq end, uint64_t head_size);

class Segment {
 public:
  // Reads the manifest alone.
  static absl::StatusOr<std::unique_ptr<Segment>> Open(const std::string& dir);
  const Manifest& manifest() const { return manifest_; }
  const std::string& dir() const { return dir_; }

  // The records from 256 * index on.
  absl::StatusOr<Bundle> ReadBundle(uint64_t index) const;
  // NotFound: it is not here. What is here may be wider than what was asked for, and is cut.
  absl::StatusOr<Bytes> ReadTile(const tlog::Tile& tile) const;
  absl::StatusOr<tlog::SignedCheckpoint> ReadCheckpoint() const;

  absl::StatusOr<std::vector<ObjectPlace>> ReadObjectIndex() const;
  absl::StatusOr<Bytes> ReadObject(const ObjectPlace& place) const;
  absl::StatusOr<StateNamed> ReadState() const;

  // Reads all there is: every file as the manifest has it and none that it does not name, every
  // record under its hash and after the one before, every path to the root that the checkpoint
  // says, every object under its id. `chain` goes on from the segment before. Who signed is the
  // caller's question.
  absl::Status Verify(ChainVerifier& chain) const;

 private:
  Segment(std::string dir, Manifest manifest)
      : dir_(std::move(dir)), manifest_(std::move(manifest)) {}
  absl::StatusOr<Bytes> ReadFile(std::string_view path) const;
  absl::Status VerifyFiles() const;
  absl::Status VerifyRecords(ChainVerifier& chain) const;
  absl::Status VerifyObjects() const;
  // Hashes objects.zst once: its frames are then read where they lie.
  absl::Status CheckObjects() const;
  std::string At(std::string_view path) const;

  std::string dir_;
  Manifest manifest_;
  mutable bool objects_checked_ = false;
  mutable std::optional<std::pair<uint32_t, Bytes>> frame_;  // the one unpacked last
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_SEALED_SEGMENT_H_
