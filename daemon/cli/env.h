// What the CLI needs of the world, handed in by main() and by tests: a terminal, time, entropy, a
// daemon. Thread: one owner.
#ifndef AQMESH_DAEMON_CLI_ENV_H_
#define AQMESH_DAEMON_CLI_ENV_H_

#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/rng.h"
#include "core/base/time.h"
#include "daemon/cli/live.h"
#include "issuing/custody/private_dir.h"

namespace aqmesh::cli {

// Lines typed at a terminal, with those typed before at hand.
class LineReader {
 public:
  virtual ~LineReader() = default;
  // Without its newline; nullopt: the end of input. Ctrl-C gives an empty line, and interrupted().
  virtual std::optional<std::string> Read(const std::string& prompt) = 0;
  virtual void Remember(const std::string& line) = 0;  // now and the next time
};

struct Env {
  // stdout is the answer, stderr is the talk. Each call writes all of its text at once.
  std::function<void(std::string_view)> out, err;
  std::function<absl::StatusOr<std::string>(size_t bytes_max)> read_stdin;
  // Without echo. FailedPrecondition where there is no terminal to ask on.
  std::function<absl::StatusOr<issuing::SecretText>(std::string_view prompt)> ask_secret;
  // yes or no on a terminal, Enter takes yes; nullopt where there is no terminal.
  std::function<std::optional<bool>(std::string_view question)> ask;
  // Null where stdin is no terminal.
  std::function<std::unique_ptr<LineReader>()> line_reader;
  // Whether Ctrl-C was typed since it was last asked; from the first time on it ends nothing
  // itself.
  std::function<bool()> interrupted;
  // Whether somebody asked the process to end (SIGTERM); likewise from the first time on.
  std::function<bool()> told_to_end;
  std::function<bool()> out_gone;                        // nobody reads stdout any more
  std::function<void(std::chrono::milliseconds)> pause;  // less if a signal comes
  bool out_tty = false;
  size_t columns = 0;  // of the terminal; 0: never cut a row
  std::string host_name = "machine";
  std::string version = "0";
  std::function<Now()> now;
  std::optional<Rng> rng;
  std::function<std::unique_ptr<LiveClient>(const std::string& socket)> connect;
  // Returns once the daemon answers on its socket; false: it already did.
  std::function<absl::StatusOr<bool>(const std::string& state, const std::string& socket)>
      start_daemon;
};

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_ENV_H_
