// How much a verified chain weighs: the least trust in anyone that it runs through.
// Spec:   spec/trust.md §1: L_adm of the chain = min over all issuers and the subject; Q16, rounded down.
//         Priors come from the charter's taxonomy, down from the voter, each under the level of the
//         one before; what was observed of a key stands beside them.
// Thread: pure. Cost: O(chain).
#ifndef AQMESH_TRUST_WEIGH_H_
#define AQMESH_TRUST_WEIGH_H_

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <span>
#include <vector>

#include "core/authority/decision.h"
#include "core/authority/objects.h"
#include "trust/ledger.h"

namespace aqmesh::trust {

// One whom a chain runs through, and as what.
struct Step {
  Kid key;
  authority::Class cls{};
  bool operator==(const Step&) const = default;
};
// The voter first, if the chain reaches one; then down to the leaf's subject. Empty: a request to
// join.
std::vector<Step> StepsOf(const authority::Chain& chain);

// The same, and how it stands.
struct Link {
  Kid key;
  Role role{};
  uint32_t prior = 0;  // under the level of the one before
  Standing standing;
};
// What is known of a key: as Ledger::At has it.
using Known = absl::FunctionRef<Standing(const Kid&, Role, uint32_t prior)>;

std::vector<Link> LinksOf(std::span<const Step> steps,
                          const authority::Charter& charter,
                          uint64_t epoch,
                          Known known);

// The levels of `links` in `epoch`. Without any link: what a voter weighs.
authority::Weighed Weigh(authority::Verified verified,
                         const authority::Charter& charter,
                         std::span<const Link> links,
                         uint64_t epoch);

// The same, of links alone: to see whether anything has changed.
authority::ChainTrust TrustIn(const authority::Charter& charter,
                              std::span<const Link> links,
                              uint64_t epoch);

// Param 15, or the profile's: how much an absence may cost.
uint32_t GapCapOf(const authority::Charter& charter);

}  // namespace aqmesh::trust

#endif  // AQMESH_TRUST_WEIGH_H_
