// The end of the authority corridor: a durable decision becomes an effect, the effect is read back
// by another path, and the outcome is recorded. Each step takes the token that only the step before
// can mint.
//   Decision -> [durable] Recorded -> Apply: Actuation -> Confirm: Outcome
// Spec:   spec/authority.md F: the undo is persisted before the effect; restart undoes what was armed and
//         not committed, unless it narrows access, which rolls forward.
// Thread: the control engine's.
#ifndef AQMESH_NODE_ACTUATOR_H_
#define AQMESH_NODE_ACTUATOR_H_

#include <memory>
#include <optional>
#include <vector>

#include "core/authority/decision.h"
#include "node/datapath.h"
#include "node/recorder.h"

namespace aqmesh::node {

// A decision that the lineage holds.
class Recorded {
 public:
  Recorded(authority::Passkey<authority::Recording>, authority::Decision decision)
      : decision_(std::move(decision)) {}
  Recorded(Recorded&&) = default;
  Recorded& operator=(Recorded&&) = default;
  const authority::Decision& decision() const { return decision_; }

 private:
  authority::Decision decision_;
};

// What is to be done for one peer, and what it takes to undo it.
struct PeerPlan {
  authority::ActionId id;
  PeerId peer = wireguard::kNoPeer;
  X25519Key static_key;
  Kid subject;
  std::vector<Prefix> addresses;  // of the peer, to be routed to it
  std::shared_ptr<const admission::Verdict> verdict;
  uint32_t generation = 0;  // of what its policies were compiled from
  Digest decided;           // the record of the decision that it carries out
};

class Actuation {
 public:
  Actuation(authority::Passkey<authority::Actuating>, Recorded recorded, PeerPlan plan)
      : recorded_(std::move(recorded)), plan_(std::move(plan)) {}
  Actuation(Actuation&&) = default;
  Actuation& operator=(Actuation&&) = default;
  const PeerPlan& plan() const { return plan_; }
  const authority::Decision& decision() const { return recorded_.decision(); }

 private:
  Recorded recorded_;
  PeerPlan plan_;
};

class Outcome {
 public:
  Outcome(authority::Passkey<authority::Confirming>, authority::ActionId id, bool committed)
      : id_(id), committed_(committed) {}
  Outcome(Outcome&&) = default;
  bool committed() const { return committed_; }
  const authority::ActionId& id() const { return id_; }

 private:
  authority::ActionId id_;
  bool committed_;
};

// Runs `f(Recorded)` once the decision, with all that was recorded up to now, is durable.
template <class F>
void RecordThen(Recorder& recorder, authority::Decision decision, F f);

class Actuator {
 public:
  Actuator(Datapath& datapath, wireguard::Forwarder& forwarder, Recorder& recorder)
      : datapath_(datapath), forwarder_(forwarder), recorder_(recorder) {}

  // Records ARMED and persists the undo, in the batch of the decision itself.
  void Arm(const PeerPlan& plan, Now now);
  // Writes the tables. An address that another live peer committed first stays with it.
  Actuation Apply(Recorded recorded, PeerPlan plan, Now now);
  // Reads the tables, compares generations, records APPLIED, VERIFIED and COMMITTED, or undoes and
  // records ROLLED_BACK.
  Outcome Confirm(Actuation actuation, Now now);

  // What was armed will not be applied: its peer is gone, or a newer plan took its place.
  void Abandon(const PeerPlan& plan, Now now);

  // What was in force for a peer has ended: with this process, with an order to go down, or, then
  // with its reason, because the peer is let in no longer.
  void Withdraw(const Kid& subject,
                const authority::ActionId& id,
                Now now,
                authority::Reason why = authority::Reason::kNone);

  // At start: undo what was armed and never committed, and say of what was committed that the
  // tables died with the process. `state` holds what Arm and Confirm persisted.
  void Recover(const std::map<std::string, Bytes, std::less<>>& state, Now now);

 private:
  void Record(authority::RecordKind kind, const PeerPlan& plan, Now now, uint64_t observed);

  Datapath& datapath_;
  wireguard::Forwarder& forwarder_;
  Recorder& recorder_;
};

}  // namespace aqmesh::node

// The body of RecordThen needs the passkey's definition.
namespace aqmesh::authority {
struct Recording {
  static node::Recorded Mint(Decision decision) {
    return {Passkey<Recording>(), std::move(decision)};
  }
};
}  // namespace aqmesh::authority

namespace aqmesh::node {

template <class F>
void RecordThen(Recorder& recorder, authority::Decision decision, F f) {
  recorder.WhenDurable([decision = std::move(decision), f = std::move(f)]() mutable {
    f(authority::Recording::Mint(std::move(decision)));
  });
}

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_ACTUATOR_H_
