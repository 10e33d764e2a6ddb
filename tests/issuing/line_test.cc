#include "issuing/line.h"

#include <gtest/gtest.h>

#include "core/crypto/hash.h"
#include "tests/issuing/vectors.h"

namespace aqmesh::issuing {
namespace {

using vectors::Seed;
using vectors::World;

TEST(LineTest, LineOfTheVectorsIsReproduced) {  // spec: objects#8
  World w;
  const auto invite = w.Invitation();
  ASSERT_TRUE(invite.ok()) << invite.status();
  EXPECT_EQ(ToHex(invite->oid()),
            "c13303ceb5d0b32dfddf034cac5833ac644f65c154fae3ef0b514c8673caac3f");
  const std::string line = LineOf(*invite, Seed(4));
  EXPECT_EQ(line.size(), 576u);
  EXPECT_EQ(line.substr(0, 27), "aq1-10710-08T21-4J4AQ-NXSX8");
  EXPECT_EQ(line.substr(line.size() - 14), "G2081-0TV2W-GT");
  EXPECT_EQ(ToHex(crypto::Sha256({AsBytes(line)})),
            "5b4e502e416acd0c216fc7e718e93c4e9d507f9c9013c903b57c973628c195d6");

  const auto back = ParseLine(line);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->invite.oid(), invite->oid());
  EXPECT_TRUE(back->seed == Seed(4));
}

TEST(LineTest, ReadersIgnoreCaseDashesAndBlanksAndReadLookAlikes) {  // spec: objects#5
  World w;
  const std::string line = LineOf(*w.Invitation(), Seed(4));
  std::string typed = " \n";
  for (const char c : line) {
    if (c == '-')
      typed += "  ";
    else if (c == '0')
      typed += 'o';
    else if (c == '1')
      typed += 'l';
    else
      typed += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  EXPECT_TRUE(ParseLine(typed).ok());
}

TEST(LineTest, EveryGroupAlteredAndEveryTruncationIsRefused) {
  World w;
  const std::string line = LineOf(*w.Invitation(), Seed(4));
  for (size_t i = 4; i < line.size(); ++i) {
    if (line[i] == '-') continue;
    std::string bad = line;
    bad[i] = bad[i] == '7' ? '8' : '7';
    EXPECT_FALSE(ParseLine(bad).ok()) << i;
  }
  for (size_t n = 0; n < line.size(); ++n) EXPECT_FALSE(ParseLine(line.substr(0, n)).ok()) << n;
  for (const char* more : {"0", "00", "-00000", "00000000"})
    EXPECT_FALSE(ParseLine(line + more).ok()) << more;
}

TEST(LineTest, RefusesForeignLettersWithTheirPlace) {
  World w;
  std::string line = LineOf(*w.Invitation(), Seed(4));
  line[4] = 'U';
  const auto parsed = ParseLine(line);
  ASSERT_FALSE(parsed.ok());
  EXPECT_NE(Text(parsed.status()).find("character 5:"), std::string::npos) << parsed.status();
  EXPECT_FALSE(ParseLine("aq2-10710").ok());
  EXPECT_FALSE(ParseLine(std::string(kLineTextMax + 1, '-')).ok());
  EXPECT_FALSE(ParseLine("").ok());
}

// Crockford of any bytes, to forge lines whose check is right.
std::string Forge(ByteView p, bool right_check, uint8_t fill = 0) {
  const crypto::Hash32 hash = crypto::H256({AsBytes("aqmesh/1/line"), p});
  Bytes all = Concat({p, ByteView(hash).first(4)});
  if (!right_check) all.back() ^= 1;
  std::string out = "aq1";
  size_t bits = 0;
  uint32_t pool = 0;
  for (const uint8_t b : all) {
    pool = (pool << 8 | b) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5)
      out += "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[pool >> (bits - 5) & 31];
  }
  if (bits > 0) out += "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[(pool << (5 - bits) | fill) & 31];
  return out;
}

TEST(LineTest, RefusesWrongCheckWrongSeedAndNonZeroFill) {
  World w;
  const auto invite = w.Invitation();
  const Bytes p = Concat({invite->envelope->bytes(), Seed(4).view()});
  EXPECT_TRUE(ParseLine(Forge(p, true)).ok());
  EXPECT_FALSE(ParseLine(Forge(p, false)).ok());
  EXPECT_FALSE(ParseLine(Forge(Concat({invite->envelope->bytes(), Seed(5).view()}), true)).ok());
  EXPECT_FALSE(ParseLine(Forge(Concat({w.charter.envelope->bytes(), Seed(4).view()}), true)).ok());
  ASSERT_NE((p.size() + 4) * 8 % 5, 0u) << "the vector has a fill";
  EXPECT_FALSE(ParseLine(Forge(p, true, 1)).ok());
}

TEST(LineTest, PaperKeyRoundTripsAndRefusesATypo) {
  const std::string paper = PaperOf(Seed(9));
  const auto back = ParsePaper(paper);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_TRUE(*back == Seed(9));
  for (size_t i = 5; i < paper.size(); ++i) {
    if (paper[i] == '-') continue;
    std::string bad = paper;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(ParsePaper(bad).ok()) << i;
  }
}

}  // namespace
}  // namespace aqmesh::issuing
