#include "daemon/cli/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>

#include "core/base/status.h"

namespace aqmesh::cli {

namespace {

constexpr size_t kCellMin = 6;  // a column is not cut below this

struct Unit {
  std::string_view name;
  uint64_t seconds;
};
constexpr Unit kUnits[] = {
    {"s", 1}, {"m", 60}, {"min", 60}, {"h", 3'600}, {"d", 86'400}, {"w", 604'800}};

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0u : 1u)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

void Table::Row(std::vector<std::string> cells) {
  cells.resize(rows_[0].size());
  rows_.push_back(std::move(cells));
}

std::string Table::Print(size_t columns) const {
  std::vector<size_t> width(rows_[0].size(), 0);
  for (size_t r = 1; r < rows_.size(); ++r) {
    for (size_t c = 0; c < width.size(); ++c) width[c] = std::max(width[c], rows_[r][c].size());
  }
  size_t total = 0;
  for (size_t c = 0; c < width.size(); ++c) {
    if (width[c] > 0) width[c] = std::max(width[c], rows_[0][c].size());
    total += width[c] > 0 ? width[c] + 2 : 0;
  }
  while (columns > 0 && total > columns + 2) {
    size_t& widest = *std::ranges::max_element(width);
    if (widest <= kCellMin) break;
    --widest;
    --total;
  }
  std::string out;
  for (const std::vector<std::string>& row : rows_) {
    std::string line;
    for (size_t c = 0; c < width.size(); ++c) {
      if (width[c] == 0) continue;
      std::string cell = row[c];
      if (cell.size() > width[c]) cell = cell.substr(0, width[c] - 1) + "~";
      line += fmt::format("{:<{}}", cell, width[c] + 2);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string BytesText(uint64_t bytes) {
  static constexpr std::string_view kNames[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1'024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1'024 && unit + 1 < std::size(kNames)) {
    value /= 1'024;
    ++unit;
  }
  return value < 10 ? fmt::format("{:.1f} {}", value, kNames[unit])
                    : fmt::format("{:.0f} {}", value, kNames[unit]);
}

std::string SpanText(uint64_t seconds) {
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3'600) return fmt::format("{} min", seconds / 60);
  if (seconds < 2 * 86'400) return fmt::format("{} h", seconds / 3'600);
  return fmt::format("{} d", seconds / 86'400);
}

std::string AgoText(uint64_t then, uint64_t now) {
  if (then == 0) return "";
  return then + 2 >= now ? "now" : SpanText(now - then);
}

std::string RttText(uint64_t micros) {
  const double ms = static_cast<double>(micros) / 1'000;
  return ms < 10 ? fmt::format("{:.1f} ms", ms) : fmt::format("{:.0f} ms", ms);
}

std::string UtcText(uint64_t seconds) {
  const auto t = static_cast<time_t>(seconds);
  struct tm utc{};
  if (!gmtime_r(&t, &utc)) return Join(seconds);
  char text[48];
  return std::string(text, strftime(text, sizeof text, "%Y-%m-%d %H:%MZ", &utc));
}

std::string Listed(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

absl::StatusOr<uint64_t> ParseSpan(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  for (const Unit& u : kUnits) {
    if (error == std::errc() && u.name == unit && number <= 1'000'000'000 / u.seconds)
      return number * u.seconds;
  }
  return InvalidArgument("`", text, "` is no length of time; write 30s, 5m, 2h or 7d");
}

absl::StatusOr<uint64_t> ParseWhen(std::string_view text, uint64_t now) {
  if (const auto ago = ParseSpan(text); ago.ok()) return now - std::min(now, *ago);
  uint64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size()) return seconds;
  const std::string copy(text);
  for (const char* form : {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
    struct tm utc{};
    const char* rest = strptime(copy.c_str(), form, &utc);
    if (rest && *rest == '\0') return static_cast<uint64_t>(std::max<time_t>(0, timegm(&utc)));
  }
  return InvalidArgument(
      "`", text, "` is no time; write 2h (ago), 2026-11-21, 2026-11-21T14:00Z or Unix seconds");
}

std::string Nearest(std::string_view typed, std::span<const std::string> known) {
  std::string best;
  // Two slips of the finger in a short word, three in a long one.
  size_t least = typed.size() < 4 ? 2 : typed.size() < 8 ? 3 : 4;
  for (const std::string& word : known) {
    const size_t distance = EditDistance(typed, word);
    if (distance >= least || distance >= word.size()) continue;
    least = distance;
    best = word;
  }
  return best;
}

}  // namespace aqmesh::cli
