#include "core/authority/standalone.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "core/authority/chain_walk.h"
#include "core/authority/charter.h"
#include "core/base/status.h"

namespace aqmesh::authority {
namespace {

using internal::Open;
using internal::Refuse;
using internal::Verdict;
using internal::Walk;

// The charter with those before it that are at hand, oldest first: each names the one before by its
// oid, so who believes the last believes them all.
std::vector<Held<Charter>> LineOf(const Held<Charter>& charter,
                                  std::span<const SignedPtr> objects) {
  std::vector<Held<Charter>> line = {charter};
  for (bool more = true; more;) {
    more = false;
    for (const SignedPtr& s : objects) {
      if (line.back().body.prev != s->oid()) continue;
      std::optional<Held<Charter>> before = Open<Charter>(s);
      if (!before) break;
      line.push_back(*std::move(before));
      more = true;
      break;
    }
  }
  std::ranges::reverse(line);
  return line;
}

std::optional<Ed25519Key> KeyAtHand(const Kid& kid,
                                    std::span<const Held<Charter>> charters,
                                    std::span<const SignedPtr> objects) {
  for (const Held<Charter>& charter : charters) {
    for (const Voter& v : charter.body.voters) {
      if (KidOf(v.suite, v.key) == kid) return v.key;
    }
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
  Restrictions restrictions(id);
  const Expansions expansions;
  const std::vector<Held<Charter>> charters = LineOf(charter, objects);
  for (const SignedPtr& s : objects) {  // the votes at hand count where a certificate is needed
    const auto vote = Open<Cosign>(s);
    const auto key = vote ? KeyAtHand(s->kid(), charters, {}) : std::nullopt;
    if (key) (void)restrictions.Add(*vote, *key);  // one that is wrong counts for nothing
  }
  const ScopeHeld scope{charters, id, &restrictions, &expansions, 1};
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
    in.any_leaf = true;
    in.signatures_if_bad = kSignaturesMax;  // what is refused may be a proof against its signer
    const std::optional<Verified> v = Authenticate(in, report);
    out.status = v ? AsStatus({v->rung(), v->reason(), report.why})
                   : NotFound(report.why, "; pass the grants above it too");
    if (report.signatures_held) out.overreach = report.overreach;
  } else if (subject->ctx() == Ctx::kFragment) {
    Walk walk(in, scope, report);
    Verdict v = walk.CheckFragment(subject, {});
    if (v.rung == Rung::kAdmit && !report.rules.left_out.empty())
      v = Refuse({Reason::kExpired, report.rules.left_out[0]});
    if (v.rung == Rung::kAdmit) v = walk.VerifyTasks(2 * kSignaturesMax);
    out.status = AsStatus(v);
  } else {
    const auto key = KeyAtHand(subject->kid(), charters, objects);
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

}  // namespace aqmesh::authority
