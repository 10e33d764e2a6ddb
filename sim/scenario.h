// Scenario: a named story, and one run of it under a seed.
// Spec:   spec/simulation.md. The seed draws keys, weather, disks, clocks and the story's choices;
//         the same seed gives the same trace, hash for hash.
// Thread: one.
#ifndef AQMESH_SIM_SCENARIO_H_
#define AQMESH_SIM_SCENARIO_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/story.h"

namespace aqmesh::sim {

struct Scenario {
  std::string_view name;
  std::string_view sentence;
  void (*play)(Story& story);
};
std::span<const Scenario> Scenarios();
const Scenario* FindScenario(std::string_view name);

void JoinAndTalk(Story& story);
void RevokeUnderPartitionAndHeal(Story& story);
void AnyOneOfFiveGone(Story& story);

struct RunLimits {
  uint64_t steps = 0;                 // events; 0: as far as the story goes
  std::chrono::nanoseconds until{0};  // of virtual time; 0: the same
};
struct RunReport {
  struct Breach {
    std::string node, rule, what;
  };
  std::string trace_hash;
  uint64_t events = 0, records = 0, machines = 0;
  std::chrono::nanoseconds virtual_time{0};
  bool limited = false;           // ended by a limit: the rest of the story was not judged
  std::vector<Breach> breaches;   // all at the last event and instant: nothing runs after one
  std::vector<std::string> tail;  // the newest lines of the trace
};
RunReport RunScenario(const Scenario& scenario,
                      uint64_t seed,
                      const RunLimits& limits,
                      Trace::Sink sink);

}  // namespace aqmesh::sim

#endif  // AQMESH_SIM_SCENARIO_H_
