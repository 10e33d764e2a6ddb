// The inside of Authenticate: one walk over what came along, from a grant up to a charter and from
// a fragment up to its root. For chain*.cc and standalone.cc alone.
// Spec:   spec/objects.md §4 steps 12-13: everything that costs no signature first; tasks are laid out in
//         the order in which the spec has them checked, nearest the charter first, the presenter's
//         last.
// Bounds: those of chain.h. Thread: none of its own. Errors: a Verdict; the worst one counts.
#ifndef AQMESH_CORE_AUTHORITY_CHAIN_WALK_H_
#define AQMESH_CORE_AUTHORITY_CHAIN_WALK_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/authority/attenuation.h"
#include "core/authority/chain.h"
#include "core/authority/taxonomy.h"

namespace aqmesh::authority::internal {

struct Verdict {
  Rung rung = Rung::kAdmit;
  Reason reason = Reason::kNone;
  std::string why;
};
inline Verdict Refuse(Objection o) { return {Rung::kRefuse, o.reason, std::move(o.detail)}; }

// A line of grants upward from one, as far as the objects at hand lead.
struct Line {
  std::vector<Held<Grant>> grants;                 // lowest first
  std::vector<Ed25519Key> signer_keys;             // of grants[i], where known
  std::vector<std::vector<Held<Rotate>>> rotates;  // that came along and lead to signer_keys[i]
  std::optional<Oid> missing;                      // the parent not at hand
  bool charter_missing = false;                    // ... which is a charter
  bool known = false;  // the topmost signer is a voter, or proven before
  std::string broken;  // not empty: no chain at all
  bool complete() const { return !missing && broken.empty() && known; }
};

// One signature to check; the order of the list is the order of the spec.
struct Task {
  SignedPtr object;
  Ed25519Key key;
  std::optional<uint64_t> seq;  // of stream E
  std::string what;
};
class Walk {
 public:
  Walk(const AuthInput& input, const ScopeHeld& scope, AuthReport& report)
      : in_(input),
        scope_(scope),
        report_(report),
        now_(input.now.seconds()),
        taxonomy_(Taxonomy::Of(scope.charter())) {}

  Line Climb(Held<Grant> from) const;
  // Restrictions, time, charter version, class, attenuation; the whole line is an ancestor's but
  // its first. `overreach` is for a line whose signatures are all among the tasks; may be nullptr.
  Verdict CheckLine(const Line& line,
                    bool leaf_may_lapse,
                    std::optional<Overreach>* overreach) const;
  Overreach OverreachAt(const Line& line, size_t i) const;
  Verdict CheckLeaf(const Grant& leaf) const;
  Verdict CheckPresenter(const Line& line);
  // Adds the fragment's rules to the report and its signatures to the tasks, or says why not.
  Verdict CheckFragment(const SignedPtr& cited, const Line& main);
  void AddTasks(const Line& line);
  // Every signature among the tasks is of a suite that the charter in force lists.
  Verdict CheckSuites() const;
  // Stops at the first failure or when the budget is spent.
  Verdict VerifyTasks(size_t budget);

  // What came along, or else what the store holds; that is noted in the report.
  SignedPtr Find(const Oid& oid) const;
  SignedPtr FindRef(const Ref16& ref) const;
  std::vector<Held<Fragment>> TakeFragments() { return std::move(fragments_); }
  uint64_t fragments_end() const { return fragments_end_; }

 private:
  const Held<Charter>* CharterOf(const Oid& oid) const;
  // The key of `signer` if it is `base` or what base rotated to; `via` gets the rotations that came
  // along.
  std::optional<Ed25519Key> FollowTo(const Kid& signer,
                                     Kid base,
                                     Ed25519Key key,
                                     std::optional<Digest> next,
                                     bool authority,
                                     std::vector<Held<Rotate>>& via) const;
  std::optional<Held<Rotate>> RotateIn(const Kid& old, const std::optional<Digest>& next) const;
  bool RotationCertified(const Held<Rotate>& r) const;
  std::optional<Ed25519Key> VoterKey(const Charter& charter,
                                     const Kid& signer,
                                     std::vector<Held<Rotate>>& via) const;
  MaybeObjection CheckCertificate(const Held<Grant>& g) const;
  std::vector<Link> Links(const Line& line) const;
  Ground GroundHere() const {
    return {&scope_.charter(), &taxonomy_, scope_.scope, scope_.charter_floor};
  }
  Kid FirstOf(const Kid& kid) const;
  SignedPtr Found(SignedPtr object) const;
  void AddTask(SignedPtr object,
               const Ed25519Key& key,
               std::optional<uint64_t> seq,
               std::string what);

  struct Level {  // one fragment of a cited one's line
    std::shared_ptr<const Held<Fragment>> fragment;
    Line authority;  // empty under the charter
    Ed25519Key key;
    std::vector<Held<Rotate>> rotates;
  };
  Verdict FindLevels(SignedPtr cited, std::vector<Level>& levels) const;
  Verdict FindAuthority(Level& level) const;
  Verdict CheckLevel(const Level& level, const Level* parent, const Line& main) const;
  std::string WhyOutOfForce(const Level& level) const;
  void PutInForce(const std::vector<Level>& levels);

  const AuthInput& in_;
  const ScopeHeld& scope_;
  AuthReport& report_;
  uint64_t now_;
  Taxonomy taxonomy_;
  std::vector<Task> tasks_;
  std::set<Oid> tasked_;
  std::vector<Held<Fragment>> fragments_;
  uint64_t fragments_end_ = UINT64_MAX;
};

// The object, opened as a T; nullopt: none, another kind, or it does not parse.
template <class T>
std::optional<Held<T>> Open(const SignedPtr& s) {
  if (s == nullptr || s->ctx() != T::kCtx) return std::nullopt;
  absl::StatusOr<T> body = ParseBody<T>(s->body());
  if (!body.ok()) return std::nullopt;
  return Held<T>{s, *std::move(body)};
}

}  // namespace aqmesh::authority::internal

#endif  // AQMESH_CORE_AUTHORITY_CHAIN_WALK_H_
