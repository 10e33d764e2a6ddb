// Why a peer stands where it does, and what becomes of one flow: the whole chain for one attempt,
// dry. Nothing is decided, counted or written.
// Spec:   spec/admission.md §10. Bounds: a chain's links, a policy's rules.
// Thread: the control engine's; never per packet.
#ifndef AQMESH_NODE_EXPLAIN_H_
#define AQMESH_NODE_EXPLAIN_H_

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "admission/explain.h"
#include "core/authority/decision.h"

namespace aqmesh::node {

// One whom the peer's chain runs through.
struct ExplainedLink {
  Kid key;
  std::string name;  // as its grant says; empty: it says none, or a charter names the key
  authority::Class cls{};
  std::optional<Oid> grant;       // none: a voter
  uint64_t ends = 0;              // of that grant, wall seconds
  uint32_t prior = 0, level = 0;  // Q16
  int32_t slope = 0;
  uint32_t scar = 0;
  bool broken = false;
};

struct ExplainedPeer {
  std::vector<ExplainedLink> links;  // the peer's own first, the voter last
  std::vector<Oid> fragments;        // that it cites
  // By gate: what would lift it, in a sentence; empty where it allows ADMIT.
  std::array<std::string, authority::kGateCount> lifts;
  uint64_t again = 0;                // wall second of the next look; UINT64_MAX: none is due
  std::vector<std::string> demands;  // what the rung and the two grants demand of every flow
};

// What a rule's terms mean: "at most 3 Mbit/s", "DSCP 46", ...
std::vector<std::string> TermsText(const admission::Terms& terms);
std::string LimitsText(const admission::Limits& limits);  // "10 Mbit/s"; empty: none

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_EXPLAIN_H_
