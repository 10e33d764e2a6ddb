// Datapath: frames in, frames out. One worker's half of the node: it reads verdicts that Control
// publishes and never waits for it. The packet corridor, both ways, stages top to bottom:
//   out  TUN packet -> whose (allowed ips) -> how far (gate) -> seal (WireGuard) -> frame (handle,
//   tag) -> UDP in   UDP frame -> handle -> tag -> open (WireGuard) -> control message? -> how far
//   (gate) -> TUN
// Spec:   spec/life-of-a-packet.md; spec/objects.md §4 (a4).
// Bounds: kSessionsMax sessions, three a peer at most. Nothing is allocated per packet once the outbox grew.
// Thread: one worker. Errors: counted drops of three rooms (frame, wireguard, admission).
#ifndef AQMESH_NODE_DATAPATH_H_
#define AQMESH_NODE_DATAPATH_H_

#include <absl/container/flat_hash_map.h>
#include <sodium.h>

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "admission/gate.h"
#include "core/base/ids.h"
#include "core/base/rng.h"
#include "transport/frame/control.h"
#include "transport/frame/drop.h"
#include "transport/frame/frame.h"
#include "transport/wireguard/forwarder.h"

namespace aqmesh::node {

using wireguard::PeerId;

// One governed session as the data plane needs it. Orders of Control, as values.
struct SessionOrder {
  PeerId peer = wireguard::kNoPeer;
  uint32_t local_index = 0, remote_index = 0;  // of the WireGuard session
  uint32_t rx_handle = 0, tx_handle = 0;       // ours, and the peer's
  frame::FrameKey rx_key, tx_key;
  Oid presentation;  // the peer's: FLOW records name it, and whose it is
  std::optional<Kid> subject;
};

// What one session carried since the counts were last taken, for a FLOW record.
struct FlowCount {
  std::optional<Kid> subject;
  authority::FlowSummary summary;
  Instant since;
};

// A refused flow of a peer that has proven who it is: it hears why, rate-limited by Control.
struct RefusedFlow {
  PeerId peer = wireguard::kNoPeer;
  admission::Direction direction{};
  authority::Reason reason{};
  admission::Flow flow;
};

struct ControlPacket {
  PeerId peer = wireguard::kNoPeer;
  uint32_t rx_handle = 0;
  Bytes packet;  // a whole inner IPv6 packet to the control address
};

// One datagram as it came; a4 or bare type 4 where the data path takes it.
struct InFrame {
  MutableBytes bytes;
  Endpoint from;
  wireguard::Source at;
  uint8_t tos = 0;  // outer TOS or traffic class, 0 if the driver does not know it
};

class Datapath {
 public:
  static constexpr size_t kSessionsMax = 1 << 16;

  Datapath(wireguard::Forwarder& forwarder, Rng& rng, const IpAddress& control, Now start);

  // ---- orders ----
  void SetControlAddress(const IpAddress& control) { control_ = control; }
  uint32_t NewHandle(Rng& rng) const;  // random, unused
  void Install(SessionOrder order, Now now);
  void RemoveSession(uint32_t local_index, Now now);
  // Swaps what is in force for a peer; the very next frame feels it. nullptr: carries nothing.
  void SetVerdict(PeerId peer, std::shared_ptr<const admission::Verdict> verdict, Now now);
  void ForgetPeer(PeerId peer) { peers_.erase(peer); }
  // Read back for the actuator's confirmation: what this table, not its writer, holds.
  std::shared_ptr<const admission::Verdict> VerdictOf(PeerId peer) const;
  bool HasSession(uint32_t local_index) const { return by_index_.contains(local_index); }
  std::optional<PeerId> PeerOfHandle(uint32_t rx_handle) const;
  crypto::AeadBackend aead() const { return forwarder_.aead(); }

  // ---- packets ----
  // Judges IP packets from the TUN; a passed one is sealed, or staged, into `out`.
  void OnTunPackets(Now now, std::span<const wireguard::TunPacket> packets, wireguard::Outbox& out);
  // a4 datagrams that came together, opened in place and together; then, in order, passed packets
  // go to out.tun. `frames` must stand until DeliverFrames has said false. `drops`: one for each
  // that is not worth more, counted here too.
  void OpenFrames(Now now, std::span<const InFrame> frames, std::vector<frame::Drop>& drops);
  // True: a control packet went to `control`, and frames behind it wait for the next call. What it
  // says may change what is in force for them, and which sessions there are.
  bool DeliverFrames(Now now,
                     wireguard::Outbox& out,
                     std::vector<ControlPacket>& control,
                     std::vector<frame::Drop>& drops);
  // Bare type 4 messages of stock devices: opened in place and together, and judged like any other.
  void OnBare(Now now,
              std::span<const InFrame> messages,
              wireguard::Outbox& out,
              std::vector<frame::Drop>& drops);
  // Writes the 16-byte header of every sealed frame and moves it to out.datagrams. A frame whose
  // session is gone, or that has nowhere to go, is lost.
  void FinishFrames(wireguard::Outbox& out);
  // Is the peer governed, that is, does this table know it?
  bool Knows(PeerId peer) const { return peers_.contains(peer); }

  // ---- counts ----
  // Closes the running counts of sessions that carried anything.
  void TakeFlows(Now now, std::vector<FlowCount>& out);
  std::vector<RefusedFlow> TakeRefused() { return std::exchange(refused_, {}); }
  uint64_t frame_drops(frame::Drop d) const {
    return frame_drops_[static_cast<size_t>(d) - frame::kDropBegin];
  }
  uint64_t packet_drops(admission::Drop d) const { return packet_drops_[static_cast<size_t>(d)]; }
  // Packets that were judged and refused since the last call, by reason.
  std::array<uint64_t, admission::kDropCount> TakePacketDrops();
  const admission::FlowTable& flows() const { return flows_; }

 private:
  struct TagHash {  // running BLAKE2b-256 over frame tags
    TagHash() { crypto_generichash_init(&state, nullptr, 0, 32); }
    void Add(ByteView tag8) { crypto_generichash_update(&state, tag8.data(), tag8.size()); }
    crypto_generichash_state state;
  };
  struct Session {
    SessionOrder order;
    uint64_t frames = 0, bytes = 0, first = 0, last = 0, drops = 0;
    TagHash tags;
    Instant since;
  };
  struct PeerState {
    std::shared_ptr<const admission::Verdict> verdict;
    admission::Shaper in, out;
    admission::Shaper control;  // of what it may say before it is let in further
  };
  void CloseCount(Session& session, Now now, std::vector<FlowCount>& out);
  void NoteRefusal(PeerId peer, admission::Direction d, const admission::Refusal& why);
  frame::Drop Count(frame::Drop d);
  Session* ByHandle(uint32_t handle);
  // The flow of the packet before, for those that follow it.
  struct Lead {
    PeerId peer = wireguard::kNoPeer;  // kNoPeer: it did not pass
    PeerState* state = nullptr;
    admission::PacketInfo info;
    uint8_t ecn = 0;
  };
  // One frame between OpenFrames and DeliverFrames; what is in it stands at its place in looked_.
  struct Opening {
    uint32_t rx_handle = 0;
    const InFrame* frame = nullptr;
  };
  // Whose frames come now: they come in runs, and are not looked up one by one.
  struct Arrival {
    Session* session = nullptr;
    PeerState* state = nullptr;
    Lead lead;
    ByteView before;  // the packet that `lead` is of
  };
  frame::Drop CheckFrame(const InFrame& f, Session*& session);
  frame::Drop DeliverFrame(Now now,
                           const Opening& o,
                           const wireguard::Forwarder::Looked& looked,
                           Arrival& arrival,
                           wireguard::Outbox& out,
                           std::vector<ControlPacket>& control);
  void Leave(Now now, const wireguard::TunPacket& packet, Lead& lead, wireguard::Outbox& out);
  void Follow(Now now,
              const wireguard::TunPacket& packet,
              const Lead& lead,
              wireguard::Outbox& out);
  void SendAdmitted(Now now,
                    const Lead& lead,
                    const wireguard::TunPacket& packet,
                    admission::Admitted admitted,
                    wireguard::Outbox& out);
  bool Deliver(Now now, PeerId peer, MutableBytes packet, Arrival& arrival, wireguard::Outbox& out);
  bool IsControl(ByteView packet) const;

  static constexpr size_t kRefusedMax = 64;  // a turn; further ones are only counted
  static constexpr size_t kEndedMax = 4'096;

  wireguard::Forwarder& forwarder_;
  admission::FlowTable flows_;
  IpAddress control_;
  absl::flat_hash_map<uint32_t, std::unique_ptr<Session>> by_handle_;
  absl::flat_hash_map<uint32_t, uint32_t> by_index_;  // local index -> handle
  absl::flat_hash_map<PeerId, PeerState> peers_;
  std::vector<Opening> opening_;
  std::vector<wireguard::Forwarder::Looked> looked_;
  size_t delivered_ = 0;  // of opening_
  std::vector<RefusedFlow> refused_;
  std::vector<FlowCount> ended_;  // counts of sessions that are gone, until they are taken
  std::array<uint64_t, frame::kDropCount> frame_drops_{};
  std::array<uint64_t, admission::kDropCount> packet_drops_{}, packet_drops_told_{};
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_DATAPATH_H_
