// lineage sql, export and follow, against the log of a day.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/crypto/hash.h"
#include "daemon/cli/json_read.h"
#include "daemon/cli/line_editor.h"
#include "daemon/cli/sql_print.h"
#include "daemon/cli/state.h"
#include "tests/daemon/cli/world.h"
#include "tests/lineage/sql/day.h"

namespace aqmesh::cli {
namespace {

using lineage::sql::Day;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

constexpr uint64_t kCovered = 25;  // records under the head of 10:15

// A machine that has lived through the day.
class Told : public World {
 public:
  Told() {
    now = lineage::sql::kNine + 3 * 3'600;
    EXPECT_EQ(On({"init", "home", "--no-passphrase", "--machine", "atlas"}).exit, 0);
    Write(day_.batch());
  }
  Ran On(std::vector<std::string> args) {
    args.insert(args.begin(), {"--state", Path("s")});
    return Run(std::move(args));
  }
  Ran Sql(std::vector<std::string> args) {
    args.insert(args.begin(), {"lineage", "sql"});
    return On(std::move(args));
  }
  void Write(const lineage::Batch& batch) {
    const auto store = StateDir::Open(Path("s"))->OpenStore();
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->Commit(batch).ok());
  }
  const Day& day() const { return day_; }
  size_t size() const { return day_.batch().records.size(); }
  using World::Write;

 private:
  Day day_;
};

TEST(SqlTest, PrintsATableJsonLinesOrCsv) {
  Told w;
  const std::string query =
      "SELECT subject_name, count(*) AS n, 1.0 AS f, NULL AS e FROM decisions WHERE outcome = "
      "'REFUSE' "
      "GROUP BY 1 ORDER BY 1";
  const Ran table = w.Sql({query});
  EXPECT_EQ(table.exit, 0) << table.err;
  EXPECT_EQ(table.out,
            "subject_name  n    f  e\n"
            "cygnus        2  1.0\n"
            "draco         3  1.0\n");
  EXPECT_EQ(w.Sql({"--json", query}).out,
            "{\"subject_name\":\"cygnus\",\"n\":2,\"f\":1,\"e\":null}\n"
            "{\"subject_name\":\"draco\",\"n\":3,\"f\":1,\"e\":null}\n");
  EXPECT_EQ(w.Sql({"--csv", "SELECT 'a,\"b\"' AS \"x,y\", 2, NULL, x'00ff'"}).out,
            "\"x,y\",2,NULL,x'00ff'\r\n\"a,\"\"b\"\"\",2,,00ff\r\n");
  EXPECT_EQ(w.Sql({"SELECT 1; SELECT 2;"}).out, "1\n1\n2\n2\n");
  EXPECT_EQ(w.Sql({"--json", "SELECT 1 AS a, 2 AS a"}).out, "{\"a\":1,\"a_2\":2}\n");
}

TEST(SqlTest, OnATerminalATableFitsAndInAPipeItIsNeverCut) {
  Told w;
  const std::string query = "SELECT seq, id, kind FROM records LIMIT 1";
  const std::string whole = w.Sql({query}).out;
  EXPECT_THAT(whole, testing::Not(HasSubstr("~")));
  w.columns = 40;
  for (const std::string& line : Lines(w.Sql({query}).out)) EXPECT_LE(line.size(), 40u) << line;
  EXPECT_THAT(w.Sql({query}).out, HasSubstr("~"));
  // What would move the cursor is shown.
  EXPECT_EQ(w.Sql({"SELECT char(27) || '[2J' || char(10) AS x"}).out, "x\n\\x1b[2J\\n\n");
  EXPECT_EQ(w.Sql({"SELECT 'äöü' AS x, 1 AS y"}).out, "x    y\näöü  1\n");
}

TEST(SqlTest, TakesParametersTimesAndStatementsFromStdin) {
  Told w;
  EXPECT_EQ(w.Sql({"--param",
                   "who=draco",
                   "--param",
                   "n=2",
                   "SELECT count(*) > :n AS x FROM records WHERE subject_name = :who"})
                .out,
            "x\n1\n");
  EXPECT_EQ(w.Sql({"SELECT count(*) AS n FROM decisions WHERE time >= ago('1h')"}).out, "n\n4\n");
  w.input = "SELECT 'from' AS a;\n-- and\nSELECT 'stdin' AS b";
  EXPECT_EQ(w.Sql({}).out, "a\nfrom\nb\nstdin\n");
}

TEST(SqlTest, AMistakeIsOneLineWithItsPlace) {
  Told w;
  for (const char* sql : {"SELECT seq FORM records", "DELETE FROM records", "SELECT :x"}) {
    const Ran ran = w.Sql({sql});
    EXPECT_EQ(ran.exit, 1);
    EXPECT_EQ(Lines(ran.err).size(), 1u) << ran.err;
  }
  EXPECT_THAT(w.Sql({"SELECT seq FORM records"}).err, HasSubstr("line 1, column 17"));
}

TEST(SqlTest, CtrlCEndsAQuestionThatWouldNotEnd) {
  Told w;
  const std::string endless =
      "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t";
  w.asks_before_ctrl_c = 20;
  const Ran ran = w.Sql({endless});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_THAT(ran.err, HasSubstr("interrupted"));
  // In the shell it ends the question, not the shell.
  w.asks_before_ctrl_c = 20;
  w.typed = {{endless + ";", "SELECT 7 AS n;"}};
  const Ran shell = w.Sql({});
  EXPECT_EQ(shell.exit, 0);
  EXPECT_THAT(shell.err, HasSubstr("interrupted"));
  EXPECT_EQ(shell.out, "n\n7\n\n");
}

TEST(SqlTest, AsksACopyOfAnotherMachinesStoreBesideItsOwn) {
  Told w;
  std::filesystem::copy(
      w.Path("s/store"), w.Path("copy"), std::filesystem::copy_options::recursive);
  EXPECT_EQ(w.Sql({"--with",
                   "borealis=" + w.Path("copy"),
                   "SELECT machine, count(*) AS n FROM records GROUP BY machine"})
                .out,
            Join("machine    n\natlas     ", w.size(), "\nborealis  ", w.size(), "\n"));
  EXPECT_EQ(w.Sql({"--with", "x", "SELECT 1"}).exit, 2);
  EXPECT_EQ(w.Sql({"--with", "x=/nowhere", "SELECT 1"}).exit, 1);
}

TEST(SqlShellTest, TakesStatementsOverSeveralLinesAndWordsWithADot) {
  Told w;
  w.typed = {{".tables",
              ".schema flows",
              ".schema nothing",
              "SELECT",
              "  count(*) AS n",
              "FROM records;",
              "SELECT wrong;",
              ".mode json",
              "SELECT 1 AS a; SELECT 2 AS b;",
              ".mode xml",
              ".hlep",
              "",
              ".quit",
              "SELECT 'not reached';"}};
  const Ran ran = w.Sql({});
  EXPECT_EQ(ran.exit, 0);
  EXPECT_THAT(ran.out, HasSubstr("actuations    An action a row"));
  EXPECT_THAT(ran.out, HasSubstr("flows(\n  machine TEXT,\n  seq INTEGER,"));
  EXPECT_THAT(ran.out, HasSubstr(Join(" n\n", w.size(), "\n")));
  EXPECT_THAT(ran.out, HasSubstr("{\"a\":1}\n{\"b\":2}\n"));
  EXPECT_THAT(ran.out, testing::Not(HasSubstr("not reached")));
  EXPECT_THAT(ran.err, HasSubstr("no table `nothing`"));
  EXPECT_THAT(ran.err, HasSubstr("no such column: wrong, at line 1, column 8"));
  EXPECT_THAT(ran.err, HasSubstr(".mode: wants table, json or csv"));
  EXPECT_THAT(ran.err, HasSubstr("no word `.hlep`; see .help"));
  EXPECT_EQ(w.remembered.size(), 12u);
  EXPECT_EQ(w.remembered[3], "SELECT");
}

TEST(SqlShellTest, TheHistoryIsTheUsersAloneAndSurvives) {
  World w;
  const std::string path = w.Path("history");
  {
    const auto file = HistoryFile::Open(path);
    ASSERT_NE(file, nullptr);
    file->Add("SELECT 1;");
    file->Add("SELECT 2;");
  }
  struct stat info{};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_THAT(HistoryFile::Open(path)->lines(), ElementsAre("SELECT 1;", "SELECT 2;"));
  ASSERT_EQ(symlink(path.c_str(), w.Path("link").c_str()), 0);
  EXPECT_EQ(HistoryFile::Open(w.Path("link")), nullptr);
  {
    const auto file = HistoryFile::Open(path);
    for (int i = 0; i < 2 * kHistoryLines; ++i) file->Add(Join("line ", i));
  }
  EXPECT_EQ(HistoryFile::Open(path)->lines().size(), static_cast<size_t>(kHistoryLines));
  EXPECT_EQ(HistoryFile::Open(path)->lines().back(), Join("line ", 2 * kHistoryLines - 1));
  EXPECT_EQ(Lines(w.Read("history")).size(), static_cast<size_t>(kHistoryLines));
}

TEST(ExportTest, EachLineHasWhatItsProofNeeds) {
  Told w;
  const Ran all = w.On({"lineage", "export"});
  EXPECT_EQ(all.exit, 0) << all.err;
  const std::vector<std::string> lines = Lines(all.out);
  ASSERT_EQ(lines.size(), w.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto row = ReadObject(lines[i]);
    const auto body = FromBase64(TextIn(row, "body"));
    ASSERT_TRUE(body) << lines[i];
    EXPECT_EQ(TextIn(row, "record_digest"), ToHex(crypto::MerkleLeaf(*body)));
    EXPECT_EQ(NumberIn(row, "leaf_index"), i);
    EXPECT_EQ(TextIn(row, "machine"), "atlas");
    EXPECT_EQ(*body, w.day().batch().records[i].body);
    EXPECT_EQ(TextIn(row, "checkpoint").empty(), i >= kCovered);
    EXPECT_EQ(NumberIn(row, "checkpoint_size"), i < kCovered ? kCovered : 0);
  }
  const auto csv = Lines(w.On({"lineage", "export", "--format", "csv"}).out);
  ASSERT_EQ(csv.size(), w.size() + 1);
  EXPECT_THAT(csv[0], StartsWith("machine,log,seq,record_digest,leaf_index,checkpoint,"));
  EXPECT_THAT(csv[1], HasSubstr("," + ToHex(w.day().batch().records[0].leaf) + ",0,"));
  EXPECT_THAT(csv[1], EndsWith("," + ToBase64(w.day().batch().records[0].body) + "\r"));
  const std::string parquet = w.On({"lineage", "export", "--format", "parquet"}).out;
  EXPECT_THAT(parquet, StartsWith("PAR1"));
  EXPECT_THAT(parquet, EndsWith("PAR1"));
  w.columns = 80;
  EXPECT_EQ(w.On({"lineage", "export", "--format", "parquet"}).exit, 2);  // not to a terminal
}

TEST(ShipTest, TheTableIsPrintedWithoutAServerAndAServerThatIsNotThereIsSaidSo) {
  Told w;
  const Ran ddl = w.On({"lineage", "ship", "--to", "postgres://db/x", "--table", "t", "--ddl"});
  EXPECT_THAT(ddl.out, StartsWith("CREATE TABLE IF NOT EXISTS \"t\" (\n"));
  EXPECT_THAT(w.On({"lineage", "ship", "--to", "http://db", "--ddl"}).out,
              HasSubstr("ENGINE = ReplacingMergeTree"));
  const Ran gone = w.On({"lineage", "ship", "--to", "postgres://127.0.0.1:1/x"});
  EXPECT_EQ(gone.exit, 1);
  EXPECT_EQ(gone.out, "");
  EXPECT_THAT(gone.err, EndsWith("run it again, it goes on where it ended\n"));
  // With --follow it is tried again, until Ctrl-C.
  int pauses = 0;
  w.on_pause = [&] { w.ctrl_c = ++pauses == 3; };
  const Ran followed = w.On({"lineage", "ship", "--to", "http://127.0.0.1:1", "--follow"});
  EXPECT_EQ(followed.exit, 0) << followed.err;
  EXPECT_THAT(followed.err, HasSubstr("; trying again\n"));
  EXPECT_THAT(followed.err, HasSubstr("0 records shipped to http://127.0.0.1:1/"));
}

TEST(ExportTest, TakesATimeAndWritesAFileOfItsOwn) {
  Told w;
  const Ran ran = w.On({"lineage",
                        "export",
                        "--since",
                        "2026-11-21T11:00Z",
                        "--until",
                        "2026-11-21T11:30Z",
                        "-o",
                        w.Path("x.jsonl")});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(Lines(w.Read("x.jsonl")).size(), 5u);
  EXPECT_THAT(ran.err, HasSubstr("5 records in "));
  EXPECT_EQ(std::filesystem::status(w.Path("x.jsonl")).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(w.On({"lineage", "export", "-o", w.Path("x.jsonl")}).exit, 1);  // never over another
}

TEST(FollowTest, ShowsWhatComesAndEndsWithASummary) {
  Told w;
  lineage::Chain chain = *lineage::Chain::Resume(
      *lineage::LogOfOrigin(lineage::LogSigner(crypto::Ed25519Seed(Bytes(32, 5))).key().name),
      w.day().batch().records.back().body);
  int pauses = 0;
  w.on_pause = [&] {
    if (++pauses == 2 || pauses == 4) {
      authority::Observe o;
      o.kind = pauses == 2 ? authority::RecordKind::kDecided : authority::RecordKind::kRolledBack;
      o.subject = w.day().draco();
      o.rung = pauses == 2 ? authority::Rung::kRefuse : authority::Rung::kNone;
      w.Write(lineage::Batch{.records = {chain.Add(o, WallTime::FromSeconds(w.now))}});
    }
    w.ctrl_c = pauses == 6;
  };
  const Ran all = w.On({"lineage", "follow"});
  EXPECT_EQ(all.exit, 0) << all.err;
  ASSERT_EQ(Lines(all.out).size(), 2u) << all.out;
  EXPECT_THAT(Lines(all.out)[0], HasSubstr("decided  draco  REFUSE"));
  EXPECT_THAT(Lines(all.out)[1], HasSubstr("rolled_back  draco"));
  EXPECT_EQ(all.err, "2 of 2 records shown\n");
  pauses = 10;
  w.on_pause = [&] { w.ctrl_c = true; };
  const Ran since =
      w.On({"lineage", "follow", "--since", "2026-11-21T11:00Z", "--outcome", "REFUSE", "--json"});
  EXPECT_EQ(Lines(since.out).size(), 5u) << since.out;
  for (const std::string& line : Lines(since.out)) EXPECT_THAT(line, StartsWith("{\"id\":"));
}

}  // namespace
}  // namespace aqmesh::cli
