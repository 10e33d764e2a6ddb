#include <algorithm>
#include <tuple>

#include "core/base/status.h"
#include "lineage/history/trace.h"

// A graph of causes as a tree for a terminal, and for Graphviz.
namespace aqmesh::lineage {

namespace {

constexpr size_t kIdChars = 8;

std::string ShortHex(const Digest& id) { return ToHex(id).substr(0, kIdChars); }

// What a node hangs on, in the direction that was asked for, in the order of the merged logs.
struct Branch {
  size_t node = 0;
  Because because{};
};
std::vector<Branch> BranchesOf(const TraceGraph& g, size_t node) {
  std::vector<Branch> out;
  for (const TraceEdge& e : g.edges) {
    if ((g.up ? e.effect : e.cause) == node) out.push_back({g.up ? e.cause : e.effect, e.because});
  }
  const auto place = [&g](const Branch& b) {
    const TraceNode& n = g.nodes[b.node];
    using Place = std::tuple<bool, uint64_t, Kid, uint64_t>;
    return n.record ? Place{false, n.record->hlc, n.record->log, n.record->seq}
                    : Place{true, 0, Kid{}, b.node};  // objects behind the records
  };
  std::ranges::stable_sort(out, {}, place);
  return out;
}

class TreePrinter {
 public:
  TreePrinter(const TraceGraph& graph, std::span<const TracedLog> logs, const Names& names)
      : graph_(graph), logs_(logs), names_(names), shown_(graph.nodes.size()) {}

  std::string Print() {
    Show(0, "", "");
    if (graph_.cut) out_ += "(cut here: there is more; --depth)\n";
    return std::move(out_);
  }

 private:
  std::string Text(const TraceNode& n) const {
    const std::string whose = logs_.size() > 1 ? Join(logs_[n.log].name, "  ") : "";
    if (!n.record) return Join(whose, ShortHex(n.id), "  ", n.object);
    return Join(whose, RenderLine(*n.record, n.id, names_));
  }
  // `lead`: what stands before the node's own line; `below`: before those of its branches.
  void Show(size_t node, const std::string& lead, const std::string& below) {
    const bool again = shown_[node];
    out_ += Join(lead, Text(graph_.nodes[node]), again ? "  (above)" : "", "\n");
    if (again) return;
    shown_[node] = true;
    const std::vector<Branch> branches = BranchesOf(graph_, node);
    for (size_t i = 0; i < branches.size(); ++i) {
      const bool last = i + 1 == branches.size();
      Show(branches[i].node,
           Join(below, last ? "`-- " : "|-- ", BecauseName(branches[i].because), "  "),
           Join(below, last ? "    " : "|   "));
    }
  }

  const TraceGraph& graph_;
  std::span<const TracedLog> logs_;
  const Names& names_;
  std::vector<bool> shown_;
  std::string out_;
};

// A string of the DOT language.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    if (c == '\n') {
      out += "\\n";
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

std::string DotLabel(const TraceNode& n, std::span<const TracedLog> logs, const Names& names) {
  if (!n.record) return Join(n.object, "\n", ShortHex(n.id));
  const authority::Observe& r = *n.record;
  std::string text = Join(logs[n.log].name, ": ", KindName(r.kind), "\n", TimeText(r.hlc), "  ");
  text += ShortHex(n.id);
  std::string what;
  if (r.subject) {
    const std::string name = names.peer ? names.peer(*r.subject) : "";
    what = name.empty() ? ToHex(*r.subject).substr(0, kIdChars) : name;
  }
  if (r.rung != authority::Rung::kNone)
    what += Join(what.empty() ? "" : "  ", authority::RungName(r.rung));
  if (r.reason != 0) what += Join("  (", ReasonName(r.reason, names), ")");
  return what.empty() ? text : Join(text, "\n", what);
}

}  // namespace

std::string TraceTree(const TraceGraph& graph,
                      std::span<const TracedLog> logs,
                      const Names& names) {
  return TreePrinter(graph, logs, names).Print();
}

std::string TraceDot(const TraceGraph& graph, std::span<const TracedLog> logs, const Names& names) {
  std::string out =
      "digraph trace {\n"
      "  rankdir=TB;\n"
      "  node [shape=box, fontname=\"monospace\", fontsize=10];\n"
      "  edge [fontname=\"monospace\", fontsize=9];\n";
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const TraceNode& n = graph.nodes[i];
    const std::string_view shape = i == 0     ? ", style=bold"
                                   : n.record ? ""
                                              : ", shape=note, color=gray40";
    out += Join("  n", i, " [label=", Quoted(DotLabel(n, logs, names)), shape, "];\n");
  }
  for (const TraceEdge& e : graph.edges) {
    out += Join("  n", e.cause, " -> n", e.effect);
    out += Join(" [label=", Quoted(BecauseName(e.because)), "];\n");
  }
  return out + "}\n";
}

}  // namespace aqmesh::lineage
