#include "sim/network.h"

#include <gtest/gtest.h>

namespace aqmesh::sim {
namespace {

using namespace std::chrono_literals;

const Bytes kDatagram(64, 0x5a);

struct Counted {
  size_t copies = 0, none = 0, two = 0, late = 0, bent = 0;
};
Counted Carry(const Weather& weather, size_t times) {
  Network network(weather, Rng(Rng::Seed{1}));
  Counted out;
  for (size_t i = 0; i < times; ++i) {
    const auto copies = network.Carry(kDatagram);
    out.copies += copies.size();
    out.none += copies.empty();
    out.two += copies.size() == 2;
    for (const auto& c : copies) {
      EXPECT_GE(c.delay, weather.latency);
      out.late += c.delay > weather.latency + weather.jitter;
      out.bent += c.bytes != kDatagram;
    }
  }
  return out;
}

TEST(NetworkTest, CalmWeatherLosesBendsAndDelaysNothing) {
  const Counted c = Carry({}, 1'000);
  EXPECT_EQ(c.copies, 1'000u);
  EXPECT_EQ(c.late + c.bent + c.two, 0u);
}

TEST(NetworkTest, EachFaultComesAtItsOwnRate) {
  // 10,000 draws at a tenth: 1,000 give or take 30 a sigma.
  const auto near = [](size_t n) { return n > 800 && n < 1'200; };
  EXPECT_TRUE(near(Carry({.loss_ppm = 100'000}, 10'000).none));
  EXPECT_TRUE(near(Carry({.duplicate_ppm = 100'000}, 10'000).two));
  EXPECT_TRUE(near(Carry({.reorder_ppm = 104'000, .reorder_by = 10s}, 10'000).late));
  EXPECT_TRUE(near(Carry({.corrupt_ppm = 100'000}, 10'000).bent));
}

TEST(NetworkTest, PartitionsAndCutsSeparateAndHeal) {
  Network n({}, Rng(Rng::Seed{1}));
  n.Partition({{"a", "b"}});
  EXPECT_TRUE(n.Passes("a", "b"));
  EXPECT_TRUE(n.Passes("c", "d"));  // on no side, together
  EXPECT_FALSE(n.Passes("a", "c"));
  EXPECT_FALSE(n.Passes("d", "b"));
  n.Cut("a", "b");
  EXPECT_FALSE(n.Passes("a", "b"));
  EXPECT_TRUE(n.Passes("b", "a"));  // one way
  n.Heal();
  EXPECT_TRUE(n.Passes("a", "b") && n.Passes("d", "b"));
}

TEST(NetworkTest, StormsDifferAndComeAgain) {
  std::set<std::string> seen;
  for (uint8_t seed = 1; seed <= 30; ++seed) {
    Rng one(Rng::Seed{seed}), again(Rng::Seed{seed});
    const std::string storm = Storm(one).ToString();
    EXPECT_EQ(storm, Storm(again).ToString());
    seen.insert(storm);
  }
  EXPECT_EQ(seen.size(), 30u);
}

}  // namespace
}  // namespace aqmesh::sim
