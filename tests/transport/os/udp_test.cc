// Runs that the engine has laid end to end, over the loopback.
#include "transport/os/udp.h"

#include <gtest/gtest.h>
#include <poll.h>

namespace aqmesh::os {
namespace {

std::vector<Bytes> Received(UdpPair& at, size_t want) {
  std::vector<Bytes> all;
  while (all.size() < want) {
    pollfd p{.fd = at.fd(Family::kV4), .events = POLLIN, .revents = 0};
    if (::poll(&p, 1, 2000) != 1) break;
    std::vector<Datagram> got;
    at.Receive(Family::kV4, got);
    for (const Datagram& d : got) all.emplace_back(d.bytes.begin(), d.bytes.end());
  }
  return all;
}

// Datagrams of `segment` bytes, each full of its number; the last one is shorter.
struct Datagrams {
  Datagrams(size_t count, size_t segment_bytes) : segment(segment_bytes) {
    for (size_t i = 0; i < count; ++i) {
      each.emplace_back(i + 1 < count ? segment : segment / 2, static_cast<uint8_t>(i));
      bytes.insert(bytes.end(), each.back().begin(), each.back().end());
    }
  }
  size_t segment;
  Bytes bytes;
  std::vector<Bytes> each;
};

class UdpRunTest : public testing::TestWithParam<bool> {};

TEST_P(UdpRunTest, ArrivesAsItsDatagramsInOrderAmongOthers) {
  auto a = *UdpPair::Open({.gso = GetParam(), .gro = GetParam()});
  auto b = *UdpPair::Open({});
  const Endpoint to = *Endpoint::Parse(Join("127.0.0.1:", b->port()));
  const Datagrams first(40, 1452), second(64, 96);
  const Bytes lone(1452, 0xaa);
  const std::vector<OutDatagram> batch = {
      {.bytes = lone, .remote = to},
      {.bytes = first.bytes, .remote = to, .segment = first.segment},
      {.bytes = second.bytes, .remote = to, .segment = second.segment},
      {.bytes = lone, .remote = to},
      {.bytes = lone, .remote = to, .segment = 2000},  // a run of one
  };
  std::vector<Bytes> want = {lone};
  want.insert(want.end(), first.each.begin(), first.each.end());
  want.insert(want.end(), second.each.begin(), second.each.end());
  want.insert(want.end(), 2, lone);
  a->Send(batch);
  EXPECT_EQ(Received(*b, want.size()), want);
  EXPECT_EQ(a->counters().send_refused, 0u);
}

// A kernel that takes 64 segments gets no more, whatever the engine laid end to end.
TEST_P(UdpRunTest, LongRunsArePartedForAnOldKernel) {
  auto b = *UdpPair::Open({});
  const Endpoint to = *Endpoint::Parse(Join("127.0.0.1:", b->port()));
  const Datagrams run(128, 96), exact(64, 96);
  std::vector<Bytes> want = run.each;
  want.insert(want.end(), exact.each.begin(), exact.each.end());
  for (const size_t most : {size_t{64}, size_t{20}, UdpPair::kSegmentsMax}) {
    auto a = *UdpPair::Open({.gso = GetParam(), .gro = GetParam(), .segments_max = most});
    EXPECT_LE(a->segments_max(), most);
    a->Send(std::vector<OutDatagram>{
        {.bytes = run.bytes, .remote = to, .segment = run.segment},
        {.bytes = exact.bytes, .remote = to, .segment = exact.segment},
    });
    EXPECT_EQ(Received(*b, want.size()), want) << most;
    EXPECT_EQ(a->counters().send_refused, 0u);
  }
}

TEST(UdpTosTest, AMarkOutlivesTheWayWithoutSegments) {
  auto a = *UdpPair::Open({.gso = false});
  auto b = *UdpPair::Open({});
  const Datagrams run(3, 100);
  a->Send(std::vector<OutDatagram>{
      {.bytes = run.bytes,
       .remote = *Endpoint::Parse(Join("127.0.0.1:", b->port())),
       // An address that is not ours: it is sent again without.
       .local = {.address = *IpAddress::Parse("192.0.2.200"), .ifindex = 1},
       .tos = 2,
       .segment = run.segment}});
  size_t n = 0;
  while (n < run.each.size()) {
    pollfd p{.fd = b->fd(Family::kV4), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&p, 1, 2000), 1);
    std::vector<Datagram> got;
    b->Receive(Family::kV4, got);
    for (const Datagram& d : got) EXPECT_EQ(d.tos, 2);
    n += got.size();
  }
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutOffload, UdpRunTest, testing::Bool());

}  // namespace
}  // namespace aqmesh::os
