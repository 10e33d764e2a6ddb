#include "daemon/cli/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>

#include "core/base/status.h"
#include "daemon/cli/daemon_start.h"
#include "daemon/cli/line_editor.h"
#include "transport/os/clock.h"
#include "transport/os/fd.h"

namespace aqmesh::cli {

namespace {

// False if nobody takes it.
bool WriteTo(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// Set by the signal's handler, which can reach nothing else.
volatile sig_atomic_t ctrl_c = 0, term = 0;

bool Interrupted() {
  static const bool caught = [] {
    struct sigaction action{};
    action.sa_handler = [](int) { ctrl_c = 1; };  // no SA_RESTART: what waits wakes up
    return sigaction(SIGINT, &action, nullptr) == 0;
  }();
  const bool typed = caught && ctrl_c != 0;
  if (typed) ctrl_c = 0;
  return typed;
}

bool ToldToEnd() {
  static const bool caught = [] {
    struct sigaction action{};
    action.sa_handler = [](int) { term = 1; };
    return sigaction(SIGTERM, &action, nullptr) == 0;
  }();
  return caught && term != 0;
}

absl::StatusOr<std::string> ReadStdin(size_t bytes_max) {
  std::string out;
  char chunk[16'384];
  while (true) {
    const ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os::ErrnoStatus(errno, "stdin");
    if (n == 0) return out;
    out.append(chunk, static_cast<size_t>(n));
    if (out.size() > bytes_max)
      return ResourceExhausted("stdin: larger than the ", bytes_max, " bytes read here");
  }
}

// Asks on the terminal itself, so that stdin may be a pipe.
absl::StatusOr<std::string> AskLine(std::string_view prompt, bool echo) {
  const os::Fd tty(open("/dev/tty", O_RDWR | O_CLOEXEC));
  if (!tty.valid()) return FailedPrecondition("no terminal to ask on");
  termios old{};
  const bool quiet = !echo && tcgetattr(tty.get(), &old) == 0;
  if (quiet) {
    termios silent = old;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(tty.get(), TCSAFLUSH, &silent);
  }
  WriteTo(tty.get(), prompt);
  std::string line;
  char c = 0;
  while (line.size() < 1'024 && read(tty.get(), &c, 1) == 1 && c != '\n') line.push_back(c);
  if (quiet) {
    tcsetattr(tty.get(), TCSAFLUSH, &old);
    WriteTo(tty.get(), "\n");
  }
  return line;
}

std::optional<bool> AskYes(std::string_view question) {
  if (isatty(STDIN_FILENO) == 0) return std::nullopt;
  const auto line = AskLine(question, true);
  if (!line.ok()) return std::nullopt;
  return line->empty() || line->front() == 'y' || line->front() == 'Y';
}

// The host's first label, made a lab.
std::string HostName() {
  char text[256] = {};
  if (gethostname(text, sizeof text - 1) != 0) return "machine";
  std::string out;
  for (const char c : std::string_view(text)) {
    if (c == '.') break;
    const auto lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    out.push_back((lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') ? lower : '-');
  }
  while (out.starts_with('-')) out.erase(0, 1);
  out.resize(std::min<size_t>(out.size(), 32));
  while (out.ends_with('-')) out.pop_back();
  return out.empty() ? "machine" : out;
}

}  // namespace

Env ProcessEnv(std::string version) {
  Env env;
  const auto gone = std::make_shared<bool>(false);
  env.out = [gone](std::string_view text) { *gone = !WriteTo(STDOUT_FILENO, text) || *gone; };
  env.out_gone = [gone] { return *gone; };
  env.err = [](std::string_view text) { WriteTo(STDERR_FILENO, text); };
  if (isatty(STDIN_FILENO) != 0) env.line_reader = EditLines;
  env.interrupted = Interrupted;
  env.told_to_end = ToldToEnd;
  env.pause = [](std::chrono::milliseconds span) {
    poll(nullptr, 0, static_cast<int>(span.count()));
  };
  env.read_stdin = ReadStdin;
  env.ask_secret = [](std::string_view prompt) -> absl::StatusOr<issuing::SecretText> {
    AQ_ASSIGN_OR_RETURN(std::string line, AskLine(prompt, false));
    return issuing::SecretText(std::move(line));
  };
  env.ask = AskYes;
  env.out_tty = isatty(STDOUT_FILENO) != 0;
  winsize size{};
  if (env.out_tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) env.columns = size.ws_col;
  env.host_name = HostName();
  env.version = std::move(version);
  env.now = os::ReadNow;
  env.rng.emplace(os::KernelSeed());
  env.connect = SocketClient;
  env.start_daemon = StartDaemon;
  return env;
}

}  // namespace aqmesh::cli
