// Heads: when this node signs a checkpoint of its log, which it may sign, and what a start must ask
// first, so that a disk restored from a backup becomes a new log and never a fork.
// Spec:   spec/lineage.md §7.3 (names), §7.5 (signing), §7.6 (LOG_RESTART); spec/objects.md §7.
// Bounds: one draft at a time. Thread: the control engine's; values without I/O, time is handed in.
// Errors: FailedPrecondition (not now), DataLoss (the log is not the one that was signed).
#ifndef AQMESH_LINEAGE_HEADS_H_
#define AQMESH_LINEAGE_HEADS_H_

#include <absl/functional/function_ref.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "core/authority/objects.h"
#include "core/base/time.h"
#include "lineage/tlog/checkpoint.h"

namespace aqmesh::lineage {

// ---- names ----

std::string LogOrigin(const Kid& log);                       // "aqmesh/1/log/<kid>"
std::optional<Kid> LogOfOrigin(std::string_view origin);     // exactly what LogOrigin gives
std::string CosignerName(const Kid& cosigner);               // "aqmesh/1/<kid>"
std::optional<Kid> CosignerOfName(std::string_view name);    // exactly what CosignerName gives
tlog::NoteKey LogNoteKey(const Ed25519Key& log);             // type 1, named by its own kid
tlog::NoteKey CosignerNoteKey(const Ed25519Key& cosigner);   // type 4, likewise
tlog::NoteSigner LogSigner(const crypto::Ed25519Seed& log);  // the log key signs nothing else
tlog::NoteSigner CosignerSigner(const crypto::Ed25519Seed& identity);

// ---- signing ----

// Signs the heads of one log: each only of records that are durable, each longer than the one
// before, none twice in two ways. What it will sign is durable before it signs.
class HeadPen {
 public:
  static constexpr std::chrono::seconds kEvery{60};
  static constexpr uint64_t kRecordsMax = 1024;

  // Borrows the signer. `last`: what was made durable last under the state name "head"
  // (ParseState).
  HeadPen(const tlog::NoteSigner& log, std::optional<tlog::Checkpoint> last, Instant start);
  static absl::StatusOr<tlog::Checkpoint> ParseState(ByteView value);  // DataLoss

  // When the next head is due, of a log with that many durable records: at once if kRecordsMax are
  // new, kNever if none is.
  Instant DueAt(uint64_t durable_records) const;

  class [[nodiscard]] Draft {
   public:
    Draft(Draft&&) noexcept = default;
    Draft& operator=(Draft&&) noexcept = default;
    const tlog::Checkpoint& checkpoint() const { return checkpoint_; }
    Bytes state() const;  // to be durable, under "head", before Sign

   private:
    friend class HeadPen;
    explicit Draft(tlog::Checkpoint c) : checkpoint_(std::move(c)) {}
    tlog::Checkpoint checkpoint_;
  };
  // The head of the durable log, whose right edge that is. The same size again gives the same head
  // again. FailedPrecondition: shorter than the last. DataLoss: of the last one's size with another
  // root; nothing may be signed any more.
  absl::StatusOr<Draft> Begin(const tlog::Edge& durable, Instant now);
  // Call it once Draft::state() is durable. A draft may be dropped instead.
  tlog::SignedCheckpoint Sign(Draft draft) const;

  const std::optional<tlog::Checkpoint>& last() const { return last_; }

 private:
  const tlog::NoteSigner& log_;
  std::optional<tlog::Checkpoint> last_;
  Instant last_at_;
};

// ---- after a start ----

// Before the first head is signed after a start: do others hold a head of ours that our disk does
// not lead to? Only what our own log key signed counts, so nobody can make us give up a log.
class StartCheck {
 public:
  enum class Finding : uint8_t {
    kAsk,     // too few have answered
    kGoOn,    // sign
    kNewLog,  // final: this log is never signed again; open another with a LOG_RESTART record
  };
  static constexpr size_t kAnswersWanted = 2;

  // `peers`: how many could be asked at all. With none, there is nobody who could know more.
  StartCheck(tlog::NoteKey log, size_t peers);

  // The root that our disk has at a size that it holds.
  using RootAt = absl::FunctionRef<absl::StatusOr<Digest>(uint64_t size)>;
  // What one peer answered: its newest head of our log, or that it holds none. An answer that does
  // not verify is none. Errors: root_at's; nothing has changed then.
  absl::StatusOr<Finding> OnAnswer(const Kid& peer,
                                   const std::optional<tlog::SignedCheckpoint>& newest,
                                   uint64_t own_records,
                                   RootAt root_at);
  // Whoever has not answered by now may never do: one answer is enough from here on.
  void SettleForOne() { wanted_ = std::min<size_t>(wanted_, 1); }
  bool HasAnswered(const Kid& peer) const { return answered_.contains(peer); }
  Finding finding() const;
  // With kNewLog: the longest head that our disk does not lead to.
  const std::optional<tlog::SignedCheckpoint>& beyond() const { return beyond_; }

 private:
  tlog::NoteKey log_;
  size_t wanted_;
  std::set<Kid> answered_;
  std::optional<tlog::SignedCheckpoint> beyond_;
};

// The first record of the log that follows: subject = the old log's key, evidence = the oid of the
// head that others hold (which the caller stores as a note), intent_gen = its size, observed_gen =
// the records that our disk had. AQ_CHECKs that the origin is a log's.
authority::Observe LogRestart(const tlog::SignedCheckpoint& beyond, uint64_t own_records);

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_HEADS_H_
