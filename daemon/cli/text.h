// Words for people: tables, sizes, times, and the nearest known word to a mistyped one.
// Spec:   output rules: ASCII, two blanks between columns, upper-case headers, nothing wraps on a terminal.
// Thread: all functions are pure. Errors: InvalidArgument with the forms that would have been read.
#ifndef AQMESH_DAEMON_CLI_TEXT_H_
#define AQMESH_DAEMON_CLI_TEXT_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aqmesh::cli {

// Rows of cells under a header. Columns that are empty in every row are left out; where a line
// exceeds `columns` (0: no limit), the widest column gives way first and shows it by a "~".
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void Row(std::vector<std::string> cells);
  std::string Print(size_t columns) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string BytesText(uint64_t bytes);                      // "1.2 GiB"
std::string SpanText(uint64_t seconds);                     // "3 d", "29 min"
std::string AgoText(uint64_t then, uint64_t now);           // "now", "4 s", "2 h"; "" for then 0
std::string RttText(uint64_t micros);                       // "0.6 ms"
std::string UtcText(uint64_t seconds);                      // "2026-11-21 07:42Z"
std::string Listed(const std::vector<std::string>& words);  // "a, b, c"

absl::StatusOr<uint64_t> ParseSpan(std::string_view text);  // 30s 5m 2h 7d, in seconds
absl::StatusOr<uint64_t> ParseWhen(std::string_view text,
                                   uint64_t now);  // 2h (ago), 2026-11-21[T14:00[:00]Z], seconds

// The known word that `typed` most likely meant; "" if none is near.
std::string Nearest(std::string_view typed, std::span<const std::string> known);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_TEXT_H_
