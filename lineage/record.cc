#include "lineage/record.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include "core/base/status.h"
#include "core/wire/json.h"

namespace aqmesh::lineage {
namespace {

using authority::Observe;
using authority::RecordKind;
using authority::Rung;

constexpr std::array<std::string_view, 23> kKinds = {
    "",           "proposed",    "decided",         "weighted",    "attested",
    "armed",      "applied",     "verified",        "committed",   "rolled_back",
    "diverged",   "flow",        "remote_admitted", "revoke_seen", "checkpoint",
    "clock_step", "log_restart", "pardon",          "drops",       "escalated",
    "approved",   "redacted",    "retained"};
static_assert(kKinds[static_cast<size_t>(RecordKind::kRetained)] == "retained");
static_assert(kKinds[static_cast<size_t>(RecordKind::kFlow)] == "flow");

// The rows of spec/authority.md F, from 1.
constexpr std::array<std::string_view, 10> kActions = {"",
                                                       "drop",
                                                       "forward",
                                                       "install_peer",
                                                       "add_route",
                                                       "advertise",
                                                       "set_dns",
                                                       "issue_ssh",
                                                       "revoke",
                                                       "constitute"};

constexpr std::array<std::string_view, 6> kGateKeys = {
    "crypto", "trust", "corroboration", "freshness", "action", "local"};

constexpr size_t kShortIdBytes = 4;

std::string_view RungText(uint8_t rung) {
  return rung == 0 ? std::string_view("-") : authority::RungName(static_cast<Rung>(rung));
}

std::string ShortId(const Digest& leaf) { return ToHex(ByteView(leaf.bytes).first(kShortIdBytes)); }

std::string ActionText(uint16_t action) {
  const std::string_view name = ActionName(action);
  return name.empty() ? Join(action) : std::string(name);
}

std::string PeerName(const Kid& kid, const Names& names) {
  return names.peer ? names.peer(kid) : std::string();
}

// Whom a line speaks of: a name if there is one, else the first bytes of the key's id.
std::string Whom(const Observe& r, const Names& names) {
  if (!r.subject) return "-";
  const std::string name = PeerName(*r.subject, names);
  return name.empty() ? ToHex(ByteView(r.subject->bytes).first(kShortIdBytes)) : name;
}

void JsonGates(const authority::Gates& gates, wire::JsonWriter& json) {
  json.Key("gates").Object();
  for (size_t i = 0; i < gates.size(); ++i) json.Field(kGateKeys[i], RungText(gates[i]));
  json.End();
}

template <class List>
void JsonHexes(std::string_view key, const List& list, wire::JsonWriter& json) {
  json.Key(key).Array();
  for (const auto& item : list) json.Value(ToHex(item));
  json.End();
}

void JsonFlow(const authority::FlowSummary& flow, wire::JsonWriter& json) {
  json.Key("flow").Object();
  json.Field("frames", flow.frames).Field("bytes", flow.bytes);
  json.Field("first", flow.first).Field("last", flow.last).Field("tags", ToHex(flow.tags));
  JsonHexes("presentations", flow.presentations, json);
  json.Field("drops", flow.drops).End();
}

void JsonDrops(const std::vector<authority::DropCount>& drops,
               const Names& names,
               wire::JsonWriter& json) {
  json.Key("drops").Array();
  for (const authority::DropCount& drop : drops) {
    json.Object().Field("reason", ReasonName(drop.reason, names)).Field("reason_code", drop.reason);
    json.Field("count", drop.count).End();
  }
  json.End();
}

// Builds a page of "name  value" lines.
class Page {
 public:
  void Line(std::string_view name, std::string_view value) {
    out_ += name;
    out_.append(name.size() < kNameColumns ? kNameColumns - name.size() : 1, ' ');
    out_ += value;
    out_ += '\n';
  }
  void Hex(std::string_view name, ByteView value) { Line(name, ToHex(value)); }
  template <class T>
  void HexIf(std::string_view name, const std::optional<T>& value) {
    if (value) Hex(name, *value);
  }
  std::string Done() { return std::move(out_); }

 private:
  static constexpr size_t kNameColumns = 14;
  std::string out_;
};

std::string Q16Text(int64_t q16) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", static_cast<double>(q16) / 65'536.0);  // for eyes alone
  return text;
}

void PageVerdict(const Observe& r, Page& page) {
  if (r.gates) {
    std::string gates;
    for (size_t i = 0; i < r.gates->size(); ++i) {
      gates += Join(i == 0 ? "" : "  ", kGateKeys[i], " ", RungText((*r.gates)[i]));
    }
    page.Line("gates", gates);
  }
  if (HasWeights(r)) {
    page.Line("trust",
              Join(Q16Text(r.ladm),
                   "  slope ",
                   Q16Text(int64_t{r.slope} - kSlopeZero),
                   "  corroboration ",
                   r.corr,
                   "/1000"));
  }
  if (r.rung != Rung::kNone) page.Line("rung", authority::RungName(r.rung));
}

void PageCounts(const Observe& r, const Names& names, Page& page) {
  if (r.flow) {
    page.Line("flow",
              Join(r.flow->frames,
                   " frames, ",
                   r.flow->bytes,
                   " bytes, counters ",
                   r.flow->first,
                   "..",
                   r.flow->last,
                   ", ",
                   r.flow->drops,
                   " dropped"));
    page.Hex("tags", r.flow->tags);
    for (const Oid& oid : r.flow->presentations) page.Hex("presentation", oid);
  }
  for (const authority::DropCount& drop : r.drops) {
    page.Line("drops", Join(drop.count, "  ", ReasonName(drop.reason, names)));
  }
  for (const Digest& commit : r.commits) page.Hex("commits", commit);
}

template <class T>
void JsonHexIf(std::string_view key, const std::optional<T>& value, wire::JsonWriter& json) {
  if (value) json.Field(key, ToHex(*value));
}

void JsonIds(const Observe& r, const Names& names, wire::JsonWriter& json) {
  json.Field("log", ToHex(r.log));
  JsonHexIf("prev", r.prev, json);
  JsonHexIf("scope", r.scope, json);
  JsonHexIf("subject", r.subject, json);
  const std::string name = r.subject ? PeerName(*r.subject, names) : std::string();
  if (!name.empty()) json.Field("subject_name", name);
  JsonHexIf("authority", r.authority, json);
  JsonHexIf("inputs", r.inputs, json);
}

void JsonVerdict(const Observe& r, wire::JsonWriter& json) {
  if (r.gates) JsonGates(*r.gates, json);
  if (HasWeights(r)) {
    json.Field("ladm_q16", r.ladm).Field("slope_q16", int64_t{r.slope} - kSlopeZero);
    json.Field("corr_milli", r.corr);
  }
  if (r.rung != Rung::kNone) json.Field("rung", authority::RungName(r.rung));
  if (r.action != 0) json.Field("action", ActionText(r.action));
  JsonHexIf("action_id", r.action_id, json);
  if (r.intent_gen != 0) json.Field("intent_gen", r.intent_gen);
  if (r.observed_gen != 0) json.Field("observed_gen", r.observed_gen);
}

bool StartsWith(ByteView whole, ByteView prefix) {
  return prefix.size() <= whole.size() && Equal(whole.first(prefix.size()), prefix);
}

}  // namespace

std::string_view KindName(RecordKind kind) {
  const auto i = static_cast<size_t>(kind);
  return i < kKinds.size() ? kKinds[i] : std::string_view();
}

std::optional<RecordKind> KindNamed(std::string_view name) {
  for (size_t i = 1; i < kKinds.size(); ++i) {
    if (kKinds[i] == name) return static_cast<RecordKind>(i);
  }
  return std::nullopt;
}

std::optional<Rung> RungNamed(std::string_view name) {
  std::string upper(name);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  for (uint8_t i = 1; i <= static_cast<uint8_t>(Rung::kAdmit); ++i) {
    if (authority::RungName(static_cast<Rung>(i)) == upper) return static_cast<Rung>(i);
  }
  return std::nullopt;
}

std::string_view ActionName(uint16_t action) {
  return action < kActions.size() ? kActions[action] : std::string_view();
}

bool HasWeights(const Observe& r) {
  return r.gates || r.kind == RecordKind::kWeighted || r.ladm != 0 || r.slope != 0 || r.corr != 0;
}

std::string ReasonName(uint16_t reason, const Names& names) {
  if (reason == 0) return "";
  if (reason < authority::kReasonCount) {
    return std::string(authority::ReasonName(static_cast<authority::Reason>(reason)));
  }
  if (reason >= kFirstDropReason && names.drop) {
    const std::string_view name = names.drop(static_cast<uint16_t>(reason - kFirstDropReason));
    if (!name.empty()) return std::string(name);
  }
  return Join("reason ", reason);
}

std::string TimeText(uint64_t hlc) {
  namespace chrono = std::chrono;
  const chrono::milliseconds since_1970(static_cast<int64_t>(MillisFromHlc(hlc)));
  const auto day = chrono::floor<chrono::days>(since_1970);
  const chrono::year_month_day date{chrono::sys_days(day)};
  const chrono::hh_mm_ss<chrono::milliseconds> time(since_1970 - day);
  char text[48];
  std::snprintf(text,
                sizeof text,
                "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()),
                static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()),
                static_cast<int>(time.subseconds().count()));
  return text;
}

std::string RenderLine(const Observe& r, const Digest& leaf, const Names& names) {
  std::string line =
      Join(TimeText(r.hlc), "  ", ShortId(leaf), "  ", KindName(r.kind), "  ", Whom(r, names));
  if (r.rung != Rung::kNone) line += Join("  ", authority::RungName(r.rung));
  if (r.action != 0) line += Join("  ", ActionText(r.action));
  if (r.flow) line += Join("  ", r.flow->frames, " frames, ", r.flow->bytes, " bytes");
  for (const authority::DropCount& drop : r.drops)
    line += Join("  ", drop.count, " x ", ReasonName(drop.reason, names));
  if (r.reason != 0) line += Join("  (", ReasonName(r.reason, names), ")");
  return line;
}

std::string RenderPage(const Observe& r, const Digest& leaf, const Names& names) {
  Page page;
  page.Hex("record", leaf);
  page.Line("seq", Join(r.seq));
  page.Line("time", TimeText(r.hlc));
  page.Line("kind", KindName(r.kind));
  page.Hex("log", r.log);
  page.HexIf("prev", r.prev);
  page.HexIf("scope", r.scope);
  if (r.subject) {
    const std::string name = PeerName(*r.subject, names);
    page.Line("subject", name.empty() ? ToHex(*r.subject) : Join(name, "  ", ToHex(*r.subject)));
  }
  page.HexIf("authority", r.authority);
  page.HexIf("inputs", r.inputs);
  PageVerdict(r, page);
  if (r.action != 0) page.Line("action", ActionText(r.action));
  page.HexIf("action_id", r.action_id);
  if (r.kind == authority::RecordKind::kClockStep) {
    page.Line("wall clock",
              Join(TimeText(HlcFromMillis(r.observed_gen)),
                   " where ",
                   TimeText(HlcFromMillis(r.intent_gen)),
                   " was due"));
  } else if (r.intent_gen != 0 || r.observed_gen != 0) {
    page.Line("generation", Join("intended ", r.intent_gen, ", observed ", r.observed_gen));
  }
  page.HexIf("evidence", r.evidence);
  if (r.reason != 0) page.Line("reason", ReasonName(r.reason, names));
  PageCounts(r, names, page);
  return page.Done();
}

std::string RenderJson(const Observe& r, const Digest& leaf, const Names& names) {
  wire::JsonWriter json;
  json.Object().Field("id", ToHex(leaf)).Field("seq", r.seq).Field("time", TimeText(r.hlc));
  json.Field("hlc", Join(r.hlc)).Field("kind", KindName(r.kind));
  JsonIds(r, names, json);
  JsonVerdict(r, json);
  JsonHexIf("evidence", r.evidence, json);
  if (r.reason != 0)
    json.Field("reason", ReasonName(r.reason, names)).Field("reason_code", r.reason);
  if (!r.commits.empty()) JsonHexes("commits", r.commits, json);
  if (r.flow) JsonFlow(*r.flow, json);
  if (!r.drops.empty()) JsonDrops(r.drops, names, json);
  json.End();
  return json.Take();
}

bool Matches(const Filter& filter, const Observe& r, const Digest& leaf) {
  if (r.hlc < filter.from) return false;
  if (filter.to != std::numeric_limits<uint64_t>::max() && r.hlc >= filter.to) return false;
  if (filter.subject && r.subject != filter.subject) return false;
  if (filter.peer && r.subject != filter.peer && r.log != *filter.peer) return false;
  if (!filter.authority_prefix.empty() &&
      !(r.authority && StartsWith(*r.authority, filter.authority_prefix))) {
    return false;
  }
  if (!StartsWith(leaf, filter.id_prefix)) return false;
  if (filter.rung && r.rung != *filter.rung) return false;
  if (filter.kind && r.kind != *filter.kind) return false;
  return true;
}

}  // namespace aqmesh::lineage
