// The store on a disk that is cut off, rolled back, flipped, full or shared.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <rocksdb/db.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fstream>

#include "lineage/rocks/head_file.h"
#include "lineage/rocks/rocks_store.h"
#include "tests/lineage/story.h"

namespace aqmesh::lineage {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Runs `story` in a child process, so that limits, mounts and kills stay there. Its exit code.
template <class Story>
int InChild(Story story) {
  const pid_t child = fork();
  if (child == 0) {
    const int code = story();
    std::fflush(stdout);
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void CopyTree(const std::string& from, const std::string& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

void FlipByte(const std::string& path, size_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(at));
  file.put(static_cast<char>(byte ^ 0x10));
}

class RocksTest : public testing::Test {
 protected:
  // Opens, appends so many commits of one record each, closes.
  void Append(int commits) {
    auto store = RocksStore::Open(dir_);
    ASSERT_TRUE(store.ok()) << store.status();
    Scribe scribe = Scribe::After(**store);
    for (int i = 0; i < commits; ++i) ASSERT_TRUE((*store)->Commit(scribe.NextBatch()).ok());
  }
  // Changes the closed database behind the store's back.
  template <class Change>
  void Raw(Change change) {
    std::vector<std::string> names;
    const std::string path = dir_ + "/db";
    ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, path, &names).ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const std::string& name : names)
      families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* opened = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, path, families, &handles, &opened).ok());
    const std::unique_ptr<rocksdb::DB> db(opened);
    change(*db, [&](std::string_view name) {
      return handles[static_cast<size_t>(std::ranges::find(names, name) - names.begin())];
    });
    for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
  }
  absl::Status OpenStatus() { return RocksStore::Open(dir_).status(); }

  TempDir temp_;
  std::string dir_ = temp_.Path("s");
};

TEST_F(RocksTest, KeepsEverythingOverAReopenInADirectoryOfItsOwn) {
  Append(3);
  struct stat info{};
  ASSERT_EQ(stat(dir_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  auto store = RocksStore::Open(dir_);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->size(), 3u);
  EXPECT_EQ((*store)->commits(), 3u);
  EXPECT_TRUE((*store)->Verify().ok());
}

// Whom records are about, in whole blocks and behind them, in the newest log and in the one before:
// five who are in all blocks, one who is rare, one who is nowhere.
class SubjectsTest : public RocksTest {
 protected:
  static Kid OtherLog() { return Filled<Kid>(0x11); }
  void SetUp() override {
    auto store = RocksStore::Open(dir_);
    ASSERT_TRUE(store.ok()) << store.status();
    Write(**store, Scribe(), 700, false);
    Write(**store, Scribe(Chain(OtherLog())), 1'300, true);
  }
  static void Write(Store& store, Scribe scribe, size_t records, bool begins) {
    while (scribe.size() < records) {
      Batch batch;
      batch.begins_log = begins && scribe.size() == 0;
      for (size_t i = 0; i < 100; ++i) {
        const uint64_t n = scribe.size();
        batch.records.push_back(scribe.Next(static_cast<uint8_t>(n % 290 == 7 ? 99 : n % 6)));
      }
      ASSERT_TRUE(store.Commit(batch).ok());
    }
  }
  static std::vector<Seq> About(
      const Store& store, uint8_t whom, Seq first, Seq end, Order order, size_t most) {
    std::vector<Seq> seqs;
    const absl::Status s = store.WalkSubject(
        Filled<Kid>(whom), first, end, order, [&](Seq seq, const Digest&, ByteView) {
          seqs.push_back(seq);
          return seqs.size() < most;
        });
    EXPECT_TRUE(s.ok()) << s;
    return seqs;
  }
  static std::vector<Seq> Expected(
      const Store& store, uint8_t whom, Seq first, Seq end, Order order, size_t most) {
    std::vector<Seq> seqs;
    for (Seq n = first; n < std::min<Seq>(end, store.size()); ++n) {
      if ((n % 290 == 7 ? 99 : n % 6) == whom) seqs.push_back(n);
    }
    if (order == Order::kNewestFirst) std::ranges::reverse(seqs);
    seqs.resize(std::min(seqs.size(), most));
    return seqs;
  }
  static void ExpectFound(const Store& store) {
    Rng rng = SeededRng();
    for (int i = 0; i < 200; ++i) {
      const uint8_t whoms[] = {0, 3, 5, 99, 98};
      const uint8_t whom = whoms[rng.Below(5)];
      const Seq first = rng.Below(1'400), end = i % 5 == 0 ? kSeqEnd : rng.Below(1'400);
      const Order order = i % 2 == 0 ? Order::kOldestFirst : Order::kNewestFirst;
      const size_t most = i % 3 == 0 ? 1 + rng.Below(9) : 10'000;
      ASSERT_EQ(About(store, whom, first, end, order, most),
                Expected(store, whom, first, end, order, most))
          << int{whom} << " from " << first << " to " << end;
    }
  }
};

TEST_F(SubjectsTest, AreFoundInEitherOrderBetweenAnyTwoRecords) {
  ExpectFound(**RocksStore::Open(dir_));
  ExpectFound(**RocksStore::OpenReadOnly(dir_));
  ExpectFound(**RocksStore::OpenReadOnly(dir_, {.log = LogKid()}));
}

TEST_F(SubjectsTest, OfAStoreThatAnOlderProgramWroteAreFoundToo) {
  Raw([&](rocksdb::DB& db, auto family) {  // a row a record instead of a row a block
    rocksdb::ColumnFamilyHandle* rows = nullptr;
    ASSERT_TRUE(db.CreateColumnFamily({}, "idx_subject", &rows).ok());
    for (uint64_t place = 0; place < 2'000; ++place) {
      const uint64_t n = place < 700 ? place : place - 700;
      Bytes key(16, static_cast<uint8_t>(n % 290 == 7 ? 99 : n % 6));
      AppendBe(key, place);
      const rocksdb::Slice name(reinterpret_cast<const char*>(key.data()), key.size());
      ASSERT_TRUE(db.Put({}, rows, name, "").ok());
    }
    db.DestroyColumnFamilyHandle(rows);
    const std::string first(1, 0), last(25, '\xff');
    ASSERT_TRUE(db.DeleteRange({}, family("idx_about"), first, last).ok());
  });
  ExpectFound(**RocksStore::OpenReadOnly(dir_));  // which changes nothing
  ExpectFound(**RocksStore::OpenReadOnly(dir_, {.log = LogKid()}));
  ExpectFound(**RocksStore::Open(dir_));
  std::vector<std::string> families;
  ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, dir_ + "/db", &families).ok());
  EXPECT_EQ(std::ranges::find(families, "idx_subject"), families.end());
  ExpectFound(**RocksStore::OpenReadOnly(dir_));
  ExpectFound(**RocksStore::OpenReadOnly(dir_, {.log = LogKid()}));
}

TEST_F(RocksTest, TheTreeGoesOnOverAReopenAndIsMadeAnewWhereItIsMissing) {
  constexpr size_t kRecords = 66'000;  // past a tile of the second level
  tlog::Edge edge;
  {
    auto store = RocksStore::Open(dir_);
    ASSERT_TRUE(store.ok()) << store.status();
    Scribe scribe;
    while (scribe.size() < kRecords) ASSERT_TRUE((*store)->Commit(scribe.NextBatch(3'000)).ok());
    edge = (*store)->edge();
    EXPECT_EQ(edge.size(), kRecords);
  }
  const auto tiles = [](const Store& store) {
    return std::array{
        *store.ReadTile({0, 256, 256}), *store.ReadTile({1, 0, 256}), *store.ReadTile({2, 0, 1})};
  };
  std::array<Bytes, 3> whole;
  {
    auto store = RocksStore::Open(dir_);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ((*store)->edge(), edge);
    whole = tiles(**store);
  }
  // As an older program left it: no tiles, no edge.
  Raw([](rocksdb::DB& db, const auto& family) {
    rocksdb::WriteBatch batch;
    batch.Delete(family("default"), "edge");
    ASSERT_TRUE(db.Write({}, &batch).ok());
    ASSERT_TRUE(db.DropColumnFamily(family("tile")).ok());
    rocksdb::ColumnFamilyHandle* index = nullptr;  // that it had, and nobody reads any more
    ASSERT_TRUE(db.CreateColumnFamily({}, "idx_time", &index).ok());
    db.DestroyColumnFamilyHandle(index);
  });
  {
    auto reader = RocksStore::OpenReadOnly(dir_);
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_EQ((*reader)->edge(), edge) << "a reader makes it for itself";
    EXPECT_EQ(tiles(**reader), whole);
  }
  auto store = RocksStore::Open(dir_);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->edge(), edge);
  EXPECT_EQ(tiles(**store), whole);
  std::vector<std::string> families;
  ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, dir_ + "/db", &families).ok());
  EXPECT_EQ(std::ranges::find(families, "idx_time"), families.end());
}

TEST_F(RocksTest, AnEdgeThatIsNotTheRecordsOwnIsNoticed) {
  Append(5);
  Raw([](rocksdb::DB& db, const auto& family) {
    std::string edge;
    ASSERT_TRUE(db.Get({}, family("default"), "edge", &edge).ok());
    edge.back() = static_cast<char>(edge.back() ^ 1);
    ASSERT_TRUE(db.Put({}, family("default"), "edge", edge).ok());
  });
  EXPECT_TRUE(absl::IsDataLoss(OpenStatus()));
}

TEST_F(RocksTest, ALogThatEndedIsStillReadUnderItsOwnKey) {
  const Kid second = Filled<Kid>(0x66);
  tlog::Edge first_edge;
  {
    auto store = RocksStore::Open(dir_);
    ASSERT_TRUE(store.ok()) << store.status();
    Scribe scribe;
    ASSERT_TRUE((*store)->Commit(scribe.NextBatch(700)).ok());
    first_edge = (*store)->edge();
    Scribe next(Chain(second, scribe.clock()));
    Batch begin = next.NextBatch(300);
    begin.begins_log = true;
    ASSERT_TRUE((*store)->Commit(begin).ok());
  }
  auto reader = RocksStore::OpenReadOnly(dir_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->size(), 300u);
  EXPECT_EQ((*reader)->edge().size(), 300u);
  const auto logs = (*reader)->Logs();
  ASSERT_TRUE(logs.ok()) << logs.status();
  ASSERT_EQ(logs->size(), 2u);
  EXPECT_EQ((*logs)[0].kid, LogKid());
  EXPECT_EQ((*logs)[0].records, 700u);
  EXPECT_EQ((*logs)[1].kid, second);
  auto past = RocksStore::OpenReadOnly(dir_, {.log = LogKid()});
  ASSERT_TRUE(past.ok()) << past.status();
  EXPECT_EQ((*past)->size(), 700u);
  EXPECT_EQ((*past)->edge(), first_edge);
  EXPECT_TRUE((*past)->Verify().ok());
  EXPECT_TRUE((*past)->ProverAt(699)->Inclusion(250).ok());
  EXPECT_TRUE(absl::IsNotFound(RocksStore::OpenReadOnly(dir_, {.log = Filled<Kid>(9)}).status()));
}

TEST_F(RocksTest, OneWriterAtATimeAndReadersBesideIt) {
  auto writer = RocksStore::Open(dir_);
  ASSERT_TRUE(writer.ok()) << writer.status();
  Scribe scribe;
  ASSERT_TRUE((*writer)->Commit(scribe.NextBatch(5)).ok());
  EXPECT_TRUE(absl::IsUnavailable(OpenStatus())) << OpenStatus();
  auto reader = RocksStore::OpenReadOnly(dir_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  ASSERT_TRUE((*writer)->Commit(scribe.NextBatch(2)).ok());
  EXPECT_EQ((*reader)->size(), 5u);  // as it was when it was opened
  EXPECT_EQ((*reader)->Query({.limit = 2})->size(), 2u);
  EXPECT_TRUE(absl::IsFailedPrecondition((*reader)->Commit({.puts = {{"x", {}}}})));
  EXPECT_EQ((*RocksStore::OpenReadOnly(dir_))->size(), 7u);
  writer->reset();
  EXPECT_EQ((*RocksStore::OpenReadOnly(dir_))->size(), 7u);  // and when the daemon is down
  EXPECT_FALSE(RocksStore::OpenReadOnly(temp_.Path("none")).ok());
  EXPECT_FALSE(fs::exists(temp_.Path("none")));
}

TEST_F(RocksTest, AReaderReadsOnWhereAWriterReplacesItsFiles) {
  constexpr int kTables = 100;  // more than RocksDB opens before they are read
  Append(1);
  Raw([](rocksdb::DB& db, const auto& family) {
    rocksdb::ColumnFamilyHandle* state = family("state");
    ASSERT_TRUE(db.SetOptions(state, {{"disable_auto_compactions", "true"}}).ok());
    for (int i = 0; i < kTables; ++i) {
      ASSERT_TRUE(db.Put({}, state, Join("life/", i), "x").ok());
      ASSERT_TRUE(db.Flush({}, state).ok());
    }
  });
  const auto reader = RocksStore::OpenReadOnly(dir_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto writer = RocksStore::Open(dir_);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE((*writer)->Commit({.shreds = true, .deletes = {"life/0"}}).ok());
  int seen = 0;
  const absl::Status scanned =
      (*reader)->ScanState("life/", [&seen](std::string_view, ByteView) { return ++seen > 0; });
  EXPECT_TRUE(scanned.ok()) << scanned;
  EXPECT_EQ(seen, kTables);
}

TEST_F(RocksTest, AnotherProcessSeesWhoHasItOpen) {
  const auto seen = [this] { return RocksStore::IsOpenElsewhere(dir_) ? 1 : 0; };
  EXPECT_EQ(InChild(seen), 0) << "there is none yet";
  auto writer = RocksStore::Open(dir_);
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_EQ(InChild(seen), 1);
  EXPECT_EQ(InChild(seen), 1) << "asking took nothing from it";
  writer->reset();
  EXPECT_EQ(InChild(seen), 0);
}

TEST_F(RocksTest, AKillAtAnyMomentLosesNothingThatWasAcknowledged) {
  Rng rng = SeededRng();
  for (int round = 0; round < 30; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto store = RocksStore::Open(dir_);
      if (!store.ok()) _exit(1);
      Scribe scribe = Scribe::After(**store);
      while (true) {
        Batch batch = scribe.NextBatch(3);
        const Seq last = batch.records.back().seq;
        batch.puts.push_back({"last", Bytes(batch.records.back().body)});
        if (!(*store)->Commit(batch).ok()) _exit(2);
        if (write(pipe_ends[1], &last, sizeof last) != sizeof last) _exit(3);
      }
    }
    close(pipe_ends[1]);
    std::optional<Seq> acked;
    const uint64_t acks = rng.Below(6);
    Seq seq = 0;
    for (uint64_t i = 0; i < acks && read(pipe_ends[0], &seq, sizeof seq) == sizeof seq; ++i)
      acked = seq;
    usleep(static_cast<useconds_t>(rng.Below(3000)));
    kill(child, SIGKILL);
    while (read(pipe_ends[0], &seq, sizeof seq) == sizeof seq) acked = seq;
    close(pipe_ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << status;

    auto store = RocksStore::Open(dir_, {.verify_last = kSeqEnd});
    ASSERT_TRUE(store.ok()) << "round " << round << ": " << store.status();
    if (acked) {
      ASSERT_GT((*store)->size(), *acked) << "round " << round;
    }
    ASSERT_EQ((*store)->size() % 3, 0u) << "half a batch is visible";
    if ((*store)->size() > 0) {
      ASSERT_EQ(**(*store)->GetState("last"), *(*store)->Read((*store)->size() - 1));
    }
  }
}

TEST_F(RocksTest, ALogRolledBackBehindItsHeadIsRefusedNamingBoth) {
  Append(4);
  CopyTree(dir_, temp_.Path("old"));
  Append(2);
  fs::remove_all(dir_ + "/db");
  fs::copy(temp_.Path("old") + "/db", dir_ + "/db", fs::copy_options::recursive);
  const absl::Status status = OpenStatus();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(Text(status), HasSubstr("HEAD names commit 6, 6 records"));
  EXPECT_THAT(Text(status), HasSubstr("the log has commit 4, 4 records"));
  EXPECT_TRUE(absl::IsDataLoss(RocksStore::OpenReadOnly(dir_).status()));
  fs::remove_all(dir_ + "/db");
  EXPECT_TRUE(absl::IsDataLoss(OpenStatus()));  // a log that is gone is not a fresh start
}

TEST_F(RocksTest, AHeadOlderThanTheLogMissingOrSpoiltIsRefused) {
  Append(4);
  const std::string head = dir_ + "/HEAD";
  fs::copy_file(head, temp_.Path("head"));
  Append(2);
  fs::copy_file(head, temp_.Path("good"));
  fs::copy_file(temp_.Path("head"), head, fs::copy_options::overwrite_existing);
  EXPECT_TRUE(absl::IsDataLoss(OpenStatus()));
  fs::remove(head);
  EXPECT_TRUE(absl::IsDataLoss(OpenStatus()));
  fs::copy_file(temp_.Path("good"), head);
  EXPECT_TRUE(OpenStatus().ok());
  FlipByte(head, 20);
  FlipByte(head, 4096 + 20);
  EXPECT_TRUE(absl::IsDataLoss(OpenStatus()));
}

TEST_F(RocksTest, AHeadWhoseLastWriteWasTornStillOpens) {
  Append(4);
  FlipByte(dir_ + "/HEAD", 20);  // commit 4 lies in slot 0; slot 1 says 3, and the log is one ahead
  EXPECT_TRUE(OpenStatus().ok()) << OpenStatus();
  EXPECT_EQ(HeadFile::Open(dir_ + "/HEAD", false)->mark().commit, 4u);  // written afresh
}

TEST_F(RocksTest, ALogCutShortIsNoticedWhereverItIsCut) {
  // The commits lie in the write-ahead log alone: the child never closes its store.
  ASSERT_EQ(InChild([this] {
              auto store = RocksStore::Open(dir_);
              Scribe scribe;
              for (int i = 0; i < 4; ++i) {
                if (!(*store)->Commit(scribe.NextBatch()).ok()) return 1;
              }
              (void)(*store)->Commit(
                  {.puts = {{"floor/x", Bytes(40)}}});  // no record: a commit all the same
              _exit(0);
            }),
            0);
  std::string wal;
  for (const auto& file : fs::directory_iterator(dir_ + "/db")) {
    if (file.path().extension() == ".log" && file.file_size() > 0) wal = file.path().filename();
  }
  ASSERT_FALSE(wal.empty());
  CopyTree(dir_, temp_.Path("whole"));
  const size_t size = fs::file_size(dir_ + "/db/" + wal);
  for (size_t step = 1; step <= 12; ++step) {
    SCOPED_TRACE(step);
    CopyTree(temp_.Path("whole"), dir_);
    fs::resize_file(dir_ + "/db/" + wal, size - size * step / 12);
    EXPECT_TRUE(absl::IsDataLoss(OpenStatus())) << OpenStatus();
    CopyTree(temp_.Path("whole"), dir_);
    FlipByte(dir_ + "/db/" + wal, (size - 1) * step / 12);
    EXPECT_TRUE(absl::IsDataLoss(OpenStatus())) << OpenStatus();
  }
  CopyTree(temp_.Path("whole"), dir_);
  EXPECT_TRUE(OpenStatus().ok());
  // A torn tail that nobody was told of is dropped, and nothing else.
  CopyTree(temp_.Path("whole"), dir_);
  std::ofstream(dir_ + "/db/" + wal, std::ios::app | std::ios::binary)
      << "half a commit that was never acknowledged";
  auto store = RocksStore::Open(dir_);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->size(), 4u);
  EXPECT_EQ((*store)->commits(), 5u);
}

TEST_F(RocksTest, AFailedWriteEndsCommitsUntilARestart) {
  const int code = InChild([this] {
    signal(SIGXFSZ, SIG_IGN);
    auto store = RocksStore::Open(dir_);
    if (!store.ok()) return 1;
    Scribe scribe;
    if (!(*store)->Commit(scribe.NextBatch(2)).ok()) return 2;
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 16'384;  // HEAD stays below, the log does not
    setrlimit(RLIMIT_FSIZE, &limit);
    absl::Status status;
    for (int i = 0; i < 200 && status.ok(); ++i)
      status = (*store)->Commit({.puts = {{"x", Bytes(1000)}}});
    if (!absl::IsUnavailable(status)) return 3;
    limit.rlim_cur = before;
    setrlimit(RLIMIT_FSIZE, &limit);
    if (!absl::IsUnavailable((*store)->Commit(scribe.NextBatch())))
      return 4;                                                       // not again in this life
    if ((*store)->size() != 2 || !(*store)->Verify().ok()) return 5;  // reading goes on
    return 0;
  });
  ASSERT_EQ(code, 0);
  auto store = RocksStore::Open(dir_);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->size(), 2u);
  EXPECT_TRUE((*store)->Commit(Scribe::After(**store).NextBatch()).ok());
}

constexpr int kNoMounts = 77;

// A small disk of its own, in namespaces of its own. False where that is not allowed.
bool MountSmallDisk(const std::string& at) {
  const uid_t user = getuid();
  const gid_t group = getgid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
  std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
  return mount("none", at.c_str(), "tmpfs", 0, "size=64m,mode=0777") == 0;
}

TEST_F(RocksTest, AFullDiskIsWaitedOutAndNothingIsLostAfterIt) {
  const std::string disk = temp_.Path("disk");
  fs::create_directory(disk);
  const int code = InChild([&disk] {
    if (!MountSmallDisk(disk)) return kNoMounts;
    const std::string ballast = disk + "/ballast";
    for (int round = 0; round < 4; ++round) {
      auto store = RocksStore::Open(disk + "/s");
      if (!store.ok()) {
        std::printf("%s\n", store.status().ToString().c_str());
        return 1;
      }
      Scribe scribe = Scribe::After(**store);
      if (round > 0 && !(*store)->Commit(scribe.NextBatch()).ok()) return 2;
      {
        std::ofstream(ballast) << std::string(80u << 20, 'x');
      }
      absl::Status status;
      Batch batch;
      for (int i = 0; i < 2000 && status.ok(); ++i) {
        batch = scribe.NextBatch(2);
        batch.puts.push_back({"x", Bytes(30'000)});
        status = (*store)->Commit(batch);
      }
      if (!absl::IsResourceExhausted(status)) {
        std::printf("%s\n", status.ToString().c_str());
        return 3;
      }
      status = (*store)->Commit(batch);
      if (!absl::IsResourceExhausted(status)) {
        std::printf("%s\n", status.ToString().c_str());
        return 4;
      }
      fs::remove(ballast);
      for (int i = 0; i < 3; ++i) {  // the same batch again, then others
        status = (*store)->Commit(batch);
        if (!status.ok()) {
          std::printf("%s\n", status.ToString().c_str());
          return 5;
        }
        batch = scribe.NextBatch(2);
      }
      const uint64_t size = (*store)->size();
      // A crash now, not a close: what was acknowledged after the full disk must be readable.
      fs::remove_all(disk + "/t");
      fs::copy(disk + "/s", disk + "/t", fs::copy_options::recursive);
      auto copy = RocksStore::Open(disk + "/t", {.verify_last = kSeqEnd});
      if (!copy.ok()) {
        std::printf("%s\n", copy.status().ToString().c_str());
        return 6;
      }
      if ((*copy)->size() != size) return 7;
      copy->reset();
      fs::remove_all(disk + "/t");
    }
    return 0;
  });
  if (code == kNoMounts) GTEST_SKIP() << "no mounts in a user namespace here";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace aqmesh::lineage
