// A network namespace of one's own, for tests against the real kernel. Skipped where that is not
// allowed.
#ifndef AQMESH_TESTS_TRANSPORT_OS_KERNEL_FIXTURE_H_
#define AQMESH_TESTS_TRANSPORT_OS_KERNEL_FIXTURE_H_

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include "transport/os/netlink.h"
#include "transport/os/tun.h"

namespace aqmesh::os {

class KernelTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "needs CAP_SYS_ADMIN for a network namespace";
    auto nl = Netlink::Open();
    ASSERT_TRUE(nl.ok()) << nl.status();
    netlink_ = *std::move(nl);
    auto lo = netlink_->LinkByName("lo");
    ASSERT_TRUE(lo.ok()) << lo.status();
    ASSERT_TRUE(netlink_->SetUp(lo->index, true).ok());
  }
  std::unique_ptr<Tun> OpenTun(Tun::Options options) {
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) return nullptr;
    auto tun = Tun::Open(options);
    EXPECT_TRUE(tun.ok()) << tun.status();
    return tun.ok() ? *std::move(tun) : nullptr;
  }
  static bool WaitReadable(int fd) {
    pollfd p{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&p, 1, 5000) == 1;
  }
  std::unique_ptr<Netlink> netlink_;
};

}  // namespace aqmesh::os

#endif  // AQMESH_TESTS_TRANSPORT_OS_KERNEL_FIXTURE_H_
