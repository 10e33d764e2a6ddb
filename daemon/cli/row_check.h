// RowCheck: one row as it was found in another engine, held against the record that it is said to
// be. It names each column that says something else.
// Spec:   spec/lineage.md §6.2. Two layouts are known: that of ship, CSV and Parquet as one JSON
//         object (to_jsonb, JSONEachRow), and a line of `lineage export`.
// Bounds: kRowBytesMax. Thread: pure. Errors: InvalidArgument (no such row).
#ifndef AQMESH_DAEMON_CLI_ROW_CHECK_H_
#define AQMESH_DAEMON_CLI_ROW_CHECK_H_

#include <absl/status/statusor.h>

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lineage/ship/schema.h"

namespace aqmesh::cli {

inline constexpr size_t kRowBytesMax = 1'048'576;

// Exactly one object, white space around it.
absl::StatusOr<boost::json::object> ParseRow(std::string_view text);

// What the row itself says of where it belongs; none of it is believed.
struct RowClaims {
  std::optional<Bytes> body;
  std::optional<authority::Observe> record;  // that the body is
  std::optional<Kid> log;
  std::optional<lineage::Seq> seq;
  std::optional<Digest> digest;
  std::optional<Oid> checkpoint;
  bool names_checkpoint = false;  // also where it is no oid
};
RowClaims ClaimsOf(const boost::json::object& row);

struct Difference {
  std::string column, in_row, in_record;  // printable, cut short
};
struct RowReport {
  size_t same = 0;  // columns that follow from the record, or from where it lies
  std::vector<Difference> altered;
  std::vector<std::string> unproven;  // names that a machine had, and columns that are not ours
};
// `truth`: the record of the log, under the head that the row names or should have named.
RowReport CompareRow(const boost::json::object& row,
                     const lineage::ship::Row& truth,
                     const lineage::ship::Words& words);
// "`outcome` is "ADMIT", the record says "REFUSE"; ..."
std::string AlteredText(const RowReport& report);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_ROW_CHECK_H_
