#include "admission/marks.h"

#include "core/base/rng.h"
#include "tests/admission/packets.h"

namespace aqmesh::admission {
namespace {

// RFC 1071 over a whole run of bytes: the slow way, that shares nothing with the code.
uint16_t Sum(ByteView bytes, uint32_t sum = 0) {
  for (size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? uint32_t{bytes[i]} << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}
bool HeaderHolds(ByteView packet) { return Sum(packet.first(20)) == 0xffff; }
bool TcpHolds(ByteView packet) {
  const bool v6 = packet[0] >> 4 == 6;
  const ByteView addresses = v6 ? packet.subspan(8, 32) : packet.subspan(12, 8);
  const ByteView tcp = packet.subspan(v6 ? 40 : 20);
  return Sum(tcp, Sum(addresses) + kProtoTcp + static_cast<uint32_t>(tcp.size())) == 0xffff;
}
void Seal(Bytes& packet, size_t at, uint16_t sum) {
  StoreBe(&packet[at], static_cast<uint16_t>(~sum));
}

// A segment with these options, its checksums right.
Bytes Segment(bool v6, uint8_t flags, Bytes options) {
  while (options.size() % 4 != 0) options.push_back(0);
  Bytes tcp = TcpHeader(1'000, 443, flags);
  tcp[12] = static_cast<uint8_t>((20 + options.size()) / 4 << 4);
  tcp.insert(tcp.end(), options.begin(), options.end());
  tcp.push_back(7);  // an odd length
  Bytes p = v6 ? IpPacket("fd00::1", "fd00::2", kProtoTcp, tcp)
               : IpPacket("100.64.0.1", "100.64.0.2", kProtoTcp, tcp);
  const size_t at = v6 ? 40 : 20;
  const ByteView addresses = ByteView(p).subspan(v6 ? 8 : 12, v6 ? 32 : 8);
  Seal(
      p,
      at + 16,
      Sum(ByteView(p).subspan(at), Sum(addresses) + kProtoTcp + static_cast<uint32_t>(tcp.size())));
  if (!v6) Seal(p, 10, Sum(ByteView(p).first(20)));
  return p;
}
void Mark(const Marks& marks, Bytes& packet) { Apply(marks, Read(packet), packet); }

TEST(MarksTest, DscpIsSetAndEcnStays) {
  Bytes four = Segment(false, kTcpAck, {}), six = Segment(true, kTcpAck, {});
  four[1] = 0x03;
  Seal(four, 10, 0xffff);  // zero, to be summed
  Seal(four, 10, Sum(ByteView(four).first(20)));
  six[0] = 0x6a;  // class 0xab: DSCP 42, ECN 3
  six[1] = 0xb7;  // and a flow label
  Mark({.dscp = 46}, four);
  Mark({.dscp = 46}, six);
  EXPECT_EQ(four[1], 46 << 2 | 3);
  EXPECT_TRUE(HeaderHolds(four));
  EXPECT_EQ((six[0] << 8 | six[1]) & 0x0fff, (46 << 2 | 3) << 4 | 7);
  EXPECT_EQ(six[0] >> 4, 6);
  const Bytes once = four;
  Mark({.dscp = 46}, four);
  EXPECT_EQ(four, once) << "twice is once";
}

TEST(MarksTest, EveryDscpKeepsTheChecksum) {
  for (unsigned before = 0; before < 256; ++before) {
    for (unsigned dscp = 0; dscp < 64; ++dscp) {
      Bytes p = Segment(false, kTcpAck, {});
      p[1] = static_cast<uint8_t>(before);
      StoreBe(&p[10], uint16_t{0});
      Seal(p, 10, Sum(ByteView(p).first(20)));
      Mark({.dscp = static_cast<uint8_t>(dscp)}, p);
      ASSERT_TRUE(HeaderHolds(p)) << before << " " << dscp;
    }
  }
}

TEST(MarksTest, ASynOffersNoMoreThanTheMark) {
  for (const bool v6 : {false, true}) {
    for (const Bytes& options : {Bytes{2, 4, 0x05, 0xb4},              // first
                                 Bytes{1, 2, 4, 0x05, 0xb4, 1, 1, 1},  // at an odd place
                                 Bytes{4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 2, 4, 0x05, 0xb4}}) {
      for (const uint8_t flags : {kTcpSyn, static_cast<uint8_t>(kTcpSyn | kTcpAck)}) {
        Bytes p = Segment(v6, flags, options);
        ASSERT_TRUE(TcpHolds(p));
        const Bytes before = p;
        Mark({.dscp = {}, .mss = 1'460}, p);
        EXPECT_EQ(p, before) << "1460 is no more than 1460";
        Mark({.dscp = {}, .mss = 1'200}, p);
        EXPECT_NE(p, before);
        EXPECT_TRUE(TcpHolds(p));
        const auto at = std::search(p.begin() + 40, p.end(), options.begin(), options.end());
        EXPECT_EQ(at, p.end());
      }
    }
  }
}

TEST(MarksTest, WhatIsNoSynOrOffersNothingStays) {
  const Bytes cases[] = {Segment(false, kTcpAck, {2, 4, 0x05, 0xb4}),
                         Segment(false, kTcpSyn, {}),
                         Segment(false, kTcpSyn, {0, 2, 4, 0x05, 0xb4}),  // behind the end
                         Segment(false, kTcpSyn, {2, 3, 0x05, 1}),
                         Segment(false, kTcpSyn, {3, 0, 2, 4, 0x05, 0xb4}),   // would loop
                         Segment(false, kTcpSyn, {3, 99, 2, 4, 0x05, 0xb4}),  // beyond the header
                         Udp("100.64.0.1", "100.64.0.2", 1, 2)};
  for (Bytes p : cases) {
    const Bytes before = p;
    Mark({.dscp = {}, .mss = 536}, p);
    EXPECT_EQ(p, before);
  }
}

TEST(MarksTest, NoPacketIsWrittenBeyond) {
  Rng rng([] {
    Rng::Seed seed{};
    seed[0] = 9;
    return seed;
  }());
  for (int i = 0; i < 200'000; ++i) {
    Bytes options(rng.Below(41));
    for (uint8_t& b : options) b = static_cast<uint8_t>(rng.Below(6));
    options.resize(std::min<size_t>(options.size(), 40));
    Bytes p = Segment(rng.Below(2) == 0, kTcpSyn, options);
    if (rng.Below(4) == 0) p[p[0] >> 4 == 6 ? 52 : 32] = static_cast<uint8_t>(rng.U32());
    PacketInfo info;
    if (Classify(p, info) != Drop::kNone) continue;
    const bool right = TcpHolds(p);
    Apply({.dscp = 1, .mss = 536}, info, p);  // under the sanitizers
    EXPECT_EQ(TcpHolds(p), right);
  }
}

}  // namespace
}  // namespace aqmesh::admission
