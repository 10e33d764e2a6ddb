#include "core/authority/taxonomy.h"

#include <gtest/gtest.h>

namespace aqmesh::authority {
namespace {

TEST(TaxonomyTest, SmallMeshPriorsComeOutAsTheSpecPrintsThem) {  // spec/trust.md §3, Q16
  const Taxonomy t = Taxonomy::OfProfile(Profile::kSmallMesh);
  const ClassRule &enroller = *t.Find(Class::kEnroller), &node = *t.Find(Class::kNode);
  const uint32_t root = t.Root().prior;
  const uint32_t e1 = PriorUnder(enroller, root), e2 = PriorUnder(enroller, e1),
                 e3 = PriorUnder(enroller, e2);
  EXPECT_EQ(root, 62259u);
  EXPECT_EQ(e1, 60390u);
  EXPECT_EQ(e2, 58577u);
  EXPECT_EQ(e3, 56818u);
  EXPECT_EQ(PriorUnder(node, root), 56032u);
  EXPECT_EQ(PriorUnder(node, e1), 54350u);
  EXPECT_EQ(PriorUnder(node, e2), 52718u);
  EXPECT_EQ(PriorUnder(node, e3), 51135u);
}

TEST(TaxonomyTest, StandardPriorsOfTheRootsAreAbsolute) {
  const Taxonomy t = Taxonomy::OfProfile(Profile::kStandard);
  EXPECT_EQ(t.Root().prior, 52428u);
  EXPECT_EQ(PriorUnder(*t.Find(Class::kRegion), 1), 49152u);
  EXPECT_EQ(PriorUnder(*t.Find(Class::kSegment), 1), 47185u);
  EXPECT_EQ(PriorUnder(*t.Find(Class::kNode), 47185), 40106u);  // the golden vector's a
}

TEST(TaxonomyTest, ClassesIssueWhatTheTableSays) {
  struct Case {
    const char* name;
    Class issuer, child;
    bool may;
  };
  constexpr Case kCases[] = {
      {"root issues regions", Class::kRoot, Class::kRegion, true},
      {"nobody issues roots", Class::kRoot, Class::kRoot, false},
      {"region issues segments", Class::kRegion, Class::kSegment, true},
      {"region issues no region", Class::kRegion, Class::kRegion, false},
      {"segment issues plain", Class::kSegment, Class::kPlain, true},
      {"segment issues no segment", Class::kSegment, Class::kSegment, false},
      {"enroller issues nodes", Class::kEnroller, Class::kNode, true},
      {"enroller issues enrollers", Class::kEnroller, Class::kEnroller, true},
      {"enroller issues no router", Class::kEnroller, Class::kRouter, false},
      {"node issues nothing", Class::kNode, Class::kNode, false},
      {"bootstrap issues nothing", Class::kBootstrap, Class::kNode, false},
      {"an unknown class is nothing", static_cast<Class>(17), Class::kNode, false},
  };
  for (const Profile p : {Profile::kStandard, Profile::kSmallMesh}) {
    const Taxonomy t = Taxonomy::OfProfile(p);
    for (const Case& c : kCases) {
      SCOPED_TRACE(c.name);
      EXPECT_EQ(t.MayIssue(c.issuer, c.child), c.may);
    }
  }
}

TEST(TaxonomyTest, ACharterRowReplacesTheProfilesRow) {
  Charter c;
  c.profile = Profile::kSmallMesh;
  c.classes = {{.id = 4,
                .may_issue = 0,
                .caps = kCapJoin,
                .max_ttl = 60,
                .max_depth = 0,
                .prior = 100,
                .relative = 0,
                .certificate = 1}};
  const Taxonomy t = Taxonomy::Of(c);
  EXPECT_EQ(t.Find(Class::kNode)->caps, kCapJoin);
  EXPECT_EQ(PriorUnder(*t.Find(Class::kNode), 65536), 100u);
  EXPECT_TRUE(t.Find(Class::kNode)->certificate);
  EXPECT_EQ(*t.Find(Class::kUser), *Taxonomy::OfProfile(Profile::kSmallMesh).Find(Class::kUser));
}

TEST(TaxonomyTest, EnrollersLiveTenYearsInTheSmallMeshAlone) {
  EXPECT_EQ(Taxonomy::OfProfile(Profile::kSmallMesh).Find(Class::kEnroller)->max_ttl,
            3650u * 86'400);
  EXPECT_EQ(Taxonomy::OfProfile(Profile::kStandard).Find(Class::kEnroller)->max_ttl, 400u * 86'400);
  EXPECT_EQ(Taxonomy::OfProfile(Profile::kSmallMesh).Find(Class::kEnroller)->caps,
            0x24a7u);  // the vector's
}

}  // namespace
}  // namespace aqmesh::authority
