// The fold of a log, and its snapshots: from the beginning, from any snapshot, through a kill, it
// comes to the same bytes.
#include <gmock/gmock.h>
#include <rocksdb/db.h>

#include "lineage/history/replay.h"
#include "lineage/history/state.h"
#include "lineage/rocks/rocks_store.h"
#include "lineage/rocks/snapshot_keeper.h"
#include "tests/lineage/story.h"
#include "tests/support/sanitized.h"

namespace aqmesh::lineage {
namespace {

using authority::Observe;
using authority::RecordKind;
using authority::Rung;

// A log told line by line.
class Teller {
 public:
  Observe Add(Observe r) {
    const RecordEntry e = chain_.Add(std::move(r), WallTime::FromSeconds(kStartSeconds + 60));
    const Observe record = *authority::ParseBody<Observe>(e.body);
    state.Apply(record, e.leaf);
    return record;
  }
  Observe Decide(uint8_t subject, uint8_t authority, Rung rung) {
    Observe r = Decided(subject, rung);
    r.authority = Filled<Digest>(authority);
    r.reason = rung < Rung::kEscalate ? 8 : 0;
    return Add(r);
  }
  void Edge(RecordKind kind, uint8_t subject, uint8_t action, Rung rung = Rung::kAdmit) {
    Observe r;
    r.kind = kind;
    r.subject = Filled<Kid>(subject);
    r.rung = rung;
    r.action = 3;
    r.action_id = Filled<authority::ActionId>(action);
    Add(r);
  }
  void Commit(uint8_t subject, uint8_t action, Rung rung = Rung::kAdmit) {
    for (const RecordKind kind :
         {RecordKind::kApplied, RecordKind::kVerified, RecordKind::kCommitted})
      Edge(kind, subject, action, rung);
  }
  // Decided, armed and committed.
  void Admit(uint8_t subject, uint8_t authority, uint8_t action, Rung rung = Rung::kAdmit) {
    Decide(subject, authority, rung);
    Edge(RecordKind::kArmed, subject, action, rung);
    Commit(subject, action, rung);
  }
  Rung RungOf(uint8_t subject) const {
    const Subject* s = state.Find(Filled<Kid>(subject));
    return s ? s->rung() : Rung::kNone;
  }
  State state;

 private:
  Chain chain_{LogKid()};
};

TEST(HistoryTest, WhatIsCommittedIsInForceUnderItsDecision) {
  Teller t;
  t.Decide(1, 7, Rung::kConstrain);
  EXPECT_EQ(t.RungOf(1), Rung::kNone);
  t.Edge(RecordKind::kArmed, 1, 9, Rung::kConstrain);
  EXPECT_EQ(t.RungOf(1), Rung::kNone) << "armed is not in force";
  t.Commit(1, 9, Rung::kConstrain);
  EXPECT_EQ(t.RungOf(1), Rung::kConstrain);
  const Subject& s = *t.state.Find(Filled<Kid>(1));
  ASSERT_NE(s.ground(), nullptr);
  EXPECT_EQ(s.ground()->authority, Filled<Digest>(7));
  EXPECT_EQ(s.ground()->seq, 0u);
  EXPECT_TRUE(s.open.empty());
}

TEST(HistoryTest, ARefusalEndsWhatItWasDecidedAboutAndNothingElse) {
  Teller t;
  t.Admit(1, 7, 9);
  t.Decide(1, 8, Rung::kRefuse);  // somebody tries with another presentation
  EXPECT_EQ(t.RungOf(1), Rung::kAdmit);
  t.Decide(1, 7, Rung::kRefuse);
  EXPECT_EQ(t.RungOf(1), Rung::kNone);
}

TEST(HistoryTest, ARefusalOfWhatWaitsForTheDiskEndsTheSessionToo) {
  Teller t;
  t.Admit(1, 7, 9);
  t.Decide(1, 8, Rung::kAdmit);
  t.Edge(RecordKind::kArmed, 1, 10);
  t.Decide(1, 8, Rung::kRefuse);
  EXPECT_EQ(t.RungOf(1), Rung::kNone);
}

TEST(HistoryTest, WhatNarrowsActsAtOnceAndWhatWidensWhenItIsCommitted) {
  Teller t;
  t.Admit(1, 7, 9);
  t.Decide(1, 7, Rung::kConstrain);
  EXPECT_EQ(t.RungOf(1), Rung::kConstrain);
  t.Edge(RecordKind::kArmed, 1, 10, Rung::kConstrain);
  t.Commit(1, 10, Rung::kConstrain);
  t.Decide(1, 7, Rung::kAdmit);
  EXPECT_EQ(t.RungOf(1), Rung::kConstrain);
  t.Edge(RecordKind::kArmed, 1, 11);
  t.Commit(1, 11);
  EXPECT_EQ(t.RungOf(1), Rung::kAdmit);
}

TEST(HistoryTest, UndoneBeforeItWasAppliedLeavesWhatStood) {
  Teller t;
  t.Admit(1, 7, 9);
  t.Decide(1, 8, Rung::kAdmit);
  t.Edge(RecordKind::kArmed, 1, 10);
  t.Edge(RecordKind::kRolledBack, 1, 10);
  EXPECT_EQ(t.RungOf(1), Rung::kAdmit);
  EXPECT_EQ(t.state.Find(Filled<Kid>(1))->ground()->authority, Filled<Digest>(7));
  // Once it was applied, it had taken that one's place.
  t.Edge(RecordKind::kArmed, 1, 11);
  t.Edge(RecordKind::kApplied, 1, 11);
  t.Edge(RecordKind::kRolledBack, 1, 11);
  EXPECT_EQ(t.RungOf(1), Rung::kNone);
}

TEST(HistoryTest, OwnTablesAreThereUntilTheyAreTakenDown) {
  Teller t;
  Observe r;
  r.kind = RecordKind::kCommitted;
  r.subject = Filled<Kid>(4);
  r.action = 4;
  r.action_id = Filled<authority::ActionId>(1);
  r.intent_gen = r.observed_gen = 1;
  t.Add(r);
  EXPECT_TRUE(t.state.Find(Filled<Kid>(4))->in_force.has_value());
  r.action_id = Filled<authority::ActionId>(2);
  r.intent_gen = r.observed_gen = 2;
  t.Add(r);
  EXPECT_FALSE(t.state.Find(Filled<Kid>(4))->in_force.has_value());
  r.action_id = Filled<authority::ActionId>(3);
  r.intent_gen = r.observed_gen = 1;
  t.Add(r);
  // Armed again, and found undone after a crash: the process took the old ones with it.
  r.kind = RecordKind::kArmed;
  r.action_id = Filled<authority::ActionId>(4);
  t.Add(r);
  r.kind = RecordKind::kRolledBack;
  r.intent_gen = r.observed_gen = 0;
  t.Add(r);
  EXPECT_FALSE(t.state.Find(Filled<Kid>(4))->in_force.has_value());
}

TEST(HistoryTest, RestrictionsApprovalsFlowsAndDropsAreCounted) {
  Teller t;
  Observe r;
  r.kind = RecordKind::kRevokeSeen;
  r.subject = Filled<Kid>(1);
  r.evidence = Filled<Digest>(0x55);
  t.Add(r);
  r = {};
  r.kind = RecordKind::kApproved;
  r.subject = Filled<Kid>(2);
  r.evidence = Filled<Digest>(0x66);
  t.Add(r);
  r = {};
  r.kind = RecordKind::kFlow;
  r.subject = Filled<Kid>(2);
  r.flow = authority::FlowSummary{.frames = 3,
                                  .bytes = 400,
                                  .first = 1,
                                  .last = 3,
                                  .tags = Filled<Digest>(1),
                                  .presentations = {}};
  t.Add(r);
  t.Add(r);
  r = {};
  r.kind = RecordKind::kDrops;
  r.drops = {{70, 2}, {300, 5}};
  t.Add(r);
  t.Add(r);
  ASSERT_EQ(t.state.restrictions().size(), 1u);
  EXPECT_EQ(t.state.restrictions()[0].oid, Filled<Digest>(0x55));
  EXPECT_EQ(t.state.Find(Filled<Kid>(1))->restricted, Seq{0});
  EXPECT_EQ(t.state.Find(Filled<Kid>(2))->approved, Filled<Digest>(0x66));
  EXPECT_EQ(t.state.Find(Filled<Kid>(2))->carried.frames, 6u);
  EXPECT_EQ(t.state.drops().at(70), 4u);
  EXPECT_EQ(t.state.kinds()[18], 2u);
}

// ---- random logs

// Any record that parses, over few subjects, actions and authorities, so that they meet.
Observe AnyRecord(Rng& rng, size_t subjects) {
  Observe r;
  r.kind = static_cast<RecordKind>(1 + rng.Below(22));
  if (rng.Below(8) == 0) r.kind = RecordKind::kCommitted;
  if (r.kind == RecordKind::kDrops) {
    r.drops = {{static_cast<uint16_t>(64 + rng.Below(20)), 1 + rng.Below(9)}};
    return r;
  }
  if (r.kind == RecordKind::kFlow) {
    r.flow = authority::FlowSummary{.frames = 1 + rng.Below(100),
                                    .bytes = 1 + rng.Below(9'000),
                                    .first = 1,
                                    .last = 2,
                                    .tags = Filled<Digest>(1),
                                    .presentations = {}};
  }
  if (rng.Below(16) != 0) {
    Kid& kid = r.subject.emplace();
    StoreBe(kid.data(), rng.Below(subjects));
  }
  const bool decision = r.kind == RecordKind::kProposed || r.kind == RecordKind::kDecided;
  if (decision || rng.Below(4) == 0) r.rung = static_cast<Rung>(rng.Below(7));
  if (rng.Below(4) != 0) r.authority = Filled<Digest>(static_cast<uint8_t>(1 + rng.Below(4)));
  if (decision && rng.Below(4) != 0) r.gates = authority::Gates{6, 6, 5, 4, 6, 1};
  if (decision) r.inputs = Filled<Oid>(static_cast<uint8_t>(1 + rng.Below(200)));
  if (decision) r.ladm = static_cast<uint32_t>(rng.Below(65'537));
  if (rng.Below(2) == 0) r.reason = static_cast<uint16_t>(rng.Below(28));
  if (rng.Below(3) != 0) r.action = static_cast<uint16_t>(3 + rng.Below(2));
  if (rng.Below(8) != 0)
    r.action_id = Filled<authority::ActionId>(static_cast<uint8_t>(1 + rng.Below(30)));
  r.intent_gen = rng.Below(3);
  if (rng.Below(3) == 0) r.evidence = Filled<Digest>(static_cast<uint8_t>(1 + rng.Below(200)));
  return r;
}

Batch AnyBatch(Rng& rng, Chain& chain, size_t records, size_t subjects) {
  Batch batch;
  for (size_t i = 0; i < records; ++i) {
    batch.records.push_back(
        chain.Add(AnyRecord(rng, subjects), WallTime::FromSeconds(kStartSeconds + chain.next())));
  }
  return batch;
}

TEST(HistoryTest, FromTheBeginningAndFromAnySnapshotComeToTheSameBytes) {
  Rng rng = SeededRng();
#ifdef __SANITIZE_ADDRESS__
  constexpr int kRounds = 500;  // ten times slower there
#else
  constexpr int kRounds = 3'000;
#endif
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    MemStore store;
    Chain chain(LogKid());
    const size_t records = 1 + rng.Below(120);
    ASSERT_TRUE(store.Commit(AnyBatch(rng, chain, records, 1 + rng.Below(6))).ok());
    State whole;
    ASSERT_TRUE(Advance(store, records, whole).ok());
    const uint64_t cut = rng.Below(records + 1);
    State half;
    ASSERT_TRUE(Advance(store, cut, half).ok());
    const Bytes kept = half.Encode();
    const auto parsed = State::Parse(kept);
    ASSERT_TRUE(parsed.ok()) << Text(parsed.status());
    ASSERT_TRUE(*parsed == half);
    ASSERT_TRUE(store.PutSnapshot({cut, kept}).ok());
    const auto from_kept = StateOf(store, records);
    ASSERT_TRUE(from_kept.ok()) << Text(from_kept.status());
    ASSERT_EQ(from_kept->Encode(), whole.Encode());
    ASSERT_TRUE(*from_kept == whole);
  }
}

TEST(HistoryTest, ABoundedNumberOfSubjectsIsKeptWhateverTheCut) {
  Rng rng = SeededRng();
  MemStore store;
  Chain chain(LogKid());
  constexpr size_t kRecords = 45'000;
  for (size_t i = 0; i < kRecords; i += 1'000)
    ASSERT_TRUE(store.Commit(AnyBatch(rng, chain, 1'000, 1u << 30)).ok());
  const auto whole = StateOf(store, kRecords);
  ASSERT_TRUE(whole.ok());
  EXPECT_LE(whole->Subjects().size(), State::kSubjectsMax);
  EXPECT_GT(whole->forgotten(), 0u);
  for (const uint64_t cut : {31'000u, 35'000u, 36'000u, 44'999u}) {
    if (kSanitized && cut != 35'000u) continue;
    const auto half = StateOf(store, cut);
    ASSERT_TRUE(half.ok());
    auto again = State::Parse(half->Encode());
    ASSERT_TRUE(again.ok());
    ASSERT_TRUE(Advance(store, kRecords, *again).ok());
    EXPECT_TRUE(again->Encode() == whole->Encode()) << cut;
  }
}

// Cut where a field ends, or bent where any value goes, it is another state; the store's hash
// tells.
TEST(HistoryTest, OtherBytesAreAnotherStateOrNone) {
  Rng rng = SeededRng();
  MemStore store;
  Chain chain(LogKid());
  ASSERT_TRUE(store.Commit(AnyBatch(rng, chain, 60, 4)).ok());
  const State state = *StateOf(store, 60);
  const Bytes whole = state.Encode();
  size_t refused = 0;
  const auto check = [&](ByteView bytes, size_t place) {
    const auto parsed = State::Parse(bytes);
    refused += parsed.ok() ? 0u : 1u;
    if (!parsed.ok()) return;
    EXPECT_TRUE(Equal(parsed->Encode(), bytes)) << place;
    EXPECT_FALSE(*parsed == state) << place;
  };
  for (size_t n = 0; n < whole.size(); ++n) check(ByteView(whole).first(n), n);
  EXPECT_GT(refused, whole.size() * 9 / 10);
  for (size_t bit = 0; bit < whole.size() * 8; bit += kSanitized ? 9 : 1) {
    Bytes bent = whole;
    bent[bit / 8] = static_cast<uint8_t>(bent[bit / 8] ^ (1u << (bit % 8)));
    check(bent, bit);
  }
  EXPECT_FALSE(State::Parse({}).ok());
}

// ---- snapshots

TEST(SnapshotTest, ASpoiledOneIsPassedOverForTheOneBefore) {
  Rng rng = SeededRng();
  MemStore store;
  Chain chain(LogKid());
  ASSERT_TRUE(store.Commit(AnyBatch(rng, chain, 300, 5)).ok());
  const Bytes want = StateOf(store, 300, 0)->Encode();
  for (const uint64_t records : {100u, 200u}) {
    const auto state = StateOf(store, records);
    ASSERT_TRUE(state.ok());
    ASSERT_TRUE(store.PutSnapshot({records, state->Encode()}).ok());
  }
  EXPECT_EQ((*store.SnapshotAt(299))->records, 200u);
  store.RotSnapshot(200, 77);
  EXPECT_EQ((*store.SnapshotAt(299))->records, 100u);
  EXPECT_EQ(StateOf(store, 300)->Encode(), want);
  store.RotSnapshot(100, 3);
  EXPECT_FALSE((*store.SnapshotAt(299)).has_value());
  EXPECT_EQ(StateOf(store, 300)->Encode(), want);
}

TEST(SnapshotTest, OneOfAnotherLogIsNotUsed) {
  Rng rng = SeededRng();
  MemStore ours, theirs;
  Chain a(LogKid()), b(Filled<Kid>(0x77));
  ASSERT_TRUE(ours.Commit(AnyBatch(rng, a, 100, 5)).ok());
  ASSERT_TRUE(theirs.Commit(AnyBatch(rng, b, 100, 5)).ok());
  const Bytes want = StateOf(ours, 100)->Encode();
  ASSERT_TRUE(ours.PutSnapshot({60, StateOf(theirs, 60)->Encode()}).ok());
  EXPECT_EQ(StateOf(ours, 100)->Encode(), want);
}

TEST(SnapshotTest, AnyInstantOfALogHasItsOwnState) {
  Rng rng = SeededRng();
  MemStore store;
  Chain chain(LogKid());
  ASSERT_TRUE(store.Commit(AnyBatch(rng, chain, 200, 5)).ok());
  ASSERT_TRUE(store.PutSnapshot({120, StateOf(store, 120)->Encode()}).ok());
  for (uint64_t seq = 0; seq < 200; ++seq) {
    const uint64_t hlc = authority::ParseBody<Observe>(*store.Read(seq))->hlc;
    EXPECT_EQ(StateAt(store, hlc)->records(), seq + 1);
    EXPECT_EQ(StateAt(store, hlc - 1)->records(), seq);
  }
  EXPECT_EQ(StateAt(store, 0)->records(), 0u);
  EXPECT_EQ(StateAt(store, UINT64_MAX)->records(), 200u);
}

// ---- on a disk

// What a kill leaves: the directory as it is, seen by a process that comes after.
void CopyTo(const std::string& from, const std::string& to) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

TEST(SnapshotTest, FoldsTheSameThroughKillsAndReopenings) {
  Rng rng = SeededRng();
  TempDir dir;
  std::string path = dir.Path("0");
  uint64_t records = 0;
  State live;  // folded as it was written
  for (int life = 1; life <= 12; ++life) {
    SCOPED_TRACE(life);
    auto store = RocksStore::Open(path);
    ASSERT_TRUE(store.ok()) << Text(store.status());
    ASSERT_EQ((*store)->size(), records);
    EXPECT_EQ(StateOf(**store, records)->Encode(), live.Encode());
    Chain chain =
        records == 0 ? Chain(LogKid()) : *Chain::Resume(LogKid(), *(*store)->Read(records - 1));
    for (uint64_t i = rng.Below(6); i > 0; --i) {
      const size_t some = 1 + rng.Below(400);
      const Batch batch = AnyBatch(rng, chain, some, 20);
      ASSERT_TRUE((*store)->Commit(batch).ok());
      for (const RecordEntry& e : batch.records)
        live.Apply(*authority::ParseBody<Observe>(e.body), e.leaf);
      records += some;
      if (rng.Below(2) == 0) {
        const uint64_t at = rng.Below(records + 1);
        ASSERT_TRUE((*store)->PutSnapshot({at, StateOf(**store, at)->Encode()}).ok());
      }
    }
    const uint64_t at = rng.Below(records + 1);
    EXPECT_EQ(StateOf(**store, at)->Encode(), StateOf(**store, at, 0)->Encode());
    const bool kill = rng.Below(2) == 0;
    const std::string next = dir.Path(std::to_string(life));
    if (!kill) store->reset();
    CopyTo(path, next);
    path = next;
  }
  auto reader = RocksStore::OpenReadOnly(path);
  ASSERT_TRUE(reader.ok()) << Text(reader.status());
  EXPECT_EQ(StateOf(**reader, records)->Encode(), live.Encode());
  EXPECT_FALSE((*reader)->PutSnapshot({1, {}}).ok());
}

// A database of a version that had no snapshots.
void DropSnapshots(const std::string& store) {
  std::vector<std::string> names;
  const std::string path = store + "/db";
  ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, path, &names).ok());
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open({}, path, families, &handles, &db).ok());
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    if (handle->GetName() == "snapshot") {
      ASSERT_TRUE(db->DropColumnFamily(handle).ok());
    }
    ASSERT_TRUE(db->DestroyColumnFamilyHandle(handle).ok());
  }
  delete db;
}

TEST(SnapshotTest, AnOldStoreIsReadWithoutThemAndGetsThemFromAKeeper) {
  Rng rng = SeededRng();
  TempDir dir;
  const std::string path = dir.Path("store");
  constexpr uint64_t kDue = kSanitized ? 1 : 2;
  constexpr uint64_t kRecords = kDue * Snapshots::kEveryMin + 500;
  {
    auto store = RocksStore::Open(path);
    ASSERT_TRUE(store.ok());
    Chain chain(LogKid());
    for (uint64_t left = kRecords; left > 0;) {
      const size_t some = std::min<uint64_t>(left, 4'000);
      ASSERT_TRUE((*store)->Commit(AnyBatch(rng, chain, some, 50)).ok());
      left -= some;
    }
  }
  DropSnapshots(path);
  Bytes want;
  {
    auto reader = RocksStore::OpenReadOnly(path);
    ASSERT_TRUE(reader.ok()) << Text(reader.status());
    EXPECT_FALSE((*reader)->SnapshotAt(kRecords)->has_value());
    want = StateOf(**reader, kRecords)->Encode();
  }
  auto store = RocksStore::Open(path);
  ASSERT_TRUE(store.ok()) << Text(store.status());
  {
    SnapshotKeeper keeper(**store);
    // It looks at once, and again for as long as one is due.
    while ((*store)->SnapshotAt(kRecords)->value_or(Snapshot{}).records <
           kDue * Snapshots::kEveryMin)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));  // it runs at the lowest priority
  }
  EXPECT_EQ((*store)->SnapshotAt(kRecords)->value().records, kDue * Snapshots::kEveryMin);
  EXPECT_EQ(StateOf(**store, kRecords)->Encode(), want);
  Snapshots next(**store);
  ASSERT_TRUE(next.Open().ok());
  EXPECT_EQ(next.due(), (kDue + 1) * Snapshots::kEveryMin);
  EXPECT_FALSE(*next.TakeNext());
}

}  // namespace
}  // namespace aqmesh::lineage
