// Where an issuer stands, and the grammar of what people type: shared by the bodies of issue.h.
// Spec: spec/objects.md §1 (in date), §2 (lab, tag). Thread: pure. Errors: as issue.h.
#ifndef AQMESH_ISSUING_PLACE_H_
#define AQMESH_ISSUING_PLACE_H_

#include <string>
#include <string_view>
#include <vector>

#include "issuing/issue.h"

namespace aqmesh::issuing {

inline constexpr size_t kTagsMax = 8;

absl::Status CheckName(std::string_view name, bool may_be_empty);
absl::StatusOr<std::vector<std::string>> SortedTags(std::vector<std::string> tags,
                                                    bool wild,
                                                    size_t max);
// In the order given, a doubled one once; a port each, none that means something on one link only.
absl::StatusOr<std::vector<Endpoint>> CheckedEndpoints(const std::vector<Endpoint>& endpoints,
                                                       size_t max);
std::string Short(const Kid& kid);  // for messages

// Read once an object: scope, parent link, and the window that its objects must stay inside.
struct Place {
  ScopeId scope;
  Oid authority;  // of the issuer's grant, or of the charter
  const authority::Grant* grant = nullptr;
  Kid subject;  // the lineage's first kid of the issuer
  uint64_t from = 0, end = UINT64_MAX;
};
// Refuses a signer that is neither voter nor the grant's subject, and a grant out of date.
absl::StatusOr<Place> PlaceOf(const Issuer& issuer, uint64_t now);
absl::Status NeedCap(const Place& place, uint32_t cap, std::string_view what);

struct Window {
  uint64_t not_before = 0;
  uint32_t ttl = 0;
};
// Inside the issuer's own: its begin may lie up to the clock slack ahead of now, its end is never
// passed.
absl::StatusOr<Window> Cut(const Place& place,
                           uint64_t now,
                           uint32_t ttl,
                           uint64_t end_too = UINT64_MAX);

}  // namespace aqmesh::issuing

#endif  // AQMESH_ISSUING_PLACE_H_
