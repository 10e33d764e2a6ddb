// What the files of RocksStore share: its families and keys, and the database behind it.
// Spec:   spec/lineage.md §4. Internal to this room.
#ifndef AQMESH_LINEAGE_ROCKS_ROCKS_IMPL_H_
#define AQMESH_LINEAGE_ROCKS_ROCKS_IMPL_H_

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "lineage/rocks/block_index.h"
#include "lineage/rocks/head_file.h"
#include "lineage/rocks/rocks_store.h"

namespace aqmesh::lineage {

constexpr std::string_view kCommitKey = "commit", kLogsKey = "logs", kEdgeKey = "edge",
                           kPrunedKey = "pruned/", kShredKey = "shred";

// Families, in the order in which they are opened.
enum Family : size_t {
  kMeta,
  kLog,
  kObjects,
  kState,
  kBlocks,
  kTile,
  kSnapshot,
  kSubjects,
  kFamilies
};
constexpr std::array<const char*, kFamilies> kFamilyNames = {
    "default", "log", "oid", "state", "idx_block", "tile", "snapshot", "idx_about"};
// Those from here on came later: a store without them is whole.
constexpr size_t kFamiliesAtFirst = kBlocks;
using Handles = std::array<rocksdb::ColumnFamilyHandle*, kFamilies>;

inline rocksdb::Slice SliceOf(ByteView b) {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}
inline rocksdb::Slice SliceOf(std::string_view s) { return {s.data(), s.size()}; }
inline ByteView BytesOf(const rocksdb::Slice& s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}
// A place is the seq of a record plus the base of its log.
inline Bytes BeKey(uint64_t place) {
  Bytes key;
  AppendBe(key, place);
  return key;
}
// `block`: the base of its log plus the block's number.
inline Bytes SubjectKey(const Kid& kid, uint64_t block) {
  Bytes key(kid.bytes.begin(), kid.bytes.end());
  AppendBe(key, block);
  return key;
}
inline Bytes TileKey(unsigned level, uint64_t place) {
  Bytes key = {static_cast<uint8_t>(level)};
  AppendBe(key, place);
  return key;
}
inline Bytes ObjectKey(Shelf shelf, const Oid& oid) {
  Bytes key = {static_cast<uint8_t>(shelf)};
  Append(key, oid);
  return key;
}
inline Bytes EncodeMark(const CommitMark& mark) {
  Bytes out;
  AppendBe(out, mark.commit);
  AppendBe(out, mark.records);
  Append(out, mark.leaf);
  return out;
}
inline std::optional<CommitMark> ParseMark(ByteView b) {
  if (b.size() != 48) return std::nullopt;
  return CommitMark{
      LoadBe<uint64_t>(b.data()), LoadBe<uint64_t>(b.data() + 8), *Digest::From(b.subspan(16))};
}

// One log of a store: its place, its tree, and what has left it.
struct Span {
  uint64_t base = 0;
  tlog::Edge edge = {};
  Gone gone = {};
};
// Which records of the log at `base` have left: BE64 end || oid of the rule.
inline Bytes PrunedKey(uint64_t base) {
  Bytes key(kPrunedKey.begin(), kPrunedKey.end());
  AppendBe(key, base);
  return key;
}
inline std::optional<Head> HeadOf(const CommitMark& mark, uint64_t base) {
  if (mark.records == base) return std::nullopt;
  return Head{mark.records - base - 1, mark.leaf};
}

absl::Status Translate(const rocksdb::Status& s, std::string_view doing, const std::string& dir);

enum class Access : uint8_t { kRead, kWrite };

struct RocksStore::Impl {
  std::string dir;
  std::optional<HeadFile>
      head_file;  // its mark is what was told, or, for a reader, was when it opened
  bool writable = false;
  // Held by reads, and alone by Resume, the only one that changes db and in once they are open. If
  // that cannot open them again even for reading, db stays empty and reads say so (Get, Iterate).
  mutable std::shared_mutex db_mutex;
  std::unique_ptr<rocksdb::DB> db;
  Handles in{};
  rocksdb::ColumnFamilyHandle* old_subjects = nullptr;  // until LoadSubjects is done
  mutable std::mutex mutex;                             // guards all down to broken
  CommitMark mark;
  std::vector<uint64_t> bases = {0};  // of the logs there were, the newest last
  uint64_t places = 0;                // records of all logs
  Span log;                           // the one that is shown: the newest, or what a reader chose
  absl::Status broken;                // why there will be no more commits
  bool full = false;                  // the committing thread's own
  Block tail;                         // likewise: the records after the last whole block
  rocksdb::WriteBatch group;          // likewise: kept for its memory

  ~Impl() {
    const std::lock_guard lock(db_mutex);
    CloseDatabase();
  }

  absl::Status Broken() const {
    const std::lock_guard lock(mutex);
    return broken;
  }

  CommitMark Mark() const {
    const std::lock_guard lock(mutex);
    return mark;
  }
  Span Log() const {
    const std::lock_guard lock(mutex);
    return log;
  }
  uint64_t Base() const {
    const std::lock_guard lock(mutex);
    return log.base;
  }

  absl::Status OpenDatabase(Access access);
  absl::StatusOr<std::optional<Bytes>> Get(Family family, rocksdb::Slice key) const {
    if (db == nullptr) return Closed();
    if (in[family] == nullptr) return std::optional<Bytes>();
    rocksdb::PinnableSlice value;
    const rocksdb::Status s = db->Get(rocksdb::ReadOptions(), in[family], key, &value);
    if (s.IsNotFound()) return std::optional<Bytes>();
    AQ_RETURN_IF_ERROR(Translate(s, "reading", dir));
    const ByteView bytes = BytesOf(value);
    return std::optional<Bytes>(Bytes(bytes.begin(), bytes.end()));
  }

  absl::StatusOr<std::unique_ptr<rocksdb::Iterator>> Iterate(Family family) const {
    if (db == nullptr) return Closed();
    if (in[family] == nullptr)
      return std::unique_ptr<rocksdb::Iterator>(rocksdb::NewEmptyIterator());
    return std::unique_ptr<rocksdb::Iterator>(db->NewIterator(rocksdb::ReadOptions(), in[family]));
  }
  absl::Status Closed() const {
    return Unavailable(dir, " could not be opened again: restart aqmeshd");
  }

  // Everything in `family` whose key starts with `prefix`; `visit(key after the prefix, value)`.
  template <class Visit>
  absl::Status Scan(Family family, ByteView prefix, Visit visit) const {
    AQ_ASSIGN_OR_RETURN(const auto it, Iterate(family));
    for (it->Seek(SliceOf(prefix)); it->Valid() && it->key().starts_with(SliceOf(prefix));
         it->Next()) {
      if (!visit(BytesOf(it->key()).subspan(prefix.size()), BytesOf(it->value()))) break;
    }
    return Translate(it->status(), "reading", dir);
  }

  // The stored leaves first..end-1 of the log at `base`; of those that left it, their hashes.
  template <class Visit>
  absl::Status Leaves(uint64_t base, Seq first, Seq end, Visit visit) const {
    AQ_ASSIGN_OR_RETURN(const auto it, Iterate(kLog));
    // After the iterator: what leaves from now on, it still has.
    const Span shown = Log();
    while (first < end && base == shown.base && first < shown.gone.end) {
      AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> row, GoneLeaves(base, first / kBlockRecords));
      if (!row) break;  // about to leave
      const Seq block_end = (first / kBlockRecords + 1) * kBlockRecords;
      for (; first < std::min<Seq>(end, block_end); ++first)
        visit(*Digest::From(ByteView(*row).subspan((first % kBlockRecords) * 32, 32)));
    }
    if (first < end) it->Seek(SliceOf(BeKey(base + first)));
    for (Seq seq = first; seq < end; ++seq, it->Next()) {
      const bool here = it->Valid() && Equal(BytesOf(it->key()), BeKey(base + seq));
      AQ_RETURN_IF_ERROR(Translate(it->status(), "reading", dir));
      if (!here || it->value().size() <= 32)
        return DataLoss("record ", seq, " is missing in ", dir);
      visit(*Digest::From(BytesOf(it->value()).first(32)));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Bytes> ReadTile(uint64_t base, const tlog::Tile& tile) const;
  // The hashes of 256 records that have left.
  absl::StatusOr<std::optional<Bytes>> GoneLeaves(uint64_t base, uint64_t block) const;
  // What has left the log at `base`.
  absl::StatusOr<Gone> ReadGone(uint64_t base) const;
  // What stays of records that leave, and where else they are named.
  struct Leaving {
    std::vector<std::pair<Kid, uint64_t>> subjects;    // and in which block
    std::vector<std::pair<Seq, Digest>> restrictions;  // that REVOKE_SEEN records tell of
    std::vector<Oid> contents;                         // what they commit to
    Bytes leaves;
  };
  absl::StatusOr<Leaving> Gather(const RocksStore& store, Seq first, Seq end);
  // Takes the records from `first` to `to.end`, which are the oldest, in one synced write.
  absl::Status Leave(const Leaving& leaving, uint64_t base, Seq first, const Gone& to);
  // Hashes a stored record again, then shows it.
  absl::StatusOr<bool> Show(Seq seq, ByteView value, RecordVisitor visit) const {
    if (value.size() <= 32) return DataLoss("record ", seq, " in ", dir, " is cut short");
    const Digest leaf = *Digest::From(value.first(32));
    const ByteView body = value.subspan(32);
    if (crypto::MerkleLeaf(body) != leaf.bytes) {
      return DataLoss("record ", seq, " in ", dir, " does not have the hash it was stored under");
    }
    return visit(seq, leaf, body);
  }

  bool HasBlocks() const {
    const std::shared_lock reading(db_mutex);
    return in[kBlocks] != nullptr;
  }

  // Block `number`, and the iterator on the one that comes next in this order; nullopt: not written
  // yet, or of records from before there were blocks.
  std::optional<Block> TakeBlock(rocksdb::Iterator& it, uint64_t number, Order order) const;
  // Shows the records first..end-1 of one block that `hits` names; false: the visitor has enough.
  absl::StatusOr<bool> ShowHits(rocksdb::Iterator& rows,
                                const BlockHits& hits,
                                std::pair<Seq, Seq> range,
                                Order order,
                                RecordVisitor visit) const;
  // The records first..end-1 of blocks that name `subject`, by their rows; or read one by one.
  absl::StatusOr<bool> ShowAbout(rocksdb::Iterator& records,
                                 rocksdb::Iterator& rows,
                                 const Kid& subject,
                                 std::pair<Seq, Seq> range,
                                 Order order,
                                 RecordVisitor visit) const;
  absl::StatusOr<bool> SearchAbout(rocksdb::Iterator& records,
                                   const Kid& subject,
                                   std::pair<Seq, Seq> range,
                                   Order order,
                                   RecordVisitor visit) const;
  // What these records are, as a block.
  absl::StatusOr<Block> BlockOf(const RocksStore& store, Seq first, Seq end) const;
  // The records after the last whole block, so that the next commit goes on with them; and the
  // newest blocks of those that a store from before idx_block lacks.
  absl::Status LoadBlocks(const RocksStore& store, uint64_t at_most);
  // The rows of kSubjects, of a store from before them, which has a row for each record instead.
  absl::Status LoadSubjects();
  // Rids the files of secrets that were deleted, if that is due.
  absl::Status Shred();
  absl::Status Break(const absl::Status& why);
  void CloseDatabase();
  // After a full disk the write-ahead log may end in half a write, and what comes next must not lie
  // behind it. So the database is closed and recovered as after a crash: the one path on which a
  // torn tail is understood. What was not acknowledged may have survived; then it is what `next` is
  // about to write.
  absl::Status Resume(const CommitMark& next);
  Bytes EncodeBases(uint64_t newest) const;
  absl::Status Full(std::string_view why);
  // What the batches make durable; `to` becomes what stands then.
  absl::Status Write(std::span<const Batch> batches, const CommitMark& next, Span& to);
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_ROCKS_ROCKS_IMPL_H_
