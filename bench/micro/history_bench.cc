// The state at an instant: what a record costs to fold, and what any moment of a long log costs to
// show, from its snapshots. AQMESH_BENCH_RECORDS sets how long it is (1,000,000).
#include "bench/micro/bench.h"
#include "bench/micro/lineage_story.h"
#include "core/authority/signed.h"
#include "core/base/rng.h"
#include "lineage/history/replay.h"
#include "lineage/rocks/rocks_store.h"

namespace aqmesh::bench {

namespace {

constexpr size_t kSubjects = 100;
constexpr size_t kGroup = 4'096;

// A life of one session, over and over: decided, armed, applied, verified, committed, then flows.
authority::Observe Next(uint64_t n) {
  authority::Observe r = Decided();
  StoreBe(r.subject->data(), n / 8 % kSubjects);
  StoreBe(r.authority->data(), n / 8);
  const uint64_t step = n % 8;
  if (step == 0) return r;
  r.authority.reset();
  r.inputs.reset();
  r.gates.reset();
  r.ladm = r.slope = 0;
  if (step < 5) {
    r.kind = static_cast<authority::RecordKind>(
        static_cast<uint64_t>(authority::RecordKind::kArmed) + step - 1);
    StoreBe(r.action_id.emplace().data(), n / 8 + 1);
    return r;
  }
  r.kind = authority::RecordKind::kFlow;
  r.rung = authority::Rung::kNone;
  r.action = 0;
  r.flow = authority::FlowSummary{.frames = 1'000,
                                  .bytes = 1'000'000,
                                  .first = 1,
                                  .last = 1'000,
                                  .tags = {},
                                  .presentations = {}};
  r.flow->tags.bytes.fill(7);
  r.flow->presentations.emplace_back().bytes.fill(8);
  return r;
}

lineage::RecordEntry Entry(lineage::Chain& chain) {
  return chain.Add(Next(chain.next()), WallTime::FromSeconds(kStart + chain.next() / 1'000));
}

std::vector<lineage::RecordEntry> SomeRecords() {
  lineage::Chain chain(LogKey());
  std::vector<lineage::RecordEntry> out;
  for (size_t i = 0; i < kGroup; ++i) out.push_back(Entry(chain));
  return out;
}

void ParseAlone(benchmark::State& state) {
  const auto records = SomeRecords();
  size_t i = 0;
  for (auto _ : state) {
    auto r = authority::ParseBody<authority::Observe>(records[i++ % kGroup].body);
    benchmark::DoNotOptimize(r);
  }
  state.SetItemsProcessed(state.iterations());
}

void Fold(benchmark::State& state) {
  const auto records = SomeRecords();
  lineage::State folded;
  size_t i = 0;
  for (auto _ : state) {
    const lineage::RecordEntry& e = records[i++ % kGroup];
    folded.Apply(*authority::ParseBody<authority::Observe>(e.body), e.leaf);
  }
  state.SetItemsProcessed(state.iterations());
}

// A log in bulk commits, with the snapshots that the daemon would have made.
struct LongLog {
  explicit LongLog(uint64_t records) {
    auto opened = lineage::RocksStore::Open(dir.store());
    AQ_CHECK(opened.ok());
    store = *std::move(opened);
    lineage::Chain chain(LogKey());
    lineage::Snapshots snapshots(*store);
    while (chain.next() < records) {
      lineage::Batch batch;
      for (size_t i = 0; i < kGroup; ++i) batch.records.push_back(Entry(chain));
      AQ_CHECK(store->Commit(batch).ok());
      AQ_CHECK(snapshots.TakeNext().ok());
    }
    last = chain.clock().last();
  }
  Directory dir;
  std::unique_ptr<lineage::RocksStore> store;
  uint64_t last = 0;  // hlc
};

uint64_t Records() {
  const char* text = std::getenv("AQMESH_BENCH_RECORDS");
  return text == nullptr ? 1'000'000 : std::strtoull(text, nullptr, 10);
}

void AtRandom(benchmark::State& state) {
  static const LongLog log(Records());
  Rng rng{Rng::Seed{}};
  const uint64_t first = lineage::HlcFromMillis(kStart * 1'000);
  double worst = 0;
  for (auto _ : state) {
    const auto began = std::chrono::high_resolution_clock::now();
    const auto at = lineage::StateAt(*log.store, first + rng.Below(log.last - first));
    AQ_CHECK(at.ok());
    benchmark::DoNotOptimize(*at);
    const std::chrono::duration<double> took = std::chrono::high_resolution_clock::now() - began;
    worst = std::max(worst, took.count());
  }
  state.counters["worst_ms"] = worst * 1e3;
  state.counters["records"] = static_cast<double>(log.store->size());
}

}  // namespace

void RegisterHistory() {
  Measure("lineage fold, a record", "parsed and folded", Fold);
  Measure("lineage fold, a record", "=parsed", ParseAlone);
  Measure("lineage state at a random instant", "from snapshots", AtRandom)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

}  // namespace aqmesh::bench
