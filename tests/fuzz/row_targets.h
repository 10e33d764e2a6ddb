// The fuzz target over rows that came back from another engine: taken or refused, and compared
// without harm.
#ifndef AQMESH_TESTS_FUZZ_ROW_TARGETS_H_
#define AQMESH_TESTS_FUZZ_ROW_TARGETS_H_

#include "core/base/check.h"
#include "daemon/cli/row_check.h"

namespace aqmesh::fuzz {

inline void FuzzRow(ByteView bytes) {
  const auto row = cli::ParseRow(AsText(bytes));
  if (!row.ok()) return;
  const cli::RowClaims claims = cli::ClaimsOf(*row);
  lineage::ship::Row truth;
  if (claims.record) truth.record = *claims.record;
  if (claims.body) truth.body = *claims.body;
  truth.leaf = claims.digest.value_or(Digest{});
  const cli::RowReport report = cli::CompareRow(*row, truth, {});
  for (const char c : cli::AlteredText(report)) AQ_CHECK(c >= 0x20 && c < 0x7f);
}

}  // namespace aqmesh::fuzz

#endif  // AQMESH_TESTS_FUZZ_ROW_TARGETS_H_
