#include "core/authority/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/authority/vectors.h"

namespace aqmesh::authority {
namespace {

using namespace vectors;  // NOLINT(google-build-using-namespace)
using testing::HasSubstr;
using testing::Not;

TEST(RenderTest, AGrantReadsAsLabelledLines) {
  const std::string text = Render(SignObject(Node(), Seed(kAtlas)));
  EXPECT_THAT(text, HasSubstr("grant " + std::string(kNodeOid) + "\n"));
  EXPECT_THAT(text, HasSubstr("class:          NODE (4)\n"));
  EXPECT_THAT(text, HasSubstr("not_before:     2023-11-14 22:13:20Z\n"));
  EXPECT_THAT(text, HasSubstr("ttl:            30 d\n"));
  EXPECT_THAT(text, HasSubstr("caps:           join,accept,forward,attest\n"));
  EXPECT_THAT(text, HasSubstr("100.105.218.231/32, fd8c:ec1:6e68:c777:43f6:6233:b387:b1e4/128\n"));
}

TEST(RenderTest, JsonNamesEveryFieldAsTheSpecDoes) {
  const std::string json = RenderJson(SignObject(TcpFragment(), Seed(kRoot)));
  EXPECT_EQ(json,
            R"({"schema":"aqmesh.inspect/1","ctx":"fragment","oid":")" + std::string(kFragmentOid) +
                R"(","kid":")" + std::string(kRootKid) + R"(","suite":1,"size":201,"scope":")" +
                std::string(kScope) +
                R"(","seq":4,"not_before":1700000000,"ttl":86400,"authority":")" +
                std::string(kCharterOid) +
                R"(","charter_version":1,"rules":[{"src":"tag:member","dst":"node:)" +
                std::string(kBorealisKid) + R"(","protos":[6],"ports":["22","443"],"do":2}]})");
  EXPECT_THAT(RenderJson(SignObject(AtlasInvite(), Seed(kAtlas))),
              HasSubstr(R"("static":")" + std::string(kAtlasStatic)));
  EXPECT_THAT(RenderJson(SignObject(AtlasInvite(), Seed(kAtlas))),
              HasSubstr(R"("endpoints":["192.168.1.10:41641"])"));
  EXPECT_THAT(RenderJson(SignObject(ResponderPresentation(), Seed(kAtlas))),
              HasSubstr(R"("restrict":"5d8f1ba4fede53395a486e839921b7f7")"));
}

TEST(RenderTest, FieldsNamedLikeTheEnvelopesKeepApart) {
  const std::string json = RenderJson(SignObject(FloorRevoke(), Seed(kAtlas)));
  EXPECT_THAT(json, HasSubstr(R"("kid":")" + std::string(kAtlasKid)));
  EXPECT_THAT(json, HasSubstr(R"("revoke_kid":")" + std::string(kBorealisKid)));
  EXPECT_THAT(RenderJson(SignObject(Node(), Seed(kAtlas))), HasSubstr(R"("grant_suite":1)"));
}

TEST(RenderTest, ABodyThatDoesNotParseShowsItsRefusal) {
  const Signed s = Sign(Ctx::kGrant, Bytes{0x08, 0x01}, Seed(kRoot));
  EXPECT_THAT(RenderJson(s), HasSubstr(R"("byte":0)"));
  EXPECT_THAT(Render(s), HasSubstr("refused:"));
  EXPECT_THAT(RenderJson(Sign(Ctx::kPolicy, Bytes{0x08, 0x01}, Seed(kRoot))),
              HasSubstr(R"("body":"0801")"));
}

}  // namespace
}  // namespace aqmesh::authority
