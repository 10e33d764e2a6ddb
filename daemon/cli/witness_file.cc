#include "daemon/cli/witness_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "core/base/status.h"
#include "node/heads/public_witnesses.h"
#include "transport/os/fd.h"

namespace aqmesh::cli {

namespace {

bool IsUrlByte(char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '`'; }

std::optional<uint16_t> PortIn(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

}  // namespace

absl::StatusOr<WitnessUrl> ParseWitnessUrl(std::string_view url) {
  const auto wrong = [whole = std::string(url)](std::string_view why) {
    return InvalidArgument("the URL ", whole, ": ", why, "; write https://HOST[:PORT][/PATH]");
  };
  if (url.size() > kUrlBytesMax)
    return InvalidArgument("a URL of ", url.size(), " bytes is too long");
  if (!std::ranges::all_of(url, IsUrlByte)) return wrong("it has bytes that no URL has");
  WitnessUrl out;
  out.tls = url.starts_with("https://");
  if (!out.tls && !url.starts_with("http://")) return wrong("it is neither https nor http");
  url.remove_prefix(out.tls ? 8 : 7);
  if (url.find_first_of("?#") != std::string_view::npos) return wrong("it has a query");
  std::string_view place = url.substr(0, url.find('/'));
  if (place.find('@') != std::string_view::npos) return wrong("it names a user");
  out.port = out.tls ? 443 : 80;
  const size_t bracket = place.rfind(']'), colon = place.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    const auto port = PortIn(place.substr(colon + 1));
    if (!port) return wrong("its port is none");
    out.port = *port;
    place = place.substr(0, colon);
  }
  if (place.starts_with('[') && place.ends_with(']')) place = place.substr(1, place.size() - 2);
  if (place.empty()) return wrong("it has no host");
  out.host = std::string(place);
  return out;
}

absl::StatusOr<tlog::Policy> ParseWitnesses(std::string_view text, std::string_view file_name) {
  auto policy = tlog::Policy::Parse(text);
  if (!policy.ok()) return Annotate(policy.status(), file_name);
  const auto asked = Asked(*policy);
  if (asked.size() > node::PublicWitnesses::kWitnessesMax) {
    return InvalidArgument(file_name,
                           ": ",
                           asked.size(),
                           " witnesses have a URL, and at most ",
                           node::PublicWitnesses::kWitnessesMax,
                           " are asked; leave the URL of the others away");
  }
  for (const auto& w : asked) {
    if (const auto url = ParseWitnessUrl(w.url); !url.ok())
      return Annotate(url.status(), Join(file_name, ": witness ", w.name));
  }
  return policy;
}

absl::StatusOr<tlog::Policy> LoadWitnesses(const std::string& path) {
  const os::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return os::ErrnoStatus(errno, path, "make it readable for aqmeshd");
  std::string text(tlog::kPolicyBytesMax + 1, '\0');
  size_t size = 0;
  for (ssize_t n = 1; n > 0 && size < text.size(); size += static_cast<size_t>(n)) {
    n = ::read(fd.get(), text.data() + size, text.size() - size);
    if (n < 0) return os::ErrnoStatus(errno, path);
  }
  text.resize(size);
  return ParseWitnesses(text, path);
}

std::vector<tlog::Policy::Peer> Asked(const tlog::Policy& policy) {
  std::vector<tlog::Policy::Peer> out;
  for (tlog::Policy::Peer& w : policy.witnesses()) {
    if (!w.url.empty()) out.push_back(std::move(w));
  }
  return out;
}

}  // namespace aqmesh::cli
