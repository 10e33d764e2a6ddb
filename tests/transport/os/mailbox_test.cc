#include "transport/os/mailbox.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

namespace aqmesh::os {
namespace {

bool IsReadable(int fd, int timeout_ms) {
  pollfd p{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&p, 1, timeout_ms) == 1;
}

TEST(MailboxTest, AFullOneRefusesAndKeepsTheValue) {
  auto box = *Mailbox<std::unique_ptr<int>>::Open(1);
  EXPECT_FALSE(IsReadable(box->fd(), 0));
  auto first = std::make_unique<int>(1);
  EXPECT_TRUE(box->Put(first));
  EXPECT_FALSE(box->HasRoom());
  auto second = std::make_unique<int>(2);
  EXPECT_FALSE(box->Put(second));
  EXPECT_NE(second, nullptr);
  EXPECT_TRUE(IsReadable(box->fd(), 0));
  std::vector<std::unique_ptr<int>> got;
  box->Take(got);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_FALSE(IsReadable(box->fd(), 0));
  EXPECT_TRUE(box->Put(second));
}

TEST(MailboxTest, TwoWritersAndASleepingReaderLoseNothing) {
  constexpr int kEach = 20'000;
  auto box = *Mailbox<int>::Open(64);
  const auto write = [&](int base) {
    for (int i = 0; i < kEach; ++i) {
      int value = base + i;
      while (!box->Put(value)) std::this_thread::yield();
    }
  };
  std::thread one(write, 0), two(write, kEach);
  int next[2] = {0, kEach};
  std::vector<int> got;
  for (int n = 0; n < 2 * kEach;) {
    ASSERT_TRUE(IsReadable(box->fd(), 5000)) << "a value without a signal";
    box->Take(got);
    for (const int v : got) EXPECT_EQ(v, next[v >= kEach]++);
    n += static_cast<int>(got.size());
  }
  one.join();
  two.join();
}

}  // namespace
}  // namespace aqmesh::os
