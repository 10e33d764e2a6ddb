// Answers of SQL as people and programs read them: a table, JSON lines, CSV.
// Spec:   RFC 4180 (CSV), RFC 8259 (an object a line); a table as text.h has them, numbers to the right.
// Bounds: a table holds kTableRowsHeld rows, or kTableBytesHeld, to see how wide they are; it goes on
//         with those widths.
// Thread: one owner. Errors: none; text that would move a terminal's cursor is shown escaped.
#ifndef AQMESH_DAEMON_CLI_SQL_PRINT_H_
#define AQMESH_DAEMON_CLI_SQL_PRINT_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "lineage/sql/database.h"

namespace aqmesh::cli {

enum class SqlMode : uint8_t { kTable, kJson, kCsv };

inline constexpr size_t kTableRowsHeld = 1'000;
inline constexpr size_t kTableBytesHeld = 4u << 20;

// An answer that is written as it comes. End() writes what was held back; without it a question
// that failed before its first row leaves nothing behind.
class SqlPrinter : public lineage::sql::Answer {
 public:
  virtual void End() = 0;
  bool any() const { return any_; }  // rows

 protected:
  bool any_ = false;
};

using TextSink = std::function<void(std::string_view)>;

// `columns`: of the terminal, 0: never cut. The sink is called with whole lines, some at a time.
std::unique_ptr<SqlPrinter> MakePrinter(SqlMode mode, size_t columns, TextSink out);

std::string CsvField(std::string_view text);  // quoted where it must be

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_SQL_PRINT_H_
