// Answers as lines to compare: "1|NULL|abc".
#ifndef AQMESH_TESTS_LINEAGE_SQL_ASKED_H_
#define AQMESH_TESTS_LINEAGE_SQL_ASKED_H_

#include <gtest/gtest.h>

#include "core/base/status.h"
#include "lineage/sql/database.h"

namespace aqmesh::lineage::sql {

using Rows = std::vector<std::string>;

class Collected final : public Answer {
 public:
  bool Columns(std::span<const std::string> names) override {
    columns = {names.begin(), names.end()};
    return true;
  }
  bool Row(std::span<const Value> values) override {
    std::string line;
    for (size_t i = 0; i < values.size(); ++i) line += Join(i == 0 ? "" : "|", One(values[i]));
    rows.push_back(std::move(line));
    return true;
  }
  std::vector<std::string> columns;
  Rows rows;

 private:
  static std::string One(const Value& v) {
    if (const auto* n = std::get_if<int64_t>(&v)) return std::to_string(*n);
    if (const auto* d = std::get_if<double>(&v)) return std::to_string(*d);
    if (const auto* s = std::get_if<std::string>(&v)) return *s;
    if (const auto* b = std::get_if<Bytes>(&v)) return ToHex(*b);
    return "NULL";
  }
};

inline std::unique_ptr<Database> OpenOver(const Store& store, Options options = {}) {
  auto db = Database::Open({{"atlas", &store}}, std::move(options));
  EXPECT_TRUE(db.ok()) << db.status();
  return *std::move(db);
}

inline Rows Ask(Database& db, std::string_view sql, std::span<const Param> params = {}) {
  Collected answer;
  const auto rest = db.Run(sql, params, answer);
  EXPECT_TRUE(rest.ok()) << sql << ": " << rest.status();
  return answer.rows;
}

inline absl::Status Refusal(Database& db, std::string_view sql) {
  Collected answer;
  return db.Run(sql, {}, answer).status();
}

// The index of the first virtual table in the plan: what stands behind "INDEX n:".
inline std::string PlanOf(Database& db, const std::string& sql) {
  for (const std::string& row : Ask(db, "EXPLAIN QUERY PLAN " + sql)) {
    const size_t at = row.find("VIRTUAL TABLE INDEX ");
    if (at != std::string::npos) return row.substr(row.find(':', at) + 1);
  }
  return "no virtual table";
}

}  // namespace aqmesh::lineage::sql

#endif  // AQMESH_TESTS_LINEAGE_SQL_ASKED_H_
