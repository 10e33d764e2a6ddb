#include "core/wire/refusal.h"

#include <charconv>

#include "core/base/status.h"

namespace aqmesh::wire {

namespace {
constexpr std::string_view kAtByte = " at byte ";
}  // namespace

absl::Status Refusal::ToStatus() const {
  return InvalidArgument(thing,
                         ":",
                         field.empty() ? "" : " ",
                         field,
                         kAtByte,
                         byte,
                         ": ",
                         rule,
                         " (spec/objects.md §",
                         section,
                         ")");
}

std::optional<size_t> RefusedByte(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kInvalidArgument) return std::nullopt;
  const std::string text = Text(status);
  const size_t at = text.find(kAtByte);
  if (at == std::string::npos || text.find("(spec/objects.md", at) == std::string::npos) {
    return std::nullopt;
  }
  size_t byte = 0;
  const char* first = text.data() + at + kAtByte.size();
  const auto [end, error] = std::from_chars(first, text.data() + text.size(), byte);
  if (error != std::errc{} || end == first) return std::nullopt;
  return byte;
}

}  // namespace aqmesh::wire
