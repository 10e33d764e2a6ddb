// A handshake, both ends of it: plain WireGuard, a governed rekey, and a governed first meeting
// with nothing cached. Beside them the public-key operations that the protocol itself demands.
#include <sodium.h>

#include "bench/micro/bench.h"
#include "bench/micro/pair.h"

namespace aqmesh::bench {

namespace {

constexpr size_t kPacket = 60;

void Plain(benchmark::State& state) {
  PlainPair pair;
  Bytes packet = TcpPacket(pair.a.address, pair.b.address, 1, kPacket);
  for (auto _ : state) Rekey(pair, packet);
}

void GovernedRekey(benchmark::State& state, Below below) {
  NodePair pair(below);
  pair.Meet();
  Carry(pair);  // their greetings too
  Bytes packet = TcpPacket(pair.a.address, pair.b.address, 1, kPacket);
  for (auto _ : state) Rekey(pair, packet);
  for (const node::PeerView& p : pair.b.engine->Peers())
    AQ_CHECK(p.committed && p.rung == authority::Rung::kAdmit);
}

void GovernedMeeting(benchmark::State& state, Below below) {
  Stopwatch watch;
  for (auto _ : state) {
    NodePair pair(below);
    watch.Start();
    pair.Meet();
    watch.Stop(state);
  }
}

struct Keys {
  Keys() {
    randombytes_buf(secret, sizeof secret);
    crypto_scalarmult_base(point, secret);
    crypto_sign_keypair(sign_public, sign_secret);
    crypto_sign_detached(signature, nullptr, message, sizeof message, sign_secret);
  }
  // e at both ends; es, ee and se at both ends; ss is kept.
  void Exchange() {
    unsigned char out[32];
    for (int i = 0; i < 2; ++i) crypto_scalarmult_base(out, secret);
    for (int i = 0; i < 6; ++i) AQ_CHECK(crypto_scalarmult(out, secret, point) == 0);
    benchmark::DoNotOptimize(out);
  }
  // One presentation each way.
  void Present() {
    for (int i = 0; i < 2; ++i) {
      crypto_sign_detached(signature, nullptr, message, sizeof message, sign_secret);
      AQ_CHECK(crypto_sign_verify_detached(signature, message, sizeof message, sign_public) == 0);
    }
  }
  unsigned char secret[32], point[32], sign_public[32], sign_secret[64], signature[64];
  unsigned char message[256] = {};
};

void Exchange(benchmark::State& state) {
  Keys keys;
  for (auto _ : state) keys.Exchange();
}
void ExchangeAndPresent(benchmark::State& state) {
  Keys keys;
  for (auto _ : state) {
    keys.Exchange();
    keys.Present();
  }
}

}  // namespace

void RegisterHandshake() {
  using benchmark::State;
  const std::string task = "handshake, both ends";
  Measure(task, "plain WireGuard", Plain);
  Measure(task, "governed rekey, root>node", [](State& s) { GovernedRekey(s, Below::kRoot); });
  Measure(task, "governed rekey, root>enroller>node", [](State& s) {
    GovernedRekey(s, Below::kEnroller);
  });
  Measure(task, "governed, strangers, root>node", [](State& s) {
    GovernedMeeting(s, Below::kRoot);
  })->UseManualTime();
  Measure(task, "governed, strangers, root>enroller>node", [](State& s) {
    GovernedMeeting(s, Below::kEnroller);
  })->UseManualTime();
  Measure(task, "=libsodium: its 8 X25519", Exchange);
  Measure(task, "=libsodium: those, 2 sign, 2 verify", ExchangeAndPresent);
}

}  // namespace aqmesh::bench
