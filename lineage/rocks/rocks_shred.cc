// What was deleted as a secret leaves the files, too: memtables, write-ahead logs and old tables.
#include "lineage/rocks/rocks_impl.h"

namespace aqmesh::lineage {

// The mark that it is due was durable with the deletes; it goes when all of it is done, so that a
// crash in between leaves it to the next start.
absl::Status RocksStore::Impl::Shred() {
  const std::shared_lock reading(db_mutex);
  AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> due, Get(kMeta, SliceOf(kShredKey)));
  if (!due) return absl::OkStatus();
  // Once all families are flushed no log file is needed any more, and those that are not are gone.
  const std::vector<rocksdb::ColumnFamilyHandle*> all(in.begin(), in.end());
  AQ_RETURN_IF_ERROR(Translate(db->Flush(rocksdb::FlushOptions(), all), "flushing", dir));
  rocksdb::CompactRangeOptions whole;
  whole.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  AQ_RETURN_IF_ERROR(
      Translate(db->CompactRange(whole, in[kState], nullptr, nullptr), "compacting", dir));
  rocksdb::WriteOptions synced;
  synced.sync = true;
  return Translate(db->Delete(synced, in[kMeta], SliceOf(kShredKey)), "writing", dir);
}

}  // namespace aqmesh::lineage
