// Joining segments on the way to the TUN undoes what splitting does on the way out of it.
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "core/base/rng.h"
#include "transport/os/offload.h"

namespace aqmesh::os {
namespace {

class JoinTest : public testing::Test {
 protected:
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(rng_.Below(n)); }

  // A TCP super-packet without FIN or CWR, DF set, with or without 12 bytes of options.
  Bytes Super(bool v6, size_t payload, uint16_t port, size_t options, uint8_t flags) {
    const size_t l4 = v6 ? 40 : 20;
    Bytes p(l4 + 20 + options + payload);
    for (uint8_t& b : p) b = static_cast<uint8_t>(Below(256));
    if (v6) {
      StoreBe<uint32_t>(&p[0], 0x60000000);
      StoreBe<uint16_t>(&p[4], static_cast<uint16_t>(p.size() - 40));
      p[6] = IPPROTO_TCP, p[7] = 64;
      for (size_t i = 8; i < 40; ++i) p[i] = static_cast<uint8_t>(i);
    } else {
      p[0] = 0x45, p[1] = 0;
      StoreBe<uint16_t>(&p[2], static_cast<uint16_t>(p.size()));
      StoreBe<uint16_t>(&p[6], 0x4000);
      p[8] = 64, p[9] = IPPROTO_TCP;
      for (size_t i = 12; i < 20; ++i) p[i] = static_cast<uint8_t>(i);
    }
    uint8_t* tcp = &p[l4];
    StoreBe<uint16_t>(tcp, port);
    StoreBe<uint16_t>(tcp + 2, 5201);
    StoreBe<uint32_t>(tcp + 8, 77);
    tcp[12] = static_cast<uint8_t>((20 + options) / 4 << 4);
    tcp[13] = flags;
    StoreBe<uint16_t>(tcp + 14, 500);
    StoreBe<uint16_t>(tcp + 18, 0);
    std::fill_n(tcp + 20, options, uint8_t{1});
    return p;
  }
  std::vector<Bytes> Segments(Bytes super, bool v6, uint16_t gso) {
    const VnetHeader h{.flags = kVnetNeedsCsum,
                       .gso_type = v6 ? kGsoTcp6 : kGsoTcp4,
                       .hdr_len = 0,
                       .gso_size = gso,
                       .csum_start = static_cast<uint16_t>(v6 ? 40 : 20),
                       .csum_offset = 16};
    PacketArena arena({});
    EXPECT_EQ(Split(h, super, arena), OffloadDrop::kNone);
    std::vector<Bytes> out;
    for (const auto& p : arena.packets()) out.emplace_back(p.data, p.data + p.size);
    return out;
  }
  // Splits the joined run again: it must be what went in, but for IPv4's id and its checksum.
  void ExpectRestored(std::span<const ByteView> run, const VnetHeader& h, ByteView head) {
    Bytes whole(head.begin(), head.begin() + h.hdr_len);
    for (const ByteView p : run) whole.insert(whole.end(), p.begin() + h.hdr_len, p.end());
    ASSERT_LE(whole.size(), 65'535u);
    PacketArena arena({});
    ASSERT_EQ(Split(h, whole, arena), OffloadDrop::kNone);
    ASSERT_EQ(arena.packets().size(), run.size());
    for (size_t i = 0; i < run.size(); ++i) {
      const auto& q = arena.packets()[i];
      const Bytes got(q.data, q.data + q.size);
      Bytes want(run[i].begin(), run[i].end());
      if (want[0] == 0x45) {
        std::copy_n(&got[4], 2, &want[4]);
        std::copy_n(&got[10], 2, &want[10]);
      }
      ASSERT_EQ(got, want) << i << " of " << run.size();
    }
  }

  Rng rng_{Rng::Seed{7}};
};

TEST_F(JoinTest, ARunBecomesOneSuperPacketAndBack) {
  for (const bool v6 : {false, true}) {
    const std::vector<Bytes> in = Segments(Super(v6, 9'000, 1000, 12, 0x18), v6, 1'000);
    const std::vector<ByteView> views(in.begin(), in.end());
    VnetHeader h;
    std::array<uint8_t, kJoinHeadMax> head{};
    ASSERT_EQ(JoinTcp(views, h, head), 9u);
    EXPECT_EQ(h.gso_size, 1'000);
    EXPECT_EQ(h.gso_type, v6 ? kGsoTcp6 : kGsoTcp4);
    ExpectRestored(views, h, head);
  }
}

// What would be lost or hidden by joining goes alone.
TEST_F(JoinTest, WhatDiffersIsNotJoined) {
  const std::vector<Bytes> in = Segments(Super(false, 3'000, 1000, 0, 0x10), false, 1'000);
  const auto joined = [&](size_t at, uint8_t flip) {
    std::vector<Bytes> altered = in;
    altered[1][at] ^= flip;
    const std::vector<ByteView> views(altered.begin(), altered.end());
    VnetHeader h;
    std::array<uint8_t, kJoinHeadMax> head{};
    return JoinTcp(views, h, head);
  };
  EXPECT_EQ(joined(0, 0), 3u);
  for (const size_t at : std::initializer_list<size_t>{
           1, 2, 6, 8, 9, 10, 12, 16, 20, 22, 24, 28, 32, 33, 34, 36, 38, 500}) {
    EXPECT_EQ(joined(at, 0x01), 1u) << "byte " << at;
  }
}

TEST_F(JoinTest, RandomMixesComeBackByteForByte) {
  size_t joined = 0;
  for (int round = 0; round < 500; ++round) {
    std::vector<Bytes> in;
    for (uint32_t flows = 1 + Below(4); flows > 0; --flows) {
      const bool v6 = Below(2) == 0;
      const size_t options = Below(2) == 0 ? 12 : 0;
      Bytes super = Super(v6,
                          1 + Below(20'000),
                          static_cast<uint16_t>(1'000 + Below(3)),
                          options,
                          Below(5) == 0 ? 0x18 : 0x10);
      for (Bytes& p : Segments(std::move(super), v6, static_cast<uint16_t>(100 + Below(1'300))))
        in.push_back(std::move(p));
    }
    for (Bytes& p : in) {
      if (Below(20) == 0)
        p[Below(static_cast<uint32_t>(p.size()))] ^= static_cast<uint8_t>(1u << Below(8));
      if (Below(40) == 0 && p.size() > 60) p.pop_back();
    }
    const std::vector<ByteView> views(in.begin(), in.end());
    std::span<const ByteView> rest = views;
    while (!rest.empty()) {
      VnetHeader h;
      std::array<uint8_t, kJoinHeadMax> head{};
      const size_t n = JoinTcp(rest, h, head);
      ASSERT_GE(n, 1u);
      if (n > 1) {
        ASSERT_NO_FATAL_FAILURE(ExpectRestored(rest.first(n), h, head));
        joined += n;
      } else {
        EXPECT_EQ(h.hdr_len, 0);
      }
      rest = rest.subspan(n);
    }
  }
  EXPECT_GT(joined, 5'000u);
}

}  // namespace
}  // namespace aqmesh::os
