#include "daemon/cli/charter_file.h"

#include <algorithm>
#include <limits>
#include <map>

#include "core/authority/codec_describe.h"
#include "core/authority/decision.h"
#include "daemon/cli/text.h"
#include "daemon/cli/toml_reader.h"
#include "issuing/rules.h"
#include "issuing/vote.h"

namespace aqmesh::cli {

using authority::Charter;
using authority::ClassRow;
using authority::Param;
using authority::Svc;
using authority::Voter;

namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kMostU32 = std::numeric_limits<uint32_t>::max();
constexpr std::string_view kFlagNames[] = {
    "single_domain", "corroborate", "exclusive", "island_quorum"};
constexpr std::string_view kLevelNames[] = {"", "segment", "region", "federation"};
constexpr std::string_view kProfileNames[] = {"", "standard", "small-mesh"};

std::vector<std::string> BitsOf(uint32_t bits, std::span<const std::string_view> names) {
  std::vector<std::string> out;
  for (size_t i = 0; i < names.size(); ++i) {
    if ((bits >> i & 1) != 0) out.emplace_back(names[i]);
  }
  return out;
}
std::vector<std::string> ClassesOf(uint32_t bits) {
  std::vector<std::string> out;
  for (uint8_t id = 1; id <= 16; ++id) {
    if ((bits >> (id - 1) & 1) != 0)
      out.emplace_back(authority::ClassName(static_cast<authority::Class>(id)));
  }
  return out;
}
std::string Quoted(const std::vector<std::string>& words) {
  std::string out = "[";
  for (const std::string& w : words) out += Join(out.size() > 1 ? ", " : "", "\"", w, "\"");
  return out + "]";
}
std::vector<std::string> Words(const std::vector<Prefix>& prefixes) {
  std::vector<std::string> out;
  for (const Prefix& p : prefixes) out.push_back(p.ToString());
  return out;
}

// A service in a rule's words, without the rest of the rule.
constexpr std::string_view kAnyToAny = "any -> any ";
std::string SvcText(const Svc& svc) {
  authority::Rule rule;
  rule.protos = svc.protos;
  rule.ports = svc.ports;
  return issuing::PrintRule(rule).substr(kAnyToAny.size());
}

void PrintVoters(std::string& out, std::string_view name, const std::vector<Voter>& rows) {
  for (const Voter& v : rows) {
    out += Join("\n[[", name, "]]\nkey = \"", ToHex(v.key), "\"  # kid ");
    out += Join(ToHex(authority::KidOf(v.suite, v.key)), "\n");
    out += Join("suite = ", static_cast<uint16_t>(v.suite), "\n");
    out += Join("weight = ", v.weight, "\ngroup = \"", v.group, "\"\n");
    if (v.next_key) out += Join("next_key = \"", ToHex(*v.next_key), "\"\n");
  }
}

void PrintClass(std::string& out, const ClassRow& row) {
  out += Join("\n[[class]]\nid = \"",
              authority::ClassName(static_cast<authority::Class>(row.id)),
              "\"\nmay_issue = ",
              Quoted(ClassesOf(row.may_issue)),
              "\ncaps = ",
              Quoted(BitsOf(row.caps, authority::kCapNames)),
              "\n");
  out += Join("max_ttl = ", row.max_ttl, "  # seconds\nmax_depth = ", row.max_depth);
  out += Join("\nprior = ", row.prior, "  # of 65536\nrelative = ", row.relative);
  out += Join("\ncertificate = ", row.certificate, "\n");
}

void PrintParam(std::string& out, const Param& p) {
  out += Join("\n[[param]]\nid = ", p.id, "  # ", ParamText(p.id), "\n");
  // What a number of TOML does not hold is written as text.
  const bool fits = p.value <= static_cast<uint64_t>(kMost);
  out += fits ? Join("value = ", p.value, "\n") : Join("value_text = \"", p.value, "\"\n");
}

// ---- reading

class Reader {
 public:
  Reader(const toml::table& table, std::string_view file) : toml_(table, file), file_(file) {}
  TomlReader& toml() { return toml_; }

  template <class Bytes>
  std::optional<Bytes> Hex(std::string_view key) {
    const std::optional<std::string> text = toml_.String(key);
    if (!text) return std::nullopt;
    const auto bytes = FromHex(*text);
    const auto out = bytes ? Bytes::From(*bytes) : std::nullopt;
    if (!out) toml_.Fail(key, Join("wants ", 2 * Bytes::kSize, " hex digits"));
    return out;
  }
  template <class T>
  T Number(std::string_view key, int64_t most, int64_t otherwise = 0) {
    return static_cast<T>(toml_.Number(key, 0, most).value_or(otherwise));
  }
  template <class T>
  T Must(std::string_view key, const std::optional<T>& value) {
    if (!value) toml_.Fail(key, "is not there");
    return value.value_or(T{});
  }
  uint64_t Named(std::string_view key, std::span<const std::string_view> names) {
    const std::string text = Must(key, toml_.String(key));
    const auto at = std::ranges::find(names, text);
    if (text.empty() || at == names.end()) {
      toml_.Fail(key, Join("no `", text, "`; there are: ", Known(names)));
      return 0;
    }
    return static_cast<uint64_t>(at - names.begin());
  }
  uint32_t Bits(std::string_view key, std::span<const std::string_view> names) {
    uint32_t out = 0;
    for (const std::string& word : toml_.Strings(key, 32)) {
      const auto at = std::ranges::find(names, word);
      if (at == names.end()) {
        toml_.Fail(key, Join("no `", word, "`; there are: ", Known(names)));
      } else {
        out |= 1u << (at - names.begin());
      }
    }
    return out;
  }
  std::optional<Prefix> Net(std::string_view key, const std::string& text) {
    const auto prefix = Prefix::Parse(text);
    if (!prefix) toml_.Fail(key, Join("`", text, "`: write 10.1.0.0/16"));
    return prefix;
  }
  absl::Status Done() { return toml_.Done(); }

 private:
  static std::string Known(std::span<const std::string_view> names) {
    std::vector<std::string> out;
    for (const std::string_view n : names) {
      if (!n.empty()) out.emplace_back(n);
    }
    return Listed(out);
  }
  TomlReader toml_;
  std::string_view file_;
};

absl::StatusOr<Voter> ReadVoter(const toml::table& table, std::string_view file) {
  Reader r(table, file);
  Voter v;
  v.suite = static_cast<authority::Suite>(r.Number<uint16_t>("suite", 65'535, 1));
  v.key = r.Must("key", r.Hex<Ed25519Key>("key"));
  v.weight = r.Number<uint16_t>("weight", 65'535, 1);
  v.group = r.Must("group", r.toml().String("group"));
  v.next_key = r.Hex<Digest>("next_key");
  AQ_RETURN_IF_ERROR(r.Done());
  return v;
}

absl::StatusOr<ClassRow> ReadClass(const toml::table& table, std::string_view file) {
  Reader r(table, file);
  ClassRow row;
  row.id = static_cast<uint8_t>(r.Named("id", authority::kClassNames));
  row.may_issue = r.Bits("may_issue", authority::kClassNames) >> 1;  // bit id - 1
  row.caps = r.Bits("caps", authority::kCapNames);
  row.max_ttl = r.Number<uint32_t>("max_ttl", kMostU32);
  row.max_depth = r.Number<uint8_t>("max_depth", 4);
  row.prior = r.Number<uint32_t>("prior", 65'536);
  row.relative = r.Number<uint8_t>("relative", 1);
  row.certificate = r.Number<uint8_t>("certificate", 1);
  AQ_RETURN_IF_ERROR(r.Done());
  return row;
}

absl::StatusOr<Param> ReadParam(const toml::table& table, std::string_view file) {
  Reader r(table, file);
  Param p;
  p.id = r.Number<uint16_t>("id", 65'535);
  p.value = r.Number<uint64_t>("value", kMost);
  if (const auto text = r.toml().String("value_text")) {
    const bool digits = !text->empty() && text->find_first_not_of("0123456789") == text->npos;
    p.value = digits ? std::strtoull(text->c_str(), nullptr, 10) : 0;
    if (!digits || Join(p.value) != *text) r.toml().Fail("value_text", "wants a number");
  }
  AQ_RETURN_IF_ERROR(r.Done());
  return p;
}

absl::StatusOr<Svc> ReadSvc(const toml::table& table, std::string_view file) {
  Reader r(table, file);
  const std::string text = r.Must("service", r.toml().String("service"));
  const auto rule = issuing::ParseRule(Join(kAnyToAny, text));
  const bool one = text.find_first_of(" \t\n") == std::string::npos;
  if (!rule.ok() || !one) r.toml().Fail("service", "wants one word, such as tcp:22 or icmp");
  AQ_RETURN_IF_ERROR(r.Done());
  return Svc{rule->protos, rule->ports};
}

template <class T, class Read>
absl::Status ReadList(
    Reader& r, std::string_view key, std::string_view file, std::vector<T>& out, Read read) {
  for (const toml::table* table : r.toml().Tables(key, 64)) {
    AQ_ASSIGN_OR_RETURN(T row, read(*table, file));
    out.push_back(std::move(row));
  }
  return absl::OkStatus();
}

// ---- changes

std::string VoterText(const Voter& v) {
  return Join(ToHex(authority::KidOf(v.suite, v.key)).substr(0, 8),
              " (",
              v.group,
              ", weight ",
              v.weight,
              v.next_key ? "" : ", no next key",
              ")");
}

void CompareVoters(std::string_view what,
                   const std::vector<Voter>& now,
                   const std::vector<Voter>& next,
                   std::vector<std::string>& out) {
  const auto with = [](const std::vector<Voter>& rows, const Voter& v) {
    return std::ranges::find(rows, v.key, &Voter::key);
  };
  for (const Voter& v : now) {
    const auto after = with(next, v);
    if (after == next.end()) out.push_back(Join(what, " ", VoterText(v), " goes"));
    if (after == next.end() || *after == v) continue;
    out.push_back(Join(what,
                       " ",
                       VoterText(v),
                       v.next_key == after->next_key ? "" : " gets another next key and",
                       " becomes ",
                       VoterText(*after)));
  }
  for (const Voter& v : next) {
    if (with(now, v) == now.end()) out.push_back(Join(what, " ", VoterText(v), " is new"));
  }
}

template <class T, class Text>
void Compare(
    std::string_view what, const T& now, const T& next, std::vector<std::string>& out, Text text) {
  if (now == next) return;
  const std::string was = text(now), is = text(next);
  out.push_back(
      Join(what, ": ", was.empty() ? "none" : was, " becomes ", is.empty() ? "none" : is));
}

}  // namespace

std::string ParamText(uint16_t id) {
  static const std::map<uint16_t, std::string_view> names = {
      {1, "ADMIT from this level, of 65536"},
      {2, "ADMIT is lost below"},
      {3, "CONSTRAIN from"},
      {4, "CONSTRAIN is lost below"},
      {5, "PROBATION from"},
      {6, "PROBATION is lost below"},
      {7, "dwell, seconds"},
      {8, "dwell, epochs"},
      {15, "gap cap"},
      {16, "first use, days"},
      {17, "fresh, seconds"},
      {18, "aging, seconds"},
      {19, "stale, seconds"},
      {20, "island, seconds"},
      {21, "age of a small mesh, seconds"},
      {24, "how votes are counted: 0 by weight, 1 by groups"}};
  const auto it = names.find(id);
  return it == names.end() ? Join("param ", id) : std::string(it->second);
}

std::string FlagsText(uint32_t flags) { return Listed(BitsOf(flags, kFlagNames)); }

std::string PrintCharter(const Charter& c) {
  std::string out = Join("# Version ", c.version, " of the charter of mesh ", c.name, ".\n");
  out += Join("# Change what has to change, then: aqmesh charter propose FILE\n\nversion = ",
              c.version,
              "\n");
  if (c.scope) out += Join("scope = \"", ToHex(*c.scope), "\"\n");
  if (c.prev) out += Join("prev = \"", ToHex(*c.prev), "\"\n");
  out += Join("created = ", c.created, "  # ", UtcText(c.created), "\n");
  out += Join("name = \"", c.name, "\"\nlevel = \"", kLevelNames[c.level % 4], "\"\n");
  if (c.parent) out += Join("parent = \"", ToHex(*c.parent), "\"\n");
  out += Join("profile = \"", kProfileNames[static_cast<size_t>(c.profile) % 3], "\"\n");
  out += Join("flags = ", Quoted(BitsOf(c.flags, kFlagNames)), "\n");
  if (c.grace != 0) out += Join("grace = ", c.grace, "  # seconds\n");
  std::string suites;
  for (const uint16_t s : c.suites) suites += Join(suites.empty() ? "" : ", ", "\"", s, "\"");
  out += Join("suites = [", suites, "]\n");
  if (c.pool4) out += Join("pool4 = \"", c.pool4->ToString(), "\"\n");
  out += Join("prefixes = ", Quoted(Words(c.prefixes)), "\ntags = ", Quoted(c.tags), "\n");
  if (c.replaces) out += Join("replaces = \"", ToHex(*c.replaces), "\"\n");
  out += Join("\n# Of the voters' weight: at least two thirds and one.\nq_reg = ", c.q_reg);
  out += Join("\nq_sens = ", c.q_sens, "  # voters, witnesses, quorums, flags\n");
  if (c.q_wit != 0) out += Join("q_wit = ", c.q_wit, "\n");
  PrintVoters(out, "voter", c.voters);
  PrintVoters(out, "witness", c.witnesses);
  for (const ClassRow& row : c.classes) PrintClass(out, row);
  for (const Param& p : c.params) PrintParam(out, p);
  for (const Svc& svc : c.probation)
    out += Join("\n[[probation]]\nservice = \"", SvcText(svc), "\"\n");
  return out;
}

absl::StatusOr<Charter> ParseCharter(std::string_view text, std::string_view file) {
  AQ_ASSIGN_OR_RETURN(const toml::table table, ParseToml(text, file));
  Reader r(table, file);
  Charter c;
  c.version = r.Number<uint32_t>("version", kMostU32);
  c.scope = r.Hex<ScopeId>("scope");
  c.prev = r.Hex<Oid>("prev");
  c.created = r.Number<uint64_t>("created", kMost);
  c.name = r.Must("name", r.toml().String("name"));
  c.level = static_cast<uint8_t>(r.Named("level", kLevelNames));
  c.parent = r.Hex<ScopeId>("parent");
  c.profile = static_cast<authority::Profile>(r.Named("profile", kProfileNames));
  c.flags = r.Bits("flags", kFlagNames);
  c.grace = r.Number<uint32_t>("grace", kMostU32);
  for (const std::string& suite : r.toml().Strings("suites", 64)) {
    const unsigned long number = std::strtoul(suite.c_str(), nullptr, 10);
    if (Join(number) != suite || number > 65'535)
      r.toml().Fail("suites", Join("`", suite, "` is no number of a suite"));
    c.suites.push_back(static_cast<uint16_t>(number));
  }
  if (const auto pool = r.toml().String("pool4")) c.pool4 = r.Net("pool4", *pool);
  for (const std::string& p : r.toml().Strings("prefixes", 32)) {
    if (const auto prefix = r.Net("prefixes", p)) c.prefixes.push_back(*prefix);
  }
  c.tags = r.toml().Strings("tags", 32);
  c.replaces = r.Hex<ScopeId>("replaces");
  c.q_reg = r.Number<uint32_t>("q_reg", kMostU32);
  c.q_sens = r.Number<uint32_t>("q_sens", kMostU32);
  c.q_wit = r.Number<uint32_t>("q_wit", kMostU32);
  AQ_RETURN_IF_ERROR(ReadList(r, "voter", file, c.voters, ReadVoter));
  AQ_RETURN_IF_ERROR(ReadList(r, "witness", file, c.witnesses, ReadVoter));
  AQ_RETURN_IF_ERROR(ReadList(r, "class", file, c.classes, ReadClass));
  AQ_RETURN_IF_ERROR(ReadList(r, "param", file, c.params, ReadParam));
  AQ_RETURN_IF_ERROR(ReadList(r, "probation", file, c.probation, ReadSvc));
  AQ_RETURN_IF_ERROR(r.Done());
  issuing::PutInOrder(c);
  return c;
}

std::vector<std::string> ChangesOf(const Charter& now, const Charter& next) {
  std::vector<std::string> out;
  const auto number = [](uint64_t v) { return Join(v); };
  const auto text = [](const std::string& v) { return v; };
  Compare("name", now.name, next.name, out, text);
  Compare("level", now.level, next.level, out, number);
  Compare("profile", now.profile, next.profile, out, [](authority::Profile p) {
    return std::string(kProfileNames[static_cast<size_t>(p) % 3]);
  });
  Compare("flags", now.flags, next.flags, out, FlagsText);
  Compare("grace", now.grace, next.grace, out, number);
  CompareVoters("voter", now.voters, next.voters, out);
  CompareVoters("witness", now.witnesses, next.witnesses, out);
  Compare("quorum", now.q_reg, next.q_reg, out, number);
  Compare("quorum for what is sensitive", now.q_sens, next.q_sens, out, number);
  Compare("quorum of the witnesses", now.q_wit, next.q_wit, out, number);
  Compare("suites", now.suites, next.suites, out, [](const std::vector<uint16_t>& suites) {
    std::vector<std::string> words;
    for (const uint16_t s : suites) words.push_back(Join(s));
    return Listed(words);
  });
  const auto nets = [](const std::vector<Prefix>& p) { return Listed(Words(p)); };
  Compare("prefixes", now.prefixes, next.prefixes, out, nets);
  Compare("pool4", now.pool4, next.pool4, out, [](const std::optional<Prefix>& p) {
    return p ? p->ToString() : std::string();
  });
  Compare("tags", now.tags, next.tags, out, Listed);
  const auto scope = [](const std::optional<ScopeId>& s) { return s ? ToHex(*s) : std::string(); };
  Compare("parent", now.parent, next.parent, out, scope);
  Compare("replaces", now.replaces, next.replaces, out, scope);
  for (uint8_t id = 2; id <= 16; ++id) {
    const auto row = [id](const Charter& c) {
      const auto at = std::ranges::find(c.classes, id, &ClassRow::id);
      return at == c.classes.end() ? std::optional<ClassRow>() : std::optional(*at);
    };
    const auto shown = [](const std::optional<ClassRow>& r) {
      if (!r) return std::string("the profile's row");
      std::string printed;
      PrintClass(printed, *r);
      std::ranges::replace(printed, '\n', ' ');
      return printed.substr(printed.find("may_issue"));
    };
    Compare(Join("class ", authority::ClassName(static_cast<authority::Class>(id))),
            row(now),
            row(next),
            out,
            shown);
  }
  std::map<uint16_t, std::pair<std::string, std::string>> params;
  for (const Param& p : now.params) params[p.id].first = Join(p.value);
  for (const Param& p : next.params) params[p.id].second = Join(p.value);
  for (const auto& [id, values] : params)
    Compare(Join("param ", id, " (", ParamText(id), ")"), values.first, values.second, out, text);
  Compare("probation", now.probation, next.probation, out, [](const std::vector<Svc>& rows) {
    std::vector<std::string> words;
    for (const Svc& svc : rows) words.push_back(SvcText(svc));
    return Listed(words);
  });
  return out;
}

}  // namespace aqmesh::cli
