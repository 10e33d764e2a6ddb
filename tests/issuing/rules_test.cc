#include "issuing/rules.h"

#include <gtest/gtest.h>

#include "core/base/status.h"

namespace aqmesh::issuing {
namespace {

TEST(RulesTest, TextRoundTripsInItsShortestForm) {
  struct Case {
    const char* text;
    const char* printed;
  };
  const Case cases[] = {
      {"tag:member -> tag:db tcp:5432,8000-8010", nullptr},
      {"any -> node:819b8bcf94b13bb0e9989bf88a653eb6 icmp", nullptr},
      {"allow any -> any any", "any -> any any"},
      {"10.1.0.0/16 -> fd00::/8 udp+tcp:53", "10.1.0.0/16 -> fd00::/8 tcp+udp:53"},
      {"any -> any tcp:*", "any -> any tcp"},
      {"any -> any tcp:10-20,15-30,31,40", "any -> any tcp:10-31,40"},
      {"any -> any 200 one-way log log-headers escalate forward",
       "any -> any 200 one-way forward log log-headers escalate"},
      {"any -> any any rate:3 drop-after:9 transform:mss-1200-v1 since:5 until:9 via:2", nullptr},
      {"any -> any any hours:mon09:00-mon17:30,sun22:00-sun24:00", nullptr},
      {"any -> any any hours:mon00:00-tue00:00", "any -> any any hours:mon00:00-mon24:00"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    const auto rule = ParseRule(c.text);
    ASSERT_TRUE(rule.ok()) << rule.status();
    EXPECT_EQ(PrintRule(*rule), c.printed == nullptr ? c.text : c.printed);
    const auto again = ParseRule(PrintRule(*rule));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(*again == *rule);
  }
}

TEST(RulesTest, ErrorsGiveTheColumnAndTheMend) {
  struct Case {
    const char* text;
    const char* column;
  };
  const Case cases[] = {
      {"", "column 1:"},
      {"tag:Member -> any any", "column 5:"},
      {"nobody -> any any", "column 1:"},
      {"any > any any", "column 5:"},
      {"any ->", "column 7:"},
      {"any -> any", "column 11:"},
      {"any -> node:12 any", "column 13:"},
      {"any -> any tpc:5432", "column 12:"},
      {"any -> any tcp+tpc:1", "column 16:"},
      {"any -> any icmp:8", "column 16:"},
      {"any -> any any:8", "column 15:"},
      {"any -> any tcp:80,x", "column 19:"},
      {"any -> any tcp:90-80", "column 16:"},
      {"any -> any tcp:65536", "column 16:"},
      {"any -> any tcp:1,3,5,7,9,11,13,15,17", "column 16:"},
      {"any -> any any loudly", "column 16:"},
      {"any -> any any rate:8", "column 21:"},
      {"any -> any any hours:mon25:00-mon26:00", "column 22:"},
      {"any -> any any since:9 until:9", "column 24:"},
      {"any -> any 0", "column 12:"},
      {"any -> any 255", "column 12:"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    const auto rule = ParseRule(c.text);
    ASSERT_FALSE(rule.ok());
    EXPECT_EQ(Text(rule.status()).rfind(c.column, 0), 0u) << rule.status();
  }
}

TEST(RulesTest, ManyRulesNameTheLine) {
  const auto rules = ParseRules("# who may\n\nany -> any icmp   # ping\ntag:a -> tag:b tcp:1\n");
  ASSERT_TRUE(rules.ok()) << rules.status();
  EXPECT_EQ(rules->size(), 2u);
  const auto bad = ParseRules("any -> any icmp\n\nany -> any tpc\n");
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(Text(bad.status()).rfind("line 3, column 12:", 0), 0u) << bad.status();
  EXPECT_FALSE(ParseRules("# nothing\n").ok());
  std::string many;
  for (int i = 0; i < 65; ++i) many += "any -> any any\n";
  EXPECT_FALSE(ParseRules(many).ok());
}

TEST(RulesTest, NamesAreLookedUpWhereAskedFor) {
  const NodeLookup lookup = [](std::string_view name) -> std::optional<Kid> {
    return name == "atlas" ? std::optional<Kid>(Kid{}) : std::nullopt;
  };
  EXPECT_TRUE(ParseRule("any -> node:atlas any", lookup).ok());
  EXPECT_FALSE(ParseRule("any -> node:carol any", lookup).ok());
}

TEST(RulesTest, TagsHaveOneGrammar) {
  for (const char* good : {"a", "db.main", "a.b.c.d", "x-1"}) EXPECT_TRUE(IsTag(good)) << good;
  for (const char* bad : {"", ".", "a.", "-a", "a-", "A", "a.b.c.d.e", "*", "a.*", "a_b"})
    EXPECT_FALSE(IsTag(bad)) << bad;
  for (const char* good : {"*", "a.*", "a.b.*"}) EXPECT_TRUE(IsWildTag(good)) << good;
  for (const char* bad : {".*", "a*", "*.a", "**"}) EXPECT_FALSE(IsWildTag(bad)) << bad;
}

}  // namespace
}  // namespace aqmesh::issuing
