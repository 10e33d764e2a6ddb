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

std::string InForceName(const Kid& subject) { return "in-force/" + ToHex(subject); }

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
  if (kind == RecordKind::kArmed) o.evidence = plan.decided;
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
  const wireguard::DataLock::Hold hold(datapath_.lock());  // addresses and verdict at once
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
  const bool routed = [&] {
    const wireguard::DataLock::Hold hold(datapath_.lock());
    return std::all_of(plan.addresses.begin(), plan.addresses.end(), [&](const Prefix& p) {
      return forwarder_.Route(p.address) != wireguard::kNoPeer;
    });
  }();
  Record(RecordKind::kApplied, plan, now, 0);
  const bool same = in_force == plan.verdict && routed;
  if (same) {
    Record(RecordKind::kVerified, plan, now, observed);
    Record(RecordKind::kCommitted, plan, now, observed);
    recorder_.PutState(InForceName(plan.subject),
                       Bytes(plan.id.bytes.begin(), plan.id.bytes.end()));
  } else {
    datapath_.SetVerdict(plan.peer, nullptr, now);
    Record(RecordKind::kRolledBack, plan, now, observed);
  }
  recorder_.DeleteState(UndoName(plan.id));
  return authority::Confirming::Mint(plan.id, same);
}

void Actuator::Abandon(const PeerPlan& plan, Now now) {
  Record(RecordKind::kRolledBack, plan, now, 0);
  recorder_.DeleteState(UndoName(plan.id));
}

void Actuator::Withdraw(const Kid& subject,
                        const authority::ActionId& id,
                        Now now,
                        authority::Reason why) {
  authority::Observe o;
  o.kind = RecordKind::kRolledBack;
  o.subject = subject;
  o.action = static_cast<uint16_t>(admission::Action::kInstallPeer);
  o.action_id = id;
  o.reason = static_cast<uint16_t>(why);
  recorder_.Record(std::move(o), now.wall);
  recorder_.DeleteState(InForceName(subject));
}

void Actuator::Recover(const std::map<std::string, Bytes, std::less<>>& state, Now now) {
  const auto walk = [&](std::string_view family, auto visit) {
    for (auto it = state.lower_bound(family); it != state.end() && it->first.starts_with(family);
         ++it) {
      if (const auto key = FromHex(std::string_view(it->first).substr(family.size())))
        visit(it->first, *key, ByteView(it->second));
    }
  };
  walk("undo/", [&](const std::string& name, const Bytes& key, ByteView value) {
    authority::Observe o;
    o.kind = RecordKind::kRolledBack;
    if (value.size() >= Kid::kSize) o.subject = Kid::From(value.first(Kid::kSize));
    // The undo of a peer names its static key too; that of the kernel's tables this machine alone.
    const bool tables = value.size() == Kid::kSize;
    o.action = static_cast<uint16_t>(tables ? admission::Action::kAddRoute
                                            : admission::Action::kInstallPeer);
    o.action_id = authority::ActionId::From(key);
    recorder_.Record(std::move(o), now.wall);
    recorder_.DeleteState(name);
  });
  walk("in-force/", [&](const std::string&, const Bytes& key, ByteView value) {
    const auto subject = Kid::From(key);
    const auto id = authority::ActionId::From(value);
    if (subject && id) Withdraw(*subject, *id, now);
  });
}

}  // namespace aqmesh::node
