// lineage trace: why a record is there and what came of it, across the logs of several machines.
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/lineage_source.h"
#include "lineage/history/trace.h"
#include "transport/os/fd.h"

namespace aqmesh::cli {

namespace {

constexpr size_t kLogsMax = 16;
constexpr size_t kDepthMax = 64, kNodesMax = 2'000;
constexpr size_t kSvgMax = 16u << 20;

struct TraceFlags {
  std::string which;
  bool up = false, down = false, previous = false, dot = false, svg = false;
  size_t depth = 12, nodes = 256;
  std::vector<std::string> with;
};

// The stores that are looked at, this machine's first.
struct Logs {
  std::vector<std::unique_ptr<lineage::Store>> stores;
  std::vector<lineage::TracedLog> traced;
  KnownObjects known;
};

void Learn(KnownObjects& known, const KnownObjects& more) {
  for (const auto& g : more.grants) {
    if (known.GrantNamed(g.oid()) == nullptr) known.grants.push_back(g);
  }
}

// A state directory, the store in one, or sealed segments.
absl::Status Open(const std::string& path, const std::string& log, Logs& out) {
  struct stat st{};
  const bool has_store = ::stat((path + "/store/db").c_str(), &st) == 0;
  auto store = OpenLineageAt(path, log);
  if (!store.ok()) return Annotate(store.status(), path);
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadObjects(**store));
  Learn(out.known, known);
  std::string name = path;
  if (has_store) {
    const auto state = StateDir::Open(path);
    const auto config = state.ok() ? state->ReadConfig() : absl::StatusOr<Config>(state.status());
    if (config.ok() && !config->name.empty()) name = config->name;
  }
  out.traced.push_back({store->get(), std::move(name)});
  out.stores.push_back(*std::move(store));
  return absl::OkStatus();
}

// Names are found in what decisions were made from, too.
void LearnFrom(const lineage::TraceGraph& graph, Logs& logs) {
  for (const lineage::TraceNode& n : graph.nodes) {
    if (n.record) continue;
    const auto bytes =
        logs.traced[n.log].store->GetObject(lineage::Shelf::kInputs, *Oid::From(n.id.view()));
    if (!bytes.ok() || !*bytes) continue;
    auto grant = authority::ParseObject<authority::Grant>(**bytes);
    if (grant.ok() && logs.known.GrantNamed(grant->oid()) == nullptr)
      logs.known.grants.push_back(*std::move(grant));
  }
}

std::string GraphJson(const lineage::TraceGraph& graph,
                      const Logs& logs,
                      const lineage::Names& names) {
  std::string nodes, edges;
  for (const lineage::TraceNode& n : graph.nodes) {
    wire::JsonWriter w;
    w.Object().Field("id", ToHex(n.id)).Field("log", logs.traced[n.log].name);
    if (!n.record) w.Field("object", n.object);
    std::string text = w.End().Take();
    if (n.record) {
      text.pop_back();
      text += Join(",\"record\":", lineage::RenderJson(*n.record, n.id, names), "}");
    }
    nodes += Join(nodes.empty() ? "" : ",", text);
  }
  for (const lineage::TraceEdge& e : graph.edges) {
    wire::JsonWriter w;
    w.Object().Field("effect", e.effect).Field("cause", e.cause);
    w.Field("because", lineage::BecauseName(e.because)).End();
    edges += Join(edges.empty() ? "" : ",", w.Take());
  }
  return Join("{\"schema\":\"aqmesh.trace/1\",\"direction\":\"",
              graph.up ? "up" : "down",
              "\",\"cut\":",
              graph.cut ? "true" : "false",
              ",\"nodes\":[",
              nodes,
              "],\"edges\":[",
              edges,
              "]}\n");
}

absl::Status WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os::ErrnoStatus(errno, "handing the graph to dot");
    text.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

// Through Graphviz. The text lies in a file without a name: dot may write before it has read all.
absl::StatusOr<std::string> DrawSvg(std::string_view dot) {
  const os::Fd in(::memfd_create("aqmesh-trace", MFD_CLOEXEC));
  if (!in.valid()) return os::ErrnoStatus(errno, "making room for the graph");
  AQ_RETURN_IF_ERROR(WriteAll(in.get(), dot));
  ::lseek(in.get(), 0, SEEK_SET);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return os::ErrnoStatus(errno, "making a pipe to dot");
  const os::Fd out(ends[0]);
  std::optional<os::Fd> its_out(std::in_place, ends[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::string program = "dot", format = "-Tsvg";
  char* const args[] = {program.data(), format.data(), nullptr};
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, "dot", &actions, nullptr, args, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  its_out.reset();
  if (error == ENOENT)
    return NotFound("--svg: Graphviz is not installed; install the package graphviz, or use --dot");
  if (error != 0) return os::ErrnoStatus(error, "starting dot");
  std::string svg;
  char chunk[16'384];
  ssize_t n = 0;
  while (svg.size() <= kSvgMax && (n = ::read(out.get(), chunk, sizeof chunk)) > 0)
    svg.append(chunk, static_cast<size_t>(n));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || svg.empty() || svg.size() > kSvgMax)
    return Internal("--svg: dot could not draw the graph; --dot shows it as text");
  return svg;
}

absl::StatusOr<int> ShowTrace(Session& s, const TraceFlags& flags) {
  if (flags.up && flags.down) return s.Usage("--up or --down, not both");
  if (int{flags.dot} + int{flags.svg} + int{s.json} > 1)
    return s.Usage("one of --dot, --svg and --json");
  if (flags.depth == 0 || flags.depth > kDepthMax)
    return s.Usage(Join("--depth: 1 to ", kDepthMax));
  if (flags.nodes == 0 || flags.nodes > kNodesMax)
    return s.Usage(Join("--nodes: 1 to ", kNodesMax));
  if (flags.with.size() >= kLogsMax) return s.Usage(Join("--with: at most ", kLogsMax - 1));
  std::string own = s.from;
  if (own.empty()) {
    AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
    own = state.path();
  }
  Logs logs;
  AQ_RETURN_IF_ERROR(Open(own, s.log, logs));
  for (const std::string& path : flags.with) AQ_RETURN_IF_ERROR(Open(path, "", logs));
  AQ_ASSIGN_OR_RETURN(const lineage::FoundRecord start, FindRecord(*logs.stores[0], flags.which));
  AQ_ASSIGN_OR_RETURN(const lineage::TraceGraph graph,
                      lineage::Trace(logs.traced,
                                     0,
                                     start.record.seq,
                                     {.up = !flags.down,
                                      .depth_max = flags.depth,
                                      .nodes_max = flags.nodes,
                                      .previous = flags.previous}));
  LearnFrom(graph, logs);
  const lineage::Names names = NamesOf(logs.known);
  if (s.json) {
    s.Out(GraphJson(graph, logs, names));
  } else if (flags.dot) {
    s.Out(lineage::TraceDot(graph, logs.traced, names));
  } else if (flags.svg) {
    AQ_ASSIGN_OR_RETURN(const std::string svg,
                        DrawSvg(lineage::TraceDot(graph, logs.traced, names)));
    s.Out(svg);
  } else {
    s.Out(lineage::TraceTree(graph, logs.traced, names));
  }
  return 0;
}

}  // namespace

void AddTrace(Tree& tree, CLI::App* lineage) {
  auto flags = std::make_shared<TraceFlags>();
  CLI::App* app = tree.Command(lineage,
                               "trace",
                               "Show why a record is there, or what came of it",
                               "aqmesh lineage trace 9f3a --down --with /mnt/atlas/aqmesh",
                               [flags](Session& s) { return ShowTrace(s, *flags); });
  app->add_option("RECORD", flags->which, "Its number, or the first digits of its id")->required();
  app->add_flag("--up", flags->up, "To its causes (unless told otherwise)");
  app->add_flag("--down", flags->down, "To what came of it");
  app->add_option("--depth", flags->depth, "At most so many steps")->capture_default_str();
  app->add_option("--nodes", flags->nodes, "At most so many records and objects")
      ->capture_default_str();
  app->add_flag("--previous", flags->previous, "Also the record before (after) each in its log");
  app->add_option("--with", flags->with, "Another machine's state directory, store or sealed copy")
      ->allow_extra_args(false);
  tree.Lineage(app);
  app->add_flag("--dot", flags->dot, "Print the graph for Graphviz");
  app->add_flag("--svg", flags->svg, "Draw it by Graphviz");
  tree.Json(app);
}

}  // namespace aqmesh::cli
