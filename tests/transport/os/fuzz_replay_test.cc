// The fuzz entry's claims on a small corpus that is the same every time.
#include <gtest/gtest.h>

#include "tests/fuzz/corpus.h"
#include "tests/fuzz/offload_targets.h"

namespace aqmesh::os {
namespace {

// A list for the Coalescer: four flows, each begun, then five rounds of what follows.
Bytes List() {
  Bytes list = {kTunTso4 | kTunTso6 | kTunUso4 | kTunUso6};
  for (uint8_t shape = 0; shape < 4; ++shape) Append(list, Bytes{1, shape, 60, 60, 100});
  for (uint8_t round = 0; round < 5; ++round) {
    for (uint8_t flow = 0; flow < 4; ++flow) Append(list, Bytes{2, flow});
  }
  return list;
}

// A super-packet for Split.
Bytes Super(const kit::Spec& spec, uint16_t gso_size) {
  const Bytes packet = Make(spec);
  std::array<uint8_t, kVnetHeaderSize> vnet{};
  StoreVnetHeader({.flags = kVnetNeedsCsum,
                   .gso_type = !spec.tcp ? kGsoUdpL4
                               : spec.v6 ? kGsoTcp6
                                         : kGsoTcp4,
                   .gso_size = gso_size,
                   .csum_start = static_cast<uint16_t>(spec.v6 ? 40 : 20),
                   .csum_offset = static_cast<uint16_t>(spec.tcp ? 16 : 6)},
                  vnet);
  return Concat({Bytes{1}, vnet, packet});
}

TEST(FuzzReplayTest, Offload) {
  const Bytes list = List();
  ByteView rest = ByteView(list).subspan(1);
  std::vector<kit::Spec> flows;
  std::vector<Bytes> packets;
  while (!rest.empty()) packets.push_back(fuzz::NextPacket(rest, flows));
  const std::vector<ByteView> views(packets.begin(), packets.end());
  Coalescer coalescer(kTunOffloads);
  EXPECT_EQ(kit::CheckPlan(coalescer, views), 24u) << "the seed does make four runs of six";
  const std::vector<Bytes> seeds = {list,
                                    Super({.payload = 300}, 100),
                                    Super({.v6 = true, .options = 12, .payload = 250}, 100),
                                    Super({.tcp = false, .payload = 90}, 30),
                                    Super({.v6 = true, .tcp = false, .payload = 90}, 40)};
  fuzz::Replay(seeds, fuzz::FuzzOffload);
}

}  // namespace
}  // namespace aqmesh::os
