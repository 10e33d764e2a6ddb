// A small mesh to tell stories with: seeds are 32 equal bytes, as in the vectors of spec/objects.md
// §8. All are of suite 1, unless a Cast says otherwise.
#ifndef AQMESH_TESTS_CORE_AUTHORITY_WORLD_FOR_TEST_H_
#define AQMESH_TESTS_CORE_AUTHORITY_WORLD_FOR_TEST_H_

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/authority/address.h"
#include "core/authority/chain.h"
#include "core/authority/charter.h"

namespace aqmesh::authority::testing {

inline constexpr uint64_t kT = 1'700'000'000, kDay = 86'400;
inline constexpr uint32_t kNodeCaps = 0x27, kEnrollerCaps = 0x24a7;

// Who signs by which suite, by seed.
struct Roles {
  const char* name;
  std::function<Suite(uint8_t seed)> of;
  std::vector<uint16_t> listed;  // by the home charter
};
inline const Roles*& RolesInForce() {
  static const Roles suite1 = {"Ed25519", [](uint8_t) { return Suite::kEd25519; }, {1}};
  static const Roles* in_force = &suite1;
  return in_force;
}
// While it lives, these roles are played.
class Cast {
 public:
  explicit Cast(const Roles& roles) : before_(std::exchange(RolesInForce(), &roles)) {}
  ~Cast() { RolesInForce() = before_; }
  Cast(const Cast&) = delete;
  Cast& operator=(const Cast&) = delete;

 private:
  const Roles* before_;
};

inline Suite SuiteOf(uint8_t n) { return RolesInForce()->of(n); }
inline SuiteSeed SeedOf(uint8_t n) { return SuiteSeed(Bytes(32, n)); }
inline Ed25519Key KeyOf(uint8_t n) { return PublicOf(SuiteOf(n), SeedOf(n)); }
inline Kid KidOfSeed(uint8_t n) { return KidOf(SuiteOf(n), KeyOf(n)); }
inline Digest NextOf(uint8_t n) { return NextKeyOf(SuiteOf(n), KeyOf(n)); }

// As their rows stand in a charter.
inline void SortVoters(std::vector<Voter>& rows) {
  std::ranges::sort(rows, {}, [](const Voter& v) { return std::pair(v.suite, v.key); });
}

template <class T>
Held<T> Make(const T& body, uint8_t seed) {
  const SuiteSeed secret = SeedOf(seed);
  return {std::make_shared<const Signed>(SignObject(body, SuiteKey{SuiteOf(seed), secret})), body};
}

inline Charter HomeCharter() {
  Charter c;
  c.version = 1;
  c.salt.emplace().bytes.fill(0x5a);
  c.name = "home";
  c.level = 1;
  c.profile = Profile::kSmallMesh;
  c.flags = kSingleDomain;
  c.created = kT;
  c.voters = {{SuiteOf(1), KeyOf(1), 1, "home", NextOf(9)}};
  c.q_reg = c.q_sens = 1;
  c.suites = RolesInForce()->listed;
  return c;
}

class World {
 public:
  World() : World(HomeCharter()) {}
  explicit World(const Charter& c)
      : charters{Make(c, 1)}, scope(ScopeIdOf(charters[0])), restrictions(scope) {}

  Grant Base(uint8_t subject, Class cls, const Oid& parent) const {
    Grant g;
    g.scope = scope;
    g.suite = SuiteOf(subject);
    g.key = KeyOf(subject);
    g.cls = cls;
    g.generation = 1;
    g.not_before = kT;
    g.ttl = static_cast<uint32_t>(30 * kDay);
    g.caps = kNodeCaps;
    g.parent = parent;
    g.charter_version = 1;
    g.tags = {"member"};
    return g;
  }
  Grant EnrollerBody(uint8_t subject, uint64_t seq, uint8_t depth, const Oid& parent) const {
    Grant g = Base(subject, Class::kEnroller, parent);
    g.seq = seq;
    g.depth_left = depth;
    g.ttl = static_cast<uint32_t>(400 * kDay);
    g.caps = kEnrollerCaps;
    return g;
  }
  Held<Grant> Enroller(
      uint8_t by, uint8_t subject, uint64_t seq, uint8_t depth, const Oid& parent) const {
    return Make(EnrollerBody(subject, seq, depth, parent), by);
  }
  Grant NodeBody(uint8_t subject, uint64_t seq, const Oid& parent, uint32_t generation = 1) const {
    Grant g = Base(subject, Class::kNode, parent);
    g.seq = seq;
    g.generation = generation;
    g.prefixes = {Prefix::Host(Ip4Candidates(scope, KidOfSeed(subject))[0]),
                  Prefix::Host(DerivedIp6(scope, KidOfSeed(subject)))};
    return g;
  }
  Held<Grant> Node(
      uint8_t by, uint8_t subject, uint64_t seq, const Oid& parent, uint32_t generation = 1) const {
    return Make(NodeBody(subject, seq, parent, generation), by);
  }
  Revoke Say(uint64_t seq,
             RevokeType type,
             std::optional<Kid> kid,
             uint64_t bound = 0,
             std::optional<Oid> prev = {}) const {
    Revoke r;
    r.scope = scope;
    r.seq = seq;
    r.prev = prev;
    r.hlc = (kT * 1000) << 16 | 7;
    r.type = type;
    r.kid = kid;
    r.reason = 1;
    if (type == RevokeType::kFloor) r.floor = static_cast<uint32_t>(bound);
    if (type == RevokeType::kIssuerFrom) r.from = bound;
    return r;
  }
  absl::Status Apply(const Revoke& r, uint8_t by) {
    return restrictions.Add(Make(r, by), KeyOf(by), expansions);
  }

  std::optional<Verified> Auth(std::vector<SignedPtr> items, uint64_t now = kT + 60) {
    report = {};
    const ScopeHeld held{charters, scope, &restrictions, &expansions, 1};
    AuthInput in{.scopes = {&held, 1},
                 .presentation = presentation,
                 .items = items,
                 .store = &store,
                 .cache = cache,
                 .now = WallTime::FromSeconds(now),
                 .signatures_if_bad = signatures_if_bad};
    std::optional<Verified> v = Authenticate(in, report);
    for (const auto& [object, seq] : report.statements) {
      if (auto e = expansions.Add(object, seq)) restrictions.Collapse(*e);
    }
    return v;
  }
  // "ADMIT", "REFUSE: revoked", or "stranger".
  std::string Says(std::vector<SignedPtr> items, uint64_t now = kT + 60) {
    const std::optional<Verified> v = Auth(std::move(items), now);
    if (!v) return "stranger";
    std::string out(RungName(v->rung()));
    if (v->reason() != Reason::kNone) out += ": " + std::string(ReasonName(v->reason()));
    return out;
  }

  std::vector<Held<Charter>> charters;
  ScopeId scope;
  Restrictions restrictions;
  Expansions expansions;
  ObjectStore store;
  SignatureCache* cache = nullptr;
  const Held<Presentation>* presentation = nullptr;
  size_t signatures_if_bad = 0;
  AuthReport report;
};

}  // namespace aqmesh::authority::testing

#endif  // AQMESH_TESTS_CORE_AUTHORITY_WORLD_FOR_TEST_H_
