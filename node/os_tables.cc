// Control's half of governed changes to the kernel's tables: what is armed and how it ended. The
// other half, applying and reading back, is the driver's.
// Spec: spec/authority.md F: the undo is durable before the effect; each edge is a record. The addresses and
// routes die with the interface, so after a crash the undo that Actuator::Recover finds has nothing
// left to do but to be recorded.
#include "node/control.h"

namespace aqmesh::node {

using authority::RecordKind;

namespace {

authority::Observe EdgeOf(const OsAction& action, RecordKind kind, const Kid& own) {
  authority::Observe o;
  o.kind = kind;
  o.subject = own;
  o.action = static_cast<uint16_t>(admission::Action::kAddRoute);
  o.action_id = action.id;
  o.intent_gen = action.kind == OsAction::Kind::kUp ? 1 : 2;
  const bool seen = kind == RecordKind::kVerified || kind == RecordKind::kCommitted;
  o.observed_gen = seen ? o.intent_gen : 0;
  return o;
}

std::string UndoName(const OsAction& action) { return "undo/" + ToHex(action.id); }

}  // namespace

void Control::ArmOs(Now now, OsAction action, Outbox& out) {
  Turn t{now, out};
  rng_.Fill(action.id.bytes);
  recorder_.Record(EdgeOf(action, RecordKind::kArmed, mesh_.kid()), now.wall);
  recorder_.PutState(UndoName(action), Bytes(mesh_.kid().bytes.begin(), mesh_.kid().bytes.end()));
  recorder_.WhenDurable(
      [this, action = std::move(action)]() mutable { turn_->out.os.push_back(std::move(action)); });
  EndTurn(t);
}

void Control::OnOsOutcome(Now now,
                          const OsAction& action,
                          std::span<const RecordKind> edges,
                          Outbox& out) {
  Turn t{now, out};
  for (const RecordKind kind : edges) recorder_.Record(EdgeOf(action, kind, mesh_.kid()), now.wall);
  recorder_.DeleteState(UndoName(action));
  EndTurn(t);
}

void Control::SetPolicy(Now now, admission::LocalPolicy policy, Outbox& out) {
  Turn t{now, out};
  config_.policy = std::move(policy);
  ++policy_generation_;
  RedecideAll(t);
  EndTurn(t);
}

}  // namespace aqmesh::node
