// The columns: what each says of a record, and how no value leaves its field.
#include <gmock/gmock.h>

#include <map>

#include "core/crypto/hash.h"
#include "lineage/ship/encode.h"
#include "lineage/ship/parquet.h"
#include "tests/lineage/ship/shipped.h"

namespace aqmesh::lineage::ship {
namespace {

using testing::HasSubstr;

std::string Spelled(const Value& v) {
  if (const auto* i = std::get_if<int64_t>(&v)) return std::to_string(*i);
  if (const auto* u = std::get_if<uint64_t>(&v)) return std::to_string(*u);
  if (const auto* s = std::get_if<std::string>(&v)) return *s;
  return "-";
}
std::map<std::string, std::string> Cells(const Row& row, const Words& words) {
  std::map<std::string, std::string> out;
  for (const Column& c : Columns()) out[c.name] = Spelled(c.of(row, words));
  return out;
}

// The fields of one line of COPY text, as PostgreSQL reads it; "\\N" alone is NULL.
std::vector<std::string> CopyFields(std::string_view line) {
  EXPECT_TRUE(line.ends_with('\n'));
  line.remove_suffix(1);
  EXPECT_EQ(line.find('\n'), std::string_view::npos);
  std::vector<std::string> out(1);
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\t') {
      out.emplace_back();
    } else if (line[i] == '\\' && i + 1 < line.size() && line[i + 1] != 'N') {
      const char c = line[++i];
      out.back() += c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
    } else {
      out.back() += line[i];
    }
  }
  return out;
}

// RFC 4180, one record.
std::vector<std::string> CsvFields(std::string_view line) {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      out.back() += line[i++];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && c == ',') {
      out.emplace_back();
    } else if (!quoted && c == '\r') {
      EXPECT_EQ(line.substr(i), "\r\n");
      return out;
    } else {
      out.back() += c;
    }
  }
  ADD_FAILURE() << "the line has no end";
  return out;
}

TEST(ShipSchemaTest, EachColumnSaysWhatTheRecordHas) {
  const auto cells = Cells(RowOf(Everything(), Checkpoint{Filled<Oid>(0xcc), 9}), PlainWords());
  const std::map<std::string, std::string> want = {
      {"machine", "atlas"},
      {"log", ToHex(LogKid())},
      {"seq", "3"},
      {"record_digest", ToHex(Filled<Digest>(0xab))},
      {"leaf_index", "3"},
      {"checkpoint", ToHex(Filled<Oid>(0xcc))},
      {"checkpoint_size", "9"},
      {"time", "2026-11-21T09:00:00.123Z"},
      {"ms", "1795251600123"},
      {"hlc", std::to_string(HlcFromMillis(1'795'251'600'123) + 1)},
      {"kind", "decided"},
      {"kind_code", "2"},
      {"prev", ToHex(Filled<Digest>(0x01))},
      {"scope", ToHex(Filled<ScopeId>(0x20))},
      {"subject", ToHex(Filled<Kid>(7))},
      {"subject_name", "draco"},
      {"peer", ToHex(Filled<Kid>(7))},
      {"authority", ToHex(Filled<Digest>(0x87))},
      {"inputs", ToHex(Filled<Oid>(0x40))},
      {"gate_crypto", "ADMIT"},
      {"gate_trust", "ADMIT"},
      {"gate_corroboration", "ADMIT"},
      {"gate_freshness", "ADMIT"},
      {"gate_action", "ADMIT"},
      {"gate_local", "REFUSE"},
      {"ladm_q16", "49152"},
      {"slope_q16", "64"},
      {"corr_milli", "1500"},
      {"outcome", "REFUSE"},
      {"outcome_code", "1"},
      {"action", "install_peer"},
      {"action_code", "3"},
      {"action_id", ToHex(Filled<authority::ActionId>(0x60))},
      {"intent_gen", "18446744073709551615"},
      {"observed_gen", "8"},
      {"evidence", ToHex(Filled<Digest>(0x61))},
      {"reason", "handle"},
      {"reason_code", "66"},
      {"commits",
       "[\"" + ToHex(Filled<Digest>(0x62)) + "\",\"" + ToHex(Filled<Digest>(0x63)) + "\"]"},
      {"frames", "9"},
      {"bytes", "10"},
      {"first", "11"},
      {"last", "18446744073709551615"},
      {"tags", ToHex(Filled<Digest>(0x64))},
      {"presentations", "[\"" + ToHex(Filled<Oid>(0x65)) + "\"]"},
      {"dropped", "12"},
      {"drops",
       R"([{"reason":"handle","reason_code":66,"count":40},)"
       R"({"reason":"reason 700","reason_code":700,"count":18446744073709551615}])"},
      {"body", "AQL/"},
  };
  EXPECT_EQ(cells, want);
}

TEST(ShipSchemaTest, WhatIsAbsentIsNullAndNeverInAColumnThatIsAlwaysThere) {
  authority::Observe bare;
  bare.kind = authority::RecordKind::kDrops;
  const Row row = RowOf(bare);
  for (const Column& c : Columns()) {
    SCOPED_TRACE(c.name);
    const bool null = std::holds_alternative<std::monostate>(c.of(row, {}));
    if (std::string_view(c.name) != "prev") {
      EXPECT_EQ(null, !c.always);
    }
  }
  EXPECT_EQ(Cells(row, {})["peer"], ToHex(LogKid()));
}

TEST(ShipSchemaTest, ColumnsHaveTheTypeThatTheySay) {
  for (const Row& row : {RowOf(Everything(), Checkpoint{}), RowOf({})}) {
    for (const Column& c : Columns()) {
      SCOPED_TRACE(c.name);
      const Value v = c.of(row, PlainWords());
      if (std::holds_alternative<std::monostate>(v)) continue;
      EXPECT_EQ(v.index(), c.type == Type::kInt ? 1u : c.type == Type::kCount ? 2u : 3u);
    }
  }
}

TEST(ShipSchemaTest, TheTablesAreStable) {
  const auto digest = [](const std::string& ddl) {
    return ToHex(crypto::Sha256({AsBytes(ddl)})).substr(0, 16);
  };
  // An edit here is a change of every table that is out there.
  EXPECT_EQ(digest(PostgresDdl("t")), "379c308ac12a2ce6") << PostgresDdl("t");
  EXPECT_EQ(digest(ClickHouseDdl("t")), "9c49e836680971f5") << ClickHouseDdl("t");
  EXPECT_THAT(PostgresDdl("t"), HasSubstr("PRIMARY KEY (\"log\", \"seq\")"));
}

TEST(ShipSchemaTest, ATableNameStandsInAStatementAsItIs) {
  for (const char* good : {"aqmesh_records", "_", "A9", "a"})
    EXPECT_TRUE(IsTableName(good)) << good;
  for (const std::string& bad : std::vector<std::string>{"",
                                                         "9a",
                                                         "a-b",
                                                         "a b",
                                                         "a\"b",
                                                         "a;DROP TABLE x",
                                                         "a.b",
                                                         "\xc3\xa4",
                                                         std::string(64, 'a')})
    EXPECT_FALSE(IsTableName(bad)) << bad;
}

TEST(ShipEncodeTest, HostileNamesStayInTheirFields) {
  for (const std::string& name : std::vector<std::string>{"\t",           "\\N",
                                                          "\\.",          "a\nb",
                                                          "a\r\nb",       "\"",
                                                          "\",\"",        ",",
                                                          "a\\tb",        "\\",
                                                          " x ",          std::string("a\0b", 3),
                                                          "\xff\xfe",     "\xc0\x80",
                                                          "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                                          "\xe2\x82",     "'; DROP TABLE x; --",
                                                          "\x1b[31m",     "\xc3\xa9"}) {
    SCOPED_TRACE(testing::PrintToString(name));
    const Row row = RowOf(Everything());
    const Words words{name, {{}, [&name](const Kid&) { return name; }}};
    std::string copy, csv, json;
    AppendCopyLine(copy, row, words);
    AppendCsvLine(csv, row, words);
    AppendJsonLine(json, row, words);
    const auto copied = CopyFields(copy), listed = CsvFields(csv);
    ASSERT_EQ(copied.size(), Columns().size());
    ASSERT_EQ(listed.size(), Columns().size());
    for (size_t i = 0; i < Columns().size(); ++i) {
      const Value value = Columns()[i].of(row, words);
      const bool null = std::holds_alternative<std::monostate>(value);
      EXPECT_EQ(copied[i], null ? "\\N" : Spelled(value)) << Columns()[i].name;
      EXPECT_EQ(listed[i], null ? "" : Spelled(value)) << Columns()[i].name;
    }
    EXPECT_EQ(copied[0], CleanText(name));
    EXPECT_EQ(copied[0].find('\0'), std::string::npos);
    EXPECT_EQ(std::ranges::count(json, '\n'), 1);
  }
}

TEST(ShipEncodeTest, TextIsUtf8AndWhatIsNotIsReplaced) {
  const struct {
    std::string in, want;
  } cases[] = {{"", ""},
               {"plain", "plain"},
               {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
               {std::string("a\0b", 3),
                "a\xef\xbf\xbd"
                "b"},
               {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
               {"\xc3", "\xef\xbf\xbd"},
               {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
               {"\xed\xa0\x80x", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx"}};
  for (const auto& c : cases) EXPECT_EQ(CleanText(c.in), c.want) << testing::PrintToString(c.in);
}

std::string Parquet(size_t rows, const Row& row) {
  std::string out;
  ParquetWriter writer([&out](std::string_view bytes) { out += bytes; });
  for (size_t i = 0; i < rows; ++i) writer.Add(row, PlainWords());
  writer.Finish();
  return out;
}

TEST(ParquetTest, TheFileIsFramedByItsMagicAndTheSizeOfItsEnd) {
  for (const size_t rows : {size_t{0}, size_t{1}, size_t{100}}) {
    const std::string file = Parquet(rows, RowOf(Everything()));
    EXPECT_TRUE(file.starts_with("PAR1") && file.ends_with("PAR1"));
    const auto end =
        LoadLe<uint32_t>(reinterpret_cast<const uint8_t*>(file.data()) + file.size() - 8);
    ASSERT_LT(end + 12, file.size() + 1);
    EXPECT_THAT(file.substr(file.size() - 8 - end, end), HasSubstr("checkpoint_size"));
  }
}

// These bytes were read by pyarrow and DuckDB, each column with its type and its value.
TEST(ParquetTest, TheBytesAreThoseThatOthersHaveRead) {
  EXPECT_EQ(ToHex(crypto::Sha256(
                      {AsBytes(Parquet(3, RowOf(Everything(), Checkpoint{Filled<Oid>(0xcc), 9})))}))
                .substr(0, 16),
            "d50b541a504df732");
}

}  // namespace
}  // namespace aqmesh::lineage::ship
