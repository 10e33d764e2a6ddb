#include "lineage/sql/cell.h"

#include <sqlite3.h>

#include <limits>

#include "core/authority/decision.h"
#include "core/base/status.h"
#include "lineage/chain.h"
#include "lineage/record.h"

namespace aqmesh::lineage::sql {

void Cell::Null() { sqlite3_result_null(to_); }

void Cell::Number(uint64_t n) {
  if (n > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return Text(Join(n));
  sqlite3_result_int64(to_, static_cast<int64_t>(n));
}

void Cell::Signed(int64_t n) { sqlite3_result_int64(to_, n); }

void Cell::Text(std::string_view text) {
  sqlite3_result_text64(to_, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void Cell::Blob(ByteView bytes) {
  sqlite3_result_blob64(to_, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
}

void Cell::Hex(ByteView bytes) { Text(ToHex(bytes)); }

void Cell::Fail(const absl::Status& why) {
  const std::string text = aqmesh::Text(why);
  sqlite3_result_error(to_, text.data(), static_cast<int>(text.size()));
}

void Cell::Rung(authority::Rung rung) {
  if (rung == authority::Rung::kNone) return Null();
  Text(authority::RungName(rung));
}

void Cell::Time(uint64_t millis) { Text(TimeText(HlcFromMillis(millis))); }

void Cell::Seconds(uint64_t unix_seconds) {
  // 48 bits of milliseconds are what TimeText knows; later is as good as never.
  constexpr uint64_t kLast = ((uint64_t{1} << 48) - 1) / 1'000;
  Time(std::min(unix_seconds, kLast) * 1'000);
}

}  // namespace aqmesh::lineage::sql
