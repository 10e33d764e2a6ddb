// Both stores, told the same stories: what one says the other must say.
#include "lineage/store.h"

#include "lineage/rocks/rocks_store.h"
#include "tests/lineage/story.h"

namespace aqmesh::lineage {
namespace {

Bytes Owned(std::string_view s) { return Bytes(s.begin(), s.end()); }

// All that a store shows to those who ask.
struct Picture {
  std::optional<Head> head;
  std::vector<Bytes> log, log_backwards;
  std::vector<std::pair<Seq, Digest>> of_subject_2, of_subject_2_backwards;
  std::vector<std::pair<Oid, Bytes>> signed_objects, inputs;
  std::vector<std::pair<std::string, Bytes>> floors;
  std::vector<Seq> times;
  bool operator==(const Picture&) const = default;
};

Picture Look(const Store& store) {
  Picture p;
  p.head = store.head();
  const auto into = [](std::vector<Bytes>& list) {
    return [&list](Seq, const Digest&, ByteView body) {
      list.emplace_back(body.begin(), body.end());
      return true;
    };
  };
  const auto ids = [](std::vector<std::pair<Seq, Digest>>& list) {
    return [&list](Seq seq, const Digest& leaf, ByteView) {
      list.emplace_back(seq, leaf);
      return true;
    };
  };
  const auto objects = [](std::vector<std::pair<Oid, Bytes>>& list) {
    return [&list](const Oid& oid, ByteView bytes) {
      list.emplace_back(oid, Bytes(bytes.begin(), bytes.end()));
      return true;
    };
  };
  EXPECT_TRUE(store.WalkLog(0, kSeqEnd, Order::kOldestFirst, into(p.log)).ok());
  EXPECT_TRUE(store.WalkLog(1, store.size(), Order::kNewestFirst, into(p.log_backwards)).ok());
  EXPECT_TRUE(
      store.WalkSubject(Filled<Kid>(2), 0, kSeqEnd, Order::kOldestFirst, ids(p.of_subject_2)).ok());
  EXPECT_TRUE(
      store.WalkSubject(Filled<Kid>(2), 2, 9, Order::kNewestFirst, ids(p.of_subject_2_backwards))
          .ok());
  EXPECT_TRUE(store.ScanObjects(Shelf::kSigned, objects(p.signed_objects)).ok());
  EXPECT_TRUE(store.ScanObjects(Shelf::kInputs, objects(p.inputs)).ok());
  EXPECT_TRUE(store
                  .ScanState("floor/",
                             [&p](std::string_view name, ByteView value) {
                               p.floors.emplace_back(name, Bytes(value.begin(), value.end()));
                               return true;
                             })
                  .ok());
  for (uint64_t s : {0u, 1u, 3u, 1000u})
    p.times.push_back(*store.SeqAt(HlcFromMillis((kStartSeconds + s) * 1000)));
  return p;
}

Batch RandomBatch(Rng& rng, Scribe& scribe) {
  Batch batch = scribe.NextBatch(rng.Below(4));
  for (uint64_t i = rng.Below(3); i > 0; --i) {
    const Shelf shelf = rng.Below(2) == 0 ? Shelf::kSigned : Shelf::kInputs;
    batch.objects.push_back(
        {shelf, Filled<Oid>(static_cast<uint8_t>(rng.Below(20))), Bytes(rng.Below(50), 7)});
  }
  const auto name = [&rng] { return Join(rng.Below(2) == 0 ? "floor/" : "undo/", rng.Below(8)); };
  for (uint64_t i = rng.Below(3); i > 0; --i)
    batch.puts.push_back({name(), Bytes(rng.Below(9), 1)});
  for (uint64_t i = rng.Below(3); i > 0; --i) batch.deletes.push_back(name());
  return batch;
}

TEST(StoreTest, BothStoresShowTheSameAfterTheSameBatchesAndAReopen) {
  TempDir temp;
  Rng rng = SeededRng();
  MemStore mem;
  auto rocks = RocksStore::Open(temp.Path("s"));
  ASSERT_TRUE(rocks.ok()) << rocks.status();
  Scribe scribe;
  for (int round = 0; round < 60; ++round) {
    std::vector<Batch> group;
    for (uint64_t i = rng.Below(3) + 1; i > 0; --i) group.push_back(RandomBatch(rng, scribe));
    ASSERT_TRUE(mem.CommitAll(group).ok());
    ASSERT_TRUE((*rocks)->CommitAll(group).ok());
    if (round % 20 == 19) {
      rocks->reset();
      rocks = RocksStore::Open(temp.Path("s"));
      ASSERT_TRUE(rocks.ok()) << rocks.status();
    }
    if (round % 6 == 0) {
      ASSERT_EQ(Look(mem), Look(**rocks)) << round;
    }
  }
  EXPECT_EQ(Look(mem), Look(**rocks));
  for (uint8_t subject = 0; subject < 6; ++subject) {
    for (bool newest : {false, true}) {
      Filter f{.from = HlcFromMillis((kStartSeconds + 7) * 1000),
               .to = HlcFromMillis((kStartSeconds + 90) * 1000),
               .limit = 9};
      f.newest_first = newest;
      if (subject != 0) f.subject = Filled<Kid>(subject);
      const auto a = mem.Query(f), b = (*rocks)->Query(f);
      ASSERT_TRUE(a.ok() && b.ok());
      EXPECT_EQ(*a, *b);
      EXPECT_FALSE(a->empty());
    }
  }
  EXPECT_TRUE(mem.Verify().ok());
  EXPECT_TRUE((*rocks)->Verify().ok());
}

template <class T>
class EachStoreTest : public testing::Test {
 protected:
  EachStoreTest() {
    if constexpr (std::is_same_v<T, RocksStore>)
      store_ = *RocksStore::Open(temp_.Path("s"));
    else
      store_ = std::make_unique<MemStore>();
  }
  TempDir temp_;
  std::unique_ptr<Store> store_;
  Scribe scribe_;
};
using Stores = testing::Types<MemStore, RocksStore>;
TYPED_TEST_SUITE(EachStoreTest, Stores);

TYPED_TEST(EachStoreTest, QueryHonoursTimeOrderAndLimit) {
  Store& store = *this->store_;
  EXPECT_TRUE(store.Query({})->empty());
  ASSERT_TRUE(store.Commit(this->scribe_.NextBatch(10)).ok());
  const auto seqs = [&store](const Filter& f) {
    std::vector<Seq> out;
    const auto found = store.Query(f);
    EXPECT_TRUE(found.ok()) << found.status();
    for (const FoundRecord& r : *found) out.push_back(r.record.seq);
    return out;
  };
  const auto at = [](uint64_t s) { return HlcFromMillis((kStartSeconds + s) * 1000); };
  EXPECT_EQ(seqs({.limit = 3}), (std::vector<Seq>{9, 8, 7}));
  EXPECT_EQ(seqs({.limit = 3, .newest_first = false}), (std::vector<Seq>{0, 1, 2}));
  EXPECT_EQ(seqs({.from = at(4), .to = at(7)}), (std::vector<Seq>{6, 5, 4}));
  EXPECT_EQ(seqs({.from = at(7), .to = at(4)}), (std::vector<Seq>{}));
  EXPECT_EQ(seqs({.subject = Filled<Kid>(2), .newest_first = false}), (std::vector<Seq>{1, 6}));
  EXPECT_EQ(seqs({.from = at(2), .subject = Filled<Kid>(2)}), (std::vector<Seq>{6}));
  EXPECT_EQ(seqs({.rung = authority::Rung::kRefuse}), (std::vector<Seq>{}));
  EXPECT_EQ(seqs({.limit = 0}), (std::vector<Seq>{}));
}

TYPED_TEST(EachStoreTest, AGroupIsWrittenWholeOrNotAtAll) {
  Store& store = *this->store_;
  const Batch good = this->scribe_.NextBatch();
  this->scribe_.NextBatch();
  Batch gap = this->scribe_.NextBatch();
  gap.puts.push_back({"floor/x", Owned("1")});
  const std::vector<Batch> group = {good, gap};
  EXPECT_TRUE(absl::IsFailedPrecondition(store.CommitAll(group)));
  EXPECT_EQ(store.size(), 0u);
  EXPECT_FALSE(*store.GetState("floor/x"));
  ASSERT_TRUE(store.Commit(good).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(store.Commit(good)));  // not twice
  EXPECT_TRUE(absl::IsNotFound(store.Read(1).status()));
  EXPECT_EQ(*store.Read(0), good.records[0].body);
}

TYPED_TEST(EachStoreTest, RefusesARecordThatChangedInMemoryAndWhatIsTooLarge) {
  Store& store = *this->store_;
  Batch bent = this->scribe_.NextBatch();
  bent.records[0].body[5] = static_cast<uint8_t>(bent.records[0].body[5] ^ 1);
  EXPECT_TRUE(absl::IsDataLoss(store.Commit(bent)));
  EXPECT_TRUE(absl::IsInvalidArgument(store.Commit({.puts = {{std::string(257, 'x'), {}}}})));
  EXPECT_TRUE(absl::IsInvalidArgument(store.Commit({.deletes = {""}})));
  EXPECT_TRUE(
      absl::IsInvalidArgument(store.Commit({.puts = {{"x", Bytes(kStateValueBytesMax + 1)}}})));
  EXPECT_TRUE(absl::IsInvalidArgument(
      store.Commit({.objects = {{Shelf::kNote, {}, Bytes(kStoredObjectBytesMax + 1)}}})));
}

TYPED_TEST(EachStoreTest, StateIsPutDeletedAndListedByPrefix) {
  Store& store = *this->store_;
  ASSERT_TRUE(store
                  .Commit({.puts = {{"undo/2", Owned("b")},
                                    {"undo/1", Owned("a")},
                                    {"undo", Owned("c")},
                                    {"undp", {}}}})
                  .ok());
  EXPECT_EQ(**store.GetState("undo/1"), Owned("a"));
  EXPECT_TRUE((**store.GetState("undp")).empty());
  ASSERT_TRUE(
      store.Commit({.deletes = {"undo/1", "undo/2"}, .puts = {{"undo/2", Owned("new")}}}).ok());
  std::string seen;
  ASSERT_TRUE(store
                  .ScanState("undo/",
                             [&seen](std::string_view name, ByteView value) {
                               seen += Join(name, "=", AsText(value), ";");
                               return true;
                             })
                  .ok());
  EXPECT_EQ(seen, "undo/2=new;");
}

TYPED_TEST(EachStoreTest, ObjectsAreFoundOnTheirShelfOnly) {
  Store& store = *this->store_;
  ASSERT_TRUE(store.Commit({.objects = {{Shelf::kSigned, Filled<Oid>(1), Owned("one")}}}).ok());
  EXPECT_EQ(**store.GetObject(Shelf::kSigned, Filled<Oid>(1)), Owned("one"));
  EXPECT_FALSE(*store.GetObject(Shelf::kInputs, Filled<Oid>(1)));
  EXPECT_FALSE(*store.GetObject(Shelf::kSigned, Filled<Oid>(2)));
}

// A prefix of the log: its records lead to its root, and its head to the newest one.
void ProvesItself(const Store& store, uint64_t size) {
  const tlog::Edge whole = store.edge();
  auto newest = store.ProverAt(store.size());
  auto then = store.ProverAt(size);
  ASSERT_TRUE(newest.ok() && then.ok());
  const auto lead = newest->Consistency(size);
  ASSERT_TRUE(lead.ok()) << lead.status();
  EXPECT_TRUE(
      tlog::VerifyConsistency(size, lead->old_root, store.size(), whole.Root(), lead->proof).ok());
  for (const uint64_t index : {uint64_t{0}, size / 2, size - 1}) {
    const auto path = then->Inclusion(index);
    ASSERT_TRUE(path.ok()) << path.status();
    const Digest leaf = ParseEntry(*store.Read(index))->leaf;
    EXPECT_TRUE(tlog::VerifyInclusion(leaf, index, size, *path, lead->old_root).ok());
  }
}

TYPED_TEST(EachStoreTest, TheTreeStandsOverAllRecordsAndProvesEachOfThem) {
  Store& store = *this->store_;
  EXPECT_EQ(store.edge().size(), 0u);
  EXPECT_FALSE(store.ReadTile({0, 0, 1}).ok());
  Scribe scribe;
  tlog::Edge edge;
  for (const size_t records : {1u, 254u, 1u, 3u, 700u}) {
    const Batch batch = scribe.NextBatch(records);
    for (const RecordEntry& e : batch.records) edge.Append(e.leaf);
    ASSERT_TRUE(store.Commit(batch).ok());
    EXPECT_EQ(store.edge(), edge);
  }
  for (const uint64_t size : {1u, 255u, 256u, 257u, 512u, 958u, 959u}) ProvesItself(store, size);
  EXPECT_TRUE(store.ReadTile({0, 3, 191}).ok());
  EXPECT_TRUE(store.ReadTile({1, 0, 3}).ok());
  for (const tlog::Tile beyond : {tlog::Tile{0, 3, 192}, {1, 0, 4}, {2, 0, 1}, {0, 4, 1}})
    EXPECT_TRUE(absl::IsNotFound(store.ReadTile(beyond).status()));
  EXPECT_FALSE(store.ProverAt(960).ok());
}

TYPED_TEST(EachStoreTest, AnotherLogBeginsAtZeroAndWhatIsBesideTheLogStays) {
  Store& store = *this->store_;
  Scribe scribe;
  Batch before = scribe.NextBatch(300);
  before.puts.push_back({"floor/1", Owned("x")});
  ASSERT_TRUE(store.Commit(before).ok());
  Scribe next(Chain(Filled<Kid>(0x66), scribe.clock()));
  Batch begin = next.NextBatch(2);
  EXPECT_FALSE(store.Commit(begin).ok()) << "seq 0 follows nothing";
  begin.begins_log = true;
  ASSERT_TRUE(store.Commit(begin).ok());
  EXPECT_EQ(store.size(), 2u);
  EXPECT_EQ(store.edge().size(), 2u);
  EXPECT_EQ(**store.GetState("floor/1"), Owned("x"));
  ASSERT_TRUE(store.Commit(next.NextBatch(400)).ok());
  EXPECT_TRUE(store.Verify().ok());
  ProvesItself(store, 270);
  const uint64_t third = ParseEntry(*store.Read(3))->hlc;
  EXPECT_EQ(*store.SeqAt(third), 3u);
  EXPECT_EQ(*store.SeqAt(before.records[5].hlc), 0u);
  size_t of_subject = 0;
  EXPECT_TRUE(store
                  .WalkSubject(Filled<Kid>(2),
                               0,
                               kSeqEnd,
                               Order::kNewestFirst,
                               [&](Seq seq, const Digest&, ByteView) {
                                 EXPECT_LT(seq, 402u);
                                 ++of_subject;
                                 return true;
                               })
                  .ok());
  EXPECT_EQ(of_subject, 81u) << "of the newest log alone";
}

TEST(MemStoreTest, ACopyIsTheDiskAtThatInstant) {
  MemStore disk;
  Scribe scribe;
  ASSERT_TRUE(disk.Commit(scribe.NextBatch(3)).ok());
  const MemStore image = disk;
  ASSERT_TRUE(disk.Commit(scribe.NextBatch(2)).ok());
  EXPECT_EQ(image.size(), 3u);
  MemStore restarted = image;
  ASSERT_TRUE(restarted.Commit(Scribe::After(restarted).NextBatch()).ok());
  EXPECT_TRUE(restarted.Verify().ok());
}

TEST(MemStoreTest, AFaultRefusesAndChangesNothingAndHeals) {
  MemStore disk;
  Scribe scribe;
  const Batch batch = scribe.NextBatch();
  disk.SetFault(absl::ResourceExhaustedError("disk full"));
  EXPECT_TRUE(absl::IsResourceExhausted(disk.Commit(batch)));
  EXPECT_EQ(disk.size(), 0u);
  disk.SetFault(absl::OkStatus());
  EXPECT_TRUE(disk.Commit(batch).ok());
}

TEST(MemStoreTest, RotIsNoticedWhereverItStrikes) {
  Scribe scribe;
  MemStore whole;
  ASSERT_TRUE(whole.Commit(scribe.NextBatch(3)).ok());
  for (Seq seq = 0; seq < 3; ++seq) {
    for (size_t bit = 0; bit < whole.Read(seq)->size() * 8; bit += 5) {
      MemStore rotten = whole;
      rotten.Rot(seq, bit);
      ASSERT_TRUE(absl::IsDataLoss(rotten.Verify())) << seq << " " << bit;
      ASSERT_TRUE(absl::IsDataLoss(rotten.Read(seq).status()));
    }
  }
}

}  // namespace
}  // namespace aqmesh::lineage
