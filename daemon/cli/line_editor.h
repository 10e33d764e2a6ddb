// Lines typed at the terminal, edited as in other shells, with those of earlier runs at hand.
// Bounds: kHistoryLines lines are kept, in $XDG_STATE_HOME/aqmesh/sql_history (else
//         ~/.local/state/aqmesh), mode 0600, and only in a directory of the user's own.
// Thread: one owner; one editor in a process. Errors: without a place for it there is no history.
#ifndef AQMESH_DAEMON_CLI_LINE_EDITOR_H_
#define AQMESH_DAEMON_CLI_LINE_EDITOR_H_

#include <memory>

#include "daemon/cli/env.h"

namespace aqmesh::cli {

inline constexpr int kHistoryLines = 1'000;

std::unique_ptr<LineReader> EditLines();

// A history in a file: what each run remembers, for the next.
class HistoryFile {
 public:
  // Opens or makes `path`; nullptr if it is not, or not in, something of this user's alone.
  static std::unique_ptr<HistoryFile> Open(const std::string& path);
  ~HistoryFile();
  HistoryFile(const HistoryFile&) = delete;
  HistoryFile& operator=(const HistoryFile&) = delete;

  const std::vector<std::string>& lines() const { return lines_; }  // oldest first
  void Add(const std::string& line);

 private:
  HistoryFile(int fd, std::vector<std::string> lines) : fd_(fd), lines_(std::move(lines)) {}
  int fd_;
  std::vector<std::string> lines_;
};

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_LINE_EDITOR_H_
