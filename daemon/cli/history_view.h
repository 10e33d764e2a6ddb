// A folded state for people: who stood where, with names, addresses and rules from the objects that
// each decision was made from.
// Spec:   spec/lineage.md §6, §8. Thread: pure; reads the store.
// Errors: the store's. What is not kept is left out: a state is shown as far as its objects last.
#ifndef AQMESH_DAEMON_CLI_HISTORY_VIEW_H_
#define AQMESH_DAEMON_CLI_HISTORY_VIEW_H_

#include <optional>
#include <string>
#include <vector>

#include "daemon/cli/state.h"
#include "lineage/history/state.h"
#include "lineage/inputs.h"

namespace aqmesh::cli {

// One subject, with what its decision was made from: the one in force, else its newest.
struct SubjectView {
  Kid kid;
  std::string name;
  lineage::Subject subject;
  std::optional<lineage::Ruling> ruling;
  std::optional<lineage::Inputs> inputs;
  std::optional<authority::Held<authority::Grant>> leaf;
  std::vector<authority::Held<authority::Fragment>> fragments;

  authority::Rung rung() const { return subject.rung(); }
  std::vector<std::string> addresses() const;  // of the leaf
  std::vector<Oid> objects() const { return inputs ? inputs->oids : std::vector<Oid>(); }
};

// A rule that a subject's fragments give it.
struct RuleView {
  Oid fragment;
  Kid signer;
  std::string text;
  bool speaks = false;  // its source is this subject
};
std::vector<RuleView> RulesOf(const SubjectView& view);

struct StateView {
  std::string log;  // kid in hex; "" of an empty log
  uint64_t records = 0, hlc = 0;
  std::vector<SubjectView> subjects;    // by name, then key; without this machine itself
  std::optional<lineage::Deed> tables;  // this machine's own addresses and routes, while they stand
};

// `known` gets the grants that the decisions name, so that names are found later too.
absl::StatusOr<StateView> ViewOf(const lineage::Store& store,
                                 const lineage::State& state,
                                 const Kid& own,
                                 KnownObjects& known);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_HISTORY_VIEW_H_
