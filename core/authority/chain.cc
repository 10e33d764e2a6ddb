#include "core/authority/chain.h"

#include <algorithm>

#include "core/authority/chain_walk.h"
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

bool Lists(const Charter& charter, Suite suite) {
  return std::ranges::find(charter.suites, static_cast<uint16_t>(suite)) != charter.suites.end();
}
std::string NotListed(Suite suite, std::string_view what) {
  return Join("suite: ",
              static_cast<uint16_t>(suite),
              " signed the ",
              what,
              " and is not in the charter's list");
}

}  // namespace

namespace internal {

// ---- signatures

void Walk::AddTask(SignedPtr object,
                   const Ed25519Key& key,
                   std::optional<uint64_t> seq,
                   std::string what) {
  if (tasked_.insert(object->oid()).second)
    tasks_.push_back({std::move(object), key, seq, std::move(what)});
}

void Walk::AddTasks(const Line& line) {
  for (size_t i = line.grants.size(); i-- > 0;) {
    for (const Held<Rotate>& r : line.rotates[i]) {
      AddTask(r.envelope, r.body.key, std::nullopt, "rotation");
      report_.rotates.push_back(r);
    }
    const Held<Grant>& g = line.grants[i];
    AddTask(g.envelope, line.signer_keys[i], g.body.seq, Join(ClassName(g.body.cls), " grant"));
  }
}

Verdict Walk::CheckSuites() const {
  for (const Task& t : tasks_) {
    const Suite suite = t.object->suite();
    if (!Lists(scope_.charter(), suite))
      return Refuse({Reason::kAttenuation, NotListed(suite, t.what)});
  }
  return {};
}

Verdict Walk::VerifyTasks(size_t budget) {
  if (Verdict v = CheckSuites(); v.rung == Rung::kRefuse) return v;
  for (const Task& t : tasks_) {
    if (in_.cache == nullptr || !in_.cache->Holds(*t.object, t.key)) {
      // What was found right stays in the cache, so that a retry gets further.
      if (report_.signature_checks >= budget)
        return {Rung::kDefer, Reason::kOverBudget, "more signatures than one datagram may cost"};
      ++report_.signature_checks;
      const bool right = in_.cache != nullptr ? in_.cache->Verify(*t.object, t.key)
                                              : VerifySignature(*t.object, t.key);
      if (!right) return Refuse({Reason::kSignature, Join(t.what, ": the signature is wrong")});
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

}  // namespace internal

namespace {

using internal::Line;
using internal::Open;
using internal::Refuse;
using internal::Verdict;
using internal::Walk;

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
Verdict CheckCited(const AuthInput& in, Walk& walk, const Line& line, AuthReport& report) {
  std::vector<SignedPtr> cited;
  if (in.presentation == nullptr) {
    cited.assign(in.items.begin() + 1, in.items.end());
  } else {
    const std::vector<Ref16>& refs = in.presentation->body.refs;
    for (size_t i = 1; i < refs.size(); ++i) {
      cited.push_back(walk.FindRef(refs[i]));
      if (cited.back() == nullptr) report.missing.push_back(refs[i]);
    }
  }
  size_t fragments = 0;
  Verdict verdict;
  for (const SignedPtr& s : cited) {
    if (s == nullptr || s->ctx() != Ctx::kFragment) continue;
    if (++fragments > kFragmentsMax)
      return Refuse({Reason::kOverBudget, "more than eight fragments"});
    Fold(verdict, walk.CheckFragment(s, line));
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
    const AuthInput& in, Walk& walk, const Line& line, bool any_leaf, AuthReport& report) {
  Verdict verdict = walk.CheckLine(line, true, &report.overreach);
  if (verdict.rung > Rung::kDefer && !any_leaf) Fold(verdict, walk.CheckLeaf(line.grants[0].body));
  walk.AddTasks(line);
  if (verdict.rung > Rung::kDefer) Fold(verdict, CheckCited(in, walk, line, report));
  if (in.presentation != nullptr && verdict.reason != Reason::kSignature)
    Fold(verdict, walk.CheckPresenter(line));
  if (verdict.rung > Rung::kRefuse) Fold(verdict, walk.CheckSuites());
  if (line.missing) {
    report.missing.insert(report.missing.begin(), RefOf(*line.missing));
    const Reason reason = line.charter_missing ? Reason::kCharterUnknown : Reason::kObjectsMissing;
    const bool newer = line.charter_missing && verdict.reason == Reason::kCharterUnknown;
    Fold(verdict,
         {newer ? Rung::kEscalate : Rung::kDefer, reason, "the chain's next grant is not at hand"});
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
  Walk walk(in, *scope, report);
  Line line = walk.Climb(*leaf);
  if (!line.known || !line.broken.empty()) {
    report.why = line.broken.empty() ? "no charter held here knows this issuer" : line.broken;
    return std::nullopt;
  }
  report.made.push_back(Join("chain of ", line.grants.size(), " to a known issuer"));
  Verdict verdict = CheapChecks(in, walk, line, any_leaf, report);
  const bool bad = verdict.rung == Rung::kRefuse || verdict.reason == Reason::kClock;
  if (!bad) report.made.push_back("restrictions, time, class and attenuation of every link");
  const size_t budget = bad ? std::min(in.signatures_if_bad, in.signatures_max) : in.signatures_max;
  if (budget > 0) {
    Verdict proof = walk.VerifyTasks(budget);
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
  if (line.complete() || line.charter_missing) chain.voter = line.grants.back().signer();
  chain.expires =
      std::min(EndOf(line, verdict.reason == Reason::kLapsedRenew), walk.fragments_end());
  chain.grants = std::move(line.grants);
  chain.fragments = walk.TakeFragments();
  if (verdict.rung < Rung::kEscalate) report.rules = {};
  return Authenticating::Mint(std::move(chain), verdict.rung, verdict.reason);
}

}  // namespace

std::optional<Verified> Authenticate(const AuthInput& input, AuthReport& report) {
  return Run(input, input.any_leaf, report);
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
  for (const Suite s : {input.invite.envelope->suite(), invite.suite, r.suite}) {
    if (!Lists(input.charter, s))
      return result(Rung::kRefuse, Reason::kAttenuation, NotListed(s, "request or its invitation"));
  }
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
  if (!VerifyBy(invite.suite, invite.key, pae, *r.proof))
    return result(Rung::kRefuse, Reason::kSignature, "the proof of redemption is wrong");
  report.presenter_verified = true;
  chain.expires = invite.not_before + invite.ttl;
  return result(Rung::kEscalate, Reason::kJoinWaits, "");
}

}  // namespace aqmesh::authority
