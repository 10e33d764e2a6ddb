// Story: the words in which scenarios are told. Each is an act upon a world, or an expectation of
// it; what does not come about is a violation of the rule `outcome`. Once the world has stopped, at
// a violation or at a limit, every further word is a no-op, so a scenario reads straight through.
// Spec:   spec/simulation.md. Thread: one owner.
#ifndef AQMESH_SIM_STORY_H_
#define AQMESH_SIM_STORY_H_

#include <set>
#include <string>
#include <vector>

#include "sim/world.h"

namespace aqmesh::sim {

class Story {
 public:
  using Names = std::vector<std::string>;
  using Span = std::chrono::nanoseconds;

  explicit Story(World& world) : world_(world) {}
  World& world() { return world_; }
  bool over() const { return world_.stopped(); }

  // ---- machines ----
  void Founds(const std::string& name);
  // By an invitation of `sponsor`; expected within two minutes, whatever the weather.
  void Joins(const std::string& name, const std::string& sponsor);
  void Crashes(const std::string& name);
  void Restarts(const std::string& name);
  Names Running() const;

  // ---- time and faults ----
  void Passes(Span d);
  void Sleeps(Span d);  // every machine: no turn is taken, and all clocks go on
  void StormBreaks();   // weather drawn from the seed
  void Calms();         // a good network, all cuts healed
  void Parts(std::vector<std::set<std::string>> sides);
  void CutsBoth(const std::string& a, const std::string& b);
  // `rounds` times: some running machine crashes, and comes back within seconds.
  void Shakes(size_t rounds);

  // ---- authority ----
  void Revokes(const std::string& by, const std::string& whom);
  // The self-revocation of `whom`, by any running machine that keeps it.
  void Releases(const std::string& whom);

  // ---- expectations ----
  void Talk(const std::string& a, const std::string& b, Span within = std::chrono::seconds(60));
  void AllTalk(const Names& names, Span within = std::chrono::seconds(60));
  // Nothing arrives either way for the whole of `span`, though both keep trying.
  void Silent(const std::string& a, const std::string& b, Span span = std::chrono::seconds(5));
  void CutFrom(const std::string& whom, const Names& others, Span span = std::chrono::seconds(5));
  // The restriction on `whom` is durable on all of these.
  void Knows(const Names& names, const std::string& whom, Span within);
  void Expect(bool holds, const std::string& node, std::string_view what);
  // How far two machines let each other in is ADMIT, not some lower rung.
  void Admits(const std::string& a, const std::string& b);

  // ---- choices of the seed ----
  bool Flip() { return world_.choices().Below(2) == 0; }
  const std::string& OneOf(const Names& names);
  uint64_t Below(uint64_t n) { return world_.choices().Below(n); }

 private:
  Machine& At(const std::string& name);

  World& world_;
};

Story::Names Without(Story::Names names, const std::string& one);

}  // namespace aqmesh::sim

#endif  // AQMESH_SIM_STORY_H_
