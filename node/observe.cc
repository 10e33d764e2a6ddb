#include <algorithm>

#include "node/control.h"

// The way back: what was done and seen becomes an observation, is weighed, and who hangs on it is
// judged again. Spec: spec/trust.md §6-§10.
namespace aqmesh::node {

namespace {

// A revocation is timely if it comes while what it answers may still be going on.
constexpr uint64_t kTimelyMillis = 3'600'000;

// An object of a kind that this version does not know is refused, but no fault of who sent it.
bool IsOfLaterKind(ByteView envelope) {
  constexpr uint8_t kCtxTag = 0x08, kVarintMore = 0x80;
  return envelope.size() > 1 && envelope[0] == kCtxTag && envelope[1] < kVarintMore &&
         envelope[1] > static_cast<uint8_t>(authority::Ctx::kRetention);
}

}  // namespace

// A memory that does not read is a memory lost: who was known starts from its prior. The log says
// so.
void Control::LoadTrust(Now start) {
  if (trust_.Loaded()) return;
  authority::Observe o;
  o.kind = authority::RecordKind::kEscalated;
  o.subject = mesh_.kid();
  o.reason = static_cast<uint16_t>(authority::Reason::kTrust);
  recorder_.Record(std::move(o), start.wall);
}

admission::TrustMemory Control::MemoryFor(const Peer* peer, const Kid& subject) const {
  if (peer != nullptr && peer->kid == subject && peer->memory.rung != authority::Rung::kNone)
    return peer->memory;
  return trust_.MemoryOf(subject).gate;
}

void Control::RememberRung(const Kid& subject, const admission::TrustMemory& memory) {
  trust_.Remember(subject, {.gate = memory, .last_use = trust_.MemoryOf(subject).last_use});
}

// A session that its other end confirmed, under a verdict that was read back.
void Control::CreditSession(Turn& t, Peer& peer) {
  if (peer.steps.empty()) return;
  trust_.Confirmed(peer.steps, mesh_.charter().body, t.now);
  peer.memory.NoteObservation(trust_.epoch());
  trust_.Remember(*peer.kid, {.gate = peer.memory, .last_use = t.now.wall.seconds()});
}

// Who signs for others has a prior by its class; a signer of whom nothing but a statement is known
// stands where its own grants put it.
void Control::FollowIssuer(Turn& t, const Kid& kid) {
  if (trust_.Of(kid)) return;
  std::vector<trust::Step> steps = trust::StepsOf(ChainHeld(kid));
  if (steps.empty()) steps.push_back({kid, authority::Class::kRoot});
  steps.push_back({});  // whoever it signs for
  trust_.Follow(steps, mesh_.charter().body, t.now);
}

// A grant of more than its signer holds is a proof by itself, once every signature of its chain is
// known to be right.
bool Control::NoteOverreach(Turn& t,
                            const authority::AuthReport& report,
                            const authority::Chain& chain) {
  if (!report.overreach || !report.signatures_held) return false;
  trust_.Follow(trust::StepsOf(chain), mesh_.charter().body, t.now);
  const trust::Noted noted = trust_.Note({.subject = report.overreach->signer,
                                          .event = trust::Event::kGrantOutsideScope,
                                          .basis = trust::Basis::kProven,
                                          .evidence = Digest{report.overreach->grant.bytes},
                                          .issuer = report.overreach->issuer},
                                         t.now);
  return noted == trust::Noted::kCounted;
}

// Whoever holds such a grant can show it to others, and does: each finds for itself what it proves.
void Control::ExamineGrant(Turn& t, const SignedPtr& object, const Peer* from) {
  auto body = authority::ParseBody<authority::Grant>(object->body());
  if (!mesh_.has_charter() || object->ctx() != authority::Ctx::kGrant || !body.ok()) return;
  authority::AuthReport report;
  const auto verified = mesh_.AuthenticateGrant({object, *std::move(body)}, t.now.wall, report);
  // What its owner brings is evidence as it is: two statements under one number need no visitor.
  if (from == nullptr) {
    mesh_.NoteStatements(report);
  } else {
    NoteHeard(report);
  }
  if (!verified || !NoteOverreach(t, report, verified->chain())) return;
  recorder_.PutObject(lineage::Shelf::kSigned, object->oid(), object->bytes());
  std::vector<Ref16> refs = {object->ref()};
  for (const authority::Held<authority::Grant>& g : verified->chain().grants) {
    if (g.oid() != object->oid()) refs.push_back(g.envelope->ref());
  }
  for (auto& [id, peer] : peers_) {
    if (!peer.speaks() || &peer == from || peer.rung < authority::Rung::kProbation) continue;
    Offer(t, peer, refs);
  }
}

// What others bring is not kept for its own sake, or they could fill the book; but two statements
// under one number come close together, and then both are noted.
void Control::NoteHeard(const authority::AuthReport& report) {
  for (const auto& [statement, seq] : report.statements) {
    const auto twin = std::ranges::find_if(heard_, [&](const auto& h) {
      return h.first->kid() == statement->kid() && h.second == seq &&
             h.first->oid() != statement->oid();
    });
    if (twin != heard_.end()) {
      mesh_.NoteStatement(twin->first, seq);
      mesh_.NoteStatement(statement, seq);
    } else if (mesh_.Contradicts(*statement, seq)) {
      mesh_.NoteStatement(statement, seq);
    } else if (std::ranges::none_of(
                   heard_, [&](const auto& h) { return h.first->oid() == statement->oid(); })) {
      if (heard_.size() == kHeardMax) heard_.pop_front();
      heard_.emplace_back(statement, seq);
    }
  }
}

// Both statements, and the grants by which their signer is believed: each finds for itself.
void Control::SpreadProof(Turn& t, const authority::Equivocation& e) {
  std::vector<Ref16> refs;
  for (const SignedPtr& g : mesh_.ChainOf(e.signer)) refs.push_back(g->ref());
  ByteView rest = e.proof;
  for (int i = 0; i < 2 && rest.size() > 2; ++i) {
    const size_t size = LoadLe<uint16_t>(rest.data());
    auto object = authority::Signed::Parse(rest.subspan(2, size));
    rest = rest.subspan(2 + size);
    if (!object.ok() || object->ctx() != authority::Ctx::kGrant) return;
    const auto held = std::make_shared<const authority::Signed>(*std::move(object));
    mesh_.Hold(held);
    recorder_.PutObject(lineage::Shelf::kSigned, held->oid(), held->bytes());
    refs.push_back(held->ref());
  }
  for (auto& [id, peer] : peers_) {
    if (peer.speaks() && peer.rung >= authority::Rung::kProbation) Offer(t, peer, refs);
  }
}

void Control::NoteEquivocation(Turn& t, const authority::Equivocation& e) {
  FollowIssuer(t, e.signer);
  trust::Observation o{.subject = e.signer,
                       .event = trust::Event::kEquivocation,
                       .basis = trust::Basis::kProven,
                       .evidence = e.id};
  const std::vector<SignedPtr> chain = mesh_.ChainOf(e.signer);  // its own grant first
  if (chain.size() > 1) o.issuer = chain[0]->kid();              // who signed the last is a voter
  if (chain.size() > 2) o.grand_issuer = chain[1]->kid();
  trust_.Note(o, t.now);
  SpreadProof(t, e);
}

// Who takes back what it gave, or turns a key over, while it matters.
void Control::NoteTurn(Turn& t, const SignedPtr& restriction) {
  const auto revoke = authority::ParseBody<authority::Revoke>(restriction->body());
  if (restriction->ctx() != authority::Ctx::kRevoke || !revoke.ok()) return;
  const uint64_t said = lineage::MillisFromHlc(revoke->hlc), now = t.now.wall.millis();
  if (revoke->kid == restriction->kid()) return;  // the end of a key is no merit of it
  if (said + kTimelyMillis < now || now + kTimelyMillis < said) return;
  trust_.Note({.subject = restriction->kid(),
               .event = trust::Event::kTimelyTurn,
               .evidence = Digest{restriction->oid().bytes}},
              t.now);
}

// What its grant asked for was done, and the tables show something else.
void Control::NoteMismatch(Turn& t, const Peer& peer) {
  if (!peer.kid) return;
  trust_.Note({.subject = *peer.kid, .event = trust::Event::kReadBackMismatch}, t.now);
}

// What came through a peer's own tunnel is of its making, or it forwarded what it had to check.
void Control::NoteMalformed(Turn& t, const Peer& peer, ByteView bytes) {
  if (!peer.committed || !peer.kid || IsOfLaterKind(bytes)) return;
  trust_.Note({.subject = *peer.kid,
               .event = trust::Event::kObjectMalformed,
               .evidence = Digest{crypto::H256({bytes})}},
              t.now);
}

TrustBook::Ground Control::TrustGround() const {
  return {.scope = mesh_.scope(),
          .charter = mesh_.charter().oid(),
          .body = mesh_.charter().body,
          .policy = config_.policy.file_hash};
}

// Everyone whose chain runs through who fell is judged again before another packet is taken.
void Control::SettleTrust(Turn& t) {
  if (!mesh_.has_charter()) return;
  const std::vector<Kid> fallen = trust_.Settle(t.now, TrustGround());
  for (const Kid& issuer : trust_.TakeOverdue()) {
    Escalate(t, issuer, authority::Cause::kTrust, {.reason = authority::Reason::kTrust});
  }
  if (fallen.empty()) return;
  for (PeerId id : PeersWhere([&](const Peer& p) { return HangsOn(p, fallen); })) {
    if (Peer* peer = PeerOf(id)) Redecide(t, *peer);
  }
}

// Levels move with the epochs, and a dwell ends: who would stand elsewhere now is judged again.
void Control::JudgeStandings(Turn& t) {
  if (!mesh_.has_charter()) return;  // a joiner has none to judge by
  trust_.Advance(t.now);
  const authority::Charter& charter = mesh_.charter().body;
  for (PeerId id : PeersWhere([&](const Peer& p) {
         if (!p.committed || p.steps.empty()) return false;
         // A person's word stands in for this gate, and ends with the decision that rests on it.
         const Held<authority::Approve>* said = ApprovalOf(*p.kid);
         if (said != nullptr && t.now.wall.seconds() < said->body.until) return false;
         const uint64_t last_use = trust_.MemoryOf(*p.kid).last_use;
         admission::TrustMemory memory = p.memory;
         const auto links = trust_.LinksOf(p.steps, charter);
         const authority::GateResult says =
             gate_.JudgeTrust(trust::TrustIn(charter, links, trust_.epoch()),
                              {.now = t.now,
                               .local = config_.policy,
                               .last_use = last_use == 0 ? std::nullopt : std::optional(last_use)},
                              memory);
         return says.rung != p.gates[static_cast<size_t>(authority::Gate::kTrust)].rung;
       })) {
    if (Peer* peer = PeerOf(id)) Redecide(t, *peer);
  }
}

}  // namespace aqmesh::node
