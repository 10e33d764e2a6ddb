#include "core/authority/address.h"

#include <gtest/gtest.h>

#include "core/authority/signed.h"

namespace aqmesh::authority {
namespace {

ScopeId Home() { return *ScopeId::From(*FromHex("2abc01708384f11380887549ea517255")); }
Kid Atlas() { return *Kid::From(*FromHex("49222af5ee7a8e079fe65dc3f5e738b3")); }
Kid Borealis() { return *Kid::From(*FromHex("819b8bcf94b13bb0e9989bf88a653eb6")); }

TEST(AddressTest, AddressesOfTheVectorsAreDerived) {  // spec: objects#8
  EXPECT_EQ(Prefix48(Home()).ToString(), "fd8c:ec1:6e68::/48");
  EXPECT_EQ(ControlAddress(Home()).ToString(), "fd8c:ec1:6e68::a5");
  EXPECT_EQ(DerivedIp6(Home(), Borealis()).ToString(), "fd8c:ec1:6e68:c777:43f6:6233:b387:b1e4");
  EXPECT_EQ(DerivedIp6(Home(), Atlas()).ToString(), "fd8c:ec1:6e68:dab2:a1c5:22fc:6716:758f");
  EXPECT_EQ(Ip4Candidates(Home(), Borealis()).at(0).ToString(), "100.105.218.231");
  EXPECT_EQ(Ip4Candidates(Home(), Atlas()).at(0).ToString(), "100.80.187.237");
}

TEST(AddressTest, CandidatesStayInThePoolAndOutOfTheSkippedRanges) {
  const Prefix service1 = *Prefix::Parse("100.100.0.0/16"),
               service2 = *Prefix::Parse("100.115.92.0/23");
  size_t skipped = 0;
  for (uint32_t n = 0; n < 2000; ++n) {
    Kid kid;
    StoreBe(kid.data(), n);
    const std::vector<IpAddress> wide = Ip4Candidates(Home(), kid);
    ASSERT_LE(wide.size(), kIp4CandidatesMax);
    skipped += kIp4CandidatesMax - wide.size();
    for (const IpAddress& a : wide) {
      EXPECT_TRUE(DefaultPool4().Contains(a));
      EXPECT_FALSE(service1.Contains(a) || service2.Contains(a)) << a.ToString();
    }
    for (const IpAddress& a : Ip4Candidates(Home(), kid, Prefix::Parse("10.9.8.0/24"))) {
      EXPECT_EQ(a.ToString().substr(0, 7), "10.9.8.");
      EXPECT_NE(a.bytes()[3], 0);
      EXPECT_NE(a.bytes()[3], 255);
    }
  }
  EXPECT_GT(skipped, 0u);  // 1.6 % of the pool is skipped: 32,000 draws have met it
}

TEST(AddressTest, OnlyHostRoutesToOnesOwnDerivedAddressesAreDerived) {
  const IpAddress v6 = DerivedIp6(Home(), Atlas()), v4 = Ip4Candidates(Home(), Atlas()).back();
  EXPECT_TRUE(IsDerivedHost(Prefix::Host(v6), Home(), Atlas()));
  EXPECT_TRUE(IsDerivedHost(Prefix::Host(v4), Home(), Atlas()));
  EXPECT_FALSE(IsDerivedHost(Prefix::Host(v6), Home(), Borealis()));
  EXPECT_FALSE(IsDerivedHost(Prefix::Host(v4), Home(), Borealis()));
  EXPECT_FALSE(IsDerivedHost(*Prefix::Make(v6, 127), Home(), Atlas()));
  EXPECT_FALSE(IsDerivedHost(*Prefix::Make(v4, 31), Home(), Atlas()));
  EXPECT_FALSE(IsDerivedHost(Prefix::Host(ControlAddress(Home())), Home(), Atlas()));
}

}  // namespace
}  // namespace aqmesh::authority
