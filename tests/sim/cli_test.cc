// The words of aqmesh-sim, against tests/scenarios/sim_cli.txt: command, output of both streams,
// exit status. AQMESH_REWRITE=1 writes the file anew, to be read as a diff.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace {

const std::string kFile = AQ_SOURCE_DIR "/tests/scenarios/sim_cli.txt";

struct Answer {
  std::string text;
  int exit = -1;
};
Answer Ask(const std::string& arguments) {
  Answer answer;
  const std::string command = AQ_BINARY_DIR "/apps/aqmesh-sim " + arguments + " 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return answer;
  char buffer[4096];
  while (const size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) answer.text.append(buffer, n);
  const int status = ::pclose(pipe);
  answer.exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return answer;
}

TEST(SimCliTest, SaysWhatTheFileSays) {
  std::ifstream in(kFile);
  ASSERT_TRUE(in.good()) << kFile;
  std::stringstream held;
  held << in.rdbuf();
  const std::string program = "$ aqmesh-sim";
  std::string said;
  size_t commands = 0;
  for (std::string line; std::getline(held, line);) {
    if (!line.starts_with(program)) continue;
    ++commands;
    const Answer a = Ask(line.substr(program.size()));
    said += line + "\n" + a.text + "-> " + std::to_string(a.exit) + "\n";
  }
  EXPECT_GE(commands, 10u);
  if (std::getenv("AQMESH_REWRITE") != nullptr) {
    std::ofstream(kFile) << said;
  } else {
    EXPECT_EQ(said, held.str());
  }
}

TEST(SimCliTest, ARunPrintsItsHashTwiceTheSame) {
  const Answer once = Ask("run join-and-talk --seed 5 --json");
  EXPECT_EQ(once.exit, 0) << once.text;
  EXPECT_TRUE(once.text.starts_with("{\"schema\":\"aqmesh.sim.run/1\"")) << once.text;
  EXPECT_NE(once.text.find("\"held\":true"), std::string::npos) << once.text;
  EXPECT_EQ(once.text, Ask("run join-and-talk --seed 5 --json").text);
}

}  // namespace
