
#include <gtest/gtest.h>

#include "core/authority/charter.h"
#include "core/authority/standalone.h"
#include "tests/core/authority/roles_for_test.h"

namespace aqmesh::authority {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the vocabulary of these stories

constexpr uint8_t kRoot = 1, kAtlas = 2, kBorealis = 3;

// Whoever signs by what, the verdicts are the same.
class ChainTest : public RolesTest {};
class CharterTest : public RolesTest {};
class StandaloneTest : public RolesTest {};

// The vectors' mesh: root, E = ENROLLER of atlas, N = NODE of borealis by atlas, F = the default
// fragment.
struct Home : World {
  Home() {
    Grant e_body = EnrollerBody(kAtlas, 1, 3, charters[0].oid());
    e_body.name = "atlas";
    e = Make(e_body, kRoot);
    Grant n_body = NodeBody(kBorealis, 1, e.oid());
    n_body.next_key = NextOf(8);
    n_body.name = "borealis";
    n = Make(n_body, kAtlas);
    f = Make(DefaultFragment(3), kRoot);
  }
  Fragment DefaultFragment(uint64_t seq) const {
    Fragment out;
    out.scope = scope;
    out.seq = seq;
    out.not_before = kT;
    out.ttl = static_cast<uint32_t>(400 * kDay);
    out.authority = charters[0].oid();
    out.charter_version = 1;
    Rule rule;
    rule.src.kind = rule.dst.kind = Selector::Kind::kTag;
    rule.src.tag = rule.dst.tag = "member";
    rule.protos = {255};
    out.rules = {rule};
    return out;
  }
  Held<Presentation> Present(std::vector<Oid> refs, uint8_t by = kBorealis) const {
    Presentation p;
    p.h.bytes.fill(7);
    p.role = 1;
    p.rx_handle = 0x0a0b0c0d;
    p.charter_version = 1;
    for (const Oid& oid : refs) p.refs.push_back(RefOf(oid));
    return Make(p, by);
  }
  Held<Grant> e, n;
  Held<Fragment> f;
};

TEST(ChainVectorsTest, TheVectorsComeOutByteForByte) {  // spec/objects.md §8
  Home w;
  EXPECT_EQ(ToHex(w.charters[0].oid()),
            "5e571f570eb7be173e123b875f881ccb45dfb3d1c3197bc06d3347542fee884f");
  EXPECT_EQ(ToHex(w.scope), "2abc01708384f11380887549ea517255");
  EXPECT_EQ(ToHex(w.e.oid()), "24aab131c26200253da32323c0e1bde3eb3fd8b00914ca8696b30ce110c55266");
  EXPECT_EQ(ToHex(w.n.oid()), "ddf1763a0b97d1bfe43eb81e865174b8e4354c2316bcdda092fecdd1fcc54a0c");
  EXPECT_EQ(ToHex(w.f.oid()), "f621041dde3ead8ce618fd656b8947399d8598e2ef5328d6e2f4eb6d34408491");
}

TEST_P(ChainTest, AdmitsTheVectorsChainWithFourSignatures) {
  Home w;
  const Held<Presentation> p = w.Present({w.n.oid(), w.e.oid(), w.f.oid()});
  w.presentation = &p;
  const auto v = w.Auth({w.n.envelope, w.e.envelope, w.f.envelope});
  ASSERT_TRUE(v.has_value());
  EXPECT_EQ(v->rung(), Rung::kAdmit) << w.report.why;
  EXPECT_EQ(w.report.signature_checks, 4u);
  EXPECT_TRUE(w.report.presenter_verified);
  EXPECT_EQ(v->chain().subject, KidOfSeed(kBorealis));
  EXPECT_EQ(v->chain().voter, KidOfSeed(kRoot));
  EXPECT_EQ(v->chain().expires, kT + 30 * kDay);
  ASSERT_EQ(w.report.rules.rules.size(), 1u);
  EXPECT_EQ(w.report.rules.rules[0].size(), 1u);
  EXPECT_EQ(w.report.statements.size(), 3u);
}

TEST_P(ChainTest, AWarmCacheLeavesThePresentersSignatureAlone) {
  Home w;
  SignatureCache cache;
  w.cache = &cache;
  const Held<Presentation> p = w.Present({w.n.oid(), w.e.oid()});
  w.presentation = &p;
  w.Auth({w.n.envelope, w.e.envelope});
  EXPECT_EQ(w.report.signature_checks, 3u);
  EXPECT_EQ(w.Says({w.n.envelope, w.e.envelope}), "ADMIT");
  EXPECT_EQ(w.report.signature_checks, 1u);
  // Never a verdict: what is revoked meanwhile is refused although every signature is cached.
  ASSERT_TRUE(w.Apply(w.Say(1, RevokeType::kFloor, KidOfSeed(kBorealis), 2), kAtlas).ok());
  EXPECT_EQ(w.Says({w.n.envelope, w.e.envelope}), "REFUSE: revoked");
}

TEST_P(ChainTest, TimeDecidesAtEachEdge) {  // spec/objects.md §1: in date
  Home w;
  struct Case {
    const char* name;
    uint64_t now;
    const char* want;
  };
  const Case kCases[] = {
      {"121 s early", kT - 121, "DEFER: clock off"},
      {"120 s early", kT - 120, "ADMIT"},
      {"last second", kT + 30 * kDay - 1, "ADMIT"},
      {"lapsed, issuer in date", kT + 30 * kDay, "ESCALATE: lapsed: renew"},
      {"issuer's last second", kT + 400 * kDay - 1, "ESCALATE: lapsed: renew"},
      {"issuer expired", kT + 400 * kDay, "REFUSE: expired"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(w.Says({w.n.envelope, w.e.envelope}, c.now), c.want) << w.report.why;
  }
}

TEST_P(ChainTest, AStrangerCostsNoSignature) {
  Home w;
  World other([] {
    Charter c = HomeCharter();
    c.name = "away";
    return c;
  }());
  const auto e = other.Enroller(kRoot, kAtlas, 1, 3, other.charters[0].oid());
  EXPECT_EQ(w.Says({other.Node(kAtlas, kBorealis, 1, e.oid()).envelope, e.envelope}), "stranger");
  EXPECT_EQ(w.report.signature_checks, 0u);
  // Our scope, but an issuer that nobody here knows.
  const auto fake = w.Enroller(40, 41, 1, 3, Oid{});
  EXPECT_EQ(w.Says({w.Node(41, kBorealis, 1, fake.oid()).envelope, fake.envelope}), "stranger");
  EXPECT_EQ(w.report.signature_checks, 0u);
  EXPECT_EQ(w.Says({w.Node(40, kBorealis, 1, w.charters[0].oid()).envelope}),
            "stranger");  // no voter
  EXPECT_EQ(w.Says({}), "stranger");
}

TEST_P(ChainTest, AskForTheParentOnlyUnderAKnownIssuer) {
  Home w;
  EXPECT_EQ(w.Says({w.n.envelope}), "stranger");
  w.store.Keep(w.Auth({w.n.envelope, w.e.envelope})->chain());
  EXPECT_EQ(w.Says({w.n.envelope}), "ADMIT");  // the store holds E now
  const auto e2 = w.Enroller(kRoot, kAtlas, 9, 3, w.charters[0].oid());
  const auto n2 = w.Node(kAtlas, 5, 2, e2.oid());
  EXPECT_EQ(w.Says({n2.envelope}), "DEFER: objects missing");
  ASSERT_EQ(w.report.missing.size(), 1u);
  EXPECT_EQ(w.report.missing[0], RefOf(e2.oid()));
  EXPECT_EQ(w.report.signature_checks, 1u);  // the leaf is verified before anything is asked for
}

TEST_P(ChainTest, AMissingFragmentIsAskedFor) {
  Home w;
  const Held<Presentation> p = w.Present({w.n.oid(), w.e.oid(), w.f.oid()});
  w.presentation = &p;
  EXPECT_EQ(w.Says({w.n.envelope, w.e.envelope}), "DEFER: objects missing");
  EXPECT_EQ(w.report.missing, std::vector<Ref16>{RefOf(w.f.oid())});
  EXPECT_TRUE(w.report.presenter_verified);
}

TEST_P(ChainTest, LeafMustJoinAndNotIssue) {
  Home w;
  Grant quiet = w.NodeBody(kBorealis, 5, w.e.oid());
  quiet.caps = kCapAccept;
  EXPECT_EQ(w.Says({Make(quiet, kAtlas).envelope, w.e.envelope}), "REFUSE: class or capability");
  EXPECT_EQ(w.Says({w.e.envelope}), "REFUSE: class or capability");
  EXPECT_EQ(w.report.signature_checks, 0u);
}

TEST_P(ChainTest, EachSignatureCountsAndTheFirstWrongOneStops) {
  Home w;
  struct Case {
    const char* name;
    size_t broken;
    size_t checks;
  };
  for (const Case& c : {Case{"issuer's grant", 1, 1}, Case{"leaf", 0, 2}}) {
    SCOPED_TRACE(c.name);
    std::vector<SignedPtr> items = {w.n.envelope, w.e.envelope};
    Bytes bytes = items[c.broken]->bytes();
    bytes[bytes.size() - 40] ^= 1;  // inside R
    items[c.broken] = std::make_shared<const Signed>(*Signed::Parse(bytes));
    EXPECT_EQ(w.Says(items), "REFUSE: signature wrong");
    EXPECT_EQ(w.report.signature_checks, c.checks);
  }
}

TEST_P(ChainTest, AnotherPresenterIsRefused) {
  Home w;
  const Held<Presentation> p = w.Present({w.n.oid(), w.e.oid()}, 6);
  w.presentation = &p;
  EXPECT_EQ(w.Says({w.n.envelope, w.e.envelope}), "REFUSE: signature wrong");
}

TEST_P(ChainTest, RotatedSubjectPresentsWithItsNewKeyOnly) {
  Home w;
  Rotate r;
  r.scope = w.scope;
  r.seq = 1;
  r.old = KidOfSeed(kBorealis);
  r.suite = SuiteOf(8);
  r.key = KeyOf(8);
  r.hlc = 1;
  r.step = 1;
  const Held<Rotate> rotate = Make(r, 8);
  const Held<Presentation> fresh = w.Present({w.n.oid(), w.e.oid(), rotate.oid()}, 8);
  w.presentation = &fresh;
  EXPECT_EQ(w.Says({w.n.envelope, w.e.envelope, rotate.envelope}), "ADMIT") << w.report.why;
  ASSERT_EQ(w.report.rotates.size(), 1u);
  ASSERT_TRUE(w.restrictions.Add(w.report.rotates[0], NextOf(8)).ok());
  const Held<Presentation> old = w.Present({w.n.oid(), w.e.oid()}, kBorealis);
  w.presentation = &old;
  EXPECT_EQ(w.Says({w.n.envelope, w.e.envelope}), "REFUSE: revoked");
}

TEST_P(ChainTest, BadVerdictsCostWhatTheCallerAllows) {
  Home w;
  ASSERT_TRUE(w.Apply(w.Say(1, RevokeType::kFloor, KidOfSeed(kBorealis), 2), kAtlas).ok());
  const Held<Presentation> p = w.Present({w.n.oid(), w.e.oid()});
  w.presentation = &p;
  EXPECT_EQ(w.Says({w.n.envelope, w.e.envelope}), "REFUSE: revoked");
  EXPECT_EQ(w.report.signature_checks, 0u);
  w.signatures_if_bad = 6;
  EXPECT_EQ(w.Says({w.n.envelope, w.e.envelope}), "REFUSE: revoked");
  EXPECT_EQ(w.report.signature_checks, 3u);
  EXPECT_TRUE(w.report.presenter_verified);  // so it may hear why
}

TEST_P(ChainTest, RevocationsBindOnlyThroughTheirRevoker) {  // threat rows 10, 34
  const Kid atlas = KidOfSeed(kAtlas), borealis = KidOfSeed(kBorealis);
  struct Case {
    const char* name;
    RevokeType type;
    std::optional<Kid> kid;
    uint64_t bound;
    int oid;
    uint8_t by;
    const char* want;
  };
  const Case kCases[] = {
      {"leaf floored by its issuer", RevokeType::kFloor, borealis, 2, 0, kAtlas, "REFUSE: revoked"},
      {"leaf floored by the root", RevokeType::kFloor, borealis, 2, 0, kRoot, "REFUSE: revoked"},
      {"leaf floored by itself", RevokeType::kFloor, borealis, 2, 0, kBorealis, "REFUSE: revoked"},
      {"leaf floored by another member", RevokeType::kFloor, borealis, 2, 0, 6, "ADMIT"},
      {"floor at its generation", RevokeType::kFloor, borealis, 1, 0, kAtlas, "ADMIT"},
      {"intermediate floored by the root",
       RevokeType::kFloor,
       atlas,
       2,
       0,
       kRoot,
       "REFUSE: revoked"},
      {"intermediate floored by its own subject's child",
       RevokeType::kFloor,
       atlas,
       2,
       0,
       kBorealis,
       "ADMIT"},
      {"intermediate's oid by the root", RevokeType::kOid, {}, 0, 1, kRoot, "REFUSE: revoked"},
      {"leaf's oid by its issuer", RevokeType::kOid, {}, 0, 2, kAtlas, "REFUSE: revoked"},
      {"leaf's oid by another", RevokeType::kOid, {}, 0, 2, 6, "ADMIT"},
      {"issuer cut below this number",
       RevokeType::kIssuerFrom,
       atlas,
       1,
       0,
       kRoot,
       "REFUSE: revoked"},
      {"issuer cut by another", RevokeType::kIssuerFrom, atlas, 1, 0, 6, "ADMIT"},
      {"issuer cut above, leaf not held before",
       RevokeType::kIssuerFrom,
       atlas,
       50,
       0,
       kRoot,
       "REFUSE: revoked"},
      {"leaf's key by itself", RevokeType::kKey, borealis, 0, 0, kBorealis, "REFUSE: revoked"},
      {"leaf's key by its issuer, no quorum", RevokeType::kKey, borealis, 0, 0, kAtlas, "ADMIT"},
      {"leaf's key by the quorum", RevokeType::kKey, borealis, 0, 0, kRoot, "REFUSE: revoked"},
      {"issuer's key by the quorum", RevokeType::kKey, atlas, 0, 0, kRoot, "REFUSE: revoked"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    Home w;
    Revoke r = w.Say(1, c.type, c.kid, c.bound);
    if (c.oid == 1) r.oid = w.e.oid();
    if (c.oid == 2) r.oid = w.n.oid();
    ASSERT_TRUE(w.Apply(r, c.by).ok());
    EXPECT_EQ(w.Says({w.n.envelope, w.e.envelope}), c.want) << w.report.why;
  }
}

// The team's scenario: A enrols B, B enrols C, C enrols D; A enrols E.
struct Team : World {
  static constexpr uint8_t kA = 10, kB = 11, kC = 12, kD = 13, kE = 14;
  Held<Grant> a = Enroller(kRoot, kA, 1, 3, charters[0].oid());
  Held<Grant> b = Enroller(kA, kB, 1, 2, a.oid()), e = Enroller(kA, kE, 2, 2, a.oid());
  Held<Grant> c = Enroller(kB, kC, 1, 1, b.oid());
  Held<Grant> b_node = Node(kA, kB, 3, a.oid()), e_node = Node(kA, kE, 4, a.oid());
  Held<Grant> d_node = Node(kC, kD, 1, c.oid());
  std::vector<SignedPtr> D() { return {d_node.envelope, c.envelope, b.envelope, a.envelope}; }
  std::vector<SignedPtr> B() { return {b_node.envelope, a.envelope}; }
  std::vector<SignedPtr> E() { return {e_node.envelope, a.envelope}; }
};

TEST_P(ChainTest, FourGrantsDeepIsAdmittedAndFiveAreNot) {
  Team w;
  EXPECT_EQ(w.Says(w.D()), "ADMIT") << w.report.why;
  const auto d = w.Enroller(Team::kC, Team::kD, 2, 0, w.c.oid());
  const auto deeper = w.Node(Team::kD, 20, 1, d.oid());
  EXPECT_EQ(w.Says({deeper.envelope, d.envelope, w.c.envelope, w.b.envelope, w.a.envelope}),
            "stranger");
}

TEST_P(ChainTest, AStolenIssuersFloorKillsItsOwnChildrenAndARegrantElsewhereLives) {
  Team w;
  ASSERT_TRUE(
      w.Apply(w.Say(1, RevokeType::kFloor, KidOfSeed(Team::kD), UINT32_MAX), Team::kC).ok());
  EXPECT_EQ(w.Says(w.D()), "REFUSE: revoked");
  const auto renewed = w.Node(Team::kE, Team::kD, 1, w.e.oid());
  const std::vector<SignedPtr> through_e = {renewed.envelope, w.e.envelope, w.a.envelope};
  EXPECT_EQ(w.Says(through_e), "ADMIT") << w.report.why;
  // The renewer repeats a later revocation by the old chain's issuers as its own floor.
  ASSERT_TRUE(w.Apply(w.Say(1, RevokeType::kFloor, KidOfSeed(Team::kD), 2), Team::kE).ok());
  EXPECT_EQ(w.Says(through_e), "REFUSE: revoked");
}

TEST_P(ChainTest, WhoEndsItsOwnKeyLeavesWhatWasHeldBeforeAlive) {  // A.7
  Team w;
  const auto a_node = w.Node(kRoot, Team::kA, 2, w.charters[0].oid());
  ASSERT_EQ(w.Says({a_node.envelope}), "ADMIT");
  ASSERT_EQ(w.Says(w.B()), "ADMIT");
  ASSERT_EQ(w.Says(w.E()), "ADMIT");
  ASSERT_EQ(w.Says(w.D()), "ADMIT");
  Revoke end = w.Say(kTerminalSeq, RevokeType::kKey, KidOfSeed(Team::kA));
  ASSERT_TRUE(w.Apply(end, Team::kA).ok());
  EXPECT_EQ(w.Says({a_node.envelope}), "REFUSE: revoked");
  EXPECT_EQ(w.Says(w.B()), "ADMIT") << w.report.why;
  EXPECT_EQ(w.Says(w.E()), "ADMIT") << w.report.why;
  EXPECT_EQ(w.Says(w.D()), "ADMIT") << w.report.why;
  const auto later = w.Node(Team::kA, 20, 9, w.a.oid());  // minted by the thief, whatever its date
  EXPECT_EQ(w.Says({later.envelope, w.a.envelope}), "REFUSE: revoked");
}

TEST_P(ChainTest, AfterACutOnlyWhatWasHeldBelowItLives) {
  Team w;
  ASSERT_EQ(w.Says(w.B()), "ADMIT");
  ASSERT_TRUE(w.Apply(w.Say(1, RevokeType::kIssuerFrom, KidOfSeed(Team::kA), 4), kRoot).ok());
  EXPECT_EQ(w.Says(w.B()), "ADMIT") << w.report.why;      // 3, held
  EXPECT_EQ(w.Says(w.E()), "REFUSE: revoked");            // 4, at the cut
  const auto under = w.Node(Team::kA, 20, 2, w.a.oid());  // 2, unused number, minted later
  EXPECT_EQ(w.Says({under.envelope, w.a.envelope}), "REFUSE: revoked");
}

TEST_P(ChainTest, TwoGrantsUnderOneNumberCollapseTheirIssuer) {
  Team w;
  ASSERT_EQ(w.Says(w.B()), "ADMIT");
  const auto twin = w.Node(Team::kA, 21, 3, w.a.oid());  // B's number again
  EXPECT_EQ(w.Says({twin.envelope, w.a.envelope}), "REFUSE: equivocation");
  EXPECT_EQ(w.Says(w.B()), "REFUSE: equivocation");
  EXPECT_EQ(w.Says(w.E()), "REFUSE: equivocation");
  ASSERT_EQ(w.restrictions.proofs().size(), 1u);
}

TEST_P(ChainTest, AVoterThatEquivocatedIsClearedByItsRotation) {  // threat row 41
  Home w;
  ASSERT_EQ(w.Says({w.n.envelope, w.e.envelope}), "ADMIT");
  const auto x = w.Node(kRoot, 20, 7, w.charters[0].oid()),
             y = w.Node(kRoot, 21, 7, w.charters[0].oid());
  w.Says({x.envelope});
  w.Says({y.envelope});
  EXPECT_EQ(w.Says({w.n.envelope, w.e.envelope}), "REFUSE: equivocation");
  Rotate r;
  r.scope = w.scope;
  r.seq = r.step = 1;
  r.old = KidOfSeed(kRoot);
  r.suite = SuiteOf(9);
  r.key = KeyOf(9);
  r.hlc = 1;
  ASSERT_TRUE(w.restrictions.Add(Make(r, 9), NextOf(9)).ok());
  EXPECT_EQ(w.Says({w.n.envelope, w.e.envelope}), "ADMIT") << w.report.why;
  EXPECT_EQ(w.Says({x.envelope}), "REFUSE: equivocation");  // both twins stay dead
  EXPECT_EQ(w.Says({w.Node(9, 22, 1, w.charters[0].oid()).envelope}), "ADMIT") << w.report.why;
}

TEST_P(ChainTest, FragmentsStandOnTheirSignersGrantAndOnTheirParent) {
  Charter charter = HomeCharter();
  charter.tags = {"*"};
  World w(charter);
  Grant s = w.Base(30, Class::kSegment, w.charters[0].oid());
  s.seq = 1;
  s.depth_left = 2;
  s.caps = kNodeCaps | kCapIssueAcl | kCapIssueGrant;
  s.tags = {"shop.*"};
  const Held<Grant> segment = Make(s, kRoot);
  const Held<Grant> leaf = w.Node(30, 31, 1, segment.oid());
  const auto fragment =
      [&](uint64_t seq, const std::string& dst, std::optional<Oid> parent, uint8_t via) {
        Fragment f;
        f.scope = w.scope;
        f.seq = seq;
        f.not_before = kT;
        f.ttl = 1000;
        f.authority = parent ? w.charters[0].oid() : segment.oid();
        f.parent = parent;
        f.charter_version = 1;
        Rule r;
        r.dst.kind = Selector::Kind::kTag;
        r.dst.tag = dst;
        r.protos = {6};
        r.ports = {{443, 443}};
        r.via = via;
        f.rules = {r};
        if (!parent) f.delegate = KidOfSeed(kRoot);
        return f;
      };
  const auto root_f = Make(fragment(2, "shop.web", {}, 0), 30);
  const std::vector<SignedPtr> chain = {leaf.envelope, segment.envelope};
  const auto with = [&](const Held<Fragment>& f) {
    auto items = chain;
    items.push_back(f.envelope);
    return items;
  };
  EXPECT_EQ(w.Says(with(root_f)), "ADMIT") << w.report.why;
  EXPECT_EQ(w.report.rules.rules.size(), 1u);
  EXPECT_EQ(w.Says(with(Make(fragment(3, "home.web", {}, 0), 30))),
            "REFUSE: wider than its parent");
  EXPECT_EQ(w.Says(with(Make(fragment(4, "shop.web", {}, 0), 31))),
            "REFUSE: wider than its parent");  // not the grant's subject
  w.store.Put(root_f.envelope);
  EXPECT_EQ(w.Says(with(Make(fragment(5, "shop.web", root_f.oid(), 1), kRoot))), "ADMIT")
      << w.report.why;
  ASSERT_EQ(w.report.rules.rules.size(), 1u);
  EXPECT_EQ(w.report.rules.rules[0].size(), 2u);  // a packet must match both levels
  EXPECT_EQ(w.Says(with(Make(fragment(6, "shop.db", root_f.oid(), 1), kRoot))),
            "REFUSE: wider than its parent");
  EXPECT_EQ(w.Says(with(Make(fragment(7, "shop.web", root_f.oid(), 2), kRoot))),
            "REFUSE: wider than its parent");
  // A lapsed one is left out, without staining who cites it.
  EXPECT_EQ(w.Says(with(root_f), kT + 2000), "ADMIT");
  EXPECT_TRUE(w.report.rules.rules.empty());
  EXPECT_EQ(w.report.rules.left_out.size(), 1u);
}

TEST_P(CharterTest, GenesisIsItsOwnVotersAndSuccessorsNeedTheOldQuorum) {
  World w;
  EXPECT_TRUE(VerifyCharter(w.charters[0], nullptr, {}, nullptr).ok());
  EXPECT_FALSE(VerifyCharter(Make(HomeCharter(), 5), nullptr, {}, nullptr).ok());
  Charter next = HomeCharter();
  next.salt.reset();
  next.scope = w.scope;
  next.version = 2;
  next.prev = w.charters[0].oid();
  next.name = "house";
  EXPECT_TRUE(VerifyCharter(Make(next, 1), &w.charters[0], {}, nullptr).ok());
  Charter thief =
      next;  // a stolen root evicts its owner: refused, the one voter does not count against itself
  thief.voters[0].key = KeyOf(66);
  const Held<Charter> stolen = Make(thief, 1);
  Cosign c;
  c.scope = w.scope;
  c.slot = 3;
  c.id = *Kid::From(w.scope.view());
  c.number = 2;
  c.target = stolen.oid();
  c.time = kT;
  const std::vector<Held<Cosign>> votes = {Make(c, 66)};
  EXPECT_FALSE(VerifyCharter(stolen, &w.charters[0], votes, nullptr).ok());
  Charter skip = next;
  skip.version = 3;
  EXPECT_FALSE(VerifyCharter(Make(skip, 1), &w.charters[0], {}, nullptr).ok());
}

TEST_P(CharterTest, DoubledSignaturesCountOnce) {
  Charter c = HomeCharter();
  c.voters = {{SuiteOf(1), KeyOf(1), 1, "a", {}},
              {SuiteOf(2), KeyOf(2), 1, "b", {}},
              {SuiteOf(3), KeyOf(3), 1, "c", {}}};
  SortVoters(c.voters);
  c.q_reg = c.q_sens = 3;
  World w(c);
  const auto vote = [&](uint8_t by) {
    Cosign v;
    v.scope = w.scope;
    v.slot = 3;
    v.id = *Kid::From(w.scope.view());
    v.number = 1;
    v.target = w.charters[0].oid();
    v.time = kT;
    return Make(v, by);
  };
  const std::vector<Held<Cosign>> doubled = {vote(2), vote(2), vote(1)}, all = {vote(2), vote(3)};
  EXPECT_FALSE(VerifyCharter(w.charters[0], nullptr, doubled, nullptr).ok());
  EXPECT_TRUE(VerifyCharter(w.charters[0], nullptr, all, nullptr).ok());
}

TEST_P(StandaloneTest, SaysWhatItCheckedAndWhatItCouldNot) {
  Home w;
  const std::vector<SignedPtr> objects = {w.e.envelope};
  const StandaloneReport ok =
      VerifyStandalone(w.n.envelope->bytes(), w.charters[0], objects, WallTime::FromSeconds(kT));
  EXPECT_TRUE(ok.status.ok()) << ok.status;
  EXPECT_EQ(ok.made.size(), 5u);
  EXPECT_FALSE(ok.not_made.empty());
  EXPECT_FALSE(VerifyStandalone(w.n.envelope->bytes(), w.charters[0], {}, WallTime::FromSeconds(kT))
                   .status.ok());
  EXPECT_TRUE(VerifyStandalone(w.f.envelope->bytes(), w.charters[0], {}, WallTime::FromSeconds(kT))
                  .status.ok());
  EXPECT_FALSE(
      VerifyStandalone(
          w.n.envelope->bytes(), w.charters[0], objects, WallTime::FromSeconds(kT + 31 * kDay))
          .status.ok());
}

INSTANTIATE_TEST_SUITE_P(Of, ChainTest, ::testing::ValuesIn(AllRoles()), NameOfRoles);
INSTANTIATE_TEST_SUITE_P(Of, CharterTest, ::testing::ValuesIn(AllRoles()), NameOfRoles);
INSTANTIATE_TEST_SUITE_P(Of, StandaloneTest, ::testing::ValuesIn(AllRoles()), NameOfRoles);

}  // namespace
}  // namespace aqmesh::authority
