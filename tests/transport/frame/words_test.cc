#include "transport/frame/words.h"

#include <gtest/gtest.h>

#include "core/crypto/hash.h"
#include "mesh_vectors.h"

namespace aqmesh::frame {
namespace {

using namespace vectors;  // NOLINT: the vocabulary of these tests

TEST(WordsTest, ListIsTheOneOfTheSpec) {  // spec: objects#5
  std::string file;
  for (uint16_t i = 0; i < kWordListSize; ++i) {
    file += Word(i);
    file += '\n';
  }
  EXPECT_EQ(ToHex(crypto::Sha256({AsBytes(file)})),
            "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda");
}

TEST(WordsTest, VectorOfTheSpec) {  // spec: objects#8
  const auto nonce = Counting<16>(0xd0);
  EXPECT_EQ(WordsOf(kHFinal, nonce), (WordIndices{1506, 161, 202}));
  EXPECT_EQ(WordsText(WordsOf(kHFinal, nonce)), "rough before bone");
  EXPECT_EQ(ToHex(CommitTo(nonce)), "e8425e94f861fd4879661330506627ab");
}

TEST(WordsTest, AnotherSessionOrNonceGivesOtherWords) {
  const auto nonce = Counting<16>(0xd0);
  EXPECT_NE(WordsOf(kHInit, nonce), WordsOf(kHFinal, nonce));
  EXPECT_NE(WordsOf(kHFinal, Counting<16>(0xd1)), WordsOf(kHFinal, nonce));
}

}  // namespace
}  // namespace aqmesh::frame
