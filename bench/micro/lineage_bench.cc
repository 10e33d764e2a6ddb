// Records made durable: the store and its writer's group commit, against bare RocksDB writing
// bodies of the same size under one synced WriteBatch. The directory is AQMESH_BENCH_DIR's, which
// must be on a real disk.
#include <absl/synchronization/mutex.h>
#include <rocksdb/db.h>

#include "bench/micro/bench.h"
#include "bench/micro/lineage_story.h"
#include "lineage/rocks/rocks_store.h"
#include "lineage/rocks/snapshot_keeper.h"
#include "lineage/rocks/writer.h"

namespace aqmesh::bench {

namespace {

constexpr size_t kStream = 4'096;  // fewer than the writer's queue holds

void CountRecords(benchmark::State& state, size_t records) {
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(records));
}

// Chained, hashed, indexed, committed.
void Commit(benchmark::State& state, size_t records) {
  const Directory dir;
  auto store = lineage::RocksStore::Open(dir.store());
  AQ_CHECK(store.ok());
  lineage::Chain chain(LogKey());
  for (auto _ : state) AQ_CHECK((*store)->Commit(NextBatch(chain, records)).ok());
  CountRecords(state, records);
}

// The same with the thread that folds the log as it grows.
void CommitKept(benchmark::State& state, size_t records) {
  const Directory dir;
  auto store = lineage::RocksStore::Open(dir.store());
  AQ_CHECK(store.ok());
  lineage::SnapshotKeeper keeper(**store);
  lineage::Chain chain(LogKey());
  for (auto _ : state) {
    AQ_CHECK((*store)->Commit(NextBatch(chain, records)).ok());
    keeper.Poke(chain.next());
  }
  CountRecords(state, records);
}

// As the daemon does it: one batch a decision, groups as they form, the end waits for the last ack.
void Stream(benchmark::State& state) {
  const Directory dir;
  auto store = lineage::RocksStore::Open(dir.store());
  AQ_CHECK(store.ok());
  absl::Mutex mutex;
  lineage::Ticket durable = 0, taken = 0;
  lineage::Writer writer(**store, {}, [&](const lineage::Ack& ack) {
    AQ_CHECK(ack.status.ok());
    absl::MutexLock lock(&mutex);
    durable = ack.ticket;
  });
  lineage::Chain chain(LogKey());
  for (auto _ : state) {
    for (size_t i = 0; i < kStream; ++i) {
      lineage::Batch batch = NextBatch(chain, 1);
      const auto ticket = writer.TryEnqueue(batch);
      AQ_CHECK(ticket.has_value());
      taken = *ticket;
    }
    absl::MutexLock lock(&mutex);
    const auto all = [&durable, &taken] { return durable >= taken; };
    mutex.Await(absl::Condition(&all));
  }
  CountRecords(state, kStream);
}

void Bare(benchmark::State& state, size_t records) {
  const Directory dir;
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;
  rocksdb::DB* opened = nullptr;
  AQ_CHECK(rocksdb::DB::Open(options, dir.store(), &opened).ok());
  const std::unique_ptr<rocksdb::DB> db(opened);
  lineage::Chain chain(LogKey());
  const Bytes body = chain.Add(Decided(), WallTime::FromSeconds(kStart)).body;
  const rocksdb::Slice value(AsText(body).data(), body.size());
  rocksdb::WriteOptions synced;
  synced.sync = true;
  uint64_t seq = 0;
  for (auto _ : state) {
    rocksdb::WriteBatch batch;
    for (size_t i = 0; i < records; ++i) {
      uint8_t key[8];
      StoreBe(key, seq++);
      AQ_CHECK(batch.Put({AsText(key).data(), sizeof key}, value).ok());
    }
    AQ_CHECK(db->Write(synced, &batch).ok());
  }
  CountRecords(state, records);
}

}  // namespace

void RegisterLineage() {
  using benchmark::State;
  for (const size_t records : {size_t{1}, size_t{64}, size_t{1024}, size_t{4096}}) {
    const std::string task = "lineage append, synced, " + std::to_string(records) + " a batch";
    Measure(task, "store", [records](State& s) { Commit(s, records); })->UseRealTime();
    if (records == 4096)
      Measure(task, "store, with snapshots", [records](State& st) {
        CommitKept(st, records);
      })->UseRealTime();
    if (records == 1024) Measure(task, "writer, as groups form", Stream)->UseRealTime();
    Measure(task, "=bare RocksDB", [records](State& s) { Bare(s, records); })->UseRealTime();
  }
}

}  // namespace aqmesh::bench
