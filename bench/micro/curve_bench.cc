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

constexpr size_t kMessage = 256;  // about a presentation

struct Signed {
  Signed() : pair(crypto::Ed25519Seed(ByteView(std::array<uint8_t, 32>{1, 2, 3}))) {
    message.fill(7);
    signature = pair.Sign(message);
  }
  crypto::Ed25519Pair pair;
  std::array<uint8_t, kMessage> message;
  Signature signature;
};

void VerifyMany(benchmark::State& state, size_t n) {
  const Signed one;
  const Ed25519Key key = one.pair.public_key();
  std::vector<crypto::VerifyJob> jobs(n, {&key, one.message, &one.signature});
  while (state.KeepRunningBatch(static_cast<int64_t>(n))) {
    crypto::Ed25519VerifyBatch(jobs);
    AQ_CHECK(jobs[0].ok);
  }
}

void VerifyPrepared(benchmark::State& state) {
  const Signed one;
  const crypto::Ed25519Verifier verifier(one.pair.public_key());
  for (auto _ : state) AQ_CHECK(verifier.Verify(one.message, one.signature));
}

void Prepare(benchmark::State& state) {
  const Signed one;
  for (auto _ : state) {
    const crypto::Ed25519Verifier verifier(one.pair.public_key());
    benchmark::ClobberMemory();
  }
}

void VerifySodium(benchmark::State& state) {
  const Signed one;
  const Ed25519Key key = one.pair.public_key();
  for (auto _ : state)
    AQ_CHECK(crypto_sign_verify_detached(
                 one.signature.data(), one.message.data(), kMessage, key.data()) == 0);
}

void Sign(benchmark::State& state, crypto::CurveBackend backend) {
  const Signed one;
  const crypto::Ed25519Pair pair(crypto::Ed25519Seed(Bytes(32, 9)), backend);
  for (auto _ : state) benchmark::DoNotOptimize(pair.Sign(one.message));
}

void NewPublic(benchmark::State& state, crypto::CurveBackend backend) {
  crypto::X25519Private key;
  randombytes_buf(key.data(), 32);
  for (auto _ : state) benchmark::DoNotOptimize(crypto::X25519Public(key, backend));
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
  for (const size_t n : {size_t{1}, size_t{8}, size_t{32}}) {
    const std::string task = n == 1 ? "ed25519 verify" : "ed25519 verify x" + std::to_string(n);
    Measure(task, "aqmesh", [n](State& s) { VerifyMany(s, n); });
    if (n == 1) Measure(task, "aqmesh, prepared key", VerifyPrepared);
    Measure(task, "=libsodium", VerifySodium);
  }
  Measure("ed25519, prepare a key", "aqmesh", Prepare);
  using crypto::CurveBackend;
  Measure("ed25519 sign", "aqmesh", [](State& s) { Sign(s, crypto::BestCurveBackend()); });
  Measure("ed25519 sign", "=libsodium", [](State& s) { Sign(s, CurveBackend::kSodium); });
  Measure(
      "x25519 public key", "aqmesh", [](State& s) { NewPublic(s, crypto::BestCurveBackend()); });
  Measure("x25519 public key", "=libsodium", [](State& s) { NewPublic(s, CurveBackend::kSodium); });
}

}  // namespace aqmesh::bench
