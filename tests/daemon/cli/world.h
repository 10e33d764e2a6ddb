// One CLI run after another against directories of its own, with a daemon made of canned answers.
#ifndef AQMESH_TESTS_DAEMON_CLI_WORLD_H_
#define AQMESH_TESTS_DAEMON_CLI_WORLD_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "daemon/cli/cli.h"

namespace aqmesh::cli {

struct Ran {
  int exit = 0;
  std::string out, err;
};

class CannedDaemon final : public LiveClient {
 public:
  CannedDaemon(const std::map<std::string, std::vector<LiveAnswer>>& answers,
               std::vector<LiveRequest>& asked)
      : answers_(answers), asked_(asked) {}
  absl::StatusOr<LiveAnswer> Call(const LiveRequest& request, const LiveEvent& on_event) override {
    asked_.push_back(request);
    const auto it = answers_.find(request.verb);
    if (it == answers_.end())
      return absl::FailedPreconditionError("the daemon is not running; start it: aqmesh up");
    for (size_t i = 0; i + 1 < it->second.size(); ++i) {
      if (!on_event(it->second[i])) return LiveAnswer{};
    }
    return it->second.back();
  }

 private:
  const std::map<std::string, std::vector<LiveAnswer>>& answers_;
  std::vector<LiveRequest>& asked_;
};

class Typist final : public LineReader {
 public:
  Typist(const std::vector<std::string>& lines, std::vector<std::string>& remembered)
      : lines_(lines), remembered_(remembered) {}
  std::optional<std::string> Read(const std::string&) override {
    return at_ < lines_.size() ? std::optional(lines_[at_++]) : std::nullopt;
  }
  void Remember(const std::string& line) override { remembered_.push_back(line); }

 private:
  const std::vector<std::string>& lines_;
  std::vector<std::string>& remembered_;
  size_t at_ = 0;
};

class World {
 public:
  World() {
    std::string name = (std::filesystem::temp_directory_path() / "aqcliXXXXXX").string();
    dir_ = mkdtemp(name.data());
  }
  ~World() { std::filesystem::remove_all(dir_); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  std::string Path(const std::string& name) const { return (dir_ / name).string(); }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
  }
  std::string Read(const std::string& name) const {
    std::ifstream in(Path(name));
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  Ran Run(std::vector<std::string> args) {
    Ran ran;
    Env env;
    env.out = [&](std::string_view t) { ran.out += t; };
    env.err = [&](std::string_view t) { ran.err += t; };
    env.read_stdin = [this](size_t) -> absl::StatusOr<std::string> { return input; };
    env.ask_secret = [](std::string_view) -> absl::StatusOr<issuing::SecretText> {
      return absl::FailedPreconditionError("no terminal");
    };
    env.ask = [](std::string_view) -> std::optional<bool> { return std::nullopt; };
    env.now = [this] { return Now{Instant{}, WallTime::FromSeconds(now)}; };
    Rng::Seed seed{};
    seed[0] = ++runs_;
    env.rng.emplace(seed);
    env.connect = [this](const std::string&) {
      return std::make_unique<CannedDaemon>(answers, asked);
    };
    env.start_daemon = [this](const std::string&, const std::string&) -> absl::StatusOr<bool> {
      ++starts;
      return true;
    };
    env.out_tty = columns > 0;
    env.columns = columns;
    env.interrupted = [this] {
      if (asks_before_ctrl_c > 0 && --asks_before_ctrl_c == 0) return true;
      return std::exchange(ctrl_c, false);
    };
    env.pause = [this](std::chrono::milliseconds) { on_pause ? on_pause() : void(ctrl_c = true); };
    if (typed) env.line_reader = [this] { return std::make_unique<Typist>(*typed, remembered); };
    ran.exit = RunCli(env, std::move(args));
    return ran;
  }

  uint64_t now = 1'800'000'000;
  std::string input;
  std::map<std::string, std::vector<LiveAnswer>> answers;
  std::vector<LiveRequest> asked;
  int starts = 0;
  size_t columns = 0;                             // of the terminal; 0: there is none
  std::optional<std::vector<std::string>> typed;  // at the terminal that stdin is then
  std::vector<std::string> remembered;
  std::function<void()> on_pause;  // what happens while the command waits; unset: Ctrl-C
  bool ctrl_c = false;
  int asks_before_ctrl_c = 0;  // of whether it was typed; 0: it never is

 private:
  std::filesystem::path dir_;
  uint8_t runs_ = 0;
};

}  // namespace aqmesh::cli

#endif  // AQMESH_TESTS_DAEMON_CLI_WORLD_H_
