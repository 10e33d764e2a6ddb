// Packets that lie end to end at the wire's stride are sealed where they lie and leave as runs: the
// same datagrams as ever, told to the driver in fewer words.
#include <random>

#include "tests/transport/wireguard/hosts.h"
#include "transport/wireguard/packet.h"

namespace aqmesh::wireguard {
namespace {

constexpr size_t kMtu = 1420;

class RunTest : public DeviceTest {
 protected:
  RunTest() {
    Tun(a_, to_b_);
    Carry();
    b_.received.clear();
  }
  // An IPv4 packet of `size` bytes for b.
  Bytes Packet(size_t size, uint8_t mark) const {
    Bytes p = to_b_;
    p.resize(size, mark);
    StoreBe(p.data() + 2, static_cast<uint16_t>(size));
    return p;
  }
  // Laid out as a driver's arena does it, and sent in one turn.
  void SendLaidOut(const std::vector<Bytes>& packets, Outbox& out) {
    memory_.assign(256 * 1024, 0xee);
    std::vector<TunPacket> views;
    size_t at = 0;
    for (const Bytes& p : packets) {
      const size_t tail = PaddingFor(p.size(), kMtu) + kTag;
      std::copy(p.begin(), p.end(), memory_.begin() + static_cast<ptrdiff_t>(at + 16));
      views.push_back({.bytes = MutableBytes(memory_.data() + at + 16, p.size()),
                       .headroom = 16,
                       .tailroom = static_cast<uint16_t>(tail)});
      at += 16 + p.size() + tail;
      ASSERT_LE(at, memory_.size());
    }
    a_.device.OnTunPackets(now_, views, out);
  }
  std::vector<Bytes> Arrived(const Outbox& out) {
    for (const OutDatagram& d : out.datagrams)
      ForEachSegment(d, [&](ByteView b) { Feed(b_, b, a_.here); });
    return std::exchange(b_.received, {});
  }
  Bytes memory_;
};

TEST_F(RunTest, ASuperPacketIsOneRun) {
  std::vector<Bytes> packets(43, Packet(kMtu, 1));
  packets.push_back(Packet(300, 2));
  Outbox out;
  SendLaidOut(packets, out);
  ASSERT_EQ(out.datagrams.size(), 1u);
  EXPECT_EQ(out.datagrams[0].segment, kMtu + 32);
  EXPECT_EQ(out.datagrams[0].size, 43 * (kMtu + 32) + 304 + 32);
  EXPECT_EQ(out.datagrams[0].data, memory_.data()) << "not sealed where it lay";
  EXPECT_EQ(Arrived(out), packets);
}

TEST_F(RunTest, AShorterPacketEndsARunAndNothingIsBothLongerAndInside) {
  const std::vector<Bytes> packets = {
      Packet(500, 1), Packet(500, 2), Packet(100, 3), Packet(500, 4), Packet(600, 5)};
  Outbox out;
  SendLaidOut(packets, out);
  ASSERT_EQ(out.datagrams.size(), 3u);
  EXPECT_EQ(out.datagrams[0].size, 2 * (512 + 32) + 112 + 32u);
  EXPECT_EQ(out.datagrams[1].segment, 0u) << "500 before 600";
  EXPECT_EQ(out.datagrams[2].segment, 0u);
  EXPECT_EQ(Arrived(out), packets);
}

TEST_F(RunTest, NoRunIsMoreThanOneMessageTakes) {
  const std::vector<Bytes> small(2 * kRunSegmentsMax + 2, Packet(64, 1)),
      large(60, Packet(kMtu, 1));
  Outbox out;
  SendLaidOut(small, out);
  ASSERT_EQ(out.datagrams.size(), 3u);
  EXPECT_EQ(out.datagrams[0].size / out.datagrams[0].segment, kRunSegmentsMax);
  EXPECT_EQ(Arrived(out), small);
  Outbox more;
  SendLaidOut(large, more);
  ASSERT_EQ(more.datagrams.size(), 2u);
  EXPECT_LE(more.datagrams[0].size, kRunBytesMax);
  EXPECT_EQ(Arrived(more), large);
}

TEST_F(RunTest, APacketWithoutRoomIsCopiedAndItsNeighboursAreLeftAlone) {
  Bytes close(3 * 100);
  const Bytes packet = Packet(100, 7);
  for (size_t i = 0; i < 3; ++i) std::copy(packet.begin(), packet.end(), close.data() + i * 100);
  const Bytes before = close;
  const TunPacket middle[] = {{.bytes = MutableBytes(close).subspan(100, 100),
                               .headroom = 15,  // one less than the header takes
                               .tailroom = 64},
                              {.bytes = MutableBytes(close).subspan(100, 100),
                               .headroom = 64,
                               .tailroom = 27}};  // padding 12 and tag 16
  Outbox out;
  a_.device.OnTunPackets(now_, middle, out);
  EXPECT_EQ(close, before);
  EXPECT_EQ(Arrived(out), std::vector<Bytes>(2, packet));
}

TEST_F(RunTest, RandomSizesArriveAsTheyWere) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<Bytes> packets;
    const size_t base = 28 + random() % (kMtu - 27);
    for (size_t n = 1 + random() % 100; n > 0; --n) {
      const size_t size = random() % 4 != 0 ? base : 28 + random() % (kMtu - 27);
      packets.push_back(Packet(size, static_cast<uint8_t>(random())));
    }
    Outbox out;
    SendLaidOut(packets, out);
    for (const OutDatagram& d : out.datagrams) {
      EXPECT_LE(d.size, kRunBytesMax);
      EXPECT_TRUE(d.segment == 0 || d.size > d.segment);
    }
    ASSERT_EQ(Arrived(out), packets) << round;
  }
}

// Five packets, the third of them with these ECN bits.
class CongestionTest : public RunTest {
 protected:
  std::vector<Bytes> Five(uint8_t ecn) {
    std::vector<Bytes> p;
    for (uint8_t i = 0; i < 5; ++i) p.push_back(Packet(100, i));
    p[2][1] = ecn;
    return p;
  }
  std::vector<TunPacket> Views(std::vector<Bytes>& packets, std::vector<bool> follows) {
    std::vector<TunPacket> out;
    for (size_t i = 0; i < packets.size(); ++i)
      out.push_back({.bytes = packets[i], .follows = follows[i]});
    return out;
  }
};

TEST_F(CongestionTest, WhoCanHearItIsMarkedAndWhoCannotLosesAPacket) {
  for (uint8_t ecn = 1; ecn <= 3; ++ecn) {
    std::vector<Bytes> packets = Five(ecn);
    auto views = Views(packets, {false, false, false, false, false});
    SignalCongestion(views);
    EXPECT_EQ(views.size(), 5u);
    EXPECT_EQ(packets[2][1], 3) << "from " << int{ecn};
  }
  std::vector<Bytes> packets = Five(0);
  auto views = Views(packets, {false, false, false, false, false});
  SignalCongestion(views);
  ASSERT_EQ(views.size(), 4u);
  EXPECT_TRUE(Equal(views[1].bytes, packets[1]));
  EXPECT_TRUE(Equal(views[2].bytes, packets[3]));
  std::vector<TunPacket> none;
  SignalCongestion(none);
  EXPECT_TRUE(none.empty());
}

// A segment must never seem to follow the packet of another flow.
TEST_F(CongestionTest, WhatFollowedTheLostPacketDoesNotFollowAStranger) {
  std::vector<Bytes> packets = Five(0);
  auto first = Views(packets, {false, true, false, true, true});
  SignalCongestion(first);
  EXPECT_FALSE(first[2].follows) << "it was second behind the lost one";
  EXPECT_TRUE(first[3].follows);
  auto middle = Views(packets, {false, true, true, true, false});
  SignalCongestion(middle);
  EXPECT_TRUE(middle[2].follows) << "its first one is still there";
}

TEST_F(CongestionTest, PacketsForTheTunAreTreatedAlike) {
  std::vector<Bytes> packets = Five(0);
  std::vector<OutPacket> out;
  for (Bytes& p : packets) out.push_back({.peer = 1, .data = p.data(), .size = p.size()});
  SignalCongestion(out);
  ASSERT_EQ(out.size(), 4u);
  EXPECT_EQ(out[2].data, packets[3].data());
  out[2].data[1] = 2;
  SignalCongestion(out);
  ASSERT_EQ(out.size(), 4u);
  EXPECT_EQ(packets[3][1], 3);
}

}  // namespace
}  // namespace aqmesh::wireguard
