#include "sim/world.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace aqmesh::sim {
namespace {

using namespace std::chrono_literals;

std::string Story(World& w) {
  std::string out;
  for (const auto& m : w.machines()) {
    out += m->name + ":";
    for (const auto& e : m->events) out += " [" + std::to_string(static_cast<int>(e.kind)) + " " + e.name + " " + e.text + "]";
    if (m->control) {
      for (const auto& p : m->control->Peers()) {
        out += "\n   peer " + p.name + " rung " + std::to_string(static_cast<int>(p.rung)) + " committed " + std::to_string(p.committed) +
               " reason " + std::to_string(static_cast<int>(p.reason)) + " gate " + std::to_string(static_cast<int>(p.setter));
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

}  // namespace
}  // namespace aqmesh::sim
