// RocksStore: the store on a disk.
// Spec:   spec/authority.md G (column families); spec/reliability.md G6-G9 and rows 36-38.
// Wire:   DIR/db is RocksDB, DIR/HEAD the head (head_file.h). Families:
//           default      "commit" -> BE64 commit number || BE64 records || leaf of the newest
//           (zeros: none) log          BE64 seq -> leaf 32 || body oid          u8 shelf || oid 32
//           -> bytes state        name -> value
//           idx_block    BE64 base + seq / 256 -> what those 256 records are (block_index.h)
//           idx_about    kid 16 || BE64 base + seq / 256 -> which of them are about kid (the same)
//         Seqs in keys and values are places: the seq plus "base". default also has "logs" -> BE64
//         base of each log there was, the newest last (absent: one, of base 0), and "edge" -> the
//         newest log's tlog::Edge. tile: u8 level from 1 || BE64 (base + index) -> 32; level 0 is
//         the leaves in log, and a row that is missing is computed from the level below.
//           snapshot     BE64 place of the next record -> hash 32 || folded state (lineage/history)
//         default also has "pruned/" BE64 base -> BE64 end || oid: the records before `end` of that
//         log have left; tile: u8 0 || BE64 (base + index / 256) -> the 256 hashes of such.
// A commit: one WriteBatch into the synced WAL, then the synced HEAD, then OK. The WAL is recovered
// to a point in time: a torn tail, which nobody was told about, must not brick the node, while the
// stricter mode refuses it. What that mode would hide, a flipped bit that cuts off acked commits,
// HEAD shows: the store must hold the commit that HEAD names, and at most one more, or Open says
// DataLoss.
// A store of before idx_block gets it as it is opened for writing, kBlocksAtOpen blocks each time,
// the newest first; where a block is missing its records are read. Records after the last whole
// block have rows in neither index, and are read.
// Bounds: memory: memtables 24 MiB together, block cache 8 MiB.
// Thread: CommitAll from one thread at a time; reads from any.
// Errors: store.h. Any write error but a full disk ends commits until a restart (a failed sync may have
//         dropped pages, so trying again would lie). After a full disk a commit first waits for 32
//         MiB to be free, then recovers the store as after a crash. Cost: two fdatasyncs a commit.
#ifndef AQMESH_LINEAGE_ROCKS_ROCKS_STORE_H_
#define AQMESH_LINEAGE_ROCKS_ROCKS_STORE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lineage/store.h"

namespace aqmesh::lineage {

struct RocksOptions {
  uint64_t verify_last = 1024;  // links of the chain recomputed at open
  // For reading: the log to show, of those there were; the newest if there is none.
  std::optional<Kid> log = std::nullopt;
};

class RocksStore final : public Store {
 public:
  // Opens DIR for writing, creates it with mode 0700 if missing. Unavailable if a process has it
  // open.
  static absl::StatusOr<std::unique_ptr<RocksStore>> Open(const std::string& dir,
                                                          RocksOptions options = {});
  // Opens DIR as it is now, beside a live writer or without one. Commits are refused.
  static absl::StatusOr<std::unique_ptr<RocksStore>> OpenReadOnly(const std::string& dir,
                                                                  RocksOptions options = {});
  // Whether another process has DIR open for writing at this moment. Not for one that has it open
  // itself: asking would let go of its lock (fcntl(2)).
  static bool IsOpenElsewhere(const std::string& dir);
  ~RocksStore() override;
  RocksStore(const RocksStore&) = delete;
  RocksStore& operator=(const RocksStore&) = delete;

  absl::Status CommitAll(std::span<const Batch> batches) override;
  std::optional<Head> head() const override;
  absl::StatusOr<std::optional<Bytes>> GetObject(Shelf shelf, const Oid& oid) const override;
  absl::Status ScanObjects(Shelf shelf, ObjectVisitor visit) const override;
  absl::StatusOr<std::optional<Bytes>> GetState(std::string_view name) const override;
  absl::Status ScanState(std::string_view prefix, StateVisitor visit) const override;
  absl::Status WalkLog(Seq first, Seq end, Order order, RecordVisitor visit) const override;
  absl::Status WalkSubject(
      const Kid& subject, Seq first, Seq end, Order order, RecordVisitor visit) const override;
  absl::Status WalkWhere(
      const Where& where, Seq first, Seq end, Order order, RecordVisitor visit) const override;
  absl::StatusOr<Seq> SeqAt(uint64_t hlc) const override;
  tlog::Edge edge() const override;
  absl::StatusOr<Bytes> ReadTile(const tlog::Tile& tile) const override;
  absl::Status PutSnapshot(const Snapshot& snapshot) override;
  absl::StatusOr<std::optional<Snapshot>> SnapshotAt(uint64_t records) const override;

  static constexpr uint64_t kBlocksAtOpen = 4096;  // a million records, some 3 s
  uint64_t commits() const override;
  Gone gone() const override;
  // Takes the records before `end` from the newest log, for good: their hashes stay (tile, level
  // 0), and the state that they come to (a snapshot). Each kPruneStep leave at once or not at all;
  // called again after a crash, it goes on. `end` is a multiple of 256 that leaves a record. From
  // any thread, also while another commits. InvalidArgument: no such end.
  absl::Status Prune(Seq end, const Oid& under);
  static constexpr Seq kPruneStep = 16'384;
  // The logs there were, the newest last, with how many records each has.
  struct Log {
    std::optional<Kid> kid;  // nullopt: without a record
    uint64_t records = 0;
  };
  absl::StatusOr<std::vector<Log>> Logs() const;

 private:
  struct Impl;
  explicit RocksStore(std::unique_ptr<Impl> impl);
  absl::Status CheckHead(const RocksOptions& options);
  absl::Status LoadTree();
  absl::Status BuildTree();
  absl::Status SelectLog(const Kid& log);

  std::unique_ptr<Impl> impl_;
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_ROCKS_ROCKS_STORE_H_
