#include <algorithm>

#include "admission/packet.h"
#include "core/authority/address.h"
#include "core/base/check.h"
#include "core/base/status.h"
#include "lineage/record.h"
#include "sim/packet.h"
#include "sim/world.h"

// What happens by itself: events in the order of virtual time, a driver's turn after each, and the
// checker after each turn.
namespace aqmesh::sim {

using namespace std::chrono_literals;
using authority::RecordKind;

namespace {

std::string Short(ByteView bytes) { return ToHex(ByteView(crypto::H128({bytes})).first(6)); }

std::string_view EventWord(node::Event::Kind kind) {
  using Kind = node::Event::Kind;
  switch (kind) {
    case Kind::kJoinWaits: return "join waits";
    case Kind::kWords: return "words";
    case Kind::kJoined: return "joined";
    case Kind::kJoinGranted: return "join granted";
    case Kind::kAdmitted: return "admitted";
    case Kind::kRefused: return "refused";
    case Kind::kNotice: return "notice";
    case Kind::kRevoked: return "closed";
    case Kind::kRenewed: return "renewed";
    case Kind::kLogBehind: return "log behind";
    case Kind::kLogBegun: return "log begun";
    case Kind::kForked: return "forked";
    case Kind::kRedacted: return "redacted";
    case Kind::kUnwitnessed: return "unwitnessed";
    case Kind::kWitnessed: return "witnessed";
    case Kind::kEscalated: return "escalated";
    case Kind::kCharter: return "charter";
  }
  return "?";
}

}  // namespace

void World::Push(Event e) {
  e.order = ++order_;
  queue_.push(std::make_unique<Event>(std::move(e)));
}

std::unique_ptr<World::Event> World::Pop() {
  // priority_queue gives no way to move its top out; the pointer is released by hand.
  std::unique_ptr<Event> e = std::move(const_cast<std::unique_ptr<Event>&>(queue_.top()));
  queue_.pop();
  return e;
}

// ---- turns ----

void World::Do(Machine& m, const std::function<void(node::Control&, node::Outbox&)>& f) {
  AQ_CHECK(m.running());
  node::Outbox out;
  f(*m.control, out);
  Carry(m, out);
}

// A driver's turn, in the order of node/outbox.h.
void World::Carry(Machine& m, node::Outbox& out) {
  const size_t index = IndexOf(m);
  for (lineage::Batch& b : out.commits) {
    checker_.OnHandedOver(m.name, b);
    m.writing.push_back(std::move(b));
    const auto span = static_cast<uint64_t>((options_.sync_max - options_.sync_min).count());
    Push({.at = time_ + options_.sync_min + std::chrono::nanoseconds(disks_.Below(span + 1)),
          .machine = index,
          .life = m.life,
          .kind = Event::Kind::kSynced,
          .ticket = m.written + m.writing.size()});
  }
  for (const auto& d : out.wg.datagrams) Transmit(m, d.to, out.wg.bytes(d));
  Deliver(m, out);
  for (const node::OsAction& action : out.os) CarryOut(m, action);
  for (node::Event& e : out.events) {
    Note(m.name, Join(EventWord(e.kind), " ", e.name, e.text.empty() ? "" : ": ", e.text));
    m.events.push_back(std::move(e));
  }
  Check(m, out.wg.datagrams.size());
  FollowTables(m);
  ArmWake(m);
}

void World::Deliver(Machine& m, const node::Outbox& out) {
  for (const auto& p : out.wg.tun) {
    if (p.peer == wireguard::kNoPeer) continue;  // our own ICMP answer to our own sender
    const ByteView bytes = out.wg.bytes(p);
    const Machine* sender = nullptr;
    for (const node::PeerView& view : m.control->Peers()) {
      if (view.id == p.peer) sender = HolderOf(view.static_key);
    }
    admission::PacketInfo info;
    if (sender == nullptr || admission::Classify(bytes, info) != admission::Drop::kNone) {
      checker_.Report(Rule::kDelivery, m.name, "a frame of nobody, or unclassifiable");
      continue;
    }
    const std::optional<uint32_t> mark = MarkOf(bytes);
    Note(m.name, Join("tun from ", sender->name, " mark ", mark.value_or(0)));
    checker_.CheckDelivery(m.name,
                           {.sender = sender->kid,
                            .address = AddressOf(*sender),
                            .source = info.src,
                            .wall = NowOf(m).wall});
    if (mark) m.got.insert(*mark);
  }
}

Machine* World::HolderOf(const X25519Key& static_key) {
  for (auto& m : machines_) {
    if (crypto::X25519Public(m->static_key) == static_key) return m.get();
  }
  return nullptr;
}

void World::Transmit(Machine& from, const Endpoint& to, ByteView bytes) {
  for (size_t i = 0; i < machines_.size(); ++i) {
    Machine& m = *machines_[i];
    if (m.endpoint != to) continue;
    for (Network::Copy& copy : network_.Carry(bytes)) {
      Push({.at = time_ + copy.delay,
            .machine = i,
            .life = m.life,
            .kind = Event::Kind::kDatagram,
            .bytes = std::move(copy.bytes),
            .from = IndexOf(from)});
    }
  }
}

void World::ArmWake(Machine& m) {
  if (!m.running()) return;
  const Instant wake = m.control->NextWake();
  if (wake == m.wake_at) return;
  m.wake_at = wake;
  if (wake == kNever) return;
  Push({.at = std::max(wake, time_),
        .machine = IndexOf(m),
        .life = m.life,
        .kind = Event::Kind::kWake});
}

void World::Check(Machine& m, size_t datagrams) {
  Live live;
  for (const node::PeerView& p : m.control->Peers()) {
    const auto verdict = m.control->datapath().VerdictOf(p.id);
    live.peers.push_back({.kid = p.kid,
                          .verdict = verdict ? verdict->rung : authority::Rung::kNone,
                          .committed = p.committed});
  }
  const bool scoped = m.control->mesh().has_charter();
  live.restrictions = scoped ? m.control->mesh().restrictions().size() : 0;
  live.tables_up = m.tables_up;
  m.turns_at_once = m.busy_at == time_ ? m.turns_at_once + 1 : 1;
  m.busy_at = time_;
  const size_t before = checker_.violations().size();
  checker_.CheckAgreement(m.name, live);
  checker_.CheckLoad(m.name,
                     {.peers = live.peers.size(),
                      .others = machines_.size() - 1,
                      .batches = m.writing.size(),
                      .datagrams = datagrams,
                      .plans = checker_.durable(m.name).open_plans(),
                      .turns_at_once = m.turns_at_once});
  for (size_t i = before; i < checker_.violations().size(); ++i)
    Note(m.name, Join("VIOLATION ", checker_.violations()[i].what));
}

// ---- the kernel's tables ----

// Asks for the tables that the node's grants call for, as the daemon does.
void World::FollowTables(Machine& m) {
  if (!m.running() || !m.control->mesh().has_charter()) return;
  node::OsAction action;
  action.kind = node::OsAction::Kind::kUp;
  action.addresses = m.control->own_addresses();
  if (action.addresses.empty() || action.addresses == m.wanted.addresses) return;
  action.routes = {authority::Prefix48(scope_)};
  m.wanted = action;
  Do(m, [&](node::Control& c, node::Outbox& out) { c.ArmOs(NowOf(m), std::move(action), out); });
}

void World::CarryOut(Machine& m, const node::OsAction& action) {
  checker_.CheckTables(m.name, action.id);
  const bool up = action.kind == node::OsAction::Kind::kUp;
  const bool was = m.tables_up;
  std::vector<RecordKind> edges = {RecordKind::kApplied};
  if (!m.tables_stuck) m.tables_up = up;
  if (m.tables_up == up) {  // read back
    edges.insert(edges.end(), {RecordKind::kVerified, RecordKind::kCommitted});
  } else {
    m.tables_up = was;
    edges.push_back(RecordKind::kRolledBack);
  }
  Note(m.name, Join("tables ", up ? "up" : "down", edges.size() == 3 ? "" : ", rolled back"));
  Do(m, [&](node::Control& c, node::Outbox& out) { c.OnOsOutcome(NowOf(m), action, edges, out); });
}

// ---- events ----

// "decided(b ADMIT)"
std::string World::RecordText(const lineage::RecordEntry& entry) {
  const auto record = authority::ParseBody<authority::Observe>(entry.body);
  if (!record.ok()) return "unreadable";
  const std::string whom = record->subject ? checker_.NameOf(*record->subject) : "";
  const bool judged = record->rung != authority::Rung::kNone;
  return Join(lineage::KindName(record->kind),
              "(",
              whom,
              judged ? " " : "",
              judged ? authority::RungName(record->rung) : "",
              ")");
}

void World::OnDatagram(Machine& m, Event& e, node::Outbox& out) {
  const Machine& from = *machines_[e.from];
  Note(m.name, Join("udp from ", from.name, " ", e.bytes.size(), " ", Short(e.bytes)));
  m.control->OnDatagram(NowOf(m),
                        e.bytes,
                        from.endpoint,
                        {.address = m.endpoint.address, .ifindex = 1, .known = true},
                        out);
}

// Batches become durable in order; one sync may cover several.
void World::OnSynced(Machine& m, const Event& e, node::Outbox& out) {
  std::string records;
  while (m.written < e.ticket) {
    if (!m.disk_lies) AQ_CHECK(m.disk.Commit(m.writing.front()).ok());
    for (const lineage::RecordEntry& r : m.writing.front().records) records += " " + RecordText(r);
    m.writing.erase(m.writing.begin());
    ++m.written;
  }
  checker_.OnDurable(m.name, m.disk);
  const auto head = m.disk.head();
  Note(m.name,
       Join("sync ", m.written, " ", m.disk.size(), " ", head ? Short(head->leaf) : "-", records));
  m.control->OnDurable(NowOf(m), m.written, out);
}

void World::Step() {
  const std::unique_ptr<Event> e = Pop();
  time_ = std::max(time_, e->at);
  Machine& m = *machines_[e->machine];
  if (e->life != m.life || !m.running()) return;
  node::Outbox out;
  switch (e->kind) {
    case Event::Kind::kDatagram:
      if (!network_.Passes(machines_[e->from]->name, m.name)) return;
      ++events_;
      OnDatagram(m, *e, out);
      break;
    case Event::Kind::kSynced:
      ++events_;
      OnSynced(m, *e, out);
      break;
    case Event::Kind::kWake:
      if (e->at < m.wake_at || m.wake_at == kNever) return;  // a wake that was moved
      ++events_;
      m.wake_at = kNever;
      Note(m.name, "wake");
      m.control->OnWake(NowOf(m), out);
      break;
  }
  Carry(m, out);
}

// ---- time ----

bool World::Goes(Instant until) {
  if (events_ >= options_.events_max ||
      (!queue_.empty() && queue_.top()->at > options_.until && until > options_.until)) {
    limit_reached_ = true;
    if (events_ < options_.events_max) time_ = std::max(time_, options_.until);
  }
  return !stopped() && !queue_.empty() && queue_.top()->at <= until;
}

void World::RunFor(std::chrono::nanoseconds d) {
  const Instant end = After(time_, d);
  while (Goes(end)) Step();
  if (!stopped()) time_ = std::max(time_, end);
}

bool World::RunUntil(const std::function<bool()>& done, std::chrono::nanoseconds at_most) {
  const Instant end = After(time_, at_most);
  while (!done()) {
    if (!Goes(end)) {
      if (!stopped()) time_ = std::max(time_, end);
      return done();
    }
    Step();
  }
  return true;
}

void World::Sleep(std::chrono::nanoseconds d) {
  Note("world", Join("sleeps ", d / 1s, " s"));
  time_ = After(time_, d);
  // What was on the wire is lost; timers and syncs that came due meanwhile come late.
  std::vector<std::unique_ptr<Event>> kept;
  while (!queue_.empty()) {
    std::unique_ptr<Event> e = Pop();
    if (e->kind != Event::Kind::kDatagram) kept.push_back(std::move(e));
  }
  for (auto& e : kept) queue_.push(std::move(e));
}

}  // namespace aqmesh::sim
