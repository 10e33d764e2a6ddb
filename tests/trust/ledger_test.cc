// What counts, how much, and once: the ledger's rules one by one.
#include "trust/ledger.h"

#include "tests/trust/story.h"

namespace aqmesh::trust {
namespace {

constexpr uint32_t kFullLevel = kOne;  // of a reporter: half of it is what counts

// A ledger and the words of the tests. Key(1) is whom they are about; 2 granted it, 3 granted 2.
class LedgerTest : public testing::Test {
 protected:
  LedgerTest() {
    for (const uint64_t n : {1u, 2u, 3u}) Know(n);
  }
  void Know(uint64_t n) { ASSERT_TRUE(ledger_.Meet(Key(n), 47'185, kStart, settled_)); }

  Noted See(uint64_t subject, Event event, uint64_t evidence = 0) {
    return Tell(subject, event, evidence, Basis::kSeen);
  }
  Noted Prove(uint64_t subject, Event event, uint64_t evidence) {
    return Tell(subject, event, evidence, Basis::kProven);
  }
  Noted Tell(uint64_t subject, Event event, uint64_t evidence, Basis basis) {
    return ledger_.Note({.subject = Key(subject),
                         .event = event,
                         .basis = basis,
                         .epoch = now_,
                         .evidence = Proof(evidence),
                         .issuer = issuer_,
                         .grand_issuer = grand_issuer_},
                        settled_);
  }
  Noted Hear(uint64_t reporter,
             uint64_t group,
             Event event,
             uint64_t evidence,
             uint32_t level = kFullLevel) {
    return ledger_.Note({.subject = Key(1),
                         .event = event,
                         .basis = Basis::kHeard,
                         .epoch = now_,
                         .evidence = Proof(evidence),
                         .reporter = Key(reporter),
                         .group = Key(group),
                         .reporter_ladm = level},
                        settled_);
  }
  void Wait(uint64_t epochs) { ledger_.Advance(now_ += epochs, settled_); }
  std::vector<Kid> FoldedKeys() const {
    std::vector<Kid> keys;
    for (const Folded& f : settled_.folded) keys.push_back(f.key);
    return keys;
  }
  Standing Of(uint64_t subject) { return *ledger_.At(Key(subject)); }
  // The evidence of the open epoch, told by what it does to a key that had none before.
  uint32_t For(uint64_t subject = 1) { return Of(subject).r_f; }
  uint32_t Against(uint64_t subject = 1) { return Of(subject).s_f; }

  static constexpr uint64_t kStart = 5'900'000;
  Ledger ledger_;
  Settled settled_;
  uint64_t now_ = kStart;
  std::optional<Kid> issuer_, grand_issuer_;
};

TEST_F(LedgerTest, EachEventWeighsWhatTheTableSays) {  // spec: trust#6
  struct Case {
    Event event;
    uint32_t good, bad;
  };
  const Case kCases[] = {
      {Event::kSessionConfirmed, 2'048, 0},
      {Event::kCheckpointFresh, 4'096, 0},
      {Event::kAttestationConfirmed, 4'096, 0},
      {Event::kTimelyTurn, 8'192, 0},
      {Event::kObjectMalformed, 0, 16'384},
      {Event::kReadBackMismatch, 0, 65'536},
      {Event::kLogRestart, 0, 65'536},
      {Event::kGrantOutsideScope, 0, 262'144},
      {Event::kRollbackAttempt, 0, 262'144},
      {Event::kAttestationContradicted, 0, 262'144},
      {Event::kSignedAfterRevocation, 0, 1'048'576},
  };
  uint64_t key = 100;
  for (const Case& c : kCases) {
    SCOPED_TRACE(RuleOf(c.event).name);
    Know(++key);
    EXPECT_EQ(See(key, c.event), Noted::kCounted);
    EXPECT_EQ(For(key), c.good);
    EXPECT_EQ(Against(key), c.bad);
    Know(++key);
    EXPECT_EQ(Prove(key, c.event, key), Noted::kCounted);
    EXPECT_EQ(For(key), c.good);
    EXPECT_EQ(Against(key), c.bad);
  }
}

TEST_F(LedgerTest, WhatAnEpochBroughtActsAtOnceAndIsFoldedOnce) {
  See(1, Event::kSessionConfirmed);
  EXPECT_EQ(For(), 2'048u);
  See(1, Event::kSessionConfirmed);
  EXPECT_EQ(For(), 4'096u);
  EXPECT_TRUE(settled_.folded.empty());
  const Standing open = Of(1);
  Wait(1);
  EXPECT_EQ(FoldedKeys(), std::vector<Kid>{Key(1)});
  EXPECT_EQ(Of(1), open);
  Wait(5);
  EXPECT_EQ(settled_.folded.size(), 1u);
  EXPECT_EQ(Of(1), open);
}

TEST_F(LedgerTest, WhatWasFoldedCanBeFoldedAgain) {
  See(1, Event::kSessionConfirmed);
  Prove(1, Event::kReadBackMismatch, 7);
  const std::optional<Folded> open = ledger_.Open(Key(1));
  ASSERT_TRUE(open.has_value());
  Wait(1);
  ASSERT_EQ(settled_.folded.size(), 1u);
  EXPECT_EQ(settled_.folded[0], *open);
  Standing again = open->before;
  again.Step(open->epoch, open->evidence);
  EXPECT_EQ(again, Of(1));
}

// What is seen of a key is one; what a class promises is not.
TEST_F(LedgerTest, EachRoleHasAPriorOfItsOwn) {
  EXPECT_EQ(ledger_.At(Key(1), Role::kPeer, 1).a, 1u);  // none is fixed yet
  See(1, Event::kSessionConfirmed);
  Wait(1);
  EXPECT_EQ(ledger_.At(Key(1), Role::kPeer, 1).a, 47'185u);
  const Standing as_authority = ledger_.At(Key(1), Role::kAuthority, 60'000);
  EXPECT_EQ(as_authority.a, 60'000u);
  EXPECT_EQ(as_authority.r_f, 2'048u);
  ASSERT_TRUE(ledger_.Meet(Key(1), 58'000, now_, settled_, Role::kAuthority));
  EXPECT_EQ(ledger_.At(Key(1), Role::kAuthority, 60'000).a, 58'000u);
  ASSERT_TRUE(ledger_.Meet(Key(1), 50'000, now_, settled_, Role::kAuthority));
  EXPECT_EQ(ledger_.At(Key(1), Role::kAuthority, 60'000).a, 58'000u);  // fixed by the evidence
  EXPECT_EQ(ledger_.At(Key(1), Role::kPeer, 1).a, 47'185u);
  EXPECT_EQ(ledger_.At(Key(1))->a, 58'000u);
  const auto back = Ledger::Decode(ledger_.Encode());
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->At(Key(1), Role::kAuthority, 1).a, 58'000u);
  EXPECT_EQ(ledger_.At(Key(99), Role::kPeer, 321), Standing::New(321, now_));
}

// A disk may hold a row of this epoch beside one of the last.
TEST_F(LedgerTest, ARowThatStayedBehindIsFoldedInItsOwnEpoch) {
  See(1, Event::kSessionConfirmed);
  See(2, Event::kSessionConfirmed);
  const Bytes behind = *ledger_.EncodeRow(Key(2));
  const uint64_t then = now_;
  Wait(4);
  See(1, Event::kSessionConfirmed);
  Bytes disk = ledger_.EncodeHead();
  Append(disk, *ledger_.EncodeRow(Key(1)));
  Append(disk, behind);
  auto back = Ledger::Decode(disk);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->Encode(), disk);
  EXPECT_EQ(back->At(Key(2)), ledger_.At(Key(2)));
  Settled settled;
  back->Note({.subject = Key(2), .event = Event::kSessionConfirmed, .epoch = now_}, settled);
  ASSERT_EQ(settled.folded.size(), 1u);
  EXPECT_EQ(settled.folded[0].epoch, then);
  EXPECT_EQ(back->At(Key(2))->last, now_);
}

TEST_F(LedgerTest, AnEpochGivesAQuarterAtTheMost) {
  for (int i = 0; i < 100; ++i) See(1, Event::kSessionConfirmed);
  EXPECT_EQ(For(), kGoodPerEpoch);
  EXPECT_EQ(Of(1).r_s, kGoodPerEpoch / 16);
}

TEST_F(LedgerTest, LateEvidenceIsBookedToTheOpenEpoch) {
  Wait(10);
  now_ -= 7;  // a record of ours cannot be older, but nothing falls if it claims to be
  EXPECT_EQ(See(1, Event::kReadBackMismatch), Noted::kCounted);
  EXPECT_EQ(ledger_.epoch(), kStart + 10);
  EXPECT_EQ(Of(1).last, kStart + 10);
}

TEST_F(LedgerTest, ALaterEpochEndsTheOpenOne) {
  See(1, Event::kSessionConfirmed);
  now_ += 3;
  See(2, Event::kSessionConfirmed);
  EXPECT_EQ(FoldedKeys(), std::vector<Kid>{Key(1)});
  EXPECT_EQ(Of(1).last, kStart);
  EXPECT_EQ(Of(2).last, kStart + 3);
}

TEST_F(LedgerTest, APriorIsFixedAtTheFirstFold) {
  ASSERT_TRUE(ledger_.Meet(Key(1), 40'000, now_, settled_));
  EXPECT_EQ(Of(1).a, 40'000u);
  See(1, Event::kSessionConfirmed);
  ASSERT_TRUE(ledger_.Meet(Key(1), 41'000, now_, settled_));
  EXPECT_EQ(Of(1).a, 41'000u);
  Wait(1);
  ASSERT_TRUE(ledger_.Meet(Key(1), 42'000, now_, settled_));
  EXPECT_EQ(Of(1).a, 41'000u);
}

TEST_F(LedgerTest, StrangersAndNamelessEvidenceDoNotCount) {
  EXPECT_EQ(See(99, Event::kSessionConfirmed), Noted::kStranger);
  EXPECT_EQ(ledger_.At(Key(99)), std::nullopt);
  EXPECT_EQ(Prove(1, Event::kGrantOutsideScope, 0), Noted::kNoEvidence);
  EXPECT_EQ(Hear(8, 9, Event::kSessionConfirmed, 0), Noted::kNoEvidence);
  EXPECT_EQ(Of(1), Standing::New(47'185, kStart));
}

TEST_F(LedgerTest, AnEquivocationNeedsItsProof) {
  EXPECT_EQ(See(1, Event::kEquivocation), Noted::kNoEvidence);
  EXPECT_EQ(See(1, Event::kEquivocation, 7), Noted::kNoEvidence);
  EXPECT_EQ(Hear(8, 9, Event::kEquivocation, 7), Noted::kCounted);  // a rumour like others
  EXPECT_FALSE(Of(1).col);
  EXPECT_EQ(Of(1).u, kRumourPerEpoch);
  EXPECT_EQ(Prove(1, Event::kEquivocation, 7), Noted::kCounted);
  EXPECT_TRUE(Of(1).col);
  Wait(1);
  EXPECT_EQ(Of(1).Read(now_ + 1'000'000).ladm, 0u);
}

TEST_F(LedgerTest, AProofCountsOnceHoweverManySendIt) {
  EXPECT_EQ(Prove(1, Event::kGrantOutsideScope, 7), Noted::kCounted);
  EXPECT_EQ(Prove(1, Event::kGrantOutsideScope, 7), Noted::kKnown);  // of this epoch: no sum
  EXPECT_EQ(Hear(8, 9, Event::kGrantOutsideScope, 7), Noted::kCounted);
  EXPECT_EQ(Against(), kMajor);
  EXPECT_EQ(Of(1).u, 0u);  // nor is an echo of it a rumour
  Wait(5);
  EXPECT_EQ(Prove(1, Event::kGrantOutsideScope, 7), Noted::kKnown);
  EXPECT_EQ(See(1, Event::kGrantOutsideScope, 7), Noted::kKnown);
  EXPECT_EQ(Hear(8, 9, Event::kGrantOutsideScope, 7), Noted::kKnown);
  EXPECT_EQ(Of(1).last, kStart);
  EXPECT_EQ(Prove(1, Event::kGrantOutsideScope, 8), Noted::kCounted);
}

TEST_F(LedgerTest, AHeavierFindingOnTheSameEvidenceCountsItsDifference) {
  See(1, Event::kObjectMalformed, 7);
  Prove(1, Event::kGrantOutsideScope, 7);
  EXPECT_EQ(Against(), kMajor);  // the heaviest, not the sum
  Wait(1);
  const uint32_t before = Of(1).s_s;
  Prove(1, Event::kSignedAfterRevocation, 7);
  EXPECT_NEAR(Of(1).s_s, before + (16 * kOne - kMajor) / 4, 2);
  Wait(1);
  EXPECT_EQ(Prove(1, Event::kSignedAfterRevocation, 7), Noted::kKnown);
}

TEST_F(LedgerTest, PraiseCountsByHalfTheReportersLevel) {
  EXPECT_EQ(Hear(8, 9, Event::kSessionConfirmed, 1, 52'428), Noted::kCounted);
  EXPECT_EQ(For(), 2'048u * 52'428 / 2 / 65'536);  // 819
  EXPECT_EQ(Hear(8, 9, Event::kSessionConfirmed, 2, 0), Noted::kWeightless);
  EXPECT_EQ(Hear(8, 9, Event::kSessionConfirmed, 2, 1), Noted::kWeightless);  // rounds to nothing
  EXPECT_EQ(Hear(1, 9, Event::kSessionConfirmed, 2), Noted::kWeightless);     // of itself
  EXPECT_EQ(For(), 819u);
}

TEST_F(LedgerTest, NoReporterWeighsMoreThanHalf) {
  Hear(8, 9, Event::kSessionConfirmed, 1, UINT32_MAX);
  EXPECT_EQ(For(), 1'024u);
}

TEST_F(LedgerTest, PraiseIsCappedByGroupAndInAll) {
  Hear(8, 100, Event::kTimelyTurn, 1);
  EXPECT_EQ(For(), 4'096u);
  Hear(8, 100, Event::kTimelyTurn, 2);
  EXPECT_EQ(For(), kPraisePerGroup);
  Hear(9, 101, Event::kSessionConfirmed, 3);
  EXPECT_EQ(For(), kPraisePerGroup + 1'024);
  Hear(9, 101, Event::kTimelyTurn, 4);
  Hear(9, 102, Event::kTimelyTurn, 5);
  EXPECT_EQ(For(), kPraisePerEpoch);
  See(1, Event::kSessionConfirmed);  // what we saw ourselves is not under that cap
  EXPECT_EQ(For(), kPraisePerEpoch + 2'048);
}

// Which group's cap it uses up is not a matter of who was heard first.
TEST_F(LedgerTest, TheSamePraiseByTwoIsTheLesserGroups) {
  Ledger other = ledger_;
  Hear(8, 100, Event::kTimelyTurn, 1);
  Hear(9, 101, Event::kTimelyTurn, 1);
  std::swap(ledger_, other);
  Hear(9, 101, Event::kTimelyTurn, 1);
  Hear(8, 100, Event::kTimelyTurn, 1);
  EXPECT_EQ(ledger_.Encode(), other.Encode());
  Hear(9, 101, Event::kTimelyTurn, 2);
  EXPECT_EQ(For(), kPraisePerEpoch);
}

TEST_F(LedgerTest, TenThousandSybilsOfOneIssuerGainWhatTwoDo) {
  Ledger two = ledger_;
  for (uint64_t n = 0; n < 10'000; ++n) {
    Hear(1'000 + n, 100, Event::kTimelyTurn, 1 + n);
    if (n == 1) two = ledger_;
  }
  EXPECT_EQ(Of(1), *two.At(Key(1)));
}

TEST_F(LedgerTest, AnEchoOfTheSameEvidenceAddsNothing) {
  Hear(8, 100, Event::kSessionConfirmed, 1, 30'000);
  const uint32_t one = For();
  for (uint64_t n = 0; n < 50; ++n) Hear(10 + n, 200 + n, Event::kSessionConfirmed, 1, 30'000);
  EXPECT_EQ(For(), one);
  Wait(1);
  const Standing folded = Of(1);
  EXPECT_EQ(Hear(9, 101, Event::kSessionConfirmed, 1, 30'000), Noted::kKnown);
  EXPECT_EQ(Of(1), folded);
  // Whoever weighs more adds the difference alone.
  EXPECT_EQ(Hear(9, 101, Event::kSessionConfirmed, 1, 60'000), Noted::kCounted);
  EXPECT_NEAR(For(), 2 * one, 2);
}

TEST_F(LedgerTest, AnEchoOfWhatWeSawInThisEpochAddsNothing) {
  Hear(8, 9, Event::kCheckpointFresh, 7);
  See(1, Event::kCheckpointFresh, 7);
  EXPECT_EQ(For(), 4'096u);
}

TEST_F(LedgerTest, ARumourToldAgainCountsByWhatItGained) {
  Hear(8, 9, Event::kObjectMalformed, 7, 30'000);
  EXPECT_EQ(Of(1).u, 3'750u);
  Wait(1);
  EXPECT_EQ(Hear(8, 9, Event::kObjectMalformed, 7, 30'000), Noted::kKnown);
  Hear(9, 9, Event::kObjectMalformed, 7, 60'000);
  EXPECT_NEAR(Of(1).u, 7'500, 6);  // less one epoch's decay
}

// Two machines that react to each other's records end with what the evidence itself was worth.
TEST_F(LedgerTest, AnEchoBetweenTwoConverges) {
  See(1, Event::kReadBackMismatch, 7);
  Wait(1);
  const Standing own = Of(1);
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_EQ(Hear(8, 9, Event::kReadBackMismatch, 7), Noted::kKnown);
    Wait(1);
  }
  EXPECT_EQ(Of(1), own);
}

TEST_F(LedgerTest, SlanderGoesToRumourAloneAndLeavesNoScar) {
  for (uint64_t epoch = 0; epoch < 12; ++epoch) {
    for (uint64_t n = 0; n < 40; ++n)
      Hear(10 + n, 100 + n, Event::kSignedAfterRevocation, 1'000 * epoch + n + 1);
    EXPECT_LE(Of(1).u, std::min<uint64_t>(kOne, (epoch + 1) * kRumourPerEpoch));
    Wait(1);
  }
  const Standing s = Of(1);
  EXPECT_GT(s.u, kOne - 200);
  EXPECT_EQ(s.s_f, 0u);
  EXPECT_EQ(s.s_s, 0u);
  EXPECT_EQ(s.x, 0u);
  EXPECT_EQ(s.kap, 0u);
  EXPECT_FALSE(s.Read(now_).negative);
}

TEST_F(LedgerTest, AProofAfterARumourCountsInFull) {
  Hear(8, 9, Event::kGrantOutsideScope, 7);
  Wait(1);
  EXPECT_EQ(Prove(1, Event::kGrantOutsideScope, 7), Noted::kCounted);
  EXPECT_EQ(Against(), kMajor);
}

TEST_F(LedgerTest, AnIssuerPaysForWhatIsProvenOfItsSubject) {  // spec: trust#8
  struct Case {
    Event event;
    uint32_t issuer, grand_issuer;
  };
  const Case kCases[] = {
      {Event::kReadBackMismatch, 0, 0},  // a minor fault is the subject's own
      {Event::kGrantOutsideScope, kOne, kOne / 4},
      {Event::kSignedAfterRevocation, kOne, kOne},
      {Event::kEquivocation, kOne, kOne},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(RuleOf(c.event).name);
    Ledger fresh;
    for (const uint64_t n : {1u, 2u, 3u}) fresh.Meet(Key(n), 47'185, now_, settled_);
    std::swap(ledger_, fresh);
    issuer_ = Key(2);
    grand_issuer_ = Key(3);
    Prove(1, c.event, 7);
    EXPECT_EQ(Against(2), c.issuer);
    EXPECT_EQ(Against(3), c.grand_issuer);
    for (const uint64_t n : {4u, 5u}) Know(n);
    See(4, c.event, 8);  // seen, but nothing that could be shown: no charge
    See(5, c.event);
    EXPECT_EQ(Against(2), c.issuer);
  }
}

TEST_F(LedgerTest, AnIssuerThatHadRevokedItPaysNothing) {
  grand_issuer_ = Key(3);
  Prove(1, Event::kSignedAfterRevocation, 7);
  EXPECT_EQ(Against(2), 0u);
  EXPECT_EQ(Against(3), kOne);
}

TEST_F(LedgerTest, NobodyPaysForItself) {
  issuer_ = Key(1);
  grand_issuer_ = Key(99);  // nor does a stranger
  Prove(1, Event::kGrantOutsideScope, 7);
  EXPECT_EQ(Against(1), kMajor);
  EXPECT_EQ(ledger_.size(), 3u);
}

// From saturation at .907: one bad leaf .785, ten of them .68, and not lower.
TEST_F(LedgerTest, BadLeavesCostTheirIssuerABoundedPart) {
  Ledger fresh;
  std::swap(ledger_, fresh);
  now_ = 0;
  for (uint64_t n = 0; n < 20; ++n) ledger_.Meet(Key(n), 47'185, 0, settled_);
  for (uint64_t e = 1; e <= 40'000; ++e) {
    now_ = e;
    for (int i = 0; i < 8; ++i) See(2, Event::kSessionConfirmed);
  }
  now_ = 40'001;
  issuer_ = Key(2);
  for (int i = 0; i < 8; ++i) See(2, Event::kSessionConfirmed);
  EXPECT_EQ(Milli(Of(2).Read(now_).ladm), 907);
  for (uint64_t proof = 1; proof <= 20; ++proof) Prove(1, Event::kGrantOutsideScope, proof);
  EXPECT_EQ(Milli(Of(2).Read(now_).ladm), 785);
  for (uint64_t leaf = 4; leaf < 13; ++leaf) Prove(leaf, Event::kSignedAfterRevocation, 100 + leaf);
  EXPECT_EQ(Milli(Of(2).Read(now_).ladm), 680);
  settled_ = {};
  Wait(1);
  EXPECT_EQ(settled_.escalate, std::vector<Kid>{Key(2)});
}

TEST_F(LedgerTest, ASubjectIsPaidForOncePer28Days) {
  issuer_ = Key(2);
  Prove(1, Event::kGrantOutsideScope, 1);
  Wait(1);
  EXPECT_EQ(Of(2).s_s, kOne / 4);
  const Standing after = Of(2);
  for (uint64_t proof = 2; proof < 20; ++proof, Wait(100))
    Prove(1, Event::kGrantOutsideScope, proof);
  EXPECT_EQ(Of(2), after);
  Wait(kStart + kLiableEpochs - 1 - now_);
  Prove(1, Event::kGrantOutsideScope, 30);
  EXPECT_EQ(Of(2), after);  // 28 days less one epoch
  Wait(1);
  Prove(1, Event::kGrantOutsideScope, 31);
  EXPECT_NE(Of(2), after);
  EXPECT_TRUE(settled_.escalate.empty());
}

// A major costs the grand-issuer 1/4; a critical of the same subject later 1.0 in all.
TEST_F(LedgerTest, AGraverProofChargesUpToTheSubjectsCap) {
  grand_issuer_ = Key(3);
  Prove(1, Event::kGrantOutsideScope, 1);
  Wait(1);
  EXPECT_EQ(Of(3).x, kOne / 4);
  Prove(1, Event::kSignedAfterRevocation, 2);
  EXPECT_EQ(Of(3).x, kOne - kDriftPerEpoch);
}

TEST_F(LedgerTest, AnIssuerPaysTwoIn28DaysAndThenAPersonIsAsked) {
  issuer_ = Key(2);
  for (uint64_t n = 10; n < 40; ++n) Know(n);
  Prove(10, Event::kGrantOutsideScope, 10);
  Wait(288);
  Prove(11, Event::kGrantOutsideScope, 11);
  Wait(288);
  EXPECT_TRUE(settled_.escalate.empty());
  const Standing paid = Of(2);
  Prove(12, Event::kGrantOutsideScope, 12);
  Wait(1);
  EXPECT_EQ(Of(2), paid);  // no evidence counted, so nothing was folded
  EXPECT_EQ(settled_.escalate, std::vector<Kid>{Key(2)});
  // The first charge is 28 days old: as much may be charged again, and no more.
  Wait(kStart + kLiableEpochs - now_);
  settled_ = {};
  for (uint64_t n = 13; n < 40; ++n) Prove(n, Event::kGrantOutsideScope, n);
  EXPECT_TRUE(Ledger::Decode(ledger_.Encode()).ok());
  const Standing again = Of(2);
  EXPECT_EQ(again.last, now_);
  EXPECT_NEAR(again.x, kOne, 0);
  Wait(1);
  EXPECT_EQ(settled_.escalate, std::vector<Kid>{Key(2)});
  EXPECT_EQ(Of(2), again);
  EXPECT_TRUE(Ledger::Decode(ledger_.Encode()).ok());  // what is over was let go
}

// Eight quarters are two; the ninth is one too many, and the set of what is due holds eight.
TEST_F(LedgerTest, TheNinthQuarterOfAnEpochIsForAPerson) {
  grand_issuer_ = Key(3);
  for (uint64_t n = 10; n < 19; ++n) Know(n);
  for (uint64_t n = 18; n > 10; --n) Prove(n, Event::kGrantOutsideScope, n);
  const Standing eight = Of(3);
  EXPECT_EQ(eight.s_f, kLiablePerIssuer);
  const Ledger before = ledger_;
  Wait(1);
  EXPECT_TRUE(settled_.escalate.empty());

  ledger_ = before;
  settled_ = {};
  now_ -= 1;
  Prove(10, Event::kGrantOutsideScope, 10);
  EXPECT_EQ(Of(3), eight);
  EXPECT_TRUE(Ledger::Decode(ledger_.Encode()).ok());
  Wait(1);
  EXPECT_EQ(settled_.escalate, std::vector<Kid>{Key(3)});
  EXPECT_EQ(Of(3), eight);

  settled_ = {};
  Wait(kLiableEpochs);
  Prove(10, Event::kRollbackAttempt, 100);
  Wait(1);
  EXPECT_TRUE(settled_.escalate.empty());  // that debt was of its own 28 days
}

TEST_F(LedgerTest, AFloodOfLightProofsDoesNotHideAHeavyOne) {
  Prove(1, Event::kEquivocation, 999);
  for (uint64_t n = 1; n < 200; ++n) Prove(1, Event::kObjectMalformed, n);
  EXPECT_TRUE(Of(1).col);
}

TEST(LedgerBoundsTest, AFullLedgerForgetsWhoSaysLeast) {
  Ledger ledger(4);
  Settled settled;
  const auto prove = [&](uint64_t n, Event event, uint64_t epoch) {
    return ledger.Note({.subject = Key(n),
                        .event = event,
                        .basis = Basis::kProven,
                        .epoch = epoch,
                        .evidence = Proof(n)},
                       settled);
  };
  const auto known = [&](uint64_t n) { return ledger.At(Key(n)).has_value(); };
  for (uint64_t n = 1; n <= 4; ++n) ASSERT_TRUE(ledger.Meet(Key(n), kOne / 2, n, settled));
  prove(1, Event::kEquivocation, 10);
  prove(2, Event::kReadBackMismatch, 11);
  ledger.Note({.subject = Key(3), .event = Event::kSessionConfirmed, .epoch = 12}, settled);
  ASSERT_TRUE(ledger.Meet(Key(5), kOne / 2, 20, settled));
  EXPECT_FALSE(known(4));  // nothing is known of it
  ASSERT_TRUE(ledger.Meet(Key(6), kOne / 2, 21, settled));
  EXPECT_FALSE(known(3));  // nothing against it, and untouched longer than 5
  ASSERT_TRUE(ledger.Meet(Key(7), kOne / 2, 22, settled));
  ASSERT_TRUE(ledger.Meet(Key(8), kOne / 2, 23, settled));
  EXPECT_FALSE(known(5));
  EXPECT_FALSE(known(6));
  EXPECT_TRUE(known(2));  // a mark outlives any number of newcomers
  prove(7, Event::kEquivocation, 24);
  prove(8, Event::kEquivocation, 24);
  ASSERT_TRUE(ledger.Meet(Key(9), kOne / 2, 25, settled));
  EXPECT_FALSE(known(2));
  prove(9, Event::kEquivocation, 26);
  EXPECT_FALSE(ledger.Meet(Key(10), kOne / 2, 27, settled));
  EXPECT_EQ(ledger.size(), 4u);
  EXPECT_TRUE(known(1));  // a collapse is never forgotten
}

TEST(LedgerBoundsTest, WhatIsInUseNowIsNotUntouched) {
  Ledger ledger(2);
  Settled settled;
  ledger.Meet(Key(1), kOne / 2, 1, settled);
  ledger.Meet(Key(2), kOne / 2, 5, settled);
  ledger.Note({.subject = Key(1), .event = Event::kSessionConfirmed, .epoch = 9}, settled);
  ledger.Meet(Key(3), kOne / 2, 9, settled);
  EXPECT_TRUE(ledger.At(Key(1)).has_value());
  EXPECT_FALSE(ledger.At(Key(2)).has_value());
}

TEST(LedgerBoundsTest, TheMemoryOfProofsIsTheNewest64) {
  Ledger ledger;
  Settled settled;
  ledger.Meet(Key(1), kOne / 2, 0, settled);
  const auto prove = [&](uint64_t evidence, uint64_t epoch) {
    return ledger.Note({.subject = Key(1),
                        .event = Event::kReadBackMismatch,
                        .basis = Basis::kProven,
                        .epoch = epoch,
                        .evidence = Proof(evidence)},
                       settled);
  };
  // The older, the greater its key: age decides, not the key.
  const auto name = [](uint64_t n) { return 1'000 - n; };
  for (uint64_t n = 1; n <= 65; ++n) EXPECT_EQ(prove(name(n), n), Noted::kCounted);
  for (uint64_t n = 2; n <= 65; ++n) EXPECT_EQ(prove(name(n), 100), Noted::kKnown) << n;
  EXPECT_EQ(prove(name(1), 100), Noted::kCounted);  // forgotten, after 64 others
}

TEST(LedgerBoundsTest, AProofThatGrewHeavierIsAsNewAsThat) {
  Ledger ledger;
  Settled settled;
  ledger.Meet(Key(1), kOne / 2, 0, settled);
  const auto prove = [&](Event event, uint64_t evidence, uint64_t epoch) {
    return ledger.Note({.subject = Key(1),
                        .event = event,
                        .basis = Basis::kProven,
                        .epoch = epoch,
                        .evidence = Proof(evidence)},
                       settled);
  };
  prove(Event::kObjectMalformed, 500, 1);
  for (uint64_t n = 2; n <= 60; ++n) prove(Event::kObjectMalformed, n, n);
  prove(Event::kReadBackMismatch, 500, 61);
  for (uint64_t n = 62; n <= 90; ++n) prove(Event::kObjectMalformed, n, n);
  EXPECT_EQ(prove(Event::kReadBackMismatch, 500, 91), Noted::kKnown);
  EXPECT_EQ(prove(Event::kObjectMalformed, 2, 91), Noted::kCounted);
}

}  // namespace
}  // namespace aqmesh::trust
