// Batches shared among 4 and 16 helpers, against one core alone.
#include "transport/os/aead_pool.h"

#include <gtest/gtest.h>

#include <random>

#include "transport/os/clock.h"

namespace aqmesh::os {
namespace {

using crypto::AeadBatch;
using crypto::AeadJob;
using crypto::AeadKey;

constexpr size_t kTag = 16;

// One flow's packets under one key, of the lengths that `random` says.
struct Packets {
  Packets(std::mt19937& random, size_t count)
      : seal(Key(), AeadKey::Direction::kSeal), open(Key(), AeadKey::Direction::kOpen) {
    for (size_t i = 0; i < count; ++i) {
      plain.emplace_back(random() % 3 == 0 ? random() % 1500 : 1420);
      for (uint8_t& b : plain.back()) b = static_cast<uint8_t>(random());
    }
    sealed = plain;
    for (Bytes& b : sealed) b.resize(b.size() + kTag);
  }
  static Bytes Key() { return Bytes(32, 0x31); }
  std::vector<AeadJob> Jobs(AeadKey& key, size_t less) {
    std::vector<AeadJob> jobs;
    for (size_t i = 0; i < sealed.size(); ++i)
      jobs.push_back(
          {.key = &key, .counter = i, .data = sealed[i].data(), .size = sealed[i].size() - less});
    return jobs;
  }
  AeadKey seal, open;
  std::vector<Bytes> plain, sealed;
};

class AeadPoolTest : public testing::TestWithParam<size_t> {};

TEST_P(AeadPoolTest, SealsAndOpensAsOneCoreDoes) {
  AeadPool pool(GetParam());
  AeadBatch helped, alone;
  helped.SetHelpers(&pool);
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    Packets one(random, 100 + random() % 300);
    auto jobs = one.Jobs(one.seal, kTag);
    helped.Seal(jobs);
    const std::vector<Bytes> by_many = std::exchange(one.sealed, one.plain);
    for (Bytes& b : one.sealed) b.resize(b.size() + kTag);
    jobs = one.Jobs(one.seal, kTag);
    alone.Seal(jobs);
    ASSERT_EQ(one.sealed, by_many);
    const size_t bad = random() % one.sealed.size();
    one.sealed[bad][0] ^= 1;
    jobs = one.Jobs(one.open, 0);
    helped.Open(jobs);
    for (size_t i = 0; i < jobs.size(); ++i) {
      ASSERT_EQ(jobs[i].ok, i != bad);
      if (i == bad) continue;
      one.sealed[i].resize(one.plain[i].size());
      ASSERT_EQ(one.sealed[i], one.plain[i]);
    }
  }
}

TEST_P(AeadPoolTest, HelpersTakeAPart) {
  AeadPool pool(GetParam());
  AeadBatch helped;
  helped.SetHelpers(&pool);
  std::mt19937 random(3);
  Packets p(random, 400);
  // One that sleeps is not waited for, and a busy machine lets it sleep long.
  const Instant until = After(ReadNow().mono, std::chrono::seconds(20));
  while (pool.units_helped() == 0 && ReadNow().mono < until) {
    auto jobs = p.Jobs(p.seal, kTag);
    helped.Seal(jobs);
  }
  EXPECT_GT(pool.units_helped(), 0u);
}

TEST_P(AeadPoolTest, ManyOwnersShareOnePool) {
  AeadPool pool(GetParam());
  std::vector<std::thread> owners;
  for (unsigned seed = 1; seed <= 4; ++seed) {
    owners.emplace_back([&pool, seed] {
      std::mt19937 random(seed);
      AeadBatch helped;
      helped.SetHelpers(&pool);
      for (int round = 0; round < 20; ++round) {
        Packets p(random, 200);
        auto jobs = p.Jobs(p.seal, kTag);
        helped.Seal(jobs);
        jobs = p.Jobs(p.open, 0);
        helped.Open(jobs);
        for (size_t i = 0; i < jobs.size(); ++i) {
          ASSERT_TRUE(jobs[i].ok);
          ASSERT_TRUE(std::equal(p.plain[i].begin(), p.plain[i].end(), p.sealed[i].begin()));
        }
      }
    });
  }
  for (std::thread& t : owners) t.join();
}

TEST_P(AeadPoolTest, SleepsAndWakesAgain) {
  AeadPool pool(GetParam());
  AeadBatch helped;
  helped.SetHelpers(&pool);
  std::mt19937 random(1);
  Packets p(random, 300);
  for (int i = 0; i < 20; ++i) {
    auto jobs = p.Jobs(p.seal, kTag);
    helped.Seal(jobs);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

INSTANTIATE_TEST_SUITE_P(Helpers,
                         AeadPoolTest,
                         testing::Values(1, 4, 16),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace aqmesh::os
