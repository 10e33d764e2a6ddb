// SealedStore: the sealed segments of one log, in their order, as a store that is only read.
// Spec:   spec/lineage.md §12.3.
// Bounds: kSegmentsMax segments; 37 bytes in memory for each object, from the first question for one
//         on; kBundlesHeldMax bundles. Thread: one at a time.
// Errors: NotFound (no segments), DataLoss (a gap; a file, named), FailedPrecondition (any write).
// Cost:   to open: one small file a segment. A question without an index reads every bundle.
#ifndef AQMESH_LINEAGE_SEALED_SEALED_STORE_H_
#define AQMESH_LINEAGE_SEALED_SEALED_STORE_H_

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "lineage/sealed/segment.h"
#include "lineage/store.h"

namespace aqmesh::lineage {

// Whether a directory has sealed segments: of one log, or of several in directories of their own.
bool HasSealed(const std::string& dir);
// The logs there.
absl::StatusOr<std::vector<Kid>> SealedLogs(const std::string& dir);
// Where the segments of a log lie.
std::string SealedDirOf(const std::string& dir, const Kid& log);

class SealedStore final : public Store {
 public:
  static constexpr size_t kSegmentsMax = 65'536, kBundlesHeldMax = 8;

  // `dir` is what `lineage export --sealed` wrote to, or the directory of one log in it. Without
  // `log` there must be one. The segments must follow from each other.
  static absl::StatusOr<std::unique_ptr<SealedStore>> Open(const std::string& dir,
                                                           std::optional<Kid> log = std::nullopt);

  const Kid& log() const { return log_; }
  const std::vector<std::unique_ptr<Segment>>& segments() const { return segments_; }
  // Reads all of it (Segment::Verify). `before` hears of each segment that holds.
  absl::Status VerifyAll(absl::FunctionRef<void(const Segment&)> held) const;
  absl::StatusOr<bool> HasObject(Shelf shelf, const Oid& oid) const;

  absl::Status CommitAll(std::span<const Batch> batches) override;
  std::optional<Head> head() const override { return head_; }
  Gone gone() const override { return {segments_.front()->manifest().first, std::nullopt}; }
  absl::StatusOr<std::optional<Bytes>> GetObject(Shelf shelf, const Oid& oid) const override;
  absl::Status ScanObjects(Shelf shelf, ObjectVisitor visit) const override;
  absl::StatusOr<std::optional<Bytes>> GetState(std::string_view name) const override;
  absl::Status ScanState(std::string_view prefix, StateVisitor visit) const override;
  absl::Status WalkLog(Seq first, Seq end, Order order, RecordVisitor visit) const override;
  absl::Status WalkSubject(
      const Kid& subject, Seq first, Seq end, Order order, RecordVisitor visit) const override;
  absl::StatusOr<Seq> SeqAt(uint64_t hlc) const override;
  // Of the last segment's head: records after the sealed ones are counted in it.
  tlog::Edge edge() const override { return edge_; }
  absl::StatusOr<Bytes> ReadTile(const tlog::Tile& tile) const override;
  absl::Status PutSnapshot(const Snapshot& snapshot) override;
  absl::StatusOr<std::optional<Snapshot>> SnapshotAt(uint64_t records) const override;

 private:
  struct ObjectAt {
    ObjectPlace place;
    uint32_t segment = 0;
  };
  SealedStore(Kid log, std::vector<std::unique_ptr<Segment>> segments)
      : log_(log), segments_(std::move(segments)) {}
  absl::Status ReadHead();
  absl::Status LoadObjects() const;
  absl::Status LoadState() const;
  absl::StatusOr<std::optional<ObjectAt>> FindObject(Shelf shelf, const Oid& oid) const;
  absl::StatusOr<const Bundle*> BundleAt(uint64_t index) const;
  const Segment& SegmentOf(Seq seq) const;

  Kid log_;
  std::vector<std::unique_ptr<Segment>> segments_;  // without a gap
  std::optional<Head> head_;
  tlog::Edge edge_;
  mutable std::optional<std::vector<ObjectAt>>
      objects_;                         // by shelf and oid; the covering heads too
  mutable std::map<Oid, Bytes> heads_;  // of the segments, by their oid
  mutable std::optional<StateNamed> state_;
  mutable std::list<std::pair<uint64_t, Bundle>> bundles_;  // the one used last first
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_SEALED_SEALED_STORE_H_
