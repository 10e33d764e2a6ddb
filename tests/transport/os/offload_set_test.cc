#include "transport/os/offload_set.h"

#include <gtest/gtest.h>

namespace aqmesh::os {
namespace {

TEST(OffloadSetTest, WordsAreTakenInTheirOrder) {
  const struct {
    const char* words;
    const char* want;
  } cases[] = {
      {"all", "all"},
      {"none", "none"},
      {"", "none"},
      {"tun-csum, tun-tso4,tun-tso6 tun-uso,udp-gso,udp-gro", "all"},
      {"tun-tso4", "tun-csum,tun-tso4"},
      {"udp-gro", "udp-gro"},
      {"no-tun-uso", "tun-csum,tun-tso4,tun-tso6,udp-gso,udp-gro"},
      {"no-tun-csum", "udp-gso,udp-gro"},
      {"no-udp-gso no-udp-gro", "tun-csum,tun-tso4,tun-tso6,tun-uso"},
      {"none,udp-gso,no-udp-gso", "none"},
      {"tun-csum,all", "all"},
      {"all,no-tun-tso4,no-tun-tso6,no-tun-uso", "tun-csum,udp-gso,udp-gro"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.words);
    const auto set = ParseOffloads(c.words);
    ASSERT_TRUE(set.ok()) << set.status();
    EXPECT_EQ(PrintOffloads(*set), c.want);
    EXPECT_EQ(*ParseOffloads(PrintOffloads(*set)), *set);
  }
}

TEST(OffloadSetTest, AWordThatIsNoneNamesThoseThereAre) {
  for (const char* words : {"tun-gso", "no-", "no-no-udp-gso", "All", "tun-csum;udp-gso"}) {
    const auto set = ParseOffloads(words);
    ASSERT_FALSE(set.ok()) << words;
    EXPECT_NE(Text(set.status()).find(Join("`", words, "` is no offload; there are: tun-csum, ")),
              std::string::npos)
        << set.status();
  }
  OffloadSet kept = *ParseOffloads("udp-gro");
  EXPECT_FALSE(TakeOffloadWord("udp", true, kept).ok());
  EXPECT_EQ(PrintOffloads(kept), "udp-gro");
  std::string many;
  for (size_t i = 0; i <= kOffloadWordsMax; ++i) many += "all ";
  EXPECT_FALSE(ParseOffloads(many).ok());
}

TEST(OffloadSetTest, EachNameIsAPartOfAllAndOfItselfAlone) {
  OffloadSet sum = kNoOffloads;
  for (const OffloadName& n : OffloadNames()) {
    EXPECT_TRUE(Holds({}, n.alone)) << n.name;
    EXPECT_FALSE(Holds(kNoOffloads, n.alone)) << n.name;
    sum.tun |= n.alone.tun;
    sum.udp_gso |= n.alone.udp_gso;
    sum.udp_gro |= n.alone.udp_gro;
  }
  EXPECT_EQ(sum, OffloadSet{});
}

}  // namespace
}  // namespace aqmesh::os
