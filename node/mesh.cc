#include "node/mesh.h"

#include <algorithm>

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
  for (const Bytes& bytes : image.objects) {
    auto object = authority::Signed::Parse(bytes);
    if (!object.ok()) {
      problems.push_back(Text(object.status()));
      continue;
    }
    auto held = std::make_shared<const authority::Signed>(*std::move(object));
    switch (held->ctx()) {
      case Ctx::kCharter: charters.push_back(std::move(held)); break;
      case Ctx::kRevoke:
      case Ctx::kRotate: restrictions.push_back(std::move(held)); break;
      default: Hold(std::move(held)); break;
    }
  }
  // Versions in order: each is checked against the one before it.
  std::sort(charters.begin(), charters.end(), [](const SignedPtr& a, const SignedPtr& b) {
    const auto x = authority::ParseBody<Charter>(a->body()),
               y = authority::ParseBody<Charter>(b->body());
    return x.ok() && y.ok() && x->version < y->version;
  });
  for (SignedPtr& c : charters) {
    if (const absl::Status s = AddCharter(std::move(c)); !s.ok()) problems.push_back(Text(s));
  }
  Refresh(now);
  // The keys of grants held prove who signed a restriction; chains are authenticated as they are
  // used.
  for (SignedPtr& r : restrictions) {
    bool fresh = false;
    if (const absl::Status s = AddRestriction(std::move(r), fresh);
        !s.ok() && s.code() != absl::StatusCode::kUnavailable) {
      problems.push_back(Text(s));
    }
  }
  return problems;
}

absl::Status Mesh::AddCharter(SignedPtr object) {
  AQ_ASSIGN_OR_RETURN(Held<Charter> charter, authority::ParseObject<Charter>(*object));
  for (const auto& c : charters_) {
    if (c.oid() == charter.oid()) return absl::OkStatus();
  }
  const Held<Charter>* prev = charters_.empty() ? nullptr : &charters_.back();
  AQ_RETURN_IF_ERROR(authority::VerifyCharter(charter, prev, {}, restrictions_.get()));
  if (!prev) {
    scope_ = authority::ScopeIdOf(charter);
    restrictions_ = std::make_unique<authority::Restrictions>(scope_);
  }
  store_.Put(object, /*pinned=*/true);
  charters_.push_back(std::move(charter));
  return absl::OkStatus();
}

void Mesh::Hold(SignedPtr object) {
  if (object->ctx() == Ctx::kGrant) {
    auto grant = authority::ParseBody<Grant>(object->body());
    if (!grant.ok()) return;
    if (grant->key == key_ && grant->suite == Suite::kEd25519) {
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
    if (std::any_of(
            charters_.begin(), charters_.end(), [&](const auto& c) { return c.oid() == parent; }))
      break;
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
  // The one that ends last among those whose chain is complete; a lapsed leaf is kept, to renew
  // with.
  const auto better = [&](const std::optional<Held<Grant>>& have, const Held<Grant>& g) {
    if (!AncestorsOf(g)) return false;
    return !have || g.body.not_before + g.body.ttl > have->body.not_before + have->body.ttl;
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
  for (const auto& c : charters_) {
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
  if (object->ctx() == Ctx::kRevoke) {
    AQ_ASSIGN_OR_RETURN(const Held<Revoke> revoke, authority::ParseObject<Revoke>(*object));
    const auto key = KeyOf(object->kid());
    if (!key) {
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
    AQ_RETURN_IF_ERROR(restrictions_->Add(revoke, *key, expansions_));
    fresh = true;
    return absl::OkStatus();
  }
  return InvalidArgument("not a revocation: ", authority::CtxName(object->ctx()));
}

std::vector<SignedPtr> Mesh::RetryPending() {
  std::vector<SignedPtr> took;
  std::deque<SignedPtr> left;
  for (SignedPtr& p : std::exchange(pending_, {})) {
    if (!KeyOf(p->kid())) {
      left.push_back(std::move(p));
      continue;
    }
    bool fresh = false;
    if (AddRestriction(p, fresh).ok() && fresh) took.push_back(p);
  }
  pending_ = std::move(left);
  return took;
}

std::optional<authority::Verified> Mesh::Authenticate(
    const Held<authority::Presentation>* presentation,
    std::span<const SignedPtr> items,
    WallTime now,
    authority::AuthReport& report) {
  const authority::ScopeHeld scope{.charters = charters_,
                                   .scope = scope_,
                                   .restrictions = restrictions_.get(),
                                   .expansions = &expansions_};
  const std::span<const authority::ScopeHeld> scopes(&scope, charters_.empty() ? 0u : 1u);
  return authority::Authenticate({.scopes = scopes,
                                  .presentation = presentation,
                                  .items = items,
                                  .store = &store_,
                                  .cache = &cache_,
                                  .now = now},
                                 report);
}

void Mesh::Learn(const authority::Chain& chain, const authority::AuthReport& report) {
  for (const Held<Grant>& g : chain.grants) {
    if (keys_.size() < kKeysMax)
      keys_.emplace(authority::KidOf(g.body.suite, g.body.key), g.body.key);
  }
  store_.Keep(chain);
  for (const auto& [statement, seq] : report.statements) {
    if (const auto proof = expansions_.Add(statement, seq)) restrictions_->Collapse(*proof);
  }
}

SignedPtr Mesh::Find(const Ref16& ref) const {
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
