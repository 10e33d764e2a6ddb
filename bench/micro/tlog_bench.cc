// The transparency log: what a record costs in the tree, what a proof costs to make and to verify,
// and a witness's whole turn; beside OpenSSL's bare SHA-256 and libsodium's bare Ed25519.
#include <openssl/evp.h>
#include <sodium.h>

#include <map>

#include "bench/micro/bench.h"
#include "core/base/check.h"
#include "lineage/tlog/witness.h"

namespace aqmesh::bench {

namespace {

constexpr uint64_t kLog = 1'000'000;
constexpr size_t kRecord = 300;

Digest Numbered(uint64_t n) {
  Digest d;
  StoreBe(d.bytes.data(), n);
  return d;
}

// A log of a million leaves, its tiles in memory.
class Log {
 public:
  Log() {
    for (uint64_t n = 0; n < kLog; ++n) {
      if (n == kLog / 2) old_ = edge_;
      edge_.Append(Numbered(n), [this](const tlog::TileEntry& e) {
        Append(tiles_[{e.level, e.index / tlog::kTileWidth}], e.hash);
      });
    }
  }
  tlog::Prover Prover() const {
    return tlog::Prover(kLog, edge_.Root(), [this](const tlog::Tile& t) -> absl::StatusOr<Bytes> {
      return tiles_.at({t.level, t.index});
    });
  }
  const tlog::Edge& edge() const { return edge_; }
  const tlog::Edge& old() const { return old_; }  // of its first half

 private:
  tlog::Edge edge_, old_;
  std::map<std::pair<unsigned, uint64_t>, Bytes> tiles_;
};
const Log& TheLog() {
  static const Log log;
  return log;
}

void BareSha256(benchmark::State& state, size_t bytes) {
  EVP_MD* const md = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
  EVP_MD_CTX* const ctx = EVP_MD_CTX_new();
  Bytes in(bytes, 1);
  for (auto _ : state) {
    AQ_CHECK(EVP_DigestInit_ex2(ctx, md, nullptr) == 1);
    AQ_CHECK(EVP_DigestUpdate(ctx, in.data(), in.size()) == 1);
    AQ_CHECK(EVP_DigestFinal_ex(ctx, in.data(), nullptr) == 1);
  }
  EVP_MD_CTX_free(ctx);
  EVP_MD_free(md);
}

void LeafHash(benchmark::State& state) {
  Bytes record(kRecord, 1);
  for (auto _ : state) {
    const Digest d = tlog::LeafHash(record);
    record[0] = d.bytes[0];
  }
}

void AppendLeaf(benchmark::State& state) {
  tlog::Edge edge;
  uint64_t n = 0;
  for (auto _ : state) edge.Append(Numbered(n++));
  benchmark::DoNotOptimize(edge.Root());
}

void Root(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(TheLog().edge().Root());
}

uint64_t Somewhere(uint64_t& n) { return (n = n * 6364136223846793005u + 1) % kLog; }

void MakeInclusion(benchmark::State& state) {
  const Log& log = TheLog();
  uint64_t n = 1;
  for (auto _ : state) AQ_CHECK(log.Prover().Inclusion(Somewhere(n)).ok());
}

void VerifyInclusion(benchmark::State& state) {
  const Log& log = TheLog();
  const Digest root = log.edge().Root();
  const auto proof = log.Prover().Inclusion(123'456);
  AQ_CHECK(proof.ok());
  for (auto _ : state)
    AQ_CHECK(tlog::VerifyInclusion(Numbered(123'456), 123'456, kLog, *proof, root).ok());
}

void MakeConsistency(benchmark::State& state) {
  const Log& log = TheLog();
  uint64_t n = 1;
  for (auto _ : state) AQ_CHECK(log.Prover().Consistency(1 + Somewhere(n)).ok());
}

crypto::Ed25519Seed Seed(uint8_t byte) { return crypto::Ed25519Seed(Bytes(32, byte)); }

// Parse, the log's signature, the proof, what is to be stored, the cosignature.
void WitnessTurn(benchmark::State& state) {
  const Log& log = TheLog();
  const tlog::NoteSigner key("example.com/log", tlog::KeyType::kEd25519, Seed(1));
  const tlog::NoteSigner cosigner("example.com/w", tlog::KeyType::kCosignature, Seed(2));
  const auto sign = [&key](const tlog::Edge& edge) {
    return tlog::SignCheckpoint({key.key().name, edge.size(), edge.Root()}, key);
  };
  tlog::AddCheckpoint request{log.old().size(), {}, sign(log.edge())};
  request.proof = log.Prover().Consistency(request.old_size)->proof;
  const std::string body = request.Text();
  const tlog::Witnessed before{1, sign(log.old())};
  for (auto _ : state) {
    tlog::Witness witness(cosigner);
    AQ_CHECK(witness.Trust(key.key().name, {key.key()}).ok());
    AQ_CHECK(witness.Restore(before).ok());
    auto judged = witness.Judge(body, WallTime::FromSeconds(2));
    auto* grant = std::get_if<tlog::Witness::Grant>(&judged);
    AQ_CHECK(grant != nullptr);
    benchmark::DoNotOptimize(grant->record());
    benchmark::DoNotOptimize(witness.Release(std::move(*grant)));
  }
}

void BareEd25519(benchmark::State& state) {
  uint8_t pk[crypto_sign_PUBLICKEYBYTES], sk[crypto_sign_SECRETKEYBYTES], sig[crypto_sign_BYTES];
  const Bytes seed(crypto_sign_SEEDBYTES, 1), message(120, 2);
  crypto_sign_seed_keypair(pk, sk, seed.data());
  for (auto _ : state) {
    crypto_sign_detached(sig, nullptr, message.data(), message.size(), sk);
    AQ_CHECK(crypto_sign_verify_detached(sig, message.data(), message.size(), pk) == 0);
  }
}

}  // namespace

void RegisterTlog() {
  using benchmark::State;
  Measure("leaf hash, 300 B record", "aqmesh", LeafHash);
  Measure("leaf hash, 300 B record", "=OpenSSL SHA-256", [](State& s) { BareSha256(s, 301); });
  Measure("tree append", "aqmesh", AppendLeaf);
  Measure("tree append", "=OpenSSL SHA-256 of 65 B", [](State& s) { BareSha256(s, 65); });
  Measure("root of 1 M records", "aqmesh", Root);
  Measure("inclusion in 1 M records", "aqmesh make", MakeInclusion);
  Measure("inclusion in 1 M records", "aqmesh verify", VerifyInclusion);
  Measure("consistency in 1 M records", "aqmesh make", MakeConsistency);
  Measure("witness turn", "aqmesh", WitnessTurn);
  Measure("witness turn", "=libsodium sign and verify", BareEd25519);
}

}  // namespace aqmesh::bench
