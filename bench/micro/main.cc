// Runs the micro benchmarks; its flags are google-benchmark's. bench/run.sh gives them.
#include <sodium.h>

#include "bench/micro/bench.h"
#include "core/base/check.h"

int main(int argc, char** argv) {
  AQ_CHECK(sodium_init() >= 0);
  aqmesh::bench::RegisterAead();
  aqmesh::bench::RegisterCurve();
  aqmesh::bench::RegisterFrame();
  aqmesh::bench::RegisterHandshake();
  aqmesh::bench::RegisterGate();
  aqmesh::bench::RegisterAcl();
  aqmesh::bench::RegisterPath();
  aqmesh::bench::RegisterLineage();
  aqmesh::bench::RegisterHistory();
  aqmesh::bench::RegisterTlog();
  aqmesh::bench::RegisterCoalesce();
  aqmesh::bench::RegisterSql();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
