// Tells the service manager how we are: READY=1, STATUS=…, WATCHDOG=1, STOPPING=1.
// Spec:   sd_notify(3): datagrams to the socket in NOTIFY_SOCKET; a leading @ is an abstract name.
// Thread: any. Errors: none: a manager that does not listen is no trouble of ours.
#ifndef AQMESH_DAEMON_NOTIFY_H_
#define AQMESH_DAEMON_NOTIFY_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace aqmesh::daemon {

class Notifier {
 public:
  Notifier();  // reads NOTIFY_SOCKET and WATCHDOG_USEC
  void Say(std::string_view line) const;
  void Status(std::string_view text) const { Say("STATUS=" + std::string(text)); }
  // How often to say WATCHDOG=1: half of what the manager waits.
  std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

 private:
  std::string path_;
  std::optional<std::chrono::microseconds> watchdog_;
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_NOTIFY_H_
