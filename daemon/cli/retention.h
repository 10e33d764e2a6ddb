// What a machine does under a retention rule, in the order that a crash may break off anywhere:
// find the rule, plan, seal and check, record it durably, let the records go.
// Spec:   spec/lineage.md §12.4. Used by `lineage prune` and by the daemon.
// Thread: reads the store from one thread. Errors: NotFound (no rule), the stores'.
#ifndef AQMESH_DAEMON_CLI_RETENTION_H_
#define AQMESH_DAEMON_CLI_RETENTION_H_

#include <string>

#include "daemon/cli/state.h"
#include "lineage/retention.h"

namespace aqmesh::cli {

struct PreparedPrune {
  Oid rule;
  lineage::PrunePlan plan;
  std::string sealed;  // where the copy lies; "": the rule asks for none
  uint64_t sealed_now = 0;
  bool waits_for_head = false;  // more could go, but for a head over it
};

// The rule in force for the log of this store. Objects that nobody entitled signed, and those taken
// back, count for nothing.
absl::StatusOr<authority::Held<authority::Retention>> RuleFor(const lineage::Store& store,
                                                              const KnownObjects& known,
                                                              uint64_t now);
enum class Doing : uint8_t { kLook, kPrepare };
// With kPrepare what must be sealed before is, in `place`, and was read again.
absl::StatusOr<PreparedPrune> PreparePrune(const lineage::Store& store,
                                           const std::string& place,
                                           uint64_t now,
                                           Doing doing);
// The state name that keeps a pruning from being forgotten half done.
lineage::StatePut PruningMark(const PreparedPrune& prepared);
// Ends one that a crash broke off, of a store that nobody else writes. OK if there is none.
absl::Status FinishPruning(lineage::RocksStore& store);

std::string PruneJson(const PreparedPrune& prepared, bool dry);
std::string PruneText(const PreparedPrune& prepared, bool dry);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_RETENTION_H_
