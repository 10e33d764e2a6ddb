// How much a verified chain weighs: the least trust in anyone that it runs through.
// Spec:   spec/trust.md §1: L_adm of the chain = min over all issuers and the subject; Q16, rounded down.
//         Priors come from the charter's taxonomy, down from the voter; an absolute prior stands
//         alone.
// Thread: pure. Cost: O(chain).
#ifndef AQMESH_TRUST_WEIGH_H_
#define AQMESH_TRUST_WEIGH_H_

#include <cstdint>
#include <span>
#include <vector>

#include "core/authority/decision.h"
#include "core/authority/objects.h"

namespace aqmesh::trust {

// L_adm of each link at first sight: the voter's first, then down the chain to the leaf's subject.
std::vector<uint32_t> Priors(const authority::Chain& chain, const authority::Charter& charter);

authority::Weighed Weigh(authority::Verified verified, const authority::Charter& charter);

}  // namespace aqmesh::trust

#endif  // AQMESH_TRUST_WEIGH_H_
