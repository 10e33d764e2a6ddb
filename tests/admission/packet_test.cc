#include "admission/packet.h"

#include <random>

#include "core/base/rng.h"
#include "tests/admission/classifier_property.h"
#include "tests/admission/packets.h"

namespace aqmesh::admission {
namespace {

constexpr const char *kA4 = "100.64.0.1", *kB4 = "100.64.0.2", *kA6 = "fd00::1", *kB6 = "fd00::2";

TEST(PacketTest, ReadsPortsAndFlagsOfBothFamilies) {
  for (const auto& [a, b] : {std::pair{kA4, kB4}, std::pair{kA6, kB6}}) {
    const PacketInfo t = Read(Tcp(a, b, 1234, 22, kTcpSyn));
    EXPECT_TRUE(t.classified);
    EXPECT_EQ(t.src, Ip(a));
    EXPECT_EQ(t.dst, Ip(b));
    EXPECT_EQ(t.sport, 1234);
    EXPECT_EQ(t.dport, 22);
    EXPECT_EQ(t.part, Part::kOpensOnly);
    EXPECT_EQ(Read(Tcp(a, b, 1, 2, kTcpSyn | kTcpAck)).part, Part::kEither);
    EXPECT_EQ(Read(Udp(a, b, 53, 54)).dport, 54);
  }
}

TEST(PacketTest, FlowHasTheBytesOfTheSpec) {  // spec: objects#7
  const Flow f = Read(Udp(kA4, kB4, 0x1234, 53)).flow();
  EXPECT_EQ(ToHex(f.bytes),
            "0411"
            "000000000000000000000000"
            "64400001"
            "000000000000000000000000"
            "64400002"
            "12340035");
  EXPECT_EQ(f.Reversed(), Read(Udp(kB4, kA4, 53, 0x1234)).flow());
  const Flow echo = Read(Icmp(kA6, kB6, 128, 0xbeef)).flow();
  EXPECT_EQ(ToHex(echo.bytes).substr(68), "beef0000");
  EXPECT_EQ(echo.Reversed(), Read(Icmp(kB6, kA6, 129, 0xbeef)).flow());
}

TEST(PacketTest, ExtensionHeadersAndFragmentsAreNotClassified) {  // Nebula 1784, 1789, 1840
  for (int proto = 0; proto < 256; ++proto) {
    SCOPED_TRACE(proto);
    // What would be TCP to port 22 if anyone walked on.
    Bytes inside(8);
    inside[0] = kProtoTcp;
    inside[1] = 0xff;  // a length that made a u8 overflow
    Append(inside, TcpHeader(1, 22, kTcpSyn));
    const PacketInfo p = Read(IpPacket(kA6, kB6, static_cast<uint8_t>(proto), inside));
    switch (proto) {
      case 0:
      case 1:
      case 43:
      case 44:
      case 51:
      case 59:
      case 60:
      case 135:
      case 139:
      case 140:
      case 253:
      case 254:
      case 255:
        EXPECT_FALSE(p.classified);
        EXPECT_EQ(p.flow().bytes[1], kProtoAny);
        EXPECT_EQ(p.dport, 0);
        break;
      default:
        if (p.classified) {
          EXPECT_EQ(p.flow().bytes[1], proto);
        }
    }
  }
  for (const uint16_t bits : std::initializer_list<uint16_t>{0x2000, 0x0001, 0x2001, 0x1fff}) {
    Bytes v4 = Tcp(kA4, kB4, 1, 22);
    StoreBe(&v4[6], bits);
    EXPECT_FALSE(Read(v4).classified);
    EXPECT_TRUE(Read(v4).fragment);
  }
  Bytes whole = Tcp(kA4, kB4, 1, 22);
  StoreBe(&whole[6], uint16_t{0x4000});  // don't fragment
  EXPECT_TRUE(Read(whole).classified);
}

TEST(PacketTest, OptionsCutHeadersAndLyingLengthsAreNotClassified) {
  Bytes options = Tcp(kA4, kB4, 1, 22);
  options.insert(options.begin() + 20, {0x83, 4, 0, 0});  // loose source route
  options[0] = 0x46;
  StoreBe(&options[2], static_cast<uint16_t>(options.size()));
  EXPECT_FALSE(Read(options).classified);

  Bytes offset = Tcp(kA4, kB4, 1, 22);
  offset[32] = 0x60;  // data offset past the end
  EXPECT_FALSE(Read(offset).classified);
  Bytes udp = Udp(kA4, kB4, 1, 22);
  StoreBe(&udp[24], uint16_t{13});
  EXPECT_FALSE(Read(udp).classified);
  EXPECT_FALSE(Read(IpPacket(kA6, kB6, kProtoIcmp, Bytes(8))).classified);
  EXPECT_FALSE(Read(IpPacket(kA4, kB4, kProtoIcmp6, Bytes(8))).classified);
}

TEST(PacketTest, WrongLengthsAndMappedAddressesAreDropped) {  // Nebula 1786
  PacketInfo p;
  Bytes b = Tcp(kA4, kB4, 1, 22);
  b.push_back(0);
  EXPECT_EQ(Classify(b, p), Drop::kLength);
  Bytes six = Tcp(kA6, kB6, 1, 22);
  six.pop_back();
  EXPECT_EQ(Classify(six, p), Drop::kLength);
  for (const size_t at : {size_t{8}, size_t{24}}) {
    Bytes mapped = Tcp(kA6, kB6, 1, 22);
    const uint8_t ip[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 100, 64, 0, 1};
    std::memcpy(&mapped[at], ip, 16);
    EXPECT_EQ(Classify(mapped, p), Drop::kMapped);
  }
  Bytes ihl = Tcp(kA4, kB4, 1, 22);
  ihl[0] = 0x44;
  EXPECT_EQ(Classify(ihl, p), Drop::kHeader);
  ihl[0] = 0x55;
  EXPECT_EQ(Classify(ihl, p), Drop::kNotIp);
  EXPECT_EQ(Classify({}, p), Drop::kTooShort);
}

TEST(PacketTest, IcmpErrorsNameTheFlowThatTheyQuote) {
  const Bytes lost4 = Udp(kA4, kB4, 9, 53), lost6 = Tcp(kA6, kB6, 9, 80);
  const PacketInfo e4 = Read(Icmp(kB4, kA4, 3, 0, lost4)), e6 = Read(Icmp(kB6, kA6, 2, 0, lost6));
  ASSERT_TRUE(e4.about && e6.about);
  EXPECT_EQ(*e4.about, Read(lost4).flow());
  EXPECT_EQ(*e6.about, Read(lost6).flow());
  // Only its first 8 bytes may be there.
  EXPECT_TRUE(Read(Icmp(kB4, kA4, 3, 0, ByteView(lost4).first(28))).about);
  EXPECT_FALSE(Read(Icmp(kB4, kA4, 3, 0, ByteView(lost4).first(27))).about);
  EXPECT_FALSE(Read(Icmp(kB4, kA4, 3, 0, lost6)).about);  // of the other family
  EXPECT_FALSE(Read(Icmp(kB4, kA4, 5, 0, lost4)).about);  // a redirect is no error
  EXPECT_FALSE(
      Read(Icmp(kB4, kA4, 3, 0, Icmp(kA4, kB4, 3, 0, lost4))).about);  // an error about an error
}

TEST(PacketTest, AnyBytesAtAnyLengthAreReadWithinBounds) {
  Rng rng({7});
  const Bytes seeds[] = {Tcp(kA4, kB4, 1, 2),
                         Tcp(kA6, kB6, 1, 2),
                         Udp(kA4, kB4, 1, 2),
                         Icmp(kA6, kB6, 128, 5),
                         Icmp(kB4, kA4, 3, 0, Udp(kA4, kB4, 9, 53)),
                         Icmp(kB6, kA6, 1, 0, Tcp(kA6, kB6, 9, 53)),
                         IpPacket(kA6, kB6, 132, Bytes(16)),
                         IpPacket(kA4, kB4, 33, Bytes(16))};
  for (const Bytes& seed : seeds) {
    for (size_t n = 0; n <= seed.size(); ++n) {
      Bytes cut(seed.begin(), seed.begin() + static_cast<ptrdiff_t>(n));
      CheckClassifier(cut);
      if (n < seed.size()) {
        PacketInfo p;
        EXPECT_NE(Classify(cut, p), Drop::kNone);
      }
      // Cut, with a length that says so: never beyond the end.
      if (n >= 40 && cut[0] >> 4 == 6) StoreBe(&cut[4], static_cast<uint16_t>(n - 40));
      if (n >= 20 && cut[0] >> 4 == 4) StoreBe(&cut[2], static_cast<uint16_t>(n));
      CheckClassifier(cut);
    }
    for (size_t bit = 0; bit < seed.size() * 8; ++bit) {
      Bytes flipped = seed;
      flipped[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
      CheckClassifier(flipped);
    }
  }
  for (int i = 0; i < 100'000; ++i) {
    Bytes b(rng.Below(120));
    rng.Fill(b);
    if (b.size() >= 40) {
      const bool v6 = b[1] & 1;
      b[0] = v6 ? 0x60 : 0x45;
      StoreBe(&b[v6 ? 4 : 2], static_cast<uint16_t>(v6 ? b.size() - 40 : b.size()));
      if (b[2] & 2) b[v6 ? 6 : 9] = v6 ? kProtoIcmp6 : kProtoIcmp;
    }
    CheckClassifier(b);
  }
}

// The short cut for the rest of a run says yes only where the whole reading would find the same.
TEST(PacketTest, WhatIsAlikeIsReadAlike) {
  const Bytes bases[] = {Tcp(kA4, kB4, 1, 22),
                         Tcp(kA6, kB6, 1, 22),
                         Udp(kA4, kB4, 1, 53),
                         Udp(kA6, kB6, 1, 53),
                         Icmp(kA4, kB4, 8, 7),
                         Tcp(kA4, kB4, 1, 22, kTcpSyn)};
  std::mt19937 random(1);
  size_t alike = 0;
  for (int round = 0; round < 200'000; ++round) {
    const Bytes& before = bases[random() % std::size(bases)];
    const PacketInfo info = Read(before);
    Bytes packet = before;
    if (random() % 8 == 0) packet.resize(packet.size() + random() % 9);
    if (random() % 8 == 0) packet.resize(random() % (packet.size() + 1));
    for (size_t n = random() % 3; n > 0 && !packet.empty(); --n)
      packet[random() % packet.size()] ^= static_cast<uint8_t>(1u << random() % 8);
    if (!IsAlike(packet, before, info)) continue;
    ++alike;
    PacketInfo read;
    ASSERT_EQ(Classify(packet, read), Drop::kNone) << ToHex(packet);
    ASSERT_TRUE(read.classified) << ToHex(packet);
    ASSERT_EQ(read.flow(), info.flow()) << ToHex(packet);
    ASSERT_EQ(read.part, info.part) << ToHex(packet);
    if (info.proto == kProtoTcp) {
      ASSERT_EQ(read.tcp_flags, TcpFlagsOf(packet)) << ToHex(packet);
    }
  }
  EXPECT_GT(alike, 50'000u) << "the test looks away";
}

}  // namespace
}  // namespace aqmesh::admission
