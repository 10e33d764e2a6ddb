#include "core/authority/restrictions.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/crypto/hash.h"
#include "tests/core/authority/roles_for_test.h"

namespace aqmesh::authority {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the vocabulary of these stories

constexpr uint8_t kAtlas = 2, kBorealis = 3;

class RestrictionsTest : public RolesTest {};

// A stream of floors by one signer, linked.
std::vector<Held<Revoke>> Stream(const World& w,
                                 uint8_t by,
                                 uint64_t count,
                                 uint8_t subject = kBorealis) {
  std::vector<Held<Revoke>> out;
  for (uint64_t seq = 1; seq <= count; ++seq) {
    std::optional<Oid> prev;
    if (seq > 1) prev = out.back().oid();
    out.push_back(Make(w.Say(seq, RevokeType::kFloor, KidOfSeed(subject), seq, prev), by));
  }
  return out;
}

TEST(RestrictionsVectorsTest, TheVectorsRootComesOut) {  // spec/objects.md §8
  World w;
  const Held<Revoke> r = Make(w.Say(1, RevokeType::kFloor, KidOfSeed(kBorealis), 2), kAtlas);
  EXPECT_EQ(ToHex(r.oid()), "c65261b6ebccf2c277bf4cba275a049bbda01b68784484615fa53dffcb287386");
  ASSERT_TRUE(w.restrictions.Add(r, KeyOf(kAtlas), w.expansions).ok());
  EXPECT_EQ(ToHex(w.restrictions.Root()),
            "5d8f1ba4fede53395a486e839921b7f7323dd126bb537a290597842b3cbd9357");
  const Restrictions::Row row = w.restrictions.Rows()[0];
  EXPECT_EQ(Restrictions::Row::Parse(row.Encode()), row);
  EXPECT_EQ(Restrictions::Row::Parse(ByteView(row.Encode()).first(55)), std::nullopt);
}

TEST_P(RestrictionsTest, RefusesWhatTheSignerDidNotSay) {
  World w;
  const Revoke body = w.Say(1, RevokeType::kFloor, KidOfSeed(kBorealis), 2);
  EXPECT_FALSE(w.restrictions.Add(Make(body, kAtlas), KeyOf(9), w.expansions).ok());  // another key
  Held<Revoke> forged = Make(body, kAtlas);
  Bytes bytes = forged.envelope->bytes();
  bytes.back() ^= 1;
  forged.envelope = std::make_shared<const Signed>(*Signed::Parse(bytes));
  EXPECT_FALSE(w.restrictions.Add(forged, KeyOf(kAtlas), w.expansions).ok());
  Revoke foreign = body;
  foreign.scope.bytes[0] ^= 1;
  EXPECT_FALSE(w.restrictions.Add(Make(foreign, kAtlas), KeyOf(kAtlas), w.expansions).ok());
  EXPECT_EQ(w.restrictions.size(), 0u);
}

TEST_P(RestrictionsTest, AnyOrderAndAnyRepetitionGiveOneState) {  // a join-semilattice
  World home;
  std::vector<Held<Revoke>> all;
  for (const uint8_t by : std::initializer_list<uint8_t>{2, 3, 4}) {
    for (Held<Revoke>& r : Stream(home, by, 5)) all.push_back(std::move(r));
  }
  all.push_back(Make(home.Say(3, RevokeType::kFloor, KidOfSeed(9), 7, all[1].oid()),
                     2));  // signer 2 forks at 3
  all.push_back(Make(home.Say(kTerminalSeq, RevokeType::kKey, KidOfSeed(4)), 4));
  std::optional<Digest> root;
  std::optional<std::vector<std::string>> judged;
  Rng rng(Rng::Seed{1});
  for (int round = 0; round < 40; ++round) {
    World w;
    std::vector<Held<Revoke>> order = all;
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.Below(i)]);
    for (int again = 0; again < 5; ++again) order.push_back(order[rng.Below(order.size())]);
    for (const Held<Revoke>& r : order) {
      uint8_t by = 2;
      while (KidOfSeed(by) != r.signer()) ++by;
      ASSERT_TRUE(w.restrictions.Add(r, KeyOf(by), w.expansions).ok());
    }
    std::vector<std::string> says;
    for (const uint8_t by : std::initializer_list<uint8_t>{2, 3, 4, 5}) {
      for (uint32_t generation = 0; generation < 9; ++generation) {
        const Link link{KidOfSeed(by), KidOfSeed(kBorealis), 1, generation, Oid{}};
        const MaybeObjection o = w.restrictions.Judge({&link, 1}, w.charters[0].body, w.expansions);
        says.push_back(o ? std::string(ReasonName(o->reason)) : "");
      }
    }
    if (!root) root = w.restrictions.Root(), judged = says;
    ASSERT_EQ(w.restrictions.Root(), *root) << "round " << round;
    ASSERT_EQ(says, *judged) << "round " << round;
    ASSERT_EQ(w.restrictions.proofs().size(), 1u);
  }
}

TEST_P(RestrictionsTest, AGapActsAtOnceButIsNoHead) {
  World w;
  const std::vector<Held<Revoke>> s = Stream(w, kAtlas, 3);
  ASSERT_TRUE(w.restrictions.Add(s[2], KeyOf(kAtlas), w.expansions).ok());
  const Link link{KidOfSeed(kAtlas), KidOfSeed(kBorealis), 1, 2, Oid{}};
  EXPECT_TRUE(w.restrictions.Judge({&link, 1}, w.charters[0].body, w.expansions).has_value());
  EXPECT_TRUE(w.restrictions.Rows().empty());
  EXPECT_EQ(w.restrictions.MissingFor({}), std::vector<Ref16>{RefOf(s[1].oid())});
  ASSERT_TRUE(w.restrictions.Add(s[1], KeyOf(kAtlas), w.expansions).ok());
  EXPECT_EQ(w.restrictions.MissingFor({}), std::vector<Ref16>{RefOf(s[0].oid())});
  ASSERT_TRUE(w.restrictions.Add(s[0], KeyOf(kAtlas), w.expansions).ok());
  EXPECT_EQ(w.restrictions.Rows()[0].seq, 3u);
  EXPECT_TRUE(w.restrictions.MissingFor({}).empty());
}

TEST_P(RestrictionsTest, WhoLacksAStatementDoesNotCoverTheRow) {  // threat row 36
  World a, b;
  for (const Held<Revoke>& r : Stream(a, kAtlas, 3))
    ASSERT_TRUE(a.restrictions.Add(r, KeyOf(kAtlas), a.expansions).ok());
  ASSERT_TRUE(b.restrictions.Add(Stream(b, kAtlas, 1)[0], KeyOf(kAtlas), b.expansions).ok());
  EXPECT_TRUE(a.restrictions.Covers(b.restrictions.Rows()));  // being ahead is fine
  EXPECT_FALSE(b.restrictions.Covers(a.restrictions.Rows()));
  for (int round = 0; round < 5 && !b.restrictions.Covers(a.restrictions.Rows()); ++round) {
    for (const Ref16& ref : b.restrictions.MissingFor(a.restrictions.Rows())) {
      const auto held = ParseObject<Revoke>(a.restrictions.Statement(ref)->bytes());
      ASSERT_TRUE(held.ok() && b.restrictions.Add(*held, KeyOf(kAtlas), b.expansions).ok());
    }
  }
  EXPECT_TRUE(b.restrictions.Covers(a.restrictions.Rows()));
  EXPECT_EQ(a.restrictions.Root(), b.restrictions.Root());
  World empty;
  EXPECT_EQ(a.restrictions.Beyond(empty.restrictions.Rows()).size(), 3u);
  EXPECT_TRUE(a.restrictions.Beyond(b.restrictions.Rows()).empty());
}

TEST_P(RestrictionsTest, ATerminalStatementHidesNothingBelowIt) {
  World a, b;
  const auto s = Stream(a, kAtlas, 2);
  const Held<Revoke> end = Make(a.Say(kTerminalSeq, RevokeType::kKey, KidOfSeed(kAtlas)), kAtlas);
  for (const auto& r : s) ASSERT_TRUE(a.restrictions.Add(r, KeyOf(kAtlas), a.expansions).ok());
  ASSERT_TRUE(a.restrictions.Add(end, KeyOf(kAtlas), a.expansions).ok());
  ASSERT_TRUE(b.restrictions.Add(end, KeyOf(kAtlas), b.expansions).ok());
  EXPECT_FALSE(b.restrictions.Covers(a.restrictions.Rows()));
  EXPECT_TRUE(a.restrictions.proofs().empty());  // it conflicts with no other statement
  const Held<Revoke> other = Make(a.Say(kTerminalSeq, RevokeType::kKey, KidOfSeed(9)), kAtlas);
  EXPECT_FALSE(a.restrictions.Add(other, KeyOf(kAtlas), a.expansions).ok());
}

TEST_P(RestrictionsTest, TwoStatementsUnderOneNumberAreAProofAndBothRestrict) {  // threat row 16
  World w;
  const Held<Revoke> one = Make(w.Say(1, RevokeType::kFloor, KidOfSeed(kBorealis), 2), kAtlas);
  const Held<Revoke> two = Make(w.Say(1, RevokeType::kFloor, KidOfSeed(9), 2), kAtlas);
  ASSERT_TRUE(w.restrictions.Add(one, KeyOf(kAtlas), w.expansions).ok());
  ASSERT_TRUE(w.restrictions.Add(two, KeyOf(kAtlas), w.expansions).ok());
  ASSERT_EQ(w.restrictions.proofs().size(), 1u);
  const Equivocation& e = w.restrictions.proofs()[0];
  EXPECT_LT(e.oids[0], e.oids[1]);
  const Equivocation again = ProveEquivocation(*two.envelope, *one.envelope);
  EXPECT_EQ(e.proof, again.proof);
  EXPECT_EQ(e.id, again.id);
  EXPECT_EQ(LoadLe<uint16_t>(e.proof.data()), one.envelope->bytes().size());
  EXPECT_TRUE(w.restrictions.Collapsed(KidOfSeed(kAtlas), w.charters[0].body));
  EXPECT_FALSE(w.restrictions.Collapsed(KidOfSeed(kBorealis), w.charters[0].body));
}

TEST_P(RestrictionsTest, AQuorumOfThreeNeedsItsVotesAndNeverCountsItsTarget) {
  Charter c = HomeCharter();
  c.voters = {{SuiteOf(1), KeyOf(1), 1, "a", {}},
              {SuiteOf(20), KeyOf(20), 1, "b", {}},
              {SuiteOf(21), KeyOf(21), 1, "c", {}},
              {SuiteOf(22), KeyOf(22), 1, "d", {}}};
  SortVoters(c.voters);
  c.q_reg = c.q_sens = 3;
  World w(c);
  const Held<Revoke> key = Make(w.Say(1, RevokeType::kKey, KidOfSeed(kBorealis)), 1);
  ASSERT_TRUE(w.restrictions.Add(key, KeyOf(1), w.expansions).ok());
  const Link leaf{KidOfSeed(kAtlas), KidOfSeed(kBorealis), 1, 1, Oid{}};
  const auto dead = [&] { return w.restrictions.Judge({&leaf, 1}, c, w.expansions).has_value(); };
  const auto vote = [&](uint8_t by) {
    Cosign v;
    v.scope = w.scope;
    v.slot = 2;
    v.id = KidOfSeed(1);
    v.number = 1;
    v.target = key.oid();
    v.time = kT;
    return w.restrictions.Add(Make(v, by), KeyOf(by));
  };
  EXPECT_FALSE(dead());
  ASSERT_TRUE(vote(20).ok());
  ASSERT_TRUE(vote(20).ok());  // distinct keys count
  EXPECT_FALSE(dead());
  ASSERT_TRUE(vote(30).ok());  // no voter
  EXPECT_FALSE(dead());
  ASSERT_TRUE(vote(21).ok());
  EXPECT_TRUE(dead());
}

TEST_P(RestrictionsTest, RotationsFormALineageOfCommittedKeys) {
  World w;
  const auto rotate = [&](uint8_t from, uint8_t to, uint8_t step) {
    Rotate r;
    r.scope = w.scope;
    r.seq = 1;
    r.old = KidOfSeed(from);
    r.suite = SuiteOf(to);
    r.key = KeyOf(to);
    r.hlc = 1;
    r.step = step;
    return Make(r, to);
  };
  EXPECT_FALSE(w.restrictions.Add(rotate(3, 8, 1), NextOf(7)).ok());  // never committed to
  ASSERT_TRUE(w.restrictions.Add(rotate(3, 8, 1), NextOf(8)).ok());
  ASSERT_TRUE(w.restrictions.Add(rotate(3, 8, 1), NextOf(8)).ok());
  ASSERT_TRUE(w.restrictions.Add(rotate(8, 9, 2), NextOf(9)).ok());
  EXPECT_FALSE(w.restrictions.Add(rotate(9, 3, 3), NextOf(3)).ok());  // a ring
  EXPECT_EQ(w.restrictions.First(KidOfSeed(9)), KidOfSeed(3));
  EXPECT_EQ(w.restrictions.Newest(KidOfSeed(3)), KidOfSeed(9));
  EXPECT_EQ(w.restrictions.Rows().size(), 2u);
}

TEST(RestrictionsBoundsTest, BoundsHold) {
  World w;
  const Held<Revoke> far =
      Make(w.Say(Restrictions::kAheadMax + 1, RevokeType::kFloor, KidOfSeed(9), 1, Oid{}), kAtlas);
  EXPECT_EQ(w.restrictions.Add(far, KeyOf(kAtlas), w.expansions).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(ExpansionsTest, KnowsWhatWasHeldBeforeWhat) {
  World w;
  const auto a = w.Node(kAtlas, 5, 1, Oid{}), b = w.Node(kAtlas, 6, 2, Oid{}),
             twin = w.Node(kAtlas, 7, 2, Oid{});
  EXPECT_FALSE(w.expansions.Add(a.envelope, 1).has_value());
  const uint64_t cut = w.expansions.count();
  EXPECT_FALSE(w.expansions.Add(b.envelope, 2).has_value());
  EXPECT_TRUE(w.expansions.HeldBefore(KidOfSeed(kAtlas), 1, a.oid(), cut));
  EXPECT_FALSE(w.expansions.HeldBefore(KidOfSeed(kAtlas), 2, b.oid(), cut));
  EXPECT_TRUE(w.expansions.Conflicts(KidOfSeed(kAtlas), 2, twin.oid()));
  EXPECT_TRUE(w.expansions.Add(twin.envelope, 2).has_value());
  EXPECT_FALSE(w.expansions.Add(twin.envelope, 2).has_value());  // once
}

TEST(ObjectStoreTest, FindsByOidAndByRefAndKeepsWhatIsPinned) {
  World w;
  ObjectStore store;
  const auto pinned = w.Node(1, 5, 1, w.charters[0].oid());
  store.Put(pinned.envelope, true);
  const auto first = w.Node(1, 6, 2, w.charters[0].oid());
  store.Put(first.envelope);
  Grant g = w.NodeBody(7, 0, w.charters[0].oid());
  for (size_t i = 0; i < ObjectStore::kHeldMax; ++i) {
    g.seq = 10 + i;
    store.Put(Make(g, 1).envelope);
  }
  EXPECT_EQ(store.size(), ObjectStore::kHeldMax);
  EXPECT_NE(store.FindRef(pinned.envelope->ref()), nullptr);
  EXPECT_EQ(store.Find(first.oid()), nullptr);
}

TEST(SignatureCacheTest, IsKeyedByTheExactBytesAndTheKey) {
  World w;
  SignatureCache cache;
  const auto n = w.Node(1, 5, 1, w.charters[0].oid());
  cache.Put(*n.envelope, KeyOf(1));
  EXPECT_TRUE(cache.Holds(*n.envelope, KeyOf(1)));
  EXPECT_FALSE(cache.Holds(*n.envelope, KeyOf(2)));
  Bytes bytes = n.envelope->bytes();
  bytes.back() ^= 1;  // same oid, another signature
  EXPECT_FALSE(cache.Holds(*Signed::Parse(bytes), KeyOf(1)));
}

INSTANTIATE_TEST_SUITE_P(Of, RestrictionsTest, ::testing::ValuesIn(AllRoles()), NameOfRoles);

}  // namespace
}  // namespace aqmesh::authority
