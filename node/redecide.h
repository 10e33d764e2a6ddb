// Makes recorded decisions again, from what their records name and nothing else: a decision is a
// function of its inputs, and this is where that is held to account. `aqmesh lineage verify
// --decisions` asks it for every decision of a log; a what-if asks it with other objects.
// Spec:   spec/lineage.md §9; spec/objects.md §7 Inputs; spec/authority.md G, L7.
// Bounds: those of Restrictions, Expansions and SignatureCache; the log is walked kChunk records at a time.
// Thread: one owner. Errors: DataLoss (an object that a decision was made from is not kept, or not
//         what its name says). A decision that comes out otherwise is no error: see Difference.
// Cost:   ~0.1 ms a decision, most of it one signature.
#ifndef AQMESH_NODE_REDECIDE_H_
#define AQMESH_NODE_REDECIDE_H_

#include <absl/functional/function_ref.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "admission/local_policy.h"
#include "core/authority/chain.h"
#include "lineage/inputs.h"
#include "lineage/store.h"
#include "trust/weigh.h"

namespace aqmesh::node {

// What a decision says in its record: subject, gates, level, slope, rung and reason.
authority::Observe DecisionRecord(const authority::Decision& decision);

// One decision and all that it was made from.
struct DecisionCase {
  authority::Observe record = {};
  lineage::Inputs inputs = {};
  std::vector<authority::Held<authority::Charter>> charters = {};  // up to the one in force
  // What was presented: a presentation, or a request under its invitation, or neither where a PLAIN
  // grant speaks for its device.
  std::optional<authority::Held<authority::Presentation>> presentation = {};
  std::optional<authority::Held<authority::Request>> request = {};
  std::optional<authority::Held<authority::Invite>> invite = {};
  std::vector<authority::SignedPtr> items = {};  // what else was looked at; a PLAIN grant first
  admission::LocalPolicy policy = {};
};

class Redecider {
 public:
  static constexpr uint64_t kChunk = 65'536;

  // The local policy of that hash; `text` is what was kept of it, if anything was.
  using PolicyReader = std::function<absl::StatusOr<admission::LocalPolicy>(
      const Digest& hash, const std::optional<Bytes>& text)>;

  // Borrows the store. Reads which restrictions its log saw, in order, and what was held.
  static absl::StatusOr<Redecider> Open(const lineage::Store& store, PolicyReader policy);

  // `record`: PROPOSED or DECIDED.
  absl::StatusOr<DecisionCase> Load(authority::Observe record) const;
  // Cheapest in the order of the log: what was taken back is built up as it goes.
  absl::StatusOr<authority::Decision> Decide(const DecisionCase& c);

  struct Result {
    lineage::Seq seq = 0;
    Digest leaf;
    absl::Status status;  // not OK: it could not be made again
    std::string differs;  // "" : it came out as it is recorded
    bool same() const { return status.ok() && differs.empty(); }
  };
  // Every decision of the log, oldest first, until `visit` says false; and what was weighed between
  // them, where that comes out otherwise.
  absl::Status All(absl::FunctionRef<bool(const Result&)> visit);

  // "rung: recorded ADMIT, made again REFUSE"; "" if all is the same.
  static std::string Difference(const authority::Observe& recorded,
                                const authority::Decision& again);

 private:
  struct Restriction {
    authority::Held<authority::Revoke> statement;
    uint64_t held_before = 0;
  };
  struct Conviction {      // of a voter, by two answers to one version of the charter
    lineage::Seq seq = 0;  // of the record; 0: before the log
    authority::Equivocation proof;
  };
  struct Memory {  // as it was when so much was held, and so many restrictions were in effect
    explicit Memory(const ScopeId& scope) : restrictions(scope) {}
    authority::Restrictions restrictions;
    authority::Expansions expansions;
    uint64_t restricted = 0, held = 0, convicted = 0;
    lineage::Seq voted = 0;  // the newest decision whose votes it knows
  };

  Redecider(const lineage::Store& store, PolicyReader policy)
      : store_(store), policy_(std::move(policy)) {}
  absl::Status ReadObjects();
  absl::Status ReadHeld();
  absl::Status ReadRestrictions();
  void LearnKey(const authority::Grant& grant);
  std::optional<Ed25519Key> KeyOf(const Kid& kid) const;
  absl::StatusOr<authority::SignedPtr> Fetch(const Oid& oid) const;
  absl::Status Take(DecisionCase& c, authority::SignedPtr object) const;
  void Hold(uint64_t count);
  absl::Status TakeConviction(lineage::Seq seq, const Digest& id);
  absl::Status ReadOldConvictions();
  absl::Status Remember(const DecisionCase& c, const ScopeId& scope);
  absl::StatusOr<authority::Verified> Verify(const DecisionCase& c);
  Result Make(authority::Observe record, const Digest& leaf);
  Result MakeWeighted(authority::Observe record, const Digest& leaf);
  absl::StatusOr<lineage::Inputs> InputsOf(const authority::Observe& record) const;
  std::string SlopesDiffer(const lineage::Inputs& in) const;

  const lineage::Store& store_;
  PolicyReader policy_;
  std::vector<authority::Held<authority::Charter>> charters_;  // oldest first
  std::map<Kid, Ed25519Key> keys_;
  std::vector<std::pair<authority::SignedPtr, uint64_t>> held_;  // E statements and their numbers
  std::vector<Restriction> restrictions_;                        // in the order of REVOKE_SEEN
  std::vector<Conviction> convictions_;                          // in the order of the log
  std::optional<Memory> memory_;
  std::map<Kid, trust::Folded> weighed_;  // last, as the log has it
  authority::SignatureCache cache_;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_REDECIDE_H_
