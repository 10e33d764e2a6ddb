#include "sim/world.h"

#include <algorithm>

#include "admission/packet.h"
#include "core/authority/address.h"
#include "core/base/check.h"
#include "core/base/status.h"

namespace aqmesh::sim {

using namespace std::chrono_literals;

namespace {

Rng::Seed SeedOf(uint64_t seed) {
  Rng::Seed out{};
  StoreLe(out.data(), seed);
  return out;
}

// An IPv6 UDP packet with a right checksum.
Bytes UdpPacket(const IpAddress& src, const IpAddress& dst, uint16_t port, uint32_t mark) {
  Bytes p(40 + 8 + 4);
  p[0] = 0x60;
  StoreBe<uint16_t>(p.data() + 4, 12);
  p[6] = 17;
  p[7] = 64;
  std::memcpy(p.data() + 8, src.bytes().data(), 16);
  std::memcpy(p.data() + 24, dst.bytes().data(), 16);
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

}  // namespace

World::World(const Options& options)
    : options_(options),
      rng_(SeedOf(options.seed)),
      network_(rng_.Child("network")),
      disks_(rng_.Child("disks")),
      keys_(rng_.Child("keys")),
      time_(Instant{} + 1000s) {
  Rng root = keys_.Child("root");
  root_ = crypto::NewEd25519(root);
}
World::~World() = default;

Now World::now() const {
  const auto since = time_ - (Instant{} + 1000s);
  return {time_,
          WallTime{WallTime::FromSeconds(options_.start_seconds).nanos + since.count() +
                   std::chrono::nanoseconds(wall_offset_).count()}};
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

Machine& World::NewMachine(const std::string& name) {
  auto m = std::make_unique<Machine>();
  Rng keys = keys_.Child(name);
  m->name = name;
  m->identity = crypto::NewEd25519(keys);
  m->static_key = crypto::NewX25519(keys);
  m->kid = authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(m->identity));
  m->log =
      authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(crypto::NewEd25519(keys)));
  const uint8_t address[] = {192, 168, 1, static_cast<uint8_t>(10 + machines_.size())};
  m->endpoint = {*IpAddress::From(address), 41641};
  machines_.push_back(std::move(m));
  return *machines_.back();
}

Machine& World::Found(const std::string& name) {
  Machine& m = NewMachine(name);
  const uint64_t t = now().wall.seconds();
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
  return image;
}

void World::Start(Machine& m) {
  AQ_CHECK(m.control == nullptr);
  node::Config config{.identity = m.identity.Clone(),
                      .static_key = m.static_key.Clone(),
                      .log = m.log,
                      .name = m.name,
                      .policy = admission::OpenLocalPolicy(),
                      .endpoints = {m.endpoint},
                      .seqs = &m.seqs,
                      .invitation = {}};
  if (m.invitation)
    config.invitation = issuing::Invitation{m.invitation->invite, m.invitation->seed.Clone()};
  m.written = 0;
  m.control =
      std::make_unique<node::Control>(std::move(config), ImageOf(m), rng_.Child(m.name), now());
  Do(m, [this](node::Control& c, node::Outbox& out) { c.SetUp(now(), true, out); });
}

void World::Crash(Machine& m) {
  m.control.reset();
  m.writing.clear();
  m.wake_at = kNever;
  ++m.life;
}

void World::Do(Machine& m, const std::function<void(node::Control&, node::Outbox&)>& f) {
  AQ_CHECK(m.control != nullptr);
  node::Outbox out;
  f(*m.control, out);
  Carry(m, out);
}

// A driver's turn, in the order of node/outbox.h.
void World::Carry(Machine& m, node::Outbox& out) {
  const size_t index = IndexOf(m);
  for (lineage::Batch& b : out.commits) {
    m.writing.push_back(std::move(b));
    const node::Ticket ticket = m.written + m.writing.size();
    Push({.at = time_ + Between(options_.sync_min, options_.sync_max),
          .order = 0,
          .machine = index,
          .life = m.life,
          .kind = Event::Kind::kSynced,
          .bytes = {},
          .from = {},
          .ticket = ticket});
  }
  for (const auto& d : out.wg.datagrams) Transmit(m, d.to, out.wg.bytes(d));
  for (const auto& p : out.wg.tun) {
    const ByteView bytes = out.wg.bytes(p);
    if (p.peer == wireguard::kNoPeer) continue;  // our own ICMP answer to our own sender
    CheckDelivery(m, bytes);
    Trace("tun", m, bytes);
    m.tun.emplace_back(bytes.begin(), bytes.end());
  }
  for (node::Event& e : out.events) m.events.push_back(std::move(e));
  const Instant wake = m.control->NextWake();
  if (wake != m.wake_at) {
    m.wake_at = wake;
    if (wake != kNever) {
      Push({.at = std::max(wake, time_),
            .order = 0,
            .machine = index,
            .life = m.life,
            .kind = Event::Kind::kWake,
            .bytes = {},
            .from = {}});
    }
  }
}

std::chrono::nanoseconds World::Between(std::chrono::nanoseconds lo, std::chrono::nanoseconds hi) {
  return lo +
         std::chrono::nanoseconds(network_.Below(static_cast<uint64_t>((hi - lo).count()) + 1));
}

bool World::Separated(const Machine& a, const Machine& b) const {
  for (const auto& side : sides_) {
    if (side.contains(a.name) != side.contains(b.name)) return true;
  }
  return false;
}

void World::Transmit(Machine& from, const Endpoint& to, ByteView bytes) {
  for (size_t i = 0; i < machines_.size(); ++i) {
    Machine& m = *machines_[i];
    if (m.endpoint != to) continue;
    const bool lost = network_.Below(1'000'000) < options_.loss_ppm || Separated(from, m);
    const size_t copies = lost ? 0 : network_.Below(1'000'000) < options_.duplicate_ppm ? 2 : 1;
    for (size_t c = 0; c < copies; ++c) {
      Push({.at = time_ + Between(options_.latency_min, options_.latency_max),
            .order = 0,
            .machine = i,
            .life = m.life,
            .kind = Event::Kind::kDatagram,
            .bytes = Bytes(bytes.begin(), bytes.end()),
            .from = from.endpoint});
    }
  }
}

void World::Push(Event e) {
  e.order = ++order_;
  queue_.push(std::make_unique<Event>(std::move(e)));
}

void World::Trace(std::string_view what, const Machine& m, ByteView bytes) {
  uint8_t at[8];
  StoreLe<int64_t>(at, time_.time_since_epoch().count());
  trace_ = crypto::H256({trace_, at, AsBytes(what), AsBytes(m.name), bytes});
}

std::string World::TraceHash() const { return ToHex(ByteView(trace_).first(16)); }

void World::Step() {
  // priority_queue gives no way to move its top out; the pointer is released by hand.
  std::unique_ptr<Event> e = std::move(const_cast<std::unique_ptr<Event>&>(queue_.top()));
  queue_.pop();
  time_ = std::max(time_, e->at);
  AQ_CHECK(++events_ < kEventsMax);
  Machine& m = *machines_[e->machine];
  if (e->life != m.life || m.control == nullptr) return;
  node::Outbox out;
  switch (e->kind) {
    case Event::Kind::kDatagram:
      Trace("udp", m, e->bytes);
      m.control->OnDatagram(now(),
                            e->bytes,
                            e->from,
                            {.address = m.endpoint.address, .ifindex = 1, .known = true},
                            out);
      break;
    case Event::Kind::kSynced: {
      // Batches become durable in order; one sync may cover several.
      while (m.written < e->ticket) {
        const lineage::Batch batch = std::move(m.writing.front());
        m.writing.erase(m.writing.begin());
        AQ_CHECK(m.disk.Commit(batch).ok());
        ++m.written;
        for (const auto& o : batch.objects) {
          const auto s = authority::Signed::Parse(o.bytes);
          if (!s.ok() || s->ctx() != authority::Ctx::kRevoke) continue;
          const auto r = authority::ParseBody<authority::Revoke>(s->body());
          if (r.ok() && r->kid) m.revoked_durable.insert(*r->kid);
        }
      }
      Trace("sync", m, {});
      m.control->OnDurable(now(), m.written, out);
      CheckLog(m);
      break;
    }
    case Event::Kind::kWake:
      if (e->at < m.wake_at) return;  // a wake that was moved
      m.wake_at = kNever;
      m.control->OnWake(now(), out);
      break;
  }
  Carry(m, out);
}

void World::RunFor(std::chrono::nanoseconds d) {
  const Instant end = time_ + d;
  while (!queue_.empty() && queue_.top()->at <= end) Step();
  time_ = end;
}

bool World::RunUntil(const std::function<bool()>& done, std::chrono::nanoseconds at_most) {
  const Instant end = time_ + at_most;
  while (!done()) {
    if (queue_.empty() || queue_.top()->at > end) {
      time_ = end;
      return done();
    }
    Step();
  }
  return true;
}

// A packet delivered to a TUN means: its sender is a peer whose admission is committed in the
// durable log of the receiver, and of whom no revocation is durable there.
void World::CheckDelivery(Machine& m, ByteView packet) {
  admission::PacketInfo info;
  if (admission::Classify(packet, info) != admission::Drop::kNone) {
    violations_.push_back(m.name + ": an unclassifiable packet reached the TUN");
    return;
  }
  const Machine* sender = nullptr;
  for (const auto& other : machines_) {
    if (AddressOf(*other) == info.src) sender = other.get();
  }
  if (sender == nullptr) {
    if (info.proto != admission::kProtoIcmp6)
      violations_.push_back(m.name + ": a packet from nobody reached the TUN");
    return;
  }
  if (m.revoked_durable.contains(sender->kid)) {
    violations_.push_back(m.name + ": a packet of " + sender->name +
                          " after its revocation was durable here");
  }
  bool decided = false;
  AQ_CHECK(m.disk
               .WalkSubject(sender->kid,
                            0,
                            m.disk.size(),
                            lineage::Order::kNewestFirst,
                            [&](lineage::Seq, const Digest&, ByteView body) {
                              const auto r = authority::ParseBody<authority::Observe>(body);
                              decided = r.ok() && r->kind != authority::RecordKind::kDrops &&
                                        r->rung >= authority::Rung::kProbation;
                              return !decided;
                            })
               .ok());
  if (!decided)
    violations_.push_back(m.name + ": a packet of " + sender->name + " without a durable decision");
}

// The log and the live state agree: every committed peer has its COMMITTED or DECIDED record, and
// the chain holds.
void World::CheckLog(Machine& m) {
  const absl::Status s = m.disk.Verify(8);
  if (!s.ok()) violations_.push_back(m.name + ": " + Text(s));
}

issuing::Invitation World::InviteBy(Machine& sponsor, uint16_t uses) {
  Rng one = keys_.Child("invite");
  crypto::Ed25519Seed seed = crypto::NewEd25519(one);
  std::optional<authority::Held<authority::Invite>> invite;
  Do(sponsor, [&](node::Control& c, node::Outbox& out) {
    auto made = c.Invite(now(),
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

Machine& World::Join(const std::string& name, Machine& sponsor) {
  Machine& m = Add(name, InviteBy(sponsor));
  Start(m);
  RunUntil(
      [&] {
        return std::any_of(m.events.begin(), m.events.end(), [](const node::Event& e) {
          return e.kind == node::Event::Kind::kJoined;
        });
      },
      60s);
  return m;
}

void World::Send(Machine& a, const Machine& b, uint16_t port, uint32_t mark) {
  Bytes packet = UdpPacket(AddressOf(a), AddressOf(b), port, mark);
  const std::array<MutableBytes, 1> packets = {MutableBytes(packet)};
  Do(a, [&](node::Control& c, node::Outbox& out) { c.OnTunPackets(now(), packets, out); });
}

bool World::Got(const Machine& m, uint32_t mark) const {
  return std::any_of(m.tun.begin(), m.tun.end(), [&](const Bytes& p) {
    return p.size() == 52 && LoadBe<uint32_t>(p.data() + 48) == mark;
  });
}

bool World::CanTalk(Machine& a, Machine& b) {
  const uint32_t there = ++marks_, back = ++marks_;
  Send(a, b, 7, there);
  Send(b, a, 7, back);
  return RunUntil([&] { return Got(b, there) && Got(a, back); }, 3s);
}

}  // namespace aqmesh::sim
