// What one turn of the node did: the only way that its effects leave it. A driver's turn: call one
// On… with a cleared Outbox; write commits (their tickets count on); send datagrams; write tun
// packets; carry out os actions; show events; then sleep until NextWake() or input.
// Spec:   spec/rooms.md §3. Thread: values.
#ifndef AQMESH_NODE_OUTBOX_H_
#define AQMESH_NODE_OUTBOX_H_

#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/net.h"
#include "lineage/store.h"
#include "node/heads/public_witnesses.h"
#include "transport/wireguard/outbox.h"

namespace aqmesh::node {

// What a person or a script may wait for.
struct Event {
  enum class Kind : uint8_t {
    kJoinWaits,    // sponsor: someone asks; text = the words. Answer with Control::AnswerJoin
    kWords,        // joiner: text = the words to compare
    kJoined,       // joiner: the grants came and hold
    kJoinGranted,  // sponsor: the joiner got its grants
    kAdmitted,     // a peer is committed
    kRefused,      // a peer that proved who it is was refused; text = why
    kNotice,       // a peer refused us; text = why
    kRevoked,      // a session was closed by a restriction
    kRenewed,      // our grant was renewed
    kLogBehind,    // others hold a head that our log does not lead to: answer with BeginLog
    kLogBegun,     // another log was begun; text = the kid of its key
    kForked,       // a member's log showed two histories; subject = the member
    kRedacted,     // what only the subject's key opened is closed for good
    kUnwitnessed,  // a public witness does not cosign; name = its, text = why
    kWitnessed,    // it cosigns again
    kEscalated,    // something waits for a person; text = the item
    kCharter,      // another charter is in force; name = the mesh's, text = its version
  };
  Kind kind{};
  Kid subject;
  std::string name;
  std::string text;
};

// A change of the kernel's tables. The driver carries it out and answers with Control::OnOsOutcome,
// giving what a second look (another socket's dump) showed.
struct OsAction {
  enum class Kind : uint8_t { kUp, kDown };
  Kind kind{};
  authority::ActionId id;
  std::vector<Prefix> addresses;  // of this node, as host prefixes
  std::vector<Prefix> routes;     // through the interface
};

struct Outbox {
  wireguard::Outbox wg;  // datagrams and tun packets, and their bytes
  std::vector<lineage::Batch> commits;
  std::vector<OsAction> os;
  std::vector<WitnessAsk> asks;  // to POST; answered by Control::OnWitnessReply
  std::vector<Event> events;
  void Clear() {
    wg.Clear();
    commits.clear();
    os.clear();
    asks.clear();
    events.clear();
  }
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_OUTBOX_H_
