// The fuzz entries' claims on a small corpus that is the same every time.
#include <gtest/gtest.h>

#include "tests/fuzz/corpus.h"
#include "tests/fuzz/wg_targets.h"

namespace aqmesh::wireguard {
namespace {

Bytes Text(std::string_view text) {
  const ByteView b = AsBytes(text);
  return Bytes(b.begin(), b.end());
}

TEST(FuzzReplayTest, Uapi) {
  const std::string peer = "public_key=" + std::string(64, 'b') + "\n";
  const std::vector<Bytes> seeds = {
      Text("get=1\n\n"),
      Text("set=1\nprivate_key=" + std::string(64, 'a') + "\nlisten_port=51820\nfwmark=7\n" + peer +
           "preshared_key=" + std::string(64, 'c') +
           "\nendpoint=[fe80::1%2]:9\npersistent_keepalive_interval=25\nreplace_allowed_ips=true\n"
           "allowed_ip=10.0.0.9/24\nallowed_ip=-fd00::/64\nprotocol_version=1\n\nget=1\n\n"),
      Text("set=1\nreplace_peers=true\n" + peer + "update_only=true\n" + peer + "remove=true\n\n"),
      Text("listen_port=1\n" + peer + "allowed_ip=0.0.0.0/0\nbad=1\n"),
  };
  fuzz::Replay(seeds, fuzz::FuzzUapi, 100);
}

TEST(FuzzReplayTest, WireAndRoutes) {
  // 1: the wire. Send, deliver ×3 (handshake and data), send, spoil, forge, pass, replay.
  const Bytes wire = {1,  0, 40, 1, 1, 1, 0, 90, 2,   30, 0, 7, 1, 1, 7, 15, 4,
                      50, 3, 4,  4, 0, 0, 0, 5,  130, 0,  9, 1, 1, 1, 1, 7};
  fuzz::WgWire story;
  ByteView rest = ByteView(wire).subspan(1);
  while (!rest.empty()) story.Step(rest);
  EXPECT_EQ(story.delivered(), 3u) << "the seed does reach a session";
  Rng rng(Rng::Seed{5});
  Bytes routes = {0};
  for (int i = 0; i < 7 * 40; ++i) routes.push_back(static_cast<uint8_t>(rng.Below(40)));
  fuzz::Replay({wire, routes}, fuzz::FuzzWireGuard, 400);
}

}  // namespace
}  // namespace aqmesh::wireguard
