// The corridor outwards has one door.
#include "node/datapath.h"

#include "tests/node/pair.h"

namespace aqmesh::node {
namespace {

// A route alone lets nothing out, not even into the queue that a later session would empty unasked.
TEST(DatapathTest, APacketForSomebodyNotLetInIsNeitherSentNorStaged) {
  const Now now{Instant{} + 1000s, WallTime::FromSeconds(1'780'000'000)};
  Rng rng(TestSeed(1));
  wireguard::Outbox out;
  wireguard::Device device({}, Rng(TestSeed(2)));
  device.SetPrivateKey(now, crypto::NewX25519(rng), out);
  const PeerId peer =
      Must(device.handshaker().AddPeer(crypto::X25519Public(crypto::NewX25519(rng)), true, out));
  device.Settle(now, out);
  device.SetUp(now, true, out);
  const IpAddress us = *IpAddress::Parse("fd00::1"), them = *IpAddress::Parse("fd00::2");
  device.forwarder().allowed_ips().Insert(Prefix::Host(them), peer);
  Datapath datapath(device.forwarder(), device.lock(), 1, rng, IpAddress(), now);
  datapath.SetUp(true);

  Bytes packet = Udp6(us, them, 7, 1);
  datapath.OnTunPackets(now, std::array{wireguard::TunPacket{.bytes = packet}}, out);
  EXPECT_EQ(device.forwarder().staged(peer), 0u);
  datapath.SetVerdict(peer, nullptr, now);
  datapath.OnTunPackets(now, std::array{wireguard::TunPacket{.bytes = packet}}, out);
  EXPECT_EQ(device.forwarder().staged(peer), 0u);
  EXPECT_TRUE(out.datagrams.empty());
  EXPECT_TRUE(out.frames.empty());
  EXPECT_EQ(datapath.TakeDrops().packets[static_cast<size_t>(admission::Drop::kRung)], 2u);

  // Nobody's packet is answered to its sender.
  Bytes stray = Udp6(us, *IpAddress::Parse("fd00::3"), 7, 1);
  datapath.OnTunPackets(now, std::array{wireguard::TunPacket{.bytes = stray}}, out);
  EXPECT_EQ(out.tun.size(), 1u);
}

}  // namespace
}  // namespace aqmesh::node
