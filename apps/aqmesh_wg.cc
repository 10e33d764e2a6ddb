// aqmesh-wg: a userspace WireGuard device, in the place of `wireguard-go`.
#include <fcntl.h>
#include <sodium.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "daemon/wg/wg_loop.h"

namespace {

using aqmesh::daemon::LogLevel;
using aqmesh::daemon::WgLoop;

constexpr const char* kHelp =
    "Usage: aqmesh-wg [-f|--foreground] INTERFACE\n"
    "\n"
    "Makes a WireGuard interface in userspace and serves it, as `wireguard-go INTERFACE` does. "
    "Configure it\n"
    "with `wg` and `ip`, or let wg-quick do it all:\n"
    "\n"
    "  aqmesh-wg wg0 && wg setconf wg0 wg0.conf && ip addr add 10.0.0.1/24 dev wg0 && ip link set "
    "wg0 up\n"
    "  WG_QUICK_USERSPACE_IMPLEMENTATION=aqmesh-wg wg-quick up wg0\n"
    "\n"
    "It returns once the interface and /var/run/wireguard/INTERFACE.sock exist, and ends when the "
    "interface or\n"
    "that socket is deleted, or on SIGINT or SIGTERM.\n"
    "\n"
    "  -f, --foreground   stay in the foreground and log to standard error\n"
    "      --version      print the version\n"
    "  -h, --help         print this\n"
    "\n"
    "Environment: LOG_LEVEL=silent|error|verbose (set to one of the last two, the log goes to "
    "standard error from\n"
    "the background, too), WG_PROCESS_FOREGROUND=1, WG_TUN_FD and WG_UAPI_FD (descriptors of an "
    "open TUN and of\n"
    "a listening socket),\n"
    "AQMESH_WG_OFFLOADS=all|none|a list of tun-csum, tun-tso4, tun-tso6, tun-uso, udp-gso and "
    "udp-gro, or such as\n"
    "no-tun-uso (the offloads that may be used),\n"
    "AQMESH_WG_THREADS=1|2|4|8|16 (threads that carry packets) and AQMESH_WG_HELPERS=0..16 "
    "(threads that seal and\n"
    "open for the one peer that is too much for a core); else as the number of cores says: one "
    "thread up to three\n"
    "cores, half as many as there are beyond that.\n"
    "Exit status: 0 done, 1 it failed, 2 wrong usage.\n";

int Usage(std::string_view why) {
  std::fprintf(stderr,
               "aqmesh-wg: %.*s; try `aqmesh-wg --help`\n",
               static_cast<int>(why.size()),
               why.data());
  return 2;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "aqmesh-wg: %s\n", aqmesh::Text(status).c_str());
  return 1;
}

// False: it has said what is wrong.
bool ReadOffloads(aqmesh::os::OffloadSet& out) {
  const char* words = std::getenv("AQMESH_WG_OFFLOADS");  // NOLINT(concurrency-mt-unsafe)
  if (words == nullptr || *words == '\0') return true;
  const auto offloads = aqmesh::os::ParseOffloads(words);
  if (!offloads.ok()) {
    Usage(aqmesh::Join("AQMESH_WG_OFFLOADS: ", aqmesh::Text(offloads.status())));
    return false;
  }
  out = *offloads;
  return true;
}

LogLevel ReadLogLevel() {
  const char* text = std::getenv("LOG_LEVEL");  // NOLINT(concurrency-mt-unsafe)
  const std::string_view level = text == nullptr ? "error" : text;
  if (level == "verbose" || level == "debug" || level == "info") return LogLevel::kVerbose;
  return level == "silent" ? LogLevel::kSilent : LogLevel::kError;
}

// True in the child. The parent ends here: interface and socket exist, so a script may go on.
// `keeps_log`: the child goes on writing to the standard error that it was given.
bool GoToBackground(WgLoop& loop, bool keeps_log) {
  const pid_t pid = ::fork();
  if (pid < 0) {
    std::perror("aqmesh-wg: going to the background (use --foreground)");
    return false;
  }
  if (pid > 0) {
    loop.Abandon();
    ::_exit(0);
  }
  ::setsid();
  if (::chdir("/") != 0) std::perror("aqmesh-wg: chdir /");
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; null >= 0 && fd <= (keeps_log ? 1 : 2); ++fd) ::dup2(null, fd);
  if (null > 2) ::close(null);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const char* variable = std::getenv("WG_PROCESS_FOREGROUND");  // NOLINT(concurrency-mt-unsafe)
  bool foreground = variable != nullptr && std::string_view(variable) == "1";
  WgLoop::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "-h" || arg == "--help") {
      std::fputs(kHelp, stdout);
      return 0;
    }
    if (arg == "--version") {
      std::puts("aqmesh-wg " AQMESH_VERSION);
      return 0;
    }
    if (arg == "-f" || arg == "--foreground") {
      foreground = true;
    } else if (arg.starts_with('-')) {
      return Usage(aqmesh::Join("unknown option ", arg));
    } else if (!options.interface.empty()) {
      return Usage("one interface at a time");
    } else {
      options.interface = std::string(arg);
    }
  }
  if (options.interface.empty()) return Usage("which interface?");
  for (const auto& [name, fd] :
       {std::pair{"WG_TUN_FD", &options.tun_fd}, std::pair{"WG_UAPI_FD", &options.uapi_fd}}) {
    const auto number = aqmesh::daemon::NumberFromEnvironment(name);
    if (!number.ok()) return Usage(aqmesh::Text(number.status()));
    if (*number) *fd = static_cast<int>(**number);
  }
  if (!ReadOffloads(options.offloads)) return 2;
  const auto threads = aqmesh::daemon::ReadThreads("AQMESH_WG");
  if (!threads.ok()) return Usage(aqmesh::Text(threads.status()));
  options.threads = *threads;
  options.log = ReadLogLevel();

  if (sodium_init() < 0) return Fail(aqmesh::Internal("libsodium did not start"));
  ::prctl(PR_SET_DUMPABLE, 0);  // private keys live here: no core file, no ptrace by the same user
  auto loop = WgLoop::Create(options);
  if (!loop.ok()) return Fail(loop.status());
  // As wireguard-go: who asks for a log by name gets it from the background, too.
  const char* level = std::getenv("LOG_LEVEL");  // NOLINT(concurrency-mt-unsafe)
  const bool keeps_log = level != nullptr && *level != '\0' && options.log != LogLevel::kSilent;
  if (!foreground && !GoToBackground(**loop, keeps_log)) return 1;
  const absl::Status status = (*loop)->Run();
  return status.ok() ? 0 : Fail(status);
}
