// ObjectFeed: what lies on a store's shelves, by shelf and id.
// Bounds: kIdsMax ids a shelf are gathered before the first row; the bytes come some at a time.
// Thread: one owner. Errors: the store's; ResourceExhausted over the bound, saying what to ask.
#ifndef AQMESH_LINEAGE_SQL_OBJECT_FEED_H_
#define AQMESH_LINEAGE_SQL_OBJECT_FEED_H_

#include <vector>

#include "lineage/sql/table.h"

namespace aqmesh::lineage::sql {

struct ObjectRow {
  const Log* log = nullptr;
  Shelf shelf{};
  Oid oid = {};
  Bytes bytes = {};
};

std::string_view ShelfName(Shelf shelf);

class ObjectFeed final : public Feed<ObjectRow> {
 public:
  static constexpr size_t kIdsMax = 4'000'000;  // 128 MB

  ObjectFeed(const World& world, Bounds bounds, std::vector<Shelf> shelves);
  absl::Status Fill(std::vector<ObjectRow>& rows) override;

 private:
  absl::Status Begin(const Log& log, Shelf shelf);

  const World& world_;
  const Bounds bounds_;
  const std::vector<Shelf> shelves_;
  size_t at_ = 0;  // log * shelves + shelf
  bool begun_ = false;
  std::vector<Oid> ids_;  // of the shelf at hand
  size_t id_ = 0;
};

}  // namespace aqmesh::lineage::sql

#endif  // AQMESH_LINEAGE_SQL_OBJECT_FEED_H_
