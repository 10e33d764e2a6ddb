#include "core/authority/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/status.h"
#include "tests/core/authority/council_for_test.h"
#include "tests/core/authority/roles_for_test.h"

namespace aqmesh::authority {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the vocabulary of these stories

class CertificateTest : public RolesTest {};
class CharterSuccessionTest : public RolesTest {};
using ::testing::HasSubstr;

const std::vector<Seat> kFour = {{1, 1, "a"}, {2, 1, "b"}, {3, 1, "c"}, {4, 1, "d"}};
const std::vector<Seat> kFive = {{1, 1, "a"}, {2, 1, "b"}, {3, 1, "c"}, {4, 1, "d"}, {5, 1, "e"}};
const std::vector<Seat> kWitnesses = {{11, 1, "a"}, {12, 1, "b"}, {13, 1, "c"}, {14, 1, "d"}};

class Court {
 public:
  explicit Court(const Charter& c)
      : charter(Make(c, 1)), scope(ScopeIdOf(charter)), restrictions(scope) {}

  template <class T>
  Certificate With(const Held<T>& object, const std::vector<uint8_t>& voters) const {
    Certificate out{*SlotOf(*object.envelope), object.envelope, {}};
    for (const uint8_t v : voters) out.votes.push_back(VoteFor(*object.envelope, v));
    return out;
  }
  std::string Says(const Certificate& c) const {
    const absl::Status s = CheckCertificate(c, charter, &restrictions);
    return s.ok() ? "certified" : Text(s);
  }
  template <class T>
  std::string Says(const Held<T>& object, const std::vector<uint8_t>& voters) const {
    return Says(With(object, voters));
  }

  Revoke Say(RevokeType type, uint8_t about, uint64_t bound = 0) const {
    Revoke r;
    r.scope = scope;
    r.seq = 1;
    r.hlc = (kT * 1000) << 16;
    r.type = type;
    if (type == RevokeType::kOid) {
      r.oid.emplace().bytes.fill(about);
    } else {
      r.kid = KidOfSeed(about);
    }
    if (type == RevokeType::kFloor) r.floor = static_cast<uint32_t>(bound);
    if (type == RevokeType::kIssuerFrom) r.from = bound;
    return r;
  }

  Held<Charter> charter;
  ScopeId scope;
  Restrictions restrictions;
};

Treaty TreatyOf(const ScopeId& scope) {
  Treaty t;
  t.scope = scope;
  t.seq = 3;
  t.not_before = kT;
  t.ttl = 1'000;
  t.foreign.bytes.fill(0x44);
  t.foreign_version = t.charter_version = 1;
  t.classes = ClassBit(Class::kNode);
  t.ceiling = Rung::kConstrain;
  t.max_age = 3'600;
  return t;
}

Pardon PardonOf(const ScopeId& scope, uint8_t subject) {
  Pardon p;
  p.scope = scope;
  p.seq = 4;
  p.hlc = (kT * 1000) << 16;
  p.subject = KidOfSeed(subject);
  p.suite = SuiteOf(77);
  p.key = KeyOf(77);
  p.lifts = Lifts::kCollapse;
  return p;
}

TEST_P(CertificateTest, AnAuthoritysGrantNeedsTheRegularQuorum) {  // spec: quorum#4
  for (const Counting counting : {Counting::kWeighted, Counting::kNestedGroups}) {
    const Court court(CouncilCharter(kFour, counting));
    const Held<Grant> region = Make(RegionBody(court.scope, 5), 1);
    EXPECT_EQ(court.Says(region, {2, 3}), "certified");
    EXPECT_EQ(court.Says(region, {2, 3, 4}), "certified");
    EXPECT_THAT(court.Says(region, {2}), HasSubstr("give 2 of 3"));
    EXPECT_THAT(court.Says(region, {2, 2, 2}), HasSubstr("give 2 of 3"));
    // By one who is no voter: the chain judges the signer, the votes say the rest.
    const Held<Grant> other = Make(RegionBody(court.scope, 5), 50);
    EXPECT_THAT(court.Says(other, {1, 2}), HasSubstr("give 2 of 3"));
    EXPECT_EQ(court.Says(other, {1, 2, 3}), "certified");
  }
}

TEST_P(CertificateTest, WhatNeedsNoVotesHasNone) {  // spec: quorum#4
  const Court court(CouncilCharter(kFour));
  Grant node = RegionBody(court.scope, 5);
  node.cls = Class::kNode;
  node.caps = kNodeCaps;
  node.depth_left = 0;
  EXPECT_THAT(court.Says(Make(node, 1), {2, 3}), HasSubstr("a NODE grant needs no votes"));
  Fragment f;
  f.scope = court.scope;
  f.seq = 1;
  f.not_before = kT;
  f.ttl = 10;
  f.authority = court.charter.oid();
  f.charter_version = 1;
  f.rules.emplace_back().protos = {255};
  EXPECT_THAT(court.Says(Make(f, 1), {2, 3}), HasSubstr("a fragment needs no votes"));
}

TEST_P(CertificateTest, WhatItCitesHasToFit) {
  const Court court(CouncilCharter(kFour)), elsewhere(CouncilCharter(kFive));
  const Held<Grant> region = Make(RegionBody(court.scope, 5), 1);
  const Certificate good = court.With(region, {2, 3});
  Certificate bad = good;
  bad.slot.number = 6;
  EXPECT_THAT(court.Says(bad), HasSubstr("a vote in it is about something else"));
  bad.votes.clear();
  EXPECT_THAT(court.Says(bad), HasSubstr("its slot is not the object's"));
  bad = good;
  bad.votes.push_back(VoteFor(*Make(RegionBody(court.scope, 5, 91), 1).envelope, 4));
  EXPECT_THAT(court.Says(bad), HasSubstr("about something else"));
  EXPECT_THAT(elsewhere.Says(good), HasSubstr("another scope"));
  bad = good;
  bad.votes[1] = Forged(bad.votes[1]);
  EXPECT_THAT(court.Says(bad), HasSubstr("give 2 of 3"));
  bad = court.With(Forged(region), {2, 3, 4});
  EXPECT_THAT(court.Says(bad), HasSubstr("signature of the grant is wrong"));
  bad = good;
  bad.votes.resize(Certificate::kVotesMax + 1, good.votes[0]);
  EXPECT_THAT(court.Says(bad), HasSubstr("257 votes"));
  bad.votes.resize(Certificate::kVotesMax, good.votes[0]);
  EXPECT_EQ(court.Says(bad), "certified");
}

TEST_P(CertificateTest, TreatyAndPardonNeedTheRegularQuorum) {  // spec: quorum#4
  const Court court(CouncilCharter(kFour));
  const Held<Treaty> treaty = Make(TreatyOf(court.scope), 1);
  EXPECT_EQ(court.Says(treaty, {2, 3}), "certified");
  EXPECT_THAT(court.Says(treaty, {2}), HasSubstr("for the treaty give 2 of 3"));
  EXPECT_EQ(court.Says(Make(PardonOf(court.scope, 60), 1), {2, 3}), "certified");
  // A voter does not pardon itself, neither by its vote nor by its own object.
  EXPECT_THAT(court.Says(Make(PardonOf(court.scope, 3), 1), {2, 3}), HasSubstr("give 2 of 3"));
  EXPECT_EQ(court.Says(Make(PardonOf(court.scope, 3), 1), {2, 4}), "certified");
  EXPECT_THAT(court.Says(Make(PardonOf(court.scope, 1), 1), {2, 3}), HasSubstr("give 2 of 3"));
}

TEST_P(CertificateTest, ARevocationByTheVotersNeedsTheSensitiveQuorum) {  // spec: quorum#4
  Charter c = CouncilCharter(kFive);
  c.q_reg = 4, c.q_sens = 5;
  const Court court(c);
  const Held<Revoke> cut = Make(court.Say(RevokeType::kIssuerFrom, 60, 9), 1);
  EXPECT_EQ(court.Says(cut, {2, 3, 4, 5}), "certified");
  EXPECT_THAT(court.Says(cut, {2, 3, 4}), HasSubstr("for the revoke give 4 of 5"));
  EXPECT_EQ(court.Says(Make(RegionBody(court.scope, 5), 1), {2, 3, 4}), "certified");
  // The cut of a voter's own stream counts that voter; the end of its key does not.
  EXPECT_EQ(court.Says(Make(court.Say(RevokeType::kIssuerFrom, 2, 9), 1), {2, 3, 4, 5}),
            "certified");
  EXPECT_THAT(court.Says(Make(court.Say(RevokeType::kKey, 2), 1), {2, 3, 4, 5}),
              HasSubstr("give 4 of 5"));
  EXPECT_EQ(court.Says(Make(court.Say(RevokeType::kKey, 60), 1), {2, 3, 4, 5}), "certified");
  EXPECT_EQ(court.Says(Make(court.Say(RevokeType::kOid, 60), 1), {2, 3, 4, 5}), "certified");
}

TEST_P(CertificateTest, AnAuthoritysRotationNeedsTheWitnesses) {  // spec: quorum#4
  const Court court(CouncilCharter(kFour, Counting::kWeighted, kWitnesses));
  Rotate r;
  r.scope = court.scope;
  r.seq = 1;
  r.old = KidOfSeed(60);
  r.suite = SuiteOf(61);
  r.key = KeyOf(61);
  r.hlc = 1;
  r.step = 1;
  EXPECT_EQ(court.Says(Make(r, 61), {11, 12, 13}), "certified");
  EXPECT_THAT(court.Says(Make(r, 61), {11, 12}), HasSubstr("give 2 of 3"));
  EXPECT_THAT(court.Says(Make(r, 61), {1, 2, 3, 4}), HasSubstr("give 0 of 3"));
  EXPECT_THAT(Court(CouncilCharter(kFour)).Says(Make(r, 61), {}), HasSubstr("another scope"));
  r.old = KidOfSeed(2);
  EXPECT_THAT(court.Says(Make(r, 61), {11, 12, 13}), HasSubstr("a voter's own rotate needs no"));
  const Court none(CouncilCharter(kFour));
  r.old = KidOfSeed(60);
  r.scope = none.scope;
  EXPECT_THAT(none.Says(Make(r, 61), {1, 2, 3}), HasSubstr("names no witnesses"));
}

TEST_P(CertificateTest, AVoterThatRotatedVotesUnderItsNewestKey) {  // spec: quorum#2
  std::vector<Seat> seats = kFour;
  seats[1].next = 22;
  Court court(CouncilCharter(seats));
  const Held<Grant> region = Make(RegionBody(court.scope, 5), 1);
  EXPECT_EQ(court.Says(region, {2, 3}), "certified");
  ASSERT_TRUE(Rotated(court.restrictions, court.scope, 2, 22).ok());
  EXPECT_THAT(court.Says(region, {2, 3}), HasSubstr("give 2 of 3"));
  EXPECT_EQ(court.Says(region, {22, 3}), "certified");
  EXPECT_THAT(court.Says(region, {22, 2}), HasSubstr("give 2 of 3"));
  // Its pardon names an older key of it: the lineage does not count.
  EXPECT_THAT(court.Says(Make(PardonOf(court.scope, 2), 1), {22, 3}), HasSubstr("give 2 of 3"));
}

TEST_P(CertificateTest, WhatARuleCollectedIsTheCertificate) {
  const Court court(CouncilCharter(kFour));
  const Held<Grant> region = Make(RegionBody(court.scope, 5), 1);
  const Slot slot = *SlotOf(*region.envelope);
  auto rule = RuleFor(slot, region.envelope, court.charter, &court.restrictions);
  ASSERT_TRUE(rule.ok()) << rule.status();
  for (const uint8_t by : Bytes{4, 50, 2}) {
    EXPECT_FALSE(rule->Certified());
    EXPECT_NE(court.Says(CertificateOf(*rule)), "certified");
    rule->Add(VoteFor(*region.envelope, by));
  }
  EXPECT_TRUE(rule->Certified());
  EXPECT_EQ(CertificateOf(*rule).votes.size(), 2u);
  EXPECT_EQ(court.Says(CertificateOf(*rule)), "certified");
}

TEST_P(CertificateTest, TheChainCountsByTheChartersRule) {  // spec: quorum#3
  // Six of nine by weight, but of one group of four only.
  const std::vector<Seat> seats = {{1, 6, "a"}, {2, 1, "b"}, {3, 1, "c"}, {4, 1, "d"}};
  for (const Counting counting : {Counting::kWeighted, Counting::kNestedGroups}) {
    Charter c = CouncilCharter(seats, counting);
    World w(c);
    Grant body = RegionBody(w.scope, 5, 2 + 50);
    body.parent = w.charters[0].oid();
    const Held<Grant> region = Make(body, 1);
    Grant node = w.NodeBody(3 + 50, 1, region.oid());
    const std::vector<SignedPtr> chain = {Make(node, 2 + 50).envelope, region.envelope};
    EXPECT_EQ(w.Says(chain), "REFUSE: class or capability");
    ASSERT_TRUE(w.restrictions.Add(VoteFor(*region.envelope, 2), KeyOf(2)).ok());
    EXPECT_EQ(w.Says(chain),
              counting == Counting::kWeighted ? "ADMIT" : "REFUSE: class or capability");
    ASSERT_TRUE(w.restrictions.Add(VoteFor(*region.envelope, 3), KeyOf(3)).ok());
    EXPECT_EQ(w.Says(chain), "ADMIT");
  }
}

TEST_P(CertificateTest, TheChainCountsALineageOnce) {  // spec: quorum#2
  std::vector<Seat> seats = {{1, 1, "a"}, {2, 1, "b", 4}, {3, 1, "c"}, {4, 1, "d"}};
  World w(CouncilCharter(seats));
  const Charter& c = w.charters[0].body;
  const Held<Grant> region = Make(RegionBody(w.scope, 5), 1);
  const auto behind = [&](const Kid& except) {
    return w.restrictions.Behind(region.signer(), region.oid(), c, Quorum::kRegular, except).have;
  };
  ASSERT_TRUE(w.restrictions.Add(VoteFor(*region.envelope, 2), KeyOf(2)).ok());
  ASSERT_TRUE(w.restrictions.Add(VoteFor(*region.envelope, 4), KeyOf(4)).ok());
  EXPECT_EQ(behind({}), 3u);
  ASSERT_TRUE(Rotated(w.restrictions, w.scope, 2, 4).ok());
  EXPECT_EQ(behind({}), 2u);
  EXPECT_EQ(behind(KidOfSeed(4)), 1u);  // whichever key of it is named
}

// ---- charters

std::string Verdict(const Held<Charter>& charter,
                    const Held<Charter>* prev,
                    const std::vector<uint8_t>& voters,
                    const Restrictions* restrictions = nullptr) {
  std::vector<Held<Cosign>> votes;
  for (const uint8_t v : voters) votes.push_back(VoteFor(*charter.envelope, v));
  const absl::Status s = VerifyCharter(charter, prev, votes, restrictions);
  // A certificate of a charter is the same check.
  const Certificate c{*SlotOf(*charter.envelope), charter.envelope, votes};
  EXPECT_EQ(CheckCertificate(c, prev == nullptr ? charter : *prev, restrictions), s);
  return s.ok() ? "in force" : Text(s);
}

TEST(CharterShapeTest, AnUnknownRuleIsRefusedByName) {  // spec: quorum#3
  Charter c = CouncilCharter(kFour);
  c.params = {{kConsensusParam, 2}};
  EXPECT_THAT(Verdict(Make(c, 1), nullptr, {2, 3, 4}),
              HasSubstr("param 24 (how votes are counted) is 2; known are 0 (by weight) and 1"));
  c.params = {{kConsensusParam, 0}};
  EXPECT_EQ(Verdict(Make(c, 1), nullptr, {2, 3, 4}), "in force");
}

TEST(CharterShapeTest, NestedGroupsDoNotPromiseMoreThanTheyCount) {  // spec: quorum#3
  Charter c = CouncilCharter(kFour, Counting::kNestedGroups, kWitnesses);
  EXPECT_EQ(Verdict(Make(c, 1), nullptr, {2, 3, 4}), "in force");
  c.q_sens = 4;
  EXPECT_THAT(Verdict(Make(c, 1), nullptr, {2, 3, 4}), HasSubstr("it has to say 3"));
  c.q_sens = 3, c.q_wit = 4;
  EXPECT_THAT(Verdict(Make(c, 1), nullptr, {2, 3, 4}), HasSubstr("witnesses' quorum"));
}

TEST(CharterShapeTest, WithoutSingleDomainNoGroupMayDoHarmAlone) {  // spec: quorum#5
  const auto verdict = [](const std::vector<Seat>& seats, const std::vector<Seat>& witnesses) {
    Charter c = CouncilCharter(seats, Counting::kWeighted, witnesses);
    c.flags = 0;
    std::vector<uint8_t> all;
    for (const Seat& s : seats) all.push_back(s.seed);
    return Verdict(Make(c, 1), nullptr, all);
  };
  EXPECT_EQ(verdict(kFour, {}), "in force");
  EXPECT_EQ(verdict(kFour, kWitnesses), "in force");
  EXPECT_THAT(verdict({{1, 1, "a"}}, {}),
              HasSubstr("its voters are of 1 groups; with fewer than 4 it has to say"));
  EXPECT_THAT(verdict({{1, 1, "a"}, {2, 1, "b"}, {3, 1, "c"}}, {}), HasSubstr("of 3 groups"));
  // Two of five weigh more than floor((5-1)/3) = 1; two of seven do not.
  EXPECT_THAT(verdict({{1, 1, "a"}, {2, 1, "a"}, {3, 1, "b"}, {4, 1, "c"}, {5, 1, "d"}}, {}),
              HasSubstr("group a holds 2 of the voters' weight, more than 1"));
  EXPECT_EQ(verdict({{1, 1, "a"}, {2, 1, "a"}, {3, 1, "b"}, {4, 2, "c"}, {5, 2, "d"}}, {}),
            "in force");
  EXPECT_THAT(verdict(kFour, {{11, 1, "a"}}), HasSubstr("its witnesses are of 1 groups"));
  EXPECT_THAT(verdict(kFour, {{11, 3, "a"}, {12, 1, "b"}, {13, 1, "c"}, {14, 1, "d"}}),
              HasSubstr("group a holds 3 of the witnesses' weight, more than 1"));
}

TEST_P(CharterSuccessionTest, TakesTheQuorumOfTheVotersBefore) {  // spec: quorum#6
  Charter c = CouncilCharter(kFive);
  c.q_reg = 4, c.q_sens = 5;
  const Held<Charter> first = Make(c, 1);
  Charter next = After(first);
  next.name = "house";
  const Held<Charter> named = Make(next, 2);
  EXPECT_EQ(Verdict(named, &first, {1, 3, 4}), "in force");
  EXPECT_THAT(Verdict(named, &first, {1, 3}), HasSubstr("the voters before it give 3 of 4"));
  EXPECT_THAT(Verdict(Forged(named), &first, {1, 3, 4, 5}),
              HasSubstr("the signature of its signer is wrong"));
  next.q_reg = 5;
  const Held<Charter> stricter = Make(next, 2);
  EXPECT_THAT(Verdict(stricter, &first, {1, 3, 4}), HasSubstr("the voters before it give 4 of 5"));
  EXPECT_EQ(Verdict(stricter, &first, {1, 3, 4, 5}), "in force");
}

TEST_P(CharterSuccessionTest, ASensitiveChangeTakesTheSensitiveQuorum) {  // spec: quorum#6
  Charter c = CouncilCharter(kFive, Counting::kWeighted, kWitnesses);
  c.q_reg = 4, c.q_sens = 5;
  const Held<Charter> first = Make(c, 1);
  struct Case {
    const char* name;
    void (*change)(Charter& c);
    bool sensitive;
  };
  constexpr Case kCases[] = {
      {"name", [](Charter& n) { n.name = "house"; }, false},
      {"grace", [](Charter& n) { n.grace = 9; }, false},
      {"another param", [](Charter& n) { n.params = {{7, 100}}; }, false},
      {"flags", [](Charter& n) { n.flags |= kExclusive; }, true},
      {"q_wit", [](Charter& n) { n.q_wit = 4; }, true},
      {"q_sens", [](Charter& n) { n.q_sens = 4; }, true},
      {"witnesses", [](Charter& n) { n.witnesses[0].group = "z"; }, true},
      {"weights", [](Charter& n) { n.voters[0].weight = 2, n.q_reg = n.q_sens = 5; }, true},
  };
  for (const Case& change : kCases) {
    SCOPED_TRACE(change.name);
    Charter next = After(first);
    change.change(next);
    const Held<Charter> second = Make(next, 1);
    EXPECT_EQ(Verdict(second, &first, {2, 3, 4, 5}), "in force");
    EXPECT_EQ(Verdict(second, &first, {2, 3, 4}) == "in force", !change.sensitive);
  }
}

TEST_P(CharterSuccessionTest, ANewVoterSignsAndADroppedOneIsNotCounted) {  // spec: quorum#6
  const Held<Charter> first = Make(CouncilCharter(kFour), 1);
  Charter next = After(first);
  next.voters = Seated({{1, 1, "a"}, {2, 1, "b"}, {3, 1, "c"}, {6, 1, "d"}});
  const Held<Charter> swapped = Make(next, 1);
  EXPECT_THAT(Verdict(swapped, &first, {2, 3}), HasSubstr("the new voter"));
  EXPECT_EQ(Verdict(swapped, &first, {2, 3, 6}), "in force");
  EXPECT_THAT(Verdict(swapped, &first, {2, 4, 6}), HasSubstr("the voters before it give 2 of 3"));
}

TEST_P(CharterSuccessionTest, NestedGroupsJudgeBothSides) {  // spec: quorum#6
  const std::vector<Seat> seats = {
      {1, 1, "a"}, {2, 1, "a"}, {3, 1, "a"}, {4, 1, "b"}, {5, 1, "c"}, {6, 1, "d"}};
  const Held<Charter> first = Make(CouncilCharter(seats, Counting::kNestedGroups), 1);
  EXPECT_EQ(Verdict(first, nullptr, {2, 3, 4, 5, 6}), "in force");
  Charter next = After(first);
  next.name = "house";
  const Held<Charter> named = Make(next, 4);
  EXPECT_EQ(Verdict(named, &first, {5, 6}), "in force");
  EXPECT_THAT(Verdict(named, &first, {1, 2, 5}),
              HasSubstr("the voters before it give 2 of 3 groups"));
  EXPECT_EQ(Verdict(named, &first, {1, 2, 3, 5}), "in force");
  // By weight three of these six are not enough: the new side judges by its own rule.
  next.params.clear();
  EXPECT_THAT(Verdict(Make(next, 4), &first, {5, 6}),
              HasSubstr("right signatures of its voters give 3 of 5"));
  EXPECT_EQ(Verdict(Make(next, 4), &first, {5, 6, 1, 2}), "in force");
}

TEST_P(CharterSuccessionTest, ARotatedVoterSignsUnderItsNewestKeyAlone) {  // spec: quorum#6
  std::vector<Seat> seats = kFour;
  seats[1].next = 22;
  const Held<Charter> first = Make(CouncilCharter(seats), 1);
  Restrictions restrictions(ScopeIdOf(first));
  ASSERT_TRUE(Rotated(restrictions, ScopeIdOf(first), 2, 22, 32).ok());
  ASSERT_TRUE(Rotated(restrictions, ScopeIdOf(first), 22, 32, 0, 2).ok());
  Charter next = After(first);
  next.name = "house";
  for (const uint8_t by : Bytes{1, 32}) {  // the row may still have the old key
    const Held<Charter> named = Make(next, by);
    EXPECT_EQ(Verdict(named, &first, {1, 3, 32}, &restrictions), "in force");
    EXPECT_EQ(Verdict(named, &first, {1, 2, 22}, &restrictions) == "in force", false);
  }
  // The rotation brings the new key into its row: nobody new, nobody moved.
  std::vector<Seat> rows = kFour;
  rows[1] = {32, 1, "b"};
  next.voters = Seated(rows);
  EXPECT_EQ(Verdict(Make(next, 32), &first, {1, 3}, &restrictions), "in force");
  EXPECT_EQ(Verdict(Make(next, 1), &first, {3, 4}, &restrictions), "in force");
  EXPECT_THAT(Verdict(Make(next, 1), &first, {3, 4}), HasSubstr("the new voter"));
  // Another commitment under the same key is not that voter's to make.
  rows = seats;
  rows[2].next = 99;
  next.voters = Seated(rows);
  EXPECT_THAT(Verdict(Make(next, 1), &first, {3, 32}, &restrictions),
              HasSubstr("the voters before it give 2 of 3"));
  EXPECT_EQ(Verdict(Make(next, 1), &first, {4, 32}, &restrictions), "in force");
}

TEST_P(CharterSuccessionTest,
       TwoProposalsForOneVersionDoNotBothCountAVoter) {  // spec: quorum#7, #8
  const Held<Charter> first = Make(CouncilCharter(kFour), 1);
  std::array<Held<Charter>, 2> proposals;
  for (size_t i = 0; i < 2; ++i) {
    Charter next = After(first);
    next.name = i == 0 ? "house" : "hut";
    proposals[i] = Make(next, static_cast<uint8_t>(i + 1));
  }
  std::array<SlotBook, 4> books;
  const auto may = [&](uint8_t voter, size_t proposal) {
    const auto& p = proposals[proposal];
    return books[voter - 1u].Take(*SlotOf(*p.envelope), p.oid(), kT).permit == Permit::kSign;
  };
  EXPECT_TRUE(may(1, 0) && may(2, 1) && may(3, 0) && may(4, 1));
  EXPECT_FALSE(may(1, 1) || may(2, 0) || may(3, 1) || may(4, 0));  // split: neither, for ever
  EXPECT_NE(Verdict(proposals[0], &first, {3}), "in force");
  EXPECT_NE(Verdict(proposals[1], &first, {4}), "in force");
}

// Some of these are of leaves by a voter, which no large signature may be under.
INSTANTIATE_TEST_SUITE_P(Of, CertificateTest, ::testing::ValuesIn(SmallRoles()), NameOfRoles);
INSTANTIATE_TEST_SUITE_P(Of, CharterSuccessionTest, ::testing::ValuesIn(AllRoles()), NameOfRoles);

}  // namespace
}  // namespace aqmesh::authority
