// What the slope makes of honest machines, of cheats and of absence: each row of the table of
// spec/trust.md §5, as numbers of three digits like there.
#include "tests/trust/story.h"

namespace aqmesh::trust {
namespace {

uint32_t Ladm(const Standing& s, uint64_t epoch) { return s.Read(epoch).ladm; }

TEST(BehaviourTest, PriorsReachAdmitAndSaturate) {
  struct Case {
    const char* name;
    uint32_t prior;
    uint64_t epochs_to_admit;
    int32_t saturation;
  };
  const Case kCases[] = {
      {"standard ROOT", 52'428, 0, 933},
      {"standard REGION", 49'152, 0, 917},
      {"standard SEGMENT", 47'185, 0, 907},
      {"standard NODE under a cold SEGMENT", kColdNode, 76, 871},
      {"foreign", 22'937, 303, 783},
      {"small mesh ROOT", 62'259, 0, 983},
      {"small mesh ENROLLER 1", 60'390, 0, 974},
      {"small mesh ENROLLER 2", 58'577, 0, 965},
      {"small mesh ENROLLER 3", 56'818, 0, 956},
      {"small mesh NODE under the root", 56'032, 0, 952},
      {"small mesh NODE under ENROLLER 1", 54'350, 0, 943},
      {"small mesh NODE under ENROLLER 2", 52'718, 0, 935},
      {"small mesh NODE under ENROLLER 3", 51'135, 0, 927},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    Standing s = Standing::New(c.prior, 0);
    uint64_t epoch = 0;
    while (Ladm(s, epoch) < kAdmitLevel && epoch < 1'000) {
      ++epoch;
      s.Step(epoch, {.r = kGoodPerEpoch});
    }
    EXPECT_EQ(epoch, c.epochs_to_admit);
    EXPECT_EQ(Milli(Ladm(Saturated(c.prior), 40'000)), c.saturation);
  }
}

TEST(BehaviourTest, AColdNodeRisesWithinTwoDays) {
  Standing s = Standing::New(kColdNode, 0);
  uint64_t epoch = 0;
  const std::pair<uint64_t, int32_t> kHours[] = {
      {1, 629}, {3, 660}, {6, 697}, {12, 751}, {24, 816}, {48, 871}};
  for (const auto& [hours, level] : kHours) {
    Behave(s, epoch + 1, hours * 12);
    epoch = hours * 12;
    EXPECT_EQ(Milli(Ladm(s, epoch)), level) << hours << " h";
  }
}

TEST(BehaviourTest, NormalUseAdmitsAColdNodeInHalfADay) {
  struct Case {
    uint32_t r;
    uint64_t epochs;
  };
  for (const Case& c : {Case{9'175, 136}, Case{3'276, 582}}) {  // .14: .47 d; .05: 2.0 d
    Standing s = Standing::New(kColdNode, 0);
    EXPECT_GE(Ladm(s, 0), 32'768u);  // CONSTRAIN at once
    uint64_t epoch = 0;
    while (Ladm(s, epoch) < kAdmitLevel && epoch < 5'000) {
      ++epoch;
      if (epoch % kDay < 192) s.Step(epoch, {.r = c.r});  // 16 h a day
    }
    EXPECT_EQ(epoch, c.epochs);
  }
}

TEST(BehaviourTest, FaultsCostByTheirGravity) {
  struct Case {
    const char* name;
    uint32_t s;
    int32_t level;
    int32_t slope;
    bool broken, capped;
  };
  const Case kCases[] = {
      {"minor", kOne, 753, -49, false, false},
      {"major", 4 * kOne, 490, -151, true, false},
      {"critical", 16 * kOne, 187, -280, true, true},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    Standing s = Saturated(kColdNode);
    s.Step(40'001, {.r = kGoodPerEpoch, .s = c.s});
    const Reading r = s.Read(40'001);
    EXPECT_EQ(Milli(r.ladm), c.level);
    EXPECT_EQ(Milli(r.slope), c.slope);
    EXPECT_EQ(r.broken(), c.broken);
    EXPECT_EQ(r.capped(), c.capped);
  }
}

TEST(BehaviourTest, RecoveryTakesAWeekAndPromotionAMonth) {
  struct Case {
    const char* name;
    uint32_t s;
    uint64_t over, promotable;
  };
  // 7.1 d and 30.0 d; at once and 7.5 d.
  for (const Case& c : {Case{"major", 4 * kOne, 2'049, 8'637}, Case{"minor", kOne, 0, 2'161}}) {
    SCOPED_TRACE(c.name);
    Standing s = Saturated(kColdNode);
    s.Step(40'001, {.r = kGoodPerEpoch, .s = c.s});
    std::optional<uint64_t> over, promotable;
    for (uint64_t after = 0; !promotable && after < 20'000; ++after) {
      const uint64_t epoch = 40'001 + after;
      if (after > 0) s.Step(epoch, {.r = kGoodPerEpoch});
      const Reading r = s.Read(epoch);
      if (!over && r.ladm >= kAdmitLevel) over = after;
      if (r.ladm >= kAdmitLevel && r.promotable()) promotable = after;
    }
    EXPECT_EQ(over, c.over);
    EXPECT_EQ(promotable, c.promotable);
  }
}

TEST(BehaviourTest, TheConManWaitsLongerEachTime) {
  Standing s = Standing::New(kColdNode, 0);
  std::vector<uint64_t> strikes;
  uint64_t capped_at = 0;
  for (uint64_t epoch = 1; strikes.size() < 6 && epoch < 300'000; ++epoch) {
    const bool strike = epoch >= 577 && Ladm(s, epoch) >= kAdmitLevel;
    s.Step(epoch, {.r = kGoodPerEpoch, .s = strike ? kMajor : 0});
    if (strike) strikes.push_back(epoch);
    if (capped_at == 0 && s.Read(epoch).capped()) capped_at = epoch;
  }
  EXPECT_EQ(strikes, (std::vector<uint64_t>{577, 2'636, 24'571, 66'762, 120'357, 207'478}));
  EXPECT_EQ(capped_at, 24'571u);  // from the third strike on CONSTRAIN is the most
}

TEST(BehaviourTest, SmallFaultsAddUp) {
  struct Case {
    uint64_t days;
    int32_t level;
    std::optional<uint64_t> alarm_day;
  };
  const Case kCases[] = {{1, 25, 4}, {2, 55, 8}, {4, 411, 24}, {8, 726, {}}, {16, 792, {}}};
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.days);
    Standing s = Saturated(kColdNode);
    std::optional<uint64_t> alarm;
    for (uint64_t i = 0; i < 120 * kDay; ++i) {
      const uint32_t before = s.kap;
      s.Step(40'001 + i, {.r = kGoodPerEpoch, .s = i % (c.days * kDay) == 0 ? kOne : 0});
      if (!alarm && s.kap > before) alarm = i / kDay;
    }
    EXPECT_EQ(Milli(Ladm(s, 40'000 + 120 * kDay)), c.level);
    EXPECT_EQ(alarm, c.alarm_day);
  }
}

TEST(BehaviourTest, AbsenceFallsBackToThePriorAndOneHourRestores) {
  const Standing s = Saturated(kColdNode);
  const std::pair<uint64_t, int32_t> kDays[] = {
      {1, 839}, {3, 773}, {7, 575}, {14, 463}, {30, 459}, {90, 459}};
  for (const auto& [days, level] : kDays)
    EXPECT_EQ(Milli(Ladm(s, 40'000 + days * kDay)), level) << days << " d";
  Standing back = s;
  const uint64_t home = 40'000 + 30 * kDay;
  Behave(back, home + 1, home + 12);
  EXPECT_EQ(Milli(Ladm(back, home + 12)), 778);
}

TEST(BehaviourTest, SlanderForEverLeavesAnHonestMachineAdmitted) {
  Standing s = Standing::New(kColdNode, 0);
  for (uint64_t e = 1; e <= 40'000; ++e) s.Step(e, {.r = kGoodPerEpoch, .u = kOne});
  EXPECT_EQ(Milli(Ladm(s, 40'000)), 804);
  EXPECT_FALSE(s.Read(40'000).negative);
  EXPECT_EQ(s.kap, 0u);
}

TEST(BehaviourTest, EquivocationIsForEver) {
  Standing s = Saturated(kColdNode);
  s.Step(40'001, {.equivocation = true});
  Behave(s, 40'002, 60'000);
  for (const uint64_t later : {60'000ull, 1'000'000ull, 1ull << 30, ~0ull})
    EXPECT_EQ(Ladm(s, later), 0u);
}

TEST(BehaviourTest, ASmallMeshForgivesAMinorFaultAndAbsence) {
  constexpr uint32_t kNode = 54'350;
  Standing cold = Standing::New(kNode, 0);
  cold.Step(1, {.s = kOne});
  EXPECT_EQ(Milli(Ladm(cold, 1)), 622);
  cold = Standing::New(kNode, 0);
  cold.Step(1, {.s = kMajor});
  EXPECT_EQ(Milli(Ladm(cold, 1)), 311);
  EXPECT_TRUE(cold.Read(1).broken());

  const Standing warm = Saturated(kNode);
  const std::pair<uint64_t, int32_t> kDays[] = {{3, 900}, {14, 832}, {90, 829}};
  for (const auto& [days, level] : kDays)
    EXPECT_EQ(Milli(warm.Read(40'000 + days * kDay, kGapCapSmallMesh).ladm), level) << days << " d";

  Standing s = warm;
  s.Step(40'001, {.s = kOne});
  EXPECT_EQ(Milli(Ladm(s, 40'001)), 816);
  s = warm;
  s.Step(40'001, {.s = kMajor});
  EXPECT_EQ(Milli(Ladm(s, 40'001)), 530);
  uint64_t epoch = 40'001;
  while (Ladm(s, epoch) < kAdmitLevel) s.Step(++epoch, {.r = kGoodPerEpoch});
  EXPECT_EQ((epoch - 40'001) * 10 / kDay, 26u);  // 2.6 d
}

TEST(BehaviourTest,
     AColdSegmentWithoutUseFallsBelowAdmitOnTheFourthDay) {  // why use counts for a chain
  const Standing s = Standing::New(47'185, 0);
  EXPECT_GE(Ladm(s, 3 * kDay), kAdmitLevel);
  EXPECT_LT(Ladm(s, 4 * kDay), kAdmitLevel);
}

}  // namespace
}  // namespace aqmesh::trust
