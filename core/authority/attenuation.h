// Is the child no wider than its parent? One row of the spec a check; each failing row says so
// itself.
// Spec:   spec/objects.md §2; spec/admission.md §2: permissions shrink, obligations grow; a child rule is
//         covered by one parent rule alone (single cover), so the proof is O(rules) and errs on the
//         safe side.
// Thread: pure functions. Errors: an Objection names the row. Cost: ~1 us an edge, no signature.
#ifndef AQMESH_CORE_AUTHORITY_ATTENUATION_H_
#define AQMESH_CORE_AUTHORITY_ATTENUATION_H_

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/authority/decision.h"
#include "core/authority/objects.h"
#include "core/authority/taxonomy.h"

namespace aqmesh::authority {

// Why not: the code that travels, and the sentence for a person.
struct Objection {
  Reason reason = Reason::kNone;
  std::string detail;
  // More than its own parent holds: whoever signed it knew, whatever the charter came to say.
  bool beyond_parent = false;
};
using MaybeObjection = std::optional<Objection>;

// The ground that an edge stands on. Kids are those of the lineage's first key, so that a rotated
// issuer is still its grant's subject, and a rotated subject keeps its address.
struct Ground {
  const Charter* charter = nullptr;  // in force in the scope
  const Taxonomy* taxonomy = nullptr;
  ScopeId scope;               // of that charter
  uint32_t charter_floor = 1;  // older charter versions no longer carry a grant
};
struct GrantEdge {
  const Grant* child = nullptr;
  Kid child_subject;
  Kid child_signer;
  const Grant* parent = nullptr;  // nullptr: signed by a voter, under the charter itself
  Kid parent_subject;             // the voter's kid if parent is nullptr
};
// Everything but time, floors and signatures. parent oid and voter are matched by whoever built the
// edge.
MaybeObjection CheckGrantEdge(const GrantEdge& edge, const Ground& ground);

// `wide` may be "x.*" (x and below) or "*"; so may `narrow`, which must then lie inside whole.
bool TagCovers(std::string_view wide, std::string_view narrow);
bool TagsCover(std::span<const std::string> wide, std::string_view narrow);

// Sets of traffic. Each says: every packet of `narrow` is one of `wide`.
bool SelectorCovers(const Selector& wide, const Selector& narrow);
bool ServiceCovers(ByteView wide_protos,
                   std::span<const Range16> wide_ports,
                   ByteView narrow_protos,
                   std::span<const Range16> narrow_ports);
// Single cover: `parent` alone permits all that `child` permits, and `child` owes all that `parent`
// owes.
MaybeObjection CheckRuleEdge(const Rule& child, const Rule& parent);
// Every rule of `child` under the parent rule that its `via` names. `signer`: who signed child.
MaybeObjection CheckFragmentEdge(const Fragment& child, const Kid& signer, const Fragment& parent);
// A fragment without parent under the signer's grant: each dst inside the grant. `granted` says
// whether the signer granted that node. A voter's fragment needs no such check.
MaybeObjection CheckRootFragment(const Fragment& fragment,
                                 const Grant& authority,
                                 const std::function<bool(const Kid&)>& granted);

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_ATTENUATION_H_
