#include "core/authority/attenuation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "tests/core/authority/world_for_test.h"

namespace aqmesh::authority {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the vocabulary of these stories

constexpr uint8_t kParent = 2, kChild = 3;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kRounds = 10'000;  // the same seeds, a tenth of the way
#else
constexpr size_t kRounds = 100'000;
#endif

Rng SeededRng() {
  const char* text =
      std::getenv("AQMESH_SEED");  // NOLINT(concurrency-mt-unsafe): single-threaded test
  const uint64_t seed = text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
  std::printf("AQMESH_SEED=%llu\n", static_cast<unsigned long long>(seed));
  Rng::Seed bytes{};
  StoreLe(bytes.data(), seed);
  return Rng(bytes);
}

struct Edge {
  World w;
  Grant parent, child;
  Ground ground;
  Taxonomy taxonomy;
  bool by_voter = false;
  Edge() : taxonomy(Taxonomy::Of(w.charters[0].body)) {
    parent = w.EnrollerBody(kParent, 1, 3, Oid{});
    parent.tags = {"shop.*"};
    parent.prefixes = {*Prefix::Parse("10.1.0.0/16")};
    parent.obligations = kMustLogFlow | (2u << 8);
    parent.routing = Routing{{w.scope}, 1, w.scope};
    child = w.EnrollerBody(kChild, 1, 2, Oid{});
    child.tags = {"member", "shop.web"};
    child.prefixes = {*Prefix::Parse("10.1.2.0/24"),
                      Prefix::Host(DerivedIp6(w.scope, KidOfSeed(kChild)))};
    child.obligations = parent.obligations;
    child.routing = parent.routing;
    child.ttl -= 10;
    ground = {&w.charters[0].body, &taxonomy, w.scope, 1};
  }
  MaybeObjection Check() const {
    static const Kid kParentKid = KidOfSeed(kParent);
    return CheckGrantEdge({.child = &child,
                           .child_subject = KidOf(child.suite, child.key),
                           .child_signer = signer == kParent ? kParentKid : KidOfSeed(signer),
                           .parent = by_voter ? nullptr : &parent,
                           .parent_subject = kParentKid},
                          ground);
  }
  uint8_t signer = kParent;
};

TEST(AttenuationTest,
     EachRowWidenedIsRefusedWithItsOwnReason) {  // spec/admission.md §2, row by row
  ASSERT_EQ(Edge().Check(), std::nullopt) << Edge().Check()->detail;
  struct Case {
    const char* row;
    void (*widen)(Edge&);
    Reason reason;
  };
  const Case kCases[] = {
      {"scope", [](Edge& e) { e.child.scope.bytes[0] ^= 1; }, Reason::kAttenuation},
      {"issuer: the signer", [](Edge& e) { e.signer = 9; }, Reason::kAttenuation},
      {"issuer: the grant is to its own",
       [](Edge& e) { e.child.key = KeyOf(kParent); },
       Reason::kAttenuation},
      {"issuer: the parent grant lacks",
       [](Edge& e) { e.parent.caps &= ~uint32_t{kCapIssueGrant}; },
       Reason::kClassOrCap},
      {"suite", [](Edge& e) { e.child.suite = Suite::kLargeTest; }, Reason::kAttenuation},
      {"class", [](Edge& e) { e.child.cls = Class::kRouter; }, Reason::kClassOrCap},
      {"depth_left: more than the class",
       [](Edge& e) { e.child.depth_left = 4; },
       Reason::kAttenuation},
      {"depth_left: not below", [](Edge& e) { e.child.depth_left = 3; }, Reason::kAttenuation},
      {"ttl", [](Edge& e) { e.child.ttl = 3651u * 86'400; }, Reason::kAttenuation},
      {"window: begins", [](Edge& e) { e.child.not_before -= 1; }, Reason::kAttenuation},
      {"window: ends", [](Edge& e) { e.child.ttl += 11; }, Reason::kAttenuation},
      {"caps: more than the class",
       [](Edge& e) { e.child.caps |= kCapRelay; },
       Reason::kClassOrCap},
      {"caps: more than the parent",
       [](Edge& e) { e.parent.caps &= ~uint32_t{kCapAttest}; },
       Reason::kAttenuation},
      {"obligations: one",
       [](Edge& e) { e.child.obligations &= static_cast<uint16_t>(~kMustLogFlow); },
       Reason::kAttenuation},
      {"obligations: rate",
       [](Edge& e) { e.child.obligations = kMustLogFlow | (1u << 8); },
       Reason::kAttenuation},
      {"charter_version", [](Edge& e) { e.ground.charter_floor = 2; }, Reason::kAttenuation},
      {"prefixes",
       [](Edge& e) { e.child.prefixes[0] = *Prefix::Parse("10.0.0.0/8"); },
       Reason::kAttenuation},
      {"prefixes",
       [](Edge& e) { e.child.prefixes[1] = Prefix::Host(DerivedIp6(e.w.scope, KidOfSeed(7))); },
       Reason::kAttenuation},
      {"prefixes", [](Edge& e) { e.parent.prefixes.clear(); }, Reason::kAttenuation},
      {"tags", [](Edge& e) { e.child.tags = {"shops"}; }, Reason::kAttenuation},
      {"tags", [](Edge& e) { e.child.tags = {"*"}; }, Reason::kAttenuation},
      {"tags", [](Edge& e) { e.child.tags = {"member.*"}; }, Reason::kAttenuation},
      {"tags", [](Edge& e) { e.parent.tags = {}; }, Reason::kAttenuation},
      {"routing: carry",
       [](Edge& e) { e.child.routing->carry.push_back(ScopeId{}); },
       Reason::kAttenuation},
      {"routing: more relays",
       [](Edge& e) { e.child.routing->max_relays = 2; },
       Reason::kAttenuation},
      {"routing: must_stay",
       [](Edge& e) { e.child.routing->must_stay.reset(); },
       Reason::kAttenuation},
      {"routing: carry", [](Edge& e) { e.parent.routing.reset(); }, Reason::kAttenuation},
      {"prefixes",
       [](Edge& e) { e.by_voter = true; },
       Reason::kAttenuation},  // the charter grants none
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.row);
    Edge e;
    c.widen(e);
    const MaybeObjection o = e.Check();
    ASSERT_TRUE(o.has_value());
    EXPECT_EQ(o->reason, c.reason);
    EXPECT_TRUE(o->detail.starts_with(c.row)) << o->detail;
  }
}

TEST(AttenuationTest, TagsCoverByWholeSegments) {
  struct Case {
    const char *wide, *narrow;
    bool covers;
  };
  constexpr Case kCases[] = {
      {"*", "a.b", true},
      {"*", "*", true},
      {"*", "a.*", true},
      {"a.*", "a", true},
      {"a.*", "a.b", true},
      {"a.*", "a.*", true},
      {"a.*", "a.b.*", true},
      {"a.*", "ab", false},
      {"a.*", "ab.c", false},
      {"a.*", "*", false},
      {"a", "a", true},
      {"a", "a.b", false},
      {"a", "a.*", false},
      {"a.b.*", "a.*", false},
      {"crypto", "cryptocurrency", false},
  };
  for (const Case& c : kCases)
    EXPECT_EQ(TagCovers(c.wide, c.narrow), c.covers) << c.wide << " " << c.narrow;
}

// ---- an evaluator written apart from the proof: sets by enumeration

std::vector<std::string> Segments(const std::string& tag) {
  std::vector<std::string> out(1);
  for (const char ch : tag) {
    if (ch == '.')
      out.emplace_back();
    else
      out.back() += ch;
  }
  return out;
}
bool NaiveTagMatch(const std::string& entry, const std::string& concrete) {
  std::vector<std::string> e = Segments(entry);
  const std::vector<std::string> c = Segments(concrete);
  if (e.back() != "*") return e == c;
  e.pop_back();
  return e.size() <= c.size() && std::equal(e.begin(), e.end(), c.begin());
}

const std::vector<std::string> kConcreteTags = {
    "a", "a.b", "a.b.c", "ab", "b", "b.a", "zz", "a.zz", "ab.zz", "b.zz", "a.b.zz"};
const std::vector<std::string> kWildTags = {
    "a", "a.b", "a.*", "a.b.*", "ab", "ab.*", "b", "b.*", "*"};

// Bit i: the i-th concrete tag, the address 10.0.0.i. Worked out once an entry: the test runs them
// often.
uint32_t NaiveTagSet(const std::vector<std::string>& list) {
  static std::map<std::string, uint32_t> known;
  uint32_t out = 0;
  for (const std::string& e : list) {
    const auto [it, fresh] = known.try_emplace(e, 0);
    for (size_t i = 0; fresh && i < kConcreteTags.size(); ++i)
      it->second |= uint32_t{NaiveTagMatch(e, kConcreteTags[i])} << i;
    out |= it->second;
  }
  return out;
}
uint32_t NaiveAddressSet(const std::vector<Prefix>& list) {
  static std::map<Prefix, uint32_t> known;
  uint32_t out = 0;
  for (const Prefix& x : list) {
    const auto [it, fresh] = known.try_emplace(x, 0);
    for (uint32_t i = 0; fresh && i < 32; ++i)
      it->second |= uint32_t{x.Contains(*IpAddress::Parse("10.0.0." + std::to_string(i)))} << i;
    out |= it->second;
  }
  return out;
}

bool NaiveGrantInside(const Grant& c, const Grant& p, const Prefix& own) {
  for (uint32_t bit = 0; bit < 32; ++bit) {
    if ((c.caps >> bit & 1) != 0 && (p.caps >> bit & 1) == 0) return false;
  }
  for (uint32_t bit = 0; bit < 6; ++bit) {
    if ((p.obligations >> bit & 1) != 0 && (c.obligations >> bit & 1) == 0) return false;
  }
  if (c.obligations / 256 < p.obligations / 256) return false;
  if ((NaiveTagSet(c.tags) & ~NaiveTagSet(p.tags)) != 0) return false;
  if ((NaiveAddressSet(c.prefixes) & ~NaiveAddressSet(p.prefixes)) != 0) return false;
  for (const Prefix& x : c.prefixes) {
    if (x.address.is_v6() && x != own) return false;
  }
  return c.not_before >= p.not_before && c.not_before + c.ttl <= p.not_before + p.ttl &&
         c.depth_left < p.depth_left;
}

template <class T>
std::vector<T> Some(Rng& rng, const std::vector<T>& from) {
  std::vector<T> out;
  for (const T& t : from) {
    if (rng.Below(4) == 0) out.push_back(t);
  }
  return out;
}

TEST(AttenuationTest, NoRandomWidenedGrantIsAccepted) {  // threat row 7
  Rng rng = SeededRng();
  Edge e;
  e.parent.routing.reset();
  e.child.routing.reset();
  const Prefix own = Prefix::Host(DerivedIp6(e.w.scope, KidOfSeed(kChild)));
  std::vector<Prefix> prefixes = {own, Prefix::Host(DerivedIp6(e.w.scope, KidOfSeed(9)))};
  for (unsigned length = 27; length <= 32; ++length) {
    for (int last = 0; last < 32; last += 4)
      prefixes.push_back(
          *Prefix::Make(*IpAddress::Parse("10.0.0." + std::to_string(last)), length));
  }
  size_t widened = 0, accepted = 0;
  for (size_t round = 0; widened < kRounds && round < 1'000'000; ++round) {
    e.parent.caps = kEnrollerCaps & ~(rng.U32() & rng.U32() & 0x27);
    e.parent.obligations = static_cast<uint16_t>(rng.U32() & rng.U32() & 0x73f);
    e.parent.tags = Some(rng, kWildTags);
    e.parent.prefixes = Some(rng, prefixes);
    const uint32_t c = e.parent.caps, o = e.parent.obligations;
    e.child.caps = (rng.Below(8) == 0 ? rng.U32() & kEnrollerCaps : c & rng.U32());
    e.child.obligations =
        static_cast<uint16_t>(rng.Below(8) == 0 ? rng.U32() & 0x73f : (o & 0x3f) | (o & 0x700));
    e.child.tags = rng.Below(3) == 0 ? Some(rng, kWildTags) : Some(rng, e.parent.tags);
    e.child.prefixes = rng.Below(3) == 0 ? Some(rng, prefixes) : Some(rng, e.parent.prefixes);
    std::erase_if(e.child.prefixes,
                  [](const Prefix& p) { return p.address.is_v6() && p.length != 128; });
    e.child.not_before = kT + rng.Below(4) - (rng.Below(8) == 0 ? 1 : 0);
    e.child.ttl = static_cast<uint32_t>(400 * kDay - 3 + rng.Below(4));
    e.child.depth_left = static_cast<uint8_t>(rng.Below(8) == 0 ? 3 : rng.Below(3));
    const bool inside = NaiveGrantInside(e.child, e.parent, own);
    const bool ok = !e.Check().has_value();
    accepted += ok ? 1 : 0;
    if (inside) continue;
    // A v6 host of the parent's list is inside it; the naive view knows the subject's own one only.
    const bool parents_v6 = std::ranges::any_of(e.child.prefixes, [&](const Prefix& p) {
      return p.address.is_v6() &&
             std::ranges::find(e.parent.prefixes, p) != e.parent.prefixes.end();
    });
    if (parents_v6) continue;
    ++widened;
    ASSERT_FALSE(ok) << "round " << round;
  }
  EXPECT_EQ(widened, kRounds);
  EXPECT_GT(accepted, 1'000u);  // or the test would prove nothing
}

struct Entity {
  std::set<std::string> tags;
  uint8_t kid;
  IpAddress address;
};
std::vector<Entity> Entities() {
  std::vector<Entity> out;
  for (const std::set<std::string>& tags : {std::set<std::string>{}, {"a"}, {"b"}, {"a", "b"}}) {
    for (uint8_t kid = 1; kid <= 3; ++kid) {
      for (const char* a : {"10.1.2.3", "10.2.0.1", "192.168.0.1", "fd00::1", "fd01::1"})
        out.push_back({tags, kid, *IpAddress::Parse(a)});
    }
  }
  return out;
}
Kid TestKid(uint8_t n) {
  Kid k;
  k.bytes[0] = n;
  return k;
}
bool Matches(const Selector& s, const Entity& e) {
  if (s.kind == Selector::Kind::kAny) return true;
  if (s.kind == Selector::Kind::kTag) return e.tags.contains(s.tag);
  if (s.kind == Selector::Kind::kKid) return s.kid == TestKid(e.kid);
  return s.prefix.Contains(e.address);
}
bool NaiveService(const Rule& r, uint8_t proto, uint16_t port) {
  const bool any = r.protos == Bytes{255};
  if (any) return true;
  if (std::ranges::find(r.protos, proto) == r.protos.end()) return false;
  if (proto != 6 && proto != 17) return true;
  return std::ranges::any_of(r.ports,
                             [port](const Range16& p) { return p.lo <= port && port <= p.hi; });
}
bool NaiveWhen(const Rule& r, uint64_t t) { return t >= r.since && (r.until == 0 || t < r.until); }
bool NaiveHour(const Rule& r, uint16_t m) {
  return r.hours.empty() ||
         std::ranges::any_of(r.hours, [m](const Range16& h) { return h.lo <= m && m < h.hi; });
}

bool NaiveRuleInside(const Rule& c, const Rule& p, const std::vector<Entity>& entities) {
  for (const Entity& e : entities) {
    if ((Matches(c.src, e) && !Matches(p.src, e)) || (Matches(c.dst, e) && !Matches(p.dst, e)))
      return false;
  }
  for (const uint8_t proto : std::initializer_list<uint8_t>{1, 6, 17, 47}) {
    for (uint16_t port = 0; port < 24; ++port) {
      if (NaiveService(c, proto, port) && !NaiveService(p, proto, port)) return false;
    }
  }
  for (uint16_t t = 0; t < 40; ++t) {
    if ((NaiveWhen(c, t) && !NaiveWhen(p, t)) || (NaiveHour(c, t) && !NaiveHour(p, t)))
      return false;
  }
  const auto duties = [](const Rule& r) { return r.directives & 0xe; };
  if (p.one_way == 1 && c.one_way == 0) return false;
  if ((c.directives & 1) > (p.directives & 1) || (duties(p) | duties(c)) != duties(c) ||
      c.rate < p.rate)
    return false;
  if (p.drop_after != 0 && (c.drop_after == 0 || c.drop_after > p.drop_after)) return false;
  return std::ranges::all_of(p.transform, [&c](const std::string& t) {
    return std::ranges::find(c.transform, t) != c.transform.end();
  });
}

Selector RandomSelector(Rng& rng) {
  static const char* const kPrefixes[] = {
      "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "fd00::/8", "fd00::/16", "192.168.0.0/24"};
  Selector s;
  switch (rng.Below(4)) {
    case 0: break;
    case 1:
      s.kind = Selector::Kind::kTag;
      s.tag = rng.Below(2) == 0 ? "a" : "b";
      break;
    case 2:
      s.kind = Selector::Kind::kKid;
      s.kid = TestKid(static_cast<uint8_t>(1 + rng.Below(2)));
      break;
    default:
      s.prefix = *Prefix::Parse(kPrefixes[rng.Below(6)]);
      s.kind = s.prefix.address.is_v6() ? Selector::Kind::kPrefix6 : Selector::Kind::kPrefix4;
  }
  return s;
}
std::vector<Range16> RandomRanges(Rng& rng) {
  std::vector<Range16> out;
  for (auto at = static_cast<uint16_t>(rng.Below(4)); at < 20 && out.size() < 3;
       at = static_cast<uint16_t>(at + 2 + rng.Below(6))) {
    const auto hi = static_cast<uint16_t>(at + 1 + rng.Below(5));
    out.push_back({at, hi});
    at = hi;
  }
  return out;
}
// Changes one field of a rule at random.
void Mutate(Rng& rng, Rule& r) {
  switch (rng.Below(12)) {
    case 0: r.src = RandomSelector(rng); break;
    case 1: r.dst = RandomSelector(rng); break;
    case 2:
      switch (rng.Below(4)) {
        case 0:
          r.protos = {255};
          r.ports = {};
          break;
        case 1:
          r.protos = {1};
          r.ports = {};
          break;
        case 2:
          r.protos = {6};
          r.ports = RandomRanges(rng);
          break;
        default: r.protos = {1, 6, 17}; r.ports = RandomRanges(rng);
      }
      break;
    case 3:
      if (!r.ports.empty()) r.ports = RandomRanges(rng);
      break;
    case 4: r.one_way ^= 1; break;
    case 5: r.directives = static_cast<uint16_t>(r.directives ^ (1u << rng.Below(4))); break;
    case 6: r.rate = static_cast<uint8_t>(rng.Below(4)); break;
    case 7: r.drop_after = static_cast<uint32_t>(rng.Below(4)); break;
    case 8:
      r.transform = rng.Below(2) == 0 ? std::vector<std::string>{} : std::vector<std::string>{"t"};
      break;
    case 9: r.since = rng.Below(10); break;
    case 10: r.until = rng.Below(2) == 0 ? 0 : 10 + rng.Below(20); break;
    default: r.hours = rng.Below(3) == 0 ? std::vector<Range16>{} : RandomRanges(rng);
  }
}

TEST(AttenuationTest, NoRandomWidenedRuleIsAccepted) {  // threat row 7
  Rng rng = SeededRng();
  const std::vector<Entity> entities = Entities();
  size_t widened = 0, accepted = 0;
  for (size_t round = 0; widened < kRounds && round < 1'000'000; ++round) {
    Rule parent;
    parent.protos = {255};
    for (uint64_t i = rng.Below(12); i > 0; --i) Mutate(rng, parent);
    Rule child = parent;
    for (uint64_t i = 1 + rng.Below(3); i > 0; --i) Mutate(rng, child);
    const bool ok = !CheckRuleEdge(child, parent).has_value();
    accepted += ok ? 1 : 0;
    if (NaiveRuleInside(child, parent, entities)) continue;
    ++widened;
    ASSERT_FALSE(ok) << "round " << round;
  }
  EXPECT_EQ(widened, kRounds);
  EXPECT_GT(accepted, 1'000u);
}

}  // namespace
}  // namespace aqmesh::authority
