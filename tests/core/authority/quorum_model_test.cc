// That one slot has one certificate: every schedule of four voters of whom one votes twice, and
// every pair of quorums of small weights. spec: quorum#3, #7; threat J17.
#include <gtest/gtest.h>

#include <array>
#include <map>

#include "tests/core/authority/council_for_test.h"
#include "tests/support/sanitized.h"

namespace aqmesh::authority {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the vocabulary of these stories

// ---- every schedule

// Two answers to one question are out. Honest voters, asked for both in whatever order, ask their
// book; each of the others votes for both. Every vote reaches its collector at some time or never;
// a double voter's votes reach either collector.
constexpr size_t kVoters = 4;

class Schedules {
 public:
  Schedules(Counting counting, size_t faulty)
      : honest_(kVoters - faulty),
        charter_(Make(
            CouncilCharter({{1, 1, "a"}, {2, 1, "b"}, {3, 1, "c"}, {4, 1, "d"}}, counting), 1)) {
    const ScopeId scope = ScopeIdOf(charter_);
    for (size_t i = 0; i < 2; ++i) {
      // By one who is no voter, so that all four votes are cosigns.
      targets_[i] = Make(RegionBody(scope, 5, static_cast<uint8_t>(91 + i)), 50).envelope;
      for (size_t v = 0; v < kVoters; ++v)
        votes_[i][v] = VoteFor(*targets_[i], static_cast<uint8_t>(v + 1));
    }
    State start;
    for (size_t i = 0; i < 2; ++i)
      start.collectors.emplace_back(
          Electorate(charter_.body, Quorum::kRegular, nullptr), *SlotOf(*targets_[i]), targets_[i]);
    Visit(start);
  }

  size_t states() const { return seen_.size(); }
  size_t steps() const { return steps_; }
  bool certified() const { return certified_; }  // either, in some state
  bool two_certificates() const { return two_; }

 private:
  struct State {
    std::array<SlotBook, kVoters> books;
    std::array<int, kVoters> signed_for{-1, -1, -1, -1};
    // [collector][answer][voter]: has that vote arrived?
    std::array<std::array<std::array<bool, kVoters>, 2>, 2> arrived{};
    std::vector<ConsensusRule> collectors;
  };
  struct Seen {
    std::array<uint64_t, 2> have{};
    std::array<std::set<Kid>, 2> convicted;
    bool operator==(const Seen&) const = default;
  };

  static std::string NameOf(const State& s) {
    std::string name;
    for (const int v : s.signed_for) name += static_cast<char>('1' + v);
    for (const auto& collector : s.arrived) {
      for (const auto& answer : collector) {
        for (const bool there : answer) name += there ? '+' : '-';
      }
    }
    return name;
  }
  static Seen Look(const State& s) {
    Seen seen;
    for (size_t i = 0; i < 2; ++i) {
      seen.have[i] = s.collectors[i].Counted().have;
      for (const Equivocation& e : s.collectors[i].Conflicts()) seen.convicted[i].insert(e.signer);
    }
    return seen;
  }

  void Visit(const State& s) {
    const Seen seen = Look(s);
    const auto [at, fresh] = seen_.emplace(NameOf(s), seen);
    ASSERT_EQ(at->second, seen) << "another schedule of the same votes gave another verdict";
    if (!fresh) return;
    const bool a = s.collectors[0].Certified(), b = s.collectors[1].Certified();
    certified_ = certified_ || a || b;
    two_ = two_ || (a && b);
    for (size_t v = 0; v < kVoters; ++v) {
      for (size_t answer = 0; answer < 2; ++answer) {
        if (v < honest_) Ask(s, v, answer);
        for (size_t collector = 0; collector < 2; ++collector) Deliver(s, v, answer, collector);
      }
    }
  }

  void Ask(const State& s, size_t v, size_t answer) {
    // It stops and starts again between any two steps: the book comes back from its bytes.
    const auto read = SlotBook::Decode(s.books[v].Encode());
    ASSERT_TRUE(read.ok()) << read.status();
    SlotBook book = *read;
    const Permit permit = book.Take(*SlotOf(*targets_[answer]), targets_[answer]->oid(), kT).permit;
    const int before = s.signed_for[v];
    const Permit want = before < 0                           ? Permit::kSign
                        : before == static_cast<int>(answer) ? Permit::kSameAgain
                                                             : Permit::kRefuse;
    ASSERT_EQ(permit, want);
    if (permit != Permit::kSign) return;
    State next = s;
    next.books[v] = book;
    next.signed_for[v] = static_cast<int>(answer);
    ++steps_;
    Visit(next);
  }

  void Deliver(const State& s, size_t v, size_t answer, size_t collector) {
    const bool double_voter = v >= honest_;
    if (s.arrived[collector][answer][v]) return;
    if (!double_voter && (s.signed_for[v] != static_cast<int>(answer) || collector != answer))
      return;
    State next = s;
    next.arrived[collector][answer][v] = true;
    const Added added = next.collectors[collector].Add(votes_[answer][v]);
    ASSERT_EQ(added, collector == answer ? Added::kCounted : Added::kOther);
    ++steps_;
    Visit(next);
  }

  const size_t honest_;
  const Held<Charter> charter_;
  std::array<SignedPtr, 2> targets_;
  std::array<std::array<Held<Cosign>, kVoters>, 2> votes_;
  std::map<std::string, Seen> seen_;
  size_t steps_ = 0;
  bool certified_ = false, two_ = false;
};

TEST(QuorumModelTest, NoScheduleOfFourWithOneDoubleVoterGivesTwoCertificates) {
  for (const Counting counting : {Counting::kWeighted, Counting::kNestedGroups}) {
    const Schedules all(counting, 1);
    EXPECT_TRUE(all.certified());
    EXPECT_FALSE(all.two_certificates());
    // A voter asked or not, for which answer, arrived or not: 5^3; the double voter's four votes:
    // 2^4.
    EXPECT_EQ(all.states(), 125u * 16);
    std::printf("%zu states, %zu steps\n", all.states(), all.steps());
  }
}

TEST(QuorumModelTest, NobodyVotingTwiceOrTwoVotingTwice) {
  const Schedules none(Counting::kWeighted, 0);
  EXPECT_TRUE(none.certified());
  EXPECT_FALSE(none.two_certificates());
  if (kSanitized) return;
  // More than F of the weight: the search does find what it looks for.
  for (const Counting counting : {Counting::kWeighted, Counting::kNestedGroups})
    EXPECT_TRUE(Schedules(counting, 2).two_certificates());
}

// ---- every pair of quorums

std::vector<std::vector<bool>> Subsets(size_t n) {
  std::vector<std::vector<bool>> out(size_t{1} << n, std::vector<bool>(n));
  for (size_t mask = 0; mask < out.size(); ++mask) {
    for (size_t i = 0; i < n; ++i) out[mask][i] = (mask >> i & 1) != 0;
  }
  return out;
}

// Rows of an electorate are ordered by key: so are these.
class Weights {
 public:
  Weights(std::vector<Seat> seats, Counting counting)
      : charter_(CouncilCharter(seats, counting)),
        electorate_(charter_, Quorum::kRegular, nullptr) {}
  size_t size() const { return charter_.voters.size(); }
  // The quorums, as sets of voters.
  std::vector<uint32_t> Quorums() const {
    std::vector<uint32_t> out;
    const std::vector<std::vector<bool>> subsets = Subsets(size());
    for (uint32_t mask = 0; mask < subsets.size(); ++mask) {
      if (electorate_.CountOf(subsets[mask]).enough()) out.push_back(mask);
    }
    return out;
  }
  uint64_t WeightOf(uint32_t mask, const std::string& group = "") const {
    uint64_t weight = 0;
    for (size_t i = 0; i < size(); ++i) {
      const Voter& v = charter_.voters[i];
      if ((mask >> i & 1) != 0 && (group.empty() || v.group == group)) weight += v.weight;
    }
    return weight;
  }
  uint32_t All() const { return (1u << size()) - 1; }
  std::set<std::string> Groups() const {
    std::set<std::string> out;
    for (const Voter& v : charter_.voters) out.insert(v.group);
    return out;
  }

 private:
  Charter charter_;
  Electorate electorate_;
};

// Calls `use` with every vector of 1..7 weights of 1..3; how many there were.
template <class Use>
size_t EachWeightVector(size_t longest, Use use) {
  size_t count = 0;
  for (size_t n = 1; n <= longest; ++n) {
    size_t end = 1;
    for (size_t i = 0; i < n; ++i) end *= 3;
    for (size_t code = 0; code < end; ++code, ++count) {
      std::vector<Seat> seats;
      size_t rest = code;
      for (size_t i = 0; i < n; ++i, rest /= 3) {
        seats.push_back({.seed = static_cast<uint8_t>(i + 1),
                         .weight = static_cast<uint16_t>(1 + rest % 3),
                         .group = ""});
      }
      use(seats);
    }
  }
  return count;
}

TEST(QuorumModelTest, TwoQuorumsShareMoreThanMayVoteTwice) {
  size_t pairs = 0;
  const size_t vectors = EachWeightVector(kSanitized ? 5 : 7, [&](std::vector<Seat> seats) {
    for (Seat& s : seats) s.group = "a";
    const Weights w(seats, Counting::kWeighted);
    const uint64_t faulty = FaultyOf(w.WeightOf(w.All()));
    const std::vector<uint32_t> quorums = w.Quorums();
    ASSERT_FALSE(quorums.empty());
    for (const uint32_t a : quorums) {
      for (const uint32_t b : quorums) {
        ++pairs;
        if (w.WeightOf(a & b) <= faulty) FAIL() << "of " << seats.size() << " voters";
      }
    }
  });
  EXPECT_EQ(vectors, kSanitized ? 363u : 3'279u);
  std::printf("%zu weight vectors, %zu pairs of quorums\n", vectors, pairs);
}

TEST(QuorumModelTest, TwoNestedQuorumsShareMoreGroupsThanMayFailWhole) {
  size_t pairs = 0;
  for (const size_t groups : {2u, 3u, 4u, 7u}) {
    EachWeightVector(kSanitized ? 4 : 6, [&](std::vector<Seat> seats) {
      for (size_t i = 0; i < seats.size(); ++i)
        seats[i].group = std::string(1, static_cast<char>('a' + i % groups));
      const Weights w(seats, Counting::kNestedGroups);
      const std::set<std::string> names = w.Groups();
      const std::vector<uint32_t> quorums = w.Quorums();
      for (const uint32_t a : quorums) {
        for (const uint32_t b : quorums) {
          ++pairs;
          size_t broken = 0;  // groups that had to hold more double voters than they bear
          for (const std::string& g : names)
            broken += w.WeightOf(a & b, g) > FaultyOf(w.WeightOf(w.All(), g));
          if (broken <= FaultyOf(names.size())) FAIL() << "of " << seats.size() << " voters";
        }
      }
    });
  }
  std::printf("%zu pairs of nested quorums\n", pairs);
}

// The worst that nested groups promise to bear: one group of four fails whole, and one voter of
// four in each of the others.
TEST(QuorumModelTest, NestedGroupsBearAWholeGroupAndAThirdOfEachOther) {
  std::vector<Seat> seats;
  for (uint8_t i = 0; i < 16; ++i)
    seats.push_back(
        {static_cast<uint8_t>(i + 1), 1, std::string(1, static_cast<char>('a' + i / 4))});
  const Charter charter = CouncilCharter(seats, Counting::kNestedGroups);
  const Electorate electorate(charter, Quorum::kRegular, nullptr);
  size_t certified = 0;
  for (uint32_t split = 0; split < 1u << 9; ++split) {  // what each of the nine honest votes for
    std::array<std::vector<bool>, 2> behind = {std::vector<bool>(16), std::vector<bool>(16)};
    uint32_t rest = split;
    for (uint8_t i = 0; i < 16; ++i) {
      const size_t row = *electorate.Find(KidOf(Suite::kEd25519, CachedKeyOf(i + 1)));
      if (i >= 12 || i % 4 == 0) {
        behind[0][row] = behind[1][row] = true;
        continue;
      }
      behind[rest & 1][row] = true;
      rest >>= 1;
    }
    const bool a = electorate.CountOf(behind[0]).enough(),
               b = electorate.CountOf(behind[1]).enough();
    EXPECT_FALSE(a && b) << split;
    certified += a || b;
  }
  EXPECT_GT(certified, 0u);
}

}  // namespace
}  // namespace aqmesh::authority
