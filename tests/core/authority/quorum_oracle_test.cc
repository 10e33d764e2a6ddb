// Votes, charters and the book against tests/oracle/quorum.py, which was written from
// spec/quorum.md alone, over cases that are drawn here.
#include <absl/strings/str_join.h>

#include <random>

#include "core/base/status.h"
#include "tests/core/authority/council_for_test.h"
#include "tests/support/oracle.h"
#include "tests/support/sanitized.h"

namespace aqmesh::authority {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the vocabulary of these stories

const char kScript[] = "quorum.py";
constexpr uint8_t kKeys = 24;  // seeds 1..24, of voters, of what they rotate to, of strangers

uint8_t SeedOfKey(const Ed25519Key& key) {
  for (uint8_t n = 1; n <= kKeys; ++n) {
    if (CachedKeyOf(n) == key) return n;
  }
  return 0;
}
uint8_t SeedOfCommitment(const std::optional<Digest>& next) {
  for (uint8_t n = 1; next && n <= kKeys; ++n) {
    if (NextKeyOf(Suite::kEd25519, CachedKeyOf(n)) == *next) return n;
  }
  return 0;
}
Kid CachedKid(uint8_t seed) { return KidOf(Suite::kEd25519, CachedKeyOf(seed)); }

Rng SeededOr(uint64_t number) {
  if (const char* text = std::getenv("AQMESH_SEED")) number = std::strtoull(text, nullptr, 10);
  std::printf("AQMESH_SEED=%llu\n", static_cast<unsigned long long>(number));
  Rng::Seed seed{};
  StoreLe(seed.data(), number);
  return Rng(seed);
}

// One case: told to the oracle and done with ours.
class Drawn {
 public:
  Drawn(Rng& rng, Questions& questions) : rng_(rng), q_(questions) {
    q_.Tell("case");
    DrawRotations();
  }

  // Who is behind an object, and are they enough?
  void Count() {
    const Held<Charter> charter = Make(DrawCharter(false), 1);
    Tell("now", charter.body);
    const bool witnesses = !charter.body.witnesses.empty() && rng_.Below(3) == 0;
    const uint8_t kind = static_cast<uint8_t>(1 + rng_.Below(4));
    const uint8_t by = Key(), other_by = Key();
    Held<Grant> object = Make(RegionBody(ScopeIdOf(charter), 7), by);
    const bool right = rng_.Below(6) != 0;
    if (!right) object = Forged(object);
    Slot slot{ScopeIdOf(charter), kind, CachedKid(other_by), 7};
    if (kind == 3) slot.id = *Kid::From(slot.scope.view());
    DrawRestrictions(slot.scope);
    std::set<Kid> not_counted;
    std::string names;
    while (rng_.Below(4) == 0) {
      const uint8_t key = Key();
      not_counted.insert(restrictions_->First(CachedKid(key)));
      names += Join(" ", int{key});
    }
    const Quorum quorum = witnesses            ? Quorum::kWitnesses
                          : rng_.Below(2) == 0 ? Quorum::kRegular
                                               : Quorum::kSensitive;
    const Electorate electorate(charter.body, quorum, &*restrictions_, not_counted);
    ConsensusRule rule(electorate, slot, object.envelope);
    for (const Held<Cosign>& v : DrawVotes(slot, object.oid())) rule.Add(v);
    const authority::Count count = rule.Counted();
    std::set<int> conflicts;
    for (const Equivocation& e : rule.Conflicts()) {
      for (uint8_t n = 1; n <= kKeys; ++n) {
        if (CachedKid(n) == e.signer) conflicts.insert(n);
      }
    }
    std::string answer = Join(count.have, " ", count.need, " ", int{rule.Certified()});
    for (const int n : conflicts) answer += Join(" ", n);
    const char* word = witnesses ? "w" : quorum == Quorum::kRegular ? "r" : "s";
    q_.Ask(Join("count ", int{by}, " ", int{right}, " ", int{kind}, " ", word) + names, answer);
  }

  // Is a charter in force, alone or after another one?
  void Force() {
    std::optional<Held<Charter>> was;
    if (rng_.Below(4) != 0) was = Make(DrawCharter(false), 1);
    Charter body = was ? Changed(After(*was)) : DrawCharter(true);
    const bool links = !was || rng_.Below(8) != 0;
    if (!links) Cut(body);
    // Mostly by one who may.
    const std::vector<Voter>& rows = rng_.Below(3) == 0 && was ? was->body.voters : body.voters;
    uint8_t by = SeedOfKey(rows[rng_.Below(rows.size())].key);
    if (rng_.Below(3) == 0) by = Newest(by);
    if (rng_.Below(8) == 0) by = Key();
    Held<Charter> charter = Make(body, by);
    const bool right = rng_.Below(8) != 0;
    if (!right) charter = Forged(charter);
    DrawRestrictions(ScopeIdOf(charter));
    if (was) Tell("was", was->body);
    Tell("now", charter.body);
    if (!was) {
      const bool shape = CheckedShape(charter);
      q_.Ask("shape", shape ? "right" : "wrong");
    }
    const ScopeId scope = ScopeIdOf(charter);
    const Slot slot{scope, 3, *Kid::From(scope.view()), charter.body.version};
    const std::vector<Held<Cosign>> votes = DrawVotes(slot, charter.oid());
    const bool yes = VerifyCharter(charter, was ? &*was : nullptr, votes, &*restrictions_).ok();
    q_.Ask(Join("force ", int{by}, " ", int{right}, " ", int{links}), yes ? "yes" : "no");
    in_force = yes;
  }

  bool in_force = false;

 private:
  uint8_t Key() { return static_cast<uint8_t>(1 + rng_.Below(kKeys)); }
  uint8_t Newest(uint8_t key) const {
    while (rotated_[key] != 0) key = rotated_[key];
    return key;
  }

  void DrawRotations() {
    std::set<uint8_t> reached;
    for (uint64_t left = rng_.Below(2) * rng_.Below(6); left > 0; --left) {
      const uint8_t old = Key(), fresh = Key();
      if (rotated_[old] != 0 || reached.contains(fresh) || Newest(fresh) == old || old == fresh)
        continue;
      rotated_[old] = fresh;
      reached.insert(fresh);
      q_.Tell(Join("rotate ", int{old}, " ", int{fresh}));
    }
  }
  void DrawRestrictions(const ScopeId& scope) {
    restrictions_.emplace(scope);
    for (uint8_t old = 1; old <= kKeys; ++old) {
      if (rotated_[old] == 0) continue;
      const absl::Status s = Rotated(*restrictions_, scope, old, rotated_[old]);
      EXPECT_TRUE(s.ok()) << s;
    }
  }

  std::vector<Seat> DrawSeats(size_t most) {
    const bool equal = rng_.Below(2) == 0;
    const size_t groups = 1 + rng_.Below(6);
    std::set<uint8_t> keys;
    for (size_t left = 1 + rng_.Below(most); left > 0; --left) keys.insert(Key());
    std::vector<Seat> seats;
    for (const uint8_t key : keys) {
      seats.push_back({key,
                       static_cast<uint16_t>(equal ? 1 : 1 + rng_.Below(5)),
                       std::string(1, static_cast<char>('a' + rng_.Below(groups))),
                       rng_.Below(3) == 0 ? Key() : uint8_t{0}});
    }
    return seats;
  }
  // Quorums anywhere in their range, mostly the least.
  void DrawQuorums(Charter& c) {
    const auto within = [this](const std::vector<Voter>& rows) {
      uint32_t weight = 0;
      for (const Voter& v : rows) weight += v.weight;
      const uint32_t least = LeastQuorum(rows);
      return rows.empty() || rng_.Below(3) != 0
                 ? least
                 : least + static_cast<uint32_t>(rng_.Below(weight - least + 1));
    };
    c.q_reg = within(c.voters), c.q_sens = within(c.voters), c.q_wit = within(c.witnesses);
  }
  Charter DrawCharter(bool any_rule) {
    const Counting counting = rng_.Below(2) == 0 ? Counting::kWeighted : Counting::kNestedGroups;
    const std::vector<Seat> voters = DrawSeats(9);
    Charter c =
        CouncilCharter(voters, counting, rng_.Below(3) == 0 ? DrawSeats(6) : std::vector<Seat>{});
    if (counting == Counting::kWeighted || rng_.Below(5) == 0) DrawQuorums(c);
    if (any_rule && rng_.Below(10) == 0) c.params = {{kConsensusParam, rng_.Below(4)}};
    if (rng_.Below(2) == 0) c.flags &= ~uint32_t{kSingleDomain};
    return c;
  }
  void Cut(Charter& c) {
    switch (rng_.Below(3)) {
      case 0: ++c.version; return;
      case 1: c.prev->bytes[3] ^= 1; return;
      default: c.scope->bytes[3] ^= 1;
    }
  }

  Charter Changed(Charter c) {
    c.name = "next";
    for (uint64_t left = rng_.Below(3); left > 0; --left) {
      Voter& some = c.voters[rng_.Below(c.voters.size())];
      switch (rng_.Below(9)) {
        case 0: some.weight = static_cast<uint16_t>(1 + rng_.Below(4)); break;
        case 1: some.next_key = NextKeyOf(Suite::kEd25519, CachedKeyOf(Key())); break;
        case 2: some.key = CachedKeyOf(Newest(SeedOfKey(some.key))); break;
        case 3: some.key = CachedKeyOf(Key()); break;
        case 4: c.voters.push_back(Seated({{Key(), 1, "e"}})[0]); break;
        case 5: c.flags ^= rng_.Below(2) == 0 ? kSingleDomain : kExclusive; break;
        case 6: c.params = {{kConsensusParam, rng_.Below(3)}}; break;
        case 7: c.witnesses = Seated(DrawSeats(5)); break;
        default:
          if (c.voters.size() > 1) c.voters.pop_back();
      }
      std::ranges::sort(c.voters, {}, &Voter::key);
      const auto doubled = std::ranges::unique(c.voters, {}, &Voter::key);
      c.voters.erase(doubled.begin(), doubled.end());
    }
    const uint32_t reg = c.q_reg, sens = c.q_sens;
    c.q_reg = c.q_sens = LeastQuorum(c.voters);
    c.q_wit = LeastQuorum(c.witnesses);
    uint64_t weight = 0;
    for (const Voter& v : c.voters) weight += v.weight;
    // As they were, where they still may be.
    if (rng_.Below(3) != 0 && reg >= c.q_reg && reg <= weight && sens >= c.q_sens && sens <= weight)
      c.q_reg = reg, c.q_sens = sens;
    return c;
  }

  void Tell(const char* which, const Charter& c) {
    const bool has = !c.params.empty();
    q_.Tell(Join("charter ", which, " ") + (has ? Join(c.params[0].value) : "-") +
            Join(" ", c.flags, " ", c.q_reg, " ", c.q_sens, " ", c.q_wit));
    for (const bool witness : {false, true}) {
      for (const Voter& v : witness ? c.witnesses : c.voters) {
        q_.Tell(Join(witness ? "witness " : "voter ", int{SeedOfKey(v.key)}, " ", v.weight, " ") +
                Join(v.group, " ", int{SeedOfCommitment(v.next_key)}));
      }
    }
  }

  std::vector<Held<Cosign>> DrawVotes(const Slot& slot, const Oid& target) {
    std::vector<Held<Cosign>> votes;
    const uint64_t often = rng_.Below(5);  // how willing the keys are
    for (uint8_t key = 1; key <= kKeys; ++key) {
      if (rng_.Below(4) < often) votes.push_back(DrawVote(slot, target, key, false));
      if (rng_.Below(12) == 0) votes.push_back(DrawVote(slot, target, key, true));
      if (rng_.Below(24) == 0) votes.push_back(DrawVote(slot, target, key, true));
    }
    for (size_t i = votes.size(); i > 1; --i) std::swap(votes[i - 1], votes[rng_.Below(i)]);
    return votes;
  }
  Held<Cosign> DrawVote(const Slot& slot, const Oid& target, uint8_t key, bool odd) {
    const uint64_t which = odd ? rng_.Below(3) : 0;
    const bool here = !odd || rng_.Below(4) != 0, right = rng_.Below(10) != 0;
    Slot place = slot;
    if (!here) ++place.number;
    Oid about = target;
    if (which != 0) about.bytes.fill(static_cast<uint8_t>(which));
    q_.Tell(Join("vote ", int{key}, " ", int{here}, " ", which, " ") + (right ? "1" : "0"));
    Held<Cosign> vote = VoteFor(place, about, key, kT + rng_.Below(2));
    return right ? vote : Forged(vote);
  }

  // Whether anything but the votes stands against a genesis: all its voters sign.
  bool CheckedShape(const Held<Charter>& charter) const {
    Restrictions none(ScopeIdOf(charter));
    const Held<Charter> whole = Make(charter.body, SeedOfKey(charter.body.voters[0].key));
    std::vector<Held<Cosign>> votes;
    for (const Voter& v : charter.body.voters)
      votes.push_back(VoteFor(*whole.envelope, SeedOfKey(v.key)));
    return VerifyCharter(whole, nullptr, votes, nullptr).ok();
  }

  Rng& rng_;
  Questions& q_;
  std::array<uint8_t, kKeys + 1> rotated_{};
  std::optional<Restrictions> restrictions_;
};

void CompareVotes(uint64_t seed) {
  Rng rng = SeededOr(seed);
  Questions questions;
  const size_t cases = kSanitized ? 150 : 2'000;
  for (size_t i = 0; i < cases; ++i) Drawn(rng, questions).Count();
  questions.Compare(kScript);
  std::printf("%zu answers compared\n", questions.size());
}

void CompareCharters(uint64_t seed) {
  Rng rng = SeededOr(seed);
  Questions questions;
  size_t in_force = 0;
  const size_t cases = kSanitized ? 150 : 2'000;
  for (size_t i = 0; i < cases; ++i) {
    Drawn drawn(rng, questions);
    drawn.Force();
    in_force += drawn.in_force;
  }
  EXPECT_GT(in_force, cases / 20);  // else the draw says little
  questions.Compare(kScript);
  std::printf("%zu answers compared, %zu charters in force\n", questions.size(), in_force);
}

uint64_t Fresh() { return (uint64_t{std::random_device()()} << 32) | std::random_device()(); }

TEST(QuorumOracleTest, SaysTheSameOfAFixedDrawOfVotes) { CompareVotes(1); }
TEST(QuorumOracleTest, SaysTheSameOfAFreshDrawOfVotes) { CompareVotes(Fresh()); }
TEST(QuorumOracleTest, SaysTheSameOfAFixedDrawOfCharters) { CompareCharters(2); }
TEST(QuorumOracleTest, SaysTheSameOfAFreshDrawOfCharters) { CompareCharters(Fresh()); }

// ---- the book

struct Request {
  uint8_t slot;
  uint16_t id;
  uint64_t number;
  uint8_t target;
  uint64_t time;
};

void Take(SlotBook& book, Questions& questions, const Request& r) {
  Slot slot{{}, r.slot, {}, r.number};
  for (size_t i = 0; i < Kid::kSize; i += 2) StoreBe(slot.id.bytes.data() + i, r.id);
  Oid target;
  target.bytes.fill(r.target);
  const SlotBook::Answer a = book.Take(slot, target, r.time);
  questions.Ask(
      "take " + absl::StrJoin(
                    {uint64_t{r.slot}, uint64_t{r.id}, r.number, uint64_t{r.target}, r.time}, " "),
      a.permit == Permit::kSign        ? Join("sign ", a.time)
      : a.permit == Permit::kSameAgain ? Join("again ", a.time)
                                       : "refuse");
}

TEST(QuorumOracleTest, SaysTheSameOfABook) {
  Rng rng = SeededOr(Fresh());
  Questions questions;
  for (size_t i = 0; i < (kSanitized ? 50 : 500); ++i) {
    questions.Tell("book");
    SlotBook book;
    for (size_t left = rng.Below(80); left > 0; --left) {
      Take(book,
           questions,
           {.slot = static_cast<uint8_t>(1 + rng.Below(4)),
            .id = static_cast<uint16_t>(rng.Below(3)),
            .number = rng.Below(24),
            .target = static_cast<uint8_t>(1 + rng.Below(3)),
            .time = rng.Below(1'000)});
      book = *SlotBook::Decode(book.Encode());
    }
    questions.Ask("bytes", ToHex(book.Encode()));
  }
  questions.Compare(kScript);
  std::printf("%zu answers compared\n", questions.size());
}

TEST(QuorumOracleTest, SaysTheSameOfAFullBook) {
  Rng rng = SeededOr(3);
  Questions questions;
  questions.Tell("book");
  SlotBook book;
  for (size_t i = 0; i < 6'000; ++i) {
    Take(book,
         questions,
         {.slot = static_cast<uint8_t>(1 + rng.Below(4)),
          .id = static_cast<uint16_t>(rng.Below(700)),
          .number = 1 + rng.Below(6),
          .target = static_cast<uint8_t>(1 + rng.Below(2)),
          .time = i});
  }
  questions.Ask("bytes", ToHex(book.Encode()));
  questions.Compare(kScript);
  EXPECT_EQ(book.size(), SlotBook::kIdsMax);
}

}  // namespace
}  // namespace aqmesh::authority
