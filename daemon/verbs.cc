// The verbs that are answered at once. verbs_change.cc: those that change something.
// verbs_explain.cc: explain and can. verbs_live.cc: ping, wait, follow.
#include "daemon/verbs.h"

#include <algorithm>
#include <boost/json/parse.hpp>

#include "core/authority/armour.h"
#include "daemon/node_loop.h"
#include "daemon/verbs_args.h"
#include "daemon/witness_link.h"

namespace aqmesh::daemon {

using wire::JsonWriter;

namespace {

// What these order is answered once a crash can no longer undo it.
bool IsOrder(Verb verb) {
  return verb == Verb::kInvite || verb == Verb::kAnswer || verb == Verb::kApprove ||
         verb == Verb::kRevoke || verb == Verb::kRedact || verb == Verb::kImport;
}

constexpr auto kLiveWithin =
    std::chrono::seconds(180);  // WireGuard's own idea of a session (Reject-After-Time)

// What packets go through, and what it could not carry.
void PutDataPath(JsonWriter& w, NodeLoop& loop) {
  w.Field("aead", crypto::BackendName(loop.aead()));
  const os::OffloadSet allowed = loop.offloads_allowed(), on = loop.offloads_on();
  w.Key("offloads").Object();
  for (const os::OffloadName& n : os::OffloadNames()) {
    const std::string_view state = !os::Holds(allowed, n.alone) ? "off"
                                   : os::Holds(on, n.alone)     ? "on"
                                                                : "lacking";
    w.Field(n.name, state);
  }
  const LaneCounters all = loop.counters();
  const os::Tun::Counters& tun = all.tun;
  const os::UdpPair::Counters& udp = all.udp;
  w.End();
  w.Field("data_threads", loop.threads().data).Field("helpers", loop.threads().helpers);
  w.Key("counters").Object();
  w.Field("tun_read_malformed", tun.read_malformed).Field("tun_read_no_room", tun.read_no_room);
  w.Field("tun_write_refused", tun.write_refused).Field("tun_joined_refused", tun.joined_refused);
  w.Field("udp_truncated", udp.truncated).Field("udp_send_refused", udp.send_refused);
  w.Field("udp_source_refused", udp.source_refused).Field("udp_gso_turned_off", udp.gso_turned_off);
  w.Field("tun_congestion_signals", all.signals.tun)
      .Field("udp_congestion_signals", all.signals.udp);
  w.End();
}

// The newest head, and who of the public witnesses has cosigned how much.
void PutWitnesses(JsonWriter& w, NodeLoop& loop) {
  const node::Notary& notary = loop.control().notary();
  w.Field("head", notary.head() ? notary.head()->checkpoint.size : 0);
  w.Key("witnesses").Array();
  for (const node::WitnessView& v : notary.witnesses().Views()) {
    w.Object().Field("name", v.name).Field("size", v.size);
    if (v.time != 0) w.Field("time", v.time);
    if (!v.trouble.empty()) w.Field("why", v.trouble);
    w.End();
  }
  w.End();
}

}  // namespace

void Verbs::Say(SessionId session, std::string json, bool more, int exit) {
  server_->Reply(session, {.answer = {.json = std::move(json), .exit = exit}, .more = more});
}

void Verbs::Handle(SessionId session, Verb verb, const cli::LiveRequest& request) {
  boost::json::value parsed = boost::json::object();
  if (!request.json.empty()) {
    boost::system::error_code error;
    parsed = boost::json::parse(request.json, error);  // its own depth limit is 32
    if (error || !parsed.is_object())
      return server_->Reply(session, Refusal("the arguments are no JSON object", 2));
  }
  const Args& args = parsed.as_object();
  absl::Status started;
  switch (verb) {
    case Verb::kPing: started = StartPing(session, args); break;
    case Verb::kWait: started = StartWait(session, args); break;
    case Verb::kFollow: started = StartFollow(session, args); break;
    case Verb::kPrune: return StartPrune(session);
    default: {
      int exit = 0;
      auto answer = AnswerNow(verb, args, request, exit);
      started = answer.status();
      if (!started.ok()) break;
      if (!IsOrder(verb)) return Say(session, *std::move(answer), false, exit);
      return loop_.WhenDurable(
          [this, session, json = *std::move(answer), exit] { Say(session, json, false, exit); });
    }
  }
  if (!started.ok()) server_->Reply(session, Refusal(started));
}

absl::StatusOr<std::string> Verbs::AnswerNow(Verb verb,
                                             const Args& args,
                                             const cli::LiveRequest& request,
                                             int& exit) {
  switch (verb) {
    case Verb::kStatus: return Status();
    case Verb::kPeers: return Peers();
    case Verb::kWhois: return Whois(args);
    case Verb::kWhoami: return Whoami();
    case Verb::kIp: return Ip(args);
    case Verb::kExplain: return Explain(args, "aqmesh.explain/1", exit);
    case Verb::kCan: return Explain(args, "aqmesh.can/1", exit);
    case Verb::kInvite: return Invite(args);
    case Verb::kAnswer: return AnswerJoin(args);
    case Verb::kEscalations: return Escalations();
    case Verb::kAttest: return Attestations();
    case Verb::kApprove: return Approve(args);
    case Verb::kRevoke: return Revoke(args);
    case Verb::kRedact: return Redact(args);
    case Verb::kImport: return Import(request);
    case Verb::kUp:
    case Verb::kDown: {
      loop_.SetUp(verb == Verb::kUp);
      JsonWriter w = Opened(verb == Verb::kUp ? "up" : "down");
      return Done(w);
    }
    case Verb::kPolicyReload: {
      AQ_RETURN_IF_ERROR(loop_.Reload());
      JsonWriter w = Opened("policy-reload");
      return Done(w);
    }
    case Verb::kStop: {
      loop_.Stop(absl::OkStatus());
      JsonWriter w = Opened("stop");
      return Done(w);
    }
    case Verb::kPing:
    case Verb::kWait:
    case Verb::kFollow:
    case Verb::kPrune: break;
  }
  return Internal("a verb that takes time was asked for at once");
}

// ---- looking ----

std::string Verbs::OwnName() {
  const auto* leaf = loop_.control().mesh().leaf();
  return leaf != nullptr && !leaf->body.name.empty() ? leaf->body.name : loop_.setup().file.name;
}

bool Verbs::IsLive(const node::PeerView& p) {
  const auto age = std::chrono::nanoseconds(os::ReadNow().wall.nanos - p.last_handshake.nanos);
  return p.committed && p.endpoint && p.last_handshake.nanos > 0 && age < kLiveWithin;
}

void Verbs::PutAddresses(JsonWriter& w, const std::vector<Prefix>& addresses) {
  w.Key("addresses").Array();
  for (const Prefix& a : addresses) w.Value(std::string_view(a.address.ToString()));
  w.End();
}

void Verbs::PutPeer(JsonWriter& w, const node::PeerView& p) {
  w.Object().Field("name", std::string_view(p.name)).Field("kid", std::string_view(ToHex(p.kid)));
  PutAddresses(w, p.addresses);
  if (p.endpoint) w.Field("endpoint", std::string_view(p.endpoint->ToString()));
  w.Field("rung", authority::RungName(p.rung));
  if (p.reason != authority::Reason::kNone) {
    w.Field("reason", authority::ReasonName(p.reason)).Field("gate", authority::GateName(p.setter));
  }
  w.Field("ladm", p.ladm).Field("committed", p.committed);
  if (p.last_handshake.nanos > 0) w.Field("last_handshake", p.last_handshake.seconds());
  w.Field("rx_bytes", p.rx_bytes).Field("tx_bytes", p.tx_bytes);
  if (p.grant_end != 0) w.Field("grant_end", p.grant_end);
  w.Field("path", std::string_view(IsLive(p) ? "direct" : "offline"));
  if (!p.join_words.empty()) w.Field("words", std::string_view(p.join_words));
  w.End();
}

std::string Verbs::Status() {
  const node::Mesh& mesh = loop_.control().mesh();
  const auto up_for =
      std::chrono::duration_cast<std::chrono::seconds>(os::ReadNow().mono - loop_.started());
  JsonWriter w = Opened("status");
  w.Field("mesh", std::string_view(mesh.has_charter() ? mesh.charter().body.name : ""));
  w.Field("name", std::string_view(OwnName())).Field("kid", std::string_view(ToHex(mesh.kid())));
  PutAddresses(w, loop_.control().own_addresses());
  w.Field("version", std::string_view(loop_.version())).Field("uptime_s", up_for.count());
  w.Field("interface", std::string_view(loop_.interface())).Field("listen_port", loop_.port());
  w.Field("records", loop_.records())
      .Field("joined", mesh.leaf() != nullptr)
      .Field("up", loop_.up())
      .Field("confined", std::string_view(loop_.walls()));
  PutDataPath(w, loop_);
  const std::vector<node::PeerView> peers = loop_.control().Peers();
  w.Key("peers").Array();
  for (const node::PeerView& p : peers) PutPeer(w, p);
  w.End();
  PutWitnesses(w, loop_);
  w.Key("warnings").Array();
  if (!loop_.setup().policy.ok())
    w.Value(std::string_view(Join("nothing is allowed: ", Text(loop_.setup().policy))));
  if (!loop_.all_walls_stand())
    w.Value(std::string_view(Join("aqmeshd is less confined than it could be: ", loop_.walls())));
  if (!loop_.setup().witnesses_file.ok()) {
    w.Value(
        std::string_view(Join("no public witness is asked: ", Text(loop_.setup().witnesses_file))));
  }
  if (loop_.witnesses().ended())
    w.Value("public witnesses are asked no more: aqmesh-courier has ended; restart aqmeshd");
  for (const node::WitnessView& v : loop_.control().notary().witnesses().Views()) {
    if (!v.trouble.empty())
      w.Value(std::string_view(Join("witness ", v.name, " does not cosign: ", v.trouble)));
  }
  if (const size_t open = loop_.control().escalations().all().size(); open > 0)
    w.Value(std::string_view(Join(open,
                                  open == 1 ? " item waits" : " items wait",
                                  " for an answer: aqmesh escalations list")));
  for (const node::PeerView& p : peers) {
    if (p.rung == authority::Rung::kAdmit || p.rung == authority::Rung::kNone) continue;
    w.Value(std::string_view(Join(p.name,
                                  " is held at ",
                                  authority::RungName(p.rung),
                                  ": ",
                                  authority::ReasonName(p.reason),
                                  ". aqmesh explain ",
                                  p.name)));
  }
  w.End();
  return Done(w);
}

std::string Verbs::Peers() {
  JsonWriter w = Opened("peers");
  w.Key("peers").Array();
  for (const node::PeerView& p : loop_.control().Peers()) PutPeer(w, p);
  w.End();
  return Done(w);
}

absl::StatusOr<node::PeerView> Verbs::FindPeer(std::string_view what) {
  constexpr size_t kPrefixMin = 4;
  const auto address = IpAddress::Parse(what);
  std::optional<node::PeerView> by_key;
  bool ambiguous = false;
  for (node::PeerView& p : loop_.control().Peers()) {
    const bool named = !p.name.empty() && p.name == what;
    const bool addressed =
        address && std::any_of(p.addresses.begin(), p.addresses.end(), [&](const Prefix& a) {
          return a.address == *address;
        });
    if (named || addressed) return std::move(p);
    if (what.size() >= kPrefixMin && ToHex(p.kid).starts_with(what)) {
      ambiguous = by_key.has_value();
      by_key = std::move(p);
    }
  }
  if (ambiguous) return InvalidArgument("peer ", what, ": several keys begin so; give more digits");
  if (!by_key) return NotFound("no peer ", what, " here; `aqmesh peers` lists them");
  return *std::move(by_key);
}

absl::StatusOr<std::string> Verbs::Whoami() {
  const node::Mesh& mesh = loop_.control().mesh();
  const auto* leaf = mesh.leaf();
  if (leaf == nullptr) return FailedPrecondition("this machine has no grant yet: aqmesh join LINE");
  JsonWriter w = Opened("whoami");
  w.Field("mesh", std::string_view(mesh.charter().body.name))
      .Field("name", std::string_view(OwnName()));
  w.Field("kid", std::string_view(ToHex(mesh.kid())))
      .Field("scope", std::string_view(ToHex(mesh.scope())));
  PutAddresses(w, loop_.control().own_addresses());
  w.Key("tags").Array();
  for (const std::string& tag : leaf->body.tags) w.Value(std::string_view(tag));
  w.End().Field("class", authority::ClassName(leaf->body.cls));
  w.Field("grant_end", leaf->body.not_before + leaf->body.ttl)
      .Field("enroller", mesh.enroller() != nullptr);
  return Done(w);
}

absl::StatusOr<std::string> Verbs::Whois(const Args& args) {
  AQ_ASSIGN_OR_RETURN(const std::string address, TextArg(args, "address"));
  JsonWriter w = Opened("whois");
  const node::Mesh& mesh = loop_.control().mesh();
  const auto own = loop_.control().own_addresses();
  const bool us = address == OwnName() || std::any_of(own.begin(), own.end(), [&](const Prefix& p) {
                    return p.address.ToString() == address;
                  });
  node::PeerView p;
  if (us && mesh.leaf() != nullptr) {
    p.name = OwnName();
    p.kid = mesh.kid();
    p.addresses = own;
    p.tags = mesh.leaf()->body.tags;
    p.rung = authority::Rung::kAdmit;
    p.grant_end = mesh.leaf()->body.not_before + mesh.leaf()->body.ttl;
  } else {
    AQ_ASSIGN_OR_RETURN(p, FindPeer(address));
  }
  w.Field("name", std::string_view(p.name)).Field("kid", std::string_view(ToHex(p.kid)));
  // Who is met in a tunnel was admitted by a NODE grant; other classes issue and do not carry
  // packets.
  w.Field(
      "class",
      authority::ClassName(us && mesh.leaf() ? mesh.leaf()->body.cls : authority::Class::kNode));
  PutAddresses(w, p.addresses);
  w.Key("tags").Array();
  for (const std::string& tag : p.tags) w.Value(std::string_view(tag));
  w.End().Field("rung", authority::RungName(p.rung));
  if (p.endpoint) w.Field("endpoint", std::string_view(p.endpoint->ToString()));
  w.Field("grant_end", p.grant_end);
  return Done(w);
}

absl::StatusOr<std::string> Verbs::Ip(const Args& args) {
  const std::string who = TextArgOr(args, "node", "");
  JsonWriter w = Opened("ip");
  if (who.empty() || who == OwnName()) {
    w.Field("name", std::string_view(OwnName()));
    PutAddresses(w, loop_.control().own_addresses());
    return Done(w);
  }
  AQ_ASSIGN_OR_RETURN(const node::PeerView p, FindPeer(who));
  w.Field("name", std::string_view(p.name));
  PutAddresses(w, p.addresses);
  return Done(w);
}

}  // namespace aqmesh::daemon
