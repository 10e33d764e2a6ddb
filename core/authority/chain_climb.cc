#include <algorithm>

#include "core/authority/chain_walk.h"
#include "core/authority/quorum.h"
#include "core/base/status.h"

namespace aqmesh::authority::internal {

// ---- objects at hand

SignedPtr Walk::Find(const Oid& oid) const {
  for (const SignedPtr& s : in_.items) {
    if (s->oid() == oid) return s;
  }
  return in_.store == nullptr ? nullptr : Found(in_.store->Find(oid));
}

SignedPtr Walk::FindRef(const Ref16& ref) const {
  for (const SignedPtr& s : in_.items) {
    if (s->ref() == ref) return s;
  }
  return in_.store == nullptr ? nullptr : Found(in_.store->FindRef(ref));
}

SignedPtr Walk::Found(SignedPtr object) const {
  if (object != nullptr && std::ranges::find(report_.found, object) == report_.found.end())
    report_.found.push_back(object);
  return object;
}

const Held<Charter>* Walk::CharterOf(const Oid& oid) const {
  for (const Held<Charter>& c : scope_.charters) {
    if (c.oid() == oid) return &c;
  }
  return nullptr;
}

Kid Walk::FirstOf(const Kid& kid) const { return scope_.restrictions->First(kid); }

// ---- rotation

std::optional<Held<Rotate>> Walk::RotateIn(const Kid& old,
                                           const std::optional<Digest>& next) const {
  if (!next) return std::nullopt;
  for (const SignedPtr& s : in_.items) {
    std::optional<Held<Rotate>> r = Open<Rotate>(s);
    if (!r || r->body.old != old || r->body.scope != scope_.scope) continue;
    if (NextKeyOf(r->body.suite, r->body.key) != *next ||
        KidOf(r->body.suite, r->body.key) != r->signer())
      continue;
    return r;
  }
  return std::nullopt;
}

// An authority's rotation needs the witnesses, where the scope has any.
bool Walk::RotationCertified(const Held<Rotate>& r) const {
  const Charter& c = scope_.charter();
  return c.witnesses.empty() ||
         scope_.restrictions->Behind(Kid{}, r.oid(), c, Quorum::kWitnesses, Kid{}).enough();
}

std::optional<Ed25519Key> Walk::FollowTo(const Kid& signer,
                                         Kid base,
                                         Ed25519Key key,
                                         std::optional<Digest> next,
                                         bool authority,
                                         std::vector<Held<Rotate>>& via) const {
  for (size_t step = 0; step <= 4; ++step) {
    if (base == signer) return key;
    if (const Held<Rotate>* held = scope_.restrictions->RotationOf(base)) {
      if (authority && !RotationCertified(*held)) return std::nullopt;
      base = held->signer(), key = held->body.key, next = held->body.next_key;
      continue;
    }
    std::optional<Held<Rotate>> came = RotateIn(base, next);
    if (!came || (authority && !RotationCertified(*came))) return std::nullopt;
    base = came->signer(), key = came->body.key, next = came->body.next_key;
    via.push_back(*std::move(came));
  }
  return std::nullopt;
}

std::optional<Ed25519Key> Walk::VoterKey(const Charter& charter,
                                         const Kid& signer,
                                         std::vector<Held<Rotate>>& via) const {
  for (const Voter& v : charter.voters) {
    via.clear();
    // A voter's own rotation is its certificate.
    if (auto key = FollowTo(signer, KidOf(v.suite, v.key), v.key, v.next_key, false, via))
      return key;
  }
  via.clear();
  return std::nullopt;
}

// ---- the chain upward

Line Walk::Climb(Held<Grant> from) const {
  Line line;
  line.grants.push_back(std::move(from));
  for (;;) {
    const Held<Grant> g = line.grants.back();
    std::vector<Held<Rotate>>& via = line.rotates.emplace_back();
    if (const Held<Charter>* charter = CharterOf(g.body.parent)) {
      const std::optional<Ed25519Key> key = VoterKey(charter->body, g.signer(), via);
      line.known = key.has_value();
      line.signer_keys.push_back(key.value_or(Ed25519Key{}));
      return line;
    }
    std::optional<Held<Grant>> parent = Open<Grant>(Find(g.body.parent));
    if (parent) {
      const Kid subject = KidOf(parent->body.suite, parent->body.key);
      const auto key =
          FollowTo(g.signer(), subject, parent->body.key, parent->body.next_key, true, via);
      line.signer_keys.push_back(key.value_or(Ed25519Key{}));
      if (!key) line.broken = "issuer: the signer is not the parent's subject";
      if (line.grants.size() == kChainMax) line.broken = "the chain has more than four grants";
      if (!line.broken.empty()) return line;
      line.grants.push_back(*std::move(parent));
      continue;
    }
    line.missing = g.body.parent;
    std::optional<Ed25519Key> key = VoterKey(scope_.charter(), g.signer(), via);
    line.charter_missing = key.has_value();
    if (!key && in_.store != nullptr) {
      key = in_.store->KnownIssuer(g.signer());
      if (key && !report_.issuer_before) report_.issuer_before = key;
    }
    line.known = key.has_value();
    line.signer_keys.push_back(key.value_or(Ed25519Key{}));
    return line;
  }
}

std::vector<Link> Walk::Links(const Line& line) const {
  std::vector<Link> links;
  for (const Held<Grant>& g : line.grants) {
    links.push_back(
        {g.signer(), KidOf(g.body.suite, g.body.key), g.body.seq, g.body.generation, g.oid()});
  }
  return links;
}

MaybeObjection Walk::CheckCertificate(const Held<Grant>& g) const {
  const ClassRule* row = taxonomy_.Find(g.body.cls);
  if (row == nullptr || !row->certificate) return std::nullopt;
  const Charter& c = scope_.charter();
  const Count count = scope_.restrictions->Behind(g.signer(), g.oid(), c, Quorum::kRegular, Kid{});
  if (count.enough()) return std::nullopt;
  return Objection{Reason::kClassOrCap,
                   Join("certificate: ",
                        ClassName(g.body.cls),
                        " needs the voters' quorum, ",
                        count.need,
                        count.unit,
                        "; votes for ",
                        count.have,
                        " are held")};
}

Verdict Walk::CheckLine(const Line& line,
                        bool leaf_may_lapse,
                        std::optional<Overreach>* overreach) const {
  const std::vector<Link> links = Links(line);
  if (MaybeObjection o = scope_.restrictions->Judge(links, scope_.charter(), *scope_.expansions))
    return Refuse(*o);
  Verdict newer;
  for (size_t i = line.grants.size(); i-- > 0;) {
    const Grant& g = line.grants[i].body;
    if (NotYet(g.not_before, now_))
      return {Rung::kDefer, Reason::kClock, Join("grant ", i, " begins more than 120 s from now")};
    if (Lapsed(g.not_before, g.ttl, now_) && (i > 0 || !leaf_may_lapse)) {
      return {Rung::kRefuse, Reason::kExpired, Join("grant ", i, " above the leaf has expired")};
    }
    // Its bearer may bring that charter: all else has to hold, and then it may speak.
    if (g.charter_version > scope_.charter().version) {
      newer = {Rung::kEscalate,
               Reason::kCharterUnknown,
               Join("grant ", i, " speaks of charter version ", g.charter_version)};
    }
  }
  for (size_t i = line.grants.size(); i-- > 0;) {
    const bool top = i + 1 == line.grants.size();
    if (top && line.missing) continue;
    const Held<Grant>& g = line.grants[i];
    GrantEdge edge{.child = &g.body,
                   .child_subject = FirstOf(links[i].subject),
                   .child_signer = FirstOf(g.signer()),
                   .parent = top ? nullptr : &line.grants[i + 1].body,
                   .parent_subject = {}};
    // Climb matched signer and parent's subject already, over rotations that may only now have come
    // along.
    edge.parent_subject = edge.child_signer;
    if (MaybeObjection o = CheckGrantEdge(edge, GroundHere())) {
      if (o->beyond_parent && overreach != nullptr) *overreach = OverreachAt(line, i);
      o->detail = Join("grant ", i, " (0 is the leaf): ", o->detail);
      return Refuse(*o);
    }
    if (MaybeObjection o = CheckCertificate(g)) return Refuse(*o);
  }
  return newer;
}

Overreach Walk::OverreachAt(const Line& line, size_t i) const {
  const Held<Grant>& parent = line.grants[i + 1];
  const bool top = i + 2 == line.grants.size();
  const bool by_voter = top && (!line.missing || line.charter_missing);
  return {.grant = line.grants[i].oid(),
          .signer = FirstOf(line.grants[i].signer()),
          .issuer = by_voter ? std::nullopt : std::optional(FirstOf(parent.signer()))};
}

Verdict Walk::CheckLeaf(const Grant& leaf) const {
  // spec/objects.md §2 presentation: a long-lived authority grant is never a session's credential.
  if ((leaf.caps & kCapJoin) == 0) return Refuse({Reason::kClassOrCap, "leaf: lacks join"});
  if ((leaf.caps & kCapsIssue) != 0)
    return Refuse({Reason::kClassOrCap, "leaf: holds an issue capability"});
  return {};
}

Verdict Walk::CheckPresenter(const Line& line) {
  const Held<Presentation>& p = *in_.presentation;
  const Grant& leaf = line.grants[0].body;
  if (SignatureSize(leaf.suite) == 0)
    return Refuse({Reason::kClassOrCap, "presentation: a PLAIN grant's device presents nothing"});
  if (!SignsPresentations(p.envelope->suite())) {
    return Refuse({Reason::kClassOrCap,
                   Join("presentation: signatures of suite ",
                        static_cast<uint16_t>(p.envelope->suite()),
                        " do not fit one")});
  }
  const Kid subject = KidOf(leaf.suite, leaf.key);
  std::vector<Held<Rotate>> via;
  const auto key = FollowTo(p.signer(), subject, leaf.key, leaf.next_key, false, via);
  if (!key)
    return Refuse(
        {Reason::kSignature,
         "presentation: not signed by the leaf's subject, nor by a key that it rotated to"});
  if (scope_.restrictions->RotationOf(p.signer()) != nullptr) {
    return Refuse({Reason::kRevoked, "presentation: its signer's key has been rotated away"});
  }
  for (const Held<Rotate>& r : via) AddTask(r.envelope, r.body.key, std::nullopt, "rotation");
  report_.rotates.insert(report_.rotates.end(), via.begin(), via.end());
  AddTask(p.envelope, *key, std::nullopt, "presentation");
  if (p.body.charter_version > scope_.charter().version) {
    return {Rung::kEscalate,
            Reason::kCharterUnknown,
            Join("the presentation speaks of charter version ", p.body.charter_version)};
  }
  return {};
}

}  // namespace aqmesh::authority::internal
