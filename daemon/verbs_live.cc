// The verbs whose answer takes time: ping, wait and follow.
#include <algorithm>

#include "daemon/node_loop.h"
#include "daemon/verbs.h"
#include "daemon/verbs_args.h"

namespace aqmesh::daemon {

using wire::JsonWriter;

namespace {

constexpr size_t kPingPayload = 56;  // as ping(8)
constexpr uint16_t kPingCountMax = 10'000;
constexpr uint32_t kPingIntervalMin = 50, kTimeoutMax = 3'600'000;  // ms

std::string_view FollowName(node::Event::Kind kind) {
  using Kind = node::Event::Kind;
  switch (kind) {
    case Kind::kJoinWaits: return "ask";
    case Kind::kWords: return "words";
    case Kind::kJoined:
    case Kind::kJoinGranted: return "joined";
    case Kind::kRefused:
    case Kind::kNotice: return "refused";
    case Kind::kAdmitted: return "admitted";
    case Kind::kRevoked: return "revoked";
    case Kind::kRenewed: return "renewed";
    case Kind::kLogBehind:
    case Kind::kLogBegun: return "log";
    case Kind::kForked: return "forked";
    case Kind::kRedacted: return "redacted";
    case Kind::kUnwitnessed:
    case Kind::kWitnessed: return "witness";
    case Kind::kEscalated: return "escalated";
    case Kind::kCharter: return "charter";
  }
  return "";
}

}  // namespace

// ---- ping ----

struct Verbs::Ping {
  SessionId session = 0;
  Kid kid;
  std::string name;
  Echo echo;  // sequence: of the newest request
  uint16_t count = 0, received = 0;
  std::chrono::milliseconds interval{}, timeout{};
  Instant sent_at{};
  bool answered = true;  // the newest request
  std::unique_ptr<boost::asio::steady_timer> timer;
};

Verbs::Verbs(NodeLoop& loop) : loop_(loop) {}
Verbs::~Verbs() = default;

absl::Status Verbs::StartPing(SessionId session, const Args& args) {
  AQ_ASSIGN_OR_RETURN(const std::string who, TextArg(args, "node"));
  AQ_ASSIGN_OR_RETURN(const uint16_t count, NumberArg<uint16_t>(args, "count", 1));
  AQ_ASSIGN_OR_RETURN(const uint32_t interval, NumberArg<uint32_t>(args, "interval_ms", 1000));
  AQ_ASSIGN_OR_RETURN(const uint32_t timeout, NumberArg<uint32_t>(args, "timeout_ms", 3000));
  AQ_ASSIGN_OR_RETURN(const node::PeerView peer, FindPeer(who));
  if (pings_.size() >= kPingsMax)
    return ResourceExhausted("ping: ", kPingsMax, " run already; wait for one to end");
  const auto wanted = IpAddress::Parse(who);
  auto ping = std::make_unique<Ping>();
  // From an address of ours to one of the peer's of the same family: the one asked for, else IPv6.
  bool found = false;
  for (const Prefix& to : peer.addresses) {
    for (const Prefix& from : loop_.control().own_addresses()) {
      const bool match =
          to.address.is_v6() == from.address.is_v6() && (!wanted || *wanted == to.address);
      if (match && (!found || to.address.is_v6())) {
        ping->echo.from = from.address;
        ping->echo.to = to.address;
        found = true;
      }
    }
  }
  if (!found)
    return FailedPrecondition(
        "ping ", who, ": no address of it is known here yet; it was never admitted");
  do {
    ping->echo.id = static_cast<uint16_t>(loop_.rng().U32());
  } while (pings_.contains(ping->echo.id));
  ping->session = session;
  ping->kid = peer.kid;
  ping->name = peer.name;
  ping->count = std::clamp<uint16_t>(count, 1, kPingCountMax);
  ping->interval = std::chrono::milliseconds(std::clamp(interval, kPingIntervalMin, kTimeoutMax));
  ping->timeout = std::chrono::milliseconds(std::clamp(timeout, kPingIntervalMin, kTimeoutMax));
  ping->timer = std::make_unique<boost::asio::steady_timer>(loop_.io());
  Ping& started = *ping;
  pings_.emplace(started.echo.id, std::move(ping));
  loop_.WantEchoes(true);
  SendPing(started);
  return absl::OkStatus();
}

void Verbs::SendPing(Ping& ping) {
  const uint16_t id = ping.echo.id;
  ++ping.echo.sequence;
  ping.answered = false;
  ping.sent_at = os::ReadNow().mono;
  ping.timer->expires_after(ping.timeout);
  ping.timer->async_wait([this, id](boost::system::error_code error) {
    const auto it = pings_.find(id);
    if (error || it == pings_.end()) return;
    Ping& p = *it->second;
    if (!server_->IsOpen(p.session)) return EndPing(id);
    if (!p.answered) {
      JsonWriter w;
      w.Object()
          .Field("seq", p.echo.sequence)
          .Field("address", std::string_view(p.echo.to.ToString()));
      w.Field("path", std::string_view("offline")).End();
      Say(p.session, w.Take(), true);
    }
    p.echo.sequence < p.count ? SendPing(p) : EndPing(id);
  });
  loop_.SendFromHere(EchoRequest(ping.echo, kPingPayload));
}

bool Verbs::TakeEchoReply(ByteView packet) {
  if (pings_.empty()) return false;
  const auto echo = ParseEchoReply(packet);
  const auto it = echo ? pings_.find(echo->id) : pings_.end();
  if (it == pings_.end() || it->second->echo.to != echo->to || it->second->echo.from != echo->from)
    return false;
  Ping& p = *it->second;
  if (p.answered || echo->sequence != p.echo.sequence)
    return true;  // late or double: nobody waits for it
  const auto rtt =
      std::chrono::duration_cast<std::chrono::microseconds>(os::ReadNow().mono - p.sent_at);
  p.answered = true;
  ++p.received;
  JsonWriter w;
  w.Object().Field("seq", p.echo.sequence).Field("address", std::string_view(p.echo.to.ToString()));
  w.Field("rtt_us", rtt.count()).Field("path", std::string_view("direct"));
  for (const node::PeerView& peer : loop_.control().Peers()) {
    if (peer.kid == p.kid && peer.endpoint)
      w.Field("endpoint", std::string_view(peer.endpoint->ToString()));
  }
  w.Field("inner_mtu", loop_.setup().file.mtu).End();
  Say(p.session, w.Take(), true);
  // The next one goes after the interval; the last one ends it. Neither from inside this turn.
  const bool last = p.echo.sequence >= p.count;
  p.timer->expires_after(last ? std::chrono::milliseconds(0) : p.interval);
  p.timer->async_wait([this, id = echo->id, last](boost::system::error_code error) {
    const auto next = pings_.find(id);
    if (error || next == pings_.end()) return;
    if (last || !server_->IsOpen(next->second->session)) return EndPing(id);
    SendPing(*next->second);
  });
  return true;
}

void Verbs::EndPing(uint16_t id) {
  const auto it = pings_.find(id);
  const Ping& p = *it->second;
  JsonWriter w;
  w.Object()
      .Field("schema", std::string_view("aqmesh.ping/1"))
      .Field("name", std::string_view(p.name));
  w.Field("sent", p.echo.sequence).Field("received", p.received);
  authority::Rung rung = authority::Rung::kNone;
  for (const node::PeerView& peer : loop_.control().Peers()) {
    if (peer.kid == p.kid) rung = peer.rung;
  }
  w.Field("rung", authority::RungName(rung))
      .Field("path", std::string_view(p.received > 0 ? "direct" : "offline"));
  w.End();
  Say(p.session, w.Take(), false, p.received > 0 ? 0 : 1);
  pings_.erase(it);
  loop_.WantEchoes(!pings_.empty());
}

// ---- wait ----

absl::Status Verbs::StartWait(SessionId session, const Args& args) {
  AQ_ASSIGN_OR_RETURN(const uint32_t timeout, NumberArg<uint32_t>(args, "timeout_ms", 60'000));
  std::erase_if(waits_, [this](const auto& w) { return !server_->IsOpen(w.first); });
  if (waits_.size() >= kWaitsMax) return ResourceExhausted("wait: ", kWaitsMax, " wait already");
  Wait& wait = waits_[session];
  wait.peer = TextArgOr(args, "peer", "");
  wait.deadline = std::make_unique<boost::asio::steady_timer>(
      loop_.io(), std::chrono::milliseconds(std::min(timeout, kTimeoutMax)));
  wait.deadline->async_wait([this, session](boost::system::error_code error) {
    const auto it = waits_.find(session);
    if (error || it == waits_.end()) return;
    const std::string what = it->second.peer.empty()
                                 ? "this machine has no grant yet"
                                 : Join(it->second.peer, " is not admitted yet");
    waits_.erase(it);
    server_->Reply(
        session,
        Refusal(Join("time is over: ", what, "; see: aqmesh peers"), cli::kExitTimeIsOver));
  });
  CheckWaits();
  return absl::OkStatus();
}

void Verbs::CheckWaits() {
  for (auto it = waits_.begin(); it != waits_.end();) {
    JsonWriter w;
    w.Object().Field("schema", std::string_view("aqmesh.wait/1"));
    bool met = false;
    if (it->second.peer.empty()) {
      met = loop_.control().mesh().leaf() != nullptr && loop_.up();
      w.Field("name", std::string_view(OwnName()));
    } else if (const auto peer = FindPeer(it->second.peer); peer.ok()) {
      met = peer->committed;
      w.Field("name", std::string_view(peer->name)).Field("rung", authority::RungName(peer->rung));
    }
    w.End();
    const SessionId session = it->first;
    it = met ? waits_.erase(it) : std::next(it);
    if (met) Say(session, w.Take(), false);
  }
}

// ---- follow ----

absl::Status Verbs::StartFollow(SessionId session, const Args& args) {
  std::erase_if(followers_, [this](const auto& f) { return !server_->IsOpen(f.first); });
  if (followers_.size() >= kFollowersMax)
    return ResourceExhausted("follow: ", kFollowersMax, " follow already");
  AQ_ASSIGN_OR_RETURN(const std::vector<std::string> kinds, ListArg(args, "kinds"));
  followers_[session] = {.kinds = {kinds.begin(), kinds.end()},
                         .until = TextArgOr(args, "until", "")};
  Follower& follower = followers_[session];
  // Who asked before anybody looked still waits.
  for (const node::PeerView& p : loop_.control().Peers()) {
    if (p.join_words.empty()) continue;
    Tell(session,
         follower,
         {.kind = node::Event::Kind::kJoinWaits,
          .subject = p.kid,
          .name = p.name,
          .text = p.join_words});
  }
  // So may our own join have come, the words or the end of it, before its user looked. Nobody but a
  // joiner asks for "words".
  if (!follower.kinds.contains("words")) return absl::OkStatus();
  if (own_words_) Tell(session, follower, *own_words_);
  const node::Mesh& mesh = loop_.control().mesh();
  if (mesh.leaf() == nullptr) {
    if (own_refusal_) Tell(session, follower, *own_refusal_);
    return absl::OkStatus();
  }
  const node::Event joined{.kind = node::Event::Kind::kJoined,
                           .subject = mesh.kid(),
                           .name = OwnName(),
                           .text = mesh.charter().body.name};
  if (Tell(session, follower, joined)) followers_.erase(session);
  return absl::OkStatus();
}

std::string Verbs::EventJson(const node::Event& event) {
  using Kind = node::Event::Kind;
  const std::string_view name = FollowName(event.kind);
  JsonWriter w;
  w.Object().Field("event", name).Field("name", std::string_view(event.name));
  w.Field("kid", std::string_view(ToHex(event.subject)));
  if (event.kind == Kind::kWords || event.kind == Kind::kJoinWaits) {
    w.Field("words", std::string_view(event.text));
  } else if (!event.text.empty()) {
    w.Field(name == "refused" ? "reason" : "text", std::string_view(event.text));
  }
  if (event.kind == Kind::kJoined) {
    PutAddresses(w, loop_.control().own_addresses());
    w.Field("rung", authority::RungName(authority::Rung::kAdmit));
    if (const auto* leaf = loop_.control().mesh().leaf())
      w.Field("grant_end", leaf->body.not_before + leaf->body.ttl);
  } else {
    for (const node::PeerView& p : loop_.control().Peers()) {
      if (p.kid != event.subject) continue;
      PutAddresses(w, p.addresses);
      if (p.endpoint) w.Field("endpoint", std::string_view(p.endpoint->ToString()));
      w.Field("rung", authority::RungName(p.rung));
      break;
    }
  }
  w.End();
  return w.Take();
}

bool Verbs::Tell(SessionId session, const Follower& follower, const node::Event& event) {
  const std::string name(FollowName(event.kind));
  const bool ends = !follower.until.empty() && follower.until == name;
  if (follower.kinds.empty() || follower.kinds.contains(name) || ends)
    Say(session, EventJson(event), true);
  if (ends) Say(session, "{\"schema\":\"aqmesh.follow/1\"}", false);
  return ends;
}

void Verbs::OnEvent(const node::Event& event) {
  if (event.kind == node::Event::Kind::kWords) {
    own_words_ = event;
    own_refusal_.reset();
  }
  if (event.kind == node::Event::Kind::kNotice) own_refusal_ = event;
  for (auto it = followers_.begin(); it != followers_.end();) {
    it = Tell(it->first, it->second, event) ? followers_.erase(it) : std::next(it);
  }
  CheckWaits();
}

}  // namespace aqmesh::daemon
