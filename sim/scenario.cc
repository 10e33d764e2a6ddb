#include "sim/scenario.h"

#include <algorithm>

#include "core/base/status.h"

namespace aqmesh::sim {

using namespace std::chrono_literals;

namespace {

constexpr Scenario kScenarios[] = {
    {"join-and-talk",
     "machines join by each other's invitations in bad weather, crash, come back, and talk",
     JoinAndTalk},
    {"revoke-under-partition-and-heal",
     "a revocation is entered on one side of a partition; once it heals, it cuts everywhere",
     RevokeUnderPartitionAndHeal},
    {"any-one-of-five-gone",
     "one of five machines is lost for good and eight days pass; the rest want for nothing",
     AnyOneOfFiveGone},
};

// What differs between seeds besides keys, weather and choices: slow disks, wrong clocks.
Options OptionsOf(uint64_t seed) {
  Options options{.seed = seed};
  if (seed % 4 == 3) options.sync_max = 80ms;
  if (seed % 3 == 2) options.skew_max = 40s;  // two clocks differ by less than the slack of 120 s
  return options;
}

}  // namespace

std::span<const Scenario> Scenarios() { return kScenarios; }

const Scenario* FindScenario(std::string_view name) {
  const auto it = std::ranges::find(kScenarios, name, &Scenario::name);
  return it == std::end(kScenarios) ? nullptr : it;
}

RunReport RunScenario(const Scenario& scenario,
                      uint64_t seed,
                      const RunLimits& limits,
                      Trace::Sink sink) {
  Options options = OptionsOf(seed);
  options.sink = std::move(sink);
  if (limits.steps != 0) options.events_max = limits.steps;
  if (limits.until != 0ns) options.until = World::kBegan + limits.until;
  World world(std::move(options));
  world.Note("world", Join("scenario ", scenario.name, " seed ", seed));
  Story story(world);
  scenario.play(story);

  RunReport report;
  report.events = world.events();
  report.machines = world.machines().size();
  report.virtual_time = world.time() - World::kBegan;
  report.limited = world.limit_reached();
  for (const auto& m : world.machines()) {
    if (m->life != 0 || m->running()) world.checker().CheckFold(m->name, m->disk);
    report.records += m->disk.size();
    const auto head = m->disk.head();
    world.Note(m->name, Join("ends at ", m->disk.size(), " ", head ? ToHex(head->leaf) : "-"));
  }
  world.Note("world", Join("ends; the seed's next number is ", world.choices().U64()));
  report.trace_hash = world.trace().Hash();
  for (const Violation& v : world.checker().violations()) {
    report.breaches.push_back({v.node, std::string(RuleName(v.rule)), v.what});
  }
  report.tail.assign(world.trace().tail().begin(), world.trace().tail().end());
  return report;
}

}  // namespace aqmesh::sim
