// Who has to vote for something in a scope, whose votes are in, and whether they are enough.
// Spec:   spec/quorum.md §1 slots, §2 votes, §3 counting; C2SP tlog-policy for the nested groups.
// Bounds: a charter has at most 64 voters and 64 witnesses; of each a rule keeps two objects at the most, one vote for the
//         target and one against it.
// Thread: values; pure. Errors: none but of SlotOf and RuleOf. A vote that counts for nothing says
// why. Cost:   Add verifies one signature (39 us), none for what is held; Counted O(electors).
#ifndef AQMESH_CORE_AUTHORITY_QUORUM_H_
#define AQMESH_CORE_AUTHORITY_QUORUM_H_

#include <absl/status/statusor.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/authority/restrictions.h"

namespace aqmesh::authority {

constexpr uint64_t QuorumOf(uint64_t weight) { return 2 * weight / 3 + 1; }
// What may vote twice without a second certificate.
constexpr uint64_t FaultyOf(uint64_t weight) { return weight == 0 ? 0 : (weight - 1) / 3; }

// A question that gets one answer; the fields of a cosign.
struct Slot {
  ScopeId scope;
  uint8_t kind = 0;  // 1 E statement, 2 R statement, 3 charter, 4 invitation
  Kid id;
  uint64_t number = 0;
  auto operator<=>(const Slot&) const = default;
};
inline Slot SlotOf(const Cosign& c) { return {c.scope, c.slot, c.id, c.number}; }
// Which question an object answers by itself; its body is parsed, its signature not looked at.
// InvalidArgument for a kind that answers none, and for the terminal revocation.
absl::StatusOr<Slot> SlotOf(const Signed& object);

enum class Counting : uint8_t { kWeighted = 0, kNestedGroups = 1 };  // values of the param
inline constexpr uint16_t kConsensusParam = 24;
absl::StatusOr<Counting> CountingOf(const Charter& charter);  // InvalidArgument: unknown value

// Which electors, and how many of them.
enum class Quorum : uint8_t { kRegular, kSensitive, kWitnesses };

struct Count {
  uint64_t have = 0, need = 0;  // weights, or groups
  std::string_view unit;        // "" or " groups"
  bool enough() const { return need > 0 && have >= need; }
};

// The voters or witnesses of one charter, each with the one key that speaks for it today.
class Electorate {
 public:
  // `restrictions` knows the rotations; may be nullptr. Of the lineages in `not_counted` (as
  // Restrictions::First gives them) nobody counts. A charter whose rule is unknown, or that has no
  // such electors, yields a need of 0: never enough.
  Electorate(const Charter& charter,
             Quorum quorum,
             const Restrictions* restrictions,
             const std::set<Kid>& not_counted = {});

  size_t size() const { return rows_.size(); }
  // By current key. Never a row whose lineage or current key stands in an earlier one, nor one that
  // rotated to a suite that the charter does not list.
  std::optional<size_t> Find(const Kid& signer) const;
  const Kid& First(size_t i) const { return rows_[i].first; }
  const Ed25519Key& KeyOf(size_t i) const { return rows_[i].key; }
  // `behind` has an entry for each elector.
  Count CountOf(const std::vector<bool>& behind) const;

 private:
  struct Row {
    Kid first, now;
    Ed25519Key key;  // of `now`
    uint64_t weight = 0;
    std::string group;
    bool listed = false;   // the suite of `now`, by the charter
    bool doubled = false;  // an earlier row is of the same lineage, or has the same current key
    bool counts = false;
  };
  Count CountWeights(const std::vector<bool>& behind) const;
  Count CountGroups(const std::vector<bool>& behind) const;

  std::vector<Row> rows_;
  std::optional<Counting> counting_;
  uint64_t need_ = 0;  // of weight
};

// The lineage of a row of voters: its first key.
Kid LineageOf(const Voter& voter, const Restrictions* restrictions);

enum class Added : uint8_t {
  kCounted,         // a right vote for the target
  kAgain,           // its elector said so before; not looked at
  kOther,           // a right vote for another target: kept, counts for nothing
  kOtherSlot,       // about something else
  kNoElector,       // nobody whose vote counts, or by a key that it rotated away from
  kWrongSignature,  // counts for nothing
};

// Collects what electors said in one slot, in any order, until it is enough for one target. How it
// is counted is the charter's choice; what counts as a vote is the same under every rule.
class ConsensusRule {
 public:
  // `target` is somebody's answer to `slot`: its signer is behind it (but in slot 4) if it is an
  // elector and the signature is right.
  ConsensusRule(Electorate electorate, const Slot& slot, SignedPtr target);

  const Slot& slot() const { return slot_; }
  const SignedPtr& target() const { return target_; }
  Added Add(const Held<Cosign>& vote);
  // Another object that answers the same slot is its signer's vote for it.
  Added AddRival(const SignedPtr& object);

  Count Counted() const;
  bool Certified() const { return Counted().enough(); }
  bool Has(size_t elector) const { return heard_[elector].mine != nullptr; }
  const Electorate& electorate() const { return electorate_; }

  // The votes that are behind the target, in the order of the electors; its signer has none.
  std::vector<Held<Cosign>> Votes() const;
  // Electors who answered twice: of the pairs that came of one, the first.
  std::vector<Equivocation> Conflicts() const;

 private:
  struct Heard {  // from one elector
    SignedPtr mine;
    std::optional<Held<Cosign>> vote;  // mine, unless that is the target itself
    SignedPtr other;
    Oid other_target;
    std::optional<Equivocation> conflict;
  };
  Added Hear(const SignedPtr& said, const Oid& target);

  Electorate electorate_;
  Slot slot_;
  SignedPtr target_;
  std::vector<Heard> heard_;  // by elector
};

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_QUORUM_H_
