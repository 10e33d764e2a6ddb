// A device on several shards, one call after the other: what the control half tells, what it hears.
#include "transport/wireguard/shard.h"

#include "tests/transport/wireguard/hosts.h"

namespace aqmesh::wireguard {
namespace {

constexpr uint32_t kShards = 4;

// a_ has kShards; the shards beside its Device are stepped by hand.
class ShardTest : public DeviceTest {
 protected:
  ShardTest() {
    a_.~Host();
    new (&a_) Host(1, "192.0.2.1:1001", now_, {.shards = kShards});
    a_id_ = Know(a_, b_, "10.0.0.2/32");
    b_.device.RemovePeer(now_, b_id_, scratch_);
    b_id_ = Know(b_, a_, "10.0.0.1/32");
    for (uint32_t i = 1; i < kShards; ++i) shards_.push_back(std::make_unique<Shard>(i, 16));
  }
  void Tell() {
    while (const auto orders = a_.device.TakeOrders()) {
      for (const auto& shard : shards_) {
        Outbox out;
        shard->Apply(now_, *orders, out);
        Keep(a_, out);
      }
    }
  }
  void Report(uint32_t number) {
    Outbox out;
    a_.device.OnReport(now_, shards_[number - 1]->TakeReport(now_.mono), out);
    Keep(a_, out);
    Tell();
  }
  void TunAt(uint32_t number, Bytes packet) {
    Outbox out;
    const TunPacket packets[] = {{.bytes = packet}};
    shards_[number - 1]->OnTunPackets(now_, packets, out);
    Keep(a_, out);
  }
  size_t FeedAt(uint32_t number, Bytes bytes, const Endpoint& from) {
    Outbox out;
    std::vector<const InDatagram*> others;
    const InDatagram in[] = {{.bytes = bytes, .from = from, .at = {}}};
    shards_[number - 1]->OnDatagrams(now_, in, out, others);
    Keep(a_, out);
    return others.size();
  }
  void CarryAndTell() {
    Tell();
    Carry();
    Tell();
    Carry();
  }

  Outbox scratch_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

TEST_F(ShardTest, APacketStagedAtAShardGoesOnceTheHandshakeIsDone) {
  Tell();
  TunAt(2, to_b_);
  EXPECT_TRUE(a_.sent.empty());
  EXPECT_EQ(shards_[1]->ReportDue(now_.mono), now_.mono);
  Report(2);
  ASSERT_EQ(a_.sent.size(), 1u) << "no initiation";
  CarryAndTell();
  EXPECT_EQ(b_.received, std::vector<Bytes>{to_b_});
}

TEST_F(ShardTest, EveryShardSendsAndReceivesUnderOneSession) {
  Tell();
  Tun(a_, to_b_);
  CarryAndTell();
  b_.received.clear();
  for (uint32_t i = 1; i < kShards; ++i) TunAt(i, to_b_);
  ASSERT_EQ(a_.sent.size(), 3u);
  std::vector<uint64_t> counters;
  for (const Sent& s : a_.sent) counters.push_back(LoadLe<uint64_t>(s.bytes.data() + 8));
  std::ranges::sort(counters);
  EXPECT_TRUE(std::ranges::adjacent_find(counters) == counters.end()) << "a nonce twice";
  Carry();
  EXPECT_EQ(b_.received.size(), 3u);
  Tun(b_, to_a_);
  ASSERT_EQ(b_.sent.size(), 1u);
  // Its message names the shard that it is for, and another one opens it as well; but only once.
  EXPECT_EQ(b_.sent[0].bytes[4] % kShards, a_id_ % kShards);
  EXPECT_EQ(FeedAt(3, b_.sent[0].bytes, b_.here), 0u);
  EXPECT_EQ(a_.received, std::vector<Bytes>{to_a_});
  FeedAt(1, b_.sent[0].bytes, b_.here);
  EXPECT_EQ(shards_[0]->drops(Drop::kReplayed), 1u);
  EXPECT_EQ(Feed(a_, b_.sent[0].bytes, b_.here), Drop::kReplayed);
}

TEST_F(ShardTest, HandshakesAreLeftToTheDevice) {
  Tell();
  Tun(b_, to_a_);
  ASSERT_EQ(b_.type(0), 1);
  EXPECT_EQ(FeedAt(2, b_.sent[0].bytes, b_.here), 1u);
}

TEST_F(ShardTest, TheFirstMessageAtAShardConfirmsTheSession) {
  Tell();
  Tun(b_, to_a_);
  Feed(a_, b_.sent[0].bytes, b_.here);
  Tell();
  b_.sent.clear();
  Feed(b_, a_.sent[0].bytes, a_.here);
  a_.sent.clear();
  ASSERT_EQ(b_.sent.size(), 1u);
  FeedAt(1, b_.sent[0].bytes, b_.here);
  b_.sent.clear();
  EXPECT_EQ(a_.received.size(), 1u);
  TunAt(2, to_b_);
  EXPECT_TRUE(a_.sent.empty()) << "a responder spoke on a session that is not confirmed";
  Report(1);
  ASSERT_EQ(a_.sent.size(), 1u);
  Carry();
  EXPECT_EQ(b_.received, std::vector<Bytes>{to_b_});
}

TEST_F(ShardTest, RoamingSeenByOneShardIsFollowedByAll) {
  Tell();
  Tun(a_, to_b_);
  CarryAndTell();
  Tun(b_, to_a_);
  const Endpoint moved = *Endpoint::Parse("192.0.2.77:7");
  FeedAt(2, b_.sent[0].bytes, moved);
  b_.sent.clear();
  Report(2);
  EXPECT_EQ(a_.device.endpoint(a_id_), moved);
  for (uint32_t i = 1; i < kShards; ++i) TunAt(i, to_b_);
  Tun(a_, to_b_);
  ASSERT_EQ(a_.sent.size(), 4u);
  for (const Sent& s : a_.sent) EXPECT_EQ(s.to, moved);
}

TEST_F(ShardTest, WhatIsSaidOfARemovedPeerDoesNotReachItsSuccessor) {
  Tell();
  Tun(a_, to_b_);
  CarryAndTell();
  Tun(b_, to_a_);
  FeedAt(2, b_.sent[0].bytes, *Endpoint::Parse("192.0.2.77:7"));
  const ShardReport late = shards_[1]->TakeReport(now_.mono);
  a_.device.RemovePeer(now_, a_id_, scratch_);
  crypto::X25519Private key = crypto::NewX25519(b_.rng);
  const PeerId successor = *a_.device.AddPeer(now_, crypto::X25519Public(key), scratch_);
  ASSERT_EQ(successor, a_id_) << "the slot was not reused: the test shows nothing";
  Outbox out;
  a_.device.OnReport(now_, late, out);
  EXPECT_EQ(a_.device.endpoint(successor), std::nullopt);
  EXPECT_EQ(a_.device.GetConfig().peers[0].rx_bytes, 0u);
  Tell();
  TunAt(2, to_b_);
  EXPECT_EQ(shards_[1]->drops(Drop::kNoRoute), 1u);
}

TEST_F(ShardTest, BytesOfAllShardsAreSummed) {
  Tell();
  Tun(a_, to_b_);
  CarryAndTell();
  const uint64_t before = a_.device.GetConfig().peers[0].tx_bytes;
  TunAt(1, to_b_);
  TunAt(1, to_b_);
  TunAt(2, to_b_);
  for (uint32_t i = 1; i < kShards; ++i) Report(i);
  EXPECT_EQ(a_.device.GetConfig().peers[0].tx_bytes - before, 3 * (112 + 32));
}

TEST_F(ShardTest, OneKeepaliveAndNotOneAShard) {
  Tell();
  Tun(a_, to_b_);
  CarryAndTell();
  Tun(b_, to_a_);
  FeedAt(1, b_.sent[0].bytes, b_.here);
  b_.sent.clear();
  Report(1);
  a_.sent.clear();
  Pass(kKeepaliveTimeout);
  Wake(a_);
  Tell();
  EXPECT_EQ(a_.sent.size(), 1u);
}

TEST_F(ShardTest, DownMeansDownEverywhere) {
  Tell();
  Tun(a_, to_b_);
  CarryAndTell();
  a_.device.SetUp(now_, false, scratch_);
  Tell();
  TunAt(1, to_b_);
  EXPECT_TRUE(a_.sent.empty());
  EXPECT_EQ(shards_[0]->drops(Drop::kDown), 1u);
}

TEST_F(ShardTest, RoutesFollowTheirOwner) {
  Tell();
  Tun(a_, to_b_);
  CarryAndTell();
  a_.device.RemoveAllowedIp(a_id_, *Prefix::Parse("10.0.0.2/32"));
  Tell();
  TunAt(1, to_b_);
  EXPECT_EQ(shards_[0]->drops(Drop::kNoRoute), 1u);
  ASSERT_TRUE(a_.device.AddAllowedIp(a_id_, *Prefix::Parse("10.0.0.0/24")).ok());
  Tell();
  TunAt(1, to_b_);
  EXPECT_EQ(a_.sent.size(), 1u);
  a_.device.ClearAllowedIps(a_id_);
  Tell();
  TunAt(1, to_b_);
  EXPECT_EQ(shards_[0]->drops(Drop::kNoRoute), 2u);
}

TEST_F(ShardTest, IdleFactsWaitUrgentOnesHardly) {
  Tell();
  Tun(a_, to_b_);
  CarryAndTell();
  shards_[0]->TakeReport(now_.mono);
  EXPECT_EQ(shards_[0]->ReportDue(now_.mono), kNever);
  TunAt(1, to_b_);
  EXPECT_EQ(shards_[0]->ReportDue(now_.mono), now_.mono + Shard::kReportSoon);
  TunAt(1, Ip4("10.0.0.1", "10.0.0.3"));  // nobody's: nothing to say
  EXPECT_EQ(shards_[0]->ReportDue(now_.mono), now_.mono + Shard::kReportSoon);
  Pass(kRejectAfterTime);
  TunAt(1, to_b_);
  EXPECT_EQ(shards_[0]->ReportDue(now_.mono), now_.mono);
}

}  // namespace
}  // namespace aqmesh::wireguard
