// Several queues of one TUN: the kernel keeps flows apart, and a sparse one does not wait behind
// one that fills its queue. Against the real kernel.
#include <arpa/inet.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include "tests/transport/os/kernel_fixture.h"

namespace aqmesh::os {
namespace {

constexpr uint16_t kBulkPort = 5'000;
constexpr int kBulkPackets = 300, kSparseFlows = 16;

sockaddr_in At(const char* address, uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  EXPECT_EQ(::inet_pton(AF_INET, address, &a.sin_addr), 1);
  return a;
}

// 10.9.0.2:7 to 10.9.0.1:port, so that the kernel learns the flow's queue.
Bytes Reply(uint16_t port) {
  Bytes p = {0x45, 0, 0, 29, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 9, 0, 2, 10, 9, 0, 1};
  uint32_t sum = 0;
  for (size_t i = 0; i < p.size(); i += 2) sum += LoadBe<uint16_t>(p.data() + i);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  StoreBe(p.data() + 10, static_cast<uint16_t>(~sum));
  p.resize(29);
  StoreBe<uint16_t>(p.data() + 20, 7);
  StoreBe<uint16_t>(p.data() + 22, port);
  StoreBe<uint16_t>(p.data() + 24, 9);
  return p;
}

class FlowQueuesTest : public KernelTest {
 protected:
  // False: no TUN here.
  bool Start(uint32_t queues) {
    tun_ = OpenTun({.name = "aqt0", .queues = queues});
    if (tun_ == nullptr) return false;
    const Link link = *netlink_->LinkByName("aqt0");
    EXPECT_TRUE(
        netlink_
            ->AddAddress(
                {.ifindex = link.index, .address = *IpAddress::Parse("10.9.0.1"), .length = 32})
            .ok());
    EXPECT_TRUE(netlink_->SetUp(link.index, true).ok());
    EXPECT_TRUE(
        netlink_->AddRoute({.destination = *Prefix::Parse("10.9.0.2/32"), .ifindex = link.index})
            .ok());
    return true;
  }
  // A socket on `port`, whose flow the kernel has learnt.
  Fd Socket(uint16_t port) {
    Fd s(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const sockaddr_in here = At("10.9.0.1", port), there = At("10.9.0.2", 7);
    EXPECT_EQ(::bind(s.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
    EXPECT_EQ(::connect(s.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there), 0);
    const Bytes reply = Reply(port);
    EXPECT_EQ(tun_->WritePackets(std::array{ByteView(reply)}), TunState::kOk);
    return s;
  }
  static void Send(const Fd& s, uint16_t mark) {
    EXPECT_EQ(::send(s.get(), &mark, sizeof mark, 0), static_cast<ssize_t>(sizeof mark));
  }
  // What one read of at most `reads` brings, by source port: the marks in order.
  TunState Read(size_t reads, std::map<uint16_t, std::vector<uint16_t>>& got) {
    arena_.Clear();
    const TunState state = tun_->ReadBatch(arena_, reads);
    for (const PacketSlot& p : arena_.packets()) {
      if (p.size != 30 || p.data[0] != 0x45 || p.data[9] != IPPROTO_UDP) continue;
      uint16_t mark = 0;
      std::memcpy(&mark, p.data + 28, sizeof mark);
      got[LoadBe<uint16_t>(p.data + 20)].push_back(mark);
    }
    return state;
  }

  std::unique_ptr<Tun> tun_;
  PacketArena arena_{{}};
};

TEST_F(FlowQueuesTest, ASparseFlowDoesNotWaitBehindAFullQueue) {
  for (const uint32_t queues : {1u, 4u}) {
    SCOPED_TRACE(queues);
    if (!Start(queues)) GTEST_SKIP() << "no /dev/net/tun";
    EXPECT_EQ(tun_->queues(), queues);
    const Fd bulk = Socket(kBulkPort);
    std::vector<Fd> sparse;
    for (uint16_t i = 1; i <= kSparseFlows; ++i)
      sparse.push_back(Socket(static_cast<uint16_t>(kBulkPort + i)));
    for (uint16_t i = 0; i < kBulkPackets; ++i) Send(bulk, i);
    for (const Fd& s : sparse) Send(s, 7);

    std::map<uint16_t, std::vector<uint16_t>> got;
    for (size_t i = 0; i < queues; ++i) tun_->SetReadable(i);
    EXPECT_EQ(Read(128, got), TunState::kOk);
    const size_t early = got.size() - got.count(kBulkPort);
    if (queues == 1) {
      EXPECT_EQ(early, 0u);
    } else {
      EXPECT_GE(early, size_t{kSparseFlows} / 2) << "those that do not share the bulk's queue";
    }
    while (Read(128, got) == TunState::kOk) {
    }
    // Nothing is lost, and no flow's packets overtake each other.
    EXPECT_EQ(got.size(), size_t{kSparseFlows} + 1);
    ASSERT_EQ(got[kBulkPort].size(), size_t{kBulkPackets});
    EXPECT_TRUE(std::is_sorted(got[kBulkPort].begin(), got[kBulkPort].end()));
    tun_.reset();
  }
}

// Somebody made the interface beforehand, with one queue: then that is what there is.
TEST_F(FlowQueuesTest, AnInterfaceWithOneQueueIsTakenAsItIs) {
  auto made = OpenTun({.name = "aqt1"});
  if (made == nullptr) GTEST_SKIP() << "no /dev/net/tun";
  ASSERT_EQ(::ioctl(made->fd(), TUNSETPERSIST, 1), 0);
  made.reset();
  auto tun = Tun::Open({.name = "aqt1", .queues = 8});
  ASSERT_TRUE(tun.ok()) << tun.status();
  EXPECT_EQ((*tun)->queues(), 1u);
  EXPECT_EQ(::ioctl((*tun)->fd(), TUNSETPERSIST, 0), 0);
}

}  // namespace
}  // namespace aqmesh::os
