#include "transport/os/offload.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

namespace aqmesh::os {
namespace {

constexpr uint8_t kFinPshAckCwr = 0x01 | 0x08 | 0x10 | 0x80;

// A super-packet as the kernel hands it over: headers, then `payload` bytes 0, 1, 2 …
struct Super {
  bool v6 = false;
  bool tcp = true;
  size_t tcp_header = 32;  // with 12 bytes of options
  size_t payload = 3000;
  uint16_t gso_size = 1000;

  size_t l4_at() const { return v6 ? 40 : 20; }
  size_t headers() const { return l4_at() + (tcp ? tcp_header : 8); }
  VnetHeader header() const {
    return {.flags = kVnetNeedsCsum,
            .gso_type = tcp ? (v6 ? kGsoTcp6 : kGsoTcp4) : kGsoUdpL4,
            .hdr_len = static_cast<uint16_t>(headers()),
            .gso_size = gso_size,
            .csum_start = static_cast<uint16_t>(l4_at()),
            .csum_offset = static_cast<uint16_t>(tcp ? 16 : 6)};
  }
  Bytes packet() const {
    Bytes p(headers() + payload);
    if (v6) {
      p[0] = 0x60;
      StoreBe<uint16_t>(&p[4], static_cast<uint16_t>(p.size() - 40));
      p[6] = tcp ? IPPROTO_TCP : IPPROTO_UDP;
      p[8] = 0xfd;
      p[24] = 0xfe;
    } else {
      p[0] = 0x45;
      StoreBe<uint16_t>(&p[2], static_cast<uint16_t>(p.size()));
      StoreBe<uint16_t>(&p[4], 0xffff);  // the id wraps
      p[8] = 64;
      p[9] = tcp ? IPPROTO_TCP : IPPROTO_UDP;
      p[12] = 10;
      p[16] = 11;
    }
    uint8_t* l4 = &p[l4_at()];
    if (tcp) {
      StoreBe<uint32_t>(l4 + 4, 0xfffffff0);  // the sequence wraps
      l4[12] = static_cast<uint8_t>(tcp_header / 4 << 4);
      l4[13] = kFinPshAckCwr;
    }
    for (size_t i = 0; i < payload; ++i) p[headers() + i] = static_cast<uint8_t>(i);
    return p;
  }
};

bool ChecksumsHold(ByteView p, bool v6, uint8_t protocol) {
  const size_t l4_at = v6 ? 40 : 20;
  if (!v6 && ChecksumFold(ChecksumAdd(p.first(20), 0)) != 0xffff) return false;
  const uint64_t pseudo =
      v6 ? PseudoHeaderSum(p.subspan(8, 16), p.subspan(24, 16), protocol, p.size() - l4_at)
         : PseudoHeaderSum(p.subspan(12, 4), p.subspan(16, 4), protocol, p.size() - l4_at);
  return ChecksumFold(ChecksumAdd(p.subspan(l4_at), pseudo)) == 0xffff;
}

TEST(ChecksumTest, MatchesTheExampleOfRfc1071) {
  const Bytes b = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(ChecksumFold(ChecksumAdd(b, 0)), 0xddf2);
}

TEST(ChecksumTest, AgreesWithTheByteByByteSumAtEveryLength) {
  Bytes b;
  for (size_t n = 0; n < 70; ++n) {
    uint64_t want = 7;
    for (size_t i = 0; i < n; ++i) want += i % 2 == 0 ? uint64_t{b[i]} << 8 : b[i];
    EXPECT_EQ(ChecksumFold(ChecksumAdd(b, 7)), ChecksumFold(want)) << n;
    b.push_back(static_cast<uint8_t>(255 - 3 * n));
  }
}

TEST(VnetHeaderTest, ComesBackAsStored) {
  const VnetHeader h = Super{}.header();
  std::array<uint8_t, kVnetHeaderSize> b{};
  StoreVnetHeader(h, b);
  const VnetHeader back = ParseVnetHeader(b);
  EXPECT_EQ(back.gso_size, h.gso_size);
  EXPECT_EQ(back.csum_start, h.csum_start);
  EXPECT_EQ(back.csum_offset, h.csum_offset);
  EXPECT_EQ(back.hdr_len, h.hdr_len);
  EXPECT_EQ(back.gso_type, h.gso_type);
}

TEST(SplitTest, CutsSuperPacketsIntoFinishedSegments) {
  struct Case {
    const char* name;
    Super super;
    size_t want_segments;
  };
  const Case kCases[] = {
      {"tcp4 exact", {.payload = 3000}, 3},
      {"tcp4 short tail", {.payload = 3001}, 4},
      {"tcp4 one segment", {.payload = 10}, 1},
      {"tcp4 bare header, no payload", {.tcp_header = 20, .payload = 0}, 1},
      {"tcp4 longest options", {.tcp_header = 60, .payload = 2000}, 2},
      {"tcp6", {.v6 = true, .payload = 2500}, 3},
      {"udp4", {.tcp = false, .payload = 2500}, 3},
      {"udp6 odd size", {.v6 = true, .tcp = false, .payload = 2997, .gso_size = 999}, 3},
      {"full", {.payload = 65000, .gso_size = 1368}, 48},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    PacketArena arena({.bytes = 256 * 1024, .packets_max = 256, .headroom = 32, .tailroom = 32});
    Bytes p = c.super.packet();
    ASSERT_EQ(Split(c.super.header(), p, arena), OffloadDrop::kNone);
    ASSERT_EQ(arena.packets().size(), c.want_segments);
    Bytes joined;
    const size_t l4 = c.super.l4_at();
    for (size_t i = 0; i < c.want_segments; ++i) {
      const ByteView s = arena.packets()[i].bytes();
      EXPECT_TRUE(ChecksumsHold(s, c.super.v6, c.super.tcp ? IPPROTO_TCP : IPPROTO_UDP)) << i;
      if (c.super.v6) {
        EXPECT_EQ(LoadBe<uint16_t>(&s[4]), s.size() - 40);
      } else {
        EXPECT_EQ(LoadBe<uint16_t>(&s[2]), s.size());
        EXPECT_EQ(LoadBe<uint16_t>(&s[4]), static_cast<uint16_t>(0xffff + i));
      }
      if (c.super.tcp) {
        EXPECT_EQ(LoadBe<uint32_t>(&s[l4 + 4]),
                  static_cast<uint32_t>(0xfffffff0 + i * c.super.gso_size));
        const bool last = i + 1 == c.want_segments;
        EXPECT_EQ((s[l4 + 13] & 0x09) != 0, last);
        EXPECT_EQ((s[l4 + 13] & 0x80) != 0, i == 0);
      } else {
        EXPECT_EQ(LoadBe<uint16_t>(&s[l4 + 4]), s.size() - l4);
      }
      Append(joined, s.subspan(c.super.headers()));
    }
    EXPECT_TRUE(Equal(joined, ByteView(p).subspan(c.super.headers())));
  }
}

TEST(SplitTest, CompletesTheChecksumOfAPlainPacket) {
  Super super{.payload = 77};
  Bytes p = super.packet();
  // The kernel leaves the pseudo header's sum in the field.
  const uint16_t pseudo = ChecksumFold(PseudoHeaderSum(
      ByteView(p).subspan(12, 4), ByteView(p).subspan(16, 4), IPPROTO_TCP, p.size() - 20));
  StoreBe<uint16_t>(&p[20 + 16], pseudo);
  StoreBe<uint16_t>(&p[10],
                    static_cast<uint16_t>(~ChecksumFold(ChecksumAdd(ByteView(p).first(20), 0))));
  VnetHeader h = super.header();
  h.gso_type = kGsoNone;
  h.gso_size = 0;
  PacketArena arena({});
  ASSERT_EQ(Split(h, p, arena), OffloadDrop::kNone);
  ASSERT_EQ(arena.packets().size(), 1u);
  EXPECT_TRUE(ChecksumsHold(arena.packets()[0].bytes(), false, IPPROTO_TCP));
}

TEST(SplitTest, RefusesHeadersThatContradictTheirPacket) {
  struct Case {
    const char* name;
    void (*spoil)(VnetHeader&, Bytes&);
    OffloadDrop want;
  };
  const Case kCases[] = {
      {"empty", [](VnetHeader&, Bytes& p) { p.clear(); }, OffloadDrop::kTooShort},
      {"half an IP header", [](VnetHeader&, Bytes& p) { p.resize(19); }, OffloadDrop::kTooShort},
      {"unknown type", [](VnetHeader& h, Bytes&) { h.gso_type = 3; }, OffloadDrop::kUnknownGso},
      {"ecn on udp",
       [](VnetHeader& h, Bytes&) { h.gso_type = kGsoUdpL4 | kGsoEcn; },
       OffloadDrop::kUnknownGso},
      {"ecn alone", [](VnetHeader& h, Bytes&) { h.gso_type = kGsoEcn; }, OffloadDrop::kUnknownGso},
      {"v6 type on v4",
       [](VnetHeader& h, Bytes&) { h.gso_type = kGsoTcp6; },
       OffloadDrop::kFamilyMismatch},
      {"version 5", [](VnetHeader&, Bytes& p) { p[0] = 0x55; }, OffloadDrop::kFamilyMismatch},
      {"zero gso_size", [](VnetHeader& h, Bytes&) { h.gso_size = 0; }, OffloadDrop::kZeroGsoSize},
      {"csum_start inside IP",
       [](VnetHeader& h, Bytes&) { h.csum_start = 12; },
       OffloadDrop::kBadHeaderLength},
      {"csum_start beyond the end",
       [](VnetHeader& h, Bytes&) { h.csum_start = 0xffff; },
       OffloadDrop::kBadHeaderLength},
      {"csum_offset not TCP's",
       [](VnetHeader& h, Bytes&) { h.csum_offset = 6; },
       OffloadDrop::kBadCsumRange},
      {"data offset below 20",
       [](VnetHeader&, Bytes& p) { p[32] = 0x40; },
       OffloadDrop::kBadHeaderLength},
      {"data offset beyond the end",
       [](VnetHeader&, Bytes& p) {
         p[32] = 0xf0;
         p.resize(70);
       },
       OffloadDrop::kBadHeaderLength},
      {"not TCP",
       [](VnetHeader&, Bytes& p) { p[9] = IPPROTO_ICMP; },
       OffloadDrop::kBadHeaderLength},
      {"IHL below 5", [](VnetHeader&, Bytes& p) { p[0] = 0x44; }, OffloadDrop::kTooShort},
      {"checksum field past the end of a plain packet",
       [](VnetHeader& h, Bytes& p) {
         h.gso_type = kGsoNone;
         h.csum_start = static_cast<uint16_t>(p.size() - 1);
       },
       OffloadDrop::kBadCsumRange},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    VnetHeader h = Super{}.header();
    Bytes p = Super{}.packet();
    c.spoil(h, p);
    PacketArena arena({});
    EXPECT_EQ(Split(h, p, arena), c.want);
    EXPECT_TRUE(arena.packets().empty());
  }
}

TEST(SplitTest, IsTotalForEveryTruncationAndEveryHeaderByte) {
  PacketArena arena({});
  const Super super{.payload = 40, .gso_size = 16};
  for (size_t n = 0; n <= super.packet().size(); ++n) {
    Bytes p = super.packet();
    p.resize(n);
    p.shrink_to_fit();
    arena.Clear();
    (void)Split(super.header(), p, arena);  // must stay inside; sanitizers watch
  }
  for (size_t at = 0; at < kVnetHeaderSize; ++at) {
    for (unsigned v = 0; v < 256; ++v) {
      std::array<uint8_t, kVnetHeaderSize> b{};
      StoreVnetHeader(super.header(), b);
      b[at] = static_cast<uint8_t>(v);
      Bytes p = super.packet();
      arena.Clear();
      (void)Split(ParseVnetHeader(b), p, arena);
    }
  }
}

TEST(SplitTest, LeavesAFullArenaAsItWas) {
  PacketArena arena({.bytes = 8192, .packets_max = 4, .headroom = 16, .tailroom = 16});
  Bytes p = Super{.payload = 1000, .gso_size = 500}.packet();
  ASSERT_EQ(Split(Super{.payload = 1000, .gso_size = 500}.header(), p, arena), OffloadDrop::kNone);
  Bytes q = Super{}.packet();  // three more do not fit four slots
  EXPECT_EQ(Split(Super{}.header(), q, arena), OffloadDrop::kArenaFull);
  EXPECT_EQ(arena.packets().size(), 2u);
}

TEST(PacketArenaTest, GivesTheRoomsItPromises) {
  PacketArena arena({.bytes = 4096, .packets_max = 8, .headroom = 40, .tailroom = 31});
  uint8_t* a = arena.Reserve(100);
  uint8_t* b = arena.Reserve(1);
  ASSERT_NE(a, nullptr);
  ASSERT_NE(b, nullptr);
  EXPECT_GE(b - a, 100 + 31 + 40);
  EXPECT_EQ(arena.Reserve(4096), nullptr);
  arena.Clear();
  EXPECT_EQ(arena.Reserve(1), a);
}

// spec/wire.md 1.6: to a multiple of 16, never above the MTU.
TEST(PacketArenaTest, SlotsLieAtTheWiresStride) {
  PacketArena arena({.headroom = 32, .mtu = 1380});
  const struct {
    size_t size, tailroom;
  } cases[] = {{1380, 16}, {1379, 17}, {1370, 22}, {1376, 16}, {100, 28}, {112, 16}, {1381, 32}};
  uint8_t* end = nullptr;
  for (const auto& c : cases) {
    uint8_t* const data = arena.Reserve(c.size);
    EXPECT_EQ(arena.packets().back().tailroom, c.tailroom) << c.size;
    if (end != nullptr) {
      EXPECT_EQ(data - end, 32);
    }
    end = data + c.size + c.tailroom;
  }
}

}  // namespace
}  // namespace aqmesh::os
