#include "node/control.h"

#include "core/base/check.h"
#include "core/base/status.h"

// Turns: what comes in is handed to its corridor; then the halves settle until nothing moves any
// more.
namespace aqmesh::node {

using namespace std::chrono_literals;

namespace {

constexpr size_t kReconcileAtOnce =
    3;  // members asked each tick for what we may lack (spec: authority#E.2)
constexpr auto kTickEvery = 10s;  // FLOW and DROPS records close (spec: authority#G)
// A session in use is renewed after 120 s, and one that idles by its keepalive at the latest 25 s
// on.
constexpr uint64_t kSilentAfterSeconds = 160;

lineage::Chain ChainFrom(const crypto::Ed25519Seed& key, const Image& image) {
  const Kid log = authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(key));
  if (!image.last_record) return lineage::Chain(log);
  auto chain = lineage::Chain::Resume(log, *image.last_record);
  AQ_CHECK(chain.ok());  // the driver opened the store with this log key and verified its end
  return *std::move(chain);
}

// Members that were let in first-hand in an earlier life: they may hold heads of our log.
size_t PeersMet(const Image& image) {
  size_t n = 0;
  for (auto it = image.state.lower_bound("committed/");
       it != image.state.end() && it->first.starts_with("committed/");
       ++it)
    ++n;
  return n;
}

authority::Observe ClockStepRecord(const ClockWatch::Step& step) {
  authority::Observe o;
  o.kind = authority::RecordKind::kClockStep;
  o.intent_gen = step.expected_millis;
  o.observed_gen = step.found_millis;
  return o;
}

// Whoever has none draws nothing for them.
PublicWitnesses WitnessesOf(const Config& config, Rng& rng) {
  Rng own = config.witnesses.empty() ? Rng(Rng::Seed{}) : rng.Child("witnesses");
  return PublicWitnesses(config.witnesses, std::move(own));
}

}  // namespace

Control::Control(Config config, const Image& image, Rng rng, Now start)
    : config_(std::move(config)),
      rng_(std::move(rng)),
      mesh_(config_.identity),
      recorder_(ChainFrom(config_.log, image), image.edge),
      trust_(recorder_),
      escalations_(recorder_),
      attestations_(recorder_),
      letters_(rng_.Child("letters")),
      notary_({.identity = config_.identity,
               .seqs = config_.seqs,
               .store = config_.store,
               .recorder = recorder_,
               .letters = letters_},
              config_.log,
              PeersMet(image),
              WitnessesOf(config_, rng_),
              start),
      cosigner_(config_.identity, recorder_, letters_),
      device_({.peers_max = config_.peers_max, .mtu = config_.mtu, .lanes = config_.lanes},
              rng_.Child("wireguard")),
      datapath_(device_.forwarder(),
                device_.lock(),
                std::max(config_.lanes, 1u),
                rng_,
                IpAddress(),
                start),
      actuator_(datapath_, device_.forwarder(), recorder_),
      gate_(admission::GateParams{}),
      signing_(config_.identity),
      cookies_(wireguard::kGovernedLabels, rng_.Child("cookies")),
      assembler_({}),
      next_tick_(start.mono + kTickEvery),
      clock_(start) {
  mesh_.Load(image, start.wall);
  Outbox out;
  Turn t{start, out};
  device_.SetPrivateKey(start, config_.static_key, out.wg);
  own_keys_ = frame::StaticKeysOf(device_.public_key());
  cookies_.SetKey(device_.public_key());
  if (mesh_.has_charter())
    gate_ = admission::Gate(admission::GateParams::From(mesh_.charter().body));
  if (mesh_.has_charter() || config_.invitation)
    datapath_.SetControlAddress(authority::ControlAddress(ScopeForControl()));
  for (const auto& [name, value] : image.state) LoadState(t, name, value);
  LoadTrust(start);
  actuator_.Recover(image.state, start);
  // The log's time may be ahead by what another's may drag it, and no more.
  const uint64_t newest = lineage::MillisFromHlc(recorder_.chain().clock().last());
  if (newest > start.wall.millis() + lineage::HybridClock::kDragMillisMax)
    recorder_.Record(ClockStepRecord({newest, start.wall.millis()}), start.wall);
  SettleCharters(t, nullptr);  // what was put there while the node was down
  NoteOwnChain(t);
  if (Asks()) RefreshEligible(start);
  if (synced_wall_ == 0) synced_wall_ = start.wall.seconds();
}

Control::~Control() = default;

// What a state's name says it is: "family/HEX", the hex of a key.
void Control::LoadState(Turn& t, std::string_view name, ByteView value) {
  if (name == "synced" && value.size() == 8) synced_wall_ = LoadLe<uint64_t>(value.data());
  trust_.Load(name, value);
  escalations_.Load(name, value);
  attestations_.Load(name, value, mesh_.kid());
  notary_.Load(name, value);
  cosigner_.Load(name, value);
  if (name.starts_with(kProposalState) || name.starts_with(kVoteState)) {
    const auto object = authority::Signed::Parse(value);
    if (!object.ok() || !mesh_.charters().Proposed(object->ref()))
      recorder_.DeleteState(std::string(name));  // decided meanwhile, or never right
    return;
  }
  const size_t slash = name.find('/');
  if (slash == std::string_view::npos) return;
  const std::string_view family = name.substr(0, slash);
  const std::optional<Bytes> key = FromHex(name.substr(slash + 1));
  if (!key) return;
  const auto kid = Kid::From(*key);
  const auto static_key = X25519Key::From(*key);
  if (family == "floor" && static_key) {
    if (const auto stamp = wireguard::Tai64n::From(value)) floors_[*static_key] = *stamp;
  } else if (family == "proved" && static_key) {
    if (const auto whose = Kid::From(value)) proved_[*static_key] = *whose;
  } else if (family == "hint" && static_key) {
    LoadHint(t, *static_key, value);
  } else if (name.starts_with(lineage::kContentKeys) && kid) {
    if (auto kept = lineage::ContentKey::Decode(value)) content_keys_[*kid] = *std::move(kept);
  } else if (family == "committed" && kid) {
    committed_before_[*kid] = true;
  } else if ((family == "approve" || family == "approve-flows") && kid) {
    auto object = authority::Signed::Parse(value);
    auto body = object.ok() ? authority::ParseBody<authority::Approve>(object->body())
                            : absl::StatusOr<authority::Approve>(object.status());
    const auto what = body.ok() ? authority::WhatAnswers(*body) : std::nullopt;
    if (what) {
      const auto held = std::make_shared<const authority::Signed>(*std::move(object));
      mesh_.Hold(held);
      approvals_.insert_or_assign(std::pair(*kid, *what),
                                  Held<authority::Approve>{held, *std::move(body)});
    }
  } else if (family == "deposit" && kid) {
    deposits_[*kid] = Bytes(value.begin(), value.end());
  } else if (family == "deposited" && kid) {
    deposited_[*kid] = true;
  } else if (family == "repeat" && kid) {
    repeats_[*kid] = Bytes(value.begin(), value.end());
  } else if (family == "invite") {
    if (const auto oid = Oid::From(*key)) {
      for (; value.size() >= Kid::kSize; value = value.subspan(Kid::kSize))
        invite_uses_[*oid].push_back(*Kid::From(value.first(Kid::kSize)));
    }
  } else if (family == "announce") {
    auto object = authority::Signed::Parse(value);
    if (object.ok()) TakeAnnounce(t, std::make_shared<const authority::Signed>(*std::move(object)));
  }
}

void Control::LoadHint(Turn& t, const X25519Key& static_key, ByteView value) {
  if (value.size() < Kid::kSize || !mesh_.has_charter()) return;
  const auto endpoint = Endpoint::Parse(AsText(value.subspan(Kid::kSize)));
  Peer* peer = endpoint ? EnsurePeer(t, static_key) : nullptr;
  if (peer == nullptr) return;
  peer->kid = *Kid::From(value.first(Kid::kSize));
  kept_hints_[static_key] = *endpoint;
  if (std::ranges::find(peer->hints, *endpoint) == peer->hints.end() &&
      peer->hints.size() < Peer::kHintsMax)
    peer->hints.push_back(*endpoint);
}

void Control::KeepHint(const X25519Key& static_key, const Kid& kid, const Endpoint& endpoint) {
  const auto kept = kept_hints_.find(static_key);
  if (kept != kept_hints_.end() && kept->second == endpoint) return;
  if (kept == kept_hints_.end() && kept_hints_.size() >= config_.peers_max) return;
  kept_hints_[static_key] = endpoint;
  Bytes value(kid.bytes.begin(), kid.bytes.end());
  Append(value, AsBytes(endpoint.ToString()));
  recorder_.PutState("hint/" + ToHex(static_key), std::move(value));
}

ScopeId Control::ScopeForControl() const {
  if (mesh_.has_charter()) return mesh_.scope();
  return config_.invitation ? config_.invitation->invite.body.scope : ScopeId{};
}

IpAddress Control::Address6Of(const Kid& kid) const {
  return authority::DerivedIp6(ScopeForControl(), kid);
}

std::optional<IpAddress> Control::address6() const {
  if (!mesh_.has_charter()) return std::nullopt;
  return Address6Of(mesh_.kid());
}

std::vector<Prefix> Control::own_addresses() const {
  std::vector<Prefix> out;
  if (mesh_.leaf() == nullptr) return out;
  for (const Prefix& p : mesh_.leaf()->body.prefixes) {
    if (p.length == p.address.bits()) out.push_back(p);
  }
  return out;
}

void Control::Say(
    Turn& t, Event::Kind kind, const Kid& subject, std::string name, std::string text) {
  t.out.events.push_back({kind, subject, std::move(name), std::move(text)});
}

Peer* Control::PeerOf(PeerId id) {
  const auto it = peers_.find(id);
  return it == peers_.end() ? nullptr : &it->second;
}
const Peer* Control::PeerOf(PeerId id) const {
  const auto it = peers_.find(id);
  return it == peers_.end() ? nullptr : &it->second;
}

void Control::OnDatagram(
    Now now, MutableBytes bytes, const Endpoint& from, const wireguard::Source& at, Outbox& out) {
  const InFrame in{.bytes = bytes, .from = from, .at = at};
  OnDatagrams(now, {&in, 1}, out);
}

void Control::OnDatagrams(Now now, std::span<const InFrame> in, Outbox& out) {
  const auto type = [](const InFrame& f) { return f.bytes.empty() ? uint8_t{0} : f.bytes[0]; };
  Turn t{now, out};
  while (!in.empty() && up_) {
    const uint8_t first = type(in[0]);
    const auto same = static_cast<size_t>(
        std::find_if(in.begin(), in.end(), [&](const InFrame& f) { return type(f) != first; }) -
        in.begin());
    size_t taken = same;
    if (first == static_cast<uint8_t>(frame::Type::kFrame)) {
      OnFrames(t, in.first(same));
    } else if (first == static_cast<uint8_t>(wireguard::MessageType::kTransport)) {
      OnBareData(t, in.first(same));
    } else {
      OnOther(t, in[0]);
      taken = 1;
    }
    in = in.subspan(taken);
  }
}

void Control::OnHandshakes(Now now, std::span<const InFrame> in, Outbox& out) {
  std::vector<InFrame> strangers;
  for (const InFrame& f : in) {
    if (device_.handshaker().IsAPeers(f.from)) {
      OnDatagrams(now, {&f, 1}, out);
    } else if (strangers.size() < kStrangersMax) {
      strangers.push_back(f);
    } else {
      CountDrop(static_cast<uint16_t>(frame::Drop::kSourceRate));
    }
  }
  OnDatagrams(now, strangers, out);
}

// A control packet is heard before the frames behind it are delivered: they feel what it says.
void Control::OnFrames(Turn& t, std::span<const InFrame> frames) {
  std::vector<ControlPacket> control;
  datapath_.OpenFrames(t.now, frames, lane_);
  for (bool more = true; more;) {
    control.clear();
    more = datapath_.DeliverFrames(t.now, lane_, t.out.wg, control);
    HearControl(t, control);
    EndTurn(t);
  }
}

void Control::HearControl(Turn& t, std::span<const ControlPacket> control) {
  if (control.empty()) return;
  // A session must be confirmed before the messages that confirmed it are heard.
  Settle(t);
  SettleHandshakes(t);
  for (const ControlPacket& c : control) OnControl(t, c);
}

void Control::OnNews(Now now, std::span<const ControlPacket> control, Outbox& out) {
  Turn t{now, out};
  datapath_.NewsHeard();
  HearControl(t, control);
  EndTurn(t);
}

void Control::OnBareData(Turn& t, std::span<const InFrame> messages) {
  datapath_.OnBare(t.now, messages, lane_, t.out.wg);
  EndTurn(t);
}

void Control::OnOther(Turn& t, const InFrame& in) {
  if (in.bytes.empty()) return;
  switch (in.bytes[0]) {
    case static_cast<uint8_t>(frame::Type::kInitiation):
      OnInitiation(t, in.bytes, in.from, in.at);
      break;
    case static_cast<uint8_t>(frame::Type::kResponse):
      OnResponse(t, in.bytes, in.from, in.at);
      break;
    case static_cast<uint8_t>(frame::Type::kCookie): OnCookie(t, in.bytes); break;
    case static_cast<uint8_t>(frame::Type::kBefore): OnBefore(t, in.bytes); break;
    default: {
      const wireguard::InDatagram bare{
          .bytes = in.bytes, .from = in.from, .at = in.at, .tos = in.tos};
      if (device_.OnDatagram(t.now, bare, t.out.wg) != wireguard::Drop::kNone)
        CountDrop(static_cast<uint16_t>(frame::Drop::kBare));
    }
  }
  EndTurn(t);
}

void Control::OnTunPackets(Now now, std::span<const wireguard::TunPacket> packets, Outbox& out) {
  Turn t{now, out};
  datapath_.OnTunPackets(now, packets, out.wg);
  EndTurn(t);
}

void Control::OnDurable(Now now, Ticket up_to, Outbox& out) {
  Turn t{now, out};
  recorder_.OnDurable(up_to);
  EndTurn(t);
}

void Control::OnWake(Now now, Outbox& out) {
  Turn t{now, out};
  WatchClock(t);
  device_.OnWake(now, out.wg);
  if (now.mono >= next_tick_) {
    next_tick_ = now.mono + kTickEvery;
    Tick(t);
  }
  if (up_) {
    for (PeerId id : PeersWhere(
             [&](const Peer& p) { return p.retry_at != kNever && now.mono >= p.retry_at; })) {
      if (Peer* peer = PeerOf(id)) TryHints(t, *peer);
    }
    for (auto& [id, peer] : peers_) {
      if (now.mono < peer.greet_at) continue;
      peer.greet_at = kNever;
      if (peer.speaks()) Greet(t, peer);
    }
  }
  EndTurn(t);
}

Instant Control::NextWake() const {
  Instant at = std::min({device_.NextWake(), next_tick_, trust_.NextWake()});
  if (!up_) return at;
  for (const auto& [id, peer] : peers_) at = std::min({at, peer.retry_at, peer.greet_at});
  return at;
}

void Control::SetUp(Now now, bool up, Outbox& out) {
  Turn t{now, out};
  if (up != up_) {
    up_ = up;
    datapath_.SetUp(up);
    device_.SetUp(now, up, out.wg);
    if (up) {
      if (joining()) {
        StartJoin(t);
      } else {
        RenewAnnounce(t);
        for (auto& [id, peer] : peers_) TrySoon(t, peer);
        RefreshPlain(t);
      }
    } else {
      for (auto& [id, peer] : peers_) {
        if (peer.committed && peer.kid) actuator_.Withdraw(*peer.kid, peer.action, now);
      }
      for (PeerId id : PeersWhere([](const Peer& p) { return p.plain; })) Forget(t, id);
      for (auto& [id, peer] : peers_) {
        datapath_.SetVerdict(id, nullptr, now);
        peer.confirmed = peer.committed = false;
      }
    }
  }
  EndTurn(t);
}

void Control::EndTurn(Turn& t) {
  // Each round may make work for another: a durable record lets a response out, a response needs
  // wrapping. It ends, because every step moves something forward along its corridor and none moves
  // back.
  turn_ = &t;
  if (datapath_.FlowsDue()) RecordCounts(t);
  do {
    Settle(t);
    SettleHandshakes(t);
    TakeLate(t);
    SettleTrust(t);
    SettleHeads(t);
    recorder_.Flush(t.out.commits);
  } while (recorder_.RunDue() || !t.out.wg.governed.empty() || !t.out.wg.sessions.empty());
  recorder_.Flush(t.out.commits);
  for (const RefusedFlow& r : datapath_.TakeRefused()) {
    Peer* peer = PeerOf(r.peer);
    if (peer != nullptr && r.reason == authority::Reason::kHeld) HoldFlow(t, *peer);
    if (peer == nullptr || r.direction != admission::Direction::kReceive) continue;
    NoticePeer(t, *peer, r.reason, frame::ParseFlow(r.flow.bytes));
  }
  Settle(t);
  datapath_.FinishFrames(lane_, t.out.wg);
  turn_ = nullptr;
}

// Carries the orders of handshakes to the data half. A session is known to the Datapath first: the
// orders may make it the one that any thread's next packet is sent on.
void Control::Settle(Turn& t) {
  for (const auto& e : t.out.wg.sessions) {
    if (e.kind == wireguard::SessionEvent::Kind::kInstalled) InstallSession(t, e);
  }
  device_.Settle(t.now, t.out.wg);
}

void Control::InstallSession(Turn& t, const wireguard::SessionEvent& e) {
  const auto it = installing_.find(e.peer);
  if (it == installing_.end() || it->second.local_index != e.local_index) return;
  SessionOrder order = std::move(it->second);
  installing_.erase(it);
  datapath_.Install(std::move(order), t.now);
}

void Control::SettleHandshakes(Turn& t) {
  for (const auto& h : std::exchange(t.out.wg.governed, {})) {
    if (h.kind == wireguard::GovernedHandshake::Kind::kInitiation) {
      WrapInitiation(t, h);
    } else {
      WrapResponse(t, h);
    }
  }
  for (const auto& e : std::exchange(t.out.wg.sessions, {})) OnSessionEvent(t, e);
}

void Control::OnSessionEvent(Turn& t, const wireguard::SessionEvent& e) {
  Peer* peer = PeerOf(e.peer);
  if (peer == nullptr) return;
  switch (e.kind) {
    case wireguard::SessionEvent::Kind::kInstalled: {
      live_index_[e.peer] = e.local_index;
      InstallSession(t, e);
      if (e.initiator) Confirm(t, e.peer);  // the response was the confirmation
      break;
    }
    case wireguard::SessionEvent::Kind::kPromoted: Confirm(t, e.peer); break;
    case wireguard::SessionEvent::Kind::kGone: datapath_.RemoveSession(e.local_index, t.now); break;
  }
}

void Control::Confirm(Turn& t, PeerId id) {
  Commit(t, id);
  Peer* peer = PeerOf(id);
  if (peer == nullptr || !peer->speaks()) return;
  CreditSession(t, *peer);
  NoteSeen(t, *peer);
}

// What was tried is nobody's business who has not the subject's key (spec: lineage#11).
void Control::CommitTo(authority::Observe& o, const lineage::Attempts& attempts) {
  const Kid& subject = *o.subject;
  const auto [it, fresh] = content_keys_.try_emplace(subject);
  if (fresh) {
    it->second = lineage::ContentKey::Make(rng_);
    recorder_.PutState(lineage::ContentKeyName(subject), it->second.Encode());
  }
  Bytes value = {lineage::kAttemptsContent};
  const Bytes body = lineage::EncodeAttempts(attempts);
  value.insert(value.end(), body.begin(), body.end());
  const lineage::SealedContent sealed = lineage::SealContent(it->second, subject, value, rng_);
  recorder_.PutObject(lineage::Shelf::kContent, lineage::ContentName(sealed.commit), sealed.bytes);
  o.commits.push_back(sealed.commit);
}

absl::Status Control::Redact(Now now, const Kid& subject, Outbox& out) {
  Turn t{now, out};
  RecordCounts(t);  // what was tried up to now goes with it
  if (content_keys_.erase(subject) == 0) {
    EndTurn(t);
    return NotFound("nothing is kept under a key of ", ToHex(subject), "'s");
  }
  recorder_.ShredState(lineage::ContentKeyName(subject));
  authority::Observe o;
  o.kind = authority::RecordKind::kRedacted;
  if (mesh_.has_charter()) o.scope = mesh_.scope();
  o.subject = subject;
  recorder_.Record(std::move(o), now.wall);
  recorder_.WhenDurable([this, subject] { Say(*turn_, Event::Kind::kRedacted, subject, "", ""); });
  EndTurn(t);
  return absl::OkStatus();
}

// FLOW and DROPS records: what was carried and what was not since the last ones.
void Control::RecordCounts(Turn& t) {
  std::vector<FlowCount> flows;
  datapath_.TakeFlows(t.now, flows);
  for (FlowCount& f : flows) {
    authority::Observe o;
    o.kind = authority::RecordKind::kFlow;
    if (mesh_.has_charter()) o.scope = mesh_.scope();
    o.subject = f.subject;
    o.flow = std::move(f.summary);
    if (f.subject && !f.attempts.empty()) CommitTo(o, f.attempts);
    if (o.flow->frames == 0 && o.commits.empty()) continue;
    recorder_.Record(std::move(o), t.now.wall);
  }
  const Datapath::Drops drops = datapath_.TakeDrops();
  for (size_t i = 0; i < drops.frames.size(); ++i) {
    if (drops.frames[i] != 0)
      drops_[static_cast<uint16_t>(frame::kDropBegin + i)] += drops.frames[i];
  }
  for (size_t i = 0; i < drops.packets.size(); ++i) {
    if (drops.packets[i] != 0)
      drops_[static_cast<uint16_t>(admission::kDropRecordBase + i)] += drops.packets[i];
  }
  if (drops_.empty()) return;
  authority::Observe o;
  o.kind = authority::RecordKind::kDrops;
  for (const auto& [reason, count] : std::exchange(drops_, {})) {
    if (o.drops.size() < 64) o.drops.push_back({reason, count});
  }
  recorder_.Record(std::move(o), t.now.wall);
}

// What was in date may not be so any more, and the other way round.
void Control::WatchClock(Turn& t) {
  const std::optional<ClockWatch::Step> step = clock_.Look(t.now);
  if (!step) return;
  recorder_.Record(ClockStepRecord(*step), t.now.wall);
  RedecideAll(t);
}

// A peer that was admitted and has fallen silent may have moved: its other endpoints are tried.
bool Control::Silent(const Peer& peer, Now now) const {
  if (!peer.speaks() || peer.hints.empty()) return false;
  const uint64_t last = device_.handshaker().last_handshake(peer.id).seconds();
  return now.wall.seconds() > last + kSilentAfterSeconds;
}

void Control::Tick(Turn& t) {
  RecordCounts(t);
  std::erase_if(negative_, [&](const auto& n) { return t.now.mono >= n.second; });
  assembler_.Expire(t.now.mono);
  if (!up_) return;
  // A joiner takes its grants when all that was offered is here, and not before (OnOwnObjects).
  if (!joining()) mesh_.Refresh(t.now.wall);
  RefreshPlain(t);
  JudgeStandings(t);
  TickAttestations(t);
  escalations_.Expire(t.now.wall.seconds());
  for (auto& [id, peer] : peers_) {
    if (peer.speaks() && !peer.level) Greet(t, peer);  // its rows, or ours, were lost on the way
    if (peer.retry_at == kNever && Silent(peer, t.now)) TrySoon(t, peer);
  }
  const auto committed = PeersWhere([](const Peer& p) { return p.speaks(); });
  for (size_t i = 0; i < std::min(committed.size(), kReconcileAtOnce); ++i) {
    Peer& peer = peers_.at(committed[rng_.Below(committed.size())]);
    SendVector(t, peer);
    OfferCharters(t, peer);
    if (peer.rung >= authority::Rung::kProbation) OfferAnnounces(t, peer);
    OfferWords(t, peer);
  }
  for (PeerId id : PeersWhere([&](const Peer& p) {
         return p.committed && t.now.wall.seconds() >= std::min(p.expires, p.steady_until);
       })) {
    if (Peer* peer = PeerOf(id)) Redecide(t, *peer);
  }
  if (!joining()) {
    RenewAnnounce(t);
    AskRenewal(t);
    TickHeads(t);
  }
}

bool Control::HasSession(PeerId id) const {
  const wireguard::DataLock::Hold hold(device_.lock());
  return device_.forwarder().Current(id) != nullptr;
}

Peer* Control::EnsurePeer(Turn& t, const X25519Key& static_key) {
  if (static_key == device_.public_key()) return nullptr;
  if (const auto id = device_.FindPeer(static_key)) {
    Peer* known = PeerOf(*id);
    return known;
  }
  const auto id = device_.handshaker().AddPeer(static_key, /*governed=*/true, t.out.wg);
  if (!id.ok()) return nullptr;
  Settle(t);
  Peer& peer = peers_[*id];
  peer = Peer{};
  peer.id = *id;
  peer.static_key = static_key;
  peer.retry_at = kNever;
  if (const auto it = proved_.find(static_key); it != proved_.end()) peer.kid = it->second;
  keepers_.erase(*id);
  keepers_.emplace(*id, wireguard::CookieKeeper(wireguard::kGovernedLabels, static_key));
  return &peer;
}

// Two ends often hear of each other at once, or start together: the smaller key goes first, and the
// other waits long enough for that to work.
void Control::TrySoon(Turn& t, Peer& peer) {
  peer.retry_at = t.now.mono + (device_.public_key() < peer.static_key ? 0ms : 1500ms);
}

void Control::TryHints(Turn& t, Peer& peer) {
  if (peer.hints.empty()) {
    peer.retry_at = kNever;
    return;
  }
  const bool alive = HasSession(peer.id);
  if (alive && joining() && join_ && join_->sponsor == peer.id) {
    // Control messages are datagrams: what was lost is said again until the grants are here.
    peer.retry_at = t.now.mono + 2s;
    SayWords(t, peer);
    Pull(t, peer, join_refs_);
    return;
  }
  if (alive && peer.committed && !Silent(peer, t.now)) {
    peer.retry_at = kNever;
    return;
  }
  // The jitter is wide, because both ends try each other: initiations that cross undo each other.
  peer.retry_at = t.now.mono + 5s + std::chrono::milliseconds(rng_.Below(4'000));
  device_.SetEndpoint(peer.id, peer.hints[peer.next_hint++ % peer.hints.size()], t.out.wg);
  device_.handshaker().Initiate(t.now, peer.id, 250ms, t.out.wg);
}

std::vector<PeerView> Control::Peers() const {
  std::vector<PeerView> out;
  for (const auto& [id, p] : peers_) {
    PeerView v;
    v.id = id;
    v.tags = p.party.tags;
    v.name = p.name;
    if (p.kid) v.kid = *p.kid;
    v.static_key = p.static_key;
    v.addresses = p.party.addresses;
    v.endpoint = device_.endpoint(id);
    v.rung = p.rung;
    v.reason = p.reason;
    v.setter = p.setter;
    v.gates = p.gates;
    v.ladm = p.ladm;
    v.committed = p.committed;
    v.last_handshake = device_.handshaker().last_handshake(id);
    const auto stats = [&] {
      const wireguard::DataLock::Hold hold(device_.lock());
      return device_.forwarder().stats(id);
    }();
    v.rx_bytes = stats.rx_bytes;
    v.tx_bytes = stats.tx_bytes;
    v.grant_end = p.leaf_end;
    if (p.plain_grant) v.authority = frame::AuthDigestOf(p.plain_grant->oid());
    if (p.join) v.authority = frame::AuthDigestOf(p.join->request.oid());
    if (p.presentation) v.authority = frame::AuthDigestOf(p.presentation->oid());
    if (p.join && !p.join->answered) v.join_words = p.join->words;
    out.push_back(std::move(v));
  }
  return out;
}

std::vector<Endpoint> Control::HintsOf(const X25519Key& static_key) const {
  for (const auto& [id, p] : peers_) {
    if (p.static_key == static_key) return p.hints;
  }
  return {};
}

void Control::SetEndpoints(Now now, std::vector<Endpoint> endpoints, Outbox& out) {
  Turn t{now, out};
  config_.endpoints = std::move(endpoints);
  if (up_ && !joining()) RenewAnnounce(t);
  EndTurn(t);
}

}  // namespace aqmesh::node
