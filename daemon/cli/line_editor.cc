#include "daemon/cli/line_editor.h"

#include <fcntl.h>
#include <histedit.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace aqmesh::cli {
namespace {

constexpr size_t kHistoryBytes = 1u << 20;

// Makes what is missing of the directory, each for its owner alone.
bool MakeDirectories(const std::string& path) {
  for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    struct stat info{};
    if (mkdir(part.c_str(), 0700) != 0 && stat(part.c_str(), &info) != 0) return false;
    if (at == std::string::npos) return true;
  }
}

std::string HistoryPath() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the CLI has one thread
  const char* const base = std::getenv("XDG_STATE_HOME");
  // NOLINTNEXTLINE(concurrency-mt-unsafe): likewise
  const char* const home = std::getenv("HOME");
  std::string directory;
  if (base != nullptr && base[0] == '/') {
    directory = std::string(base) + "/aqmesh";
  } else if (home != nullptr && home[0] == '/') {
    directory = std::string(home) + "/.local/state/aqmesh";
  }
  return directory.empty() || !MakeDirectories(directory) ? "" : directory + "/sql_history";
}

class Editor final : public LineReader {
 public:
  Editor() : history_(history_init()), editor_(el_init("aqmesh", stdin, stdout, stderr)) {
    if (editor_ == nullptr || history_ == nullptr) return;
    HistEvent event{};
    history(history_, &event, H_SETSIZE, kHistoryLines);
    history(history_, &event, H_SETUNIQUE, 1);
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(
        editor_, EL_PROMPT, +[](EditLine* editor) {
          Editor* self = nullptr;
          el_get(editor, EL_CLIENTDATA, &self);
          return self->prompt_.data();
        });
    el_set(editor_, EL_EDITOR, "emacs");
    el_set(editor_, EL_HIST, history, history_);
    el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_source(editor_, nullptr);  // ~/.editrc
    const std::string path = HistoryPath();
    if (!path.empty()) file_ = HistoryFile::Open(path);
    if (!file_) return;
    for (const std::string& line : file_->lines())
      history(history_, &event, H_ENTER, (line + "\n").c_str());
  }
  ~Editor() override {
    if (editor_ != nullptr) el_end(editor_);
    if (history_ != nullptr) history_end(history_);
  }
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;

  std::optional<std::string> Read(const std::string& prompt) override {
    if (editor_ == nullptr || history_ == nullptr) return std::nullopt;
    prompt_ = prompt;
    int count = 0;
    errno = 0;
    const char* line = el_gets(editor_, &count);
    if (line == nullptr || count <= 0) {
      if (errno != EINTR) return std::nullopt;
      el_reset(editor_);
      return "";
    }
    std::string text(line, static_cast<size_t>(count));
    while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    return text;
  }

  void Remember(const std::string& line) override {
    HistEvent event{};
    history(history_, &event, H_ENTER, (line + "\n").c_str());
    if (file_) file_->Add(line);
  }

 private:
  std::string prompt_;
  History* history_;
  EditLine* editor_;
  std::unique_ptr<HistoryFile> file_;
};

}  // namespace

std::unique_ptr<LineReader> EditLines() { return std::make_unique<Editor>(); }

std::unique_ptr<HistoryFile> HistoryFile::Open(const std::string& path) {
  // Under sudo the home may be somebody else's: nothing of theirs is followed or written to.
  struct stat info{};
  const std::string directory = path.substr(0, path.rfind('/'));
  if (stat(directory.c_str(), &info) != 0 || info.st_uid != geteuid()) return nullptr;
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return nullptr;
  std::string text(kHistoryBytes, '\0');
  const ssize_t n = pread(fd, text.data(), text.size(), 0);
  if (fstat(fd, &info) != 0 || info.st_uid != geteuid() || !S_ISREG(info.st_mode) ||
      fchmod(fd, 0600) != 0 || n < 0) {
    close(fd);
    return nullptr;
  }
  text.resize(static_cast<size_t>(n));
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  const bool over = lines.size() > static_cast<size_t>(kHistoryLines) * 2 ||
                    static_cast<size_t>(n) == kHistoryBytes;
  if (lines.size() > static_cast<size_t>(kHistoryLines))
    lines.erase(lines.begin(), lines.end() - kHistoryLines);
  auto file = std::unique_ptr<HistoryFile>(new HistoryFile(fd, {}));
  if (over && ftruncate(fd, 0) == 0) {
    for (const std::string& line : lines) file->Add(line);
  }
  file->lines_ = std::move(lines);
  return file;
}

HistoryFile::~HistoryFile() { close(fd_); }

void HistoryFile::Add(const std::string& line) {
  const std::string text = Join(line, "\n");
  // A history that cannot be written is one that is shorter: nothing hangs on it.
  if (line.find('\n') == std::string::npos) (void)!write(fd_, text.data(), text.size());
}

}  // namespace aqmesh::cli
