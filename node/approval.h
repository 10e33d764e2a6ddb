// What a person's approval is worth in one chain: the same for the engine and for the audit.
// Spec:   spec/admission.md §4. Thread: pure. Cost: one signature.
#ifndef AQMESH_NODE_APPROVAL_H_
#define AQMESH_NODE_APPROVAL_H_

#include <optional>
#include <span>

#include "admission/gate.h"
#include "core/authority/approval.h"
#include "trust/weigh.h"

namespace aqmesh::node {

struct ApprovalGround {
  ScopeId scope;
  const authority::Charter& charter;
  WallTime now;
  uint64_t epoch = 0;  // in which `links` were read
  authority::Answers what = authority::Answers::kStanding;
};
// nullopt: it does not hold in this chain at this time, or its signer is not trusted enough to say
// so.
std::optional<admission::Approval> ApprovalIn(const authority::Held<authority::Approve>& approve,
                                              const authority::Chain& chain,
                                              std::span<const trust::Link> links,
                                              const ApprovalGround& ground);

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_APPROVAL_H_
