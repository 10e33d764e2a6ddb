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

namespace aqmesh::node {

// The state of a live join, on either side.
struct JoinState {
  authority::Held<authority::Request> request;  // sponsor: what was asked
  std::optional<authority::Held<authority::Invite>> invite;
  Digest final_h;     // of the handshake: the words are over it
  std::string words;  // once the nonce came
  bool answered = false;
  std::vector<Ref16> offered;  // sponsor: what the grant consists of, to offer again
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
  uint64_t expires = 0;  // of the decision, seconds
  uint64_t leaf_end = 0;
  uint32_t epoch = 0;
  admission::TrustMemory memory;
  admission::Party party;
  std::vector<authority::Held<authority::Fragment>> fragments;
  std::vector<Ref16>
      decided_refs;  // with charter_version: a rekey that cites the same needs no new record
  uint32_t decided_charter = 0;
  bool confirmed = false;  // a transport packet came under its session
  bool committed = false;  // the actuator confirmed
  bool level = false;      // its restriction rows are all covered here

  std::vector<Endpoint> hints;
  size_t next_hint = 0;
  Instant retry_at{};    // when to try the next hint
  Instant noticed_at{};  // last NOTICE to it
  bool has_noticed = false;
  frame::VectorAssembler vector;
  std::optional<JoinState> join;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_PEER_H_
