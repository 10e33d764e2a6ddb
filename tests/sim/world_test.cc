#include "sim/world.h"

#include <gtest/gtest.h>

namespace aqmesh::sim {
namespace {

using namespace std::chrono_literals;

std::string Story(World& w) {
  std::string out;
  for (const auto& m : w.machines()) {
    out += m->name + ":";
    for (const auto& e : m->events)
      out += " [" + std::to_string(static_cast<int>(e.kind)) + " " + e.name + " " + e.text + "]";
    if (m->control) {
      for (const auto& p : m->control->Peers()) {
        out += "\n   peer " + p.name + " rung " + std::to_string(static_cast<int>(p.rung)) +
               " committed " + std::to_string(p.committed) + " reason " +
               std::to_string(static_cast<int>(p.reason)) + " gate " +
               std::to_string(static_cast<int>(p.setter));
      }
    }
    out += "\n";
  }
  for (const auto& v : w.violations()) out += "VIOLATION " + v + "\n";
  return out;
}

TEST(WorldTest, TwoMachinesJoinAndTalk) {
  World w({.seed = 1});
  Machine& atlas = w.Found("atlas");
  w.Start(atlas);
  Machine& borealis = w.Join("borealis", atlas);
  w.RunFor(5s);
  EXPECT_TRUE(w.CanTalk(borealis, atlas)) << Story(w);
  EXPECT_TRUE(w.CanTalk(atlas, borealis)) << Story(w);
  EXPECT_TRUE(w.violations().empty()) << Story(w);
}

TEST(WorldTest, ThirdMachineIsIntroducedAndHadNoEndpointBefore) {
  World w({.seed = 2});
  Machine& atlas = w.Found("atlas");
  w.Start(atlas);
  Machine& borealis = w.Join("borealis", atlas);
  w.RunFor(3s);
  Machine& cygnus = w.Join("cygnus", atlas);
  // Nobody but atlas knew where cygnus is: its invitation named atlas alone.
  EXPECT_TRUE(borealis.control->HintsOf(crypto::X25519Public(cygnus.static_key)).empty());
  w.RunFor(5s);
  EXPECT_FALSE(borealis.control->HintsOf(crypto::X25519Public(cygnus.static_key)).empty())
      << Story(w);
  EXPECT_TRUE(w.CanTalk(borealis, cygnus)) << Story(w);
  EXPECT_TRUE(w.violations().empty()) << Story(w);
}

TEST(WorldTest, RevokedMachineIsCutEverywhereAtOnce) {
  World w({.seed = 3});
  Machine& a = w.Found("a");
  w.Start(a);
  Machine& b = w.Join("b", a);
  Machine& c = w.Join("c", a);
  w.RunFor(5s);
  ASSERT_TRUE(w.CanTalk(b, c)) << Story(w);
  w.Do(a, [&](node::Control& control, node::Outbox& out) {
    EXPECT_TRUE(
        control
            .Revoke(w.now(),
                    {.type = authority::RevokeType::kFloor, .kid = c.kid, .oid = {}, .floor = 2},
                    out)
            .ok());
  });
  w.RunFor(1s);
  EXPECT_FALSE(w.CanTalk(b, c)) << Story(w);
  EXPECT_FALSE(w.CanTalk(a, c)) << Story(w);
  EXPECT_TRUE(w.CanTalk(a, b)) << Story(w);
  w.RunFor(300s);
  EXPECT_FALSE(w.CanTalk(b, c)) << Story(w);
  EXPECT_TRUE(w.violations().empty()) << Story(w);
}

TEST(WorldTest, RevocationCrossesAHealedPartition) {
  World w({.seed = 4, .loss_ppm = 20'000, .duplicate_ppm = 10'000});
  Machine& a = w.Found("a");
  w.Start(a);
  Machine& b = w.Join("b", a);
  Machine& c = w.Join("c", a);
  w.RunFor(10s);
  ASSERT_TRUE(w.CanTalk(b, c)) << Story(w);
  w.Partition({{"a"}});
  w.Do(a, [&](node::Control& control, node::Outbox& out) {
    EXPECT_TRUE(
        control
            .Revoke(w.now(),
                    {.type = authority::RevokeType::kFloor, .kid = c.kid, .oid = {}, .floor = 2},
                    out)
            .ok());
  });
  w.RunFor(20s);
  EXPECT_TRUE(w.CanTalk(b, c))
      << "a partition delays a revocation; it must not undo the sessions of those it hides it from";
  w.Partition({});
  w.RunFor(300s);
  EXPECT_FALSE(w.CanTalk(b, c)) << Story(w);
  EXPECT_TRUE(w.violations().empty()) << Story(w);
}

TEST(WorldTest, MeshLivesWhenItsFirstMachineIsGoneForGood) {
  World w({.seed = 5});
  Machine& a = w.Found("a");
  w.Start(a);
  Machine& b = w.Join("b", a);
  Machine& c = w.Join("c", a);
  w.RunFor(5s);
  w.Crash(a);
  w.Crash(b);
  w.Crash(c);
  w.AdvanceWall(std::chrono::hours(24 * 8));
  w.Start(b);
  w.Start(c);
  w.RunFor(30s);
  EXPECT_TRUE(w.CanTalk(b, c)) << Story(w);
  Machine& d = w.Join("d", c);
  w.RunFor(10s);
  EXPECT_TRUE(w.CanTalk(d, c)) << Story(w);
  EXPECT_TRUE(w.CanTalk(d, b)) << Story(w);
  EXPECT_TRUE(w.violations().empty()) << Story(w);
}

TEST(WorldTest, EnrollersEnrolEnrollersAndStrangersMeet) {
  World w({.seed = 6});
  Machine& a = w.Found("a");
  w.Start(a);
  Machine& b = w.Join("b", a);
  w.RunFor(3s);
  Machine& c = w.Join("c", b);
  w.RunFor(3s);
  Machine& d = w.Join("d", c);
  w.RunFor(3s);
  Machine& e = w.Join("e", a);
  w.RunFor(3s);
  w.Crash(a);
  w.RunFor(30s);
  EXPECT_TRUE(w.CanTalk(d, e)) << Story(w);
  // A's deposited self-revocation: the custodian releases it, and those whom A granted live on.
  w.Do(b, [&](node::Control& control, node::Outbox& out) {
    const absl::Status s = control.ReleaseDeposit(w.now(), a.kid, out);
    EXPECT_TRUE(s.ok()) << s;
  });
  w.RunFor(5s);
  EXPECT_TRUE(w.CanTalk(b, e)) << Story(w);
  // D, renewed or not, is revoked by C and cut everywhere.
  w.Do(c, [&](node::Control& control, node::Outbox& out) {
    EXPECT_TRUE(
        control
            .Revoke(w.now(),
                    {.type = authority::RevokeType::kFloor, .kid = d.kid, .oid = {}, .floor = 2},
                    out)
            .ok());
  });
  w.RunFor(5s);
  EXPECT_FALSE(w.CanTalk(d, e)) << Story(w);
  EXPECT_FALSE(w.CanTalk(d, b)) << Story(w);
  EXPECT_TRUE(w.violations().empty()) << Story(w);
}

TEST(WorldTest, CrashedMachineComesBackWithWhatWasDurable) {
  World w({.seed = 7});
  Machine& a = w.Found("a");
  w.Start(a);
  Machine& b = w.Join("b", a);
  w.RunFor(3s);
  for (int i = 0; i < 10; ++i) {
    w.Crash(b);
    w.RunFor(std::chrono::milliseconds(700 * i));
    w.Start(b);
    w.RunFor(std::chrono::milliseconds(37 * i));
  }
  w.RunFor(30s);
  EXPECT_TRUE(w.CanTalk(a, b)) << Story(w);
  EXPECT_TRUE(w.violations().empty()) << Story(w);
}

TEST(WorldTest, LongSessionsRekeyWithoutNewRecords) {
  World w({.seed = 8});
  Machine& a = w.Found("a");
  w.Start(a);
  Machine& b = w.Join("b", a);
  w.RunFor(5s);
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(w.CanTalk(a, b)) << i << " " << Story(w);
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
  EXPECT_TRUE(w.violations().empty()) << Story(w);
}

TEST(WorldTest, SameSeedSameTrace) {
  const auto run = [](uint64_t seed) {
    World w({.seed = seed, .loss_ppm = 50'000});
    Machine& a = w.Found("a");
    w.Start(a);
    Machine& b = w.Join("b", a);
    w.RunFor(20s);
    (void)w.CanTalk(a, b);
    return w.TraceHash();
  };
  EXPECT_EQ(run(11), run(11));
  EXPECT_NE(run(11), run(12));
}

}  // namespace
}  // namespace aqmesh::sim
