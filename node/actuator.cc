#include "node/actuator.h"

#include <algorithm>

namespace aqmesh::authority {

struct Actuating {
  static node::Actuation Mint(node::Recorded recorded, node::PeerPlan plan) {
    return {Passkey<Actuating>(), std::move(recorded), std::move(plan)};
  }
};
struct Confirming {
  static node::Outcome Mint(const ActionId& id, bool committed) {
    return {Passkey<Confirming>(), id, committed};
  }
};

}  // namespace aqmesh::authority

namespace aqmesh::node {

using authority::RecordKind;

namespace {

std::string UndoName(const authority::ActionId& id) { return "undo/" + ToHex(id); }

}  // namespace

void Actuator::Record(RecordKind kind, const PeerPlan& plan, Now now, uint64_t observed) {
  authority::Observe o;
  o.kind = kind;
  o.subject = plan.subject;
  o.rung = plan.verdict->rung;
  o.action = static_cast<uint16_t>(admission::Action::kInstallPeer);
  o.action_id = plan.id;
  o.intent_gen = plan.verdict->epoch;
  o.observed_gen = observed;
  recorder_.Record(std::move(o), now.wall);
}

void Actuator::Arm(const PeerPlan& plan, Now now) {
  Record(RecordKind::kArmed, plan, now, 0);
  // The tables die with the process, so the undo of a peer names it and no more.
  Bytes undo(plan.subject.bytes.begin(), plan.subject.bytes.end());
  Append(undo, plan.static_key);
  recorder_.PutState(UndoName(plan.id), std::move(undo));
}

Actuation Actuator::Apply(Recorded recorded, PeerPlan plan, Now now) {
  for (const Prefix& p : plan.addresses) {
    const PeerId holder = forwarder_.Route(p.address);
    // spec: objects#6 what is committed stays; a later grant comes in without the contested
    // address.
    if (holder == wireguard::kNoPeer) forwarder_.allowed_ips().Insert(p, plan.peer);
  }
  datapath_.SetVerdict(plan.peer, plan.verdict, now);
  return authority::Actuating::Mint(std::move(recorded), std::move(plan));
}

Outcome Actuator::Confirm(Actuation actuation, Now now) {
  const PeerPlan& plan = actuation.plan();
  const auto in_force = datapath_.VerdictOf(plan.peer);
  const uint64_t observed = in_force ? in_force->epoch : 0;
  const bool routed =
      std::all_of(plan.addresses.begin(), plan.addresses.end(), [&](const Prefix& p) {
        return forwarder_.Route(p.address) != wireguard::kNoPeer;
      });
  Record(RecordKind::kApplied, plan, now, 0);
  const bool same = in_force == plan.verdict && routed;
  if (same) {
    Record(RecordKind::kVerified, plan, now, observed);
    Record(RecordKind::kCommitted, plan, now, observed);
  } else {
    datapath_.SetVerdict(plan.peer, nullptr, now);
    Record(RecordKind::kRolledBack, plan, now, observed);
  }
  recorder_.DeleteState(UndoName(plan.id));
  return authority::Confirming::Mint(plan.id, same);
}

void Actuator::Recover(const std::map<std::string, Bytes, std::less<>>& state, Now now) {
  for (auto it = state.lower_bound("undo/"); it != state.end() && it->first.starts_with("undo/");
       ++it) {
    authority::Observe o;
    o.kind = RecordKind::kRolledBack;
    if (it->second.size() >= 16) o.subject = Kid::From(ByteView(it->second).first(16));
    o.action = static_cast<uint16_t>(admission::Action::kInstallPeer);
    if (const auto id = FromHex(std::string_view(it->first).substr(5)))
      o.action_id = authority::ActionId::From(*id);
    recorder_.Record(std::move(o), now.wall);
    recorder_.DeleteState(it->first);
  }
}

}  // namespace aqmesh::node
