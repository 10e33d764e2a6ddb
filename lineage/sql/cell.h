// Cell: where one column of one row goes, in SQLite's words.
// Bounds: none; text and bytes are copied. Thread: lives for one call of SQLite.
// Errors: Fail ends the statement with that status.
#ifndef AQMESH_LINEAGE_SQL_CELL_H_
#define AQMESH_LINEAGE_SQL_CELL_H_

#include <absl/status/status.h>

#include <optional>
#include <string_view>

#include "core/authority/objects.h"
#include "core/base/bytes.h"

struct sqlite3_context;

namespace aqmesh::lineage::sql {

class Cell {
 public:
  explicit Cell(sqlite3_context* to) : to_(to) {}

  void Null();
  void Number(uint64_t n);  // above 2^63 as decimal text: SQLite has no such number
  void Signed(int64_t n);
  void Text(std::string_view text);
  void Blob(ByteView bytes);
  void Hex(ByteView bytes);
  void Fail(const absl::Status& why);

  // NULL where there is nothing to say.
  void NumberIf(uint64_t n) { n == 0 ? Null() : Number(n); }
  void TextIf(std::string_view text) { text.empty() ? Null() : Text(text); }
  template <class T>
  void HexIf(const std::optional<T>& value) {
    value ? Hex(*value) : Null();
  }
  void Rung(authority::Rung rung);      // "ADMIT"; NULL for none
  void Time(uint64_t millis);           // "2026-11-21T14:36:15.123Z"
  void Seconds(uint64_t unix_seconds);  // the same, of a second

 private:
  sqlite3_context* to_;
};

}  // namespace aqmesh::lineage::sql

#endif  // AQMESH_LINEAGE_SQL_CELL_H_
