// status, peers, ping, whois, whoami, ip, wait, explain, can: questions to the running daemon.
#include <fmt/format.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/json_read.h"
#include "daemon/cli/text.h"
#include "daemon/cli/trust_view.h"

namespace aqmesh::cli {

namespace {

namespace json = boost::json;

// Asks, and prints the answer as it came with --json, else as `render` says it.
absl::StatusOr<int> Ask(Session& s,
                        std::string_view verb,
                        const json::object& args,
                        const std::function<std::string(const json::object&)>& render) {
  AQ_ASSIGN_OR_RETURN(const LiveAnswer answer,
                      s.Live()->Call({.verb = std::string(verb), .json = json::serialize(args)}));
  s.Out(s.json ? Join(answer.json, "\n") : render(ReadObject(answer.json)));
  return answer.exit;
}

std::string Address4(const std::vector<std::string>& addresses) {
  return addresses.empty() ? "" : addresses.front();
}

std::string PathText(const json::object& peer, uint64_t now) {
  const std::string path = TextIn(peer, "path"), endpoint = TextIn(peer, "endpoint");
  if (path != "offline") return Join(path, endpoint.empty() ? "" : Join(" ", endpoint));
  const uint64_t last = NumberIn(peer, "last_handshake");
  return last == 0 ? "offline, never met" : Join("offline since ", AgoText(last, now), " ago");
}

std::string PeerTable(Session& s, const json::object& o) {
  Table table({"NAME", "ADDRESS", "RUNG", "PATH", "RTT", "LAST", "IN", "OUT", "GRANT"});
  const uint64_t now = s.now();
  const std::vector<json::object> peers = ObjectsIn(o, "peers");
  if (peers.empty()) return "";
  for (const json::object& p : peers) {
    const uint64_t end = NumberIn(p, "grant_end"), rtt = NumberIn(p, "rtt_us");
    const uint64_t rx = NumberIn(p, "rx_bytes"), tx = NumberIn(p, "tx_bytes");
    const std::string name = TextIn(p, "name");
    table.Row({name.empty() ? TextIn(p, "kid").substr(0, 8) : name,
               Address4(TextsIn(p, "addresses")),
               TextIn(p, "rung"),
               PathText(p, now),
               rtt > 0 ? RttText(rtt) : "",
               AgoText(NumberIn(p, "last_handshake"), now),
               rx > 0 ? BytesText(rx) : "",
               tx > 0 ? BytesText(tx) : "",
               end == 0    ? ""
               : end > now ? SpanText(end - now)
                           : "ended"});
  }
  return table.Print(s.env().columns);
}

// Who is held below ADMIT or waits for an answer, and the command that says more.
std::string Warnings(const json::object& o) {
  std::string out;
  const auto add = [&out](const std::string& line) {
    out += Join(out.empty() ? "Warnings: " : "          ", line, "\n");
  };
  for (const json::object& p : ObjectsIn(o, "peers")) {
    const std::string name = TextIn(p, "name"), rung = TextIn(p, "rung"),
                      reason = TextIn(p, "reason");
    if (const std::string words = TextIn(p, "words"); !words.empty()) {
      add(Join(name, " asks to join, words: ", words, "  -> aqmesh invite --wait"));
    } else if (!rung.empty() && rung != "ADMIT" && !reason.empty()) {
      add(Join(name, " is held at ", rung, ": ", reason, "  -> aqmesh explain ", name));
    }
  }
  for (const std::string& w : TextsIn(o, "warnings")) add(w);
  return out;
}

// What seals the packets, and which of the kernel's offloads carry them.
std::string DataPathText(const json::object& o) {
  const std::string aead = TextIn(o, "aead");
  if (aead.empty()) return "";  // a daemon of another version
  std::vector<std::string> on, off, lacking;
  const json::object offloads = ObjectIn(o, "offloads");
  for (const auto& entry : offloads) {
    const std::string name(entry.key()), state = TextIn(offloads, name);
    (state == "on" ? on : state == "off" ? off : lacking).push_back(name);
  }
  const auto part = [](std::string_view label, const std::vector<std::string>& names) {
    return names.empty() ? std::string() : Join("; ", label, " ", Listed(names));
  };
  return Join("sealed by ",
              aead,
              off.empty() && lacking.empty() ? "; all offloads on"
              : on.empty()                   ? "; no offload on"
                                             : part("offloads on", on),
              part("off", off),
              part("kernel or device lacks", lacking),
              "\n");
}

// Which public witnesses stand under the newest head. Why one does not is a warning.
std::string WitnessText(const json::object& o) {
  std::vector<std::string> have;
  size_t all = 0;
  for (const json::object& w : ObjectsIn(o, "witnesses")) {
    ++all;
    if (NumberIn(w, "size") != 0)
      have.push_back(Join(TextIn(w, "name"), " up to ", NumberIn(w, "size"), " records"));
  }
  if (all == 0) return "";
  return Join("lineage cosigned by ", have.empty() ? "no witness yet" : Listed(have), "\n");
}

std::string StatusText(Session& s, const json::object& o) {
  const std::string mesh = TextIn(o, "mesh");
  if (mesh.empty()) return Join(TextIn(o, "name"), "  not in a mesh yet\n", Warnings(o));
  std::string head = Join(TextIn(o, "name"),
                          "  ",
                          Address4(TextsIn(o, "addresses")),
                          "  mesh ",
                          mesh,
                          "  up ",
                          SpanText(NumberIn(o, "uptime_s")),
                          "  lineage ",
                          NumberIn(o, "records"),
                          " records\n");
  const std::string peers = PeerTable(s, o);
  return Join(head,
              DataPathText(o),
              WitnessText(o),
              peers.empty() ? "No peers yet. For another machine: aqmesh invite\n" : peers,
              Warnings(o));
}

std::string PersonText(const json::object& o, uint64_t now) {
  std::string out;
  const auto line = [&out](std::string_view label, const std::string& value) {
    if (!value.empty()) out += fmt::format("{:<10}{}\n", label, value);
  };
  line("name", TextIn(o, "name"));
  line("mesh", TextIn(o, "mesh"));
  line("id", TextIn(o, "scope"));
  line("address", Listed(TextsIn(o, "addresses")));
  line("key", TextIn(o, "kid"));
  line("class", TextIn(o, "class"));
  line("tags", Listed(TextsIn(o, "tags")));
  line("rung", TextIn(o, "rung"));
  line("endpoint", TextIn(o, "endpoint"));
  const uint64_t end = NumberIn(o, "grant_end");
  line("grant",
       end == 0 ? ""
                : Join("until ",
                       UtcText(end),
                       end > now ? Join(", ", SpanText(end - now), " left") : ", ended"));
  if (TrueIn(o, "enroller")) line("may", "enroll others");
  return out;
}

struct PingFlags {
  std::string node, interval = "1s";
  uint32_t count = 4;
};

absl::StatusOr<int> Ping(Session& s, const PingFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const uint64_t interval, SpanFlag(s, "--interval", flags.interval, 1));
  const json::object args{{"node", flags.node},
                          {"count", flags.count},
                          {"interval_ms", interval * 1'000},
                          {"timeout_ms", 2'000}};
  const auto each = [&](const LiveAnswer& event) {
    const json::object e = ReadObject(event.json);
    if (s.json) {
      s.Out(Join(event.json, "\n"));
    } else if (const uint64_t rtt = NumberIn(e, "rtt_us"); rtt > 0) {
      s.Out(Join(flags.node,
                 " (",
                 TextIn(e, "address"),
                 ")  ",
                 RttText(rtt),
                 "  ",
                 TextIn(e, "path"),
                 " ",
                 TextIn(e, "endpoint"),
                 "\n"));
    } else {
      s.Out(Join(flags.node,
                 "  no answer",
                 TextIn(e, "reason").empty() ? "" : ": " + TextIn(e, "reason"),
                 "\n"));
    }
    return true;
  };
  AQ_ASSIGN_OR_RETURN(const LiveAnswer answer,
                      s.Live()->Call({.verb = "ping", .json = json::serialize(args)}, each));
  const json::object o = ReadObject(answer.json);
  if (s.json) s.Out(Join(answer.json, "\n"));
  if (!s.json) {
    s.Say(Join(NumberIn(o, "received"),
               " of ",
               NumberIn(o, "sent"),
               " answered; rung ",
               TextIn(o, "rung"),
               NumberIn(o, "received") == 0 ? Join("  -> aqmesh explain ", flags.node) : ""));
  }
  return NumberIn(o, "received") > 0 ? 0 : 1;
}

// "db:5432", "[fd00::1]:22/udp", "100.64.0.7"; without a port all ports are meant.
struct Target {
  std::string host, proto = "tcp";
  uint16_t port = 0;
};
absl::StatusOr<Target> ParseTarget(Session& s, std::string text) {
  Target out;
  if (const size_t slash = text.rfind('/'); slash != std::string::npos) {
    out.proto = text.substr(slash + 1);
    text.resize(slash);
    if (out.proto != "tcp" && out.proto != "udp" && out.proto != "icmp")
      return s.Usage(Join("`/", out.proto, "`: use /tcp, /udp or /icmp"));
  }
  if (const auto e = Endpoint::Parse(text)) {
    out.host = e->address.ToString();
    out.port = e->port;
    return out;
  }
  const size_t colon = text.rfind(':');
  const bool v6 = IpAddress::Parse(text).has_value();
  if (v6 || colon == std::string::npos) {
    out.host = text;
    return out;
  }
  uint32_t port = 0;
  for (const char c : text.substr(colon + 1))
    port =
        c >= '0' && c <= '9' && port < 65'536 ? port * 10 + static_cast<uint32_t>(c - '0') : 65'536;
  if (port == 0 || port > 65'535)
    return s.Usage(Join("`", text, "`: after the colon comes a port, 1 to 65535"));
  out.host = text.substr(0, colon);
  out.port = static_cast<uint16_t>(port);
  return out;
}

struct PairFlags {
  std::string src, dst;
};

std::string EndText(const json::object& o) {
  const std::string name = TextIn(o, "name"), address = TextIn(o, "address");
  return name.empty() ? address : address.empty() ? name : Join(name, " ", address);
}

// "who   borealis NODE .829, by atlas ENROLLER .921, by the root .983".
std::string ChainText(const json::object& o, uint64_t now) {
  std::string out;
  for (const json::object& link : ObjectsIn(o, "chain")) {
    const std::string name = TextIn(link, "name");
    const uint64_t ends = NumberIn(link, "ends");
    out += Join(out.empty() ? "  who   " : "        by ",
                name.empty() ? "" : name + " ",
                TextIn(link, "class"),
                " ",
                TextIn(link, "key").substr(0, 8),
                ", level ",
                LevelText(static_cast<uint32_t>(NumberIn(link, "level_q16"))),
                NumberIn(link, "scar") != 0 ? ", scarred" : "",
                TrueIn(link, "broken") ? ", its slope broke" : "",
                ends > now ? Join(", ends in ", SpanText(ends - now)) : "",
                "\n");
  }
  return out;
}

std::string ListText(std::string_view lead, const json::object& o, std::string_view key) {
  std::string out;
  for (const std::string& text : TextsIn(o, key)) out += Join(out.empty() ? lead : "; ", text);
  return out.empty() ? out : out + "\n";
}

// Whose word it has, what that comes to, and what would do.
std::string CorroborationText(const json::object& o, uint64_t now) {
  const json::object c = ObjectIn(o, "corroboration");
  if (c.empty()) return "";
  const json::object needed = ObjectIn(c, "needed");
  const uint64_t votes = NumberIn(c, "votes"), wanted = NumberIn(needed, "votes");
  std::string out = Join(
      "  words ",
      votes,
      " milli-votes of ",
      NumberIn(c, "attesters"),
      " in ",
      NumberIn(c, "groups"),
      " groups; ADMIT takes ",
      wanted,
      NumberIn(needed, "attesters") > 0 ? Join(" of ", NumberIn(needed, "attesters"), " or more")
                                        : "",
      NumberIn(needed, "groups") > 0 ? Join(" in ", NumberIn(needed, "groups"), " groups or more")
                                     : "",
      ", CONSTRAIN ",
      NumberIn(needed, "constrain_votes"),
      "\n");
  for (const json::object& v : ObjectsIn(c, "voices")) {
    const std::string name = TextIn(v, "name"), why = TextIn(v, "why");
    out += Join("        ",
                name.empty() ? TextIn(v, "kid").substr(0, 8) : name,
                "  ",
                TextIn(v, "kind"),
                "  ",
                why.empty() ? Join(NumberIn(v, "votes"), ", ", AgoText(NumberIn(v, "since"), now))
                            : Join("does not count: ", why),
                "\n");
  }
  if (votes < wanted)
    out += Join("        ",
                wanted - votes,
                " more would lift it: a member that may attest, and is trusted here, says so by"
                " itself once it has met it\n");
  return out;
}

std::string ExplainText(const json::object& o, uint64_t now) {
  const json::object src = ObjectIn(o, "src"), dst = ObjectIn(o, "dst");
  const uint64_t port = NumberIn(o, "port"), count = NumberIn(o, "count");
  std::string out = Join(TextIn(o, "verdict"),
                         "  ",
                         TextIn(o, "proto").empty() ? "" : TextIn(o, "proto") + "  ",
                         EndText(src));
  if (!dst.empty()) out += Join(" -> ", EndText(dst), port > 0 ? Join(":", port) : "");
  if (count > 0)
    out += Join("        ", count, " times, last ", AgoText(NumberIn(o, "last"), now), " ago");
  out += "\n ";
  for (const json::object& g : ObjectsIn(o, "gates")) {
    const std::string rung = TextIn(g, "rung"), reason = TextIn(g, "reason");
    out += Join(" ",
                TextIn(g, "gate"),
                " ",
                rung == "ADMIT" ? "ok" : rung,
                reason.empty() ? "" : Join(" (", reason, ")"),
                " ");
  }
  while (out.ends_with(' ')) out.pop_back();
  if (!out.ends_with('\n')) out += "\n";
  for (const json::object& g : ObjectsIn(o, "gates")) {
    if (const std::string lift = TextIn(g, "lift"); !lift.empty())
      out += Join("        ", TextIn(g, "gate"), ": ", lift, "\n");
  }
  out += ChainText(o, now);
  const json::object rule = ObjectIn(o, "rule");
  if (!rule.empty()) {
    out += Join("  rule  ",
                TextIn(rule, "text"),
                "  (fragment ",
                TextIn(rule, "fragment").substr(0, 8),
                ", signed by ",
                TextIn(rule, "authority").substr(0, 8),
                ")\n");
  } else if (!dst.empty()) {
    out += "  rule  NO MATCH\n";
    for (const json::object& r : ObjectsIn(o, "rules")) {
      if (const std::string why = TextIn(r, "why"); !why.empty())
        out += Join("        ", TextIn(r, "text"), ": ", why, "\n");
    }
  }
  out += ListText("  does  ", o, "terms");
  out += ListText("  all   ", o, "demands");
  if (const uint64_t again = NumberIn(o, "again"); again > now)
    out += Join("  next  looked at again in ", SpanText(again - now), "\n");
  if (const std::string reason = TextIn(o, "reason"); !reason.empty())
    out += Join("  why   ", reason, "\n");
  if (const std::string mend = TextIn(o, "mend"); !mend.empty())
    out += Join("  mend  ", mend, "\n");
  out += CorroborationText(o, now);
  const std::string record = TextIn(o, "record").substr(0, 8);
  if (!record.empty()) out += Join("  Record ", record, "  -> aqmesh lineage show ", record, "\n");
  return out;
}

absl::StatusOr<int> Explain(Session& s, std::string_view verb, const PairFlags& flags) {
  json::object args{{"src", flags.src}};
  if (!flags.dst.empty()) {
    AQ_ASSIGN_OR_RETURN(const Target target, ParseTarget(s, flags.dst));
    args["dst"] = target.host;
    args["proto"] = target.proto;
    if (target.port > 0) args["port"] = target.port;
  }
  return Ask(s, verb, args, [&](const json::object& o) {
    return verb == "can" ? std::string(TrueIn(o, "allowed") ? "yes\n" : "no\n")
                         : ExplainText(o, s.now());
  });
}

struct WaitFlags {
  std::string peer, timeout = "60s";
};
struct IpFlags {
  std::string node;
  bool v4 = false, v6 = false;
};

void AddPairs(Tree& tree) {
  auto explain = std::make_shared<PairFlags>();
  CLI::App* app = tree.Command(nullptr,
                               "explain",
                               "Say why, or why not: gate, rule and mend",
                               "aqmesh explain laptop db:5432",
                               [explain](Session& s) { return Explain(s, "explain", *explain); });
  app->add_option("SRC", explain->src, "Node by name, address or key")->required();
  app->add_option("DST",
                  explain->dst,
                  "Node or address, with :PORT and /tcp or /udp; absent: why SRC is where it is");
  tree.Json(app);
  auto can = std::make_shared<PairFlags>();
  app = tree.Command(nullptr,
                     "can",
                     "Yes (exit 0) or no (exit 1)",
                     "aqmesh can laptop db:5432 && psql -h db",
                     [can](Session& s) { return Explain(s, "can", *can); });
  app->add_option("SRC", can->src, "Node by name, address or key")->required();
  app->add_option("DST", can->dst, "Node or address, with :PORT and /tcp or /udp")->required();
  tree.Json(app);
}

void AddStatus(Tree& tree) {
  CLI::App* app = tree.Command(
      nullptr,
      "status",
      "This machine, its peers, and what needs care",
      "aqmesh status",
      [](Session& s) {
        return Ask(s, "status", {}, [&](const json::object& o) { return StatusText(s, o); });
      });
  tree.Json(app);
  app = tree.Command(
      nullptr, "peers", "The table of peers alone", "aqmesh peers --json", [](Session& s) {
        return Ask(s, "peers", {}, [&](const json::object& o) { return PeerTable(s, o); });
      });
  tree.Json(app);
}

void AddPing(Tree& tree) {
  auto flags = std::make_shared<PingFlags>();
  CLI::App* app = tree.Command(nullptr,
                               "ping",
                               "Ask a node for an answer through the mesh",
                               "aqmesh ping borealis",
                               [flags](Session& s) { return Ping(s, *flags); });
  app->add_option("NODE", flags->node, "Node by name, address or key")->required();
  app->add_option("-c,--count", flags->count, "How many times")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app->add_option("-i,--interval", flags->interval, "How often")->capture_default_str();
  tree.Json(app);
}

void AddWho(Tree& tree) {
  auto whois = std::make_shared<std::string>();
  CLI::App* app = tree.Command(
      nullptr, "whois", "Who has this address", "aqmesh whois 100.79.3.2", [whois](Session& s) {
        return Ask(s, "whois", {{"address", *whois}}, [&](const json::object& o) {
          return PersonText(o, s.now());
        });
      });
  app->add_option("ADDRESS", *whois, "Address, name or key")->required();
  tree.Json(app);
  app = tree.Command(
      nullptr, "whoami", "Who this machine is in the mesh", "aqmesh whoami", [](Session& s) {
        return Ask(s, "whoami", {}, [&](const json::object& o) { return PersonText(o, s.now()); });
      });
  tree.Json(app);
}

// One a line; -4 and -6 together, or neither: both families.
std::string AddressLines(const json::object& o, const IpFlags& flags) {
  std::string out;
  for (const std::string& a : TextsIn(o, "addresses")) {
    const bool v6 = a.find(':') != std::string::npos;
    if (flags.v4 == flags.v6 || (v6 ? flags.v6 : flags.v4)) out += a + "\n";
  }
  return out;
}

void AddIp(Tree& tree) {
  auto flags = std::make_shared<IpFlags>();
  CLI::App* app = tree.Command(
      nullptr,
      "ip",
      "Addresses of this machine, or of a node",
      "aqmesh ip -4 borealis",
      [flags](Session& s) {
        json::object args;
        if (!flags->node.empty()) args["node"] = flags->node;
        return Ask(s, "ip", args, [&](const json::object& o) { return AddressLines(o, *flags); });
      });
  app->add_option("NODE", flags->node, "Node by name or key; absent: this machine");
  app->add_flag("-4", flags->v4, "IPv4 only");
  app->add_flag("-6", flags->v6, "IPv6 only");
  tree.Json(app);
}

absl::StatusOr<int> WaitFor(Session& s, const WaitFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const uint64_t timeout, SpanFlag(s, "--timeout", flags.timeout, 60));
  json::object args{{"timeout_ms", timeout * 1'000}};
  if (!flags.peer.empty()) args["peer"] = flags.peer;
  return Ask(s, "wait", args, [](const json::object&) { return std::string(); });
}

void AddWait(Tree& tree) {
  auto flags = std::make_shared<WaitFlags>();
  CLI::App* app = tree.Command(nullptr,
                               "wait",
                               "Wait until the mesh, or a peer, is there",
                               "aqmesh wait --peer atlas --timeout 30s",
                               [flags](Session& s) { return WaitFor(s, *flags); });
  app->add_option("--peer", flags->peer, "Until this one answers");
  app->add_option("--timeout", flags->timeout, "Give up after so long")->capture_default_str();
  tree.Json(app);
}

}  // namespace

void AddLook(Tree& tree) {
  AddStatus(tree);
  AddPing(tree);
  AddWho(tree);
  AddIp(tree);
  AddWait(tree);
  AddPairs(tree);
}

}  // namespace aqmesh::cli
