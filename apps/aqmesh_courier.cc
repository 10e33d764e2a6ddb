// aqmesh-courier: the one process of a node that speaks HTTP, to the public witnesses of its log.
#include <signal.h>

#include <charconv>
#include <cstdio>
#include <string_view>

#include "core/base/status.h"
#include "daemon/courier/http/courier.h"
#include "daemon/net/printable.h"
#include "daemon/net/privileges.h"
#include "daemon/net/sandbox.h"

namespace {

using aqmesh::daemon::Refused;

constexpr const char* kHelp =
    "Usage: aqmesh-courier --fd N URL...\n"
    "\n"
    "Carries requests of aqmeshd to the public witnesses that cosign its log, and their answers "
    "back. aqmeshd starts\n"
    "it where witnesses.policy names any; there is no reason to run it by hand. It has no key and "
    "no privilege, and\n"
    "reaches no other URL.\n"
    "\n"
    "  --fd N     the socket to aqmeshd, inherited as descriptor N\n"
    "  URL        a witness's submission prefix: http or https\n"
    "  --version  print the version\n"
    "  -h, --help print this\n"
    "\n"
    "Environment: SSL_CERT_FILE, the certificates to trust for https, instead of the machine's.\n"
    "Example: aqmesh-courier --fd 5 https://witness.example/    (as aqmeshd does)\n"
    "Exit status: 0 done, 1 it failed, 2 wrong usage.\n";

int Fail(const absl::Status& status) {
  std::fprintf(
      stderr, "aqmesh-courier: %s\n", aqmesh::daemon::Printable(aqmesh::Text(status)).c_str());
  return 1;
}

int Serve(int fd, std::vector<std::string> urls, Refused refused) {
  if (const absl::Status s = aqmesh::daemon::DropCapabilities(); !s.ok()) return Fail(s);
  if (const absl::Status s = aqmesh::daemon::Seal(); !s.ok()) return Fail(s);
  auto courier = aqmesh::daemon::Courier::Open(std::move(urls));
  if (!courier.ok()) return Fail(courier.status());
  const auto files =
      aqmesh::daemon::ConfineFiles(aqmesh::daemon::CourierFiles((*courier)->ports()));
  if (!files.ok()) return Fail(files.status());
  (*courier)->WarmUp();
  const auto calls = aqmesh::daemon::ConfineCalls(aqmesh::daemon::Process::kCourier, refused);
  if (!calls.ok()) return Fail(calls.status());
  const absl::Status end = (*courier)->Serve(fd);
  return end.ok() ? 0 : Fail(end);
}

}  // namespace

int main(int argc, char** argv) {
  Refused refused = Refused::kFail;
  std::string_view number;
  std::vector<std::string> urls;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "-h" || arg == "--help") {
      std::fputs(kHelp, stdout);
      return 0;
    }
    if (arg == "--version") {
      std::puts("aqmesh-courier " AQMESH_VERSION);
      return 0;
    }
    if (arg == "--fd" && i + 1 < argc) {
      number = argv[++i];
    } else if (arg == "--kill-on-refusal") {  // sandbox.h
      refused = Refused::kKill;
    } else {
      urls.emplace_back(arg);
    }
  }
  int fd = -1;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), fd);
  if (error != std::errc{} || end != number.data() + number.size() || fd < 3 || urls.empty()) {
    std::fprintf(stderr,
                 "aqmesh-courier: which descriptor, which URLs? Try `aqmesh-courier --help`\n");
    return 2;
  }
  // Told to stop with the engine, it ends as the engine does: its end is the engine's closed
  // socket.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  return Serve(fd, std::move(urls), refused);
}
