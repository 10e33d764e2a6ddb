#include "daemon/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/status.h"

namespace aqmesh::daemon {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::EndsWith;
using testing::SizeIs;

TEST(PrintableTest, ShowsWhatIsHarmlessAsItIs) {
  EXPECT_EQ(Printable("borealis joined: \"ok\" C:\\x"), "borealis joined: \"ok\" C:\\x");
  EXPECT_EQ(Printable("Zürich, 北京, 🙂"), "Zürich, 北京, 🙂");
}

TEST(PrintableTest, EscapesWhatForgesLinesOrTurnsThemAround) {
  struct Case {
    const char* name;
    std::string text;
    const char* shown;
  };
  const Case cases[] = {
      {"a line of its own", "a\n<3>aqmeshd: b", "a\\x0a<3>aqmeshd: b"},
      {"a terminal's sequence", "\x1b[2Jx", "\\x1b[2Jx"},
      {"the end of a C string", std::string("a\0b", 3), "a\\x00b"},
      {"delete", "\x7f", "\\x7f"},
      {"C1, a sequence in one character", "\u009b2J", "\\u009b2J"},
      {"override to the left", "user\u202eexe", "user\\u202eexe"},
      {"isolate", "\u2066a\u2069", "\\u2066a\\u2069"},
      {"marks of direction", "\u200f\u061c", "\\u200f\\u061c"},
      {"a separator of lines", "a\u2028b", "a\\u2028b"},
      {"no width", "a\u200bb\ufeff", "a\\u200bb\\ufeff"},
      {"tags", "\U000e0041", "\\u0e0041"},
      {"a lone continuation", "a\x80z", "a\\x80z"},
      {"cut short", "\xe2\x80", "\\xe2\\x80"},
      {"overlong", "\xc0\x8a", "\\xc0\\x8a"},
      {"overlong, three bytes", "\xe0\x80\x8a", "\\xe0\\x80\\x8a"},
      {"a surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80"},
      {"beyond Unicode", "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(Printable(c.text), c.shown);
    EXPECT_EQ(Printable(c.shown), c.shown) << "twice is the same as once";
  }
}

TEST(PrintableTest, CutsBetweenCharactersAndSaysSo) {
  EXPECT_EQ(Printable(std::string(256, 'a')), std::string(256, 'a'));
  EXPECT_EQ(Printable(std::string(257, 'a')), std::string(256, 'a') + "…");
  EXPECT_EQ(Printable("abü", 3), "ab…");
  EXPECT_EQ(Printable("abü", 4), "abü");
}

class LogSinkTest : public testing::Test {
 protected:
  LogSink Sink(Severity least) {
    return {least, [this](std::string_view line) { lines_.emplace_back(line); }};
  }
  static Instant At(int64_t s) { return Instant(seconds(1'000 + s)); }

  std::vector<std::string> lines_;
};

TEST_F(LogSinkTest, WritesThePriorityThatTheJournalReads) {
  LogSink sink = Sink(Severity::kDebug);
  sink.Say(At(0), Severity::kError, "a", "one");
  sink.Say(At(0), Severity::kInfo, "b", "two\nthree");
  sink.Say(At(0), Severity::kDebug, "c", "four");
  EXPECT_THAT(lines_,
              ElementsAre("<3>aqmeshd: one", "<6>aqmeshd: two\\x0athree", "<7>aqmeshd: four"));
}

TEST_F(LogSinkTest, LeavesOutWhatPeersBringAboutUnlessAsked) {
  LogSink sink = Sink(Severity::kInfo);
  sink.Say(At(0), Severity::kDebug, "refused 3f", "x is refused");
  EXPECT_THAT(lines_, SizeIs(0));
}

TEST_F(LogSinkTest, HoldsATopicThatRepeatsAndSaysHowOften) {
  LogSink sink = Sink(Severity::kInfo);
  for (int i = 0; i < 25; ++i) sink.Say(At(i / 5), Severity::kWarn, "disk", Join("full ", i));
  sink.Say(At(5), Severity::kInfo, "start", "another topic is heard");
  EXPECT_THAT(lines_, SizeIs(LogSink::kBurst + 1));
  lines_.clear();
  sink.Say(At(10), Severity::kInfo, "start", "later");
  EXPECT_THAT(lines_, ElementsAre("<4>aqmeshd: suppressed 15 lines about disk", EndsWith("later")));
  lines_.clear();
  sink.Say(At(10), Severity::kWarn, "disk", "again");
  EXPECT_THAT(lines_, ElementsAre(EndsWith("again")));
}

TEST_F(LogSinkTest, SaysAtTheEndWhatItHeldBack) {
  LogSink sink = Sink(Severity::kInfo);
  for (uint32_t i = 0; i < LogSink::kBurst + 3; ++i) sink.Say(At(0), Severity::kInfo, "t", "x");
  lines_.clear();
  sink.Flush();
  EXPECT_THAT(lines_, ElementsAre("<6>aqmeshd: suppressed 3 lines about t"));
  sink.Flush();
  EXPECT_THAT(lines_, SizeIs(1));
}

TEST_F(LogSinkTest, IsBoundedAgainstMoreTopicsThanItKeeps) {
  LogSink sink = Sink(Severity::kInfo);
  for (size_t i = 0; i < 10 * LogSink::kTopicsMax; ++i)
    sink.Say(At(0), Severity::kInfo, Join("source ", i), "x");
  EXPECT_THAT(lines_, SizeIs(LogSink::kTopicsMax + LogSink::kBurst));
  lines_.clear();
  sink.Flush();
  EXPECT_THAT(lines_,
              ElementsAre(Join("<6>aqmeshd: suppressed ",
                               9 * LogSink::kTopicsMax - LogSink::kBurst,
                               " lines about other topics")));
}

}  // namespace
}  // namespace aqmesh::daemon
