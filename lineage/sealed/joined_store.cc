#include "lineage/sealed/joined_store.h"

#include <algorithm>
#include <set>

#include "core/base/status.h"

namespace aqmesh::lineage {

absl::StatusOr<std::unique_ptr<JoinedStore>> JoinedStore::Make(
    std::unique_ptr<Store> live, std::unique_ptr<SealedStore> sealed) {
  const Seq meet = live->first();
  const std::string where = sealed->segments().front()->dir();
  if (sealed->size() < meet)
    return DataLoss(
        where, ": the segments end before record ", meet, ", with which the log begins");
  // The last tile before the meeting place: the store kept its hashes when its records left.
  if (meet >= tlog::kTileWidth) {
    const tlog::Tile tile{0, meet / tlog::kTileWidth - 1, tlog::kTileWidth};
    AQ_ASSIGN_OR_RETURN(const Bytes ours, live->ReadTile(tile));
    AQ_ASSIGN_OR_RETURN(const Bytes theirs, sealed->ReadTile(tile));
    if (ours != theirs)
      return DataLoss(where, ": these segments are of another history than the log beside them");
  }
  return std::unique_ptr<JoinedStore>(new JoinedStore(std::move(live), std::move(sealed)));
}

Gone JoinedStore::gone() const {
  const Seq first = sealed_->first();
  return first == 0 ? Gone{} : Gone{first, live_->gone().under};
}

absl::Status JoinedStore::CommitAll(std::span<const Batch>) {
  return FailedPrecondition("a log that is joined from segments is only read");
}
absl::Status JoinedStore::PutSnapshot(const Snapshot&) { return CommitAll({}); }

absl::StatusOr<std::optional<Snapshot>> JoinedStore::SnapshotAt(uint64_t records) const {
  return live_->SnapshotAt(records);
}

absl::StatusOr<std::optional<Bytes>> JoinedStore::GetObject(Shelf shelf, const Oid& oid) const {
  AQ_ASSIGN_OR_RETURN(auto found, live_->GetObject(shelf, oid));
  if (found) return found;
  return sealed_->GetObject(shelf, oid);
}

absl::Status JoinedStore::ScanObjects(Shelf shelf, ObjectVisitor visit) const {
  std::set<Oid> ids;
  const auto take = [&ids](const Oid& oid, ByteView) {
    ids.insert(oid);
    return true;
  };
  AQ_RETURN_IF_ERROR(live_->ScanObjects(shelf, take));
  AQ_RETURN_IF_ERROR(sealed_->ScanObjects(shelf, take));
  for (const Oid& oid : ids) {
    AQ_ASSIGN_OR_RETURN(const auto bytes, GetObject(shelf, oid));
    if (bytes && !visit(oid, *bytes)) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Bytes>> JoinedStore::GetState(std::string_view name) const {
  return live_->GetState(name);
}
absl::Status JoinedStore::ScanState(std::string_view prefix, StateVisitor visit) const {
  return live_->ScanState(prefix, visit);
}

template <class Walk>
absl::Status JoinedStore::Both(
    Seq first, Seq end, Order order, RecordVisitor visit, Walk walk) const {
  bool more = true;
  const auto noting = [&](Seq seq, const Digest& leaf, ByteView body) {
    return more = visit(seq, leaf, body);
  };
  const bool oldest = order == Order::kOldestFirst;
  for (const bool sealed : {oldest, !oldest}) {
    const Seq low = sealed ? first : std::max(first, meet_);
    const Seq high = sealed ? std::min(end, meet_) : end;
    if (!more || low >= high) continue;
    const Store& half = sealed ? static_cast<const Store&>(*sealed_) : *live_;
    AQ_RETURN_IF_ERROR(walk(half, low, high, noting));
  }
  return absl::OkStatus();
}

absl::Status JoinedStore::WalkLog(Seq first, Seq end, Order order, RecordVisitor visit) const {
  return Both(first, end, order, visit, [order](const Store& s, Seq a, Seq b, RecordVisitor v) {
    return s.WalkLog(a, b, order, v);
  });
}

absl::Status JoinedStore::WalkSubject(
    const Kid& subject, Seq first, Seq end, Order order, RecordVisitor visit) const {
  return Both(first, end, order, visit, [&](const Store& s, Seq a, Seq b, RecordVisitor v) {
    return s.WalkSubject(subject, a, b, order, v);
  });
}

absl::Status JoinedStore::WalkWhere(
    const Where& where, Seq first, Seq end, Order order, RecordVisitor visit) const {
  return Both(first, end, order, visit, [&](const Store& s, Seq a, Seq b, RecordVisitor v) {
    return s.WalkWhere(where, a, b, order, v);
  });
}

absl::StatusOr<Seq> JoinedStore::SeqAt(uint64_t hlc) const {
  AQ_ASSIGN_OR_RETURN(const Seq in_live, live_->SeqAt(hlc));
  if (in_live > meet_) return in_live;
  AQ_ASSIGN_OR_RETURN(const Seq in_sealed, sealed_->SeqAt(hlc));
  return std::min(in_sealed, meet_);
}

absl::StatusOr<Bytes> JoinedStore::ReadTile(const tlog::Tile& tile) const {
  return live_->ReadTile(tile);
}

}  // namespace aqmesh::lineage
