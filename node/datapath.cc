#include "node/datapath.h"

#include <algorithm>
#include <bit>

#include "core/base/check.h"
#include "transport/wireguard/packet.h"

namespace aqmesh::node {

using admission::Direction;
using frame::Drop;

using Hold = wireguard::DataLock::Hold;

Datapath::Datapath(wireguard::Forwarder& forwarder,
                   wireguard::DataLock& lock,
                   uint32_t lanes,
                   Rng& rng,
                   const IpAddress& control,
                   Now start)
    : forwarder_(forwarder),
      lock_(lock),
      lane_mask_(lanes - 1),
      flows_(
          admission::FlowTable::Key(rng.Array<16>()), admission::FlowTable::Options{}, start.mono),
      control_(control) {
  AQ_CHECK(std::has_single_bit(lanes));
}

// ---- orders ----

void Datapath::SetControlAddress(const IpAddress& control) {
  const Hold hold(lock_);
  control_ = control;
}

void Datapath::SetUp(bool up) {
  const Hold hold(lock_);
  up_ = up;
}

uint32_t Datapath::NewHandle(Rng& rng, PeerId peer) const {
  const Hold hold(lock_);
  for (;;) {
    const uint32_t handle = (rng.U32() & ~lane_mask_) | (peer & lane_mask_);
    if (handle != 0 && !by_handle_.contains(handle)) return handle;
  }
}

void Datapath::Install(SessionOrder order, Now now) {
  const Hold hold(lock_);
  AQ_CHECK(by_handle_.size() < kSessionsMax);
  auto session = std::make_unique<Session>(
      Session{.order = std::make_shared<const SessionOrder>(std::move(order)),
              .tags = {},
              .since = now.mono});
  const SessionOrder& o = *session->order;
  by_index_[o.local_index] = o.rx_handle;
  if (const auto [it, fresh] = peers_.try_emplace(o.peer); fresh)
    it->second.control =
        admission::Shaper(admission::LimitsOf(authority::Rung::kEscalate), now.mono);
  by_handle_[o.rx_handle] = std::move(session);
}

void Datapath::RemoveSession(uint32_t local_index, Now now) {
  const Hold hold(lock_);
  const auto at = by_index_.find(local_index);
  if (at == by_index_.end()) return;
  const uint32_t handle = at->second;
  by_index_.erase(at);
  if (ended_.size() < kEndedMax) CloseCount(*by_handle_.at(handle), now, ended_);
  by_handle_.erase(handle);
}

void Datapath::SetVerdict(PeerId peer, std::shared_ptr<const admission::Verdict> verdict, Now now) {
  const Hold hold(lock_);
  PeerState& p = peers_[peer];
  if (verdict) {
    const admission::Limits limits = admission::Tightest(admission::LimitsOf(verdict->rung),
                                                         admission::LimitsOfClass(verdict->rate));
    p.in.Limit(limits, now.mono);
    p.out.Limit(limits, now.mono);
    p.subject = verdict->subject;
  }
  p.verdict = std::move(verdict);
}

void Datapath::ForgetPeer(PeerId peer) {
  const Hold hold(lock_);
  const auto it = peers_.find(peer);
  if (it == peers_.end()) return;
  if (ended_.size() < kEndedMax) CloseAttempts(peer, it->second, ended_);
  peers_.erase(it);
}

std::shared_ptr<const admission::Verdict> Datapath::VerdictOf(PeerId peer) const {
  const Hold hold(lock_);
  const auto it = peers_.find(peer);
  return it == peers_.end() ? nullptr : it->second.verdict;
}

void Datapath::OnSourcesRefused(std::span<const PeerId> peers) {
  const Hold hold(lock_);
  for (const PeerId peer : peers) forwarder_.LoseSource(peer);
}

bool Datapath::TakeUrgentNews() {
  const Hold hold(lock_);
  if (told_ || !(forwarder_.has_urgent_facts() || flows_due_)) return false;
  return told_ = true;
}

void Datapath::NewsHeard() {
  const Hold hold(lock_);
  told_ = false;
}

// ---- packets ----

void Datapath::Count(Drop d) {
  if (d != Drop::kNone) ++drops_.frames[static_cast<size_t>(d) - frame::kDropBegin];
}

void Datapath::NoteAttempt(PeerState& state,
                           const admission::Judgement& ruled,
                           const admission::Flow& flow,
                           ByteView packet,
                           Now now) {
  if (state.verdict == nullptr || state.verdict->policies == nullptr) return;
  if (state.attempts == nullptr) state.attempts = std::make_unique<AttemptBook>();
  state.attempts->Note(ruled, flow, packet, *state.verdict->policies, now.wall);
  flows_due_ |= state.attempts->pressed() && now.mono - flows_taken_ >= std::chrono::seconds(1);
}

void Datapath::NoteRefusal(PeerId peer,
                           PeerState& state,
                           Direction d,
                           const admission::Refusal& why,
                           ByteView packet,
                           Now now) {
  ++drops_.packets[static_cast<size_t>(why.drop)];
  if (why.flow && why.ruled.first) NoteAttempt(state, why.ruled, *why.flow, packet, now);
  if (why.flow && refused_.size() < kRefusedMax)
    refused_.push_back({peer, d, why.reason, *why.flow});
}

Datapath::Session* Datapath::ByHandle(uint32_t handle) {
  const auto it = by_handle_.find(handle);
  return it == by_handle_.end() ? nullptr : it->second.get();
}

void Datapath::OnTunPackets(Now now,
                            std::span<const wireguard::TunPacket> packets,
                            wireguard::Outbox& out) {
  const Hold hold(lock_);
  if (!up_) return;
  Lead lead;
  for (const wireguard::TunPacket& p : packets) {
    if (p.follows && lead.peer != wireguard::kNoPeer) {
      Follow(now, p, lead, out);
    } else {
      Leave(now, p, lead, out);
    }
  }
}

// The first stages outwards. `lead` is left as the packets behind it need it.
void Datapath::Leave(Now now,
                     const wireguard::TunPacket& packet,
                     Lead& lead,
                     wireguard::Outbox& out) {
  lead.peer = wireguard::kNoPeer;
  // Where to, and no more: the gate reads the packet whole.
  const auto inner = wireguard::ReadInner(packet.bytes);
  if (!inner) {
    ++drops_.packets[static_cast<size_t>(admission::Drop::kHeader)];
    return;
  }
  const PeerId peer = forwarder_.Route(inner->destination);
  if (peer == wireguard::kNoPeer) {
    forwarder_.Send(now, packet, out);  // nobody's: it answers the sender with ICMP
    return;
  }
  const auto it = peers_.find(peer);
  if (it == peers_.end() || it->second.verdict == nullptr) {
    // Somebody's who is not let in. It must not even be staged: what is staged is sent without
    // another look once a session is there.
    ++drops_.packets[static_cast<size_t>(admission::Drop::kRung)];
    return;
  }
  PeerState& state = it->second;
  admission::Refusal why;
  auto admitted = admission::Gate::Pass(
      packet.bytes, {*state.verdict, flows_, state.out, Direction::kSend, now}, why);
  if (!admitted) {
    NoteRefusal(peer, state, Direction::kSend, why, packet.bytes, now);
    return;
  }
  lead.peer = peer;
  lead.state = &state;
  lead.info = admitted->info();
  lead.ecn = inner->ecn;
  SendAdmitted(now, lead, packet, *std::move(admitted), out);
}

// A segment behind one that passed: its flow is known, what it counts for is not.
void Datapath::Follow(Now now,
                      const wireguard::TunPacket& packet,
                      const Lead& lead,
                      wireguard::Outbox& out) {
  admission::Refusal why;
  auto admitted = admission::Gate::PassSegment(
      packet.bytes,
      lead.info,
      {*lead.state->verdict, flows_, lead.state->out, Direction::kSend, now},
      why);
  if (!admitted)
    return NoteRefusal(lead.peer, *lead.state, Direction::kSend, why, packet.bytes, now);
  SendAdmitted(now, lead, packet, *std::move(admitted), out);
}

void Datapath::SendAdmitted(Now now,
                            const Lead& lead,
                            const wireguard::TunPacket& packet,
                            admission::Admitted admitted,
                            wireguard::Outbox& out) {
  if (admitted.judgement().first)
    NoteAttempt(*lead.state, admitted.judgement(), admitted.info().flow(), packet.bytes, now);
  wireguard::TunPacket passed = packet;
  passed.bytes = std::move(admitted).Consume();
  forwarder_.SendRead(now, lead.peer, passed, lead.ecn, out);
}

// `session`: whose the frame before was, or null; then whose this one is.
Drop Datapath::CheckFrame(const InFrame& f, Session*& session) {
  if (const Drop d = frame::CheckFrameSize(f.bytes); d != Drop::kNone) return d;
  const uint32_t handle = frame::FrameHandle(f.bytes);
  if (session == nullptr || session->order->rx_handle != handle) session = ByHandle(handle);
  if (session == nullptr) return Drop::kHandle;
  Drop checked = frame::CheckFrame(f.bytes, session->order->rx_key);
#ifdef AQMESH_SABOTAGE_TAG  // a build made so that the demo must fail: the tag is not compared
  if (checked == Drop::kTag) checked = Drop::kNone;
#endif
  if (checked != Drop::kNone) return checked;
  // The frame names its session: the message inside must be that session's and no other's.
  const uint8_t* const message = f.bytes.data() + frame::kFrameHeaderBytes;
  return LoadLe<uint32_t>(message + 4) == session->order->local_index ? Drop::kNone : Drop::kTunnel;
}

void Datapath::OpenFrames(Now now, std::span<const InFrame> frames, Lane& lane) {
  lane.opening_.clear();
  lane.looked_.clear();
  lane.delivered_ = 0;
  {
    const Hold hold(lock_);
    Session* session = nullptr;
    const wireguard::Keypair* held = nullptr;
    for (const InFrame& f : frames) {
      if (const Drop d = CheckFrame(f, session); d != Drop::kNone) {
        Count(d);
        continue;
      }
      lane.looked_.push_back(forwarder_.Look(now,
                                             f.bytes.subspan(frame::kFrameHeaderBytes),
                                             wireguard::Forwarder::Framing::kGoverned));
      lane.opening_.push_back({.rx_handle = session->order->rx_handle, .frame = &f});
      wireguard::Keypair* const k = lane.looked_.back().session;
      if (k != nullptr && k != held) lane.held_.push_back(k->shared_from_this());
      if (k != nullptr) held = k;
    }
  }
  OpenAll(lane);
}

// Without the lock, if the backend lets two threads use one key.
void Datapath::OpenAll(Lane& lane) const {
  std::optional<Hold> hold;
  if (!lane.ciphers_.SharesKeys()) hold.emplace(lock_);
  lane.ciphers_.OpenAll(lane.looked_);
}

bool Datapath::DeliverFrames(Now now,
                             Lane& lane,
                             wireguard::Outbox& out,
                             std::vector<ControlPacket>& control) {
  const Hold hold(lock_);
  Arrival arrival;
  while (lane.delivered_ < lane.opening_.size() && control.empty()) {
    const size_t i = lane.delivered_++;
    Count(DeliverFrame(now, lane.opening_[i], lane.looked_[i], arrival, out, control));
  }
  if (lane.delivered_ < lane.opening_.size() || !control.empty()) return true;
  lane.held_.clear();
  return false;
}

Drop Datapath::DeliverFrame(Now now,
                            const Lane::Opening& o,
                            const wireguard::Looked& looked,
                            Arrival& arrival,
                            wireguard::Outbox& out,
                            std::vector<ControlPacket>& control) {
  if (arrival.session == nullptr || arrival.session->order->rx_handle != o.rx_handle) {
    arrival = {.session = ByHandle(o.rx_handle), .state = nullptr, .lead = {}, .before = {}};
    if (arrival.session == nullptr) return Drop::kHandle;
    arrival.state = &peers_[arrival.session->order->peer];
  }
  Session& session = *arrival.session;
  const auto opened = forwarder_.Take(now, looked, &o.frame->from, &o.frame->at);
  if (opened.why != wireguard::Drop::kNone || !wireguard::CombineEcn(o.frame->tos, opened.packet)) {
    ++session.drops;
    return Drop::kTunnel;
  }
  session.tags.Add(ByteView(o.frame->bytes).subspan(8, 8));
  if (session.frames++ == 0) session.first = looked.counter;
  session.last = std::max(session.last, looked.counter);
  session.bytes += o.frame->bytes.size();
  if (opened.packet.empty()) return Drop::kNone;  // keepalive

  const PeerId peer = session.order->peer;
  if (IsControl(opened.packet)) {
    PeerState& state = *arrival.state;
    const bool limited =
        state.verdict == nullptr || state.verdict->rung <= authority::Rung::kEscalate;
    if (limited && !state.control.Take(opened.packet.size(), now.mono)) return Drop::kControlRate;
    control.push_back({peer, o.rx_handle, Bytes(opened.packet.begin(), opened.packet.end())});
    return Drop::kNone;
  }
  if (!Deliver(now, peer, opened.packet, arrival, out)) ++session.drops;
  return Drop::kNone;
}

bool Datapath::IsControl(ByteView packet) const {
  return packet.size() >= frame::kPacketHeaderBytes && packet[0] >> 4 == 6 && control_.is_v6() &&
         Equal(packet.subspan(24, 16), control_.bytes());
}

// The last stage inwards: only what the gate passed reaches the TUN.
bool Datapath::Deliver(
    Now now, PeerId peer, MutableBytes opened, Arrival& arrival, wireguard::Outbox& out) {
  PeerState& state = *arrival.state;
  if (state.verdict == nullptr) return false;
  admission::Refusal why;
  const admission::Gate::PassContext context{
      *state.verdict, flows_, state.in, Direction::kReceive, now};
  // Packets of one flow come in runs as well, and are read whole once.
  Lead& lead = arrival.lead;
  const bool alike = lead.peer == peer && admission::IsAlike(opened, arrival.before, lead.info);
  auto admitted = alike ? admission::Gate::PassSegment(opened, lead.info, context, why)
                        : admission::Gate::Pass(opened, context, why);
  if (!admitted) {
    NoteRefusal(peer, state, Direction::kReceive, why, opened, now);
    return false;
  }
  if (admitted->judgement().first)
    NoteAttempt(state, admitted->judgement(), admitted->info().flow(), opened, now);
  if (!alike) {
    lead.peer = peer;
    lead.info = admitted->info();
  }
  arrival.before = opened;
  const MutableBytes packet = std::move(*admitted).Consume();
  out.tun.push_back({.peer = peer, .data = packet.data(), .size = packet.size()});
  return true;
}

void Datapath::OnBare(Now now,
                      std::span<const InFrame> messages,
                      Lane& lane,
                      wireguard::Outbox& out) {
  lane.looked_.clear();
  {
    const Hold hold(lock_);
    for (const InFrame& m : messages) {
      lane.looked_.push_back(forwarder_.Look(now, m.bytes, wireguard::Forwarder::Framing::kBare));
      if (wireguard::Keypair* const k = lane.looked_.back().session; k != nullptr)
        lane.held_.push_back(k->shared_from_this());
    }
  }
  OpenAll(lane);
  const Hold hold(lock_);
  Arrival arrival;
  for (size_t i = 0; i < messages.size(); ++i) {
    const InFrame& m = messages[i];
    const auto opened = forwarder_.Take(now, lane.looked_[i], &m.from, &m.at);
    if (opened.why != wireguard::Drop::kNone || !wireguard::CombineEcn(m.tos, opened.packet)) {
      Count(Drop::kBare);
    } else if (!opened.packet.empty()) {
      if (arrival.lead.peer != opened.peer)
        arrival = {.session = nullptr, .state = &peers_[opened.peer], .lead = {}, .before = {}};
      Deliver(now, opened.peer, opened.packet, arrival, out);
    }
  }
  lane.held_.clear();
}

void Datapath::FinishFrames(Lane& lane, wireguard::Outbox& out) {
  if (out.frames.empty() && out.pending.empty()) return;
  lane.sessions_.clear();
  {
    const Hold hold(lock_);
    for (const wireguard::OutFrame& f : out.frames) {
      std::shared_ptr<const SessionOrder> session;
      if (!lane.sessions_.empty() && lane.sessions_.back() != nullptr &&
          lane.sessions_.back()->local_index == f.local_index) {
        session = lane.sessions_.back();
      } else if (const auto it = by_index_.find(f.local_index); it != by_index_.end()) {
        session = by_handle_.at(it->second)->order;
      }
      lane.sessions_.push_back(std::move(session));
    }
    if (!lane.ciphers_.SharesKeys()) lane.ciphers_.SealPending(out);
  }
  lane.ciphers_.SealPending(out);
  for (size_t i = 0; i < out.frames.size(); ++i) {
    const wireguard::OutFrame& f = out.frames[i];
    if (lane.sessions_[i] == nullptr || !f.to) continue;
    const SessionOrder& o = *lane.sessions_[i];
    wireguard::ForEachSegment(f, [&o](MutableBytes frame) {
      frame::WriteFrame(
          frame.data(), o.tx_handle, o.tx_key, frame.size() - frame::kFrameHeaderBytes);
    });
    out.datagrams.push_back({.to = *f.to,
                             .from = f.from,
                             .tos = f.tos,
                             .peer = f.peer,
                             .data = f.data,
                             .size = f.size,
                             .segment = f.segment});
  }
  out.frames.clear();
  lane.sessions_.clear();
}

// ---- counts ----

void Datapath::CloseCount(Session& s, Now now, std::vector<FlowCount>& out) {
  if (s.frames == 0) return;  // drops alone are counted by reason already
  FlowCount count{
      .peer = s.order->peer, .subject = s.order->subject, .summary = {}, .since = s.since};
  count.summary = {.frames = s.frames,
                   .bytes = s.bytes,
                   .first = s.first,
                   .last = s.last,
                   .tags = {},
                   .presentations = {s.order->presentation},
                   .drops = s.drops};
  crypto_generichash_final(&s.tags.state, count.summary.tags.data(), 32);
  out.push_back(std::move(count));
  s.tags = TagHash();
  s.frames = s.bytes = s.first = s.last = s.drops = 0;
  s.since = now.mono;
}

void Datapath::TakeFlows(Now now, std::vector<FlowCount>& out) {
  const Hold hold(lock_);
  out = std::exchange(ended_, {});
  flows_due_ = false;
  flows_taken_ = now.mono;
  std::vector<uint32_t> handles;  // in an order that is the same in every run, as their records are
  for (const auto& [handle, session] : by_handle_) handles.push_back(handle);
  std::sort(handles.begin(), handles.end());
  for (uint32_t handle : handles) CloseCount(*by_handle_.at(handle), now, out);
  std::vector<PeerId> tried;
  for (const auto& [peer, state] : peers_) {
    if (state.attempts && !state.attempts->empty()) tried.push_back(peer);
  }
  std::ranges::sort(tried);
  for (const PeerId peer : tried) CloseAttempts(peer, peers_.at(peer), out);
}

void Datapath::CloseAttempts(PeerId peer, PeerState& state, std::vector<FlowCount>& out) {
  if (state.attempts == nullptr || state.attempts->empty()) return;
  auto at = std::ranges::find_if(
      out, [&](const FlowCount& f) { return f.peer == peer && f.subject == state.subject; });
  if (at == out.end() || !at->attempts.empty()) {
    FlowCount none{.peer = peer, .subject = state.subject, .summary = {}, .since = {}};
    TagHash tags;
    crypto_generichash_final(&tags.state, none.summary.tags.data(), 32);
    at = out.insert(out.end(), std::move(none));
  }
  at->attempts = state.attempts->Take();
}

bool Datapath::FlowsDue() const {
  const Hold hold(lock_);
  return flows_due_;
}

std::vector<RefusedFlow> Datapath::TakeRefused() {
  const Hold hold(lock_);
  return std::exchange(refused_, {});
}

Datapath::Drops Datapath::TakeDrops() {
  const Hold hold(lock_);
  return std::exchange(drops_, {});
}

admission::FlowCounters Datapath::flow_counters() const {
  const Hold hold(lock_);
  return flows_.counters();
}

}  // namespace aqmesh::node
