#include "lineage/sql/object_feed.h"

#include "core/base/status.h"

namespace aqmesh::lineage::sql {

std::string_view ShelfName(Shelf shelf) {
  switch (shelf) {
    case Shelf::kSigned: return "signed";
    case Shelf::kInputs: return "inputs";
    case Shelf::kProof: return "proof";
    case Shelf::kNote: return "note";
    case Shelf::kPolicy: return "policy";
    case Shelf::kContent: return "content";
  }
  return "";
}

ObjectFeed::ObjectFeed(const World& world, Bounds bounds, std::vector<Shelf> shelves)
    : world_(world), bounds_(std::move(bounds)), shelves_(std::move(shelves)) {}

absl::Status ObjectFeed::Begin(const Log& log, Shelf shelf) {
  begun_ = true;
  ids_.clear();
  id_ = 0;
  if (bounds_.nothing || (bounds_.machine && *bounds_.machine != log.name) ||
      (bounds_.shelf && *bounds_.shelf != ShelfName(shelf))) {
    return absl::OkStatus();
  }
  if (bounds_.oid) {
    ids_.push_back(*bounds_.oid);
    return absl::OkStatus();
  }
  absl::Status broken;
  AQ_RETURN_IF_ERROR(log.store->ScanObjects(shelf, [&](const Oid& oid, ByteView) {
    if (ids_.size() % kFillRows == 0) broken = world_.Stop();
    if (broken.ok() && ids_.size() == kIdsMax) {
      broken = ResourceExhausted(log.name,
                                 " has more than ",
                                 kIdsMax,
                                 " objects on shelf `",
                                 ShelfName(shelf),
                                 "`; name another shelf, or an oid");
    }
    ids_.push_back(oid);
    return broken.ok();
  }));
  return broken;
}

absl::Status ObjectFeed::Fill(std::vector<ObjectRow>& rows) {
  while (rows.size() < kFillRows && at_ < world_.logs.size() * shelves_.size()) {
    const Log& log = world_.logs[at_ / shelves_.size()];
    const Shelf shelf = shelves_[at_ % shelves_.size()];
    if (!begun_) AQ_RETURN_IF_ERROR(Begin(log, shelf));
    for (; id_ < ids_.size() && rows.size() < kFillRows; ++id_) {
      AQ_ASSIGN_OR_RETURN(auto bytes, log.store->GetObject(shelf, ids_[id_]));
      if (bytes) rows.push_back({&log, shelf, ids_[id_], *std::move(bytes)});
    }
    if (id_ == ids_.size()) {
      ++at_;
      begun_ = false;
    }
  }
  return absl::OkStatus();
}

}  // namespace aqmesh::lineage::sql
