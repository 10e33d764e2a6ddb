// Super-packets that we make, taken by a real kernel: what an application receives of them.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/transport/os/kernel_fixture.h"
#include "tests/transport/os/packet_kit.h"

namespace aqmesh::os {
namespace {

// From 10.9.0.2 or fd09::2 to `port` of 10.9.0.1 or fd09::1, a machine behind aqt0.
class JoinedWriteTest : public KernelTest {
 protected:
  void OpenUp(Tun::Options options) {
    tun_.reset();  // the name is free again
    options.name = "aqt0";
    tun_ = OpenTun(options);
    if (tun_ == nullptr) return;
    const Link link = *netlink_->LinkByName("aqt0");
    for (const char* text : {"10.9.0.1", "fd09::1"}) {
      const auto ip = *IpAddress::Parse(text);
      ASSERT_TRUE(
          netlink_
              ->AddAddress(
                  {.ifindex = link.index, .address = ip, .length = static_cast<uint8_t>(ip.bits())})
              .ok());
    }
    ASSERT_TRUE(netlink_->SetUp(link.index, true).ok());
    for (const char* text : {"10.9.0.2/32", "fd09::2/128"}) {
      const Route r{.destination = *Prefix::Parse(text), .ifindex = link.index};
      ASSERT_TRUE(netlink_->AddRoute(r).ok());
    }
    ASSERT_TRUE(AddressReady());
  }
  // An IPv6 address gets its route when the kernel has done with looking for a duplicate, which it
  // puts off even where there is nobody to ask.
  static bool AddressReady() {
    sockaddr_in6 a{};
    a.sin6_family = AF_INET6;
    a.sin6_port = htons(9);
    const auto ip = *IpAddress::Parse("fd09::1");
    std::memcpy(&a.sin6_addr, ip.bytes().data(), 16);
    for (int i = 0; i < 5000; ++i) {
      const Fd fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) == 0) return true;
      ::poll(nullptr, 0, 1);
    }
    return false;
  }
  // Bound to any port of any address, which is left in `port_`.
  Fd Bound(bool v6, int type) {
    Fd fd(::socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0));
    sockaddr_in6 any{};  // its port stands where sockaddr_in has it
    any.sin6_family = v6 ? AF_INET6 : AF_INET;
    socklen_t size = v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    auto* address = reinterpret_cast<sockaddr*>(&any);
    EXPECT_EQ(::bind(fd.get(), address, size), 0);
    EXPECT_EQ(::getsockname(fd.get(), address, &size), 0);
    port_ = ntohs(any.sin6_port);
    return fd;
  }
  Bytes Packet(const kit::Spec& spec, uint32_t ack = 77) const {
    Bytes p = kit::Make(spec);
    const auto from = *IpAddress::Parse(spec.v6 ? "fd09::2" : "10.9.0.2");
    const auto to = *IpAddress::Parse(spec.v6 ? "fd09::1" : "10.9.0.1");
    const size_t at = spec.v6 ? 8 : 12;
    std::copy_n(from.bytes().begin(), from.bytes().size(), &p[at]);
    std::copy_n(to.bytes().begin(), to.bytes().size(), &p[at + to.bytes().size()]);
    const size_t l4_at = spec.v6 ? 40 : 20;
    StoreBe<uint16_t>(&p[l4_at + 2], port_);
    if (spec.tcp) StoreBe<uint32_t>(&p[l4_at + 8], ack);
    kit::Mend(p);
    return p;
  }
  void Write(const std::vector<Bytes>& packets) {
    const std::vector<ByteView> views(packets.begin(), packets.end());
    ASSERT_EQ(tun_->WritePackets(views), TunState::kOk);
    EXPECT_EQ(tun_->counters().write_refused, 0u);
    EXPECT_EQ(tun_->counters().joined_refused, 0u);
  }
  // What the interface took in: each write counts once, however many packets it holds.
  static uint64_t Writes() {
    std::ifstream in("/proc/net/dev");
    for (std::string line; std::getline(in, line);) {
      std::istringstream fields(line);
      std::string name;
      uint64_t bytes = 0, packets = 0;
      if (fields >> name >> bytes >> packets && name == "aqt0:") return packets;
    }
    return 0;
  }
  // The next of the datagrams, or the next super-packet, and the size of its segments if it is one.
  static Bytes Receive(int fd, int& segment) {
    Bytes b(65'536);
    iovec part{.iov_base = b.data(), .iov_len = b.size()};
    alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(sizeof(int))> control{};
    msghdr m{};
    m.msg_iov = &part, m.msg_iovlen = 1;
    m.msg_control = control.data(), m.msg_controllen = control.size();
    EXPECT_TRUE(WaitReadable(fd));
    const ssize_t n = ::recvmsg(fd, &m, MSG_DONTWAIT);
    b.resize(n < 0 ? 0 : static_cast<size_t>(n));
    segment = 0;
    const cmsghdr* c = CMSG_FIRSTHDR(&m);
    if (c != nullptr && c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
      std::memcpy(&segment, CMSG_DATA(c), sizeof segment);
    return b;
  }
  void ExpectConversation(bool v6);
  uint32_t HandShake(bool v6);

  std::unique_ptr<Tun> tun_;
  uint16_t port_ = 0;
};

TEST_F(JoinedWriteTest, DatagramsArriveWithTheirBoundaries) {
  struct Case {
    const char* name;
    uint32_t offloads;
    uint64_t want_writes;
    bool gro;
  };
  const Case kCases[] = {{"joined", kTunOffloads, 1, false},
                         {"joined, taken as a whole", kTunOffloads, 1, true},
                         {"USO forced off", kTunCsum | kTunTso4 | kTunTso6, 20, false},
                         {"no offload at all", 0, 20, false}};
  for (const bool v6 : {false, true}) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(Join(c.name, v6 ? ", v6" : ", v4"));
      ASSERT_NO_FATAL_FAILURE(OpenUp({.name = {}, .offloads = c.offloads}));
      if (tun_ == nullptr) GTEST_SKIP() << "no /dev/net/tun";
      EXPECT_EQ(tun_->offload_flags() & ~c.offloads, 0u);
      if (c.want_writes == 1 && (tun_->offload_flags() & kTunUso4) == 0)
        GTEST_SKIP() << "no USO before Linux 6.2";
      const Fd socket = Bound(v6, SOCK_DGRAM);
      const int on = c.gro ? 1 : 0;
      ASSERT_EQ(::setsockopt(socket.get(), SOL_UDP, UDP_GRO, &on, sizeof on), 0);
      std::vector<Bytes> packets;
      kit::Spec s{.v6 = v6, .tcp = false, .payload = 1000};
      for (; packets.size() < 20; s.seq += 1000) {
        if (packets.size() == 19) s.payload = 333;
        packets.push_back(Packet(s));
      }
      const uint64_t before = Writes();
      ASSERT_NO_FATAL_FAILURE(Write(packets));
      EXPECT_EQ(Writes() - before, c.want_writes);

      Bytes whole;
      int segment = 0;
      for (const Bytes& p : packets) {
        const ByteView payload = ByteView(p).subspan(v6 ? 48 : 28);
        Append(whole, payload);
        if (!c.gro) {
          ASSERT_TRUE(Equal(Receive(socket.get(), segment), payload));
          EXPECT_EQ(segment, 0);
        }
      }
      if (!c.gro) continue;
      EXPECT_EQ(Receive(socket.get(), segment), whole);
      EXPECT_EQ(segment, 1000);
    }
  }
}

// Our SYN from sequence 999, and the kernel's answer to it: what we have to acknowledge.
uint32_t JoinedWriteTest::HandShake(bool v6) {
  const size_t l4_at = v6 ? 40 : 20;
  Write({Packet({.v6 = v6, .seq = 999, .flags = 0x02, .payload = 0}, 0)});
  PacketArena arena({});
  while (WaitReadable(tun_->fd())) {
    arena.Clear();
    tun_->ReadBatch(arena, 8);
    for (const PacketSlot& p : arena.packets()) {
      if (kit::IsV6(p.bytes()) != v6 || p.data[v6 ? 6 : 9] != IPPROTO_TCP) continue;
      if (p.data[l4_at + 13] != 0x12) continue;  // SYN and ACK; else it is of one before us
      return LoadBe<uint32_t>(&p.data[l4_at + 4]) + 1;
    }
  }
  ADD_FAILURE() << "no answer to our SYN";
  return 0;
}

void JoinedWriteTest::ExpectConversation(bool v6) {
  const Fd listener = Bound(v6, SOCK_STREAM);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  const uint32_t ack = HandShake(v6);
  ASSERT_NO_FATAL_FAILURE(Write({Packet({.v6 = v6, .seq = 1000, .payload = 0}, ack)}));
  ASSERT_TRUE(WaitReadable(listener.get()));
  const Fd stream(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(stream.valid());
  std::vector<Bytes> packets;
  Bytes want;
  kit::Spec s{.v6 = v6, .seq = 1000, .payload = 1200};
  for (size_t i = 0; i < 30; ++i, ++s.id, s.seq += 1200) {
    if (i == 29) s.flags |= 0x08, s.payload = 77;
    packets.push_back(Packet(s, ack));
    Append(want, ByteView(packets.back()).subspan(v6 ? 60 : 40));
  }
  const uint64_t before = Writes();
  ASSERT_NO_FATAL_FAILURE(Write(packets));
  EXPECT_EQ(Writes() - before, (tun_->offload_flags() & kTunTso4) != 0 ? 1u : 30u);
  Bytes got(want.size());
  ASSERT_TRUE(WaitReadable(stream.get()));
  ASSERT_EQ(::recv(stream.get(), got.data(), got.size(), MSG_WAITALL | MSG_DONTWAIT),
            static_cast<ssize_t>(want.size()));
  EXPECT_EQ(got, want);
}

TEST_F(JoinedWriteTest, SegmentsArriveAsTheirStream) {
  for (const uint32_t offloads : {kTunOffloads, kTunCsum}) {
    for (const bool v6 : {false, true}) {
      SCOPED_TRACE(Join(v6 ? "v6, offloads " : "v4, offloads ", offloads));
      ASSERT_NO_FATAL_FAILURE(OpenUp({.name = {}, .offloads = offloads}));
      if (tun_ == nullptr) GTEST_SKIP() << "no /dev/net/tun";
      ASSERT_NO_FATAL_FAILURE(ExpectConversation(v6));
    }
  }
}

// From here on the calling thread's kernel refuses each writev of more than two parts.
void RefuseSuperPackets() {
  constexpr uint32_t kRefuse = SECCOMP_RET_ERRNO | EINVAL;
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_writev, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kRefuse),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(code), .filter = code};
  ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

// As some kernels did that had taken the offload.
TEST_F(JoinedWriteTest, WhatIsRefusedJoinedIsWrittenApart) {
  ASSERT_NO_FATAL_FAILURE(OpenUp({}));
  if (tun_ == nullptr) GTEST_SKIP() << "no /dev/net/tun";
  if ((tun_->offload_flags() & kTunUso4) == 0) GTEST_SKIP() << "no USO before Linux 6.2";
  const Fd socket = Bound(false, SOCK_DGRAM);
  std::vector<Bytes> packets;
  for (uint32_t i = 0; i < 6; ++i)
    packets.push_back(Packet({.tcp = false, .seq = i, .payload = 100 - i / 5}));
  const std::vector<ByteView> views(packets.begin(), packets.end());
  std::thread([this, &views] {
    RefuseSuperPackets();
    EXPECT_EQ(tun_->WritePackets(views), TunState::kOk);
    EXPECT_EQ(tun_->WritePackets(views), TunState::kOk);
  }).join();
  EXPECT_EQ(tun_->counters().joined_refused, 1u) << "it is not tried again";
  EXPECT_EQ(tun_->counters().write_refused, 0u);
  for (size_t i = 0; i < 12; ++i) {
    int segment = 0;
    ASSERT_TRUE(Equal(Receive(socket.get(), segment), views[i % 6].subspan(28))) << i;
  }
}

}  // namespace
}  // namespace aqmesh::os
