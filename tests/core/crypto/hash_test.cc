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

}  // namespace
}  // namespace aqmesh::crypto
