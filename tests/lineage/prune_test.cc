// The oldest records leave a store: what stays, what is still known, and what a crash leaves.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "issuing/issue.h"
#include "issuing/retention.h"
#include "lineage/audit.h"
#include "lineage/content.h"
#include "lineage/history/replay.h"
#include "lineage/retention.h"
#include "lineage/rocks/rocks_store.h"
#include "lineage/sealed/joined_store.h"
#include "tests/lineage/sealed/ledger.h"
#include "tests/support/sanitized.h"

namespace aqmesh::lineage {
namespace {

using testing::HasSubstr;

class PruneTest : public testing::Test {
 protected:
  std::unique_ptr<RocksStore> Open() {
    auto store = RocksStore::Open(dir_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  static Oid Rule() { return Filled<Oid>(0x77); }

  TempDir temp_;
  std::string dir_ = temp_.Path("s"), out_ = temp_.Path("sealed");
};

TEST_F(PruneTest, WhatIsLeftIsShownProvenAndFoldedAsBefore) {  // spec: lineage#12.4
  auto store = Open();
  Ledger ledger(*store);
  ledger.Write(3'000);
  ledger.Sign();
  ledger.Write(900);
  ledger.Sign();
  const auto before = Shown(*store, 2'560);
  const State state = *StateOf(*store, store->size(), 0);
  const State then = *StateOf(*store, 2'800, 0);
  const tlog::Edge edge = store->edge();
  ASSERT_TRUE(store->Prune(2'560, Rule()).ok());
  store.reset();
  for (const bool writing : {true, false}) {
    SCOPED_TRACE(writing ? "writer" : "reader");
    auto opened = writing ? RocksStore::Open(dir_) : RocksStore::OpenReadOnly(dir_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    const RocksStore& s = **opened;
    EXPECT_EQ(s.first(), 2'560u);
    EXPECT_EQ(s.gone().under, Rule());
    EXPECT_EQ(s.size(), 3'902u);
    EXPECT_EQ(s.edge(), edge);
    EXPECT_EQ(Shown(s), before);
    EXPECT_EQ(*StateOf(s, s.size()), state);
    EXPECT_EQ(*StateOf(s, 2'800), then);
    EXPECT_TRUE(absl::IsFailedPrecondition(StateOf(s, 2'000).status()));
    const uint64_t early = HlcFromMillis((kStartSeconds + 5) * 1'000);
    EXPECT_THAT(Text(StateAt(s, early).status()), HasSubstr("were pruned under 7777"));
    EXPECT_THAT(Text(s.Read(7).status()), HasSubstr("were pruned under 7777"));
    EXPECT_EQ(*s.SeqAt(early), 2'560u);
    const auto report = AuditLog(s, Ledger::Key(), {});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->heads, 2u);
    EXPECT_EQ(report->records, 3'902u - 2'560u);
    auto prover = s.ProverAt(s.size());
    ASSERT_TRUE(prover.ok());
    for (const Seq seq : {Seq{2'560}, Seq{3'901}, Seq{0}, Seq{1'000}})
      EXPECT_TRUE(prover->Inclusion(seq).ok()) << seq << ": also of those that left";
    EXPECT_TRUE(prover->Consistency(1'001).ok());
    Filter filter;
    filter.subject = Filled<Kid>(3);
    filter.limit = 10'000;
    const auto found = s.Query(filter);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_GT(found->size(), 200u);
    EXPECT_GE(found->back().record.seq, 2'560u);
    filter.subject.reset();
    filter.kind = authority::RecordKind::kRevokeSeen;
    EXPECT_EQ(s.Query(filter)->size(), 27u);
    size_t seen = 0;  // the restrictions of what left, for decisions that are made again
    ASSERT_TRUE(s.ScanState(kSeenPrefix, [&](std::string_view, ByteView) { return ++seen; }).ok());
    EXPECT_EQ(seen, 51u);
  }
}

TEST_F(PruneTest, GoesOnAfterwardsAndLosesMoreLater) {
  auto store = Open();
  Ledger ledger(*store);
  ledger.Write(20'000);  // more than one step
  ASSERT_TRUE(store->Prune(17'920, Rule()).ok());
  EXPECT_EQ(store->first(), 17'920u);
  ledger.Write(1'000);
  ledger.Sign();
  ASSERT_TRUE(store->Prune(18'432, Rule()).ok());
  EXPECT_EQ(store->first(), 18'432u);
  ASSERT_TRUE(store->Prune(512, Rule()).ok()) << "they are gone already";
  EXPECT_FALSE(store->Prune(18'500, Rule()).ok()) << "no multiple of 256";
  EXPECT_FALSE(store->Prune(25'600, Rule()).ok()) << "more than there is";
  EXPECT_EQ(store->first(), 18'432u);
  EXPECT_EQ(*StateOf(*store, store->size()), *StateOf(*store, store->size(), 18'432));
  EXPECT_TRUE(AuditLog(*store, Ledger::Key(), {}).ok());
}

// What a record commits to says more than the record: it outlives it nowhere.
TEST_F(PruneTest, TheContentOfARecordLeavesWithIt) {  // spec: lineage#12.4
  auto store = Open();
  Ledger ledger(*store);
  Rng rng = SeededRng();
  const Kid whom = Filled<Kid>(3);
  const ContentKey key = ContentKey::Make(rng);
  std::vector<Oid> names;
  const auto keep = [&] {
    const SealedContent sealed = SealContent(key, whom, {{kAttemptsContent}}, rng);
    authority::Observe flow;
    flow.kind = authority::RecordKind::kFlow;
    flow.subject = whom;
    flow.flow = authority::FlowSummary{};
    flow.commits = {sealed.commit};
    ledger.Add(flow);
    names.push_back(ContentName(sealed.commit));
    Batch batch;
    batch.objects.push_back({Shelf::kContent, names.back(), sealed.bytes});
    batch.puts.push_back({ContentKeyName(whom), key.Encode()});
    ASSERT_TRUE(store->Commit(batch).ok());
  };
  keep();
  ledger.Write(500);
  keep();
  ledger.Write(1'500);
  ASSERT_TRUE(store->Prune(256, Rule()).ok());
  EXPECT_FALSE(store->GetObject(Shelf::kContent, names[0])->has_value());
  EXPECT_TRUE(store->GetObject(Shelf::kContent, names[1])->has_value());
  store = nullptr;
  store = Open();
  EXPECT_FALSE(store->GetObject(Shelf::kContent, names[0])->has_value());
  const auto left = store->Read(501);
  ASSERT_TRUE(left.ok()) << left.status();
  const auto content = ReadContent(*store, *authority::ParseBody<authority::Observe>(*left));
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_EQ(content->state, Content::State::kOpen);
}

// A process is killed again and again while it prunes.
TEST_F(PruneTest, AKillLeavesBeforeOrAfter) {
  {
    auto store = Open();
    Ledger ledger(*store);
    ledger.Write(18'000);
    ledger.Sign();
  }
  constexpr Seq kEnd = 16'896;  // a step, and what is left
  Seq last = 0;
  for (int round = 0; round < (kSanitized ? 2 : 6) && last < kEnd; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      auto store = RocksStore::Open(dir_);
      if (store.ok()) (void)(*store)->Prune(kEnd, Rule());
      _exit(0);
    }
    ::usleep(static_cast<useconds_t>(10'000 + 15'000 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    auto store = RocksStore::OpenReadOnly(dir_);
    ASSERT_TRUE(store.ok()) << store.status();
    const Seq first = (*store)->first();
    EXPECT_TRUE(first % RocksStore::kPruneStep == 0 || first == kEnd) << first;
    EXPECT_GE(first, last);
    last = first;
    const auto report = AuditLog(**store, Ledger::Key(), {});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->records + first, 18'001u);
    ASSERT_TRUE(StateOf(**store, 18'001).ok());
  }
  auto store = Open();
  ASSERT_TRUE(store->Prune(kEnd, Rule()).ok());
  EXPECT_EQ(store->first(), kEnd);
  EXPECT_TRUE(AuditLog(*store, Ledger::Key(), {}).ok());
}

TEST_F(PruneTest, AnArchiveInFrontMakesTheLogWholeAgain) {  // spec: lineage#12.5
  auto store = Open();
  Ledger ledger(*store);
  ledger.Write(2'000);
  ledger.Sign();
  ledger.Write(1'500);
  const auto all = Shown(*store), back = Shown(*store, 0, kSeqEnd, Order::kNewestFirst);
  const State early = *StateOf(*store, 700, 0);
  Filter filter;
  filter.subject = Filled<Kid>(2);
  filter.limit = 10'000;
  const auto found = *store->Query(filter);
  ASSERT_TRUE(Seal(*store, out_, 1'792).ok());
  ASSERT_TRUE(CheckSealed(*store, out_, 0, 1'792).ok());
  ASSERT_TRUE(store->Prune(1'536, Rule()).ok());
  auto joined = JoinedStore::Make(std::move(store), *SealedStore::Open(out_));
  ASSERT_TRUE(joined.ok()) << joined.status();
  const Store& s = **joined;
  EXPECT_EQ(s.first(), 0u);
  EXPECT_EQ(Shown(s), all);
  EXPECT_EQ(Shown(s, 0, kSeqEnd, Order::kNewestFirst), back);
  EXPECT_EQ(*StateOf(s, 700), early);
  EXPECT_TRUE(*s.Query(filter) == found);
  for (const uint64_t at : std::array<uint64_t, 7>{0, 5, 1535, 1536, 1537, 3000, 9999}) {
    const uint64_t hlc = HlcFromMillis((kStartSeconds + at) * 1'000);
    EXPECT_EQ(*s.SeqAt(hlc), std::min<Seq>(at, s.size())) << at;
  }
  EXPECT_EQ(AuditLog(s, Ledger::Key(), {})->records, 3'501u);
}

TEST_F(PruneTest, AnArchiveOfAnotherHistoryIsRefused) {
  auto store = Open();
  Ledger ledger(*store);
  ledger.Write(2'000);
  MemStore other;
  Ledger another(other);
  another.Add(Decided(9));
  another.Write(1'500);
  another.Sign();
  ASSERT_TRUE(Seal(other, out_, kSeqEnd).ok());
  ASSERT_TRUE(store->Prune(512, Rule()).ok());
  const auto joined = JoinedStore::Make(std::move(store), *SealedStore::Open(out_));
  EXPECT_THAT(Text(joined.status()), HasSubstr("another history"));
}

// ---- rules

authority::Retention RuleOf(std::vector<authority::KeepRule> rules) {
  authority::Retention r;
  r.rules = std::move(rules);
  return r;
}
constexpr uint32_t Bit(authority::RecordKind kind) {
  return 1u << (static_cast<uint32_t>(kind) - 1);
}

TEST(RetentionTest, LetsGoOfWholeTilesOfWhichEveryRecordIsOldEnough) {
  using enum authority::RecordKind;
  MemStore store;
  Ledger ledger(store);
  ledger.Write(4'000);
  const uint64_t now = ledger.now();
  struct Case {
    const char* name;
    std::vector<authority::KeepRule> rules;
    Seq end;
    bool sealed;
  };
  const Case cases[] = {
      {"older than 3,000 s: 1,000 records, of which 768 are whole tiles",
       {{authority::kRecordKindsAll, 3'000, 0}},
       768,
       false},
      {"the newest 1,024 stay", {{authority::kRecordKindsAll, 1, 0}}, 2'816, false},
      {"a kind that no rule names stays, and what comes after it",
       {{Bit(kDecided), 1, 0}},
       0,
       false},
      {"of a kind the first rule that names it",
       {{Bit(kRevokeSeen), 3'500, 1}, {authority::kRecordKindsAll, 1, 0}},
       512,
       true},
      {"nothing is old enough", {{authority::kRecordKindsAll, 100'000, 1}}, 0, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto plan = PlanPrune(store, RuleOf(c.rules), now);
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->end, c.end);
    EXPECT_EQ(plan->sealed_before, c.sealed);
  }
}

TEST(RetentionTest, OnlyARuleOfAVoterCounts) {
  Rng rng = SeededRng();
  const crypto::Ed25519Seed root(Bytes(32, 1)), stranger(Bytes(32, 2));
  const auto charter = *issuing::Genesis({.name = "home", .now = kStartSeconds}, root, rng);
  issuing::MemorySeqs seqs;
  const auto make = [&](const crypto::Ed25519Seed& seed) {
    const issuing::Signer signer(seed, seqs);
    return issuing::MakeRetention({.signer = signer, .charter = charter},
                                  {.rules = {{authority::kRecordKindsAll, 60, 0}}},
                                  kStartSeconds + 10);
  };
  const auto rule = make(root);
  ASSERT_TRUE(rule.ok()) << rule.status();
  EXPECT_TRUE(authority::VerifyRetention(*rule->envelope, charter).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(make(stranger).status()));
  const auto forged = issuing::Seal(rule->body, stranger);
  EXPECT_TRUE(
      absl::IsPermissionDenied(authority::VerifyRetention(*forged.envelope, charter).status()));
  authority::Retention other = rule->body;
  other.scope = Filled<ScopeId>(9);
  EXPECT_TRUE(absl::IsPermissionDenied(
      authority::VerifyRetention(*issuing::Seal(other, root).envelope, charter).status()));
  // The newest that has begun holds; one for another log does not.
  std::vector<authority::Held<authority::Retention>> held = {*rule};
  other = rule->body;
  other.not_before += 5;
  other.log = Filled<Kid>(3);
  held.push_back(issuing::Seal(other, root));
  other.not_before += 1'000;
  other.log.reset();
  held.push_back(issuing::Seal(other, root));
  const auto in_force = [&](uint8_t log, uint64_t now) {
    const auto* found = authority::RetentionOf(held, Filled<Kid>(log), now);
    return found == nullptr ? -1 : static_cast<int>(found - held.data());
  };
  EXPECT_EQ(in_force(3, kStartSeconds + 100), 1);
  EXPECT_EQ(in_force(4, kStartSeconds + 100), 0);
  EXPECT_EQ(in_force(4, kStartSeconds + 5'000), 2);
  EXPECT_EQ(in_force(4, kStartSeconds - 1'000), -1);
}

}  // namespace
}  // namespace aqmesh::lineage
