// The fold against tests/oracle/slope.py, which was written from the text of the spec alone: every
// number of every state and reading, over sequences that are drawn here. python3 has to be there
// (./dev deps): without it these tests fail.
#include "tests/support/oracle.h"

#include <absl/strings/str_join.h>

#include <random>
#include <sstream>

#include "core/base/status.h"
#include "tests/support/sanitized.h"
#include "tests/trust/story.h"

namespace aqmesh::trust {
namespace {

const char kScript[] = "slope.py";

std::string Line(const Standing& s) {
  return absl::StrJoin({uint64_t{s.a},
                        uint64_t{s.r_f},
                        uint64_t{s.s_f},
                        uint64_t{s.u},
                        uint64_t{s.r_s},
                        uint64_t{s.s_s},
                        uint64_t{s.j},
                        uint64_t{s.x},
                        uint64_t{s.kap},
                        s.last,
                        s.e_pos,
                        uint64_t{s.col}},
                       " ");
}

std::string Line(const Reading& r) {
  return Join(r.level_fast,
              " ",
              r.level_slow,
              " ",
              r.slope,
              " ",
              r.gap,
              " ",
              r.continuity,
              " ",
              r.ladm) +
         Join(" ",
              int{r.negative},
              " ",
              int{r.promotable()},
              " ",
              int{r.broken()},
              " ",
              int{r.capped()});
}

// A transcript: what is asked of the oracle, and what the fold answered.
class Transcript {
 public:
  void New(uint32_t prior, uint64_t epoch, uint32_t gap_cap) {
    standing_ = Standing::New(prior, epoch);
    gap_cap_ = gap_cap;
    asked_ += Join("new ", prior, " ", epoch, " ", gap_cap, "\n");
  }
  void Step(uint64_t epoch, const Evidence& e) {
    standing_.Step(epoch, e);
    Ask(Join("step ", epoch, " ", e.r, " ", e.s, " ", e.u, " ", int{e.equivocation}),
        Line(standing_));
  }
  void Read(uint64_t epoch) { Ask(Join("read ", epoch), Line(standing_.Read(epoch, gap_cap_))); }

  const Standing& standing() const { return standing_; }

  void Compare() const {
    const std::vector<std::string> answers = Oracle(kScript).Ask(asked_);
    ASSERT_EQ(answers.size(), answered_.size());
    for (size_t i = 0; i < answers.size(); ++i)
      ASSERT_EQ(answered_[i], answers[i]) << "answer " << i << ", to: " << questions_[i];
  }
  size_t size() const { return answered_.size(); }

 private:
  void Ask(const std::string& question, std::string answer) {
    asked_ += question + "\n";
    questions_.push_back(question);
    answered_.push_back(std::move(answer));
  }
  Standing standing_;
  uint32_t gap_cap_ = 0;
  std::string asked_;
  std::vector<std::string> questions_, answered_;
};

// Edges as often as what lies between them.
uint32_t DrawAmount(Rng& rng) {
  constexpr uint32_t kEdges[] = {0,
                                 1,
                                 15,
                                 16,
                                 2'048,
                                 16'383,
                                 16'384,
                                 16'385,
                                 65'535,
                                 65'536,
                                 262'143,
                                 262'144,
                                 262'145,
                                 1'048'576,
                                 1'048'577,
                                 268'435'456,
                                 UINT32_MAX};
  switch (rng.Below(4)) {
    case 0: return 0;
    case 1: return kEdges[rng.Below(std::size(kEdges))];
    case 2: return static_cast<uint32_t>(rng.Below(65'537));
    default: return static_cast<uint32_t>(rng.Below(uint64_t{1} << (1 + rng.Below(32))));
  }
}

uint64_t DrawGap(Rng& rng) {
  switch (rng.Below(6)) {
    case 0: return rng.Below(2);
    case 1: return rng.Below(300);
    case 2: return 860 + rng.Below(10);
    case 3: return rng.Below(20'000);
    case 4: return (uint64_t{1} << rng.Below(21)) - rng.Below(2);
    default: return rng.Below(uint64_t{1} << (1 + rng.Below(22)));
  }
}

void DrawCase(Rng& rng, Transcript& t) {
  constexpr uint32_t kPriors[] = {0, 1, 22'937, kColdNode, 54'350, kOne};
  const uint32_t prior = rng.Below(2) != 0 ? kPriors[rng.Below(std::size(kPriors))]
                                           : static_cast<uint32_t>(rng.Below(kOne + 1));
  constexpr uint32_t kCaps[] = {kGapCap, kGapCapSmallMesh, kOne, 1'000};
  uint64_t epoch = rng.Below(2) != 0 ? 0 : rng.Below(uint64_t{1} << 30);
  t.New(prior, epoch, kCaps[rng.Below(std::size(kCaps))]);
  const bool gentle = rng.Below(2) != 0;  // else the first blows leave nothing to see
  for (size_t left = 1 + rng.Below(16); left > 0; --left) {
    epoch += DrawGap(rng);
    Evidence e{DrawAmount(rng), rng.Below(3) == 0 ? DrawAmount(rng) : 0, DrawAmount(rng), false};
    if (gentle) e.s %= 70'000;
    e.equivocation = rng.Below(60) == 0;
    t.Step(epoch, e);
    t.Read(epoch + DrawGap(rng));
    if (rng.Below(8) == 0) t.Read(epoch - std::min<uint64_t>(epoch, rng.Below(5)));
  }
}

void CompareMany(uint64_t seed) {
  Rng rng = Seeded(seed);
  Transcript t;
  for (size_t i = 0; i < (kSanitized ? 500 : 4'000); ++i) DrawCase(rng, t);
  t.Compare();
  std::printf("%zu answers compared\n", t.size());
}

TEST(OracleTest, SaysTheSameTables) {  // spec: trust#3
  const std::vector<std::string> answers = Oracle(kScript).Ask("", "tables");
  ASSERT_EQ(answers.size(), std::size(kHalfLives));
  for (size_t i = 0; i < answers.size(); ++i) {
    std::string ours = Join(static_cast<uint32_t>(kHalfLives[i]));
    for (const uint32_t value : TableOf(kHalfLives[i])) ours += Join(" ", value);
    EXPECT_EQ(ours, answers[i]);
  }
}

TEST(OracleTest, SaysTheSameToTheGoldenVectors) {
  Transcript t;
  t.New(kColdNode, 0, kGapCap);
  for (uint64_t e = 1; e < 600; ++e) {
    t.Step(e, {.r = 16'384, .s = e == 13 ? kOne : 0});
    t.Read(e);
  }
  t.Step(600, {.s = kMajor});
  t.Read(1'484);
  t.Read(4'632);
  t.New(22'937, 0, kGapCap);
  t.Step(5, {.r = 2'049, .u = 65'536});
  t.Step(6, {.r = 1'001, .u = 16'384});
  t.Step(10, {.r = 16'384, .s = 262'144});
  t.Step(11, {.r = 16'383});
  t.Step(300, {.r = 32'768, .s = 1'048'577, .u = 3});
  t.Step(301, {.r = 32'768});
  t.Step(1'501, {.r = 16'384});
  for (const uint64_t epoch : {2'365u, 3'498u, 4'381u, 10'501u}) t.Read(epoch);
  t.Step(6'001, {.equivocation = true});
  t.Step(6'002, {.r = 16'384, .s = 65'536, .u = 65'536});
  t.Read(6'002);
  t.Compare();
}

TEST(OracleTest, SaysTheSameToAFixedDraw) { CompareMany(1); }

TEST(OracleTest, SaysTheSameToAFreshDraw) {
  CompareMany((uint64_t{std::random_device()()} << 32) | std::random_device()());
}

// The sums of years, where an error of one unit would have had time to grow.
TEST(OracleTest, SaysTheSameAfterAYearOfUse) {
  Rng rng = Seeded(2);
  Transcript t;
  t.New(54'350, 5'900'000, kGapCapSmallMesh);
  const uint64_t days = kSanitized ? 20 : 365;
  for (uint64_t e = 0; e < days * kDay; ++e) {
    if (e % kDay >= 192) continue;
    const bool fault = rng.Below(20'000) == 0;
    t.Step(5'900'000 + e, {.r = static_cast<uint32_t>(rng.Below(20'000)), .s = fault ? kOne : 0});
    if (rng.Below(100) == 0) t.Read(5'900'000 + e);
  }
  t.Compare();
}

}  // namespace
}  // namespace aqmesh::trust
