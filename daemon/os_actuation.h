// One change of the kernel's tables, from ARMED to its end: apply, read back through another
// socket, keep or undo. Control armed it (the undo is durable before an OsAction leaves the node)
// and records each edge that this machine of states went through.
// Spec:   spec/authority.md F:
//           ARMED -> APPLIED -> VERIFIED -> COMMITTED
//           ARMED -> APPLIED -> (read-back differs) -> undo -> ROLLED_BACK | DIVERGED
//         Up is permissive: what cannot be verified is undone. Down is restrictive and rolls
//         forward: it is tried twice, then DIVERGED.
// Bounds: those of net_protocol.h. Thread: a value; one owner. No I/O but through the `net` handed to CarryOut.
#ifndef AQMESH_DAEMON_OS_ACTUATION_H_
#define AQMESH_DAEMON_OS_ACTUATION_H_

#include <string>
#include <vector>

#include "core/authority/objects.h"
#include "daemon/net/net_protocol.h"
#include "node/outbox.h"

namespace aqmesh::daemon {

class OsActuation {
 public:
  explicit OsActuation(node::OsAction action) : action_(std::move(action)) {}

  // What to ask for, in order.
  std::vector<net::Request> Plan() const;
  // One step of the plan was answered. False: stop here. "Already there" and "not there" are fine
  // answers, and leave nothing to undo.
  bool OnStep(const net::Request& step, const absl::Status& answer);
  void OnApplied() { edges_.push_back(authority::RecordKind::kApplied); }
  // What the other socket saw. True: VERIFIED and COMMITTED. False: `why` says what differed.
  bool OnReadBack(const absl::StatusOr<net::State>& seen);
  // What takes back the steps that took effect, newest first.
  std::vector<net::Request> Undo() const;
  // After the undo: ROLLED_BACK if nothing of it is seen any more, else DIVERGED.
  void OnUndone(const absl::StatusOr<net::State>& seen);
  void OnDiverged() { edges_.push_back(authority::RecordKind::kDiverged); }

  const node::OsAction& action() const { return action_; }
  bool up() const { return action_.kind == node::OsAction::Kind::kUp; }
  bool committed() const {
    return !edges_.empty() && edges_.back() == authority::RecordKind::kCommitted;
  }
  const std::vector<authority::RecordKind>& edges() const { return edges_; }
  const std::string& why() const { return why_; }

 private:
  node::OsAction action_;
  std::vector<net::Request> done_;
  std::vector<authority::RecordKind> edges_;
  std::string why_;
};

// Walks one actuation to its end. Net: Do(request) -> absl::Status, ReadBack() ->
// StatusOr<net::State>.
template <class Net>
void CarryOut(OsActuation& actuation, Net& net) {
  const auto apply = [&] {
    for (const net::Request& step : actuation.Plan()) {
      if (!actuation.OnStep(step, net.Do(step))) return;
    }
  };
  apply();
  actuation.OnApplied();
  if (actuation.OnReadBack(net.ReadBack())) return;
  if (!actuation.up()) {
    apply();
    if (!actuation.OnReadBack(net.ReadBack())) actuation.OnDiverged();
    return;
  }
  // The dump after it says what the undo achieved; single answers do not matter.
  for (const net::Request& step : actuation.Undo()) (void)net.Do(step);
  actuation.OnUndone(net.ReadBack());
}

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_OS_ACTUATION_H_
