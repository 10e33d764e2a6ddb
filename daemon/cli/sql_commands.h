// What `lineage sql` and `lineage export` share: the stores that are asked, and one question after
// another over them.
// Bounds: kStoresMax stores. Thread: one owner. Errors: those of the stores and of sql/database.h;
//         DeadlineExceeded (--timeout), Cancelled (Ctrl-C).
#ifndef AQMESH_DAEMON_CLI_SQL_COMMANDS_H_
#define AQMESH_DAEMON_CLI_SQL_COMMANDS_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/cli/commands.h"
#include "daemon/cli/sql_print.h"
#include "lineage/sql/database.h"
#include "lineage/store.h"

namespace aqmesh::cli {

inline constexpr size_t kStoresMax = 64;

// The stores as they are at this moment, and the questions put to them.
class SqlDesk {
 public:
  // This machine's store, and copies of others': "NAME=DIR".
  static absl::StatusOr<std::unique_ptr<SqlDesk>> Open(Session& session,
                                                       const std::vector<std::string>& others,
                                                       std::optional<uint64_t> timeout_seconds);

  // Runs all statements of `sql` and prints their answers.
  absl::Status Ask(std::string_view sql,
                   std::span<const lineage::sql::Param> params,
                   SqlMode mode,
                   const TextSink& out);
  const lineage::Store& own() const { return *stores_.front(); }
  const std::string& name() const { return places_.front().name; }
  // Opens again the stores that have more by now.
  absl::Status Refresh();

 private:
  explicit SqlDesk(Session& session) : session_(session) {}
  struct Place {
    std::string name, dir;
    std::string head;  // the file that tells of new records; "": there can be none
  };
  absl::Status Load();
  absl::Status Stop() const;

  Session& session_;
  std::vector<Place> places_;  // one's own first
  std::vector<std::unique_ptr<lineage::Store>> stores_;
  std::unique_ptr<lineage::sql::Database> db_;
  std::optional<uint64_t> timeout_seconds_;
  Instant deadline_ = kNever;
};

// Statements and .commands typed at a terminal, until .quit or the end of input.
absl::StatusOr<int> RunShell(Session& session,
                             SqlDesk& desk,
                             std::span<const lineage::sql::Param> params,
                             SqlMode mode);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_SQL_COMMANDS_H_
