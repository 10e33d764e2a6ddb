#include "core/base/status.h"
#include "node/control.h"

// Stock WireGuard devices on the governed port. Such a device presents nothing, so its PLAIN grant,
// held here, speaks for it: a static key, fixed prefixes, and a ceiling that the local policy sets.
// What it sends is judged like anything else; only its messages are bare.
// Spec: spec/authority.md B.2 (no fall-back).
namespace aqmesh::node {

using authority::Grant;
using authority::Rung;

namespace {

X25519Key StaticOf(const Grant& plain) { return *X25519Key::From(plain.key.view()); }

}  // namespace

// Every PLAIN grant held, as it stands now: those that may be served and are not yet, and those
// that are and may no longer.
void Control::RefreshPlain(Turn& t) {
  if (mesh_.leaf() == nullptr || !up_) return;
  for (const Held<Grant>& grant : mesh_.plain_grants()) {
    const X25519Key key = StaticOf(grant.body);
    // Whoever has spoken governed once is never served bare again: no fall-back.
    if (proved_.contains(key) || device_.FindPeer(key)) continue;
    if (const auto it = plain_refused_.find(grant.oid());
        it != plain_refused_.end() && t.now.mono < it->second)
      continue;
    ServePlain(t, grant);
  }
}

// The decision about a PLAIN grant, as it is recorded: what would be a presentation's digest is the
// grant's own.
std::optional<authority::Decision> Control::JudgePlain(Turn& t,
                                                       const Held<Grant>& grant,
                                                       Peer* peer,
                                                       Digest& recorded) {
  authority::AuthReport report;
  auto verified = mesh_.AuthenticatePlain(grant, t.now.wall, report);
  if (!verified) return std::nullopt;
  authority::Presentation stand_in;
  stand_in.h = *Digest::From(grant.oid().view());
  stand_in.restrict_root = mesh_.RestrictionRoot16();
  admission::TrustMemory memory = MemoryFor(peer, verified->chain().subject);
  Basis basis = BasisOf(report, grant.envelope, mesh_.PlainItems(grant));
  authority::Decision decision = Decide(t, *std::move(verified), peer, stand_in, memory, basis);
  if (peer) peer->memory = memory;
  const bool same =
      peer != nullptr && decision.rung() == peer->rung && decision.reason() == peer->reason;
  if (!same) {
    const Oid inputs = StoreInputs(t, stand_in, std::move(basis));
    recorded = RecordDecision(
        t, authority::RecordKind::kDecided, decision, frame::AuthDigestOf(grant.oid()), inputs);
  }
  return decision;
}

void Control::ServePlain(Turn& t, const Held<Grant>& grant) {
  using namespace std::chrono_literals;
  Digest decided;
  std::optional<authority::Decision> decision = JudgePlain(t, grant, nullptr, decided);
  if (!decision || decision->rung() < Rung::kProbation) {
    plain_refused_[grant.oid()] = t.now.mono + 60s;
    return;
  }
  const X25519Key key = StaticOf(grant.body);
  const auto id = device_.AddPeer(t.now, key, t.out.wg);
  if (!id.ok()) return;  // our own key, or the table is full
  Peer& peer = peers_[*id];
  peer = Peer{};
  peer.id = *id;
  peer.static_key = key;
  peer.plain = true;
  peer.retry_at = kNever;
  peer.plain_grant = grant;
  TakePlainDecision(t, peer, *decision);
  PeerPlan plan = PlanFor(t, peer, *decision);
  plan.decided = decided;
  actuator_.Arm(plan, t.now);
  RecordThen(recorder_,
             *std::move(decision),
             [this, id = *id, plan = std::move(plan)](Recorded recorded) mutable {
               CommitPlain(*turn_, id, std::move(recorded), std::move(plan));
             });
}

void Control::TakePlainDecision(Turn&, Peer& peer, const authority::Decision& decision) {
  const Grant& leaf = peer.plain_grant->body;
  peer.kid = decision.chain().subject;
  peer.rung = decision.rung();
  peer.reason = decision.reason();
  peer.gates = decision.gates();
  peer.setter = decision.setter();
  peer.ladm = decision.weighed().ladm();
  peer.expires = decision.expires();
  peer.fragments = decision.chain().fragments;
  peer.steps = trust::StepsOf(decision.chain());
  peer.name = leaf.name;
  peer.leaf_end = leaf.not_before + leaf.ttl;
  peer.party = admission::PartyOf(*peer.kid, leaf);
}

void Control::CommitPlain(Turn& t, PeerId id, Recorded recorded, PeerPlan plan) {
  Peer* peer = PeerOf(id);
  if (peer == nullptr || peer->static_key != plan.static_key) {  // taken back meanwhile
    actuator_.Abandon(plan, t.now);
    return;
  }
  const bool first = !peer->committed;
  const Outcome outcome =
      actuator_.Confirm(actuator_.Apply(std::move(recorded), std::move(plan), t.now), t.now);
  peer->committed = outcome.committed();
  peer->action = outcome.id();
  if (peer->committed && first)
    Say(t,
        Event::Kind::kAdmitted,
        *peer->kid,
        peer->name,
        Join(authority::RungName(peer->rung), ", plain WireGuard"));
}

void Control::RedecidePlain(Turn& t, Peer& peer) {
  Digest decided;
  std::optional<authority::Decision> decision = JudgePlain(t, *peer.plain_grant, &peer, decided);
  if (!decision || decision->rung() < Rung::kProbation) {
    // At ESCALATE the log has no refusal; there is nothing for such a device to be told, though.
    if (!decision || decision->rung() == Rung::kEscalate) RecordEnd(t, peer);
    plain_refused_.erase(peer.plain_grant->oid());
    Close(t, peer, decision ? decision->reason() : authority::Reason::kIssuerUnknown);
    return;
  }
  const bool same = decision->rung() == peer.rung && decision->reason() == peer.reason;
  const bool narrows = decision->rung() <= peer.rung;
  TakePlainDecision(t, peer, *decision);
  PeerPlan plan = PlanFor(t, peer, *decision);
  plan.decided = decided;
  if (narrows) datapath_.SetVerdict(peer.id, plan.verdict, t.now);  // at once; the record follows
  if (same) return;
  actuator_.Arm(plan, t.now);
  RecordThen(recorder_,
             *std::move(decision),
             [this, id = peer.id, plan = std::move(plan)](Recorded recorded) mutable {
               CommitPlain(*turn_, id, std::move(recorded), std::move(plan));
             });
}

// Types 1 to 4 serve none but these devices: the look-up by static key or receiver index precedes
// all state, and a governed peer's message cut out of its envelope finds nothing (kNotPlain).
}  // namespace aqmesh::node
