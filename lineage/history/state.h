// State: what one log says at one instant: whom its machine let in, how far, under which authority
// and by which action, and what was taken back. It is the fold of the log's records in their order.
// Spec:   spec/lineage.md §8 (the fold, rule by rule; its one encoding), spec/authority.md G.
// Wire:   strict subset of protobuf (spec/objects.md §1); the tables are in state_codec.cc.
// Bounds: kSubjectsMax subjects: then an eighth goes, ended ones first, longest untouched first;
//         kOpenMax unfinished actions a subject; kRestrictionsMax newest restrictions.
// Thread: a value. Errors: Apply has none: whatever parses as a record is folded.
// Cost:   Apply ~0.1 us; the parse before it ~2 us (bench/micro/history_bench.cc).
#ifndef AQMESH_LINEAGE_HISTORY_STATE_H_
#define AQMESH_LINEAGE_HISTORY_STATE_H_

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "core/authority/objects.h"
#include "lineage/chain.h"

namespace aqmesh::lineage {

// One decision about a subject, as its record says it.
struct Ruling {
  Seq seq = 0;
  Digest leaf = {};
  uint64_t hlc = 0;
  authority::RecordKind kind{};
  authority::Rung rung = authority::Rung::kNone;
  std::optional<authority::Gates> gates = {};
  std::optional<Digest> authority = {};  // AuthDigest
  std::optional<Oid> inputs = {};
  uint32_t ladm = 0, slope = 0, corr = 0;  // as in the record
  uint16_t reason = 0, action = 0;
  bool operator==(const Ruling&) const = default;
};

// How far an action has come; a finished one is in force or gone.
enum class Stage : uint8_t { kArmed = 1, kApplied, kVerified, kCommitted, kDiverged };

struct Deed {
  authority::ActionId id = {};
  uint16_t action = 0;  // F's row
  Stage stage = Stage::kArmed;
  Seq armed = 0, newest = 0;  // its first and its newest record
  uint64_t since = 0;         // hlc of the newest
  authority::Rung rung = authority::Rung::kNone;
  uint64_t intent = 0, observed = 0;
  std::optional<Seq> ruling = {};  // the decision that it carries out
  bool operator==(const Deed&) const = default;
};

struct Carried {  // FLOW records about a subject
  uint64_t records = 0, frames = 0, bytes = 0, hlc = 0;
  bool operator==(const Carried&) const = default;
};

struct Subject {
  static constexpr size_t kOpenMax = 8;

  Seq touched = 0;              // the newest record that names it
  std::vector<Ruling> rulings;  // ascending; the newest, and those that are still referred to
  std::optional<Deed> in_force;
  std::vector<Deed> open;          // armed and neither in force nor undone, oldest first
  std::optional<Digest> approved;  // the newest grant that this machine made for it
  std::optional<Seq> restricted;   // the newest REVOKE_SEEN that names it
  Carried carried;

  const Ruling* newest() const { return rulings.empty() ? nullptr : &rulings.back(); }
  const Ruling* RulingAt(std::optional<Seq> seq) const;  // nullptr if it is not kept
  // The newest at ESCALATE or above: what the engine would judge again.
  const Ruling* standing() const;
  // The decision under which it is in force.
  const Ruling* ground() const { return in_force ? RulingAt(in_force->ruling) : nullptr; }
  // The rung that holds for it here; kNone: nothing is in force.
  authority::Rung rung() const { return in_force ? in_force->rung : authority::Rung::kNone; }
  bool ended() const { return !in_force && open.empty(); }
  bool operator==(const Subject&) const = default;
};

struct Restricted {
  Seq seq = 0;
  uint64_t hlc = 0;
  Digest oid;  // of the statement
  std::optional<Kid> subject;
  bool operator==(const Restricted&) const = default;
};

class State {
 public:
  static constexpr size_t kSubjectsMax = 32'768, kRestrictionsMax = 256, kDropReasonsMax = 1'024;
  static constexpr size_t kKinds = 23;  // record kinds are 1 to 22

  // Folds the next record. In the order of the log; which log is the caller's business.
  void Apply(const authority::Observe& record, const Digest& leaf);

  uint64_t records() const { return records_; }  // folded
  const std::optional<Head>& head() const { return head_; }
  const std::optional<Kid>& log() const { return log_; }
  uint64_t hlc() const { return hlc_; }
  const Subject* Find(const Kid& kid) const;
  std::vector<Kid> Subjects() const;  // ascending
  const std::array<uint64_t, kKinds>& kinds() const { return kinds_; }
  const std::map<uint16_t, uint64_t>& drops() const { return drops_; }
  const std::deque<Restricted>& restrictions() const { return restrictions_; }  // the newest
  const std::optional<Seq>& checkpoint() const { return checkpoint_; }  // the newest CHECKPOINT
  uint64_t forgotten() const { return forgotten_; }  // subjects that left to keep the bound

  Bytes Encode() const;
  static absl::StatusOr<State> Parse(ByteView bytes);  // DataLoss: not the encoding of a state
  bool operator==(const State&) const = default;

 private:
  void OnDecision(const authority::Observe& r, const Digest& leaf, Subject& s);
  void OnEdge(const authority::Observe& r, Subject& s);
  void Forget();

  uint64_t records_ = 0, hlc_ = 0, forgotten_ = 0;
  std::optional<Head> head_;
  std::optional<Kid> log_;
  std::array<uint64_t, kKinds> kinds_{};
  std::map<uint16_t, uint64_t> drops_;
  std::deque<Restricted> restrictions_;
  std::optional<Seq> checkpoint_;
  absl::flat_hash_map<Kid, Subject> subjects_;
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_HISTORY_STATE_H_
