// What a retention rule lets go of a log: its oldest records, in whole tiles, each of them old
// enough.
// Spec:   spec/lineage.md §12.4.
// Bounds: kNewestKept records stay whatever the rule says. Thread: pure; reads the store.
// Errors: DataLoss (a record does not parse), the store's. Cost: ~2 us a record that may go.
#ifndef AQMESH_LINEAGE_RETENTION_H_
#define AQMESH_LINEAGE_RETENTION_H_

#include <optional>
#include <string_view>

#include "core/authority/retention.h"
#include "lineage/store.h"

namespace aqmesh::lineage {

// What every opening reads again, and a head signed since is over.
inline constexpr uint64_t kNewestKept = 1024;

struct PrunePlan {
  Seq first = 0, end = 0;      // the records that go; none: equal
  bool sealed_before = false;  // the rule of one of them wants a sealed copy
  uint64_t records() const { return end - first; }
  bool operator==(const PrunePlan&) const = default;
};
// `now`: seconds.
absl::StatusOr<PrunePlan> PlanPrune(const Store& store,
                                    const authority::Retention& rule,
                                    uint64_t now);

// The RETAINED record: evidence the rule, intent_gen the first record that stays, observed_gen how
// many go.
authority::Observe RetainedRecord(const PrunePlan& plan, const Oid& rule);

// Between the record and the end of the pruning this state name holds BE64 end || oid of the rule,
// so that a crash in between is made good.
inline constexpr std::string_view kPruningName = "pruning";
Bytes PruningValue(Seq end, const Oid& rule);
struct Pruning {
  Seq end = 0;
  Oid rule;
};
absl::StatusOr<std::optional<Pruning>> PruningOf(const Store& store);  // DataLoss: malformed

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_RETENTION_H_
