// Charters: the versions of a scope's charter that are in force, each with the votes that made it
// so; what is proposed as the next one, and who is for it. Objects come in any order, from anybody.
// Spec:   spec/quorum.md §6 the next charter, §9 how votes travel.
// Bounds: of a version that is not decided yet: two proposals and two answers a voter of today, kNewcomersMax proposals
//         of others, a vote a voter of either charter; kEarlyMax objects in kEarlyBytesMax that
//         cannot be judged yet, oldest dropped. What is in force stays: only a quorum makes that
//         grow.
// Thread: the control engine's. Errors: InvalidArgument (malformed, or a shape that is never
// right),
//         PermissionDenied (another scope, nobody who votes), Unauthenticated (signature),
//         FailedPrecondition (that version is decided), ResourceExhausted, Unavailable (kept aside:
//         what it hangs on is not here yet).
// Cost:   a signature a vote; where a voter of today is behind it, the signatures of all votes for
// it again.
#ifndef AQMESH_NODE_CHARTERS_H_
#define AQMESH_NODE_CHARTERS_H_

#include <absl/status/status.h>

#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/authority/quorum.h"

namespace aqmesh::node {

// States in which proposals and votes lie, by oid, until their version is decided.
inline constexpr std::string_view kProposalState = "proposal/", kVoteState = "vote/";

class Charters {
 public:
  template <class T>
  using Held = authority::Held<T>;
  using SignedPtr = authority::SignedPtr;
  static constexpr size_t kNewcomersMax = 4, kEarlyMax = 128, kEarlyBytesMax = 256 << 10;

  struct Proposal {
    Held<authority::Charter> charter;
    std::map<Kid, Held<authority::Cosign>> votes;  // by signer; signatures were right
    std::vector<Held<authority::Cosign>> Votes() const;
  };
  // What the calls since the last one came to.
  struct News {
    std::vector<Proposal> in_force;                  // oldest first
    std::vector<SignedPtr> held;                     // proposals and votes, not in force yet
    std::vector<SignedPtr> dropped;                  // such, no longer held as such
    std::vector<authority::Equivocation> conflicts;  // who answered one version twice
    bool empty() const {
      return in_force.empty() && held.empty() && dropped.empty() && conflicts.empty();
    }
  };

  // In force, oldest first; the newest speaks.
  const std::vector<Held<authority::Charter>>& all() const { return in_force_; }
  bool empty() const { return in_force_.empty(); }
  const std::map<Oid, Proposal>& proposals() const { return proposals_; }

  // A charter of any version, or a vote in slot 3. `restrictions` knows the voters' rotations;
  // nullptr before there is a charter.
  absl::Status Take(const SignedPtr& object, const authority::Restrictions* restrictions);
  News TakeNews() { return std::exchange(news_, {}); }
  // A version and its votes from this machine's own store, in order; checked as if they had just
  // come, and no news.
  absl::Status Restore(const SignedPtr& charter,
                       std::span<const SignedPtr> votes,
                       const authority::Restrictions* restrictions);

  // Whatever is held here, but for what came too early.
  SignedPtr Find(const Ref16& ref) const;
  bool Proposed(const Ref16& ref) const;  // a proposal, or a vote for one
  // What somebody who is at `version` lacks: later versions, each before its votes; and then what
  // is proposed.
  std::vector<SignedPtr> InForceBeyond(uint32_t version) const;
  std::vector<SignedPtr> Beyond(uint32_t version) const;
  // Why a proposal is not in force.
  absl::Status Wants(const Proposal& proposal, const authority::Restrictions* restrictions) const;
  size_t early() const { return early_.size(); }

 private:
  using Restrictions = authority::Restrictions;
  absl::Status TakeOne(const SignedPtr& object, const Restrictions* restrictions);
  absl::Status TakeCharter(Held<authority::Charter> charter, const Restrictions* restrictions);
  absl::Status TakeGenesis(const Held<authority::Charter>& charter);
  absl::Status TakeVote(const Held<authority::Cosign>& vote, const Restrictions* restrictions);
  absl::Status Propose(Held<authority::Charter> charter, const Restrictions* restrictions);
  absl::Status Answer(const Kid& lineage, const SignedPtr& said, const Oid& target);
  absl::Status Decided(uint32_t version,
                       const Oid& target,
                       const SignedPtr& said,
                       const Restrictions* restrictions);
  absl::Status Early(const SignedPtr& object, std::string_view waits_for);
  void Judge(const Oid& proposal, const Restrictions* restrictions);
  void Enact(const Proposal& proposal);
  void Index(const SignedPtr& object);

  ScopeId scope_;
  std::vector<Held<authority::Charter>> in_force_;
  std::vector<std::vector<SignedPtr>> votes_;  // for in_force_
  std::map<Oid, Proposal> proposals_;          // of the version after the newest
  std::map<Kid, std::vector<std::pair<Oid, SignedPtr>>>
      answers_;  // of today's voters to that version
  std::map<Ref16, SignedPtr> by_ref_;
  std::deque<SignedPtr> early_;
  size_t early_bytes_ = 0;
  bool again_ = false;  // what came too early may be in time now
  News news_;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_CHARTERS_H_
