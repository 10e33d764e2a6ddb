// Two suites that refuse each other, a charter that lists what it allows, and a suite whose
// signatures are too large for a datagram. The stories of roles_for_test.h are beside it.
#include "core/authority/suites.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/authority/charter.h"
#include "core/authority/codec.h"
#include "tests/core/authority/roles_for_test.h"

namespace aqmesh::authority {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the vocabulary of these stories
using ::testing::HasSubstr;

constexpr uint8_t kRoot = 1, kAtlas = 2, kBorealis = 3, kNext = 8;
constexpr size_t kInitiationRoom = 1'028, kItemBytes = 2;

Roles Played(std::vector<uint16_t> listed, Suite root, Suite issuer, Suite leaf) {
  Roles out = Mixed("", root, issuer, leaf);
  out.listed = std::move(listed);
  return out;
}

// The same bytes, but for the suite and the kid that goes with it: what a forger can write.
Bytes Relabelled(const Signed& s, Suite suite, const Ed25519Key& key) {
  Bytes out = s.bytes();
  out[3] = static_cast<uint8_t>(suite);  // 08 ctx 10 suite 1a 10 kid
  const Kid kid = KidOf(suite, key);
  std::copy(kid.view().begin(), kid.view().end(), out.begin() + 6);
  return out;
}

struct Mesh : World {
  Mesh() {
    e = Enroller(kRoot, kAtlas, 1, 3, charters[0].oid());
    n = Node(kAtlas, kBorealis, 1, e.oid());
    p.h.bytes.fill(7);
    p.role = 1;
    p.rx_handle = 1;
    p.charter_version = 1;
    p.refs = {RefOf(n.oid()), RefOf(e.oid())};
  }
  std::string Presented() {
    const Held<Presentation> held = Make(p, kBorealis);
    presentation = &held;
    const std::string said = Says({n.envelope, e.envelope});
    presentation = nullptr;
    return said;
  }
  Held<Grant> e, n;
  Presentation p;
};

TEST(SuitesTest, TheTableSaysWhatEachIs) {  // spec: suites#1
  ASSERT_EQ(AllSuites().size(), 4u);
  for (const SignatureSuite* s : AllSuites()) {
    SCOPED_TRACE(s->name);
    EXPECT_EQ(FindSuite(s->id), s);
    EXPECT_EQ(s->key_bytes, Ed25519Key::kSize);
    EXPECT_FALSE(s->profile.empty());
    EXPECT_EQ(s->signature_bytes != 0, s->verify != nullptr && s->sign != nullptr);
    EXPECT_EQ(SignatureSize(s->id), s->signature_bytes);
    EXPECT_LE(s->signature_bytes, kSigBytesMax);
    if (s->signature_bytes == 0) continue;
    const SuiteSeed seed(Bytes(32, 3));
    const Ed25519Key key = PublicOf(s->id, seed);
    const Bytes message = {1, 2, 3}, sig = SignBy(s->id, seed, message);
    EXPECT_EQ(sig.size(), s->signature_bytes);
    const KeyVerifier prepared(s->id, key);
    EXPECT_TRUE(VerifyBy(s->id, key, message, sig));
    EXPECT_TRUE(prepared.Verify(message, sig));
    for (const size_t at : {size_t{0}, size_t{40}, sig.size() - 1}) {
      Bytes wrong = sig;
      wrong[at] ^= 1;
      EXPECT_FALSE(VerifyBy(s->id, key, message, wrong)) << at;
      EXPECT_FALSE(prepared.Verify(message, wrong)) << at;
    }
    EXPECT_FALSE(VerifyBy(s->id, key, message, ByteView(sig).first(sig.size() - 1)));
    EXPECT_FALSE(prepared.Verify(message, {}));
  }
  EXPECT_EQ(FindSuite(Suite{3}), nullptr);
  EXPECT_FALSE(VerifyBy(Suite{3}, Ed25519Key{}, {}, Bytes(64)));
  EXPECT_FALSE(VerifyBy(Suite::kX25519Static, Ed25519Key{}, {}, Bytes(64)));
}

TEST(SuitesTest, EachRefusesTheOthersSignatures) {
  const SuiteSeed seed = SeedOf(kAtlas);
  Revoke r;
  r.scope.bytes.fill(1);
  r.seq = 1;
  r.hlc = 1;
  r.type = RevokeType::kFloor;
  r.kid.emplace();
  r.floor = 2;
  const Suite both[] = {Suite::kEd25519, Suite::kRistretto};
  for (const Suite own : both) {
    const Suite other = own == both[0] ? both[1] : both[0];
    SCOPED_TRACE(static_cast<int>(own));
    const Ed25519Key key = PublicOf(own, seed), others = PublicOf(other, seed);
    EXPECT_NE(key, others);  // one seed, two keys that do not know each other
    const Signed s = SignObject(r, SuiteKey{own, seed});
    EXPECT_TRUE(VerifySignature(s, key));
    EXPECT_FALSE(VerifySignature(s, others));
    EXPECT_FALSE(VerifySignature(s, KeyVerifier(other, key)));
    for (const Ed25519Key& claimed : {key, others}) {
      const auto forged = Signed::Parse(Relabelled(s, other, claimed));
      ASSERT_TRUE(forged.ok()) << forged.status();
      EXPECT_EQ(forged->suite(), other);
      EXPECT_NE(forged->oid(), s.oid());  // the suite is signed
      EXPECT_FALSE(VerifySignature(*forged, claimed));
      EXPECT_FALSE(VerifySignature(*forged, KeyVerifier(other, claimed)));
    }
  }
}

TEST(SuitesTest, ACacheDoesNotTakeOneSuitesKeyForAnothers) {
  const Roles roles = Played({1, 2}, Suite::kEd25519, Suite::kRistretto, Suite::kEd25519);
  const Cast cast(roles);
  Mesh w;
  SignatureCache cache;
  EXPECT_TRUE(cache.Verify(*w.n.envelope, KeyOf(kAtlas)));
  EXPECT_TRUE(cache.Verify(*w.n.envelope, KeyOf(kAtlas)));
  const auto forged = Signed::Parse(Relabelled(*w.n.envelope, Suite::kEd25519, KeyOf(kAtlas)));
  ASSERT_TRUE(forged.ok());
  EXPECT_FALSE(cache.Verify(*forged, KeyOf(kAtlas)));
}

TEST(SuitesTest, AMixedChainStandsWhereTheCharterListsWhatSigned) {  // spec: suites#4
  constexpr Suite kE = Suite::kEd25519, kR = Suite::kRistretto;
  for (const Suite root : {kE, kR}) {
    for (const Suite issuer : {kE, kR}) {
      for (const Suite leaf : {kE, kR}) {
        for (const std::vector<uint16_t>& listed :
             {std::vector<uint16_t>{1}, std::vector<uint16_t>{1, 2}, std::vector<uint16_t>{2}}) {
          const auto has = [&](Suite s) {
            return std::ranges::find(listed, static_cast<uint16_t>(s)) != listed.end();
          };
          if (!has(root)) continue;  // such a charter is refused when it is read
          SCOPED_TRACE(::testing::Message()
                       << static_cast<int>(root) << static_cast<int>(issuer)
                       << static_cast<int>(leaf) << ::testing::PrintToString(listed));
          const Roles roles = Played(listed, root, issuer, leaf);
          const Cast cast(roles);
          Mesh w;
          EXPECT_TRUE(VerifyCharter(w.charters[0], nullptr, {}, nullptr).ok());
          const bool right = has(issuer) && has(leaf);
          EXPECT_EQ(w.Presented(), right ? "ADMIT" : "REFUSE: wider than its parent")
              << w.report.why;
          if (right) continue;
          EXPECT_THAT(w.report.why, HasSubstr("is not in the charter's list"));
          EXPECT_EQ(w.report.signature_checks, 0u);
        }
      }
    }
  }
}

TEST(SuitesTest, ACharterListsItsVoters) {
  const Roles roles = Played({1}, Suite::kRistretto, Suite::kEd25519, Suite::kEd25519);
  const Cast cast(roles);
  const absl::StatusOr<Bytes> body = TryEncodeBody(HomeCharter());
  EXPECT_THAT(std::string(body.status().message()), HasSubstr("does not list"));
}

TEST(SuitesTest, NobodyRotatesToASuiteThatIsNotListed) {
  for (const std::vector<uint16_t>& listed :
       {std::vector<uint16_t>{1}, std::vector<uint16_t>{1, 2}}) {
    const Roles roles = {
        "", [](uint8_t n) { return n == kNext ? Suite::kRistretto : Suite::kEd25519; }, listed};
    const Cast cast(roles);
    Mesh w;
    Grant body = w.NodeBody(kBorealis, 2, w.e.oid());
    body.next_key = NextOf(kNext);
    const Held<Grant> n = Make(body, kAtlas);
    Rotate r;
    r.scope = w.scope;
    r.seq = r.step = 1;
    r.old = KidOfSeed(kBorealis);
    r.suite = SuiteOf(kNext);
    r.key = KeyOf(kNext);
    r.hlc = 1;
    const Held<Rotate> rotate = Make(r, kNext);
    w.p.refs = {RefOf(n.oid()), RefOf(w.e.oid()), RefOf(rotate.oid())};
    const Held<Presentation> p = Make(w.p, kNext);
    w.presentation = &p;
    const bool right = listed.size() == 2;
    EXPECT_EQ(w.Says({n.envelope, w.e.envelope, rotate.envelope}),
              right ? "ADMIT" : "REFUSE: wider than its parent")
        << w.report.why;
    if (!right) {
      EXPECT_THAT(w.report.why, HasSubstr("suite: 2 signed the"));
    }
  }
}

TEST(SuitesTest, AVoterThatRotatedToASuiteNotListedHasNoVoteMore) {
  const Roles roles = {
      "", [](uint8_t n) { return n == 9 ? Suite::kRistretto : Suite::kEd25519; }, {1}};
  const Cast cast(roles);
  World w;
  Rotate r;
  r.scope = w.scope;
  r.seq = r.step = 1;
  r.old = KidOfSeed(kRoot);
  r.suite = SuiteOf(9);
  r.key = KeyOf(9);
  r.hlc = 1;
  ASSERT_TRUE(w.restrictions.Add(Make(r, 9), NextOf(9)).ok());
  EXPECT_EQ(w.Says({w.Node(9, 22, 1, w.charters[0].oid()).envelope}),
            "REFUSE: wider than its parent");
  ASSERT_TRUE(w.Apply(w.Say(1, RevokeType::kKey, KidOfSeed(kBorealis)), 9).ok());
  const Link leaf{KidOfSeed(kAtlas), KidOfSeed(kBorealis), 1, 1, Oid{}};
  EXPECT_FALSE(w.restrictions.Judge({&leaf, 1}, w.charters[0].body, w.expansions).has_value());
  Charter allows = w.charters[0].body;
  allows.suites = {1, 2};
  EXPECT_TRUE(w.restrictions.Judge({&leaf, 1}, allows, w.expansions).has_value());
}

TEST(SuitesTest, ARequestIsOfSuitesThatTheCharterLists) {
  constexpr Suite kE = Suite::kEd25519, kR = Suite::kRistretto;
  for (const Suite one_time : {kE, kR}) {
    for (const Suite joiner : {kE, kR}) {
      const Roles roles = {
          "", [&](uint8_t n) { return n == 4   ? one_time
                                      : n == 5 ? joiner
                                               : kE; }, {1, 2}};
      const Cast cast(roles);
      World w;
      Invite i;
      i.scope = w.scope;
      i.seq = 3;
      i.not_before = kT;
      i.ttl = 3'600;
      i.charter = w.charters[0].oid();
      i.suite = one_time;
      i.key = KeyOf(4);
      i.members.resize(1);
      const Held<Invite> invite = Make(i, kRoot);
      Request r;
      r.scope = w.scope;
      r.suite = joiner;
      r.key = KeyOf(5);
      r.static_key.bytes.fill(9);
      r.time = kT;
      r.invite = invite.oid();
      const SuiteSeed secret = SeedOf(4);
      const Bytes redeemed = Concat({Bytes(32), ByteView(invite.oid()), ByteView(KidOfSeed(5))});
      const Bytes pae = Pae("aqmesh/1/redeem", one_time, KidOfSeed(4), redeemed);
      r.proof = Signature::From(SignBy(one_time, secret, pae));
      const Held<Request> request = Make(r, 5);
      for (const bool listed : {true, false}) {
        Charter charter = w.charters[0].body;
        if (!listed) charter.suites = {1};
        AuthReport report;
        const auto v = AuthenticateRequest({.request = request,
                                            .invite = invite,
                                            .charter = charter,
                                            .scope = w.scope,
                                            .inviter = KeyOf(kRoot),
                                            .now = WallTime::FromSeconds(kT)},
                                           report);
        ASSERT_TRUE(v.has_value());
        const bool right = listed || (one_time == kE && joiner == kE);
        EXPECT_EQ(v->rung(), right ? Rung::kEscalate : Rung::kRefuse) << report.why;
        EXPECT_EQ(v->reason(), right ? Reason::kJoinWaits : Reason::kAttenuation);
      }
    }
  }
}

// ---- a suite of 2,420 bytes

TEST(LargeSuiteTest, AnAuthoritysGrantTravelsByReferenceAndTheLeafByValue) {  // spec: suites#4
  const Roles roles = Played({1, 65281}, Suite::kLargeTest, Suite::kEd25519, Suite::kEd25519);
  const Cast cast(roles);
  Mesh w;
  EXPECT_GT(w.e.envelope->bytes().size(), kInitiationRoom);  // in no bundle, by its size alone
  EXPECT_TRUE(ParseObject<Grant>(w.e.envelope->bytes()).ok());
  EXPECT_TRUE(ParseObject<Charter>(w.charters[0].envelope->bytes()).ok());
  const Held<Presentation> p = Make(w.p, kBorealis);
  EXPECT_LE(2 * kItemBytes + w.n.envelope->bytes().size() + p.envelope->bytes().size(),
            kInitiationRoom);
  EXPECT_LE(w.n.envelope->bytes().size(), kLeafGrantBytesMax);
  w.presentation = &p;
  // Who knows the issuer from before asks for the grant; once that is held, all is well.
  w.store.Recall(KidOfSeed(kAtlas), KeyOf(kAtlas));
  EXPECT_EQ(w.Says({w.n.envelope}), "DEFER: objects missing");
  EXPECT_THAT(w.report.missing, ::testing::Each(RefOf(w.e.oid())));
  w.store.Put(w.e.envelope);
  EXPECT_EQ(w.Says({w.n.envelope}), "ADMIT") << w.report.why;
  EXPECT_EQ(w.report.signature_checks, 3u);
}

TEST(LargeSuiteTest, WhatTravelsByValueDoesNotTakeItsSignatures) {  // spec: suites#4
  EXPECT_FALSE(SignsPresentations(Suite::kLargeTest));
  EXPECT_FALSE(SignsPresentations(Suite::kX25519Static));
  EXPECT_TRUE(SignsPresentations(Suite::kRistretto));
  for (const Ctx ctx : {Ctx::kPresentation, Ctx::kRequest, Ctx::kInvite})
    EXPECT_EQ(SignedBytesMax(ctx, Suite::kLargeTest), SignedBytesMax(ctx, Suite::kEd25519));
  EXPECT_GT(SignedBytesMax(Ctx::kGrant, Suite::kLargeTest), 1'280u + 2'356u);
  const Roles roles = {"", [](uint8_t) { return Suite::kLargeTest; }, {65281}};
  const Cast cast(roles);
  World w;
  Presentation p;
  p.role = 1;
  p.h.bytes.fill(7);
  p.rx_handle = p.charter_version = 1;
  p.refs = {Ref16{}};
  p.refs[0].bytes.fill(1);
  const auto presented = ParseObject<Presentation>(Make(p, kBorealis).envelope->bytes());
  EXPECT_THAT(std::string(presented.status().message()), HasSubstr("at most 432"));
  Grant leaf = w.Base(kBorealis, Class::kNode, w.charters[0].oid());
  leaf.seq = 1;
  EXPECT_THAT(std::string(TryEncodeBody(leaf).status().message()),
              HasSubstr("do not fit a presentation"));
  leaf.suite = Suite::kEd25519;
  const auto granted = ParseObject<Grant>(Make(leaf, kRoot).envelope->bytes());
  EXPECT_THAT(std::string(granted.status().message()), HasSubstr("at most 640 bytes"));
}

TEST(LargeSuiteTest, ItsFillIsPartOfTheSignature) {
  const SuiteSeed seed = SeedOf(kRoot);
  const Bytes message = {1};
  Bytes sig = SignBy(Suite::kLargeTest, seed, message);
  ASSERT_EQ(sig.size(), 64u + 2'356u);
  EXPECT_TRUE(VerifyBy(Suite::kLargeTest, PublicOf(Suite::kLargeTest, seed), message, sig));
  sig[1'000] = 0;
  EXPECT_FALSE(VerifyBy(Suite::kLargeTest, PublicOf(Suite::kLargeTest, seed), message, sig));
  EXPECT_FALSE(VerifyBy(Suite::kEd25519, PublicOf(Suite::kEd25519, seed), message, sig));
}

}  // namespace
}  // namespace aqmesh::authority
