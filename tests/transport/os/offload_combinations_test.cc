// A tunnel without its ciphers, two TUNs in two namespaces and UDP between them, once for each
// combination of the offloads that may be used: the kernel's own TCP and UDP go through it and must
// arrive byte for byte, and a super-packet is seen exactly where it is allowed.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "tests/transport/os/kernel_fixture.h"
#include "transport/os/offload_set.h"
#include "transport/os/udp.h"

namespace aqmesh::os {
namespace {

constexpr size_t kStreamBytes = 1u << 20;  // of TCP, each way
constexpr size_t kBursts = 8, kBurst = 40;
constexpr size_t kDatagram = 1200, kLastDatagram = 301;  // of each burst
constexpr int kIdleMax = 50;                             // waits of 100 ms in which nothing came

// The stream from its start, so that bytes in a wrong place are seen.
const Bytes& Stream() {
  static const Bytes stream = [] {
    Bytes b(kStreamBytes);
    for (uint64_t i = 0; i < b.size(); ++i)
      b[i] = static_cast<uint8_t>((i + 1) * 0x9e3779b97f4a7c15u >> 56);
    return b;
  }();
  return stream;
}

std::vector<OffloadSet> Combinations() {
  std::vector<OffloadSet> out;
  for (uint32_t bits = 0; bits < 1u << OffloadNames().size(); ++bits) {
    OffloadSet set = kNoOffloads;
    std::string words = "none";
    for (size_t i = 0; i < OffloadNames().size(); ++i) {
      if ((bits >> i & 1) != 0) words += Join(",", OffloadNames()[i].name);
    }
    set = *ParseOffloads(words);
    // What needs tun-csum brings it along: the same again.
    if (std::find(out.begin(), out.end(), set) == out.end()) out.push_back(set);
  }
  return out;
}

// A TCP connection's end: sends the stream and checks what comes.
struct TcpEnd {
  Fd fd;
  size_t sent = 0, received = 0;
  bool wrong = false;

  bool done() const { return sent == kStreamBytes && received == kStreamBytes; }
  bool Turn() {  // true: something moved
    const Bytes& stream = Stream();
    const ssize_t out =
        ::send(fd.get(), stream.data() + sent, stream.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (out > 0) sent += static_cast<size_t>(out);
    static Bytes buffer(256 * 1024);
    const ssize_t in = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (in > 0) {
      const auto n = static_cast<size_t>(in);
      wrong = wrong || received + n > stream.size() ||
              !Equal(ByteView(buffer).first(n), ByteView(stream).subspan(received, n));
      received += n;
    }
    return out > 0 || in > 0;
  }
};

class OffloadCombinationsTest : public KernelTest {
 protected:
  struct End {
    Fd ns;
    std::unique_ptr<Netlink> netlink;
    std::unique_ptr<Tun> tun;
    std::unique_ptr<UdpPair> link;  // both in the namespace of the first
    Endpoint at;                    // of its link
    PacketArena arena{PacketArena::Options{}};
    std::array<size_t, 4> supers{};  // read: segments that followed, of TCP4, TCP6, UDP4, UDP6
  };

  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "no /dev/net/tun";
    ends_[0].ns = Here();
    ends_[0].netlink = std::move(netlink_);
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    ends_[1].ns = Here();
    ends_[1].netlink = *Netlink::Open();
    const Link lo = *ends_[1].netlink->LinkByName("lo");
    ASSERT_TRUE(ends_[1].netlink->SetUp(lo.index, true).ok());
  }
  static Fd Here() { return Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }
  void Enter(size_t end) { ASSERT_EQ(::setns(ends_[end].ns.get(), CLONE_NEWNET), 0); }
  static IpAddress AddressOf(size_t end, bool v6) {
    return *IpAddress::Parse(Join(v6 ? "fd09::" : "10.9.0.", end + 1));
  }

  // As aqmeshd has it: opened by one process with all, narrowed where it is adopted.
  void Open(size_t i, const OffloadSet& set) {
    End& e = ends_[i];
    Enter(i);
    auto opened = OpenTun({.name = "aqt0"});
    ASSERT_NE(opened, nullptr);
    have_ = opened->offload_flags();
    auto adopted = Tun::Adopt(opened->Detach(), set.tun);
    ASSERT_TRUE(adopted.ok()) << adopted.status();
    e.tun = *std::move(adopted);
    const Link link = *e.netlink->LinkByName("aqt0");
    ASSERT_TRUE(e.netlink->SetMtu(link.index, 1400).ok());
    ASSERT_TRUE(e.netlink->SetUp(link.index, true).ok());
    for (const bool v6 : {false, true}) {
      const IpAddress own = AddressOf(i, v6);
      const Prefix both = *Prefix::Parse(v6 ? "fd09::/64" : "10.9.0.0/24");
      ASSERT_TRUE(e.netlink
                      ->AddAddress({.ifindex = link.index,
                                    .address = own,
                                    .length = static_cast<uint8_t>(own.bits())})
                      .ok());
      ASSERT_TRUE(e.netlink->AddRoute({.destination = both, .ifindex = link.index}).ok());
    }
    Enter(0);
    e.link = *UdpPair::Open({.gso = set.udp_gso, .gro = set.udp_gro});
    e.at = *Endpoint::Parse(Join("127.0.0.1:", e.link->port()));
    e.supers = {};
  }

  void Count(End& e) {
    for (const PacketSlot& p : e.arena.packets()) {
      const bool v6 = p.data[0] >> 4 == 6;
      const uint8_t protocol = p.data[v6 ? 6 : 9];
      if (!p.follows || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)) continue;
      ++e.supers[(protocol == IPPROTO_UDP ? 2u : 0u) + (v6 ? 1u : 0u)];
    }
  }

  // What one TUN has ready to the other one's, over the link. True: there was something.
  bool Carry(End& from, End& to) {
    from.arena.Clear();
    EXPECT_NE(from.tun->ReadBatch(from.arena, 64), TunState::kGone);
    Count(from);
    std::vector<OutDatagram> out;
    for (const PacketSlot& p : from.arena.packets())
      out.push_back({.bytes = p.bytes(), .remote = to.at});
    from.link->Send(out);
    for (bool more = true; more;) {
      std::vector<Datagram> came;
      more = to.link->Receive(Family::kV4, came);
      std::vector<ByteView> packets;
      for (const Datagram& d : came) packets.push_back(d.bytes);
      EXPECT_EQ(to.tun->WritePackets(packets), TunState::kOk);
    }
    return !out.empty();
  }

  // Moves packets until `turn` has nothing more to wait for; false: nothing comes any more.
  template <class Done, class Turn>
  bool Run(Done done, Turn turn) {
    for (int idle = 0; !done();) {
      const bool there = Carry(ends_[0], ends_[1]);
      const bool back = Carry(ends_[1], ends_[0]);
      if (turn() || there || back) {
        idle = 0;
        continue;
      }
      std::array<pollfd, 2> wait = {
          pollfd{.fd = ends_[0].tun->fd(), .events = POLLIN, .revents = 0},
          pollfd{.fd = ends_[1].tun->fd(), .events = POLLIN, .revents = 0}};
      if (::poll(wait.data(), wait.size(), 100) == 0 && ++idle == kIdleMax) return false;
    }
    return true;
  }

  static socklen_t Fill(const IpAddress& address, sockaddr_storage& out) {
    out = {};
    if (address.is_v6()) {
      auto& a = reinterpret_cast<sockaddr_in6&>(out);
      a.sin6_family = AF_INET6;
      std::memcpy(&a.sin6_addr, address.bytes().data(), 16);
      return sizeof a;
    }
    auto& a = reinterpret_cast<sockaddr_in&>(out);
    a.sin_family = AF_INET;
    std::memcpy(&a.sin_addr, address.bytes().data(), 4);
    return sizeof a;
  }

  void CarriesTcp(bool v6) {
    const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    Enter(1);
    Fd listener(::socket(v6 ? AF_INET6 : AF_INET, type, 0));
    sockaddr_storage to;
    socklen_t n = Fill(AddressOf(1, v6), to);
    auto* const any = reinterpret_cast<sockaddr*>(&to);
    ASSERT_EQ(::bind(listener.get(), any, n), 0) << errno;
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    ASSERT_EQ(::getsockname(listener.get(), any, &n), 0);
    Enter(0);
    TcpEnd client{Fd(::socket(v6 ? AF_INET6 : AF_INET, type, 0))}, server;
    ASSERT_TRUE(::connect(client.fd.get(), any, n) == 0 || errno == EINPROGRESS) << errno;
    ASSERT_TRUE(Run([&] { return server.fd.valid(); },
                    [&] {
                      server.fd = Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK));
                      return server.fd.valid();
                    }))
        << "no connection";
    ASSERT_TRUE(Run([&] { return client.done() && server.done(); },
                    [&] {
                      const bool a = client.Turn();
                      return server.Turn() || a;
                    }))
        << "stopped at " << client.received << " and " << server.received;
    EXPECT_FALSE(client.wrong || server.wrong) << "a byte in a wrong place";
  }

  void CarriesUdp(bool v6) {
    Enter(1);
    auto receiver = *UdpPair::Open({});
    Enter(0);
    auto sender = *UdpPair::Open({});
    const Endpoint to{.address = AddressOf(1, v6), .port = receiver->port()};
    const Bytes& stream = Stream();
    std::vector<Datagram> came;
    for (size_t burst = 0, at = 0; burst < kBursts; ++burst) {
      std::vector<OutDatagram> out;
      size_t next = at;
      for (size_t i = 0; i < kBurst; ++i) {
        const size_t size = i + 1 < kBurst ? kDatagram : kLastDatagram;
        out.push_back({.bytes = ByteView(stream).subspan(next, size), .remote = to});
        next += size;
      }
      sender->Send(out);
      size_t seen = 0;
      const auto take = [&] {
        came.clear();
        receiver->Receive(v6 ? Family::kV6 : Family::kV4, came);
        for (const Datagram& d : came) {
          if (seen == kBurst) break;
          EXPECT_TRUE(Equal(d.bytes, out[seen].bytes)) << burst << ", " << seen;
          ++seen;
        }
        return !came.empty();
      };
      ASSERT_TRUE(Run([&] { return seen == kBurst; }, take)) << "lost after " << seen;
      at = next;
    }
    EXPECT_EQ(sender->counters().send_refused, 0u);
  }

  void NothingWasRefused() {
    for (const End& e : ends_) {
      EXPECT_EQ(e.tun->counters().read_malformed, 0u);
      EXPECT_EQ(e.tun->counters().write_refused, 0u);
      EXPECT_EQ(e.tun->counters().joined_refused, 0u);
      EXPECT_EQ(e.link->counters().send_refused, 0u);
      EXPECT_EQ(e.link->counters().truncated, 0u);
      EXPECT_EQ(e.link->counters().gso_turned_off, 0u);
    }
  }

  std::array<End, 2> ends_;
  uint32_t have_ = 0;  // of the TUN's, what this kernel takes
};

static_assert(kBursts * (kBurst * kDatagram) <= kStreamBytes);

TEST_F(OffloadCombinationsTest, EachCarriesTcpAndUdpByteForByte) {
  const std::vector<OffloadSet> all = Combinations();
  EXPECT_EQ(all.size(), (8u + 1) * 4) << "three that need tun-csum, or not even that; two of UDP";
  const bool kernel_gso = (*UdpPair::Open({}))->gso(), kernel_gro = (*UdpPair::Open({}))->gro();
  for (const OffloadSet& set : all) {
    SCOPED_TRACE(PrintOffloads(set));
    Open(0, set);
    Open(1, set);
    if (HasFatalFailure()) return;
    for (const bool v6 : {false, true}) {
      CarriesTcp(v6);
      CarriesUdp(v6);
    }
    if (HasFatalFailure()) return;
    NothingWasRefused();
    const uint32_t on = set.tun & have_;
    const std::array<size_t, 4>& supers = ends_[0].supers;
    EXPECT_EQ(ends_[0].tun->offload_flags(), on);
    EXPECT_EQ(supers[0] > 0, (on & kTunTso4) != 0);
    EXPECT_EQ(supers[1] > 0, (on & kTunTso6) != 0);
    EXPECT_EQ(supers[2] > 0, (on & kTunUso4) != 0);
    EXPECT_EQ(supers[3] > 0, (on & kTunUso6) != 0);
    EXPECT_EQ(ends_[0].link->gso(), set.udp_gso && kernel_gso);
    EXPECT_EQ(ends_[0].link->gro(), set.udp_gro && kernel_gro);
    for (End& e : ends_) e.tun.reset();
  }
}

}  // namespace
}  // namespace aqmesh::os
