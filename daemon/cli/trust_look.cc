// trust list, show and plot: how far each key is trusted at an instant, from the lineage alone.
#include <algorithm>

#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/history_view.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/text.h"
#include "daemon/cli/trust_page.h"
#include "daemon/cli/trust_plot.h"
#include "daemon/cli/trust_view.h"
#include "lineage/history/replay.h"

namespace aqmesh::cli {

namespace {

using authority::Rung;
using wire::JsonWriter;

constexpr uint64_t kDay = 86'400;
constexpr uint64_t kPlotSpan = 30 * kDay;  // if no --since says otherwise
constexpr uint64_t kPlotSpanLeast = 3'600;

absl::StatusOr<Asked> AskedAt(Session& s, const std::string& at) {
  if (at.empty()) return Asked{.seconds = s.now()};
  const auto when = ParseWhen(at, s.now());
  if (!when.ok()) return s.Usage(Join("--at: ", Text(when.status())));
  // The end of the millisecond: what was recorded in it counts.
  return Asked{.seconds = *when, .until = lineage::HlcFromMillis(*when * 1'000) | 0xffff};
}

// Who may be spoken of: names for them, and all whom the log is about, if that is known.
struct Register {
  KnownObjects known;
  std::optional<std::vector<Kid>> subjects;
};

absl::StatusOr<Register> RegisterAt(const lineage::Store& store, uint64_t until) {
  Register out;
  AQ_ASSIGN_OR_RETURN(out.known, LoadObjects(store));
  const auto state = lineage::StateAt(store, until);
  // Segments that begin in the middle of a log come to no state.
  if (absl::IsFailedPrecondition(state.status()) && store.first() > 0) return out;
  AQ_RETURN_IF_ERROR(state.status());
  if (state->forgotten() == 0) out.subjects = state->Subjects();
  AQ_RETURN_IF_ERROR(ViewOf(store, *state, Kid{}, out.known).status());
  return out;
}

bool IsVoter(const KnownObjects& known, const Kid& key) {
  return std::ranges::any_of(known.charters, [&key](const auto& c) {
    return std::ranges::any_of(c.body.voters, [&key](const authority::Voter& v) {
      return authority::KidOf(v.suite, v.key) == key;
    });
  });
}

std::string NameOf(const KnownObjects& known, const lineage::Names& names, const Kid& key) {
  const std::string name = names.peer(key);
  return name.empty() && IsVoter(known, key) ? "root" : name;
}

// Also voters, who hold no grant, and keys of which the log alone knows.
absl::StatusOr<Kid> KeyNamed(const lineage::Store& store,
                             const std::string& text,
                             KnownObjects& known) {
  absl::StatusOr<Kid> kid = KidInLog(store, text, known);
  if (!absl::IsNotFound(kid.status())) return kid;
  std::vector<Kid> fit;
  const auto look = [&](const Kid& key, bool named) {
    const bool fits = named || (text.size() >= 4 && ToHex(key).starts_with(text));
    if (fits && std::ranges::find(fit, key) == fit.end()) fit.push_back(key);
  };
  if (known.charter() != nullptr) {
    for (const authority::Voter& v : known.charter()->body.voters)
      look(authority::KidOf(v.suite, v.key), text == "root");
  }
  AQ_ASSIGN_OR_RETURN(const Register all, RegisterAt(store, UINT64_MAX));
  for (const Kid& key : all.subjects.value_or(std::vector<Kid>())) look(key, false);
  if (fit.size() > 1)
    return InvalidArgument("`", text, "` names more than one key; give digits of it");
  if (fit.size() == 1) return fit[0];
  return NotFound(
      "nobody here is called `", text, "`; `aqmesh trust list` shows whom something is known of");
}

// ---- list

struct ListFlags {
  std::string at;
};

struct Row {
  Kid key;
  std::string name;
  const Fold* fold = nullptr;  // nullptr: nothing was weighed of it
  std::optional<authority::Class> cls;
  trust::Reading reading;
  Rung rung{};
  std::string state() const {
    if (fold != nullptr) return std::string(StateWord(reading));
    return cls ? Join("as ", authority::ClassName(*cls)) : "";
  }
};

std::vector<Row> RowsOf(const Register& all,
                        const std::map<Kid, Fold>& folds,
                        const Measure& measure,
                        const Asked& at) {
  const lineage::Names names = NamesOf(all.known);
  const auto promises = PromisesAt(all.known, folds, measure, at.seconds);
  std::map<Kid, Row> rows;
  for (const auto& [key, promise] : promises) {
    Row& row = rows[key];
    row.cls = promise.cls;
    row.reading = measure.Read(trust::Standing::New(promise.level, at.epoch()), at.epoch());
  }
  for (const auto& [key, fold] : folds) {
    Row& row = rows[key];
    row.fold = &fold;
    row.reading = measure.Read(fold.after(), at.epoch());
  }
  std::vector<Row> out;
  for (auto& [key, row] : rows) {
    row.key = key;
    row.name = NameOf(all.known, names, key);
    row.rung = measure.RungOf(row.reading);
    out.push_back(std::move(row));
  }
  std::ranges::sort(out, [](const Row& a, const Row& b) {
    // Those without a name last.
    if (a.name.empty() != b.name.empty()) return b.name.empty();
    return a.name != b.name ? a.name < b.name : a.key < b.key;
  });
  return out;
}

std::string ListJson(const std::vector<Row>& rows, const Asked& at) {
  JsonWriter w;
  w.Object().Field("schema", "aqmesh.trust/1").Field("time", at.seconds);
  w.Field("epoch", at.epoch()).Key("keys").Array();
  for (const Row& row : rows) {
    w.Object().Field("kid", ToHex(row.key));
    if (!row.name.empty()) w.Field("name", row.name);
    if (row.cls) w.Field("class", authority::ClassName(*row.cls));
    w.Field("weighed", row.fold != nullptr).Field("state", row.state());
    PutReading(row.reading, row.rung, w);
    if (row.fold != nullptr) {
      w.Field("last", lineage::TimeText(row.fold->hlc)).Field("record", row.fold->seq);
    }
    w.End();
  }
  w.End().End();
  return Join(w.Take(), "\n");
}

absl::StatusOr<int> List(Session& s, const ListFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const Asked at, AskedAt(s, flags.at));
  AQ_ASSIGN_OR_RETURN(const auto store, s.Lineage());
  AQ_ASSIGN_OR_RETURN(const Register all, RegisterAt(*store, at.until));
  AQ_ASSIGN_OR_RETURN(const auto folds, NewestFolds(*store, at.until, all.subjects));
  // One charter for all: that of the newest weighing.
  std::optional<Oid> charter;
  uint64_t newest = 0;
  for (const auto& [key, fold] : folds) {
    if (!charter || fold.seq >= newest) charter = fold.charter, newest = fold.seq;
  }
  AQ_ASSIGN_OR_RETURN(const Measure measure, MeasureBy(*store, all.known, charter));
  const std::vector<Row> rows = RowsOf(all, folds, measure, at);
  if (s.json) {
    s.Out(ListJson(rows, at));
    return 0;
  }
  Table table({"NAME", "LEVEL", "SLOPE", "SCARS", "STATE", "LAST", "EARNS"});
  for (const Row& row : rows) {
    const bool weighed = row.fold != nullptr;
    table.Row(
        {Called(row.name, row.key),
         LevelText(row.reading.ladm),
         weighed ? SlopeText(row.reading.slope) : "",
         weighed ? Join(row.reading.scar) : "",
         row.state(),
         weighed ? AgoText(lineage::MillisFromHlc(row.fold->hlc) / 1'000, at.seconds) : "never",
         std::string(authority::RungName(row.rung))});
  }
  s.Out(rows.empty() ? "Nobody was weighed by then.\n" : table.Print(s.env().columns));
  return 0;
}

// ---- show

struct ShowFlags {
  std::string key, at;
};

// What an epoch after the last brings nothing to decays it and does no more.
trust::Standing DecayedTo(trust::Standing s, uint64_t epoch) {
  s.Step(std::max(epoch, s.last), {});
  return s;
}

// Of the 288 epochs that were over.
uint32_t AverageFor(std::span<const Fold> folds, uint64_t epoch) {
  uint64_t sum = 0;
  for (const Fold& f : folds) {
    if (f.epoch < epoch && f.epoch + trust::kEpochsPerDay >= epoch)
      sum += std::min(f.evidence.r, trust::kGoodPerEpoch);
  }
  return static_cast<uint32_t>(sum / trust::kEpochsPerDay);
}

absl::Status NeverWeighed(const std::string& name, const Kid& key, const Asked& at) {
  return NotFound("nothing of ",
                  Called(name, key),
                  name.empty() ? "" : Join(" (", ShortId(key), ")"),
                  " was weighed by ",
                  UtcText(at.seconds),
                  "; `aqmesh trust list` shows what its class promises");
}

absl::StatusOr<int> Show(Session& s, const ShowFlags& flags) {
  Found f;
  AQ_ASSIGN_OR_RETURN(f.at, AskedAt(s, flags.at));
  AQ_ASSIGN_OR_RETURN(const auto store, s.Lineage());
  AQ_ASSIGN_OR_RETURN(KnownObjects known, LoadObjects(*store));
  AQ_ASSIGN_OR_RETURN(f.key, KeyNamed(*store, flags.key, known));
  f.name = NameOf(known, NamesOf(known), f.key);
  const uint64_t day_before = f.at.seconds - std::min(f.at.seconds, kDay);
  AQ_ASSIGN_OR_RETURN(f.folds,
                      FoldsOf(*store,
                              f.key,
                              {.from = lineage::HlcFromMillis(day_before * 1'000),
                               .until = f.at.until,
                               .least = 8 * kShownLately}));
  if (f.folds.empty()) return NeverWeighed(f.name, f.key, f.at);
  AQ_ASSIGN_OR_RETURN(const Measure measure, MeasureBy(*store, known, f.folds.back().charter));
  const trust::Standing last = f.folds.back().after();
  f.now = DecayedTo(last, f.at.epoch());
  f.reading = measure.Read(last, f.at.epoch());
  f.rung = measure.RungOf(f.reading);
  f.per_epoch = AverageFor(f.folds, f.at.epoch());
  const Outlook outlook = OutlookOf(f, measure);
  if (s.json) {
    AQ_ASSIGN_OR_RETURN(const std::string json, KeyJson(*store, f, measure, outlook));
    s.Out(json);
    return 0;
  }
  AQ_ASSIGN_OR_RETURN(const std::string text,
                      KeyPage(*store, f, measure, outlook, s.env().columns));
  s.Out(text);
  return 0;
}

// ---- plot

struct PlotFlags {
  std::string key, since, at, svg;
  size_t width = kPlotWidth, height = kPlotHeight;
};

absl::Status CheckPlot(Session& s, const PlotFlags& flags) {
  if (flags.width < kPlotWidthMin || flags.width > kPlotWidthMax)
    return s.Usage(Join("--width: ", kPlotWidthMin, " to ", kPlotWidthMax));
  if (flags.height < kPlotHeightMin || flags.height > kPlotHeightMax)
    return s.Usage(Join("--height: ", kPlotHeightMin, " to ", kPlotHeightMax));
  if (s.json && !flags.svg.empty()) return s.Usage("--svg and --json: one of them");
  return absl::OkStatus();
}

std::string PlotJson(const Kid& key, const PlotFrame& frame, std::span<const Sample> samples) {
  JsonWriter w;
  w.Object().Field("schema", "aqmesh.trust-plot/1").Field("kid", ToHex(key));
  w.Field("name", frame.name).Field("from", frame.from).Field("to", frame.to);
  w.Key("rungs").Object();
  for (const Rung rung : {Rung::kAdmit, Rung::kConstrain, Rung::kProbation})
    w.Field(authority::RungName(rung), frame.measure.LevelOf(rung));
  w.End().Key("samples").Array();
  for (const Sample& p : samples) {
    w.Object().Field("time", p.at);
    if (p.known) {
      w.Field("ladm_q16", p.end.ladm).Field("slope_q16", p.end.slope);
      w.Field("ladm_least_q16", p.level_low).Field("ladm_most_q16", p.level_high);
      w.Field("against", p.against);
    }
    w.End();
  }
  w.End().End();
  return Join(w.Take(), "\n");
}

absl::StatusOr<int> Plot(Session& s, const PlotFlags& flags) {
  AQ_RETURN_IF_ERROR(CheckPlot(s, flags));
  AQ_ASSIGN_OR_RETURN(const Asked at, AskedAt(s, flags.at));
  uint64_t from = at.seconds - std::min(at.seconds, kPlotSpan);
  if (!flags.since.empty()) {
    // A span reaches back from the instant at the right edge.
    const auto since = ParseWhen(flags.since, at.seconds);
    if (!since.ok()) return s.Usage(Join("--since: ", Text(since.status())));
    if (*since >= at.seconds) return s.Usage("--since: it has to lie before the end of the plot");
    from = *since;
  }
  AQ_ASSIGN_OR_RETURN(const auto store, s.Lineage());
  AQ_ASSIGN_OR_RETURN(KnownObjects known, LoadObjects(*store));
  AQ_ASSIGN_OR_RETURN(const Kid key, KeyNamed(*store, flags.key, known));
  const std::string name = NameOf(known, NamesOf(known), key);
  AQ_ASSIGN_OR_RETURN(
      const std::vector<Fold> folds,
      FoldsOf(*store, key, {.from = lineage::HlcFromMillis(from * 1'000), .until = at.until}));
  if (folds.empty()) return NeverWeighed(name, key, at);
  if (flags.since.empty()) {
    // No blank half where its life is shorter.
    const uint64_t latest = at.seconds - std::min(at.seconds, kPlotSpanLeast);
    from = std::max(from, std::min(latest, SecondsOfEpoch(folds.front().epoch)));
  }
  AQ_ASSIGN_OR_RETURN(const Measure measure, MeasureBy(*store, known, folds.back().charter));
  const PlotFrame frame{
      .name = Called(name, key), .measure = measure, .from = from, .to = at.seconds};
  const size_t count = flags.svg.empty() ? flags.width - kPlotMargin : kSvgSamples;
  const std::vector<Sample> samples = SamplesOf(folds, measure, from, at.seconds, count);
  if (!flags.svg.empty()) {
    AQ_RETURN_IF_ERROR(s.WriteFile(flags.svg, PlotSvg(frame, samples)));
    if (flags.svg != "-") s.Say(Join("Drawn into ", flags.svg, "."));
    return 0;
  }
  s.Out(s.json ? PlotJson(key, frame, samples) : PlotText(frame, samples, flags.height));
  return 0;
}

constexpr const char* kAtHelp = "The instant: 2h (ago), 2026-11-21T14:00Z; now if not given";

}  // namespace

void AddTrustLook(Tree& tree, CLI::App* trust) {
  auto list = std::make_shared<ListFlags>();
  CLI::App* app = tree.Command(trust,
                               "list",
                               "List how far each key is trusted, and which way that goes",
                               "aqmesh trust list --at 2026-11-21T14:00Z",
                               [list](Session& s) { return List(s, *list); });
  app->add_option("--at", list->at, kAtHelp);
  tree.Lineage(app);
  tree.Json(app);

  auto show = std::make_shared<ShowFlags>();
  app = tree.Command(trust,
                     "show",
                     "Show what trust in one key rests on, what holds it down, and where it goes",
                     "aqmesh trust show borealis",
                     [show](Session& s) { return Show(s, *show); });
  app->add_option("KEY", show->key, "A name, or the first digits of a key")->required();
  app->add_option("--at", show->at, kAtHelp);
  tree.Lineage(app);
  tree.Json(app);

  auto plot = std::make_shared<PlotFlags>();
  app = tree.Command(trust,
                     "plot",
                     "Draw the level and the slope of one key over time",
                     "aqmesh trust plot borealis --since 7d --svg borealis.svg",
                     [plot](Session& s) { return Plot(s, *plot); });
  app->add_option("KEY", plot->key, "A name, or the first digits of a key")->required();
  app->add_option(
      "--since", plot->since, "From: 7d (before the end), 2026-11-21; 30d if not given");
  app->add_option("--at", plot->at, "The end: 2h (ago), 2026-11-21T14:00Z; now if not given");
  app->add_option("--width", plot->width, "Columns of the whole")->capture_default_str();
  app->add_option("--height", plot->height, "Rows of the level")->capture_default_str();
  app->add_option("--svg", plot->svg, "Draw into this file, as SVG; - for standard output");
  tree.Lineage(app);
  tree.Json(app);
}

}  // namespace aqmesh::cli
