// What holds of the fold whatever happened: drawn by the thousand, the seed printed.
#include <bit>
#include <cmath>

#include "core/base/status.h"
#include "tests/support/sanitized.h"
#include "tests/trust/story.h"

namespace aqmesh::trust {
namespace {

constexpr size_t kRounds = kSanitized ? 500 : 10'000;

struct Happening {
  uint64_t epoch = 0;
  Evidence evidence;
};

// A life: epochs ascending, each once. Some lives are all honest, some all misdeeds.
std::vector<Happening> DrawLife(Rng& rng) {
  std::vector<Happening> life;
  uint64_t epoch = 0;
  const uint64_t worst = uint64_t{1} << (10 + rng.Below(16));
  const bool honest = rng.Below(4) == 0;
  for (size_t left = 1 + rng.Below(24); left > 0; --left) {
    epoch += 1 + rng.Below(rng.Below(3) == 0 ? 9'000 : 8);
    Evidence e;
    if (rng.Below(4) != 0) e.r = static_cast<uint32_t>(rng.Below(20'000));
    if (!honest && rng.Below(3) == 0) e.s = static_cast<uint32_t>(rng.Below(worst));
    if (rng.Below(3) == 0) e.u = static_cast<uint32_t>(rng.Below(20'000));
    life.push_back({epoch, e});
  }
  return life;
}

Standing Lived(uint32_t prior, const std::vector<Happening>& life) {
  Standing s = Standing::New(prior, 0);
  for (const Happening& h : life) s.Step(h.epoch, h.evidence);
  return s;
}

// Some epochs after a life, near and far.
std::vector<uint64_t> Afterwards(Rng& rng, const std::vector<Happening>& life) {
  const uint64_t last = life.back().epoch;
  return {last, last + rng.Below(10), last + rng.Below(1'000), last + rng.Below(40'000)};
}

std::string Told(uint32_t prior, const std::vector<Happening>& life) {
  std::string text = Join("prior ", prior, "\n");
  for (const auto& [epoch, e] : life)
    text += Join("epoch ", epoch, " r ", e.r, " s ", e.s, " u ", e.u, "\n");
  return text;
}

TEST(FoldPropertyTest, LevelsStayBetweenZeroAndOne) {
  Rng rng = Seeded(11);
  for (size_t i = 0; i < kRounds; ++i) {
    const auto prior = static_cast<uint32_t>(rng.Below(kOne + 1));
    const auto life = DrawLife(rng);
    const Standing s = Lived(prior, life);
    for (const uint64_t epoch : Afterwards(rng, life)) {
      const Reading r = s.Read(epoch, static_cast<uint32_t>(rng.Below(kOne + 1)));
      ASSERT_LE(r.level_fast, kOne);
      ASSERT_LE(r.level_slow, kOne);
      ASSERT_LE(r.ladm, std::min(r.level_fast, r.level_slow)) << Told(prior, life);
      ASSERT_GE(r.continuity, kPenaltyMax);
      ASSERT_LE(r.continuity, kOne);
    }
    ASSERT_TRUE(Standing::Decode(s.Encode()).ok()) << Told(prior, life);
  }
}

// More of the same in an epoch that had evidence anyway: strictly monotone, not a unit lost.
TEST(FoldPropertyTest, MoreForNeverLowersAndMoreAgainstNeverRaises) {
  Rng rng = Seeded(12);
  for (size_t i = 0; i < kRounds; ++i) {
    const auto prior = static_cast<uint32_t>(rng.Below(kOne + 1));
    const auto life = DrawLife(rng);
    const Standing was = Lived(prior, life);
    auto changed = life;
    Evidence& e = changed[rng.Below(changed.size())].evidence;
    const auto more = static_cast<uint32_t>(1 + rng.Below(uint64_t{1} << (1 + rng.Below(21))));
    const uint64_t which = rng.Below(3);
    (which == 0 ? e.r : which == 1 ? e.s : e.u) += more;
    const Standing is = Lived(prior, changed);
    for (const uint64_t epoch : Afterwards(rng, life)) {
      const uint32_t before = was.Read(epoch).ladm, after = is.Read(epoch).ladm;
      ASSERT_TRUE(which == 0 ? after >= before : after <= before)
          << before << " became " << after << " by " << more << " more of " << "rsu"[which] << "\n"
          << Told(prior, life);
    }
    ASSERT_GE(is.kap, which == 1 ? was.kap : 0);
  }
}

// Evidence in an epoch that had none adds a fold: the gap around it decays in two parts, and each
// part is rounded for itself. A memory loses less than a unit for each set bit more; J acts on the
// level with at most its own size, S_f, U, S_s and R with at most a quarter, and a difference never
// grows. So the sum below holds for any life; of drawn ones three in 100,000 pass two units.
int64_t RoundingOf(uint64_t before, uint64_t at, uint64_t after) {
  return 2 + 3 * (std::popcount(at - before) + std::popcount(after - at) + 1) / 2;
}

TEST(FoldPropertyTest, AFoldMoreIsMonotoneButForItsRounding) {
  Rng rng = Seeded(13);
  for (size_t i = 0; i < kRounds; ++i) {
    const auto prior = static_cast<uint32_t>(rng.Below(kOne + 1));
    const auto life = DrawLife(rng);
    const Standing was = Lived(prior, life);
    auto changed = life;
    Happening extra{1 + rng.Below(life.back().epoch), {}};
    const auto at = std::find_if(changed.begin(), changed.end(), [&extra](const Happening& h) {
      return h.epoch >= extra.epoch;
    });
    if (at->epoch == extra.epoch) continue;
    const bool good = rng.Below(2) != 0;
    const auto amount = static_cast<uint32_t>(rng.Below(20'000));
    (good ? extra.evidence.r : rng.Below(2) != 0 ? extra.evidence.s : extra.evidence.u) = amount;
    const uint64_t from = at == changed.begin() ? 0 : std::prev(at)->epoch;
    const int64_t unit = RoundingOf(from, extra.epoch, at->epoch);
    changed.insert(at, extra);
    const Standing is = Lived(prior, changed);
    for (const uint64_t epoch : Afterwards(rng, life)) {
      const int64_t before = was.Read(epoch).ladm, after = is.Read(epoch).ladm;
      ASSERT_TRUE(good ? after + unit >= before : after <= before + unit)
          << before << " became " << after << " at " << epoch << " by a fold at " << extra.epoch
          << (good ? " for " : " against ") << amount << "\n"
          << Told(prior, life);
    }
  }
}

TEST(FoldPropertyTest, DecayIsNeverAboveTheExactAndLittleBelow) {
  Rng rng = Seeded(14);
  for (size_t i = 0; i < 20 * kRounds; ++i) {
    const auto x = static_cast<uint32_t>(rng.Below(1 + (uint64_t{kBadMax} >> rng.Below(28))));
    const uint64_t gap = rng.Below(uint64_t{1} << (1 + rng.Below(20)));
    for (const HalfLife h : kHalfLives) {
      // 64 bits of mantissa for numbers of 28: what is exact is known to a billionth of a unit.
      const long double exact =
          x * std::exp2(-static_cast<long double>(gap) / static_cast<uint32_t>(h));
      const long double got = Decay(x, h, gap);
      ASSERT_LE(got, exact + 1e-6L) << x << " over " << gap;
      ASSERT_LT(exact - got, std::popcount(gap) + 1) << x << " over " << gap;
    }
  }
  for (const HalfLife h : kHalfLives) {
    EXPECT_EQ(Decay(kBadMax, h, 0), kBadMax);
    EXPECT_EQ(Decay(UINT32_MAX, h, uint64_t{1} << kDecayBits), 0u);
    EXPECT_EQ(Decay(UINT32_MAX, h, UINT64_MAX), 0u);
  }
}

TEST(FoldPropertyTest, AScarStaysAndACollapseIsForGood) {
  Rng rng = Seeded(15);
  for (size_t i = 0; i < kRounds; ++i) {
    const auto life = DrawLife(rng);
    const size_t end = rng.Below(2 * life.size());  // in every second life nothing collapses
    Standing s = Standing::New(kColdNode, 0);
    bool collapsed = false;
    for (size_t k = 0; k < life.size(); ++k) {
      const Standing before = s;
      Evidence e = life[k].evidence;
      e.equivocation = k == end;
      s.Step(life[k].epoch, e);
      collapsed = collapsed || e.equivocation;
      ASSERT_GE(s.kap, before.kap);
      ASSERT_LE(s.kap, kScarMax);
      ASSERT_GE(s.e_pos, before.e_pos);
      ASSERT_EQ(s.a, before.a);
      ASSERT_EQ(s.col, collapsed);
      if (collapsed) {
        ASSERT_EQ(s.Read(s.last + rng.Below(1 << 22)).ladm, 0u);
      }
    }
  }
}

TEST(FoldPropertyTest, AStateThatWasStoredGoesOnAsIfItHadNot) {
  Rng rng = Seeded(16);
  for (size_t i = 0; i < kRounds; ++i) {
    const auto life = DrawLife(rng);
    Standing s = Standing::New(kColdNode, 0);
    for (const Happening& h : life) {
      s.Step(h.epoch, h.evidence);
      if (rng.Below(3) == 0) s = *Standing::Decode(s.Encode());
    }
    ASSERT_EQ(s, Lived(kColdNode, life));
  }
}

// To a unit: a gap of few set bits is rounded less often than a shorter one of many.
TEST(FoldPropertyTest, AbsenceNeverMakesMoreOfAKeyThanItsPriorOrWhatItHad) {
  Rng rng = Seeded(17);
  for (size_t i = 0; i < kRounds; ++i) {
    const auto prior = static_cast<uint32_t>(rng.Below(kOne + 1));
    Standing s = Standing::New(prior, 0);
    Behave(s, 1, 1 + rng.Below(50), static_cast<uint32_t>(rng.Below(16'385)));
    uint32_t before = s.Read(s.last).ladm;
    for (uint64_t epoch = s.last; epoch < s.last + 60'000; epoch += 1 + rng.Below(9'000)) {
      const uint32_t now = s.Read(epoch).ladm;
      ASSERT_LE(now, before + 1) << prior << " at " << epoch;
      before = now;
    }
  }
}

}  // namespace
}  // namespace aqmesh::trust
