#include <algorithm>

#include "core/authority/retention.h"
#include "core/base/status.h"
#include "node/control.h"
#include "transport/frame/words.h"

// Joining and renewing: the one form that is let in without a grant, and how a grant is had from
// any enroller in reach. Spec: spec/authority.md A.9; spec/objects.md §5 (words), §6.
namespace aqmesh::node {

using namespace std::chrono_literals;
using authority::Reason;
using authority::RecordKind;
using authority::Rung;
using frame::Drop;
using ControlKind = frame::Control;

namespace {

constexpr size_t kDepositsMax = 4'096;
constexpr size_t kCustodians = 2;
constexpr auto kRenewEvery = 30s;
// WireGuard drops an initiation that comes less than 20 ms behind the last one: a joiner on a fast
// link and disk would be that quick, and then wait out a whole retry.
constexpr auto kAfterRequest = 50ms;

bool SameObjects(std::span<const SignedPtr> a, std::span<const SignedPtr> b) {
  return std::ranges::equal(
      a, b, [](const SignedPtr& x, const SignedPtr& y) { return x->oid() == y->oid(); });
}

}  // namespace

// ---- the joiner ----

void Control::StartJoin(Turn& t) {
  for (const authority::Member& m : config_.invitation->invite.body.members) {
    Peer* peer = EnsurePeer(t, m.static_key);
    if (peer == nullptr) continue;
    peer->hints.assign(m.endpoints.begin(), m.endpoints.end());
    peer->kid = m.kid;
    TryHints(t, *peer);
  }
}

absl::StatusOr<Held<authority::Request>> Control::LiveRequest(Turn& t,
                                                              const Digest& h,
                                                              uint32_t rx_handle,
                                                              const authority::Nonce16& nonce) {
  const issuing::RequestTerms terms{.scope = config_.invitation->invite.body.scope,
                                    .static_key = device_.public_key(),
                                    .now = t.now.wall.seconds(),
                                    .name = config_.name,
                                    .next_key = {},
                                    .tags = {}};
  const issuing::Redeeming redeeming{config_.invitation->invite.oid(), config_.invitation->seed};
  const issuing::LiveTerms live{.h = h, .rx_handle = rx_handle, .commit = issuing::CommitOf(nonce)};
  return issuing::MakeRequest(config_.identity, terms, &redeeming, &live);
}

// The sponsor's answer. No charter is held yet, so all that is believed of it is what the
// invitation pinned: that this static key belongs to that member. The session carries control
// messages and nothing else.
Drop Control::OnSponsorResponse(Turn& t,
                                wireguard::Handshaker::PeekedResponse response,
                                Presented presented,
                                const Endpoint& from) {
  const auto pending = pending_.find(response.local_index);
  if (pending == pending_.end() || !pending->second.request || presented.items.empty())
    return Dropped(Drop::kHandshakeUnknown);
  Peer* peer = PeerOf(response.peer);
  const auto& members = config_.invitation->invite.body.members;
  const auto member = std::find_if(members.begin(), members.end(), [&](const authority::Member& m) {
    return m.static_key == presented.static_key && m.kid == presented.presentation.signer();
  });
  if (member == members.end()) return Dropped(Drop::kIdentity);
  const auto leaf = authority::ParseObject<authority::Grant>(*presented.items[0]);
  if (!leaf.ok() || authority::KidOf(leaf->body.suite, leaf->body.key) != member->kid ||
      !authority::VerifySignature(*presented.presentation.envelope, leaf->body.key)) {
    return Dropped(Drop::kSignature);
  }
  peer->name = leaf->body.name;
  join_ = Joining{.sponsor = peer->id,
                  .nonce = pending->second.nonce,
                  .final_h = *Digest::From(response.consumed.chain.h),
                  .said = false};
  const SessionEnds ends{.peer = peer->id,
                         .ours = frame::Direction::kFromInitiator,
                         .local_index = response.local_index,
                         .rx_handle = pending->second.rx_handle,
                         .tx_handle = presented.presentation.body.rx_handle,
                         .our_first = pending->second.first_item,
                         .their_first = presented.presentation.oid()};
  pending_.erase(pending);
  AcceptAnswer(t, ends, response, from);
  return Drop::kNone;
}

// What we hold ourselves counts as held when an issuer of it is cut off later.
void Control::NoteOwnChain(Turn& t) {
  if (mesh_.leaf() == nullptr) return;
  authority::AuthReport report;
  mesh_.Authenticate(nullptr, mesh_.cited(), t.now.wall, report);
}

void Control::SayWords(Turn& t, Peer& sponsor) {
  SendControl(t, sponsor, ControlKind::kWords, join_->nonce);
  if (std::exchange(join_->said, true)) return;
  const auto words = frame::WordsText(frame::WordsOf(join_->final_h, join_->nonce));
  Say(t, Event::Kind::kWords, sponsor.kid.value_or(Kid{}), sponsor.name, words);
}

// An object that may complete our own chain came.
void Control::OnOwnObjects(Turn& t) {
  if (!joining()) {
    const std::optional<Oid> before =
        mesh_.leaf() ? std::optional(mesh_.leaf()->oid()) : std::nullopt;
    const std::vector<SignedPtr> cited_before = mesh_.cited();
    mesh_.Refresh(t.now.wall);
    for (const SignedPtr& s : std::exchange(received_, {}))
      recorder_.PutObject(lineage::Shelf::kSigned, s->oid(), s->bytes());
    if (mesh_.leaf() && before != mesh_.leaf()->oid())
      Say(t, Event::Kind::kRenewed, mesh_.kid(), config_.name, "");
    if (mesh_.leaf() && !SameObjects(cited_before, mesh_.cited())) {
      ++policy_generation_;
      // Peers judge by what we present, so it takes effect with the next handshake: now.
      for (auto& [id, peer] : peers_) device_.handshaker().Initiate(t.now, id, 1s, t.out.wg);
    }
    mesh_.LearnIssuers(t.now.wall);
    NoteOwnChain(t);
    return;
  }
  if (!mesh_.HasCharter(config_.invitation->invite.body.charter) || join_refs_.empty()) return;
  for (const Ref16& r : join_refs_) {
    if (mesh_.Find(r) == nullptr) return;
  }
  mesh_.Refresh(t.now.wall);
  if (mesh_.leaf() == nullptr) return;
  authority::AuthReport report;
  const auto verified = mesh_.Authenticate(nullptr, mesh_.cited(), t.now.wall, report);
  if (!verified || verified->rung() != Rung::kAdmit) {
    Say(t,
        Event::Kind::kRefused,
        mesh_.kid(),
        config_.name,
        "the grants that came do not hold: " + report.why);
    return;
  }
  mesh_.Learn(verified->chain());
  for (const SignedPtr& s : std::exchange(received_, {}))
    recorder_.PutObject(lineage::Shelf::kSigned, s->oid(), s->bytes());
  for (const authority::Member& m : config_.invitation->invite.body.members) {
    if (!m.endpoints.empty()) KeepHint(m.static_key, m.kid, m.endpoints[0]);
  }
  recorder_.WhenDurable([this] {
    // From here on we open with a presentation; the session of the request has done its work.
    Turn& turn = *turn_;
    Say(turn,
        Event::Kind::kJoined,
        mesh_.kid(),
        mesh_.leaf()->body.name,
        mesh_.charter().body.name);
    const auto members = config_.invitation->invite.body.members;
    std::vector<PeerId> ids;
    for (const auto& [id, peer] : peers_) ids.push_back(id);
    for (PeerId id : ids) Forget(turn, id);
    join_.reset();
    config_.invitation.reset();
    datapath_.SetControlAddress(mesh_.control_address());
    RenewAnnounce(turn);
    for (const authority::Member& m : members) {
      Peer* peer = EnsurePeer(turn, m.static_key);
      if (peer == nullptr) continue;
      peer->hints.assign(m.endpoints.begin(), m.endpoints.end());
      peer->retry_at = turn.now.mono + kAfterRequest;
    }
  });
}

// ---- the sponsor ----

Reason Control::WhyNotInvited(const Held<authority::Invite>& invite, const Kid& joiner) const {
  if (mesh_.enroller() == nullptr) return Reason::kClassOrCap;
  const uint64_t uses = invite.body.uses;
  if (uses == 0) return Reason::kNone;
  if (invite.signer() != mesh_.kid()) return Reason::kInvitationNeedsQuorum;
  // Whoever it was spent for may ask again: a crash may have come between the grant and its
  // arrival.
  const auto used = invite_uses_.find(invite.oid());
  const bool refused = used != invite_uses_.end() && used->second.size() >= uses &&
                       std::ranges::find(used->second, joiner) == used->second.end();
  return refused ? Reason::kInvitationUsedUp : Reason::kNone;
}

Drop Control::OnRequest(Turn& t,
                        wireguard::ConsumedInitiation consumed,
                        const SignedPtr& object,
                        const SignedPtr& invite_object,
                        const Endpoint& from,
                        const wireguard::Source& at) {
  auto request = authority::ParseObject<authority::Request>(*object);
  if (!request.ok() || invite_object == nullptr) return Dropped(Drop::kParse);
  auto invite = authority::ParseObject<authority::Invite>(*invite_object);
  if (!invite.ok()) return Dropped(Drop::kParse);
  if (request->body.invite != invite->oid()) return Dropped(Drop::kCitation);
  if (!request->body.h || !Equal(*request->body.h, consumed.chain.h))
    return Dropped(Drop::kTranscript);
  if (request->body.static_key != consumed.peer || !request->body.commit)
    return Dropped(Drop::kIdentity);
  if (!mesh_.has_charter()) return Dropped(Drop::kScopeUnknown);
  if (negative_.contains({consumed.peer, invite->envelope->ref()}))
    return Dropped(Drop::kNegativeCache);

  authority::AuthReport report;
  auto verified = authority::AuthenticateRequest({.request = *request,
                                                  .invite = *invite,
                                                  .charter = mesh_.charter().body,
                                                  .scope = mesh_.scope(),
                                                  .inviter = mesh_.KeyOf(invite->signer()),
                                                  .now = t.now.wall},
                                                 report);
  if (!verified) return Dropped(Drop::kIssuerUnknown);
  if (!report.presenter_verified) return Dropped(Drop::kSignature);
  if (!RaiseFloor(consumed)) return Dropped(Drop::kSourceRate);
  const Kid joiner = authority::KidOf(request->body.suite, request->body.key);
  const auto refuse = [&](Reason reason) {
    negative_[{consumed.peer, invite->envelope->ref()}] = t.now.mono + 60s;
    SendNotice(t, consumed, reason, invite->envelope->ref(), from, at);
    Say(t,
        Event::Kind::kRefused,
        joiner,
        request->body.name,
        std::string(authority::ReasonName(reason)));
    return Dropped(Drop::kVerdict);
  };
  if (const Reason why = WhyNotInvited(*invite, joiner); why != Reason::kNone) return refuse(why);

  authority::Presentation as_presented;
  as_presented.h = *request->body.h;
  as_presented.restrict_root = mesh_.RestrictionRoot16();  // a joiner holds none to differ
  admission::TrustMemory memory;
  std::vector<SignedPtr> cited = {invite_object};
  for (const SignedPtr& s : mesh_.ChainOf(invite->signer())) cited.push_back(s);
  Basis basis = BasisOf(report, object, cited);
  authority::Decision decision =
      Decide(t, *std::move(verified), nullptr, as_presented, memory, basis);
  const Digest auth_digest = frame::AuthDigestOf(object->oid());
  const Oid inputs = StoreInputs(t, as_presented, std::move(basis));
  if (decision.rung() < Rung::kEscalate) {
    RecordDecision(t, RecordKind::kDecided, decision, auth_digest, inputs);
    return refuse(decision.reason());
  }
  const Digest decided = RecordDecision(t, RecordKind::kProposed, decision, auth_digest, inputs);
  Peer* peer = EnsurePeer(t, consumed.peer);
  if (peer == nullptr) return Dropped(Drop::kSourceRate);
  AwaitWords(*peer, decision, *std::move(request), *std::move(invite));
  PeerPlan plan = PlanFor(t, *peer, decision);
  plan.addresses.clear();
  plan.decided = decided;
  actuator_.Arm(plan, t.now);
  const Answer answer{object->oid(), peer->join->request.body.rx_handle};
  RecordThen(
      recorder_,
      std::move(decision),
      [this, id = peer->id, answer, plan = std::move(plan), from, consumed = std::move(consumed)](
          Recorded recorded) mutable {
        if (MakeReady(*turn_, id, std::move(recorded), std::move(plan)))
          Accept(*turn_, id, answer, consumed, from);
      });
  return Drop::kNone;
}

// The joiner's session is to be opened, for the words alone.
void Control::AwaitWords(Peer& peer,
                         const authority::Decision& decision,
                         Held<authority::Request> request,
                         Held<authority::Invite> invite) {
  peer.kid = decision.chain().subject;
  peer.name = request.body.name;
  peer.rung = decision.rung();
  peer.reason = decision.reason();
  peer.gates = decision.gates();
  peer.setter = decision.setter();
  peer.presentation.reset();
  peer.committed = false;
  peer.join = JoinState{.request = std::move(request),
                        .invite = std::move(invite),
                        .final_h = {},
                        .words = {},
                        .answered = false};
}

void Control::OnWords(Turn& t, Peer& peer, const frame::Message& m) {
  if (const Drop d = frame::CheckWords(m.body); d != Drop::kNone || !peer.join) {
    Dropped(d == Drop::kNone ? Drop::kUnasked : d);
    return;
  }
  const auto nonce = *authority::Nonce16::From(m.body);
  if (issuing::CommitOf(nonce) != peer.join->request.body.commit) {
    Dropped(Drop::kControlBody);
    return;
  }
  if (!peer.join->words.empty()) {  // said again: something of ours was lost
    if (!peer.offered.empty()) SendRefs(t, peer, ControlKind::kOffer, peer.offered);
    return;
  }
  peer.join->words = frame::WordsText(frame::WordsOf(peer.join->final_h, nonce));
  Say(t, Event::Kind::kJoinWaits, *peer.kid, peer.name, peer.join->words);
  if ((peer.join->invite->body.flags & authority::kInvitePreApproved) != 0) GrantJoin(t, peer);
}

absl::Status Control::AnswerJoin(Now now, const Kid& joiner, bool yes, Outbox& out) {
  Turn t{now, out};
  for (auto& [id, peer] : peers_) {
    if (peer.kid != joiner || !peer.join || peer.join->answered) continue;
    if (peer.join->words.empty())
      return FailedPrecondition("the words of ", peer.name, " have not come yet; wait a moment");
    if (yes) {
      GrantJoin(t, peer);
    } else {
      RecordEnd(t, peer);
      Close(t, peer, Reason::kJoinDenied);
    }
    EndTurn(t);
    return absl::OkStatus();
  }
  return NotFound("nobody with key ", ToHex(joiner), " waits to join; see aqmesh peers");
}

bool Control::Taken(const IpAddress& a) const {
  {
    const wireguard::DataLock::Hold hold(device_.lock());
    if (device_.forwarder().Route(a) != wireguard::kNoPeer) return true;
  }
  const auto own = own_addresses();
  return std::any_of(own.begin(), own.end(), [&](const Prefix& p) { return p.address == a; });
}

void Control::GrantJoin(Turn& t, Peer& peer) {
  JoinState& join = *peer.join;
  const authority::Invite& invite = join.invite->body;
  const issuing::Signer signer(config_.identity, *config_.seqs);
  const auto grants = issuing::SponsorGrants(
      {signer, mesh_.charter(), mesh_.enroller()},
      join.request,
      {.invite = &invite},
      [this](const IpAddress& a) { return Taken(a); },
      t.now.wall.seconds());
  if (!grants.ok()) {
    Say(t, Event::Kind::kRefused, *peer.kid, peer.name, Text(grants.status()));
    return;
  }
  join.answered = true;
  std::vector<SignedPtr> objects = {grants->node.envelope};
  if (grants->enroller) objects.push_back(grants->enroller->envelope);
  for (const SignedPtr& s : mesh_.EnrollerChain()) objects.push_back(s);
  for (const auto& f : mesh_.own_fragments()) objects.push_back(f.envelope);

  // Check-and-spend in the batch of the grant: an invitation is used when its grant is durable, not
  // before.
  if (join.invite->body.uses != 0) {
    std::vector<Kid>& spent_for = invite_uses_[join.invite->oid()];
    if (std::ranges::find(spent_for, *peer.kid) == spent_for.end()) spent_for.push_back(*peer.kid);
    Bytes uses;
    for (const Kid& kid : spent_for) Append(uses, kid);
    recorder_.PutState("invite/" + ToHex(join.invite->oid()), std::move(uses));
  }
  std::vector<Ref16> refs;  // every version: each is checked by the one before it
  for (const SignedPtr& s : mesh_.charters().InForceBeyond(0)) refs.push_back(s->ref());
  for (const SignedPtr& s : objects) {
    mesh_.Hold(s);
    recorder_.PutObject(lineage::Shelf::kSigned, s->oid(), s->bytes());
    refs.push_back(s->ref());
    for (const SignedPtr& vote : mesh_.VotesFor(s->oid())) refs.push_back(vote->ref());
  }
  RecordIssued(t, *peer.kid, grants->node.oid());
  recorder_.WhenDurable([this, id = peer.id, refs = std::move(refs)] {
    Peer* joiner = PeerOf(id);
    if (joiner == nullptr) return;
    Offer(*turn_, *joiner, refs);
    Say(*turn_, Event::Kind::kJoinGranted, *joiner->kid, joiner->name, "");
  });
}

void Control::RecordIssued(Turn& t, const Kid& subject, const Oid& grant) {
  authority::Observe o;
  o.kind = RecordKind::kApproved;
  o.scope = mesh_.scope();
  o.subject = subject;
  o.evidence = *Digest::From(grant.view());
  o.reason = static_cast<uint16_t>(Reason::kJoinGranted);
  recorder_.Record(std::move(o), t.now.wall);
}

// ---- custody of self-revocations ----

void Control::SendDeposit(Turn& t, Peer& peer) {
  if (deposited_.size() >= kCustodians || !peer.kid || deposited_.contains(*peer.kid)) return;
  const auto last = issuing::SelfRevocation(
      config_.identity, mesh_.scope(), recorder_.chain().clock().Tick(t.now.wall));
  SendControl(t, peer, ControlKind::kDeposit, last.envelope->bytes());
  deposited_[*peer.kid] = true;
  recorder_.PutState("deposited/" + ToHex(*peer.kid), Bytes{1});
}

void Control::OnDeposit(Turn&, Peer& peer, const frame::Message& m) {
  if (const Drop d = frame::CheckDeposit(m.body); d != Drop::kNone) {
    Dropped(d);
    return;
  }
  const auto revoke = authority::ParseObject<authority::Revoke>(m.body);
  const auto key = mesh_.KeyOf(*peer.kid);
  const bool good = revoke.ok() && key && revoke->signer() == *peer.kid &&
                    revoke->body.kid == *peer.kid && revoke->body.seq == authority::kTerminalSeq &&
                    revoke->body.type == authority::RevokeType::kKey &&
                    authority::VerifySignature(*revoke->envelope, *key);
  if (!good || (deposits_.size() >= kDepositsMax && !deposits_.contains(*peer.kid))) {
    Dropped(Drop::kControlBody);
    return;
  }
  // With what proves whose it is: it may be released when nobody else remembers.
  for (const SignedPtr& g : mesh_.ChainOf(*peer.kid))
    recorder_.PutObject(lineage::Shelf::kSigned, g->oid(), g->bytes());
  deposits_[*peer.kid] = revoke->envelope->bytes();
  recorder_.PutState("deposit/" + ToHex(*peer.kid), revoke->envelope->bytes());
}

absl::Status Control::ReleaseDeposit(Now now, const Kid& subject, Outbox& out) {
  Turn t{now, out};
  const auto it = deposits_.find(subject);
  if (it == deposits_.end())
    return NotFound("no self-revocation of ", ToHex(subject), " was deposited on this machine");
  auto object = authority::Signed::Parse(it->second);
  if (!object.ok()) return object.status();
  if (!mesh_.KeyOf(subject)) {
    return FailedPrecondition("the self-revocation of ",
                              ToHex(subject),
                              " cannot be checked: its key is not known here; import its grant");
  }
  const absl::Status taken =
      OnRestriction(t, std::make_shared<const authority::Signed>(*std::move(object)), nullptr);
  EndTurn(t);
  return taken;
}

// ---- renewal ----

void Control::AskRenewal(Turn& t) {
  const auto* leaf = mesh_.leaf();
  if (leaf == nullptr || t.now.mono < renew_at_) return;
  if (t.now.wall.seconds() < leaf->body.not_before + leaf->body.ttl / 2) return;
  renew_at_ = t.now.mono + kRenewEvery;
  const auto request = issuing::MakeRequest(config_.identity,
                                            {.scope = mesh_.scope(),
                                             .static_key = device_.public_key(),
                                             .now = t.now.wall.seconds(),
                                             .name = leaf->body.name,
                                             .next_key = {},
                                             .tags = {}},
                                            nullptr,
                                            nullptr);
  if (!request.ok()) return;
  for (const auto& [id, peer] : peers_) {
    if (peer.confirmed) SendObject(t, peer, *request->envelope);
  }
}

void Control::OnRenewalRequest(Turn& t, Peer& peer, const SignedPtr& object) {
  const auto request = authority::ParseObject<authority::Request>(*object);
  const auto leaf = peer.items.empty() ? absl::StatusOr<Held<authority::Grant>>(NotFound(""))
                                       : authority::ParseObject<authority::Grant>(*peer.items[0]);
  // Only for itself, only what it has, and only from a presenter whom no one in its chain has
  // revoked: its session would be closed.
  if (!request.ok() || !leaf.ok() || request->body.h || request->body.invite ||
      request->body.key != leaf->body.key || request->signer() != *peer.kid ||
      !authority::VerifySignature(*object, request->body.key) || peer.rung < Rung::kEscalate) {
    Dropped(Drop::kControlBody);
    return;
  }
  const uint64_t now = t.now.wall.seconds();
  if (mesh_.enroller() == nullptr || now < leaf->body.not_before + leaf->body.ttl / 2) return;
  if (const auto it = renewed_at_.find(*peer.kid);
      it != renewed_at_.end() && t.now.mono < it->second)
    return;
  renewed_at_[*peer.kid] = t.now.mono + kRenewEvery;
  const issuing::Signer signer(config_.identity, *config_.seqs);
  const auto renewed =
      issuing::Renewal({signer, mesh_.charter(), mesh_.enroller()}, *request, *leaf, now);
  if (!renewed.ok()) return;
  // spec: authority#A.9 from now on we repeat what the replaced chain's issuers say of the subject.
  Bytes issuers;
  for (const SignedPtr& s : peer.items) {
    if (s->ctx() == authority::Ctx::kGrant) Append(issuers, s->kid());
  }
  repeats_[*peer.kid] = issuers;
  recorder_.PutState("repeat/" + ToHex(*peer.kid), std::move(issuers));
  std::vector<SignedPtr> objects = {renewed->envelope};
  for (const SignedPtr& s : mesh_.EnrollerChain()) objects.push_back(s);
  std::vector<Ref16> refs;
  for (const SignedPtr& s : objects) {
    mesh_.Hold(s);
    recorder_.PutObject(lineage::Shelf::kSigned, s->oid(), s->bytes());
    refs.push_back(s->ref());
  }
  RecordIssued(t, *peer.kid, renewed->oid());
  recorder_.WhenDurable([this, id = peer.id, refs = std::move(refs)] {
    if (Peer* p = PeerOf(id)) Offer(*turn_, *p, refs);
  });
}

// A later revocation by an issuer whose chain we renewed away from is repeated as our own floor.
void Control::RepeatFloor(Turn& t, const SignedPtr& object) {
  const auto revoke = authority::ParseBody<authority::Revoke>(object->body());
  if (!revoke.ok() || !revoke->kid || object->kid() == mesh_.kid()) return;
  const auto it = repeats_.find(*revoke->kid);
  if (it == repeats_.end()) return;
  bool by_issuer = false;
  for (size_t at = 0; at + 16 <= it->second.size(); at += 16)
    by_issuer |= Equal(ByteView(it->second).subspan(at, 16), object->kid());
  if (!by_issuer) return;
  const uint32_t floor = revoke->type == authority::RevokeType::kFloor ? revoke->floor : UINT32_MAX;
  const issuing::Signer signer(config_.identity, *config_.seqs);
  const auto mine = issuing::MakeRevoke(signer,
                                        mesh_.scope(),
                                        {.type = authority::RevokeType::kFloor,
                                         .kid = *revoke->kid,
                                         .oid = {},
                                         .floor = floor,
                                         .from = 0,
                                         .reason = revoke->reason},
                                        recorder_.chain().clock().Tick(t.now.wall));
  repeats_.erase(*revoke->kid);
  recorder_.DeleteState("repeat/" + ToHex(*revoke->kid));
  if (mine.ok()) (void)OnRestriction(t, mine->envelope, nullptr);  // our own key: it is taken
}

// ---- orders of the owner ----

absl::StatusOr<Held<authority::Invite>> Control::Invite(Now now,
                                                        issuing::InviteTerms terms,
                                                        Outbox& out) {
  Turn t{now, out};
  if (mesh_.enroller() == nullptr)
    return PermissionDenied(
        "this machine holds no enrolling grant; invite from a machine that does");
  if (terms.members.empty()) {
    if (config_.endpoints.empty())
      return FailedPrecondition(
          "no endpoint of this machine is known; set one: aqmesh set endpoint IP:PORT");
    std::vector<Endpoint> endpoints = config_.endpoints;
    if (endpoints.size() > 4) endpoints.resize(4);
    terms.members.push_back({mesh_.kid(), device_.public_key(), std::move(endpoints)});
  }
  const issuing::Signer signer(config_.identity, *config_.seqs);
  auto invite = issuing::MakeInvite(
      {signer, mesh_.charter(), mesh_.enroller()}, std::move(terms), now.wall.seconds());
  if (invite.ok())
    recorder_.PutObject(lineage::Shelf::kSigned, invite->oid(), invite->envelope->bytes());
  EndTurn(t);
  return invite;
}

absl::Status Control::Revoke(Now now, const issuing::RevokeTerms& terms, Outbox& out) {
  Turn t{now, out};
  const issuing::Signer signer(config_.identity, *config_.seqs);
  auto made =
      issuing::MakeRevoke(signer, mesh_.scope(), terms, recorder_.chain().clock().Tick(now.wall));
  if (!made.ok()) return made.status();
  const absl::Status taken = OnRestriction(t, made->envelope, nullptr);
  EndTurn(t);
  return taken;
}

void Control::NoteDeed(Now now, authority::Observe record, lineage::StatePut mark, Outbox& out) {
  Turn t{now, out};
  recorder_.Record(std::move(record), now.wall);
  recorder_.PutState(std::move(mark.name), std::move(mark.value));
  EndTurn(t);
}

void Control::DropMark(Now now, std::string name, Outbox& out) {
  Turn t{now, out};
  recorder_.DeleteState(std::move(name));
  EndTurn(t);
}

absl::Status Control::Import(Now now, ByteView bytes, Outbox& out) {
  Turn t{now, out};
  AQ_ASSIGN_OR_RETURN(authority::Signed parsed, authority::Signed::Parse(bytes));
  auto object = std::make_shared<const authority::Signed>(std::move(parsed));
  switch (object->ctx()) {
    case authority::Ctx::kRevoke: {
      if (!mesh_.has_charter() || !mesh_.KeyOf(object->kid())) {
        return Unauthenticated("revocation ",
                               ToHex(object->oid()),
                               ": its signer is not known here; import its grant first");
      }
      AQ_RETURN_IF_ERROR(OnRestriction(t, object, nullptr));
      break;
    }
    case authority::Ctx::kCharter:
    case authority::Ctx::kCosign: {
      const absl::Status taken = TakeCharter(t, object, nullptr);
      if (taken.ok()) OnOwnObjects(t);
      EndTurn(t);  // what is refused may convict its signer
      return taken;
    }
    case authority::Ctx::kGrant:
    case authority::Ctx::kFragment:
      mesh_.Hold(object);
      received_.push_back(object);
      OnOwnObjects(t);
      ExamineGrant(t, object, nullptr);
      RedecideAll(t);
      RefreshPlain(t);
      break;
    case authority::Ctx::kApprove: {
      const absl::Status taken = TakeApproval(t, object, nullptr);
      if (!taken.ok()) return taken;
      break;
    }
    case authority::Ctx::kRetention:
      if (!mesh_.has_charter())
        return FailedPrecondition("a retention rule: no charter is held here yet");
      AQ_RETURN_IF_ERROR(authority::VerifyRetention(*object, mesh_.charter()).status());
      recorder_.PutObject(lineage::Shelf::kSigned, object->oid(), object->bytes());
      break;
    default:
      return InvalidArgument("a ",
                             authority::CtxName(object->ctx()),
                             " cannot be imported; charters and votes on them, grants, fragments, "
                             "revocations, approvals and retention rules can");
  }
  EndTurn(t);
  return absl::OkStatus();
}

}  // namespace aqmesh::node
