// Whether a charter is in force: its shape, the one before it, and who voted for it.
// Spec:   spec/quorum.md §5 shape, §6 the next charter; spec/objects.md §2 charter. At least two thirds and one, before and
//         after; a sensitive change (voters, quorums, witnesses, flags, how votes count) takes the
//         sensitive quorum.
// Bounds: 256 votes are looked at. Thread: pure. Errors: absl::Status that names the field and the figures.
#ifndef AQMESH_CORE_AUTHORITY_CHARTER_H_
#define AQMESH_CORE_AUTHORITY_CHARTER_H_

#include <span>

#include "absl/status/status.h"
#include "core/authority/objects_held.h"
#include "core/authority/restrictions.h"

namespace aqmesh::authority {

// A charter against the one before it (nullptr: a genesis) and the votes for it. `restrictions`
// knows the voters' rotations; may be nullptr.
absl::Status VerifyCharter(const Held<Charter>& charter,
                           const Held<Charter>* prev,
                           std::span<const Held<Cosign>> votes,
                           const Restrictions* restrictions);
// Whether it takes the sensitive quorum of the one before it.
bool IsSensitive(const Charter& next, const Charter& now);
ScopeId ScopeIdOf(const Held<Charter>& charter);  // of a genesis: from its body; else as it says

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_CHARTER_H_
