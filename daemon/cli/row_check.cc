#include "daemon/cli/row_check.h"

#include <algorithm>
#include <array>

#include "core/base/status.h"
#include "daemon/cli/json_read.h"
#include "lineage/ship/encode.h"
#include "lineage/tlog/text.h"

namespace aqmesh::cli {

namespace json = boost::json;
namespace ship = lineage::ship;

namespace {

constexpr size_t kShownMax = 80;  // of a value
constexpr size_t kListedMax = 5;  // differences in one line

// What a line of `lineage export` may have beside the names that the columns have too.
constexpr std::array<std::string_view, 4> kExportOnly = {"id", "gates", "rung", "flow"};

std::string Printable(std::string text) {
  if (text.size() > kShownMax) text = text.substr(0, kShownMax) + "...";
  for (char& c : text) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return text;
}

std::string_view KeyText(const json::key_value_pair& pair) {
  return {pair.key().data(), pair.key().size()};
}

// Engines spell numbers of 64 bits with quotes or without: digits are compared.
std::string Spelled(const json::value& value) {
  if (const json::string* s = value.if_string()) return {s->data(), s->size()};
  const auto text = json::serialize(value);
  return {text.data(), text.size()};
}

bool Same(const json::value& a, const json::value& b) {
  if (a.is_null() || b.is_null()) return a.is_null() && b.is_null();
  if (a.is_structured() || b.is_structured()) return a == b;
  return Spelled(a) == Spelled(b);
}

// A line of `lineage export` leaves out what is absent, a row of a table says null.
bool IsExportLine(const json::object& row) { return row.contains("id"); }

json::object Expected(const ship::Row& truth, const ship::Words& words, bool export_line) {
  std::string flat;
  ship::AppendJsonLine(flat, truth, words);
  json::object out = ReadObject(flat);
  if (!export_line) return out;
  json::object nested = ReadObject(lineage::RenderJson(truth.record, truth.leaf, words.names));
  for (const char* key : {"record_digest", "leaf_index", "body", "checkpoint", "checkpoint_size"}) {
    if (!out[key].is_null()) nested[key] = out[key];
  }
  return nested;
}

bool IsOurs(std::string_view key, bool export_line) {
  return ship::ColumnNamed(key) != nullptr ||
         (export_line && std::ranges::find(kExportOnly, key) != kExportOnly.end());
}

bool IsWords(std::string_view key) {
  const ship::Column* column = ship::ColumnNamed(key);
  return column != nullptr && column->origin == ship::Origin::kWords;
}

template <class Fixed>
std::optional<Fixed> HexOf(const json::object& row, std::string_view key) {
  const auto bytes = FromHex(TextIn(row, key));
  return bytes ? Fixed::From(*bytes) : std::nullopt;
}

}  // namespace

absl::StatusOr<json::object> ParseRow(std::string_view text) {
  if (text.size() > kRowBytesMax)
    return InvalidArgument("a row of ", text.size(), " bytes is too large");
  json::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error);
  json::object* row = error ? nullptr : value.if_object();
  if (row == nullptr || row->empty()) {
    return InvalidArgument(
        "not one row as a JSON object; PostgreSQL gives it by SELECT to_jsonb(r), ClickHouse by "
        "FORMAT JSONEachRow");
  }
  return std::move(*row);
}

RowClaims ClaimsOf(const json::object& row) {
  RowClaims out;
  if (const std::string text = TextIn(row, "body"); !text.empty()) out.body = FromBase64(text);
  if (out.body && out.body->size() <= lineage::kRecordBytesMax) {
    auto record = authority::ParseBody<authority::Observe>(*out.body);
    if (record.ok()) out.record = *std::move(record);
  }
  out.log = HexOf<Kid>(row, "log");
  out.digest = HexOf<Digest>(row, "record_digest");
  if (!out.digest) out.digest = HexOf<Digest>(row, "id");
  for (const char* key : {"leaf_index", "seq"}) {
    const json::value* value = row.if_contains(key);
    if (value != nullptr && !out.seq) out.seq = tlog::ParseDecimal(Spelled(*value));
  }
  const json::value* checkpoint = row.if_contains("checkpoint");
  out.names_checkpoint = checkpoint != nullptr && !checkpoint->is_null();
  out.checkpoint = HexOf<Oid>(row, "checkpoint");
  return out;
}

RowReport CompareRow(const json::object& row, const ship::Row& truth, const ship::Words& words) {
  const bool export_line = IsExportLine(row);
  const json::object expected = Expected(truth, words, export_line);
  RowReport out;
  const json::value null;
  for (const auto& pair : row) {
    const std::string_view key = KeyText(pair);
    if (!IsOurs(key, export_line) || IsWords(key)) {
      out.unproven.push_back(Printable(std::string(key)));
      continue;
    }
    const json::value* want = expected.if_contains(pair.key());
    if (Same(pair.value(), want == nullptr ? null : *want)) {
      ++out.same;
      continue;
    }
    out.altered.push_back(
        {Printable(std::string(key)),
         Printable(std::string(json::serialize(pair.value()))),
         Printable(want == nullptr ? "nothing" : std::string(json::serialize(*want)))});
  }
  if (!export_line) return out;
  for (const auto& pair : expected) {
    const std::string_view key = KeyText(pair);
    if (row.contains(pair.key()) || IsWords(key) || key.starts_with("checkpoint")) continue;
    out.altered.push_back({Printable(std::string(key)),
                           "missing",
                           Printable(std::string(json::serialize(pair.value())))});
  }
  return out;
}

std::string AlteredText(const RowReport& report) {
  std::string out;
  for (size_t i = 0; i < report.altered.size() && i < kListedMax; ++i) {
    const Difference& d = report.altered[i];
    out += Join(
        i == 0 ? "" : "; ", "`", d.column, "` is ", d.in_row, ", the record says ", d.in_record);
  }
  if (report.altered.size() > kListedMax)
    out += Join("; and ", report.altered.size() - kListedMax, " more");
  return out;
}

}  // namespace aqmesh::cli
