#include "sim/world.h"

#include <gtest/gtest.h>

#include "sim/story.h"

namespace aqmesh::sim {
namespace {

using namespace std::chrono_literals;

std::string Told(World& w) {
  std::string out;
  for (const Violation& v : w.checker().violations())
    out += "VIOLATION of " + std::string(RuleName(v.rule)) + " on " + v.node + ": " + v.what + "\n";
  for (const std::string& line : w.trace().tail()) out += line + "\n";
  return out;
}

#define EXPECT_HELD(world) EXPECT_TRUE((world).checker().violations().empty()) << Told(world)

TEST(WorldTest, TwoMachinesJoinAndTalk) {
  World w({.seed = 1});
  Machine& atlas = w.Found("atlas");
  w.Start(atlas);
  Machine& borealis = w.Enrol("borealis", atlas);
  w.RunFor(5s);
  EXPECT_TRUE(w.CanTalk(borealis, atlas)) << Told(w);
  EXPECT_TRUE(w.CanTalk(atlas, borealis)) << Told(w);
  EXPECT_TRUE(atlas.tables_up && borealis.tables_up);
  EXPECT_HELD(w);
}

// So quick that the two initiations of a join could come within WireGuard's least spacing: the
// second would be dropped, and tried again only after seconds.
TEST(WorldTest, AQuickNetworkAndDiskDoNotDelayAJoin) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    World w({.seed = seed,
             .weather = {.latency = 50us, .jitter = 50us},
             .sync_min = 100us,
             .sync_max = 1ms});
    Machine& atlas = w.Found("atlas");
    w.Start(atlas);
    Machine& borealis = w.Enrol("borealis", atlas);
    w.RunFor(500ms);
    EXPECT_TRUE(w.CanTalk(borealis, atlas)) << "seed " << seed << "\n" << Told(w);
  }
}

TEST(WorldTest, ThirdMachineIsIntroducedAndHadNoEndpointBefore) {
  World w({.seed = 2});
  Machine& atlas = w.Found("atlas");
  w.Start(atlas);
  Machine& borealis = w.Enrol("borealis", atlas);
  w.RunFor(3s);
  Machine& cygnus = w.Enrol("cygnus", atlas);
  // Nobody but atlas knew where cygnus is: its invitation named atlas alone.
  EXPECT_TRUE(borealis.control->HintsOf(crypto::X25519Public(cygnus.static_key)).empty());
  w.RunFor(5s);
  EXPECT_FALSE(borealis.control->HintsOf(crypto::X25519Public(cygnus.static_key)).empty())
      << Told(w);
  EXPECT_TRUE(w.CanTalk(borealis, cygnus)) << Told(w);
  EXPECT_HELD(w);
}

TEST(WorldTest, RevokedMachineIsCutEverywhereAtOnce) {
  World w({.seed = 3});
  Story s(w);
  s.Founds("a");
  s.Joins("b", "a");
  s.Joins("c", "a");
  s.AllTalk({"a", "b", "c"});
  s.Revokes("a", "c");
  s.Knows({"a", "b"}, "c", 1s);
  s.CutFrom("c", {"a", "b"});
  s.Talk("a", "b", 3s);
  s.Passes(300s);
  s.CutFrom("c", {"a", "b"});
  EXPECT_HELD(w);
}

// A founds; A -> B -> C -> D and A -> E. A is gone. D and E, who never met, find each other; D is
// renewed by E and then revoked by C, and that cuts it everywhere. A's own last word, released by a
// custodian, leaves those whom A let in as they were.
TEST(WorldTest, EnrollersEnrolEnrollersAndRevocationFollowsARenewal) {
  World w({.seed = 6});
  Story s(w);
  s.Founds("a");
  s.CutsBoth("d", "e");
  s.Joins("b", "a");
  s.Joins("c", "b");
  s.Joins("d", "c");
  s.Joins("e", "a");
  for (const char* name : {"b", "c", "d", "e"}) s.Talk("a", name);
  s.AllTalk({"b", "c", "e"});
  s.Silent("d", "e", 2s);
  s.Crashes("a");
  s.Calms();
  s.Talk("d", "e");

  // Past the half of D's thirty days, with nobody in reach but E.
  s.Sleeps(16 * 24h);
  s.Parts({{"d", "e"}});
  const auto renewed = [&] {
    const auto& events = w.Find("d")->events;
    return std::any_of(events.begin(), events.end(), [](const node::Event& e) {
      return e.kind == node::Event::Kind::kRenewed;
    });
  };
  s.Expect(w.RunUntil(renewed, 180s), "d", "was not renewed by e");
  s.Talk("d", "e");
  s.Calms();
  s.AllTalk({"b", "c", "d", "e"});
  s.Revokes("c", "d");
  s.Knows({"b", "c", "e"}, "d", 30s);
  s.Passes(1s);  // E repeats C's floor as its own, and that spreads too
  s.CutFrom("d", {"b", "c", "e"}, 10s);

  s.Releases("a");
  s.Knows({"b", "c", "e"}, "a", 30s);
  s.AllTalk({"b", "c", "e"});
  EXPECT_HELD(w);
}

TEST(WorldTest, CrashedMachineComesBackWithWhatWasDurable) {
  World w({.seed = 7});
  Machine& a = w.Found("a");
  w.Start(a);
  Machine& b = w.Enrol("b", a);
  w.RunFor(3s);
  for (int i = 0; i < 10; ++i) {
    const uint64_t durable = b.disk.size();
    w.Crash(b);
    w.RunFor(std::chrono::milliseconds(700 * i));
    EXPECT_EQ(b.disk.size(), durable);
    w.Start(b);
    w.RunFor(std::chrono::milliseconds(37 * i));
  }
  w.RunFor(30s);
  EXPECT_TRUE(w.CanTalk(a, b)) << Told(w);
  EXPECT_HELD(w);
}

TEST(WorldTest, LongSessionsRekeyWithoutNewRecords) {
  World w({.seed = 8});
  Machine& a = w.Found("a");
  w.Start(a);
  Machine& b = w.Enrol("b", a);
  w.RunFor(5s);
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(w.CanTalk(a, b)) << i << " " << Told(w);
    w.RunFor(10s);
  }
  size_t decided = 0;
  ASSERT_TRUE(b.disk
                  .WalkLog(0,
                           b.disk.size(),
                           lineage::Order::kOldestFirst,
                           [&](lineage::Seq, const Digest&, ByteView body) {
                             const auto r = authority::ParseBody<authority::Observe>(body);
                             decided += r.ok() && (r->kind == authority::RecordKind::kDecided ||
                                                   r->kind == authority::RecordKind::kProposed);
                             return true;
                           })
                  .ok());
  EXPECT_LE(decided, 4u);  // not one for each of the five rekeys
  EXPECT_HELD(w);
}

// ---- sabotage: real nodes in a world that lies to them; the checker must find it ----

TEST(SabotageTest, ADiskThatOnlySaysItWroteIsFound) {
  World w({.seed = 20});
  Machine& a = w.Found("a");
  w.Start(a);
  Machine& b = w.Enrol("b", a);
  w.RunFor(3s);
  ASSERT_TRUE(w.CanTalk(a, b));
  w.Crash(b);
  b.disk_lies = true;  // from now on nothing that b decides is durable
  w.Start(b);
  w.RunFor(60s);
  ASSERT_FALSE(w.checker().violations().empty());
  EXPECT_EQ(w.checker().violations().front().node, "b");
  EXPECT_EQ(w.checker().violations().front().rule, Rule::kAgreement) << Told(w);
}

TEST(SabotageTest, AForgedDeliveryIsFoundOnlyWhereItsSenderWasRevoked) {
  World w({.seed = 21});
  Story s(w);
  s.Founds("a");
  s.Joins("b", "a");
  s.Joins("c", "a");
  s.AllTalk({"a", "b", "c"});
  const Machine& c = *w.Find("c");
  const Delivery forged{c.kid, w.AddressOf(c), w.AddressOf(c), w.NowOf(*w.Find("b")).wall};
  w.checker().CheckDelivery("b", forged);
  EXPECT_HELD(w);
  s.Revokes("a", "c");
  s.Knows({"b"}, "c", 5s);
  w.checker().CheckDelivery("b", forged);
  ASSERT_EQ(w.checker().violations().size(), 1u) << Told(w);
}

TEST(SabotageTest, TablesThatVanishBehindTheNodesBackAreFound) {
  World w({.seed = 22});
  Machine& a = w.Found("a");
  w.Start(a);
  w.RunFor(1s);
  ASSERT_TRUE(a.tables_up);
  a.tables_up = false;
  w.RunFor(30s);
  ASSERT_FALSE(w.checker().violations().empty());
  EXPECT_EQ(w.checker().violations().front().rule, Rule::kAgreement) << Told(w);
}

TEST(SabotageTest, AKernelThatSaysYesAndDoesNothingIsRolledBackAndRecorded) {
  World w({.seed = 23});
  Machine& a = w.Found("a");
  a.tables_stuck = true;
  w.Start(a);
  w.RunFor(1s);
  EXPECT_FALSE(a.tables_up);
  EXPECT_HELD(w);  // the read-back showed it, and the log says so
}

}  // namespace
}  // namespace aqmesh::sim
