#include "daemon/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "transport/os/fd.h"

namespace aqmesh::daemon {

Notifier::Notifier() {
  // NOLINTBEGIN(concurrency-mt-unsafe): nothing in aqmeshd writes the environment
  const char* const path = std::getenv("NOTIFY_SOCKET");
  const char* const text = std::getenv("WATCHDOG_USEC");
  // NOLINTEND(concurrency-mt-unsafe)
  if (path != nullptr) path_ = path;
  if (text != nullptr) {
    int64_t micros = 0;
    const char* end = text + std::strlen(text);
    const auto parsed = std::from_chars(text, end, micros);
    if (parsed.ec == std::errc{} && parsed.ptr == end && micros > 1)
      watchdog_ = std::chrono::microseconds(micros / 2);
  }
}

void Notifier::Say(std::string_view line) const {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path_.empty() || path_.size() >= sizeof to.sun_path) return;
  std::memcpy(to.sun_path, path_.data(), path_.size());
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';
  const os::Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size());
  // Not delivered: see the header.
  (void)::sendto(fd.get(),
                 line.data(),
                 line.size(),
                 MSG_NOSIGNAL | MSG_DONTWAIT,
                 reinterpret_cast<sockaddr*>(&to),
                 size);
}

}  // namespace aqmesh::daemon
