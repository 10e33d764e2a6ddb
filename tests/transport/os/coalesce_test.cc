// Joining packets on the way into the TUN undoes what splitting does on the way out of it, and does
// no more than that.
#include "transport/os/coalesce.h"

#include <gtest/gtest.h>

#include "core/base/rng.h"
#include "tests/transport/os/coalesce_property.h"

namespace aqmesh::os {
namespace {

using kit::Make;
using kit::Spec;

constexpr uint32_t kAll = kTunTso4 | kTunTso6 | kTunUso4 | kTunUso6;

class CoalesceTest : public testing::Test {
 protected:
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(rng_.Below(n)); }
  bool OneIn(uint32_t n) { return Below(n) == 0; }

  // How the packets are grouped: "3 1 2" for writes of three, one and two. Each plan is held
  // against the slow one too.
  std::string Plan(const std::vector<Bytes>& packets, uint32_t offloads = kAll) {
    const std::vector<ByteView> views(packets.begin(), packets.end());
    Coalescer coalescer(offloads);
    kit::CheckPlan(coalescer, views);
    std::string out;
    for (const Coalescer::Write& w : coalescer.Plan(views))
      out += (out.empty() ? "" : " ") + std::to_string(w.packets);
    return out;
  }
  // `count` segments or datagrams that follow each other.
  static std::vector<Bytes> Run(Spec s, size_t count) {
    std::vector<Bytes> out;
    for (size_t i = 0; i < count; ++i, ++s.id, s.seq += static_cast<uint32_t>(s.payload))
      out.push_back(Make(s));
    return out;
  }
  static std::vector<Bytes> Interleaved(const std::vector<std::vector<Bytes>>& runs) {
    std::vector<Bytes> out;
    for (size_t i = 0; i < runs[0].size(); ++i) {
      for (const auto& run : runs) out.push_back(run[i]);
    }
    return out;
  }

  Rng rng_{Rng::Seed{7}};
};

constexpr Spec kTcp4 = {.payload = 1000}, kUdp4 = {.tcp = false, .payload = 1000};
constexpr Spec kTcp6 = {.v6 = true, .payload = 1000},
               kUdp6 = {.v6 = true, .tcp = false, .payload = 1000};

Spec With(Spec s, void (*change)(Spec&)) {
  change(s);
  return s;
}

TEST_F(CoalesceTest, ARunBecomesOneSuperPacket) {
  for (const Spec& s : {kTcp4, kTcp6, kUdp4, kUdp6}) EXPECT_EQ(Plan(Run(s, 9)), "9");
  Spec options = kTcp4;
  options.options = 12;
  EXPECT_EQ(Plan(Run(options, 43)), "43");
  EXPECT_EQ(Plan({}), "");
}

TEST_F(CoalesceTest, EachKindIsMadeOnlyWhereItIsAllowed) {
  const Spec kinds[] = {kTcp4, kTcp6, kUdp4, kUdp6};
  const uint32_t bits[] = {kTunTso4, kTunTso6, kTunUso4, kTunUso6};
  for (size_t i = 0; i < 4; ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(Plan(Run(kinds[i], 3), bits[i]), "3");
    EXPECT_EQ(Plan(Run(kinds[i], 3), kAll & ~bits[i]), "1 1 1");
    EXPECT_EQ(Plan(Run(kinds[i], 3), kTunCsum), "1 1 1");
  }
  Coalescer coalescer(kAll);
  coalescer.Forbid(kTunUso4);
  EXPECT_EQ(coalescer.offloads(), kAll & ~kTunUso4);
}

TEST_F(CoalesceTest, InterleavedFlowsJoinUpToTheTable) {
  std::vector<std::vector<Bytes>> runs;
  for (uint16_t i = 0; i < 8; ++i) {
    Spec s = i % 2 == 0 ? kTcp4 : kUdp6;
    s.port = static_cast<uint16_t>(1000 + i);
    runs.push_back(Run(s, 5));
  }
  EXPECT_EQ(Plan(Interleaved(runs)), "5 5 5 5 5 5 5 5");
  // A ninth: each packet closes the run that the next one would have continued.
  Spec ninth = kTcp4;
  ninth.port = 1008;
  runs.push_back(Run(ninth, 2));
  for (auto& run : runs) run.resize(2);
  EXPECT_EQ(Plan(Interleaved(runs)), "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
}

// One ACK without payload, say: its own flow's run is closed before it, the others stay open.
TEST_F(CoalesceTest, WhatCannotJoinClosesItsOwnFlowOnly) {
  std::vector<Bytes> packets = Run(kTcp4, 4);
  Spec other = kUdp4;
  other.port = 2000;
  const std::vector<Bytes> datagrams = Run(other, 3);
  Spec ack = kTcp4;
  ack.payload = 0;
  ack.seq = 2000;
  packets.insert(packets.begin() + 2, {datagrams[0], Make(ack), datagrams[1]});
  packets.push_back(datagrams[2]);
  EXPECT_EQ(Plan(packets), "2 1 3 2");  // segments, the ACK; then datagrams, the older run first
  // What is no flow at all closes every run.
  std::vector<Bytes> ping = {Make(kUdp4)};
  ping[0][9] = IPPROTO_ICMP;
  packets = Interleaved({Run(kTcp4, 2), Run(other, 2)});
  packets.push_back(ping[0]);
  const std::vector<Bytes> more = packets;
  packets.insert(packets.end(), more.begin(), more.end());
  EXPECT_EQ(Plan(packets), "2 2 1 2 2 1");
}

TEST_F(CoalesceTest, ARunEndsWhereTheRulesEndIt) {
  struct Case {
    const char* name;
    Spec spec;
    void (*spoil)(std::vector<Bytes>&);
    const char* want;
  };
  const auto none = [](std::vector<Bytes>&) {};
  const Case kCases[] = {
      {"psh ends a run",
       kTcp4,
       [](std::vector<Bytes>& p) { p[1][33] |= 0x08, kit::Mend(p[1]); },
       "2 2"},
      {"psh first", kTcp4, [](std::vector<Bytes>& p) { p[0][33] |= 8, kit::Mend(p[0]); }, "1 3"},
      {"a shorter one ends a run",
       kUdp4,
       [](std::vector<Bytes>& p) { p[1].pop_back(), kit::Mend(p[1]); },
       "2 2"},
      {"a longer one begins one",
       kUdp4,
       [](std::vector<Bytes>& p) { p[2].push_back(0), kit::Mend(p[2]); },
       "2 2"},
      {"a bad checksum goes alone", kUdp4, [](std::vector<Bytes>& p) { p[1][99] ^= 1; }, "1 1 2"},
      {"first checksum bad", kTcp4, [](std::vector<Bytes>& p) { p[0][99] ^= 1; }, "1 3"},
      {"no checksum", kUdp4, [](std::vector<Bytes>& p) { p[1][26] = p[1][27] = 0; }, "1 1 2"},
      {"IP header checksum bad", kUdp4, [](std::vector<Bytes>& p) { p[1][10] ^= 1; }, "1 1 2"},
      {"datagram without payload",
       kUdp4,
       [](std::vector<Bytes>& p) { p[1].resize(28), kit::Mend(p[1]); },
       "1 1 2"},
      {"ids that wrap", With(kUdp4, [](Spec& s) { s.id = 0xfffe, s.df = false; }), none, "4"},
      {"a hole in the ids",
       With(kTcp4, [](Spec& s) { s.df = false; }),
       [](std::vector<Bytes>& p) { p[2][5] ^= 0x80, kit::Mend(p[2]); },
       "2 1 1"},
      {"with DF no id matters",
       kTcp4,
       [](std::vector<Bytes>& p) { p[2][5] ^= 0x80, kit::Mend(p[2]); },
       "4"},
      {"sequence that wraps", With(kTcp4, [](Spec& s) { s.seq = 0xfffffc00; }), none, "4"},
      {"a gap", kTcp6, [](std::vector<Bytes>& p) { p.erase(p.begin() + 1); }, "1 2"},
      {"the reserved bit is not DF",
       kUdp4,
       [](std::vector<Bytes>& p) {
         for (Bytes& b : p) b[6] = 0x80, kit::Mend(b);
       },
       "1 1 1 1"},
      {"fragments",
       kUdp4,
       [](std::vector<Bytes>& p) {
         for (Bytes& b : p) b[6] = 0x20, kit::Mend(b);
       },
       "1 1 1 1"},
      {"the same twice", kTcp6, [](std::vector<Bytes>& p) { p[1] = p[0]; }, "1 1 2"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    std::vector<Bytes> packets = Run(c.spec, 4);
    c.spoil(packets);
    EXPECT_EQ(Plan(packets), c.want);
  }
}

// Each byte of the headers, with checksums that are right again: what differs is not joined, unless
// it is one of the fields that joining restores.
TEST_F(CoalesceTest, AnyOtherDifferenceInTheHeadersKeepsPacketsApart) {
  struct Case {
    Spec spec;
    std::vector<size_t> free;  // lengths, ids, checksums: mended, or without meaning
  };
  Spec options4 = kTcp4, options6 = kTcp6;
  options4.options = options6.options = 8;
  const Case kCases[] = {{options4, {2, 3, 4, 5, 10, 11, 36, 37}},
                         {options6, {4, 5, 56, 57}},
                         {kUdp4, {2, 3, 4, 5, 10, 11, 24, 25, 26, 27}},
                         {kUdp6, {4, 5, 44, 45, 46, 47}}};
  for (const Case& c : kCases) {
    const size_t head = (c.spec.v6 ? 40u : 20u) + (c.spec.tcp ? 28u : 8u);
    for (size_t at = 0; at < head; ++at) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        std::vector<Bytes> packets = Run(c.spec, 2);
        packets[1][at] ^= static_cast<uint8_t>(1u << bit);
        kit::Mend(packets[1]);
        const bool psh = c.spec.tcp && at == (c.spec.v6 ? 53u : 33u) && bit == 3;
        const bool free = std::find(c.free.begin(), c.free.end(), at) != c.free.end();
        EXPECT_EQ(Plan(packets), free || psh ? "2" : "1 1") << "byte " << at << " bit " << bit;
      }
    }
  }
}

// Even where the missing sum would have been zero.
TEST_F(CoalesceTest, ADatagramWithoutChecksumIsGivenNone) {
  std::vector<Bytes> packets = Run(kUdp4, 3);
  for (Bytes& p : packets) {
    p[28] = p[29] = 0;
    kit::Mend(p);
    std::copy_n(&p[26], 2, &p[28]);  // what is missing to a sum of ffff
    kit::Mend(p);
    ASSERT_EQ(LoadBe<uint16_t>(&p[26]), 0xffff);
  }
  EXPECT_EQ(Plan(packets), "3");
  packets[1][26] = packets[1][27] = 0;
  EXPECT_EQ(Plan(packets), "1 1 1");
}

TEST_F(CoalesceTest, PacketsCutAtAnyLengthStandBetweenThoseAroundThem) {
  for (Spec s : {kTcp4, kTcp6, kUdp4, kUdp6}) {
    const size_t l4_at = s.v6 ? 40 : 20;
    const size_t least = l4_at + (s.tcp ? 20 : 8);
    for (size_t n = 0; n < least; ++n) {
      std::vector<Bytes> packets = Run(kUdp4, 3);
      Bytes& cut = packets[1] = Make(s);
      cut.resize(n);
      cut.shrink_to_fit();  // so that a sanitizer sees a step past its end
      if (n >= l4_at)
        StoreBe<uint16_t>(&cut[s.v6 ? 4 : 2], static_cast<uint16_t>(s.v6 ? n - 40 : n));
      EXPECT_EQ(Plan(packets), "1 1 1") << n;
    }
  }
}

TEST_F(CoalesceTest, NoSuperPacketOutgrowsItsBounds) {
  Spec small = kUdp4;
  small.payload = 10;
  EXPECT_EQ(Plan(Run(small, 130)), "64 64 2");
  Spec large = kTcp4;
  large.payload = 1460;
  EXPECT_EQ(Plan(Run(large, 46)), "44 2");  // 44 × 1460 + 40 = 64280
  large.payload = (65'535 - 40) / 3;
  EXPECT_EQ(Plan(Run(large, 4)), "3 1");
  ++large.payload;
  EXPECT_EQ(Plan(Run(large, 4)), "2 2");
  EXPECT_EQ(Plan(Run(small, Coalescer::kBatchMax)), "64 64 64 64 64 64 64 64");
}

// A world of flows, each a stream that goes its way with all that a network does to it.
TEST_F(CoalesceTest, RandomMixesAreJoinedByTheRulesAndComeBack) {
  size_t joined = 0, packets_seen = 0;
  Coalescer coalescer(kAll);
  for (int round = 0; round < 600; ++round) {
    std::vector<Spec> flows(1 + Below(12));
    for (Spec& s : flows) {
      s = {.v6 = OneIn(2),
           .tcp = OneIn(2),
           .port = static_cast<uint16_t>(1000 + Below(12)),
           .seq = OneIn(4) ? 0u - Below(9000) : Below(1u << 30),
           .id = static_cast<uint16_t>(OneIn(4) ? 0x10000 - Below(9) : Below(0x10000)),
           .df = !OneIn(3),
           .tos = static_cast<uint8_t>(OneIn(8) ? Below(256) : 0),
           .options = OneIn(2) ? size_t{12} : size_t{0},
           .payload = 1 + Below(OneIn(2) ? 64 : 1400)};
    }
    std::vector<Bytes> packets;
    for (size_t n = 1 + Below(300), flow = 0; packets.size() < n;) {
      if (!OneIn(3)) flow = Below(static_cast<uint32_t>(flows.size()));
      Spec& s = flows[flow];
      Spec now = s;
      if (OneIn(25)) now.payload = Below(static_cast<uint32_t>(s.payload + 8));
      if (OneIn(40)) now.flags = static_cast<uint8_t>(Below(256));
      if (OneIn(20)) now.flags |= 0x08;
      if (OneIn(60)) now.ttl = static_cast<uint8_t>(Below(256));
      if (OneIn(60)) now.tos = static_cast<uint8_t>(Below(256));
      if (!OneIn(60)) ++s.id, s.seq += static_cast<uint32_t>(now.payload);
      Bytes p = Make(now);
      if (OneIn(40))
        p[Below(static_cast<uint32_t>(p.size()))] ^= static_cast<uint8_t>(1 + Below(255));
      if (OneIn(80)) p.resize(Below(static_cast<uint32_t>(p.size() + 4)));
      packets.push_back(std::move(p));
    }
    const std::vector<ByteView> views(packets.begin(), packets.end());
    if (OneIn(4)) {
      Coalescer some(Below(128));
      kit::CheckPlan(some, views);
    } else {
      joined += kit::CheckPlan(coalescer, views);
    }
    packets_seen += views.size();
  }
  EXPECT_GT(joined, packets_seen / 4);
}

}  // namespace
}  // namespace aqmesh::os
