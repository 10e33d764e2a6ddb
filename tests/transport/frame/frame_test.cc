#include "transport/frame/frame.h"

#include <gtest/gtest.h>

#include "core/base/rng.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "mesh_vectors.h"

namespace aqmesh::frame {
namespace {

using namespace vectors;  // NOLINT: the vocabulary of these tests

constexpr uint32_t kAtlasHandle = 0x01020304;
constexpr uint32_t kBorealisHandle = 0x0a0b0c0d;

Digest Initiator() {
  return AuthDigestOf(
      *Oid::From(Hex("e40582564d7e0a040e8a0e76c34292d48ebb3894c55663e9f8ddef592675b2b4")));
}
Digest Responder() {
  return AuthDigestOf(
      *Oid::From(Hex("a63fe03e81ff3d37ff90c68ad31f851e1207cdefe82691bcdaeb051488c20922")));
}
FrameKey FromInitiator() {
  return FrameKeyOf(kCkResp, Direction::kFromInitiator, Initiator(), kAtlasHandle);
}

Bytes Framed() {
  Bytes frame(kFrameHeaderBytes);
  Append(frame, kKeepalive);
  WriteFrame(frame.data(), kAtlasHandle, FromInitiator(), kKeepalive.size());
  return frame;
}

TEST(FrameVectorTest, KeysOfBothDirections) {  // spec: objects#8
  EXPECT_EQ(ToHex(FromInitiator().view()), "d910492493790610a9261bb12d704e6a");
  EXPECT_EQ(
      ToHex(FrameKeyOf(kCkResp, Direction::kFromResponder, Responder(), kBorealisHandle).view()),
      "c1fdfcfcc7f35ae3b29b86a3657f9750");
}

TEST(FrameVectorTest, FrameAroundTheKeepalive) {  // spec: objects#8
  EXPECT_EQ(ToHex(Framed()),
            "a410000004030201add5b3ffd8268f4804000000887766550000000000000000c7401bed732b18f3c0e395"
            "fc3f7435fa");
}

TEST(FrameTest, RightFrameLeadsToItsSessionAndMessage) {
  const Bytes frame = Framed();
  ASSERT_EQ(CheckFrameSize(frame), Drop::kNone);
  EXPECT_EQ(FrameHandle(frame), kAtlasHandle);
  EXPECT_EQ(CheckFrame(frame, FromInitiator()), Drop::kNone);
  EXPECT_TRUE(Equal(FrameMessage(frame), kKeepalive));
}

TEST(FrameTest, SipHashOfFourWordsAgreesWithTheGeneralOne) {
  Rng rng(Rng::Seed{1});
  for (int i = 0; i < 10'000; ++i) {
    const auto key = rng.Array<16>();
    const auto data = rng.Array<32>();
    const uint64_t words[4] = {LoadLe<uint64_t>(data.data()),
                               LoadLe<uint64_t>(data.data() + 8),
                               LoadLe<uint64_t>(data.data() + 16),
                               LoadLe<uint64_t>(data.data() + 24)};
    ASSERT_EQ(SipHash32Bytes(LoadLe<uint64_t>(key.data()), LoadLe<uint64_t>(key.data() + 8), words),
              crypto::SipHash24(key, data));
  }
}

TEST(FrameTest,
     SipHashAgreesWithItsAuthorsVector) {  // key 00..0f, input 00..1f: row 32 of their table
  const auto key = Counting<16>(0);
  const auto data = Counting<32>(0);
  const uint64_t words[4] = {LoadLe<uint64_t>(data.data()),
                             LoadLe<uint64_t>(data.data() + 8),
                             LoadLe<uint64_t>(data.data() + 16),
                             LoadLe<uint64_t>(data.data() + 24)};
  EXPECT_EQ(SipHash32Bytes(LoadLe<uint64_t>(key.data()), LoadLe<uint64_t>(key.data() + 8), words),
            0x7127512f72f27cce);
}

TEST(FrameTest, TagCoversExactlyTheBytesOfTheSpec) {  // spec: objects#4 Tag
  Bytes frame = Framed();
  Bytes input(frame.begin(), frame.begin() + 8);
  input.insert(input.end(), frame.begin() + 16, frame.begin() + 32);
  AppendLe(input, uint16_t{32});
  input.resize(32);
  EXPECT_EQ(LoadLe<uint64_t>(frame.data() + 8), crypto::SipHash24(FromInitiator().view(), input));
}

TEST(FrameTest, EachFlippedBitOfHeaderAndCoveredBytesIsDropped) {
  const FrameKey key = FromInitiator();
  for (size_t bit = 0; bit < 32 * 8; ++bit) {
    Bytes frame = Framed();
    frame[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    const Drop want = bit < 8    ? Drop::kVersion
                      : bit < 10 ? Drop::kFlags
                      : bit < 12 ? Drop::kHops
                      : bit < 16 ? Drop::kVersion
                      : bit < 32 ? Drop::kEpoch
                                 : Drop::kTag;
    EXPECT_EQ(CheckFrame(frame, key), want) << bit;
  }
}

TEST(FrameTest, HopsOneToThreeWithARightTagAreDropped) {  // spec: wire#3.4
  const FrameKey key = FromInitiator();
  for (uint8_t hops = 1; hops <= 3; ++hops) {
    Bytes frame = Framed();
    frame[1] = static_cast<uint8_t>(0x10 | hops << 2);
    StoreLe(frame.data() + 8, FrameTag(key, frame.data(), kKeepalive.size()));
    EXPECT_EQ(CheckFrame(frame, key), Drop::kHops);
  }
}

TEST(FrameTest, LengthIsBoundInAndBounded) {
  const Bytes frame = Framed();
  const FrameKey key = FromInitiator();
  for (size_t n = 0; n < frame.size(); ++n)
    EXPECT_EQ(CheckFrameSize(ByteView(frame).first(n)), Drop::kSize) << n;
  Bytes longer = frame;
  for (int i = 0; i < 64; ++i) {
    longer.push_back(0);
    EXPECT_EQ(CheckFrame(longer, key), Drop::kTag);
  }
  EXPECT_EQ(CheckFrameSize(Bytes(kFrameBytesMax)), Drop::kNone);
  EXPECT_EQ(CheckFrameSize(Bytes(kFrameBytesMax + 1)), Drop::kSize);
}

TEST(FrameTest, ARightTagIsNoLicenceForAnotherMessageType) {
  const FrameKey key = FromInitiator();
  for (const uint32_t type : {0u, 1u, 2u, 3u, 5u, 0x104u}) {
    Bytes frame = Framed();
    StoreLe(frame.data() + 16, type);
    StoreLe(frame.data() + 8, FrameTag(key, frame.data(), kKeepalive.size()));
    EXPECT_EQ(CheckFrame(frame, key), Drop::kInnerType);
  }
}

// spec: wire#3.4. A tag made in any other direction, handle, presentation or session is
// dropped.
TEST(FrameTest, SwapMatrixOfKeys) {
  struct Named {
    std::string name;
    FrameKey key;
  };
  std::vector<Named> keys;
  for (const Direction dir : {Direction::kFromInitiator, Direction::kFromResponder}) {
    for (const uint32_t handle : {kAtlasHandle, kBorealisHandle}) {
      for (const bool initiator : {true, false}) {
        for (const bool final_ck : {true, false}) {
          keys.push_back({Join(dir == Direction::kFromInitiator ? "i" : "r",
                               handle,
                               initiator ? "I" : "R",
                               final_ck ? 1 : 0),
                          FrameKeyOf(final_ck ? kCkResp : kCkInit,
                                     dir,
                                     initiator ? Initiator() : Responder(),
                                     handle)});
        }
      }
    }
  }
  ASSERT_EQ(keys.size(), 16u);
  for (const Named& made : keys) {
    Bytes frame = Framed();
    WriteFrame(frame.data(), kAtlasHandle, made.key, kKeepalive.size());
    for (const Named& taken : keys) {
      SCOPED_TRACE(made.name + " under " + taken.name);
      EXPECT_EQ(CheckFrame(frame, taken.key), made.name == taken.name ? Drop::kNone : Drop::kTag);
    }
  }
}

}  // namespace
}  // namespace aqmesh::frame
