#include "core/authority/slot_book.h"

#include <gtest/gtest.h>

#include <bit>

#include "tests/core/authority/council_for_test.h"
#include "tests/core/authority/random_objects.h"

namespace aqmesh::authority {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the vocabulary of these stories

Oid Target(uint8_t n) {
  Oid oid;
  oid.bytes.fill(n);
  return oid;
}
Slot Question(uint8_t kind, uint8_t id, uint64_t number) {
  Slot s;
  s.kind = kind;
  s.id.bytes.fill(id);
  s.number = number;
  return s;
}
Permit Ask(SlotBook& book, const Slot& slot, uint8_t target, uint64_t time = kT) {
  return book.Take(slot, Target(target), time).permit;
}

TEST(SlotBookTest, GivesOneAnswerToAQuestion) {  // spec: quorum#7
  SlotBook book;
  EXPECT_EQ(Ask(book, Question(1, 1, 5), 1), Permit::kSign);
  EXPECT_EQ(Ask(book, Question(1, 1, 5), 2), Permit::kRefuse);
  const SlotBook::Answer again = book.Take(Question(1, 1, 5), Target(1), kT + 9);
  EXPECT_EQ(again.permit, Permit::kSameAgain);
  EXPECT_EQ(again.time, kT);                                  // the same bytes as before
  EXPECT_EQ(Ask(book, Question(2, 1, 5), 2), Permit::kSign);  // another slot, id, number
  EXPECT_EQ(Ask(book, Question(1, 2, 5), 2), Permit::kSign);
  EXPECT_EQ(Ask(book, Question(1, 1, 4), 2), Permit::kSign);
  EXPECT_EQ(Ask(book, Question(1, 1, 0), 1), Permit::kRefuse);
  EXPECT_EQ(Ask(book, Question(0, 1, 1), 1), Permit::kRefuse);
  EXPECT_EQ(Ask(book, Question(5, 1, 1), 1), Permit::kRefuse);
  Slot elsewhere = Question(1, 1, 5);
  elsewhere.scope.bytes.fill(9);
  EXPECT_EQ(Ask(book, elsewhere, 2), Permit::kRefuse);
}

TEST(SlotBookTest, ForgetsTheOldestNumberAndRefusesWhatIsBelow) {  // spec: quorum#7
  SlotBook book;
  for (uint64_t n = 10; n < 10 + SlotBook::kNumbersMax; ++n)
    EXPECT_EQ(Ask(book, Question(1, 1, n), 1), Permit::kSign);
  EXPECT_EQ(Ask(book, Question(1, 1, 9), 1), Permit::kRefuse);  // full, and older than all
  EXPECT_EQ(Ask(book, Question(1, 1, 10), 1), Permit::kSameAgain);
  EXPECT_EQ(Ask(book, Question(1, 1, 40), 1), Permit::kSign);
  EXPECT_EQ(Ask(book, Question(1, 1, 10), 1), Permit::kRefuse);  // forgotten: not even the same
  EXPECT_EQ(Ask(book, Question(1, 1, 11), 1), Permit::kSameAgain);
  EXPECT_EQ(Ask(book, Question(1, 1, 30), 1), Permit::kSign);  // a gap above the lowest
  EXPECT_EQ(Ask(book, Question(1, 1, 11), 2), Permit::kRefuse);
}

TEST(SlotBookTest, OfACharterOnlyTheNewestVersionIsVotedFor) {
  SlotBook book;
  EXPECT_EQ(Ask(book, Question(3, 1, 4), 1), Permit::kSign);
  EXPECT_EQ(Ask(book, Question(3, 1, 3), 1), Permit::kRefuse);
  EXPECT_EQ(Ask(book, Question(3, 1, 5), 1), Permit::kSign);
  EXPECT_EQ(Ask(book, Question(3, 1, 4), 1), Permit::kRefuse);
  EXPECT_EQ(Ask(book, Question(3, 1, 5), 1), Permit::kSameAgain);
}

TEST(SlotBookTest, AFullBookTakesNoNewIdAndForgetsNone) {
  SlotBook book;
  for (size_t i = 0; i < SlotBook::kIdsMax; ++i) {
    Slot s = Question(1, 0, 1);
    StoreBe(s.id.bytes.data(), static_cast<uint16_t>(i));
    EXPECT_EQ(Ask(book, s, 1), Permit::kSign);
  }
  EXPECT_EQ(Ask(book, Question(1, 0xff, 1), 1), Permit::kRefuse);
  EXPECT_EQ(Ask(book, Question(1, 0, 1), 2), Permit::kRefuse);
  EXPECT_EQ(Ask(book, Question(1, 0, 2), 2), Permit::kSign);
  const auto again = SlotBook::Decode(book.Encode());
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(*again == book);
}

// J43, the quorum's side: two sponsors, cut off from each other, want one use of one invitation.
TEST(SlotBookTest, OneUseOfAnInvitationLetsOneGrantIn) {
  const std::vector<Seat> witnesses = {{11, 1, "a"}, {12, 1, "b"}, {13, 1, "c"}, {14, 1, "d"}};
  const Held<Charter> charter =
      Make(CouncilCharter({{1, 1, "home"}}, Counting::kWeighted, witnesses), 1);
  const ScopeId scope = ScopeIdOf(charter);
  World w;
  Slot use{scope, 4, {}, 1};
  use.id.bytes.fill(0x1d);
  const auto grant = [&](uint8_t sponsor, uint8_t joiner) {
    Grant g = w.NodeBody(joiner, 9, charter.oid());
    g.scope = scope;
    g.prefixes.clear();
    return Make(g, sponsor).envelope;
  };
  const std::array<SignedPtr, 2> grants = {grant(2, 5), grant(3, 6)};
  for (uint32_t split = 0; split < 16; ++split) {  // whom each witness heard first
    std::vector<ConsensusRule> collected;
    for (const SignedPtr& g : grants) {
      auto rule = RuleFor(use, g, charter, nullptr);
      ASSERT_TRUE(rule.ok()) << rule.status();
      collected.push_back(*std::move(rule));
    }
    for (size_t i = 0; i < witnesses.size(); ++i) {
      SlotBook book;
      const size_t first = split >> i & 1;
      EXPECT_EQ(book.Take(use, grants[first]->oid(), kT).permit, Permit::kSign);
      EXPECT_EQ(book.Take(use, grants[1 - first]->oid(), kT).permit, Permit::kRefuse);
      EXPECT_EQ(book.Take(use, grants[first]->oid(), kT).permit, Permit::kSameAgain);
      const auto vote = VoteFor(use, grants[first]->oid(), witnesses[i].seed);
      EXPECT_EQ(collected[first].Add(vote), Added::kCounted);
      EXPECT_EQ(collected[1 - first].Add(vote), Added::kOther);
    }
    size_t certified = 0;
    for (const ConsensusRule& rule : collected) {
      EXPECT_EQ(CheckCertificate(CertificateOf(rule), charter, nullptr).ok(), rule.Certified());
      certified += rule.Certified();
    }
    const bool even = std::popcount(split) == 2;
    EXPECT_EQ(certified, even ? 0u : 1u) << split;
  }
}

SlotBook Drawn(Rng& rng) {
  SlotBook book;
  for (size_t left = rng.Below(60); left > 0; --left) {
    Ask(book,
        Question(static_cast<uint8_t>(1 + rng.Below(4)),
                 static_cast<uint8_t>(rng.Below(4)),
                 1 + rng.Below(20)),
        static_cast<uint8_t>(rng.Below(3)),
        rng.Below(100));
  }
  return book;
}

TEST(SlotBookTest, ReadsBackWhatItWroteAndNothingElse) {
  Rng rng = SeededRng();
  for (int round = 0; round < 40; ++round) {
    const SlotBook book = Drawn(rng);
    const Bytes bytes = book.Encode();
    const auto again = SlotBook::Decode(bytes);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(*again == book);
    for (size_t n = 0; n < bytes.size(); ++n)
      ASSERT_FALSE(SlotBook::Decode(ByteView(bytes).first(n)).ok()) << n;
    Bytes longer = bytes;
    longer.push_back(0);
    EXPECT_FALSE(SlotBook::Decode(longer).ok());
  }
  const Bytes bytes = Drawn(rng).Encode();
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes flipped = bytes;
    flipped[bit / 8] = static_cast<uint8_t>(flipped[bit / 8] ^ (1u << bit % 8));
    const auto read = SlotBook::Decode(flipped);
    if (!read.ok()) continue;
    EXPECT_EQ(read->Encode(), flipped);
  }
}

TEST(SlotBookTest, TheBytesOfOneVote) {  // spec: quorum#7
  SlotBook book;
  Ask(book, Question(3, 0xaa, 2), 0xbb, 0x0102);
  EXPECT_EQ(ToHex(book.Encode()),
            "01"
            "0001"
            "03" +
                std::string(32, 'a') +
                "0000000000000000"
                "01"
                "0000000000000002" +
                std::string(64, 'b') + "0000000000000102");
}

TEST(SlotBookTest, RefusesWhatAWriterWouldNotHaveWritten) {
  const std::string id(32, 'a'), vote = std::string(64, 'b') + "0000000000000001";
  const std::string none = "0000000000000000", one = "0000000000000001", two = "0000000000000002";
  const auto refuses = [](const std::string& hex) { return !SlotBook::Decode(*FromHex(hex)).ok(); };
  EXPECT_FALSE(refuses("010000"));
  EXPECT_TRUE(refuses(""));
  EXPECT_TRUE(refuses("020000"));
  EXPECT_TRUE(refuses("01ffff"));
  EXPECT_FALSE(
      refuses("010001"
              "01" +
              id + none + "01" + one + vote));
  EXPECT_TRUE(
      refuses("010001"
              "00" +
              id + none + "01" + one + vote));  // slot
  EXPECT_TRUE(
      refuses("010001"
              "05" +
              id + none + "01" + one + vote));
  EXPECT_TRUE(
      refuses("010001"
              "01" +
              id + none + "00"));  // no number
  EXPECT_TRUE(
      refuses("010001"
              "01" +
              id + none + "01" + none + vote));  // number 0
  EXPECT_TRUE(
      refuses("010001"
              "01" +
              id + one + "01" + two + vote));  // floor with room
  EXPECT_FALSE(
      refuses("010001"
              "03" +
              id + one + "01" + two + vote));  // a charter's has none
  EXPECT_TRUE(
      refuses("010001"
              "03" +
              id + two + "01" + two + vote));  // at the floor
  EXPECT_TRUE(
      refuses("010001"
              "03" +
              id + none + "02" + one + vote + two + vote));  // two versions
  EXPECT_TRUE(
      refuses("010001"
              "01" +
              id + none + "02" + two + vote + one + vote));  // descending
  EXPECT_TRUE(
      refuses("010002"
              "01" +
              id + none + "01" + one + vote +  // an id twice
              "01" + id + none + "01" + two + vote));
}

}  // namespace
}  // namespace aqmesh::authority
