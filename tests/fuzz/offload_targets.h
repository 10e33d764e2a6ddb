// What the fuzz entry for super-packets claims, so that the plain suite can claim it too.
// Input: a byte whose lowest bit chooses; then a virtio header and a packet for Split, or a list of
// packets for the Coalescer, written with enough help that flows come about (NextPacket).
#ifndef AQMESH_TESTS_FUZZ_OFFLOAD_TARGETS_H_
#define AQMESH_TESTS_FUZZ_OFFLOAD_TARGETS_H_

#include "tests/transport/os/coalesce_property.h"

namespace aqmesh::fuzz {

inline size_t Eat(ByteView& in, size_t bytes) {
  size_t v = 0;
  for (; bytes > 0; --bytes) {
    v = v << 8 | (in.empty() ? 0 : in[0]);
    if (!in.empty()) in = in.subspan(1);
  }
  return v;
}

// The next packet of a list, by its first byte: bits 0-1 say whence: raw bytes (0), as new (1), or
// what follows an earlier packet in its flow (2, 3); bits 2-3 how many of its bytes are changed
// then; bit 4 whether lengths and checksums are mended after that.
inline Bytes NextPacket(ByteView& in, std::vector<os::kit::Spec>& flows) {
  const size_t op = Eat(in, 1);
  Bytes p;
  if ((op & 3) == 0) {
    const size_t size = Eat(in, 1);
    const ByteView raw = in.first(std::min(size, in.size()));
    p.assign(raw.begin(), raw.end());
    in = in.subspan(raw.size());
  } else if ((op & 3) == 1 || flows.empty()) {
    const size_t shape = Eat(in, 1);
    flows.push_back({.v6 = (shape & 1) != 0,
                     .tcp = (shape & 2) != 0,
                     .port = static_cast<uint16_t>(shape >> 5),
                     .seq = static_cast<uint32_t>(Eat(in, 1) - 64) * 64,
                     .id = static_cast<uint16_t>(Eat(in, 1) - 64),
                     .df = (shape & 4) != 0,
                     .options = (shape & 8) != 0 ? size_t{12} : size_t{0},
                     .payload = Eat(in, (shape & 16) != 0 ? 2 : 1) & 0x7ff});
    p = Make(flows.back());
  } else {
    os::kit::Spec& flow = flows[Eat(in, 1) % flows.size()];
    flow.seq += static_cast<uint32_t>(flow.payload);
    ++flow.id;
    os::kit::Spec now = flow;
    if ((op & 0x20) != 0) now.payload = std::min(now.payload, Eat(in, 1));
    if ((op & 0x40) != 0) now.flags |= 0x08;
    p = Make(now);
  }
  for (size_t changes = op >> 2 & 3; changes > 0 && !p.empty(); --changes) {
    const size_t at = Eat(in, 1);
    p[at % p.size()] ^= static_cast<uint8_t>(Eat(in, 1));
  }
  if ((op & 0x10) != 0) os::kit::Mend(p);
  return p;
}

inline void FuzzCoalescer(uint32_t offloads, ByteView in) {
  constexpr size_t kPayloadsMax = size_t{1} << 20;
  std::vector<os::kit::Spec> flows;
  std::vector<Bytes> packets;
  size_t total = 0;
  while (!in.empty() && packets.size() < os::Coalescer::kBatchMax && total < kPayloadsMax) {
    packets.push_back(NextPacket(in, flows));
    packets.back().shrink_to_fit();  // so that a sanitizer sees a step past its end
    total += packets.back().size();
  }
  const std::vector<ByteView> views(packets.begin(), packets.end());
  os::Coalescer coalescer(offloads);
  os::kit::CheckPlan(coalescer, views);
  os::kit::CheckPlan(coalescer, std::span(views).first(views.size() / 2));  // nothing stays behind
}

// What Split takes comes out whole and with right checksums; joining that again, by any rules that
// the slow reading confirms, restores it.
inline void FuzzSplit(ByteView in) {
  if (in.size() < os::kVnetHeaderSize) return;
  const os::VnetHeader h = os::ParseVnetHeader(in.first<os::kVnetHeaderSize>());
  in = in.subspan(os::kVnetHeaderSize);
  Bytes packet(in.begin(), in.end());
  packet.shrink_to_fit();
  static os::PacketArena arena({.bytes = 1 << 20, .packets_max = os::Coalescer::kBatchMax});
  arena.Clear();
  if (os::Split(h, packet, arena) != os::OffloadDrop::kNone) {
    AQ_CHECK(arena.packets().empty());
    return;
  }
  std::vector<ByteView> views;
  for (const os::PacketSlot& p : arena.packets()) views.push_back(p.bytes());
  AQ_CHECK(!views.empty());
  if (h.gso_type == os::kGsoNone) {
    AQ_CHECK(views.size() == 1 && Equal(views[0], packet));
  } else {
    const bool tcp = h.csum_offset == 16;
    const size_t head = h.csum_start + (tcp ? (packet[h.csum_start + 12] >> 4) * size_t{4} : 8);
    Bytes payloads;
    for (const ByteView p : views) {
      AQ_CHECK(os::kit::SumL4(p, h.csum_start, tcp ? IPPROTO_TCP : IPPROTO_UDP) == 0xffff);
      AQ_CHECK(p.size() >= head && p.size() <= head + h.gso_size);
      Append(payloads, p.subspan(head));
    }
    AQ_CHECK(Equal(payloads, ByteView(packet).subspan(head)));
  }
  os::Coalescer coalescer(os::kTunOffloads);
  os::kit::CheckPlan(coalescer, views);
}

inline void FuzzOffload(ByteView in) {
  const size_t mode = Eat(in, 1);
  if ((mode & 1) != 0) {
    FuzzSplit(in);
  } else {
    FuzzCoalescer(static_cast<uint32_t>(mode), in);  // TSO and USO bits where TUN_F has them
  }
}

}  // namespace aqmesh::fuzz

#endif  // AQMESH_TESTS_FUZZ_OFFLOAD_TARGETS_H_
