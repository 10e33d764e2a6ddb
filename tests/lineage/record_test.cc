#include "lineage/record.h"

#include <gmock/gmock.h>

#include "tests/lineage/story.h"

namespace aqmesh::lineage {
namespace {

using authority::RecordKind;
using authority::Rung;
using testing::HasSubstr;
using testing::Not;

Names KnownNames() {
  return {.drop = [](uint16_t code) -> std::string_view { return code == 2 ? "bad mac1" : ""; },
          .peer = [](const Kid& kid) -> std::string {
            return kid == Filled<Kid>(1) ? "borealis" : "";
          }};
}

authority::Observe Sample() {
  authority::Observe r = Decided(1);
  r.log = LogKid();
  r.seq = 7;
  r.hlc = HlcFromMillis(kStartSeconds * 1000 + 5) + 3;
  r.reason = 7;
  return r;
}

TEST(RecordTest, EveryKindAndRungHasANameThatReadsBack) {
  for (uint8_t i = 1; i <= 22; ++i) {
    const auto kind = static_cast<RecordKind>(i);
    EXPECT_FALSE(KindName(kind).empty()) << int{i};
    EXPECT_EQ(KindNamed(KindName(kind)), kind);
  }
  EXPECT_FALSE(KindNamed(""));
  EXPECT_EQ(RungNamed("admit"), Rung::kAdmit);
  EXPECT_EQ(RungNamed("DEFER"), Rung::kDefer);
  EXPECT_FALSE(RungNamed("none"));
  for (uint16_t action = 1; action <= 9; ++action)
    EXPECT_FALSE(ActionName(action).empty()) << action;
  EXPECT_EQ(ActionName(10), "");
}

TEST(RecordTest, ReasonsComeFromTheGateTheWireOrStayNumbers) {
  EXPECT_EQ(ReasonName(0, {}), "");
  EXPECT_EQ(ReasonName(7, {}), "expired");
  EXPECT_EQ(ReasonName(66, KnownNames()), "bad mac1");
  EXPECT_EQ(ReasonName(67, KnownNames()), "reason 67");
  EXPECT_EQ(ReasonName(66, {}), "reason 66");
  EXPECT_EQ(ReasonName(40, KnownNames()), "reason 40");
}

TEST(RecordTest, TimesAreUtcToTheMillisecond) {
  EXPECT_EQ(TimeText(HlcFromMillis(kStartSeconds * 1000 + 5) + 3), "2023-11-14T22:13:20.005Z");
  EXPECT_EQ(TimeText(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(TimeText(HlcFromMillis(951'782'400'000)), "2000-02-29T00:00:00.000Z");
}

TEST(RecordTest, ALineSaysWhoWhatAndWhy) {
  EXPECT_EQ(
      RenderLine(Sample(), Filled<Digest>(0x9f), KnownNames()),
      "2023-11-14T22:13:20.005Z  9f9f9f9f  decided  borealis  ADMIT  install_peer  (expired)");
  EXPECT_THAT(RenderLine(Sample(), Filled<Digest>(0x9f), {}), HasSubstr("  01010101  "));
}

TEST(RecordTest, JsonHasStableNamesAndLeavesOutWhatIsAbsent) {
  authority::Observe r = Sample();
  r.drops = {{66, 12}};
  const std::string json = RenderJson(r, Filled<Digest>(0x9f), KnownNames());
  EXPECT_THAT(
      json,
      HasSubstr(
          R"("seq":7,"time":"2023-11-14T22:13:20.005Z","hlc":"111411200000327683","kind":"decided")"));
  EXPECT_THAT(
      json, HasSubstr(R"("subject":"01010101010101010101010101010101","subject_name":"borealis")"));
  EXPECT_THAT(json, HasSubstr(R"("gates":{"crypto":"ADMIT","trust":"ADMIT")"));
  EXPECT_THAT(json, HasSubstr(R"("ladm_q16":49152,"slope_q16":64,"corr_milli":1500)"));
  EXPECT_THAT(json, HasSubstr(R"("rung":"ADMIT","action":"install_peer")"));
  EXPECT_THAT(json, HasSubstr(R"("reason":"expired","reason_code":7)"));
  EXPECT_THAT(json, HasSubstr(R"("drops":[{"reason":"bad mac1","reason_code":66,"count":12}])"));
  EXPECT_THAT(json, Not(HasSubstr("prev")));
  EXPECT_THAT(json, Not(HasSubstr("evidence")));
}

TEST(RecordTest, APageNamesEveryFieldThatIsThere) {
  authority::Observe r = Sample();
  r.flow = authority::FlowSummary{.frames = 3,
                                  .bytes = 300,
                                  .first = 1,
                                  .last = 3,
                                  .tags = {},
                                  .presentations = {},
                                  .drops = 1};
  const std::string page = RenderPage(r, Filled<Digest>(0x9f), KnownNames());
  EXPECT_THAT(page, HasSubstr("subject       borealis  0101"));
  EXPECT_THAT(page, HasSubstr("crypto ADMIT  trust ADMIT"));
  EXPECT_THAT(page, HasSubstr("trust         0.7500  slope 0.0010  corroboration 1500/1000\n"));
  EXPECT_THAT(page, HasSubstr("3 frames, 300 bytes, counters 1..3, 1 dropped"));
}

TEST(FilterTest, EachConditionPicksAndRefuses) {
  const authority::Observe r = Sample();
  const Digest leaf = Filled<Digest>(0x9f);
  struct Case {
    const char* name;
    Filter filter;
    bool matches;
  };
  const Case cases[] = {
      {"no condition", {}, true},
      {"from its time on", {.from = r.hlc}, true},
      {"from just after", {.from = r.hlc + 1}, false},
      {"to its time, exclusive", {.to = r.hlc}, false},
      {"to just after", {.to = r.hlc + 1}, true},
      {"its subject", {.subject = Filled<Kid>(1)}, true},
      {"another subject", {.subject = Filled<Kid>(2)}, false},
      {"the log as subject", {.subject = LogKid()}, false},
      {"the subject as peer", {.peer = Filled<Kid>(1)}, true},
      {"the log as peer", {.peer = LogKid()}, true},
      {"another peer", {.peer = Filled<Kid>(2)}, false},
      {"authority prefix", {.authority_prefix = {0x81, 0x81}}, true},
      {"another authority prefix", {.authority_prefix = {0x81, 0x80}}, false},
      {"id prefix", {.id_prefix = {0x9f}}, true},
      {"another id prefix", {.id_prefix = {0x9e}}, false},
      {"id prefix longer than an id", {.id_prefix = Bytes(33, 0x9f)}, false},
      {"its rung", {.rung = Rung::kAdmit}, true},
      {"another rung", {.rung = Rung::kRefuse}, false},
      {"its kind", {.kind = RecordKind::kDecided}, true},
      {"another kind", {.kind = RecordKind::kFlow}, false},
      {"all at once",
       {.from = 1, .subject = Filled<Kid>(1), .rung = Rung::kAdmit, .kind = RecordKind::kDecided},
       true},
      {"all but one",
       {.from = 1, .subject = Filled<Kid>(1), .rung = Rung::kDefer, .kind = RecordKind::kDecided},
       false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(Matches(c.filter, r, leaf), c.matches);
  }
  authority::Observe bare = r;
  bare.authority.reset();
  EXPECT_FALSE(Matches({.authority_prefix = {0x81}}, bare, leaf));
}

}  // namespace
}  // namespace aqmesh::lineage
