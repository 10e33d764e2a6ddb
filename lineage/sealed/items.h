// What a sealed segment keeps beside the records: objects by shelf and oid, and named values,
// packed into frames one behind the other; and the index by which one object is found.
// Spec:   spec/lineage.md §12.2.
// Wire:   objects.zst: frames of u8 shelf || oid 32 || BE32 length || bytes, ascending.
//         objects.idx: u8 shelf || oid 32 || BE32 where its frame begins, ascending.
//         state.zst: frames of BE16 length || name || BE32 length || value, ascending by name.
// Bounds: kItemFrameBytesMax unpacked, each thing as store.h bounds it. Thread: pure.
// Errors: DataLoss naming what is wrong, and where.
#ifndef AQMESH_LINEAGE_SEALED_ITEMS_H_
#define AQMESH_LINEAGE_SEALED_ITEMS_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lineage/store.h"

namespace aqmesh::lineage {

inline constexpr size_t kItemFrameBytes = 131'072;  // then another frame begins
inline constexpr size_t kItemFrameBytesMax = kItemFrameBytes + kStoredObjectBytesMax + 512;
inline constexpr size_t kObjectKeyBytes = 33, kObjectRowBytes = kObjectKeyBytes + 4;

using ObjectKeyed = std::map<std::pair<Shelf, Oid>, Bytes>;
using StateNamed = std::map<std::string, Bytes, std::less<>>;

struct PackedObjects {
  Bytes frames, index;
};
PackedObjects PackObjects(const ObjectKeyed& objects);
Bytes PackState(const StateNamed& state);

// One unpacked frame of each. What does not ascend is refused.
struct ObjectView {
  Shelf shelf{};
  Oid oid;
  ByteView bytes;
};
absl::StatusOr<std::vector<ObjectView>> ParseObjectFrame(ByteView content);
absl::Status ParseStateFrame(ByteView content, StateNamed& into);

// A row of the index.
struct ObjectPlace {
  Shelf shelf{};
  Oid oid;
  uint32_t frame = 0;
};
absl::StatusOr<std::vector<ObjectPlace>> ParseObjectIndex(ByteView index);

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_SEALED_ITEMS_H_
