// What comes together is opened together, and is worth what it would be alone.
#include <random>

#include "tests/node/pair.h"

namespace aqmesh::node {
namespace {

class BatchTest : public testing::Test {
 protected:
  // All know each other, and their sessions stand.
  explicit BatchTest(size_t machines = 3) {
    for (size_t i = 0; i < machines; ++i) mesh.Add(std::string(1, static_cast<char>('a' + i)));
    for (auto& n : mesh.nodes) {
      for (auto& other : mesh.nodes) {
        if (n != other) mesh.Introduce(*n, *other);
      }
    }
    for (auto& n : mesh.nodes) n->Start();
    mesh.Pump(5s);
  }
  Bytes Packet(const TestNode& from, const TestNode& to, uint32_t mark) {
    return Udp6(mesh.AddressOf(from), mesh.AddressOf(to), 7, mark);
  }
  // One turn with all of them, in this order.
  static Did GetAll(TestNode& n, std::vector<std::pair<Bytes, Endpoint>> datagrams) {
    std::vector<InFrame> in;
    for (auto& [bytes, from] : datagrams) in.push_back({.bytes = bytes, .from = from, .at = {}});
    return n.Do([&](Outbox& out) { n.control->OnDatagrams(n.now, in, out); });
  }
  std::pair<Bytes, Endpoint> FrameOf(TestNode& from, const TestNode& to, uint32_t mark) {
    const Did did = from.FromTun(Packet(from, to, mark));
    EXPECT_EQ(did.datagrams.size(), 1u);
    return {did.datagrams.at(0).bytes, from.endpoint};
  }

  Mesh2 mesh;
  TestNode& node(size_t i) { return *mesh.nodes[i]; }
};

TEST_F(BatchTest, FramesOfSeveralPeersArriveOnceEachInTheirOrder) {
  std::mt19937 random(1);
  std::vector<std::pair<Bytes, Endpoint>> wire;
  std::vector<Bytes> want;
  for (uint32_t i = 0; i < 120; ++i) {
    TestNode& from = node(1 + random() % 2);
    auto frame = FrameOf(from, node(0), i);
    auto altered = frame;
    switch (random() % 4) {
      case 0:  // a copy ahead of it, altered where only the AEAD can see it
        altered.first[40] ^= 1;
        wire.push_back(altered);
        break;
      case 1: wire.push_back(frame); break;                       // twice in one batch
      case 2: wire.emplace_back(Bytes(9), from.endpoint); break;  // junk between
      default: break;
    }
    wire.push_back(frame);
    want.push_back(Packet(from, node(0), i));
  }
  EXPECT_EQ(GetAll(node(0), wire).tun, want);
  EXPECT_TRUE(GetAll(node(0), wire).tun.empty()) << "all of it replayed";
}

// What comes by the handshakes' queue, here frames, because what becomes of them is plain to see.
TEST_F(BatchTest, KnownPeersAreHeardBeforeStrangersAndStrangersInTurns) {
  const Endpoint stranger = *Endpoint::Parse("203.0.113.9:9");
  std::vector<std::pair<Bytes, Endpoint>> wire;
  std::vector<Bytes> want = {Packet(node(2), node(0), 1)};
  for (uint32_t i = 0; i < 100; ++i) {
    wire.emplace_back(FrameOf(node(1), node(0), i).first, stranger);
    if (i < Control::kStrangersMax) want.push_back(Packet(node(1), node(0), i));
  }
  wire.push_back(FrameOf(node(2), node(0), 1));
  std::vector<InFrame> in;
  for (auto& [bytes, from] : wire) in.push_back({.bytes = bytes, .from = from, .at = {}});
  const Did did =
      node(0).Do([&](Outbox& out) { node(0).control->OnHandshakes(node(0).now, in, out); });
  EXPECT_EQ(did.tun, want);
}

TEST_F(BatchTest, PacketsThatLeaveTogetherAreSealedAlike) {
  std::vector<Bytes> packets;
  for (uint32_t i = 0; i < 50; ++i) packets.push_back(Packet(node(0), node(1 + i % 2), i));
  std::vector<wireguard::TunPacket> views;
  for (Bytes& p : packets) views.push_back({.bytes = p});
  const Did sent =
      node(0).Do([&](Outbox& out) { node(0).control->OnTunPackets(node(0).now, views, out); });
  ASSERT_EQ(sent.datagrams.size(), 50u);
  mesh.tun.clear();
  mesh.Carry(node(0), sent);
  EXPECT_EQ(mesh.tun["b"].size(), 25u);
  EXPECT_EQ(mesh.tun["c"].size(), 25u);
}

// The driver says what belongs to one super-packet: its segments are judged with the first of them,
// and each counts.
TEST_F(BatchTest, SegmentsAreJudgedLikeTheirFirstAndEachCounts) {
  const auto leave = [&](const std::vector<std::pair<Bytes, bool>>& packets) {
    std::vector<Bytes> own;
    std::vector<wireguard::TunPacket> views;
    for (const auto& p : packets) own.push_back(p.first);
    for (size_t i = 0; i < own.size(); ++i)
      views.push_back({.bytes = own[i], .follows = packets[i].second});
    return node(0)
        .Do([&](Outbox& out) { node(0).control->OnTunPackets(node(0).now, views, out); })
        .datagrams.size();
  };
  const Bytes good = Packet(node(0), node(1), 1);
  const uint64_t before = node(0).control->datapath().flow_counters().hits;
  EXPECT_EQ(leave({{good, false}, {good, true}, {good, true}}), 3u);
  EXPECT_GE(node(0).control->datapath().flow_counters().hits, before + 2);
  // Behind a packet that did not pass, each is looked at for itself.
  EXPECT_EQ(leave({{Bytes(50, 0x45), false}, {good, true}, {Bytes(50, 0x45), false}}), 1u);
  EXPECT_EQ(leave({{good, true}}), 1u) << "a first one that claims to follow";
}

// RFC 6040: a mark that the underlay set reaches who understands it, and is a loss to who does not.
TEST_F(BatchTest, CongestionOutsideIsToldInside) {
  const auto marked = [&](uint8_t inner) {
    Bytes packet = Packet(node(0), node(1), inner);
    packet[1] = static_cast<uint8_t>(inner << 4);
    const Did sent = node(0).FromTun(packet);
    Bytes frame = sent.datagrams.at(0).bytes;
    const InFrame in{.bytes = frame, .from = node(0).endpoint, .at = {}, .tos = 3};
    return node(1)
        .Do([&](Outbox& out) { node(1).control->OnDatagrams(node(1).now, {&in, 1}, out); })
        .tun;
  };
  EXPECT_TRUE(marked(0).empty());
  for (uint8_t capable = 1; capable <= 3; ++capable) {
    const auto tun = marked(capable);
    ASSERT_EQ(tun.size(), 1u);
    EXPECT_EQ(tun[0][1] >> 4, 3) << "from " << int{capable};
  }
}

// The revocation of c reaches b from a, and c's own frame lies behind it in the same batch.
TEST_F(BatchTest, FramesBehindARestrictionFeelIt) {
  const auto before = FrameOf(node(2), node(1), 1), after = FrameOf(node(2), node(1), 2);
  const auto revoke = Must(
      issuing::MakeRevoke(mesh.issuer().signer,
                          mesh.scope(),
                          {.type = authority::RevokeType::kFloor, .kid = node(2).kid(), .floor = 2},
                          issuing::Hlc(node(0).now.wall.millis())));
  const Did told = node(0).Do([&](Outbox& out) {
    EXPECT_TRUE(node(0).control->Import(node(0).now, revoke.envelope->bytes(), out).ok());
  });
  std::vector<std::pair<Bytes, Endpoint>> wire = {before};
  for (const auto& d : told.datagrams) {
    if (d.to == node(1).endpoint) wire.emplace_back(d.bytes, node(0).endpoint);
  }
  ASSERT_GT(wire.size(), 1u) << "the restriction did not leave at once";
  wire.push_back(after);
  EXPECT_EQ(GetAll(node(1), wire).tun, std::vector<Bytes>{Packet(node(2), node(1), 1)});
}

}  // namespace
}  // namespace aqmesh::node
