// Questions that are none.
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/lineage/sql/asked.h"
#include "tests/lineage/sql/day.h"
#include "tests/lineage/story.h"

namespace aqmesh::lineage::sql {
namespace {

using testing::HasSubstr;

class HostileTest : public testing::Test {
 protected:
  HostileTest() { EXPECT_TRUE(store_.Commit(Day().batch()).ok()); }
  MemStore store_;
  TempDir temp_;
};

TEST_F(HostileTest, NothingButAQuestionIsRun) {
  const auto db = OpenOver(store_);
  const std::string file = temp_.Path("made");
  for (const std::string& sql :
       std::vector<std::string>{"INSERT INTO records(seq) VALUES (1)",
                                "UPDATE records SET outcome = 'ADMIT'",
                                "DELETE FROM records",
                                "REPLACE INTO records(seq) VALUES (1)",
                                "DROP TABLE records",
                                "ALTER TABLE records RENAME TO r",
                                "CREATE TABLE t(a)",
                                "CREATE TEMP TABLE t(a)",
                                "CREATE TABLE t AS SELECT * FROM records",
                                "CREATE VIEW v AS SELECT 1",
                                "CREATE TEMP VIEW v AS SELECT 1",
                                "CREATE VIRTUAL TABLE t USING fts5(a)",
                                "CREATE VIRTUAL TABLE t USING records",
                                "CREATE TEMP TRIGGER t AFTER INSERT ON records BEGIN SELECT 1; END",
                                "CREATE INDEX i ON records(seq)",
                                "ATTACH '" + file + "' AS x",
                                "ATTACH ':memory:' AS x",
                                "DETACH main",
                                "VACUUM",
                                "VACUUM INTO '" + file + "'",
                                "ANALYZE",
                                "REINDEX",
                                "BEGIN",
                                "COMMIT",
                                "SAVEPOINT s",
                                "PRAGMA query_only = 0",
                                "PRAGMA query_only",
                                "PRAGMA writable_schema = 1",
                                "PRAGMA trusted_schema = 1",
                                "PRAGMA hard_heap_limit = 0",
                                "PRAGMA temp_store_directory = '" + file + "'",
                                "PRAGMA database_list",
                                "SELECT * FROM pragma_database_list",
                                "SELECT load_extension('x')",
                                "SELECT load_extension('x', 'y')",
                                "SELECT fts3_tokenizer('simple')",
                                "SELECT fts3_tokenizer('simple', x'0000000000000000')",
                                "INSERT INTO sqlite_schema VALUES (1, 2, 3, 4, 5)",
                                "EXPLAIN DELETE FROM records"}) {
    SCOPED_TRACE(sql);
    const absl::Status status = Refusal(*db, sql);
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(Text(status).find('\n'), std::string::npos);
  }
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_EQ(Ask(*db, "SELECT count(*) FROM records"), (Rows{Join(store_.size())}));
  EXPECT_TRUE(store_.Verify().ok());
}

TEST_F(HostileTest, ANoIsSaidInOneLineWithThePlace) {
  const auto db = OpenOver(store_);
  struct Case {
    const char* sql;
    absl::StatusCode code;
    const char* text;
  };
  const Case cases[] = {
      {"DELETE FROM records", absl::StatusCode::kPermissionDenied, "asked, never changed"},
      {"SELECT load_extension('x')", absl::StatusCode::kPermissionDenied, "load_extension"},
      {"SELECT seq\nFORM records", absl::StatusCode::kInvalidArgument, "at line 2, column 6"},
      {"SELECT seq,\n  subjct FROM records",
       absl::StatusCode::kInvalidArgument,
       "no such column: subjct, at line 2, column 3"},
      {"SELECT 1 FROM recrds",
       absl::StatusCode::kInvalidArgument,
       "no such table: recrds, at line 1, column 15"},
      {"SELECT 1 FROM records WHERE outcome = \"REFUSE\"",
       absl::StatusCode::kInvalidArgument,
       "no such column: REFUSE"},
      {"SELECT ?", absl::StatusCode::kInvalidArgument, "a parameter without a name"},
      {"SELECT :x", absl::StatusCode::kInvalidArgument, "no value for the parameter :x"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.sql);
    const absl::Status status = Refusal(*db, c.sql);
    EXPECT_EQ(status.code(), c.code) << status;
    EXPECT_THAT(Text(status), HasSubstr(c.text));
  }
  Collected answer;
  const Param unused{"y", "1"};
  EXPECT_THAT(Text(db->Run("SELECT 1", {&unused, 1}, answer).status()),
              HasSubstr("no parameter :y"));
}

TEST_F(HostileTest, ParametersAreValuesAndNeverSql) {
  const auto db = OpenOver(store_);
  const Param params[] = {{"name", "draco' OR '1'='1"}, {"n", "2"}, {"hex", "0012"}};
  EXPECT_EQ(Ask(*db,
                "SELECT count(*) FROM records WHERE subject_name = @name AND seq > :n OR $hex = 12",
                params),
            (Rows{"0"}));
  EXPECT_EQ(Ask(*db, "SELECT :name, :n + 1, typeof(:hex)", params),
            (Rows{"draco' OR '1'='1|3|text"}));
}

TEST_F(HostileTest, WhatNeverEndsIsStopped) {
  int looks = 0;
  const auto db =
      OpenOver(store_, {.stop = [&looks]() -> absl::Status {
                 return ++looks > 50 ? absl::DeadlineExceededError("too long") : absl::OkStatus();
               }});
  for (const char* sql :
       {"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
        "SELECT count(*) FROM records a, records b, records c, records d, records e",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t LIMIT "
        "9223372036854775807"}) {
    SCOPED_TRACE(sql);
    looks = 0;
    EXPECT_TRUE(absl::IsDeadlineExceeded(Refusal(*db, sql)));
  }
  looks = 0;
  EXPECT_EQ(Ask(*db, "SELECT 1"), (Rows{"1"}));  // and the next one runs
}

TEST_F(HostileTest, AScanWithoutARowIsStoppedToo) {
  MemStore large;
  Scribe scribe;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(large.Commit(scribe.NextBatch(1'000)).ok());
  int looks = 0;
  const auto db =
      OpenOver(large, {.stop = [&looks]() -> absl::Status {
                 return ++looks > 20 ? absl::CancelledError("interrupted") : absl::OkStatus();
               }});
  EXPECT_TRUE(absl::IsCancelled(Refusal(*db, "SELECT 1 FROM records WHERE kind = 'redacted'")));
}

TEST_F(HostileTest, MemoryHasABound) {
  const auto db = OpenOver(store_);
  for (const char* sql : {"SELECT zeroblob(1000000000)",
                          "SELECT length(replace(hex(zeroblob(8000000)), '0', '00000000'))",
                          "SELECT group_concat(hex(zeroblob(100000))) FROM records a, records b"}) {
    SCOPED_TRACE(sql);
    const absl::Status status = Refusal(*db, sql);
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  }
  // What a sort holds does not count: it goes on in a file that has no name.
  EXPECT_EQ(Ask(*db,
                "WITH RECURSIVE t(n, s) AS (SELECT 1, randomblob(1000000) UNION ALL SELECT n + 1, "
                "randomblob(1000000) FROM t LIMIT 300) SELECT count(*) FROM (SELECT s FROM t ORDER "
                "BY s LIMIT 300)"),
            (Rows{"300"}));
  EXPECT_TRUE(
      absl::IsResourceExhausted(Refusal(*db, "SELECT '" + std::string(kSqlBytesMax, 'x') + "'")));
  std::string deep = "SELECT ";
  for (int i = 0; i < 5'000; ++i) deep += "(";
  EXPECT_FALSE(Refusal(*db, deep).ok());
  EXPECT_EQ(Ask(*db, "SELECT count(*) FROM records"), (Rows{Join(store_.size())}));
}

TEST_F(HostileTest, StatementsRunOneAfterAnotherAndCommentsAreNone) {
  const auto db = OpenOver(store_);
  Collected answer;
  const std::string_view sql = "SELECT 1; -- so\nSELECT 2;  ";
  auto rest = db->Run(sql, {}, answer);
  ASSERT_TRUE(rest.ok());
  rest = db->Run(*rest, {}, answer);
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(answer.rows, (Rows{"1", "2"}));
  Collected none;
  rest = db->Run(*rest, {}, none);
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(*rest, "");
  EXPECT_TRUE(none.columns.empty());
  EXPECT_FALSE(Database::IsWhole("SELECT ';"));
  EXPECT_TRUE(Database::IsWhole("SELECT ';';"));
}

}  // namespace
}  // namespace aqmesh::lineage::sql
