// Questions in SQL to a store that is made once: AQMESH_BENCH_SQL_RECORDS records (a million; ten
// for the figure of spec/lineage.md §6.1) of ten thousand subjects. Yardsticks: the store's own
// walk.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "bench/micro/bench.h"
#include "core/authority/signed.h"
#include "core/base/check.h"
#include "lineage/rocks/rocks_store.h"
#include "lineage/sql/database.h"

namespace aqmesh::bench {

namespace {

constexpr uint64_t kStart = 1'700'000'000;
constexpr uint32_t kSubjects = 10'000;

Kid SubjectOf(uint64_t n) {
  Kid kid;
  kid.bytes.fill(7);
  StoreBe(kid.bytes.data(), static_cast<uint32_t>(n * 2'654'435'761u % kSubjects));
  return kid;
}

// As a busy log has them: of ten records one decides, four install, four are flows, one is of
// drops; each hundredth decision refuses.
authority::Observe RecordOf(uint64_t n) {
  using authority::RecordKind;
  authority::Observe r;
  r.subject = SubjectOf(n / 10);
  const uint64_t step = n % 10;
  if (step == 0) {
    r.kind = RecordKind::kDecided;
    r.scope.emplace().bytes.fill(1);
    r.authority.emplace().bytes.fill(3);
    StoreBe(r.authority->bytes.data(), n / 1'000);
    r.inputs.emplace().bytes.fill(4);
    r.gates = authority::Gates{6, 6, 6, 6, 6, 6};
    r.ladm = 49'152;
    r.slope = 65'600;
    r.rung = n % 1'000 == 0 ? authority::Rung::kRefuse : authority::Rung::kAdmit;
    r.action = 3;
  } else if (step < 5) {
    r.kind = static_cast<RecordKind>(static_cast<uint8_t>(RecordKind::kArmed) + step - 1);
    r.action = 3;
    r.rung = authority::Rung::kAdmit;
    StoreBe(r.action_id.emplace().bytes.data(), n / 10);
    r.intent_gen = 1;
  } else if (step < 9) {
    r.kind = RecordKind::kFlow;
    r.flow.emplace();
    r.flow->frames = n % 977 + 1;
    r.flow->bytes = (n % 977 + 1) * 800;
    r.flow->tags.bytes.fill(5);
    r.flow->presentations = {Oid{}};
    r.flow->presentations[0].bytes.fill(6);
  } else {
    r.kind = n % 1'000'000 == 9 ? RecordKind::kRevokeSeen : RecordKind::kProposed;
    r.rung = authority::Rung::kConstrain;
  }
  return r;
}

struct Made {
  std::string path;
  std::unique_ptr<lineage::RocksStore> store;
  std::unique_ptr<lineage::sql::Database> db;
  uint64_t encoded_bytes = 0;

  Made() {
    const char* base = std::getenv("AQMESH_BENCH_DIR");
    const char* count = std::getenv("AQMESH_BENCH_SQL_RECORDS");
    const uint64_t records = count != nullptr ? std::strtoull(count, nullptr, 10) : 1'000'000;
    path =
        (base != nullptr ? std::filesystem::path(base) : std::filesystem::temp_directory_path()) /
        "sql-XXXXXX";
    AQ_CHECK(::mkdtemp(path.data()) != nullptr);
    auto opened = lineage::RocksStore::Open(path + "/store");
    AQ_CHECK(opened.ok());
    lineage::Chain chain(SubjectOf(kSubjects));
    while (chain.next() < records) {
      lineage::Batch batch;
      for (size_t i = 0; i < lineage::kGroupRecordsMax && chain.next() < records; ++i) {
        batch.records.push_back(
            chain.Add(RecordOf(chain.next()), WallTime::FromSeconds(kStart + chain.next() / 50)));
        encoded_bytes += batch.records.back().body.size();
      }
      AQ_CHECK((*opened)->Commit(batch).ok());
    }
    opened->reset();  // and as the CLI finds it
    auto reader = lineage::RocksStore::OpenReadOnly(path + "/store");
    AQ_CHECK(reader.ok());
    store = *std::move(reader);
    auto asked = lineage::sql::Database::Open({{"here", store.get()}}, {});
    AQ_CHECK(asked.ok());
    db = *std::move(asked);
  }
  ~Made() { std::filesystem::remove_all(path); }
  Made(const Made&) = delete;
  Made& operator=(const Made&) = delete;

  double BytesPerByte() const {
    uint64_t on_disk = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(path)) {
      if (file.is_regular_file()) on_disk += file.file_size();
    }
    return static_cast<double>(on_disk) / static_cast<double>(encoded_bytes);
  }
};

const Made& Store() {
  static const Made made;
  return made;
}

class Counted final : public lineage::sql::Answer {
 public:
  bool Columns(std::span<const std::string>) override { return true; }
  bool Row(std::span<const lineage::sql::Value>) override {
    ++rows;
    return true;
  }
  uint64_t rows = 0;
};

void Ask(benchmark::State& state, const std::string& sql, bool by_subject) {
  const Made& made = Store();
  uint64_t n = 0, rows = 0;
  for (auto _ : state) {
    Counted answer;
    std::vector<lineage::sql::Param> params;
    if (by_subject) params.push_back({"subject", ToHex(SubjectOf(n++ * 7'919))});
    AQ_CHECK(made.db->Run(sql, params, answer).ok());
    rows += answer.rows;
  }
  state.counters["rows"] =
      benchmark::Counter(static_cast<double>(rows), benchmark::Counter::kAvgIterations);
  state.counters["disk/encoded"] = made.BytesPerByte();
}

void Walk(benchmark::State& state, bool by_subject, const lineage::Where& where) {
  const lineage::Store& store = *Store().store;
  uint64_t n = 0;
  for (auto _ : state) {
    uint64_t bytes = 0;
    const auto visit = [&bytes](lineage::Seq, const Digest&, ByteView body) {
      const auto record = authority::ParseBody<authority::Observe>(body);
      AQ_CHECK(record.ok());
      bytes += record->hlc & 1;
      return true;
    };
    const auto order = lineage::Order::kOldestFirst;
    AQ_CHECK((by_subject
                  ? store.WalkSubject(SubjectOf(n++ * 7'919), 0, lineage::kSeqEnd, order, visit)
                  : store.WalkWhere(where, 0, lineage::kSeqEnd, order, visit))
                 .ok());
    benchmark::DoNotOptimize(bytes);
  }
}

}  // namespace

void RegisterSql() {
  using benchmark::State;
  struct Question {
    const char* task;
    const char* sql;
    bool by_subject;
    lineage::Where where;
  };
  const std::vector<Question> questions = {
      {"sql one subject",
       "SELECT seq, time, kind, outcome FROM records WHERE subject = :subject",
       true,
       {}},
      {"sql newest decisions of a subject",
       "SELECT time, outcome, reason FROM decisions WHERE subject = :subject ORDER BY seq DESC "
       "LIMIT 10",
       true,
       {}},
      {"sql one kind, rare",
       "SELECT seq FROM records WHERE kind = 'revoke_seen'",
       false,
       {.kinds = lineage::Where::Kind(authority::RecordKind::kRevokeSeen)}},
      {"sql refusals, one in a thousand",
       "SELECT seq FROM records WHERE outcome = 'REFUSE'",
       false,
       {.rungs = lineage::Where::Rung(authority::Rung::kRefuse)}},
      {"sql every record", "SELECT kind, count(*) FROM records GROUP BY kind", false, {}}};
  for (const Question& q : questions) {
    Measure(q.task, "sql", [q](State& s) { Ask(s, q.sql, q.by_subject); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
    Measure(q.task, "=store, parsed", [q](State& s) { Walk(s, q.by_subject, q.where); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  }
}

}  // namespace aqmesh::bench
