// Store: what a node remembers: the log of its records, the objects that they cite, and small named
// values. MemStore here is the simulator's; lineage/rocks has the real one.
// Spec:   spec/authority.md G; spec/reliability.md G6-G9, S10: an acked record never changes or vanishes.
// Bounds: a group has at most kGroupRecordsMax records; names, values and objects as below.
// Thread: one writer at a time; RocksStore may be read from any thread meanwhile.
// Errors: FailedPrecondition (records that do not follow the head), InvalidArgument (over a bound),
//         ResourceExhausted (disk full: nothing acknowledged; the next commit must be the same
//         again), DataLoss (what is stored is not what was written), Unavailable (no commit until a
//         restart).
#ifndef AQMESH_LINEAGE_STORE_H_
#define AQMESH_LINEAGE_STORE_H_

#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "lineage/chain.h"
#include "lineage/record.h"
#include "lineage/tlog/proof.h"

namespace aqmesh::lineage {

inline constexpr size_t kGroupRecordsMax = 4096;  // ~1 ms of log thread at 300 bytes each
inline constexpr size_t kStateNameBytesMax = 256;
inline constexpr size_t kStateValueBytesMax = 65'536;
inline constexpr size_t kStoredObjectBytesMax =
    65'536;  // a proof is two objects with their lengths

// Objects of each kind lie on a shelf of their own, so that a start reads back the signed ones
// without wading through the inputs of every decision ever made.
enum class Shelf : uint8_t {
  kSigned = 1,
  kInputs = 2,
  kProof = 3,
  kNote = 4,
  kPolicy = 5,
  kContent = 6
};

struct ObjectEntry {
  Shelf shelf = Shelf::kSigned;
  Oid oid;
  Bytes bytes;
};
struct StatePut {
  std::string name;  // "undo/…", "floor/…": a family is a prefix
  Bytes value;
};
// What belongs together: durable whole or not at all.
struct Batch {
  // Set: the log that was ends here, readable (RocksOptions::log), and the records begin another at
  // seq 0 (spec: lineage#7.6).
  bool begins_log = false;
  // Set: what is deleted was secret. No file holds a byte of it any more when the commit returns,
  // or, if that fails, after the next start.
  bool shreds = false;
  std::vector<RecordEntry> records = {};
  std::vector<ObjectEntry> objects = {};
  std::vector<std::string> deletes = {};  // names; done before the puts
  std::vector<StatePut> puts = {};
  bool empty() const {
    return !begins_log && !shreds && records.empty() && objects.empty() && deletes.empty() &&
           puts.empty();
  }
};

// What the first `records` records of the log come to, folded (lineage/history). Made of the log,
// so that losing one costs time and nothing else.
struct Snapshot {
  uint64_t records = 0;
  Bytes state;
  bool operator==(const Snapshot&) const = default;
};
// Kept beside it, so that a rotten one shows.
Digest SnapshotHash(uint64_t records, ByteView state);

// Visitors return false to stop. Views live for the call. A visitor does not call the store.
using ObjectVisitor = absl::FunctionRef<bool(const Oid&, ByteView bytes)>;
using StateVisitor = absl::FunctionRef<bool(std::string_view name, ByteView value)>;
using RecordVisitor = absl::FunctionRef<bool(Seq, const Digest& leaf, ByteView body)>;

struct FoundRecord {
  Digest leaf;
  authority::Observe record;
  bool operator==(const FoundRecord&) const = default;
};

enum class Order : uint8_t { kOldestFirst, kNewestFirst };

// The oldest records of a log may have left it (spec: lineage#12): those before `end`. Their hashes
// stay, so that the tree is whole.
struct Gone {
  Seq end = 0;
  std::optional<Oid> under = {};  // the retention rule that said so
  bool operator==(const Gone&) const = default;
};
// A state name for each restriction that a pruned REVOKE_SEEN told of, in their order: decisions
// are made again under them.
inline constexpr std::string_view kSeenPrefix = "seen/", kSeenEnd = "seen0";
std::string SeenName(Seq seq);
// "records 0 to 255 were pruned under <oid>"
std::string GoneText(const Gone& gone);

class Store {
 public:
  virtual ~Store() = default;

  // Writes all batches, in order, as one atomic, synced write: on OK all of it is durable, on an
  // error none of it is visible (after Unavailable a restart may show it whole).
  virtual absl::Status CommitAll(std::span<const Batch> batches) = 0;
  absl::Status Commit(const Batch& batch) { return CommitAll({&batch, 1}); }

  virtual std::optional<Head> head() const = 0;
  uint64_t size() const;  // records in the log, those that have left it too
  virtual Gone gone() const { return {}; }
  Seq first() const { return gone().end; }        // the oldest record that is there
  virtual uint64_t commits() const { return 0; }  // synced writes since the store was made

  virtual absl::StatusOr<std::optional<Bytes>> GetObject(Shelf shelf, const Oid& oid) const = 0;
  virtual absl::Status ScanObjects(Shelf shelf, ObjectVisitor visit) const = 0;  // by oid
  virtual absl::StatusOr<std::optional<Bytes>> GetState(std::string_view name) const = 0;
  virtual absl::Status ScanState(std::string_view prefix, StateVisitor visit) const = 0;  // by name

  // The records first..end-1 that are there. Each is hashed again before it is shown: DataLoss
  // names the seq.
  virtual absl::Status WalkLog(Seq first, Seq end, Order order, RecordVisitor visit) const = 0;
  // Those of them that name `subject`, through idx_about.
  virtual absl::Status WalkSubject(
      const Kid& subject, Seq first, Seq end, Order order, RecordVisitor visit) const = 0;
  // Those of them that match `where`, and maybe others: a store that knows less shows more, and the
  // caller looks again. Without an index, all.
  virtual absl::Status WalkWhere(
      const Where& where, Seq first, Seq end, Order order, RecordVisitor visit) const;
  // The first seq, of those that are there, whose hlc is `hlc` or later; size() if there is none.
  virtual absl::StatusOr<Seq> SeqAt(uint64_t hlc) const = 0;

  // The right edge of the tree over all records, and its tiles: the first tile.width hashes.
  // NotFound if the log is shorter than that.
  virtual tlog::Edge edge() const = 0;
  virtual absl::StatusOr<Bytes> ReadTile(const tlog::Tile& tile) const = 0;
  // Beside the log, under the number of its records; durable with the next commit. From any thread,
  // also while another commits (RocksStore).
  virtual absl::Status PutSnapshot(const Snapshot& snapshot) = 0;
  // The newest of at most `records` records that is as it was written; spoiled ones are passed
  // over.
  virtual absl::StatusOr<std::optional<Snapshot>> SnapshotAt(uint64_t records) const = 0;

  // The body of one record; NotFound if there is none, or not any more.
  absl::StatusOr<Bytes> Read(Seq seq) const;
  // Makes proofs in the tree of the first `size` records. The store must outlive it.
  absl::StatusOr<tlog::Prover> ProverAt(uint64_t size) const;
  // Records that match, in the filter's order, at most its limit.
  absl::StatusOr<std::vector<FoundRecord>> Query(const Filter& filter) const;
  // Recomputes the chain of the newest `count` records and compares its end with head().
  absl::Status Verify(uint64_t count = kSeqEnd) const;

 protected:
  Store() = default;
  Store(const Store&) = default;
  Store& operator=(const Store&) = default;
};

// Refuses what no store may write: records out of order or under a wrong hash, anything over a
// bound.
absl::Status CheckBatches(std::span<const Batch> batches, const std::optional<Head>& head);

// The store of a simulated disk. A commit is durable when it returns; a crash is a copy taken
// before it.
class MemStore final : public Store {
 public:
  MemStore() = default;  // and copies freely: a copy is the durable image

  absl::Status CommitAll(std::span<const Batch> batches) override;
  std::optional<Head> head() const override;
  absl::StatusOr<std::optional<Bytes>> GetObject(Shelf shelf, const Oid& oid) const override;
  absl::Status ScanObjects(Shelf shelf, ObjectVisitor visit) const override;
  absl::StatusOr<std::optional<Bytes>> GetState(std::string_view name) const override;
  absl::Status ScanState(std::string_view prefix, StateVisitor visit) const override;
  absl::Status WalkLog(Seq first, Seq end, Order order, RecordVisitor visit) const override;
  absl::Status WalkSubject(
      const Kid& subject, Seq first, Seq end, Order order, RecordVisitor visit) const override;
  absl::StatusOr<Seq> SeqAt(uint64_t hlc) const override;
  tlog::Edge edge() const override { return edge_; }
  absl::StatusOr<Bytes> ReadTile(const tlog::Tile& tile) const override;
  absl::Status PutSnapshot(const Snapshot& snapshot) override;
  absl::StatusOr<std::optional<Snapshot>> SnapshotAt(uint64_t records) const override;

  // From now on commits fail with `fault` and change nothing; OK heals. (The simulator's full
  // disk.)
  void SetFault(absl::Status fault) { fault_ = std::move(fault); }
  // Rot at rest: flips one bit of a stored body.
  void Rot(Seq seq, size_t bit);
  void RotSnapshot(uint64_t records, size_t bit);

 private:
  absl::StatusOr<bool> Show(const RecordEntry& entry, RecordVisitor visit) const;

  std::vector<RecordEntry> log_;
  tlog::Edge edge_;
  std::map<std::pair<unsigned, uint64_t>, Digest> tiles_;  // level from 1, index
  std::vector<std::vector<RecordEntry>> past_;             // logs that ended
  std::map<std::pair<Shelf, Oid>, Bytes> objects_;
  std::map<std::string, Bytes, std::less<>> state_;
  std::map<Kid, std::vector<Seq>> by_subject_;
  std::map<uint64_t, std::pair<Digest, Bytes>> snapshots_;
  absl::Status fault_;
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_STORE_H_
