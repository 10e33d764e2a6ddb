// What was weighed of each key, read back from a lineage: the states that its WEIGHTED records
// hold, what they come to at an instant, and what the next days would make of them.
// Spec:   spec/trust.md §2-§5, §11; lineage/inputs.h says what a WEIGHTED record rests on.
// Bounds: kNewestFirst records are read to find the newest of every key; what is left, key by key.
// Thread: pure; reads the store.
// Errors: DataLoss (a record's inputs are not kept, or no weighing of its subject), NotFound (no
//         charter to read a level by), the store's.
// Cost:   FoldsOf: the records about one key, newest first, as far back as is asked for.
#ifndef AQMESH_DAEMON_CLI_TRUST_VIEW_H_
#define AQMESH_DAEMON_CLI_TRUST_VIEW_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admission/gate.h"
#include "daemon/cli/state.h"
#include "lineage/store.h"
#include "trust/fold.h"

namespace aqmesh::cli {

// One epoch of one key. Several records of it grow upon one state: the last counts, and what each
// rests on stays.
struct Fold {
  Kid key;
  lineage::Seq seq = 0;  // of the epoch's newest record, as the next two
  uint64_t hlc = 0;
  Digest leaf = {};
  uint64_t epoch = 0;
  trust::Standing before;
  trust::Evidence evidence;
  Oid charter = {};                  // that it was weighed under
  std::vector<Digest> grounds = {};  // oldest first
  trust::Standing after() const;
  bool against() const { return evidence.s > 0 || evidence.u > 0 || evidence.equivocation; }
};

// Records of these times, both included, and the one before them; more, until there are `least`.
struct FoldSpan {
  uint64_t from = 0, until = UINT64_MAX;  // hlc
  size_t least = 0;
};
absl::StatusOr<std::vector<Fold>> FoldsOf(const lineage::Store& store,
                                          const Kid& key,
                                          FoldSpan span);  // oldest first
// The newest of each key until then. `candidates`: all whom that log may speak of; nullopt:
// unknown, and every WEIGHTED record is read.
inline constexpr size_t kNewestFirst = 65'536;
absl::StatusOr<std::map<Kid, Fold>> NewestFolds(const lineage::Store& store,
                                                uint64_t until,
                                                const std::optional<std::vector<Kid>>& candidates,
                                                size_t newest_first = kNewestFirst);

// What a charter makes of a state.
struct Measure {
  authority::Charter charter;
  admission::GateParams gate;
  uint32_t gap_cap = 0;

  explicit Measure(const authority::Charter& c);
  trust::Reading Read(const trust::Standing& s, uint64_t epoch) const {
    return s.Read(epoch, gap_cap);
  }
  // The rung that the trust gate gives at first sight to whoever stands so.
  authority::Rung RungOf(const trust::Reading& r) const;
  // The least level of a rung from below; 0: it has none of its own.
  uint32_t LevelOf(authority::Rung rung) const;
};
// By the charter `oid`; if it is not kept, by the newest that is known.
absl::StatusOr<Measure> MeasureBy(const lineage::Store& store,
                                  const KnownObjects& known,
                                  const std::optional<Oid>& oid);

// "steady", "rising", "falling", "broken", "capped", "collapsed"; the gravest that holds.
std::string_view StateWord(const trust::Reading& r);

// Where a key stands of which nothing was weighed: what its class promises under its issuer.
struct Promise {
  authority::Class cls{};
  uint32_t level = 0;
};
std::map<Kid, Promise> PromisesAt(const KnownObjects& known,
                                  const std::map<Kid, Fold>& folds,
                                  const Measure& measure,
                                  uint64_t seconds);

// The first epoch after `epoch`, within kAheadEpochs, in which `s` earns a higher rung (or, not
// `up`, a lower one) if each epoch brings `r` for it and nothing else.
inline constexpr uint64_t kAheadEpochs = 90 * trust::kEpochsPerDay;
struct Turning {
  uint64_t epoch = 0;
  authority::Rung rung{};
};
std::optional<Turning> NextTurn(
    trust::Standing s, uint64_t epoch, const Measure& measure, uint32_t r, bool up);

// What evidence is, if it is held: "NODE grant of 10.9.0.0/16 to borealis"; "" if not.
absl::StatusOr<std::string> EvidenceText(const lineage::Store& store, const Digest& evidence);

std::string LevelText(uint32_t q16);   // ".921", "1.000"
std::string SlopeText(int32_t q16);    // "+.003"
std::string AmountText(uint32_t q16);  // "1.250"
inline uint64_t SecondsOfEpoch(uint64_t epoch) { return epoch * (trust::kEpochMillis / 1'000); }
inline uint64_t EpochAt(uint64_t seconds) { return trust::EpochOf(seconds * 1'000); }

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_TRUST_VIEW_H_
