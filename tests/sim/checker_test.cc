// The checker must be able to fail: each rule against a state made by hand that breaks it, and the
// nearest one that does not.
#include "sim/checker.h"

#include <gtest/gtest.h>

#include "admission/gate.h"
#include "core/authority/address.h"
#include "issuing/issue.h"
#include "lineage/inputs.h"

namespace aqmesh::sim {
namespace {

using authority::Observe;
using authority::RecordKind;
using authority::Rung;

constexpr uint64_t kStart = 1'700'000'000;

crypto::Ed25519Seed SeedFrom(uint8_t byte) {
  Rng rng(Rng::Seed{byte});
  return crypto::NewEd25519(rng);
}

// One node "b" whose log and disk are written by hand, and a sender "c" under an enroller "a".
class CheckerTest : public ::testing::Test {
 protected:
  CheckerTest() : chain_(Kid{}) {
    Rng rng(Rng::Seed{7});
    const auto charter = issuing::Genesis({.name = "home", .now = kStart}, root_, rng);
    charter_ = *charter;
    scope_ = issuing::ScopeOfCharter(charter_);
    const issuing::Signer root(root_, seqs_), a(a_, seqs_);
    const auto first = issuing::RootGrants(
        {root, charter_}, {.key = crypto::Ed25519Public(a_), .name = "a"}, kStart);
    enroller_ = *first->enroller;
    leaf_ = *issuing::NodeGrant({a, charter_, &enroller_},
                                {.key = crypto::Ed25519Public(c_), .name = "c"},
                                nullptr,
                                kStart);
    Keep(*enroller_.envelope);
    Keep(*leaf_.envelope);
    lineage::Inputs in;
    in.oids = {charter_.oid(), enroller_.oid(), leaf_.oid()};
    in.wall_millis = in.mono_nanos = 1;
    const Bytes bytes = lineage::EncodeInputs(in);
    inputs_ = lineage::InputsId(bytes);
    lineage::Batch batch;
    batch.objects.push_back({lineage::Shelf::kInputs, inputs_, bytes});
    EXPECT_TRUE(disk_.Commit(batch).ok());
    checker_.SetName(c_kid_, "c");
    checker_.OnStart("b", disk_);
  }

  static Kid KidOfSeed(const crypto::Ed25519Seed& seed) {
    return authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(seed));
  }
  void Keep(const authority::Signed& object) {
    lineage::Batch batch;
    batch.objects.push_back({lineage::Shelf::kSigned, object.oid(), object.bytes()});
    EXPECT_TRUE(disk_.Commit(batch).ok());
  }
  Observe Record(RecordKind kind, Rung rung, uint8_t action = 1) const {
    Observe o;
    o.kind = kind;
    o.subject = c_kid_;
    o.rung = rung;
    o.action = static_cast<uint16_t>(admission::Action::kInstallPeer);
    if (kind == RecordKind::kProposed || kind == RecordKind::kDecided) {
      o.inputs = inputs_;
    } else {
      o.action_id = authority::ActionId{{action}};
    }
    return o;
  }
  lineage::Batch Batched(Observe record) {
    lineage::Batch batch;
    batch.records.push_back(chain_.Add(std::move(record), WallTime::FromSeconds(kStart)));
    return batch;
  }
  void HandOver(Observe record) { checker_.OnHandedOver("b", Batched(std::move(record))); }
  void Write(Observe record) {  // handed over and durable
    const lineage::Batch batch = Batched(std::move(record));
    checker_.OnHandedOver("b", batch);
    ASSERT_TRUE(disk_.Commit(batch).ok());
    checker_.OnDurable("b", disk_);
  }
  void Admit(Rung rung = Rung::kAdmit) {
    Write(Record(RecordKind::kProposed, rung));
    Write(Record(RecordKind::kArmed, rung));
    Write(Record(RecordKind::kApplied, rung));
    Write(Record(RecordKind::kCommitted, rung));
  }
  void WriteRevocation(const crypto::Ed25519Seed& by, const issuing::RevokeTerms& terms) {
    const auto made = issuing::MakeRevoke(issuing::Signer(by, seqs_), scope_, terms, kStart << 26);
    ASSERT_TRUE(made.ok());
    Keep(*made->envelope);
    Observe o;
    o.kind = RecordKind::kRevokeSeen;
    o.subject = terms.kid;
    o.evidence = *Digest::From(made->oid().view());
    o.rung = Rung::kRefuse;
    o.action = static_cast<uint16_t>(admission::Action::kRestrict);
    Write(std::move(o));
  }

  void Deliver(uint64_t after = 0) {
    const IpAddress address = authority::DerivedIp6(scope_, c_kid_);
    checker_.CheckDelivery("b", {c_kid_, address, address, WallTime::FromSeconds(kStart + after)});
  }
  Live LiveAt(Rung verdict, bool committed = true) const {
    Live live;
    live.peers.push_back({c_kid_, verdict, committed});
    return live;
  }
  // What it found: "" or "rule: what".
  std::string Found() const {
    if (checker_.violations().empty()) return "";
    const Violation& v = checker_.violations().front();
    return std::string(RuleName(v.rule)) + ": " + v.what;
  }
  static bool Says(const std::string& found, std::string_view rule, std::string_view what) {
    return found.starts_with(std::string(rule) + ": ") && found.find(what) != std::string::npos;
  }

  crypto::Ed25519Seed root_ = SeedFrom(1), a_ = SeedFrom(2), c_ = SeedFrom(3), other_ = SeedFrom(4);
  Kid c_kid_ = KidOfSeed(c_);
  issuing::MemorySeqs seqs_;
  authority::Held<authority::Charter> charter_;
  ScopeId scope_;
  authority::Held<authority::Grant> enroller_, leaf_;
  Oid inputs_;
  lineage::Chain chain_;
  lineage::MemStore disk_;
  Checker checker_{[this](const Oid& oid) -> std::optional<Bytes> {
    return *disk_.GetObject(lineage::Shelf::kSigned, oid);
  }};
};

// ---- delivery ----

TEST_F(CheckerTest, ADeliveryUnderADurableDecisionIsFine) {
  Admit();
  Deliver();
  EXPECT_EQ(Found(), "");
}

TEST_F(CheckerTest, AForgedDeliveryHasNoDecision) {
  Deliver();
  EXPECT_TRUE(Says(Found(), "delivery", "no durable decision")) << Found();
}

TEST_F(CheckerTest, ADecisionThatIsNotDurableLetsNobodyIn) {
  HandOver(Record(RecordKind::kProposed, Rung::kAdmit));
  Deliver();
  EXPECT_TRUE(Says(Found(), "delivery", "no durable decision")) << Found();
}

TEST_F(CheckerTest, ADecisionOfAnEarlierLifeLetsNobodyIn) {
  Admit();
  checker_.OnStart("b", disk_);
  Deliver();
  EXPECT_TRUE(Says(Found(), "delivery", "no durable decision")) << Found();
}

TEST_F(CheckerTest, ARefusalEndsWhatWasInForce) {
  Admit();
  Write(Record(RecordKind::kDecided, Rung::kRefuse));
  Deliver();
  EXPECT_TRUE(Says(Found(), "delivery", "no durable decision")) << Found();
}

TEST_F(CheckerTest, ControlChannelRungsCarryNoFrames) {
  Admit(Rung::kEscalate);
  Deliver();
  EXPECT_TRUE(Says(Found(), "delivery", "no durable decision")) << Found();
}

TEST_F(CheckerTest, AFrameUnderAnothersAddressIsFound) {
  Admit();
  checker_.CheckDelivery("b",
                         {c_kid_,
                          authority::DerivedIp6(scope_, c_kid_),
                          authority::DerivedIp6(scope_, KidOfSeed(a_)),
                          WallTime::FromSeconds(kStart)});
  EXPECT_TRUE(Says(Found(), "delivery", "source address")) << Found();
}

TEST_F(CheckerTest, AGrantOutOfDateLetsNobodyIn) {
  Admit();
  Deliver(leaf_.body.ttl - 1);
  EXPECT_EQ(Found(), "");
  Deliver(leaf_.body.ttl);
  EXPECT_TRUE(Says(Found(), "delivery", "not in date")) << Found();
}

// ---- revoked ----

TEST_F(CheckerTest, AFrameAfterADurableFloorByItsIssuerIsFound) {
  Admit();
  WriteRevocation(a_, {.type = authority::RevokeType::kFloor, .kid = c_kid_, .floor = 2});
  Deliver();
  EXPECT_TRUE(Says(Found(), "revoked", "was durable here")) << Found();
}

TEST_F(CheckerTest, AFrameAfterTheSendersOwnLastWordIsFound) {
  Admit();
  WriteRevocation(c_, {.type = authority::RevokeType::kKey, .kid = c_kid_});
  Deliver();
  EXPECT_TRUE(Says(Found(), "revoked", "was durable here")) << Found();
}

TEST_F(CheckerTest, AStrangersRevocationBindsNobody) {
  Admit();
  WriteRevocation(other_, {.type = authority::RevokeType::kFloor, .kid = c_kid_, .floor = 2});
  WriteRevocation(other_, {.type = authority::RevokeType::kKey, .kid = c_kid_});
  WriteRevocation(other_, {.type = authority::RevokeType::kOid, .oid = leaf_.oid()});
  Deliver();
  EXPECT_EQ(Found(), "");
}

TEST_F(CheckerTest, RevocationsByObjectAndByNumberEndAChain) {
  const std::vector<authority::Held<authority::Grant>> chain = {leaf_, enroller_};
  const issuing::Signer a(a_, seqs_);
  const auto ends = [&](issuing::RevokeTerms terms) {
    const auto made = issuing::MakeRevoke(a, scope_, terms, kStart << 26);
    return made.ok() && Ends(*made, chain);
  };
  using enum authority::RevokeType;
  EXPECT_TRUE(ends({.type = kOid, .oid = leaf_.oid()}));
  EXPECT_FALSE(ends({.type = kOid, .oid = charter_.oid()}));
  EXPECT_TRUE(ends({.type = kIssuerFrom, .kid = KidOfSeed(a_), .from = leaf_.body.seq}));
  EXPECT_FALSE(ends({.type = kIssuerFrom, .kid = KidOfSeed(a_), .from = leaf_.body.seq + 1}));
  EXPECT_FALSE(ends({.type = kFloor, .kid = c_kid_, .floor = 1}));
  EXPECT_FALSE(ends({.type = kKey, .kid = c_kid_}));  // by another than c
}

// ---- agreement ----

TEST_F(CheckerTest, TheFoldOfTheLogIsTheLiveState) {
  Admit();
  checker_.CheckAgreement("b", LiveAt(Rung::kAdmit));
  EXPECT_EQ(Found(), "");
}

TEST_F(CheckerTest, AVerdictThatTheLogDoesNotKnowIsFound) {
  checker_.CheckAgreement("b", LiveAt(Rung::kAdmit));
  EXPECT_TRUE(Says(Found(), "agreement", "the log says NONE")) << Found();
}

TEST_F(CheckerTest, AVerdictThatTheLogClosedIsFound) {
  Admit();
  Write(Record(RecordKind::kDecided, Rung::kRefuse));
  checker_.CheckAgreement("b", LiveAt(Rung::kAdmit));
  EXPECT_TRUE(Says(Found(), "agreement", "the log says NONE")) << Found();
}

TEST_F(CheckerTest, APeerThatVanishedWithoutARecordIsFound) {
  Admit();
  checker_.CheckAgreement("b", Live{});
  EXPECT_TRUE(Says(Found(), "agreement", "no such peer is held")) << Found();
}

TEST_F(CheckerTest, AStatusThatClaimsMoreThanTheTablesHoldIsFound) {
  checker_.CheckAgreement("b", LiveAt(Rung::kNone, true));
  EXPECT_TRUE(Says(Found(), "agreement", "committed, and no verdict")) << Found();
}

TEST_F(CheckerTest, WhatNarrowsMayActBeforeItsRecordAndWhatWidensMayNot) {
  Admit(Rung::kConstrain);
  HandOver(Record(RecordKind::kDecided, Rung::kProbation));
  HandOver(Record(RecordKind::kArmed, Rung::kProbation, 2));
  checker_.CheckAgreement("b", LiveAt(Rung::kProbation));
  EXPECT_EQ(Found(), "");
  HandOver(Record(RecordKind::kDecided, Rung::kAdmit));
  HandOver(Record(RecordKind::kArmed, Rung::kAdmit, 3));
  HandOver(Record(RecordKind::kCommitted, Rung::kAdmit, 3));
  checker_.CheckAgreement("b", LiveAt(Rung::kAdmit));
  EXPECT_TRUE(Says(Found(), "agreement", "before that was durable")) << Found();
}

TEST_F(CheckerTest, APlanGivenUpLeavesWhatWasInForceAndOneUndoneDoesNot) {
  Admit();
  Write(Record(RecordKind::kArmed, Rung::kAdmit, 2));
  Write(Record(RecordKind::kRolledBack, Rung::kAdmit, 2));
  checker_.CheckAgreement("b", LiveAt(Rung::kAdmit));
  EXPECT_EQ(Found(), "");
  Write(Record(RecordKind::kArmed, Rung::kAdmit, 3));
  Write(Record(RecordKind::kApplied, Rung::kAdmit, 3));
  Write(Record(RecordKind::kRolledBack, Rung::kAdmit, 3));
  checker_.CheckAgreement("b", LiveAt(Rung::kNone, false));
  EXPECT_EQ(Found(), "");
}

TEST_F(CheckerTest, ARestrictionThatActsNowhereIsFound) {
  WriteRevocation(a_, {.type = authority::RevokeType::kFloor, .kid = c_kid_, .floor = 2});
  checker_.CheckAgreement("b", Live{});
  EXPECT_TRUE(Says(Found(), "agreement", "0 restrictions act, the log says 1")) << Found();
}

TEST_F(CheckerTest, KernelTablesWithoutARecordAreFound) {
  Live live;
  live.tables_up = true;
  checker_.CheckAgreement("b", live);
  EXPECT_TRUE(Says(Found(), "agreement", "tables are up, the log says down")) << Found();
}

TEST_F(CheckerTest, KernelTablesChangeUnderADurablePlanAlone) {
  Observe armed = Record(RecordKind::kArmed, Rung::kNone, 9);
  armed.action = static_cast<uint16_t>(admission::Action::kAddRoute);
  const lineage::Batch batch = Batched(armed);
  checker_.OnHandedOver("b", batch);
  checker_.CheckTables("b", *armed.action_id);
  EXPECT_TRUE(Says(Found(), "agreement", "before the plan")) << Found();
  ASSERT_TRUE(disk_.Commit(batch).ok());
  checker_.OnDurable("b", disk_);
  const size_t before = checker_.violations().size();
  checker_.CheckTables("b", *armed.action_id);
  EXPECT_EQ(checker_.violations().size(), before);
}

// ---- chain and bounds ----

TEST_F(CheckerTest, ALogThatRotsIsFound) {
  Admit();
  checker_.CheckFold("b", disk_);
  EXPECT_EQ(Found(), "");
  disk_.Rot(2, 40);
  checker_.CheckFold("b", disk_);
  EXPECT_TRUE(Says(Found(), "chain", "folded anew")) << Found();
}

TEST_F(CheckerTest, EachBoundHoldsToTheLastUnit) {
  struct Case {
    const char* name;
    Load full, over;
  };
  const Case cases[] = {
      {"peers", {.peers = 4, .others = 4}, {.peers = 5, .others = 4}},
      {"batches", {.batches = Checker::kBatchesMax}, {.batches = Checker::kBatchesMax + 1}},
      {"datagrams",
       {.datagrams = Checker::kDatagramsMax},
       {.datagrams = Checker::kDatagramsMax + 1}},
      {"plans",
       {.others = 2, .plans = 2 * Checker::kPlansPerPeerMax},
       {.others = 2, .plans = 2 * Checker::kPlansPerPeerMax + 1}},
      {"turns",
       {.turns_at_once = Checker::kTurnsAtOnceMax},
       {.turns_at_once = Checker::kTurnsAtOnceMax + 1}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const size_t before = checker_.violations().size();
    checker_.CheckLoad("b", c.full);
    EXPECT_EQ(checker_.violations().size(), before);
    checker_.CheckLoad("b", c.over);
    ASSERT_EQ(checker_.violations().size(), before + 1);
    EXPECT_EQ(checker_.violations().back().rule, Rule::kBounds);
  }
}

}  // namespace
}  // namespace aqmesh::sim
