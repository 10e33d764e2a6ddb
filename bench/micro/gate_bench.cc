// From a presentation to a decision: authenticate the chain, weigh it, ask the gate. Warm:
// signatures cached.
#include <sodium.h>

#include "admission/gate.h"
#include "bench/micro/bench.h"
#include "bench/micro/pair.h"
#include "core/authority/chain.h"
#include "trust/weigh.h"

namespace aqmesh::bench {

namespace {

using authority::Presentation;

constexpr size_t kPresentations = 256;

class Case {
 public:
  explicit Case(Below below)
      : restrictions_(scope_.id()),
        charters_{scope_.charter()},
        gate_(admission::GateParams::From(scope_.charter().body)) {
    const Machine m = scope_.NewMachine("node", below, 1);
    items_.push_back(m.leaf.envelope);
    for (const auto& g : scope_.Above(below)) items_.push_back(g.envelope);
    items_.push_back(scope_.fragment().envelope);
    for (size_t i = 0; i < kPresentations; ++i) presentations_.push_back(Present(m, i));
  }

  // nth: which presentation. cache: nullptr: none.
  void Decide(size_t nth, authority::SignatureCache* cache) {
    authority::AuthReport report;
    auto verified = authority::Authenticate({.scopes = {&held_, 1},
                                             .presentation = &presentations_[nth],
                                             .items = items_,
                                             .cache = cache,
                                             .now = now_.wall},
                                            report);
    AQ_CHECK(verified.has_value());
    const auto links = trust::LinksOf(
        trust::StepsOf(verified->chain()),
        scope_.charter().body,
        0,
        [](const Kid&, trust::Role, uint32_t prior) { return trust::Standing::New(prior, 0); });
    const authority::Decision decision =
        gate_.Decide(trust::Weigh(*std::move(verified), scope_.charter().body, links, 0),
                     {.now = now_, .local = local_},
                     memory_);
    AQ_CHECK(decision.rung() == authority::Rung::kAdmit);
  }

 private:
  authority::Held<Presentation> Present(const Machine& m, size_t nth) {
    Presentation p;
    StoreLe(p.h.data(), nth);
    p.role = 1;
    p.rx_handle = 1;
    p.charter_version = scope_.charter().body.version;
    for (const auto& item : items_) p.refs.push_back(item->ref());
    return issuing::Seal(p, m.identity);
  }

  Scope scope_;
  authority::Restrictions restrictions_;
  authority::Expansions expansions_;
  std::vector<authority::Held<authority::Charter>> charters_;
  authority::ScopeHeld held_{.charters = charters_,
                             .scope = scope_.id(),
                             .restrictions = &restrictions_,
                             .expansions = &expansions_};
  std::vector<authority::SignedPtr> items_;
  std::vector<authority::Held<Presentation>> presentations_;
  admission::Gate gate_;
  admission::LocalPolicy local_ = admission::OpenLocalPolicy();
  admission::TrustMemory memory_;
  Now now_{Instant{std::chrono::seconds(1000)}, WallTime::FromSeconds(kStartSeconds)};
};

// As when a standing session is judged again.
void Again(benchmark::State& state, Below below) {
  Case c(below);
  authority::SignatureCache cache;
  c.Decide(0, &cache);
  for (auto _ : state) c.Decide(0, &cache);
}

// As at a rekey: the chain is known, the presentation is new each time.
void ChainCached(benchmark::State& state, Below below) {
  Case c(below);
  auto cache = std::make_unique<authority::SignatureCache>();
  size_t nth = 0;
  Stopwatch watch;
  for (auto _ : state) {
    if (nth % kPresentations == 0) {
      cache = std::make_unique<authority::SignatureCache>();
      c.Decide(0, cache.get());
      nth = 1;
    }
    watch.Start();
    c.Decide(nth++, cache.get());
    watch.Stop(state);
  }
}

void Cold(benchmark::State& state, Below below) {
  Case c(below);
  for (auto _ : state) c.Decide(0, nullptr);
}

void Verify(benchmark::State& state) {
  unsigned char pub[32], secret[64], signature[64], message[256] = {};
  crypto_sign_keypair(pub, secret);
  crypto_sign_detached(signature, nullptr, message, sizeof message, secret);
  for (auto _ : state)
    AQ_CHECK(crypto_sign_verify_detached(signature, message, sizeof message, pub) == 0);
}

}  // namespace

void RegisterGate() {
  using benchmark::State;
  const std::string task = "gate decision";
  Measure(task, "again, the same presentation", [](State& s) { Again(s, Below::kEnroller); });
  Measure(task, "chain cached, new presentation", [](State& s) {
    ChainCached(s, Below::kEnroller);
  })->UseManualTime();
  Measure(task, "cold, root>node", [](State& s) { Cold(s, Below::kRoot); });
  Measure(task, "cold, root>enroller>node", [](State& s) { Cold(s, Below::kEnroller); });
  Measure(task, "=libsodium: one Ed25519 verify", Verify);
}

}  // namespace aqmesh::bench
