#include "daemon/cli/daemon_start.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "core/base/status.h"
#include "daemon/cli/live.h"
#include "daemon/cli/state.h"
#include "transport/os/clock.h"
#include "transport/os/fd.h"

extern char** environ;

namespace aqmesh::cli {

namespace {

constexpr std::string_view kUnit = "aqmeshd.service";

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

bool UnderServiceManager(const std::string& state, const std::string& socket) {
  if (state != kDefaultState || socket != kDefaultSocket || !Exists("/run/systemd/system"))
    return false;
  for (const char* dir :
       {"/etc/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/"}) {
    if (Exists(Join(dir, kUnit))) return true;
  }
  return false;
}

std::string DaemonProgram() {
  char self[4'096];
  const ssize_t n = readlink("/proc/self/exe", self, sizeof self);
  if (n > 0) {
    const std::string path(self, static_cast<size_t>(n));
    const std::string beside = path.substr(0, path.rfind('/') + 1) + "aqmeshd";
    if (access(beside.c_str(), X_OK) == 0) return beside;
  }
  return "aqmeshd";
}

struct Actions {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  Actions() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
  }
  ~Actions() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
};

// A session of its own, so that closing the terminal does not end it; log instead of terminal.
absl::StatusOr<pid_t> Spawn(std::vector<std::string> words, const std::string* log) {
  Actions actions;
  if (log) {
    posix_spawn_file_actions_addopen(&actions.files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(
        &actions.files, 1, log->c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
    posix_spawn_file_actions_adddup2(&actions.files, 1, 2);
    posix_spawnattr_setflags(&actions.attributes, POSIX_SPAWN_SETSID);
  }
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int error =
      posix_spawnp(&pid, argv[0], &actions.files, &actions.attributes, argv.data(), environ);
  if (error != 0)
    return os::ErrnoStatus(
        error, Join("starting ", words[0]), "is it installed, beside aqmesh or in PATH?");
  return pid;
}

std::string LastLine(const std::string& path) {
  const os::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return "";
  char tail[2'048];
  const off_t size = lseek(fd.get(), 0, SEEK_END);
  lseek(fd.get(),
        size > static_cast<off_t>(sizeof tail) ? size - static_cast<off_t>(sizeof tail) : 0,
        SEEK_SET);
  const ssize_t n = read(fd.get(), tail, sizeof tail);
  if (n <= 0) return "";
  std::string text(tail, static_cast<size_t>(n));
  while (text.ends_with('\n')) text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

absl::Status WaitForSocket(const std::string& socket,
                           const std::string& log,
                           std::optional<pid_t> child) {
  const Instant deadline = After(os::ReadNow().mono, kStartMax);
  while (os::ReadNow().mono < deadline) {
    if (SocketAnswers(socket)) return absl::OkStatus();
    int how = 0;
    if (child && waitpid(*child, &how, WNOHANG) == *child) {
      const std::string said = LastLine(log);
      return Unavailable(
          "aqmeshd ended at once", said.empty() ? "" : Join(": ", said), "; more in ", log);
    }
    usleep(20'000);
  }
  return Unavailable("aqmeshd does not answer at ",
                     socket,
                     " after ",
                     kStartMax.count(),
                     " s; look into ",
                     child ? log : std::string("journalctl -u aqmeshd"));
}

}  // namespace

absl::StatusOr<bool> StartDaemon(const std::string& state, const std::string& socket) {
  if (SocketAnswers(socket)) return false;
  const std::string log = state + "/aqmeshd.log";
  if (UnderServiceManager(state, socket)) {
    AQ_ASSIGN_OR_RETURN(const pid_t pid,
                        Spawn({"systemctl", "start", std::string(kUnit)}, nullptr));
    int how = 0;
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR) {
    }
    if (how != 0)
      return Unavailable("systemctl could not start ", kUnit, "; look into: journalctl -u ", kUnit);
    AQ_RETURN_IF_ERROR(WaitForSocket(socket, log, std::nullopt));
    return true;
  }
  AQ_ASSIGN_OR_RETURN(const pid_t pid,
                      Spawn({DaemonProgram(), "--state", state, "--socket", socket}, &log));
  AQ_RETURN_IF_ERROR(WaitForSocket(socket, log, pid));
  return true;
}

absl::Status AwaitDaemonEnd(const std::string& store) {
  const Instant deadline = After(os::ReadNow().mono, kStopMax);
  while (lineage::RocksStore::IsOpenElsewhere(store)) {
    if (os::ReadNow().mono >= deadline)
      return Unavailable(
          "aqmeshd was told to stop and still has ", store, " open; its log says why");
    usleep(20'000);
  }
  return absl::OkStatus();
}

}  // namespace aqmesh::cli
