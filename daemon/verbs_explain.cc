// explain and can: may this flow pass here, by which gate and rule, and what would lift a refusal.
// The judge is the verdict in force itself, asked about a made-up first packet of the flow.
#include "admission/explain.h"
#include "daemon/node_loop.h"
#include "daemon/verbs.h"
#include "daemon/verbs_args.h"

namespace aqmesh::daemon {

using wire::JsonWriter;

namespace {

constexpr uint8_t kTcp = 6, kUdp = 17, kIcmp = 1;  // of both families
constexpr uint16_t kSourcePort = 49'152;           // the first ephemeral one (RFC 6335)

std::optional<uint8_t> ProtoNamed(std::string_view name) {
  if (name.empty() || name == "tcp") return kTcp;
  if (name == "udp") return kUdp;
  if (name == "icmp") return kIcmp;
  return std::nullopt;
}

// The first packet of a flow, as the classifier reads it.
std::optional<admission::PacketInfo> Opener(const IpAddress& src,
                                            const IpAddress& dst,
                                            uint8_t proto,
                                            uint16_t port) {
  Bytes packet = EchoRequest({.from = src, .to = dst, .id = 1, .sequence = 1}, 12);
  const size_t header = src.is_v6() ? 40 : 20;
  if (proto != kIcmp) {
    // The 20 bytes after the header serve a TCP header; a UDP one names its own length.
    packet[src.is_v6() ? 6 : 9] = proto;
    uint8_t* l4 = packet.data() + header;
    std::fill(l4, packet.data() + packet.size(), uint8_t{0});
    StoreBe(l4, kSourcePort);
    StoreBe(l4 + 2, port);
    if (proto == kTcp) {
      l4[12] = 5 << 4;
      l4[13] = 0x02;  // SYN
    } else {
      StoreBe(l4 + 4, static_cast<uint16_t>(packet.size() - header));
    }
  }
  admission::PacketInfo info;
  if (admission::Classify(packet, info) != admission::Drop::kNone) return std::nullopt;
  return info;
}

void PutGates(JsonWriter& w, const node::PeerView& p, const node::ExplainedPeer& why) {
  w.Key("gates").Array();
  for (size_t i = 0; i < authority::kGateCount; ++i) {
    w.Object().Field("gate", authority::GateName(static_cast<authority::Gate>(i)));
    w.Field("rung", authority::RungName(p.gates[i].rung));
    if (p.gates[i].reason != authority::Reason::kNone)
      w.Field("reason", authority::ReasonName(p.gates[i].reason));
    if (!why.lifts[i].empty()) w.Field("lift", why.lifts[i]);
    w.End();
  }
  w.End();
}

void PutTexts(JsonWriter& w, std::string_view key, const std::vector<std::string>& texts) {
  w.Key(key).Array();
  for (const std::string& t : texts) w.Value(t);
  w.End();
}

// Whom it comes from, and what holds of everything that passes.
void PutChain(JsonWriter& w, const node::ExplainedPeer& why) {
  w.Key("chain").Array();
  for (const node::ExplainedLink& link : why.links) {
    w.Object().Field("key", ToHex(link.key)).Field("name", link.name);
    w.Field("class", authority::ClassName(link.cls)).Field("level_q16", link.level);
    w.Field("prior_q16", link.prior).Field("slope_q16", int64_t{link.slope});
    if (link.scar != 0) w.Field("scar", link.scar);
    if (link.broken) w.Field("broken", true);
    if (link.grant) w.Field("grant", ToHex(*link.grant)).Field("ends", link.ends);
    w.End();
  }
  w.End().Key("fragments").Array();
  for (const Oid& oid : why.fragments) w.Value(ToHex(oid));
  w.End();
  PutTexts(w, "demands", why.demands);
  if (why.again != UINT64_MAX) w.Field("again", why.again);
}

// Every rule and what the flow failed on; those that this pair can never match come last.
void PutRules(JsonWriter& w, const admission::Explanation& all) {
  w.Key("rules").Array();
  for (const admission::RuleLine& line : all.rules) {
    w.Object().Field("text", line.text).Field("matched", line.matched);
    if (!line.why.empty()) w.Field("why", line.why);
    w.Field("fragment", ToHex(line.rule.fragment)).Field("rule", line.rule.rule + 1).End();
  }
  w.End().Field("summary", all.summary);
}

void PutReason(JsonWriter& w, authority::Reason reason) {
  if (reason == authority::Reason::kNone) return;
  w.Field("reason", authority::ReasonName(reason)).Field("mend", authority::ReasonMend(reason));
}

void PutRule(JsonWriter& w, const node::Mesh& mesh, const admission::RuleRef& ref) {
  const authority::SignedPtr object = mesh.Find(RefOf(ref.fragment));
  if (object == nullptr) return;
  const auto fragment = authority::ParseBody<authority::Fragment>(object->body());
  if (!fragment.ok() || ref.rule >= fragment->rules.size()) return;
  w.Key("rule").Object().Field("text",
                               std::string_view(admission::RuleText(fragment->rules[ref.rule])));
  w.Field("fragment", std::string_view(ToHex(ref.fragment)));
  w.Field("authority", std::string_view(ToHex(object->kid()))).End();
}

}  // namespace

absl::StatusOr<std::string> Verbs::ExplainPeer(const node::PeerView& peer,
                                               std::string_view schema,
                                               int& exit) {
  const bool allowed = peer.rung >= authority::Rung::kProbation;
  exit = allowed ? 0 : 1;
  JsonWriter w;
  w.Object()
      .Field("schema", schema)
      .Field("allowed", allowed)
      .Field("verdict", authority::RungName(peer.rung));
  w.Key("src").Object().Field("name", std::string_view(peer.name)).End();
  const node::ExplainedPeer why = loop_.control().ExplainPeer(peer.id, os::ReadNow());
  PutGates(w, peer, why);
  PutChain(w, why);
  PutReason(w, peer.reason);
  PutCorroboration(w, peer.kid);
  w.End();
  return w.Take();
}

// What explain and can were asked about, once the names are resolved.
struct Verbs::Flow {
  node::PeerView peer;
  bool sending = true;  // from this machine to the peer
  std::string proto_name;
  uint8_t proto = kTcp;
  uint16_t port = 0;
  std::optional<admission::PacketInfo> opener;  // none: no family is shared
};

absl::StatusOr<std::string> Verbs::Explain(const Args& args, std::string_view schema, int& exit) {
  AQ_ASSIGN_OR_RETURN(const std::string src, TextArg(args, "src"));
  const std::string dst = TextArgOr(args, "dst", "");
  AQ_ASSIGN_OR_RETURN(const uint16_t port, NumberArg<uint16_t>(args, "port", 0));
  const std::string proto_name = TextArgOr(args, "proto", "");
  const auto proto = ProtoNamed(proto_name);
  if (!proto) return InvalidArgument("proto ", proto_name, ": tcp, udp or icmp");
  const auto own = loop_.control().own_addresses();
  const auto is_us = [&](const std::string& who) {
    const auto address = IpAddress::Parse(who);
    return who == OwnName() || std::any_of(own.begin(), own.end(), [&](const Prefix& p) {
             return address == p.address;
           });
  };
  if (dst.empty()) {
    AQ_ASSIGN_OR_RETURN(const node::PeerView peer, FindPeer(src));
    return ExplainPeer(peer, schema, exit);
  }
  if (is_us(src) == is_us(dst)) {
    return FailedPrecondition(
        src, " -> ", dst, ": one end must be this machine (", OwnName(), "); ask there");
  }
  const bool sending = is_us(src);
  const std::string& theirs = sending ? dst : src;
  AQ_ASSIGN_OR_RETURN(node::PeerView peer, FindPeer(theirs));
  Flow flow{.peer = std::move(peer),
            .sending = sending,
            .proto_name = proto_name.empty() ? "tcp" : proto_name,
            .proto = *proto,
            .port = port,
            .opener = std::nullopt};
  flow.opener = FindOpener(flow, IpAddress::Parse(theirs));
  return ExplainFlow(flow, schema, exit);
}

// In the family that was asked for, else in the first that both have.
std::optional<admission::PacketInfo> Verbs::FindOpener(const Flow& flow,
                                                       const std::optional<IpAddress>& wanted) {
  for (const Prefix& theirs : flow.peer.addresses) {
    if (wanted && *wanted != theirs.address) continue;
    for (const Prefix& ours : loop_.control().own_addresses()) {
      if (ours.address.is_v6() != theirs.address.is_v6()) continue;
      const auto opener = Opener(flow.sending ? ours.address : theirs.address,
                                 flow.sending ? theirs.address : ours.address,
                                 flow.proto,
                                 flow.port);
      if (opener) return opener;
    }
  }
  return std::nullopt;
}

std::string Verbs::ExplainFlow(const Flow& flow, std::string_view schema, int& exit) {
  const node::PeerView& peer = flow.peer;
  const auto& opener = flow.opener;
  const auto verdict = loop_.control().datapath().VerdictOf(peer.id);
  const admission::Policy* policy = nullptr;
  if (verdict != nullptr && verdict->policies != nullptr) {
    policy = &verdict->policies->For(flow.sending ? admission::Direction::kSend
                                                  : admission::Direction::kReceive);
  }
  admission::Ruling ruling{
      .reason = peer.reason == authority::Reason::kNone ? authority::Reason::kNoRule : peer.reason};
  if (policy != nullptr && opener) ruling = policy->Evaluate(*opener, os::ReadNow().wall);
  exit = ruling.pass() ? 0 : 1;

  JsonWriter w;
  w.Object().Field("schema", schema).Field("allowed", ruling.pass());
  w.Field("verdict",
          ruling.pass() ? authority::RungName(peer.rung)
                        : authority::RungName(authority::Rung::kRefuse));
  const auto end = [&](std::string_view key, bool us, const std::optional<IpAddress>& address) {
    w.Key(key).Object().Field("name", std::string_view(us ? OwnName() : peer.name));
    if (address) w.Field("address", std::string_view(address->ToString()));
    w.End();
  };
  end("src", flow.sending, opener ? std::optional(opener->src) : std::nullopt);
  end("dst", !flow.sending, opener ? std::optional(opener->dst) : std::nullopt);
  w.Field("proto", std::string_view(flow.proto_name));
  if (flow.proto != kIcmp) w.Field("port", flow.port);
  const Now now = os::ReadNow();
  const node::ExplainedPeer why = loop_.control().ExplainPeer(peer.id, now);
  PutGates(w, peer, why);
  PutChain(w, why);
  if (opener) {
    const auto all = loop_.control().ExplainFlow(
        peer.id,
        flow.sending ? admission::Direction::kSend : admission::Direction::kReceive,
        {.src = opener->src, .dst = opener->dst, .proto = opener->proto, .port = opener->dport},
        now);
    if (all) PutRules(w, *all);
  }
  if (ruling.pass() && ruling.path != admission::kNoPath)
    PutTexts(w, "terms", node::TermsText(policy->terms(ruling.path)));
  if (ruling.pass() && ruling.path != admission::kNoPath)
    PutRule(w, loop_.control().mesh(), policy->rule(ruling.path));
  if (!ruling.pass() && policy != nullptr && opener && policy->DeniedBy(*opener)) {
    w.Field("reason", authority::ReasonName(authority::Reason::kLocalPolicy));
    w.Field("mend",
            std::string_view(Join("a [[deny]] of ",
                                  loop_.setup().dir->policy_path(),
                                  " on this machine matches; edit it")));
  } else if (!ruling.pass()) {
    PutReason(w, ruling.reason);
  }
  w.End();
  return w.Take();
}

}  // namespace aqmesh::daemon
