// The database behind RocksStore: opening, writing, and coming back from a full disk.
#include "lineage/rocks/rocks_impl.h"

#include <fcntl.h>
#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "core/base/check.h"
#include "lineage/rocks/table_check.h"

namespace aqmesh::lineage {

namespace {

constexpr size_t kMemtableBytes = 8u << 20;
constexpr size_t kMemtablesBytes = 24u << 20;  // of all families together
constexpr size_t kCacheBytes = 8u << 20;
constexpr uint64_t kWalBytes = 64u << 20;
constexpr size_t kGroupKept = 2u << 20;  // of memory for the next commit
constexpr off_t kRoomBytes = 32 << 20;   // kMemtablesBytes and some
constexpr int kOpenFiles = 256;
// Indexes of older builds. Time rises along a log: it is its own index (SeqAt). Of subjects, a row
// a record: LoadSubjects.
constexpr std::string_view kTimeIndex = "idx_time", kSubjectIndex = "idx_subject";

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

void ComposeRecord(const RecordEntry& entry,
                   uint64_t base,
                   const Handles& in,
                   rocksdb::WriteBatch& out) {
  uint8_t place[8];
  StoreBe(place, base + entry.seq);
  const rocksdb::Slice key = SliceOf(ByteView(place)),
                       value[] = {SliceOf(entry.leaf.view()), SliceOf(entry.body)};
  out.Put(in[kLog], rocksdb::SliceParts(&key, 1), rocksdb::SliceParts(value, 2));
}

// The leaves of one log, gathered: their tree is made level by level.
void ComposeTree(std::vector<Digest>& leaves,
                 Span& log,
                 const Handles& in,
                 rocksdb::WriteBatch& out) {
  log.edge.Append(leaves, [&](const tlog::TileEntry& made) {
    if (made.level == 0) return;
    out.Put(
        in[kTile], SliceOf(TileKey(made.level, log.base + made.index)), SliceOf(made.hash.view()));
  });
  leaves.clear();
}

void ComposeBlock(const Block& block,
                  uint64_t number,
                  const Handles& in,
                  rocksdb::WriteBatch& out) {
  out.Put(in[kBlocks], SliceOf(BeKey(number)), SliceOf(block.Encode()));
  for (const auto& [kid, hits] : block.subjects())
    out.Put(in[kSubjects], SliceOf(SubjectKey(kid, number)), SliceOf(EncodeHits(hits)));
}

// `log`: as it was, and then as it will be.
void Compose(std::span<const Batch> batches,
             Span& log,
             Block& block,
             const Handles& in,
             rocksdb::WriteBatch& out) {
  std::vector<Digest> leaves;
  for (const Batch& batch : batches) {
    if (batch.begins_log) {
      ComposeTree(leaves, log, in, out);
      log = {log.base + log.edge.size(), {}, {}};
      block = Block();
      out.DeleteRange(in[kState], SliceOf(kSeenPrefix), SliceOf(kSeenEnd));  // the old log's
    }
    for (const RecordEntry& entry : batch.records) {
      ComposeRecord(entry, log.base, in, out);
      leaves.push_back(entry.leaf);
      block.Add(entry);
      if (!block.full()) continue;
      ComposeBlock(block, log.base + entry.seq / kBlockRecords, in, out);
      block = Block();
    }
    for (const ObjectEntry& o : batch.objects)
      out.Put(in[kObjects], SliceOf(ObjectKey(o.shelf, o.oid)), SliceOf(o.bytes));
    for (const std::string& name : batch.deletes) out.Delete(in[kState], SliceOf(name));
    for (const StatePut& put : batch.puts)
      out.Put(in[kState], SliceOf(put.name), SliceOf(put.value));
  }
  ComposeTree(leaves, log, in, out);
}

// The families that a database has; none if it cannot be asked: opening then says why.
std::vector<std::string> FamiliesThere(const rocksdb::DBOptions& options, const std::string& path) {
  std::vector<std::string> names;
  if (!rocksdb::DB::ListColumnFamilies(options, path, &names).ok()) names.clear();
  return names;
}

}  // namespace

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

absl::Status RocksStore::Impl::OpenDatabase(Access access) {
  const std::string path = dir + "/db";
  AQ_RETURN_IF_ERROR(CheckTables(path));
  const bool fresh = access == Access::kWrite && head_file->mark().commit == 0;
  rocksdb::DBOptions options = DatabaseOptions(fresh);
  // All tables at once: beside it a writer may remove those that a reader has not opened yet.
  if (access == Access::kRead) options.max_open_files = -1;
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
    for (const std::string_view old : {kTimeIndex, kSubjectIndex}) {
      if (std::ranges::find(there, old) == there.end()) continue;
      if (access == Access::kWrite)
        families.emplace_back(std::string(old), families.front().options);
      // Until the old index is gone the new one may lack rows.
      if (access == Access::kRead && old == kSubjectIndex)
        std::erase_if(families, [](const auto& f) { return f.name == kFamilyNames[kSubjects]; });
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
    if (handle->GetName() == kSubjectIndex) {
      old_subjects = handle;
      continue;
    }
    const auto name = std::ranges::find(kFamilyNames, handle->GetName());
    if (name == kFamilyNames.end()) {  // kTimeIndex
      const rocksdb::Status dropped = db->DropColumnFamily(handle);
      db->DestroyColumnFamilyHandle(handle);
      AQ_RETURN_IF_ERROR(Translate(dropped, "dropping an index of", path));
      continue;
    }
    in[static_cast<size_t>(name - kFamilyNames.begin())] = handle;
  }
  return absl::OkStatus();
}

absl::Status RocksStore::Impl::Break(const absl::Status& why) {
  const std::lock_guard lock(mutex);
  broken = Unavailable(Text(why), ": nothing more is written until aqmeshd is restarted");
  return broken;
}

void RocksStore::Impl::CloseDatabase() {
  const auto close = [this](rocksdb::ColumnFamilyHandle*& handle) {
    if (handle != nullptr) db->DestroyColumnFamilyHandle(handle);
    handle = nullptr;
  };
  for (rocksdb::ColumnFamilyHandle*& handle : in) close(handle);
  close(old_subjects);
  db.reset();
}

absl::Status RocksStore::Impl::Resume(const CommitMark& next) {
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
    return Break(
        DataLoss("the log in ", dir, " came back from a full disk with other records than it had"));
  full = false;
  return absl::OkStatus();
}

Bytes RocksStore::Impl::EncodeBases(uint64_t newest) const {
  const std::lock_guard lock(mutex);
  Bytes out;
  for (const uint64_t base : bases) AppendBe(out, base);
  AppendBe(out, newest);
  return out;
}

absl::Status RocksStore::Impl::Full(std::string_view why) {
  full = true;
  return ResourceExhausted("writing ",
                           dir,
                           ": the disk is full (",
                           why,
                           "): free some space; nobody new is admitted until then");
}

absl::Status RocksStore::Impl::Write(std::span<const Batch> batches,
                                     const CommitMark& next,
                                     Span& to) {
  if (full) {
    const absl::Status resumed = Resume(next);
    if (full) return absl::IsUnavailable(Broken()) ? Broken() : Full(Text(resumed));
  }
  if (group.GetDataSize() > kGroupKept) group = rocksdb::WriteBatch();
  group.Clear();
  const uint64_t base = to.base;
  Block block = tail;
  Compose(batches, to, block, in, group);
  group.Put(in[kMeta], SliceOf(kCommitKey), SliceOf(EncodeMark(next)));
  Bytes edge;
  to.edge.AppendTo(edge);
  group.Put(in[kMeta], SliceOf(kEdgeKey), SliceOf(edge));
  const bool shreds = std::ranges::any_of(batches, &Batch::shreds);
  if (shreds) group.Put(in[kMeta], SliceOf(kShredKey), rocksdb::Slice());
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

}  // namespace aqmesh::lineage
