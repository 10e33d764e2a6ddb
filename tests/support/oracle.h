// What a script of tests/oracle says: a rule written a second time, from the text of the spec
// alone. python3 has to be there (./dev deps): without it these tests fail.
#ifndef AQMESH_TESTS_SUPPORT_ORACLE_H_
#define AQMESH_TESTS_SUPPORT_ORACLE_H_

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace aqmesh {

class Oracle {
 public:
  explicit Oracle(std::string script) : script_(std::move(script)) {
    std::string path = (std::filesystem::temp_directory_path() / "aqmesh-oracle-XXXXXX").string();
    dir_ = mkdtemp(path.data());
  }
  ~Oracle() { std::filesystem::remove_all(dir_); }
  Oracle(const Oracle&) = delete;
  Oracle& operator=(const Oracle&) = delete;

  // What it says to these lines, line by line.
  std::vector<std::string> Ask(const std::string& lines, const std::string& arguments = "") {
    std::ofstream(dir_ / "in") << lines;
    const std::string command = "python3 " AQ_SOURCE_DIR "/tests/oracle/" + script_ + " " +
                                arguments + " < " + (dir_ / "in").string() + " > " +
                                (dir_ / "out").string();
    const int status = std::system(command.c_str());
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << command;
    std::ifstream out(dir_ / "out");
    std::vector<std::string> answers;
    for (std::string line; std::getline(out, line);) answers.push_back(line);
    return answers;
  }

 private:
  std::string script_;
  std::filesystem::path dir_;
};

// A transcript: what is asked of an oracle, and what ours answered.
class Questions {
 public:
  void Tell(const std::string& line) { asked_ += line + "\n"; }
  void Ask(const std::string& question, std::string answer) {
    Tell(question);
    ends_.push_back(asked_.size());
    answers_.push_back(std::move(answer));
  }
  void Compare(const std::string& script) const {
    const std::vector<std::string> theirs = Oracle(script).Ask(asked_);
    ASSERT_EQ(theirs.size(), answers_.size());
    for (size_t i = 0; i < theirs.size(); ++i) ASSERT_EQ(answers_[i], theirs[i]) << Before(i);
  }
  size_t size() const { return answers_.size(); }

 private:
  // The question, and the lines that led to it.
  std::string Before(size_t i) const {
    constexpr size_t kShown = 1'500;
    const size_t end = ends_[i];
    return "answer " + std::to_string(i) + ", to:\n" +
           asked_.substr(end > kShown ? end - kShown : 0, std::min(end, kShown));
  }
  std::string asked_;
  std::vector<size_t> ends_;
  std::vector<std::string> answers_;
};

}  // namespace aqmesh

#endif  // AQMESH_TESTS_SUPPORT_ORACLE_H_
