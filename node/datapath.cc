#include "node/datapath.h"

#include <algorithm>

#include "core/base/check.h"
#include "transport/wireguard/packet.h"

namespace aqmesh::node {

using admission::Direction;
using frame::Drop;

Datapath::Datapath(wireguard::Forwarder& forwarder, Rng& rng, const IpAddress& control, Now start)
    : forwarder_(forwarder),
      flows_(
          admission::FlowTable::Key(rng.Array<16>()), admission::FlowTable::Options{}, start.mono),
      control_(control) {}

uint32_t Datapath::NewHandle(Rng& rng) const {
  for (;;) {
    const uint32_t handle = rng.U32();
    if (handle != 0 && !by_handle_.contains(handle)) return handle;
  }
}

void Datapath::Install(SessionOrder order, Now now) {
  AQ_CHECK(by_handle_.size() < kSessionsMax);
  auto session =
      std::make_unique<Session>(Session{.order = std::move(order), .tags = {}, .since = now.mono});
  const SessionOrder& o = session->order;
  by_index_[o.local_index] = o.rx_handle;
  if (const auto [it, fresh] = peers_.try_emplace(o.peer); fresh)
    it->second.control =
        admission::Shaper(admission::LimitsOf(authority::Rung::kEscalate), now.mono);
  by_handle_[o.rx_handle] = std::move(session);
}

void Datapath::RemoveSession(uint32_t local_index, Now now) {
  const auto at = by_index_.find(local_index);
  if (at == by_index_.end()) return;
  const uint32_t handle = at->second;
  by_index_.erase(at);
  if (ended_.size() < kEndedMax) CloseCount(*by_handle_.at(handle), now, ended_);
  by_handle_.erase(handle);
}

void Datapath::SetVerdict(PeerId peer, std::shared_ptr<const admission::Verdict> verdict, Now now) {
  PeerState& p = peers_[peer];
  const bool same_rung = p.verdict && verdict && p.verdict->rung == verdict->rung;
  if (!same_rung && verdict) {
    // A rung's bucket is filled once, when the rung is reached: a rekey must not refill it.
    p.in = admission::Shaper(admission::LimitsOf(verdict->rung), now.mono);
    p.out = admission::Shaper(admission::LimitsOf(verdict->rung), now.mono);
  }
  p.verdict = std::move(verdict);
}

std::shared_ptr<const admission::Verdict> Datapath::VerdictOf(PeerId peer) const {
  const auto it = peers_.find(peer);
  return it == peers_.end() ? nullptr : it->second.verdict;
}

std::optional<PeerId> Datapath::PeerOfHandle(uint32_t rx_handle) const {
  const auto it = by_handle_.find(rx_handle);
  if (it == by_handle_.end()) return std::nullopt;
  return it->second->order.peer;
}

Drop Datapath::Count(Drop d) {
  if (d != Drop::kNone) ++frame_drops_[static_cast<size_t>(d) - frame::kDropBegin];
  return d;
}

void Datapath::NoteRefusal(PeerId peer, Direction d, const admission::Refusal& why) {
  ++packet_drops_[static_cast<size_t>(why.drop)];
  if (why.flow && refused_.size() < kRefusedMax)
    refused_.push_back({peer, d, why.reason, *why.flow});
}

Datapath::Session* Datapath::ByHandle(uint32_t handle) {
  const auto it = by_handle_.find(handle);
  return it == by_handle_.end() ? nullptr : it->second.get();
}

void Datapath::OnTunPacket(Now now, MutableBytes packet, wireguard::Outbox& out) {
  // Where to, and no more: the gate reads the packet whole.
  const auto inner = wireguard::ReadInner(packet);
  if (!inner) {
    ++packet_drops_[static_cast<size_t>(admission::Drop::kHeader)];
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
    ++packet_drops_[static_cast<size_t>(admission::Drop::kRung)];
    return;
  }
  admission::Refusal why;
  auto admitted = admission::Gate::Pass(
      packet, {*it->second.verdict, flows_, it->second.out, Direction::kSend, now}, why);
  if (!admitted) {
    NoteRefusal(peer, Direction::kSend, why);
    return;
  }
  forwarder_.SendRead(now, peer, std::move(*admitted).Consume(), inner->ecn, out);
}

Drop Datapath::CheckFrame(const InFrame& f, Session*& session) {
  if (const Drop d = frame::CheckFrameSize(f.bytes); d != Drop::kNone) return d;
  session = ByHandle(frame::FrameHandle(f.bytes));
  if (session == nullptr) return Drop::kHandle;
  Drop checked = frame::CheckFrame(f.bytes, session->order.rx_key);
#ifdef AQMESH_SABOTAGE_TAG  // a build made so that the demo must fail: the tag is not compared
  if (checked == Drop::kTag) checked = Drop::kNone;
#endif
  if (checked != Drop::kNone) return checked;
  // The frame names its session: the message inside must be that session's and no other's.
  const uint8_t* const message = f.bytes.data() + frame::kFrameHeaderBytes;
  return LoadLe<uint32_t>(message + 4) == session->order.local_index ? Drop::kNone : Drop::kTunnel;
}

void Datapath::OpenFrames(Now now, std::span<const InFrame> frames, std::vector<Drop>& drops) {
  opening_.clear();
  looked_.clear();
  delivered_ = 0;
  for (const InFrame& f : frames) {
    Session* session = nullptr;
    if (const Drop d = CheckFrame(f, session); d != Drop::kNone) {
      drops.push_back(Count(d));
      continue;
    }
    looked_.push_back(forwarder_.Look(
        now, f.bytes.subspan(frame::kFrameHeaderBytes), wireguard::Forwarder::Framing::kGoverned));
    opening_.push_back({.rx_handle = session->order.rx_handle, .frame = f});
  }
  forwarder_.OpenAll(looked_);
}

bool Datapath::DeliverFrames(Now now,
                             wireguard::Outbox& out,
                             std::vector<ControlPacket>& control,
                             std::vector<Drop>& drops) {
  while (delivered_ < opening_.size() && control.empty()) {
    const size_t i = delivered_++;
    const Drop d = DeliverFrame(now, opening_[i], looked_[i], out, control);
    if (d != Drop::kNone) drops.push_back(Count(d));
  }
  return delivered_ < opening_.size() || !control.empty();
}

Drop Datapath::DeliverFrame(Now now,
                            const Opening& o,
                            const wireguard::Forwarder::Looked& looked,
                            wireguard::Outbox& out,
                            std::vector<ControlPacket>& control) {
  Session* const session = ByHandle(o.rx_handle);
  if (session == nullptr) return Drop::kHandle;
  const auto opened = forwarder_.Take(now, looked, &o.frame.from, &o.frame.at);
  if (opened.why != wireguard::Drop::kNone || !wireguard::CombineEcn(o.frame.tos, opened.packet)) {
    ++session->drops;
    return Drop::kTunnel;
  }
  session->tags.Add(ByteView(o.frame.bytes).subspan(8, 8));
  if (session->frames++ == 0) session->first = looked.counter;
  session->last = std::max(session->last, looked.counter);
  session->bytes += o.frame.bytes.size();
  if (opened.packet.empty()) return Drop::kNone;  // keepalive

  const PeerId peer = session->order.peer;
  if (opened.packet.size() >= frame::kPacketHeaderBytes && opened.packet[0] >> 4 == 6 &&
      control_.is_v6() && Equal(ByteView(opened.packet).subspan(24, 16), control_.bytes())) {
    PeerState& state = peers_[peer];
    const bool limited =
        state.verdict == nullptr || state.verdict->rung <= authority::Rung::kEscalate;
    if (limited && !state.control.Take(opened.packet.size(), now.mono)) return Drop::kControlRate;
    control.push_back({peer, o.rx_handle, Bytes(opened.packet.begin(), opened.packet.end())});
    return Drop::kNone;
  }
  if (!Deliver(now, peer, opened.packet, out)) ++session->drops;
  return Drop::kNone;
}

// The last stage inwards: only what the gate passed reaches the TUN.
bool Datapath::Deliver(Now now, PeerId peer, MutableBytes opened, wireguard::Outbox& out) {
  PeerState& state = peers_[peer];
  if (state.verdict == nullptr) return false;
  admission::Refusal why;
  auto admitted = admission::Gate::Pass(
      opened, {*state.verdict, flows_, state.in, Direction::kReceive, now}, why);
  if (!admitted) {
    NoteRefusal(peer, Direction::kReceive, why);
    return false;
  }
  const MutableBytes packet = std::move(*admitted).Consume();
  out.tun.push_back({.peer = peer, .size = packet.size(), .opened = packet.data()});
  return true;
}

void Datapath::OnBare(Now now,
                      std::span<const InFrame> messages,
                      wireguard::Outbox& out,
                      std::vector<Drop>& drops) {
  looked_.clear();
  for (const InFrame& m : messages)
    looked_.push_back(forwarder_.Look(now, m.bytes, wireguard::Forwarder::Framing::kBare));
  forwarder_.OpenAll(looked_);
  for (size_t i = 0; i < messages.size(); ++i) {
    const InFrame& m = messages[i];
    const auto opened = forwarder_.Take(now, looked_[i], &m.from, &m.at);
    if (opened.why != wireguard::Drop::kNone || !wireguard::CombineEcn(m.tos, opened.packet)) {
      drops.push_back(Count(Drop::kBare));
    } else if (!opened.packet.empty()) {
      Deliver(now, opened.peer, opened.packet, out);
    }
  }
}

void Datapath::FinishFrames(wireguard::Outbox& out) {
  forwarder_.SealPending(out);
  const Session* session = nullptr;  // of the frame before: they come in runs
  for (const wireguard::OutFrame& f : out.frames) {
    if (session == nullptr || session->order.local_index != f.local_index) {
      const auto it = by_index_.find(f.local_index);
      session = it == by_index_.end() ? nullptr : by_handle_.at(it->second).get();
    }
    if (session == nullptr || !f.to) continue;
    const SessionOrder& o = session->order;
    const MutableBytes bytes = out.arena.At(f.offset, f.size);
    frame::WriteFrame(bytes.data(), o.tx_handle, o.tx_key, f.size - frame::kFrameHeaderBytes);
    out.datagrams.push_back({.to = *f.to,
                             .from = f.from,
                             .tos = f.tos,
                             .peer = f.peer,
                             .offset = f.offset,
                             .size = f.size});
  }
  out.frames.clear();
}

void Datapath::CloseCount(Session& s, Now now, std::vector<FlowCount>& out) {
  if (s.frames == 0) return;  // drops alone are counted by reason already
  FlowCount count{.subject = s.order.subject, .summary = {}, .since = s.since};
  count.summary = {.frames = s.frames,
                   .bytes = s.bytes,
                   .first = s.first,
                   .last = s.last,
                   .tags = {},
                   .presentations = {s.order.presentation},
                   .drops = s.drops};
  crypto_generichash_final(&s.tags.state, count.summary.tags.data(), 32);
  out.push_back(std::move(count));
  s.tags = TagHash();
  s.frames = s.bytes = s.first = s.last = s.drops = 0;
  s.since = now.mono;
}

void Datapath::TakeFlows(Now now, std::vector<FlowCount>& out) {
  out = std::exchange(ended_, {});
  std::vector<uint32_t> handles;  // in an order that is the same in every run, as their records are
  for (const auto& [handle, session] : by_handle_) handles.push_back(handle);
  std::sort(handles.begin(), handles.end());
  for (uint32_t handle : handles) CloseCount(*by_handle_.at(handle), now, out);
}

std::array<uint64_t, admission::kDropCount> Datapath::TakePacketDrops() {
  std::array<uint64_t, admission::kDropCount> out{};
  for (size_t i = 0; i < out.size(); ++i) out[i] = packet_drops_[i] - packet_drops_told_[i];
  packet_drops_told_ = packet_drops_;
  return out;
}

}  // namespace aqmesh::node
