#include "core/authority/quorum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "tests/core/authority/council_for_test.h"
#include "tests/core/authority/random_objects.h"

namespace aqmesh::authority {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the vocabulary of these stories

// "a1 b2": a voter of weight 1 in group a, one of weight 2 in group b; seeds from 1 on.
std::vector<Seat> SeatsOf(const std::string& text) {
  std::vector<Seat> seats;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    seats.push_back({.seed = static_cast<uint8_t>(seats.size() + 1),
                     .weight = static_cast<uint16_t>(std::stoul(word.substr(1))),
                     .group = word.substr(0, 1)});
  }
  return seats;
}

// A question that voter 1 answered: a region's grant, and what the others say to it.
class Floor {
 public:
  explicit Floor(const std::vector<Seat>& seats,
                 Counting counting = Counting::kWeighted,
                 uint8_t proposer = 1)
      : charter_(Make(CouncilCharter(seats, counting), seats[0].seed)),
        restrictions(ScopeIdOf(charter_)),
        target(Make(RegionBody(scope(), 5), proposer).envelope),
        rival(Make(RegionBody(scope(), 5, 91), proposer).envelope) {}

  ScopeId scope() const { return ScopeIdOf(charter_); }
  ConsensusRule Rule() const {
    return {Electorate(charter_.body, Quorum::kRegular, &restrictions), *SlotOf(*target), target};
  }
  Held<Cosign> For(uint8_t by, uint64_t time = kT) const { return VoteFor(*target, by, time); }
  Held<Cosign> Against(uint8_t by, uint64_t time = kT) const { return VoteFor(*rival, by, time); }

 private:
  Held<Charter> charter_;

 public:
  Restrictions restrictions;
  SignedPtr target, rival;
};

// "2 3w 4x 9": voter 2, a wrong signature of 3, a vote of 4 for the rival, a stranger.
void Say(ConsensusRule& rule, const Floor& floor, const std::string& votes) {
  std::istringstream words(votes);
  for (std::string word; words >> word;) {
    const auto by = static_cast<uint8_t>(std::stoul(word));
    const char how = word.back();
    rule.Add(how == 'w'   ? Forged(floor.For(by))
             : how == 'x' ? floor.Against(by)
                          : floor.For(by, kT + (how == 't')));
  }
}

struct Case {
  const char* name;
  const char* seats;
  const char* votes;  // besides voter 1, who proposed
  bool weighted, nested;
};

// Where all are one group, and where each is one of its own and weights are equal, the rules agree.
constexpr Case kAlike[] = {
    {"one alone", "a1", "", true, true},
    {"two need both", "a1 b1", "", false, false},
    {"two have both", "a1 b1", "2", true, true},
    {"three need all", "a1 b1 c1", "2", false, false},
    {"three have all", "a1 b1 c1", "2 3", true, true},
    {"four need three", "a1 b1 c1 d1", "2", false, false},
    {"four have three", "a1 b1 c1 d1", "2 3", true, true},
    {"a doubled vote", "a1 b1 c1 d1", "2 2 2t 1 1t", false, false},
    {"a wrong signature", "a1 b1 c1 d1", "2 3w 4w", false, false},
    {"a wrong one, then a right one", "a1 b1 c1 d1", "2 3w 3", true, true},
    {"strangers", "a1 b1 c1 d1", "2 77 78 79", false, false},
    {"votes for the rival", "a1 b1 c1 d1", "2x 3x 4x", false, false},
    {"who votes for both counts", "a1 b1 c1 d1", "2 3x 3", true, true},
    {"and in the other order", "a1 b1 c1 d1", "2 3 3x", true, true},
    {"seven need five", "a1 b1 c1 d1 e1 f1 g1", "2 3 4", false, false},
    {"seven have five", "a1 b1 c1 d1 e1 f1 g1", "2 3 4 7", true, true},
    {"equal weights", "a5 b5 c5 d5", "2", false, false},
    {"equal weights, three", "a5 b5 c5 d5", "2 4", true, true},
    {"one group, by weight", "a3 a1 a1 a1", "2", false, false},
    {"one group, enough", "a3 a1 a1 a1", "2 3", true, true},
};
constexpr Case kApart[] = {
    {"a heavy voter is one group of four", "a9 b1 c1 d1", "", true, false},
    {"three of four light groups", "a1 b1 c1 d9", "2 3", false, true},
    {"a big group is one of four", "a1 a1 a1 a1 a1 a1 b1 c1 d1", "2 3 4 5 6", false, false},
    {"its weight alone would do", "a1 a1 a1 a1 a1 a1 b1 c1", "2 3 4 5 6", true, false},
    {"three groups, each by its own two thirds",
     "a1 a1 a1 b1 b1 b1 c1 c1 c1 d1 d1 d1",
     "2 3 4 5 6 7 8 9",
     true,
     true},
    {"two of three are not a group's two thirds",
     "a1 a1 a1 b1 b1 b1 c1 c1 c1 d1 d1 d1",
     "2 4 5 7 8 10 11 3 6",
     true,
     false},
    {"three of four are",
     "a1 a1 a1 a1 b1 b1 b1 b1 c1 c1 c1 c1 d1 d1 d1 d1",
     "2 3 5 6 7 9 10 11",
     false,
     true},
};

void Check(const Case& c) {
  SCOPED_TRACE(c.name);
  for (const Counting counting : {Counting::kWeighted, Counting::kNestedGroups}) {
    SCOPED_TRACE(static_cast<int>(counting));
    const Floor floor(SeatsOf(c.seats), counting);
    ConsensusRule rule = floor.Rule();
    Say(rule, floor, c.votes);
    EXPECT_EQ(rule.Certified(), counting == Counting::kWeighted ? c.weighted : c.nested)
        << rule.Counted().have << " of " << rule.Counted().need;
  }
}

TEST(QuorumTest, BothRulesSayTheSameWhereTheyMust) {  // spec: quorum#3
  for (const Case& c : kAlike) {
    EXPECT_EQ(c.weighted, c.nested);
    Check(c);
  }
}

TEST(QuorumTest, BothRulesDifferWhereGroupsWeigh) {  // spec: quorum#3
  for (const Case& c : kApart) Check(c);
}

TEST(QuorumTest, EachVoteSaysWhatBecameOfIt) {  // spec: quorum#2
  const Floor floor(SeatsOf("a1 b1 c1 d1"));
  ConsensusRule rule = floor.Rule();
  EXPECT_EQ(rule.Add(floor.For(1)), Added::kAgain);  // its own object was its vote
  EXPECT_EQ(rule.Add(Forged(floor.For(2))), Added::kWrongSignature);
  EXPECT_EQ(rule.Add(floor.For(2)), Added::kCounted);
  EXPECT_EQ(rule.Add(floor.For(2, kT + 1)), Added::kAgain);
  EXPECT_EQ(rule.Add(Forged(floor.For(2))), Added::kAgain);  // not looked at
  EXPECT_EQ(rule.Add(floor.For(50)), Added::kNoElector);
  EXPECT_EQ(rule.Add(floor.Against(3)), Added::kOther);
  EXPECT_EQ(rule.Add(floor.Against(3, kT + 1)), Added::kAgain);
  Slot slot = rule.slot();
  ++slot.number;
  EXPECT_EQ(rule.Add(VoteFor(slot, floor.target->oid(), 4)), Added::kOtherSlot);
  slot = rule.slot();
  slot.kind = 2;
  EXPECT_EQ(rule.Add(VoteFor(slot, floor.target->oid(), 4)), Added::kOtherSlot);
  slot = rule.slot();
  slot.scope.bytes[0] ^= 1;
  EXPECT_EQ(rule.Add(VoteFor(slot, floor.target->oid(), 4)), Added::kOtherSlot);
  EXPECT_EQ(rule.Counted().have, 2u);
  EXPECT_EQ(rule.Votes().size(), 1u);  // the proposer's is the object
  EXPECT_TRUE(rule.Conflicts().empty());
}

TEST(QuorumTest, AVoteForAnotherAnswerConvictsWhoGaveBoth) {  // spec: quorum#2
  const Floor floor(SeatsOf("a1 b1 c1 d1"));
  ConsensusRule rule = floor.Rule();
  rule.Add(floor.Against(3));
  rule.Add(floor.For(3));                                // the vote after the other
  EXPECT_EQ(rule.AddRival(floor.rival), Added::kOther);  // the proposer's two objects
  Slot slot = rule.slot();
  rule.Add(floor.Against(4));
  Oid third;
  third.bytes.fill(1);
  rule.Add(VoteFor(slot, third, 4));  // two others, and nothing for this target
  rule.Add(floor.For(2));
  rule.Add(Forged(floor.Against(2)));
  EXPECT_EQ(rule.AddRival(Make(RegionBody(floor.scope(), 6), 2).envelope), Added::kOtherSlot);
  const std::vector<Equivocation> conflicts = rule.Conflicts();
  std::set<Kid> convicted;
  for (const Equivocation& e : conflicts) {
    convicted.insert(e.signer);
    EXPECT_LT(e.oids[0], e.oids[1]);
    // The proof stands alone: two signed objects of one key, in one slot, for two targets.
    ByteView rest(e.proof);
    std::set<Oid> targets;
    for (const Oid& oid : e.oids) {
      const size_t size = LoadLe<uint16_t>(rest.data());
      const auto said = Signed::Parse(rest.subspan(2, size));
      ASSERT_TRUE(said.ok());
      EXPECT_EQ(said->oid(), oid);
      EXPECT_EQ(said->kid(), e.signer);
      const auto vote = ParseObject<Cosign>(*said);
      EXPECT_EQ(vote.ok() ? SlotOf(vote->body) : *SlotOf(*said), slot);
      targets.insert(vote.ok() ? vote->body.target : said->oid());
      rest = rest.subspan(2 + size);
    }
    EXPECT_TRUE(rest.empty());
    EXPECT_EQ(targets.size(), 2u);
  }
  EXPECT_EQ(convicted, (std::set<Kid>{KidOfSeed(1), KidOfSeed(3), KidOfSeed(4)}));
  EXPECT_EQ(conflicts.size(), 3u);
  EXPECT_EQ(rule.Counted().have, 3u);  // who is in conflict counts all the same
}

TEST(QuorumTest, TwoObjectsOfOneNumberAreTheProof) {
  const Floor floor(SeatsOf("a1"));
  ConsensusRule rule = floor.Rule();
  rule.AddRival(floor.rival);
  ASSERT_EQ(rule.Conflicts().size(), 1u);
  EXPECT_EQ(rule.Conflicts()[0].id, ProveEquivocation(*floor.target, *floor.rival).id);
}

TEST(QuorumTest, OnlyTheNewestKeyOfAVoterCounts) {  // spec: quorum#2
  std::vector<Seat> seats = SeatsOf("a1 b1 c1 d1");
  seats[1].next = 22;
  Floor floor(seats);
  ASSERT_TRUE(Rotated(floor.restrictions, floor.scope(), 2, 22, 32).ok());
  ASSERT_TRUE(Rotated(floor.restrictions, floor.scope(), 22, 32, 0, 2).ok());
  ConsensusRule rule = floor.Rule();
  EXPECT_EQ(rule.Add(floor.For(2)), Added::kNoElector);
  EXPECT_EQ(rule.Add(floor.For(22)), Added::kNoElector);
  EXPECT_EQ(rule.Counted().have, 1u);
  EXPECT_EQ(rule.Add(floor.For(32)), Added::kCounted);
  EXPECT_EQ(rule.Counted().have, 2u);
}

TEST(QuorumTest, TwoRowsOfOneLineageAreOneVoter) {  // spec: quorum#2
  std::vector<Seat> seats = SeatsOf("a2 b3 c4 d5");
  seats[1].next = 4;  // the fourth row is what the second rotated to
  for (const Counting counting : {Counting::kWeighted, Counting::kNestedGroups}) {
    Floor floor(seats, counting);
    ASSERT_TRUE(Rotated(floor.restrictions, floor.scope(), 2, 4).ok());
    ConsensusRule rule = floor.Rule();
    const Count before = rule.Counted();
    EXPECT_EQ(rule.Add(floor.For(4)), Added::kCounted);
    const Count after = rule.Counted();
    // The row that comes first, by key; the other's weight stays in the sum.
    const uint64_t weight = CachedKeyOf(2) < CachedKeyOf(4) ? 3 : 5;
    EXPECT_EQ(after.have - before.have, counting == Counting::kWeighted ? weight : 1);
    EXPECT_EQ(after.need, counting == Counting::kWeighted ? 10u : 3u);
  }
}

TEST(QuorumTest, TwoVotersThatMovedToOneKeyAreOneVoter) {  // spec: quorum#2
  std::vector<Seat> seats = SeatsOf("a1 b1 c1 d1");
  seats[1].next = seats[2].next = 22;
  Floor floor(seats);
  ASSERT_TRUE(Rotated(floor.restrictions, floor.scope(), 2, 22).ok());
  // The same object cannot rotate both: another one does.
  ASSERT_TRUE(Rotated(floor.restrictions, floor.scope(), 3, 22).ok());
  ASSERT_EQ(floor.restrictions.Newest(KidOfSeed(2)), floor.restrictions.Newest(KidOfSeed(3)));
  ConsensusRule rule = floor.Rule();
  EXPECT_EQ(rule.Add(floor.For(22)), Added::kCounted);
  EXPECT_EQ(rule.Counted().have, 2u);
}

TEST(QuorumTest, WhoIsNotCountedStaysInTheSum) {
  const std::vector<Seat> seats = SeatsOf("a1 a1 a1 b1 c1 d1");
  for (const Counting counting : {Counting::kWeighted, Counting::kNestedGroups}) {
    const Charter charter = CouncilCharter(seats, counting);
    const Electorate electorate(charter, Quorum::kRegular, nullptr, {KidOfSeed(1)});
    const Count all = electorate.CountOf(std::vector<bool>(6, true));
    EXPECT_EQ(all.need, counting == Counting::kWeighted ? 5u : 3u);
    EXPECT_EQ(all.have, counting == Counting::kWeighted ? 5u : 3u);  // a has two of its three
  }
}

TEST(QuorumTest, NobodyIsAQuorumWithoutElectorsOrUnderAnUnknownRule) {
  Charter charter = CouncilCharter(SeatsOf("a1"));
  EXPECT_FALSE(Electorate(charter, Quorum::kWitnesses, nullptr).CountOf({}).enough());
  charter.params = {{kConsensusParam, 2}};
  EXPECT_FALSE(CountingOf(charter).ok());
  EXPECT_FALSE(Electorate(charter, Quorum::kRegular, nullptr).CountOf({true}).enough());
  charter.params = {{kConsensusParam, 0}};
  EXPECT_TRUE(Electorate(charter, Quorum::kRegular, nullptr).CountOf({true}).enough());
}

TEST(QuorumTest, AnObjectSaysWhichQuestionItAnswers) {  // spec: quorum#1
  World w;
  const Held<Grant> grant = w.Enroller(1, 2, 7, 3, w.charters[0].oid());
  EXPECT_EQ(*SlotOf(*grant.envelope), (Slot{w.scope, 1, KidOfSeed(1), 7}));
  EXPECT_EQ(*SlotOf(*w.charters[0].envelope), (Slot{w.scope, 3, *Kid::From(w.scope.view()), 1}));
  const Held<Charter> second = Make(After(w.charters[0]), 1);
  EXPECT_EQ(*SlotOf(*second.envelope), (Slot{w.scope, 3, *Kid::From(w.scope.view()), 2}));
  const Held<Revoke> floor = Make(w.Say(1, RevokeType::kFloor, KidOfSeed(2), 2), 1);
  EXPECT_EQ(*SlotOf(*floor.envelope), (Slot{w.scope, 2, KidOfSeed(1), 1}));
  const Held<Revoke> last = Make(w.Say(kTerminalSeq, RevokeType::kKey, KidOfSeed(2)), 2);
  EXPECT_FALSE(SlotOf(*last.envelope).ok());
  EXPECT_FALSE(SlotOf(*VoteFor(*grant.envelope, 1).envelope).ok());
}

// Random votes of random electorates: what has to hold whatever they are.
class Storm {
 public:
  explicit Storm(Rng& rng) : rng_(rng) {
    const size_t n = 1 + rng.Below(9);
    for (size_t i = 0; i < n; ++i) {
      seats_.push_back({.seed = static_cast<uint8_t>(i + 1),
                        .weight = static_cast<uint16_t>(1 + rng.Below(rng.Below(2) == 0 ? 1 : 4)),
                        .group = std::string(1, static_cast<char>('a' + rng.Below(5)))});
    }
    floor_.emplace(seats_,
                   rng.Below(2) == 0 ? Counting::kWeighted : Counting::kNestedGroups,
                   static_cast<uint8_t>(1 + rng.Below(n + 1)));
    for (size_t left = rng.Below(3 * n); left > 0; --left) votes_.push_back(Draw(n));
  }
  ConsensusRule Heard(const std::vector<Held<Cosign>>& votes) const {
    ConsensusRule rule = floor_->Rule();
    for (const Held<Cosign>& v : votes) rule.Add(v);
    return rule;
  }
  const Floor& floor() const { return *floor_; }
  std::vector<Held<Cosign>> votes() const { return votes_; }

 private:
  Held<Cosign> Draw(size_t n) {
    const auto by = static_cast<uint8_t>(1 + rng_.Below(n + 2));
    switch (rng_.Below(8)) {
      case 0: return Forged(floor_->For(by));
      case 1: return floor_->Against(by, kT + rng_.Below(2));
      case 2: return Forged(floor_->Against(by));
      default: return floor_->For(by, kT + rng_.Below(2));
    }
  }
  Rng& rng_;
  std::vector<Seat> seats_;
  std::optional<Floor> floor_;
  std::vector<Held<Cosign>> votes_;
};

std::set<Kid> Convicted(const ConsensusRule& rule) {
  std::set<Kid> out;
  for (const Equivocation& e : rule.Conflicts()) out.insert(e.signer);
  return out;
}

TEST(QuorumPropertyTest, AnyOrderAndAnyRepetitionGiveOneVerdict) {
  Rng rng = SeededRng();
  for (int round = 0; round < 300; ++round) {
    const Storm storm(rng);
    std::vector<Held<Cosign>> votes = storm.votes();
    const ConsensusRule first = storm.Heard(votes);
    for (size_t left = votes.size() / 2; left > 0; --left)
      votes.push_back(Held<Cosign>(votes[left]));
    for (size_t i = votes.size(); i > 1; --i) std::swap(votes[i - 1], votes[rng.Below(i)]);
    const ConsensusRule second = storm.Heard(votes);
    ASSERT_EQ(first.Counted().have, second.Counted().have);
    ASSERT_EQ(first.Certified(), second.Certified());
    ASSERT_EQ(Convicted(first), Convicted(second));
  }
}

TEST(QuorumPropertyTest, MoreVotesNeverTakeAwayAndWrongOnesNeverAdd) {
  Rng rng = SeededRng();
  for (int round = 0; round < 300; ++round) {
    const Storm storm(rng);
    ConsensusRule rule = storm.Heard({});
    std::set<Kid> heard = {storm.floor().target->kid()};
    for (const Held<Cosign>& v : storm.votes()) {
      const Count before = rule.Counted();
      const Added added = rule.Add(v);
      const Count after = rule.Counted();
      ASSERT_EQ(before.need, after.need);
      ASSERT_GE(after.have, before.have);
      if (added != Added::kCounted) {
        ASSERT_EQ(after.have, before.have);
      } else {
        ASSERT_TRUE(heard.insert(v.signer()).second);
      }
    }
    ASSERT_EQ(storm.Heard(rule.Votes()).Counted().have, rule.Counted().have);
  }
}

}  // namespace
}  // namespace aqmesh::authority
