// Runs a program, counts the calls by which it and its children touch the world outside them, and
// kills the process that is about to make the N-th one: SIGKILL before the call takes effect, as a
// crash would.
//   kill_at --at N --log FILE [--armed] -- PROGRAM ARGS...
// Between two such calls nothing outside changes, so a kill before each of them is a kill at every
// system call. Without --armed nothing is counted until SIGUSR1. Every counted call is a line of
// FILE ("aqmeshd 4711 fdatasync"), then "killed ..." where it struck, then "exit CODE" when PROGRAM
// itself has ended. N = 0 only counts. The children outlive both the killed one and this tool.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace {

volatile sig_atomic_t armed = 0;

struct Call {
  uint64_t number;
  const char* name;
  bool on_fd;  // its first argument is the descriptor that it writes to
};
constexpr Call kCalls[] = {
    {SYS_write, "write", true},         {SYS_pwrite64, "pwrite64", true},
    {SYS_writev, "writev", true},       {SYS_pwritev, "pwritev", true},
    {SYS_fsync, "fsync", true},         {SYS_fdatasync, "fdatasync", true},
    {SYS_sendto, "sendto", true},       {SYS_sendmsg, "sendmsg", true},
    {SYS_sendmmsg, "sendmmsg", true},   {SYS_ftruncate, "ftruncate", true},
    {SYS_fallocate, "fallocate", true}, {SYS_rename, "rename", false},
    {SYS_renameat, "renameat", false},  {SYS_renameat2, "renameat2", false},
    {SYS_unlink, "unlink", false},      {SYS_unlinkat, "unlinkat", false},
    {SYS_mkdir, "mkdir", false},        {SYS_mkdirat, "mkdirat", false},
    {SYS_rmdir, "rmdir", false},        {SYS_link, "link", false},
    {SYS_linkat, "linkat", false},      {SYS_bind, "bind", false},
    {SYS_connect, "connect", false},    {SYS_clone, "clone", false},
    {SYS_clone3, "clone3", false},      {SYS_fork, "fork", false},
    {SYS_vfork, "vfork", false},        {SYS_setresuid, "setresuid", false},
    {SYS_chown, "chown", false},        {SYS_fchmod, "fchmod", false},
    {SYS_chmod, "chmod", false},
};

// eventfds and timers are the program's own business.
bool IsOwnBusiness(pid_t pid, uint64_t fd) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd);
  char target[64] = {};
  const ssize_t n = ::readlink(path.c_str(), target, sizeof target - 1);
  return n > 0 && std::string_view(target, static_cast<size_t>(n)).starts_with("anon_inode:");
}

// Its name if the call reaches outside, else nullptr.
const char* NameOf(pid_t pid, const __ptrace_syscall_info& info) {
  const uint64_t number = info.entry.nr;
  if (number == SYS_openat)
    return (info.entry.args[2] & (O_CREAT | O_TRUNC)) != 0 ? "openat" : nullptr;
  if (number == SYS_open) return (info.entry.args[1] & (O_CREAT | O_TRUNC)) != 0 ? "open" : nullptr;
  if (number == SYS_ioctl) return info.entry.args[1] == TUNSETIFF ? "ioctl" : nullptr;
  for (const Call& c : kCalls) {
    if (c.number != number) continue;
    return c.on_fd && IsOwnBusiness(pid, info.entry.args[0]) ? nullptr : c.name;
  }
  return nullptr;
}

std::string TextOf(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The process that a thread belongs to.
pid_t ProcessOf(pid_t thread) {
  const std::string status = TextOf("/proc/" + std::to_string(thread) + "/status");
  const size_t at = status.find("\nTgid:");
  return at == std::string::npos ? thread : std::atoi(status.c_str() + at + 6);
}

class Tracer {
 public:
  Tracer(int log, uint64_t at) : log_(log), at_(at) {}

  // Until nothing that was started is left to be traced.
  void Run(pid_t first) {
    first_ = first;
    for (;;) {
      int how = 0;
      const pid_t pid = ::waitpid(-1, &how, __WALL);
      if (pid < 0 && errno == EINTR) continue;  // armed meanwhile
      if (pid < 0) return;
      if (WIFSTOPPED(how)) {
        OnStop(pid, how);
      } else if (pid == first_) {
        Say("exit " + std::to_string(WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how)));
      }
    }
  }

 private:
  void OnStop(pid_t pid, int how) {
    const int signal = WSTOPSIG(how);
    const bool call = signal == (SIGTRAP | 0x80);
    const bool event = (how >> 16) != 0;
    if (call && armed != 0) OnCall(pid);
    // A thread may be gone by now: SIGKILL does not wait for us.
    (void)::ptrace(PTRACE_SYSCALL, pid, nullptr, call || event ? 0 : signal);
  }

  void OnCall(pid_t pid) {
    __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) < 0) return;
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY) return;
    const char* name = NameOf(pid, info);
    if (name == nullptr) return;
    std::string who = TextOf("/proc/" + std::to_string(pid) + "/comm");
    if (who.ends_with('\n')) who.pop_back();
    const pid_t process = ProcessOf(pid);
    const std::string line = who + " " + std::to_string(process) + " " + name;
    ++count_;
    Say(line);
    if (count_ != at_) return;
    ::kill(process, SIGKILL);
    Say("killed " + line);
  }

  void Say(const std::string& line) {
    const std::string out = line + "\n";
    if (::write(log_, out.data(), out.size()) != static_cast<ssize_t>(out.size())) std::abort();
  }

  const int log_;
  const uint64_t at_;
  uint64_t count_ = 0;
  pid_t first_ = -1;
};

int Fail(const char* what) {
  std::fprintf(stderr, "kill_at: %s: %s\n", what, std::strerror(errno));
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t at = 0;
  const char* log_path = "/dev/null";
  int i = 1;
  for (; i < argc && std::strcmp(argv[i], "--") != 0; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--armed") {
      armed = 1;
    } else if (arg == "--at" && i + 1 < argc) {
      at = std::strtoull(argv[++i], nullptr, 10);
    } else if (arg == "--log" && i + 1 < argc) {
      log_path = argv[++i];
    } else {
      std::fprintf(stderr, "Usage: kill_at --at N --log FILE [--armed] -- PROGRAM ARGS...\n");
      return 2;
    }
  }
  if (i + 1 >= argc) return Fail("no program");
  const int log = ::open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return Fail(log_path);
  struct sigaction arm{};
  arm.sa_handler = [](int) { armed = 1; };  // without SA_RESTART: waitpid looks again
  ::sigaction(SIGUSR1, &arm, nullptr);
  const pid_t child = ::fork();
  if (child < 0) return Fail("fork");
  if (child == 0) {
    ::raise(SIGSTOP);  // until it is traced
    ::execvp(argv[i + 1], argv + i + 1);
    std::_Exit(Fail(argv[i + 1]));
  }
  int how = 0;
  ::waitpid(child, &how, WUNTRACED);
  constexpr long kFollow = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                           PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
  if (::ptrace(PTRACE_SEIZE, child, nullptr, kFollow) < 0) return Fail("ptrace");
  ::kill(child, SIGCONT);
  Tracer(log, at).Run(child);
  return 0;
}
