// Handshakes of known peers have a lane of their own: a flood of strangers does not stand before
// them.
#include "tests/transport/wireguard/hosts.h"

namespace aqmesh::wireguard {
namespace {

class LanesTest : public DeviceTest {
 protected:
  // What b says first, behind `flood` messages of strangers.
  void FloodThenInitiation(size_t flood) {
    Tun(b_, to_a_);
    ASSERT_EQ(b_.type(0), 1);
    for (size_t i = 0; i < flood; ++i) {
      bytes_.push_back(b_.sent[0].bytes);
      bytes_.back()[10] ^= 1;  // its mac1 is wrong
    }
    bytes_.push_back(b_.sent[0].bytes);
    for (Bytes& b : bytes_)
      in_.push_back({.bytes = b, .from = *Endpoint::Parse("198.51.100.9:9"), .at = {}});
    in_.back().from = b_.here;
  }
  std::vector<Bytes> bytes_;
  std::vector<InDatagram> in_;
};

TEST_F(LanesTest, AKnownPeerIsHeardBehindAnyNumberOfStrangers) {
  FloodThenInitiation(500);
  Outbox out;
  a_.device.OnHandshakes(now_, in_, out);
  ASSERT_EQ(out.datagrams.size(), 1u);
  EXPECT_EQ(out.datagrams[0].to, b_.here);
  EXPECT_EQ(a_.device.drops(Drop::kBadMac1), Device::kStrangersMax);
  EXPECT_EQ(a_.device.drops(Drop::kRateLimited), 500 - Device::kStrangersMax);
}

TEST_F(LanesTest, ItsLaneIsWhereItWasLastHeardAndEndsWithIt) {
  const Endpoint moved = *Endpoint::Parse("192.0.2.99:9");
  EXPECT_TRUE(a_.device.handshaker().IsAPeers(b_.here));
  Handshake();
  Tun(b_, to_a_);
  Feed(a_, b_.sent[0].bytes, moved);
  EXPECT_TRUE(a_.device.handshaker().IsAPeers(moved));
  EXPECT_FALSE(a_.device.handshaker().IsAPeers(b_.here));
  Outbox out;
  X25519Key key{};
  key.bytes.fill(7);
  const PeerId other = *a_.device.AddPeer(now_, key, out);
  a_.device.SetEndpoint(other, moved, out);  // two at one place
  a_.device.RemovePeer(now_, a_id_, out);
  EXPECT_TRUE(a_.device.handshaker().IsAPeers(moved));
  a_.device.RemovePeer(now_, other, out);
  EXPECT_FALSE(a_.device.handshaker().IsAPeers(moved));
}

TEST_F(LanesTest, AStrangerIsHeardWhenNobodyFloods) {
  FloodThenInitiation(0);
  in_.back().from = *Endpoint::Parse("198.51.100.9:9");
  Outbox out;
  a_.device.OnHandshakes(now_, in_, out);
  EXPECT_EQ(out.datagrams.size(), 1u) << "a peer that has moved";
}

}  // namespace
}  // namespace aqmesh::wireguard
