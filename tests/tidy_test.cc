// The house rules that a compiler does not know: which room may include which, and which words are
// banned in which room, each ban naming what to use instead.
// Spec: spec/rooms.md.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

namespace {

namespace fs = std::filesystem;

struct Room {
  const char* folder;                    // longest match wins
  std::vector<std::string> may_include;  // project folders; its own is always allowed
};

const std::vector<Room>& Rooms() {
  static const std::vector<Room> rooms = {
      {"core/base", {}},
      {"core/crypto", {"core/base"}},
      {"core/wire", {"core/base"}},
      {"core/authority", {"core"}},
      {"trust", {"core"}},
      {"admission", {"trust", "core"}},
      {"lineage", {"lineage/tlog", "core"}},
      {"lineage/tlog", {"core"}},
      {"lineage/rocks", {"lineage", "core"}},
      {"lineage/sealed", {"lineage", "lineage/tlog", "core"}},
      {"lineage/sql", {"lineage", "lineage/tlog", "core"}},
      {"lineage/ship", {"lineage", "lineage/tlog", "core"}},
      {"transport", {"core"}},
      {"transport/os", {"transport", "core"}},
      {"issuing", {"core"}},
      {"issuing/custody", {"issuing", "core"}},
      {"node", {"admission", "trust", "lineage", "transport", "issuing", "core"}},
      {"daemon",
       {"node", "admission", "trust", "lineage", "transport", "issuing", "core", "proto"}},
      {"sim", {"node", "admission", "trust", "lineage", "transport", "issuing", "core"}},
      {"apps",
       {"daemon",
        "sim",
        "node",
        "admission",
        "trust",
        "lineage",
        "transport",
        "issuing",
        "core",
        "proto"}},
  };
  return rooms;
}

const std::vector<std::string>& Annexes() {
  static const std::vector<std::string> annexes = {"transport/os",
                                                   "lineage/rocks",
                                                   "lineage/sealed",
                                                   "lineage/sql",
                                                   "lineage/ship",
                                                   "issuing/custody"};
  return annexes;
}

struct Ban {
  const char* token;
  std::vector<std::string> allowed_in;
  const char* use_instead;
};

const std::vector<Ban>& Bans() {
  static const std::vector<Ban> bans = {
      {"steady_clock", {}, "the Now that the driver hands in"},
      {"system_clock", {}, "the Now that the driver hands in"},
      {"random_device", {}, "the Rng that the driver seeds"},
      {"std::thread",
       {"daemon", "lineage/rocks", "transport/os", "apps"},
       "an engine that a driver calls"},
      {"rocksdb/", {"lineage/rocks"}, "lineage/store.h"},
      {"sqlite3.h", {"lineage/sql"}, "lineage/sql/database.h"},
      {"curl/", {"daemon/courier/http", "lineage/ship"}, "daemon/courier/courier_client.h"},
      {"libpq-fe.h", {"lineage/ship"}, "lineage/ship/sink.h"},
      {"<zstd.h>", {"lineage/sealed"}, "lineage/sealed/frame.h"},
      {"<boost/", {"transport/os", "daemon", "apps"}, "an engine without I/O"},
      {"<iostream>", {}, "fmt or the logger"},
      {"<regex>", {}, "a parser"},
      {"std::mutex", {"lineage/rocks", "transport/os"}, "a bounded queue, or a snapshot"},
      {"std::recursive_mutex", {"transport/wireguard"}, "the Datapath's lock, data_lock.h"},
      {"std::shared_mutex", {"lineage/rocks"}, "a snapshot"},
      {"absl/synchronization/", {}, "std's locks: the thread sanitizer sees those"},
      {"getenv", {"apps", "daemon"}, "a field of Config"},
      {".pb.h\"", {"daemon", "apps"}, "a struct of core"},
      {"ForTest(",
       {"transport/wireguard"},
       "production code without test doors; vectors need fixed cookies there"},
  };
  return bans;
}

fs::path Root() { return AQ_SOURCE_DIR; }

bool Within(const std::string& path, const std::string& folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

const Room* RoomOf(const std::string& path) {
  const Room* best = nullptr;
  for (const Room& r : Rooms()) {
    if (Within(path, r.folder) &&
        (!best || std::string(r.folder).size() > std::string(best->folder).size()))
      best = &r;
  }
  return best;
}

bool MayInclude(const Room& room, const std::string& header) {
  const Room* target = RoomOf(header);
  if (target == &room) return true;
  for (const std::string& annex : Annexes()) {
    const bool drivers = std::string(room.folder) == "daemon" || std::string(room.folder) == "apps";
    if (Within(header, annex) && room.folder != annex && !drivers) return false;
  }
  for (const std::string& folder : room.may_include) {
    if (Within(header, folder)) return true;
  }
  return false;
}

template <class F>
void ForEachSource(F f) {
  for (const char* top : {"core",
                          "trust",
                          "admission",
                          "lineage",
                          "transport",
                          "issuing",
                          "node",
                          "daemon",
                          "sim",
                          "apps"}) {
    for (const auto& entry : fs::recursive_directory_iterator(Root() / top)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cc") continue;
      std::ifstream in(entry.path());
      std::stringstream text;
      text << in.rdbuf();
      f(fs::relative(entry.path(), Root()).string(), text.str());
    }
  }
}

std::string WithoutComment(const std::string& line) { return line.substr(0, line.find("//")); }

TEST(TidyTest, ArrowsBetweenRoomsRunOneWay) {
  ForEachSource([](const std::string& path, const std::string& text) {
    const Room* room = RoomOf(path);
    ASSERT_NE(room, nullptr) << path << " is in no room";
    std::istringstream lines(text);
    int number = 0;
    for (std::string line; std::getline(lines, line);) {
      ++number;
      if (!line.starts_with("#include \"")) continue;
      const std::string header = line.substr(10, line.find('"', 10) - 10);
      if (!fs::exists(Root() / header)) continue;  // generated
      EXPECT_TRUE(MayInclude(*room, header))
          << path << ":" << number << ": " << room->folder << " may not include " << header;
    }
  });
}

TEST(TidyTest, BannedWordsNameWhatToUseInstead) {
  ForEachSource([](const std::string& path, const std::string& text) {
    std::istringstream lines(text);
    int number = 0;
    for (std::string line; std::getline(lines, line);) {
      ++number;
      const std::string code = WithoutComment(line);
      for (const Ban& ban : Bans()) {
        if (code.find(ban.token) == std::string::npos) continue;
        bool allowed = false;
        for (const std::string& folder : ban.allowed_in) allowed |= Within(path, folder);
        EXPECT_TRUE(allowed) << path << ":" << number << ": no " << ban.token << " here; use "
                             << ban.use_instead;
      }
    }
  });
}

// Comments and line breaks gone, blanks single.
std::string OneLineOf(const std::string& text) {
  std::istringstream lines(text);
  std::string code;
  for (std::string line; std::getline(lines, line);) code += WithoutComment(line) + " ";
  std::string out;
  for (char c : code) {
    const bool blank = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (!blank || !out.ends_with(' ')) out.push_back(blank ? ' ' : c);
  }
  return out;
}

// How often this code asks which suite a suite is.
int ComparedSuites(const std::string& code) {
  const std::string compared[] = {
      "[=!]= ?(aqmesh::)?(authority::)?Suite(::k|\\{)",
      "Suite::k[A-Za-z0-9]+ ?[=!]=",
      "case (aqmesh::)?(authority::)?Suite::k",
      "[sS]uite_?(\\(\\))? ?[=!]= ?[0-9]",
      "static_cast<[a-z0-9_]+>\\([^()]*[sS]uite_?(\\(\\))?\\) ?[=!]= ?[0-9]",
      "switch \\([^{]*[sS]uite[^{]*\\{"};
  int count = 0;
  for (const std::string& pattern : compared) {
    const std::regex regex(pattern);
    count += static_cast<int>(std::distance(std::sregex_iterator(code.begin(), code.end(), regex),
                                            std::sregex_iterator()));
  }
  return count;
}

// What a suite is, core/authority/suites.h says: a function there, or a column of its table. Here
// is who may still ask, how often, and what it has to know.
TEST(TidyTest, OnlyTheRegistryAsksWhichSuiteItIs) {  // spec: suites#1
  struct Asks {
    int times;
    const char* why;
  };
  const std::map<std::string, Asks> may = {
      {"core/authority/codec_rules.cc", {2, "PLAIN and a WireGuard keybind are of suite 16"}},
      {"issuing/issue.cc", {2, "a grant's default; requests that it answers are of suite 1"}},
      {"lineage/fork_check.cc", {1, "a log key signs C2SP's notes, and they know Ed25519"}},
      {"lineage/sql/directory.cc", {2, "as above: keys for notes"}},
      {"node/heads/cosigner.cc", {1, "as above"}},
      {"daemon/cli/log_owner.cc", {1, "as above"}},
  };
  EXPECT_EQ(ComparedSuites("switch (s.suite()) { case Suite::kEd25519: }"), 2);
  EXPECT_EQ(ComparedSuites(OneLineOf("a = b.suite !=\n   authority::Suite::kRistretto;")), 1);
  EXPECT_EQ(ComparedSuites("if (suite == 2) if (Suite::kEd25519 == s)"), 2);
  EXPECT_EQ(ComparedSuites("v.suite = Suite::kEd25519; a.suite == b.suite"), 0);
  ForEachSource([&may](const std::string& path, const std::string& text) {
    if (path.starts_with("core/authority/suites")) return;
    const auto found = may.find(path);
    EXPECT_EQ(ComparedSuites(OneLineOf(text)), found == may.end() ? 0 : found->second.times)
        << path << " asks which suite it is; give the registry a column that answers"
        << (found == may.end() ? "" : std::string(", beside: ") + found->second.why);
  });
}

TEST(TidyTest, EveryHeaderHasItsGuardAndItsSentence) {
  ForEachSource([](const std::string& path, const std::string& text) {
    if (!path.ends_with(".h")) return;
    EXPECT_TRUE(text.starts_with("// ")) << path << ": a header starts with what it is for";
    std::string guard = "AQMESH_";
    for (char c : path)
      guard.push_back(
          std::isalnum(static_cast<unsigned char>(c)) ? static_cast<char>(std::toupper(c)) : '_');
    EXPECT_NE(text.find("#ifndef " + guard + "_"), std::string::npos)
        << path << ": the guard is " << guard << "_";
  });
}

TEST(TidyTest, NothingIsLeftUnfinished) {
  const std::string marks[] = {
      std::string("TO") + "DO", std::string("FIX") + "ME", std::string("XX") + "X"};
  ForEachSource([&](const std::string& path, const std::string& text) {
    for (const auto& mark : marks)
      EXPECT_EQ(text.find(mark), std::string::npos) << path << " says " << mark;
  });
}

}  // namespace
