// aqmeshd: one node. Starts aqmesh-net, gives up every privilege, and runs the engine.
#include <fcntl.h>
#include <google/protobuf/stubs/logging.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/cli/witness_file.h"
#include "daemon/net/privileges.h"
#include "daemon/net/sandbox.h"
#include "daemon/node_loop.h"
#include "transport/os/unix_socket.h"

namespace {

using aqmesh::daemon::NodeLoop;
using aqmesh::daemon::Process;
using aqmesh::daemon::Severity;
using aqmesh::daemon::Wall;

constexpr const char* kHelp =
    "Usage: aqmeshd [--state DIR] [--config FILE] [--socket PATH] [--net PATH] [--down] "
    "[--verbose]\n"
    "       aqmeshd --selfcheck [--state DIR]\n"
    "\n"
    "Serves this machine's part of a mesh, in the foreground, until SIGTERM or SIGINT. SIGHUP "
    "reads policy.toml and\n"
    "aqmesh.toml again. Make the state first: `aqmesh init NAME` or `aqmesh join LINE`.\n"
    "\n"
    "  --state DIR    state of this machine (/var/lib/aqmesh)\n"
    "  --config FILE  configuration (DIR/aqmesh.toml)\n"
    "  --socket PATH  control socket (/run/aqmesh/aqmeshd.sock)\n"
    "  --net PATH     socket of an aqmesh-net that runs already; without it aqmeshd starts one\n"
    "  --down         leave addresses and routes away until `aqmesh up`\n"
    "  --verbose      log what peers bring about too\n"
    "  --selfcheck    check privileges, keys, policy and the whole log, say so, and exit\n"
    "  --foreground   the only way there is; taken for the sake of scripts\n"
    "  --version      print the version\n"
    "  -h, --help     print this\n"
    "\n"
    "Environment: AQMESH_OFFLOADS, the offloads that may be used, instead of the configuration's: "
    "all, none, a list\n"
    "of tun-csum, tun-tso4, tun-tso6, tun-uso, udp-gso and udp-gro, or such as no-tun-uso.\n"
    "AQMESH_THREADS=1|2|4|8|16, the threads that carry packets, and AQMESH_HELPERS=0..16, threads "
    "that seal and open\n"
    "for the one peer that is too much for a core; else as the number of cores says: one thread up "
    "to three cores,\n"
    "half as many as there are beyond that.\n"
    "Example: aqmeshd --state /var/lib/aqmesh\n"
    "Exit status: 0 done, 1 it failed, 2 wrong usage.\n";

struct Flags {
  std::string state{aqmesh::cli::kDefaultState};
  std::string config;
  std::string socket{aqmesh::cli::kDefaultSocket};
  std::string net;
  bool down = false;
  bool verbose = false;
  bool selfcheck = false;
  std::optional<aqmesh::os::OffloadSet> offloads;
  aqmesh::daemon::Threads threads;
  aqmesh::daemon::Refused refused = aqmesh::daemon::Refused::kFail;  // --kill-on-refusal: sandbox.h
};

int Fail(const absl::Status& status) {
  std::fprintf(
      stderr,
      "aqmeshd: %s\n",
      aqmesh::daemon::Printable(aqmesh::Text(status), aqmesh::daemon::LogSink::kLineMax).c_str());
  return 1;
}

// An exit status where the flags themselves end the program.
std::optional<int> ReadFlags(int argc, char** argv, Flags& flags) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    std::string* value = arg == "--state"    ? &flags.state
                         : arg == "--config" ? &flags.config
                         : arg == "--socket" ? &flags.socket
                         : arg == "--net"    ? &flags.net
                                             : nullptr;
    if (value != nullptr && i + 1 < argc) {
      *value = argv[++i];
    } else if (arg == "--down") {
      flags.down = true;
    } else if (arg == "--verbose") {
      flags.verbose = true;
    } else if (arg == "--kill-on-refusal") {
      flags.refused = aqmesh::daemon::Refused::kKill;
    } else if (arg == "--selfcheck") {
      flags.selfcheck = true;
    } else if (arg == "-h" || arg == "--help") {
      std::fputs(kHelp, stdout);
      return 0;
    } else if (arg == "--version") {
      std::puts("aqmeshd " AQMESH_VERSION);
      return 0;
    } else if (arg != "--foreground") {
      std::fprintf(
          stderr, "aqmeshd: %s: unknown, or its value is missing; try `aqmeshd --help`\n", argv[i]);
      return 2;
    }
  }
  return std::nullopt;
}

absl::Status ReadEnvironment(Flags& flags) {
  AQ_ASSIGN_OR_RETURN(flags.threads, aqmesh::daemon::ReadThreads("AQMESH"));
  const char* words = std::getenv("AQMESH_OFFLOADS");  // NOLINT(concurrency-mt-unsafe): one thread
  if (words == nullptr || *words == '\0') return absl::OkStatus();
  auto offloads = aqmesh::os::ParseOffloads(words);
  if (!offloads.ok()) return aqmesh::Annotate(offloads.status(), "AQMESH_OFFLOADS");
  flags.offloads = *offloads;
  return absl::OkStatus();
}

// The program beside this one, so that a build tree and an installation both find their own.
std::string ProgramBeside(const char* name) {
  char path[PATH_MAX];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  const std::string self(path, n > 0 ? static_cast<size_t>(n) : 0);
  return self.substr(0, self.rfind('/') + 1) + name;
}

// `name --fd N words...`, and the other end of N.
absl::StatusOr<aqmesh::os::Fd> StartBeside(const char* name,
                                           std::vector<std::string> words,
                                           aqmesh::daemon::Refused refused,
                                           pid_t& child) {
  AQ_ASSIGN_OR_RETURN(auto pair, aqmesh::os::SequencedPair());
  const std::string program = ProgramBeside(name);
  words.insert(words.begin(), {name, "--fd", std::to_string(pair.second.get())});
  if (refused == aqmesh::daemon::Refused::kKill) words.emplace_back("--kill-on-refusal");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  child = ::fork();
  if (child < 0) return aqmesh::os::ErrnoStatus(errno, aqmesh::Join("starting ", name));
  if (child == 0) {
    ::fcntl(pair.second.get(), F_SETFD, 0);  // this one goes through the exec
    ::execv(program.c_str(), argv.data());
    std::fprintf(stderr,
                 "aqmeshd: %s: %s; install %s beside aqmeshd\n",
                 program.c_str(),
                 aqmesh::os::ErrnoText(errno).c_str(),
                 name);
    ::_exit(1);
  }
  return std::move(pair.first);
}

// Where public witnesses are to be asked: the process that asks them. Not before privileges are
// gone, for it must not have them either; not after the walls stand, for it has others. A file that
// cannot be read is said by the setup, which reads it too.
absl::StatusOr<aqmesh::os::Fd> StartCourier(const Flags& flags) {
  const auto policy = aqmesh::cli::LoadWitnesses(flags.state + "/witnesses.policy");
  if (!policy.ok()) return aqmesh::os::Fd();
  std::vector<std::string> urls;
  for (auto& witness : aqmesh::cli::Asked(*policy)) urls.push_back(std::move(witness.url));
  if (urls.empty()) return aqmesh::os::Fd();
  pid_t child = -1;  // not waited for: it may be looking a name up, and undoes nothing
  return StartBeside("aqmesh-courier", std::move(urls), flags.refused, child);
}

absl::StatusOr<aqmesh::os::Fd> ConnectNet(const std::string& path) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path.size() >= sizeof to.sun_path)
    return aqmesh::InvalidArgument("--net ", path, ": too long for a socket");
  std::memcpy(to.sun_path, path.data(), path.size());
  aqmesh::os::Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd.valid() || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0) {
    return aqmesh::os::ErrnoStatus(errno, aqmesh::Join("--net ", path), "start aqmesh-net.socket");
  }
  return fd;
}

absl::Status GiveUpPrivileges(const Flags& flags) {
  AQ_RETURN_IF_ERROR(aqmesh::daemon::BecomeServiceUser(flags.state, flags.socket).status());
  AQ_RETURN_IF_ERROR(aqmesh::daemon::DropCapabilities());
  return aqmesh::daemon::Seal();
}

absl::StatusOr<Wall> ShutFilesOut(const Flags& flags) {
  auto files = aqmesh::daemon::EngineFiles(flags.state, flags.socket, flags.config);
  // Sealed records may lie elsewhere. What is wrong with the file is said when it is read for good.
  const auto config = aqmesh::daemon::ReadConfigFile(
      flags.config.empty() ? flags.state + "/aqmesh.toml" : flags.config);
  if (config.ok() && !config->sealed.empty()) files.state.push_back(config->sealed);
  return aqmesh::daemon::ConfineFiles(files);
}

int SelfCheck(const Flags& flags) {
  bool good = true;
  const auto say = [&good](const char* what, const absl::Status& status) {
    good = good && status.ok();
    std::printf("%-16s %s\n", what, status.ok() ? "ok" : aqmesh::Text(status).c_str());
  };
  const auto flag = [&say](const char* what, bool held, const char* mend) {
    say(what, held ? absl::OkStatus() : aqmesh::Internal(mend));
  };
  const aqmesh::daemon::Privileges p = aqmesh::daemon::ReadPrivileges();
  flag("capabilities", p.no_capabilities, "some are left; the kernel refused to take them");
  flag("no new privs", p.no_new_privileges, "not set");
  flag("no dumps", p.not_dumpable, "this process can be traced");
  const auto wall = [&say](const char* what, const absl::StatusOr<Wall>& built) {
    if (!built.ok()) return say(what, built.status());
    std::printf("%-16s %s\n", what, built->text.c_str());
  };
  wall("files", ShutFilesOut(flags));
  auto setup = aqmesh::daemon::LoadSetup(flags.state, flags.config);
  say("state", setup.status());
  if (!setup.ok()) return 1;
  wall("system calls", ConfineCalls(Process::kEngine, flags.refused));
  say("keys", aqmesh::daemon::NodeConfig(*setup).status());
  say("policy", setup->policy);
  say("witnesses", setup->witnesses_file);
  say("log", setup->store->Verify());
  return good ? 0 : 1;
}

absl::Status Serve(const Flags& flags, aqmesh::os::Fd net) {
  AQ_RETURN_IF_ERROR(aqmesh::daemon::MakeSocketDirectory(flags.socket));
  AQ_RETURN_IF_ERROR(GiveUpPrivileges(flags));
  AQ_ASSIGN_OR_RETURN(aqmesh::os::Fd courier, StartCourier(flags));
  AQ_ASSIGN_OR_RETURN(const Wall files, ShutFilesOut(flags));
  AQ_ASSIGN_OR_RETURN(auto client, aqmesh::daemon::NetClient::Take(std::move(net)));
  AQ_ASSIGN_OR_RETURN(auto setup, aqmesh::daemon::LoadSetup(flags.state, flags.config));
  AQ_ASSIGN_OR_RETURN(
      auto loop,
      NodeLoop::Create({.socket_path = flags.socket,
                        .version = AQMESH_VERSION,
                        .up = !flags.down,
                        .offloads = flags.offloads,
                        .threads = flags.threads,
                        .log_least = flags.verbose ? Severity::kDebug : Severity::kInfo},
                       std::move(setup),
                       std::move(client),
                       std::move(courier)));
  AQ_ASSIGN_OR_RETURN(const Wall calls, ConfineCalls(Process::kEngine, flags.refused));
  loop->SetWalls(aqmesh::Join(files.text, ", ", calls.text), files.stands && calls.stands);
  return loop->Run();
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  if (const auto exit = ReadFlags(argc, argv, flags)) return *exit;
  if (const absl::Status s = ReadEnvironment(flags); !s.ok()) {
    Fail(s);
    return 2;
  }
  if (sodium_init() < 0) return Fail(aqmesh::Internal("libsodium did not start"));
  ::signal(SIGPIPE, SIG_IGN);
  google::protobuf::SetLogHandler(nullptr);  // a client's bad request is answered, not logged
  if (flags.selfcheck) {
    if (const absl::Status s = GiveUpPrivileges(flags); !s.ok()) return Fail(s);
    return SelfCheck(flags);
  }
  pid_t child = -1;
  auto net = flags.net.empty() ? StartBeside("aqmesh-net", {}, flags.refused, child)
                               : ConnectNet(flags.net);
  if (!net.ok()) return Fail(net.status());
  const absl::Status end = Serve(flags, *std::move(net));
  if (child > 0) ::waitpid(child, nullptr, 0);  // it has seen our socket close, and undoes
  return end.ok() ? 0 : Fail(end);
}
