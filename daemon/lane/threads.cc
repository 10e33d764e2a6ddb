#include "daemon/lane/threads.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <thread>

#include "core/base/status.h"

namespace aqmesh::daemon {

namespace {

constexpr uint32_t kMost = 16;

}  // namespace

absl::StatusOr<std::optional<uint32_t>> NumberFromEnvironment(const char* name) {
  const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
  if (text == nullptr || *text == '\0') return std::nullopt;
  const std::string_view view(text);
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), number);
  if (error != std::errc{} || end != view.data() + view.size() || view.size() > 9)
    return InvalidArgument(name, " must be a number, and is ", view);
  return number;
}

Threads ThreadsFor(unsigned cores) {
  if (cores < 4) return {};
  const uint32_t data = std::min(std::bit_floor(cores / 2), kMost);
  return {.data = data, .helpers = data / 2};
}

absl::StatusOr<Threads> ReadThreads(const std::string& prefix) {
  const std::string data_name = prefix + "_THREADS", helpers_name = prefix + "_HELPERS";
  AQ_ASSIGN_OR_RETURN(const auto data, NumberFromEnvironment(data_name.c_str()));
  AQ_ASSIGN_OR_RETURN(const auto helpers, NumberFromEnvironment(helpers_name.c_str()));
  if (data && (*data > kMost || !std::has_single_bit(*data)))
    return InvalidArgument(data_name, " must be 1, 2, 4, 8 or 16");
  if (helpers && *helpers > kMost) return InvalidArgument(helpers_name, " must be 0 to 16");
  Threads out = ThreadsFor(std::thread::hardware_concurrency());
  if (data) out = {.data = *data, .helpers = 0};
  if (helpers) out.helpers = *helpers;
  return out;
}

}  // namespace aqmesh::daemon
