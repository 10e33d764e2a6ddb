// WhatIf: every flow that a log says was tried, judged again under other fragments.
// Spec:   spec/lineage.md §13. A flow is judged as the machine would have: between the same two
//         parties, at the same rung, under the local policy of the decision that was in force; only
//         the fragments differ, and both sides cite all of them.
// Bounds: kChangesMax different changes; more are counted. Thread: one owner. Cost: ~1 us an attempt.
// Errors: DataLoss (a decision's objects are not kept, content is not what its record commits to).
#ifndef AQMESH_NODE_WHAT_IF_H_
#define AQMESH_NODE_WHAT_IF_H_

#include <functional>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "admission/flow_cache.h"
#include "admission/rules.h"
#include "lineage/content.h"
#include "node/redecide.h"

namespace aqmesh::node {

struct Change {
  Kid subject;
  lineage::Attempt attempt;  // summed over the log: count, first and last
  admission::Ruling now;
  std::optional<admission::RuleRef> by;  // the proposed rule that allows it
};

struct WhatIfReport {
  static constexpr size_t kChangesMax = 65'536;

  uint64_t flows = 0, changed = 0;  // that were tried; of them, that would end otherwise
  uint64_t allowed_now = 0;         // of the changed: refused then
  uint64_t unlisted = 0;            // flows beyond what their records list
  uint64_t unreadable = 0;          // records whose content was redacted or is not here
  uint64_t unknown = 0;             // flows before the decision that they were judged under
  uint64_t unsaid = 0;              // changes beyond kChangesMax
  std::vector<Change> changes;      // the most flows first
};

class WhatIf {
 public:
  // This machine as rules speak of it at that second; nullopt: it had no grant then.
  using OwnParty = std::function<std::optional<admission::Party>(uint64_t second)>;

  // Borrows all.
  WhatIf(const lineage::Store& store,
         const Redecider& decisions,
         std::span<const authority::Held<authority::Fragment>> proposed,
         OwnParty own)
      : store_(store), decisions_(decisions), proposed_(proposed), own_(std::move(own)) {}

  // Of the records of kind FLOW from `first` on.
  absl::StatusOr<WhatIfReport> From(lineage::Seq first);

 private:
  // What flows with one subject were judged under.
  struct Situation {
    std::optional<authority::Observe> decision;   // not compiled yet
    std::optional<admission::Policies> policies;  // none: no decision let data through
  };
  // Flows that would end otherwise in the same way: subject, src, dst, protocol, port, opened here,
  // the reason then and the reason now.
  using Key = std::tuple<Kid, IpAddress, IpAddress, uint8_t, uint16_t, bool, uint16_t, uint16_t>;

  absl::Status TakeFlow(const authority::Observe& record, WhatIfReport& report);
  void Judge(const authority::Observe& record,
             const lineage::Attempt& attempt,
             const admission::Policies& policies,
             WhatIfReport& report);
  absl::Status Take(const authority::Observe& record, WhatIfReport& report);
  absl::StatusOr<const Situation*> SituationOf(const Kid& subject, lineage::Seq before);
  absl::StatusOr<std::optional<admission::Policies>> Compile(authority::Observe decision) const;
  absl::StatusOr<std::optional<authority::Observe>> DecisionBefore(const Kid& subject,
                                                                   lineage::Seq before) const;

  const lineage::Store& store_;
  const Redecider& decisions_;
  std::span<const authority::Held<authority::Fragment>> proposed_;
  OwnParty own_;
  std::map<Kid, Situation> situations_;
  std::map<Key, size_t> places_;  // in the report's changes
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_WHAT_IF_H_
