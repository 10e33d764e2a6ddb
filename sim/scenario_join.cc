#include "sim/scenario.h"

// Joining, in any weather, by any member; then crashes, then sleep: in the end all of them talk.
namespace aqmesh::sim {

using namespace std::chrono_literals;

void JoinAndTalk(Story& s) {
  const Story::Names all = {"atlas", "borealis", "cygnus", "draco"};
  s.Founds("atlas");
  if (s.Flip()) s.StormBreaks();
  s.Joins("borealis", "atlas");
  s.Joins("cygnus", s.OneOf({"atlas", "borealis"}));
  if (s.Flip()) s.StormBreaks();
  s.Joins("draco", s.OneOf({"atlas", "borealis", "cygnus"}));
  s.Talk("draco", "atlas");

  s.StormBreaks();
  s.Shakes(1 + s.Below(6));
  s.Calms();
  s.AllTalk(all);
  s.Passes(15s);  // restrictions are level by now: nothing holds anyone below ADMIT
  for (const std::string& name : Without(all, "atlas")) s.Admits("atlas", name);

  // Longer than any session lives: all lids are closed, and opened again.
  s.Sleeps(20min);
  s.AllTalk(all);
}

}  // namespace aqmesh::sim
