// Peer: what the control engine knows of one static key: who proved to be behind it, what it
// presented, how far it was let in, and where it may be found.
// Bounds: kHintsMax endpoints, kItemsMax objects. Thread: the control engine's.
#ifndef AQMESH_NODE_PEER_H_
#define AQMESH_NODE_PEER_H_

#include <optional>
#include <string>
#include <vector>

#include "admission/gate.h"
#include "core/authority/chain.h"
#include "transport/frame/assembler.h"
#include "transport/wireguard/handshaker.h"
#include "trust/weigh.h"

namespace aqmesh::node {

// The state of a live join, on either side.
struct JoinState {
  authority::Held<authority::Request> request;  // sponsor: what was asked
  std::optional<authority::Held<authority::Invite>> invite;
  Digest final_h;     // of the handshake: the words are over it
  std::string words;  // once the nonce came
  bool answered = false;
};

struct Peer {
  static constexpr size_t kHintsMax = 16;

  wireguard::PeerId id = wireguard::kNoPeer;
  X25519Key static_key;
  std::optional<Kid> kid;  // proven by a verified presentation
  std::string name;

  // As last presented, so that it can be judged again at any moment without the peer.
  std::optional<authority::Held<authority::Presentation>> presentation;
  std::vector<authority::SignedPtr> items;

  authority::Rung rung = authority::Rung::kNone;
  authority::Reason reason = authority::Reason::kNone;
  std::array<authority::GateResult, authority::kGateCount> gates{};
  authority::Gate setter = authority::Gate::kCrypto;
  uint32_t ladm = 0;
  uint64_t expires = UINT64_MAX;  // of the decision, seconds
  uint64_t steady_until =
      UINT64_MAX;  // until then the compiled rules need no new look at the clock
  uint64_t leaf_end = 0;
  uint32_t epoch = 0;
  admission::TrustMemory memory;
  std::vector<trust::Step> steps;  // whom its chain runs through
  admission::Party party;
  std::vector<authority::Held<authority::Fragment>> fragments;
  std::vector<Ref16>
      decided_refs;  // with charter_version: a rekey that cites the same needs no new record
  uint32_t decided_charter = 0;
  bool plain = false;  // a stock WireGuard device, served by its PLAIN grant:
  std::optional<authority::Held<authority::Grant>> plain_grant;
  bool confirmed = false;        // a transport packet came under its session
  bool committed = false;        // the actuator confirmed ...
  authority::ActionId action{};  // ... this action
  Digest decided;                // leaf of the decision that it carries out
  bool level = false;            // its restriction rows are all covered here

  std::vector<Endpoint> hints;
  size_t next_hint = 0;
  Instant retry_at{};         // when to try the next hint
  Instant greet_at = kNever;  // when to say the session's first words again: datagrams get lost
  int greets = 0;             // said so far
  Instant noticed_at{};       // last NOTICE to it
  bool has_noticed = false;
  bool speaks() const { return committed && !plain; }  // control messages reach it
  frame::VectorAssembler vector;
  std::optional<JoinState> join;
  std::vector<Ref16> offered;  // last, apart from announces: grants and what they hang on
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_PEER_H_
