#include "lineage/ship/schema.h"

#include <algorithm>

#include "core/base/status.h"
#include "core/wire/json.h"
#include "lineage/ship/encode.h"

namespace aqmesh::lineage::ship {
namespace {

using authority::FlowSummary;
using authority::Observe;

Value Text(std::string text) { return CleanText(std::move(text)); }
Value TextIf(std::string_view text) { return text.empty() ? Value() : Text(std::string(text)); }
Value Hex(ByteView bytes) { return ToHex(bytes); }
template <class T>
Value HexIf(const std::optional<T>& value) {
  return value ? Hex(*value) : Value();
}
Value Int(uint64_t n) { return static_cast<int64_t>(n); }  // of what is below 2^63
Value IntIf(uint64_t n) { return n == 0 ? Value() : Int(n); }
Value CountIf(uint64_t n) { return n == 0 ? Value() : Value(n); }

Value RungText(authority::Rung rung) {
  return rung == authority::Rung::kNone ? Value() : TextIf(authority::RungName(rung));
}
template <size_t N>
Value GateOf(const Row& row, const Words&) {
  return row.record.gates ? RungText(static_cast<authority::Rung>((*row.record.gates)[N]))
                          : Value();
}
template <uint64_t FlowSummary::* Field>
Value OfFlow(const Row& row, const Words&) {
  return row.record.flow ? Value((*row.record.flow).*Field) : Value();
}

template <class List>
Value HexList(const List& list) {
  if (list.empty()) return Value();
  wire::JsonWriter json;
  json.Array();
  for (const auto& item : list) json.Value(ToHex(item));
  json.End();
  return json.Take();
}

Value Drops(const Row& row, const Words& words) {
  if (row.record.drops.empty()) return Value();
  wire::JsonWriter json;
  json.Array();
  for (const authority::DropCount& drop : row.record.drops) {
    json.Object().Field("reason", ReasonName(drop.reason, words.names));
    json.Field("reason_code", drop.reason).Field("count", drop.count).End();
  }
  json.End();
  return json.Take();
}

Value Action(const Row& row, const Words&) {
  const uint16_t action = row.record.action;
  const std::string_view name = ActionName(action);
  return action != 0 && name.empty() ? Text(Join(action)) : TextIf(name);
}
Value SubjectName(const Row& row, const Words& words) {
  return row.record.subject && words.names.peer ? TextIf(words.names.peer(*row.record.subject))
                                                : Value();
}

constexpr Column kColumns[] = {
    {"machine",
     Type::kText,
     false,
     Origin::kWords,
     [](const Row&, const Words& words) -> Value { return TextIf(words.machine); }},
    {"log",
     Type::kText,
     true,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return Hex(row.record.log); }},
    {"seq",
     Type::kInt,
     true,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return Int(row.record.seq); }},
    {"record_digest",
     Type::kText,
     true,
     Origin::kProof,
     [](const Row& row, const Words&) -> Value { return Hex(row.leaf); }},
    {"leaf_index",
     Type::kInt,
     true,
     Origin::kProof,
     [](const Row& row, const Words&) -> Value { return Int(row.record.seq); }},
    {"checkpoint",
     Type::kText,
     false,
     Origin::kProof,
     [](const Row& row, const Words&) -> Value {
       return row.checkpoint ? Hex(row.checkpoint->oid) : Value();
     }},
    {"checkpoint_size",
     Type::kInt,
     false,
     Origin::kProof,
     [](const Row& row, const Words&) -> Value {
       return row.checkpoint ? Int(row.checkpoint->size) : Value();
     }},
    {"time",
     Type::kText,
     true,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return Text(TimeText(row.record.hlc)); }},
    {"ms",
     Type::kInt,
     true,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return Int(MillisFromHlc(row.record.hlc)); }},
    {"hlc",
     Type::kCount,
     true,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return row.record.hlc; }},
    {"kind",
     Type::kText,
     true,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value {
       return Text(std::string(KindName(row.record.kind)));
     }},
    {"kind_code",
     Type::kInt,
     true,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value {
       return Int(static_cast<uint64_t>(row.record.kind));
     }},
    {"prev",
     Type::kText,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return HexIf(row.record.prev); }},
    {"scope",
     Type::kText,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return HexIf(row.record.scope); }},
    {"subject",
     Type::kText,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return HexIf(row.record.subject); }},
    {"subject_name", Type::kText, false, Origin::kWords, SubjectName},
    {"peer",
     Type::kText,
     true,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value {
       return Hex(row.record.subject ? *row.record.subject : row.record.log);
     }},
    {"authority",
     Type::kText,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return HexIf(row.record.authority); }},
    {"inputs",
     Type::kText,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return HexIf(row.record.inputs); }},
    {"gate_crypto", Type::kText, false, Origin::kRecord, GateOf<0>},
    {"gate_trust", Type::kText, false, Origin::kRecord, GateOf<1>},
    {"gate_corroboration", Type::kText, false, Origin::kRecord, GateOf<2>},
    {"gate_freshness", Type::kText, false, Origin::kRecord, GateOf<3>},
    {"gate_action", Type::kText, false, Origin::kRecord, GateOf<4>},
    {"gate_local", Type::kText, false, Origin::kRecord, GateOf<5>},
    {"ladm_q16",
     Type::kInt,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value {
       return HasWeights(row.record) ? Int(row.record.ladm) : Value();
     }},
    {"slope_q16",
     Type::kInt,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value {
       return HasWeights(row.record) ? Value(int64_t{row.record.slope} - kSlopeZero) : Value();
     }},
    {"corr_milli",
     Type::kInt,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value {
       return HasWeights(row.record) ? Int(row.record.corr) : Value();
     }},
    {"outcome",
     Type::kText,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return RungText(row.record.rung); }},
    {"outcome_code",
     Type::kInt,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value {
       return IntIf(static_cast<uint64_t>(row.record.rung));
     }},
    {"action", Type::kText, false, Origin::kRecord, Action},
    {"action_code",
     Type::kInt,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return IntIf(row.record.action); }},
    {"action_id",
     Type::kText,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return HexIf(row.record.action_id); }},
    {"intent_gen",
     Type::kCount,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return CountIf(row.record.intent_gen); }},
    {"observed_gen",
     Type::kCount,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return CountIf(row.record.observed_gen); }},
    {"evidence",
     Type::kText,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return HexIf(row.record.evidence); }},
    {"reason",
     Type::kText,
     false,
     Origin::kRecord,
     [](const Row& row, const Words& words) -> Value {
       return TextIf(ReasonName(row.record.reason, words.names));
     }},
    {"reason_code",
     Type::kInt,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return IntIf(row.record.reason); }},
    {"commits",
     Type::kText,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return HexList(row.record.commits); }},
    {"frames", Type::kCount, false, Origin::kRecord, OfFlow<&FlowSummary::frames>},
    {"bytes", Type::kCount, false, Origin::kRecord, OfFlow<&FlowSummary::bytes>},
    {"first", Type::kCount, false, Origin::kRecord, OfFlow<&FlowSummary::first>},
    {"last", Type::kCount, false, Origin::kRecord, OfFlow<&FlowSummary::last>},
    {"tags",
     Type::kText,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value {
       return row.record.flow ? Hex(row.record.flow->tags) : Value();
     }},
    {"presentations",
     Type::kText,
     false,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value {
       return row.record.flow ? HexList(row.record.flow->presentations) : Value();
     }},
    {"dropped", Type::kCount, false, Origin::kRecord, OfFlow<&FlowSummary::drops>},
    {"drops", Type::kText, false, Origin::kRecord, Drops},
    {"body",
     Type::kText,
     true,
     Origin::kRecord,
     [](const Row& row, const Words&) -> Value { return ToBase64(row.body); }},
};

std::string Ddl(std::string_view table, std::string (*type)(const Column&), std::string_view end) {
  std::string out = Join("CREATE TABLE IF NOT EXISTS \"", table, "\" (\n");
  for (const Column& c : kColumns)
    out += Join("  \"", c.name, "\" ", type(c), &c == std::end(kColumns) - 1 ? "" : ",\n");
  return Join(out, end);
}

}  // namespace

std::span<const Column> Columns() { return kColumns; }

const Column* ColumnNamed(std::string_view name) {
  const auto at =
      std::ranges::find(kColumns, name, [](const Column& c) -> std::string_view { return c.name; });
  return at == std::end(kColumns) ? nullptr : at;
}

bool IsTableName(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  if (name.empty() || name.size() > 63 || !letter(name.front())) return false;
  return std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

std::string_view PostgresType(const Column& column) {
  switch (column.type) {
    case Type::kText: return "text";
    case Type::kInt: return "bigint";
    case Type::kCount: return "numeric(20,0)";
  }
  return "";
}

std::string ClickHouseType(const Column& column) {
  const std::string type = column.type == Type::kText  ? "String"
                           : column.type == Type::kInt ? "Int64"
                                                       : "UInt64";
  return column.always ? type : Join("Nullable(", type, ")");
}

std::string PostgresDdl(std::string_view table) {
  return Ddl(
      table,
      [](const Column& c) { return Join(PostgresType(c), c.always ? " NOT NULL" : ""); },
      ",\n  PRIMARY KEY (\"log\", \"seq\")\n);\n");
}

std::string ClickHouseDdl(std::string_view table) {
  return Ddl(
      table, ClickHouseType, "\n) ENGINE = ReplacingMergeTree ORDER BY (\"log\", \"seq\");\n");
}

std::string QuotedColumns() {
  std::string out;
  for (const Column& c : kColumns) out += Join(out.empty() ? "" : ", ", "\"", c.name, "\"");
  return out;
}

}  // namespace aqmesh::lineage::ship
