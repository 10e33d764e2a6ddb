// A stock WireGuard device on the governed port: served by its PLAIN grant and by nothing else.
#include "tests/node/redecided.h"

namespace aqmesh::node {
namespace {

class PlainTest : public testing::Test {
 protected:
  PlainTest() : gateway(mesh.Add("gateway")), phone({}, Rng(TestSeed(77))) {
    Rng keys(TestSeed(78));
    wireguard::Outbox out;
    phone.SetPrivateKey(now, crypto::NewX25519(keys), out);
    const auto peer = phone.AddPeer(now, gateway.static_key(), out);
    EXPECT_TRUE(peer.ok());
    peer_ = *peer;
    const auto kid = authority::KidOf(authority::Suite::kX25519Static,
                                      *Ed25519Key::From(phone.public_key().view()));
    phone_address = authority::DerivedIp6(mesh.scope(), kid);
    phone.SetEndpoint(peer_, gateway.endpoint, out);
    EXPECT_TRUE(phone.AddAllowedIp(peer_, *Prefix::Parse("::/0")).ok());
    phone.SetUp(now, true, out);
  }
  // Whatever a story led to, each decision in it comes out again.
  void TearDown() override {
    ExpectRedecided(gateway, [this](const Digest&) { return gateway.policy; });
  }
  Held<authority::Grant> PhoneGrant() {
    authority::Grant wanted;
    wanted.cls = authority::Class::kPlain;
    wanted.key = *Ed25519Key::From(phone.public_key().view());
    wanted.name = "phone";
    wanted.tags = {"member"};
    wanted.prefixes = {Prefix::Host(phone_address)};
    return Must(issuing::MakeGrant(mesh.issuer(), wanted, Mesh2::t0()));
  }
  // One packet from the phone through its own WireGuard; returns what came out of the gateway's
  // TUN.
  std::vector<Bytes> Send(Bytes packet) {
    std::vector<Bytes> tun;
    wireguard::Outbox out;
    const std::array<wireguard::TunPacket, 1> packets = {{{.bytes = packet}}};
    phone.OnTunPackets(now, packets, out);
    for (int round = 0; round < 6 && !out.datagrams.empty(); ++round) {
      Did did;
      for (const auto& d : out.datagrams) {
        const ByteView b = out.bytes(d);
        Did one = gateway.Get(Bytes(b.begin(), b.end()), phone_endpoint);
        for (auto& g : one.datagrams) did.datagrams.push_back(std::move(g));
        for (Bytes& p : one.tun) tun.push_back(std::move(p));
      }
      out.Clear();
      for (auto& d : did.datagrams)
        phone.OnDatagram(now, {.bytes = d.bytes, .from = gateway.endpoint, .at = {}}, out);
      answers_ += did.datagrams.size();
    }
    return tun;
  }
  Bytes Packet(uint32_t mark, const IpAddress& src) {
    return Udp6(src, mesh.AddressOf(gateway), 7, mark);
  }

  Mesh2 mesh;
  TestNode& gateway;
  wireguard::Device phone;
  IpAddress phone_address;
  const Endpoint phone_endpoint = *Endpoint::Parse("203.0.113.5:40000");
  Now now{Instant{} + 1000s, WallTime::FromSeconds(1'780'000'000)};
  PeerId peer_ = 0;
  size_t answers_ = 0;
};

TEST_F(PlainTest, WithoutAGrantThePhoneHearsNothing) {
  gateway.Start();
  EXPECT_TRUE(Send(Packet(1, phone_address)).empty());
  EXPECT_EQ(answers_, 0u);
}

TEST_F(PlainTest, AGrantServesItBelowTheCeilingAndARevocationEndsThat) {
  const auto grant = PhoneGrant();
  gateway.Hold(*grant.envelope);
  gateway.Start();
  ASSERT_EQ(gateway.control->Peers().size(), 1u);
  EXPECT_EQ(gateway.control->Peers()[0].rung, authority::Rung::kConstrain);
  EXPECT_EQ(Send(Packet(1, phone_address)).size(), 1u);
  EXPECT_TRUE(Send(Packet(2, *IpAddress::Parse("fd00:aaaa::6"))).empty()) << "a foreign source";
  EXPECT_EQ(gateway.Records(authority::RecordKind::kCommitted).size(), 1u);

  const issuing::Issuer root = mesh.issuer();
  const auto revoke = Must(issuing::MakeRevoke(
      root.signer,
      mesh.scope(),
      {.type = authority::RevokeType::kOid, .kid = {}, .oid = grant.oid(), .floor = 0},
      issuing::Hlc(1'780'000'000'000)));
  gateway.Do([&](Outbox& out) {
    EXPECT_TRUE(gateway.control->Import(gateway.now, revoke.envelope->bytes(), out).ok());
  });
  EXPECT_TRUE(Send(Packet(3, phone_address)).empty());
  EXPECT_TRUE(gateway.control->Peers().empty());
}

TEST_F(PlainTest, WhatWireGuardRefusesIsCounted) {
  gateway.Hold(*PhoneGrant().envelope);
  gateway.Start();
  ASSERT_EQ(Send(Packet(1, phone_address)).size(), 1u);
  Bytes junk(64);
  junk[0] = 4;
  gateway.Get(junk, phone_endpoint);
  junk[0] = 9;  // no type at all
  gateway.Get(junk, phone_endpoint);
  gateway.Later(2min);
  gateway.Wake();
  const auto drops = gateway.Records(authority::RecordKind::kDrops);
  ASSERT_EQ(drops.size(), 1u);
  ASSERT_EQ(drops[0].drops.size(), 1u);
  EXPECT_EQ(drops[0].drops[0].reason, static_cast<uint16_t>(frame::Drop::kBare));
  EXPECT_EQ(drops[0].drops[0].count, 2u);
}

TEST_F(PlainTest, TheLocalPolicyMayShutPlainDevicesOut) {
  gateway.policy.plain_ceiling = authority::Rung::kRefuse;
  gateway.Hold(*PhoneGrant().envelope);
  gateway.Start();
  EXPECT_TRUE(Send(Packet(1, phone_address)).empty());
  EXPECT_EQ(answers_, 0u);
}

TEST_F(PlainTest, DownAndUpServesItAgain) {
  gateway.Hold(*PhoneGrant().envelope);
  gateway.Start();
  EXPECT_EQ(Send(Packet(1, phone_address)).size(), 1u);
  gateway.Do([&](Outbox& out) { gateway.control->SetUp(gateway.now, false, out); });
  EXPECT_TRUE(gateway.control->Peers().empty());
  gateway.Do([&](Outbox& out) { gateway.control->SetUp(gateway.now, true, out); });
  EXPECT_EQ(gateway.control->Peers().size(), 1u);
}

// A static key that once spoke governed is never served bare, whatever a grant says.
TEST_F(PlainTest, AGovernedMachineDoesNotFallBack) {
  TestNode& other = mesh.Add("other");
  mesh.Introduce(gateway, other);
  mesh.Introduce(other, gateway);
  gateway.Start();
  other.Start();
  mesh.Pump(8s);
  ASSERT_FALSE(gateway.Records(authority::RecordKind::kCommitted).empty());
  authority::Grant wanted;
  wanted.cls = authority::Class::kPlain;
  wanted.key = *Ed25519Key::From(other.static_key().view());
  wanted.name = "other";
  wanted.tags = {"member"};
  const auto kid = authority::KidOf(authority::Suite::kX25519Static, wanted.key);
  wanted.prefixes = {Prefix::Host(authority::DerivedIp6(mesh.scope(), kid))};
  gateway.Hold(*Must(issuing::MakeGrant(mesh.issuer(), wanted, Mesh2::t0())).envelope);
  gateway.Restart();
  for (const PeerView& p : gateway.control->Peers()) EXPECT_NE(p.rung, authority::Rung::kConstrain);
}

}  // namespace
}  // namespace aqmesh::node
