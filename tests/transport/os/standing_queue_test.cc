#include "transport/os/standing_queue.h"

#include <gtest/gtest.h>

namespace aqmesh::os {
namespace {

using namespace std::chrono_literals;

class StandingQueueTest : public testing::Test {
 protected:
  // Reads every 100 us for so long; how many signals came.
  int Read(std::chrono::milliseconds d, bool emptied) {
    int signals = 0;
    for (const Instant end = now_ + d; now_ < end; now_ += 100us)
      signals += queue_.OnRead(now_, emptied);
    return signals;
  }
  StandingQueue queue_;
  Instant now_{1000s};
};

TEST_F(StandingQueueTest, ABurstIsNoQueue) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(Read(9ms, false), 0);
    EXPECT_EQ(Read(1ms, true), 0);
  }
}

TEST_F(StandingQueueTest, OneThatStandsIsToldMoreAndMoreOften) {
  EXPECT_EQ(Read(10ms, false), 0);
  EXPECT_EQ(Read(1ms, false), 1);
  const int first = Read(100ms, false), second = Read(100ms, false), third = Read(100ms, false);
  EXPECT_GE(first, 10);
  EXPECT_GT(second, first);
  EXPECT_GT(third, second);
}

TEST_F(StandingQueueTest, EmptyingItEndsTheSignals) {
  EXPECT_GT(Read(200ms, false), 0);
  EXPECT_EQ(Read(1ms, true), 0);
  EXPECT_EQ(Read(9ms, false), 0);
}

TEST_F(StandingQueueTest, OneThatStandsAgainSoonIsToldAtNearlyTheOldRate) {
  const int fresh = Read(110ms, false);
  (void)Read(500ms, false);
  (void)Read(1ms, true);
  EXPECT_GT(Read(110ms, false), fresh) << "it begins again at one";
  (void)Read(1000ms, true);
  EXPECT_EQ(Read(110ms, false), fresh) << "an old story is forgotten";
}

TEST_F(StandingQueueTest, TheRateHasABound) {
  (void)Read(600s, false);
  EXPECT_LE(Read(1s, false), 1'601);
}

}  // namespace
}  // namespace aqmesh::os
