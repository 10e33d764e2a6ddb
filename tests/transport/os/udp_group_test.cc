// One port, several sockets: where the kernel puts what.
#include "transport/os/udp_group.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <array>

namespace aqmesh::os {
namespace {

constexpr std::array<SteerRule, 2> kRules = {{{.first = 4, .at = 4}, {.first = 0xa4, .at = 8}}};

std::vector<Bytes> Received(UdpPair& at, Family f, size_t want) {
  std::vector<Bytes> all;
  while (all.size() < want) {
    pollfd p{.fd = at.fd(f), .events = POLLIN, .revents = 0};
    if (::poll(&p, 1, 2000) != 1) break;
    std::vector<Datagram> got;
    at.Receive(f, got);
    for (const Datagram& d : got) all.emplace_back(d.bytes.begin(), d.bytes.end());
  }
  return all;
}
bool IsEmpty(UdpPair& at, Family f) {
  std::vector<Datagram> got;
  at.Receive(f, got);
  return got.empty();
}

Bytes Message(uint8_t first, size_t at, uint8_t lane, size_t size = 100) {
  Bytes b(size, 0x77);
  b[0] = first;
  b[at] = lane;
  return b;
}

class UdpGroupTest : public testing::TestWithParam<Family> {
 protected:
  Endpoint To(const UdpGroup& g) const {
    return *Endpoint::Parse(
        Join(GetParam() == Family::kV4 ? "127.0.0.1:" : "[::1]:", g.control->port()));
  }
};

TEST_P(UdpGroupTest, DataGoesToItsLaneAndTheRestToControl) {
  auto group = *UdpGroup::Open({}, 4, kRules);
  auto sender = *UdpPair::Open({});
  if (sender->fd(GetParam()) < 0) GTEST_SKIP() << "no such family here";
  for (uint8_t lane = 0; lane < 4; ++lane) {
    const Bytes data = Message(4, 4, static_cast<uint8_t>(lane + 16));
    const Bytes governed = Message(0xa4, 8, static_cast<uint8_t>(lane + 252));
    sender->Send(std::vector<OutDatagram>{{.bytes = data, .remote = To(group)},
                                          {.bytes = governed, .remote = To(group)}});
    EXPECT_EQ(Received(*group.data[lane], GetParam(), 2), (std::vector<Bytes>{data, governed}));
  }
  // Handshakes, junk, and data that is cut before its index.
  const std::vector<Bytes> rest = {Message(1, 4, 3, 148), Bytes{0xff}, Bytes{4, 0, 0, 0}};
  for (const Bytes& b : rest)
    sender->Send(std::vector<OutDatagram>{{.bytes = b, .remote = To(group)}});
  EXPECT_EQ(Received(*group.control, GetParam(), rest.size()), rest);
  for (const auto& lane : group.data) EXPECT_TRUE(IsEmpty(*lane, GetParam()));
}

TEST_P(UdpGroupTest, ARunStaysARun) {
  auto group = *UdpGroup::Open({}, 2, kRules);
  auto sender = *UdpPair::Open({});
  if (sender->fd(GetParam()) < 0) GTEST_SKIP() << "no such family here";
  Bytes run;
  for (int i = 0; i < 40; ++i) {
    const Bytes one = Message(4, 4, 1, 1452);
    run.insert(run.end(), one.begin(), one.end());
  }
  sender->Send(std::vector<OutDatagram>{{.bytes = run, .remote = To(group), .segment = 1452}});
  EXPECT_EQ(Received(*group.data[1], GetParam(), 40).size(), 40u);
}

TEST_P(UdpGroupTest, EverySocketOfItAnswersFromThePort) {
  auto group = *UdpGroup::Open({}, 2, kRules);
  auto receiver = *UdpPair::Open({});
  if (receiver->fd(GetParam()) < 0) GTEST_SKIP() << "no such family here";
  const Endpoint to =
      *Endpoint::Parse(Join(GetParam() == Family::kV4 ? "127.0.0.1:" : "[::1]:", receiver->port()));
  const Bytes b(10, 1);
  for (UdpPair* p : {group.control.get(), group.data[0].get(), group.data[1].get()}) {
    p->Send(std::vector<OutDatagram>{{.bytes = b, .remote = to}});
    std::vector<Datagram> got;
    pollfd wait{.fd = receiver->fd(GetParam()), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&wait, 1, 2000), 1);
    receiver->Receive(GetParam(), got);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].remote.port, group.control->port());
  }
}

INSTANTIATE_TEST_SUITE_P(Families,
                         UdpGroupTest,
                         testing::Values(Family::kV4, Family::kV6),
                         [](const auto& p) { return p.param == Family::kV4 ? "v4" : "v6"; });

TEST(UdpGroupPortTest, ATakenPortIsFoundOutWhoeverHasIt) {
  auto alone = *UdpPair::Open({});
  EXPECT_TRUE(absl::IsAlreadyExists(UdpGroup::Open({.port = alone->port()}, 2, kRules).status()));
  auto group = *UdpGroup::Open({}, 2, kRules);
  EXPECT_TRUE(
      absl::IsAlreadyExists(UdpGroup::Open({.port = group.control->port()}, 2, kRules).status()));
  EXPECT_TRUE(absl::IsAlreadyExists(UdpPair::Open({.port = group.control->port()}).status()));
}

}  // namespace
}  // namespace aqmesh::os
