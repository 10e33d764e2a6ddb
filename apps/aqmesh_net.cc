// aqmesh-net: the one process of a node that may change the kernel's network tables.
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <string_view>

#include "core/base/status.h"
#include "daemon/net/net_monitor.h"
#include "daemon/net/printable.h"
#include "daemon/net/privileges.h"
#include "daemon/net/sandbox.h"

namespace {

using aqmesh::daemon::Refused;

constexpr const char* kHelp =
    "Usage: aqmesh-net --fd N | --listen\n"
    "\n"
    "Opens the interface of aqmeshd and sets its addresses and routes, and nothing else. aqmeshd "
    "starts it; there\n"
    "is no reason to run it by hand. It needs CAP_NET_ADMIN, gives up every other privilege, and "
    "takes back what\n"
    "it did when aqmeshd ends.\n"
    "\n"
    "  --fd N     the socket to aqmeshd, inherited as descriptor N\n"
    "  --listen   a listening SOCK_SEQPACKET socket, inherited as descriptor 3 (a systemd socket "
    "unit): serves one\n"
    "             aqmeshd and exits\n"
    "  --version  print the version\n"
    "  -h, --help print this\n"
    "\n"
    "Example: aqmesh-net --listen    (as packaging/systemd/aqmesh-net.service does)\n"
    "Exit status: 0 done, 1 it failed, 2 wrong usage.\n";

constexpr int kListenFd = 3;  // sd_listen_fds(3): the first one passed

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "aqmesh-net: %s\n", aqmesh::daemon::Printable(aqmesh::Text(status)).c_str());
  return 1;
}

int Serve(int fd, Refused refused) {
  if (const absl::Status s = aqmesh::daemon::KeepOnlyNetAdmin(); !s.ok()) return Fail(s);
  if (const absl::Status s = aqmesh::daemon::Seal(); !s.ok()) return Fail(s);
  const auto files = aqmesh::daemon::ConfineFiles(aqmesh::daemon::MonitorFiles());
  if (!files.ok()) return Fail(files.status());
  auto monitor = aqmesh::daemon::NetMonitor::Open();
  if (!monitor.ok()) return Fail(monitor.status());
  const auto calls = aqmesh::daemon::ConfineCalls(aqmesh::daemon::Process::kMonitor, refused);
  if (!calls.ok()) return Fail(calls.status());
  // The engine speaks for both where the walls stand; it has the same kernel.
  const absl::Status end = (*monitor)->Serve(fd);
  return end.ok() ? 0 : Fail(end);
}

}  // namespace

int main(int argc, char** argv) {
  Refused refused = Refused::kFail;
  if (argc > 2 && std::string_view(argv[argc - 1]) == "--kill-on-refusal") {  // sandbox.h
    refused = Refused::kKill;
    --argc;
  }
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "-h" || first == "--help") {
    std::fputs(kHelp, stdout);
    return 0;
  }
  if (first == "--version") {
    std::puts("aqmesh-net " AQMESH_VERSION);
    return 0;
  }
  if (first == "--listen" && argc == 2) {
    const int fd = ::accept4(kListenFd, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0)
      return Fail(
          aqmesh::Unavailable("descriptor 3 is no listening socket: start it by its socket unit"));
    return Serve(fd, refused);
  }
  int fd = -1;
  const std::string_view number = argc == 3 ? argv[2] : "";
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), fd);
  if (first != "--fd" || error != std::errc{} || end != number.data() + number.size() || fd < 3) {
    std::fprintf(stderr, "aqmesh-net: which descriptor? Try `aqmesh-net --help`\n");
    return 2;
  }
  // Told to stop with the engine, it must outlive it: its end is the engine's closed socket.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGTERM, SIG_IGN);
  return Serve(fd, refused);
}
