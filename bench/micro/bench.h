// What every benchmark file here offers to main.cc, and the one naming rule that report.jq relies
// on. A benchmark is called "TASK|WHO". Those of one task are compared; a WHO that starts with '='
// is a yardstick: the primitive itself, called as bare as its library allows.
#ifndef AQMESH_BENCH_MICRO_BENCH_H_
#define AQMESH_BENCH_MICRO_BENCH_H_

#include <benchmark/benchmark.h>
#include <time.h>

#include <string>

#include "core/base/bytes.h"

namespace aqmesh::bench {

template <class F>
benchmark::internal::Benchmark* Measure(const std::string& task, const std::string& who, F f) {
  return benchmark::RegisterBenchmark((task + "|" + who).c_str(), std::move(f));
}

// For what must be prepared anew before each run: only the CPU time between Start and Stop counts,
// as the plain benchmarks count theirs. The benchmark must be registered with UseManualTime().
class Stopwatch {
 public:
  void Start() { start_ = CpuSeconds(); }
  void Stop(benchmark::State& state) const { state.SetIterationTime(CpuSeconds() - start_); }

 private:
  static double CpuSeconds() {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
  }
  double start_ = 0;
};

// An IPv4 TCP packet of `size` bytes between two addresses, mid-stream.
Bytes TcpPacket(ByteView source, ByteView destination, uint16_t source_port, size_t size);

void RegisterAead();
void RegisterCurve();
void RegisterFrame();
void RegisterHandshake();
void RegisterGate();
void RegisterAcl();
void RegisterPath();
void RegisterLineage();
void RegisterHistory();
void RegisterTlog();
void RegisterCoalesce();
void RegisterSql();

}  // namespace aqmesh::bench

#endif  // AQMESH_BENCH_MICRO_BENCH_H_
