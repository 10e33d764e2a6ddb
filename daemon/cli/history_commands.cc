// lineage state and diff: who could reach what at an instant, and what changed between two.
#include <algorithm>

#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/history_view.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/lineage_source.h"
#include "daemon/cli/text.h"
#include "lineage/history/replay.h"

namespace aqmesh::cli {

namespace {

using authority::Rung;
using wire::JsonWriter;

constexpr int32_t kSlopeZero = 65'536;  // slope is recorded as Q16 + 65536

// What the commands here look at: a store, and what is known in it.
struct Archive {
  std::unique_ptr<lineage::Store> store;
  KnownObjects known;
  Kid own;
};

absl::StatusOr<Archive> OpenArchive(Session& s) {
  Archive out;
  AQ_ASSIGN_OR_RETURN(out.store, s.Lineage());
  AQ_ASSIGN_OR_RETURN(out.known, LoadObjects(*out.store));
  AQ_ASSIGN_OR_RETURN(const std::optional<Kid> own, s.OwnerOf(*out.store, out.known));
  out.own = own.value_or(Kid{});
  return out;
}

// The end of the millisecond: what was recorded in it counts. Nothing typed: now.
absl::StatusOr<uint64_t> Until(Session& s, std::string_view flag, const std::string& text) {
  if (text.empty()) return UINT64_MAX;
  const auto at = ParseWhen(text, s.now());
  if (!at.ok()) return s.Usage(Join(flag, ": ", Text(at.status())));
  return lineage::HlcFromMillis(*at * 1'000) | 0xffff;
}

absl::StatusOr<StateView> ViewAt(Archive& archive, uint64_t hlc) {
  AQ_ASSIGN_OR_RETURN(const lineage::State state, lineage::StateAt(*archive.store, hlc));
  return ViewOf(*archive.store, state, archive.own, archive.known);
}

std::string NameText(const SubjectView& v) { return v.name.empty() ? ShortId(v.kid) : v.name; }

std::string SignerText(const SubjectView& v, const KnownObjects& known) {
  if (!v.leaf) return "";
  const Kid& signer = v.leaf->signer();
  for (const auto& g : known.grants) {
    if (!g.body.name.empty() && authority::KidOf(g.body.suite, g.body.key) == signer)
      return g.body.name;
  }
  for (const auto& c : known.charters) {
    for (const authority::Voter& voter : c.body.voters) {
      if (authority::KidOf(voter.suite, voter.key) == signer) return "root";
    }
  }
  return ShortId(signer);
}

// ---- state

struct StateFlags {
  std::string at, node;
};

void PutRuling(const lineage::Ruling& r, const lineage::Names& names, JsonWriter& w) {
  w.Object().Field("id", ToHex(r.leaf)).Field("seq", r.seq);
  w.Field("time", lineage::TimeText(r.hlc)).Field("kind", lineage::KindName(r.kind));
  w.Field("rung", authority::RungName(r.rung));
  if (r.authority) w.Field("authority", ToHex(*r.authority));
  if (r.inputs) w.Field("inputs", ToHex(*r.inputs));
  if (r.gates) {
    w.Key("gates").Array();
    for (const uint8_t rung : *r.gates) w.Value(authority::RungName(static_cast<Rung>(rung)));
    w.End();
  }
  w.Field("ladm_q16", r.ladm);
  if (r.slope != 0) w.Field("slope_q16", static_cast<int32_t>(r.slope) - kSlopeZero);
  if (r.corr != 0) w.Field("corr_milli", r.corr);
  if (r.reason != 0) w.Field("reason", lineage::ReasonName(r.reason, names));
  w.End();
}

void PutDeed(const lineage::Deed& d, JsonWriter& w) {
  constexpr std::string_view kStages[] = {
      "", "armed", "applied", "verified", "committed", "diverged"};
  w.Object().Field("action_id", ToHex(d.id)).Field("action", lineage::ActionName(d.action));
  w.Field("stage", kStages[static_cast<size_t>(d.stage)]);
  w.Field("since", lineage::TimeText(d.since)).End();
}

void PutSubject(const SubjectView& v,
                const KnownObjects& known,
                const lineage::Names& names,
                JsonWriter& w) {
  w.Object().Field("kid", ToHex(v.kid));
  if (!v.name.empty()) w.Field("name", v.name);
  w.Field("in_force", v.subject.in_force.has_value()).Field("rung", authority::RungName(v.rung()));
  if (v.subject.in_force) {
    w.Key("action");
    PutDeed(*v.subject.in_force, w);
  }
  if (v.ruling) {
    w.Key("decision");
    PutRuling(*v.ruling, names, w);
  }
  const lineage::Ruling* newest = v.subject.newest();
  if (newest && v.ruling && newest->seq != v.ruling->seq) {
    w.Key("newest_decision");
    PutRuling(*newest, names, w);
  }
  if (const std::string signer = SignerText(v, known); !signer.empty())
    w.Field("signed_by", signer);
  w.Key("routes").Array();
  for (const std::string& address : v.addresses()) w.Value(address);
  w.End().Key("objects").Array();
  for (const Oid& oid : v.objects()) w.Value(ToHex(oid));
  w.End().Key("rules").Array();
  for (const RuleView& r : RulesOf(v)) {
    w.Object().Field("text", r.text).Field("fragment", ToHex(r.fragment));
    w.Field("signer", ToHex(r.signer)).Field("speaks", r.speaks).End();
  }
  w.End().Key("open").Array();
  for (const lineage::Deed& d : v.subject.open) PutDeed(d, w);
  w.End().Key("carried").Object().Field("frames", v.subject.carried.frames);
  w.Field("bytes", v.subject.carried.bytes).End().End();
}

std::string StateJson(const StateView& view,
                      const std::vector<const SubjectView*>& subjects,
                      const KnownObjects& known) {
  const lineage::Names names = NamesOf(known);
  JsonWriter w;
  w.Object().Field("schema", "aqmesh.state/1").Field("records", view.records);
  if (view.records > 0) {
    w.Field("log", view.log).Field("time", lineage::TimeText(view.hlc));
    w.Field("hlc", Join(view.hlc));
  }
  if (view.tables) {
    w.Key("tables");
    PutDeed(*view.tables, w);
  }
  w.Key("subjects").Array();
  for (const SubjectView* v : subjects) PutSubject(*v, known, names, w);
  w.End().End();
  return Join(w.Take(), "\n");
}

std::string Level(uint32_t q16) {
  const uint32_t thousandths = (q16 * 1'000u + 32'768u) / 65'536u;
  const std::string digits = Join(thousandths % 1'000 + 1'000);
  return Join(thousandths / 1'000, ".", digits.substr(1));
}

std::string StandingText(const std::vector<const SubjectView*>& subjects,
                         const KnownObjects& known,
                         size_t columns) {
  const lineage::Names names = NamesOf(known);
  Table in({"NODE", "RUNG", "SINCE", "SIGNED BY", "LEVEL", "SLOPE", "ROUTES", "DECISION", "WHY"});
  bool any = false;
  for (const SubjectView* v : subjects) {
    if (!v->subject.in_force) continue;
    any = true;
    const auto& r = v->ruling;
    const bool known_ruling = v->subject.ground() != nullptr && r.has_value();
    const bool sloped = known_ruling && r->slope != 0;
    const int32_t slope = sloped ? static_cast<int32_t>(r->slope) - kSlopeZero : 0;
    in.Row({NameText(*v),
            std::string(authority::RungName(v->rung())),
            UtcText(lineage::MillisFromHlc(v->subject.in_force->since) / 1'000),
            SignerText(*v, known),
            known_ruling ? Level(r->ladm) : "",
            sloped ? Join(slope < 0 ? "-" : "", Level(static_cast<uint32_t>(std::abs(slope)))) : "",
            Listed(v->addresses()),
            known_ruling ? ShortId(r->leaf) : "",
            known_ruling ? lineage::ReasonName(r->reason, names) : ""});
  }
  return any ? in.Print(columns) : "Nobody was let in.\n";
}

// Each set of rules once, under those whom it serves.
std::string RulesText(const std::vector<const SubjectView*>& subjects) {
  std::vector<std::pair<std::vector<std::string>, std::vector<std::string>>> groups;
  for (const SubjectView* v : subjects) {
    if (!v->subject.in_force || v->rung() < Rung::kProbation) continue;
    std::vector<std::string> rules;
    for (const RuleView& r : RulesOf(*v)) {
      if (r.speaks) rules.push_back(Join(r.text, "  (fragment ", ShortId(r.fragment), ")"));
    }
    if (rules.empty()) rules.push_back("nothing: no rule of its fragments speaks of it");
    const auto it = std::ranges::find(groups, rules, [](const auto& g) { return g.first; });
    if (it == groups.end()) {
      groups.push_back({rules, {NameText(*v)}});
    } else {
      it->second.push_back(NameText(*v));
    }
  }
  std::string out;
  for (const auto& [rules, names] : groups) {
    out +=
        Join("\n", Listed(names), " may reach, as far as the rung and the local policy let it:\n");
    for (const std::string& rule : rules) out += Join("  ", rule, "\n");
  }
  return out;
}

std::string RefusedText(const std::vector<const SubjectView*>& subjects,
                        const KnownObjects& known,
                        size_t columns) {
  const lineage::Names names = NamesOf(known);
  Table out({"NOT LET IN", "LAST DECISION", "WHEN", "WHY", "DECISION"});
  bool any = false;
  for (const SubjectView* v : subjects) {
    const lineage::Ruling* r = v->subject.newest();
    if (v->subject.in_force || r == nullptr) continue;
    any = true;
    out.Row({NameText(*v),
             std::string(authority::RungName(r->rung)),
             UtcText(lineage::MillisFromHlc(r->hlc) / 1'000),
             lineage::ReasonName(r->reason, names),
             ShortId(r->leaf)});
  }
  return any ? Join("\n", out.Print(columns)) : "";
}

absl::StatusOr<int> ShowState(Session& s, const StateFlags& flags) {
  AQ_ASSIGN_OR_RETURN(Archive archive, OpenArchive(s));
  AQ_ASSIGN_OR_RETURN(const uint64_t hlc, Until(s, "--at", flags.at));
  AQ_ASSIGN_OR_RETURN(const StateView view, ViewAt(archive, hlc));
  std::optional<Kid> only;
  if (!flags.node.empty()) {
    AQ_ASSIGN_OR_RETURN(only, KidNamed(archive.known, flags.node));
  }
  std::vector<const SubjectView*> subjects;
  for (const SubjectView& v : view.subjects) {
    if (!only || v.kid == *only) subjects.push_back(&v);
  }
  if (s.json) {
    s.Out(StateJson(view, subjects, archive.known));
    return 0;
  }
  if (view.records == 0) {
    s.Out("Nothing was recorded by then.\n");
    return 0;
  }
  if (only && subjects.empty()) {
    s.Out(Join(flags.node, " was not known by then.\n"));
    return 0;
  }
  const size_t columns = s.env().columns;
  s.Out(Join(
      "After record ",
      view.records - 1,
      ", ",
      lineage::TimeText(view.hlc),
      ":\n",
      StandingText(subjects, archive.known, columns),
      RulesText(subjects),
      RefusedText(subjects, archive.known, columns),
      view.tables || only ? "" : "\nThis machine's own addresses and routes were not there.\n"));
  return 0;
}

// ---- diff

struct DiffFlags {
  std::string from, to;
};

struct Change {
  const SubjectView* before = nullptr;  // either may be missing
  const SubjectView* after = nullptr;
  std::vector<std::string> what;  // "rung", "authority", "routes", "rules", "refused"
};

Rung RungOf(const SubjectView* v) { return v ? v->rung() : Rung::kNone; }

std::vector<std::string> RuleTexts(const SubjectView* v) {
  std::vector<std::string> out;
  if (v == nullptr) return out;
  for (const RuleView& r : RulesOf(*v)) {
    if (r.speaks) out.push_back(r.text);
  }
  std::ranges::sort(out);
  return out;
}

std::optional<Change> Compare(const SubjectView* before, const SubjectView* after) {
  Change c{before, after, {}};
  const auto differs = [&c](bool does, std::string_view what) {
    if (does) c.what.emplace_back(what);
  };
  const bool both = RungOf(before) != Rung::kNone && RungOf(after) != Rung::kNone;
  differs(RungOf(before) != RungOf(after), "rung");
  if (both) {
    differs(before->ruling->authority != after->ruling->authority, "authority");
    differs(before->addresses() != after->addresses(), "routes");
    differs(RuleTexts(before) != RuleTexts(after), "rules");
  }
  const lineage::Ruling* was = before ? before->subject.newest() : nullptr;
  const lineage::Ruling* is = after ? after->subject.newest() : nullptr;
  const bool refused = is && is->rung < Rung::kEscalate && (!was || was->seq != is->seq);
  differs(refused && RungOf(before) == RungOf(after), "refused");
  return c.what.empty() ? std::nullopt : std::optional(std::move(c));
}

std::vector<Change> ChangesOf(const StateView& a, const StateView& b) {
  std::map<Kid, std::pair<const SubjectView*, const SubjectView*>> both;
  for (const SubjectView& v : a.subjects) both[v.kid].first = &v;
  for (const SubjectView& v : b.subjects) both[v.kid].second = &v;
  std::vector<Change> out;
  for (const auto& [kid, pair] : both) {
    if (auto c = Compare(pair.first, pair.second)) out.push_back(*std::move(c));
  }
  const auto name = [](const Change& c) { return NameText(c.after ? *c.after : *c.before); };
  std::ranges::stable_sort(out, {}, name);
  return out;
}

std::string ChangeText(const Change& c, const lineage::Names& names) {
  const SubjectView& shown = c.after ? *c.after : *c.before;
  const Rung was = RungOf(c.before), is = RungOf(c.after);
  const char sign = was == Rung::kNone && is != Rung::kNone   ? '+'
                    : was != Rung::kNone && is == Rung::kNone ? '-'
                                                              : '~';
  std::string text(1, sign);
  text += Join(" ", NameText(shown), "  ");
  const lineage::Ruling* newest = c.after ? c.after->subject.newest() : nullptr;
  if (sign == '+') {
    text += Join("let in, ", authority::RungName(is));
  } else if (sign == '-') {
    text += Join("no longer let in, was ", authority::RungName(was));
  } else if (was != is) {
    text += Join(authority::RungName(was), " -> ", authority::RungName(is));
  }
  for (const std::string& what : c.what) {
    if (what == "rung") continue;
    text += Join(text.ends_with("  ") ? "" : ", ",
                 what == "refused" ? "refused" : Join("other ", what));
  }
  const uint16_t reason =
      newest && (sign != '+' || is < Rung::kAdmit) ? newest->reason : uint16_t{0};
  return reason == 0 ? text : Join(text, "  (", lineage::ReasonName(reason, names), ")");
}

void PutEnd(std::string_view key, const StateView& v, JsonWriter& w) {
  w.Key(key).Object().Field("records", v.records);
  if (v.records > 0) w.Field("time", lineage::TimeText(v.hlc)).Field("hlc", Join(v.hlc));
  w.End();
}

std::string DiffJson(const StateView& from,
                     const StateView& to,
                     const std::vector<Change>& changes,
                     const KnownObjects& known) {
  const lineage::Names names = NamesOf(known);
  JsonWriter w;
  w.Object().Field("schema", "aqmesh.state-diff/1");
  PutEnd("from", from, w);
  PutEnd("to", to, w);
  w.Key("changes").Array();
  for (const Change& c : changes) {
    const SubjectView& shown = c.after ? *c.after : *c.before;
    w.Object().Field("kid", ToHex(shown.kid));
    if (!shown.name.empty()) w.Field("name", shown.name);
    w.Key("what").Array();
    for (const std::string& what : c.what) w.Value(what);
    w.End();
    if (c.before) {
      w.Key("before");
      PutSubject(*c.before, known, names, w);
    }
    if (c.after) {
      w.Key("after");
      PutSubject(*c.after, known, names, w);
    }
    w.End();
  }
  w.End().End();
  return Join(w.Take(), "\n");
}

absl::StatusOr<int> Diff(Session& s, const DiffFlags& flags) {
  AQ_ASSIGN_OR_RETURN(Archive archive, OpenArchive(s));
  AQ_ASSIGN_OR_RETURN(const uint64_t first, Until(s, "FROM", flags.from));
  AQ_ASSIGN_OR_RETURN(const uint64_t second, Until(s, "TO", flags.to));
  if (second < first) return s.Usage("the first instant lies after the second");
  AQ_ASSIGN_OR_RETURN(const StateView from, ViewAt(archive, first));
  AQ_ASSIGN_OR_RETURN(const StateView to, ViewAt(archive, second));
  const std::vector<Change> changes = ChangesOf(from, to);
  if (s.json) {
    s.Out(DiffJson(from, to, changes, archive.known));
    return 0;
  }
  const lineage::Names names = NamesOf(archive.known);
  std::string text;
  for (const Change& c : changes) text += Join(ChangeText(c, names), "\n");
  s.Out(text);
  s.Say(Join(to.records - from.records,
             " records lie between; ",
             changes.empty() ? "nobody's standing changed" : Join(changes.size(), " changed"),
             "."));
  return 0;
}

}  // namespace

void AddHistory(Tree& tree, CLI::App* lineage) {
  auto state = std::make_shared<StateFlags>();
  CLI::App* app = tree.Command(lineage,
                               "state",
                               "Show who could reach what at an instant",
                               "aqmesh lineage state --at 2026-11-21T14:00Z --node borealis",
                               [state](Session& s) { return ShowState(s, *state); });
  app->add_option("--at", state->at, "The instant: 2h (ago), 2026-11-21T14:00Z; now if not given");
  app->add_option("--node", state->node, "Only this node: name or key");
  tree.Lineage(app);
  tree.Json(app);

  auto diff = std::make_shared<DiffFlags>();
  app = tree.Command(lineage,
                     "diff",
                     "Show what changed between two instants",
                     "aqmesh lineage diff 2h 1h",
                     [diff](Session& s) { return Diff(s, *diff); });
  app->add_option("FROM", diff->from, "The first instant: 2h (ago), 2026-11-21T14:00Z")->required();
  app->add_option("TO", diff->to, "The second; now if not given");
  tree.Lineage(app);
  tree.Json(app);
}

}  // namespace aqmesh::cli
