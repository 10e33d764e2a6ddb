#include "daemon/os_actuation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/status.h"

namespace aqmesh::daemon {
namespace {

using authority::RecordKind;
using testing::ElementsAre;

// A kernel's tables behind a writer that may lie.
struct Kernel {
  net::State state;
  size_t lies_from = SIZE_MAX;  // from this request on: says done, does nothing
  size_t fails_at = SIZE_MAX;   // this request is refused
  bool dump_fails = false;
  size_t asked = 0;

  absl::Status Do(const net::Request& request) {
    const size_t n = asked++;
    if (n == fails_at) return PermissionDenied("the kernel said no");
    if (n >= lies_from) return absl::OkStatus();
    if (const auto* m = std::get_if<net::SetUp>(&request)) state.up = m->up;
    if (const auto* m = std::get_if<net::AddAddress>(&request))
      return Add(state.addresses, Prefix::Host(m->address));
    if (const auto* m = std::get_if<net::AddRoute>(&request)) return Add(state.routes, m->prefix);
    if (const auto* m = std::get_if<net::RemoveAddress>(&request))
      return Remove(state.addresses, Prefix::Host(m->address));
    if (const auto* m = std::get_if<net::RemoveRoute>(&request))
      return Remove(state.routes, m->prefix);
    return absl::OkStatus();
  }
  absl::StatusOr<net::State> ReadBack() const {
    if (dump_fails) return Unavailable("no dump");
    return state;
  }
  static absl::Status Add(std::vector<Prefix>& list, const Prefix& p) {
    if (std::find(list.begin(), list.end(), p) != list.end()) return AlreadyExists(p.ToString());
    list.push_back(p);
    return absl::OkStatus();
  }
  static absl::Status Remove(std::vector<Prefix>& list, const Prefix& p) {
    return std::erase(list, p) == 0 ? NotFound(p.ToString()) : absl::OkStatus();
  }
};

node::OsAction Action(node::OsAction::Kind kind) {
  return {.kind = kind,
          .id = {},
          .addresses = {*Prefix::Parse("100.79.3.1/32"), *Prefix::Parse("fd11::1/128")},
          .routes = {*Prefix::Parse("100.64.0.0/10"), *Prefix::Parse("fd11:2233:4455::/48")}};
}
OsActuation Up() { return OsActuation(Action(node::OsAction::Kind::kUp)); }
OsActuation Down() { return OsActuation(Action(node::OsAction::Kind::kDown)); }

TEST(OsActuationTest, UpIsCommittedOnlyAfterTheSecondLook) {
  Kernel kernel;
  OsActuation up = Up();
  CarryOut(up, kernel);
  EXPECT_TRUE(up.committed());
  EXPECT_THAT(up.edges(),
              ElementsAre(RecordKind::kApplied, RecordKind::kVerified, RecordKind::kCommitted));
  EXPECT_TRUE(kernel.state.up);
  EXPECT_EQ(kernel.state.addresses.size(), 2u);
  EXPECT_EQ(kernel.state.routes.size(), 2u);
}

TEST(OsActuationTest, ALyingWriterIsCaughtAtEveryStepAndUndone) {
  for (size_t from = 0; from < 5; ++from) {
    SCOPED_TRACE(from);
    Kernel kernel;
    kernel.lies_from = from;
    OsActuation up = Up();
    CarryOut(up, kernel);
    EXPECT_FALSE(up.committed());
    EXPECT_FALSE(up.why().empty());
    // It goes on lying while the undo runs, so that what it really did stays: said, not hidden.
    EXPECT_THAT(up.edges(),
                ElementsAre(RecordKind::kApplied,
                            from <= 1 ? RecordKind::kRolledBack : RecordKind::kDiverged));
  }
}

TEST(OsActuationTest, ARefusedStepTakesBackThoseBeforeIt) {
  for (size_t at = 0; at < 5; ++at) {
    SCOPED_TRACE(at);
    Kernel kernel;
    kernel.fails_at = at;
    OsActuation up = Up();
    CarryOut(up, kernel);
    EXPECT_THAT(up.edges(), ElementsAre(RecordKind::kApplied, RecordKind::kRolledBack));
    EXPECT_EQ(up.why(), "the kernel said no");
    EXPECT_EQ(kernel.state, net::State());
  }
}

TEST(OsActuationTest, WhatWasThereBeforeIsNotUndone) {
  Kernel kernel;
  kernel.state.addresses = {*Prefix::Parse("100.79.3.1/32")};
  kernel.fails_at = 3;  // the first route
  OsActuation up = Up();
  CarryOut(up, kernel);
  EXPECT_FALSE(up.committed());
  EXPECT_THAT(kernel.state.addresses, ElementsAre(*Prefix::Parse("100.79.3.1/32")));
}

TEST(OsActuationTest, WithoutADumpNothingIsCommitted) {
  Kernel kernel;
  kernel.dump_fails = true;
  OsActuation up = Up();
  CarryOut(up, kernel);
  EXPECT_THAT(up.edges(), ElementsAre(RecordKind::kApplied, RecordKind::kDiverged));
}

TEST(OsActuationTest, UpTwiceIsUp) {
  Kernel kernel;
  OsActuation first = Up(), second = Up();
  CarryOut(first, kernel);
  CarryOut(second, kernel);
  EXPECT_TRUE(second.committed());
}

TEST(OsActuationTest, DownRollsForward) {
  Kernel kernel;
  OsActuation up = Up();
  CarryOut(up, kernel);
  kernel.asked = 0;
  kernel.fails_at = 1;  // the first try leaves a route; the second does not
  OsActuation down = Down();
  CarryOut(down, kernel);
  EXPECT_TRUE(down.committed());
  EXPECT_EQ(kernel.state, net::State());
}

TEST(OsActuationTest, ADownThatDoesNotHoldIsSaidToDiverge) {
  Kernel kernel;
  OsActuation up = Up();
  CarryOut(up, kernel);
  kernel.lies_from = 0;
  OsActuation down = Down();
  CarryOut(down, kernel);
  EXPECT_THAT(down.edges(), ElementsAre(RecordKind::kApplied, RecordKind::kDiverged));
}

}  // namespace
}  // namespace aqmesh::daemon
