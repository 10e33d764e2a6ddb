#include "issuing/rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "core/authority/transforms.h"
#include "core/base/status.h"

namespace aqmesh::issuing {
namespace {

using authority::Range16;
using authority::Rule;
using authority::Selector;

constexpr size_t kListMax = 8;  // protocols, port ranges, hours
constexpr uint32_t kDayMinutes = 1'440;
constexpr uint8_t kAnyProto = 255;
constexpr Range16 kAllPorts{0, 65'535};

struct ProtoName {
  std::string_view name;
  uint8_t number;
};
constexpr ProtoName kProtoNames[] = {{"tcp", 6},
                                     {"udp", 17},
                                     {"icmp", 1},
                                     {"icmpv6", 58},
                                     {"sctp", 132},
                                     {"dccp", 33},
                                     {"udplite", 136},
                                     {"gre", 47},
                                     {"esp", 50},
                                     {"ah", 51},
                                     {"igmp", 2},
                                     {"ipip", 4}};
constexpr std::array<std::string_view, 7> kDayNames = {
    "mon", "tue", "wed", "thu", "fri", "sat", "sun"};

bool HasPorts(uint8_t proto) {
  return proto == 6 || proto == 17 || proto == 33 || proto == 132 || proto == 136;
}

// A piece of the line, and where it stands.
struct Word {
  std::string_view text;
  size_t column = 1;  // of its first character, from 1
  Word Cut(size_t from, size_t size = std::string_view::npos) const {
    return {text.substr(from, size), column + from};
  }
};

template <typename... T>
absl::Status At(const Word& w, const T&... parts) {
  return InvalidArgument("column ", w.column, ": ", parts...);
}

std::vector<Word> SplitBlank(std::string_view text) {
  std::vector<Word> out;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == ' ' || text[i] == '\t' || text[i] == '\r') {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && text[end] != ' ' && text[end] != '\t' && text[end] != '\r') ++end;
    out.push_back({text.substr(i, end - i), i + 1});
    i = end;
  }
  return out;
}

std::vector<Word> SplitAt(const Word& w, char separator) {
  std::vector<Word> out;
  for (size_t from = 0;;) {
    const size_t to = w.text.find(separator, from);
    out.push_back(w.Cut(from, to == std::string_view::npos ? to : to - from));
    if (to == std::string_view::npos) return out;
    from = to + 1;
  }
}

template <typename T>
bool ParseNumber(std::string_view text, T max, T& out) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out <= max;
}

// Sorts and joins what overlaps or touches; `gap` is 1 where bounds are inclusive, 0 where hi is
// not in it.
std::vector<Range16> Normalise(std::vector<Range16> ranges, uint32_t gap) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<Range16> out;
  for (const Range16& r : ranges) {
    if (!out.empty() && r.lo <= uint32_t{out.back().hi} + gap) {
      out.back().hi = std::max(out.back().hi, r.hi);
    } else {
      out.push_back(r);
    }
  }
  return out;
}

absl::StatusOr<Selector> ParseSelector(const Word& w, const NodeLookup& lookup) {
  Selector s;
  if (w.text == "any") return s;
  if (w.text.substr(0, 4) == "tag:") {
    s.kind = Selector::Kind::kTag;
    s.tag = w.text.substr(4);
    if (!IsTag(s.tag))
      return At(w.Cut(4),
                "`",
                s.tag,
                "` is no tag; write lower-case words joined by dots, as tag:db.main");
    return s;
  }
  if (w.text.substr(0, 5) == "node:") {
    s.kind = Selector::Kind::kKid;
    const std::string_view name = w.text.substr(5);
    std::optional<Kid> kid;
    if (const std::optional<Bytes> raw = FromHex(name); raw.has_value()) kid = Kid::From(*raw);
    if (!kid.has_value() && lookup) kid = lookup(name);
    if (!kid.has_value())
      return At(w.Cut(5),
                "no node `",
                name,
                "` is known; write node: and the 32 hex digits of its key id");
    s.kid = *kid;
    return s;
  }
  const std::optional<Prefix> prefix = Prefix::Parse(w.text);
  if (!prefix.has_value()) {
    return At(w,
              "`",
              w.text,
              "` says no one; write any, tag:NAME, node:KEYID or an address like 10.1.0.0/16");
  }
  s.kind = prefix->address.is_v6() ? Selector::Kind::kPrefix6 : Selector::Kind::kPrefix4;
  s.prefix = *prefix;
  return s;
}

absl::StatusOr<uint8_t> ParseProto(const Word& w) {
  for (const ProtoName& p : kProtoNames) {
    if (w.text == p.name) return p.number;
  }
  uint8_t number = 0;
  if (!ParseNumber<uint8_t>(w.text, 254, number) || number == 0) {
    return At(w,
              "no protocol `",
              w.text,
              "`; write tcp, udp, icmp, icmpv6, sctp, a number from 1 to 254, or any alone");
  }
  return number;
}

absl::StatusOr<std::vector<Range16>> ParsePorts(const Word& w) {
  if (w.text == "*") return std::vector<Range16>{kAllPorts};
  std::vector<Range16> out;
  for (const Word& piece : SplitAt(w, ',')) {
    Range16 r;
    const size_t dash = piece.text.find('-');
    const std::string_view lo = piece.text.substr(0, dash);
    const std::string_view hi = dash == std::string_view::npos ? lo : piece.text.substr(dash + 1);
    if (!ParseNumber<uint16_t>(lo, 65'535, r.lo) || !ParseNumber<uint16_t>(hi, 65'535, r.hi) ||
        r.lo > r.hi) {
      return At(
          piece, "`", piece.text, "` is no port; write 443, 8000-8010, a list with commas, or *");
    }
    out.push_back(r);
  }
  out = Normalise(std::move(out), 1);
  if (out.size() > kListMax)
    return At(w, out.size(), " ranges of ports, more than ", kListMax, "; split the rule");
  return out;
}

absl::Status ParseService(const Word& w, Rule& rule) {
  const size_t colon = w.text.find(':');
  const Word protos = w.Cut(0, colon);
  const bool has_ports = colon != std::string_view::npos;
  if (protos.text == "any") {
    if (has_ports) return At(w.Cut(colon), "any takes no ports; name the protocols, as tcp+udp:53");
    rule.protos = {kAnyProto};
    return absl::OkStatus();
  }
  for (const Word& piece : SplitAt(protos, '+')) {
    AQ_ASSIGN_OR_RETURN(const uint8_t proto, ParseProto(piece));
    rule.protos.push_back(proto);
  }
  std::sort(rule.protos.begin(), rule.protos.end());
  rule.protos.erase(std::unique(rule.protos.begin(), rule.protos.end()), rule.protos.end());
  if (rule.protos.size() > kListMax)
    return At(protos, "more than ", kListMax, " protocols; split the rule");
  if (std::none_of(rule.protos.begin(), rule.protos.end(), HasPorts)) {
    return has_ports ? At(w.Cut(colon), protos.text, " has no ports; leave them out")
                     : absl::OkStatus();
  }
  if (!has_ports) {
    rule.ports = {kAllPorts};
    return absl::OkStatus();
  }
  AQ_ASSIGN_OR_RETURN(rule.ports, ParsePorts(w.Cut(colon + 1)));
  return absl::OkStatus();
}

// "mon09:30" as minutes of the week; sun24:00 is its end.
bool ParseMinute(std::string_view text, uint32_t& out) {
  if (text.size() != 8 || text[5] != ':') return false;
  const auto day = std::find(kDayNames.begin(), kDayNames.end(), text.substr(0, 3));
  const auto two = [&text](size_t at) {
    const uint32_t tens = static_cast<uint32_t>(text[at] - '0'),
                   ones = static_cast<uint32_t>(text[at + 1] - '0');
    return tens > 9 || ones > 9 ? kDayMinutes : tens * 10 + ones;
  };
  const uint32_t hour = two(3), minute = two(6);
  if (day == kDayNames.end() || minute > 59 || hour * 60 + minute > kDayMinutes) return false;
  out = static_cast<uint32_t>(day - kDayNames.begin()) * kDayMinutes + hour * 60 + minute;
  return true;
}

absl::Status ParseHours(const Word& w, Rule& rule) {
  std::vector<Range16> hours;
  for (const Word& piece : SplitAt(w, ',')) {
    const size_t dash = piece.text.find('-');
    uint32_t from = 0, to = 0;
    if (dash == std::string_view::npos || !ParseMinute(piece.text.substr(0, dash), from) ||
        !ParseMinute(piece.text.substr(dash + 1), to) || from >= to) {
      return At(
          piece,
          "`",
          piece.text,
          "` is no time of the week; write mon09:00-mon17:30 (UTC), days in order, to sun24:00");
    }
    hours.push_back({static_cast<uint16_t>(from), static_cast<uint16_t>(to)});
  }
  rule.hours = Normalise(std::move(hours), 0);
  if (rule.hours.size() > kListMax) return At(w, "more than ", kListMax, " spans; split the rule");
  return absl::OkStatus();
}

template <typename T>
absl::Status ParseBounded(const Word& w, std::string_view what, T max, T& out) {
  if (out != 0) return At(w, what, " is said twice; keep one");
  if (!ParseNumber<T>(w.text, max, out) || out == 0) {
    out = 0;
    return At(
        w, "`", w.text, "` does not fit ", what, "; write a number from 1 to ", uint64_t{max});
  }
  return absl::OkStatus();
}

constexpr std::pair<std::string_view, uint16_t> kDirectiveNames[] = {
    {"forward", authority::kDoForward},
    {"log", authority::kDoLogFlow},
    {"log-headers", authority::kDoLogHeaders},
    {"escalate", authority::kDoEscalate},
};

absl::Status ParseWord(const Word& w, Rule& rule) {
  if (w.text == "one-way") {
    rule.one_way = 1;
    return absl::OkStatus();
  }
  for (const auto& [name, bit] : kDirectiveNames) {
    if (w.text != name) continue;
    rule.directives = static_cast<uint16_t>(rule.directives | bit);
    return absl::OkStatus();
  }
  const size_t colon = w.text.find(':');
  const std::string_view key = w.text.substr(0, colon);
  if (colon != std::string_view::npos) {
    const Word value = w.Cut(colon + 1);
    if (key == "rate") return ParseBounded<uint8_t>(value, "rate", 7, rule.rate);
    if (key == "drop-after")
      return ParseBounded<uint32_t>(value, "drop-after", UINT32_MAX, rule.drop_after);
    if (key == "since") return ParseBounded<uint64_t>(value, "since", UINT64_MAX, rule.since);
    if (key == "until") return ParseBounded<uint64_t>(value, "until", UINT64_MAX, rule.until);
    if (key == "via") return ParseBounded<uint8_t>(value, "via", 64, rule.via);
    if (key == "hours")
      return rule.hours.empty() ? ParseHours(value, rule)
                                : At(w, "hours is said twice; join them with a comma");
    if (key == "transform") {
      if (!IsLab(value.text))
        return At(
            value, "`", value.text, "` is no name; write lower-case letters, digits and dashes");
      if (!authority::TransformNamed(value.text))
        return At(value,
                  "no transform `",
                  value.text,
                  "` is known; there are ",
                  authority::KnownTransforms());
      if (rule.transform.size() == 2) return At(w, "more than 2 transforms; leave one out");
      rule.transform.emplace_back(value.text);
      return absl::OkStatus();
    }
  }
  return At(w,
            "no word `",
            w.text,
            "` belongs here; write one-way, forward, log, log-headers, escalate, rate:N, ",
            "drop-after:N, transform:NAME, since:, until:, hours: or via:N");
}

void AppendMinute(std::string& out, uint32_t minute, bool is_end) {
  // 00:00 as an end belongs to the day before: tue00:00 would read as another day, and sun24:00
  // must be sayable.
  const uint32_t day = (is_end && minute > 0 ? minute - 1 : minute) / kDayMinutes;
  const uint32_t in_day = minute - day * kDayMinutes;
  const auto two = [&out](uint32_t v) {
    out += static_cast<char>('0' + v / 10), out += static_cast<char>('0' + v % 10);
  };
  out += kDayNames[day];
  two(in_day / 60);
  out += ':';
  two(in_day % 60);
}

std::string PrintService(const Rule& rule) {
  if (rule.protos == Bytes{kAnyProto}) return "any";
  std::string out;
  for (const uint8_t proto : rule.protos) {
    if (!out.empty()) out += '+';
    const auto named = std::find_if(std::begin(kProtoNames),
                                    std::end(kProtoNames),
                                    [proto](const ProtoName& p) { return p.number == proto; });
    out += named == std::end(kProtoNames) ? std::to_string(proto) : std::string(named->name);
  }
  if (rule.ports.empty() || rule.ports == std::vector<Range16>{kAllPorts}) return out;
  char separator = ':';
  for (const Range16& r : rule.ports) {
    out += separator + std::to_string(r.lo);
    if (r.hi != r.lo) out += '-' + std::to_string(r.hi);
    separator = ',';
  }
  return out;
}

}  // namespace

bool IsLab(std::string_view text) {  // [a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (text.empty() || text.size() > 32 || !plain(text.front()) || !plain(text.back())) return false;
  return std::all_of(text.begin(), text.end(), [plain](char c) { return plain(c) || c == '-'; });
}

bool IsTag(std::string_view text) {  // 1 to 4 labs joined by "."
  if (text.size() > 64) return false;
  const std::vector<Word> labs = SplitAt({text}, '.');
  return labs.size() <= 4 &&
         std::all_of(labs.begin(), labs.end(), [](const Word& w) { return IsLab(w.text); });
}

bool IsWildTag(std::string_view text) {
  if (text == "*") return true;
  const bool wild = text.size() > 2 && text.substr(text.size() - 2) == ".*";
  return IsTag(wild ? text.substr(0, text.size() - 2) : text);
}

absl::StatusOr<Rule> ParseRule(std::string_view text, const NodeLookup& lookup) {
  if (text.size() > kRuleTextMax)
    return InvalidArgument("column ", kRuleTextMax, ": the rule is too long; split it");
  std::vector<Word> words = SplitBlank(text);
  if (!words.empty() && words.front().text == "allow") words.erase(words.begin());
  const Word end{{}, text.size() + 1};
  const auto word = [&words, &end](size_t i) { return i < words.size() ? words[i] : end; };
  if (words.empty())
    return At(end, "no rule here; write SRC -> DST PROTO:PORTS, as tag:member -> tag:db tcp:5432");

  Rule rule;
  AQ_ASSIGN_OR_RETURN(rule.src, ParseSelector(word(0), lookup));
  if (word(1).text != "->")
    return At(word(1), "-> is expected after the source; write SRC -> DST PROTO:PORTS");
  if (words.size() < 3)
    return At(end, "no destination; write any, tag:NAME, node:KEYID or an address");
  AQ_ASSIGN_OR_RETURN(rule.dst, ParseSelector(word(2), lookup));
  if (words.size() < 4) return At(end, "no protocol; write any, icmp, tcp:443, udp:53...");
  AQ_RETURN_IF_ERROR(ParseService(word(3), rule));
  for (size_t i = 4; i < words.size(); ++i) AQ_RETURN_IF_ERROR(ParseWord(words[i], rule));
  if (rule.until != 0 && rule.until <= rule.since)
    return At(words.back(), "until is not after since; swap them");
  return rule;
}

absl::StatusOr<std::vector<Rule>> ParseRules(std::string_view text, const NodeLookup& lookup) {
  std::vector<Rule> rules;
  size_t line = 0;
  while (!text.empty()) {
    ++line;
    const size_t newline = text.find('\n');
    std::string_view row = text.substr(0, newline);
    text = newline == std::string_view::npos ? std::string_view() : text.substr(newline + 1);
    row = row.substr(0, row.find('#'));
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (rules.size() == kRulesMax)
      return InvalidArgument(
          "line ", line, ", column 1: more than ", kRulesMax, " rules; make two fragments");
    absl::StatusOr<Rule> rule = ParseRule(row, lookup);
    if (!rule.ok()) return InvalidArgument("line ", line, ", ", Text(rule.status()));
    rules.push_back(*std::move(rule));
  }
  if (rules.empty())
    return InvalidArgument("line 1, column 1: no rule; write SRC -> DST PROTO:PORTS");
  return rules;
}

std::string PrintSelector(const Selector& s) {
  switch (s.kind) {
    case Selector::Kind::kAny: return "any";
    case Selector::Kind::kTag: return "tag:" + s.tag;
    case Selector::Kind::kKid: return "node:" + ToHex(s.kid);
    case Selector::Kind::kPrefix4:
    case Selector::Kind::kPrefix6: return s.prefix.ToString();
  }
  return "any";
}

std::string PrintRule(const Rule& rule) {
  std::string out =
      Join(PrintSelector(rule.src), " -> ", PrintSelector(rule.dst), " ", PrintService(rule));
  if (rule.one_way != 0) out += " one-way";
  for (const auto& [name, bit] : kDirectiveNames) {
    if ((rule.directives & bit) != 0) out += Join(" ", name);
  }
  if (rule.rate != 0) out += Join(" rate:", unsigned{rule.rate});
  if (rule.drop_after != 0) out += Join(" drop-after:", rule.drop_after);
  for (const std::string& t : rule.transform) out += Join(" transform:", t);
  if (rule.since != 0) out += Join(" since:", rule.since);
  if (rule.until != 0) out += Join(" until:", rule.until);
  std::string_view before = " hours:";
  for (const Range16& r : rule.hours) {
    out += before;
    AppendMinute(out, r.lo, false);
    out += '-';
    AppendMinute(out, r.hi, true);
    before = ",";
  }
  if (rule.via != 0) out += Join(" via:", unsigned{rule.via});
  return out;
}

Rule MembersRule() {
  Selector member;
  member.kind = Selector::Kind::kTag;
  member.tag = "member";
  Rule rule;
  rule.src = rule.dst = member;
  rule.protos = {kAnyProto};
  return rule;
}

}  // namespace aqmesh::issuing
