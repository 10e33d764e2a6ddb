// docs/forensics.md says what the queries in it answer; here they are asked. AQMESH_REWRITE=1
// writes the answers into the page instead, to be read as a diff.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/sql_print.h"
#include "daemon/cli/text.h"
#include "tests/lineage/sql/day.h"

namespace aqmesh::cli {
namespace {

using lineage::sql::Database;

constexpr uint64_t kNoon = lineage::sql::kNine + 3 * 3'600;

std::string Answered(Database& db, std::string_view sql) {
  std::string text;
  const auto printer =
      MakePrinter(SqlMode::kTable, 0, [&text](std::string_view part) { text += part; });
  const auto rest = db.Run(sql, {}, *printer);
  printer->End();
  EXPECT_TRUE(rest.ok()) << sql << rest.status();
  return text;
}

TEST(ForensicsTest, EveryAnswerInTheDocumentIsTheOneThatTheQueryGives) {
  lineage::MemStore store;
  ASSERT_TRUE(store.Commit(lineage::sql::Day().batch()).ok());
  lineage::sql::Options options;
  options.drop = DropName;
  options.when = [](std::string_view text) { return ParseWhen(text, kNoon); };
  auto db = Database::Open({{"atlas", &store}}, std::move(options));
  ASSERT_TRUE(db.ok()) << db.status();

  const std::string path = AQ_SOURCE_DIR "/docs/forensics.md";
  std::ifstream in(path);
  std::string page, sql, answer;
  enum { kText, kQuery, kBetween, kAnswer } place = kText;
  int queries = 0;
  for (std::string line; std::getline(in, line);) {
    const bool fence = line.starts_with("```");
    if (place == kQuery && !fence) sql += line + "\n";
    if (place == kAnswer && !fence) {
      answer += line + "\n";
      continue;
    }
    if (place == kAnswer) {
      const std::string now = Answered(**db, sql);
      if (std::getenv("AQMESH_REWRITE") == nullptr) {
        EXPECT_EQ(answer, now) << sql;
      }
      page += now;
      ++queries;
      sql.clear();
      answer.clear();
    }
    page += line + "\n";
    if (!fence) continue;
    if (line == "```sql") {
      ASSERT_EQ(place, kText);
      place = kQuery;
    } else {
      place = place == kQuery ? kBetween : place == kBetween ? kAnswer : kText;
    }
  }
  EXPECT_EQ(place, kText);
  EXPECT_GE(queries, 12);
  if (std::getenv("AQMESH_REWRITE") != nullptr) std::ofstream(path) << page;
}

}  // namespace
}  // namespace aqmesh::cli
