// Database: SQL over one or several lineage stores. The tables are virtual: a row is read from a
// store as SQLite asks for it, and what a question says of time, subject, authority, peer, kind and
// outcome is answered from the store's indexes.
// Spec:   spec/lineage.md §6.1 (tables, columns, functions), docs/forensics.md (questions).
// Bounds: one statement at a time; kSqlBytesMax of text, kValueBytesMax a value, kMemoryBytesMax of
//         SQLite's memory (which is the process's, not the database's). A sort over that goes on
//         in an unlinked temporary file; no other file is opened.
// Thread: one owner. The stores outlive the database, and none is written through it.
// Errors: InvalidArgument (the SQL, with line and column), PermissionDenied (anything but a
//         question), ResourceExhausted (memory, size), DataLoss and others as the store says them,
//         and whatever Options::stop says.
#ifndef AQMESH_LINEAGE_SQL_DATABASE_H_
#define AQMESH_LINEAGE_SQL_DATABASE_H_

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lineage/store.h"

namespace aqmesh::lineage::sql {

inline constexpr size_t kSqlBytesMax = 1 << 20;
inline constexpr size_t kValueBytesMax = 16 << 20;
inline constexpr int64_t kMemoryBytesMax = 256 << 20;

// A store, and what its rows say under `machine`.
struct Source {
  std::string name;
  const Store* store = nullptr;
};

struct Options {
  std::function<std::string_view(uint16_t)> drop = {};  // as lineage::Names::drop
  // What at() and ago() read: text to Unix seconds. Without it they say that they cannot.
  std::function<absl::StatusOr<uint64_t>(std::string_view)> when = {};
  // Asked often while a statement runs: an error ends the statement with it.
  std::function<absl::Status()> stop = {};
};

// NULL, a number, text or bytes.
using Value = std::variant<std::monostate, int64_t, double, std::string, Bytes>;

// A value for :name, @name or $name: a number if it is written as SQLite would write one.
struct Param {
  std::string name;
  std::string value;
};

// Takes an answer. Columns comes first, once; false from either ends the statement early, which is
// no error.
class Answer {
 public:
  virtual ~Answer() = default;
  virtual bool Columns(std::span<const std::string> names) = 0;
  virtual bool Row(std::span<const Value> values) = 0;
};

struct TableInfo {
  std::string name;
  std::string about;                 // a sentence
  std::vector<std::string> columns;  // as declared: "seq INTEGER"
};

class Database {
 public:
  // Reads the names of keys from the stores' grants. InvalidArgument: two sources of one name.
  // AQ_CHECKs that there is a source, and that SQLite is as this was built for.
  static absl::StatusOr<std::unique_ptr<Database>> Open(std::vector<Source> sources,
                                                        Options options);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs the first statement of `sql` and gives what follows it. Parameters that it does not name
  // are an error, as are ones that it names and are not here. Text without a statement: no Columns.
  absl::StatusOr<std::string_view> Run(std::string_view sql,
                                       std::span<const Param> params,
                                       Answer& answer);

  // Whether text that was typed so far ends a statement.
  static bool IsWhole(std::string_view sql);
  static std::vector<TableInfo> Tables();

 private:
  struct Impl;
  explicit Database(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aqmesh::lineage::sql

#endif  // AQMESH_LINEAGE_SQL_DATABASE_H_
