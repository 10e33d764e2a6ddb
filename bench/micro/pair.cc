#include "bench/micro/pair.h"

#include "bench/micro/bench.h"

namespace aqmesh::bench {

using namespace std::chrono_literals;

namespace {

Endpoint OuterOf(uint8_t host) {
  const uint8_t address[] = {192, 0, 2, host};
  return {.address = *IpAddress::From(address), .port = 41641};
}

Rng::Seed SeedOf(uint8_t n) { return {n}; }

template <class T>
T Must(absl::StatusOr<T> made) {
  AQ_CHECK(made.ok());
  return *std::move(made);
}

// What an outbox says was sent and delivered. 2 and a2 are the responses of both kinds of
// handshake.
template <class Host>
void Take(Host& h, wireguard::Outbox& out) {
  for (const wireguard::OutDatagram& d : out.datagrams) {
    wireguard::ForEachSegment(d, [&h](ByteView bytes) {
      h.wire.emplace_back(bytes.begin(), bytes.end());
      if (bytes[0] == 2 || bytes[0] == 0xa2) ++h.responses;
    });
  }
  for (const wireguard::OutPacket& p : out.tun) h.delivered += p.peer != wireguard::kNoPeer;
}

}  // namespace

Bytes TcpPacket(ByteView source, ByteView destination, uint16_t source_port, size_t size) {
  Bytes p(size);
  p[0] = 0x45;
  StoreBe(p.data() + 2, static_cast<uint16_t>(size));
  p[8] = 64;
  p[9] = 6;
  std::memcpy(p.data() + 12, source.data(), 4);
  std::memcpy(p.data() + 16, destination.data(), 4);
  StoreBe(p.data() + 20, source_port);
  StoreBe(p.data() + 22, uint16_t{5201});
  p[32] = 0x50;
  p[33] = 0x10;  // ACK: in mid-stream
  return p;
}

// ---- a mesh ----

Scope::Scope()
    : rng_(SeedOf(1)),
      root_seed_(crypto::NewEd25519(rng_)),
      enroller_seed_(crypto::NewEd25519(rng_)) {
  charter_ = Must(issuing::Genesis({.name = "bench", .now = kStartSeconds}, root_seed_, rng_));
  const issuing::Signer root(root_seed_, seqs_);
  const issuing::Issuer issuer{root, charter_};
  enroller_ = Must(issuing::EnrollerGrant(
      issuer, {.key = crypto::Ed25519Public(enroller_seed_), .name = "sponsor"}, kStartSeconds));
  fragment_ = Must(issuing::DefaultFragment(issuer, kStartSeconds));
}

Machine Scope::NewMachine(const std::string& name, Below below, uint8_t host) {
  Machine m{.name = name,
            .identity = crypto::NewEd25519(rng_),
            .static_key = crypto::NewX25519(rng_),
            .kid = {},
            .endpoint = OuterOf(host),
            .leaf = {}};
  const Ed25519Key key = crypto::Ed25519Public(m.identity);
  m.kid = authority::KidOf(authority::Suite::kEd25519, key);
  const bool direct = below == Below::kRoot;
  const issuing::Signer signer(direct ? root_seed_ : enroller_seed_, seqs_);
  const issuing::Issuer issuer{signer, charter_, direct ? nullptr : &enroller_};
  m.leaf = Must(issuing::NodeGrant(issuer, {.key = key, .name = name}, {}, kStartSeconds));
  return m;
}

std::vector<authority::Held<authority::Grant>> Scope::Above(Below below) const {
  if (below == Below::kRoot) return {};
  return {enroller_};
}

node::Image Scope::ImageOf(const Machine& m, const Machine& other) const {
  node::Image image;
  image.objects = {charter_.envelope->bytes(),
                   enroller_.envelope->bytes(),
                   fragment_.envelope->bytes(),
                   m.leaf.envelope->bytes()};
  const auto announce =
      Must(issuing::MakeAnnounce(other.identity,
                                 {.scope = id(),
                                  .static_key = crypto::X25519Public(other.static_key),
                                  .endpoints = {other.endpoint},
                                  .name = other.name},
                                 kStartSeconds));
  image.state["announce/" + ToHex(other.kid)] = announce.envelope->bytes();
  return image;
}

// ---- plain WireGuard ----

PlainPair::PlainPair() : now{Instant{1000s}, WallTime::FromSeconds(kStartSeconds)} {
  Rng rng(SeedOf(2));
  uint8_t n = 1;
  for (Host* h : {&a, &b}) {
    h->engine = std::make_unique<wireguard::Device>(wireguard::Device::Options{}, Rng(SeedOf(n)));
    h->endpoint = OuterOf(n);
    h->address = {10, 0, 0, n};
    h->engine->SetPrivateKey(now, crypto::NewX25519(rng), h->out);
    h->engine->SetUp(now, true, h->out);
    ++n;
  }
  for (auto [h, other] : {std::pair{&a, &b}, std::pair{&b, &a}}) {
    const auto id = Must(h->engine->AddPeer(now, other->engine->public_key(), h->out));
    h->engine->SetEndpoint(id, other->endpoint, h->out);
    AQ_CHECK(h->engine->AddAllowedIp(id, Prefix::Host(*IpAddress::From(other->address))).ok());
    Keep(*h);
  }
  Bytes first = TcpPacket(a.address, b.address, 1, 60);
  const std::array<wireguard::TunPacket, 1> packets = {{{.bytes = first}}};
  Tun(a, packets);
  Keep(a);
  Carry(*this);
  AQ_CHECK(b.delivered == 1);
}

void PlainPair::Tun(Host& h, std::span<const wireguard::TunPacket> packets) {
  h.engine->OnTunPackets(now, packets, h.out);
}

void PlainPair::Wire(Host& to, std::span<const MutableBytes> datagrams, const Host& from) {
  std::vector<wireguard::InDatagram> in;
  for (MutableBytes d : datagrams) in.push_back({.bytes = d, .from = from.endpoint, .at = {}});
  to.engine->OnDatagrams(now, in, to.out);
}

void PlainPair::Keep(Host& h) {
  Take(h, h.out);
  h.out.Clear();
}

// ---- nodes ----

NodePair::NodePair(Below below) : now{Instant{1000s}, WallTime::FromSeconds(kStartSeconds)} {
  Scope scope;
  const Machine ma = scope.NewMachine("a", below, 1), mb = scope.NewMachine("b", below, 2);
  Start(a, ma, scope.ImageOf(ma, mb));
  Start(b, mb, scope.ImageOf(mb, ma));
}

void NodePair::Start(Host& h, const Machine& m, node::Image image) {
  node::Config config{.identity = m.identity.Clone(),
                      .static_key = m.static_key.Clone(),
                      .log = m.identity.Clone(),  // signs nothing here
                      .name = m.name,
                      .policy = admission::OpenLocalPolicy(),
                      .endpoints = {m.endpoint},
                      .mtu = 1420,
                      .seqs = &seqs_,
                      .invitation = {}};
  h.engine =
      std::make_unique<node::Control>(std::move(config), image, Rng(SeedOf(m.kid.bytes[0])), now);
  h.endpoint = m.endpoint;
  for (const Prefix& p : h.engine->own_addresses()) {
    if (!p.address.is_v6()) h.address = Bytes(p.address.bytes().begin(), p.address.bytes().end());
  }
  AQ_CHECK(h.address.size() == 4);
  h.engine->SetUp(now, true, h.out);
  Keep(h);
  h.wire.clear();
}

void NodePair::Meet() {
  now.mono += 1501ms;  // what a waits if its key is the greater one
  a.engine->OnWake(now, a.out);
  Keep(a);
  Carry(*this, [this] { return a.admitted && b.admitted; });
  AQ_CHECK(a.admitted && b.admitted);
}

void NodePair::Tun(Host& h, std::span<const wireguard::TunPacket> packets) {
  h.engine->OnTunPackets(now, packets, h.out);
}

void NodePair::Wire(Host& to, std::span<const MutableBytes> datagrams, const Host& from) {
  std::vector<node::InFrame> in;
  for (MutableBytes d : datagrams) in.push_back({.bytes = d, .from = from.endpoint, .at = {}});
  to.engine->OnDatagrams(now, in, to.out);
}

void NodePair::Keep(Host& h) {
  for (;;) {
    Take(h, h.out.wg);
    for (const node::Event& e : h.out.events) h.admitted |= e.kind == node::Event::Kind::kAdmitted;
    const size_t wrote = h.out.commits.size();
    h.out.Clear();
    if (wrote == 0) return;
    h.durable += wrote;
    h.engine->OnDurable(now, h.durable, h.out);
  }
}

}  // namespace aqmesh::bench
