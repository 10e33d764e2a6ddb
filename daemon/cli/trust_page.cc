#include "daemon/cli/trust_page.h"

#include <algorithm>
#include <span>

#include "core/base/status.h"
#include "daemon/cli/session.h"
#include "daemon/cli/text.h"

namespace aqmesh::cli {

using authority::Rung;
using wire::JsonWriter;

namespace {

std::string WhenText(uint64_t seconds, uint64_t now) {
  return Join(UtcText(seconds), ", in ", SpanText(seconds - std::min(seconds, now)));
}

// One sentence a line: what holds it down, or will.
std::vector<std::string> HoldsOf(const Found& f) {
  std::vector<std::string> out;
  const trust::Reading& r = f.reading;
  if (r.collapsed) {
    out.emplace_back("An equivocation was proven: it weighs nothing, for good.");
    return out;
  }
  if (r.capped()) out.push_back(Join(r.scar, " scars: CONSTRAIN at the most, until a pardon."));
  if (r.broken())
    out.push_back(Join("Its slope broke: CONSTRAIN at the most while it is ",
                       SlopeText(trust::kBreakSlope),
                       " or less and the shock is felt."));
  if (!r.promotable())
    out.push_back(
        Join("No rung up while its slope is below ", SlopeText(trust::kPromotionSlope), "."));
  if (r.impulse > 0)
    out.push_back(Join("A recent shock takes ", LevelText(r.impulse), " of its level."));
  if (r.gap > 0)
    out.push_back(Join("Nothing spoke for it since ",
                       UtcText(SecondsOfEpoch(f.now.e_pos)),
                       ": that takes ",
                       LevelText(r.gap),
                       " of its level."));
  if (r.level_fast != r.level_slow)
    out.push_back(Join("The lower of two memories counts: the ",
                       r.level_fast < r.level_slow ? "short" : "long",
                       " one."));
  return out;
}

std::string OutlookText(const Found& f, const Measure& m, const Outlook& o) {
  const auto says = [&f](const std::optional<Turning>& t) {
    return t ? Join(authority::RungName(t->rung),
                    " from ",
                    WhenText(SecondsOfEpoch(t->epoch), f.at.seconds))
             : Join("not within ", SpanText(SecondsOfEpoch(kAheadEpochs)));
  };
  std::string out;
  if (f.rung < Rung::kAdmit) {
    const Rung next = f.rung < Rung::kProbation
                          ? Rung::kProbation
                          : static_cast<Rung>(static_cast<uint8_t>(f.rung) + 1);
    out += Join(
        "Next rung up: ", authority::RungName(next), ", at ", LevelText(m.LevelOf(next)), ".\n");
    out += f.per_epoch > 0
               ? Join("  if each epoch of 5 min brings ",
                      AmountText(f.per_epoch),
                      " for it, as the last day did on average: ",
                      says(o.as_now),
                      "\n")
               : "  nothing spoke for it within the last day: going on as now is to rest\n";
    out += Join("  if it rests: ", says(o.resting), "\n");
  }
  if (o.falls) out += Join("If it rests it falls: ", says(o.falls), "\n");
  return out;
}

std::string StateTable(const Found& f, size_t columns) {
  const trust::Standing& n = f.now;
  const trust::Reading& r = f.reading;
  const uint64_t forgiven = 8u << std::min(n.kap, 4u);
  Table t({"FIELD", "NOW", "WHAT IT IS"});
  t.Row({"level", LevelText(r.ladm), Join("earns ", authority::RungName(f.rung))});
  t.Row({"slope", SlopeText(r.slope), Join(StateWord(r), ": short less long memory")});
  t.Row({"short memory", LevelText(r.level_fast), "the level by the last days"});
  t.Row({"long memory", LevelText(r.level_slow), "the level by the last months"});
  t.Row({"prior", LevelText(n.a), "what its class promised at first"});
  t.Row({"for, short", AmountText(n.r_f), "of 8; half is gone in 2 d"});
  t.Row({"against, short",
         AmountText(n.s_f),
         Join("half is gone in ", forgiven, " d", n.kap > 0 ? ", for its scars" : "")});
  t.Row({"rumour", AmountText(n.u), "of 1, against it, unproven; half is gone in 2 d"});
  t.Row({"for, long", AmountText(n.r_s), "of 8; half is gone in 28 d"});
  t.Row({"against, long", AmountText(n.s_s), "half is gone in 112 d"});
  t.Row({"shock", LevelText(r.impulse), "taken off the level; half is gone in 1 d"});
  t.Row({"absence", LevelText(r.gap), "taken off the level, from the third day on"});
  t.Row({"alarm", AmountText(n.x), "of 4, then a scar; falls by .123 a day"});
  t.Row({"scars", Join(n.kap), Join("of ", trust::kScarCapsAt, " that cap it; never fall")});
  t.Row({"collapsed", n.col ? "yes" : "no", "by a proven equivocation, for good"});
  return t.Print(columns);
}

// The newest, and of those before them what was against it; newest first.
std::vector<const Fold*> Lately(std::span<const Fold> folds) {
  std::vector<const Fold*> out;
  size_t against = 0;
  for (size_t i = folds.size(); i-- > 0;) {
    const bool new_enough = folds.size() - i <= kShownLately;
    if (!new_enough && (!folds[i].against() || ++against > kShownLately)) continue;
    out.push_back(&folds[i]);
  }
  return out;
}

absl::StatusOr<std::string> GroundsText(const lineage::Store& store, const Fold& f) {
  std::vector<std::string> words;
  for (const Digest& d : f.grounds) {
    AQ_ASSIGN_OR_RETURN(const std::string what, EvidenceText(store, d));
    words.push_back(Join(ShortId(d), " ", what.empty() ? "not kept here" : what));
  }
  return Listed(words);
}

absl::StatusOr<std::string> LatelyTable(const lineage::Store& store,
                                        const Found& f,
                                        const Measure& m,
                                        size_t columns) {
  Table t({"COUNTED AT", "FOR", "AGAINST", "RUMOUR", "LEVEL", "SLOPE", "RECORD", "EVIDENCE"});
  for (const Fold* fold : Lately(f.folds)) {
    const trust::Reading then = m.Read(fold->after(), fold->epoch);
    const trust::Evidence& e = fold->evidence;
    AQ_ASSIGN_OR_RETURN(const std::string grounds, GroundsText(store, *fold));
    t.Row({UtcText(lineage::MillisFromHlc(fold->hlc) / 1'000),
           e.r > 0 ? AmountText(e.r) : "",
           e.equivocation ? "collapse"
           : e.s > 0      ? AmountText(e.s)
                          : "",
           e.u > 0 ? AmountText(e.u) : "",
           LevelText(then.ladm),
           SlopeText(then.slope),
           Join(fold->seq),
           grounds});
  }
  return t.Print(columns);
}

void PutTurning(std::string_view key, const std::optional<Turning>& t, JsonWriter& w) {
  if (!t) return;
  w.Key(key).Object().Field("rung", authority::RungName(t->rung));
  w.Field("epoch", t->epoch).Field("time", SecondsOfEpoch(t->epoch)).End();
}

void PutStanding(const trust::Standing& s, JsonWriter& w) {
  w.Object().Field("a", s.a).Field("r_f", s.r_f).Field("s_f", s.s_f).Field("u", s.u);
  w.Field("r_s", s.r_s).Field("s_s", s.s_s).Field("j", s.j).Field("x", s.x);
  w.Field("kap", s.kap).Field("last", s.last).Field("e_pos", s.e_pos).Field("col", s.col).End();
}

}  // namespace

std::string Called(const std::string& name, const Kid& key) {
  return name.empty() ? ShortId(key) : name;
}

void PutReading(const trust::Reading& r, Rung rung, JsonWriter& w) {
  w.Field("ladm_q16", r.ladm).Field("slope_q16", r.slope).Field("scars", r.scar);
  w.Field("rung", authority::RungName(rung)).Field("promotable", r.promotable());
  w.Field("broken", r.broken()).Field("capped", r.capped()).Field("collapsed", r.collapsed);
}

Outlook OutlookOf(const Found& f, const Measure& m) {
  Outlook out;
  const auto ahead = [&](uint32_t r, bool up) {
    return NextTurn(f.folds.back().after(), f.at.epoch(), m, r, up);
  };
  if (f.rung < Rung::kAdmit) {
    if (f.per_epoch > 0) out.as_now = ahead(f.per_epoch, true);
    out.resting = ahead(0, true);
  }
  out.falls = ahead(0, false);
  return out;
}

absl::StatusOr<std::string> KeyPage(const lineage::Store& store,
                                    const Found& f,
                                    const Measure& m,
                                    const Outlook& outlook,
                                    size_t columns) {
  AQ_ASSIGN_OR_RETURN(const std::string lately, LatelyTable(store, f, m, columns));
  std::string text = Join(Called(f.name, f.key),
                          " (",
                          ToHex(f.key),
                          ") at ",
                          UtcText(f.at.seconds),
                          ", weighed last ",
                          UtcText(lineage::MillisFromHlc(f.folds.back().hlc) / 1'000),
                          "\n\n",
                          StateTable(f, columns),
                          "\n",
                          lately,
                          "\n");
  for (const std::string& line : HoldsOf(f)) text += Join(line, "\n");
  return Join(text, OutlookText(f, m, outlook));
}

absl::StatusOr<std::string> KeyJson(const lineage::Store& store,
                                    const Found& f,
                                    const Measure& m,
                                    const Outlook& outlook) {
  JsonWriter w;
  w.Object().Field("schema", "aqmesh.trust-key/1").Field("kid", ToHex(f.key));
  if (!f.name.empty()) w.Field("name", f.name);
  w.Field("time", f.at.seconds).Field("epoch", f.at.epoch());
  w.Field("state", StateWord(f.reading));
  PutReading(f.reading, f.rung, w);
  w.Field("level_fast_q16", f.reading.level_fast).Field("level_slow_q16", f.reading.level_slow);
  w.Field("impulse_q16", f.reading.impulse).Field("gap_q16", f.reading.gap);
  w.Field("negative", f.reading.negative);
  w.Key("standing");  // as it was folded last
  PutStanding(f.folds.back().after(), w);
  w.Key("decayed");
  PutStanding(f.now, w);
  w.Key("lately").Array();
  for (const Fold* fold : Lately(f.folds)) {
    const trust::Reading then = m.Read(fold->after(), fold->epoch);
    w.Object().Field("epoch", fold->epoch).Field("time", lineage::TimeText(fold->hlc));
    w.Field("record", fold->seq).Field("id", ToHex(fold->leaf));
    w.Field("r", fold->evidence.r).Field("s", fold->evidence.s).Field("u", fold->evidence.u);
    w.Field("equivocation", fold->evidence.equivocation);
    w.Field("ladm_q16", then.ladm).Field("slope_q16", then.slope).Key("evidence").Array();
    for (const Digest& d : fold->grounds) {
      AQ_ASSIGN_OR_RETURN(const std::string what, EvidenceText(store, d));
      w.Object().Field("id", ToHex(d));
      if (!what.empty()) w.Field("what", what);
      w.End();
    }
    w.End().End();
  }
  w.End().Key("holds").Array();
  for (const std::string& line : HoldsOf(f)) w.Value(line);
  w.End().Key("outlook").Object().Field("per_epoch_q16", f.per_epoch);
  w.Field("days", kAheadEpochs / trust::kEpochsPerDay);
  PutTurning("as_now", outlook.as_now, w);
  PutTurning("resting", outlook.resting, w);
  PutTurning("falls", outlook.falls, w);
  w.End().End();
  return Join(w.Take(), "\n");
}

}  // namespace aqmesh::cli
