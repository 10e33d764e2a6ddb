#include "transport/frame/assembler.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/rng.h"

namespace aqmesh::frame {
namespace {

using PeerKey = ObjectAssembler::PeerKey;

Instant At(int seconds) { return Instant{} + std::chrono::seconds(seconds); }
PeerKey Peer(uint8_t v) {
  PeerKey k;
  k.bytes.fill(v);
  return k;
}
Ref16 RefNamed(uint8_t v) {
  Ref16 r;
  r.bytes.fill(v);
  return r;
}
Piece PieceOf(uint8_t ref, ByteView object, size_t offset, size_t piece = kObjectPiece) {
  return {.ref = RefNamed(ref),
          .total = static_cast<uint32_t>(object.size()),
          .offset = static_cast<uint32_t>(offset),
          .data = object.subspan(offset, std::min(piece, object.size() - offset))};
}

TEST(ObjectAssemblerTest, AnyOrderGivesTheObject) {
  Rng rng(Rng::Seed{5});
  for (const size_t piece : {kObjectPiece, kGivePiece}) {
    for (const size_t size : {size_t{1}, piece, piece + 1, authority::kObjectBytesMax}) {
      Bytes object(size);
      rng.Fill(object);
      std::vector<size_t> offsets;
      for (size_t at = 0; at < size; at += piece) offsets.push_back(at);
      for (size_t i = offsets.size(); i > 1; --i) std::swap(offsets[i - 1], offsets[rng.Below(i)]);
      ObjectAssembler a({.piece_bytes = piece});
      std::optional<Bytes> done;
      for (size_t i = 0; i < offsets.size(); ++i) {
        ASSERT_FALSE(done);
        ASSERT_EQ(a.Add(At(0), Peer(1), PieceOf(1, object, offsets[i], piece), done), Drop::kNone);
        if (i + 1 == offsets.size()) break;
        ASSERT_EQ(a.Add(At(0), Peer(1), PieceOf(1, object, offsets[i], piece), done), Drop::kNone)
            << "repeated";
      }
      ASSERT_TRUE(done);
      EXPECT_EQ(*done, object);
      EXPECT_EQ(a.unfinished(), 0u);
      EXPECT_EQ(a.bytes(), 0u);
    }
  }
}

TEST(ObjectAssemblerTest, PiecesThatDisagreeDropTheObject) {
  const Bytes object(3000, 1), other(3000, 2), longer(3001, 1);
  std::optional<Bytes> done;
  ObjectAssembler a({});
  ASSERT_EQ(a.Add(At(0), Peer(1), PieceOf(1, object, 0), done), Drop::kNone);
  EXPECT_EQ(a.Add(At(0), Peer(1), PieceOf(1, other, 0), done), Drop::kFragmentConflict);
  EXPECT_EQ(a.unfinished(), 0u);
  ASSERT_EQ(a.Add(At(0), Peer(1), PieceOf(1, object, 0), done), Drop::kNone);
  EXPECT_EQ(a.Add(At(0), Peer(1), PieceOf(1, longer, 1200), done), Drop::kFragmentConflict);
  EXPECT_EQ(a.bytes(), 0u);
}

TEST(ObjectAssemblerTest, OnePeerCannotSpoilAnothersObject) {
  const Bytes good(2000, 1), bad(2000, 2);
  std::optional<Bytes> done;
  ObjectAssembler a({});
  ASSERT_EQ(a.Add(At(0), Peer(1), PieceOf(1, good, 0), done), Drop::kNone);
  ASSERT_EQ(a.Add(At(0), Peer(2), PieceOf(1, bad, 1200), done), Drop::kNone);
  ASSERT_EQ(a.Add(At(0), Peer(1), PieceOf(1, good, 1200), done), Drop::kNone);
  ASSERT_TRUE(done);
  EXPECT_EQ(*done, good);
}

TEST(ObjectAssemblerTest, BudgetsCountWhatWasAnnounced) {
  const Bytes big(16'384, 1);
  std::optional<Bytes> done;
  ObjectAssembler a({});
  for (uint8_t ref = 0; ref < 4; ++ref)
    EXPECT_EQ(a.Add(At(0), Peer(1), PieceOf(ref, big, 0), done), Drop::kNone);
  EXPECT_EQ(a.Add(At(0), Peer(1), PieceOf(4, big, 0), done), Drop::kFragmentBudget)
      << "64 KiB a peer";
  EXPECT_EQ(a.Add(At(0), Peer(2), PieceOf(4, big, 0), done), Drop::kNone);
  a.Forget(Peer(1));
  EXPECT_EQ(a.unfinished(), 1u);
  EXPECT_EQ(a.bytes(), big.size());
  for (uint8_t peer = 3; peer < 66; ++peer)
    EXPECT_EQ(a.Add(At(0), Peer(peer), PieceOf(0, big, 0), done), Drop::kNone);
  EXPECT_EQ(a.Add(At(0), Peer(99), PieceOf(0, big, 0), done), Drop::kFragmentBudget)
      << "1 MiB in all";

  ObjectAssembler few({.objects_max = 2});
  const Bytes small(1300, 1);
  EXPECT_EQ(few.Add(At(0), Peer(1), PieceOf(0, small, 0), done), Drop::kNone);
  EXPECT_EQ(few.Add(At(0), Peer(1), PieceOf(1, small, 0), done), Drop::kNone);
  EXPECT_EQ(few.Add(At(0), Peer(1), PieceOf(2, small, 0), done), Drop::kFragmentBudget);
}

TEST(ObjectAssemblerTest, ATrickleHoldsItsSlotNoLongerThanItsLife) {
  const Bytes object(16'000, 1);
  std::optional<Bytes> done;
  ObjectAssembler a({});
  EXPECT_EQ(a.NextExpiry(), kNever);
  ASSERT_EQ(a.Add(At(0), Peer(1), PieceOf(1, object, 0), done), Drop::kNone);
  ASSERT_EQ(a.Add(At(59), Peer(1), PieceOf(1, object, 1200), done), Drop::kNone);
  EXPECT_EQ(a.NextExpiry(), At(60));
  a.Expire(At(60));
  EXPECT_EQ(a.unfinished(), 0u);
  EXPECT_EQ(a.bytes(), 0u);
}

VectorPart PartOf(std::span<const Row> rows, size_t i) {
  VectorPart part;
  EXPECT_EQ(ParseVectorPart(EncodeVector(rows)[i], part), Drop::kNone);
  return part;
}
std::vector<Row> ManyRows(size_t n, uint64_t seq) {
  std::vector<Row> rows(n);
  for (size_t i = 0; i < n; ++i) {
    rows[i].seq = seq;
    StoreBe(rows[i].kid.data(), static_cast<uint32_t>(i));
  }
  return rows;
}

TEST(VectorAssemblerTest, CompleteWhenAllPartsCame) {
  const auto rows = ManyRows(50, 1);
  VectorAssembler v;
  EXPECT_FALSE(v.complete());
  for (const size_t i : {2u, 0u, 0u, 1u}) {
    EXPECT_FALSE(v.complete());
    EXPECT_EQ(v.Add(7, PartOf(rows, i)), Drop::kNone);
  }
  ASSERT_TRUE(v.complete());
  EXPECT_EQ(v.Rows(), rows);
}

TEST(VectorAssemblerTest, AnotherRequestBeginsAnew) {
  VectorAssembler v;
  EXPECT_EQ(v.Add(7, PartOf(ManyRows(30, 1), 0)), Drop::kNone);
  EXPECT_EQ(v.Add(8, PartOf(ManyRows(30, 2), 1)), Drop::kNone);
  EXPECT_FALSE(v.complete());
  EXPECT_EQ(v.Add(8, PartOf(ManyRows(30, 2), 0)), Drop::kNone);
  EXPECT_EQ(v.Rows(), ManyRows(30, 2));
}

TEST(VectorAssemblerTest, ContradictionsAreNamed) {
  VectorAssembler v;
  EXPECT_EQ(v.Add(7, PartOf(ManyRows(30, 1), 1)), Drop::kNone);
  EXPECT_EQ(v.Add(7, PartOf(ManyRows(30, 2), 1)), Drop::kFragmentConflict);
  VectorPart low =
      PartOf(ManyRows(30, 1), 1);  // the rows of the second part once more, as the first
  low.part = 0;
  EXPECT_EQ(v.Add(7, low), Drop::kFragmentConflict);
}

}  // namespace
}  // namespace aqmesh::frame
