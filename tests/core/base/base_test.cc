#include <gtest/gtest.h>

#include "core/base/net.h"
#include "core/base/rng.h"

namespace aqmesh {
namespace {

TEST(NetTest, MappedAddressesBecomeIpv4AtTheDoor) {
  EXPECT_EQ(IpAddress::Parse("::ffff:1.2.3.4"), IpAddress::Parse("1.2.3.4"));
  EXPECT_FALSE(IpAddress::Parse("1.2.3"));
}

TEST(NetTest, PrefixesMaskHostBitsAndContainByLength) {
  const auto p = Prefix::Parse("10.1.2.3/8");
  ASSERT_TRUE(p);
  EXPECT_EQ(p->ToString(), "10.0.0.0/8");
  EXPECT_TRUE(p->Contains(*IpAddress::Parse("10.255.0.1")));
  EXPECT_FALSE(p->Contains(*IpAddress::Parse("11.0.0.1")));
  EXPECT_FALSE(p->Contains(*IpAddress::Parse("::1")));
  EXPECT_TRUE(Prefix::Parse("0.0.0.0/0")->Contains(*p));
  EXPECT_FALSE(Prefix::Parse("1.2.3.4/33"));
  EXPECT_TRUE(Prefix::Parse("fd00::/9")->Contains(*IpAddress::Parse("fd7f::1")));
  EXPECT_FALSE(Prefix::Parse("fd00::/9")->Contains(*IpAddress::Parse("fd80::1")));
}

TEST(NetTest, EndpointsRoundTrip) {
  for (const char* text : {"1.2.3.4:5", "[fd00::1]:51820", "[fe80::1%3]:7"}) {
    const auto e = Endpoint::Parse(text);
    ASSERT_TRUE(e) << text;
    EXPECT_EQ(e->ToString(), text);
  }
  for (const char* bad :
       {"1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "fd00::1:5", "[1.2.3.4]:5", "[::1]", ""}) {
    EXPECT_FALSE(Endpoint::Parse(bad)) << bad;
  }
}

TEST(RngTest, SameSeedSameBytesAndChildrenDiffer) {
  Rng a(Rng::Seed{1}), b(Rng::Seed{1});
  EXPECT_EQ(a.Array<100>(), b.Array<100>());
  Rng c = a.Child("x"), d = b.Child("y");
  EXPECT_NE(c.U64(), d.U64());
}

// RFC 4648 §10, and what it leaves to the reader: nothing but the one spelling.
TEST(Base64Test, HasTheVectorsOfRfc4648AndOneSpellingEach) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(ToBase64(AsBytes(plain)), text);
    const auto back = FromBase64(text);
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(AsText(*back), plain);
  }
  for (const char* bad : {"Zg=", "Zg", "Zh==", "Zm9v=", "Zm 9v", "Zm9-", "=", "Z"})
    EXPECT_FALSE(FromBase64(bad)) << bad;
}

}  // namespace
}  // namespace aqmesh
