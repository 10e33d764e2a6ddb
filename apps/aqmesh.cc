// aqmesh: the command line. All of it is in daemon/cli; this wires it to the process.
#include <csignal>
#include <string>
#include <vector>

#include "daemon/cli/cli.h"
#include "daemon/cli/terminal.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // `aqmesh status | head` ends quietly
  aqmesh::cli::Env env = aqmesh::cli::ProcessEnv(AQMESH_VERSION);
  return aqmesh::cli::RunCli(env, std::vector<std::string>(argv + 1, argv + argc));
}
