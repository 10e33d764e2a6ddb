// What the lineage costs, in one run: records ingested against a bare RocksDB writing the same
// bytes, durable ones one by one against fdatasync of a file, then one long log: its size, a
// question about one subject, a full audit.
//   aqmesh-lineage-load DIR [--rounds N] [--records N]
// DIR must be on a real disk; what is written there is removed. Prints a JSON line a measurement:
// {"what", "round", fields}. Rounds are interleaved: ours, bare, ours, bare, ...
#include <absl/synchronization/mutex.h>
#include <fcntl.h>
#include <rocksdb/db.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "core/base/rng.h"
#include "core/base/status.h"
#include "core/crypto/keys.h"
#include "lineage/audit.h"
#include "lineage/heads.h"
#include "lineage/history/replay.h"
#include "lineage/rocks/rocks_store.h"
#include "lineage/rocks/writer.h"

namespace aqmesh::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kStart = 1'700'000'000;
constexpr size_t kGroup = 4'096;         // records a commit, where the writer is not asked
constexpr size_t kIngest = 50 * kGroup;  // a round
constexpr size_t kDurable = 400;         // commits one by one, a round
constexpr size_t kSubjects = 10'000;     // of the long log: a thousand records each in ten million
constexpr size_t kHeadEvery = 1'024;

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

// Of all threads of this process.
double CpuSeconds() {
  rusage r{};
  AQ_CHECK(::getrusage(RUSAGE_SELF, &r) == 0);
  const auto of = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return of(r.ru_utime) + of(r.ru_stime);
}

struct Spent {
  double wall = 0, cpu = 0;
};
void PrintRate(const char* what, const char* who, size_t round, uint64_t records, Spent spent) {
  const auto n = static_cast<double>(records);
  std::printf(
      R"({"what":"%s","who":"%s","round":%zu,"records":%.0f,"records_s":%.0f,"records_s_core":%.0f})"
      "\n",
      what,
      who,
      round,
      n,
      n / spent.wall,
      n / spent.cpu);
}
template <class F>
Spent Timed(F f) {
  const double cpu = CpuSeconds();
  const auto start = Clock::now();
  f();
  return {Seconds(Clock::now() - start), CpuSeconds() - cpu};
}

crypto::Ed25519Seed Seed() { return crypto::Ed25519Seed(Bytes(32, 5)); }
Kid LogKid() { return authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(Seed())); }

// A life of one session, over and over: decided, armed, applied, verified, committed, three flows.
authority::Observe Next(uint64_t n) {
  authority::Observe r;
  r.subject.emplace().bytes.fill(2);
  StoreBe(r.subject->data(), n / 8 % kSubjects);
  r.rung = authority::Rung::kAdmit;
  r.action = 3;
  const uint64_t step = n % 8;
  if (step == 0) {
    r.kind = authority::RecordKind::kDecided;
    r.scope.emplace().bytes.fill(1);
    r.authority.emplace().bytes.fill(3);
    StoreBe(r.authority->data(), n / 8 % kSubjects);
    r.inputs.emplace().bytes.fill(4);
    StoreBe(r.inputs->data(), n);
    r.gates = authority::Gates{6, 6, 6, 6, 6, 6};
    r.ladm = 49'152;
    r.slope = 65'600;
  } else if (step < 5) {
    r.kind = static_cast<authority::RecordKind>(
        static_cast<uint64_t>(authority::RecordKind::kArmed) + step - 1);
    StoreBe(r.action_id.emplace().data(), n / 8 + 1);
  } else {
    r.kind = authority::RecordKind::kFlow;
    r.rung = authority::Rung::kNone;
    r.action = 0;
    r.flow.emplace();
    r.flow->frames = r.flow->last = 1'000;
    r.flow->bytes = 1'000'000;
    r.flow->first = 1;
    r.flow->tags.bytes.fill(7);
    r.flow->presentations.emplace_back().bytes.fill(8);
  }
  return r;
}

WallTime TimeOf(uint64_t n) { return WallTime::FromSeconds(kStart + n / 1'000); }
lineage::RecordEntry Entry(lineage::Chain& chain) {
  return chain.Add(Next(chain.next()), TimeOf(chain.next()));
}

std::unique_ptr<lineage::RocksStore> Fresh(const std::string& dir) {
  fs::remove_all(dir);
  auto store = lineage::RocksStore::Open(dir);
  if (!store.ok()) std::fprintf(stderr, "%s\n", Text(store.status()).c_str());
  AQ_CHECK(store.ok());
  return *std::move(store);
}

// Records that are ready to be stored, a commit's worth in each; and what they weigh.
struct Ready {
  std::vector<lineage::Batch> groups;
  uint64_t bytes = 0;
};
Ready MakeReady() {
  Ready out;
  lineage::Chain chain(LogKid());
  for (size_t i = 0; i < kIngest; i += kGroup) {
    lineage::Batch& batch = out.groups.emplace_back();
    for (size_t j = 0; j < kGroup; ++j) {
      batch.records.push_back(Entry(chain));
      out.bytes += batch.records.back().body.size();
    }
  }
  return out;
}

void IngestOurs(const std::string& dir, const Ready& ready, size_t round) {
  const auto store = Fresh(dir + "/ours");
  const Spent spent = Timed([&] {
    for (const lineage::Batch& batch : ready.groups) AQ_CHECK(store->Commit(batch).ok());
  });
  PrintRate("ingest", "store", round, kIngest, spent);
}

void IngestBare(const std::string& dir, const Ready& ready, size_t round) {
  fs::remove_all(dir + "/bare");
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;
  options.write_buffer_size = 8u << 20;  // as RocksStore's
  rocksdb::DB* opened = nullptr;
  AQ_CHECK(rocksdb::DB::Open(options, dir + "/bare", &opened).ok());
  const std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const Spent spent = Timed([&] {
    for (const lineage::Batch& group : ready.groups) {
      rocksdb::WriteBatch batch;
      for (const lineage::RecordEntry& entry : group.records) {
        uint8_t key[8];
        StoreBe(key, entry.seq);
        AQ_CHECK(batch
                     .Put({AsText(key).data(), sizeof key},
                          {AsText(entry.body).data(), entry.body.size()})
                     .ok());
      }
      AQ_CHECK(db->Write(synced, &batch).ok());
    }
  });
  PrintRate("ingest", "bare RocksDB", round, kIngest, spent);
}

// The store with its writer, as a node has it: the engine chains a record, goes on, and hears
// later.
class Served {
 public:
  explicit Served(const std::string& dir)
      : store_(Fresh(dir)), chain_(LogKid()), writer_(*store_, {}, [this](const lineage::Ack& ack) {
          AQ_CHECK(ack.status.ok());
          absl::MutexLock lock(&mutex_);
          durable_ = ack.ticket;
        }) {}
  lineage::Ticket Send() {
    lineage::Batch batch;
    batch.records.push_back(Entry(chain_));
    while (true) {
      if (const auto ticket = writer_.TryEnqueue(batch)) return *ticket;
      Wait(taken_ > kGroup ? taken_ - kGroup : taken_);
    }
  }
  void Take(lineage::Ticket ticket) { taken_ = ticket; }
  void Wait(lineage::Ticket ticket) {
    absl::MutexLock lock(&mutex_);
    const auto there = [this, ticket] { return durable_ >= ticket; };
    mutex_.Await(absl::Condition(&there));
  }

 private:
  std::unique_ptr<lineage::RocksStore> store_;
  lineage::Chain chain_;
  absl::Mutex mutex_;
  lineage::Ticket durable_ = 0, taken_ = 0;
  lineage::Writer writer_;  // last: its thread uses the above
};

void Stream(const std::string& dir, size_t round) {
  Served served(dir + "/stream");
  const Spent spent = Timed([&] {
    lineage::Ticket last = 0;
    for (size_t i = 0; i < kIngest; ++i) served.Take(last = served.Send());
    served.Wait(last);
  });
  PrintRate("stream", "store", round, kIngest, spent);
}

double Percentile(std::vector<double>& of, size_t percent) {
  std::ranges::sort(of);
  return of[std::min(of.size() - 1, of.size() * percent / 100)];
}

// One record, and its answer; beside it, in turn, as many bytes appended to a file and synced.
void Durable(const std::string& dir, size_t round) {
  Served served(dir + "/durable");
  const std::string path = dir + "/synced";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  AQ_CHECK(fd >= 0);
  const Bytes some(512, 7);
  std::vector<double> ours, syncs;
  for (size_t i = 0; i < kDurable; ++i) {
    ours.push_back(1e3 * Timed([&] { served.Wait(served.Send()); }).wall);
    syncs.push_back(1e3 * Timed([&] {
                            AQ_CHECK(::write(fd, some.data(), some.size()) == ssize_t(some.size()));
                            AQ_CHECK(::fdatasync(fd) == 0);
                          }).wall);
  }
  ::close(fd);
  const double p99 = Percentile(ours, 99), sync = Percentile(syncs, 99);
  std::printf(
      R"({"what":"durable","who":"store","round":%zu,"p50_ms":%.4f,"p99_ms":%.4f,"fsync_p50_ms":%.4f,"fsync_p99_ms":%.4f,"over_ms":%.4f})"
      "\n",
      round,
      Percentile(ours, 50),
      p99,
      Percentile(syncs, 50),
      sync,
      p99 - sync);
}

uint64_t BytesIn(const std::string& dir) {
  uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

// A long log with a signed head each 1,024 records, and the snapshots that a node makes. How many
// bytes its records are.
uint64_t WriteLong(const std::string& dir, uint64_t records) {
  const auto store = Fresh(dir);
  const tlog::NoteSigner signer = lineage::LogSigner(Seed());
  lineage::Chain chain(LogKid());
  lineage::Snapshots snapshots(*store);
  uint64_t bytes = 0;
  tlog::Edge edge;
  while (chain.next() < records) {
    lineage::Batch batch;
    for (size_t i = 0; i < kGroup; ++i) {
      batch.records.push_back(Entry(chain));
      const lineage::RecordEntry& entry = batch.records.back();
      bytes += entry.body.size();
      edge.Append(entry.leaf);
      if (edge.size() % kHeadEvery != 0) continue;
      const auto head =
          tlog::SignCheckpoint({lineage::LogOrigin(LogKid()), edge.size(), edge.Root()}, signer);
      const std::string text = head.note.Text();
      batch.objects.push_back(
          {lineage::Shelf::kNote, tlog::NoteOid(head.note.text), Bytes(text.begin(), text.end())});
    }
    AQ_CHECK(store->Commit(batch).ok());
    AQ_CHECK(snapshots.TakeNext().ok());
  }
  return bytes;
}

void Ask(const lineage::Store& store, size_t round) {
  lineage::Filter filter;
  filter.limit = lineage::kQueryLimitMax;
  std::vector<double> ms;
  size_t found = 0;
  for (uint64_t subject = round; subject < kSubjects; subject += kSubjects / 50) {
    filter.subject = Next(subject * 8).subject;
    ms.push_back(1e3 * Timed([&] {
                         const auto rows = store.Query(filter);
                         AQ_CHECK(rows.ok());
                         found = rows->size();
                       }).wall);
  }
  std::printf(
      R"({"what":"query","who":"store","round":%zu,"found":%zu,"p50_ms":%.4f,"p99_ms":%.4f})"
      "\n",
      round,
      found,
      Percentile(ms, 50),
      Percentile(ms, 99));
}

void AtRandom(const lineage::Store& store, size_t round) {
  Rng rng{Rng::Seed{static_cast<uint8_t>(round)}};
  std::vector<double> ms;
  for (int i = 0; i < 50; ++i) {
    const uint64_t hlc = lineage::HlcFromMillis(TimeOf(rng.Below(store.size())).millis());
    ms.push_back(1e3 * Timed([&] { AQ_CHECK(lineage::StateAt(store, hlc).ok()); }).wall);
  }
  std::printf(R"({"what":"state","who":"store","round":%zu,"p50_ms":%.4f,"p99_ms":%.4f})"
              "\n",
              round,
              Percentile(ms, 50),
              Percentile(ms, 99));
}

void Audit(const lineage::Store& store, size_t round) {
  uint64_t records = 0;
  const Spent spent = Timed([&] {
    const auto report =
        lineage::AuditLog(store, lineage::LogNoteKey(crypto::Ed25519Public(Seed())), {});
    if (!report.ok()) std::fprintf(stderr, "%s\n", Text(report.status()).c_str());
    AQ_CHECK(report.ok() && report->heads == report->records / kHeadEvery);
    records = report->records;
  });
  PrintRate("verify", "store", round, records, spent);
}

void LongLog(const std::string& dir, uint64_t records, size_t rounds) {
  const uint64_t bytes = WriteLong(dir, records);
  const uint64_t stored = BytesIn(dir);
  std::printf(
      R"({"what":"size","who":"store","round":1,"record_bytes":%.0f,"store_bytes":%.0f,"ratio":%.4f})"
      "\n",
      static_cast<double>(bytes),
      static_cast<double>(stored),
      static_cast<double>(stored) / static_cast<double>(bytes));
  std::fflush(stdout);
  for (size_t round = 1; round <= rounds; ++round) {
    std::unique_ptr<lineage::RocksStore> store;
    const Spent opened = Timed([&] { store = *lineage::RocksStore::Open(dir); });
    std::printf(R"({"what":"open","who":"store","round":%zu,"s":%.6f})"
                "\n",
                round,
                opened.wall);
    Ask(*store, round);
    AtRandom(*store, round);
    Audit(*store, round);
    std::fflush(stdout);
  }
}

int Main(const std::string& dir, size_t rounds, uint64_t records) {
  const Ready ready = MakeReady();
  for (size_t round = 1; round <= rounds; ++round) {
    IngestOurs(dir, ready, round);
    IngestBare(dir, ready, round);
    Stream(dir, round);
    Durable(dir, round);
    std::fflush(stdout);
  }
  for (const char* name : {"/ours", "/bare", "/stream", "/durable", "/synced"})
    fs::remove_all(dir + name);
  LongLog(dir + "/long", records, rounds);
  fs::remove_all(dir + "/long");
  return 0;
}

uint64_t NumberOf(const char* text) {
  uint64_t out = 0;
  const char* end = text + std::strlen(text);
  const auto [at, error] = std::from_chars(text, end, out);
  if (error != std::errc() || at != end || out == 0) {
    std::fprintf(stderr, "aqmesh-lineage-load: `%s` is no number above 0\n", text);
    std::exit(2);
  }
  return out;
}

}  // namespace
}  // namespace aqmesh::bench

int main(int argc, char** argv) {
  size_t rounds = 3;
  uint64_t records = 10'000'000;
  bool understood = argc >= 2 && argc % 2 == 0;
  for (int i = 2; understood && i < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--rounds")
      rounds = aqmesh::bench::NumberOf(argv[i + 1]);
    else if (flag == "--records")
      records = aqmesh::bench::NumberOf(argv[i + 1]);
    else
      understood = false;
  }
  if (!understood) {
    std::fprintf(stderr, "usage: aqmesh-lineage-load DIR [--rounds N] [--records N]\n");
    return 2;
  }
  return aqmesh::bench::Main(argv[1], rounds, records);
}
