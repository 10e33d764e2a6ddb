#include "node/corroboration.h"

#include <algorithm>
#include <map>
#include <set>

namespace aqmesh::node {

using authority::Attest;
using authority::AttestKind;
using authority::Grant;
using authority::Held;
using authority::SignedPtr;

namespace {

// With three groups or more no one of them is worth more than a whole vote.
constexpr uint32_t kCapOfMany = 1'000, kCapOfFew = 2'000;
constexpr size_t kManyGroups = 3;

std::vector<Held<Attest>> AboutIn(const Kid& subject, std::span<const SignedPtr> objects) {
  std::vector<Held<Attest>> out;
  for (const SignedPtr& s : objects) {
    if (s->ctx() != authority::Ctx::kAttest) continue;
    auto held = authority::ParseObject<Attest>(*s);
    if (held.ok() && held->body.subject == subject) out.push_back({s, std::move(held->body)});
  }
  // Whatever the order in which they came.
  std::ranges::sort(out, {}, [](const Held<Attest>& a) { return std::pair(a.signer(), a.oid()); });
  const auto same = [](const auto& a, const auto& b) { return a.oid() == b.oid(); };
  out.erase(std::unique(out.begin(), out.end(), same), out.end());
  return out;
}

// The grants of `objects` under which `signer` may attest, each with those above it.
std::vector<std::vector<SignedPtr>> ChainsOf(const Kid& signer,
                                             std::span<const SignedPtr> objects) {
  std::map<Oid, std::pair<SignedPtr, Oid>> grants;  // and what each hangs on
  std::set<Oid> own;
  for (const SignedPtr& s : objects) {
    if (s->ctx() != authority::Ctx::kGrant) continue;
    const auto g = authority::ParseBody<Grant>(s->body());
    if (!g.ok()) continue;
    grants.try_emplace(s->oid(), s, g->parent);
    if (authority::KidOf(g->suite, g->key) == signer && (g->caps & authority::kCapAttest) != 0)
      own.insert(s->oid());
  }
  std::vector<std::vector<SignedPtr>> out;
  for (const Oid& first : own) {
    std::vector<SignedPtr>& chain = out.emplace_back();
    for (auto at = grants.find(first); at != grants.end() && chain.size() < authority::kChainMax;
         at = grants.find(at->second.second))
      chain.push_back(at->second.first);
  }
  return out;
}

bool Signed(const Held<Attest>& attest, const Grant& by, const VoiceGround& ground) {
  const std::vector<uint16_t>& suites = ground.scope.charter().suites;
  const auto suite = static_cast<uint16_t>(attest.envelope->suite());
  if (std::ranges::find(suites, suite) == suites.end()) return false;
  if (ground.cache == nullptr) return authority::VerifySignature(*attest.envelope, by.key);
  if (ground.cache->Holds(*attest.envelope, by.key)) return true;
  if (!ground.cache->Verify(*attest.envelope, by.key)) return false;
  ground.cache->Put(*attest.envelope, by.key);
  return true;
}

// What can be said of it before anybody's chain is looked at.
const char* WhyNotItself(const Attest& a, const VoiceGround& ground) {
  const uint64_t now = ground.now.seconds();
  if (a.scope != ground.scope.scope) return "of another mesh";
  if (authority::NotYet(a.not_before, now)) return "not valid yet";
  if (authority::Lapsed(a.not_before, a.ttl + kAttestGrace, now)) return "lapsed";
  if (a.kind != AttestKind::kKeySeen && a.kind != AttestKind::kBehaved)
    return "says nothing of the key itself";
  return nullptr;
}

Voice Heard(Held<Attest> attest,
            std::span<const SignedPtr> objects,
            const VoiceGround& ground,
            LevelOf level) {
  const authority::Charter& charter = ground.scope.charter();
  Voice out{.attest = std::move(attest), .group = {}, .why = nullptr};
  out.why = WhyNotItself(out.attest.body, ground);
  if (out.why != nullptr) return out;
  std::optional<authority::Chain> chain;
  for (const std::vector<SignedPtr>& grants : ChainsOf(out.attest.signer(), objects)) {
    if (!chain) chain = ChainThatHolds(grants, ground);
  }
  if (!chain) {
    out.why = "its signer has no grant to attest that holds here";
    return out;
  }
  out.group = GroupOf(charter, chain->voter);
  if (!Signed(out.attest, chain->grants[0].body, ground)) {
    out.why = "the signature is wrong";
    return out;
  }
  const std::optional<uint32_t> weighs = level(*chain);
  out.ladm = weighs.value_or(0);
  if (!weighs || *weighs < admission::GateParams::From(charter).constrain_down)
    out.why = "its signer is trusted less than CONSTRAIN takes";
  return out;
}

}  // namespace

std::string GroupOf(const authority::Charter& charter, const Kid& voter) {
  for (const authority::Voter& v : charter.voters) {
    if (authority::KidOf(v.suite, v.key) == voter) return v.group;
  }
  return "";
}

std::optional<authority::Chain> ChainThatHolds(std::span<const SignedPtr> grants,
                                               const VoiceGround& ground) {
  if (grants.empty()) return std::nullopt;
  authority::AuthReport report;
  const auto verified = authority::Authenticate({.scopes = std::span(&ground.scope, 1),
                                                 .presentation = nullptr,
                                                 .items = grants,
                                                 .store = nullptr,
                                                 .cache = ground.cache,
                                                 .now = ground.now,
                                                 .any_leaf = true},
                                                report);
  if (!verified || verified->rung() != authority::Rung::kAdmit || !report.signatures_held)
    return std::nullopt;
  return verified->chain();
}

std::vector<Voice> VoicesIn(const Kid& subject,
                            std::span<const SignedPtr> objects,
                            const VoiceGround& ground,
                            LevelOf level) {
  std::vector<Voice> out;
  for (Held<Attest>& attest : AboutIn(subject, objects)) {
    // One vote each: of two words by one signer the first that counts.
    const bool again = !out.empty() && out.back().attest.signer() == attest.signer();
    if (again && out.back().why == nullptr) continue;
    if (!again && out.size() == kVoicesMax) break;
    Voice voice = Heard(std::move(attest), objects, ground, level);
    if (again) {
      out.back() = std::move(voice);
    } else {
      out.push_back(std::move(voice));
    }
  }
  return out;
}

admission::Corroboration SumOf(std::span<const Voice> voices, const authority::Charter& charter) {
  std::set<std::string> all;
  for (const authority::Voter& v : charter.voters) all.insert(v.group);
  const uint32_t cap = all.size() >= kManyGroups ? kCapOfMany : kCapOfFew;
  std::map<std::string, uint32_t> groups;
  admission::Corroboration out;
  for (const Voice& v : voices) {
    if (v.why != nullptr) continue;
    ++out.attesters;
    groups[v.group] += v.votes();
  }
  for (const auto& [group, votes] : groups) out.votes += std::min(cap, votes);
  out.groups = static_cast<uint32_t>(groups.size());
  return out;
}

}  // namespace aqmesh::node
