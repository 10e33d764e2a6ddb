// Says in words why a flow between two parties is allowed or not: every rule with what it failed
// on, and what would lift the refusal. The rulings are Policy's own; this only puts words to them.
// Spec:   spec/authority.md A.4, spec/admission.md §10 (`aqmesh explain`, `aqmesh can`). Bounds: one line a rule.
// Thread: pure; on the control engine's, never per packet.
#ifndef AQMESH_ADMISSION_EXPLAIN_H_
#define AQMESH_ADMISSION_EXPLAIN_H_

#include <string>
#include <vector>

#include "admission/gate.h"
#include "admission/rules.h"

namespace aqmesh::admission {

struct Question {
  IpAddress src, dst;
  uint8_t proto = kProtoTcp;  // kProtoAny: a packet that cannot be classified
  uint16_t port = 0;          // destination
};

struct RuleLine {
  RuleRef rule;
  std::string text;  // "tag:member -> tag:db tcp 5432"
  bool matched = false;
  std::string why;  // "port 22 is not in 5432"; empty if matched
};

struct Explanation {
  bool pass = false;
  authority::Reason reason = authority::Reason::kNoRule;
  std::vector<RuleLine> rules;  // in the order of evaluation
  std::string summary;          // one sentence
  std::string mend;             // what would lift it; empty if it passes
};

Explanation Explain(const Question& question, const Policy::Inputs& inputs);

// A decision in words: which gate set the rung and what would lift it, then the other gates below
// ADMIT.
std::string ExplainDecision(const authority::Decision& decision);

std::string RuleText(
    const authority::Rule& rule);  // "tag:member -> node:819b8bcf tcp,udp 22,80-443 one-way"
std::string SelectorText(const authority::Selector& s);  // "tag:member"
std::string ProtoText(uint8_t proto);                    // "tcp"

}  // namespace aqmesh::admission

#endif  // AQMESH_ADMISSION_EXPLAIN_H_
