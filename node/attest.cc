#include <algorithm>
#include <set>

#include "core/base/status.h"
#include "node/control.h"

// What third parties say: this node's word for whom it met, what others said of it, and what that
// comes to at the corroboration gate. Spec: spec/admission.md §4 Corroboration.
namespace aqmesh::node {

using authority::Attest;
using authority::AttestKind;
using authority::Gate;
using authority::Held;
using authority::Rung;

namespace {

constexpr uint32_t kLife = 86'400;          // seconds, of what is said here
constexpr uint64_t kBehavedAfter = 86'400;  // known so long, and nothing against it
constexpr size_t kSaidAtOnce = 64;          // signatures a tick
constexpr size_t kJudgedAtOnce = 512;       // peers a tick
constexpr size_t kRefsMax = 12;             // of a presentation
constexpr size_t kEligibleEach = 2;         // of one issuing group (spec: authority#C.3)
constexpr uint32_t kLargestHandle = UINT32_MAX;

// How far the other gates would let it: what others say of it may not decide what is said of it,
// or newcomers would wait for each other.
Rung WithoutWords(const Peer& peer) {
  Rung rung = Rung::kAdmit;
  for (size_t i = 0; i < authority::kGateCount; ++i) {
    if (static_cast<Gate>(i) != Gate::kCorroboration) rung = std::min(rung, peer.gates[i].rung);
  }
  return rung;
}

void AppendObjects(std::vector<SignedPtr>& out, const Word& word) {
  out.push_back(word.attest.envelope);
  out.insert(out.end(), word.chain.begin(), word.chain.end());
}

}  // namespace

// ---- in a presentation

// Those that fit by value beside the rest, in either role: who lacks a cited object would refuse.
// The others are offered in the tunnel. Nobody is shown its own word.
std::vector<SignedPtr> Control::WordsFor(Now now, const std::optional<Kid>& reader) const {
  std::vector<SignedPtr> words;
  if (!Asks() || mesh_.leaf() == nullptr) return words;
  for (const Word& w : attestations_.own()) {
    if (mesh_.cited().size() + words.size() == kRefsMax) break;
    if (w.attest.signer() != reader && now.wall.seconds() < w.end())
      words.push_back(w.attest.envelope);
  }
  const size_t room = frame::LayoutOf(frame::Handshake::kInitiation).bundle_room;
  for (; !words.empty(); words.pop_back()) {
    const Bytes body = authority::EncodeBody(NewPresentation({}, 1, kLargestHandle, words));
    const Bytes first(authority::SignedSize(body.size(), authority::Suite::kEd25519));
    size_t used = 0;
    for (const ByteView& item : mesh_.ItemsFor(first, room)) used += 2 + item.size();
    for (const SignedPtr& w : words) used += 2 + w->bytes().size();
    if (used <= room) break;
  }
  return words;
}

std::vector<ByteView> Control::ItemsBeside(const authority::Signed& first,
                                           frame::Handshake kind,
                                           std::span<const SignedPtr> words) const {
  if (words.empty()) return mesh_.ItemsFor(first.bytes(), frame::LayoutOf(kind).bundle_room);
  // As WordsFor reckoned: the same objects by value in either role, whatever the handle.
  const Bytes body = authority::EncodeBody(NewPresentation({}, 1, kLargestHandle, words));
  const Bytes largest(authority::SignedSize(body.size(), authority::Suite::kEd25519));
  std::vector<ByteView> items =
      mesh_.ItemsFor(largest, frame::LayoutOf(frame::Handshake::kInitiation).bundle_room);
  items[0] = first.bytes();
  for (const SignedPtr& w : words) items.push_back(w->bytes());
  return items;
}

// ---- taking in

// The grants under which a member may attest, as far as they are known here.
std::vector<SignedPtr> Control::ChainBehind(Now now, const Kid& kid) {
  const authority::ScopeHeld scope = mesh_.Ground();
  const VoiceGround ground{.scope = scope, .now = now.wall, .cache = &mesh_.signatures()};
  const auto may = [&](std::span<const SignedPtr> grants) {
    const auto chain = ChainThatHolds(grants, ground);
    return chain && (chain->grants[0].body.caps & authority::kCapAttest) != 0;
  };
  const auto member = attestations_.members().find(kid);
  if (member != attestations_.members().end() && may(member->second.chain))
    return member->second.chain;
  std::vector<SignedPtr> met = mesh_.ChainOf(kid);
  return may(met) ? met : std::vector<SignedPtr>();
}

bool Control::Lends(Now now, std::span<const SignedPtr> grants) {
  const authority::ScopeHeld scope = mesh_.Ground();
  const auto chain =
      ChainThatHolds(grants, {.scope = scope, .now = now.wall, .cache = &mesh_.signatures()});
  const std::optional<uint32_t> level = chain ? LevelOfChain(*chain) : std::nullopt;
  return level.has_value() && *level >= gate_.params().constrain_down;
}

// A word about this node or about another, by somebody who may speak. True: it was kept, and new.
bool Control::TakeWord(Turn& t, const SignedPtr& object) {
  auto body = authority::ParseObject<Attest>(*object);
  if (!body.ok() || body->body.scope != mesh_.scope() || object->kid() == mesh_.kid()) return false;
  if (attestations_.Holds(object->ref())) return false;
  Word word{{object, std::move(body->body)}, ChainBehind(t.now, object->kid())};
  if (word.chain.empty()) return false;
  const auto leaf = authority::ParseBody<authority::Grant>(word.chain[0]->body());
  if (!leaf.ok() || !authority::VerifySignature(*object, leaf->key)) return false;
  mesh_.signatures().Put(*object, leaf->key);
  const Held<Attest> attest = word.attest;
  const uint64_t now = t.now.wall.seconds();
  const bool own = attest.body.subject == mesh_.kid();
  // Who is trusted little here would be of little use where it is shown, and take up the place.
  if (own && !Lends(t.now, word.chain)) return false;
  if (own ? !attestations_.TakeOwn(std::move(word), now)
          : !attestations_.TakeAbout(std::move(word), now))
    return false;
  RecordAttested(t, attest);
  return true;
}

void Control::RecordAttested(Turn& t, const Held<Attest>& attest) {
  KeepInput(attest.envelope);
  authority::Observe o;
  o.kind = authority::RecordKind::kAttested;
  o.scope = mesh_.scope();
  o.subject = attest.body.subject;
  o.evidence = Digest{attest.oid().bytes};
  recorder_.Record(std::move(o), t.now.wall);
}

void Control::TakeStapled(Turn& t, const Kid& subject, std::span<const SignedPtr> items) {
  if (!Asks()) return;
  for (const SignedPtr& item : items) {
    if (item->ctx() != authority::Ctx::kAttest) continue;
    const auto body = authority::ParseBody<Attest>(item->body());
    if (body.ok() && body->subject == subject) TakeWord(t, item);
  }
}

// Through a peer's own tunnel: what it says of us, or what others said of it.
bool Control::TakeAttestation(Turn& t, const SignedPtr& object, Peer& from) {
  const auto body = authority::ParseBody<Attest>(object->body());
  if (!Asks() || !body.ok()) return false;
  const bool of_us = body->subject == mesh_.kid() && object->kid() == from.kid;
  if (!of_us && body->subject != from.kid) return false;
  if (!TakeWord(t, object))
    return true;  // no news, or not from somebody known: it is offered again
  if (!of_us) {
    Redecide(t, from);
    return true;
  }
  for (auto& [id, peer] : peers_) OfferWords(t, peer);
  return true;
}

// With the grants of who said it first: they are heard in that order.
void Control::OfferWords(Turn& t, Peer& peer) {
  if (!Asks() || !peer.speaks()) return;
  std::vector<Ref16> refs;
  const auto add = [&refs](const Ref16& ref) {
    if (std::ranges::find(refs, ref) == refs.end()) refs.push_back(ref);
  };
  for (const Word& w : attestations_.own()) {
    if (w.attest.signer() == peer.kid) continue;
    for (const SignedPtr& g : w.chain) add(g->ref());
  }
  for (const Word& w : attestations_.own()) {
    if (w.attest.signer() != peer.kid) add(w.attest.envelope->ref());
  }
  if (const auto* said = attestations_.SaidOf(*peer.kid)) add(said->word.attest.envelope->ref());
  if (!refs.empty()) Offer(t, peer, refs);
}

// ---- what it comes to

std::optional<uint32_t> Control::LevelOfChain(const authority::Chain& chain) const {
  if (chain.subject == mesh_.kid()) return std::nullopt;  // what was seen here is no third party's
  const authority::Charter& charter = mesh_.charter().body;
  const auto links = trust_.LinksOf(trust::StepsOf(chain), charter);
  return trust::TrustIn(charter, links, trust_.epoch()).ladm;
}

std::vector<Voice> Control::VoicesAbout(const Kid& subject, Now now) {
  std::vector<SignedPtr> objects;
  for (const Word& w : attestations_.About(subject)) AppendObjects(objects, w);
  const authority::ScopeHeld scope = mesh_.Ground();
  return VoicesIn(subject,
                  objects,
                  {.scope = scope, .now = now.wall, .cache = &mesh_.signatures()},
                  [this](const authority::Chain& chain) { return LevelOfChain(chain); });
}

void Control::Corroborate(Turn& t,
                          const Kid& subject,
                          Basis& basis,
                          admission::GateContext& context) {
  if (!Asks()) return;
  for (const Word& w : attestations_.About(subject)) {
    // What its record has no room for may not count either; the charter is among them.
    if (basis.objects.size() + 1 + w.chain.size() < lineage::kInputOidsMax)
      AppendObjects(basis.objects, w);
  }
  const authority::ScopeHeld scope = mesh_.Ground();
  const auto voices = VoicesIn(subject,
                               basis.objects,
                               {.scope = scope, .now = t.now.wall, .cache = &mesh_.signatures()},
                               [&](const authority::Chain& chain) {
                                 const std::optional<uint32_t> level = LevelOfChain(chain);
                                 if (level) basis.inputs.voices.push_back({chain.subject, *level});
                                 return level;
                               });
  context.corroboration = SumOf(voices, scope.charter());
  context.corroboration.eligible = basis.inputs.eligible = EligibleFor(subject);
}

std::optional<CorroborationView> Control::CorroborationOf(const Kid& subject, Now now) {
  if (!Asks()) return std::nullopt;
  CorroborationView out{.sum = {}, .needed = {}, .voices = VoicesAbout(subject, now)};
  out.sum = SumOf(out.voices, mesh_.charter().body);
  out.sum.eligible = EligibleFor(subject);
  out.needed = gate_.NeededVotes(out.sum.eligible);
  return out;
}

// Members of whom a record here is old enough, and who may still attest. True: not as before.
bool Control::RefreshEligible(Now now) {
  const authority::ScopeHeld scope = mesh_.Ground();
  const VoiceGround ground{.scope = scope, .now = now.wall, .cache = &mesh_.signatures()};
  std::map<std::string, std::vector<Kid>> found;
  for (const auto& [kid, member] : attestations_.members()) {
    if (now.wall.seconds() < member.since + gate_.params().eligible_age) continue;
    std::vector<Kid>& group = found[GroupOf(scope.charter(), member.chain.back()->kid())];
    // Two count; the subject and this node may be among them, and are not asked.
    if (group.size() < kEligibleEach + 2 && now.wall.seconds() < member.end &&
        ChainThatHolds(member.chain, ground))
      group.push_back(kid);
  }
  std::erase_if(found, [](const auto& g) { return g.second.empty(); });
  return std::exchange(eligible_, found) != eligible_;
}

// As the plan counts them, but never more than there are third parties to ask (spec: admission#4).
uint32_t Control::EligibleFor(const Kid& subject) const {
  size_t all = 0, others = 0;
  for (const auto& [group, kids] : eligible_) {
    const auto third =
        std::ranges::count_if(kids, [&](const Kid& k) { return k != subject && k != mesh_.kid(); });
    all += std::min(kids.size(), kEligibleEach);
    others += std::min(static_cast<size_t>(third), kEligibleEach);
  }
  return all == 0 ? 0 : static_cast<uint32_t>(1 + std::min(all - 1, others));
}

// ---- saying it

// Its session was confirmed here: whoever said so before was right.
void Control::NoteSeen(Turn& t, Peer& peer) {
  if (!Asks() || !peer.kid) return;
  attestations_.Meet(*peer.kid, ChainBehind(t.now, *peer.kid), t.now.wall.seconds());
  if (WithoutWords(peer) < Rung::kConstrain) return;
  for (const Word& w : attestations_.About(*peer.kid)) {
    trust_.Note({.subject = w.attest.signer(),
                 .event = trust::Event::kAttestationConfirmed,
                 .evidence = Digest{w.attest.oid().bytes}},
                t.now);
  }
  SpeakFor(t, peer);
}

// Anew once a quarter to a half of its life is over: then it is still good wherever it was shown.
bool Control::SpeakFor(Turn& t, Peer& peer) {
  const authority::Held<authority::Grant>* leaf = mesh_.leaf();
  if (!Asks() || leaf == nullptr || (leaf->body.caps & authority::kCapAttest) == 0) return false;
  if (!peer.speaks() || !peer.kid || peer.decided.is_zero()) return false;
  if (WithoutWords(peer) < Rung::kConstrain) return false;
  const uint64_t now = t.now.wall.seconds();
  const Attestations::Said* said = attestations_.SaidOf(*peer.kid);
  if (said != nullptr && now < said->renew_at) return false;
  const auto member = attestations_.members().find(*peer.kid);
  const bool long_known =
      member != attestations_.members().end() && now >= member->second.since + kBehavedAfter;
  const auto standing = trust_.Of(*peer.kid);
  const bool clean = standing && standing->s_f == 0 && standing->s_s == 0;
  auto made = issuing::MakeAttest(
      config_.identity,
      mesh_.scope(),
      {.subject = *peer.kid,
       .kind = long_known && clean ? AttestKind::kBehaved : AttestKind::kKeySeen,
       .evidence = peer.decided,
       .ttl = kLife},
      now);
  if (!made.ok()) return false;
  const uint64_t renew_at = now + kLife / 4 + rng_.Below(kLife / 4);
  if (!attestations_.Say({*made, mesh_.ChainOf(mesh_.kid())}, renew_at)) return false;
  RecordAttested(t, *made);
  recorder_.WhenDurable([this, id = peer.id, ref = made->envelope->ref()] {
    Peer* to = PeerOf(id);
    if (to != nullptr && to->speaks()) Offer(*turn_, *to, std::vector<Ref16>{ref});
  });
  return true;
}

// ---- judged again

// Whose chain, or whose word for it, runs through one of these.
bool Control::HangsOn(const Peer& peer, std::span<const Kid> keys) const {
  const auto among = [&](const Kid& key) { return std::ranges::find(keys, key) != keys.end(); };
  if (std::ranges::any_of(peer.steps, among, &trust::Step::key)) return true;
  return peer.kid && std::ranges::any_of(attestations_.About(*peer.kid), [&](const Word& w) {
           return among(w.attest.signer()) ||
                  std::ranges::any_of(w.chain, [&](const SignedPtr& g) { return among(g->kid()); });
         });
}

// Attesters rise and fall with the epochs, and members become eligible. Some peers a tick.
void Control::JudgeWords(Turn& t) {
  std::vector<PeerId> ids;
  auto at = peers_.lower_bound(*words_from_);
  for (; at != peers_.end() && ids.size() < kJudgedAtOnce; ++at) {
    if (at->second.speaks() && at->second.kid) ids.push_back(at->first);
  }
  words_from_ = at == peers_.end() ? std::nullopt : std::optional(at->first);
  for (const PeerId id : ids) {
    Peer* peer = PeerOf(id);
    if (peer == nullptr) continue;
    const Held<authority::Approve>* said = ApprovalOf(*peer->kid);
    if (said != nullptr && t.now.wall.seconds() < said->body.until) continue;
    admission::GateContext context{.now = t.now, .local = config_.policy};
    context.corroboration = SumOf(VoicesAbout(*peer->kid, t.now), mesh_.charter().body);
    context.corroboration.eligible = EligibleFor(*peer->kid);
    const Rung says = gate_.JudgeCorroboration(context).rung;
    if (says != peer->gates[static_cast<size_t>(Gate::kCorroboration)].rung) Redecide(t, *peer);
  }
}

// A session stands, and still nobody spoke: a person may know it.
void Control::EscalateWords(Turn& t, const authority::Decision& d, bool approved, bool stands) {
  if (!Asks()) return;
  const Kid& subject = d.chain().subject;
  if (d.gates()[static_cast<size_t>(Gate::kCorroboration)].rung == Rung::kAdmit) {
    escalations_.Close(
        authority::EscalationItem(mesh_.scope(), subject, authority::Cause::kCorroboration));
  } else if (stands && !approved && d.setter() == Gate::kCorroboration) {
    Escalate(t,
             subject,
             authority::Cause::kCorroboration,
             {.rung = d.rung(), .reason = d.reason(), .ladm = d.weighed().ladm()});
  }
}

void Control::TickAttestations(Turn& t) {
  if (!Asks()) return;  // a joiner has no charter to ask by
  const uint64_t now = t.now.wall.seconds();
  if (const auto* leaf = mesh_.leaf();
      leaf != nullptr && (leaf->body.caps & authority::kCapAttest) != 0)
    attestations_.Meet(mesh_.kid(), mesh_.ChainOf(mesh_.kid()), now);
  const std::vector<Kid> lapsed = attestations_.Expire(now);
  for (PeerId id : PeersWhere([&](const Peer& p) {
         return p.committed && p.kid && std::ranges::find(lapsed, *p.kid) != lapsed.end();
       })) {
    if (Peer* peer = PeerOf(id)) Redecide(t, *peer);
  }
  if (RefreshEligible(t.now) || words_epoch_ != trust_.epoch()) words_from_ = PeerId{};
  words_epoch_ = trust_.epoch();
  if (words_from_) JudgeWords(t);
  size_t left = kSaidAtOnce;
  for (auto& [id, peer] : peers_) {
    if (left > 0 && SpeakFor(t, peer)) --left;
  }
}

}  // namespace aqmesh::node
