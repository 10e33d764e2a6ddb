// aqmesh-sim: whole meshes in virtual time, from a seed. All of it is in sim/; this reads flags and
// prints.
#include <sodium.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/wire/json.h"
#include "daemon/cli/text.h"
#include "sim/scenario.h"

namespace {

using aqmesh::Join;
using aqmesh::sim::RunReport;
using aqmesh::sim::Scenario;

constexpr const char* kHelp =
    "Usage: aqmesh-sim run SCENARIO [--seed N] [--steps N] [--until SPAN] [--trace FILE] [--json]\n"
    "       aqmesh-sim list [--json]\n"
    "\n"
    "Runs the nodes of a whole mesh, the very engine of aqmeshd, on a virtual clock, network and "
    "disks, and checks\n"
    "after each event that no frame was delivered without a durable decision, that nobody who was "
    "revoked is heard,\n"
    "and that every log says what its node does. The same seed gives the same trace hash.\n"
    "\n"
    "  --seed N       what keys, weather, faults and choices are drawn from (1)\n"
    "  --steps N      stop after N events\n"
    "  --until SPAN   stop after so much virtual time: 90s, 10m, 8d\n"
    "  --trace FILE   write the trace, a line an event; its BLAKE2b-256 is the trace hash\n"
    "  --json         print JSON, for programs\n"
    "  --version      print the version\n"
    "  -h, --help     print this\n"
    "\n"
    "Example: aqmesh-sim run any-one-of-five-gone --seed 7 --trace seven.txt\n"
    "Exit status: 0 all held, 1 a violation or it failed, 2 wrong usage.\n";

struct Flags {
  std::string scenario;
  uint64_t seed = 1;
  aqmesh::sim::RunLimits limits;
  std::string trace;
  bool json = false;
};

int Usage(std::string_view what) {
  const bool mended = what.ends_with("?") || what.find("see: ") != what.npos;
  const char* mend = mended ? "" : "; see: aqmesh-sim --help";
  std::fprintf(stderr, "aqmesh-sim: %.*s%s\n", static_cast<int>(what.size()), what.data(), mend);
  return 2;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "aqmesh-sim: %s\n", aqmesh::Text(status).c_str());
  return 1;
}

std::string Meant(std::string_view typed, std::vector<std::string> known) {
  const std::string near = aqmesh::cli::Nearest(typed, known);
  return near.empty() ? "" : Join("; did you mean `", near, "`?");
}

absl::StatusOr<uint64_t> ParseNumber(std::string_view flag, std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    return aqmesh::InvalidArgument(flag, ": `", text, "` is not a whole number");
  return value;
}

// OK: read; InvalidArgument: what is wrong, for one line on stderr.
absl::Status ReadFlag(std::string_view flag, std::string_view value, Flags& flags) {
  if (flag == "--seed") {
    AQ_ASSIGN_OR_RETURN(flags.seed, ParseNumber(flag, value));
  } else if (flag == "--steps") {
    AQ_ASSIGN_OR_RETURN(flags.limits.steps, ParseNumber(flag, value));
  } else if (flag == "--until") {
    const auto seconds = aqmesh::cli::ParseSpan(value);
    if (!seconds.ok()) return aqmesh::Annotate(seconds.status(), flag);
    flags.limits.until = std::chrono::seconds(*seconds);
  } else {
    flags.trace = std::string(value);
  }
  return absl::OkStatus();
}

absl::Status ReadFlags(const std::vector<std::string_view>& args, bool run, Flags& flags) {
  const std::vector<std::string> valued = {"--seed", "--steps", "--until", "--trace"};
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string_view arg = args[i];
    if (arg == "--json") {
      flags.json = true;
    } else if (run && std::ranges::find(valued, arg) != valued.end()) {
      if (i + 1 == args.size()) return aqmesh::InvalidArgument(arg, ": its value is missing");
      AQ_RETURN_IF_ERROR(ReadFlag(arg, args[++i], flags));
    } else if (arg.starts_with('-')) {
      std::vector<std::string> known = {"--json"};
      if (run) known.insert(known.end(), valued.begin(), valued.end());
      return aqmesh::InvalidArgument("no option `", arg, "` here", Meant(arg, known));
    } else if (!run || !flags.scenario.empty()) {
      return aqmesh::InvalidArgument("one word too many: `", arg, "`");
    } else {
      flags.scenario = std::string(arg);
    }
  }
  return absl::OkStatus();
}

int List(const Flags& flags) {
  aqmesh::wire::JsonWriter w;
  w.Object().Field("schema", "aqmesh.sim.list/1").Key("scenarios").Array();
  aqmesh::cli::Table table({"SCENARIO", "WHAT HAPPENS"});
  for (const Scenario& s : aqmesh::sim::Scenarios()) {
    table.Row({std::string(s.name), std::string(s.sentence)});
    w.Object().Field("name", s.name).Field("sentence", s.sentence).End();
  }
  w.End().End();
  std::fputs(flags.json ? (w.Take() + "\n").c_str() : table.Print(0).c_str(), stdout);
  return 0;
}

std::string SecondsOf(const RunReport& report) {
  return aqmesh::sim::TimeText(aqmesh::Instant{} + report.virtual_time, aqmesh::Instant{});
}

std::string Replay(const Flags& flags) {
  return Join("aqmesh-sim run ", flags.scenario, " --seed ", flags.seed, " --trace FILE");
}

void PrintJson(const Flags& flags, const RunReport& report) {
  aqmesh::wire::JsonWriter w;
  w.Object()
      .Field("schema", "aqmesh.sim.run/1")
      .Field("scenario", flags.scenario)
      .Field("seed", flags.seed)
      .Field("held", report.breaches.empty())
      .Field("limited", report.limited)
      .Field("events", report.events)
      .Field("virtual_nanos", report.virtual_time.count())
      .Field("machines", report.machines)
      .Field("records", report.records)
      .Field("trace_hash", report.trace_hash)
      .Key("violations")
      .Array();
  for (const RunReport::Breach& b : report.breaches) {
    w.Object()
        .Field("event", report.events)
        .Field("at_nanos", report.virtual_time.count())
        .Field("node", b.node)
        .Field("rule", b.rule)
        .Field("what", b.what)
        .End();
  }
  w.End().End();
  std::fputs((w.Take() + "\n").c_str(), stdout);
}

void PrintText(const Flags& flags, const RunReport& report) {
  const std::string out = Join(flags.scenario,
                               " seed ",
                               flags.seed,
                               ": ",
                               report.events,
                               " events in ",
                               SecondsOf(report),
                               " s, ",
                               report.machines,
                               " machines, ",
                               report.records,
                               " records\ntrace ",
                               report.trace_hash,
                               "\n",
                               !report.breaches.empty() ? ""
                               : report.limited         ? "no violation up to the limit\n"
                                                        : "held\n");
  std::fputs(out.c_str(), stdout);
}

void PrintBreaches(const Flags& flags, const RunReport& report) {
  for (const RunReport::Breach& b : report.breaches) {
    std::fputs(Join("aqmesh-sim: violation of `",
                    b.rule,
                    "` at event ",
                    report.events,
                    ", ",
                    SecondsOf(report),
                    " s, on ",
                    b.node,
                    ": ",
                    b.what,
                    "; see how: ",
                    Replay(flags),
                    "\n")
                   .c_str(),
               stderr);
  }
}

int RunOne(const Flags& flags) {
  const Scenario* scenario = aqmesh::sim::FindScenario(flags.scenario);
  if (scenario == nullptr) {
    if (flags.scenario.empty()) return Usage("run: a scenario is missing; see: aqmesh-sim list");
    std::vector<std::string> known;
    for (const Scenario& s : aqmesh::sim::Scenarios()) known.emplace_back(s.name);
    const std::string meant = Meant(flags.scenario, known);
    return Usage(Join(
        "no scenario `", flags.scenario, "`", meant.empty() ? "; see: aqmesh-sim list" : meant));
  }
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(nullptr, std::fclose);
  aqmesh::sim::Trace::Sink sink;
  if (!flags.trace.empty()) {
    file.reset(std::fopen(flags.trace.c_str(), "w"));
    if (file == nullptr) {
      return Fail(aqmesh::Unavailable(
          "--trace ", flags.trace, ": it cannot be written; name a file in a folder of yours"));
    }
    sink = [&file](std::string_view line) { std::fwrite(line.data(), 1, line.size(), file.get()); };
  }
  const RunReport report =
      aqmesh::sim::RunScenario(*scenario, flags.seed, flags.limits, std::move(sink));
  if (flags.json) {
    PrintJson(flags, report);
  } else {
    PrintText(flags, report);
  }
  PrintBreaches(flags, report);
  if (file != nullptr && (std::ferror(file.get()) != 0 || std::fflush(file.get()) != 0))
    return Fail(aqmesh::Unavailable("--trace ", flags.trace, ": not all was written; free space"));
  return report.breaches.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> args(argv + 1, argv + argc);
  for (std::string_view arg : args) {
    if (arg == "-h" || arg == "--help") {
      std::fputs(kHelp, stdout);
      return 0;
    }
    if (arg == "--version") {
      std::puts("aqmesh-sim " AQMESH_VERSION);
      return 0;
    }
  }
  if (args.empty()) return Usage("what shall be done? run or list");
  const bool run = args[0] == "run";
  if (!run && args[0] != "list")
    return Usage(Join("no command `", args[0], "`", Meant(args[0], {"run", "list"})));
  Flags flags;
  if (const absl::Status s = ReadFlags({args.begin() + 1, args.end()}, run, flags); !s.ok())
    return Usage(aqmesh::Text(s));
  if (sodium_init() < 0) return Fail(aqmesh::Internal("libsodium did not start"));
  return run ? RunOne(flags) : List(flags);
}
