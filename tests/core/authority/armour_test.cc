#include "core/authority/armour.h"

#include <gtest/gtest.h>

#include "core/base/status.h"
#include "tests/core/authority/vectors.h"

namespace aqmesh::authority {
namespace {

using namespace vectors;  // NOLINT(google-build-using-namespace)

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST(ArmourTest, EveryVectorReadsBack) {
  std::string text = "Dear friend,\n";
  for (const Signed& s : All()) {
    const auto one = ParseArmourOne(Armour(s));
    ASSERT_TRUE(one.ok()) << one.status();
    EXPECT_EQ(one->bytes(), s.bytes());
    text += Armour(s) + "and another:\n\n";
  }
  const auto all = ParseArmour(text);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->size(), All().size());
}

TEST(ArmourTest, SurvivesMail) {
  const Signed s = SignObject(Node(), Seed(kAtlas));
  std::string mailed;
  for (char c : Armour(s)) mailed += c == '\n' ? std::string(" \t\r\n") : std::string(1, c);
  const auto read = ParseArmourOne(mailed);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->bytes(), s.bytes());
  EXPECT_TRUE(LooksLikeArmour("hello\n" + Armour(s)));
  EXPECT_FALSE(LooksLikeArmour("hello"));
}

TEST(ArmourTest, RefusesWithTheLine) {
  const std::string good = "one\n" + Armour(SignObject(Node(), Seed(kAtlas)));
  const std::string first = good.substr(good.find("-----\n") + 6, 64);
  struct Case {
    const char* name;
    std::string text;
    std::string_view says;
  };
  const Case cases[] = {
      {"another word",
       Replaced(Replaced(good, "BEGIN AQMESH GRANT", "BEGIN AQMESH REVOKE"),
                "END AQMESH GRANT",
                "END AQMESH REVOKE"),
       "holds a grant"},
      {"unknown word", Replaced(good, "BEGIN AQMESH GRANT", "BEGIN AQMESH GIFT"), "line 2"},
      {"small letters", Replaced(good, "BEGIN AQMESH GRANT", "BEGIN AQMESH grant"), "line 2"},
      {"another end", Replaced(good, "END AQMESH GRANT", "END AQMESH REVOKE"), "another object"},
      {"no end", good.substr(0, good.find("-----END")), "without its END"},
      {"an inner blank line", Replaced(good, first + "\n", first + "\n\n"), "line 4"},
      {"a leading blank", Replaced(good, first, " " + first), "line 3"},
      {"a short inner line",
       Replaced(good, first, first.substr(0, 60) + "\n" + first.substr(60)),
       "line 4"},
      {"a strange character", Replaced(good, first.substr(0, 4), "C*AB"), "encodes differently"},
      {"a lone end", "-----END AQMESH GRANT-----\n", "line 1"},
      {"nothing", "hello\n", "no line"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto read = ParseArmour(c.text);
    ASSERT_FALSE(read.ok());
    EXPECT_NE(Text(read.status()).find(c.says), std::string::npos) << read.status();
  }
}

}  // namespace
}  // namespace aqmesh::authority
