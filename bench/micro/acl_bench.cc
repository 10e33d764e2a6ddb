// One packet's ruling: from the flow table, or by the rules when the flow is new.
#include <sodium.h>

#include "admission/gate.h"
#include "bench/micro/bench.h"
#include "bench/micro/pair.h"

namespace aqmesh::bench {

namespace {

using admission::Direction;

constexpr uint8_t kUs[] = {100, 64, 0, 1}, kPeer[] = {100, 64, 0, 2};
constexpr size_t kPacket = 1380;

admission::Party PartyAt(ByteView address, uint8_t n) {
  admission::Party p;
  p.kids.resize(1);
  p.kids[0].bytes.fill(n);
  p.tags = {"member"};
  p.addresses = {Prefix::Host(*IpAddress::From(address))};
  return p;
}

// The last of `count` rules is the one that allows our flows.
authority::Held<authority::Fragment> RulesOf(size_t count) {
  authority::Fragment f;
  f.scope.bytes.fill(1);
  f.seq = 1;
  f.not_before = kStartSeconds;
  f.ttl = 86'400;
  f.authority.bytes.fill(2);
  f.charter_version = 1;
  for (size_t i = 0; i < count; ++i) {
    authority::Rule r;
    r.protos = {6};
    const auto port = static_cast<uint16_t>(i + 1 == count ? 5201 : 6000 + i);
    r.ports = {{port, port}};
    f.rules.push_back(std::move(r));
  }
  const crypto::Ed25519Seed seed(Bytes(32, 1));
  return issuing::Seal(f, seed);
}

class Table {
 public:
  explicit Table(size_t rules) : cited_{RulesOf(rules)} {
    policies_ = std::make_shared<const admission::Policies>(
        admission::Policies{Compile(us_, peer_), Compile(peer_, us_)});
    verdict_.rung = authority::Rung::kAdmit;
    verdict_.peer = 7;
    verdict_.epoch = 1;
    verdict_.expires = kStartSeconds + 3'600;
    verdict_.policies = policies_;
  }
  bool Judge(const admission::PacketInfo& p, Direction d) {
    return flows_.Judge(p, d, {7, 1, policies_.get()}, now_).pass();
  }
  bool Pass(MutableBytes packet) {
    admission::Refusal why;
    return admission::Gate::Pass(packet, {verdict_, flows_, meters_, Direction::kSend, now_}, why)
        .has_value();
  }

 private:
  admission::Policy Compile(const admission::Party& src, const admission::Party& dst) const {
    return admission::Policy::Compile({.cited = cited_,
                                       .src = src,
                                       .dst = dst,
                                       .local = local_,
                                       .now = now_.wall,
                                       .profile = {}});
  }
  Now now_{Instant{std::chrono::seconds(1000)}, WallTime::FromSeconds(kStartSeconds + 1)};
  admission::LocalPolicy local_ = admission::OpenLocalPolicy();
  admission::Party us_ = PartyAt(kUs, 1), peer_ = PartyAt(kPeer, 2);
  std::vector<authority::Held<authority::Fragment>> cited_;
  std::shared_ptr<const admission::Policies> policies_;
  admission::Verdict verdict_;
  admission::Meters meters_;
  // No rate on new flows: the miss itself is what is measured.
  admission::FlowTable flows_{admission::FlowTable::Key(Bytes(16, 9)),
                              {.misses_per_second = 1, .misses_burst = uint64_t{1} << 62},
                              now_.mono};
};

admission::PacketInfo InfoOf(ByteView packet) {
  admission::PacketInfo info;
  AQ_CHECK(admission::Classify(packet, info) == admission::Drop::kNone);
  return info;
}

void Hit(benchmark::State& state) {
  Table t(1);
  const auto info = InfoOf(TcpPacket(kUs, kPeer, 1, kPacket));
  for (auto _ : state) AQ_CHECK(t.Judge(info, Direction::kSend));
}

void Answer(benchmark::State& state) {
  Table t(1);
  AQ_CHECK(t.Judge(InfoOf(TcpPacket(kUs, kPeer, 5201, kPacket)), Direction::kSend));
  const auto info = InfoOf(TcpPacket(kPeer, kUs, 5201, kPacket));
  for (auto _ : state) AQ_CHECK(t.Judge(info, Direction::kReceive));
}

void Miss(benchmark::State& state, size_t rules) {
  Table t(rules);
  auto info = InfoOf(TcpPacket(kUs, kPeer, 1, kPacket));
  uint32_t flow = 0;  // 2^32 of them, while the table holds 2^16: none is met again
  for (auto _ : state) {
    info.sport = static_cast<uint16_t>(++flow);
    const uint8_t source[] = {
        10, 0, static_cast<uint8_t>(flow >> 24), static_cast<uint8_t>(flow >> 16)};
    info.src = *IpAddress::From(source);
    AQ_CHECK(t.Judge(info, Direction::kSend));
  }
}

// Classify, expiry, flow table, shaper: all that stands between the TUN and the seal.
void Pass(benchmark::State& state) {
  Table t(1);
  Bytes packet = TcpPacket(kUs, kPeer, 1, kPacket);
  for (auto _ : state) AQ_CHECK(t.Pass(packet));
}

void Sodium(benchmark::State& state) {
  std::array<uint8_t, 4 + admission::Flow::kSize> in{};
  std::array<uint8_t, 16> out{}, key{};
  for (auto _ : state) {
    crypto_shorthash_siphashx24(out.data(), in.data(), in.size(), key.data());
    in[0] = out[0];
    benchmark::ClobberMemory();
  }
}

}  // namespace

void RegisterAcl() {
  using benchmark::State;
  const std::string task = "acl ruling";
  Measure(task, "flow table, hit", Hit);
  Measure(task, "flow table, answer", Answer);
  Measure(task, "new flow, 1 rule", [](State& s) { Miss(s, 1); });
  Measure(task, "new flow, 64 rules", [](State& s) { Miss(s, 64); });
  Measure(task, "Gate::Pass, hit", Pass);
  Measure(task, "=libsodium SipHash-128 of 42 B", Sodium);
}

}  // namespace aqmesh::bench
