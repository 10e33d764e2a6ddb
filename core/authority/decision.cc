#include "core/authority/decision.h"

namespace aqmesh::authority {

namespace {

struct ReasonText {
  std::string_view name, mend;
};
constexpr std::array<ReasonText, kReasonCount> kReasons = {{
    {"none", "nothing needs to be done"},
    {"malformed", "the object breaks its encoding; ask its issuer for a fresh copy"},
    {"signature wrong",
     "the object was not signed by the key that it names; ask its issuer for a fresh copy"},
    {"issuer unknown",
     "no chain leads from this issuer to a charter held here; join with an invitation of this "
     "mesh"},
    {"charter unknown", "this mesh, or this version of its charter, is not held here"},
    {"clock off", "set the clock of the sender or of this machine; they differ by more than 120 s"},
    {"not yet valid", "wait until the object's not_before, or set the clock"},
    {"expired", "ask any enroller in reach for a renewal: aqmesh up renews by itself"},
    {"revoked", "an authority took this grant back; a new grant of a higher generation is needed"},
    {"wider than its parent",
     "its issuer gave more than it holds; ask for a grant inside the issuer's own"},
    {"class or capability",
     "the grant's class or capabilities do not allow this; ask for a grant that does"},
    {"equivocation",
     "its issuer signed two statements under one number; only a pardon by the quorum lifts it"},
    {"trust too low",
     "confirmed good conduct raises it; a person may say more: aqmesh escalations list"},
    {"corroboration missing", "more attestations by peers are needed"},
    {"stale",
     "this machine has not reconciled revocations for too long; let it reach another member"},
    {"not reversible enough", "the action needs a higher rung"},
    {"local policy", "change the local policy file of the refusing machine"},
    {"no rule", "no rule allows this flow; sign a fragment that does: aqmesh fragment create"},
    {"address held", "another member holds this address; re-join under a new key"},
    {"static key moved", "the peer answers under a new key now; it is offered as a hint"},
    {"lapsed: renew", "the grant has lapsed; any enroller in reach renews it"},
    {"join waits", "someone on the sponsor's side must confirm the words"},
    {"join granted", "nothing needs to be done"},
    {"join denied", "the sponsor said no; ask for another invitation"},
    {"invitation used up", "ask for another invitation: aqmesh invite"},
    {"invitation needs its inviter",
     "reach the inviter's own machine, or get the quorum to cosign the use"},
    {"over budget", "try again later"},
    {"objects missing", "the presenter must send more of its chain"},
    {"held for a person",
     "the rule lets this flow pass once somebody above its opener says so: aqmesh escalations "
     "list"},
}};

constexpr std::array<std::string_view, kGateCount> kGates = {
    "crypto", "trust", "corroboration", "freshness", "reversibility", "local policy"};

}  // namespace

std::string_view ReasonName(Reason r) {
  const auto i = static_cast<size_t>(r);
  return i < kReasons.size() ? kReasons[i].name : "unknown reason";
}
std::string_view ReasonMend(Reason r) {
  const auto i = static_cast<size_t>(r);
  return i < kReasons.size() ? kReasons[i].mend : "update aqmesh";
}
std::string_view RungName(Rung r) {
  const auto i = static_cast<size_t>(r);
  return i < std::size(kRungNames) ? kRungNames[i] : "?";
}
std::string_view ClassName(Class c) {
  const auto i = static_cast<size_t>(c);
  return i < std::size(kClassNames) ? kClassNames[i] : "?";
}
std::optional<Class> ClassNamed(std::string_view name) {
  for (size_t i = 1; i < std::size(kClassNames); ++i) {
    if (kClassNames[i] == name) return static_cast<Class>(i);
  }
  return std::nullopt;
}
std::string_view GateName(Gate g) { return kGates[static_cast<size_t>(g)]; }

}  // namespace aqmesh::authority
