// What someone on the path may do to handshakes, the copy that they altered always first: no state
// changes, nothing is answered, and the intact copy still admits (threat rows of spec/security.md).
#include "tests/node/pair.h"
#include "transport/frame/envelope.h"
#include "transport/wireguard/cookie.h"

namespace aqmesh::node {
namespace {

// What a node holds that a handshake may change, drops apart: they are counted.
std::string StateOf(const TestNode& n) {
  std::string out;
  for (const PeerView& p : n.control->Peers()) {
    out += Join(p.id,
                " ",
                p.name,
                " ",
                static_cast<int>(p.rung),
                " ",
                static_cast<int>(p.reason),
                " ",
                p.committed,
                " ",
                p.rx_bytes,
                " ",
                p.tx_bytes,
                " ",
                p.last_handshake.seconds(),
                " ",
                p.endpoint ? p.endpoint->ToString() : "-",
                "\n");
  }
  out += Join("rows ", n.control->mesh().Rows().size(), " records ", n.disk.size());
  return out;
}

// AQ-mac1 as whoever knows the receiver's public key can make it.
void MakeMac1Right(Bytes& envelope, const X25519Key& receiver) {
  const auto mac = wireguard::CookieKeeper(wireguard::kGovernedLabels, receiver)
                       .Mac1(ByteView(envelope).first(frame::kMac1At));
  std::copy(mac.begin(), mac.end(), envelope.begin() + frame::kMac1At);
}

class AttackTest : public testing::Test {
 protected:
  AttackTest() : a(mesh.Add("a")), b(mesh.Add("b")) {
    mesh.Introduce(a, b);
    a.Start();
    b.Start();
  }
  // a's next initiation towards b.
  Bytes Initiation() {
    for (int i = 0; i < 200; ++i) {
      for (auto& d : a.Wake().datagrams) {
        if (d.bytes[0] == 0xa1) return d.bytes;
      }
      a.Later(100ms);
      b.Later(100ms);
    }
    ADD_FAILURE() << "no initiation came";
    return Bytes(frame::kEnvelopeBytes);
  }
  Bytes ResponseTo(const Bytes& initiation) {
    for (auto& d : b.Get(initiation, a.endpoint).datagrams) {
      if (d.bytes[0] == 0xa2) return d.bytes;
    }
    ADD_FAILURE() << "no response came";
    return Bytes(frame::kEnvelopeBytes);
  }
  void ExpectIgnored(TestNode& at,
                     const Bytes& bytes,
                     const Endpoint& from,
                     const std::string& what) {
    at.Later(50ms);  // below what counts as load
    const std::string before = StateOf(at);
    const Did did = at.Get(bytes, from);
    ASSERT_TRUE(did.Nothing()) << what << ": " << did.datagrams.size() << " answers, "
                               << did.commits.size() << " commits, " << did.events.size()
                               << " events";
    ASSERT_EQ(StateOf(at), before) << what;
  }
  // Every byte up to AQ-mac2 flipped, one at a time, AQ-mac1 left as it was and made right again.
  void FlipEach(TestNode& at, const Bytes& intact, const Endpoint& from) {
    for (size_t i = 0; i < frame::kMac2At; ++i) {
      Bytes altered = intact;
      altered[i] ^= static_cast<uint8_t>(1u << (i % 8));
      ASSERT_NO_FATAL_FAILURE(ExpectIgnored(at, altered, from, Join("byte ", i)));
      if (i >= frame::kMac1At) continue;  // made right, it would be intact
      MakeMac1Right(altered, at.static_key());
      ASSERT_NO_FATAL_FAILURE(ExpectIgnored(at, altered, from, Join("byte ", i, ", mac1 right")));
    }
  }
  bool Talk() {
    const Bytes packet = Udp6(mesh.AddressOf(a), mesh.AddressOf(b), 7, 0xabcd);
    for (auto& d : a.FromTun(packet).datagrams) {
      const Did did = b.Get(d.bytes, a.endpoint);
      if (!did.tun.empty()) return did.tun[0] == packet;
    }
    return false;
  }

  Mesh2 mesh;
  TestNode& a;
  TestNode& b;
  const Endpoint attacker = *Endpoint::Parse("198.51.100.66:666");
};

TEST_F(AttackTest, NoFlippedInitiationLeavesATrace) {
  const Bytes intact = Initiation();
  FlipEach(b, intact, attacker);
  mesh.Carry(a, a.Get(ResponseTo(intact), b.endpoint));
  EXPECT_TRUE(Talk());
}

TEST_F(AttackTest, NoFlippedResponseLeavesATrace) {
  const Bytes response = ResponseTo(Initiation());
  FlipEach(a, response, attacker);
  mesh.Carry(a, a.Get(response, b.endpoint));
  EXPECT_TRUE(Talk());
}

TEST_F(AttackTest, BundlesOfOtherHandshakesAreRefused) {
  std::vector<Bytes> four;
  for (int i = 0; i < 4; ++i) {
    four.push_back(Initiation());
    a.Later(6s), b.Later(6s);
  }
  const size_t at = frame::LayoutOf(frame::Handshake::kInitiation).bundle_at;
  for (size_t i = 0; i < 4; ++i) {
    for (size_t j = 0; j < 4; ++j) {
      if (i == j) continue;
      Bytes spliced = four[i];
      std::copy(four[j].begin() + static_cast<std::ptrdiff_t>(at),
                four[j].begin() + frame::kMac1At,
                spliced.begin() + static_cast<std::ptrdiff_t>(at));
      MakeMac1Right(spliced, b.static_key());
      ASSERT_NO_FATAL_FAILURE(
          ExpectIgnored(b, spliced, attacker, Join(i, " with the bundle of ", j)));
    }
  }
  for (size_t i = 0; i + 1 < 4; ++i) {
    ResponseTo(four[i]);  // each is still good, in its turn
    b.Later(1s);
  }
  mesh.Carry(a, a.Get(ResponseTo(four[3]), b.endpoint));
  EXPECT_TRUE(Talk());
}

TEST_F(AttackTest, ReplayedInitiationIsRefused) {
  const Bytes first = Initiation();
  mesh.Carry(a, a.Get(ResponseTo(first), b.endpoint));
  EXPECT_TRUE(Talk());
  ExpectIgnored(b, first, attacker, "replay");
  b.Restart();
  ExpectIgnored(b, first, attacker, "replay after a restart");
}

// The message inside, cut out and sent bare: a governed machine is never served so, and the floor
// of its timestamps does not move.
TEST_F(AttackTest, InnerMessageSentBareChangesNothing) {
  const Bytes intact = Initiation();
  const Bytes bare(intact.begin() + frame::kInnerAt, intact.begin() + frame::kInnerAt + 148);
  ExpectIgnored(b, bare, attacker, "bare initiation");
  mesh.Carry(a, a.Get(ResponseTo(intact), b.endpoint));
  EXPECT_TRUE(Talk());
  const Bytes next = Initiation();
  const Bytes bare_next(next.begin() + frame::kInnerAt, next.begin() + frame::kInnerAt + 148);
  ExpectIgnored(b, bare_next, attacker, "bare initiation of a known machine");
}

TEST_F(AttackTest, AlteredFramesAreNotDelivered) {
  mesh.Carry(a, a.Get(ResponseTo(Initiation()), b.endpoint));
  ASSERT_TRUE(Talk());
  const Did sent = a.FromTun(Udp6(mesh.AddressOf(a), mesh.AddressOf(b), 7, 1));
  ASSERT_EQ(sent.datagrams.size(), 1u);
  const Bytes& frame = sent.datagrams[0].bytes;
  for (size_t i = 0; i < frame.size(); ++i) {
    Bytes altered = frame;
    altered[i] ^= 0x10;
    EXPECT_TRUE(b.Get(altered, attacker).tun.empty()) << "byte " << i;
  }
  EXPECT_EQ(b.Get(frame, a.endpoint).tun.size(), 1u);
  EXPECT_TRUE(b.Get(frame, a.endpoint).tun.empty()) << "a replayed frame";
}

// Nothing leaves before the log has it: no answer to the initiator while the disk is busy.
TEST_F(AttackTest, NoResponseBeforeTheDecisionIsDurable) {
  const Bytes intact = Initiation();
  b.hold_commits = true;
  const Did did = b.Get(intact, a.endpoint);
  EXPECT_TRUE(did.datagrams.empty());
  EXPECT_FALSE(did.commits.empty());
}

}  // namespace
}  // namespace aqmesh::node
