// JoinedStore: one log of which the oldest records are sealed segments and the others in a live
// store: what `lineage import` made queryable again.
// Spec:   spec/lineage.md §12.5.
// Bounds: those of the two. Thread: one at a time. Errors: theirs; commits are refused.
#ifndef AQMESH_LINEAGE_SEALED_JOINED_STORE_H_
#define AQMESH_LINEAGE_SEALED_JOINED_STORE_H_

#include <memory>

#include "lineage/sealed/sealed_store.h"

namespace aqmesh::lineage {

class JoinedStore final : public Store {
 public:
  // DataLoss unless the segments are of this log: they reach to the first record that `live` has,
  // and where they meet the one follows from the other in the tree of `live`.
  static absl::StatusOr<std::unique_ptr<JoinedStore>> Make(std::unique_ptr<Store> live,
                                                           std::unique_ptr<SealedStore> sealed);

  absl::Status CommitAll(std::span<const Batch> batches) override;
  std::optional<Head> head() const override { return live_->head(); }
  Gone gone() const override;
  uint64_t commits() const override { return live_->commits(); }
  absl::StatusOr<std::optional<Bytes>> GetObject(Shelf shelf, const Oid& oid) const override;
  absl::Status ScanObjects(Shelf shelf, ObjectVisitor visit) const override;
  absl::StatusOr<std::optional<Bytes>> GetState(std::string_view name) const override;
  absl::Status ScanState(std::string_view prefix, StateVisitor visit) const override;
  absl::Status WalkLog(Seq first, Seq end, Order order, RecordVisitor visit) const override;
  absl::Status WalkSubject(
      const Kid& subject, Seq first, Seq end, Order order, RecordVisitor visit) const override;
  absl::Status WalkWhere(
      const Where& where, Seq first, Seq end, Order order, RecordVisitor visit) const override;
  absl::StatusOr<Seq> SeqAt(uint64_t hlc) const override;
  tlog::Edge edge() const override { return live_->edge(); }
  absl::StatusOr<Bytes> ReadTile(const tlog::Tile& tile) const override;
  absl::Status PutSnapshot(const Snapshot& snapshot) override;
  absl::StatusOr<std::optional<Snapshot>> SnapshotAt(uint64_t records) const override;

 private:
  JoinedStore(std::unique_ptr<Store> live, std::unique_ptr<SealedStore> sealed)
      : live_(std::move(live)), sealed_(std::move(sealed)), meet_(live_->first()) {}
  // Goes through both halves in that order, the one behind the other.
  template <class Walk>
  absl::Status Both(Seq first, Seq end, Order order, RecordVisitor visit, Walk walk) const;

  std::unique_ptr<Store> live_;
  std::unique_ptr<SealedStore> sealed_;
  Seq meet_;  // the first record that is taken from live_
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_SEALED_JOINED_STORE_H_
