#include "lineage/rocks/rocks_store.h"

#include <absl/time/clock.h>
#include <fcntl.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <shared_mutex>
#include <system_error>
#include <utility>

#include "core/authority/signed.h"
#include "core/base/check.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "lineage/rocks/block_index.h"
#include "lineage/rocks/head_file.h"

namespace aqmesh::lineage {
namespace {

constexpr size_t kMemtableBytes = 8u << 20;
constexpr size_t kMemtablesBytes = 24u << 20;  // of all families together
constexpr size_t kCacheBytes = 8u << 20;
constexpr uint64_t kWalBytes = 64u << 20;
constexpr off_t kRoomBytes = 32 << 20;  // kMemtablesBytes and some
constexpr int kOpenFiles = 256;
constexpr int kReadOnlyTries = 5;  // a live writer may drop files while they are being opened
constexpr absl::Duration kReadOnlyPause = absl::Milliseconds(20);
constexpr std::string_view kCommitKey = "commit", kLogsKey = "logs", kEdgeKey = "edge";
constexpr size_t kLogsMax = 1024;       // restores from a backup, in a machine's life
constexpr uint64_t kTreeStep = 16'384;  // records of a tree that is built late, per write

// Families, in the order in which they are opened.
enum Family : size_t {
  kMeta,
  kLog,
  kObjects,
  kSubject,
  kTime,
  kState,
  kBlocks,
  kTile,
  kSnapshot,
  kFamilies
};
constexpr std::array<const char*, kFamilies> kFamilyNames = {
    "default", "log", "oid", "idx_subject", "idx_time", "state", "idx_block", "tile", "snapshot"};
// Those from here on came later: a store without them is whole.
constexpr size_t kFamiliesAtFirst = kBlocks;

rocksdb::Slice SliceOf(ByteView b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }
rocksdb::Slice SliceOf(std::string_view s) { return {s.data(), s.size()}; }
ByteView BytesOf(const rocksdb::Slice& s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}

// A place is the seq of a record plus the base of its log.
Bytes BeKey(uint64_t place) {
  Bytes key;
  AppendBe(key, place);
  return key;
}
Bytes SubjectKey(const Kid& kid, uint64_t place) {
  Bytes key(kid.bytes.begin(), kid.bytes.end());
  AppendBe(key, place);
  return key;
}
Bytes TileKey(unsigned level, uint64_t place) {
  Bytes key = {static_cast<uint8_t>(level)};
  AppendBe(key, place);
  return key;
}
Bytes ObjectKey(Shelf shelf, const Oid& oid) {
  Bytes key = {static_cast<uint8_t>(shelf)};
  Append(key, oid);
  return key;
}

Bytes EncodeMark(const CommitMark& mark) {
  Bytes out;
  AppendBe(out, mark.commit);
  AppendBe(out, mark.records);
  Append(out, mark.leaf);
  return out;
}
std::optional<CommitMark> ParseMark(ByteView b) {
  if (b.size() != 48) return std::nullopt;
  return CommitMark{
      LoadBe<uint64_t>(b.data()), LoadBe<uint64_t>(b.data() + 8), *Digest::From(b.subspan(16))};
}
// The bases of the logs, rising from 0; nullopt if these are not such.
std::optional<std::vector<uint64_t>> ParseBases(ByteView bytes) {
  std::vector<uint64_t> out;
  if (bytes.empty() || bytes.size() % 8 != 0 || bytes.size() / 8 > kLogsMax) return std::nullopt;
  for (; !bytes.empty(); bytes = bytes.subspan(8)) {
    out.push_back(LoadBe<uint64_t>(bytes.data()));
    if (out.size() == 1 ? out[0] != 0 : out.back() < out[out.size() - 2]) return std::nullopt;
  }
  return out;
}

// One log of a store: its place, and its tree.
struct Span {
  uint64_t base = 0;
  tlog::Edge edge = {};
};
std::optional<Head> HeadOf(const CommitMark& mark, uint64_t base) {
  if (mark.records == base) return std::nullopt;
  return Head{mark.records - base - 1, mark.leaf};
}

absl::Status Translate(const rocksdb::Status& s, std::string_view doing, const std::string& dir) {
  if (s.ok()) return absl::OkStatus();
  if (s.IsCorruption() || s.IsNotFound() || s.IsInvalidArgument()) {
    return DataLoss(
        doing, " ", dir, ": ", s.ToString(), ": restore the state directory, or start a new log");
  }
  const std::string text = s.ToString();
  if (text.find("/LOCK") != std::string::npos) {
    return Unavailable(
        doing, " ", dir, ": another process has it open (is aqmeshd running?): ", text);
  }
  return Unavailable(doing, " ", dir, ": ", text);
}

// No LOG of RocksDB's own: a reader writes nothing, and a writer whose LOG meets a full disk aborts
// in builds of RocksDB that have their assertions on, as distributions' may. What fails comes back
// as Status.
class NoLog final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

// Recovery after a full disk is ours alone (Impl::Resume): RocksDB's own would go on with a
// write-ahead log that may hold half a write.
class NoAutoRecovery final : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason,
                            rocksdb::Status,
                            bool* automatic) override {
    *automatic = false;
  }
};

rocksdb::DBOptions DatabaseOptions(bool fresh) {
  rocksdb::DBOptions options;
  options.create_if_missing = fresh;
  options.create_missing_column_families = fresh;
  options.paranoid_checks = true;
  options.wal_recovery_mode =
      rocksdb::WALRecoveryMode::kPointInTimeRecovery;  // the header says why
  options.max_total_wal_size = kWalBytes;
  options.db_write_buffer_size = kMemtablesBytes;
  options.max_open_files = kOpenFiles;
  options.max_background_jobs = 2;
  options.info_log = std::make_shared<NoLog>();
  options.listeners = {std::make_shared<NoAutoRecovery>()};
  return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> Families() {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kCacheBytes);
  table.cache_index_and_filter_blocks = true;
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = kMemtableBytes;
  options.compression = rocksdb::kNoCompression;  // hashes and keys do not compress
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const char* name : kFamilyNames) families.emplace_back(name, options);
  return families;
}

absl::Status PrepareDirectory(const std::string& dir) {
  const auto fail = [&dir](std::string_view doing) {
    return Unavailable(doing, " ", dir, ": ", std::generic_category().message(errno));
  };
  if (mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) return fail("creating");
  const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fail("opening");
  const absl::Status status = fchmod(fd, 0700) == 0 ? absl::OkStatus() : fail("closing to others");
  close(fd);
  return status;
}

// Whether there is room for recovery: the memtables as files, and a new write-ahead log.
absl::Status ProbeRoom(const std::string& dir) {
  const std::string path = dir + "/room";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return Unavailable("creating ", path, ": ", std::generic_category().message(errno));
  const int error = posix_fallocate(fd, 0, kRoomBytes);
  close(fd);
  unlink(path.c_str());
  if (error == 0) return absl::OkStatus();
  return Unavailable(
      kRoomBytes >> 20, " MiB are not free: ", std::generic_category().message(error));
}

absl::StatusOr<HeadFile> OpenHead(const std::string& dir, bool writable) {
  const std::string path = dir + "/HEAD";
  const bool has_log = access((dir + "/db/CURRENT").c_str(), F_OK) == 0;
  if (writable && !has_log) AQ_RETURN_IF_ERROR(HeadFile::Create(path));
  auto head = HeadFile::Open(path, writable);
  if (absl::IsNotFound(head.status()) && has_log) {
    return DataLoss(path,
                    " is missing, so the log beside it cannot be shown to be complete: restore it, "
                    "or start a new log");
  }
  return head;
}

using Handles = std::array<rocksdb::ColumnFamilyHandle*, kFamilies>;

void ComposeRecord(const RecordEntry& entry,
                   Span& log,
                   const Handles& in,
                   rocksdb::WriteBatch& out) {
  const uint64_t base = log.base;
  const Bytes place = BeKey(base + entry.seq);
  out.Put(in[kLog], SliceOf(place), SliceOf(Concat({entry.leaf, entry.body})));
  out.Put(in[kTime], SliceOf(BeKey(entry.hlc)), SliceOf(place));
  if (entry.subject)
    out.Put(in[kSubject], SliceOf(SubjectKey(*entry.subject, base + entry.seq)), rocksdb::Slice());
  log.edge.Append(entry.leaf, [&](const tlog::TileEntry& made) {
    if (made.level == 0) return;
    out.Put(in[kTile], SliceOf(TileKey(made.level, base + made.index)), SliceOf(made.hash.view()));
  });
}

// `log`: as it was, and then as it will be.
void Compose(std::span<const Batch> batches,
             Span& log,
             Block& block,
             const Handles& in,
             rocksdb::WriteBatch& out) {
  for (const Batch& batch : batches) {
    if (batch.begins_log) {
      log = {log.base + log.edge.size(), {}};
      block = Block();
    }
    for (const RecordEntry& entry : batch.records) {
      ComposeRecord(entry, log, in, out);
      block.Add(entry);
      if (!block.full()) continue;
      out.Put(in[kBlocks],
              SliceOf(BeKey(log.base + entry.seq / kBlockRecords)),
              SliceOf(block.Encode()));
      block = Block();
    }
    for (const ObjectEntry& o : batch.objects)
      out.Put(in[kObjects], SliceOf(ObjectKey(o.shelf, o.oid)), SliceOf(o.bytes));
    for (const std::string& name : batch.deletes) out.Delete(in[kState], SliceOf(name));
    for (const StatePut& put : batch.puts)
      out.Put(in[kState], SliceOf(put.name), SliceOf(put.value));
  }
}

CommitMark MarkAfter(std::span<const Batch> batches, CommitMark mark) {
  ++mark.commit;
  for (const Batch& batch : batches) {
    mark.records += batch.records.size();
    if (!batch.records.empty()) mark.leaf = batch.records.back().leaf;
  }
  return mark;
}

}  // namespace

enum class Access : uint8_t { kRead, kWrite };

namespace {

// The families that a database has; none if it cannot be asked: opening then says why.
std::vector<std::string> FamiliesThere(const rocksdb::DBOptions& options, const std::string& path) {
  std::vector<std::string> names;
  if (!rocksdb::DB::ListColumnFamilies(options, path, &names).ok()) names.clear();
  return names;
}

// Below so many of a block's records each is sought by its key; above, they are passed over in
// turn.
constexpr size_t kSeekBelow = 16;

}  // namespace

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
  mutable std::mutex mutex;  // guards all down to broken
  CommitMark mark;
  std::vector<uint64_t> bases = {0};  // of the logs there were, the newest last
  uint64_t places = 0;                // records of all logs
  Span log;                           // the one that is shown: the newest, or what a reader chose
  absl::Status broken;                // why there will be no more commits
  bool full = false;                  // the committing thread's own
  Block tail;                         // likewise: the records after the last whole block

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

  absl::Status OpenDatabase(Access access) {
    const std::string path = dir + "/db";
    const bool fresh = access == Access::kWrite && head_file->mark().commit == 0;
    rocksdb::DBOptions options = DatabaseOptions(fresh);
    std::vector<rocksdb::ColumnFamilyDescriptor> families = Families();
    if (!fresh) {
      // What came later is made by a writer, and done without by a reader.
      const std::vector<std::string> there = FamiliesThere(options, path);
      const auto lacks = [&there](const rocksdb::ColumnFamilyDescriptor& f) {
        return std::ranges::find(there, f.name) == there.end();
      };
      if (std::none_of(families.begin(), families.begin() + kFamiliesAtFirst, lacks)) {
        options.create_missing_column_families = access == Access::kWrite;
        if (access == Access::kRead) std::erase_if(families, lacks);
      }
    }
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* opened = nullptr;
    const rocksdb::Status s =
        access == Access::kWrite
            ? rocksdb::DB::Open(options, path, families, &handles, &opened)
            : rocksdb::DB::OpenForReadOnly(options, path, families, &handles, &opened);
    AQ_RETURN_IF_ERROR(Translate(s, "opening", path));
    db.reset(opened);
    for (rocksdb::ColumnFamilyHandle* handle : handles) {
      const auto name = std::ranges::find(kFamilyNames, handle->GetName());
      AQ_CHECK(name != kFamilyNames.end());
      in[static_cast<size_t>(name - kFamilyNames.begin())] = handle;
    }
    return absl::OkStatus();
  }

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

  // The stored leaves first..end-1 of the log at `base`.
  template <class Visit>
  absl::Status Leaves(uint64_t base, Seq first, Seq end, Visit visit) const {
    AQ_ASSIGN_OR_RETURN(const auto it, Iterate(kLog));
    it->Seek(SliceOf(BeKey(base + first)));
    for (Seq seq = first; seq < end; ++seq, it->Next()) {
      const bool here = it->Valid() && Equal(BytesOf(it->key()), BeKey(base + seq));
      AQ_RETURN_IF_ERROR(Translate(it->status(), "reading", dir));
      if (!here || it->value().size() <= 32)
        return DataLoss("record ", seq, " is missing in ", dir);
      visit(*Digest::From(BytesOf(it->value()).first(32)));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Bytes> ReadTile(uint64_t base, const tlog::Tile& tile) const {
    Bytes out;
    const uint64_t first = tile.index * tlog::kTileWidth;
    if (tile.level == 0) {
      AQ_RETURN_IF_ERROR(Leaves(
          base, first, first + tile.width, [&out](const Digest& leaf) { Append(out, leaf); }));
      return out;
    }
    for (uint64_t i = first; i < first + tile.width; ++i) {
      AQ_ASSIGN_OR_RETURN(const auto row, Get(kTile, SliceOf(TileKey(tile.level, base + i))));
      if (row && row->size() != 32)
        return DataLoss("tile ", tlog::TilePath(tile), " in ", dir, " is malformed");
      if (row) {
        Append(out, *row);
        continue;
      }
      AQ_ASSIGN_OR_RETURN(const Bytes below, ReadTile(base, {tile.level - 1, i}));
      tlog::Edge edge;
      for (size_t at = 0; at < below.size(); at += 32)
        edge.Append(*Digest::From(ByteView(below).subspan(at, 32)));
      Append(out, edge.Root());
    }
    return out;
  }

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
  std::optional<Block> TakeBlock(rocksdb::Iterator& it, uint64_t number, Order order) const {
    const Bytes key = BeKey(Base() + number);
    if (!it.Valid() || !Equal(BytesOf(it.key()), key)) it.Seek(SliceOf(key));
    if (!it.Valid() || !Equal(BytesOf(it.key()), key)) return std::nullopt;
    std::optional<Block> block = Block::Parse(BytesOf(it.value()));
    order == Order::kOldestFirst ? it.Next() : it.Prev();
    return block;
  }

  // Shows the records first..end-1 of one block that `hits` names; false: the visitor has enough.
  absl::StatusOr<bool> ShowHits(rocksdb::Iterator& rows,
                                const BlockHits& hits,
                                std::pair<Seq, Seq> range,
                                Order order,
                                RecordVisitor visit) const {
    const auto [first, end] = range;
    const bool forward = order == Order::kOldestFirst;
    const bool sparse = hits.count() < kSeekBelow;
    const uint64_t base = Base();
    bool placed = false;
    for (Seq i = first; i < end; ++i) {
      const Seq seq = forward ? i : end - 1 - (i - first);
      const bool hit = hits[seq % kBlockRecords];
      if (!hit && (sparse || !placed)) continue;
      if (sparse || !placed) {
        rows.Seek(SliceOf(BeKey(base + seq)));
      } else {
        forward ? rows.Next() : rows.Prev();
      }
      placed = true;
      if (!rows.Valid() || !Equal(BytesOf(rows.key()), BeKey(base + seq))) {
        AQ_RETURN_IF_ERROR(Translate(rows.status(), "reading", dir));
        return DataLoss("record ", seq, " is missing in ", dir);
      }
      if (!hit) continue;
      AQ_ASSIGN_OR_RETURN(const bool more, Show(seq, BytesOf(rows.value()), visit));
      if (!more) return false;
    }
    return true;
  }

  // What these records are, as a block.
  absl::StatusOr<Block> BlockOf(const RocksStore& store, Seq first, Seq end) const {
    Block block;
    absl::Status parsed;
    AQ_RETURN_IF_ERROR(
        store.WalkLog(first, end, Order::kOldestFirst, [&](Seq, const Digest&, ByteView body) {
          const auto entry = ParseEntry(body);
          parsed = entry.status();
          if (entry.ok()) block.Add(*entry);
          return entry.ok();
        }));
    AQ_RETURN_IF_ERROR(parsed);
    return block;
  }

  // The records after the last whole block, so that the next commit goes on with them; and the
  // newest blocks of those that a store from before idx_block lacks.
  absl::Status LoadBlocks(const RocksStore& store, uint64_t at_most) {
    const uint64_t base = Base(), records = Mark().records - base;
    const uint64_t whole = records / kBlockRecords;
    AQ_ASSIGN_OR_RETURN(tail, BlockOf(store, whole * kBlockRecords, records));
    AQ_ASSIGN_OR_RETURN(const auto it, Iterate(kBlocks));
    it->Seek(SliceOf(BeKey(base)));
    AQ_RETURN_IF_ERROR(Translate(it->status(), "reading", dir));
    const uint64_t missing =
        it->Valid() ? LoadBe<uint64_t>(BytesOf(it->key()).data()) - base : whole;
    for (uint64_t n = missing; n > 0 && missing - n < at_most; --n) {
      AQ_ASSIGN_OR_RETURN(const Block block,
                          BlockOf(store, (n - 1) * kBlockRecords, n * kBlockRecords));
      // Not synced: what a crash takes is built again. Downwards, so that there is no gap.
      const rocksdb::WriteOptions options;
      const rocksdb::Status s =
          db->Put(options, in[kBlocks], SliceOf(BeKey(base + n - 1)), SliceOf(block.Encode()));
      AQ_RETURN_IF_ERROR(Translate(s, "writing", dir));
    }
    return absl::OkStatus();
  }

  absl::Status Break(const absl::Status& why) {
    const std::lock_guard lock(mutex);
    broken = Unavailable(Text(why), ": nothing more is written until aqmeshd is restarted");
    return broken;
  }

  void CloseDatabase() {
    for (rocksdb::ColumnFamilyHandle*& handle : in) {
      if (handle != nullptr) db->DestroyColumnFamilyHandle(handle);
      handle = nullptr;
    }
    db.reset();
  }

  // After a full disk the write-ahead log may end in half a write, and what comes next must not lie
  // behind it. So the database is closed and recovered as after a crash: the one path on which a
  // torn tail is understood. What was not acknowledged may have survived; then it is what `next` is
  // about to write.
  absl::Status Resume(const CommitMark& next) {
    AQ_RETURN_IF_ERROR(ProbeRoom(dir));
    const std::lock_guard lock(db_mutex);
    CloseDatabase();
    absl::Status opened = OpenDatabase(Access::kWrite);
    if (!opened.ok()) {
      if (const absl::Status shown = OpenDatabase(Access::kRead); !shown.ok()) return Break(shown);
      return opened;
    }
    AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> stored, Get(kMeta, SliceOf(kCommitKey)));
    const std::optional<CommitMark> here = stored ? ParseMark(*stored) : CommitMark{};
    const CommitMark before = Mark();
    const bool known =
        here && (*here == before || (here->records == next.records && here->leaf == next.leaf));
    if (!known)
      return Break(DataLoss(
          "the log in ", dir, " came back from a full disk with other records than it had"));
    full = false;
    return absl::OkStatus();
  }

  Bytes EncodeBases(uint64_t newest) const {
    const std::lock_guard lock(mutex);
    Bytes out;
    for (const uint64_t base : bases) AppendBe(out, base);
    AppendBe(out, newest);
    return out;
  }

  absl::Status Full(std::string_view why) {
    full = true;
    return ResourceExhausted("writing ",
                             dir,
                             ": the disk is full (",
                             why,
                             "): free some space; nobody new is admitted until then");
  }

  // What the batches make durable; `to` becomes what stands then.
  absl::Status Write(std::span<const Batch> batches, const CommitMark& next, Span& to) {
    if (full) {
      const absl::Status resumed = Resume(next);
      if (full) return absl::IsUnavailable(Broken()) ? Broken() : Full(Text(resumed));
    }
    rocksdb::WriteBatch group;
    const uint64_t base = to.base;
    Block block = tail;
    Compose(batches, to, block, in, group);
    group.Put(in[kMeta], SliceOf(kCommitKey), SliceOf(EncodeMark(next)));
    Bytes edge;
    to.edge.AppendTo(edge);
    group.Put(in[kMeta], SliceOf(kEdgeKey), SliceOf(edge));
    if (to.base != base) group.Put(in[kMeta], SliceOf(kLogsKey), SliceOf(EncodeBases(to.base)));
    rocksdb::WriteOptions synced;
    synced.sync = true;
    const rocksdb::Status s = db->Write(synced, &group);
    if (s.ok()) {
      tail = std::move(block);
      return absl::OkStatus();
    }
    if (s.IsNoSpace()) return Full(s.ToString());
    return Break(Translate(s, "writing", dir));
  }
};

RocksStore::RocksStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RocksStore::~RocksStore() = default;

absl::StatusOr<std::unique_ptr<RocksStore>> RocksStore::Open(const std::string& dir,
                                                             RocksOptions options) {
  AQ_RETURN_IF_ERROR(PrepareDirectory(dir));
  auto impl = std::make_unique<Impl>();
  impl->dir = dir;
  impl->writable = true;
  AQ_ASSIGN_OR_RETURN(HeadFile head, OpenHead(dir, true));
  impl->head_file.emplace(std::move(head));
  AQ_RETURN_IF_ERROR(impl->OpenDatabase(Access::kWrite));
  std::unique_ptr<RocksStore> store(new RocksStore(std::move(impl)));
  AQ_RETURN_IF_ERROR(store->CheckHead(options));
  AQ_RETURN_IF_ERROR(store->impl_->LoadBlocks(*store, kBlocksAtOpen));
  return store;
}

absl::StatusOr<std::unique_ptr<RocksStore>> RocksStore::OpenReadOnly(const std::string& dir,
                                                                     RocksOptions options) {
  absl::Status last;
  for (int i = 0; i < kReadOnlyTries; ++i) {
    if (i > 0) absl::SleepFor(kReadOnlyPause);
    auto impl = std::make_unique<Impl>();
    impl->dir = dir;
    // HEAD first: a live writer goes on meanwhile, and what HEAD names is in the log before HEAD
    // names it.
    AQ_ASSIGN_OR_RETURN(HeadFile head, OpenHead(dir, false));
    impl->head_file.emplace(std::move(head));
    last = impl->OpenDatabase(Access::kRead);
    if (!last.ok()) continue;
    std::unique_ptr<RocksStore> store(new RocksStore(std::move(impl)));
    last = store->CheckHead(options);
    if (!last.ok()) continue;
    if (options.log) AQ_RETURN_IF_ERROR(store->SelectLog(*options.log));
    return store;
  }
  return last;
}

// The log against HEAD, and the newest links of its chain.
absl::Status RocksStore::CheckHead(const RocksOptions& options) {
  const CommitMark told = impl_->head_file->mark();
  AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> stored, impl_->Get(kMeta, SliceOf(kCommitKey)));
  const std::optional<CommitMark> here = stored ? ParseMark(*stored) : CommitMark{};
  if (!here)
    return DataLoss(
        "the commit mark in ", impl_->dir, " is malformed: restore the state directory");
  const std::string both = Join("HEAD names commit ",
                                told.commit,
                                ", ",
                                told.records,
                                " records, hash ",
                                ToHex(told.leaf),
                                "; the log has commit ",
                                here->commit,
                                ", ",
                                here->records,
                                " records, hash ",
                                ToHex(here->leaf));
  if (here->commit < told.commit || here->records < told.records) {
    return DataLoss("the log in ",
                    impl_->dir,
                    " has lost records that were acknowledged: ",
                    both,
                    ": restore the newer log, or start a new one");
  }
  // A crash between the log's sync and HEAD's leaves the log one commit ahead, never two.
  if (impl_->writable && here->commit > told.commit + 1) {
    return DataLoss("HEAD in ",
                    impl_->dir,
                    " is older than the log: ",
                    both,
                    ": restore the HEAD that belongs to it");
  }
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->mark = *here;
  }
  AQ_RETURN_IF_ERROR(LoadTree());
  if (told.records > 0) {
    std::optional<Digest> leaf;
    const std::shared_lock reading(impl_->db_mutex);
    AQ_RETURN_IF_ERROR(
        impl_->Leaves(0, told.records - 1, told.records, [&leaf](const Digest& l) { leaf = l; }));
    if (leaf != told.leaf)
      return DataLoss(
          "the log in ", impl_->dir, " is not the one that HEAD was written for: ", both);
  }
  AQ_RETURN_IF_ERROR(Annotate(Verify(options.verify_last), impl_->dir));
  return impl_->writable && *here != told ? impl_->head_file->Write(*here) : absl::OkStatus();
}

bool RocksStore::IsOpenElsewhere(const std::string& dir) {
  const int fd = ::open((dir + "/db/LOCK").c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return false;
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool held = ::fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  ::close(fd);
  return held;
}

absl::Status RocksStore::CommitAll(std::span<const Batch> batches) {
  if (!impl_->writable) return FailedPrecondition(impl_->dir, " is open for reading only");
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->broken.ok()) return impl_->broken;
  }
  const CommitMark mark = impl_->Mark();
  Span log = impl_->Log();
  const uint64_t base = log.base;
  AQ_RETURN_IF_ERROR(CheckBatches(batches, HeadOf(mark, base)));
  if (std::all_of(batches.begin(), batches.end(), [](const Batch& b) { return b.empty(); }))
    return absl::OkStatus();
  const CommitMark next = MarkAfter(batches, mark);
  AQ_RETURN_IF_ERROR(impl_->Write(batches, next, log));
  const absl::Status told = impl_->head_file->Write(next);
  if (!told.ok()) return impl_->Break(told);
  const std::lock_guard lock(impl_->mutex);
  impl_->mark = next;
  if (log.base != base) impl_->bases.push_back(log.base);
  impl_->places = next.records;
  impl_->log = log;
  return absl::OkStatus();
}

std::optional<Head> RocksStore::head() const {
  const std::lock_guard lock(impl_->mutex);
  return HeadOf(impl_->mark, impl_->log.base);
}
tlog::Edge RocksStore::edge() const { return impl_->Log().edge; }
uint64_t RocksStore::commits() const { return impl_->Mark().commit; }

absl::StatusOr<std::optional<Bytes>> RocksStore::GetObject(Shelf shelf, const Oid& oid) const {
  const std::shared_lock reading(impl_->db_mutex);
  return impl_->Get(kObjects, SliceOf(ObjectKey(shelf, oid)));
}

absl::StatusOr<std::optional<Bytes>> RocksStore::GetState(std::string_view name) const {
  const std::shared_lock reading(impl_->db_mutex);
  return impl_->Get(kState, SliceOf(name));
}

absl::Status RocksStore::ScanObjects(Shelf shelf, ObjectVisitor visit) const {
  const std::shared_lock reading(impl_->db_mutex);
  const uint8_t prefix = static_cast<uint8_t>(shelf);
  absl::Status broken;
  AQ_RETURN_IF_ERROR(impl_->Scan(kObjects, {&prefix, 1}, [&](ByteView key, ByteView value) {
    const std::optional<Oid> oid = Oid::From(key);
    if (!oid) broken = DataLoss("an object's key in ", impl_->dir, " has ", key.size(), " bytes");
    return oid && visit(*oid, value);
  }));
  return broken;
}

absl::Status RocksStore::ScanState(std::string_view prefix, StateVisitor visit) const {
  const std::shared_lock reading(impl_->db_mutex);
  return impl_->Scan(kState, AsBytes(prefix), [&](ByteView rest, ByteView value) {
    return visit(Join(prefix, AsText(rest)), value);
  });
}

absl::Status RocksStore::WalkLog(Seq first, Seq end, Order order, RecordVisitor visit) const {
  end = std::min<Seq>(end, size());
  if (first >= end) return absl::OkStatus();
  const std::shared_lock reading(impl_->db_mutex);
  const bool forward = order == Order::kOldestFirst;
  const uint64_t base = impl_->Base();
  AQ_ASSIGN_OR_RETURN(const auto it, impl_->Iterate(kLog));
  it->Seek(SliceOf(BeKey(base + (forward ? first : end - 1))));
  for (Seq i = first; i < end; ++i) {
    const Seq seq = forward ? i : end - 1 - (i - first);
    if (!it->Valid() || !Equal(BytesOf(it->key()), BeKey(base + seq))) {
      AQ_RETURN_IF_ERROR(Translate(it->status(), "reading", impl_->dir));
      return DataLoss("record ", seq, " is missing in ", impl_->dir);
    }
    AQ_ASSIGN_OR_RETURN(const bool more, impl_->Show(seq, BytesOf(it->value()), visit));
    if (!more) break;
    forward ? it->Next() : it->Prev();
  }
  return absl::OkStatus();
}

absl::Status RocksStore::WalkSubject(
    const Kid& subject, Seq first, Seq end, Order order, RecordVisitor visit) const {
  end = std::min<Seq>(end, size());
  if (first >= end) return absl::OkStatus();
  const std::shared_lock reading(impl_->db_mutex);
  const bool forward = order == Order::kOldestFirst;
  const uint64_t base = impl_->Base();
  AQ_ASSIGN_OR_RETURN(const auto it, impl_->Iterate(kSubject));
  if (forward)
    it->Seek(SliceOf(SubjectKey(subject, base + first)));
  else
    it->SeekForPrev(SliceOf(SubjectKey(subject, base + end - 1)));
  for (; it->Valid(); forward ? it->Next() : it->Prev()) {
    const ByteView key = BytesOf(it->key());
    if (key.size() != 24 || !Equal(key.first(16), subject)) break;
    const uint64_t place = LoadBe<uint64_t>(key.data() + 16);
    if (place < base + first || place >= base + end) break;
    const Seq seq = place - base;
    AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> value, impl_->Get(kLog, SliceOf(BeKey(place))));
    if (!value) return DataLoss("record ", seq, " is missing in ", impl_->dir);
    AQ_ASSIGN_OR_RETURN(const bool more, impl_->Show(seq, *value, visit));
    if (!more) break;
  }
  return Translate(it->status(), "reading", impl_->dir);
}

absl::Status RocksStore::WalkWhere(
    const Where& where, Seq first, Seq end, Order order, RecordVisitor visit) const {
  if (where.everything() || !impl_->HasBlocks()) return WalkLog(first, end, order, visit);
  end = std::min<Seq>(end, size());
  if (first >= end) return absl::OkStatus();
  const std::shared_lock reading(impl_->db_mutex);
  AQ_ASSIGN_OR_RETURN(const auto blocks, impl_->Iterate(kBlocks));
  AQ_ASSIGN_OR_RETURN(const auto log, impl_->Iterate(kLog));
  const uint64_t lowest = first / kBlockRecords, highest = (end - 1) / kBlockRecords;
  for (uint64_t i = lowest; i <= highest; ++i) {
    const uint64_t number = order == Order::kOldestFirst ? i : highest - (i - lowest);
    const std::optional<Block> block = impl_->TakeBlock(*blocks, number, order);
    const BlockHits hits = block ? block->Find(where) : BlockHits().set();
    if (hits.none()) continue;
    const std::pair<Seq, Seq> range = {std::max(first, number * kBlockRecords),
                                       std::min(end, (number + 1) * kBlockRecords)};
    AQ_ASSIGN_OR_RETURN(const bool more, impl_->ShowHits(*log, hits, range, order, visit));
    if (!more) break;
  }
  return Translate(blocks->status(), "reading", impl_->dir);
}

absl::StatusOr<Seq> RocksStore::SeqAt(uint64_t hlc) const {
  const std::shared_lock reading(impl_->db_mutex);
  AQ_ASSIGN_OR_RETURN(const auto it, impl_->Iterate(kTime));
  it->Seek(SliceOf(BeKey(hlc)));
  AQ_RETURN_IF_ERROR(Translate(it->status(), "reading", impl_->dir));
  if (!it->Valid()) return size();
  const ByteView value = BytesOf(it->value());
  if (value.size() != 8)
    return DataLoss("the time index in ", impl_->dir, " is malformed at hlc ", hlc);
  const uint64_t place = LoadBe<uint64_t>(value.data()), base = impl_->Base();
  return place < base ? 0 : std::min<Seq>(place - base, size());
}

// A row that is missing, of a log that an older program wrote, is computed from the level below.
absl::StatusOr<Bytes> RocksStore::ReadTile(const tlog::Tile& tile) const {
  const Span log = impl_->Log();
  const uint64_t first = tile.index * tlog::kTileWidth;
  const unsigned shift = tile.level * tlog::kTileHeight;
  if (tile.level > tlog::kTileLevelMax || tile.width == 0 || tile.width > tlog::kTileWidth ||
      tile.index > (tlog::kTreeSizeMax >> shift) || first + tile.width > (log.edge.size() >> shift))
    return NotFound(tlog::TilePath(tile), ": the log is not that long");
  const std::shared_lock reading(impl_->db_mutex);
  return impl_->ReadTile(log.base, tile);
}

absl::StatusOr<std::vector<RocksStore::Log>> RocksStore::Logs() const {
  std::vector<uint64_t> bases;
  uint64_t end = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    bases = impl_->bases;
    end = impl_->places;
  }
  std::vector<Log> out;
  const std::shared_lock reading(impl_->db_mutex);
  for (size_t i = 0; i < bases.size(); ++i) {
    Log log{std::nullopt, (i + 1 < bases.size() ? bases[i + 1] : end) - bases[i]};
    if (log.records != 0) {
      AQ_ASSIGN_OR_RETURN(const auto row, impl_->Get(kLog, SliceOf(BeKey(bases[i]))));
      auto record = row && row->size() > 32
                        ? authority::ParseBody<authority::Observe>(ByteView(*row).subspan(32))
                        : absl::StatusOr<authority::Observe>(DataLoss("it is not there"));
      if (!record.ok())
        return DataLoss(
            "the first record of log ", i, " in ", impl_->dir, ": ", Text(record.status()));
      log.kid = record->log;
    }
    out.push_back(log);
  }
  return out;
}

// Shows another of the logs there were.
absl::Status RocksStore::SelectLog(const Kid& kid) {
  AQ_ASSIGN_OR_RETURN(const std::vector<Log> logs, Logs());
  for (size_t i = 0; i < logs.size(); ++i) {
    if (logs[i].kid != kid) continue;
    if (i + 1 == logs.size()) return absl::OkStatus();
    {
      const std::lock_guard lock(impl_->mutex);
      impl_->log = {impl_->bases[i], {}};
      impl_->mark.records = impl_->bases[i] + logs[i].records;
    }
    AQ_RETURN_IF_ERROR(BuildTree());
    const std::lock_guard lock(impl_->mutex);
    AQ_ASSIGN_OR_RETURN(const auto row, impl_->Get(kLog, SliceOf(BeKey(impl_->mark.records - 1))));
    if (row && row->size() > 32) impl_->mark.leaf = *Digest::From(ByteView(*row).first(32));
    return absl::OkStatus();
  }
  return NotFound("log ", ToHex(kid), " is not in ", impl_->dir);
}

// The tree of the newest log: as it was stored, or made anew where an older program stored none.
absl::Status RocksStore::LoadTree() {
  AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> logs, impl_->Get(kMeta, SliceOf(kLogsKey)));
  AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> stored, impl_->Get(kMeta, SliceOf(kEdgeKey)));
  uint64_t size = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    if (logs) {
      auto bases = ParseBases(*logs);
      if (!bases || bases->back() > impl_->mark.records)
        return DataLoss(
            "the list of logs in ", impl_->dir, " is malformed: restore the state directory");
      impl_->bases = *std::move(bases);
    }
    impl_->log.base = impl_->bases.back();
    impl_->places = impl_->mark.records;
    size = impl_->mark.records - impl_->log.base;
  }
  if (!stored) return BuildTree();
  auto edge = tlog::Edge::Parse(*stored);
  if (!edge.ok() || edge->size() != size) return BuildTree();
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->log.edge = *edge;
  }
  // The stored edge against the stored tiles and leaves.
  tlog::Prover prover(
      size, edge->Root(), [this](const tlog::Tile& tile) { return ReadTile(tile); });
  return Annotate(prover.EdgeAt(size).status(), Join("the tree in ", impl_->dir));
}

absl::Status RocksStore::BuildTree() {
  Span log{impl_->Base(), {}};
  const uint64_t size = impl_->Mark().records - log.base;
  while (log.edge.size() < size) {
    rocksdb::WriteBatch rows;
    const uint64_t first = log.edge.size();
    const std::shared_lock reading(impl_->db_mutex);
    AQ_RETURN_IF_ERROR(
        impl_->Leaves(log.base, first, std::min(size, first + kTreeStep), [&](const Digest& leaf) {
          log.edge.Append(leaf, [&](const tlog::TileEntry& made) {
            if (made.level == 0) return;
            rows.Put(impl_->in[kTile],
                     SliceOf(TileKey(made.level, log.base + made.index)),
                     SliceOf(made.hash.view()));
          });
        }));
    // Not synced: a row that is lost is computed again.
    if (impl_->writable)
      AQ_RETURN_IF_ERROR(Translate(
          impl_->db->Write(rocksdb::WriteOptions(), &rows), "writing the tree of", impl_->dir));
  }
  const std::lock_guard lock(impl_->mutex);
  impl_->log = log;
  return absl::OkStatus();
}

// Not synced: it becomes durable with the next commit, and what is lost is folded again.
absl::Status RocksStore::PutSnapshot(const Snapshot& snapshot) {
  if (!impl_->writable) return FailedPrecondition(impl_->dir, " is open for reading only");
  const std::shared_lock reading(impl_->db_mutex);
  if (impl_->db == nullptr) return impl_->Closed();
  const Digest hash = SnapshotHash(snapshot.records, snapshot.state);
  rocksdb::WriteBatch batch;
  batch.Put(impl_->in[kSnapshot],
            SliceOf(BeKey(snapshot.records)),
            SliceOf(Concat({hash, snapshot.state})));
  return Translate(impl_->db->Write(rocksdb::WriteOptions(), &batch), "writing", impl_->dir);
}

absl::StatusOr<std::optional<Snapshot>> RocksStore::SnapshotAt(uint64_t records) const {
  const std::shared_lock reading(impl_->db_mutex);
  AQ_ASSIGN_OR_RETURN(const auto it, impl_->Iterate(kSnapshot));
  const uint64_t base = impl_->Base();
  for (it->SeekForPrev(SliceOf(BeKey(base + records))); it->Valid(); it->Prev()) {
    const ByteView key = BytesOf(it->key()), value = BytesOf(it->value());
    if (key.size() != 8 || value.size() < Digest::kSize) continue;
    if (LoadBe<uint64_t>(key.data()) <= base) break;  // of the log before
    const uint64_t count = LoadBe<uint64_t>(key.data()) - base;
    const ByteView state = value.subspan(Digest::kSize);
    if (!Equal(SnapshotHash(count, state), value.first(Digest::kSize))) continue;
    return Snapshot{count, Bytes(state.begin(), state.end())};
  }
  // A block that rotted ends the search: what lies before it cannot be reached by going back.
  if (it->status().IsCorruption()) return std::optional<Snapshot>();
  AQ_RETURN_IF_ERROR(Translate(it->status(), "reading", impl_->dir));
  return std::optional<Snapshot>();
}

}  // namespace aqmesh::lineage
