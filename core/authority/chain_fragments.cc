#include <algorithm>

#include "core/authority/chain_walk.h"
#include "core/base/status.h"

namespace aqmesh::authority::internal {

Verdict Walk::FindAuthority(Level& level) const {
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
    if (f.body.charter_version > scope_.charter().version)
      return {Rung::kEscalate, Reason::kCharterUnknown, "a fragment speaks of a newer charter"};
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

Verdict Walk::FindLevels(SignedPtr cited, std::vector<Level>& levels) const {
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

Verdict Walk::CheckLevel(const Level& level, const Level* parent, const Line& main) const {
  const Held<Fragment>& f = *level.fragment;
  if (f.body.charter_version > scope_.charter().version) {
    return {Rung::kEscalate, Reason::kCharterUnknown, "a fragment speaks of a newer charter"};
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
    if (here) return true;
    const bool before = in_.store != nullptr && in_.store->Granted(f.signer(), subject);
    if (before) report_.granted_before.emplace_back(f.signer(), subject);
    return before;
  };
  MaybeObjection o = CheckRootFragment(f.body, level.authority.grants[0].body, granted);
  return o ? Refuse(*o) : Verdict{};
}

// Time and restrictions take a fragment out of force without staining who cites it: the presenter
// may not have heard yet. Empty: in force.
std::string Walk::WhyOutOfForce(const Level& level) const {
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

Verdict Walk::CheckFragment(const SignedPtr& cited, const Line& main) {
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
    if (Verdict v = CheckLine(levels[i].authority, false, nullptr); v.rung != Rung::kAdmit)
      return v;
  }
  PutInForce(levels);
  return {};
}

void Walk::PutInForce(const std::vector<Level>& levels) {
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

}  // namespace aqmesh::authority::internal
