#include "admission/local_policy.h"

#include <algorithm>

namespace aqmesh::admission {

authority::GateResult JudgeLocal(const LocalPolicy& policy, authority::Class cls) {
  using authority::Reason;
  using authority::Rung;
  if (!policy.readable) return {Rung::kRefuse, Reason::kLocalPolicy};
  Rung rung = policy.default_rung;
  if (cls == authority::Class::kPlain) rung = std::min(rung, policy.plain_ceiling);
  rung = std::max(rung, Rung::kRefuse);  // an unset rung refuses
  return {rung, rung == Rung::kAdmit ? Reason::kNone : Reason::kLocalPolicy};
}

LocalPolicy OpenLocalPolicy() {
  LocalPolicy p;
  p.readable = true;
  p.default_rung = authority::Rung::kAdmit;
  return p;
}

}  // namespace aqmesh::admission
