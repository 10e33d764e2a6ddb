#include "sim/scenario.h"

// A revocation meets a partition: on the far side it is unknown and undoes nothing; once the
// partition heals it cuts everywhere, and neither crash nor sleep brings the revoked one back.
namespace aqmesh::sim {

using namespace std::chrono_literals;

void RevokeUnderPartitionAndHeal(Story& s) {
  const Story::Names all = {"a", "b", "c", "d"};
  s.Founds("a");
  s.Joins("b", "a");
  s.Joins("c", "a");
  s.Joins("d", "b");
  s.AllTalk(all);

  // By the one who granted, or by an authority above.
  const std::string victim = s.OneOf({"c", "d"});
  const std::string by = victim == "c" ? "a" : s.OneOf({"a", "b"});
  const Story::Names others = Without(all, victim);
  std::set<std::string> near = {by};
  std::string far;
  for (const std::string& name : Without(others, by)) {
    if (far.empty() || s.Flip()) {
      far = name;
    } else {
      near.insert(name);
    }
  }
  s.Parts({near});
  s.Revokes(by, victim);
  s.Knows({by}, victim, 10s);
  if (s.Flip()) s.StormBreaks();
  s.Talk(far, victim);  // a partition delays a revocation
  s.Shakes(s.Below(4));
  s.Passes(std::chrono::seconds(s.Below(60)));

  s.Calms();
  s.Knows(others, victim, 90s);
  s.CutFrom(victim, others);
  s.AllTalk(others);
  for (const std::string& name : all) {
    s.Crashes(name);
    s.Passes(std::chrono::milliseconds(s.Below(2'000)));
    s.Restarts(name);
  }
  s.CutFrom(victim, others, 10s);
  s.AllTalk(others);
  s.Sleeps(10min);
  s.CutFrom(victim, others);
  s.AllTalk(others);
}

}  // namespace aqmesh::sim
