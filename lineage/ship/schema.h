// Schema: a record as a row for other engines. The columns are one list, the same for PostgreSQL,
// ClickHouse, CSV and Parquet, so that a row found in any of them is read, and checked, alike.
// Spec:   spec/lineage.md §6.2. Column names and types are stable; new ones are added at the end.
// Bounds: a row is a record (kRecordBytesMax) and some 3 KiB of text made from it at most a commit
//         or presentation list allows. Thread: pure. Errors: none.
#ifndef AQMESH_LINEAGE_SHIP_SCHEMA_H_
#define AQMESH_LINEAGE_SHIP_SCHEMA_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "lineage/record.h"

namespace aqmesh::lineage::ship {

inline constexpr std::string_view kDefaultTable = "aqmesh_records";

// The head that a row is provable under.
struct Checkpoint {
  Oid oid;
  uint64_t size = 0;
  bool operator==(const Checkpoint&) const = default;
};

struct Row {
  authority::Observe record;
  Digest leaf;
  Bytes body;
  std::optional<Checkpoint> checkpoint;  // the smallest over it; nullopt: none is signed yet
};

// What a row says beside the record: not proven by anything.
struct Words {
  std::string machine;
  Names names;
};

enum class Type : uint8_t {
  kText,
  kInt,    // 64 bits, signed
  kCount,  // 64 bits without a sign: counters come from frames, so peers choose them
};
// Text is valid UTF-8 without NUL, whatever it was made of.
using Value = std::variant<std::monostate, int64_t, uint64_t, std::string>;

// Where a column comes from, and so what can be said of it later.
enum class Origin : uint8_t {
  kRecord,  // the record's own bytes
  kProof,   // where it lies in the log
  kWords,   // names that this machine had for it
};

struct Column {
  const char* name;
  Type type;
  bool always;  // never NULL
  Origin origin;
  Value (*of)(const Row& row, const Words& words);
};
std::span<const Column> Columns();
const Column* ColumnNamed(std::string_view name);  // nullptr if there is none

// A letter or "_", then letters, digits and "_", at most 63: it stands in statements as it is.
bool IsTableName(std::string_view name);
// CREATE TABLE, with its semicolon and a newline.
std::string PostgresDdl(std::string_view table);
std::string ClickHouseDdl(std::string_view table);
// As the engine names the type of a column itself.
std::string_view PostgresType(const Column& column);
std::string ClickHouseType(const Column& column);  // "Nullable(String)"

// "a", "b", ... in quotes that both engines read.
std::string QuotedColumns();

}  // namespace aqmesh::lineage::ship

#endif  // AQMESH_LINEAGE_SHIP_SCHEMA_H_
