#include "trust/weigh.h"

#include <gtest/gtest.h>

#include "tests/core/authority/world_for_test.h"

namespace aqmesh::trust {
namespace {

using namespace authority::testing;  // NOLINT(google-build-using-namespace): the vocabulary of
                                     // these stories

Standing Strangers(const Kid&, Role, uint32_t prior) { return Standing::New(prior, 9); }

TEST(WeighTest,
     AChainWeighsTheLeastOfItsLinks) {  // spec/trust.md §3: small-mesh NODE under ENROLLER 0..3
  World w;
  const auto e1 = w.Enroller(1, 10, 1, 3, w.charters[0].oid()),
             e2 = w.Enroller(10, 11, 1, 2, e1.oid()), e3 = w.Enroller(11, 12, 1, 1, e2.oid());
  struct Case {
    const char* name;
    std::vector<authority::SignedPtr> chain;
    uint32_t ladm;
  };
  const Case kCases[] = {
      {"under the root", {w.Node(1, 20, 2, w.charters[0].oid()).envelope}, 56032},
      {"under the first enroller", {w.Node(10, 20, 2, e1.oid()).envelope, e1.envelope}, 54350},
      {"under the second", {w.Node(11, 20, 2, e2.oid()).envelope, e2.envelope, e1.envelope}, 52718},
      {"under the third",
       {w.Node(12, 20, 2, e3.oid()).envelope, e3.envelope, e2.envelope, e1.envelope},
       51135},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    World fresh;
    std::optional<authority::Verified> v = fresh.Auth(c.chain);
    ASSERT_TRUE(v.has_value() && v->rung() == authority::Rung::kAdmit) << fresh.report.why;
    const std::vector<Step> steps = StepsOf(v->chain());
    EXPECT_EQ(steps.size(), c.chain.size() + 1);
    const auto links = LinksOf(steps, w.charters[0].body, 9, Strangers);
    const authority::Weighed weighed = Weigh(*std::move(v), w.charters[0].body, links, 9);
    EXPECT_EQ(weighed.ladm(), c.ladm);
    EXPECT_EQ(weighed.trust(), (authority::ChainTrust{.ladm = c.ladm}));
  }
}

// One link fell: the chain falls with it, and what hangs below it starts lower.
TEST(WeighTest, WhatIsKnownOfALinkCountsBesideItsClass) {
  World w;
  const auto e1 = w.Enroller(1, 10, 1, 3, w.charters[0].oid());
  const auto node = w.Node(10, 20, 2, e1.oid());
  const std::optional<authority::Verified> v = w.Auth({node.envelope, e1.envelope});
  ASSERT_TRUE(v.has_value()) << w.report.why;
  const std::vector<Step> steps = StepsOf(v->chain());
  ASSERT_EQ(steps.size(), 3u);
  const authority::Charter& charter = w.charters[0].body;
  const auto known = [&](const Kid& key, Role role, uint32_t prior) {
    EXPECT_EQ(role, key == steps[2].key ? Role::kPeer : Role::kAuthority);
    Standing s = Standing::New(prior, 8);
    if (key == steps[1].key) s.Step(9, {.s = kMajor});
    return s;
  };
  const std::vector<Link> links = LinksOf(steps, charter, 9, known);
  EXPECT_EQ(links[0].prior, 62'259u);
  EXPECT_EQ(links[1].prior, 60'390u);
  const Reading fell = links[1].standing.Read(9, 0);
  EXPECT_LT(fell.ladm, 32'768u);
  EXPECT_EQ(links[2].prior, (58'982u * uint64_t{fell.ladm}) >> 16);  // .90 of the issuer's level
  const authority::ChainTrust trust = TrustIn(charter, links, 9);
  EXPECT_EQ(trust.ladm, links[2].prior);
  EXPECT_EQ(trust.slope, fell.slope);
  EXPECT_EQ(trust.scars, 1u);
  EXPECT_TRUE(trust.broken);
  EXPECT_FALSE(trust.negative);  // nothing is held against the one that is trusted least

  // Known from before its issuer fell, it keeps its own level, and the chain has the issuer's.
  const auto settled = [&](const Kid& key, Role role, uint32_t prior) {
    return key == steps[2].key ? Standing::New(54'350, 8) : known(key, role, prior);
  };
  const authority::ChainTrust both = TrustIn(charter, LinksOf(steps, charter, 9, settled), 9);
  EXPECT_EQ(both.ladm, fell.ladm);
  EXPECT_TRUE(both.negative);
}

TEST(WeighTest, ARequestWeighsWhatAVoterDoes) {
  World w;
  EXPECT_TRUE(StepsOf({}).empty());
  EXPECT_EQ(TrustIn(w.charters[0].body, {}, 9).ladm, 62'259u);
}

TEST(WeighTest, AbsenceCostsWhatTheCharterSays) {
  World w;
  authority::Charter charter = w.charters[0].body;
  EXPECT_EQ(GapCapOf(charter), kGapCapSmallMesh);
  charter.profile = authority::Profile::kStandard;
  EXPECT_EQ(GapCapOf(charter), kGapCap);
  charter.params.push_back({15, 99});
  EXPECT_EQ(GapCapOf(charter), 99u);
  charter.params.back().value = UINT64_MAX;
  EXPECT_EQ(GapCapOf(charter), kPenaltyMax);
}

}  // namespace
}  // namespace aqmesh::trust
