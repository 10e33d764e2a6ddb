// TrustBook: what this node saw of each key, weighed, and kept beside the records that say so. The
// ledger of trust/ with a disk under it; and what the trust gate remembers of each subject.
// Spec:   spec/trust.md §6-§10; spec/authority.md D.3, C.4 (dwell).
// State:  "trust/head", "trust/KID": trust::Ledger's rows; "rung/KID": Memory, 33 bytes.
// Bounds: trust::Ledger::kKeysMax keys, as many memories; kTurnMax records and rows a turn, the rest
//         in the next. Who misbehaves again within kAgain waits for the end of it.
// Thread: the control engine's.
#ifndef AQMESH_NODE_TRUST_BOOK_H_
#define AQMESH_NODE_TRUST_BOOK_H_

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "admission/gate.h"
#include "core/base/time.h"
#include "lineage/inputs.h"
#include "node/recorder.h"
#include "trust/ledger.h"
#include "trust/weigh.h"

namespace aqmesh::node {

lineage::SlopeInput SlopeInputOf(const Kid& key, const trust::Standing& s);
trust::Standing StandingOf(const lineage::SlopeInput& s);
// Nothing was ever folded into it: its prior is whatever a charter says now.
bool Untouched(const trust::Standing& s);

class TrustBook {
 public:
  static constexpr size_t kTurnMax = 256;
  static constexpr std::chrono::seconds kAgain{1};

  explicit TrustBook(Recorder& recorder) : recorder_(recorder) {}

  // Values of an earlier life, in the order of their names; then Loaded. False: what was kept does
  // not read, and nobody is known any more.
  void Load(std::string_view name, ByteView value);
  [[nodiscard]] bool Loaded();

  // ---- asking ----
  std::vector<trust::Link> LinksOf(std::span<const trust::Step> steps,
                                   const authority::Charter& charter) const;
  std::optional<trust::Standing> Of(const Kid& key) const { return ledger_.At(key); }
  uint64_t epoch() const { return ledger_.epoch(); }

  struct Memory {
    admission::TrustMemory gate;
    uint64_t last_use = 0;  // wall seconds of the last confirmed session; 0: none
    bool operator==(const Memory&) const = default;
  };
  Memory MemoryOf(const Kid& subject) const;

  // ---- what happened ----
  // Ends the open epoch if it is over. What it brought is recorded by Settle.
  void Advance(Now now);
  // A session of the last of `steps` was confirmed and what was done for it read back: that counts
  // for everyone of the chain, who are followed from here on.
  void Confirmed(std::span<const trust::Step> steps, const authority::Charter& charter, Now now);
  // Who signs in a chain is followed from here on; its last, a stranger maybe, is not.
  void Follow(std::span<const trust::Step> steps, const authority::Charter& charter, Now now);
  trust::Noted Note(trust::Observation o, Now now);
  void Remember(const Kid& subject, const Memory& memory);

  // What WEIGHTED records rest on beside the ledger.
  struct Ground {
    ScopeId scope;
    Oid charter;
    const authority::Charter& body;
    Digest policy;
  };
  // What a decision is about to read of these was weighed in a record before its own.
  void RecordFor(std::span<const trust::Link> links, Now now, const Ground& ground);
  // Writes what was weighed since: a WEIGHTED record of each key that an epoch was folded for, and
  // at once of each against whom something counted, whom it returns: chains through them are to be
  // judged again.
  std::vector<Kid> Settle(Now now, const Ground& ground);
  // When Settle has work that no event will bring; kNever: none.
  Instant NextWake() const;
  // Issuers that owe more than they can be charged: for a person.
  std::vector<Kid> TakeOverdue() { return std::exchange(overdue_, {}); }

 private:
  struct Fallen {
    Digest evidence = {};
    bool unsaid = false;  // not yet recorded
    bool due = false;     // who hangs on it was not judged again yet
    Instant said = {};    // when last
  };
  void Take(trust::Settled settled);
  void RecordWeighted(const trust::Folded& f, const Digest& evidence, Now now, const Ground& g);
  void RecordFallen(const Kid& key, Fallen& fallen, Now now, const Ground& ground);
  void Keep(const Kid& key);

  Recorder& recorder_;
  trust::Ledger ledger_;
  Bytes loading_head_, loading_;
  std::map<Kid, Memory> memories_;
  std::deque<trust::Folded> folded_;  // not yet recorded
  std::map<Kid, Fallen> fallen_;      // lately
  std::set<Kid> dirty_;               // rows that the disk has not got
  bool head_dirty_ = false;
  std::vector<Kid> overdue_;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_TRUST_BOOK_H_
