// trust list, show and plot over a log that a test wrote: ten days of one node, with one grave
// fault two days ago. What is expected is folded here once more.
#include <gmock/gmock.h>

#include <algorithm>
#include <boost/json.hpp>

#include "core/base/status.h"
#include "daemon/cli/json_read.h"
#include "daemon/cli/state.h"
#include "daemon/cli/trust_plot.h"
#include "daemon/cli/trust_view.h"
#include "lineage/inputs.h"
#include "node/trust_book.h"
#include "tests/daemon/cli/world.h"

namespace aqmesh::cli {
namespace {

using authority::Observe;
using authority::RecordKind;
using authority::Rung;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using trust::Evidence;
using trust::kOne;
using trust::Reading;
using trust::Standing;

constexpr uint64_t kNow = 6'000'000;  // the epoch in which World's clock stands still
constexpr uint64_t kBegan = kNow - 10 * trust::kEpochsPerDay;
constexpr uint64_t kFault = kNow - 2 * trust::kEpochsPerDay;
constexpr uint32_t kPrior = 56'032;
constexpr Evidence kHour = {.r = kOne / 4};  // of one hour of use, in one epoch of it

struct Weighers : World {
  Weighers() {
    Must({"--state", A(), "init", "home", "--no-passphrase", "--machine", "atlas"});
    Must({"--state", A(), "authority", "export", "-o", Path("home.charter")});
    for (const std::string name : {"borealis", "cygnus"}) {
      Must({"--state",
            Path(name),
            "request",
            "--name",
            name,
            "--mesh",
            Path("home.charter"),
            "-o",
            Path(name + ".request")});
      Must({"--state", A(), "sign", Path(name + ".request"), "-o", Path(name + ".grant")});
      Must({"--state", A(), "import", Path(name + ".grant")});
    }
    store = *lineage::RocksStore::Open(A() + "/store");
    known = *LoadObjects(*store);
    for (const auto& g : known.grants) {
      if ((g.body.caps & authority::kCapsIssue) != 0) continue;
      if (g.body.name == "borealis") key = authority::KidOf(g.body.suite, g.body.key);
      if (g.body.name == "borealis") fault.bytes = g.oid().bytes;
    }
    standing = Standing::New(kPrior, kBegan);
    for (uint64_t e = kBegan; e < kNow; e += 12) {
      if (e == kFault) {
        // Said at once, and again when the epoch was over: the second counts for both.
        Weigh(key, e, {.s = 4 * kOne}, standing, fault);
        Weigh(key, e, {.r = kOne / 4, .s = 4 * kOne}, standing);
        standing.Step(e, {.r = kOne / 4, .s = 4 * kOne});
        continue;
      }
      Weigh(key, e, kHour, standing);
      if (e < kFault) before_fault = standing;
      standing.Step(e, kHour);
    }
    Flush();
    store.reset();
  }
  std::string A() const { return Path("a"); }
  void Must(std::vector<std::string> args) {
    const Ran r = Run(std::move(args));
    EXPECT_EQ(r.exit, 0) << r.err;
  }
  Ran Trust(std::vector<std::string> args) {
    args.insert(args.begin(), {"--state", A(), "trust"});
    return Run(std::move(args));
  }
  void Weigh(const Kid& subject,
             uint64_t epoch,
             const Evidence& evidence,
             const Standing& before,
             std::optional<Digest> ground = {}) {
    lineage::Inputs in;
    in.oids = {known.charter()->oid()};
    in.slopes = {node::SlopeInputOf(subject, before)};
    in.wall_millis = in.mono_nanos = 1;
    in.epoch = epoch;
    in.weighed = lineage::WeighedInput{
        .r = evidence.r, .s = evidence.s, .u = evidence.u, .equivocation = evidence.equivocation};
    const Bytes bytes = lineage::EncodeInputs(in);
    Standing after = before;
    after.Step(epoch, evidence);
    const Reading reading = after.Read(epoch, trust::kGapCapSmallMesh);
    Observe r;
    r.kind = RecordKind::kWeighted;
    r.subject = subject;
    r.inputs = lineage::InputsId(bytes);
    r.ladm = reading.ladm;
    r.slope = static_cast<uint32_t>(int32_t{kOne} + reading.slope);
    r.evidence = ground;
    batch.objects.push_back({lineage::Shelf::kInputs, *r.inputs, bytes});
    batch.records.push_back(
        chain.Add(std::move(r), WallTime::FromSeconds(SecondsOfEpoch(epoch) + 299)));
  }
  void Flush() { EXPECT_TRUE(store->Commit(std::exchange(batch, {})).ok()); }
  Reading ReadNow() const { return standing.Read(kNow, trust::kGapCapSmallMesh); }

  KnownObjects known;
  Kid key;
  Digest fault;
  Standing standing, before_fault;
  lineage::Chain chain{Kid{}};
  lineage::Batch batch;
  std::unique_ptr<lineage::RocksStore> store;
};

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}
std::string LineOf(const std::string& text, std::string_view start) {
  for (const std::string& line : LinesOf(text)) {
    if (line.starts_with(start)) return line;
  }
  return "no line `" + std::string(start) + "` in:\n" + text;
}
const boost::json::object& RowOf(const boost::json::object& root, std::string_view name) {
  for (const auto& row : root.at("keys").as_array()) {
    if (row.as_object().contains("name") && row.as_object().at("name").as_string() == name)
      return row.as_object();
  }
  ADD_FAILURE() << "no row " << name;
  return root;
}

TEST(CliTrustTest, FiguresAreWrittenAsPeopleReadThem) {
  EXPECT_EQ(LevelText(60'390), ".921");
  EXPECT_EQ(LevelText(0), ".000");
  EXPECT_EQ(LevelText(kOne), "1.000");
  EXPECT_EQ(LevelText(kOne - 1), "1.000");
  EXPECT_EQ(SlopeText(200), "+.003");
  EXPECT_EQ(SlopeText(-9'830), "-.150");
  EXPECT_EQ(SlopeText(-1), "+.000");
  EXPECT_EQ(AmountText(kOne / 4), "0.250");
  EXPECT_EQ(AmountText(trust::kBadMax), "4096.000");
}

TEST(CliTrustTest, TheGravestOfAStateNamesIt) {
  Reading r;
  EXPECT_EQ(StateWord(r), "steady");
  r.slope = trust::kPromotionSlope;
  EXPECT_EQ(StateWord(r), "steady");
  r.slope = trust::kPromotionSlope - 1;
  EXPECT_EQ(StateWord(r), "falling");
  r.slope = -trust::kPromotionSlope + 1;
  EXPECT_EQ(StateWord(r), "rising");
  r.slope = trust::kBreakSlope;
  r.impulse = trust::kBreakImpulse;
  EXPECT_EQ(StateWord(r), "broken");
  r.scar = trust::kScarCapsAt;
  EXPECT_EQ(StateWord(r), "capped");
  r.collapsed = true;
  EXPECT_EQ(StateWord(r), "collapsed");
}

TEST(CliTrustTest, ListShowsWhereEachKeyStandsAndWhereItsClassPutIt) {
  Weighers w;
  const Reading r = w.ReadNow();
  const Ran ran = w.Trust({"list"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_THAT(ran.out, StartsWith("NAME      LEVEL  SLOPE  SCARS  STATE        LAST"));
  EXPECT_THAT(
      LineOf(ran.out, "borealis"),
      AllOf(HasSubstr(Join("borealis  ", LevelText(r.ladm), "   ", SlopeText(r.slope), "  1")),
            HasSubstr(StateWord(r)),
            HasSubstr("55 min")));
  // Nothing was weighed of these: ENROLLER under the root, NODE under that.
  EXPECT_THAT(LineOf(ran.out, "atlas"),
              AllOf(HasSubstr(".921"), HasSubstr("as ENROLLER"), HasSubstr("never")));
  EXPECT_THAT(LineOf(ran.out, "cygnus"),
              AllOf(HasSubstr(".829"), HasSubstr("as NODE"), EndsWith("ADMIT")));
  EXPECT_THAT(LineOf(ran.out, "root"), AllOf(HasSubstr(".950"), HasSubstr("as ROOT")));
}

TEST(CliTrustTest, ListAtAnEarlierInstantKnowsNothingOfWhatCameLater) {
  Weighers w;
  const Ran then = w.Trust({"list", "--at", "3d"});
  const uint64_t epoch = kNow - 3 * trust::kEpochsPerDay;
  // Its own epoch was recorded at the end of it.
  Standing s = Standing::New(kPrior, kBegan);
  for (uint64_t e = kBegan; e < epoch; e += 12) s.Step(e, kHour);
  const Reading r = s.Read(epoch, trust::kGapCapSmallMesh);
  EXPECT_THAT(LineOf(then.out, "borealis"),
              AllOf(HasSubstr(Join(LevelText(r.ladm), "   ", SlopeText(r.slope), "  0")),
                    EndsWith("ADMIT")));
  const auto before = ReadObject(w.Trust({"list", "--at", "20d", "--json"}).out);
  for (const auto& row : before.at("keys").as_array())
    EXPECT_FALSE(row.as_object().at("weighed").as_bool());
  EXPECT_EQ(w.Trust({"list", "--at", "sometime"}).exit, 2);
}

TEST(CliTrustTest, ListAsJsonHasTheNumbers) {
  Weighers w;
  const Reading r = w.ReadNow();
  const auto root = ReadObject(w.Trust({"list", "--json"}).out);
  EXPECT_EQ(TextIn(root, "schema"), "aqmesh.trust/1");
  EXPECT_EQ(NumberIn(root, "epoch"), kNow);
  const auto& row = RowOf(root, "borealis");
  EXPECT_EQ(TextIn(row, "kid"), ToHex(w.key));
  EXPECT_EQ(NumberIn(row, "ladm_q16"), r.ladm);
  EXPECT_EQ(row.at("slope_q16").to_number<int64_t>(), r.slope);
  EXPECT_EQ(NumberIn(row, "scars"), 1u);
  EXPECT_EQ(TextIn(row, "state"), StateWord(r));
  EXPECT_FALSE(RowOf(root, "cygnus").at("weighed").as_bool());
}

TEST(CliTrustTest, ACopyOfTheStoreAnswersTheSame) {
  Weighers w;
  const Ran here = w.Trust({"show", "borealis", "--json"});
  const Ran copy = w.Run({"--state",
                          w.Path("none"),
                          "trust",
                          "show",
                          "borealis",
                          "--json",
                          "--from",
                          w.A() + "/store"});
  ASSERT_EQ(copy.exit, 0) << copy.err;
  EXPECT_EQ(here.out, copy.out);
  EXPECT_EQ(w.Trust({"show", ToHex(w.key).substr(0, 8), "--json"}).out, here.out);
}

TEST(CliTrustTest, ShowNamesEachFieldWhatCountedAndWhatHoldsItDown) {
  Weighers w;
  const Reading r = w.ReadNow();
  const Ran ran = w.Trust({"show", "borealis"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_THAT(ran.out,
              StartsWith(Join("borealis (",
                              ToHex(w.key),
                              ") at 2027-01-15 08:00Z, weighed "
                              "last 2027-01-15 07:04Z\n")));
  EXPECT_THAT(LineOf(ran.out, "level "), HasSubstr(LevelText(r.ladm)));
  EXPECT_THAT(LineOf(ran.out, "short memory"), HasSubstr(LevelText(r.level_fast)));
  EXPECT_THAT(LineOf(ran.out, "long memory"), HasSubstr(LevelText(r.level_slow)));
  EXPECT_THAT(LineOf(ran.out, "prior"), HasSubstr(".855"));
  EXPECT_THAT(LineOf(ran.out, "against, short"), HasSubstr("half is gone in 16 d, for its scars"));
  EXPECT_THAT(LineOf(ran.out, "shock"), HasSubstr(LevelText(r.impulse)));
  EXPECT_THAT(LineOf(ran.out, "scars"), HasSubstr("1      of 4 that cap it"));
  // The fault is older than the newest few, and is shown: its epoch once, with what proved it.
  const std::string fault = LineOf(ran.out, "2027-01-13 08:04Z");
  EXPECT_THAT(fault,
              AllOf(HasSubstr("0.250  4.000"),
                    HasSubstr(ToHex(w.fault).substr(0, 8) + " NODE grant of 100."),
                    EndsWith(" to borealis")));
  EXPECT_EQ(std::ranges::count(LinesOf(ran.out), fault), 1);
  EXPECT_THAT(ran.out,
              HasSubstr(Join("A recent shock takes ", LevelText(r.impulse), " of its level.\n")));
  EXPECT_THAT(ran.out, HasSubstr("The lower of two memories counts: the "));
}

TEST(CliTrustTest, ShowLooksAheadByTheSameFold) {
  Weighers w;
  const auto root = ReadObject(w.Trust({"show", "borealis", "--json"}).out);
  EXPECT_EQ(TextIn(root, "schema"), "aqmesh.trust-key/1");
  const auto& outlook = root.at("outlook").as_object();
  // 24 epochs of the last day brought a quarter each.
  const uint32_t each = 24 * (kOne / 4) / trust::kEpochsPerDay;
  EXPECT_EQ(NumberIn(outlook, "per_epoch_q16"), each);
  ASSERT_LT(w.ReadNow().ladm, 45'875u);
  for (const bool rests : {false, true}) {
    Standing s = w.standing;
    uint64_t e = kNow;
    do {
      ++e;
      if (!rests) s.Step(e, {.r = each});
    } while (s.Read(e, 0).ladm < 45'875 || s.Read(e, 0).broken());
    const auto& turn = outlook.at(rests ? "resting" : "as_now").as_object();
    EXPECT_EQ(TextIn(turn, "rung"), "ADMIT");
    EXPECT_EQ(NumberIn(turn, "epoch"), e);
  }
  EXPECT_THAT(w.Trust({"show", "borealis"}).out,
              AllOf(HasSubstr("Next rung up: ADMIT, at .700.\n"),
                    HasSubstr("  if it rests: ADMIT from 2027-")));
  const auto& standing = root.at("standing").as_object();
  EXPECT_EQ(NumberIn(standing, "s_s"), w.standing.s_s);
  EXPECT_EQ(NumberIn(standing, "last"), w.standing.last);
  EXPECT_LT(NumberIn(root.at("decayed").as_object(), "s_s"), w.standing.s_s);
}

TEST(CliTrustTest, ACollapseIsForGoodAndNeverRisesAgain) {
  Weighers w;
  w.store = *lineage::RocksStore::Open(w.A() + "/store");
  Digest proof;
  proof.bytes.fill(9);
  w.batch.objects.push_back({lineage::Shelf::kProof, *Oid::From(proof.view()), Bytes{1}});
  w.Weigh(w.key, kNow - 1, {.equivocation = true}, w.standing, proof);
  w.Flush();
  w.store.reset();
  EXPECT_THAT(LineOf(w.Trust({"list"}).out, "borealis"),
              AllOf(HasSubstr(".000"), HasSubstr("collapsed"), EndsWith("REFUSE")));
  const Ran ran = w.Trust({"show", "borealis"});
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("collapse"),
                    HasSubstr("09090909 proof that it signed twice"),
                    HasSubstr("An equivocation was proven: it weighs nothing, for good.\n"),
                    HasSubstr("  if it rests: not within 90 d\n")));
}

TEST(CliTrustTest, PlotFitsATerminalAndMarksTheRungs) {
  Weighers w;
  const Ran ran = w.Trust({"plot", "borealis", "--at", "2027-01-15T08:00Z"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const std::vector<std::string> lines = LinesOf(ran.out);
  for (const std::string& line : lines) {
    EXPECT_LE(line.size(), 80u);
    EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; })) << line;
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
  ASSERT_EQ(lines.size(), 2 + 16 + 1 + 5 + 1 + 2u) << ran.out;
  const Reading r = w.ReadNow();
  EXPECT_EQ(lines[0],
            Join("borealis: level ",
                 LevelText(r.ladm),
                 ", slope ",
                 SlopeText(r.slope),
                 ", ",
                 StateWord(r),
                 ", at 2027-01-15 08:00Z"));
  EXPECT_THAT(lines[2], StartsWith("         1.00 +"));
  EXPECT_THAT(lines[17], StartsWith("          .00 +"));
  for (const std::string_view mark : {"    ADMIT .70 +", "CONSTRAIN .50 +", "PROBATION .25 +"})
    EXPECT_THAT(ran.out, HasSubstr(Join("\n", mark)));
  EXPECT_THAT(ran.out, HasSubstr("\n    slope .00 +"));
  // Its life is ten days, so that is what is drawn; the fault lies at four fifths of it.
  const size_t fault = lines[24].find('x');
  EXPECT_EQ(lines[24].substr(0, 15), "      against |");
  EXPECT_EQ(fault, 15u + 52u);
  EXPECT_THAT(lines.back(),
              AllOf(StartsWith("               2027-01-05 08:00Z"),
                    EndsWith("2027-01-15 08:00Z"),
                    HasSubstr("  2027-01-10 08:00Z  ")));
  EXPECT_EQ(lines[25].size(), 80u);
}

TEST(CliTrustTest, PlotIsTheSameWheneverItIsDrawn) {
  Weighers w;
  const std::vector<std::string> args = {
      "plot", "borealis", "--at", "2027-01-15T08:00Z", "--since", "7d", "--svg", "-"};
  const Ran first = w.Trust(args);
  const Ran text = w.Trust({"plot", "borealis", "--at", "2027-01-15T08:00Z"});
  w.now += 12'345;
  EXPECT_EQ(w.Trust(args).out, first.out);
  EXPECT_EQ(w.Trust({"plot", "borealis", "--at", "2027-01-15T08:00Z"}).out, text.out);
}

TEST(CliTrustTest, EachSampleIsAReadingAtItsInstant) {
  Weighers w;
  const auto root =
      ReadObject(w.Trust({"plot", "borealis", "--since", "12d", "--width", "111", "--json"}).out);
  EXPECT_EQ(TextIn(root, "schema"), "aqmesh.trust-plot/1");
  const auto& samples = root.at("samples").as_array();
  ASSERT_EQ(samples.size(), 111u - kPlotMargin);
  uint32_t least = kOne;
  Standing s = Standing::New(kPrior, kBegan);
  uint64_t next = kBegan;
  for (const auto& sample : samples) {
    const auto& p = sample.as_object();
    const uint64_t epoch = NumberIn(p, "time") / 300;
    EXPECT_EQ(p.contains("ladm_q16"), epoch >= kBegan);
    if (epoch < kBegan) continue;
    for (; next <= epoch && next < kNow; next += 12)
      s.Step(next, next == kFault ? Evidence{.r = kOne / 4, .s = 4 * kOne} : kHour);
    EXPECT_EQ(NumberIn(p, "ladm_q16"), s.Read(epoch, 0).ladm);
    EXPECT_EQ(p.at("slope_q16").to_number<int64_t>(), s.Read(epoch, 0).slope);
    EXPECT_LE(NumberIn(p, "ladm_least_q16"), NumberIn(p, "ladm_q16"));
    EXPECT_GE(NumberIn(p, "ladm_most_q16"), NumberIn(p, "ladm_q16"));
    least = std::min(least, static_cast<uint32_t>(NumberIn(p, "ladm_least_q16")));
  }
  // The depth of the fall is drawn, also where no sample lies in its epoch.
  Standing fallen = w.before_fault;
  fallen.Step(kFault - 12, kHour);
  fallen.Step(kFault, {.r = kOne / 4, .s = 4 * kOne});
  EXPECT_EQ(least, fallen.Read(kFault, 0).ladm);
}

// Each tag that opens closes, in order; attributes are in quotes.
bool Balanced(const std::string& xml) {
  std::vector<std::string> open;
  for (size_t at = xml.find('<'); at != std::string::npos; at = xml.find('<', at + 1)) {
    const size_t end = xml.find('>', at);
    if (end == std::string::npos) return false;
    const std::string tag = xml.substr(at + 1, end - at - 1);
    if (tag.starts_with("?")) continue;
    if (std::ranges::count(tag, '"') % 2 != 0 || tag.find('<') != std::string::npos) return false;
    if (tag.starts_with("/")) {
      if (open.empty() || open.back() != tag.substr(1)) return false;
      open.pop_back();
    } else if (!tag.ends_with("/")) {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
  }
  return open.empty();
}

TEST(CliTrustTest, SvgIsWholeAndNeedsNothingElse) {
  Weighers w;
  const std::string file = w.Path("borealis.svg");
  const Ran ran = w.Trust({"plot", "borealis", "--svg", file});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, "");
  const std::string svg = w.Read("borealis.svg");
  EXPECT_THAT(svg,
              AllOf(StartsWith("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns="),
                    EndsWith("</svg>\n"),
                    HasSubstr(">ADMIT .70</text>"),
                    HasSubstr(">2027-01-15 08:00Z</text>"),
                    HasSubstr("<title id=\"title\">borealis: level "),
                    Not(HasSubstr("href")),
                    Not(HasSubstr("nan"))));
  EXPECT_TRUE(Balanced(svg)) << svg;
  const Ran again = w.Trust({"plot", "borealis", "--svg", file});
  EXPECT_EQ(again.exit, 1);
  EXPECT_THAT(again.err, HasSubstr("name another file"));
}

TEST(CliTrustTest, NamesAreEscapedInAnSvg) {
  Fold f{.key = {}, .epoch = 10, .before = Standing::New(kPrior, 1), .evidence = kHour};
  const Measure measure{authority::Charter{}};
  const std::vector<Sample> samples = SamplesOf({&f, 1}, measure, 3'000, 6'000, 3);
  const std::string svg =
      PlotSvg({.name = "a<b>&\"", .measure = measure, .from = 3'000, .to = 6'000}, samples);
  EXPECT_THAT(svg, HasSubstr("a&lt;b&gt;&amp;&quot;: level"));
  EXPECT_TRUE(Balanced(svg));
}

TEST(CliTrustTest, AKeyOfWhichNothingWasWeighedIsOneClearError) {
  Weighers w;
  for (const char* verb : {"show", "plot"}) {
    SCOPED_TRACE(verb);
    const Ran never = w.Trust({verb, "cygnus"});
    EXPECT_EQ(never.exit, 1);
    EXPECT_EQ(never.out, "");
    EXPECT_THAT(never.err,
                AllOf(StartsWith(Join("aqmesh trust ", verb, ": nothing of cygnus (")),
                      HasSubstr(" was weighed by 2027-01-15 08:00Z; `aqmesh trust list` shows")));
    EXPECT_EQ(std::ranges::count(never.err, '\n'), 1);
    const Ran early = w.Trust({verb, "borealis", "--at", "20d"});
    EXPECT_EQ(early.exit, 1);
    const Ran nobody = w.Trust({verb, "nobody"});
    EXPECT_EQ(nobody.exit, 1);
    EXPECT_THAT(nobody.err, HasSubstr("nobody here is called `nobody`"));
    EXPECT_EQ(w.Trust({verb}).exit, 2);
    EXPECT_EQ(w.Trust({verb, "root"}).exit, 1);
  }
}

TEST(CliTrustTest, AMisdrawnPlotIsTheTypists) {
  Weighers w;
  const std::vector<std::vector<std::string>> cases = {{"--width", "55"},
                                                       {"--width", "401"},
                                                       {"--height", "8"},
                                                       {"--height", "101"},
                                                       {"--since", "soon"},
                                                       {"--since", "2027-02-01"},
                                                       {"--at", "soon"},
                                                       {"--svg", "-", "--json"}};
  for (auto args : cases) {
    args.insert(args.begin(), {"plot", "borealis"});
    const Ran ran = w.Trust(args);
    SCOPED_TRACE(testing::PrintToString(args) + " said: " + ran.err);
    EXPECT_EQ(ran.exit, 2);
    EXPECT_EQ(ran.out, "");
    EXPECT_EQ(std::ranges::count(ran.err, '\n'), 1);
  }
  for (const size_t width : {kPlotWidthMin, kPlotWidthMax}) {
    const Ran ran = w.Trust({"plot", "borealis", "--width", Join(width), "--height", "9"});
    ASSERT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(LinesOf(ran.out).back().size(), width);
  }
}

TEST(CliTrustTest, TheNewestOfAKeyIsFoundHoweverFarBackItLies) {
  Weighers w;
  w.store = *lineage::RocksStore::Open(w.A() + "/store");
  Kid late;
  late.bytes.fill(3);
  w.Weigh(late, kNow - 1, kHour, Standing::New(kPrior, kNow - 1));
  w.Flush();
  Kid never;
  never.bytes.fill(4);
  for (const size_t newest_first : {size_t{1}, size_t{2}, kNewestFirst}) {
    const auto folds =
        *NewestFolds(*w.store, UINT64_MAX, std::vector{w.key, late, never}, newest_first);
    ASSERT_EQ(folds.size(), 2u);
    EXPECT_EQ(folds.at(w.key).after(), w.standing);
    EXPECT_EQ(folds.at(late).epoch, kNow - 1);
  }
  EXPECT_EQ(NewestFolds(*w.store, UINT64_MAX, std::nullopt)->size(), 2u);
  // Two days are read, and the one before them; not ten.
  const auto some =
      *FoldsOf(*w.store, w.key, {.from = lineage::HlcFromMillis(SecondsOfEpoch(kFault) * 1'000)});
  EXPECT_EQ(some.size(), 2 * 24 + 1u);
  EXPECT_EQ(some.front().epoch, kFault - 12);
  EXPECT_EQ(FoldsOf(*w.store, w.key, {.from = UINT64_MAX, .least = 5})->size(), 5u);
}

}  // namespace
}  // namespace aqmesh::cli
