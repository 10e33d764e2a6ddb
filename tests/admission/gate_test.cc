#include "admission/gate.h"

#include <type_traits>

#include "admission/explain.h"
#include "tests/admission/world.h"

// Tests mint the tokens of the stages before; the production stages live in core/authority and
// trust.
struct aqmesh::authority::Authenticating {
  static Verified MintForTests(Chain chain, Rung rung, Reason reason) {
    return Verified(Passkey<Authenticating>(), std::move(chain), rung, reason);
  }
};
struct aqmesh::authority::Weighing {
  static Weighed MintForTests(Verified v, const ChainTrust& trust) {
    return Weighed(Passkey<Weighing>(), std::move(v), trust);
  }
};

namespace aqmesh::admission {
namespace {

using authority::Class;
using authority::Decision;
using authority::Profile;
using authority::Reason;
using authority::Rung;
using enum authority::Rung;

static_assert(!std::is_copy_constructible_v<Admitted> && std::is_move_constructible_v<Admitted>);
static_assert(!std::is_default_constructible_v<authority::Passkey<Gate>>);

// One unit before the gate: what is usual, and what a test changes.
struct Unit {
  GateParams params{.profile = Profile::kSmallMesh, .first_use = 0};
  LocalPolicy local = OpenLocalPolicy();
  GateContext context{.now = At(0), .local = local};
  TrustMemory memory;
  uint32_t ladm = 56'032;
  int32_t slope = 0;
  uint32_t scars = 0;
  bool broken = false, negative = false;
  Rung crypto = kAdmit;
  Reason crypto_reason = Reason::kNone;
  Class cls = Class::kNode;
  uint64_t expires = kT + 30 * 86'400;

  Unit() = default;
  Unit(const Unit&) = delete;

  Decision Decide() {
    authority::Chain chain;
    authority::Grant leaf;
    leaf.cls = cls;
    chain.grants.push_back({nullptr, leaf});
    chain.expires = expires;
    auto verified =
        authority::Authenticating::MintForTests(std::move(chain), crypto, crypto_reason);
    const authority::ChainTrust trust{ladm, slope, scars, broken, negative};
    return Gate(params).Decide(
        authority::Weighing::MintForTests(std::move(verified), trust), context, memory);
  }
  Rung rung() { return Decide().rung(); }
};

TEST(GateTest, AdmitsASmallMeshOnDayZero) {
  for (const uint32_t prior :
       {62'259u, 60'390u, 58'577u, 56'818u, 56'032u, 54'350u, 52'718u, 51'135u}) {
    Unit u;
    u.ladm = prior;
    const Decision d = u.Decide();
    EXPECT_EQ(d.rung(), kAdmit);
    EXPECT_EQ(d.masked_caps(), 0u);
    EXPECT_EQ(d.expires(), u.expires);
  }
}

TEST(GateTest, LadderHasItsThresholdsOneStepEitherSide) {  // spec: authority#C.4
  struct Case {
    Rung held;
    uint32_t ladm;
    bool negative;
    Rung want;
  };
  const Case cases[] = {
      {kNone, 45'875, false, kAdmit},          {kNone, 45'874, false, kConstrain},
      {kNone, 32'768, false, kConstrain},      {kNone, 32'767, false, kProbation},
      {kNone, 16'384, false, kProbation},      {kNone, 16'383, false, kEscalate},
      {kNone, 11'141, true, kEscalate},        {kNone, 11'140, true, kRefuse},
      {kNone, 11'140, false, kEscalate},       {kAdmit, 40'632, false, kAdmit},
      {kAdmit, 40'631, false, kConstrain},     {kAdmit, 27'525, false, kConstrain},
      {kAdmit, 27'524, false, kProbation},     {kAdmit, 11'141, false, kProbation},
      {kAdmit, 11'140, false, kEscalate},      {kAdmit, 11'140, true, kRefuse},
      {kConstrain, 27'525, false, kConstrain}, {kConstrain, 27'524, true, kProbation},
      {kProbation, 11'141, true, kProbation},  {kProbation, 11'140, true, kRefuse},
      {kConstrain, 65'536, false, kConstrain}, {kAdmit, 0, true, kRefuse},
      {kRefuse, 65'536, false, kRefuse},       {kEscalate, 11'140, true, kRefuse},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(testing::Message()
                 << static_cast<int>(c.held) << " " << c.ladm << " " << c.negative);
    Unit u;
    u.memory = {c.held, kT, 0, 0};
    u.ladm = c.ladm;
    u.negative = c.negative;
    EXPECT_EQ(u.rung(), c.want);
  }
}

TEST(GateTest, RisesOneRungADwellAndFallsAtOnce) {
  Unit u;
  u.ladm = 65'536;
  const auto held = [&u](uint64_t at, uint32_t epochs, int32_t slope) {
    u.memory = {kProbation, kT, epochs, 0};
    u.context.now = At(at);
    u.slope = slope;
    return u.rung();
  };
  EXPECT_EQ(held(3'599, 12, 0), kProbation);
  EXPECT_EQ(held(3'600, 11, 0), kProbation);
  EXPECT_EQ(held(3'600, 12, -1'312), kProbation);
  EXPECT_EQ(held(3'600, 12, -1'311), kConstrain);
  EXPECT_EQ(u.memory.since, kT + 3'600);
  EXPECT_EQ(u.memory.epochs, 0u);
  for (uint64_t e = 1; e <= 12; ++e) {
    u.memory.NoteObservation(e);
    u.memory.NoteObservation(e);
  }
  EXPECT_EQ(u.memory.epochs, 12u);
  u.context.now = At(7'199);
  EXPECT_EQ(u.rung(), kConstrain);
  u.context.now = At(7'200);
  EXPECT_EQ(u.rung(), kAdmit);
  u.ladm = 20'000;
  EXPECT_EQ(u.rung(), kProbation);
}

TEST(GateTest, OtherGatesLeaveNoMemory) {
  Unit u;
  u.context.freshness = {.age = 86'401};
  EXPECT_EQ(u.rung(), kConstrain);
  u.context.freshness = {};
  EXPECT_EQ(u.rung(), kAdmit);
}

TEST(GateTest, BreaksScarsAndLongSleepCapAtConstrain) {
  Unit u;
  u.slope = -9'830;
  EXPECT_EQ(u.rung(), kAdmit);
  u.broken = true;
  EXPECT_EQ(u.rung(), kConstrain);
  u.broken = false;
  u.scars = 4;
  EXPECT_EQ(u.rung(), kConstrain);
  u.context.approval = Approval{kAdmit, kT + 10};
  EXPECT_EQ(u.rung(), kConstrain);  // a pardon alone lifts the scar
  u.scars = 3;
  EXPECT_EQ(u.rung(), kAdmit);
  u.context.approval.reset();
  u.params.first_use = 14 * 86'400;
  u.context.last_use = kT - 14 * 86'400;
  EXPECT_EQ(u.rung(), kAdmit);
  u.context.last_use = kT - 14 * 86'400 - 1;
  EXPECT_EQ(u.rung(), kConstrain);
}

TEST(GateTest, ApprovalReplacesTrustAndCorroborationOnly) {
  Unit u;
  u.params.corroborate = true;
  u.context.corroboration = {.eligible = 5};
  u.ladm = 100;
  EXPECT_EQ(u.rung(), kEscalate);
  u.context.approval = Approval{kConstrain, kT + 60};
  EXPECT_EQ(u.rung(), kConstrain);
  EXPECT_EQ(u.Decide().expires(), kT + 60);
  u.local.default_rung = kProbation;
  EXPECT_EQ(u.rung(), kProbation);
  u.local.default_rung = kAdmit;
  u.context.approval->ceiling = kRefuse;
  EXPECT_EQ(u.rung(), kRefuse);
  u.context.approval->until = kT;  // over
  EXPECT_EQ(u.rung(), kEscalate);
}

TEST(GateTest, CorroborationScalesWithTheMesh) {  // spec: authority#C.3
  struct Case {
    Corroboration c;
    bool single;
    Rung want;
  };
  const Case cases[] = {
      {{0, 0, 0, 1}, false, kAdmit},
      {{499, 2, 2, 2}, false, kConstrain},
      {{500, 2, 2, 2}, false, kAdmit},
      {{500, 1, 1, 2}, false, kConstrain},
      {{249, 1, 1, 2}, false, kProbation},
      {{2'000, 2, 3, 100}, false, kAdmit},
      {{1'999, 2, 3, 100}, false, kConstrain},
      {{999, 2, 3, 100}, false, kProbation},
      {{2'000, 1, 3, 100}, true, kAdmit},
      {{2'000, 1, 2, 100}, true, kConstrain},
      {{2'000, 1, 9, 100}, false, kConstrain},
      {{1'000, 1, 2, 3}, true, kAdmit},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(testing::Message() << c.c.votes << " of " << c.c.eligible);
    Unit u;
    u.params.profile = Profile::kStandard;
    u.params.single_domain = c.single;
    u.context.corroboration = c.c;
    EXPECT_EQ(u.rung(), c.want);
    u.params.profile = Profile::kSmallMesh;
    EXPECT_EQ(u.rung(), kAdmit);
    u.context.foreign = true;
    EXPECT_EQ(u.rung(), c.want);
  }
}

TEST(GateTest, SaysWhatItWouldTake) {  // spec: admission#4
  GateParams params;
  using Needed = Gate::Needed;
  EXPECT_EQ(Gate(params).NeededVotes(0), Needed{});
  EXPECT_EQ(Gate(params).NeededVotes(1), Needed{});
  EXPECT_EQ(Gate(params).NeededVotes(2), (Needed{.admit = 500, .constrain = 250, .groups = 2}));
  EXPECT_EQ(Gate(params).NeededVotes(UINT32_MAX),
            (Needed{.admit = 2'000, .constrain = 1'000, .groups = 2}));
  params.single_domain = true;
  EXPECT_EQ(Gate(params).NeededVotes(9),
            (Needed{.admit = 2'000, .constrain = 1'000, .attesters = 3}));
  EXPECT_TRUE(Gate(params).AsksForVotes());
  params.profile = Profile::kSmallMesh;
  EXPECT_FALSE(Gate(params).AsksForVotes());
  EXPECT_TRUE(Gate(params).AsksForVotes(/*foreign=*/true));
}

TEST(GateTest, StandardProfileTightensWithAge) {  // spec: authority#E.3
  struct Case {
    uint64_t age;
    Rung fresh, met_before, session, at_rekey;
  };
  const Case cases[] = {
      {300, kAdmit, kAdmit, kAdmit, kAdmit},
      {301, kConstrain, kConstrain, kAdmit, kAdmit},
      {3'600, kConstrain, kConstrain, kAdmit, kAdmit},
      {3'601, kProbation, kProbation, kAdmit, kConstrain},
      {86'400, kProbation, kProbation, kAdmit, kConstrain},
      {86'401, kEscalate, kProbation, kProbation, kProbation},
      {7 * 86'400, kEscalate, kProbation, kProbation, kProbation},
      {7 * 86'400 + 1, kEscalate, kEscalate, kEscalate, kEscalate},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.age);
    Unit u;
    u.params = GateParams{};
    u.context.corroboration = {.eligible = 1};
    u.context.freshness = {.age = c.age};
    EXPECT_EQ(u.rung(), c.fresh);
    u.context.freshness.committed_before = true;
    EXPECT_EQ(u.rung(), c.met_before);
    u.context.freshness.session = true;
    EXPECT_EQ(u.rung(), c.session);
    u.context.freshness.rekey = true;
    EXPECT_EQ(u.rung(), c.at_rekey);
  }
}

TEST(GateTest, ASmallMeshKeepsItsOwnAndMasksWhatHurtsOthers) {
  constexpr uint32_t kExposed =
      authority::kCapRelay | authority::kCapAdvertise | authority::kCapSshSign;
  Unit u;
  u.context.freshness = {.age = 86'400};
  EXPECT_EQ(u.Decide().masked_caps(), 0u);
  u.context.freshness = {.age = 40 * 86'400, .committed_before = true};
  const Decision d = u.Decide();
  EXPECT_EQ(d.rung(), kAdmit);
  EXPECT_EQ(d.masked_caps(), kExposed);
  EXPECT_EQ(d.expires(), kT + 900);
  u.context.freshness.committed_before = false;
  EXPECT_EQ(u.rung(), kConstrain);
  u.context.freshness = {.restrictions_differ = true};
  const Decision behind = u.Decide();
  EXPECT_EQ(behind.rung(), kProbation);
  EXPECT_EQ(behind.reason(), Reason::kStale);
  EXPECT_EQ(behind.expires(), kT + 120);
}

TEST(GateTest, LocalPolicyOnlyNarrows) {
  Unit u;
  u.local.readable = false;
  EXPECT_EQ(u.rung(), kRefuse);
  EXPECT_EQ(u.Decide().reason(), Reason::kLocalPolicy);
  u.local = OpenLocalPolicy();
  u.cls = Class::kPlain;
  EXPECT_EQ(u.rung(), kConstrain);
  u.local.plain_ceiling = kAdmit;
  EXPECT_EQ(u.rung(), kAdmit);
  u.local.default_rung = kEscalate;
  EXPECT_EQ(u.rung(), kEscalate);
  u.local.default_rung = kNone;
  EXPECT_EQ(u.rung(), kRefuse);
  EXPECT_EQ(JudgeLocal(LocalPolicy{}, Class::kNode).rung, kRefuse);
}

TEST(GateTest, ALapsedLeafEscalatesToRenew) {
  Unit u;
  u.crypto = kEscalate;
  u.crypto_reason = Reason::kLapsedRenew;
  u.expires = kT - 5;
  const Decision d = u.Decide();
  EXPECT_EQ(d.rung(), kEscalate);
  EXPECT_EQ(d.setter(), authority::Gate::kCrypto);
  EXPECT_EQ(d.reason(), Reason::kLapsedRenew);
  EXPECT_GT(d.expires(), kT);
  EXPECT_EQ(d.masked_caps(), static_cast<uint32_t>(authority::kCapsAll));
}

TEST(GateTest, WhatCannotBeTakenBackNeedsMoreTrust) {
  Unit u;
  u.context.action = Action::kIssueSshCert;
  u.ladm = 49'152;
  EXPECT_EQ(u.rung(), kAdmit);
  u.ladm = 49'151;
  EXPECT_EQ(u.rung(), kRefuse);
  EXPECT_EQ(u.Decide().reason(), Reason::kReversibility);
  EXPECT_EQ(NeededRung(Action::kInstallPeer), kProbation);
  EXPECT_EQ(NeededRung(Action::kRestrict), kNone);
}

TEST(GateTest, RungIsTheLowestThatAnyGateAllows) {
  // All reachable values of each gate against all of the others; the action gate has two.
  const Rung all[] = {kRefuse, kDefer, kEscalate, kProbation, kConstrain, kAdmit};
  const std::pair<Rung, uint32_t> levels[] = {{kRefuse, 0},
                                              {kEscalate, 12'000},
                                              {kProbation, 20'000},
                                              {kConstrain, 40'000},
                                              {kAdmit, 60'000}};
  const std::pair<Rung, uint32_t> votes[] = {{kProbation, 0}, {kConstrain, 1'000}, {kAdmit, 2'000}};
  const std::pair<Rung, uint64_t> ages[] = {
      {kAdmit, 0}, {kConstrain, 400}, {kProbation, 4'000}, {kEscalate, 90'000}};
  for (const Rung crypto : all)
    for (const auto& [trust, ladm] : levels)
      for (const auto& [corr, milli] : votes)
        for (const auto& [fresh, age] : ages)
          for (const Action action : {Action::kInstallPeer, Action::kIssueSshCert})
            for (const Rung local : all) {
              Unit u;
              u.params = GateParams{};
              u.crypto = crypto;
              u.ladm = ladm;
              u.negative = true;
              u.context.corroboration = {milli, 2, 4, 100};
              u.context.freshness.age = age;
              u.context.action = action;
              u.local.default_rung = local;
              const Rung act = action == Action::kIssueSshCert && ladm < 49'152 ? kRefuse : kAdmit;
              const Decision d = u.Decide();
              ASSERT_EQ(d.rung(), std::min({crypto, trust, corr, fresh, act, local}));
              ASSERT_EQ(d.gates()[static_cast<size_t>(d.setter())].rung, d.rung());
            }
}

TEST(GateTest, CharterParametersReplaceTheDefaults) {
  authority::Charter c;
  c.profile = Profile::kStandard;
  c.flags = authority::kCorroborate | authority::kSingleDomain;
  c.params = {{1, 50'000}, {2, 48'000}, {3, 10}, {4, 20}, {7, 60}, {16, 1}, {17, 10}, {9, 5}};
  const GateParams p = GateParams::From(c);
  EXPECT_EQ(p.admit_up, 50'000u);
  EXPECT_EQ(p.admit_down, 48'000u);
  EXPECT_EQ(p.constrain_up, 32'768u);  // down above up: the pair is ignored
  EXPECT_EQ(p.constrain_down, 27'525u);
  EXPECT_EQ(p.dwell, 60u);
  EXPECT_EQ(p.first_use, 86'400u);
  EXPECT_EQ(p.fresh, 10u);
  EXPECT_TRUE(p.corroborate && p.single_domain);
  c.profile = Profile::kSmallMesh;
  c.params.clear();
  EXPECT_EQ(GateParams::From(c).first_use, 0u);
}

class PassTest : public testing::Test {
 protected:
  PassTest() {
    world_.cited = {Issue({Allow(Any(), Any(), {6}, {{22, 22}})})};
    verdict_.rung = kAdmit;
    verdict_.epoch = 1;
    verdict_.expires = kT + 100;
    verdict_.policies = std::make_shared<const Policies>(world_.Compile());
  }
  std::optional<Admitted> Pass(Bytes& packet, uint64_t at = 0) {
    return Gate::Pass(packet, {verdict_, flows_, meters_, direction_, At(at)}, why_);
  }
  World world_;
  Verdict verdict_;
  FlowTable flows_{FlowTable::Key(Bytes(16, 3)), {.entries = 64}, Instant{}};
  Meters meters_;
  Direction direction_ = Direction::kSend;
  Refusal why_;
};

TEST_F(PassTest, OnlyAnAllowedPacketBecomesAdmittedAndOnlyOnce) {
  Bytes ok = Tcp("100.64.0.1", "100.64.0.2", 1, 22), no = Tcp("100.64.0.1", "100.64.0.2", 1, 23),
        junk = {1, 2};
  auto token = Pass(ok);
  ASSERT_TRUE(token);
  EXPECT_EQ(token->info().dport, 22);
  Admitted moved = std::move(*token);
  EXPECT_TRUE(std::move(*token).Consume().empty());
  EXPECT_EQ(std::move(moved).Consume().data(), ok.data());
  EXPECT_FALSE(Pass(no));
  EXPECT_EQ(why_.drop, Drop::kNoRule);
  ASSERT_TRUE(why_.flow);
  EXPECT_EQ(*why_.flow, Read(no).flow());
  EXPECT_FALSE(Pass(junk));
  EXPECT_EQ(why_.drop, Drop::kNotIp);
  EXPECT_FALSE(Pass(ok, 100));
  EXPECT_EQ(why_.drop, Drop::kExpired);
  for (const Rung low : {kNone, kRefuse, kDefer, kEscalate}) {
    verdict_.rung = low;
    EXPECT_FALSE(Pass(ok));
    EXPECT_EQ(why_.drop, Drop::kRung);
  }
}

TEST_F(PassTest, ARungsRateHolds) {
  meters_.Limit(LimitsOf(kProbation), Instant{});
  Bytes ok = Tcp("100.64.0.1", "100.64.0.2", 1, 22);
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(Pass(ok));
  EXPECT_FALSE(Pass(ok));
  EXPECT_EQ(why_.drop, Drop::kRate);
  Shaper control(LimitsOf(kEscalate), Instant{});
  EXPECT_TRUE(control.Take(16 * 1024, Instant{}));
  EXPECT_FALSE(control.Take(1'000, Instant(std::chrono::milliseconds(999))));
  EXPECT_TRUE(control.Take(1'000, Instant(std::chrono::seconds(1))));
  EXPECT_FALSE(Shaper(LimitsOf(kRefuse), Instant{}).Take(20, Instant(std::chrono::hours(1))));
}

TEST_F(PassTest, FlowsOfARateClassShareItsBucketAndNoOtherFlowDoes) {
  Rule slow = Allow(Any(), Any(), {6}, {{22, 23}});
  slow.rate = 7;  // 64 kbit/s, 64 KiB at once
  Rule slower = Allow(Any(), Any(), {6}, {{24, 24}});
  slower.transform = {"rate-7-v1"};
  world_.cited = {Issue({slow, slower, Allow(Any(), Any(), {6}, {{80, 80}})})};
  verdict_.policies = std::make_shared<const Policies>(world_.Compile());
  const auto sends = [&](uint16_t port, uint64_t at = 0) {
    Bytes p = Tcp("100.64.0.1", "100.64.0.2", 1, port);
    p.resize(1'024);
    StoreBe(&p[2], uint16_t{1'024});
    return Pass(p, at).has_value();
  };
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(sends(static_cast<uint16_t>(22 + i % 3)));
  EXPECT_FALSE(sends(22));
  EXPECT_EQ(why_.drop, Drop::kRate);
  EXPECT_FALSE(sends(23));
  EXPECT_FALSE(sends(24)) << "a transform says it as well as a rate";
  for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(sends(80));
  EXPECT_FALSE(sends(22, 0));
  EXPECT_TRUE(sends(22, 1));
  // What the class refuses costs the peer's own limit nothing.
  meters_.Limit(LimitsOf(kConstrain), At(1).mono);
  while (sends(22, 1)) continue;
  for (int i = 0; i < 1'000; ++i) ASSERT_FALSE(sends(22, 1));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(sends(80, 1));
}

TEST_F(PassTest, MarksOfTheWholeChainAreMadeTheRootsLast) {
  Rule top = Allow(Any(), Any());
  top.transform = {"dscp-46-v1", "mss-1300-v1"};
  const Held<Fragment> parent = Issue({top});
  Rule low = Allow(Any(), Any());
  low.via = 1;
  low.transform = {"dscp-8-v1", "mss-1200-v1"};
  world_.cited = {Issue({low}, &parent, 2), parent};
  verdict_.policies = std::make_shared<const Policies>(world_.Compile());
  Bytes p = Tcp("100.64.0.1", "100.64.0.2", 1, 22);
  ASSERT_TRUE(Pass(p));
  EXPECT_EQ(p[1] >> 2, 46);
  EXPECT_EQ(verdict_.policies->send.terms(0).marks.mss, 1'200);
}

TEST_F(PassTest, AHeldFlowWaitsForAPersonAtTheReceiver) {
  Rule rule = Allow(Any(), Any());
  rule.directives = authority::kDoEscalate;
  world_.cited = {Issue({rule})};
  const auto publish = [&](uint64_t until) {
    Policies policies = world_.Compile();
    policies.released_until = until;
    verdict_.policies = std::make_shared<const Policies>(std::move(policies));
    ++verdict_.epoch;
  };
  publish(0);
  Bytes out = Tcp("100.64.0.1", "100.64.0.2", 1, 22), in = Tcp("100.64.0.2", "100.64.0.1", 1, 22);
  EXPECT_TRUE(Pass(out)) << "ours is for the other to hold";
  direction_ = Direction::kReceive;
  EXPECT_FALSE(Pass(in));
  EXPECT_EQ(why_.drop, Drop::kHeld);
  EXPECT_EQ(why_.reason, Reason::kHeld);
  EXPECT_TRUE(why_.ruled.first);
  EXPECT_FALSE(Pass(in));
  EXPECT_FALSE(why_.ruled.first) << "told once";
  publish(kT + 10);
  const auto released = Pass(in, 1);
  ASSERT_TRUE(released);
  EXPECT_TRUE(released->judgement().first) << "and once more when it is let go";
  EXPECT_TRUE(Pass(in, 9));
  EXPECT_FALSE(Pass(in, 10)) << "its time is over in the middle of an epoch";
  direction_ = Direction::kSend;
  Bytes answer = Tcp("100.64.0.1", "100.64.0.2", 22, 1);
  EXPECT_FALSE(Pass(answer, 11)) << "nor does an answer leave";
}

TEST(VerdictTest, CarriesNoPolicyBelowProbation) {
  const auto policies = std::make_shared<const Policies>(World().Compile());
  Unit u;
  EXPECT_TRUE(MakeVerdict(u.Decide(), 1, 2, 0, policies).policies);
  u.local.default_rung = kProbation;
  const Verdict p = MakeVerdict(u.Decide(), 1, 2, 0x300, policies);
  EXPECT_TRUE(p.policies);
  EXPECT_EQ(p.rate, 3);
  u.local.default_rung = kEscalate;
  EXPECT_FALSE(MakeVerdict(u.Decide(), 1, 2, 0, policies).policies);
}

TEST(VerdictTest, ObligationsOfBothEndsJoin) {
  EXPECT_EQ(
      authority::JoinObligations(authority::kMustLogFlow | 0x200, authority::kMustNoRelay | 0x500),
      authority::kMustLogFlow | authority::kMustNoRelay | 0x500);
  EXPECT_EQ(DutiesOf(kAdmit, authority::kMustLogHeaders), authority::kDoLogHeaders);
  EXPECT_EQ(DutiesOf(kProbation, 0), authority::kDoLogFlow) << "every flow is logged there";
  EXPECT_EQ(DutiesOf(kConstrain, 0), 0);
}

TEST(ExplainTest, NamesTheGateThatSetTheRung) {
  Unit u;
  EXPECT_EQ(ExplainDecision(u.Decide()), "ADMIT: every gate allows it");
  u.ladm = 40'000;
  u.local.default_rung = kProbation;
  EXPECT_EQ(ExplainDecision(u.Decide()),
            "PROBATION: set by the local policy gate, local policy; change the local policy file "
            "of the refusing machine; "
            "trust would allow CONSTRAIN (trust too low)");
}

}  // namespace
}  // namespace aqmesh::admission
