#include "admission/explain.h"

#include <algorithm>

#include "core/base/status.h"

namespace aqmesh::admission {

using authority::Fragment;
using authority::Held;
using authority::Rule;
using authority::Selector;

namespace {

std::string JoinWith(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& p : parts) {
    if (!out.empty()) out += separator;
    out += p;
  }
  return out;
}

std::string PortsText(const std::vector<authority::Range16>& ports) {
  std::vector<std::string> parts;
  for (const auto& r : ports) parts.push_back(r.lo == r.hi ? Join(r.lo) : Join(r.lo, "-", r.hi));
  return JoinWith(parts, ",");
}

std::string ProtosText(const Bytes& protos) {
  std::vector<std::string> parts;
  for (const uint8_t p : protos) parts.push_back(ProtoText(p));
  return JoinWith(parts, ",");
}

const Held<Fragment>* Find(const Policy::Inputs& in, const Oid& oid) {
  const auto it = std::find_if(
      in.cited.begin(), in.cited.end(), [&oid](const auto& f) { return f.oid() == oid; });
  return it == in.cited.end() ? nullptr : &*it;
}

// The rule `level` steps above the cited one.
const Rule* RuleAt(const Policy::Inputs& in, const RuleRef& ref, uint8_t level) {
  const Held<Fragment>* f = Find(in, ref.fragment);
  size_t index = ref.rule;
  for (uint8_t i = 0; f && index < f->body.rules.size(); ++i) {
    const Rule& r = f->body.rules[index];
    if (i == level) return &r;
    if (!f->body.parent || r.via == 0) return nullptr;
    index = size_t{r.via} - 1;
    f = Find(in, *f->body.parent);
  }
  return nullptr;
}

std::string SideText(const Selector& s,
                     const IpAddress& a,
                     const Party& party,
                     std::string_view side) {
  std::string why = Join(side, " ", a.ToString(), " is not in ", SelectorText(s));
  if (s.kind == Selector::Kind::kTag) {
    why += party.tags.empty() ? Join(": that machine has no tag")
                              : Join(": that machine has ", JoinWith(party.tags, ", "));
  }
  return why;
}

std::string MissText(const Policy::Finding& found,
                     const Rule* r,
                     const Question& q,
                     const Policy::Inputs& in) {
  const std::string above = found.level == 0 ? "" : Join("the rule ", found.level, " above it: ");
  switch (found.miss) {
    case Miss::kNone: return "";
    case Miss::kNoParent:
      return "it narrows a rule that was not presented with it, so it allows nothing";
    case Miss::kTransform: return "it demands a transform that this version does not know";
    case Miss::kNotForwarded:
      return Join("it does not say `forward`, and ",
                  q.dst.ToString(),
                  " is not an address of the receiver's own");
    case Miss::kProfile: return "at PROBATION only the probation services pass";
    case Miss::kThisReceiver:
      return Join("at PROBATION nothing goes beyond the receiver itself, and ",
                  q.dst.ToString(),
                  " is not its own");
    case Miss::kUnclassified:
      return above + "the packet cannot be classified, and only a rule for any protocol takes it";
    case Miss::kWindow: return above + "it is outside its time window";
    case Miss::kHours: return above + "it is outside its hours of the week";
    case Miss::kSource: return r ? above + SideText(r->src, q.src, in.src, "source") : above;
    case Miss::kDestination:
      return r ? above + SideText(r->dst, q.dst, in.dst, "destination") : above;
    case Miss::kProtocol:
      return r ? Join(above, ProtoText(q.proto), " is not ", ProtosText(r->protos)) : above;
    case Miss::kPort:
      return r ? Join(above, "port ", q.port, " is not in ", PortsText(r->ports)) : above;
  }
  return "";
}

PacketInfo Probe(const Question& q) {
  PacketInfo p;
  p.src = q.src;
  p.dst = q.dst;
  p.proto = q.proto;
  p.classified = q.proto != kProtoAny;
  if (HasPorts(q.proto)) p.dport = q.port;
  return p;
}

std::string FlowText(const Question& q) {
  std::string text = Join(q.src.ToString(), " -> ", q.dst.ToString(), " ", ProtoText(q.proto));
  if (HasPorts(q.proto)) text += Join(" ", q.port);
  return text;
}

}  // namespace

std::string ProtoText(uint8_t proto) {
  switch (proto) {
    case kProtoIcmp: return "icmp";
    case kProtoTcp: return "tcp";
    case kProtoUdp: return "udp";
    case kProtoDccp: return "dccp";
    case kProtoIcmp6: return "icmpv6";
    case kProtoSctp: return "sctp";
    case kProtoUdpLite: return "udplite";
    case kProtoAny: return "any";
    default: return Join("proto ", static_cast<unsigned>(proto));
  }
}

std::string SelectorText(const Selector& s) {
  switch (s.kind) {
    case Selector::Kind::kAny: return "any";
    case Selector::Kind::kTag: return Join("tag:", s.tag);
    case Selector::Kind::kKid: return Join("node:", ToHex(s.kid).substr(0, 8));
    case Selector::Kind::kPrefix4:
    case Selector::Kind::kPrefix6: return s.prefix.ToString();
  }
  return "?";
}

std::string RuleText(const Rule& rule) {
  std::string text =
      Join(SelectorText(rule.src), " -> ", SelectorText(rule.dst), " ", ProtosText(rule.protos));
  if (!rule.ports.empty()) text += Join(" ", PortsText(rule.ports));
  if (rule.one_way) text += " one-way";
  if (rule.directives & authority::kDoForward) text += " forward";
  if (rule.directives & authority::kDoLogFlow) text += " log";
  if (rule.directives & authority::kDoLogHeaders) text += " log-headers";
  if (rule.directives & authority::kDoEscalate) text += " escalate";
  if (rule.rate) text += Join(" rate:", static_cast<unsigned>(rule.rate));
  if (rule.drop_after) text += Join(" drop-after:", rule.drop_after);
  for (const std::string& t : rule.transform) text += Join(" transform:", t);
  return text;
}

Explanation Explain(const Question& q, const Policy::Inputs& in) {
  const Policy policy = Policy::Compile(in);
  const PacketInfo packet = Probe(q);
  const Ruling ruling = policy.Evaluate(packet, in.now);
  Explanation out;
  out.pass = ruling.pass();
  out.reason = ruling.reason;
  for (size_t i = 0; i < policy.size(); ++i) {
    const auto path = static_cast<uint16_t>(i);
    const Policy::Finding found = policy.Examine(path, packet, in.now);
    RuleLine line;
    line.rule = policy.rule(path);
    line.matched = found.miss == Miss::kNone;
    if (const Rule* own = RuleAt(in, line.rule, 0)) line.text = RuleText(*own);
    line.why = MissText(found, RuleAt(in, line.rule, found.level), q, in);
    out.rules.push_back(std::move(line));
  }
  const std::string flow = FlowText(q);
  if (out.pass) {
    out.summary = Join(flow, " passes by the rule ", out.rules[ruling.path].text);
    if (policy.terms(ruling.path).one_way) out.summary += "; answers do not come back";
    return out;
  }
  if (const auto denial = policy.DeniedBy(packet)) {
    const std::string& note = in.local.denials[*denial].note;
    out.summary = Join(flow,
                       " is denied by the local policy, denial ",
                       *denial + 1,
                       note.empty() ? "" : ": ",
                       note);
  } else if (out.rules.empty()) {
    out.summary = Join(flow, " is denied: its opener cites no fragment that allows anything");
  } else {
    out.summary = Join(flow, " is denied: none of ", out.rules.size(), " rules matches");
  }
  out.mend = std::string(authority::ReasonMend(out.reason));
  return out;
}

std::string ExplainDecision(const authority::Decision& d) {
  using authority::Rung;
  const auto word = [](std::string_view s) { return std::string(s); };
  if (d.rung() == Rung::kAdmit) {
    std::string text = "ADMIT: every gate allows it";
    if (d.masked_caps() != 0)
      text += "; relay, exit, advertise and SSH signing are off until this machine is fresh again";
    return text;
  }
  std::string text = Join(word(authority::RungName(d.rung())),
                          ": set by the ",
                          word(authority::GateName(d.setter())),
                          " gate, ",
                          word(authority::ReasonName(d.reason())),
                          "; ",
                          word(authority::ReasonMend(d.reason())));
  for (size_t i = 0; i < authority::kGateCount; ++i) {
    const auto gate = static_cast<authority::Gate>(i);
    const authority::GateResult& g = d.gates()[i];
    if (gate == d.setter() || g.rung == Rung::kAdmit) continue;
    text += Join("; ",
                 word(authority::GateName(gate)),
                 " would allow ",
                 word(authority::RungName(g.rung)),
                 " (",
                 word(authority::ReasonName(g.reason)),
                 ")");
  }
  return text;
}

}  // namespace aqmesh::admission
