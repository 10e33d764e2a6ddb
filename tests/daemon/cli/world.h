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
    ran.exit = RunCli(env, std::move(args));
    return ran;
  }

  uint64_t now = 1'800'000'000;
  std::string input;
  std::map<std::string, std::vector<LiveAnswer>> answers;
  std::vector<LiveRequest> asked;
  int starts = 0;

 private:
  std::filesystem::path dir_;
  uint8_t runs_ = 0;
};

}  // namespace aqmesh::cli

#endif  // AQMESH_TESTS_DAEMON_CLI_WORLD_H_
