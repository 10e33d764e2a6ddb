// The two golden vectors of the slope, number by number, its arithmetic's edges, and its encoding.
#include "trust/fold.h"

#include "tests/trust/story.h"

namespace aqmesh::trust {
namespace {

TEST(FoldTest, FollowsTheFirstGoldenVector) {  // spec: trust#5
  Standing s = Standing::New(kColdNode, 0);
  Behave(s, 1, 12);
  EXPECT_EQ(s.r_f, 195'308u);
  EXPECT_EQ(s.r_s, 12'277u);
  EXPECT_EQ(s.Read(12).ladm, 41'243u);

  s.Step(13, {.r = 16'384, .s = 65'536});
  EXPECT_EQ(s.r_f, 211'457u);
  EXPECT_EQ(s.s_f, 65'536u);
  EXPECT_EQ(s.r_s, 13'299u);
  EXPECT_EQ(s.s_s, 16'384u);
  EXPECT_EQ(s.j, 4'096u);
  EXPECT_EQ(s.x, 65'536u);
  EXPECT_EQ(s.kap, 0u);
  EXPECT_EQ(s.Read(13).ladm, 36'574u);

  Behave(s, 14, 599);
  EXPECT_EQ(s.r_f, 524'288u);
  EXPECT_EQ(s.s_f, 54'682u);
  EXPECT_EQ(s.r_s, 524'288u);
  EXPECT_EQ(s.s_s, 15'798u);
  EXPECT_EQ(s.j, 836u);
  EXPECT_EQ(s.x, 49'128u);
  EXPECT_EQ(s.Read(599).ladm, 52'668u);

  s.Step(600, {.s = 262'144});
  EXPECT_EQ(s.kap, 2u);
  const Reading struck = s.Read(600);
  EXPECT_EQ(struck.level_fast, 40'659u);
  EXPECT_EQ(struck.level_slow, 51'710u);
  EXPECT_EQ(struck.ladm, 29'977u);
  EXPECT_TRUE(struck.broken());
  EXPECT_EQ(s.Read(1'484).ladm, 29'217u);
  EXPECT_EQ(s.Read(4'632).ladm, 16'165u);
}

TEST(FoldTest, FollowsTheSecondGoldenVector) {  // spec: trust#5
  struct Row {
    uint64_t epoch;
    Evidence evidence;
    uint32_t r_f, s_f, u, r_s, s_s, j, x, kap;
    int64_t ladm;  // -1: the vector gives none
  };
  const Row kRows[] = {
      {5, {2'049, 0, 65'536}, 2'049, 0, 16'384, 128, 0, 0, 0, 0, -1},
      {6, {1'001, 0, 16'384}, 3'047, 0, 32'748, 189, 0, 0, 0, 0, 20'851},
      {10, {16'384, 262'144}, 19'416, 262'144, 32'590, 1'212, 65'536, 16'384, 262'144, 1, 9'480},
      {11, {16'383}, 27'583, 262'104, 32'550, 1'722, 65'534, 16'344, 262'116, 1, 10'044},
      {300,
       {32'768, 1'048'577, 3},
       27'671,
       1'299'529,
       22'990,
       2'190,
       327'270,
       65'536,
       254'025,
       6,
       2'426},
      {301, {32'768}, 27'893, 1'299'504, 22'962, 2'205, 327'262, 65'378, 253'997, 6, -1},
      {1'501, {16'384}, 6'837, 1'270'509, 5'418, 2'002, 318'930, 3'640, 220'397, 6, 3'949},
      {6'001, {0, 0, 0, true}, 0, 268'435'456, 24, 0, 268'435'456, 65'536, 94'397, 10, 0},
      {6'002,
       {16'384, 65'536, 65'536},
       0,
       268'430'408,
       16'407,
       0,
       268'429'687,
       65'378,
       94'369,
       10,
       0},
  };
  Standing s = Standing::New(22'937, 0);
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.epoch);
    if (row.epoch == 6'001) {  // readings between 1501 and 6001
      EXPECT_EQ(s.Read(2'365).ladm, 4'040u);
      EXPECT_EQ(s.Read(3'498).ladm, 3'496u);
      EXPECT_EQ(s.Read(4'381).ladm, 3'082u);
      EXPECT_EQ(s.Read(10'501).ladm, 3'378u);
    }
    s.Step(row.epoch, row.evidence);
    EXPECT_EQ(s.r_f, row.r_f);
    EXPECT_EQ(s.s_f, row.s_f);
    EXPECT_EQ(s.u, row.u);
    EXPECT_EQ(s.r_s, row.r_s);
    EXPECT_EQ(s.s_s, row.s_s);
    EXPECT_EQ(s.j, row.j);
    EXPECT_EQ(s.x, row.x);
    EXPECT_EQ(s.kap, row.kap);
    EXPECT_EQ(s.last, row.epoch);
    if (row.ladm >= 0) {
      EXPECT_EQ(s.Read(row.epoch).ladm, static_cast<uint32_t>(row.ladm));
    }
  }
}

TEST(FoldTest,
     OneDecayOverAGapIsNotAsManyDecays) {  // spec: trust#3: the event-driven one is the rule
  Standing once = Standing::New(kColdNode, 0);
  Standing often = once;
  once.Step(1, {.r = 16'384});
  often.Step(1, {.r = 16'384});
  for (uint64_t e = 2; e < 400; ++e) often.Step(e, {});
  once.Step(400, {.r = 16'384});
  often.Step(400, {.r = 16'384});
  EXPECT_NE(once.r_f, often.r_f);
}

TEST(FoldTest, ReadingChangesNothing) {
  Standing s = Standing::New(kColdNode, 7);
  s.Step(9, {.r = 5'000, .s = 70'000, .u = 9});
  const Standing before = s;
  for (const uint64_t epoch : {0ull, 9ull, 10ull, 100'000ull, 1ull << 21, ~0ull}) s.Read(epoch);
  EXPECT_EQ(s, before);
  EXPECT_EQ(s.Read(3), s.Read(9));  // an epoch that is over reads as the last one
}

TEST(FoldTest, AnyEvidenceIsTakenAndStopsAtTheCaps) {
  constexpr uint32_t kAll = UINT32_MAX;
  Standing s = Standing::New(kOne, 0);
  for (uint64_t e = 1; e <= 8; ++e) s.Step(e, {kAll, kAll, kAll, false});
  s.Step(kEpochMax, {kAll, kAll, kAll, false});
  s.Step(kEpochMax, {kAll, kAll, kAll, false});
  EXPECT_EQ(s.kap, kScarMax);
  EXPECT_LE(s.s_f, kBadMax);
  EXPECT_EQ(s.j, kOne);
  EXPECT_LE(s.x, kDriftAlarm);
  EXPECT_EQ(s.u, kOne / 2);
  EXPECT_LE(s.Read(kEpochMax).ladm, kOne);
}

TEST(FoldTest, AnAlarmTakesTheThresholdOffAndNoMore) {
  struct Case {
    const char* name;
    uint32_t s;
    uint32_t x, kap;
  };
  const Case kCases[] = {
      {"below", kDriftAlarm - 1, kDriftAlarm - 1, 0},
      {"at the threshold: major, and no alarm yet", kDriftAlarm, kDriftAlarm, 1},
      {"one above: major and an alarm", kDriftAlarm + 1, 1, 2},
      {"twice: one alarm", 2 * kDriftAlarm, kDriftAlarm, 2},
      {"twice and one: two", 2 * kDriftAlarm + 1, 1, 3},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    Standing s = Standing::New(kColdNode, 0);
    s.Step(0, {.s = c.s});
    EXPECT_EQ(s.x, c.x);
    EXPECT_EQ(s.kap, c.kap);
  }
}

TEST(FoldTest, AbsenceCountsFromTheLastEvidenceForTheKey) {
  Standing s = Saturated(kColdNode);
  const uint64_t later = 40'000 + 30 * kDay;
  EXPECT_EQ(s.Read(later).ladm, 30'080u);
  s.Step(later, {.u = kRumourPerEpoch});  // slander must not end an absence
  EXPECT_LT(s.Read(later).ladm, 30'080u);
}

TEST(FoldTest, TheGapBeginsAfterThreeDaysAndEndsAtItsCap) {
  const Standing s = Standing::New(kColdNode, 1'000);
  EXPECT_EQ(s.Read(1'000 + kGapFree).gap, 0u);
  EXPECT_EQ(s.Read(1'000 + kGapFree + 1).gap, 8u);  // 65536 / 8064
  EXPECT_EQ(s.Read(1'000 + kGapFree + kGapScale / 4 - 1).gap, 16'375u);
  EXPECT_EQ(s.Read(1'000 + kGapFree + kGapScale / 4).gap, kGapCap);
  EXPECT_EQ(s.Read(~0ull).gap, kGapCap);
  EXPECT_EQ(s.Read(~0ull, kGapCapSmallMesh).gap, 0u);
  EXPECT_EQ(s.Read(~0ull, kOne).gap, kOne);
  EXPECT_EQ(s.Read(~0ull, kOne).continuity, kOne - kPenaltyMax);
  EXPECT_EQ(s.Read(~0ull, UINT32_MAX).continuity, kOne - kPenaltyMax);
}

TEST(FoldTest, FourScarsCapUntilAPardonAndNegativeEvidenceFades) {
  Standing s = Standing::New(kColdNode, 0);
  s.Step(1, {.s = kNegativeFrom - 1});
  EXPECT_TRUE(s.Read(1).negative);  // S_s has a quarter of it besides
  EXPECT_FALSE(s.Read(1 + 40 * kDay).negative);
  s.Step(2, {.s = 3 * kDriftAlarm});
  EXPECT_EQ(s.kap, 4u);  // one as a major, three alarms
  EXPECT_TRUE(s.Read(~0ull).capped());
}

TEST(FoldTest, ThresholdsOfTheSlopeHoldAtTheirUnit) {
  Reading r;
  r.slope = kPromotionSlope;
  EXPECT_TRUE(r.promotable());
  r.slope = kPromotionSlope - 1;
  EXPECT_FALSE(r.promotable());
  r.slope = kBreakSlope;
  r.impulse = kBreakImpulse;
  EXPECT_TRUE(r.broken());
  r.impulse = kBreakImpulse - 1;
  EXPECT_FALSE(r.broken());
  r = {.slope = kBreakSlope + 1, .impulse = kBreakImpulse};
  EXPECT_FALSE(r.broken());
}

// Frozen: a store holds such rows.
TEST(StandingCodecTest, HasTheseBytes) {
  Standing s = Standing::New(kColdNode, 0);
  Behave(s, 1, 12);
  s.Step(13, {.r = 16'384, .s = 65'536, .u = 7});
  const auto bytes = s.Encode();
  EXPECT_EQ(ToHex(bytes),
            "00009caa"  // a
            "00033a01"  // R_f
            "00010000"  // S_f
            "00000007"  // U
            "000033f3"  // R_s
            "00004000"  // S_s
            "00001000"  // J
            "00010000"  // X
            "00"        // kap
            "00"        // col
            "000000000000000d"
            "000000000000000d");
  const auto back = Standing::Decode(bytes);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, s);
}

TEST(StandingCodecTest, TakesExactlyWhatEncodeWrites) {
  Standing s = Standing::New(kColdNode, 3);
  s.Step(90, {.r = 16'384, .s = 1'000'000, .u = 7});
  const auto bytes = s.Encode();
  for (size_t n = 0; n < bytes.size(); ++n)
    EXPECT_FALSE(Standing::Decode(ByteView(bytes).first(n)).ok()) << n;
  EXPECT_FALSE(Standing::Decode(Bytes(Standing::kSize + 1)).ok());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    const auto back = Standing::Decode(flipped);
    if (!back.ok()) continue;
    EXPECT_NE(*back, s) << bit;
    EXPECT_EQ(back->Encode(), flipped) << bit;
  }
}

TEST(StandingCodecTest, RefusesWhatNoFoldCanReach) {
  Standing collapsed = Standing::New(kColdNode, 0);
  collapsed.Step(5, {.r = 9, .equivocation = true});
  ASSERT_TRUE(Standing::Decode(collapsed.Encode()).ok());
  const auto refused = [](Standing s, auto change) {
    change(s);
    return !Standing::Decode(s.Encode()).ok();
  };
  const Standing fresh = Standing::New(kColdNode, 5);
  EXPECT_TRUE(refused(fresh, [](Standing& s) { s.a = kOne + 1; }));
  EXPECT_TRUE(refused(fresh, [](Standing& s) { s.r_f = kGoodMax + 1; }));
  EXPECT_TRUE(refused(fresh, [](Standing& s) { s.s_f = kBadMax + 1; }));
  EXPECT_TRUE(refused(fresh, [](Standing& s) { s.u = kOne + 1; }));
  EXPECT_TRUE(refused(fresh, [](Standing& s) { s.r_s = kGoodMax + 1; }));
  EXPECT_TRUE(refused(fresh, [](Standing& s) { s.s_s = kBadMax + 1; }));
  EXPECT_TRUE(refused(fresh, [](Standing& s) { s.j = kOne + 1; }));
  EXPECT_TRUE(refused(fresh, [](Standing& s) { s.x = kDriftAlarm + 1; }));
  EXPECT_TRUE(refused(fresh, [](Standing& s) { s.kap = kScarMax + 1; }));
  EXPECT_TRUE(refused(fresh, [](Standing& s) { s.e_pos = s.last + 1; }));
  EXPECT_TRUE(refused(fresh, [](Standing& s) { s.last = kEpochMax + 1; }));
  EXPECT_TRUE(refused(fresh, [](Standing& s) { s.col = true; }));
  EXPECT_TRUE(refused(collapsed, [](Standing& s) { s.r_f = 1; }));
  EXPECT_TRUE(refused(collapsed, [](Standing& s) { s.kap = 3; }));
}

}  // namespace
}  // namespace aqmesh::trust
