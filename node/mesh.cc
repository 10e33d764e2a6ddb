#include "node/mesh.h"

#include <algorithm>

#include "core/authority/charter.h"
#include "core/base/status.h"

namespace aqmesh::node {

using authority::Charter;
using authority::Ctx;
using authority::Fragment;
using authority::Grant;
using authority::Revoke;
using authority::Rotate;
using authority::Suite;

namespace {

constexpr size_t kRefsMax = 12;
constexpr size_t kKeysMax = 65'536;  // one a subject ever proven; far above a segment's size

// spec: objects#2 a leaf opens a presentation: it may join and issues nothing.
bool IsLeaf(const Grant& g) {
  return (g.caps & authority::kCapJoin) != 0 && (g.caps & authority::kCapsIssue) == 0;
}

bool InDate(uint64_t not_before, uint64_t ttl, WallTime now) {
  return !authority::NotYet(not_before, now.seconds()) &&
         !authority::Lapsed(not_before, ttl, now.seconds());
}

}  // namespace

Mesh::Mesh(const crypto::Ed25519Seed& identity)
    : identity_(identity.Clone()),
      key_(crypto::Ed25519Public(identity)),
      kid_(authority::KidOf(Suite::kEd25519, key_)) {}

std::vector<std::string> Mesh::Load(const Image& image, WallTime now) {
  std::vector<std::string> problems;
  std::vector<SignedPtr> charters, restrictions;
  std::map<Oid, std::vector<SignedPtr>> votes;  // by what they are for
  loading_ = true;  // the disk may hold the grants of many; what comes over the wire is bounded
  for (const Bytes& bytes : image.objects) {
    auto object = authority::Signed::Parse(bytes);
    if (!object.ok()) {
      problems.push_back(Text(object.status()));
      continue;
    }
    auto held = std::make_shared<const authority::Signed>(*std::move(object));
    switch (held->ctx()) {
      case Ctx::kCharter: charters.push_back(std::move(held)); break;
      case Ctx::kCosign:
        if (const auto v = authority::ParseBody<authority::Cosign>(held->body()); v.ok())
          votes[v->target].push_back(std::move(held));
        break;
      case Ctx::kRevoke:
      case Ctx::kRotate: restrictions.push_back(std::move(held)); break;
      default: Hold(std::move(held)); break;
    }
  }
  LoadCharters(image, std::move(charters), votes, problems);
  LearnIssuers(now);  // a restriction is kept with the grants of its signer
  loading_ = false;
  LoadRestrictions(image, std::move(restrictions), problems);
  for (auto it = image.state.lower_bound("proof/");
       it != image.state.end() && it->first.starts_with("proof/");
       ++it) {
    LoadProof(it->second);
  }
  Refresh(now);
  return problems;
}

// Versions in order: each is checked against the one before it. What was proposed comes as if it
// had just been heard: it may have been put there while the node was down.
void Mesh::LoadCharters(const Image& image,
                        std::vector<SignedPtr> charters,
                        const std::map<Oid, std::vector<SignedPtr>>& votes,
                        std::vector<std::string>& problems) {
  std::sort(charters.begin(), charters.end(), [](const SignedPtr& a, const SignedPtr& b) {
    const auto x = authority::ParseBody<Charter>(a->body()),
               y = authority::ParseBody<Charter>(b->body());
    return x.ok() && y.ok() && x->version < y->version;
  });
  for (const SignedPtr& c : charters) {
    const auto behind = votes.find(c->oid());
    const std::vector<SignedPtr> none;
    const absl::Status s =
        charters_.Restore(c, behind == votes.end() ? none : behind->second, restrictions_.get());
    if (!s.ok()) problems.push_back(Text(s));
    AdoptScope();
  }
  for (const auto& [target, held] : votes) {
    bool fresh = false;
    for (const SignedPtr& vote : held) (void)AddVote(vote, fresh);  // some are for charters
  }
  for (const std::string_view family : {kProposalState, kVoteState}) {
    for (auto it = image.state.lower_bound(family);
         it != image.state.end() && it->first.starts_with(family);
         ++it) {
      auto object = authority::Signed::Parse(it->second);
      if (object.ok()) {
        const auto held = std::make_shared<const authority::Signed>(*std::move(object));
        const absl::Status s = held->ctx() == Ctx::kCharter ? AddCharter(held) : TakeVoted(held);
        if (!s.ok() && !absl::IsUnavailable(s)) problems.push_back(Text(s));
      }
    }
  }
}

// In the order in which they came to bear, each behind the statements that were held by then: a cut
// spares what came before it. Those without a mark were added while the node was down, so after
// all.
void Mesh::LoadRestrictions(const Image& image,
                            std::vector<SignedPtr> restrictions,
                            std::vector<std::string>& problems) {
  std::vector<std::pair<uint64_t, SignedPtr>> ordered;
  for (SignedPtr& r : restrictions) {
    const auto mark = image.state.find("cut/" + ToHex(r->oid()));
    const bool good = mark != image.state.end() && mark->second.size() == 8;
    ordered.emplace_back(good ? LoadLe<uint64_t>(mark->second.data()) : UINT64_MAX, std::move(r));
  }
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return a.first < b.first;
  });
  const auto add = [&](SignedPtr& r) {
    bool fresh = false;
    if (const absl::Status s = AddRestriction(std::move(r), fresh);
        !s.ok() && s.code() != absl::StatusCode::kUnavailable) {
      problems.push_back(Text(s));
    }
  };
  auto next = ordered.begin();
  for (auto it = image.state.lower_bound("held/");
       it != image.state.end() && it->first.starts_with("held/");
       ++it) {
    while (next != ordered.end() && next->first <= expansions_.count()) add((next++)->second);
    auto statement = authority::Signed::Parse(it->second);
    if (!statement.ok()) continue;
    const auto held = std::make_shared<const authority::Signed>(*std::move(statement));
    if (held->ctx() == Ctx::kGrant) {
      if (const auto g = authority::ParseBody<Grant>(held->body()); g.ok()) {
        expansions_.Add(held, g->seq);
        // It was verified before it was kept; its subject's last word may lie here, or come.
        if (keys_.size() < kKeysMax) keys_.emplace(authority::KidOf(g->suite, g->key), g->key);
      }
    } else if (const auto f = authority::ParseBody<Fragment>(held->body()); f.ok()) {
      expansions_.Add(held, f->seq);
    }
  }
  for (; next != ordered.end(); ++next) {
    // One that came while the node was down is news to the log.
    const bool unmarked = next->first == UINT64_MAX;
    const SignedPtr r = next->second;
    add(next->second);
    if (unmarked && held_before_.contains(r->oid())) late_.push_back(r);
  }
}

void Mesh::Note(const SignedPtr& statement, uint64_t seq) {
  const uint64_t order = expansions_.count();
  const auto proof = expansions_.Add(statement, seq);
  if (expansions_.count() > order) held_.push_back({order, statement});
  if (proof) restrictions_->Collapse(*proof);
}

// Of both streams: of R it is the restrictions themselves that find two under one number.
std::vector<authority::Equivocation> Mesh::TakeProofs() {
  std::vector<authority::Equivocation> out;
  if (!restrictions_) return out;
  const std::vector<authority::Equivocation>& all = restrictions_->proofs();
  for (; told_proofs_ < all.size(); ++told_proofs_) {
    if (!kept_proofs_.contains(all[told_proofs_].id)) out.push_back(all[told_proofs_]);
  }
  return out;
}

uint64_t Mesh::HeldBefore(const Oid& restriction) const {
  const auto it = held_before_.find(restriction);
  return it == held_before_.end() ? expansions_.count() : it->second;
}

absl::Status Mesh::AddCharter(const SignedPtr& object) {
  AQ_ASSIGN_OR_RETURN(Held<Charter> charter, authority::ParseObject<Charter>(*object));
  if (HasCharter(charter.oid())) return absl::OkStatus();
  return TakeVoted(object);
}

absl::Status Mesh::TakeVoted(const SignedPtr& object) {
  const absl::Status taken = charters_.Take(object, restrictions_.get());
  AdoptScope();
  return taken;
}

absl::Status Mesh::AddVote(const SignedPtr& object, bool& fresh) {
  fresh = false;
  AQ_ASSIGN_OR_RETURN(auto body, authority::ParseBody<authority::Cosign>(object->body()));
  const Held<authority::Cosign> vote{object, body};
  const std::string what = "vote " + ToHex(object->oid());
  if (charters_.empty()) return FailedPrecondition(what, ": no charter is held here yet");
  if (vote.body.slot != 1 && vote.body.slot != 2)
    return InvalidArgument(what, ": it is for no statement");
  if (vote_refs_.contains(object->ref())) return absl::OkStatus();
  std::optional<Ed25519Key> key;
  for (const auto quorum : {authority::Quorum::kRegular, authority::Quorum::kWitnesses}) {
    const authority::Electorate electors(charter().body, quorum, restrictions_.get());
    if (const auto at = electors.Find(vote.signer()); at && !key) key = electors.KeyOf(*at);
  }
  if (!key) return PermissionDenied(what, ": its signer is no voter or witness of this mesh");
  const authority::Slot slot = authority::SlotOf(vote.body);
  const auto first = answers_.lower_bound({vote.signer(), {}});
  const auto count = std::count_if(
      first, answers_.end(), [&](const auto& a) { return a.first.first == vote.signer(); });
  if (static_cast<size_t>(count) >= kVotesOfOneMax)
    return ResourceExhausted(what, ": ", kVotesOfOneMax, " of its signer are held");
  AQ_RETURN_IF_ERROR(restrictions_->Add(vote, *key));
  const auto [answer, new_slot] =
      answers_.try_emplace({vote.signer(), slot}, vote.body.target, object);
  const auto& [target, said] = answer->second;
  if (!new_slot && target != vote.body.target)
    restrictions_->Collapse(authority::ProveEquivocation(*said, *object));
  fresh = votes_[vote.body.target].try_emplace(vote.signer(), object).second;
  if (fresh) vote_refs_.emplace(object->ref(), object);
  return absl::OkStatus();
}

std::vector<SignedPtr> Mesh::VotesFor(const Oid& statement) const {
  std::vector<SignedPtr> out;
  if (const auto it = votes_.find(statement); it != votes_.end()) {
    for (const auto& [signer, vote] : it->second) out.push_back(vote);
  }
  return out;
}

std::vector<SignedPtr> Mesh::StatementVotes() const {
  std::vector<SignedPtr> out;
  for (const auto& [ref, vote] : vote_refs_) out.push_back(vote);
  return out;
}

void Mesh::AdoptScope() {
  if (restrictions_ || charters_.empty()) return;
  scope_ = authority::ScopeIdOf(charters_.all().front());
  restrictions_ = std::make_unique<authority::Restrictions>(scope_);
}

bool Mesh::HasCharter(const Oid& oid) const {
  return std::ranges::find(charters_.all(), oid, &Held<Charter>::oid) != charters_.all().end();
}

Charters::News Mesh::TakeCharterNews() {
  Charters::News news = charters_.TakeNews();
  for (const authority::Equivocation& e : news.conflicts) restrictions_->Collapse(e);
  return news;
}

void Mesh::Hold(SignedPtr object) {
  if (object->ctx() == Ctx::kGrant) {
    auto grant = authority::ParseBody<Grant>(object->body());
    if (!grant.ok()) return;
    if (!KeyOf(authority::KidOf(grant->suite, grant->key))) {
      if (!loading_ && unproven_.size() >= kUnprovenMax) unproven_.pop_front();
      unproven_.push_back({object, *grant});
    }
    if (grant->cls == authority::Class::kPlain) {
      const bool held = std::any_of(plain_grants_.begin(),
                                    plain_grants_.end(),
                                    [&](const Held<Grant>& g) { return g.oid() == object->oid(); });
      if (!held && plain_grants_.size() < kPlainMax) plain_grants_.push_back({object, *grant});
    }
    if (authority::KidOf(grant->suite, grant->key) == kid_) {
      const bool held = std::any_of(own_grants_.begin(),
                                    own_grants_.end(),
                                    [&](const Held<Grant>& g) { return g.oid() == object->oid(); });
      if (!held && own_grants_.size() < 64) own_grants_.push_back({object, *std::move(grant)});
    }
  } else if (object->ctx() == Ctx::kFragment) {
    auto fragment = authority::ParseBody<Fragment>(object->body());
    if (!fragment.ok()) return;
    const bool held =
        std::any_of(all_fragments_.begin(), all_fragments_.end(), [&](const Held<Fragment>& f) {
          return f.oid() == object->oid();
        });
    if (!held && all_fragments_.size() < 256)
      all_fragments_.push_back({object, *std::move(fragment)});
  }
  store_.Put(std::move(object));
}

std::optional<std::vector<SignedPtr>> Mesh::AncestorsOf(const Held<Grant>& grant) const {
  std::vector<SignedPtr> out;
  Oid parent = grant.body.parent;
  while (parent != charter().oid()) {
    if (HasCharter(parent)) break;
    const SignedPtr above = store_.Find(parent);
    if (above == nullptr || out.size() == authority::kChainMax) return std::nullopt;
    auto body = authority::ParseBody<Grant>(above->body());
    if (!body.ok()) return std::nullopt;
    parent = body->parent;
    out.push_back(above);
  }
  return out;
}

std::vector<SignedPtr> Mesh::EnrollerChain() const {
  std::vector<SignedPtr> out;
  if (!enroller_) return out;
  out.push_back(enroller_->envelope);
  if (const auto above = AncestorsOf(*enroller_))
    out.insert(out.end(), above->begin(), above->end());
  return out;
}

void Mesh::Refresh(WallTime now) {
  leaf_.reset();
  enroller_.reset();
  cited_.clear();
  rooted_.clear();
  fragments_.clear();
  if (charters_.empty()) return;
  // The one that ends last among those that nobody took back; a lapsed leaf is kept, to renew with,
  // and so is a revoked one, to hear why.
  std::map<Oid, bool> proves;
  const auto better = [&](const std::optional<Held<Grant>>& have, const Held<Grant>& g) {
    if (!AncestorsOf(g)) return false;
    const bool good = proves[g.oid()] = Proves(g, now);
    if (!have) return true;
    if (const bool was = proves[have->oid()]; good != was) return good;
    return g.body.not_before + g.body.ttl > have->body.not_before + have->body.ttl;
  };
  for (const Held<Grant>& g : own_grants_) {
    if (IsLeaf(g.body)) {
      if (better(leaf_, g)) leaf_ = g;
    } else if (better(enroller_, g)) {
      enroller_ = g;
    }
  }
  if (!leaf_) return;
  const auto root_signed = [&](const authority::Signed& s) {
    return std::any_of(
        charter().body.voters.begin(), charter().body.voters.end(), [&](const authority::Voter& v) {
          return authority::KidOf(v.suite, v.key) == s.kid();
        });
  };
  cited_.push_back(leaf_->envelope);
  const auto above = AncestorsOf(*leaf_);
  cited_.insert(cited_.end(), above->begin(), above->end());
  for (const Held<Fragment>& f : all_fragments_) {
    if (cited_.size() == kRefsMax) break;
    if (!InDate(f.body.not_before, f.body.ttl, now)) continue;
    cited_.push_back(f.envelope);
    fragments_.push_back(f);
  }
  for (const SignedPtr& s : cited_) {
    if (root_signed(*s)) rooted_.push_back(s->ref());
  }
}

std::vector<ByteView> Mesh::ItemsFor(ByteView first, size_t room) const {
  std::vector<bool> by_value(cited_.size(), false);
  size_t used = 2 + first.size();
  const auto take = [&](bool rooted) {
    for (size_t i = 0; i < cited_.size(); ++i) {
      const bool is_rooted =
          std::find(rooted_.begin(), rooted_.end(), cited_[i]->ref()) != rooted_.end();
      const size_t cost = 2 + cited_[i]->bytes().size();
      if (by_value[i] || (i != 0 && is_rooted != rooted) || used + cost > room) continue;
      by_value[i] = true;
      used += cost;
    }
  };
  take(false);
  take(true);
  std::vector<ByteView> items = {first};
  for (size_t i = 0; i < cited_.size(); ++i) {
    if (by_value[i]) items.push_back(cited_[i]->bytes());
  }
  return items;
}

std::optional<Ed25519Key> Mesh::KeyOf(const Kid& kid) const {
  if (kid == kid_) return key_;
  for (const auto& c : charters_.all()) {
    for (const auto& v : c.body.voters) {
      if (authority::KidOf(v.suite, v.key) == kid) return v.key;
    }
  }
  if (const auto it = keys_.find(kid); it != keys_.end()) return it->second;
  return store_.KnownIssuer(kid);
}

absl::Status Mesh::AddRestriction(SignedPtr object, bool& fresh) {
  fresh = false;
  if (!restrictions_)
    return FailedPrecondition(
        "restriction ", ToHex(object->oid()), ": no charter is held here yet");
  if (restrictions_->Statement(object->ref()) != nullptr) return absl::OkStatus();
  if (object->ctx() != Ctx::kRevoke)
    return InvalidArgument("not a revocation: ", authority::CtxName(object->ctx()));
  AQ_ASSIGN_OR_RETURN(const Held<Revoke> revoke, authority::ParseObject<Revoke>(*object));
  if (const auto key = KeyOf(object->kid())) {
    AQ_RETURN_IF_ERROR(Restrict(revoke, *key));
    fresh = true;
    return absl::OkStatus();
  }
  const bool kept = std::any_of(pending_.begin(), pending_.end(), [&](const SignedPtr& p) {
    return p->oid() == object->oid();
  });
  if (!kept) {
    if (pending_.size() == kPendingMax) pending_.pop_front();
    pending_.push_back(object);
  }
  return Unavailable(
      "revocation by ", ToHex(object->kid()), ": its signer's key is not known here yet");
}

absl::Status Mesh::Restrict(const Held<Revoke>& revoke, const Ed25519Key& key) {
  const uint64_t held = expansions_.count();
  AQ_RETURN_IF_ERROR(restrictions_->Add(revoke, key, expansions_));
  held_before_.emplace(revoke.oid(), held);
  ++restricted_;
  return absl::OkStatus();
}

// `key` is the one that `signer` is the digest of: that alone makes a statement genuine. Whom it
// binds is judged with each chain.
void Mesh::TryPending(const Kid& signer, const Ed25519Key& key) {
  if (!restrictions_) return;
  std::deque<SignedPtr> left;
  for (SignedPtr& p : std::exchange(pending_, {})) {
    if (p->kid() != signer) {
      left.push_back(std::move(p));
      continue;
    }
    const auto revoke = authority::ParseObject<Revoke>(*p);
    if (revoke.ok() && Restrict(*revoke, key).ok()) late_.push_back(std::move(p));
  }
  pending_ = std::move(left);
}

std::vector<SignedPtr> Mesh::WithAncestors(const Held<Grant>& grant) const {
  std::vector<SignedPtr> items = {grant.envelope};
  if (const auto above = AncestorsOf(grant))
    items.insert(items.end(), above->begin(), above->end());
  return items;
}

std::vector<SignedPtr> Mesh::PlainItems(const Held<Grant>& grant) const {
  std::vector<SignedPtr> items = WithAncestors(grant);
  for (const Held<Fragment>& f : fragments_) items.push_back(f.envelope);
  return items;
}

std::optional<authority::Verified> Mesh::AuthenticatePlain(const Held<Grant>& grant,
                                                           WallTime now,
                                                           authority::AuthReport& report) {
  return Authenticate(nullptr, PlainItems(grant), now, report);
}

std::optional<authority::Verified> Mesh::AuthenticateGrant(const Held<Grant>& grant,
                                                           WallTime now,
                                                           authority::AuthReport& report) {
  const std::vector<SignedPtr> items = WithAncestors(grant);
  const authority::ScopeHeld scope = Ground();
  return authority::Authenticate({.scopes = std::span(&scope, 1),
                                  .presentation = nullptr,
                                  .items = items,
                                  .store = &store_,
                                  .cache = &cache_,
                                  .now = now,
                                  .signatures_if_bad = authority::kSignaturesMax,
                                  .any_leaf = true},
                                 report);
}

bool Mesh::Proves(const Held<Grant>& grant, WallTime now) {
  authority::AuthReport report;
  const auto verified = AuthenticateGrant(grant, now, report);
  return verified && verified->rung() >= authority::Rung::kEscalate;
}

void Mesh::LearnIssuers(WallTime now) {
  if (charters_.empty()) return;
  for (bool more = true; more;) {  // one proven issuer may be what the next chain hangs on
    more = false;
    for (Held<Grant>& g : std::exchange(unproven_, {})) {
      authority::AuthReport report;
      const auto verified = AuthenticateGrant(g, now, report);
      // A lapsed or revoked issuer's restrictions still count: only its signatures must hold.
      if (verified && report.signatures_held && Rooted(verified->chain())) {
        Learn(verified->chain());
        more = true;
      } else {
        unproven_.push_back(std::move(g));
      }
    }
  }
}

std::vector<SignedPtr> Mesh::ChainOf(const Kid& kid) const {
  if (kid == kid_) {
    if (enroller_) return EnrollerChain();
    return leaf_ ? WithAncestors(*leaf_) : std::vector<SignedPtr>();
  }
  const auto it = chains_.find(kid);
  return it == chains_.end() ? std::vector<SignedPtr>() : it->second;
}

// Two statements, each behind its length; this node wrote it after it had verified both.
void Mesh::LoadProof(ByteView proof) {
  std::vector<authority::Signed> both;
  while (proof.size() >= 2 && both.size() < 2) {
    const size_t size = LoadLe<uint16_t>(proof.data());
    if (proof.size() - 2 < size) return;
    auto s = authority::Signed::Parse(proof.subspan(2, size));
    if (!s.ok()) return;
    both.push_back(*std::move(s));
    proof = proof.subspan(2 + size);
  }
  if (both.size() != 2 || !restrictions_) return;
  const authority::Equivocation told = authority::ProveEquivocation(both[0], both[1]);
  kept_proofs_.insert(told.id);
  restrictions_->Collapse(told);
}

std::optional<authority::Verified> Mesh::Authenticate(
    const Held<authority::Presentation>* presentation,
    std::span<const SignedPtr> items,
    WallTime now,
    authority::AuthReport& report,
    size_t signatures_if_bad) {
  if (!pending_.empty()) {
    for (const SignedPtr& item : items) {
      if (item->ctx() != Ctx::kGrant) continue;
      if (const auto g = authority::ParseBody<Grant>(item->body()); g.ok())
        TryPending(authority::KidOf(g->suite, g->key), g->key);
    }
  }
  report.held = expansions_.count();
  report.restricted = restricted_;
  const authority::ScopeHeld scope = Ground();
  const std::span<const authority::ScopeHeld> scopes(&scope, charters_.empty() ? 0u : 1u);
  auto verified = authority::Authenticate({.scopes = scopes,
                                           .presentation = presentation,
                                           .items = items,
                                           .store = &store_,
                                           .cache = &cache_,
                                           .now = now,
                                           .signatures_if_bad = signatures_if_bad},
                                          report);
  // Whatever came of it, what verified was said: a later contradiction is a proof.
  NoteStatements(report);
  return verified;
}

void Mesh::NoteStatements(const authority::AuthReport& report) {
  for (const auto& [statement, seq] : report.statements) Note(statement, seq);
}

// A chain may end in a charter that is not here yet: then it says who speaks, and proves nobody.
bool Mesh::Rooted(const authority::Chain& chain) const {
  return !chain.grants.empty() && HasCharter(chain.grants.back().body.parent);
}

void Mesh::Learn(const authority::Chain& chain) {
  if (!Rooted(chain)) return;
  for (size_t i = 0; i < chain.grants.size(); ++i) {
    const Grant& g = chain.grants[i].body;
    const Kid subject = authority::KidOf(g.suite, g.key);
    if (!keys_.contains(subject) && keys_.size() >= kKeysMax) continue;
    keys_.emplace(subject, g.key);
    std::vector<SignedPtr>& upward = chains_[subject];
    upward.clear();
    for (size_t j = i; j < chain.grants.size(); ++j) upward.push_back(chain.grants[j].envelope);
    TryPending(subject, g.key);
  }
  store_.Keep(chain);
}

SignedPtr Mesh::Find(const Ref16& ref) const {
  if (SignedPtr s = charters_.Find(ref)) return s;
  if (const auto vote = vote_refs_.find(ref); vote != vote_refs_.end()) return vote->second;
  if (SignedPtr s = store_.FindRef(ref)) return s;
  return restrictions_ ? restrictions_->Statement(ref) : nullptr;
}

std::vector<frame::Row> Mesh::Rows() const {
  std::vector<frame::Row> out;
  if (!restrictions_) return out;
  for (const auto& row : restrictions_->Rows()) out.push_back({row.kid, row.seq, row.oid});
  return out;
}

Ref16 Mesh::RestrictionRoot16() const {
  const Digest root = restrictions_ ? restrictions_->Root() : Digest{crypto::MerkleRoot({})};
  return *Ref16::From(root.view().first(16));
}

}  // namespace aqmesh::node
