#include "admission/flow_cache.h"

#include <random>

#include "tests/admission/world.h"
#include "tests/support/allocations.h"

namespace aqmesh::admission {
namespace {

using enum Direction;
constexpr const char *kUs = "100.64.0.1", *kPeer = "100.64.0.2", *kUs6 = "fd00::1",
                     *kPeer6 = "fd00::2";

// We (1) and the peer (2); rules say who may open what.
class FlowTableTest : public testing::Test {
 protected:
  void Permit(std::vector<Rule> rules) {
    world_.cited = {Issue(std::move(rules))};
    policies_ = world_.Compile();
    ++epoch_;
  }
  Judgement Send(ByteView packet, uint64_t at = 0) { return Judge(packet, kSend, at); }
  Judgement Receive(ByteView packet, uint64_t at = 0) { return Judge(packet, kReceive, at); }
  Judgement Judge(ByteView packet, Direction d, uint64_t at, uint32_t peer = 7) {
    return table_.Judge(Read(packet), d, {peer, epoch_, &policies_}, At(at));
  }

  World world_;
  Policies policies_ = world_.Compile();
  uint32_t epoch_ = 1;
  FlowTable table_{FlowTable::Key(Bytes(16, 9)),
                   {.entries = 64, .misses_per_second = 100, .misses_burst = 200},
                   Instant{}};
};

TEST_F(FlowTableTest, AnswersComeBackAndOthersDoNot) {
  for (const auto& [us, peer] : {std::pair{kUs, kPeer}, std::pair{kUs6, kPeer6}}) {
    Permit({Allow(Node(1), Node(2), {6}, {{22, 22}}),
            Allow(Node(1), Node(2), {17}, {{53, 53}}),
            Allow(Node(1), Node(2), {1}),
            Allow(Node(1), Node(2), {58})});
    const bool v6 = Ip(us).is_v6();
    EXPECT_FALSE(Receive(Tcp(peer, us, 22, 1000, kTcpAck)).pass());
    const Judgement open = Send(Tcp(us, peer, 1000, 22, kTcpSyn));
    EXPECT_TRUE(open.pass() && open.first && !open.answer);
    const Judgement answer = Receive(Tcp(peer, us, 22, 1000, kTcpSyn | kTcpAck));
    EXPECT_TRUE(answer.pass() && answer.answer && answer.opened == kSend);
    EXPECT_FALSE(
        Receive(Tcp(peer, us, 22, 1000, kTcpSyn)).pass());          // a bare SYN is never an answer
    EXPECT_TRUE(Receive(Tcp(peer, us, 22, 1000, kTcpAck)).pass());  // and its denial cuts nothing
    EXPECT_FALSE(Receive(Tcp(peer, us, 22, 1001, kTcpAck)).pass());
    EXPECT_FALSE(Receive(Udp(peer, us, 53, 2000)).pass());
    EXPECT_TRUE(Send(Udp(us, peer, 2000, 53)).pass());
    EXPECT_TRUE(Receive(Udp(peer, us, 53, 2000)).pass());  // denied before, an answer now
    EXPECT_TRUE(Send(Icmp(us, peer, v6 ? 128 : 8, 5)).pass());
    EXPECT_TRUE(Receive(Icmp(peer, us, v6 ? 129 : 0, 5)).pass());
    EXPECT_FALSE(Receive(Icmp(peer, us, v6 ? 129 : 0, 6)).pass());
    EXPECT_FALSE(Receive(Icmp(peer, us, v6 ? 128 : 8, 5)).pass());
    EXPECT_FALSE(Receive(Icmp(peer, us, v6 ? 137 : 5, 5)).pass());
    EXPECT_FALSE(Send(Icmp(us, peer, v6 ? 129 : 0, 9)).pass());  // an echo reply opens nothing
  }
}

TEST_F(FlowTableTest, UnclassifiablePacketsAreNeverAnswers) {
  Permit({Allow(Node(1), Node(2))});
  Bytes out = Tcp(kUs, kPeer, 1, 2), back = Tcp(kPeer, kUs, 2, 1, kTcpSyn);
  StoreBe(&out[6], uint16_t{0x2000});
  StoreBe(&back[6], uint16_t{0x2000});
  EXPECT_TRUE(Send(out).pass());
  EXPECT_FALSE(Receive(back).pass());  // could be a SYN in pieces
}

TEST_F(FlowTableTest, OneWayRulesLetNothingBack) {
  Rule r = Allow(Node(1), Node(2), {17}, {{514, 514}});
  r.one_way = 1;
  Permit({r});
  const Bytes log = Udp(kUs, kPeer, 9, 514);
  EXPECT_TRUE(Send(log).pass());
  EXPECT_FALSE(Receive(Udp(kPeer, kUs, 514, 9)).pass());
  EXPECT_FALSE(Receive(Icmp(kPeer, kUs, 3, 0, log)).pass());
}

TEST_F(FlowTableTest, IcmpErrorsPassWithTheFlowTheyQuote) {
  Permit({Allow(Node(1), Node(2), {17}, {{53, 53}})});
  const Bytes query = Udp(kUs, kPeer, 9, 53);
  EXPECT_FALSE(Receive(Icmp(kPeer, kUs, 3, 0, query)).pass());
  EXPECT_TRUE(Send(query).pass());
  EXPECT_TRUE(Receive(Icmp(kPeer, kUs, 3, 0, query), 11).pass());
  EXPECT_TRUE(
      Receive(Icmp("100.64.9.9", kUs, 11, 0, query), 11).pass());  // from a router on the way
  EXPECT_FALSE(
      Receive(Icmp(kPeer, "100.64.0.3", 3, 0, query), 11).pass());  // not to whoever sent it
  EXPECT_FALSE(Receive(Icmp(kPeer, kUs, 3, 0, Udp(kUs, kPeer, 8, 53)), 11).pass());
  EXPECT_TRUE(Send(Icmp(kUs, kPeer, 3, 0, Udp(kPeer, kUs, 53, 9)), 11).pass());  // about the answer
}

TEST_F(FlowTableTest, ANewEpochJudgesTheOriginalDirectionAgain) {  // threat row 39
  Permit({Allow(Node(1), Node(2), {6}, {{22, 22}})});
  EXPECT_TRUE(Send(Tcp(kUs, kPeer, 1000, 22)).pass());
  EXPECT_TRUE(Receive(Tcp(kPeer, kUs, 22, 1000)).pass());
  Permit({Allow(Node(1), Node(2), {6}, {{22, 22}}), Allow(Any(), Any(), {17}, {{1, 1}})});
  EXPECT_TRUE(Receive(Tcp(kPeer, kUs, 22, 1000)).pass());  // still allowed, by the opener's rule
  Permit({Allow(Node(1), Node(2), {6}, {{443, 443}})});
  EXPECT_FALSE(Receive(Tcp(kPeer, kUs, 22, 1000)).pass());  // the answer is cut at once
  EXPECT_FALSE(Send(Tcp(kUs, kPeer, 1000, 22)).pass());
  EXPECT_EQ(table_.counters().rejudged, 2u);
  // A rule for the other direction alone does not bring the conversation back as an answer.
  Permit({Allow(Node(2), Node(1), {6}, {{443, 443}})});
  EXPECT_FALSE(Receive(Tcp(kPeer, kUs, 22, 1000)).pass());
}

TEST_F(FlowTableTest, AnotherPeersSamePacketMisses) {  // threat row 39
  Permit({Allow(Node(1), Node(2), {6}, {{22, 22}})});
  EXPECT_TRUE(Send(Tcp(kUs, kPeer, 1000, 22)).pass());
  EXPECT_TRUE(Judge(Tcp(kPeer, kUs, 22, 1000), kReceive, 0, 7).pass());
  EXPECT_FALSE(Judge(Tcp(kPeer, kUs, 22, 1000), kReceive, 0, 8).pass());
  // Nor may the peer send our own direction's packet.
  EXPECT_FALSE(Receive(Tcp(kUs, kPeer, 1000, 22)).pass());
}

TEST_F(FlowTableTest, FlowsIdleOutAndWindowsEndThem) {
  Rule r = Allow(Node(1), Node(2), {6, 17}, {{53, 53}});
  r.until = kT + 500;
  Permit({r});
  EXPECT_TRUE(Send(Udp(kUs, kPeer, 9, 53)).pass());
  EXPECT_FALSE(Receive(Udp(kPeer, kUs, 53, 9), 121).pass());  // unanswered for too long
  EXPECT_TRUE(Send(Tcp(kUs, kPeer, 9, 53), 130).pass());
  EXPECT_TRUE(Receive(Tcp(kPeer, kUs, 53, 9), 130).pass());
  EXPECT_TRUE(Receive(Tcp(kPeer, kUs, 53, 9), 499).pass());
  EXPECT_FALSE(Receive(Tcp(kPeer, kUs, 53, 9), 500).pass());  // same epoch: the rule has ended
}

TEST_F(FlowTableTest, DropAfterCountsBothWaysAcrossEpochs) {
  Rule r = Allow(Node(1), Node(2), {17}, {{53, 53}});
  r.drop_after = 3;
  Permit({r});
  EXPECT_TRUE(Send(Udp(kUs, kPeer, 9, 53)).pass());
  EXPECT_TRUE(Receive(Udp(kPeer, kUs, 53, 9)).pass());
  Permit({r});
  EXPECT_TRUE(Send(Udp(kUs, kPeer, 9, 53)).pass());
  const Judgement over = Send(Udp(kUs, kPeer, 9, 53));
  EXPECT_EQ(over.drop, Drop::kBudget);
  EXPECT_EQ(over.reason, authority::Reason::kOverBudget);
}

TEST_F(FlowTableTest, AScanNeitherEvictsConversationsNorRunsFasterThanItsRate) {
  Permit({Allow(Any(), Any(), {17}, {{1, 65535}})});
  EXPECT_TRUE(Send(Udp(kUs, kPeer, 9, 53)).pass());
  EXPECT_TRUE(Receive(Udp(kPeer, kUs, 53, 9)).pass());
  size_t passed = 0, over = 0;
  for (uint16_t port = 1; port <= 1000; ++port) {
    const Judgement j = Receive(Udp(kPeer, kUs, 40'000, port));
    passed += j.pass();
    over += j.drop == Drop::kMissRate;
  }
  EXPECT_EQ(passed, 200u);
  EXPECT_EQ(over, 800u);
  EXPECT_TRUE(Receive(Udp(kPeer, kUs, 53, 9)).answer);
  EXPECT_LE(table_.live(At(0).mono), 64u);
  EXPECT_GT(table_.counters().evicted, 0u);
}

// Packets of one instant share a look-up with the one before them; of two instants they do not. It
// makes no difference to what they are told.
TEST_F(FlowTableTest, ARunIsJudgedAsItsPacketsWouldBeAlone) {
  FlowTable alone(FlowTable::Key(Bytes(16, 9)), {.entries = 64}, Instant{});
  FlowTable run(FlowTable::Key(Bytes(16, 9)), {.entries = 64}, Instant{});
  const auto rules = [](uint32_t budget) {
    Rule r = Allow(Node(1), Node(2), {6}, {{22, 23}});
    r.drop_after = budget;
    return std::vector<Rule>{r, Allow(Node(1), Node(2), {17}, {{53, 53}})};
  };
  std::mt19937 random(1);
  Now now = At(0), later = At(0);
  for (int i = 0; i < 20'000; ++i) {
    if (i % 2'000 == 0) Permit(rules(i % 4'000 == 0 ? 0 : 300));
    const auto port = static_cast<uint16_t>(22 + random() % 3);
    const auto flags =
        std::array<uint8_t, 5>{kTcpAck, kTcpAck, kTcpAck, kTcpSyn, kTcpAck | kTcpFin}[random() % 5];
    const bool out = random() % 2 == 0;
    const Bytes packet = random() % 8 == 0 ? (out ? Udp(kUs, kPeer, 9, 53) : Udp(kPeer, kUs, 53, 9))
                         : out             ? Tcp(kUs, kPeer, 1000, port, flags)
                                           : Tcp(kPeer, kUs, port, 1000, flags);
    const uint32_t peer = 7 + (random() % 16 == 0);
    const size_t times = 1 + random() % 4;
    for (size_t n = 0; n < times; ++n) {
      later.mono += std::chrono::nanoseconds(1);
      const PolicyView view{peer, epoch_, &policies_};
      const Direction d = out ? kSend : kReceive;
      const Judgement a = alone.Judge(Read(packet), d, view, later);
      const Judgement b = run.Judge(Read(packet), d, view, now);
      ASSERT_TRUE(a.drop == b.drop && a.reason == b.reason && a.opened == b.opened &&
                  a.path == b.path && a.answer == b.answer && a.first == b.first)
          << "packet " << i << "." << n;
    }
  }
  EXPECT_EQ(alone.counters().hits, run.counters().hits);
  EXPECT_EQ(alone.counters().answers, run.counters().answers);
}

TEST_F(FlowTableTest, AllocatesNothingAfterConstruction) {
  Permit({Allow(Any(), Any(), {17}, {{1, 500}})});
  std::vector<PacketInfo> packets;
  for (uint16_t port = 1; port <= 1000; ++port)
    packets.push_back(Read(Udp(kPeer, kUs, 40'000, port)));
  const size_t before = Allocations();
  for (uint32_t turn = 0; turn < 5; ++turn) {
    for (const PacketInfo& p : packets) {
      (void)table_.Judge(p, kReceive, {7, turn, &policies_}, At(turn * 30));
      (void)table_.Judge(p, kSend, {7, turn, &policies_}, At(turn * 30));
    }
  }
  EXPECT_EQ(Allocations(), before);
}

TEST(TokenBucketTest, KeepsItsRateAndItsFractions) {
  TokenBucket b(10, 5, Instant{});
  EXPECT_TRUE(b.Take(5, Instant{}));
  EXPECT_FALSE(b.Take(1, Instant{}));
  using std::chrono::milliseconds;
  for (int i = 1; i < 100; ++i) EXPECT_FALSE(b.Take(1, Instant(milliseconds(i))));
  EXPECT_TRUE(b.Take(1, Instant(milliseconds(100))));
  EXPECT_FALSE(b.Take(6, Instant(std::chrono::hours(1))));
  EXPECT_TRUE(b.Take(5, Instant(std::chrono::hours(1))));
  TokenBucket odd(64, 1, Instant{});  // polled out of step with its rate
  int taken = 0;
  for (int i = 1; i <= 10'000; ++i) taken += odd.Take(1, Instant(std::chrono::milliseconds(i)));
  EXPECT_NEAR(taken, 640, 1);
  EXPECT_FALSE(TokenBucket().Take(1, Instant(milliseconds(1))));
}

}  // namespace
}  // namespace aqmesh::admission
