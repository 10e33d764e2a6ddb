// X25519 and Ed25519, one and many, beside libsodium's calls. Times are of one exchange, signature
// or key, except where the task says so.
#include <sodium.h>

#include "bench/micro/bench.h"
#include "core/base/check.h"
#include "core/crypto/curve_batch.h"

namespace aqmesh::bench {

namespace {

void ExchangeBatch(benchmark::State& state, size_t n, bool whole) {
  if (!crypto::IsSupported(crypto::CurveBackend::kLanes)) return state.SkipWithError("no lanes");
  crypto::X25519Private key;
  randombytes_buf(key.data(), 32);
  const X25519Key peer = crypto::X25519Public(key);
  std::vector<Secret<32>> shared(n);
  std::vector<crypto::X25519Job> jobs;
  for (Secret<32>& s : shared) jobs.push_back({&key, &peer, s.data()});
  while (state.KeepRunningBatch(whole ? 1 : static_cast<int64_t>(n))) {
    crypto::X25519Batch(jobs);
    benchmark::ClobberMemory();
  }
}

void ExchangeSodium(benchmark::State& state, size_t n) {
  unsigned char key[32], peer[32], shared[32];
  randombytes_buf(key, sizeof key);
  crypto_scalarmult_base(peer, key);
  for (auto _ : state) {
    for (size_t i = 0; i < n; ++i) AQ_CHECK(crypto_scalarmult(shared, key, peer) == 0);
    benchmark::ClobberMemory();
  }
}

}  // namespace

void RegisterCurve() {
  using benchmark::State;
  for (const size_t n : {size_t{1}, size_t{8}, size_t{32}}) {
    const std::string task = n == 1 ? "x25519" : "x25519 x" + std::to_string(n);
    Measure(task, "aqmesh", [n](State& s) { ExchangeBatch(s, n, false); });
    Measure(task, "=libsodium", [](State& s) { ExchangeSodium(s, 1); });
  }
  for (const size_t n : {size_t{2}, size_t{3}}) {
    const std::string task = "x25519, " + std::to_string(n) + " of one handshake";
    Measure(task, "aqmesh", [n](State& s) { ExchangeBatch(s, n, true); });
    Measure(task, "=libsodium", [n](State& s) { ExchangeSodium(s, n); });
  }
}

}  // namespace aqmesh::bench
