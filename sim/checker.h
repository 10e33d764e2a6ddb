// Checker: the omniscient observer. After every event it holds what a node did against what the
// node's own disk says, and against what is true of the whole world. It believes no node's words.
//   delivery   a frame reached a TUN: a decision that lets its sender in is durable at the
//   receiver,
//              in force in the receiver's present life, from grants that are in date; and the
//              source address is the sender's own
//   revoked    ... and no restriction that is durable at the receiver ends the sender's chain
//   agreement  the fold of the log is the live state: peers, verdicts, restrictions, the kernel's
//              tables; and nothing is let in, or done to the kernel, before its record is durable
//   chain      the log's hash chain holds
//   bounds     what a node keeps and makes stays below a named limit
//   outcome    what the scenario expected came about
// Spec:   spec/simulation.md; spec/reliability.md 6.3 (S1, S6, S10, S11, S13).
// Bounds: kViolationsMax are kept. Thread: one owner.
#ifndef AQMESH_SIM_CHECKER_H_
#define AQMESH_SIM_CHECKER_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/authority/signed.h"
#include "lineage/store.h"
#include "sim/ledger.h"

namespace aqmesh::sim {

enum class Rule : uint8_t { kDelivery, kRevoked, kAgreement, kChain, kBounds, kOutcome };
std::string_view RuleName(Rule rule);

struct Violation {
  Rule rule{};
  std::string node;
  std::string what;
};

// A packet that a node wrote to its TUN.
struct Delivery {
  Kid sender;         // who holds the key of the session that it came through
  IpAddress address;  // that sender's own
  IpAddress source;   // what the packet says
  WallTime wall;      // at the receiver
};

// What a node does, read from its tables.
struct Live {
  struct Peer {
    Kid kid;
    authority::Rung verdict = authority::Rung::kNone;  // in force in the data plane; kNone: none
    bool committed = false;                            // as `status` would say
  };
  std::vector<Peer> peers;
  size_t restrictions = 0;
  bool tables_up = false;  // the kernel holds the node's addresses and routes
};

// What a node keeps and makes.
struct Load {
  size_t peers = 0, others = 0;  // peers held; other machines that exist
  size_t batches = 0;            // handed over, not durable yet
  size_t datagrams = 0;          // of one turn
  size_t plans = 0;              // open, with an undo on disk
  size_t turns_at_once = 0;      // at one instant of virtual time
};

class Checker {
 public:
  static constexpr size_t kViolationsMax = 16;
  static constexpr size_t kBatchesMax = 1'024, kDatagramsMax = 4'096, kTurnsAtOnceMax = 1'000;
  static constexpr size_t kPlansPerPeerMax = 16;

  using FindObject = std::function<std::optional<Bytes>(const Oid&)>;
  // `find` looks an object up on every disk of the world.
  explicit Checker(FindObject find) : find_(std::move(find)) {}

  // ---- facts ----
  void OnStart(const std::string& node, const lineage::Store& disk);
  void OnHandedOver(const std::string& node, const lineage::Batch& batch);
  void OnDurable(const std::string& node, const lineage::Store& disk);  // reads what is new there

  // ---- checks ----
  void CheckDelivery(const std::string& node, const Delivery& d);
  void CheckAgreement(const std::string& node, const Live& live);
  void CheckLoad(const std::string& node, const Load& load);
  // The kernel's tables are about to change under this plan.
  void CheckTables(const std::string& node, const authority::ActionId& id);
  // The whole log, folded anew, says what was folded record by record.
  void CheckFold(const std::string& node, const lineage::Store& disk);
  void Report(Rule rule, const std::string& node, std::string what);

  const std::vector<Violation>& violations() const { return violations_; }
  // The durable fold of a node's present life.
  const Ledger& durable(const std::string& node) const { return nodes_.at(node).durable; }
  // Does the node's disk hold a restriction that names this key?
  bool Restricted(const std::string& node, const Kid& kid) const;
  void SetName(const Kid& kid, std::string name) { names_[kid] = std::move(name); }
  std::string NameOf(const Kid& kid) const;  // else the first digits of the key

 private:
  using Grant = authority::Held<authority::Grant>;
  using Revoke = authority::Held<authority::Revoke>;
  struct Node {
    Ledger durable, spoken;
    lineage::Seq read = 0;                   // of the durable log
    lineage::Seq life_began = 0;             // first record of the present life
    std::vector<Revoke> revocations;         // durable
    std::map<Oid, std::vector<Oid>> inputs;  // of decisions, durable
  };
  void ReadRecord(Node& n, const lineage::Store& disk, const authority::Observe& record);
  std::vector<Grant> ChainOf(const Node& n, const Oid& inputs, const Kid& sender) const;
  const Grant* FindGrant(const Oid& oid) const;

  FindObject find_;
  std::map<std::string, Node> nodes_;
  std::map<Kid, std::string> names_;
  mutable std::map<Oid, Grant> grants_;  // parsed
  std::vector<Violation> violations_;
};

// Does `revoke` end a chain (leaf first)? Written from spec/authority.md A.7 alone, and narrower
// than a node may be: what this says is revoked must be refused by every node that holds the
// statement.
bool Ends(const authority::Held<authority::Revoke>& revoke,
          std::span<const authority::Held<authority::Grant>> chain);

}  // namespace aqmesh::sim

#endif  // AQMESH_SIM_CHECKER_H_
