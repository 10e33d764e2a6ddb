#include "core/authority/attenuation.h"

#include <algorithm>

#include "core/authority/address.h"
#include "core/authority/suites.h"
#include "core/base/status.h"

namespace aqmesh::authority {

namespace {

constexpr uint16_t kRateClassShift = 8;
constexpr uint16_t kDutyBits = 0x003f;
constexpr uint8_t kAnyProto = 255;

MaybeObjection Wider(std::string detail) {
  return Objection{Reason::kAttenuation, std::move(detail)};
}
MaybeObjection Beyond(std::string detail) {
  return Objection{Reason::kAttenuation, std::move(detail), true};
}
MaybeObjection NotForClass(std::string detail) {
  return Objection{Reason::kClassOrCap, std::move(detail)};
}

// ---- the rows of the grant's table, in its order

// Under the charter itself it may be the charter that became narrower.
MaybeObjection WiderThan(const GrantEdge& e, std::string detail) {
  return e.parent == nullptr ? Wider(std::move(detail)) : Beyond(std::move(detail));
}

MaybeObjection CheckScope(const GrantEdge& e, const Ground& g) {
  if (e.child->scope != g.scope)
    return Wider("scope: the grant is for another scope than the charter's");
  if (e.parent != nullptr && e.child->scope != e.parent->scope)
    return Wider("scope: differs from the parent grant's");
  return std::nullopt;
}

MaybeObjection CheckIssuer(const GrantEdge& e, const Ground&) {
  if (e.child_signer != e.parent_subject)
    return Wider("issuer: the signer is not the parent's subject");
  if (e.child_subject == e.child_signer) return Wider("issuer: the grant is to its own signer");
  if (e.parent != nullptr && (e.parent->caps & kCapIssueGrant) == 0) {
    return NotForClass("issuer: the parent grant lacks issue_grant");
  }
  return std::nullopt;
}

MaybeObjection CheckSuite(const GrantEdge& e, const Ground& g) {
  const auto suite = static_cast<uint16_t>(e.child->suite);
  if (const SignatureSuite* s = FindSuite(e.child->suite); s != nullptr && s->signature_bytes == 0)
    return std::nullopt;  // cannot sign, so needs no entry
  if (std::ranges::find(g.charter->suites, suite) != g.charter->suites.end()) return std::nullopt;
  return Wider(Join("suite: ", suite, " is not in the charter's list"));
}

MaybeObjection CheckClass(const GrantEdge& e, const Ground& g) {
  const Class by = e.parent == nullptr ? Class::kRoot : e.parent->cls;
  if (g.taxonomy->MayIssue(by, e.child->cls)) return std::nullopt;
  return NotForClass(Join("class: ", ClassName(by), " may not issue ", ClassName(e.child->cls)));
}

MaybeObjection CheckDepth(const GrantEdge& e, const Ground& g) {
  const ClassRule* row = g.taxonomy->Find(e.child->cls);
  if (row == nullptr || e.child->depth_left > row->max_depth || e.child->depth_left > 4) {
    return Wider("depth_left: more than the class may have");
  }
  if (e.parent != nullptr && e.child->depth_left >= e.parent->depth_left) {
    return Beyond("depth_left: not below the parent's");
  }
  return std::nullopt;
}

MaybeObjection CheckWindow(const GrantEdge& e, const Ground& g) {
  const ClassRule* row = g.taxonomy->Find(e.child->cls);
  if (row == nullptr || e.child->ttl > row->max_ttl)
    return Wider("ttl: longer than the class may live");
  if (e.parent == nullptr) return std::nullopt;
  const uint64_t from = e.child->not_before, until = from + e.child->ttl;
  if (until < from) return Wider("window: overflows");
  if (from < e.parent->not_before) return Beyond("window: begins before the parent's");
  if (until > e.parent->not_before + e.parent->ttl)
    return Beyond("window: ends after the parent's");
  return std::nullopt;
}

MaybeObjection CheckCaps(const GrantEdge& e, const Ground& g) {
  const ClassRule* row = g.taxonomy->Find(e.child->cls);
  if (row == nullptr || (e.child->caps & ~row->caps) != 0)
    return NotForClass("caps: more than the class may hold");
  if (e.parent != nullptr && (e.child->caps & ~e.parent->caps) != 0)
    return Beyond("caps: more than the parent holds");
  return std::nullopt;
}

MaybeObjection CheckObligations(const GrantEdge& e, const Ground&) {
  if (e.parent == nullptr) return std::nullopt;
  const uint16_t owed = e.parent->obligations, has = e.child->obligations;
  if ((owed & kDutyBits & ~has) != 0) return Beyond("obligations: one of the parent's is missing");
  if ((owed >> kRateClassShift) > (has >> kRateClassShift))
    return Beyond("obligations: rate class looser than the parent's");
  return std::nullopt;
}

MaybeObjection CheckCharterVersion(const GrantEdge& e, const Ground& g) {
  if (e.child->charter_version < g.charter_floor)
    return Wider("charter_version: below the scope's floor");
  return std::nullopt;
}

MaybeObjection CheckPrefixes(const GrantEdge& e, const Ground& g) {
  const std::vector<Prefix>& wide = e.parent == nullptr ? g.charter->prefixes : e.parent->prefixes;
  for (const Prefix& p : e.child->prefixes) {
    const bool inside = std::ranges::any_of(wide, [&p](const Prefix& w) { return w.Contains(p); });
    if (inside || IsDerivedHost(p, g.scope, e.child_subject, g.charter->pool4)) continue;
    return WiderThan(e,
                     Join("prefixes: ",
                          p.ToString(),
                          " is neither inside one of the parent's nor the subject's own address"));
  }
  return std::nullopt;
}

MaybeObjection CheckTags(const GrantEdge& e, const Ground& g) {
  const std::vector<std::string>& wide = e.parent == nullptr ? g.charter->tags : e.parent->tags;
  for (const std::string& tag : e.child->tags) {
    if (tag == "member" || TagsCover(wide, tag)) continue;
    return WiderThan(e, Join("tags: ", tag, " is not among the parent's"));
  }
  return std::nullopt;
}

MaybeObjection CheckRouting(const GrantEdge& e, const Ground&) {
  if (e.parent == nullptr) return std::nullopt;  // a voter holds every route of its scope
  static const Routing kNoRouting;
  const Routing& wide = e.parent->routing ? *e.parent->routing : kNoRouting;
  const Routing& narrow = e.child->routing ? *e.child->routing : kNoRouting;
  for (const ScopeId& scope : narrow.carry) {
    if (std::ranges::find(wide.carry, scope) == wide.carry.end())
      return Beyond("routing: carry names a scope that the parent does not");
  }
  if (narrow.max_relays > wide.max_relays) return Beyond("routing: more relays than the parent");
  // Which scopes lie inside another is not known here, so narrower means equal: the safe side.
  if (wide.must_stay && narrow.must_stay != wide.must_stay)
    return Beyond("routing: must_stay is looser than the parent's");
  return std::nullopt;
}

using RowCheck = MaybeObjection (*)(const GrantEdge&, const Ground&);
constexpr RowCheck kRows[] = {CheckScope,
                              CheckIssuer,
                              CheckSuite,
                              CheckClass,
                              CheckDepth,
                              CheckWindow,
                              CheckCaps,
                              CheckObligations,
                              CheckCharterVersion,
                              CheckPrefixes,
                              CheckTags,
                              CheckRouting};

// ---- rules

// Every narrow range inside one wide range. Ranges of one list never touch, so this is exact.
bool RangesCover(std::span<const Range16> wide, std::span<const Range16> narrow) {
  return std::ranges::all_of(narrow, [wide](const Range16& n) {
    return std::ranges::any_of(wide,
                               [&n](const Range16& w) { return w.lo <= n.lo && n.hi <= w.hi; });
  });
}

bool HasPorts(uint8_t proto) {
  return proto == 6 || proto == 17 || proto == 33 || proto == 132 || proto == 136;
}
bool IsAny(ByteView protos) { return protos.size() == 1 && protos[0] == kAnyProto; }

// `owed` occurs in `done` in its order: what the parent had transformed is still transformed so.
bool Subsequence(std::span<const std::string> owed, std::span<const std::string> done) {
  size_t i = 0;
  for (const std::string& d : done) {
    if (i < owed.size() && owed[i] == d) ++i;
  }
  return i == owed.size();
}

MaybeObjection CheckRuleTime(const Rule& child, const Rule& parent) {
  if (child.since < parent.since) return Wider("since: earlier than the parent rule's");
  if (parent.until != 0 && (child.until == 0 || child.until > parent.until))
    return Wider("until: later than the parent rule's");
  if (!parent.hours.empty() && (child.hours.empty() || !RangesCover(parent.hours, child.hours))) {
    return Wider("hours: outside the parent rule's");
  }
  return std::nullopt;
}

MaybeObjection CheckRuleDuties(const Rule& child, const Rule& parent) {
  constexpr uint16_t kDuties = kDoLogFlow | kDoLogHeaders | kDoEscalate;
  if ((parent.directives & kDuties & ~child.directives) != 0)
    return Wider("do: a duty of the parent rule is missing");
  if (child.rate < parent.rate) return Wider("rate: looser than the parent rule's");
  if (parent.drop_after != 0 && (child.drop_after == 0 || child.drop_after > parent.drop_after)) {
    return Wider("drop-after: later than the parent rule's");
  }
  if (!Subsequence(parent.transform, child.transform))
    return Wider("transform: one of the parent rule's is missing");
  return std::nullopt;
}

}  // namespace

MaybeObjection CheckGrantEdge(const GrantEdge& edge, const Ground& ground) {
  for (const RowCheck check : kRows) {
    if (MaybeObjection o = check(edge, ground)) return o;
  }
  return std::nullopt;
}

bool TagCovers(std::string_view wide, std::string_view narrow) {
  if (wide == "*" || wide == narrow) return true;
  if (narrow == "*" || !wide.ends_with(".*")) return false;
  const std::string_view root = wide.substr(0, wide.size() - 2);
  if (narrow == root) return true;
  // "root.x" and "root.x.*"; the dot keeps "roots" out.
  return narrow.size() > root.size() && narrow.starts_with(root) && narrow[root.size()] == '.';
}

bool TagsCover(std::span<const std::string> wide, std::string_view narrow) {
  return std::ranges::any_of(wide, [narrow](const std::string& w) { return TagCovers(w, narrow); });
}

bool SelectorCovers(const Selector& wide, const Selector& narrow) {
  using Kind = Selector::Kind;
  if (wide.kind == Kind::kAny) return true;
  if (wide.kind != narrow.kind) return false;  // a tag is never a prefix nor a node: bindings move
  switch (wide.kind) {
    case Kind::kAny: return true;
    case Kind::kTag: return wide.tag == narrow.tag;
    case Kind::kKid: return wide.kid == narrow.kid;
    case Kind::kPrefix4:
    case Kind::kPrefix6: return wide.prefix.Contains(narrow.prefix);
  }
  return false;
}

bool ServiceCovers(ByteView wide_protos,
                   std::span<const Range16> wide_ports,
                   ByteView narrow_protos,
                   std::span<const Range16> narrow_ports) {
  if (narrow_protos.empty()) return false;  // means nothing, so proves nothing
  if (IsAny(wide_protos)) return true;
  if (narrow_ports.empty() && std::ranges::any_of(narrow_protos, HasPorts)) return false;
  const bool protos = std::ranges::all_of(narrow_protos, [wide_protos](uint8_t p) {
    return std::ranges::find(wide_protos, p) != wide_protos.end();
  });
  return protos && RangesCover(wide_ports, narrow_ports);
}

MaybeObjection CheckRuleEdge(const Rule& child, const Rule& parent) {
  if (!SelectorCovers(parent.src, child.src)) return Wider("src: not inside the parent rule's");
  if (!SelectorCovers(parent.dst, child.dst)) return Wider("dst: not inside the parent rule's");
  if (!ServiceCovers(parent.protos, parent.ports, child.protos, child.ports)) {
    return Wider("service: protocols or ports beyond the parent rule's");
  }
  if (parent.one_way != 0 && child.one_way == 0)
    return Wider("one-way: the parent rule allows no replies");
  if ((child.directives & kDoForward) != 0 && (parent.directives & kDoForward) == 0) {
    return Wider("forward: the parent rule does not forward");
  }
  if (MaybeObjection o = CheckRuleTime(child, parent)) return o;
  return CheckRuleDuties(child, parent);
}

MaybeObjection CheckFragmentEdge(const Fragment& child, const Kid& signer, const Fragment& parent) {
  if (child.scope != parent.scope)
    return Wider("fragment: scope differs from the parent fragment's");
  if (!parent.delegate || *parent.delegate != signer)
    return Wider("fragment: the signer is not the parent fragment's delegate");
  for (size_t i = 0; i < child.rules.size(); ++i) {
    const Rule& rule = child.rules[i];
    if (rule.via == 0 || rule.via > parent.rules.size()) {
      return Wider(Join("fragment: rule ", i + 1, " names no rule of the parent fragment"));
    }
    if (MaybeObjection o = CheckRuleEdge(rule, parent.rules[rule.via - 1u])) {
      o->detail = Join("fragment: rule ", i + 1, ": ", o->detail);
      return o;
    }
  }
  return std::nullopt;
}

MaybeObjection CheckRootFragment(const Fragment& fragment,
                                 const Grant& authority,
                                 const std::function<bool(const Kid&)>& granted) {
  using Kind = Selector::Kind;
  for (size_t i = 0; i < fragment.rules.size(); ++i) {
    const Selector& dst = fragment.rules[i].dst;
    bool inside = false;
    switch (dst.kind) {
      case Kind::kAny: break;  // a voter's alone
      case Kind::kTag: inside = TagsCover(authority.tags, dst.tag); break;
      case Kind::kKid: inside = granted(dst.kid); break;
      case Kind::kPrefix4:
      case Kind::kPrefix6:
        inside = std::ranges::any_of(authority.prefixes,
                                     [&dst](const Prefix& p) { return p.Contains(dst.prefix); });
        break;
    }
    if (!inside)
      return Wider(Join("fragment: rule ", i + 1, ": dst is not inside the signer's grant"));
  }
  return std::nullopt;
}

}  // namespace aqmesh::authority
