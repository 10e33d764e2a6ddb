#include "core/authority/chain.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/status.h"

namespace aqmesh::authority {

bool NotYet(uint64_t not_before, uint64_t now) { return not_before > now + kClockSlackSeconds; }
bool Lapsed(uint64_t not_before, uint64_t ttl, uint64_t now) { return now >= not_before + ttl; }

// The stage that mints Verified; only this file can name its passkey.
struct Authenticating {
  static Verified Mint(Chain chain, Rung rung, Reason reason) {
    return Verified(Passkey<Authenticating>(), std::move(chain), rung, reason);
  }
};

namespace {

struct Verdict {
  Rung rung = Rung::kAdmit;
  Reason reason = Reason::kNone;
  std::string why;
};
Verdict Refuse(Objection o) { return {Rung::kRefuse, o.reason, std::move(o.detail)}; }

// A line of grants upward from one, as far as the objects at hand lead.
struct Line {
  std::vector<Held<Grant>> grants;                 // lowest first
  std::vector<Ed25519Key> signer_keys;             // of grants[i], where known
  std::vector<std::vector<Held<Rotate>>> rotates;  // that came along and lead to signer_keys[i]
  std::optional<Oid> missing;                      // the parent not at hand
  bool charter_missing = false;                    // ... which is a charter
  bool known = false;  // the topmost signer is a voter, or proven before
  std::string broken;  // not empty: no chain at all
  bool complete() const { return !missing && broken.empty() && known; }
};

// One signature to check; the order of the list is the order of the spec.
struct Task {
  SignedPtr object;
  Ed25519Key key;
  std::optional<uint64_t> seq;  // of stream E
  std::string what;
};

class Work {
 public:
  Work(const AuthInput& input, const ScopeHeld& scope, AuthReport& report)
      : in_(input),
        scope_(scope),
        report_(report),
        now_(input.now.seconds()),
        taxonomy_(Taxonomy::Of(scope.charter())) {}

  Line Climb(Held<Grant> from) const;
  // Restrictions, time, charter version, class, attenuation; the whole line is an ancestor's but
  // its first.
  Verdict CheckLine(const Line& line, bool leaf_may_lapse) const;
  Verdict CheckLeaf(const Grant& leaf) const;
  Verdict CheckPresenter(const Line& line);
  // Adds the fragment's rules to the report and its signatures to the tasks, or says why not.
  Verdict CheckFragment(SignedPtr cited, const Line& main);
  void AddTasks(const Line& line);
  // Stops at the first failure or when the budget is spent.
  Verdict VerifyTasks(size_t budget);

  SignedPtr Find(const Oid& oid) const;
  SignedPtr FindRef(const Ref16& ref) const;
  std::vector<Held<Fragment>> TakeFragments() { return std::move(fragments_); }
  uint64_t fragments_end() const { return fragments_end_; }

 private:
  const Held<Charter>* CharterOf(const Oid& oid) const;
  // The key of `signer` if it is `base` or what base rotated to; `via` gets the rotations that came
  // along.
  std::optional<Ed25519Key> FollowTo(const Kid& signer,
                                     Kid base,
                                     Ed25519Key key,
                                     std::optional<Digest> next,
                                     bool authority,
                                     std::vector<Held<Rotate>>& via) const;
  std::optional<Held<Rotate>> RotateIn(const Kid& old, const std::optional<Digest>& next) const;
  bool RotationCertified(const Held<Rotate>& r) const;
  std::optional<Ed25519Key> VoterKey(const Charter& charter,
                                     const Kid& signer,
                                     std::vector<Held<Rotate>>& via) const;
  MaybeObjection CheckCertificate(const Held<Grant>& g) const;
  std::vector<Link> Links(const Line& line) const;
  Ground GroundHere() const {
    return {&scope_.charter(), &taxonomy_, scope_.scope, scope_.charter_floor};
  }
  Kid FirstOf(const Kid& kid) const;
  void AddTask(SignedPtr object,
               const Ed25519Key& key,
               std::optional<uint64_t> seq,
               std::string what);

  struct Level {  // one fragment of a cited one's line
    std::shared_ptr<const Held<Fragment>> fragment;
    Line authority;  // empty under the charter
    Ed25519Key key;
    std::vector<Held<Rotate>> rotates;
  };
  Verdict FindLevels(SignedPtr cited, std::vector<Level>& levels) const;
  Verdict FindAuthority(Level& level) const;
  Verdict CheckLevel(const Level& level, const Level* parent, const Line& main) const;
  std::string WhyOutOfForce(const Level& level) const;
  void PutInForce(const std::vector<Level>& levels);

  const AuthInput& in_;
  const ScopeHeld& scope_;
  AuthReport& report_;
  uint64_t now_;
  Taxonomy taxonomy_;
  std::vector<Task> tasks_;
  std::set<Oid> tasked_;
  std::vector<Held<Fragment>> fragments_;
  uint64_t fragments_end_ = UINT64_MAX;
};

// ---- objects at hand

SignedPtr Work::Find(const Oid& oid) const {
  for (const SignedPtr& s : in_.items) {
    if (s->oid() == oid) return s;
  }
  return in_.store == nullptr ? nullptr : in_.store->Find(oid);
}

SignedPtr Work::FindRef(const Ref16& ref) const {
  for (const SignedPtr& s : in_.items) {
    if (s->ref() == ref) return s;
  }
  return in_.store == nullptr ? nullptr : in_.store->FindRef(ref);
}

template <class T>
std::optional<Held<T>> Open(const SignedPtr& s) {
  if (s == nullptr || s->ctx() != T::kCtx) return std::nullopt;
  absl::StatusOr<T> body = ParseBody<T>(s->body());
  if (!body.ok()) return std::nullopt;
  return Held<T>{s, *std::move(body)};
}

const Held<Charter>* Work::CharterOf(const Oid& oid) const {
  for (const Held<Charter>& c : scope_.charters) {
    if (c.oid() == oid) return &c;
  }
  return nullptr;
}

Kid Work::FirstOf(const Kid& kid) const { return scope_.restrictions->First(kid); }

// ---- rotation

std::optional<Held<Rotate>> Work::RotateIn(const Kid& old,
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
bool Work::RotationCertified(const Held<Rotate>& r) const {
  const Charter& c = scope_.charter();
  return c.witnesses.empty() ||
         scope_.restrictions->VotersBehind(Kid{}, r.oid(), c.witnesses, Kid{}) >= c.q_wit;
}

std::optional<Ed25519Key> Work::FollowTo(const Kid& signer,
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

std::optional<Ed25519Key> Work::VoterKey(const Charter& charter,
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

Line Work::Climb(Held<Grant> from) const {
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
    if (!key && in_.store != nullptr) key = in_.store->KnownIssuer(g.signer());
    line.known = key.has_value();
    line.signer_keys.push_back(key.value_or(Ed25519Key{}));
    return line;
  }
}

std::vector<Link> Work::Links(const Line& line) const {
  std::vector<Link> links;
  for (const Held<Grant>& g : line.grants) {
    links.push_back(
        {g.signer(), KidOf(g.body.suite, g.body.key), g.body.seq, g.body.generation, g.oid()});
  }
  return links;
}

MaybeObjection Work::CheckCertificate(const Held<Grant>& g) const {
  const ClassRule* row = taxonomy_.Find(g.body.cls);
  if (row == nullptr || !row->certificate) return std::nullopt;
  const Charter& c = scope_.charter();
  const uint64_t weight = scope_.restrictions->VotersBehind(g.signer(), g.oid(), c.voters, Kid{});
  if (c.q_reg > 0 && weight >= c.q_reg) return std::nullopt;
  return Objection{Reason::kClassOrCap,
                   Join("certificate: ",
                        ClassName(g.body.cls),
                        " needs the voters' quorum, ",
                        c.q_reg,
                        "; votes for ",
                        weight,
                        " are held")};
}

Verdict Work::CheckLine(const Line& line, bool leaf_may_lapse) const {
  const std::vector<Link> links = Links(line);
  if (MaybeObjection o = scope_.restrictions->Judge(links, scope_.charter(), *scope_.expansions))
    return Refuse(*o);
  for (size_t i = line.grants.size(); i-- > 0;) {
    const Grant& g = line.grants[i].body;
    if (NotYet(g.not_before, now_))
      return {Rung::kDefer, Reason::kClock, Join("grant ", i, " begins more than 120 s from now")};
    if (Lapsed(g.not_before, g.ttl, now_) && (i > 0 || !leaf_may_lapse)) {
      return {Rung::kRefuse, Reason::kExpired, Join("grant ", i, " above the leaf has expired")};
    }
    if (g.charter_version > scope_.charter().version) {
      return {Rung::kDefer,
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
      o->detail = Join("grant ", i, " (0 is the leaf): ", o->detail);
      return Refuse(*o);
    }
    if (MaybeObjection o = CheckCertificate(g)) return Refuse(*o);
  }
  return {};
}

Verdict Work::CheckLeaf(const Grant& leaf) const {
  // spec/objects.md §2 presentation: a long-lived authority grant is never a session's credential.
  if ((leaf.caps & kCapJoin) == 0) return Refuse({Reason::kClassOrCap, "leaf: lacks join"});
  if ((leaf.caps & kCapsIssue) != 0)
    return Refuse({Reason::kClassOrCap, "leaf: holds an issue capability"});
  return {};
}

Verdict Work::CheckPresenter(const Line& line) {
  const Held<Presentation>& p = *in_.presentation;
  const Grant& leaf = line.grants[0].body;
  if (leaf.suite != Suite::kEd25519)
    return Refuse({Reason::kClassOrCap, "presentation: a PLAIN grant's device presents nothing"});
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
    return {Rung::kDefer,
            Reason::kCharterUnknown,
            Join("the presentation speaks of charter version ", p.body.charter_version)};
  }
  return {};
}

// ---- fragments

Verdict Work::FindAuthority(Level& level) const {
  const Held<Fragment>& f = *level.fragment;
  if (const Held<Charter>* charter = CharterOf(f.body.authority)) {
    const auto key = VoterKey(charter->body, f.signer(), level.rotates);
    if (!key)
      return Refuse(
          {Reason::kAttenuation, "fragment: cites the charter, but its signer is no voter"});
    level.key = *key;
    return {};
  }
  std::optional<Held<Grant>> grant = Open<Grant>(Find(f.body.authority));
  if (!grant) {
    report_.missing.push_back(RefOf(f.body.authority));
    return {Rung::kDefer, Reason::kObjectsMissing, "the grant behind a fragment is not at hand"};
  }
  level.authority = Climb(*grant);
  if (level.authority.missing) {
    report_.missing.push_back(RefOf(*level.authority.missing));
    return {Rung::kDefer, Reason::kObjectsMissing, "the chain behind a fragment is not at hand"};
  }
  if (!level.authority.complete())
    return Refuse(
        {Reason::kAttenuation, "fragment: no chain leads from its authority to the charter"});
  const Grant& g = grant->body;
  const auto key =
      FollowTo(f.signer(), KidOf(g.suite, g.key), g.key, g.next_key, true, level.rotates);
  if (!key)
    return Refuse({Reason::kAttenuation,
                   "fragment: its signer is not the subject of the grant that it cites"});
  if ((g.caps & kCapIssueAcl) == 0)
    return Refuse({Reason::kClassOrCap, "fragment: its signer's grant lacks issue_acl"});
  level.key = *key;
  return {};
}

Verdict Work::FindLevels(SignedPtr cited, std::vector<Level>& levels) const {
  while (cited != nullptr) {
    if (levels.size() == kFragmentDepthMax)
      return Refuse({Reason::kAttenuation, "fragment: narrowed more than four deep"});
    std::optional<Held<Fragment>> f = Open<Fragment>(cited);
    if (!f) return Refuse({Reason::kMalformed, "fragment: does not parse"});
    Level& level = levels.emplace_back();
    level.fragment = std::make_shared<const Held<Fragment>>(*std::move(f));
    const Fragment& body = level.fragment->body;
    if (body.scope != scope_.scope)
      return Refuse({Reason::kAttenuation, "fragment: another scope"});
    if (Verdict v = FindAuthority(level); v.rung != Rung::kAdmit) return v;
    if (!body.parent) return {};
    cited = Find(*body.parent);
    if (cited == nullptr) report_.missing.push_back(RefOf(*body.parent));
  }
  return {
      Rung::kDefer, Reason::kObjectsMissing, "the fragment that another narrows is not at hand"};
}

Verdict Work::CheckLevel(const Level& level, const Level* parent, const Line& main) const {
  const Held<Fragment>& f = *level.fragment;
  if (f.body.charter_version > scope_.charter().version) {
    return {Rung::kDefer, Reason::kCharterUnknown, "a fragment speaks of a newer charter"};
  }
  if (f.body.charter_version < scope_.charter_floor)
    return Refuse({Reason::kAttenuation, "fragment: charter version below the scope's floor"});
  if (parent != nullptr) {
    MaybeObjection o = CheckFragmentEdge(f.body, f.signer(), parent->fragment->body);
    return o ? Refuse(*o) : Verdict{};
  }
  if (level.authority.grants.empty()) return {};  // a voter's dst is free
  const auto granted = [&](const Kid& subject) {
    const auto& gs = main.grants;
    const bool here = std::ranges::any_of(gs, [&](const Held<Grant>& g) {
      return g.signer() == f.signer() && KidOf(g.body.suite, g.body.key) == subject;
    });
    return here || (in_.store != nullptr && in_.store->Granted(f.signer(), subject));
  };
  MaybeObjection o = CheckRootFragment(f.body, level.authority.grants[0].body, granted);
  return o ? Refuse(*o) : Verdict{};
}

// Time and restrictions take a fragment out of force without staining who cites it: the presenter
// may not have heard yet. Empty: in force.
std::string Work::WhyOutOfForce(const Level& level) const {
  const Held<Fragment>& f = *level.fragment;
  if (NotYet(f.body.not_before, now_)) return "not yet valid";
  if (Lapsed(f.body.not_before, f.body.ttl, now_)) return "expired";
  for (const Held<Grant>& g : level.authority.grants) {
    if (Lapsed(g.body.not_before, g.body.ttl, now_)) return "its signer's grant has expired";
  }
  std::vector<Link> links = {{f.signer(), {}, f.body.seq, UINT32_MAX, f.oid()}};
  const std::vector<Link> above = Links(level.authority);
  links.insert(links.end(), above.begin(), above.end());
  MaybeObjection o = scope_.restrictions->Judge(links, scope_.charter(), *scope_.expansions);
  return o ? o->detail : std::string();
}

Verdict Work::CheckFragment(SignedPtr cited, const Line& main) {
  std::vector<Level> levels;
  if (Verdict v = FindLevels(cited, levels); v.rung != Rung::kAdmit) return v;
  for (const Level& level : levels) {
    if (std::string why = WhyOutOfForce(level); !why.empty()) {
      report_.rules.left_out.push_back(Join("fragment ", ToHex(cited->oid()), ": ", why));
      return {};
    }
  }
  for (size_t i = levels.size(); i-- > 0;) {
    const Level* parent = i + 1 < levels.size() ? &levels[i + 1] : nullptr;
    if (Verdict v = CheckLevel(levels[i], parent, main); v.rung != Rung::kAdmit) return v;
    if (levels[i].authority.grants.empty()) continue;
    if (Verdict v = CheckLine(levels[i].authority, false); v.rung != Rung::kAdmit) return v;
  }
  PutInForce(levels);
  return {};
}

void Work::PutInForce(const std::vector<Level>& levels) {
  for (size_t i = levels.size(); i-- > 0;) {
    const Level& level = levels[i];
    const Held<Fragment>& f = *level.fragment;
    if (!level.authority.grants.empty()) AddTasks(level.authority);
    for (const Held<Rotate>& r : level.rotates)
      AddTask(r.envelope, r.body.key, std::nullopt, "rotation");
    AddTask(f.envelope, level.key, f.body.seq, "fragment");
    report_.rules.fragments.push_back(level.fragment);
    fragments_end_ = std::min(fragments_end_, f.body.not_before + f.body.ttl);
  }
  for (const Rule& cited : levels[0].fragment->body.rules) {
    std::vector<const Rule*> column = {&cited};
    for (size_t i = 1; i < levels.size(); ++i)
      column.push_back(&levels[i].fragment->body.rules[column.back()->via - 1u]);
    report_.rules.rules.push_back(std::move(column));
  }
  fragments_.push_back(*levels[0].fragment);
}

// ---- signatures

void Work::AddTask(SignedPtr object,
                   const Ed25519Key& key,
                   std::optional<uint64_t> seq,
                   std::string what) {
  if (tasked_.insert(object->oid()).second)
    tasks_.push_back({std::move(object), key, seq, std::move(what)});
}

void Work::AddTasks(const Line& line) {
  for (size_t i = line.grants.size(); i-- > 0;) {
    for (const Held<Rotate>& r : line.rotates[i]) {
      AddTask(r.envelope, r.body.key, std::nullopt, "rotation");
      report_.rotates.push_back(r);
    }
    const Held<Grant>& g = line.grants[i];
    AddTask(g.envelope, line.signer_keys[i], g.body.seq, Join(ClassName(g.body.cls), " grant"));
  }
}

Verdict Work::VerifyTasks(size_t budget) {
  for (const Task& t : tasks_) {
    if (in_.cache == nullptr || !in_.cache->Holds(*t.object, t.key)) {
      // What was found right stays in the cache, so that a retry gets further.
      if (report_.signature_checks >= budget)
        return {Rung::kDefer, Reason::kOverBudget, "more signatures than one datagram may cost"};
      ++report_.signature_checks;
      if (!VerifySignature(*t.object, t.key))
        return Refuse({Reason::kSignature, Join(t.what, ": the signature is wrong")});
      if (in_.cache != nullptr && t.object->ctx() != Ctx::kPresentation)
        in_.cache->Put(*t.object, t.key);
    }
    report_.made.push_back(Join("signature of the ", t.what, " by ", ToHex(t.object->kid())));
    if (t.object->ctx() == Ctx::kPresentation) report_.presenter_verified = true;
    if (t.seq) report_.statements.emplace_back(t.object, *t.seq);
  }
  for (const auto& [object, seq] : report_.statements) {
    if (!scope_.expansions->Conflicts(object->kid(), seq, object->oid())) continue;
    return Refuse({Reason::kEquivocation,
                   Join(ToHex(object->kid()), " signed another statement numbered ", seq)});
  }
  return {};
}

// ---- the whole

// The worse of two; the first of equals.
void Fold(Verdict& into, Verdict v) {
  if (v.rung < into.rung) into = std::move(v);
}

uint64_t EndOf(const Line& line, bool lapsed) {
  uint64_t end = UINT64_MAX;
  for (size_t i = lapsed ? 1 : 0; i < line.grants.size(); ++i) {
    end = std::min(end, line.grants[i].body.not_before + line.grants[i].body.ttl);
  }
  return end;
}

// What the presentation cites beside its leaf, or what came along with a bare chain.
Verdict CheckCited(const AuthInput& in, Work& work, const Line& line, AuthReport& report) {
  std::vector<SignedPtr> cited;
  if (in.presentation == nullptr) {
    cited.assign(in.items.begin() + 1, in.items.end());
  } else {
    const std::vector<Ref16>& refs = in.presentation->body.refs;
    for (size_t i = 1; i < refs.size(); ++i) {
      cited.push_back(work.FindRef(refs[i]));
      if (cited.back() == nullptr) report.missing.push_back(refs[i]);
    }
  }
  size_t fragments = 0;
  Verdict verdict;
  for (const SignedPtr& s : cited) {
    if (s == nullptr || s->ctx() != Ctx::kFragment) continue;
    if (++fragments > kFragmentsMax)
      return Refuse({Reason::kOverBudget, "more than eight fragments"});
    Fold(verdict, work.CheckFragment(s, line));
    if (verdict.rung == Rung::kRefuse) return verdict;
  }
  if (verdict.rung == Rung::kAdmit && !report.missing.empty()) {
    return {Rung::kDefer,
            Reason::kObjectsMissing,
            Join(report.missing.size(), " cited objects are not at hand")};
  }
  return verdict;
}

const ScopeHeld* FindScope(const AuthInput& in, const ScopeId& scope) {
  for (const ScopeHeld& s : in.scopes) {
    if (s.scope == scope && !s.charters.empty()) return &s;
  }
  return nullptr;
}

std::optional<Held<Grant>> FindLeaf(const AuthInput& in) {
  if (in.presentation == nullptr) return in.items.empty() ? std::nullopt : Open<Grant>(in.items[0]);
  for (const SignedPtr& s : in.items) {  // by value, never from the store
    if (!in.presentation->body.refs.empty() && s->ref() == in.presentation->body.refs[0])
      return Open<Grant>(s);
  }
  return std::nullopt;
}

// Step 12: everything that costs no signature. The tasks are laid out in the order of step 13.
Verdict CheapChecks(
    const AuthInput& in, Work& work, const Line& line, bool any_leaf, AuthReport& report) {
  Verdict verdict = work.CheckLine(line, true);
  if (verdict.rung > Rung::kDefer && !any_leaf) Fold(verdict, work.CheckLeaf(line.grants[0].body));
  work.AddTasks(line);
  if (verdict.rung > Rung::kDefer) Fold(verdict, CheckCited(in, work, line, report));
  if (in.presentation != nullptr && verdict.reason != Reason::kSignature)
    Fold(verdict, work.CheckPresenter(line));
  if (line.missing) {
    report.missing.insert(report.missing.begin(), RefOf(*line.missing));
    const Reason reason = line.charter_missing ? Reason::kCharterUnknown : Reason::kObjectsMissing;
    Fold(verdict, {Rung::kDefer, reason, "the chain's next grant is not at hand"});
  }
  const Grant& leaf = line.grants[0].body;
  if (verdict.rung == Rung::kAdmit && Lapsed(leaf.not_before, leaf.ttl, in.now.seconds())) {
    return {Rung::kEscalate, Reason::kLapsedRenew, "the leaf has lapsed; its issuer is in date"};
  }
  return verdict;
}

std::optional<Verified> Run(const AuthInput& in, bool any_leaf, AuthReport& report) {
  const std::optional<Held<Grant>> leaf = FindLeaf(in);
  const ScopeHeld* scope = leaf ? FindScope(in, leaf->body.scope) : nullptr;
  if (scope == nullptr) {
    report.why = leaf ? "no charter of this scope is held here" : "no leaf grant came along";
    return std::nullopt;
  }
  Work work(in, *scope, report);
  Line line = work.Climb(*leaf);
  if (!line.known || !line.broken.empty()) {
    report.why = line.broken.empty() ? "no charter held here knows this issuer" : line.broken;
    return std::nullopt;
  }
  report.made.push_back(Join("chain of ", line.grants.size(), " to a known issuer"));
  Verdict verdict = CheapChecks(in, work, line, any_leaf, report);
  const bool bad = verdict.rung == Rung::kRefuse || verdict.reason == Reason::kClock;
  if (!bad) report.made.push_back("restrictions, time, class and attenuation of every link");
  const size_t budget = bad ? std::min(in.signatures_if_bad, in.signatures_max) : in.signatures_max;
  if (budget > 0) {
    Verdict proof = work.VerifyTasks(budget);
    // A wrong signature outweighs any other word of the same rung: the rest was never said.
    if (proof.reason == Reason::kSignature) verdict = proof;
    report.signatures_held = proof.rung == Rung::kAdmit;
    if (!report.signatures_held) report.rotates.clear();
    Fold(verdict, std::move(proof));
  } else {
    report.rotates.clear();  // nothing was verified
  }
  report.why = verdict.why;
  Chain chain;
  chain.subject = KidOf(leaf->body.suite, leaf->body.key);
  if (line.complete()) chain.voter = line.grants.back().signer();
  chain.expires =
      std::min(EndOf(line, verdict.reason == Reason::kLapsedRenew), work.fragments_end());
  chain.grants = std::move(line.grants);
  chain.fragments = work.TakeFragments();
  if (verdict.rung < Rung::kEscalate) report.rules = {};
  return Authenticating::Mint(std::move(chain), verdict.rung, verdict.reason);
}

}  // namespace

std::optional<Verified> Authenticate(const AuthInput& input, AuthReport& report) {
  return Run(input, input.any_leaf, report);
}

// ---- charters

ScopeId ScopeIdOf(const Held<Charter>& charter) {
  return charter.body.scope ? *charter.body.scope : ScopeOf(charter.envelope->body());
}

namespace {

constexpr uint64_t Quorum(uint64_t weight) { return 2 * weight / 3 + 1; }

absl::Status CheckThresholds(const Charter& c) {
  uint64_t weight = 0;
  for (const Voter& v : c.voters) weight += v.weight;
  for (const uint32_t q : {c.q_reg, c.q_sens}) {
    if (q < Quorum(weight) || q > weight)
      return InvalidArgument(
          "charter: a quorum of ", q, " is not in ", Quorum(weight), "..", weight);
  }
  return absl::OkStatus();
}

// Who, of these voters, is behind the charter: signer and voters whose right cosign names it.
class Ballot {
 public:
  Ballot(const Held<Charter>& charter, std::span<const Held<Cosign>> votes, const Restrictions* r)
      : r_(r) {
    Try(*charter.envelope);
    const Kid id = *Kid::From(ScopeIdOf(charter).view());
    for (const Held<Cosign>& v : votes) {
      const bool names = v.body.slot == 3 && v.body.id == id &&
                         v.body.number == charter.body.version && v.body.target == charter.oid();
      if (names && signed_.size() < 256) Try(*v.envelope);
    }
  }
  // A voter counts by its newest key alone, and only if that key's signature is right.
  bool Has(const Voter& v) const {
    Kid kid = KidOf(v.suite, v.key);
    Ed25519Key key = v.key;
    if (r_ != nullptr && r_->Newest(kid) != kid) {
      Kid at = kid;
      for (const Held<Rotate>* step = r_->RotationOf(at); step != nullptr && at != r_->Newest(kid);
           step = r_->RotationOf(at)) {
        at = step->signer(), key = step->body.key;
      }
      kid = at;
    }
    return std::ranges::any_of(
        signed_, [&](const Signed* s) { return s->kid() == kid && VerifySignature(*s, key); });
  }
  Kid Identity(const Voter& v) const {
    const Kid kid = KidOf(v.suite, v.key);
    return r_ == nullptr ? kid : r_->First(kid);
  }

 private:
  void Try(const Signed& s) { signed_.push_back(&s); }
  const Restrictions* r_;
  std::vector<const Signed*> signed_;
};

// `counts` says which voters may; a quorum that moves a voter does not count it.
uint64_t WeightOf(const Ballot& ballot,
                  const std::vector<Voter>& voters,
                  const std::set<Kid>& not_counted) {
  uint64_t weight = 0;
  std::set<Kid> counted;
  for (const Voter& v : voters) {
    const Kid id = ballot.Identity(v);
    if (!not_counted.contains(id) && counted.insert(id).second && ballot.Has(v)) weight += v.weight;
  }
  return weight;
}

absl::Status CheckSuccession(const Held<Charter>& charter,
                             const Held<Charter>& prev,
                             const Ballot& ballot) {
  const Charter &now = charter.body, &was = prev.body;
  if (now.version != was.version + 1)
    return FailedPrecondition("charter: version ", now.version, " does not follow ", was.version);
  if (!now.scope || *now.scope != ScopeIdOf(prev))
    return InvalidArgument("charter: another scope than the one before it");
  if (!now.prev || *now.prev != prev.oid())
    return InvalidArgument("charter: prev is not the oid of the one before it");
  // Moved: gone, or another key commitment without a rotation of its own (A.6).
  std::map<Kid, const Voter*> after;
  for (const Voter& v : now.voters) after[ballot.Identity(v)] = &v;
  std::set<Kid> moved;
  for (const Voter& v : was.voters) {
    const auto it = after.find(ballot.Identity(v));
    if (it == after.end() || (it->second->key == v.key && it->second->next_key != v.next_key))
      moved.insert(ballot.Identity(v));
  }
  const bool sensitive = now.voters != was.voters || now.witnesses != was.witnesses ||
                         now.q_reg != was.q_reg || now.q_sens != was.q_sens ||
                         now.q_wit != was.q_wit || now.flags != was.flags;
  const uint32_t need = sensitive ? was.q_sens : was.q_reg;
  const uint64_t old_weight = WeightOf(ballot, was.voters, moved);
  if (old_weight < need)
    return PermissionDenied("charter: the voters before it give ", old_weight, " of ", need);
  return absl::OkStatus();
}

}  // namespace

absl::Status VerifyCharter(const Held<Charter>& charter,
                           const Held<Charter>* prev,
                           std::span<const Held<Cosign>> votes,
                           const Restrictions* restrictions) {
  const Charter& c = charter.body;
  AQ_RETURN_IF_ERROR(CheckThresholds(c));
  const Ballot ballot(charter, votes, restrictions);
  const bool by_voter = std::ranges::any_of(
      c.voters, [&](const Voter& v) { return KidOf(v.suite, v.key) == charter.signer(); });
  const bool by_old =
      prev != nullptr && std::ranges::any_of(prev->body.voters, [&](const Voter& v) {
        return KidOf(v.suite, v.key) == charter.signer();
      });
  if (!by_voter && !by_old) return PermissionDenied("charter: its signer is no voter of it");
  if (prev == nullptr && (c.version != 1 || c.scope || c.prev)) {
    return FailedPrecondition(
        "charter: version ", c.version, " needs the one before it; fetch that first");
  }
  if (prev != nullptr) AQ_RETURN_IF_ERROR(CheckSuccession(charter, *prev, ballot));
  std::set<Kid> before;
  if (prev != nullptr) {
    for (const Voter& v : prev->body.voters) before.insert(ballot.Identity(v));
  }
  for (const Voter& v : c.voters) {
    if (!before.contains(ballot.Identity(v)) && !ballot.Has(v)) {
      return Unauthenticated("charter: the new voter ",
                             ToHex(KidOf(v.suite, v.key)),
                             " did not sign it, or its signature is wrong");
    }
  }
  const uint64_t weight = WeightOf(ballot, c.voters, {});
  if (weight < c.q_reg)
    return Unauthenticated(
        "charter: right signatures of its voters give ", weight, " of ", c.q_reg);
  return absl::OkStatus();
}

// ---- one object alone

namespace {

std::optional<Ed25519Key> KeyAtHand(const Kid& kid,
                                    const Charter& charter,
                                    std::span<const SignedPtr> objects) {
  for (const Voter& v : charter.voters) {
    if (KidOf(v.suite, v.key) == kid) return v.key;
  }
  for (const SignedPtr& s : objects) {
    const std::optional<Held<Grant>> g = Open<Grant>(s);
    if (g && KidOf(g->body.suite, g->body.key) == kid) return g->body.key;
  }
  return std::nullopt;
}

absl::Status AsStatus(const Verdict& v) {
  return v.rung == Rung::kAdmit ? absl::OkStatus()
                                : FailedPrecondition(ReasonName(v.reason), ": ", v.why);
}

}  // namespace

StandaloneReport VerifyStandalone(ByteView object,
                                  const Held<Charter>& charter,
                                  std::span<const SignedPtr> objects,
                                  WallTime now) {
  StandaloneReport out;
  out.not_made = {"revocations: only a member that reconciles them knows"};
  absl::StatusOr<Signed> parsed = Signed::Parse(object);
  if (!parsed.ok()) {
    out.status = parsed.status();
    return out;
  }
  const auto subject = std::make_shared<const Signed>(*std::move(parsed));
  out.made.push_back(Join("envelope: strict encoding, a ", CtxName(subject->ctx())));
  const ScopeId id = ScopeIdOf(charter);
  const Restrictions restrictions(id);
  const Expansions expansions;
  const ScopeHeld scope{{&charter, 1}, id, &restrictions, &expansions, 1};
  std::vector<SignedPtr> items = {subject};
  items.insert(items.end(), objects.begin(), objects.end());
  AuthInput in{.scopes = {&scope, 1},
               .presentation = nullptr,
               .items = items,
               .store = nullptr,
               .cache = nullptr,
               .now = now};
  AuthReport report;
  if (subject->ctx() == Ctx::kGrant) {
    // The other objects are at hand, not cited: their fragments are not judged here.
    std::erase_if(items, [](const SignedPtr& s) { return s->ctx() == Ctx::kFragment; });
    in.items = items;
    const std::optional<Verified> v = Run(in, true, report);
    out.status = v ? AsStatus({v->rung(), v->reason(), report.why})
                   : NotFound(report.why, "; pass the grants above it too");
  } else if (subject->ctx() == Ctx::kFragment) {
    Work work(in, scope, report);
    Verdict v = work.CheckFragment(subject, {});
    if (v.rung == Rung::kAdmit && !report.rules.left_out.empty())
      v = Refuse({Reason::kExpired, report.rules.left_out[0]});
    if (v.rung == Rung::kAdmit) v = work.VerifyTasks(2 * kSignaturesMax);
    out.status = AsStatus(v);
  } else {
    const auto key = KeyAtHand(subject->kid(), charter.body, objects);
    out.status = !key                              ? NotFound("the key of ",
                                 ToHex(subject->kid()),
                                 " is not at hand; pass the grant that names it")
                 : VerifySignature(*subject, *key) ? absl::OkStatus()
                                                   : Unauthenticated("the signature is wrong");
    if (out.status.ok()) out.made.push_back(Join("signature by ", ToHex(subject->kid())));
    out.not_made.push_back(
        "what this statement is allowed to say: that depends on the chain that it is used in");
  }
  out.made.insert(out.made.end(), report.made.begin(), report.made.end());
  return out;
}

std::optional<Verified> AuthenticateRequest(const RequestInput& input, AuthReport& report) {
  const Request& r = input.request.body;
  const Invite& invite = input.invite.body;
  if (!input.inviter || r.scope != input.scope || invite.scope != input.scope) return std::nullopt;
  Chain chain;
  chain.subject = KidOf(r.suite, r.key);
  const uint64_t now = input.now.seconds();
  const auto result = [&](Rung rung, Reason reason, std::string why) {
    report.why = std::move(why);
    return Authenticating::Mint(std::move(chain), rung, reason);
  };
  if (r.invite != input.invite.oid() || !r.proof)
    return result(Rung::kRefuse, Reason::kMalformed, "the request redeems another invitation");
  if (NotYet(invite.not_before, now))
    return result(Rung::kDefer, Reason::kNotYetValid, "the invitation is not valid yet");
  if (Lapsed(invite.not_before, invite.ttl, now))
    return result(Rung::kRefuse, Reason::kExpired, "the invitation has lapsed");
  report.signature_checks = 1;
  if (!VerifySignature(*input.invite.envelope, *input.inviter))
    return result(Rung::kRefuse, Reason::kSignature, "the invitation's signature is wrong");
  ++report.signature_checks;
  if (!VerifySignature(*input.request.envelope, r.key))
    return result(Rung::kRefuse, Reason::kSignature, "the request's signature is wrong");
  // spec: objects#2 request: proof = the one-time key's signature of PAE("aqmesh/1/redeem", h ||
  // invite || kid).
  Bytes body;
  if (r.h)
    Append(body, *r.h);
  else
    body.resize(32);
  Append(body, input.invite.oid());
  Append(body, chain.subject);
  const Bytes pae = Pae("aqmesh/1/redeem", invite.suite, KidOf(invite.suite, invite.key), body);
  ++report.signature_checks;
  if (!crypto::Ed25519Verify(invite.key, pae, *r.proof))
    return result(Rung::kRefuse, Reason::kSignature, "the proof of redemption is wrong");
  report.presenter_verified = true;
  chain.expires = invite.not_before + invite.ttl;
  return result(Rung::kEscalate, Reason::kJoinWaits, "");
}

}  // namespace aqmesh::authority
