// Whole devices against each other over a virtual wire, in virtual time.
#include "transport/wireguard/device.h"

#include "tests/transport/wireguard/hosts.h"

namespace aqmesh::wireguard {
namespace {

TEST_F(DeviceTest, HandshakeCarriesStagedPacketsAndConfirms) {
  Tun(a_, to_b_);
  ASSERT_EQ(a_.sent.size(), 1u);
  EXPECT_EQ(a_.sent[0].bytes.size(), 148u);
  Carry();
  ASSERT_EQ(b_.received.size(), 1u);
  EXPECT_EQ(b_.received[0], to_b_);
  Tun(b_, to_a_);
  Carry();
  ASSERT_EQ(a_.received.size(), 1u);
  EXPECT_EQ(a_.received[0], to_a_);
  ASSERT_EQ(b_.events.size(), 2u);
  EXPECT_EQ(b_.events[0].kind, SessionEvent::Kind::kInstalled);
  EXPECT_EQ(b_.events[0].slot, Slot::kNext);
  EXPECT_EQ(b_.events[1].kind, SessionEvent::Kind::kPromoted);
  EXPECT_EQ(a_.events[0].local_index, b_.events[0].remote_index);

  const DeviceConfig config = a_.device.GetConfig();
  ASSERT_EQ(config.peers.size(), 1u);
  EXPECT_EQ(config.peers[0].tx_bytes, 148u + 144u);
  EXPECT_EQ(config.peers[0].rx_bytes, 92u + 144u);
  EXPECT_EQ(config.peers[0].last_handshake, now_.wall);
}

TEST_F(DeviceTest, ResponderMayNotSendBeforeTheInitiatorDid) {
  Tun(a_, to_b_);
  Feed(b_, a_.sent[0].bytes, a_.here);
  ASSERT_EQ(b_.sent.size(), 1u);
  Tun(b_, to_a_);
  EXPECT_EQ(b_.sent.size(), 1u) << "staged; its own initiation waits for 5 s after the response";
  a_.sent.clear();
  Carry();
  EXPECT_EQ(a_.received.size(), 1u);
  EXPECT_EQ(b_.received.size(), 1u);
}

TEST_F(DeviceTest, DuplicatesAndOldPacketsAreRefused) {
  Handshake();
  std::vector<Sent> wire;
  for (int i = 0; i < 50; ++i) Tun(a_, to_b_);
  wire = std::exchange(a_.sent, {});
  for (size_t i = wire.size(); i-- > 0;) {
    EXPECT_EQ(Feed(b_, wire[i].bytes, a_.here), Drop::kNone);
    EXPECT_EQ(Feed(b_, wire[i].bytes, a_.here), Drop::kReplayed);
  }
  EXPECT_EQ(b_.received.size(), 50u);
}

// Data messages that come in one turn are opened together, with a handshake between them.
TEST_F(DeviceTest, WhatComesTogetherIsWorthWhatItIsAlone) {
  Handshake();
  Pass(6s);
  for (int i = 0; i < 20; ++i) Tun(a_, to_b_);
  Outbox out;
  ASSERT_TRUE(a_.device.handshaker().Initiate(now_, a_id_, 0s, out));
  a_.device.Settle(now_, out);
  Keep(a_, out);
  for (int i = 0; i < 20; ++i) Tun(a_, to_b_);
  ASSERT_EQ(a_.sent.size(), 41u);
  std::vector<Bytes> wire;  // each altered first, then twice as it is
  for (const Sent& s : std::exchange(a_.sent, {})) {
    wire.push_back(s.bytes);
    wire.back()[20] ^= 1;
    wire.insert(wire.end(), 2, s.bytes);
  }
  std::vector<InDatagram> in;
  for (Bytes& m : wire) in.push_back({.bytes = m, .from = a_.here, .at = {}});
  Outbox got;
  b_.device.OnDatagrams(now_, in, got);
  Keep(b_, got);
  EXPECT_EQ(b_.received, std::vector<Bytes>(40, to_b_));
  EXPECT_EQ(b_.device.drops(Drop::kBadSeal), 40u);
  EXPECT_EQ(b_.device.drops(Drop::kReplayed), 40u);
  EXPECT_EQ(b_.device.drops(Drop::kBadMac1), 1u);
  EXPECT_EQ(b_.sent.size(), 1u) << "one response";
}

TEST_F(DeviceTest, ReplayedInitiationMovesNothing) {
  Tun(a_, to_b_);
  const Bytes initiation = a_.sent[0].bytes;
  Carry();
  Pass(1s);
  const Endpoint elsewhere = *Endpoint::Parse("198.51.100.9:9");
  EXPECT_EQ(Feed(b_, initiation, elsewhere), Drop::kReplayedTimestamp);
  EXPECT_TRUE(b_.sent.empty());
  EXPECT_EQ(b_.device.endpoint(b_id_), a_.here);
}

TEST_F(DeviceTest, InitiationsCloserThanTwentyMillisecondsAreAFlood) {
  Outbox out;
  EXPECT_TRUE(a_.device.handshaker().Initiate(now_, a_id_, 0s, out));
  Pass(19ms);
  EXPECT_TRUE(a_.device.handshaker().Initiate(now_, a_id_, 0s, out));
  Keep(a_, out);
  ASSERT_EQ(a_.sent.size(), 2u);
  EXPECT_EQ(Feed(b_, a_.sent[0].bytes, a_.here), Drop::kNone);
  EXPECT_EQ(Feed(b_, a_.sent[1].bytes, a_.here), Drop::kInitiationFlood);
  Pass(20ms);
  EXPECT_EQ(Feed(b_, a_.sent[1].bytes, a_.here), Drop::kNone);
}

TEST_F(DeviceTest, SimultaneousInitiationsAreSettledByTheJitter) {
  Tun(a_, to_b_);
  Tun(b_, to_a_);
  Carry();
  EXPECT_TRUE(a_.received.empty() && b_.received.empty());
  RunFor(12s, [this] { Carry(); });
  EXPECT_EQ(a_.received.size(), 1u);
  EXPECT_EQ(b_.received.size(), 1u);
}

TEST_F(DeviceTest, LossDuplicationAndReorderingDeliverEachPacketAtMostOnce) {
  Rng dice({42});
  std::vector<Sent> wire;
  size_t sent = 0;
  const auto step = [&](bool lossy) {
    for (Host* h : {&a_, &b_}) {
      for (Sent& s : std::exchange(h->sent, {})) {
        if (lossy && dice.Below(10) < 2) continue;
        if (lossy && dice.Below(10) == 0) wire.push_back(s);
        wire.push_back(std::move(s));
      }
    }
    for (size_t i = wire.size(); i > 1; --i) std::swap(wire[i - 1], wire[dice.Below(i)]);
    const size_t n = wire.size() - (lossy ? wire.size() / 4 : 0);
    std::vector<Sent> now(std::make_move_iterator(wire.begin()),
                          std::make_move_iterator(wire.begin() + static_cast<ptrdiff_t>(n)));
    wire.erase(wire.begin(), wire.begin() + static_cast<ptrdiff_t>(n));
    for (Sent& s : now) Feed(s.to == a_.here ? a_ : b_, s.bytes, s.from);
  };
  for (int i = 0; i < 400; ++i) {
    Tun(a_, to_b_);
    Tun(b_, to_a_);
    ++sent;
    RunFor(1s, [&] { step(true); });
  }
  EXPECT_LE(a_.received.size(), sent);
  EXPECT_LE(b_.received.size(), sent);
  EXPECT_GT(b_.received.size(), sent / 2);
  b_.received.clear();
  RunFor(10s, [&] { step(false); });
  b_.received.clear();
  Tun(a_, to_b_);
  RunFor(10s, [&] { step(false); });
  EXPECT_GE(b_.received.size(), 1u);
}

TEST_F(DeviceTest, RoamsOnAuthenticatedPacketsOnly) {
  Handshake();
  const Endpoint moved = *Endpoint::Parse("203.0.113.5:777");
  Tun(a_, to_b_);
  Bytes forged = a_.sent[0].bytes;
  forged.back() ^= 1;
  EXPECT_EQ(Feed(b_, forged, moved), Drop::kBadSeal);
  EXPECT_EQ(b_.device.endpoint(b_id_), a_.here);
  EXPECT_EQ(Feed(b_, a_.sent[0].bytes, moved), Drop::kNone);
  EXPECT_EQ(b_.device.endpoint(b_id_), moved);
  Tun(b_, to_a_);
  ASSERT_EQ(b_.sent.size(), 1u);
  EXPECT_EQ(b_.sent[0].to, moved);
}

TEST_F(DeviceTest, DifferentPresharedKeysNeverMeet) {
  a_.device.SetPresharedKey(a_id_, Secret<32>(ByteView(std::array<uint8_t, 32>{1})));
  Tun(a_, to_b_);
  Feed(b_, a_.sent[0].bytes, a_.here);
  ASSERT_EQ(b_.sent.size(), 1u);
  EXPECT_EQ(Feed(a_, b_.sent[0].bytes, b_.here), Drop::kBadHandshake);
  EXPECT_TRUE(a_.events.empty());
  b_.sent.clear(), a_.sent.clear();
  b_.device.SetPresharedKey(b_id_, Secret<32>(ByteView(std::array<uint8_t, 32>{1})));
  RunFor(6s, [this] { Carry(); });
  EXPECT_EQ(b_.received.size(), 1u);
}

TEST_F(DeviceTest, EveryTruncationAndEveryBitFlipIsSilentAndHarmless) {
  Tun(a_, to_b_);
  const Bytes initiation = a_.sent[0].bytes;
  const auto attack = [this](Host& h, const Bytes& good, const Endpoint& from) {
    const size_t events = h.events.size();
    const size_t wire = h.sent.size();
    for (size_t n = 0; n < good.size(); ++n)
      EXPECT_NE(Feed(h, ByteView(good).first(n), from), Drop::kNone) << n;
    Bytes longer = good;
    longer.push_back(0);
    EXPECT_NE(Feed(h, longer, from), Drop::kNone);
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
      if (good[0] <= 2 && bit / 8 >= good.size() - 16) continue;  // mac2 counts only under load
      Pass(2ms);
      Bytes bad = good;
      bad[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
      EXPECT_NE(Feed(h, bad, from), Drop::kNone) << bit;
    }
    EXPECT_EQ(h.events.size(), events);
    EXPECT_EQ(h.sent.size(), wire);
    EXPECT_TRUE(h.received.empty());
  };
  const Endpoint other = *Endpoint::Parse("198.51.100.9:9");
  attack(b_, initiation, other);
  EXPECT_EQ(b_.device.endpoint(b_id_), a_.here);
  EXPECT_EQ(Feed(b_, initiation, a_.here), Drop::kNone);
  const Bytes response = b_.sent[0].bytes;
  attack(a_, response, other);
  a_.sent.clear();
  EXPECT_EQ(Feed(a_, response, b_.here), Drop::kNone);
  ASSERT_EQ(a_.sent.size(), 1u);
  const Bytes data = a_.sent[0].bytes;
  ASSERT_EQ(data[0], 4);
  b_.sent.clear();
  attack(b_, data, other);
  EXPECT_EQ(Feed(b_, data, a_.here), Drop::kNone);
  EXPECT_EQ(b_.received.size(), 1u);
}

TEST_F(DeviceTest, StrangersHearNothing) {
  Host c(3, "192.0.2.3:1003", now_);
  Know(c, b_, "10.0.0.2/32");
  Tun(c, Ip4("10.0.0.3", "10.0.0.2"));
  ASSERT_EQ(c.sent.size(), 1u);
  EXPECT_EQ(Feed(b_, c.sent[0].bytes, c.here), Drop::kUnknownPeer);
  EXPECT_TRUE(b_.sent.empty() && b_.events.empty());
}

TEST_F(DeviceTest, UnderLoadStrangersGetCookiesAndPeersGetThrough) {
  Tun(a_, to_b_);
  const Bytes initiation = a_.sent[0].bytes;
  Bytes junk = initiation;
  int cookies = 0;
  Host c(3, "192.0.2.3:1003", now_);
  Know(c, b_, "10.0.0.2/32");
  Tun(c, Ip4("10.0.0.3", "10.0.0.2"));
  for (int i = 0; i < 200; ++i) {
    if (Feed(b_, c.sent[0].bytes, c.here) == Drop::kCookieWanted) ++cookies;
  }
  EXPECT_GT(cookies, 50);
  EXPECT_EQ(b_.sent.size(), static_cast<size_t>(cookies));
  b_.sent.clear();
  a_.sent.clear();
  EXPECT_EQ(Feed(b_, initiation, a_.here), Drop::kCookieWanted);
  ASSERT_EQ(b_.sent.size(), 1u);
  EXPECT_EQ(b_.sent[0].bytes.size(), 64u);
  const Bytes reply = b_.sent[0].bytes;
  const Endpoint moved = *Endpoint::Parse("203.0.113.5:777");
  EXPECT_EQ(Feed(a_, reply, moved), Drop::kNone);
  EXPECT_TRUE(a_.sent.empty()) << "a cookie never triggers a resend";
  EXPECT_EQ(a_.device.endpoint(a_id_), b_.here) << "and never roams";
  EXPECT_EQ(Feed(a_, reply, moved), Drop::kBadCookie);
  for (size_t n = 0; n < reply.size(); ++n)
    EXPECT_NE(Feed(a_, ByteView(reply).first(n), moved), Drop::kNone);
  b_.sent.clear();
  RunFor(6s, [&] {
    for (int i = 0; i < 300; ++i) Feed(b_, c.sent[0].bytes, c.here);  // the flood goes on
    b_.sent.clear();
    Carry();
  });
  EXPECT_EQ(b_.received.size(), 1u) << "mac2 let the retry in";
}

TEST_F(DeviceTest, InitiatorRekeysAfter120SecondsOfSending) {
  Handshake();
  Pass(120s);
  Tun(a_, to_b_);
  ASSERT_EQ(a_.sent.size(), 1u);
  EXPECT_EQ(a_.type(0), 4);
  Carry();
  Pass(1ms);
  Tun(a_, to_b_);
  ASSERT_EQ(a_.sent.size(), 2u);
  EXPECT_EQ(a_.type(0), 4) << "goes on with the old key";
  EXPECT_EQ(a_.type(1), 1);
  a_.sent.clear();
  Pass(1s);
  Tun(b_, to_a_);
  EXPECT_EQ(b_.type(0), 4);
  EXPECT_EQ(b_.sent.size(), 1u) << "the responder does not rekey";
}

TEST_F(DeviceTest, KeysAreRefusedAt180Seconds) {
  Handshake();
  Tun(a_, to_b_);
  const Bytes late = a_.sent[0].bytes;
  a_.sent.clear();
  Pass(180s);
  EXPECT_EQ(Feed(b_, late, a_.here), Drop::kNone) << "received until 180 s";
  Tun(a_, to_b_);
  ASSERT_EQ(a_.sent.size(), 1u);
  EXPECT_EQ(a_.type(0), 1) << "not sent at 180 s: staged, and an initiation";
  Pass(1ns);
  EXPECT_EQ(Feed(b_, late, a_.here), Drop::kSessionExpired);
}

TEST_F(DeviceTest, ReceivingAfter165SecondsRekeysOnce) {
  Handshake();
  Pass(165s + 1ns);
  for (int i = 0; i < 2; ++i) {
    Tun(b_, to_a_);
    const Bytes data = b_.sent.back().bytes;
    ASSERT_EQ(data[0], 4);
    Feed(a_, data, b_.here);
    Pass(6s);
  }
  ASSERT_EQ(a_.sent.size(), 1u);
  EXPECT_EQ(a_.type(0), 1);
}

TEST_F(DeviceTest, CounterLimitsRekeyAndRefuse) {
  Handshake();
  Keypair* const k = a_.device.forwarder().SessionForTest(a_.events[0].local_index);
  k->sync->SetNextForTest(kRekeyAfterMessages);
  Pass(6s);
  Tun(a_, to_b_);
  ASSERT_EQ(a_.sent.size(), 2u);
  EXPECT_EQ(a_.type(1), 1);
  a_.sent.clear();
  k->sync->SetNextForTest(kRejectAfterMessages - 1);
  Tun(a_, to_b_);
  EXPECT_EQ(Feed(b_, a_.sent[0].bytes, a_.here), Drop::kNone);
  a_.sent.clear();
  Tun(a_, to_b_);
  EXPECT_TRUE(a_.sent.empty());
}

TEST_F(DeviceTest, IdlePeersFallSilentAndKeysAreWipedAt540Seconds) {
  Handshake();
  size_t keepalives = 0;
  RunFor(539s, [&] {
    for (Host* h : {&a_, &b_}) {
      for (const Sent& s : h->sent) keepalives += s.bytes.size() == 32;
    }
    Carry();
  });
  EXPECT_EQ(keepalives, 1u) << "b answers the data once after 10 s";
  EXPECT_NE(a_.device.forwarder().Session(a_.events[0].local_index), nullptr);
  RunFor(2s, [this] { Carry(); });
  EXPECT_EQ(a_.device.forwarder().Session(a_.events[0].local_index), nullptr);
  EXPECT_EQ(a_.events.back().kind, SessionEvent::Kind::kGone);
  EXPECT_EQ(a_.device.NextWake(), kNever);
}

TEST_F(DeviceTest, LongTrafficOutlivesManyRekeys) {
  for (int i = 0; i < 1200; ++i) {
    Tun(a_, to_b_);
    Carry();
    Tun(b_, to_a_);
    Carry();
    RunFor(1s, [this] { Carry(); });
  }
  EXPECT_EQ(a_.received.size(), 1200u);
  EXPECT_EQ(b_.received.size(), 1200u);
  size_t installed = 0, gone = 0;
  for (const SessionEvent& e : a_.events) {
    installed += e.kind == SessionEvent::Kind::kInstalled;
    gone += e.kind == SessionEvent::Kind::kGone;
  }
  EXPECT_GE(installed, 9u);
  EXPECT_LE(installed - gone, 3u);
}

TEST_F(DeviceTest, StagedPacketsAreBoundedAndTheOldestGo) {
  Outbox out;
  for (int i = 0; i < 200; ++i) Tun(a_, Ip4("10.0.0.1", "10.0.0.2", static_cast<size_t>(100 + i)));
  EXPECT_EQ(a_.device.forwarder().staged(a_id_), Forwarder::kStagedMax);
  Carry();
  ASSERT_EQ(b_.received.size(), Forwarder::kStagedMax);
  EXPECT_EQ(b_.received.front().size(), 172u);
  EXPECT_EQ(b_.received.back().size(), 299u);
}

TEST_F(DeviceTest, PacketsFromAWrongInnerSourceAreDropped) {
  Handshake();
  Tun(a_, Ip4("10.9.9.9", "10.0.0.2"));
  EXPECT_EQ(Feed(b_, a_.sent[0].bytes, a_.here), Drop::kBadSource);
  EXPECT_TRUE(b_.received.empty());
}

TEST_F(DeviceTest, NoRouteIsAnsweredWithIcmpToTheTun) {
  Tun(a_, Ip4("10.0.0.1", "10.7.7.7"));
  ASSERT_EQ(a_.received.size(), 1u);
  EXPECT_EQ(a_.received[0][9], 1);
  EXPECT_EQ(a_.received[0][20], 3);
  EXPECT_EQ(a_.received[0][21], 1);
  Tun(a_, a_.received[0]);
  EXPECT_EQ(a_.received.size(), 1u) << "no error about an error";
}

TEST_F(DeviceTest, LowOrderPeersAreNeverSpokenTo) {
  Outbox out;
  X25519Key one;
  one.data()[0] = 1;  // of order 1
  const PeerId id = *a_.device.AddPeer(now_, one, out);
  a_.device.SetEndpoint(id, b_.here, out);
  ASSERT_TRUE(a_.device.AddAllowedIp(id, *Prefix::Parse("10.0.0.9")).ok());
  Tun(a_, Ip4("10.0.0.1", "10.0.0.9"));
  a_.device.SetPersistentKeepalive(now_, id, 1, out);
  EXPECT_TRUE(a_.sent.empty() && out.datagrams.empty());
}

TEST_F(DeviceTest, PersistentKeepaliveStartsAtOnceAndGoesOn) {
  Outbox out;
  a_.device.SetPersistentKeepalive(now_, a_id_, 25, out);
  Keep(a_, out);
  ASSERT_EQ(a_.sent.size(), 1u);
  EXPECT_EQ(a_.type(0), 1);
  Carry();
  size_t keepalives = 0;
  RunFor(100s, [&] {
    for (const Sent& s : a_.sent) keepalives += s.bytes.size() == 32;
    Carry();
  });
  EXPECT_EQ(keepalives, 4u);
}

TEST_F(DeviceTest, ChangingOurKeyEndsSendingAndRemovesOurselves) {
  Handshake();
  Outbox out;
  Host c(3, "192.0.2.3:1003", now_);
  Know(a_, c, "10.0.0.3/32");
  const DeviceConfig theirs = c.device.GetConfig();
  a_.device.SetPrivateKey(now_, theirs.private_key, out);
  EXPECT_FALSE(a_.device.FindPeer(c.device.public_key()));
  EXPECT_FALSE(a_.device.AddPeer(now_, c.device.public_key(), out).ok());
  Tun(a_, to_b_);
  ASSERT_EQ(a_.sent.size(), 1u);
  EXPECT_EQ(a_.type(0), 1) << "a new handshake at once";
}

TEST_F(DeviceTest, DownForgetsSessionsAndDropsEverything) {
  Handshake();
  Tun(a_, to_b_);
  const Bytes data = a_.sent[0].bytes;
  a_.sent.clear();
  Outbox out;
  b_.device.SetUp(now_, false, out);
  EXPECT_EQ(Feed(b_, data, a_.here), Drop::kDown);
  b_.device.SetUp(now_, true, out);
  EXPECT_EQ(Feed(b_, data, a_.here), Drop::kUnknownIndex);
  EXPECT_EQ(b_.device.NextWake() == kNever || b_.device.NextWake() > now_.mono, true);
}

TEST_F(DeviceTest, RemovedPeersLeaveNothing) {
  Handshake();
  Outbox out;
  b_.device.RemovePeer(now_, b_id_, out);
  EXPECT_EQ(b_.device.forwarder().allowed_ips().size(), 0u);
  Tun(a_, to_b_);
  EXPECT_EQ(Feed(b_, a_.sent[0].bytes, a_.here), Drop::kUnknownIndex);
  Pass(600s);
  Wake(b_);
  EXPECT_TRUE(b_.sent.empty());
  EXPECT_EQ(*b_.device.AddPeer(now_, a_.device.public_key(), out), b_id_);
}

class GovernedTest : public DeviceTest {
 protected:
  GovernedTest() {
    Govern(a_, a_id_);
    Govern(b_, b_id_);
  }
  void Govern(Host& h, PeerId peer) {
    Outbox out;
    h.device.handshaker().SetGoverned(peer, true, out);
    h.device.Settle(now_, out);
  }
  static ByteView Message(const GovernedHandshake& g) { return ByteView(g.message).first(g.size); }
};

TEST_F(GovernedTest, HandshakeRunsThroughTheNodesHands) {
  Tun(a_, to_b_);
  EXPECT_TRUE(a_.sent.empty());
  ASSERT_EQ(a_.governed.size(), 1u);
  const GovernedHandshake& initiation = a_.governed[0];
  std::optional<Handshaker::PeekedInitiation> peeked;
  ASSERT_EQ(b_.device.handshaker().PeekInitiation(Message(initiation), peeked), Drop::kNone);
  EXPECT_EQ(peeked->peer, b_id_);
  EXPECT_EQ(peeked->consumed.chain.ck, initiation.ck);
  EXPECT_EQ(peeked->consumed.chain.h, initiation.h);
  Outbox out;
  ASSERT_EQ(b_.device.handshaker().AcceptInitiation(now_, b_id_, peeked->consumed, out),
            Drop::kNone);
  b_.device.Settle(now_, out);
  Keep(b_, out);
  EXPECT_EQ(b_.device.handshaker().AcceptInitiation(now_, b_id_, peeked->consumed, out),
            Drop::kReplayedTimestamp);
  ASSERT_EQ(b_.governed.size(), 1u);
  const GovernedHandshake& response = b_.governed[0];
  std::optional<Handshaker::PeekedResponse> answer;
  ASSERT_EQ(a_.device.handshaker().PeekResponse(Message(response), answer), Drop::kNone);
  EXPECT_EQ(answer->consumed.chain.ck, response.ck);
  EXPECT_EQ(answer->consumed.chain.h, response.h);
  Outbox done;
  ASSERT_EQ(a_.device.handshaker().AcceptResponse(now_, *answer, done), Drop::kNone);
  a_.device.Settle(now_, done);
  a_.device.forwarder().SealPending(done);
  Keep(a_, done);
  EXPECT_EQ(a_.device.handshaker().AcceptResponse(now_, *answer, done), Drop::kWrongState);

  ASSERT_EQ(a_.frames.size(), 1u);
  Bytes frame = a_.frames[0];
  EXPECT_EQ(Feed(b_, ByteView(frame).subspan(16), a_.here), Drop::kNotPlain)
      << "bare frames are not served";
  const Forwarder::Opened opened = b_.device.forwarder().Open(
      now_, MutableBytes(frame).subspan(16), Forwarder::Framing::kGoverned, nullptr, nullptr);
  EXPECT_EQ(opened.why, Drop::kNone);
  EXPECT_TRUE(Equal(opened.packet, to_b_));
  Outbox promoted;
  b_.device.Settle(now_, promoted);
  ASSERT_EQ(promoted.sessions.size(), 1u);
  EXPECT_EQ(promoted.sessions[0].kind, SessionEvent::Kind::kPromoted);
  Bytes buffer(16 + b_.device.forwarder().SealedSize(to_a_.size()));
  std::copy(to_a_.begin(), to_a_.end(), buffer.begin() + 32);
  const Forwarder::Sealed sealed = b_.device.forwarder().SealOn(
      now_, promoted.sessions[0].local_index, buffer, 16, to_a_.size());
  EXPECT_EQ(sealed.why, Drop::kNone);
  EXPECT_EQ(sealed.size + 16, buffer.size());
}

TEST_F(GovernedTest, AnInnerMessageCutOutMovesNothing) {  // spec: the look-up precedes all state
  Tun(a_, to_b_);
  const Bytes inner(Message(a_.governed[0]).begin(), Message(a_.governed[0]).end());
  EXPECT_EQ(Feed(b_, inner, a_.here), Drop::kNotPlain);
  EXPECT_TRUE(b_.sent.empty() && b_.governed.empty() && b_.events.empty());
  EXPECT_TRUE(b_.device.handshaker().timestamp_floor(b_id_).is_zero());
}

}  // namespace
}  // namespace aqmesh::wireguard
