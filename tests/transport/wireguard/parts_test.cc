// The small parts by table: replay window, rate limiter, timestamps, padding, routing, timers.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/crypto/hash.h"
#include "transport/wireguard/allowed_ips.h"
#include "transport/wireguard/packet.h"
#include "transport/wireguard/ratelimiter.h"
#include "transport/wireguard/replay.h"
#include "transport/wireguard/tai64n.h"
#include "transport/wireguard/timers.h"

namespace aqmesh::wireguard {
namespace {

using namespace std::chrono_literals;
const Instant kStart{1000s};

TEST(KdfTest, WireguardGoVector) {
  const crypto::Kdf3Out out = crypto::Kdf3(AsBytes("test-key"), AsBytes("test-input"));
  EXPECT_EQ(ToHex(out.t1), "6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633");
  EXPECT_EQ(ToHex(out.t2), "df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a");
  EXPECT_EQ(ToHex(out.t3), "fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c24");
}

// The window's rule, made naive: everything ever accepted, and how far back one may still reach.
class NaiveWindow {
 public:
  bool Accept(uint64_t c) {
    if (c >= kRejectAfterMessages || (c < last_ && last_ - c > ReplayWindow::kWindow)) return false;
    last_ = std::max(last_, c);
    return seen_.insert(c).second;
  }

 private:
  uint64_t last_ = 0;
  std::set<uint64_t> seen_;
};

TEST(ReplayTest, EdgesOfTheWindowAndOfTheCounter) {  // spec: wire#1.8
  constexpr uint64_t W = ReplayWindow::kWindow;
  constexpr uint64_t R = kRejectAfterMessages;
  struct Step {
    uint64_t counter;
    bool accept;
  };
  const Step steps[] = {{5, true},          {5, false},          {0, true},
                        {0, false},  // from the start
                        {W + 5, true},      {4, false},          {5, false},
                        {6, true},  // 5 was seen, 4 is too old
                        {W + 6, true},      {5, false},          {W + 5, false},
                        {7, true},          {10 * W, true},      {9 * W - 1, false},
                        {9 * W, true},      {9 * W, false},  // a jump clears
                        {9 * W + 63, true}, {10 * W + 64, true}, {9 * W + 63, false},
                        {9 * W + 64, true}, {10 * W + 1, true},  {10 * W + 1, false},
                        {R, false},         {UINT64_MAX, false}, {R - 1, true},
                        {R - 1, false},     {R, false},          {R - 1 - W, true},
                        {R - 2 - W, false}, {10 * W + 2, false}};
  ReplayWindow w;
  NaiveWindow twin;
  for (size_t i = 0; i < std::size(steps); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(w.Seen(steps[i].counter), !steps[i].accept);
    EXPECT_EQ(w.Accept(steps[i].counter), steps[i].accept);
    EXPECT_EQ(twin.Accept(steps[i].counter), steps[i].accept) << "the twin";
  }
}

TEST(ReplayTest, RandomAgainstANaiveTwin) {
  Rng rng({3});
  for (int round = 0; round < 20; ++round) {
    ReplayWindow w;
    NaiveWindow twin;
    // Around a head that creeps, or jumps a little, a window, or far; near the end in some rounds.
    uint64_t head = round % 4 == 3 ? kRejectAfterMessages - 20000 : rng.Below(100);
    for (int i = 0; i < 5000; ++i) {
      const uint64_t back = rng.Below(rng.Below(2) == 0 ? 80 : 9000);
      const uint64_t c = head - std::min(head, back);
      ASSERT_EQ(w.Accept(c), twin.Accept(c)) << c << " round " << round;
      const uint64_t jumps[] = {
          0, 0, 0, 1, 1, rng.Below(130), rng.Below(50) == 0 ? rng.Below(20000) : 0};
      head += jumps[rng.Below(std::size(jumps))];
    }
  }
}

TEST(ReplayTest, LongRuns) {  // spec: wire#1.8, the fresh rows
  constexpr uint64_t L = ReplayWindow::kWindow + 1;
  const auto up = [](ReplayWindow& w, uint64_t from, uint64_t to) {
    for (uint64_t c = from; c <= to; ++c) ASSERT_TRUE(w.Accept(c)) << c;
  };
  const auto down = [](ReplayWindow& w, uint64_t from, uint64_t to) {
    for (uint64_t c = from + 1; c-- > to;) ASSERT_TRUE(w.Accept(c)) << c;
  };
  {
    ReplayWindow w;
    up(w, 1, L - 1);
    EXPECT_TRUE(w.Accept(0));
    EXPECT_FALSE(w.Accept(0));
  }
  {
    ReplayWindow w;
    up(w, 2, L);
    EXPECT_TRUE(w.Accept(1));
    EXPECT_FALSE(w.Accept(0));
  }
  {
    ReplayWindow w;
    down(w, L - 1, 0);
  }
  {
    ReplayWindow w;
    down(w, L, 1);
    EXPECT_FALSE(w.Accept(0));
  }
  {
    ReplayWindow w;
    down(w, L - 1, 1);
    EXPECT_TRUE(w.Accept(L));
    EXPECT_FALSE(w.Accept(0));
  }
  {
    ReplayWindow w;
    down(w, L - 1, 1);
    EXPECT_TRUE(w.Accept(0));
    EXPECT_TRUE(w.Accept(L));
  }
}

TEST(RateLimiterTest, FiveAtOnceThenOneEveryFiftyMilliseconds) {  // spec: wire#1.4
  struct Step {
    std::chrono::milliseconds wait;
    int allowed;  // of ten tries at that moment
  };
  const Step steps[] = {
      {0ms, 5}, {49ms, 0}, {1ms, 1}, {0ms, 0}, {149ms, 2}, {1ms, 1}, {900ms, 5}, {50ms, 1}};
  RateLimiter v4, v6;
  Instant now = kStart;
  for (const Step& s : steps) {
    now += s.wait;
    int got4 = 0, got6 = 0;
    for (int i = 0; i < 10; ++i) {
      got4 += v4.Allow(now, *IpAddress::Parse("192.0.2.1"));
      got6 += v6.Allow(now, *IpAddress::Parse(i % 2 == 0 ? "2001:db8::1" : "2001:db8::2"));
    }
    EXPECT_EQ(got4, s.allowed) << (now - kStart) / 1ms;
    EXPECT_EQ(got6, s.allowed) << "one /64 is one source";
  }
  EXPECT_TRUE(v4.Allow(now, *IpAddress::Parse("192.0.2.2")));
  EXPECT_TRUE(v6.Allow(now, *IpAddress::Parse("2001:db8:0:1::1")));
  EXPECT_EQ(v4.size(), 2u);
  EXPECT_TRUE(v4.Allow(now + 2s, *IpAddress::Parse("192.0.2.3")));
  EXPECT_EQ(v4.size(), 1u) << "idle entries are collected";
}

TEST(RateLimiterTest, TableIsBounded) {
  RateLimiter limiter;
  for (uint32_t i = 0; i < RateLimiter::kEntriesMax + 10; ++i) {
    uint8_t ip[4];
    StoreBe(ip, i + 1);
    EXPECT_EQ(limiter.Allow(kStart, *IpAddress::From(ip)), i < RateLimiter::kEntriesMax);
  }
  EXPECT_EQ(limiter.size(), RateLimiter::kEntriesMax);
}

TEST(LoadMeterTest, LoadIsStickyForASecond) {
  LoadMeter load;
  for (int i = 0; i < LoadMeter::kDeep - 1; ++i) EXPECT_FALSE(load.OnHandshake(kStart));
  EXPECT_TRUE(load.OnHandshake(kStart));
  EXPECT_TRUE(load.UnderLoad(kStart + 999ms));
  EXPECT_FALSE(load.UnderLoad(kStart + 1s));
  EXPECT_FALSE(load.OnHandshake(kStart + 1s));
}

TEST(Tai64nTest, WhitenedAndStrictlyIncreasing) {
  EXPECT_EQ(ToHex(ToTai64n({1700000000LL * 1'000'000'000 + 0xdabcdef}).view()),
            "400000006553f10a0d000000");
  Tai64nClock clock;
  WallTime wall{1700000000LL * 1'000'000'000 + 990'000'000};
  Tai64n last = clock.Next(wall);
  for (int i = 0; i < 500; ++i) {
    if (i % 100 == 50) wall.nanos -= 3600LL * 1'000'000'000;  // the clock goes back
    const Tai64n next = clock.Next(wall);
    EXPECT_GT(next, last);
    last = next;
  }
}

TEST(PaddingTest, Table) {
  struct Case {
    size_t size, mtu, want;
  };
  for (const Case& c : {Case{0, 1420, 0},
                        {1, 1420, 15},
                        {16, 1420, 0},
                        {17, 1420, 15},
                        {1420, 1420, 0},
                        {1419, 1420, 1},
                        {1409, 1420, 11},
                        {1421, 1420, 15},
                        {2840, 1420, 0},
                        {33, 0, 15}}) {
    EXPECT_EQ(PaddingFor(c.size, c.mtu), c.want) << c.size;
  }
}

TEST(PacketTest, LengthsAndVersions) {
  Bytes v4(32, 0);
  v4[0] = 0x45;
  StoreBe<uint16_t>(v4.data() + 2, 28);
  EXPECT_EQ(ReadInner(v4)->size, 28u);
  StoreBe<uint16_t>(v4.data() + 2, 33);
  EXPECT_FALSE(ReadInner(v4));
  StoreBe<uint16_t>(v4.data() + 2, 19);
  EXPECT_FALSE(ReadInner(v4));
  v4[0] = 0x55;
  EXPECT_FALSE(ReadInner(v4));
  Bytes v6(48, 0);
  v6[0] = 0x60;
  StoreBe<uint16_t>(v6.data() + 4, 8);
  EXPECT_EQ(ReadInner(v6)->size, 48u);
  StoreBe<uint16_t>(v6.data() + 4, 9);
  EXPECT_FALSE(ReadInner(v6));
  for (size_t n = 0; n < 40; ++n) EXPECT_FALSE(ReadInner(ByteView(v6).first(n))) << n;
}

TEST(PacketTest, EcnMarksTravelInwardAndKeepTheChecksum) {
  Bytes p = *FromHex("4502001c00004000400100000a0000010a00000200000000");
  p.resize(28);
  const auto sum = [&p] {
    uint32_t s = 0;
    for (size_t i = 0; i < 20; i += 2) s += LoadBe<uint16_t>(p.data() + i);
    while (s >> 16) s = (s & 0xffff) + (s >> 16);
    return s;
  };
  StoreBe<uint16_t>(p.data() + 10, static_cast<uint16_t>(~sum()));
  ASSERT_EQ(sum(), 0xffffu);
  EXPECT_TRUE(CombineEcn(3, p));
  EXPECT_EQ(p[1] & 3, 3);
  EXPECT_EQ(sum(), 0xffffu);
  p[1] = 0;
  EXPECT_TRUE(CombineEcn(2, p));
  EXPECT_FALSE(CombineEcn(3, p)) << "its sender cannot hear the mark";
}

// 16-bit words of an ICMP error add up to all ones, over the pseudo header too.
uint32_t Folded(ByteView b, uint32_t sum = 0) {
  for (size_t i = 0; i < b.size(); ++i) sum += i % 2 == 0 ? uint32_t{b[i]} << 8 : b[i];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

TEST(PacketTest, TooBigSaysWhatFits) {  // spec: wire#2; RFC 1191 §4, RFC 4443 §3.2
  Bytes v4(2000, 7);
  v4[0] = 0x45;
  StoreBe<uint16_t>(v4.data() + 2, 2000);
  StoreBe<uint16_t>(v4.data() + 6, 0x4000);  // may not be fragmented
  v4[9] = 6;
  std::array<uint8_t, kUnreachableMax> out;
  ASSERT_EQ(WriteTooBig(v4, 1400, out), size_t{20 + 8 + 548});
  EXPECT_EQ(out[20], 3);
  EXPECT_EQ(out[21], 4);
  EXPECT_EQ(LoadBe<uint32_t>(out.data() + 24), 1400u);
  EXPECT_TRUE(std::equal(out.begin() + 12, out.begin() + 16, v4.begin() + 16));
  EXPECT_EQ(Folded(ByteView(out).first(20)), 0xffffu);
  EXPECT_EQ(Folded(ByteView(out).subspan(20, 8 + 548)), 0xffffu);
  v4[6] = 0;  // may be: no error is sent
  EXPECT_EQ(WriteTooBig(v4, 1400, out), 0u);

  Bytes v6(2000, 7);
  v6[0] = 0x60;
  StoreBe<uint16_t>(v6.data() + 4, 1960);
  v6[6] = 6;
  ASSERT_EQ(WriteTooBig(v6, 1400, out), size_t{kUnreachableMax});
  EXPECT_EQ(out[40], 2);
  EXPECT_EQ(out[41], 0);
  EXPECT_EQ(LoadBe<uint32_t>(out.data() + 44), 1400u);
  const size_t body = kUnreachableMax - 40;
  const uint32_t pseudo = Folded(ByteView(out).subspan(8, 32)) + static_cast<uint32_t>(body) + 58;
  EXPECT_EQ(Folded(ByteView(out).subspan(40, body), pseudo), 0xffffu);
  for (size_t size = 0; size < 40; ++size)
    EXPECT_EQ(WriteTooBig(ByteView(v6).first(size), 1400, out), 0u);
}

TEST(AllowedIpsTest, LongestPrefixWinsAndAPrefixHasOneOwner) {  // spec: wire#1.9
  AllowedIps table;
  struct Entry {
    const char* prefix;
    PeerId peer;
  };
  for (const Entry& e : {Entry{"0.0.0.0/0", 1},
                         {"10.0.0.0/8", 2},
                         {"10.20.0.0/16", 3},
                         {"10.20.30.0/24", 4},
                         {"10.20.30.40/32", 5},
                         {"10.20.30.41/31", 6},
                         {"128.0.0.0/1", 7},
                         {"2001:db8::/32", 2},
                         {"2001:db8:0:1::/64", 3},
                         {"2001:db8:0:1::7/128", 4},
                         {"::/0", 1}}) {
    ASSERT_TRUE(table.Insert(*Prefix::Parse(e.prefix), e.peer));
  }
  struct Case {
    const char* address;
    PeerId want;
  };
  const auto expect = [&table](std::initializer_list<Case> cases) {
    for (const Case& c : cases)
      EXPECT_EQ(table.Find(*IpAddress::Parse(c.address)), c.want) << c.address;
  };
  expect({{"9.9.9.9", 1},
          {"10.0.0.0", 2},
          {"10.255.255.255", 2},
          {"10.20.0.1", 3},
          {"10.20.30.1", 4},
          {"10.20.30.40", 5},
          {"10.20.30.41", 6},
          {"127.255.255.255", 1},
          {"128.0.0.0", 7},
          {"255.255.255.255", 7},
          {"2001:db8:ffff::1", 2},
          {"2001:db8:0:1::6", 3},
          {"2001:db8:0:1::7", 4},
          {"2001:db9::1", 1}});
  // The same prefix, whatever its host bits, moves; the holes it leaves are the next longest's.
  ASSERT_TRUE(table.Insert(*Prefix::Parse("10.20.77.77/16"), 8));
  EXPECT_TRUE(table.Of(3) == std::vector<Prefix>{*Prefix::Parse("2001:db8:0:1::/64")});
  expect({{"10.20.0.1", 8}, {"10.20.30.1", 4}});
  table.RemovePeer(4);
  expect({{"10.20.30.1", 8}, {"10.20.30.40", 5}, {"2001:db8:0:1::7", 3}});
  EXPECT_FALSE(table.Remove(*Prefix::Parse("10.20.0.0/16"), 3)) << "no longer its own";
  EXPECT_TRUE(table.Remove(*Prefix::Parse("10.20.0.0/16"), 8));
  EXPECT_TRUE(table.Remove(*Prefix::Parse("0.0.0.0/0"), 1));
  expect({{"10.20.0.1", 2}, {"9.9.9.9", kNoPeer}, {"2001:db9::1", 1}});
}

TEST(AllowedIpsTest, RandomAgainstANaiveTwin) {
  Rng rng({7});
  AllowedIps table;
  std::map<Prefix, PeerId> naive;
  const auto address = [&rng](bool v6) {  // few distinct values, so that prefixes nest and meet
    std::array<uint8_t, 16> b{};
    b[0] = v6 ? 0xfd : 10;
    for (size_t i : {size_t{1}, size_t{2}, size_t{3}, size_t{9}, size_t{15}})
      b[i] = static_cast<uint8_t>(rng.Below(4) << rng.Below(7));
    return *IpAddress::From(v6 ? ByteView(b) : ByteView(b).first(4));
  };
  for (int round = 0; round < 6000; ++round) {
    const bool v6 = rng.Below(2) == 1;
    const Prefix p = *Prefix::Make(address(v6), static_cast<unsigned>(rng.Below(v6 ? 129 : 33)));
    const PeerId peer = static_cast<PeerId>(rng.Below(20));
    const uint64_t what = rng.Below(20);
    if (what < 12) {
      ASSERT_TRUE(table.Insert(p, peer));
      naive[p] = peer;
    } else if (what < 19 && !naive.empty()) {
      auto it = naive.lower_bound(p);
      if (it == naive.end()) it = naive.begin();
      const Prefix victim = it->first;
      ASSERT_EQ(table.Remove(victim, peer), it->second == peer);
      if (it->second == peer) naive.erase(it);
    } else if (rng.Below(10) == 0) {
      table.RemovePeer(peer);
      std::erase_if(naive, [peer](const auto& e) { return e.second == peer; });
    }
    ASSERT_EQ(table.size(), naive.size());
    for (int i = 0; i < 4; ++i) {
      const IpAddress a = address(rng.Below(2) == 1);
      PeerId want = kNoPeer;
      int best = -1;
      for (const auto& [prefix, owner] : naive) {
        if (prefix.Contains(a) && prefix.length > best) best = prefix.length, want = owner;
      }
      ASSERT_EQ(table.Find(a), want) << a.ToString() << " round " << round;
    }
  }
  for (PeerId peer = 0; peer < 20; ++peer) {
    std::vector<Prefix> want;
    for (const auto& [prefix, owner] : naive)
      if (owner == peer) want.push_back(prefix);
    EXPECT_EQ(table.Of(peer), want);
    table.RemovePeer(peer);
  }
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.Find(*IpAddress::Parse("10.0.0.1")), kNoPeer);
}

TEST(TimersTest, RetransmitsNineteenTimesThenGivesUp) {  // spec: wire#1.5
  Rng rng({1});
  PeerTimers t;
  Instant now = kStart;
  int initiations = 1;
  t.OnInitiationSent(now, rng);
  for (;;) {
    const Instant next = t.NextDeadline();
    EXPECT_GE(next - now, 5s);
    EXPECT_LE(next - now, 5s + 333ms);
    now = next;
    const TimerAction action = *t.PopDue(now);
    if (action == TimerAction::kGiveUp) break;
    ASSERT_EQ(action, TimerAction::kRetryInitiation);
    ++initiations;
    t.OnInitiationSent(now, rng);
  }
  EXPECT_EQ(initiations, 20);
  EXPECT_GE(now - kStart, 100s);
  EXPECT_LE(now - kStart, 106700ms);
  EXPECT_EQ(t.NextDeadline(), now + 540s) << "zero-key timer";
}

TEST(TimersTest, PassiveKeepaliveAndItsSuccessor) {
  PeerTimers t;
  t.OnDataReceived(kStart);
  t.OnDataReceived(kStart + 3s);
  EXPECT_EQ(t.NextDeadline(), kStart + 10s);
  EXPECT_EQ(t.PopDue(kStart + 10s), TimerAction::kSendKeepalive);
  t.OnAuthenticatedSent(kStart + 10s);  // that very keepalive
  EXPECT_EQ(t.NextDeadline(), kStart + 20s);
  EXPECT_EQ(t.PopDue(kStart + 20s), TimerAction::kSendKeepalive);
  t.OnAuthenticatedSent(kStart + 20s);
  EXPECT_EQ(t.NextDeadline(), kNever);
}

TEST(TimersTest, UnansweredDataAsksForAHandshake) {
  Rng rng({1});
  PeerTimers t;
  t.OnDataSent(kStart, rng);
  const Instant due = t.NextDeadline();
  EXPECT_GE(due, kStart + 15s);
  EXPECT_LE(due, kStart + 15333ms);
  t.OnDataSent(kStart + 5s, rng);
  EXPECT_EQ(t.NextDeadline(), due) << "armed once";
  t.OnAuthenticatedReceived(kStart + 6s);
  EXPECT_EQ(t.NextDeadline(), kNever);
  t.OnDataSent(kStart + 7s, rng);
  EXPECT_EQ(t.PopDue(kStart + 23s), TimerAction::kInitiate);
}

TEST(TimersTest, PersistentKeepaliveCountsFromLastTraffic) {
  PeerTimers t;
  t.SetPersistentKeepalive(25);
  t.OnAuthenticatedSent(kStart);
  t.OnAuthenticatedReceived(kStart + 10s);
  EXPECT_EQ(t.NextDeadline(), kStart + 35s);
  EXPECT_EQ(t.PopDue(kStart + 35s), TimerAction::kSendKeepalive);
  t.OnAuthenticatedSent(kStart + 35s);
  t.SetPersistentKeepalive(0);
  EXPECT_EQ(t.NextDeadline(), kNever);
}

}  // namespace
}  // namespace aqmesh::wireguard
