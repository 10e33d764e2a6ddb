// spec/wire.md §1, clause by clause, where the other tests of this folder do not already hold it.
#include <set>

#include "tests/transport/wireguard/hosts.h"

namespace aqmesh::wireguard {
namespace {

using Conformance = DeviceTest;

Source At(std::string_view address) {
  return {.address = *IpAddress::Parse(address), .ifindex = 3, .known = true};
}

// ---- §1.2, §1.3 messages and handshakes ----

TEST_F(Conformance, ReservedBytesMustBeZeroInEveryType) {
  Handshake();
  Tun(a_, to_b_);
  for (size_t reserved = 1; reserved < 4; ++reserved) {
    Bytes m = a_.sent[0].bytes;
    m[reserved] = 1;
    EXPECT_EQ(Feed(b_, m, a_.here), Drop::kBadType);
  }
  EXPECT_EQ(Feed(b_, a_.sent[0].bytes, a_.here), Drop::kNone);
}

TEST_F(Conformance, AReplayedInitiationDoesNotTouchOurHandshakeInFlight) {
  Tun(b_, to_a_);
  const Bytes old = b_.sent[0].bytes;
  Carry();
  RunFor(200s, [this] { Carry(); });
  Tun(a_, to_b_);
  ASSERT_EQ(a_.type(0), 1);
  EXPECT_EQ(Feed(a_, old, b_.here), Drop::kReplayedTimestamp);
  Carry();
  EXPECT_EQ(b_.received.size(), 1u) << "the answer to ours was still welcome";
}

TEST_F(Conformance, TheTimestampFloorOutlivesDownAndUpAndANewKeyOfOurs) {
  Tun(a_, to_b_);
  const Bytes old = a_.sent[0].bytes;
  Carry();
  Pass(1s);
  Outbox out;
  b_.device.SetUp(now_, false, out);
  b_.device.SetUp(now_, true, out);
  EXPECT_EQ(Feed(b_, old, a_.here), Drop::kReplayedTimestamp);
  const DeviceConfig config = b_.device.GetConfig();
  b_.device.SetPrivateKey(now_, crypto::NewX25519(b_.rng), out);
  b_.device.SetPrivateKey(now_, config.private_key, out);
  EXPECT_EQ(Feed(b_, old, a_.here), Drop::kReplayedTimestamp);
}

TEST_F(Conformance, AChangedPresharedKeyActsFromTheNextHandshake) {
  Handshake();
  a_.device.SetPresharedKey(a_id_, Secret<32>(ByteView(std::array<uint8_t, 32>{7})));
  Tun(a_, to_b_);
  Carry();
  EXPECT_EQ(b_.received.size(), 1u) << "the session goes on";
  Pass(121s);
  Tun(a_, to_b_);
  Carry();
  EXPECT_EQ(b_.received.size(), 2u) << "on the old key, while the rekey fails";
  RunFor(60s, [this] { Carry(); });
  Tun(a_, to_b_);
  Carry();
  EXPECT_EQ(b_.received.size(), 2u) << "180 s: the keys differ now";
  b_.device.SetPresharedKey(b_id_, Secret<32>(ByteView(std::array<uint8_t, 32>{7})));
  RunFor(6s, [this] { Carry(); });
  EXPECT_EQ(b_.received.size(), 3u);
}

// ---- §1.4 load and cookies ----

TEST_F(Conformance, UnderLoadAlsoAGoodMac2MayTryTwentyTimesASecond) {
  Host c(3, "192.0.2.3:1003", now_);
  Know(c, b_, "10.0.0.2/32");
  Tun(c, Ip4("10.0.0.3", "10.0.0.2"));
  for (int i = 0; i < 200; ++i) Feed(b_, c.sent[0].bytes, c.here);
  ASSERT_EQ(Feed(c, b_.sent.back().bytes, b_.here), Drop::kNone);
  int tried = 0, limited = 0;
  c.sent.clear();
  for (int i = 0; i < 99; ++i) {  // the second that the load lasts
    Pass(10ms);
    Outbox out;
    c.device.handshaker().Initiate(now_, 0, 0s, out);
    Keep(c, out);
    const Drop why = Feed(b_, c.sent.back().bytes, c.here);
    tried += why == Drop::kUnknownPeer;
    limited += why == Drop::kRateLimited;
  }
  EXPECT_EQ(tried + limited, 99);
  EXPECT_EQ(tried, 5 + 19) << "the burst, and 20 a second";
}

TEST_F(Conformance, AResponseMayBeAskedForACookieToo) {
  Host c(3, "192.0.2.3:1003", now_);
  Know(c, a_, "10.0.0.1/32");
  Tun(c, Ip4("10.0.0.3", "10.0.0.1"));
  const Bytes stranger = c.sent[0].bytes;
  Tun(a_, to_b_);
  Feed(b_, a_.sent[0].bytes, a_.here);
  const Bytes response = b_.sent[0].bytes;
  a_.sent.clear();
  b_.sent.clear();
  for (int i = 0; i < 200; ++i) Feed(a_, stranger, c.here);
  a_.sent.clear();
  EXPECT_EQ(Feed(a_, response, b_.here), Drop::kCookieWanted);
  ASSERT_EQ(a_.sent.size(), 1u);
  // The index in it is that of b's session to be, not of a handshake: both are looked up.
  EXPECT_EQ(Feed(b_, a_.sent[0].bytes, a_.here), Drop::kNone);
  a_.sent.clear();
  RunFor(6s, [&] {
    for (int i = 0; i < 200; ++i) Feed(a_, stranger, c.here);
    std::erase_if(a_.sent, [&](const Sent& s) { return s.to == c.here; });
    Carry();
  });
  EXPECT_EQ(b_.received.size(), 1u) << "the next response carried mac2";
}

// ---- §1.5, §1.6 timers ----

TEST_F(Conformance, InitiationsAreFiveSecondsApartHoweverMuchIsToBeSent) {
  std::vector<Instant> at;
  for (int i = 0; i < 6000; ++i) {
    Tun(a_, to_b_);
    Wake(a_);
    for (const Sent& s : std::exchange(a_.sent, {})) {
      if (s.bytes[0] == 1) at.push_back(now_.mono);
    }
    Pass(10ms);
  }
  for (size_t i = 1; i < at.size(); ++i) EXPECT_GE(at[i] - at[i - 1], 5s);
  EXPECT_GE(at.size(), 11u);
}

TEST_F(Conformance, TwentyInitiationsThenWhatIsStagedIsDropped) {
  Tun(a_, to_b_);
  std::vector<Instant> at;
  const auto note = [&] {
    for (const Sent& s : std::exchange(a_.sent, {})) {
      if (s.bytes[0] == 1) at.push_back(now_.mono);
    }
  };
  note();
  RunFor(99s, note);
  EXPECT_EQ(a_.device.forwarder().staged(a_id_), 1u);
  RunFor(8s, note);
  ASSERT_EQ(at.size(), 20u);
  std::set<std::chrono::nanoseconds> gaps;
  for (size_t i = 1; i < at.size(); ++i) {
    gaps.insert(at[i] - at[i - 1]);
    EXPECT_GE(at[i] - at[i - 1], 5s);
    EXPECT_LE(at[i] - at[i - 1], 5s + 333ms);
  }
  EXPECT_GT(gaps.size(), 10u) << "jittered, so that no two ends keep step";
  EXPECT_EQ(a_.device.forwarder().staged(a_id_), 0u);
  RunFor(100s, [] {});
  EXPECT_TRUE(a_.sent.empty()) << "given up";
  Tun(a_, to_b_);
  Carry();
  EXPECT_EQ(b_.received.size(), 1u) << "new traffic tries anew";
}

TEST_F(Conformance, SilenceAfterDataLeadsToANewHandshakeInFifteenSeconds) {
  Handshake();
  Pass(20s);
  Wake(a_), Wake(b_), Carry();
  Tun(a_, to_b_);
  const Instant sent = now_.mono;
  a_.sent.clear();
  std::optional<Instant> initiated;
  RunFor(16s, [&] {
    for (const Sent& s : std::exchange(a_.sent, {})) {
      if (s.bytes[0] == 1 && !initiated) initiated = now_.mono;
    }
  });
  ASSERT_TRUE(initiated);
  EXPECT_GE(*initiated - sent, 15s);
  EXPECT_LE(*initiated - sent, 15s + 333ms);
}

TEST_F(Conformance, KeepalivesDoNotAskForKeepalives) {
  Handshake();
  Pass(10s);
  Wake(b_);
  ASSERT_EQ(b_.sent.size(), 1u);
  ASSERT_EQ(b_.sent[0].bytes.size(), 32u);
  Carry();
  size_t packets = 0;
  RunFor(100s, [&] {
    packets += a_.sent.size() + b_.sent.size();
    Carry();
  });
  EXPECT_EQ(packets, 0u) << "two idle peers fall silent";
}

TEST_F(Conformance, APersistentKeepaliveOutlivesTheLackOfAnEndpointAndOfAKey) {
  Host c(3, "192.0.2.3:1003", now_);
  Outbox out;
  const PeerId peer = Know(c, b_, "10.0.0.2/32", false);
  Know(b_, c, "10.0.0.3/32", false);
  const crypto::X25519Private key = c.device.GetConfig().private_key.Clone();
  c.device.SetPrivateKey(now_, crypto::X25519Private(), out);
  c.device.SetPersistentKeepalive(now_, peer, 10, out);
  Pass(25s);
  Wake(c);
  EXPECT_TRUE(c.sent.empty());
  c.device.SetEndpoint(peer, b_.here, out);
  c.device.SetPrivateKey(now_, key, out);
  Pass(10s);
  Wake(c);
  ASSERT_EQ(c.sent.size(), 1u) << "the interval went on";
  EXPECT_EQ(c.type(0), 1);
}

TEST_F(Conformance, UpSpeaksAtOnceWherePersistentKeepaliveIsSet) {
  Outbox out;
  a_.device.SetPersistentKeepalive(now_, a_id_, 25, out);
  Keep(a_, out);
  Carry();
  a_.device.SetUp(now_, false, out);
  Pass(1s);
  Outbox up;
  a_.device.SetUp(now_, true, up);
  Keep(a_, up);
  ASSERT_EQ(a_.sent.size(), 1u);
  EXPECT_EQ(a_.type(0), 1);
}

// ---- §1.7 sessions ----

TEST_F(Conformance, ThePreviousSessionStillOpensAndTheOneBeforeDoesNot) {
  Handshake();
  Tun(a_, to_b_);
  Tun(a_, to_b_);
  const Bytes first = a_.sent[0].bytes, second = a_.sent[1].bytes;
  a_.sent.clear();
  Rekey(a_, a_id_);
  EXPECT_EQ(Feed(b_, first, a_.here), Drop::kNone);
  Rekey(a_, a_id_);
  EXPECT_EQ(Feed(b_, second, a_.here), Drop::kUnknownIndex);
}

TEST_F(Conformance, AnInitiatorsPreviousSessionOpensWhatWasUnderWay) {
  Handshake();
  Tun(b_, to_a_);
  const Bytes under_way = b_.sent[0].bytes;
  b_.sent.clear();
  Rekey(a_, a_id_);
  EXPECT_EQ(Feed(a_, under_way, b_.here), Drop::kNone);
  EXPECT_EQ(a_.received.size(), 1u);
}

TEST_F(Conformance, AResponderDropsItsPreviousSessionForTheOneOffered) {
  Handshake();
  Tun(a_, to_b_);
  const Bytes first = a_.sent[0].bytes;
  a_.sent.clear();
  Rekey(a_, a_id_);  // first's session is previous now
  Pass(6s);
  Outbox out;
  ASSERT_TRUE(a_.device.handshaker().Initiate(now_, a_id_, 0s, out));
  Keep(a_, out);
  ASSERT_EQ(Feed(b_, a_.sent[0].bytes, a_.here), Drop::kNone);
  EXPECT_EQ(Feed(b_, first, a_.here), Drop::kUnknownIndex);
}

TEST_F(Conformance, AnInitiatorWithASessionOfferedKeepsThatAsPreviousAndDropsItsCurrent) {
  Handshake();
  Tun(b_, to_a_);
  const Bytes on_current = b_.sent[0].bytes;
  b_.sent.clear();
  // b initiates; a answers and has `next`, but b's confirmation is lost on the way.
  Pass(6s);
  Outbox out;
  ASSERT_TRUE(b_.device.handshaker().Initiate(now_, b_id_, 0s, out));
  Keep(b_, out);
  ASSERT_EQ(Feed(a_, std::exchange(b_.sent, {})[0].bytes, b_.here), Drop::kNone);
  ASSERT_EQ(Feed(b_, std::exchange(a_.sent, {})[0].bytes, a_.here), Drop::kNone);
  ASSERT_EQ(b_.type(0), 4);
  const Bytes on_next = std::exchange(b_.sent, {})[0].bytes;
  Rekey(a_, a_id_);
  EXPECT_EQ(Feed(a_, on_current, b_.here), Drop::kUnknownIndex);
  EXPECT_EQ(Feed(a_, on_next, b_.here), Drop::kNone);
}

TEST_F(Conformance, IndicesAreNotGuessable) {
  std::set<uint32_t> indices;
  uint32_t high_bits = 0, low_bits = UINT32_MAX;
  for (int i = 0; i < 64; ++i) {
    Pass(6s);
    Outbox out;
    ASSERT_TRUE(a_.device.handshaker().Initiate(now_, a_id_, 0s, out));
    Keep(a_, out);
    const uint32_t index = LoadLe<uint32_t>(a_.sent.back().bytes.data() + 4);
    indices.insert(index);
    high_bits |= index;
    low_bits &= index;
  }
  EXPECT_EQ(indices.size(), 64u);
  EXPECT_EQ(high_bits, UINT32_MAX) << "every bit is drawn";
  EXPECT_EQ(low_bits, 0u);
}

// ---- §1.9 data path ----

TEST_F(Conformance, DataIsPaddedToSixteenButNotBeyondTheMtu) {
  Handshake();
  struct Case {
    size_t packet;
    uint16_t mtu;
    size_t message;
  };
  for (const Case& c : {Case{28, 1420, 32 + 32},
                        {32, 1420, 32 + 32},
                        {33, 1420, 32 + 48},
                        {1419, 1420, 32 + 1420},
                        {1280, 1280, 32 + 1280},
                        {1279, 1280, 32 + 1280},
                        {100, 100, 32 + 100},
                        {99, 100, 32 + 100}}) {
    SCOPED_TRACE(c.packet);
    a_.device.SetMtu(c.mtu);
    Tun(a_, Ip4("10.0.0.1", "10.0.0.2", c.packet));
    ASSERT_EQ(a_.sent.size(), 1u);
    EXPECT_EQ(a_.sent[0].bytes.size(), c.message);
    Carry();
    EXPECT_EQ(b_.received.back().size(), c.packet) << "and trimmed again";
  }
}

TEST_F(Conformance, HandshakesAreMarkedAndDataCarriesOnlyTheInnerEcn) {
  Bytes marked = to_b_;
  marked[1] = 0xb8 | 2;
  Tun(a_, marked);
  EXPECT_EQ(a_.sent[0].tos, 0x88);
  Feed(b_, a_.sent[0].bytes, a_.here);
  EXPECT_EQ(b_.sent[0].tos, 0x88);
  a_.sent.clear();
  Feed(a_, b_.sent[0].bytes, b_.here);
  ASSERT_EQ(a_.type(0), 4);
  EXPECT_EQ(a_.sent[0].tos, 2) << "ECT(0), and no trace of the inner DSCP";
}

TEST_F(Conformance, AnswersLeaveFromWhereThePacketsArrived) {
  const Source first = At("192.0.2.20"), second = At("192.0.2.21");
  Tun(a_, to_b_);
  Feed(b_, a_.sent[0].bytes, a_.here, first);
  ASSERT_EQ(b_.sent.size(), 1u);
  EXPECT_EQ(b_.sent[0].source, first);
  a_.sent.clear();
  Feed(a_, b_.sent[0].bytes, b_.here);
  Feed(b_, a_.sent[0].bytes, a_.here, second);
  b_.sent.clear();
  Tun(b_, to_a_);
  EXPECT_EQ(b_.sent[0].source, second) << "of the last authenticated packet, data too";
}

TEST_F(Conformance, TheStickySourceIsForgottenWhenItMayBeWrong) {
  const Source here = At("192.0.2.20");
  struct Case {
    const char* name;
    std::function<void(Outbox&)> event;
  };
  const Case cases[] = {
      {"port", [this](Outbox& out) { b_.device.SetListenPort(5, out); }},
      {"mark", [this](Outbox& out) { b_.device.SetFwmark(5, out); }},
      {"endpoint", [this](Outbox& out) { b_.device.SetEndpoint(b_id_, a_.here, out); }},
      {"send error", [this](Outbox& out) { b_.device.OnSourceRefused(b_id_, out); }},
  };
  Handshake();
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Tun(a_, to_b_);
    Feed(b_, a_.sent[0].bytes, a_.here, here);
    a_.sent.clear();
    Tun(b_, to_a_);
    EXPECT_EQ(b_.sent.back().source, here);
    Outbox out;
    c.event(out);
    Tun(b_, to_a_);
    EXPECT_FALSE(b_.sent.back().source.known);
    b_.sent.clear();
  }
  // New-handshake expiry: 15 s of silence after data.
  Tun(a_, to_b_);
  Feed(b_, a_.sent[0].bytes, a_.here, here);
  Tun(b_, to_a_);
  EXPECT_EQ(b_.sent.back().source, here);
  b_.sent.clear();
  Pass(16s);
  Wake(b_);
  ASSERT_FALSE(b_.sent.empty());
  EXPECT_EQ(b_.sent.back().bytes[0], 1);
  EXPECT_FALSE(b_.sent.back().source.known);
}

TEST_F(Conformance, AResponseRoamsAndARefusedOneDoesNot) {
  const Endpoint moved = *Endpoint::Parse("203.0.113.5:777");
  Tun(a_, to_b_);
  Feed(b_, a_.sent[0].bytes, a_.here);
  Bytes spoilt = b_.sent[0].bytes;
  spoilt[50] ^= 1;
  EXPECT_NE(Feed(a_, spoilt, moved), Drop::kNone);
  EXPECT_EQ(a_.device.endpoint(a_id_), b_.here);
  EXPECT_EQ(Feed(a_, b_.sent[0].bytes, moved), Drop::kNone);
  EXPECT_EQ(a_.device.endpoint(a_id_), moved);
}

TEST_F(Conformance, AKeepaliveRoamsToo) {
  Handshake();
  Pass(10s);
  Wake(b_);
  const Endpoint moved = *Endpoint::Parse("203.0.113.5:777");
  ASSERT_EQ(b_.sent[0].bytes.size(), 32u);
  EXPECT_EQ(Feed(a_, b_.sent[0].bytes, moved), Drop::kNone);
  EXPECT_EQ(a_.device.endpoint(a_id_), moved);
}

TEST_F(Conformance, TheLongestPrefixMustBelongToTheSender) {
  // c owns 10.0.0.77 inside the /24 that a is given: a may not speak as c.
  Host c(3, "192.0.2.3:1003", now_);
  Know(b_, c, "10.0.0.77/32", false);
  ASSERT_TRUE(b_.device.AddAllowedIp(b_id_, *Prefix::Parse("10.0.0.0/24")).ok());
  Handshake();
  Tun(a_, Ip4("10.0.0.78", "10.0.0.2"));
  Tun(a_, Ip4("10.0.0.77", "10.0.0.2"));
  EXPECT_EQ(Feed(b_, a_.sent[0].bytes, a_.here), Drop::kNone);
  EXPECT_EQ(Feed(b_, a_.sent[1].bytes, a_.here), Drop::kBadSource);
  EXPECT_EQ(b_.received.size(), 1u);
}

TEST_F(Conformance, NoEndpointIsAnsweredWithIcmpToo) {
  Host c(3, "192.0.2.3:1003", now_);
  Know(a_, c, "10.0.0.3/32", false);
  Tun(a_, Ip4("10.0.0.1", "10.0.0.3"));
  ASSERT_EQ(a_.received.size(), 1u);
  EXPECT_EQ(a_.received[0][20], 3);
  EXPECT_TRUE(a_.sent.empty());
}

TEST_F(Conformance, CountersTakeWholeMessagesAndNoCookies) {
  Handshake();
  const auto stats = [](Host& h) { return std::move(h.device.GetConfig().peers[0]); };
  const PeerConfig before_a = stats(a_), before_b = stats(b_);
  Tun(a_, to_b_);  // 100 bytes: 112 padded
  Bytes again = a_.sent[0].bytes;
  Carry();
  EXPECT_EQ(stats(a_).tx_bytes - before_a.tx_bytes, 32u + 112u);
  EXPECT_EQ(stats(b_).rx_bytes - before_b.rx_bytes, 32u + 112u);
  EXPECT_EQ(Feed(b_, again, a_.here), Drop::kReplayed);
  EXPECT_EQ(stats(b_).rx_bytes - before_b.rx_bytes, 32u + 112u)
      << "what was refused does not count";
}

TEST_F(Conformance, AnOrdinaryDatagramOfAnySizeIsHarmless) {
  Handshake();
  Tun(a_, to_b_);
  Bytes huge = a_.sent[0].bytes;
  huge.resize(65507);
  EXPECT_EQ(Feed(b_, huge, a_.here), Drop::kBadSeal);
  EXPECT_EQ(Feed(b_, Bytes(65507, 1), a_.here), Drop::kBadType);
  EXPECT_EQ(Feed(b_, {}, a_.here), Drop::kBadSize);
}

}  // namespace
}  // namespace aqmesh::wireguard
