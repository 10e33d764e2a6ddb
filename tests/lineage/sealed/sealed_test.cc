// Sealed segments: what is written, what is read of it, and what is found out about it.
#include <gmock/gmock.h>
#include <sys/wait.h>

#include "lineage/audit.h"
#include "lineage/evidence.h"
#include "lineage/sealed/files.h"
#include "lineage/sealed/frame.h"
#include "tests/lineage/sealed/ledger.h"

namespace aqmesh::lineage {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class SealedTest : public testing::Test {
 protected:
  std::unique_ptr<SealedStore> Open() {
    auto store = SealedStore::Open(dir_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  absl::Status VerifyStatus() {
    auto store = SealedStore::Open(dir_);
    if (!store.ok()) return store.status();
    return (*store)->VerifyAll([](const Segment&) {});
  }
  SealReport SealAll(Seq until = kSeqEnd) {
    const auto report = Seal(live_, dir_, until);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : SealReport{};
  }
  std::vector<fs::path> Files() {
    std::vector<fs::path> out;
    for (const auto& e : fs::recursive_directory_iterator(dir_)) {
      if (e.is_regular_file()) out.push_back(e.path());
    }
    std::ranges::sort(out);
    return out;
  }

  TempDir temp_;
  std::string dir_ = temp_.Path("out");
  MemStore live_;
  Ledger ledger_{live_};
};

TEST_F(SealedTest, SealsWholeTilesUnderAHeadThatCoversThem) {  // spec: lineage#12.1
  ledger_.Write(700);
  EXPECT_TRUE(SealAll().uncovered) << "nobody signed a head yet";
  ledger_.Sign();
  ledger_.Write(400);
  SealReport report = SealAll();
  EXPECT_EQ(report.segments, 1u);
  EXPECT_EQ(report.end, 512u) << "of 1101 records 701 lie under a head: two tiles";
  EXPECT_TRUE(report.uncovered);
  ledger_.Sign();
  report = SealAll();
  EXPECT_EQ(report.end, 1024u);
  EXPECT_EQ(report.records, 512u);
  EXPECT_EQ(SealAll().segments, 0u) << "there is nothing new";
  const auto store = Open();
  ASSERT_NE(store, nullptr);
  EXPECT_TRUE(VerifyStatus().ok()) << VerifyStatus();
  EXPECT_EQ(store->size(), 1024u);
  EXPECT_EQ(store->segments().size(), 2u);
}

TEST_F(SealedTest, ShowsWhatTheStoreShows) {
  ledger_.Write(1'500);
  ledger_.Sign();
  ledger_.Write(300);
  ledger_.Sign();
  SealAll(600);
  SealAll();
  const auto store = Open();
  ASSERT_NE(store, nullptr);
  const Seq end = store->size();
  EXPECT_EQ(end, 1'792u);
  EXPECT_EQ(Shown(*store), Shown(live_, 0, end));
  EXPECT_EQ(Shown(*store, 500, 1'030, Order::kNewestFirst),
            Shown(live_, 500, 1'030, Order::kNewestFirst));
  for (const uint64_t at : std::array<uint64_t, 8>{0, 1, 511, 512, 1000, 1791, 1792, 5000}) {
    const uint64_t hlc = HlcFromMillis((kStartSeconds + at) * 1'000);
    EXPECT_EQ(*store->SeqAt(hlc), std::min(end, *live_.SeqAt(hlc))) << at;
  }
  Filter filter;
  filter.subject = Filled<Kid>(3);
  filter.limit = 10'000;
  filter.newest_first = false;
  auto ours = *store->Query(filter), theirs = *live_.Query(filter);
  std::erase_if(theirs, [end](const FoundRecord& r) { return r.record.seq >= end; });
  EXPECT_GT(ours.size(), 100u);
  EXPECT_TRUE(ours == theirs);
  // Each thing that a record cites.
  for (const Shelf shelf : {Shelf::kInputs, Shelf::kPolicy}) {
    size_t count = 0;
    ASSERT_TRUE(store
                    ->ScanObjects(shelf,
                                  [&](const Oid& oid, ByteView bytes) {
                                    ++count;
                                    EXPECT_TRUE(Equal(bytes, **live_.GetObject(shelf, oid)));
                                    return true;
                                  })
                    .ok());
    EXPECT_EQ(count, shelf == Shelf::kPolicy ? 3u : (end + 7) / 8);
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(store->Commit({})));
}

TEST_F(SealedTest, ProvesARecordToItsHeadAndIsAudited) {  // spec: lineage#12.3
  ledger_.Write(3'000);
  ledger_.Sign();
  ledger_.Write(10);
  SealAll(1'024);
  SealAll();
  const auto store = Open();
  ASSERT_NE(store, nullptr);
  for (const Seq seq : {Seq{0}, Seq{255}, Seq{256}, Seq{1'023}, Seq{1'024}, Seq{2'815}}) {
    const auto head = HeadOver(*store, seq, LogOrigin(Ledger::LogOf()));
    ASSERT_TRUE(head.ok()) << head.status();
    auto prover = store->ProverAt(head->checkpoint.size);
    ASSERT_TRUE(prover.ok()) << prover.status();
    const auto path = prover->Inclusion(seq);
    ASSERT_TRUE(path.ok()) << seq << ": " << path.status();
    EXPECT_TRUE(tlog::VerifyInclusion(ParseEntry(*live_.Read(seq))->leaf,
                                      seq,
                                      head->checkpoint.size,
                                      *path,
                                      head->checkpoint.root)
                    .ok());
  }
  const auto report = AuditLog(*store, Ledger::Key(), {});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->records, store->size());
  EXPECT_GE(report->heads, 1u);
}

TEST_F(SealedTest, FindsEveryFlippedBitAndNamesTheFile) {
  ledger_.Write(256);
  ledger_.Sign();
  ASSERT_EQ(SealAll().end, 256u);
  for (const fs::path& path : Files()) {
    const size_t bits = fs::file_size(path) * 8;
    for (size_t bit = 0; bit < bits; bit += 1 + bits / 40) {
      FlipBit(path, bit);
      const absl::Status s = VerifyStatus();
      ASSERT_FALSE(s.ok()) << path << " bit " << bit;
      EXPECT_THAT(Text(s), HasSubstr(path.filename().string())) << bit;
      FlipBit(path, bit);
    }
  }
  EXPECT_TRUE(VerifyStatus().ok());
}

TEST_F(SealedTest, FindsAMissingFileAndAMissingSegment) {
  ledger_.Write(600);
  ledger_.Sign();
  SealAll(256);
  SealAll(512);
  ledger_.Write(300);
  ledger_.Sign();
  SealAll();
  for (const fs::path& path : Files()) {
    fs::rename(path, temp_.Path("away"));
    const absl::Status s = VerifyStatus();
    EXPECT_FALSE(s.ok()) << path;
    fs::rename(temp_.Path("away"), path);
  }
  const std::string middle = SealedDirOf(dir_, Ledger::LogOf()) + "/" + SegmentName(256, 512);
  fs::rename(middle, temp_.Path("away"));
  EXPECT_THAT(Text(SealedStore::Open(dir_).status()), HasSubstr("one is missing"));
}

TEST_F(SealedTest, RefusesRecordsThatWereSealedAnewWithAnotherStory) {
  ledger_.Write(256);
  ledger_.Sign();
  SealAll();
  // Somebody who rewrites a bundle, its tile and the manifest still has no head over it.
  const std::string segment = SealedDirOf(dir_, Ledger::LogOf()) + "/" + SegmentName(0, 256);
  MemStore other;
  Ledger forger(other);
  forger.Add(Decided(9));
  forger.Write(255);
  Bytes bundle, tile = *other.ReadTile({0, 0, 256});
  ASSERT_TRUE(other
                  .WalkLog(0,
                           256,
                           Order::kOldestFirst,
                           [&](Seq, const Digest&, ByteView b) {
                             tlog::AppendBundleEntry(bundle, b);
                             return true;
                           })
                  .ok());
  auto manifest = *ParseManifest(AsText(*ReadWhole(segment + "/manifest", 1 << 20)));
  const auto replace = [&](const std::string& path, const Bytes& content) {
    fs::remove(segment + "/" + path);
    ASSERT_TRUE(WriteNew(segment + "/" + path, content).ok());
    for (SealedFile& f : manifest.files) {
      if (f.path == path) f = {path, content.size(), Digest{crypto::Sha256({content})}};
    }
  };
  replace(SealedBundlePath(0), PackFrame(bundle));
  replace("tile/0/000", tile);
  fs::remove(segment + "/manifest");
  ASSERT_TRUE(WriteNew(segment + "/manifest", AsBytes(manifest.Text())).ok());
  const absl::Status s = VerifyStatus();
  EXPECT_FALSE(s.ok());
  EXPECT_THAT(Text(s), HasSubstr("tile/0/000"));
  EXPECT_FALSE(CheckSealed(live_, dir_, 0, 256).ok());
}

TEST_F(SealedTest, AKilledRunLeavesWholeSegmentsOnlyAndTheNextGoesOn) {
  ledger_.Write(3'000);
  ledger_.Sign();
  // At every write that a run makes, as far as the file system tells: a limit on open files ends
  // it.
  for (int round = 0; round < 6; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      ::alarm(1);
      // Killed after so many microseconds.
      const pid_t victim = fork();
      if (victim == 0) {
        (void)Seal(live_, dir_, static_cast<Seq>(512 * (round + 1)));
        _exit(0);
      }
      ::usleep(static_cast<useconds_t>(700 * round));
      ::kill(victim, SIGKILL);
      int status = 0;
      ::waitpid(victim, &status, 0);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    const auto there = SealedStore::Open(dir_);
    if (!there.ok()) continue;  // none is whole yet
    const absl::Status s = VerifyStatus();
    EXPECT_TRUE(s.ok()) << s;
  }
  EXPECT_EQ(SealAll().end, 2'816u);
  EXPECT_TRUE(VerifyStatus().ok());
  for (const auto& e : fs::directory_iterator(SealedDirOf(dir_, Ledger::LogOf())))
    EXPECT_TRUE(IsSegmentName(e.path().filename().string())) << e.path();
}

TEST_F(SealedTest, ChecksAgainstTheLiveStore) {
  ledger_.Write(600);
  ledger_.Sign();
  SealAll();
  EXPECT_TRUE(CheckSealed(live_, dir_, 0, 512).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckSealed(live_, dir_, 0, 768)));
  MemStore other;
  Ledger another(other);
  another.Add(Decided(9));
  another.Write(700);
  EXPECT_TRUE(absl::IsDataLoss(CheckSealed(other, dir_, 0, 512)));
}

// The paths of a large tree go by tiles of three levels; a segment has those of its own.
TEST(SealedTilesTest, ASegmentHasEveryTileThatItsPathsGoBy) {
  constexpr uint64_t kSize = 140'123;
  tlog::Edge edge;
  std::map<std::pair<unsigned, uint64_t>, Digest> hashes;
  for (uint64_t i = 0; i < kSize; ++i) {
    uint8_t bytes[8];
    StoreBe(bytes, i);
    edge.Append(tlog::LeafHash(bytes),
                [&](const tlog::TileEntry& made) { hashes[{made.level, made.index}] = made.hash; });
  }
  const std::pair<Seq, Seq> segments[] = {
      {0, 16'384}, {49'152, 65'536}, {65'536, 65'792}, {131'072, 139'776}};
  for (const auto& [first, end] : segments) {
    const std::vector<tlog::Tile> there = TilesOf(first, end, kSize);
    tlog::Prover prover(kSize, edge.Root(), [&](const tlog::Tile& t) -> absl::StatusOr<Bytes> {
      if (std::ranges::find(there, t) == there.end()) return NotFound(tlog::TilePath(t));
      Bytes out;
      for (unsigned i = 0; i < t.width; ++i) Append(out, hashes.at({t.level, t.index * 256 + i}));
      return out;
    });
    for (Seq seq = first; seq < end; seq += 255) {
      const auto path = prover.Inclusion(seq);
      ASSERT_TRUE(path.ok()) << first << " " << seq << ": " << path.status();
    }
    EXPECT_TRUE(prover.Inclusion(end - 1).ok());
    EXPECT_EQ(*prover.EdgeAt(kSize), edge);
  }
}

TEST(SealedFrameTest, RefusesAFrameThatSaysMoreThanIsAllowed) {
  const Bytes packed = PackFrame(Bytes(1 << 20, 0));  // a bomb of some 60 bytes
  EXPECT_LT(packed.size(), 200u);
  EXPECT_TRUE(absl::IsResourceExhausted(UnpackFrame(packed, 1'000).status()));
  EXPECT_EQ(UnpackFrame(packed, 1 << 20)->size(), size_t{1} << 20);
  Bytes two = packed;
  Append(two, packed);
  EXPECT_FALSE(UnpackFrame(two, 1 << 21).ok());
  for (size_t size = 0; size < packed.size(); ++size)
    EXPECT_FALSE(UnpackFrame(ByteView(packed).first(size), 1 << 20).ok()) << size;
}

}  // namespace
}  // namespace aqmesh::lineage
