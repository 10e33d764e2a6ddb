#include "issuing/issue.h"

#include <algorithm>
#include <utility>

#include "core/authority/address.h"
#include "core/authority/attenuation.h"
#include "core/authority/taxonomy.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "issuing/place.h"
#include "issuing/rules.h"

namespace aqmesh::issuing {
namespace {

using namespace authority;  // NOLINT(google-build-using-namespace): this file speaks of nothing
                            // else

constexpr size_t kPrefixesMax = 8;

// Ascending as encoded: address || length.
absl::StatusOr<std::vector<Prefix>> SortedPrefixes(std::vector<Prefix> prefixes, size_t max) {
  const auto encoded = [](const Prefix& p) {
    Bytes b(p.address.bytes().begin(), p.address.bytes().end());
    b.push_back(p.length);
    return b;
  };
  std::sort(prefixes.begin(), prefixes.end(), [encoded](const Prefix& a, const Prefix& b) {
    return encoded(a) < encoded(b);
  });
  prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
  if (prefixes.size() > max)
    return InvalidArgument(prefixes.size(), " prefixes, more than ", max, "; leave some out");
  for (const Prefix& a : prefixes) {
    for (const Prefix& b : prefixes) {
      if (&a == &b || !a.Contains(b)) continue;
      return InvalidArgument(
          "prefix ", b.ToString(), " lies inside ", a.ToString(), "; leave one out");
    }
  }
  return prefixes;
}

absl::Status ToStatus(const MaybeObjection& objection) {
  return objection.has_value() ? PermissionDenied(objection->detail) : absl::OkStatus();
}

std::vector<Prefix> DerivedHosts(const Place& place,
                                 const Charter& charter,
                                 const Kid& kid,
                                 const Taken& taken) {
  std::vector<Prefix> out = {Prefix::Host(DerivedIp6(place.scope, kid))};
  for (const IpAddress& a : Ip4Candidates(place.scope, kid, charter.pool4)) {
    if (taken && taken(a)) continue;
    out.push_back(Prefix::Host(a));
    break;
  }
  return out;
}

std::vector<std::string> OrMember(std::vector<std::string> tags) {
  if (tags.empty()) tags.emplace_back("member");
  return tags;
}

}  // namespace

ScopeId ScopeOfCharter(const Held<Charter>& charter) {
  return charter.body.scope.has_value() ? *charter.body.scope : ScopeOf(charter.envelope->body());
}

// ---- A mesh is born

absl::StatusOr<Charter> GenesisBody(const GenesisOptions& options,
                                    const Ed25519Key& root,
                                    const Salt& salt) {
  AQ_RETURN_IF_ERROR(CheckName(options.name, false));
  if (options.now == 0) return InvalidArgument("the clock says 1970; set it, then try again");
  if (options.pool4.has_value() &&
      (options.pool4->address.is_v6() || options.pool4->length < 8 || options.pool4->length > 24)) {
    return InvalidArgument(
        "address pool ", options.pool4->ToString(), ": write an IPv4 prefix from /8 to /24");
  }
  Charter c;
  c.version = 1;
  c.salt = salt;
  c.name = options.name;
  c.level = 1;
  c.profile = options.profile;
  c.flags = kSingleDomain;  // one group: a mesh of one owner claims no more
  c.created = options.now;
  c.voters = {{.suite = Suite::kEd25519,
               .key = root,
               .weight = 1,
               .group = options.name,
               .next_key = options.next_key}};
  c.q_reg = c.q_sens = 1;
  c.suites = {static_cast<uint16_t>(Suite::kEd25519)};
  c.pool4 = options.pool4;
  AQ_ASSIGN_OR_RETURN(c.prefixes, SortedPrefixes(options.prefixes, 32));
  AQ_ASSIGN_OR_RETURN(c.tags, SortedTags(options.tags, true, 32));
  c.params = options.params;
  authority::SortLists(c);
  return c;
}

absl::StatusOr<Held<Charter>> Genesis(const GenesisOptions& options,
                                      const crypto::Ed25519Seed& root,
                                      Rng& rng) {
  const Salt salt{rng.Array<16>()};
  AQ_ASSIGN_OR_RETURN(const Charter body, GenesisBody(options, crypto::Ed25519Public(root), salt));
  return TrySeal(body, root);
}

// ---- Grants

absl::StatusOr<Held<Grant>> MakeGrant(const Issuer& issuer, Grant g, uint64_t now) {
  AQ_ASSIGN_OR_RETURN(const Place place, PlaceOf(issuer, now));
  AQ_RETURN_IF_ERROR(NeedCap(place, kCapIssueGrant, "grants"));
  AQ_RETURN_IF_ERROR(CheckName(g.name, true));
  const Taxonomy taxonomy = Taxonomy::Of(issuer.charter.body);
  const ClassRule* row = taxonomy.Find(g.cls);
  if (row == nullptr || g.cls == Class::kRoot)
    return InvalidArgument("a grant's class is one of region to plain");

  if (g.suite == Suite{}) g.suite = g.cls == Class::kPlain ? Suite::kX25519Static : Suite::kEd25519;
  if (g.caps == 0) g.caps = place.grant == nullptr ? row->caps : row->caps & place.grant->caps;
  if (g.generation == 0) g.generation = 1;
  const bool issues = (g.caps & kCapsIssue) != 0;
  if (g.depth_left != 0 && !issues)
    return InvalidArgument("a depth needs a grant that may issue; leave it out");
  if (place.grant != nullptr) {
    g.obligations = authority::JoinObligations(g.obligations, place.grant->obligations);
    if (!g.routing.has_value()) g.routing = place.grant->routing;
  }
  AQ_ASSIGN_OR_RETURN(g.tags, SortedTags(std::move(g.tags), issues, kTagsMax));
  AQ_ASSIGN_OR_RETURN(g.prefixes, SortedPrefixes(std::move(g.prefixes), kPrefixesMax));
  g.scope = place.scope;
  g.parent = place.authority;
  g.charter_version = issuer.charter.body.version;
  const uint32_t wanted = g.ttl == 0 ? row->max_ttl : std::min(g.ttl, row->max_ttl);
  AQ_ASSIGN_OR_RETURN(const Window window, Cut(place, now, wanted));
  g.not_before = window.not_before;
  g.ttl = window.ttl;

  const Kid subject = KidOf(g.suite, g.key);
  if (g.key == issuer.signer.key())
    return InvalidArgument("a grant to the signer's own key; name another key");
  const Ground ground{.charter = &issuer.charter.body, .taxonomy = &taxonomy, .scope = place.scope};
  AQ_RETURN_IF_ERROR(ToStatus(CheckGrantEdge({.child = &g,
                                              .child_subject = subject,
                                              .child_signer = issuer.signer.kid(),
                                              .parent = place.grant,
                                              .parent_subject = place.subject},
                                             ground)));
  AQ_ASSIGN_OR_RETURN(g.seq, issuer.signer.seqs().ReserveExpansion(issuer.signer.kid()));
  return TrySeal(g, issuer.signer.seed());
}

absl::StatusOr<Held<Grant>> NodeGrant(const Issuer& issuer,
                                      const NodeTerms& terms,
                                      const Taken& taken,
                                      uint64_t now) {
  AQ_ASSIGN_OR_RETURN(const Place place, PlaceOf(issuer, now));
  const Kid kid = KidOf(Suite::kEd25519, terms.key);
  Grant g;
  g.key = terms.key;
  g.cls = Class::kNode;
  g.generation = terms.generation;
  g.ttl = terms.ttl;
  g.tags = OrMember(terms.tags);
  g.prefixes = DerivedHosts(place, issuer.charter.body, kid, taken);
  g.next_key = terms.next_key;
  g.name = terms.name;
  return MakeGrant(issuer, std::move(g), now);
}

absl::StatusOr<Held<Grant>> EnrollerGrant(const Issuer& issuer,
                                          const EnrollerTerms& terms,
                                          uint64_t now) {
  AQ_ASSIGN_OR_RETURN(const Place place, PlaceOf(issuer, now));
  if (place.grant != nullptr && place.grant->depth_left <= 1) {
    return PermissionDenied("the issuer's grant has depth ",
                            unsigned{place.grant->depth_left},
                            ": it makes nodes, not enrollers; ask an enroller nearer to the root");
  }
  Grant g;
  g.key = terms.key;
  g.cls = Class::kEnroller;
  g.depth_left = place.grant == nullptr
                     ? kEnrollerDepth
                     : std::min(kEnrollerDepth, static_cast<uint8_t>(place.grant->depth_left - 1));
  g.generation = terms.generation;
  g.ttl = terms.ttl;
  g.obligations = terms.obligations;
  g.tags = OrMember(
      terms.tags.value_or(place.grant == nullptr ? std::vector<std::string>() : place.grant->tags));
  g.name = terms.name;
  return MakeGrant(issuer, std::move(g), now);
}

absl::StatusOr<JoinGrants> RootGrants(const Issuer& root,
                                      const FirstMachine& machine,
                                      uint64_t now) {
  JoinGrants out;
  if (machine.enroll) {
    const EnrollerTerms terms{.key = machine.key,
                              .name = machine.name,
                              .tags = machine.enroller_tags,
                              .ttl = machine.enroller_ttl};
    AQ_ASSIGN_OR_RETURN(out.enroller, EnrollerGrant(root, terms, now));
  }
  const NodeTerms terms{
      .key = machine.key, .name = machine.name, .next_key = machine.next_key, .tags = machine.tags};
  AQ_ASSIGN_OR_RETURN(out.node, NodeGrant(root, terms, {}, now));
  return out;
}

namespace {

// The tags that a joiner gets: an invitation's, which the request may narrow; else the sponsor's
// choice.
absl::StatusOr<std::vector<std::string>> JoinTags(const Request& request,
                                                  const SponsorOptions& options) {
  if (options.invite == nullptr)
    return OrMember(options.tags.empty() ? request.tags : options.tags);
  const std::vector<std::string>& offered = options.invite->tags;
  if (request.tags.empty()) return OrMember(offered);
  for (const std::string& tag : request.tags) {
    if (tag == "member" || std::find(offered.begin(), offered.end(), tag) != offered.end())
      continue;
    return PermissionDenied("the request asks for tag ",
                            tag,
                            ", which the invitation does not give; ",
                            "invite again with --tags ",
                            tag);
  }
  return request.tags;
}

absl::Status CheckRequest(const Held<Request>& request, const ScopeId& scope) {
  if (request.body.scope != scope) return PermissionDenied("the request is for another mesh");
  if (request.body.suite != Suite::kEd25519 ||
      request.signer() != KidOf(Suite::kEd25519, request.body.key)) {
    return Unauthenticated("the request is not signed by the key that it asks for");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<JoinGrants> SponsorGrants(const Issuer& sponsor,
                                         const Held<Request>& request,
                                         const SponsorOptions& options,
                                         const Taken& taken,
                                         uint64_t now) {
  AQ_ASSIGN_OR_RETURN(const Place place, PlaceOf(sponsor, now));
  AQ_RETURN_IF_ERROR(CheckRequest(request, place.scope));
  if (options.invite != nullptr && options.invite->scope != place.scope) {
    return PermissionDenied("the invitation is for another mesh");
  }
  NodeTerms node{
      .key = request.body.key, .name = request.body.name, .next_key = request.body.next_key};
  AQ_ASSIGN_OR_RETURN(node.tags, JoinTags(request.body, options));
  node.ttl = options.ttl;
  JoinGrants out;
  AQ_ASSIGN_OR_RETURN(out.node, NodeGrant(sponsor, node, taken, now));
  const bool invited = options.invite == nullptr || (options.invite->flags & kInviteEnroller) != 0;
  const bool deep = place.grant == nullptr || place.grant->depth_left > 1;
  if (options.enroll && invited && deep) {
    const EnrollerTerms terms{
        .key = request.body.key, .name = request.body.name, .tags = options.enroller_tags};
    AQ_ASSIGN_OR_RETURN(out.enroller, EnrollerGrant(sponsor, terms, now));
  }
  return out;
}

absl::StatusOr<Held<Grant>> Renewal(const Issuer& enroller,
                                    const Held<Request>& request,
                                    const Held<Grant>& old,
                                    uint64_t now) {
  AQ_RETURN_IF_ERROR(CheckRequest(request, ScopeOfCharter(enroller.charter)));
  if (request.body.h.has_value() || request.body.invite.has_value()) {
    return InvalidArgument("a renewal is a request without handshake and invitation");
  }
  if (old.body.key != request.body.key)
    return PermissionDenied("a renewal keeps the key; the request names another");
  if ((old.body.caps & kCapsIssue) != 0)
    return PermissionDenied("a grant that may issue is not renewed but granted anew");
  Grant g = old.body;
  g.ttl = kNodeTtl;
  // Whoever stole the key must not also replace the digest that would take it back.
  if (!g.next_key.has_value()) g.next_key = request.body.next_key;
  return MakeGrant(enroller, std::move(g), now);
}

// ---- Fragments

absl::StatusOr<Held<Fragment>> MakeFragment(const Issuer& issuer,
                                            const FragmentTerms& terms,
                                            uint64_t now) {
  AQ_ASSIGN_OR_RETURN(const Place place, PlaceOf(issuer, now));
  AQ_RETURN_IF_ERROR(NeedCap(place, kCapIssueAcl, "fragments"));
  if (terms.rules.empty() || terms.rules.size() > kRulesMax) {
    return InvalidArgument("a fragment has 1 to ", kRulesMax, " rules, not ", terms.rules.size());
  }
  Fragment f;
  f.scope = place.scope;
  f.authority = place.authority;
  f.delegate = terms.delegate;
  f.charter_version = issuer.charter.body.version;
  f.rules = terms.rules;
  uint64_t parent_end = UINT64_MAX;
  if (terms.parent != nullptr) {
    const Fragment& parent = terms.parent->body;
    f.parent = terms.parent->oid();
    AQ_RETURN_IF_ERROR(ToStatus(CheckFragmentEdge(f, issuer.signer.kid(), parent)));
    parent_end = parent.not_before + parent.ttl;
  } else {
    for (const Rule& rule : f.rules) {
      if (rule.via != 0)
        return InvalidArgument("rule `", PrintRule(rule), "`: via needs a parent fragment");
    }
    if (place.grant != nullptr) {
      const std::function<bool(const Kid&)> none = [](const Kid&) { return false; };
      AQ_RETURN_IF_ERROR(
          ToStatus(CheckRootFragment(f, *place.grant, terms.granted ? terms.granted : none)));
    }
  }
  AQ_ASSIGN_OR_RETURN(const Window window, Cut(place, now, terms.ttl, parent_end));
  f.not_before = window.not_before;
  f.ttl = window.ttl;
  AQ_ASSIGN_OR_RETURN(f.seq, issuer.signer.seqs().ReserveExpansion(issuer.signer.kid()));
  return TrySeal(f, issuer.signer.seed());
}

absl::StatusOr<Held<Fragment>> DefaultFragment(const Issuer& root, uint64_t now, uint32_t ttl) {
  FragmentTerms terms;
  terms.rules = {MembersRule()};
  terms.ttl = ttl;
  return MakeFragment(root, terms, now);
}

}  // namespace aqmesh::issuing
