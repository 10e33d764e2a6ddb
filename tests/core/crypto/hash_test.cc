#include "core/crypto/hash.h"

#include <gtest/gtest.h>

#include "core/crypto/aead.h"

namespace aqmesh::crypto {
namespace {

std::string Hex(ByteView b) { return ToHex(b); }

TEST(HashTest, Blake2sOfAbcIsRfc7693AppendixB) {
  EXPECT_EQ(Hex(Blake2s({AsBytes("a"), AsBytes("bc")})),
            "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
}

TEST(HashTest, KdfReproducesWireGuardGosVectors) {
  const auto out = Kdf3(AsBytes("test-key"), AsBytes("test-input"));
  EXPECT_EQ(Hex(out.t1), "6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633");
  EXPECT_EQ(Hex(out.t2), "df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a");
  EXPECT_EQ(Hex(out.t3), "fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c24");
}

TEST(HashTest, ProtocolNameHashesToWireGuardsFirstChainingKey) {
  EXPECT_EQ(Hex(Blake2s({AsBytes("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")})),
            "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36");
}

TEST(HashTest, MerkleRootOfSevenLeavesIsRfc6962s) {
  std::vector<Hash32> leaves;
  for (uint8_t i = 0; i < 7; ++i) leaves.push_back(MerkleLeaf(ByteView(&i, 1)));
  const auto left = MerkleNode(MerkleNode(leaves[0], leaves[1]), MerkleNode(leaves[2], leaves[3]));
  const auto right = MerkleNode(MerkleNode(leaves[4], leaves[5]), leaves[6]);
  EXPECT_EQ(MerkleRoot(leaves), MerkleNode(left, right));
  EXPECT_EQ(Hex(MerkleRoot({})),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(AeadTest, KeptContextAgreesWithTheOneShotAtEveryLength) {
  std::array<uint8_t, 32> key;
  key.fill(7);
  AeadKey seal(key, AeadKey::Direction::kSeal);
  AeadKey open(key, AeadKey::Direction::kOpen);
  for (size_t n = 0; n < 1500; ++n) {
    Bytes plain(n, static_cast<uint8_t>(n));
    Bytes one(n + 16), two(n + 16), back(n);
    AeadSeal(key, n, plain, {}, one);
    seal.Seal(n, plain, two.data());
    ASSERT_EQ(one, two) << n;
    ASSERT_TRUE(open.Open(n, two, back.data()));
    ASSERT_EQ(back, plain);
    two[n / 2] ^= 1;
    ASSERT_FALSE(open.Open(n, two, back.data()));
  }
}

// Every length over the borders of blocks, cut in two at every kind of place, against OpenSSL's.
TEST(HashTest, Sha256IsTheLibrarysAtEveryLength) {
  Bytes data(1'300);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i * 7 + i / 251);
  const ByteView all = data;
  for (size_t size = 0; size <= data.size(); ++size) {
    const ByteView text = all.first(size);
    const Hash32 want = Sha256ByLibrary({text});
    ASSERT_EQ(Sha256({text}), want) << size;
    for (const size_t cut : {size_t{1}, size_t{63}, size_t{64}, size_t{65}, size / 2}) {
      if (cut > size) continue;
      ASSERT_EQ(Sha256({text.first(cut), text.subspan(cut)}), want) << size << " cut at " << cut;
      ASSERT_EQ(Sha256({text.first(cut),
                        {},
                        text.subspan(cut).first((size - cut) / 2),
                        text.subspan(cut).subspan((size - cut) / 2)}),
                want);
    }
  }
  EXPECT_EQ(Hex(Sha256({AsBytes("abc")})),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(HashTest, ManyMerkleHashesAtOnceAreThoseOneByOne) {
  Bytes data(4'100);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i * 31 + i / 256);
  const ByteView all = data;
  // Neighbours of like and unlike lengths, short and beyond what goes in pairs; an odd one out.
  std::vector<ByteView> texts;
  for (size_t size = 0; size <= 200; ++size) texts.push_back(all.first(size));
  for (const unsigned size : {990u, 1'000u, 1'001u, 3u, 4'006u, 4'006u, 55u, 56u, 119u, 120u, 0u})
    texts.push_back(all.first(size));
  for (const size_t count : {size_t{0}, size_t{1}, size_t{2}, texts.size()}) {
    std::vector<Hash32> leaves(count);
    MerkleLeaves(std::span(texts).first(count), leaves);
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(leaves[i], MerkleLeaf(texts[i])) << i;
  }
  for (size_t pairs = 0; pairs < 9; ++pairs) {
    Bytes nodes(data.begin(), data.begin() + static_cast<ptrdiff_t>(64 * pairs));
    MerkleNodes(nodes, MutableBytes(nodes).first(32 * pairs));  // where they lie
    for (size_t i = 0; i < pairs; ++i) {
      const Hash32 want = MerkleNode(all.subspan(64 * i, 32), all.subspan(64 * i + 32, 32));
      ASSERT_TRUE(Equal(ByteView(nodes).subspan(32 * i, 32), want)) << i << " of " << pairs;
    }
  }
}

}  // namespace
}  // namespace aqmesh::crypto
