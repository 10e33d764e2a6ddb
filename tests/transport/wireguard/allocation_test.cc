// The steady data path takes nothing from the heap.
#include <gtest/gtest.h>

#include "tests/support/allocations.h"
#include "transport/wireguard/device.h"

namespace aqmesh::wireguard {
namespace {

TEST(AllocationTest, SealingAndOpeningAllocateNothing) {
  const Now now{Instant{std::chrono::seconds(1000)}, WallTime::FromSeconds(1'700'000'000)};
  Rng rng({9});
  Device a({}, Rng({1})), b({}, Rng({2}));
  const Endpoint at_a = *Endpoint::Parse("192.0.2.1:1");
  const Endpoint at_b = *Endpoint::Parse("192.0.2.2:2");
  Outbox from_a, from_b;
  a.SetPrivateKey(now, crypto::NewX25519(rng), from_a);
  b.SetPrivateKey(now, crypto::NewX25519(rng), from_b);
  const PeerId b_id = *a.AddPeer(now, b.public_key(), from_a);
  const PeerId a_id = *b.AddPeer(now, a.public_key(), from_b);
  a.SetEndpoint(b_id, at_b, from_a);
  ASSERT_TRUE(a.AddAllowedIp(b_id, *Prefix::Parse("10.0.0.2/32")).ok());
  ASSERT_TRUE(b.AddAllowedIp(a_id, *Prefix::Parse("10.0.0.1/32")).ok());
  a.SetUp(now, true, from_a);
  b.SetUp(now, true, from_b);
  Bytes packet = *FromHex("4500057800000000401100000a0000010a000002");
  packet.resize(1400);
  const TunPacket packets[] = {{.bytes = packet}};

  size_t delivered = 0, before = 0;
  for (int round = 0; round < 300; ++round) {
    if (round == 100) before = Allocations();  // the handshake is done, the outboxes have grown
    from_a.Clear();
    a.OnTunPackets(now, packets, from_a);
    for (size_t i = 0; i < from_a.datagrams.size(); ++i) {
      from_b.Clear();
      b.OnDatagram(
          now, {.bytes = from_a.bytes(from_a.datagrams[i]), .from = at_a, .at = {}}, from_b);
      delivered += from_b.tun.size();
      if (round >= 100) continue;
      Outbox more;  // a's answers during the handshake
      for (const OutDatagram& d : from_b.datagrams) {
        a.OnDatagram(now, {.bytes = from_b.bytes(d), .from = at_b, .at = {}}, more);
      }
      for (const OutDatagram& d : more.datagrams) {
        from_b.Clear();
        b.OnDatagram(now, {.bytes = more.bytes(d), .from = at_a, .at = {}}, from_b);
        delivered += from_b.tun.size();
      }
    }
  }
  EXPECT_EQ(delivered, 300u);
  EXPECT_EQ(Allocations() - before, 0u);
}

}  // namespace
}  // namespace aqmesh::wireguard
