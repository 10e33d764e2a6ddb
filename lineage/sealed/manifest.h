// Manifest: what a sealed segment says of itself: whose records it has, which, and the hash of each
// of its files.
// Spec:   spec/lineage.md §12.2.
// Wire:   lines: "aqmesh/1/sealed", "log KID", "records FIRST END", "time HLC HLC" of the first and
//         the last, "head SIZE", then "file SHA256 BYTES PATH" ascending by path, and
//         "end SHA256" of all before it.
// Bounds: kManifestBytesMax; kSegmentRecordsMax records; files that a segment may have and no others.
// Thread: pure. Errors: InvalidArgument naming the line, DataLoss (its own hash).
#ifndef AQMESH_LINEAGE_SEALED_MANIFEST_H_
#define AQMESH_LINEAGE_SEALED_MANIFEST_H_

#include <string>
#include <string_view>
#include <vector>

#include "lineage/chain.h"
#include "lineage/tlog/tile.h"

namespace aqmesh::lineage {

inline constexpr uint64_t kSegmentRecordsMax = 16'384;  // 64 tiles: some 2 MB packed
inline constexpr size_t kManifestBytesMax = 65'536;
inline constexpr uint64_t kSealedFileBytesMax = 512u << 20;

inline constexpr std::string_view kManifestName = "manifest", kCheckpointName = "checkpoint",
                                  kObjectsName = "objects.zst", kObjectIndexName = "objects.idx",
                                  kStateName = "state.zst";

struct SealedFile {
  std::string path;  // below the segment
  uint64_t bytes = 0;
  Digest hash;  // SHA-256
  bool operator==(const SealedFile&) const = default;
};

struct Manifest {
  Kid log;
  Seq first = 0, end = 0;                // multiples of 256; end is the first that is not here
  uint64_t hlc_first = 0, hlc_last = 0;  // of the records
  uint64_t head_size = 0;                // of the checkpoint: end or more
  std::vector<SealedFile> files;         // ascending by path

  std::string Text() const;
  const SealedFile* Find(std::string_view path) const;
  bool operator==(const Manifest&) const = default;
};
// Exactly what Text() gives.
absl::StatusOr<Manifest> ParseManifest(std::string_view text);

// "000000000000-000000016384": the segment's directory, in that of its log.
std::string SegmentName(Seq first, Seq end);
bool IsSegmentName(std::string_view name);
// "tile/entries/001.zst"
std::string SealedBundlePath(uint64_t index);

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_SEALED_MANIFEST_H_
