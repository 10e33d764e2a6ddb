#include "sim/ledger.h"

#include "admission/gate.h"

namespace aqmesh::sim {

using authority::RecordKind;
using authority::Rung;

namespace {

constexpr auto kInstallPeer = static_cast<uint16_t>(admission::Action::kInstallPeer);
constexpr auto kAddRoute = static_cast<uint16_t>(admission::Action::kAddRoute);
constexpr uint64_t kGenerationUp = 1;  // of the kernel's tables: 1 up, 2 down

}  // namespace

void Ledger::Add(const authority::Observe& record) {
  if (record.kind == RecordKind::kRevokeSeen) {
    if (record.evidence) restrictions_.insert(*Oid::From(record.evidence->view()));
  } else if (record.action == kAddRoute) {
    AddTablesEdge(record);
  } else if (record.action == kInstallPeer && record.subject) {
    AddPeerEdge(standings_[*record.subject], record);
  }
}

void Ledger::AddPeerEdge(Standing& s, const authority::Observe& record) {
  const authority::ActionId id = record.action_id.value_or(authority::ActionId{});
  switch (record.kind) {
    case RecordKind::kProposed:
    case RecordKind::kDecided:
      s.decided = {record.rung, record.inputs.value_or(Oid{})};
      if (record.rung < Rung::kEscalate) {  // refused: nothing of it stays in force
        s.armed.clear();
        s.in_force.reset();
      }
      break;
    case RecordKind::kArmed: s.armed[id] = {record.rung, s.decided.inputs}; break;
    case RecordKind::kCommitted: {
      const auto plan = s.armed.find(id);
      s.in_force = {record.rung, plan == s.armed.end() ? Oid{} : plan->second.inputs};
      s.armed.erase(id);
      break;
    }
    case RecordKind::kApplied: s.applied = id; break;
    case RecordKind::kRolledBack:
      s.armed.erase(id);
      if (s.applied == id) s.in_force.reset();  // else it was given up before it touched anything
      break;
    default: break;
  }
}

void Ledger::AddTablesEdge(const authority::Observe& record) {
  const authority::ActionId id = record.action_id.value_or(authority::ActionId{});
  switch (record.kind) {
    case RecordKind::kArmed: tables_armed_.insert(id); break;
    case RecordKind::kCommitted:
      tables_armed_.erase(id);
      tables_up_ = record.intent_gen == kGenerationUp;
      break;
    case RecordKind::kRolledBack:
      tables_armed_.erase(id);
      tables_up_ = false;
      break;
    default: break;
  }
}

void Ledger::NewLife() {
  standings_.clear();
  tables_armed_.clear();
  tables_up_ = false;
}

const Ledger::Standing* Ledger::Find(const Kid& subject) const {
  const auto it = standings_.find(subject);
  return it == standings_.end() ? nullptr : &it->second;
}

size_t Ledger::open_plans() const {
  size_t n = 0;
  for (const auto& [subject, s] : standings_) n += s.armed.size();
  return n;
}

}  // namespace aqmesh::sim
