#include "lineage/chain.h"

#include "core/authority/codec.h"
#include "core/crypto/hash.h"
#include "tests/lineage/story.h"

namespace aqmesh::lineage {
namespace {

TEST(HybridClockTest, NeverRunsBackwardsWhateverTheWallDoes) {
  HybridClock clock;
  const uint64_t first = clock.Tick(WallTime::FromSeconds(kStartSeconds));
  EXPECT_EQ(first, HlcFromMillis(kStartSeconds * 1000));
  EXPECT_EQ(clock.Tick(WallTime::FromSeconds(kStartSeconds)), first + 1);
  EXPECT_EQ(clock.Tick(WallTime::FromSeconds(kStartSeconds - 86'400)), first + 2);
  EXPECT_EQ(clock.Tick(WallTime::FromSeconds(kStartSeconds + 1)),
            HlcFromMillis((kStartSeconds + 1) * 1000));
}

TEST(HybridClockTest, ARemoteDragsItAtMostTwoMinutes) {
  const WallTime wall = WallTime::FromSeconds(kStartSeconds);
  const uint64_t edge = HlcFromMillis(kStartSeconds * 1000 + 120'000);
  HybridClock clock;
  EXPECT_FALSE(clock.Take(edge + HlcFromMillis(1), wall));
  EXPECT_FALSE(clock.Take(HlcFromMillis(kStartSeconds * 1000 + uint64_t{315'360'000'000}),
                          wall));  // ten years
  EXPECT_EQ(clock.last(), 0u);
  EXPECT_TRUE(clock.Take(edge, wall));
  EXPECT_EQ(clock.Tick(wall), edge + 1);
  EXPECT_TRUE(clock.Take(1, wall));  // the past moves nothing
  EXPECT_EQ(clock.last(), edge + 1);
}

TEST(ChainTest, LinksEachRecordToTheLeafHashOfTheOneBefore) {
  Scribe scribe;
  const RecordEntry a = scribe.Next(), b = scribe.Next();
  EXPECT_EQ(a.seq, 0u);
  EXPECT_FALSE(a.prev);
  EXPECT_EQ(a.leaf.bytes, crypto::MerkleLeaf(a.body));
  EXPECT_EQ(b.seq, 1u);
  EXPECT_EQ(b.prev, a.leaf);
  EXPECT_GT(b.hlc, a.hlc);
  const auto record = authority::ParseBody<authority::Observe>(b.body);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->prev, a.leaf);
  EXPECT_EQ(record->log, LogKid());
  EXPECT_EQ(record->subject, b.subject);
  EXPECT_EQ(*ParseEntry(b.body), b);
}

TEST(ChainTest, GoesOnAfterARestartAsIfItHadNotStopped) {
  Scribe whole;
  whole.Next();
  const RecordEntry last = whole.Next();
  auto resumed = Chain::Resume(LogKid(), last.body);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(Scribe(*resumed).Next(), whole.Next());
  // A wall clock that was set back over the restart does not set the log's time back.
  EXPECT_GT(resumed->Add(Decided(1), WallTime::FromSeconds(5)).hlc, last.hlc);
  EXPECT_TRUE(absl::IsFailedPrecondition(Chain::Resume(Filled<Kid>(9), last.body).status()));
  EXPECT_TRUE(absl::IsDataLoss(Chain::Resume(LogKid(), AsBytes("junk")).status()));
}

TEST(ChainTest, ARecordOfTheLargestListsFits) {
  authority::Observe r = Decided(1);
  r.kind = authority::RecordKind::kDrops;
  for (uint16_t i = 0; i < 64; ++i)
    r.drops.push_back({static_cast<uint16_t>(64 + i), ~uint64_t{0}});
  r.commits.assign(8, Filled<Digest>(7));
  Chain chain(LogKid());
  authority::SortLists(r);
  EXPECT_LE(chain.Add(r, WallTime::FromSeconds(kStartSeconds)).body.size(), kRecordBytesMax);
}

TEST(ChainVerifierTest, NoticesEveryFlippedBitOfEveryRecord) {
  Scribe scribe;
  std::vector<RecordEntry> log;
  for (int i = 0; i < 4; ++i) log.push_back(scribe.Next());
  const Head head = log.back().head();
  for (size_t victim = 0; victim < log.size(); ++victim) {
    for (size_t bit = 0; bit < log[victim].body.size() * 8; ++bit) {
      ChainVerifier verifier;
      bool sound = true;
      for (size_t i = 0; i < log.size() && sound; ++i) {
        Bytes body = log[i].body;
        if (i == victim) body[bit / 8] = static_cast<uint8_t>(body[bit / 8] ^ (1u << (bit % 8)));
        sound = verifier.Add(body).ok();
      }
      ASSERT_FALSE(sound && verifier.head() == head) << "record " << victim << " bit " << bit;
    }
  }
}

TEST(ChainVerifierTest, NoticesRecordsSwappedDoubledOrLeftOut) {
  Scribe scribe;
  std::vector<RecordEntry> log;
  for (int i = 0; i < 3; ++i) log.push_back(scribe.Next());
  const auto holds = [&log](std::initializer_list<size_t> order) {
    ChainVerifier verifier;
    for (size_t i : order) {
      const absl::Status s = verifier.Add(log[i].body);
      if (!s.ok()) {
        EXPECT_TRUE(absl::IsDataLoss(s)) << s;
        return false;
      }
    }
    return true;
  };
  EXPECT_TRUE(holds({0, 1, 2}));
  EXPECT_FALSE(holds({0, 2, 1}));
  EXPECT_FALSE(holds({0, 1, 1}));
  EXPECT_FALSE(holds({0, 2}));
  EXPECT_FALSE(holds({1, 2}));
  // From an anchor in the middle, what comes first is believed, what follows must link.
  ChainVerifier late(1);
  EXPECT_TRUE(late.Add(log[1].body).ok());
  EXPECT_TRUE(late.Add(log[2].body).ok());
  EXPECT_EQ(late.head(), log[2].head());
}

TEST(ChainVerifierTest, NoticesARecordOfAnotherLogsChain) {
  Chain ours(LogKid()), theirs(Filled<Kid>(9));
  const WallTime wall = WallTime::FromSeconds(kStartSeconds);
  ChainVerifier verifier;
  EXPECT_TRUE(verifier.Add(ours.Add(Decided(1), wall).body).ok());
  theirs.Add(Decided(1), wall);
  EXPECT_TRUE(absl::IsDataLoss(verifier.Add(theirs.Add(Decided(1), wall).body)));
}

}  // namespace
}  // namespace aqmesh::lineage
