// An object with the votes that certify it, and whether they do: what anybody can check who has the
// charter.
// Spec:   spec/quorum.md §4: which object needs whose quorum, and who does not count.
// Bounds: kVotesMax votes. Thread: pure. Cost: a signature a vote.
// Errors: InvalidArgument (malformed, another scope or slot, nothing that needs votes, too many of them),
//         FailedPrecondition (the charter has no such electors), PermissionDenied (not enough),
//         Unauthenticated (the object's own signature); a charter's: those of VerifyCharter.
#ifndef AQMESH_CORE_AUTHORITY_CERTIFICATE_H_
#define AQMESH_CORE_AUTHORITY_CERTIFICATE_H_

#include <vector>

#include "absl/status/status.h"
#include "core/authority/quorum.h"

namespace aqmesh::authority {

struct Certificate {
  static constexpr size_t kVotesMax = 256;
  Slot slot;
  SignedPtr target;
  std::vector<Held<Cosign>> votes;
};

// Whose quorum a target needs in a slot, and whose votes do not help it.
struct Needs {
  Quorum quorum{};
  std::set<Kid> not_counted;  // lineages
};
absl::StatusOr<Needs> NeedsOf(const Slot& slot,
                              const Signed& target,
                              const Charter& charter,
                              const Restrictions* restrictions);

// What collects the votes of `charter` for `target`; an issuer adds them as they come. Not for a
// charter, which two electorates judge. The target's own signature is checked where the charter
// says by which key.
absl::StatusOr<ConsensusRule> RuleFor(const Slot& slot,
                                      const SignedPtr& target,
                                      const Held<Charter>& charter,
                                      const Restrictions* restrictions);
// What the rule has so far.
Certificate CertificateOf(const ConsensusRule& rule);

// `charter` is in force; of a charter's certificate it is the one before, or that charter itself
// if it is a genesis. `restrictions` knows the rotations; may be nullptr. Whether the target's
// signer may say such a thing is for the chain to judge, and so is its signature where the signer
// is no elector.
absl::Status CheckCertificate(const Certificate& certificate,
                              const Held<Charter>& charter,
                              const Restrictions* restrictions);

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_CERTIFICATE_H_
