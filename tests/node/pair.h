// Two or more nodes of one mesh in one process, and a test that carries their datagrams by hand:
// what lies between them is the attacker's. Every commit is durable at once, unless held.
#ifndef AQMESH_TESTS_NODE_PAIR_H_
#define AQMESH_TESTS_NODE_PAIR_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/authority/address.h"
#include "core/base/status.h"
#include "issuing/issue.h"
#include "lineage/store.h"
#include "node/control.h"

namespace aqmesh::node {

using namespace std::chrono_literals;

template <class T>
T Must(absl::StatusOr<T> v) {
  if (!v.ok()) ADD_FAILURE() << Text(v.status());
  return *std::move(v);
}

inline Rng::Seed TestSeed(uint8_t n) {
  Rng::Seed seed{};
  seed[0] = n;
  return seed;
}

// What one turn of a node did.
struct Did {
  struct Datagram {
    Endpoint to;
    Bytes bytes;
  };
  std::vector<Datagram> datagrams;
  std::vector<Bytes> tun;
  std::vector<Event> events;
  std::vector<lineage::Batch> commits;
  std::vector<OsAction> os;
  bool Nothing() const {
    return datagrams.empty() && tun.empty() && events.empty() && commits.empty() && os.empty();
  }
};

class TestNode {
 public:
  TestNode(uint8_t number, std::string name)
      : number_(number), name_(std::move(name)), keys_(TestSeed(number)) {
    identity_ = crypto::NewEd25519(keys_);
    static_ = crypto::NewX25519(keys_);
    log_ = crypto::NewEd25519(keys_);
    public_ = crypto::X25519Public(static_);
    kid_ = authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(identity_));
    const uint8_t address[] = {192, 0, 2, number};
    endpoint = {*IpAddress::From(address), 51820};
  }

  void Hold(const authority::Signed& s) {
    lineage::Batch batch;
    batch.objects.push_back({lineage::Shelf::kSigned, s.oid(), s.bytes()});
    EXPECT_TRUE(disk.Commit(batch).ok());
  }
  void Knows(const Held<authority::Announce>& a) {
    lineage::Batch batch;
    batch.puts.push_back({"announce/" + ToHex(a.signer()), a.envelope->bytes()});
    EXPECT_TRUE(disk.Commit(batch).ok());
  }
  void Start() {
    Config config{.identity = identity_.Clone(),
                  .static_key = static_.Clone(),
                  .log = log_.Clone(),
                  .store = &disk,
                  .name = name_,
                  .policy = policy,
                  .endpoints = {endpoint},
                  .lanes = lanes,
                  .seqs = &seqs_,
                  .invitation = {},
                  .witnesses = witnesses};
    sent_ = 0;
    control =
        std::make_unique<Control>(std::move(config), ImageOfDisk(), Rng(TestSeed(number_)), now);
    Do([&](Outbox& out) { control->SetUp(now, true, out); });
  }
  Image ImageOfDisk() const {
    Image image;
    const auto object = [&](const Oid&, ByteView b) {
      image.objects.emplace_back(b.begin(), b.end());
      return true;
    };
    const auto state = [&](std::string_view name, ByteView v) {
      image.state.emplace(std::string(name), Bytes(v.begin(), v.end()));
      return true;
    };
    EXPECT_TRUE(disk.ScanObjects(lineage::Shelf::kSigned, object).ok());
    EXPECT_TRUE(disk.ScanState("", state).ok());
    if (disk.size() > 0) image.last_record = *disk.Read(disk.size() - 1);
    image.edge = disk.edge();
    return image;
  }
  // The records of one kind, oldest first.
  std::vector<authority::Observe> Records(authority::RecordKind kind) const {
    std::vector<authority::Observe> found;
    for (lineage::Seq i = 0; i < disk.size(); ++i) {
      const auto body = disk.Read(i);
      if (!body.ok()) continue;
      auto record = authority::ParseBody<authority::Observe>(*body);
      if (record.ok() && record->kind == kind) found.push_back(*std::move(record));
    }
    return found;
  }
  // Commits survive as a disk would keep them: objects and state.
  void Restart() {
    control.reset();
    Start();
  }

  Did Do(const std::function<void(Outbox&)>& f) {
    Did did;
    Outbox out;
    f(out);
    for (;;) {
      Move(out, did);
      if (hold_commits || out.commits.empty()) break;
      const Ticket ticket = sent_ += out.commits.size();
      EXPECT_TRUE(disk.CommitAll(out.commits).ok());
      out.Clear();
      control->OnDurable(now, ticket, out);
    }
    return did;
  }
  Did Get(Bytes datagram, const Endpoint& from) {
    return Do([&](Outbox& out) { control->OnDatagram(now, datagram, from, {}, out); });
  }
  Did Wake() {
    return Do([&](Outbox& out) { control->OnWake(now, out); });
  }
  Did FromTun(Bytes packet) {
    const std::array<wireguard::TunPacket, 1> packets = {{{.bytes = packet}}};
    return Do([&](Outbox& out) { control->OnTunPackets(now, packets, out); });
  }
  void Later(std::chrono::nanoseconds d) {
    now.mono += d;
    now.wall.nanos += d.count();
  }

  // The disk is done with what turns under hold_commits made.
  Did Release(const std::vector<lineage::Batch>& held) {
    hold_commits = false;
    EXPECT_TRUE(disk.CommitAll(held).ok());
    const Ticket ticket = sent_ += held.size();
    return Do([&](Outbox& out) { control->OnDurable(now, ticket, out); });
  }

  // As a driver answers Event::Kind::kLogBehind.
  void BeginLog() {
    crypto::Ed25519Seed next = crypto::NewEd25519(keys_);
    Do([&](Outbox& out) { EXPECT_TRUE(control->BeginLog(now, next, out).ok()); });
    log_ = std::move(next);
  }

  const crypto::Ed25519Seed& log() const { return log_; }
  const Kid& kid() const { return kid_; }
  const X25519Key& static_key() const { return public_; }
  const crypto::Ed25519Seed& identity() const { return identity_; }
  const std::string& name() const { return name_; }

  Endpoint endpoint;
  admission::LocalPolicy policy = admission::OpenLocalPolicy();
  lineage::MemStore disk;
  std::unique_ptr<Control> control;
  std::vector<Event> events;  // of all lives
  std::vector<PublicWitness> witnesses;
  std::vector<WitnessAsk> asks;  // of all lives, unanswered
  uint32_t lanes = 0;            // data threads beside the test's own
  bool hold_commits = false;     // the disk is busy: commits are made and never end
  Now now{Instant{} + 1000s, WallTime::FromSeconds(1'780'000'000)};

 private:
  void Move(Outbox& out, Did& did) {
    for (const auto& d : out.wg.datagrams) {
      wireguard::ForEachSegment(
          d, [&](ByteView b) { did.datagrams.push_back({d.to, Bytes(b.begin(), b.end())}); });
    }
    for (const auto& p : out.wg.tun) {
      const ByteView b = out.wg.bytes(p);
      did.tun.emplace_back(b.begin(), b.end());
    }
    for (const Event& e : out.events) did.events.push_back(e), events.push_back(e);
    for (const lineage::Batch& b : out.commits) did.commits.push_back(b);
    for (const OsAction& a : out.os) did.os.push_back(a);
    for (const WitnessAsk& a : out.asks) asks.push_back(a);
  }
  uint8_t number_;
  std::string name_;
  Rng keys_;
  crypto::Ed25519Seed identity_, log_;
  crypto::X25519Private static_;
  X25519Key public_;
  Kid kid_;
  issuing::MemorySeqs seqs_;
  Ticket sent_ = 0;
};

// A mesh whose root granted every machine itself.
class Mesh2 {
 public:
  explicit Mesh2(authority::Profile profile = authority::Profile::kSmallMesh,
                 std::vector<authority::Param> params = {})
      : keys_(TestSeed(200)) {
    root_ = crypto::NewEd25519(keys_);
    charter_ = Must(issuing::Genesis({.name = "home",
                                      .next_key = {},
                                      .now = t0(),
                                      .pool4 = {},
                                      .prefixes = {},
                                      .profile = profile,
                                      .params = std::move(params)},
                                     root_,
                                     keys_));
    fragment_ = Must(issuing::DefaultFragment(issuer(), t0()));
  }
  // Grants it, and tells it the others' endpoints: whoever has the smaller key initiates first.
  TestNode& Add(const std::string& name) {
    nodes.push_back(std::make_unique<TestNode>(static_cast<uint8_t>(nodes.size() + 1), name));
    TestNode& n = *nodes.back();
    const auto grants = Must(issuing::RootGrants(
        issuer(),
        {.key = crypto::Ed25519Public(n.identity()), .name = name, .next_key = {}},
        t0()));
    n.Hold(*charter_.envelope);
    n.Hold(*grants.enroller->envelope);
    n.Hold(*grants.node.envelope);
    n.Hold(*fragment_.envelope);
    return n;
  }
  void Introduce(TestNode& to, const TestNode& other) {
    to.Knows(Must(issuing::MakeAnnounce(other.identity(),
                                        {.scope = scope(),
                                         .static_key = other.static_key(),
                                         .endpoints = {other.endpoint},
                                         .relays = {},
                                         .name = other.name(),
                                         .ttl = 86'400},
                                        t0())));
  }
  issuing::Issuer issuer() {
    return {signer_ ? *signer_ : signer_.emplace(root_, seqs_), charter_};
  }
  ScopeId scope() const { return issuing::ScopeOfCharter(charter_); }
  const Held<authority::Charter>& charter() const { return charter_; }
  const Held<authority::Fragment>& fragment() const { return fragment_; }
  static uint64_t t0() { return 1'780'000'000 - 3'600; }
  IpAddress AddressOf(const TestNode& n) const { return authority::DerivedIp6(scope(), n.kid()); }

  // Carries what one turn sent, and what that leads to, until nothing moves.
  void Carry(const TestNode& from, Did did) {
    std::deque<std::pair<Endpoint, Did::Datagram>> wire;
    const auto collect = [&](const TestNode& n, Did d) {
      for (auto& g : d.datagrams) wire.emplace_back(n.endpoint, std::move(g));
      for (Bytes& p : d.tun) tun[n.name()].push_back(std::move(p));
    };
    collect(from, std::move(did));
    while (!wire.empty()) {
      auto [source, d] = std::move(wire.front());
      wire.pop_front();
      for (auto& n : nodes) {
        if (n->control && n->endpoint == d.to) collect(*n, n->Get(d.bytes, source));
      }
    }
  }
  // Time passes for all, and everything that they say arrives.
  void Pump(std::chrono::milliseconds d) {
    for (auto at = 0ms; at < d; at += 100ms) {
      for (auto& n : nodes) {
        if (n->control) Carry(*n, n->Wake());
        n->Later(100ms);
      }
    }
  }

  std::vector<std::unique_ptr<TestNode>> nodes;
  std::map<std::string, std::vector<Bytes>> tun;

 private:
  Rng keys_;
  crypto::Ed25519Seed root_;
  issuing::MemorySeqs seqs_;
  std::optional<issuing::Signer> signer_;
  Held<authority::Charter> charter_;
  Held<authority::Fragment> fragment_;
};

// An IPv6 UDP packet with a right checksum.
inline Bytes Udp6(const IpAddress& src, const IpAddress& dst, uint16_t port, uint32_t mark) {
  Bytes p(40 + 8 + 4);
  p[0] = 0x60;
  StoreBe<uint16_t>(p.data() + 4, 12);
  p[6] = 17;
  p[7] = 64;
  std::copy(src.bytes().begin(), src.bytes().end(), p.begin() + 8);
  std::copy(dst.bytes().begin(), dst.bytes().end(), p.begin() + 24);
  StoreBe<uint16_t>(p.data() + 40, port);
  StoreBe<uint16_t>(p.data() + 42, port);
  StoreBe<uint16_t>(p.data() + 44, 12);
  StoreBe<uint32_t>(p.data() + 48, mark);
  uint32_t sum = 12 + 17;
  for (size_t i = 8; i < p.size(); i += 2) sum += LoadBe<uint16_t>(p.data() + i);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  StoreBe<uint16_t>(p.data() + 46, static_cast<uint16_t>(~sum));
  return p;
}

}  // namespace aqmesh::node

#endif  // AQMESH_TESTS_NODE_PAIR_H_
