#include "sim/world.h"

#include <algorithm>

#include "core/authority/address.h"
#include "core/base/check.h"
#include "core/base/status.h"
#include "sim/packet.h"

// Building a world, and the orders that a scenario gives; what happens by itself is in run.cc.
namespace aqmesh::sim {

using namespace std::chrono_literals;

namespace {

Rng::Seed SeedOf(uint64_t seed) {
  Rng::Seed out{};
  StoreLe(out.data(), seed);
  return out;
}

}  // namespace

World::World(Options options)
    : options_(std::move(options)),
      rng_(SeedOf(options_.seed)),
      network_(options_.weather, rng_.Child("network")),
      disks_(rng_.Child("disks")),
      keys_(rng_.Child("keys")),
      choices_(rng_.Child("choices")),
      trace_(options_.sink),
      checker_([this](const Oid& oid) -> std::optional<Bytes> {
        for (const auto& m : machines_) {
          const auto found = m->disk.GetObject(lineage::Shelf::kSigned, oid);
          if (found.ok() && *found) return *found;
        }
        return std::nullopt;
      }) {
  Rng root = keys_.Child("root");
  root_ = crypto::NewEd25519(root);
}
World::~World() = default;

Now World::NowOf(const Machine& m) const {
  const auto since = time_ - kBegan + m.skew;
  return {time_, {WallTime::FromSeconds(options_.start_seconds).nanos + since.count()}};
}

size_t World::IndexOf(const Machine& m) const {
  for (size_t i = 0; i < machines_.size(); ++i) {
    if (machines_[i].get() == &m) return i;
  }
  AQ_CHECK(false);
}

Machine* World::Find(const std::string& name) {
  for (auto& m : machines_) {
    if (m->name == name) return m.get();
  }
  return nullptr;
}

IpAddress World::AddressOf(const Machine& m) const { return authority::DerivedIp6(scope_, m.kid); }

void World::Note(std::string_view who, std::string_view what) {
  trace_.Add(Join(events_, " ", TimeText(time_, kBegan), " ", who, " ", what));
}

// ---- building ----

Machine& World::NewMachine(const std::string& name) {
  AQ_CHECK(machines_.size() < 200 && Find(name) == nullptr);
  auto m = std::make_unique<Machine>();
  Rng keys = keys_.Child(name);
  m->name = name;
  m->identity = crypto::NewEd25519(keys);
  m->static_key = crypto::NewX25519(keys);
  m->kid = authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(m->identity));
  m->log = crypto::NewEd25519(keys);
  const uint8_t address[] = {192, 168, 1, static_cast<uint8_t>(10 + machines_.size())};
  m->endpoint = {*IpAddress::From(address), 41641};
  if (options_.skew_max > 0ns) {
    const auto most = static_cast<uint64_t>(options_.skew_max.count());
    m->skew = std::chrono::nanoseconds(keys.Below(2 * most + 1)) - options_.skew_max;
  }
  checker_.SetName(m->kid, name);
  machines_.push_back(std::move(m));
  return *machines_.back();
}

Machine& World::Found(const std::string& name) {
  Machine& m = NewMachine(name);
  const uint64_t t = NowOf(m).wall.seconds();
  const auto charter = issuing::Genesis(
      {.name = "home", .next_key = {}, .now = t, .pool4 = {}, .prefixes = {}}, root_, keys_);
  AQ_CHECK(charter.ok());
  scope_ = issuing::ScopeOfCharter(*charter);
  const issuing::Signer root(root_, root_seqs_);
  const issuing::Issuer issuer{root, *charter};
  const auto grants = issuing::RootGrants(
      issuer, {.key = crypto::Ed25519Public(m.identity), .name = name, .next_key = {}}, t);
  AQ_CHECK(grants.ok());
  const auto fragment = issuing::DefaultFragment(issuer, t);
  AQ_CHECK(fragment.ok());
  checker_.SetName(root.kid(), "the root");
  lineage::Batch batch;
  for (const auto* s : {charter->envelope.get(),
                        grants->node.envelope.get(),
                        grants->enroller->envelope.get(),
                        fragment->envelope.get()}) {
    batch.objects.push_back({lineage::Shelf::kSigned, s->oid(), s->bytes()});
  }
  AQ_CHECK(m.disk.Commit(batch).ok());
  return m;
}

Machine& World::Add(const std::string& name, issuing::Invitation invitation) {
  Machine& m = NewMachine(name);
  m.invitation = std::move(invitation);
  return m;
}

node::Image World::ImageOf(const Machine& m) const {
  node::Image image;
  AQ_CHECK(m.disk
               .ScanObjects(lineage::Shelf::kSigned,
                            [&](const Oid&, ByteView b) {
                              image.objects.emplace_back(b.begin(), b.end());
                              return true;
                            })
               .ok());
  AQ_CHECK(m.disk
               .ScanState("",
                          [&](std::string_view name, ByteView v) {
                            image.state.emplace(std::string(name), Bytes(v.begin(), v.end()));
                            return true;
                          })
               .ok());
  if (m.disk.size() > 0) image.last_record = *m.disk.Read(m.disk.size() - 1);
  image.edge = m.disk.edge();
  return image;
}

void World::Start(Machine& m) {
  AQ_CHECK(!m.running());
  node::Config config{.identity = m.identity.Clone(),
                      .static_key = m.static_key.Clone(),
                      .log = m.log.Clone(),
                      .store = &m.disk,
                      .name = m.name,
                      .policy = admission::OpenLocalPolicy(),
                      .endpoints = {m.endpoint},
                      .seqs = &m.seqs,
                      .invitation = {}};
  if (m.invitation)
    config.invitation = issuing::Invitation{m.invitation->invite, m.invitation->seed.Clone()};
  m.written = 0;
  Note(m.name, "start");
  checker_.OnStart(m.name, m.disk);
  m.control =
      std::make_unique<node::Control>(std::move(config), ImageOf(m), rng_.Child(m.name), NowOf(m));
  Do(m, [&](node::Control& c, node::Outbox& out) { c.SetUp(NowOf(m), true, out); });
  FollowTables(m);
}

void World::Crash(Machine& m) {
  Note(m.name, Join("crash, ", m.writing.size(), " batches not durable"));
  m.control.reset();
  m.writing.clear();
  m.tables_up = false;
  m.wanted = {};
  m.wake_at = kNever;
  ++m.life;
}

issuing::Invitation World::InviteBy(Machine& sponsor, uint16_t uses) {
  Rng one = keys_.Child("invite");
  crypto::Ed25519Seed seed = crypto::NewEd25519(one);
  std::optional<authority::Held<authority::Invite>> invite;
  Do(sponsor, [&](node::Control& c, node::Outbox& out) {
    auto made = c.Invite(NowOf(sponsor),
                         {.one_time_key = crypto::Ed25519Public(seed),
                          .uses = uses,
                          .flags = authority::kInviteEnroller | authority::kInvitePreApproved,
                          .members = {}},
                         out);
    AQ_CHECK(made.ok());
    invite = *std::move(made);
  });
  return {*std::move(invite), std::move(seed)};
}

bool World::Joined(const Machine& m) {
  return std::any_of(m.events.begin(), m.events.end(), [](const node::Event& e) {
    return e.kind == node::Event::Kind::kJoined;
  });
}

Machine& World::Enrol(const std::string& name, Machine& sponsor) {
  Machine& m = Add(name, InviteBy(sponsor));
  Start(m);
  RunUntil([&] { return Joined(m); }, 60s);
  return m;
}

// ---- traffic ----

uint32_t World::Send(Machine& a, const Machine& b, uint16_t port) {
  const uint32_t mark = ++marks_;
  Bytes packet = ProbePacket(AddressOf(a), AddressOf(b), port, mark);
  const std::array<wireguard::TunPacket, 1> packets = {{{.bytes = packet}}};
  Do(a, [&](node::Control& c, node::Outbox& out) { c.OnTunPackets(NowOf(a), packets, out); });
  return mark;
}

bool World::CanTalk(Machine& a, Machine& b) {
  const uint32_t there = Send(a, b), back = Send(b, a);
  return RunUntil([&] { return b.got.contains(there) && a.got.contains(back); }, 3s);
}

}  // namespace aqmesh::sim
