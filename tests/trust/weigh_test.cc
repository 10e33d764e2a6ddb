#include "trust/weigh.h"

#include <gtest/gtest.h>

#include "tests/core/authority/world_for_test.h"

namespace aqmesh::trust {
namespace {

using namespace authority::testing;  // NOLINT(google-build-using-namespace): the vocabulary of
                                     // these stories

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
    const authority::Weighed weighed = Weigh(*std::move(v), w.charters[0].body);
    EXPECT_EQ(weighed.ladm(), c.ladm);
    EXPECT_EQ(weighed.slope(), 0);
  }
}

}  // namespace
}  // namespace aqmesh::trust
