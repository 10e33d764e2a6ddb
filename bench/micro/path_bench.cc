// The packet corridors in memory, from super-packets of a TUN to runs for UDP and back: all of the
// packet path but the kernel's. The yardstick is the AEAD that we use, alone, on as many bytes.
#include "bench/micro/bench.h"
#include "bench/micro/pair.h"
#include "core/crypto/aead_batch.h"
#include "transport/os/arena.h"
#include "transport/os/offload.h"

namespace aqmesh::bench {

namespace {

constexpr size_t kPacket = 1380;
constexpr size_t kRun = 43;  // packets of one 64 KiB super-packet
constexpr size_t kText = kPacket + 12;

// What the kernel hands over: one TCP packet of kRun segments, its checksum still to be completed.
struct Super {
  os::VnetHeader header{.flags = os::kVnetNeedsCsum,
                        .gso_type = os::kGsoTcp4,
                        .hdr_len = 40,
                        .gso_size = kPacket - 40,
                        .csum_start = 20,
                        .csum_offset = 16};
  Bytes packet;
};
template <class Pair>
Super SuperPacket(const Pair& p) {
  return {.packet = TcpPacket(p.a.address, p.b.address, 1, 40 + kRun * (kPacket - 40))};
}

template <class Pair>
void Leave(Pair& pair, Super& super, os::PacketArena& arena) {
  arena.Clear();
  AQ_CHECK(os::Split(super.header, super.packet, arena) == os::OffloadDrop::kNone);
  std::array<wireguard::TunPacket, kRun> packets;
  for (size_t i = 0; i < kRun; ++i) {
    const os::PacketSlot& s = arena.packets()[i];
    packets[i] = {.bytes = s.bytes(),
                  .headroom = static_cast<uint16_t>(arena.headroom()),
                  .tailroom = s.tailroom,
                  .follows = s.follows};
  }
  pair.Tun(pair.a, packets);
}

void CountPackets(benchmark::State& state) {
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(kRun));
}

template <class Pair>
void Out(benchmark::State& state, Pair& pair, size_t headroom) {
  Super super = SuperPacket(pair);
  os::PacketArena arena({.headroom = headroom, .mtu = 1420});
  for (auto _ : state) {
    Pair::Outside(pair.a).Clear();
    Leave(pair, super, arena);
  }
  pair.Keep(pair.a);
  AQ_CHECK(pair.a.wire.size() >= kRun && pair.a.wire.back().size() > kPacket);
  CountPackets(state);
}

template <class Pair>
void In(benchmark::State& state, Pair& pair, size_t headroom) {
  Super super = SuperPacket(pair);
  os::PacketArena arena({.headroom = headroom, .mtu = 1420});
  Stopwatch watch;
  size_t runs = 0;
  pair.b.delivered = 0;
  for (auto _ : state) {
    Leave(pair, super, arena);
    pair.Keep(pair.a);
    std::deque<Bytes> wire = std::move(pair.a.wire);
    pair.a.wire.clear();
    const std::vector<MutableBytes> datagrams(wire.begin(), wire.end());
    watch.Start();
    pair.Wire(pair.b, datagrams, pair.a);
    watch.Stop(state);
    pair.Keep(pair.b);
    pair.b.wire.clear();
    ++runs;
  }
  AQ_CHECK(pair.b.delivered == runs * kRun);
  CountPackets(state);
}

// Sealed or opened together, as the corridors do it.
struct Boxes {
  std::vector<Bytes> buffers{kRun, Bytes(kText + 16)};
  crypto::AeadKey seal{Bytes(32, 1), crypto::AeadKey::Direction::kSeal};
  crypto::AeadKey open{Bytes(32, 1), crypto::AeadKey::Direction::kOpen};
  std::vector<crypto::AeadJob> jobs;
  crypto::AeadBatch batch;
  void SealAll() {
    jobs.clear();
    for (size_t i = 0; i < kRun; ++i)
      jobs.push_back({.key = &seal, .counter = i, .data = buffers[i].data(), .size = kText});
    batch.Seal(jobs);
  }
  void OpenAll() {
    jobs.clear();
    for (size_t i = 0; i < kRun; ++i)
      jobs.push_back({.key = &open, .counter = i, .data = buffers[i].data(), .size = kText + 16});
    batch.Open(jobs);
  }
};

void Seal(benchmark::State& state) {
  Boxes boxes;
  for (auto _ : state) boxes.SealAll();
  CountPackets(state);
}

void Open(benchmark::State& state) {
  Boxes boxes;
  Stopwatch watch;
  for (auto _ : state) {
    boxes.SealAll();
    watch.Start();
    boxes.OpenAll();
    watch.Stop(state);
    AQ_CHECK(boxes.jobs.back().ok);
  }
  CountPackets(state);
}

void PlainOut(benchmark::State& state) {
  PlainPair pair;
  Out(state, pair, wireguard::kTransportHeader);
}
void PlainIn(benchmark::State& state) {
  PlainPair pair;
  In(state, pair, wireguard::kTransportHeader);
}
void GovernedOut(benchmark::State& state) {
  NodePair pair(Below::kEnroller);
  pair.Meet();
  Carry(pair);
  Out(state, pair, frame::kFrameHeaderBytes + wireguard::kTransportHeader);
}
void GovernedIn(benchmark::State& state) {
  NodePair pair(Below::kEnroller);
  pair.Meet();
  Carry(pair);
  In(state, pair, frame::kFrameHeaderBytes + wireguard::kTransportHeader);
}

}  // namespace

void RegisterPath() {
  const std::string out = "path out, 1380 B", in = "path in, 1380 B";
  Measure(out, "plain device", PlainOut);
  Measure(out, "governed node", GovernedOut);
  Measure(out, "=its AEAD alone", Seal);
  Measure(in, "plain device", PlainIn)->UseManualTime();
  Measure(in, "governed node", GovernedIn)->UseManualTime();
  Measure(in, "=its AEAD alone", Open)->UseManualTime();
}

}  // namespace aqmesh::bench
