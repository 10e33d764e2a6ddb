#include "daemon/control_api.h"

#include <gtest/gtest.h>

#include <set>

#include "core/base/rng.h"

namespace aqmesh::daemon {
namespace {

Bytes Request(std::string verb, std::string json = "{}", std::string payload = {}) {
  return cli::EncodeRequest(
      {.verb = std::move(verb), .json = std::move(json), .payload = std::move(payload)});
}

TEST(ControlApiTest, EveryVerbHasOneRowAndARole) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < VerbTable().size(); ++i) {
    const VerbRow& row = VerbTable()[i];
    EXPECT_EQ(static_cast<size_t>(row.verb), i) << row.name;
    EXPECT_NE(row.needs, Role::kNone) << row.name << " may be asked by nobody in particular";
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(FindVerb(row.name), &row);
  }
  EXPECT_EQ(VerbTable().size(), static_cast<size_t>(Verb::kPrune) + 1) << "a verb without a row";
  EXPECT_EQ(FindVerb("statu"), nullptr);
}

TEST(ControlApiTest, WhatChangesTheNodeNeedsTheOperator) {
  for (const char* name :
       {"invite", "answer", "revoke", "import", "up", "down", "policy-reload", "stop", "prune"}) {
    ASSERT_NE(FindVerb(name), nullptr) << name;
    EXPECT_EQ(FindVerb(name)->needs, Role::kChange) << name;
  }
}

TEST(ControlApiTest, GroupsAndUsersDecideTheRole) {
  const RoleGroups groups{.read = 50, .change = 60};
  constexpr uid_t kDaemon = 900;
  struct Case {
    const char* what;
    os::PeerCredentials who;
    Role want;
  };
  const Case cases[] = {
      {"root", {.pid = 1, .uid = 0, .gid = 0, .groups = {}}, Role::kChange},
      {"the daemon's own user", {.uid = kDaemon, .gid = 900, .groups = {}}, Role::kChange},
      {"first group", {.uid = 1000, .gid = 50, .groups = {}}, Role::kRead},
      {"further group", {.uid = 1000, .gid = 1000, .groups = {7, 50}}, Role::kRead},
      {"operator", {.uid = 1000, .gid = 1000, .groups = {60}}, Role::kChange},
      {"both", {.uid = 1000, .gid = 50, .groups = {50, 60}}, Role::kChange},
      {"a stranger", {.uid = 1000, .gid = 1000, .groups = {27}}, Role::kNone},
      {"a stranger with root's group", {.uid = 1000, .gid = 0, .groups = {}}, Role::kNone},
  };
  for (const Case& c : cases) EXPECT_EQ(RoleOf(c.who, groups, kDaemon), c.want) << c.what;
}

TEST(ControlApiTest, AMissingGroupIsNobodys) {
  const os::PeerCredentials odd{
      .uid = 1000, .gid = static_cast<gid_t>(-1), .groups = {static_cast<gid_t>(-1)}};
  EXPECT_EQ(RoleOf(odd, RoleGroups{}, 900), Role::kNone);
}

TEST(ControlApiTest, RequestsAreTakenWholeHoweverTheyArrive) {
  Bytes stream = Request("status");
  Append(stream, Request("import", "{}", "-----BEGIN"));
  for (size_t step = 1; step <= stream.size(); ++step) {
    Unframer in;
    std::vector<std::string> verbs;
    for (size_t at = 0; at < stream.size(); at += step) {
      in.Add(ByteView(stream).subspan(at, std::min(step, stream.size() - at)));
      for (;;) {
        const auto next = in.Next();
        ASSERT_TRUE(next.ok());
        if (!*next) break;
        verbs.push_back((*next)->verb);
      }
    }
    ASSERT_EQ(verbs, (std::vector<std::string>{"status", "import"})) << "in steps of " << step;
    EXPECT_EQ(in.size(), 0u);
  }
}

TEST(ControlApiTest, OverlongRequestsAreRefusedByTheirLengthAlone) {
  Bytes length;
  AppendBe(length, static_cast<uint32_t>(kRequestBytesMax + 1));
  Unframer in;
  in.Add(length);
  EXPECT_FALSE(in.Next().ok());
}

TEST(ControlApiTest, NoiseNeitherPassesForARequestWithoutEndNorCrashes) {
  Rng rng(Rng::Seed{42});
  for (int round = 0; round < 2'000; ++round) {
    Bytes noise;
    if (round % 2 == 0) {
      noise.resize(1 + rng.Below(64));
      rng.Fill(noise);
    } else {
      // A sound request with one byte changed.
      noise = Request("ping", "{\"node\":\"atlas\"}");
      noise[rng.Below(noise.size())] = static_cast<uint8_t>(rng.U32());
    }
    Unframer in;
    in.Add(noise);
    for (size_t i = 0; i <= noise.size(); ++i) {
      const auto next = in.Next();
      if (!next.ok() || !*next) break;
      ASSERT_LT(i, noise.size()) << "more requests than bytes";
    }
  }
}

}  // namespace
}  // namespace aqmesh::daemon
