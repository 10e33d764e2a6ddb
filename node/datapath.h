// Datapath: frames in, frames out. The data threads' half of the node: it reads verdicts that
// Control publishes and never waits for a decision. The packet corridor, both ways, stages top to
// bottom:
//   out  TUN packet -> whose (allowed ips) -> how far (gate) -> seal (WireGuard) -> frame (handle,
//   tag) -> UDP in   UDP frame -> handle -> tag -> open (WireGuard) -> control message? -> how far
//   (gate) -> TUN
// Spec:   spec/life-of-a-packet.md; spec/objects.md §4 (a4).
// Bounds: kSessionsMax sessions, three a peer at most. Nothing is allocated per packet once the outbox grew.
// Thread: any. A call holds the lock (transport/wireguard/data_lock.h) while it looks things up or
//         changes them, and not while it seals and opens. A Lane has one owner. So there is one
//         table of flows, one of verdicts, one bucket a peer, however many threads there are.
// Errors: counted drops of three rooms (frame, wireguard, admission).
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
#include "node/attempt_book.h"
#include "transport/frame/control.h"
#include "transport/frame/drop.h"
#include "transport/frame/frame.h"
#include "transport/wireguard/data_lock.h"
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

// What one session carried since the counts were last taken, for a FLOW record, and which flows
// were tried: one of its peer's counts has them. Without frames, they are all there is to say.
struct FlowCount {
  PeerId peer = wireguard::kNoPeer;
  std::optional<Kid> subject;
  authority::FlowSummary summary;
  Instant since;
  lineage::Attempts attempts = {};
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
using InFrame = wireguard::InDatagram;

// One thread's way through the Datapath: its ciphers, and what a batch leaves between two calls.
class Lane {
 public:
  void SetHelpers(crypto::AeadHelpers* helpers) { ciphers_.SetHelpers(helpers); }

 private:
  friend class Datapath;
  // One frame between OpenFrames and DeliverFrames; what is in it stands at its place in looked_.
  struct Opening {
    uint32_t rx_handle = 0;
    const InFrame* frame = nullptr;
  };
  wireguard::Ciphers ciphers_;
  std::vector<Opening> opening_;
  std::vector<wireguard::Looked> looked_;
  std::vector<std::shared_ptr<wireguard::Keypair>> held_;      // of looked_: one a run
  size_t delivered_ = 0;                                       // of opening_
  std::vector<std::shared_ptr<const SessionOrder>> sessions_;  // of out.frames
};

class Datapath {
 public:
  static constexpr size_t kSessionsMax = 1 << 16;

  // lanes: data threads, a power of two: the low bits of a handle name the one that receives under
  // it, the same for all sessions of a peer.
  Datapath(wireguard::Forwarder& forwarder,
           wireguard::DataLock& lock,
           uint32_t lanes,
           Rng& rng,
           const IpAddress& control,
           Now start);
  wireguard::DataLock& lock() const { return lock_; }

  // ---- orders ----
  void SetControlAddress(const IpAddress& control);
  void SetUp(bool up);                              // down, packets from the TUN are dropped
  uint32_t NewHandle(Rng& rng, PeerId peer) const;  // random, unused
  void Install(SessionOrder order, Now now);
  void RemoveSession(uint32_t local_index, Now now);
  // Swaps what is in force for a peer; the very next frame feels it. nullptr: carries nothing.
  void SetVerdict(PeerId peer, std::shared_ptr<const admission::Verdict> verdict, Now now);
  void ForgetPeer(PeerId peer);
  // Read back for the actuator's confirmation: what this table, not its writer, holds.
  std::shared_ptr<const admission::Verdict> VerdictOf(PeerId peer) const;

  // ---- packets ----
  // Judges IP packets from the TUN; a passed one is laid out, or staged, in `out`: FinishFrames.
  void OnTunPackets(Now now, std::span<const wireguard::TunPacket> packets, wireguard::Outbox& out);
  // a4 datagrams that came together, opened in place and together; then, in order, passed packets
  // go to out.tun. `frames` must stand until DeliverFrames has said false.
  void OpenFrames(Now now, std::span<const InFrame> frames, Lane& lane);
  // True: a control packet went to `control`, and frames behind it wait for the next call. What it
  // says may change what is in force for them, and which sessions there are: who hears it on the
  // spot does so before that call, a data thread only passes it on.
  bool DeliverFrames(Now now,
                     Lane& lane,
                     wireguard::Outbox& out,
                     std::vector<ControlPacket>& control);
  // Bare type 4 messages of stock devices: opened in place and together, and judged like any other.
  void OnBare(Now now, std::span<const InFrame> messages, Lane& lane, wireguard::Outbox& out);
  // Seals what waits in `out`, writes the 16-byte header of every frame and moves it to
  // out.datagrams. A frame whose session is gone, or that has nowhere to go, is lost.
  void FinishFrames(Lane& lane, wireguard::Outbox& out);
  // The driver could not send to these from the address that their packets came to: the kernel is
  // to choose.
  void OnSourcesRefused(std::span<const PeerId> peers);

  // Does a handshake wait for what the data threads saw? Said once, until Control says that it
  // comes for it, which it does before it comes. The rest (timers, counts) may be 50 ms late.
  bool TakeUrgentNews();
  void NewsHeard();

  // ---- counts ----
  // Closes the running counts of sessions that carried anything, and of peers that tried anything.
  void TakeFlows(Now now, std::vector<FlowCount>& out);
  // Flows that have to be logged one by one fill their book: at most once a second.
  bool FlowsDue() const;
  std::vector<RefusedFlow> TakeRefused();
  // Frames that were not worth more, and packets that were judged and refused, since the last call.
  struct Drops {
    std::array<uint64_t, frame::kDropCount> frames{};  // from frame::kDropBegin on
    std::array<uint64_t, admission::kDropCount> packets{};
  };
  Drops TakeDrops();
  admission::FlowCounters flow_counters() const;

 private:
  struct TagHash {  // running BLAKE2b-256 over frame tags
    TagHash() { crypto_generichash_init(&state, nullptr, 0, 32); }
    void Add(ByteView tag8) { crypto_generichash_update(&state, tag8.data(), tag8.size()); }
    crypto_generichash_state state;
  };
  struct Session {
    std::shared_ptr<const SessionOrder> order;
    uint64_t frames = 0, bytes = 0, first = 0, last = 0, drops = 0;
    TagHash tags;
    Instant since;
  };
  struct PeerState {
    std::shared_ptr<const admission::Verdict> verdict;
    admission::Meters in, out;
    admission::Shaper control;  // of what it may say before it is let in further
    std::optional<Kid> subject;
    std::unique_ptr<AttemptBook> attempts;  // made at the first
  };
  void CloseCount(Session& session, Now now, std::vector<FlowCount>& out);
  void NoteRefusal(PeerId peer,
                   PeerState& state,
                   admission::Direction d,
                   const admission::Refusal& why,
                   ByteView packet,
                   Now now);
  void NoteAttempt(PeerState& state,
                   const admission::Judgement& ruled,
                   const admission::Flow& flow,
                   ByteView packet,
                   Now now);
  static void CloseAttempts(PeerId peer, PeerState& state, std::vector<FlowCount>& out);
  void Count(frame::Drop d);
  Session* ByHandle(uint32_t handle);
  // The flow of the packet before, for those that follow it.
  struct Lead {
    PeerId peer = wireguard::kNoPeer;  // kNoPeer: it did not pass
    PeerState* state = nullptr;
    admission::PacketInfo info;
    uint8_t ecn = 0;
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
                           const Lane::Opening& o,
                           const wireguard::Looked& looked,
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

  void OpenAll(Lane& lane) const;

  wireguard::Forwarder& forwarder_;
  wireguard::DataLock& lock_;
  const uint32_t lane_mask_;
  admission::FlowTable flows_;
  bool up_ = false;
  bool told_ = false;  // that there is urgent news
  bool flows_due_ = false;
  Instant flows_taken_{};
  IpAddress control_;
  absl::flat_hash_map<uint32_t, std::unique_ptr<Session>> by_handle_;
  absl::flat_hash_map<uint32_t, uint32_t> by_index_;  // local index -> handle
  absl::flat_hash_map<PeerId, PeerState> peers_;
  std::vector<RefusedFlow> refused_;
  std::vector<FlowCount> ended_;  // counts of sessions that are gone, until they are taken
  Drops drops_;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_DATAPATH_H_
