// The packet corridors in memory, between the driver and the wire: packets in runs as the kernel
// gives them. The yardstick is the AEAD that we use, alone, on as many bytes.
#include "bench/micro/bench.h"
#include "bench/micro/pair.h"
#include "core/crypto/aead.h"

namespace aqmesh::bench {

namespace {

constexpr size_t kPacket = 1380;
constexpr size_t kRun = 43;  // packets of one 64 KiB super-packet
constexpr size_t kSealed = 16 + 1392 + 16;

template <class Pair>
std::vector<Bytes> Packets(const Pair& p) {
  return std::vector<Bytes>(kRun, TcpPacket(p.a.address, p.b.address, 1, kPacket));
}

void CountPackets(benchmark::State& state) {
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(kRun));
}

template <class Pair>
void Out(benchmark::State& state, Pair& pair) {
  std::vector<Bytes> packets = Packets(pair);
  const std::vector<MutableBytes> views(packets.begin(), packets.end());
  for (auto _ : state) {
    pair.a.out.Clear();
    pair.Tun(pair.a, views);
  }
  pair.Keep(pair.a);
  AQ_CHECK(pair.a.wire.size() >= kRun && pair.a.wire.back().size() > kPacket);
  CountPackets(state);
}

template <class Pair>
void In(benchmark::State& state, Pair& pair) {
  std::vector<Bytes> packets = Packets(pair);
  const std::vector<MutableBytes> views(packets.begin(), packets.end());
  Stopwatch watch;
  size_t runs = 0;
  pair.b.delivered = 0;
  for (auto _ : state) {
    pair.Tun(pair.a, views);
    pair.Keep(pair.a);
    std::deque<Bytes> wire = std::move(pair.a.wire);
    pair.a.wire.clear();
    watch.Start();
    for (Bytes& datagram : wire) pair.Wire(pair.b, datagram, pair.a);
    watch.Stop(state);
    pair.Keep(pair.b);
    pair.b.wire.clear();
    ++runs;
  }
  AQ_CHECK(pair.b.delivered == runs * kRun);
  CountPackets(state);
}

void Seal(benchmark::State& state) {
  std::vector<Bytes> buffers(kRun, Bytes(kSealed));
  crypto::AeadKey key(Bytes(32, 1), crypto::AeadKey::Direction::kSeal);
  uint64_t counter = 0;
  for (auto _ : state) {
    for (Bytes& b : buffers) key.Seal(counter++, ByteView(b).subspan(16, 1392), b.data() + 16);
    benchmark::ClobberMemory();
  }
  CountPackets(state);
}

void Open(benchmark::State& state) {
  const Bytes key(32, 1);
  std::vector<Bytes> sealed(kRun, Bytes(kSealed - 16));
  const Bytes plain(kSealed - 32);
  for (size_t i = 0; i < kRun; ++i) crypto::AeadSeal(key, i, plain, {}, sealed[i]);
  std::vector<Bytes> opened(kRun, plain);
  crypto::AeadKey open(key, crypto::AeadKey::Direction::kOpen);
  for (auto _ : state) {
    for (size_t i = 0; i < kRun; ++i) AQ_CHECK(open.Open(i, sealed[i], opened[i].data()));
    benchmark::ClobberMemory();
  }
  CountPackets(state);
}

void PlainOut(benchmark::State& state) {
  PlainPair pair;
  Out(state, pair);
}
void PlainIn(benchmark::State& state) {
  PlainPair pair;
  In(state, pair);
}
void GovernedOut(benchmark::State& state) {
  NodePair pair(Below::kEnroller);
  pair.Meet();
  Carry(pair);
  Out(state, pair);
}
void GovernedIn(benchmark::State& state) {
  NodePair pair(Below::kEnroller);
  pair.Meet();
  Carry(pair);
  In(state, pair);
}

}  // namespace

void RegisterPath() {
  const std::string out = "path out, 1380 B", in = "path in, 1380 B";
  Measure(out, "plain device", PlainOut);
  Measure(out, "governed node", GovernedOut);
  Measure(out, "=its AEAD alone", Seal);
  Measure(in, "plain device", PlainIn)->UseManualTime();
  Measure(in, "governed node", GovernedIn)->UseManualTime();
  Measure(in, "=its AEAD alone", Open);
}

}  // namespace aqmesh::bench
