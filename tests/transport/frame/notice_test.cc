#include "transport/frame/notice.h"

#include <gtest/gtest.h>

#include "core/base/rng.h"
#include "core/crypto/aead.h"
#include "mesh_vectors.h"

namespace aqmesh::frame {
namespace {

using namespace vectors;  // NOLINT: the vocabulary of these tests

constexpr uint32_t kIndex = 0x11223344;
const Secret<32>& Pre() {
  static const Secret<32> key = PreKeyOf(kCkInit);
  return key;
}
Ticket OurTicket() { return Counting<96>(0); }
Notice Eight(const Mesh& m) {
  Notice n;
  n.reason = authority::Reason::kRevoked;
  n.now_seconds = kT;
  n.about = m.n.ref();
  return n;
}

TEST(BeforeVectorTest, LastSixteenBytes) {  // spec: objects#8
  const Mesh m;
  const Ref16 refs[] = {m.e.ref(), m.f.ref()};
  const auto want = BuildWant(kIndex, Pre().view(), kNonce, OurTicket(), refs);
  EXPECT_EQ(ToHex(ByteView(want).last(16)), "cdf173d330a4a1f90dbc895a4e792141");
  const auto give = BuildGive(OurTicket(), Pre().view(), kNonce, m.e.ref(), m.e.bytes(), 0);
  EXPECT_EQ(ToHex(ByteView(give).last(16)), "028ab0ccb82b4bbf1607a62d84e3de6b");
  const auto notice = BuildNotice(kIndex, Pre().view(), kNonce, Eight(m));
  EXPECT_EQ(ToHex(ByteView(notice).last(16)), "f9de5749de045b5e112215592a72de30");
}

TEST(BeforeTest, WantRoundTrip) {
  const Mesh m;
  const std::vector<Ref16> all(kWantRefsMax, m.e.ref());
  for (size_t n = 1; n <= kWantRefsMax; ++n) {
    const auto datagram =
        BuildWant(kIndex, Pre().view(), kNonce, OurTicket(), std::span(all).first(n));
    Before kind{};
    ASSERT_EQ(CheckBefore(datagram, kind), Drop::kNone);
    EXPECT_EQ(kind, Before::kWant);
    EXPECT_EQ(BeforeReceiver(datagram), kIndex);
    Want want;
    ASSERT_EQ(OpenWant(datagram, Pre().view(), want), Drop::kNone);
    EXPECT_EQ(want.ticket, OurTicket());
    EXPECT_EQ(want.wanted().size(), n);
    EXPECT_EQ(want.wanted()[n - 1], m.e.ref());
  }
}

TEST(BeforeTest, NoticeRoundTripAndItsRules) {
  Notice n = Eight(Mesh());
  n.retry_seconds = 300;
  n.data = Counting<32>(9);
  Notice back;
  ASSERT_EQ(OpenNotice(BuildNotice(kIndex, Pre().view(), kNonce, n), Pre().view(), back),
            Drop::kNone);
  EXPECT_EQ(back, n);
  auto body = EncodeNotice(n);
  for (const uint16_t reason :
       {uint16_t{0}, static_cast<uint16_t>(authority::kReasonCount), uint16_t{65535}}) {
    StoreLe(body.data(), reason);
    EXPECT_EQ(ParseNotice(body, back), Drop::kBeforeBody);
  }
  body = EncodeNotice(n);
  body[5] = 1;
  EXPECT_EQ(ParseNotice(body, back), Drop::kBeforeBody);
  const Bytes longer(80, 1);
  for (size_t k = 0; k < longer.size(); ++k) {
    if (k == kNoticeBodyBytes) continue;
    EXPECT_EQ(ParseNotice(ByteView(longer).first(k), back), Drop::kBeforeBody);
  }
}

TEST(BeforeTest, PiecesOfAGiveMakeTheObject) {
  Rng rng(Rng::Seed{3});
  for (const size_t size : {size_t{1}, kGivePiece, kGivePiece + 1, authority::kObjectBytesMax}) {
    Bytes object(size);
    rng.Fill(object);
    Bytes back(size);
    for (size_t at = 0; at < size; at += kGivePiece) {
      const auto datagram = BuildGive(OurTicket(), Pre().view(), kNonce, Ref16{}, object, at);
      Before kind{};
      ASSERT_EQ(CheckBefore(datagram, kind), Drop::kNone);
      EXPECT_EQ(kind, Before::kGive);
      EXPECT_TRUE(Equal(GiveTicket(datagram), OurTicket()));
      GivePlain plain;
      Piece piece;
      ASSERT_EQ(OpenGive(datagram, Pre().view(), plain, piece), Drop::kNone);
      EXPECT_EQ(piece.total, size);
      EXPECT_EQ(piece.offset, at);
      std::copy(piece.data.begin(), piece.data.end(), back.begin() + static_cast<ptrdiff_t>(at));
    }
    EXPECT_EQ(back, object);
  }
}

// A responder that sealed nonsense is refused field by field.
TEST(BeforeTest, SealedFieldsOutOfRangeAreDropped) {
  const auto give = [](uint32_t total, uint32_t offset, size_t stain) {
    GivePlain plain{};
    StoreLe(plain.data() + 16, total);
    StoreLe(plain.data() + 20, offset);
    if (stain != 0) plain[stain] = 1;
    Bytes d(kGiveBytes);
    d[0] = 0xa5, d[1] = 1, d[2] = 2;
    crypto::XAeadSeal(
        Pre().view(), kNonce, plain, ByteView(d).first(104), MutableBytes(d).subspan(128));
    std::copy(kNonce.begin(), kNonce.end(), d.begin() + 104);
    GivePlain opened;
    Piece piece;
    return OpenGive(d, Pre().view(), opened, piece);
  };
  EXPECT_EQ(give(100, 0, 0), Drop::kNone);
  EXPECT_EQ(give(100, 0, 24 + 99), Drop::kNone);
  EXPECT_EQ(give(100, 0, 24 + 100), Drop::kBeforeBody);
  EXPECT_EQ(give(0, 0, 0), Drop::kBeforeBody);
  EXPECT_EQ(give(16'385, 0, 0), Drop::kBeforeBody);
  EXPECT_EQ(give(2000, 1, 0), Drop::kBeforeBody);
  EXPECT_EQ(give(1064, 1064, 0), Drop::kBeforeBody);
  EXPECT_EQ(give(0xffffffff, 0xffffff80, 0), Drop::kBeforeBody);

  const auto want = [](uint8_t count, size_t stain) {
    std::array<uint8_t, 232> plain{};
    plain[96] = count;
    if (stain != 0) plain[stain] = 1;
    Bytes d(kWantBytes);
    d[0] = 0xa5, d[1] = 1, d[2] = 1;
    crypto::XAeadSeal(
        Pre().view(), kNonce, plain, ByteView(d).first(8), MutableBytes(d).subspan(32));
    std::copy(kNonce.begin(), kNonce.end(), d.begin() + 8);
    Want out;
    return OpenWant(d, Pre().view(), out);
  };
  EXPECT_EQ(want(1, 0), Drop::kNone);
  EXPECT_EQ(want(0, 0), Drop::kBeforeBody);
  EXPECT_EQ(want(9, 0), Drop::kBeforeBody);
  EXPECT_EQ(want(1, 97), Drop::kBeforeBody);
  EXPECT_EQ(want(1, 104 + 16), Drop::kBeforeBody);
}

TEST(BeforeTest, EachFlippedBitAndEachOtherLengthIsDropped) {
  const Mesh m;
  const Ref16 refs[] = {m.e.ref()};
  const auto want = BuildWant(kIndex, Pre().view(), kNonce, OurTicket(), refs);
  const auto give = BuildGive(OurTicket(), Pre().view(), kNonce, m.e.ref(), m.e.bytes(), 0);
  const auto notice = BuildNotice(kIndex, Pre().view(), kNonce, Eight(m));
  for (const ByteView whole : {ByteView(want), ByteView(give), ByteView(notice)}) {
    const auto enter = [](ByteView d) {
      Before kind{};
      if (const Drop drop = CheckBefore(d, kind); drop != Drop::kNone) return drop;
      Want w;
      GivePlain plain;
      Piece piece;
      Notice n;
      switch (kind) {
        case Before::kWant: return OpenWant(d, Pre().view(), w);
        case Before::kGive: return OpenGive(d, Pre().view(), plain, piece);
        case Before::kNotice: return OpenNotice(d, Pre().view(), n);
      }
      return Drop::kNone;
    };
    ASSERT_EQ(enter(whole), Drop::kNone);
    for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
      Bytes bad(whole.begin(), whole.end());
      bad[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
      EXPECT_NE(enter(bad), Drop::kNone) << bit;
    }
    for (size_t n = 0; n < whole.size(); ++n) EXPECT_NE(enter(whole.first(n)), Drop::kNone) << n;
    Bytes longer(whole.begin(), whole.end());
    longer.push_back(0);
    EXPECT_EQ(enter(longer), Drop::kSize);
  }
}

TEST(TicketTest, OnlyItsMakerReadsItAndOnlyInTime) {
  const Secret<32> process(Bytes(32, 5));
  const Ticket t = SealTicket(process.view(), kNonce, Pre().view(), kStaticI, kT + 60);
  OpenedTicket out;
  ASSERT_EQ(OpenTicket(t, process.view(), kT + 59, out), Drop::kNone);
  EXPECT_TRUE(out.k_pre == Pre());
  EXPECT_EQ(out.initiator, crypto::H128({kStaticI}));
  EXPECT_EQ(OpenTicket(t, process.view(), kT + 60, out), Drop::kTicket);
  EXPECT_EQ(OpenTicket(t, Bytes(32, 6), kT, out), Drop::kTicket);
  for (size_t i = 0; i < t.size(); ++i) {
    Ticket bad = t;
    bad[i] ^= 1;
    EXPECT_EQ(OpenTicket(bad, process.view(), kT, out), Drop::kTicket) << i;
    EXPECT_EQ(OpenTicket(ByteView(t).first(i), process.view(), kT, out), Drop::kTicket) << i;
  }
}

}  // namespace
}  // namespace aqmesh::frame
