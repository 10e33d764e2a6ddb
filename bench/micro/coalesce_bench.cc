// Joining a batch on its way into the TUN, without the write. The yardstick is the checksum of the
// same packets, which every joined one must be read for: the rest is what joining costs.
#include "bench/micro/bench.h"
#include "core/base/check.h"
#include "tests/transport/os/packet_kit.h"
#include "transport/os/coalesce.h"

namespace aqmesh::bench {

namespace {

using os::kit::Make;
using os::kit::Spec;

// `flows` streams of `each` packets, in turns.
std::vector<Bytes> Packets(Spec s, size_t flows, size_t each) {
  std::vector<Bytes> out;
  for (size_t i = 0; i < each; ++i, ++s.id, s.seq += static_cast<uint32_t>(s.payload)) {
    for (size_t flow = 0; flow < flows; ++flow) {
      s.port = static_cast<uint16_t>(1000 + flow);
      out.push_back(Make(s));
    }
  }
  return out;
}

void CountPackets(benchmark::State& state, size_t packets) {
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(packets));
}

void Plan(benchmark::State& state, const std::vector<Bytes>& packets, size_t writes) {
  const std::vector<ByteView> views(packets.begin(), packets.end());
  os::Coalescer coalescer(os::kTunOffloads);
  for (auto _ : state) {
    const auto plan = coalescer.Plan(views);
    benchmark::DoNotOptimize(plan.data());
    AQ_CHECK(plan.size() == writes);
  }
  CountPackets(state, views.size());
}

void Sums(benchmark::State& state, const std::vector<Bytes>& packets) {
  for (auto _ : state) {
    for (const Bytes& p : packets) benchmark::DoNotOptimize(os::ChecksumAdd(p, 0));
  }
  CountPackets(state, packets.size());
}

void Register(const std::string& task, const std::vector<Bytes>& packets, size_t writes) {
  Measure(task, "aqmesh", [packets, writes](benchmark::State& s) { Plan(s, packets, writes); });
  if (writes == packets.size()) return;  // nothing is summed
  Measure(task, "=checksum alone", [packets](benchmark::State& s) { Sums(s, packets); });
}

}  // namespace

void RegisterCoalesce() {
  const Spec tcp = {.options = 12, .payload = 1368};  // 1420 bytes with its headers
  const Spec udp = {.tcp = false, .payload = 64};
  Register("join 43 x 1420 B TCP, 1 flow", Packets(tcp, 1, 43), 1);
  Register("join 4 x 43 x 1420 B TCP, 4 flows in turns", Packets(tcp, 4, 43), 4);
  Register("join 64 x 64 B UDP, 1 flow", Packets(udp, 1, 64), 1);
  Register("join 64 x 64 B UDP, 64 flows", Packets(udp, 64, 1), 64);
}

}  // namespace aqmesh::bench
