// Trace: why a record is there, or what came of it: the graph of causes between records, across the
// logs of several machines, down to the signed objects that a decision was made from.
// Spec:   spec/lineage.md §10 names each edge and where it is read from.
// Bounds: TraceOptions::nodes_max nodes, depth_max steps; a search reads at most kNearby records of a
//         log, within kSpanMillis of the record that it starts from where it is in another log.
// Thread: pure; reads the stores. Errors: NotFound (no such record), DataLoss (the store's).
// Cost:   a few look-ups through idx_about and by time a node.
#ifndef AQMESH_LINEAGE_HISTORY_TRACE_H_
#define AQMESH_LINEAGE_HISTORY_TRACE_H_

#include <absl/status/statusor.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lineage/record.h"
#include "lineage/store.h"

namespace aqmesh::lineage {

struct TracedLog {
  const Store* store = nullptr;
  std::string name;  // of its machine
};

// How an effect hangs on its cause.
enum class Because : uint8_t {
  kStart = 0,     // the record that was asked about
  kFollows,       // the same action, one step on
  kCarriesOut,    // an action, of its decision
  kMadeFrom,      // a decision, of a signed object
  kAgain,         // a decision, of the one before under the same authority
  kRestricted,    // a decision, of the restriction that was heard
  kGranted,       // a decision, of the grant that a machine made
  kOtherEnd,      // a decision, of the one at the other end of its handshake
  kCarriedUnder,  // what was carried, of the decision or action that let it
  kHeard,         // a restriction here, of the same one heard elsewhere before
  kEvidence,      // of what the record names as its evidence
  kAnswers,       // a grant that was made, of the request's decision
  kPrevious,      // the record before it in its log
};
std::string_view BecauseName(Because b);  // "carries out"

struct TraceNode {
  size_t log = 0;                            // in the logs given
  Digest id;                                 // leaf of the record, or the object's oid
  std::optional<authority::Observe> record;  // none: an object
  std::string object;                        // "grant borealis"; "not kept here" if it is not
};
struct TraceEdge {
  size_t effect = 0, cause = 0;  // nodes
  Because because{};
};
struct TraceGraph {
  std::vector<TraceNode> nodes;  // [0] is the record that was asked about
  std::vector<TraceEdge> edges;  // in the order in which they were found
  bool up = true;
  bool cut = false;  // a bound ended it
};

struct TraceOptions {
  bool up = true;  // to its causes; else to what came of it
  size_t depth_max = 12, nodes_max = 256;
  bool previous = false;  // also the record before, at each step
};

// From record `seq` of logs[log].
absl::StatusOr<TraceGraph> Trace(std::span<const TracedLog> logs,
                                 size_t log,
                                 Seq seq,
                                 const TraceOptions& options);

// The graph as a tree for a terminal: each node once, a second mention as "(above)".
std::string TraceTree(const TraceGraph& graph, std::span<const TracedLog> logs, const Names& names);
// For Graphviz: arrows run from cause to effect.
std::string TraceDot(const TraceGraph& graph, std::span<const TracedLog> logs, const Names& names);

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_HISTORY_TRACE_H_
