// Ledger: what a node's log says is so: the fold of its records, one at a time. Made twice for each
// node, of what its disk holds and of all that it handed over, and compared with what it does.
// Spec:   spec/authority.md F (edges of an actuation), G (fold of the log); spec/simulation.md.
// Bounds: one entry a subject, one an open plan. Thread: a value.
#ifndef AQMESH_SIM_LEDGER_H_
#define AQMESH_SIM_LEDGER_H_

#include <map>
#include <optional>
#include <set>

#include "core/authority/objects.h"
#include "core/base/ids.h"

namespace aqmesh::sim {

class Ledger {
 public:
  // A decision, and what it was made from.
  struct Decided {
    authority::Rung rung = authority::Rung::kNone;
    Oid inputs;
    bool operator==(const Decided&) const = default;
  };
  // One subject, in the node's present life.
  struct Standing {
    Decided decided;                               // the newest PROPOSED or DECIDED
    std::map<authority::ActionId, Decided> armed;  // plans without an end
    authority::ActionId applied;                   // the plan that was written to the tables last
    std::optional<Decided> in_force;               // COMMITTED, and not closed since
    bool operator==(const Standing&) const = default;
  };

  void Add(const authority::Observe& record);
  // The node started again: peers, verdicts and the kernel's tables died with its process.
  void NewLife();

  const std::map<Kid, Standing>& standings() const { return standings_; }
  const Standing* Find(const Kid& subject) const;
  bool tables_up() const { return tables_up_; }
  bool TablesArmed(const authority::ActionId& id) const { return tables_armed_.contains(id); }
  const std::set<Oid>& restrictions() const { return restrictions_; }  // of REVOKE_SEEN
  size_t open_plans() const;
  bool operator==(const Ledger&) const = default;

 private:
  void AddPeerEdge(Standing& s, const authority::Observe& record);
  void AddTablesEdge(const authority::Observe& record);

  std::map<Kid, Standing> standings_;
  std::set<Oid> restrictions_;
  std::set<authority::ActionId> tables_armed_;
  bool tables_up_ = false;
};

}  // namespace aqmesh::sim

#endif  // AQMESH_SIM_LEDGER_H_
