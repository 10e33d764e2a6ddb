// A row as an engine gave it back, column by column against the record.
#include "daemon/cli/row_check.h"

#include <gmock/gmock.h>

#include "core/base/status.h"
#include "daemon/cli/json_read.h"
#include "lineage/ship/encode.h"
#include "lineage/ship/row_reader.h"
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/row_targets.h"
#include "tests/lineage/ship/shipped.h"
#include "tests/support/sanitized.h"

namespace aqmesh::cli {
namespace {

namespace ship = lineage::ship;
namespace json = boost::json;
using testing::HasSubstr;

class RowCheckTest : public testing::Test {
 protected:
  RowCheckTest() {
    // One record has not all that there is: counts are a FLOW's, drops a DROPS'.
    authority::Observe decided = ship::Everything(), flow = decided, drops = decided;
    decided.flow.reset();
    decided.drops.clear();
    flow.kind = authority::RecordKind::kFlow;
    flow.drops.clear();
    drops.kind = authority::RecordKind::kDrops;
    drops.flow.reset();
    for (const authority::Observe& record : {decided, decided, flow, drops}) log_.Add(record);
    log_.Sign();
    rows_ = *ship::RowReader(log_.store(), log_.kid(), ship::Uncovered::kWait).Next(1);
  }
  // What `look` says holds for each of the rows.
  template <class Look>
  void ForEach(Look look) {
    for (const ship::Row& row : rows_) {
      SCOPED_TRACE(row.record.seq);
      truth_ = row;
      look();
    }
  }
  json::object Flat() const {
    std::string line;
    ship::AppendJsonLine(line, truth_, {"atlas", {}});
    return *ParseRow(line);
  }
  // A line of `lineage export`.
  json::object Line() const {
    json::object row = ReadObject(lineage::RenderJson(truth_.record, truth_.leaf, {}));
    const json::object flat = Flat();
    for (const char* key :
         {"machine", "record_digest", "leaf_index", "body", "checkpoint", "checkpoint_size"})
      row[key] = flat.at(key);
    return row;
  }
  RowReport Compare(const json::object& row) const { return CompareRow(row, truth_, {}); }

  ship::ShippedLog log_;
  std::vector<ship::Row> rows_;
  ship::Row truth_;
};

TEST_F(RowCheckTest, ARowAsItWasShippedIsTheRecords) {
  ForEach([this] {
    const RowReport flat = Compare(Flat());
    EXPECT_THAT(flat.altered, testing::IsEmpty()) << AlteredText(flat);
    EXPECT_EQ(flat.same, ship::Columns().size() - 2);
    EXPECT_THAT(flat.unproven, testing::UnorderedElementsAre("machine", "subject_name"));
    const RowReport line = Compare(Line());
    EXPECT_THAT(line.altered, testing::IsEmpty()) << AlteredText(line);
    EXPECT_GT(line.same, 25u);
  });
}

TEST_F(RowCheckTest, NumbersMayBeInQuotesAndColumnsMayBeLeftOut) {
  ForEach([this] {
    json::object row = Flat();
    for (auto& pair : row) {
      if (pair.value().is_number()) pair.value() = json::serialize(pair.value());
    }
    row.erase("reason");
    row["note"] = "a column of somebody else";
    const RowReport report = Compare(row);
    EXPECT_THAT(report.altered, testing::IsEmpty()) << AlteredText(report);
    EXPECT_THAT(report.unproven, testing::Contains("note"));
  });
}

TEST_F(RowCheckTest, EachAlteredColumnIsNamed) {
  ForEach([this] {
    for (const ship::Column& column : ship::Columns()) {
      SCOPED_TRACE(column.name);
      for (const json::value& value :
           {json::value("forged"), json::value(77), json::value(nullptr)}) {
        json::object row = Flat();
        if (row.at(column.name) == value) continue;
        row[column.name] = value;
        const RowReport report = Compare(row);
        if (column.origin == ship::Origin::kWords) {
          EXPECT_THAT(report.altered, testing::IsEmpty());
          continue;
        }
        ASSERT_EQ(report.altered.size(), 1u);
        EXPECT_EQ(report.altered[0].column, column.name);
        EXPECT_THAT(AlteredText(report), HasSubstr(column.name));
      }
    }
  });
}

// What is left of a line with another bit in it: columns that say what they said, others that are
// not ours, and some that are not there.
TEST_F(RowCheckTest, EachFlippedBitIsRefusedNamedOrProvesNothingElse) {
  ForEach([this] {
    for (const json::object& row : {Flat(), Line()}) {
      const std::string text = json::serialize(row);
      const size_t proven = Compare(row).same;
      for (size_t bit = 0; bit < 8 * text.size(); bit += kSanitized ? 13 : 1) {
        std::string flipped = text;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
        const auto read = ParseRow(flipped);
        if (!read.ok()) continue;
        const RowReport report = Compare(*read);
        if (!report.altered.empty()) continue;
        for (const auto& was : row) {
          const json::value* is = read->if_contains(was.key());
          if (is == nullptr || *is == was.value()) continue;
          EXPECT_THAT(report.unproven, testing::Contains(std::string(was.key()))) << bit;
        }
        EXPECT_LE(report.same, proven) << bit;
        if (read->size() == row.size() && report.same == proven) continue;
        EXPECT_GT(report.unproven.size(), Compare(row).unproven.size()) << bit;
      }
    }
  });
}

TEST_F(RowCheckTest, OfALineEachFieldCountsAlsoWhereItIsMissing) {
  ForEach([this] {
    for (const auto& pair : Line()) {
      const std::string key(pair.key());
      SCOPED_TRACE(key);
      json::object changed = Line(), without = Line();
      changed[key] = "forged";
      without.erase(key);
      const bool words = key == "machine", head = key.starts_with("checkpoint");
      EXPECT_EQ(Compare(changed).altered.size(), words ? 0u : 1u);
      if (key == "id") continue;  // what is left is no line of an export
      EXPECT_EQ(Compare(without).altered.size(), words || head ? 0u : 1u);
    }
  });
  truth_ = rows_[0];
  json::object row = Line();
  row["gates"].as_object()["local"] = "ADMIT";
  EXPECT_EQ(Compare(row).altered.at(0).column, "gates");
  truth_ = rows_[2];
  row = Line();
  row["drops"].as_array()[0].as_object()["count"] = 41;
  EXPECT_EQ(Compare(row).altered.at(0).column, "drops");
}

TEST_F(RowCheckTest, ClaimsAreWhatTheRowSaysAndNoMore) {
  ForEach([this] {
    const RowClaims claims = ClaimsOf(Flat());
    EXPECT_EQ(claims.body, truth_.body);
    EXPECT_EQ(claims.record, truth_.record);
    EXPECT_EQ(claims.log, truth_.record.log);
    EXPECT_EQ(claims.seq, truth_.record.seq);
    EXPECT_EQ(claims.digest, truth_.leaf);
    EXPECT_EQ(claims.checkpoint, truth_.checkpoint->oid);
    const RowClaims none =
        ClaimsOf(*ParseRow(R"({"body":7,"log":"zz","seq":-1,"checkpoint":"x"})"));
    EXPECT_FALSE(none.body || none.record || none.log || none.seq || none.digest ||
                 none.checkpoint);
    EXPECT_TRUE(none.names_checkpoint);
  });
}

TEST_F(RowCheckTest, WhatIsNoRowIsRefusedAndWhatIsShownIsPrintable) {
  truth_ = rows_[0];
  for (const char* bad : {"", "[]", "{}", "7", "{\"a\":1}{\"b\":2}", "{\"a\":", "nonsense"})
    EXPECT_FALSE(ParseRow(bad).ok()) << bad;
  EXPECT_FALSE(ParseRow(std::string(kRowBytesMax + 1, ' ')).ok());
  json::object row = Flat();
  row["outcome"] = "\x1b[31m\nred\xc2\x9b" + std::string(500, 'x');
  row["\x1b]0;title"] = 1;
  const RowReport report = Compare(row);
  for (const std::string& text : {AlteredText(report), report.unproven.back()}) {
    EXPECT_LT(text.size(), 300u);
    for (const char c : text) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
  }
}

TEST_F(RowCheckTest, AnyBytesAreTakenOrRefused) {
  truth_ = rows_[1];
  std::string flat;
  ship::AppendJsonLine(flat, truth_, {"atlas", {}});
  const std::string small = R"({"id":"00","seq":"7","gates":{"x":[1e400]},"body":"AA=="})";
  fuzz::Replay({Bytes(small.begin(), small.end())}, fuzz::FuzzRow);
  Rng rng(Rng::Seed{0x72});
  for (int i = 0; i < 200; ++i) fuzz::FuzzRow(fuzz::Mutated(Bytes(flat.begin(), flat.end()), rng));
}

}  // namespace
}  // namespace aqmesh::cli
