#include "core/authority/transforms.h"

#include <gtest/gtest.h>

namespace aqmesh::authority {
namespace {

TEST(TransformsTest, ANameIsOneValueAndAValueOneName) {
  for (const TransformFamily& f : TransformFamilies()) {
    for (const uint16_t value : {f.least, f.most}) {
      const Transform t{f.kind, value};
      EXPECT_EQ(TransformNamed(NameOf(t)), t) << NameOf(t);
    }
    EXPECT_FALSE(TransformNamed(NameOf({f.kind, static_cast<uint16_t>(f.most + 1)})));
    if (f.least > 0) {
      EXPECT_FALSE(TransformNamed(NameOf({f.kind, static_cast<uint16_t>(f.least - 1)})));
    }
  }
  EXPECT_EQ(TransformNamed("dscp-46-v1"), (Transform{Transform::Kind::kDscp, 46}));
}

TEST(TransformsTest, WhatIsNotExactlyANameIsNone) {
  for (const char* name : {"",
                           "-v1",
                           "dscp",
                           "dscp-v1",
                           "dscp--v1",
                           "dscp-46",
                           "dscp-46-v2",
                           "dscp-046-v1",
                           "dscp-+46-v1",
                           "dscp-46 -v1",
                           "dscp-46-v1-v1",
                           "dscp-99999999999999999999-v1",
                           "DSCP-46-v1",
                           "dscpx-46-v1",
                           "mss-1e3-v1",
                           "rot13-v1"}) {
    EXPECT_FALSE(TransformNamed(name)) << name;
  }
}

}  // namespace
}  // namespace aqmesh::authority
