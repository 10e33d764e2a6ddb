#include "issuing/retention.h"

#include <algorithm>
#include <utility>

#include "core/base/status.h"

namespace aqmesh::issuing {

absl::StatusOr<Held<authority::Retention>> MakeRetention(const Issuer& root,
                                                         RetentionTerms terms,
                                                         uint64_t now) {
  const auto& voters = root.charter.body.voters;
  if (std::ranges::find(voters, root.signer.key(), &authority::Voter::key) == voters.end())
    return PermissionDenied("a retention rule is signed by the root key; repeat with --root");
  authority::Retention r;
  r.scope = ScopeOfCharter(root.charter);
  r.not_before = now;
  r.log = terms.log;
  r.rules = std::move(terms.rules);
  AQ_ASSIGN_OR_RETURN(r.seq, root.signer.seqs().ReserveExpansion(root.signer.kid()));
  AQ_ASSIGN_OR_RETURN(Held<authority::Retention> held, TrySeal(r, root.signer.seed()));
  AQ_RETURN_IF_ERROR(authority::VerifyRetention(*held.envelope, root.charter).status());
  return held;
}

}  // namespace aqmesh::issuing
