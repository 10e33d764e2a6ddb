// What holds of the ledger in any order: drawn by the thousand, the seed printed. And its bytes.
#include <algorithm>

#include "tests/fuzz/corpus.h"
#include "tests/fuzz/ledger_targets.h"
#include "tests/support/sanitized.h"
#include "tests/trust/story.h"
#include "trust/ledger.h"

namespace aqmesh::trust {
namespace {

constexpr size_t kRounds = kSanitized ? 100 : 2'000;
constexpr uint64_t kKeys = 6;

Observation Draw(Rng& rng, uint64_t epoch) {
  Observation o;
  o.subject = Key(1 + rng.Below(kKeys));
  o.event = static_cast<Event>(rng.Below(kEventCount - (rng.Below(10) == 0 ? 0 : 1)));
  o.basis = static_cast<Basis>(rng.Below(3));
  o.epoch = epoch;
  o.evidence = Proof(rng.Below(40));  // few, so that they meet; 0 names none
  o.reporter = Key(1 + rng.Below(2 * kKeys));
  o.group = Key(100 + rng.Below(4));
  o.reporter_ladm = static_cast<uint32_t>(rng.Below(kOne + 1));
  if (rng.Below(2) != 0) o.issuer = Key(1 + rng.Below(kKeys));
  if (rng.Below(2) != 0) o.grand_issuer = Key(1 + rng.Below(kKeys));
  return o;
}

// Epochs of some observations each.
std::vector<std::vector<Observation>> DrawHistory(Rng& rng) {
  std::vector<std::vector<Observation>> history(1 + rng.Below(6));
  uint64_t epoch = 10;
  for (auto& of_epoch : history) {
    epoch += 1 + rng.Below(rng.Below(2) != 0 ? 3 : 9'000);
    // At times more than a set holds, so that what leaves it is tried too.
    const bool crowded = rng.Below(5) == 0;
    for (size_t left = 1 + rng.Below(crowded ? 200 : 20); left > 0; --left) {
      of_epoch.push_back(Draw(rng, epoch));
      if (crowded) of_epoch.back().evidence = Proof(1 + rng.Below(400));
      if (crowded) of_epoch.back().subject = Key(1 + rng.Below(2));
      if (crowded && rng.Below(2) != 0) of_epoch.back().subject = Key(1 + rng.Below(24));
    }
  }
  return history;
}

Ledger Known() {
  Ledger ledger;
  Settled settled;
  for (uint32_t n = 1; n <= 24; ++n) ledger.Meet(Key(n), 30'000 + 1'000 * n, 10, settled);
  return ledger;
}

TEST(LedgerPropertyTest, TheOrderWithinAnEpochDoesNotMatter) {
  Rng rng = Seeded(21);
  size_t escalated = 0, collapsed = 0;
  for (size_t i = 0; i < kRounds; ++i) {
    const auto history = DrawHistory(rng);
    Ledger straight = Known(), shuffled = Known();
    Settled one, other;
    for (const auto& of_epoch : history) {
      for (const Observation& o : of_epoch) straight.Note(o, one);
      auto order = of_epoch;
      for (size_t k = order.size(); k > 1; --k) std::swap(order[k - 1], order[rng.Below(k)]);
      for (const Observation& o : order) shuffled.Note(o, other);
      ASSERT_EQ(straight.Encode(), shuffled.Encode());  // before the fold already
    }
    straight.Advance(straight.epoch() + 1, one);
    shuffled.Advance(shuffled.epoch() + 1, other);
    ASSERT_EQ(straight.Encode(), shuffled.Encode());
    ASSERT_EQ(one, other);
    escalated += one.escalate.size();
    for (uint64_t n = 1; n <= kKeys; ++n) collapsed += straight.At(Key(n))->col ? 1u : 0u;
  }
  // The draw has to reach what it is about.
  EXPECT_GT(escalated, kRounds / 20);
  EXPECT_GT(collapsed, kRounds / 20);
}

TEST(LedgerPropertyTest, WhatIsReadInAnEpochIsWhatIsFoldedAfterIt) {
  Rng rng = Seeded(22);
  for (size_t i = 0; i < kRounds; ++i) {
    const auto history = DrawHistory(rng);
    Ledger ledger = Known();
    Settled settled;
    for (const auto& of_epoch : history) {
      for (const Observation& o : of_epoch) ledger.Note(o, settled);
      std::vector<Standing> open;
      for (uint64_t n = 1; n <= kKeys; ++n) open.push_back(*ledger.At(Key(n)));
      ledger.Advance(ledger.epoch() + 1, settled);
      for (uint64_t n = 1; n <= kKeys; ++n) ASSERT_EQ(*ledger.At(Key(n)), open[n - 1]);
    }
  }
}

// The same observations give the same bytes, and one that was stored at any moment goes on alike.
TEST(LedgerPropertyTest, AReplayGivesTheSameBytes) {
  Rng rng = Seeded(23);
  for (size_t i = 0; i < kRounds; ++i) {
    const auto history = DrawHistory(rng);
    Ledger live = Known(), restarted = Known();
    Settled one, other;
    for (const auto& of_epoch : history) {
      for (const Observation& o : of_epoch) {
        ASSERT_EQ(live.Note(o, one), restarted.Note(o, other));
        if (rng.Below(30) != 0) continue;
        auto back = Ledger::Decode(restarted.Encode());
        ASSERT_TRUE(back.ok()) << back.status();
        restarted = *std::move(back);
      }
    }
    live.Advance(live.epoch() + 9, one);
    restarted.Advance(restarted.epoch() + 9, other);
    ASSERT_EQ(live.Encode(), restarted.Encode());
    ASSERT_EQ(one, other);
  }
}

// The charges that anybody could be made to pay, whatever was proven of whom.
TEST(LedgerPropertyTest, LiabilityNeverExceedsItsCapInAnyWindow) {
  Rng rng = Seeded(24);
  for (size_t i = 0; i < kRounds / 4; ++i) {
    Ledger ledger = Known();
    Settled settled;
    // What key 24, of whom nothing is proven, is charged: its CUSUM, which forgives 28 an epoch.
    std::vector<std::pair<uint64_t, uint32_t>> charges;
    uint64_t epoch = 10;
    for (int k = 0; k < 60; ++k) {
      epoch += 1 + rng.Below(600);
      ledger.Advance(epoch, settled);
      const uint32_t before = ledger.At(Key(24))->s_s;
      for (uint64_t n = rng.Below(4); n > 0; --n) {
        Observation o = Draw(rng, epoch);
        o.basis = Basis::kProven;
        o.evidence = Proof(1 + rng.U32());
        o.subject = Key(1 + rng.Below(20));
        o.issuer = o.grand_issuer = std::nullopt;
        (rng.Below(2) != 0 ? o.issuer : o.grand_issuer) = Key(24);
        ledger.Note(o, settled);
      }
      const Standing s = *ledger.At(Key(24));
      // S_s gets a quarter of each charge; the decay between is at most a few per cent of 4 units.
      if (s.last == epoch && s.s_s > before)
        charges.push_back({epoch, (s.s_s - before + 4'095) / 4'096 * 16'384});
    }
    for (const auto& [from, unused] : charges) {
      uint64_t sum = 0;
      for (const auto& [at, amount] : charges)
        sum += at >= from && at - from < kLiableEpochs ? amount : 0;
      ASSERT_LE(sum, kLiablePerIssuer);
    }
  }
}

Ledger Busy() {
  Ledger ledger = Known();
  Settled settled;
  Rng::Seed seed{};
  seed[0] = 7;
  Rng rng{seed};
  for (const auto& of_epoch : {DrawHistory(rng), DrawHistory(rng)}) {
    uint64_t ahead = ledger.epoch();
    for (const auto& observations : of_epoch) {
      ++ahead;
      for (Observation o : observations) {
        o.epoch = ahead;
        ledger.Note(o, settled);
      }
    }
  }
  return ledger;
}

TEST(LedgerCodecTest, HeadAndRowsByKidAreTheWhole) {
  const Ledger ledger = Busy();
  Bytes whole = ledger.EncodeHead();
  for (uint64_t n = 1; n <= 24; ++n) Append(whole, *ledger.EncodeRow(Key(n)));
  EXPECT_EQ(whole, ledger.Encode());
  EXPECT_EQ(ledger.EncodeRow(Key(99)), std::nullopt);
}

TEST(LedgerCodecTest, TakesExactlyWhatEncodeWrites) {
  const Bytes bytes = Busy().Encode();
  const auto back = Ledger::Decode(bytes);
  ASSERT_TRUE(back.ok()) << back.status();
  ASSERT_EQ(back->Encode(), bytes);
  size_t rows_ends = 0;
  for (size_t n = 0; n < bytes.size(); ++n) {
    const auto cut = Ledger::Decode(ByteView(bytes).first(n));
    if (!cut.ok()) continue;
    ++rows_ends;  // between rows: a ledger of fewer keys
    ASSERT_EQ(cut->Encode(), Bytes(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(n)));
  }
  EXPECT_EQ(rows_ends, 24u);
  // Whatever is taken is written the same, and can be worked with.
  const size_t step = kSanitized ? 97 : 7;
  for (size_t bit = 0; bit < bytes.size() * 8; bit += step) {
    Bytes flipped = bytes;
    flipped[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    auto taken = Ledger::Decode(flipped);
    if (!taken.ok()) continue;
    ASSERT_EQ(taken->Encode(), flipped) << bit;
    Settled settled;
    taken->Advance(std::min(taken->epoch() + 1, kEpochMax), settled);
    ASSERT_TRUE(Ledger::Decode(taken->Encode()).ok()) << bit;
  }
}

TEST(LedgerCodecTest, NeverHarmsByWhatItReads) {
  Standing s = Standing::New(kColdNode, 3);
  s.Step(90, {.r = 16'384, .s = 1'000'000, .u = 7});
  const auto standing = s.Encode();
  fuzz::Replay({Bytes(standing.begin(), standing.end()), Busy().Encode()},
               fuzz::FuzzLedger,
               kSanitized ? 300 : 3'000);
}

TEST(LedgerCodecTest, RefusesMoreKeysThanItMayHold) {
  const Bytes bytes = Known().Encode();
  EXPECT_TRUE(Ledger::Decode(bytes, 24).ok());
  EXPECT_FALSE(Ledger::Decode(bytes, 23).ok());
}

// Sums rest on these: a debt that nobody could have is damage.
TEST(LedgerCodecTest, RefusesDebtsThatNobodyCouldHave) {
  Ledger ledger;
  Settled settled;
  ledger.Meet(Key(2), kColdNode, 5, settled);
  ledger.Meet(Key(1), kColdNode, 5, settled);
  const auto prove = [&](uint64_t epoch, uint64_t evidence) {
    ledger.Note({.subject = Key(1),
                 .event = Event::kGrantOutsideScope,
                 .basis = Basis::kProven,
                 .epoch = epoch,
                 .evidence = Proof(evidence),
                 .issuer = Key(2)},
                settled);
  };
  prove(6, 1);
  const Bytes due = ledger.Encode();  // ends: due 1 (kid, amount, epoch), none before, paid 0
  ledger.Advance(7, settled);
  const Bytes paid = ledger.Encode();  // ends: paid 1 (kid, amount, epoch)
  const auto charge = [](uint64_t kid, uint32_t amount, uint64_t epoch) {
    Bytes out;
    Append(out, Key(kid));
    AppendBe(out, amount);
    AppendBe(out, epoch);
    return out;
  };
  constexpr size_t kCharge = 28;
  // With the paid charges of row 2 replaced, and the due one.
  const auto with_paid = [&](const std::vector<Bytes>& charges) {
    Bytes out(paid.begin(), paid.end() - static_cast<ptrdiff_t>(kCharge + 1));
    out.push_back(static_cast<uint8_t>(charges.size()));
    for (const Bytes& c : charges) Append(out, c);
    return Ledger::Decode(out).ok();
  };
  const auto with_due = [&](const Bytes& one, bool paid_too = false) {
    Bytes out(due.begin(), due.end() - static_cast<ptrdiff_t>(kCharge + 4));
    Append(out, one);
    Append(out, Bytes(3));
    out.push_back(paid_too ? 1 : 0);
    if (paid_too) Append(out, charge(1, kOne, 5));
    return Ledger::Decode(out).ok();
  };
  ASSERT_TRUE(with_paid({charge(1, kOne, 6)}));
  ASSERT_TRUE(with_paid({charge(1, kOne, 6), charge(3, kOne, 6)}));
  EXPECT_FALSE(with_paid({charge(1, kOne, 6), charge(3, kOne, 6), charge(4, kLeastCharge, 6)}));
  EXPECT_FALSE(with_paid({charge(3, kOne, 6), charge(1, kOne, 6)}));
  EXPECT_FALSE(with_paid({charge(1, kLeastCharge, 6), charge(1, kLeastCharge, 6)}));
  EXPECT_FALSE(with_paid({charge(1, 0, 6)}));
  EXPECT_FALSE(with_paid({charge(1, kLeastCharge + 1, 6)}));
  EXPECT_FALSE(with_paid({charge(1, kOne + kLeastCharge, 6)}));
  EXPECT_FALSE(with_paid({charge(1, kOne, 8)}));  // after the open epoch
  ASSERT_TRUE(with_due(charge(1, kOne, 6)));
  EXPECT_FALSE(with_due(charge(1, kOne, 5)));        // not the open epoch's
  EXPECT_FALSE(with_due(charge(1, kOne, 6), true));  // paid already
  // In row 1: head 9, kid 16, flags 1, Standing 50, the authority's prior 4, epoch 8, seen 8; then
  // `once`, of which there is one.
  constexpr size_t kFlags = 9 + 16, kOpen = kFlags + 1 + Standing::kSize + 4, kOnce = kOpen + 8 + 8;
  Bytes altered = due;
  altered[kFlags] |= 2;  // more was due than the eight that are not there
  EXPECT_FALSE(Ledger::Decode(altered).ok());
  altered = due;
  altered[kFlags] ^= 4;  // met in no role
  EXPECT_FALSE(Ledger::Decode(altered).ok());
  altered = due;
  altered[kOpen - 1] = 1;  // the prior of a role in which it was not met
  EXPECT_FALSE(Ledger::Decode(altered).ok());
  altered = due;
  altered[kOpen + 7] = 7;  // open after the open epoch
  EXPECT_FALSE(Ledger::Decode(altered).ok());
  altered[kOpen + 7] = 4;  // open before it was known
  EXPECT_FALSE(Ledger::Decode(altered).ok());
  altered = paid;
  altered[kOpen + 7] = 6;  // an epoch in which nothing is open
  EXPECT_FALSE(Ledger::Decode(altered).ok());
  altered = due;
  altered[kOnce + 2 + Digest::kSize + 4] = 1;  // a group where none counts
  EXPECT_FALSE(Ledger::Decode(altered).ok());
  altered = paid;  // nothing in the open epoch, so `once before` follows four counts
  ASSERT_EQ(altered[kOnce + 4 + 2 + Digest::kSize + 4 + 7], 6);
  altered[kOnce + 4 + 2 + Digest::kSize + 4 + 7] = 8;  // counted after the open epoch
  EXPECT_FALSE(Ledger::Decode(altered).ok());
  Bytes no_epoch = Ledger().Encode();
  ASSERT_TRUE(Ledger::Decode(no_epoch).ok());
  std::fill(no_epoch.begin() + 1, no_epoch.end(), uint8_t{0xff});
  EXPECT_FALSE(Ledger::Decode(no_epoch).ok());
}

// Frozen: a store holds such rows.
TEST(LedgerCodecTest, HasTheseBytes) {
  Ledger ledger;
  Settled settled;
  ledger.Meet(Key(1), kColdNode, 5, settled);
  ledger.Meet(Key(2), 47'185, 5, settled);
  const auto note = [&](Event event, Basis basis, uint64_t evidence) {
    ledger.Note({.subject = Key(1),
                 .event = event,
                 .basis = basis,
                 .epoch = 6,
                 .evidence = Proof(evidence),
                 .reporter = Key(8),
                 .group = Key(9),
                 .reporter_ladm = kOne,
                 .issuer = Key(2)},
                settled);
  };
  note(Event::kSessionConfirmed, Basis::kSeen, 0);
  note(Event::kGrantOutsideScope, Basis::kProven, 0xaa);
  note(Event::kTimelyTurn, Basis::kHeard, 0xbb);
  note(Event::kObjectMalformed, Basis::kHeard, 0xcc);
  const std::string zeros16(32, '0'), zeros31(62, '0'), kid = std::string(30, '0');
  const std::string standing1 =
      "00009caa" + std::string(56, '0') + "0000" + "0000000000000005" + "0000000000000005";
  const std::string standing2 =
      "0000b851" + std::string(56, '0') + "0000" + "0000000000000005" + "0000000000000005";
  const std::string kNoBefore = "00000000", open6 = "0000000000000006";
  EXPECT_EQ(ToHex(ledger.Encode()),
            "01"
            "0000000000000006" +
                kid + "01" + "04" + standing1 + "00000000" + open6 + "00000800" + "00000000" +  //
                "01" + "01" + zeros31 + "aa" + "00040000" + zeros16 +     // once
                "01" + "00" + zeros31 + "bb" + "00001000" + kid + "09" +  // praise
                "01" + "01" + zeros31 + "cc" + "00002000" + zeros16 +     // slander
                "00" + kNoBefore +                                        // due; all before
                kid + "02" + "04" + standing2 + "00000000" + open6 + "00000000" + "00000000" +
                "000000" + "01" + kid + "01" + "00010000" + open6 + kNoBefore);
  ledger.Advance(7, settled);
  const auto row = ledger.EncodeRow(Key(2));
  ASSERT_TRUE(row);
  // Folded: what was due is paid.
  EXPECT_TRUE(
      ToHex(*row).ends_with("00000000"
                            "00000000"
                            "000000"
                            "00"
                            "000000"
                            "01" +
                            kid + "01" + "00010000" + "0000000000000006"));
  EXPECT_EQ((*row)[16], 1 + 4);
}

}  // namespace
}  // namespace aqmesh::trust
