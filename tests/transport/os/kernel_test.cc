// The I/O annex against a real kernel, in a network namespace of its own. Skipped where that is not
// allowed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "tests/transport/os/kernel_fixture.h"
#include "transport/os/clock.h"
#include "transport/os/udp.h"
#include "transport/os/unix_socket.h"

namespace aqmesh::os {
namespace {

TEST_F(KernelTest, NetlinkChangesAreSeenByAnotherSocket) {
  auto tun = OpenTun({.name = "aqt0"});
  if (tun == nullptr) GTEST_SKIP() << "no /dev/net/tun";
  auto second = *Netlink::Open();
  const Link link = *netlink_->LinkByName("aqt0");
  EXPECT_FALSE(link.up);
  ASSERT_TRUE(netlink_->SetMtu(link.index, 1380).ok());
  ASSERT_TRUE(netlink_->SetUp(link.index, true).ok());
  const Link after = *second->LinkByIndex(link.index);
  EXPECT_EQ(after.mtu, 1380u);
  EXPECT_TRUE(after.up);
  EXPECT_EQ(after.name, "aqt0");

  for (const char* text : {"10.9.0.1", "fd09::1"}) {
    SCOPED_TRACE(text);
    const auto ip = *IpAddress::Parse(text);
    const InterfaceAddress a{
        .ifindex = link.index, .address = ip, .length = static_cast<uint8_t>(ip.bits())};
    ASSERT_TRUE(netlink_->AddAddress(a).ok());
    EXPECT_TRUE(absl::IsAlreadyExists(netlink_->AddAddress(a)));
    const auto addresses = *second->Addresses(link.index);
    EXPECT_NE(std::find(addresses.begin(), addresses.end(), a), addresses.end());

    const Route r{.destination = *Prefix::Parse(ip.is_v6() ? "fd09::/48" : "10.9.0.0/16"),
                  .ifindex = link.index};
    ASSERT_TRUE(netlink_->AddRoute(r).ok());
    const auto routes = *second->Routes(link.index, kRouteProtocolAqmesh);
    ASSERT_EQ(routes.size(), 1u);
    EXPECT_EQ(routes[0].destination, r.destination);
    EXPECT_EQ(routes[0].table, kRouteTableMain);
    ASSERT_TRUE(netlink_->RemoveRoute(r).ok());
    EXPECT_TRUE(absl::IsNotFound(netlink_->RemoveRoute(r)));
    EXPECT_TRUE(second->Routes(link.index, kRouteProtocolAqmesh)->empty());
    ASSERT_TRUE(netlink_->RemoveAddress(a).ok());
    EXPECT_TRUE(absl::IsNotFound(netlink_->RemoveAddress(a)));
  }
  EXPECT_TRUE(absl::IsNotFound(netlink_->LinkByName("nosuch0").status()));
  EXPECT_GE(netlink_->Links()->size(), 2u);
}

TEST_F(KernelTest, RoutesGoToATableOfTheirOwn) {
  auto tun = OpenTun({.name = "aqt0"});
  if (tun == nullptr) GTEST_SKIP() << "no /dev/net/tun";
  const Link link = *netlink_->LinkByName("aqt0");
  ASSERT_TRUE(netlink_->SetUp(link.index, true).ok());
  const Route r{.destination = *Prefix::Parse("0.0.0.0/0"),
                .ifindex = link.index,
                .table = 51820,
                .metric = 7};
  ASSERT_TRUE(netlink_->AddRoute(r).ok());
  const auto routes = *netlink_->Routes(link.index, kRouteProtocolAqmesh);
  ASSERT_EQ(routes.size(), 1u);
  EXPECT_EQ(routes[0], r);
}

TEST_F(KernelTest, LinkWatchHearsUpDownAndDeletion) {
  auto watch = *LinkWatch::Open();
  auto tun = OpenTun({.name = "aqt0"});
  if (tun == nullptr) GTEST_SKIP() << "no /dev/net/tun";
  const Link link = *netlink_->LinkByName("aqt0");
  ASSERT_TRUE(netlink_->SetUp(link.index, true).ok());
  tun.reset();
  std::vector<LinkEvent> events;
  while (events.empty() || !events.back().deleted) {
    ASSERT_TRUE(WaitReadable(watch->fd()));
    ASSERT_TRUE(watch->Drain(events));
  }
  EXPECT_TRUE(std::any_of(events.begin(), events.end(), [&](const LinkEvent& e) {
    return e.link.index == link.index && e.link.up;
  }));
}

TEST_F(KernelTest, TunCarriesPacketsAndTellsItsState) {
  for (const bool offload : {true, false}) {
    SCOPED_TRACE(offload);
    auto tun = OpenTun({.name = "aqt0", .offload = offload});
    if (tun == nullptr) GTEST_SKIP() << "no /dev/net/tun";
    const Link link = *netlink_->LinkByName("aqt0");
    EXPECT_FALSE(tun->IsUp());
    ASSERT_TRUE(netlink_->SetMtu(link.index, 1400).ok());
    ASSERT_TRUE(
        netlink_
            ->AddAddress(
                {.ifindex = link.index, .address = *IpAddress::Parse("10.9.0.1"), .length = 32})
            .ok());
    ASSERT_TRUE(netlink_->SetUp(link.index, true).ok());
    ASSERT_TRUE(
        netlink_->AddRoute({.destination = *Prefix::Parse("10.9.0.2/32"), .ifindex = link.index})
            .ok());
    EXPECT_TRUE(tun->IsUp());
    EXPECT_EQ(*tun->Mtu(), 1400u);
    EXPECT_EQ(*tun->Name(), "aqt0");
    EXPECT_FALSE(tun->InOtherNamespace());

    auto udp = *UdpPair::Open({});
    const Bytes payload(3, 'x');
    const OutDatagram d{
        .bytes = payload, .remote = *Endpoint::Parse("10.9.0.2:9"), .local = {}, .tos = 0};
    udp->Send(std::span(&d, 1));
    PacketArena arena({});
    ByteView found;
    while (found.empty()) {
      ASSERT_TRUE(WaitReadable(tun->fd()));
      arena.Clear();
      ASSERT_NE(tun->ReadBatch(arena, 8), TunState::kGone);
      for (const PacketSlot& p : arena.packets()) {
        if (p.size == 31 && p.data[9] == IPPROTO_UDP) found = p.bytes();
      }
    }
    // Turn it around: the socket must get it, so the checksum that the kernel left to us was
    // completed.
    Bytes back(found.begin(), found.end());
    std::swap_ranges(&back[12], &back[16], &back[16]);
    std::swap_ranges(&back[20], &back[22], &back[22]);
    const ByteView view = back;
    ASSERT_EQ(tun->WritePackets(std::span(&view, 1)), TunState::kOk);
    ASSERT_TRUE(WaitReadable(udp->fd(Family::kV4)));
    std::vector<Datagram> got;
    udp->Receive(Family::kV4, got);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_TRUE(Equal(got[0].bytes, payload));
    EXPECT_EQ(got[0].local.address.ToString(), "10.9.0.1");
  }
}

TEST_F(KernelTest, TunSplitsTheSuperPacketsOfTcpAndUdp) {
  auto tun = OpenTun({.name = "aqt0"});
  if (tun == nullptr) GTEST_SKIP() << "no /dev/net/tun";
  if ((tun->offload_flags() & 0x60) == 0) GTEST_SKIP() << "no USO before Linux 6.2";
  const Link link = *netlink_->LinkByName("aqt0");
  ASSERT_TRUE(
      netlink_
          ->AddAddress(
              {.ifindex = link.index, .address = *IpAddress::Parse("10.9.0.1"), .length = 32})
          .ok());
  ASSERT_TRUE(netlink_->SetUp(link.index, true).ok());
  ASSERT_TRUE(
      netlink_->AddRoute({.destination = *Prefix::Parse("10.9.0.2/32"), .ifindex = link.index})
          .ok());
  auto udp = *UdpPair::Open({});
  ASSERT_TRUE(udp->gso());
  std::vector<Bytes> payloads(20, Bytes(1000, 0));
  std::vector<OutDatagram> batch;
  for (size_t i = 0; i < payloads.size(); ++i) {
    payloads[i][0] = static_cast<uint8_t>(i);
    batch.push_back(
        {.bytes = payloads[i], .remote = *Endpoint::Parse("10.9.0.2:9"), .local = {}, .tos = 0});
  }
  udp->Send(batch);
  PacketArena arena({});
  size_t seen = 0;
  while (seen < payloads.size()) {
    ASSERT_TRUE(WaitReadable(tun->fd()));
    arena.Clear();
    tun->ReadBatch(arena, 8);
    for (const PacketSlot& p : arena.packets()) {
      if (p.size != 1028 || p.data[9] != IPPROTO_UDP) continue;
      EXPECT_EQ(p.data[28], seen++);
      const ByteView s = p.bytes();
      const uint64_t pseudo =
          PseudoHeaderSum(s.subspan(12, 4), s.subspan(16, 4), IPPROTO_UDP, 1008);
      EXPECT_EQ(ChecksumFold(ChecksumAdd(s.subspan(20), pseudo)), 0xffff);
    }
  }
}

TEST_F(KernelTest, ATunDescriptorIsAdopted) {
  auto tun = OpenTun({.name = "aqt0"});
  if (tun == nullptr) GTEST_SKIP() << "no /dev/net/tun";
  auto adopted = Tun::Adopt(tun->Detach());
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  EXPECT_EQ(*(*adopted)->Name(), "aqt0");
  EXPECT_NE((*adopted)->offload_flags(), 0u);
  EXPECT_FALSE(Tun::Adopt(Fd(::open("/dev/null", O_RDWR))).ok());
}

TEST_F(KernelTest, ANameInUseOrTooLongIsExplained) {
  EXPECT_TRUE(absl::IsInvalidArgument(Tun::Open({.name = "sixteen-letters-"}).status()));
  auto tun = OpenTun({.name = "aqt0"});
  if (tun == nullptr) GTEST_SKIP() << "no /dev/net/tun";
  const auto again = Tun::Open({.name = "aqt0"}).status();
  EXPECT_NE(Text(again).find("aqt0"), std::string::npos) << again;
}

TEST_F(KernelTest, UdpRunsArriveInOrderWithTheirBoundaries) {
  for (const char* host : {"127.0.0.1", "[::1]"}) {
    for (const bool offload : {true, false}) {
      SCOPED_TRACE(Join(host, offload ? " with GSO" : " without"));
      auto a = *UdpPair::Open({.gso = offload, .gro = offload});
      auto b = *UdpPair::Open({.gso = offload, .gro = offload});
      const Endpoint to = *Endpoint::Parse(Join(host, ":", b->port()));
      const Family f = to.address.is_v6() ? Family::kV6 : Family::kV4;
      std::vector<Bytes> payloads;
      for (size_t i = 0; i < 150; ++i)
        payloads.emplace_back(i % 40 == 39  ? 333
                              : i % 50 == 0 ? 1300
                                            : 1200,
                              static_cast<uint8_t>(i));
      std::vector<OutDatagram> batch;
      for (const Bytes& p : payloads)
        batch.push_back({.bytes = p, .remote = to, .local = {}, .tos = 0x88});
      a->Send(batch);
      std::vector<Datagram> got;
      size_t seen = 0;
      while (seen < payloads.size()) {
        ASSERT_TRUE(WaitReadable(b->fd(f))) << seen;
        got.clear();
        b->Receive(f, got);
        for (const Datagram& d : got) {
          ASSERT_LT(seen, payloads.size());
          EXPECT_TRUE(Equal(d.bytes, payloads[seen])) << seen;
          EXPECT_EQ(d.remote.port, a->port());
          EXPECT_EQ(d.tos, 0x88);
          EXPECT_TRUE(d.local.is_set());
          EXPECT_EQ(d.local.address, to.address);
          ++seen;
        }
      }
      EXPECT_EQ(a->counters().send_refused, 0u);
      EXPECT_EQ(b->counters().truncated, 0u);
    }
  }
}

TEST_F(KernelTest, UdpAnswersFromTheAddressThatWasAsked) {
  const Link lo = *netlink_->LinkByName("lo");
  auto a = *UdpPair::Open({});
  auto b = *UdpPair::Open({});
  const Bytes hello = {1};
  const OutDatagram d{.bytes = hello,
                      .remote = *Endpoint::Parse(Join("127.0.0.1:", b->port())),
                      .local = {.address = *IpAddress::Parse("127.5.5.5"), .ifindex = lo.index},
                      .tos = 0};
  a->Send(std::span(&d, 1));
  ASSERT_TRUE(WaitReadable(b->fd(Family::kV4)));
  std::vector<Datagram> got;
  b->Receive(Family::kV4, got);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].remote.address.ToString(), "127.5.5.5");

  // A source that is not ours is refused by the kernel: the datagram leaves from another one.
  const OutDatagram gone{.bytes = hello,
                         .remote = d.remote,
                         .local = {.address = *IpAddress::Parse("10.1.2.3"), .ifindex = lo.index},
                         .tos = 0};
  a->Send(std::span(&gone, 1));
  ASSERT_TRUE(WaitReadable(b->fd(Family::kV4)));
  EXPECT_EQ(a->counters().source_refused, 1u);
}

TEST_F(KernelTest, UdpPortsAreSharedByBothFamiliesAndTakenOnce) {
  auto a = *UdpPair::Open({});
  EXPECT_NE(a->port(), 0);
  EXPECT_GE(a->fd(Family::kV4), 0);
  EXPECT_GE(a->fd(Family::kV6), 0);
  const auto again = UdpPair::Open({.port = a->port()}).status();
  EXPECT_TRUE(absl::IsAlreadyExists(again)) << again;
  EXPECT_TRUE(a->SetMark(51820).ok());
}

class UnixSocketTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/aq_unix_XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override {
    ::rmdir((dir_ + "/sub").c_str());
    ::rmdir(dir_.c_str());
  }
  std::string dir_;
};

TEST_F(UnixSocketTest, ListensWithTheModeAskedAndKnowsWhoCalls) {
  const std::string path = dir_ + "/sub/a.sock";
  auto listener = UnixListener::Listen(
      {.path = path, .mode = 0660, .directory_mode = 0755, .stale_advice = ""});
  ASSERT_TRUE(listener.ok()) << listener.status();
  struct stat s{};
  ASSERT_EQ(::stat(path.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0660u);
  EXPECT_FALSE((*listener)->Accept().valid());
  Fd client = *ConnectUnix(path);
  Fd server = (*listener)->Accept();
  ASSERT_TRUE(server.valid());
  const auto who = CredentialsOf(server.get());
  ASSERT_TRUE(who.ok()) << who.status();
  EXPECT_EQ(who->uid, ::getuid());
  EXPECT_EQ(who->pid, ::getpid());
  EXPECT_TRUE(absl::IsAlreadyExists(
      UnixListener::Listen({.path = path, .mode = 0660, .directory_mode = 0755, .stale_advice = ""})
          .status()));
  listener->reset();
  EXPECT_NE(::stat(path.c_str(), &s), 0) << "the socket file stays behind";
}

TEST_F(UnixSocketTest, ReplacesAStaleSocketAndLeavesAForeignOneAlone) {
  const std::string path = dir_ + "/a.sock";
  const UnixListener::Options options{
      .path = path, .mode = 0600, .directory_mode = 0755, .stale_advice = ""};
  auto dead = *UnixListener::Listen(options);
  dead->Abandon();
  dead.reset();  // closed, file left behind: stale
  auto first = UnixListener::Listen(options);
  ASSERT_TRUE(first.ok()) << first.status();
  ::unlink(path.c_str());
  auto second = *UnixListener::Listen(options);
  first->reset();  // must not remove the second's file
  EXPECT_TRUE(ConnectUnix(path).ok());
  second.reset();
  EXPECT_TRUE(absl::IsNotFound(ConnectUnix(path).status()));
}

TEST_F(UnixSocketTest, PassesDescriptorsWithAMessage) {
  auto [a, b] = *SequencedPair();
  int pipe_fds[2];
  ASSERT_EQ(::pipe2(pipe_fds, O_CLOEXEC), 0);
  Fd reader(pipe_fds[0]);
  Fd writer(pipe_fds[1]);
  const int passed[] = {writer.get()};
  ASSERT_TRUE(SendMessage(a.get(), AsBytes("take this"), passed).ok());
  auto message = ReceiveMessage(b.get());
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(AsText(message->bytes), "take this");
  ASSERT_EQ(message->fds.size(), 1u);
  ASSERT_EQ(::write(message->fds[0].get(), "x", 1), 1);
  char c = 0;
  EXPECT_EQ(::read(reader.get(), &c, 1), 1);
  EXPECT_EQ(c, 'x');
  EXPECT_TRUE(absl::IsInvalidArgument(SendMessage(a.get(), {})));
  a.Close();
  EXPECT_TRUE(absl::IsNotFound(ReceiveMessage(b.get()).status()));
}

TEST(ClockTest, RoundsDeadlinesUpAndBoundsThem) {
  const Instant now{std::chrono::seconds(10)};
  using std::chrono::microseconds;
  EXPECT_EQ(PollTimeoutMs(now, kNever), -1);
  EXPECT_EQ(PollTimeoutMs(now, now), 0);
  EXPECT_EQ(PollTimeoutMs(now, now - microseconds(1)), 0);
  EXPECT_EQ(PollTimeoutMs(now, now + microseconds(1)), 1);
  EXPECT_EQ(PollTimeoutMs(now, now + microseconds(1001)), 2);
  EXPECT_EQ(PollTimeoutMs(now, now + std::chrono::hours(48)), 3'600'000);
  const Now a = ReadNow();
  EXPECT_LE(a.mono, ReadNow().mono);
  EXPECT_GT(a.wall.seconds(), 1'700'000'000u);
  EXPECT_NE(KernelSeed(), KernelSeed());
}

}  // namespace
}  // namespace aqmesh::os
