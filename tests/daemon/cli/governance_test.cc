// docs/governance.md says what the commands in it print; here they are run, over a log of sixty
// days that this test writes. AQMESH_REWRITE=1 puts what they print into the page, and the pictures
// beside it, to be read as a diff.
#include <cstdlib>
#include <regex>

#include "core/base/status.h"
#include "daemon/cli/state.h"
#include "daemon/cli/trust_view.h"
#include "lineage/inputs.h"
#include "node/trust_book.h"
#include "tests/daemon/cli/world.h"

namespace aqmesh::cli {
namespace {

using trust::Evidence;
using trust::kOne;
using trust::Standing;

constexpr uint64_t kNow = 6'000'000;  // the epoch in which World's clock stands still
constexpr uint64_t kDay = trust::kEpochsPerDay;
constexpr uint64_t kBegan = kNow - 60 * kDay;
constexpr uint32_t kReturn = 45'875;  // ADMIT's up threshold

// What a machine does, epoch by epoch: nothing, or what counts for and against it.
using Life = std::function<Evidence(uint64_t epoch, const Standing& standing)>;

bool InUse(uint64_t epoch) { return epoch % 12 == 0 && epoch % kDay < 2 * kDay / 3; }
Evidence Good(uint64_t epoch) { return {.r = InUse(epoch) ? kOne / 4 : 0}; }

struct Told : World {
  Told() {
    Must({"--state", A(), "init", "home", "--no-passphrase", "--machine", "atlas"});
    Must({"--state", A(), "authority", "export", "-o", Path("home.charter")});
    for (const std::string name : {"borealis", "cygnus", "draco", "ermine"}) Join(name);
    store = *lineage::RocksStore::Open(A() + "/store");
    known = *LoadObjects(*store);
    Live("borealis", [](uint64_t e, const Standing&) {  // one grave fault, forty days ago
      return e == kNow - 40 * kDay ? Evidence{.s = 4 * kOne} : Good(e);
    });
    Live("cygnus", [](uint64_t e, const Standing& s) {  // one each time that it is let in again
      if (!InUse(e)) return Evidence{};
      const bool back = s.Read(e, trust::kGapCapSmallMesh).ladm >= kReturn;
      return back && e >= kBegan + 3 * kDay ? Evidence{.r = kOne / 4, .s = 4 * kOne} : Good(e);
    });
    Live("draco", [](uint64_t e, const Standing&) {  // a slip every second day
      return e % (2 * kDay) == 0 ? Evidence{.s = kOne} : Good(e);
    });
    Live("ermine", [](uint64_t e, const Standing&) {  // away for a month
      return e > kNow - 45 * kDay && e < kNow - 15 * kDay ? Evidence{} : Good(e);
    });
    WriteDown();
    EXPECT_TRUE(store->Commit(std::exchange(batch, {})).ok());
    store.reset();
  }
  std::string A() const { return Path("a"); }
  void Must(std::vector<std::string> args) {
    const Ran r = Run(std::move(args));
    EXPECT_EQ(r.exit, 0) << r.err;
  }
  void Join(const std::string& name) {
    const std::string request = Path(name + ".request"), grant = Path(name + ".grant");
    Must({"--state",
          Path(name),
          "request",
          "--name",
          name,
          "--mesh",
          Path("home.charter"),
          "-o",
          request});
    Must({"--state", A(), "sign", request, "-o", grant});
    Must({"--state", A(), "import", grant});
  }
  void Live(const std::string& name, const Life& life) {
    const auto grant = std::ranges::find_if(known.grants, [&](const auto& g) {
      return g.body.name == name && (g.body.caps & authority::kCapsIssue) == 0;
    });
    ASSERT_NE(grant, known.grants.end()) << name;
    const Kid key = authority::KidOf(grant->body.suite, grant->body.key);
    Standing standing = Standing::New(56'032, kBegan);
    for (uint64_t e = kBegan; e < kNow; ++e) {
      const Evidence evidence = life(e, standing);
      if (evidence == Evidence{}) continue;
      weighed[e].push_back({key, evidence, standing});
      standing.Step(e, evidence);
    }
  }
  // In the order of time, as a log has it.
  void WriteDown() {
    for (const auto& [epoch, all] : weighed) {
      for (const auto& [subject, evidence, before] : all) {
        lineage::Inputs in;
        in.oids = {known.charter()->oid()};
        in.slopes = {node::SlopeInputOf(subject, before)};
        in.wall_millis = in.mono_nanos = 1;
        in.epoch = epoch;
        in.weighed = lineage::WeighedInput{
            .r = evidence.r, .s = evidence.s, .u = evidence.u, .equivocation = false};
        const Bytes bytes = lineage::EncodeInputs(in);
        Standing after = before;
        after.Step(epoch, evidence);
        const trust::Reading reading = after.Read(epoch, trust::kGapCapSmallMesh);
        authority::Observe r;
        r.kind = authority::RecordKind::kWeighted;
        r.subject = subject;
        r.inputs = lineage::InputsId(bytes);
        r.ladm = reading.ladm;
        r.slope = static_cast<uint32_t>(int32_t{kOne} + reading.slope);
        batch.objects.push_back({lineage::Shelf::kInputs, *r.inputs, bytes});
        batch.records.push_back(
            chain.Add(std::move(r), WallTime::FromSeconds(SecondsOfEpoch(epoch + 1) - 1)));
      }
    }
  }

  struct Weighing {
    Kid subject;
    Evidence evidence;
    Standing before;
  };
  KnownObjects known;
  std::map<uint64_t, std::vector<Weighing>> weighed;
  lineage::Chain chain{Kid{}};
  lineage::Batch batch;
  std::unique_ptr<lineage::RocksStore> store;
};

// As a shell would cut it; there are no other quotes on the page.
std::vector<std::string> Words(const std::string& line) {
  std::vector<std::string> out;
  bool quoted = false, open = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
      open = true;
    } else if (c == ' ' && !quoted) {
      open = false;
      continue;
    } else {
      if (!open) out.emplace_back();
      out.back() += c;
      open = true;
      continue;
    }
    if (quoted) out.emplace_back();
  }
  return out;
}

// "..." (one character, U+2026) on the page stands for keys, which are new in every run.
bool Fits(const std::string& said, const std::string& printed) {
  static const std::regex special(R"([.^$|()\[\]{}*+?\\])");
  std::string pattern = std::regex_replace(said, special, R"(\$&)");
  for (size_t at; (at = pattern.find("\u2026")) != std::string::npos;)
    pattern.replace(at, std::string("\u2026").size(), "[^\n]*");
  return std::regex_match(printed, std::regex(pattern));
}

std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(GovernanceTest, EveryCommandOfThePagePrintsWhatThePageSays) {
  const bool rewrite = std::getenv("AQMESH_REWRITE") != nullptr;
  const std::string docs = AQ_SOURCE_DIR "/docs/", path = docs + "governance.md";
  Told w;
  std::istringstream in(ReadAll(path));
  std::string page, command, said;
  enum { kText, kCommand, kBetween, kAnswer } place = kText;
  int commands = 0, pictures = 0;
  bool live = false;  // asked of a running daemon by tests/e2e
  for (std::string line; std::getline(in, line);) {
    const bool fence = line.starts_with("```");
    live = live || line == "## Asked of a running machine";
    if (place == kCommand && !fence) command = line;
    if (place == kAnswer && !fence) {
      said += line + "\n";
      continue;
    }
    if (place == kAnswer && !live) {
      std::vector<std::string> args = Words(command);
      ASSERT_EQ(args.at(0), "aqmesh") << command;
      args[0] = w.A();
      args.insert(args.begin(), "--state");
      std::string picture;
      for (std::string& a : args) {
        if (!a.starts_with("docs/")) continue;
        picture = a.substr(5);
        a = w.Path(picture);
      }
      const Ran ran = w.Run(args);
      EXPECT_EQ(ran.exit, 0) << command << "\n" << ran.err;
      const bool fits = Fits(said, ran.out);
      if (!rewrite) {
        EXPECT_TRUE(fits) << command << "\nthe page says:\n" << said << "printed:\n" << ran.out;
      }
      page += fits ? said : ran.out;
      ++commands;
      if (!picture.empty()) {
        if (rewrite) std::ofstream(docs + picture) << w.Read(picture);
        EXPECT_EQ(w.Read(picture), ReadAll(docs + picture)) << picture;
        EXPECT_NE(ReadAll(path).find("](" + picture + ")"), std::string::npos) << "is shown";
        ++pictures;
      }
    } else if (place == kAnswer) {
      page += said;
    }
    if (place == kAnswer) said.clear();
    page += line + "\n";
    if (!fence) continue;
    if (line == "```sh") {
      ASSERT_EQ(place, kText) << line;
      place = kCommand;
    } else {
      place = place == kCommand ? kBetween : place == kBetween ? kAnswer : kText;
    }
  }
  EXPECT_EQ(place, kText);
  EXPECT_GE(commands, 6);
  EXPECT_GE(pictures, 4);
  EXPECT_TRUE(live);
  if (rewrite) std::ofstream(path) << page;
}

}  // namespace
}  // namespace aqmesh::cli
