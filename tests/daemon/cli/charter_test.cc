// The next charter as people make it: drafted, edited, proposed, voted for, with keys in files.
#include <gmock/gmock.h>

#include "core/base/status.h"
#include "daemon/cli/charter_file.h"
#include "daemon/cli/json_read.h"
#include "daemon/cli/text.h"
#include "issuing/issue.h"
#include "issuing/vote.h"
#include "tests/daemon/cli/world.h"

namespace aqmesh::cli {
namespace {

using authority::Charter;
using testing::HasSubstr;
using testing::Not;

// atlas has the root key; east and west are voters' keys on machines of their own.
struct Voting : World {
  Voting() {
    const Ran init = On(
        "a",
        {"init", "home", "--no-passphrase", "--machine", "atlas", "--endpoint", "192.0.2.1:41641"});
    EXPECT_EQ(init.exit, 0) << init.err;
    EXPECT_EQ(On("a", {"authority", "export", "-o", Path("home.charter")}).exit, 0);
    for (const std::string name : {"east", "west"}) {
      EXPECT_EQ(
          On(name,
             {"request", "--name", name, "--mesh", Path("home.charter"), "-o", Path(name + ".rq")})
              .exit,
          0);
      const Ran made = On(name, {"authority", "create", name, "--no-passphrase", "--json"});
      EXPECT_EQ(made.exit, 0) << made.err;
      keys[name] = TextIn(ReadObject(made.out), "key");
    }
  }
  Ran On(const std::string& machine, std::vector<std::string> args) {
    args.insert(args.begin(), {"--state", Path(machine)});
    return Run(std::move(args));
  }
  std::string Draft() { return On("a", {"charter", "draft"}).out; }
  static std::string With(std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from << " in\n" << text;
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
  }
  std::string ThreeVoters() {
    std::string text = Draft();
    text = With(With(text, "q_reg = 1", "q_reg = 3"), "q_sens = 1", "q_sens = 3");
    for (const auto& [name, key] : keys)
      text += Join("\n[[voter]]\nkey = \"", key, "\"\nweight = 1\ngroup = \"", name, "\"\n");
    return text;
  }
  // Version 2, agreed on by files alone.
  void Agree() {
    Write("next.toml", ThreeVoters());
    Ran r = On("a", {"charter", "propose", Path("next.toml"), "-o", Path("p1")});
    EXPECT_EQ(r.exit, 0) << r.err;
    r = On("east", {"charter", "vote", Path("p1"), "--key", "east", "-o", Path("p2")});
    EXPECT_EQ(r.exit, 0) << r.err;
    r = On("west", {"charter", "vote", Path("p2"), "--key", "west", "-o", Path("p3")});
    EXPECT_EQ(r.exit, 0) << r.err;
    EXPECT_THAT(r.out, HasSubstr("It is in force where it is heard."));
    r = On("a", {"import", Path("p3")});
    EXPECT_EQ(r.exit, 0) << r.err;
  }
  std::map<std::string, std::string> keys;
};

TEST(CliCharterTest, EveryFieldSurvivesItsText) {
  Rng::Seed seed{};
  Rng rng(seed);
  const crypto::Ed25519Seed root = crypto::NewEd25519(rng);
  const auto genesis =
      issuing::Genesis({.name = "home", .next_key = Digest{}, .now = 1'800'000'000}, root, rng);
  ASSERT_TRUE(genesis.ok()) << Text(genesis.status());
  Charter c = issuing::NextOf(*genesis, 1'800'000'100);
  c.voters[0].next_key = Digest{rng.Array<32>()};
  c.voters.push_back({.suite = authority::Suite::kEd25519,
                      .key = crypto::Ed25519Public(crypto::NewEd25519(rng)),
                      .weight = 65'535,
                      .group = "b",
                      .next_key = {}});
  c.witnesses = c.voters;
  c.q_reg = 43'692;
  c.q_sens = 65'536;
  c.q_wit = 50'000;
  c.flags = authority::kCharterFlagsAll;
  c.grace = 7;
  c.level = 3;
  c.parent = ScopeId{rng.Array<16>()};
  c.replaces = ScopeId{rng.Array<16>()};
  c.suites = {1, 2};
  c.classes = {{.id = 2,
                .may_issue = 0b1110,
                .caps = 0x3fff,
                .max_ttl = 99,
                .max_depth = 4,
                .prior = 65'536,
                .relative = 1,
                .certificate = 1},
               {.id = 16, .may_issue = 0, .caps = 0, .max_ttl = 1, .max_depth = 0, .prior = 1}};
  c.params = {{1, 0}, {2, 40'000}, {24, UINT64_MAX}};
  c.pool4 = *Prefix::Parse("10.0.0.0/8");
  c.prefixes = {*Prefix::Parse("10.1.0.0/16"), *Prefix::Parse("fd00:1::/64")};
  c.tags = {"*", "member", "web.*"};
  c.probation = {{.protos = {6, 17}, .ports = {{22, 22}, {53, 99}}}, {.protos = {1}, .ports = {}}};
  issuing::PutInOrder(c);
  const auto again = ParseCharter(PrintCharter(c), "f");
  ASSERT_TRUE(again.ok()) << Text(again.status()) << "\n" << PrintCharter(c);
  EXPECT_EQ(*again, c) << Listed(ChangesOf(c, *again)) << PrintCharter(*again);
  EXPECT_TRUE(ChangesOf(c, *again).empty());
  // Each that is changed is told.
  Charter other = issuing::NextOf(*genesis, 1'800'000'100);
  EXPECT_EQ(ChangesOf(c, other).size(), 22u) << PrintCharter(other);
}

TEST(CliCharterTest, AWordThatIsNoneIsNamedWithItsPlace) {
  Voting w;
  w.Write("bad.toml", Voting::With(w.Draft(), "\"small-mesh\"", "\"tiny\""));
  Ran r = w.On("a", {"charter", "propose", w.Path("bad.toml")});
  EXPECT_EQ(r.exit, 1);
  EXPECT_THAT(r.err,
              HasSubstr("bad.toml:10:11: profile: no `tiny`; there are: standard, small-mesh"));
  w.Write("bad.toml", w.Draft() + "quorum = 3\n");
  EXPECT_THAT(w.On("a", {"charter", "propose", w.Path("bad.toml")}).err,
              HasSubstr("no setting `quorum`"));
  w.Write("bad.toml", Voting::With(w.ThreeVoters(), "q_reg = 3", "q_reg = 2"));
  EXPECT_THAT(w.On("a", {"charter", "propose", w.Path("bad.toml")}).err,
              HasSubstr("q_reg at byte 244: not in floor(2W/3)+1..W"));
  w.Write("same.toml", w.Draft());
  EXPECT_THAT(w.On("a", {"charter", "propose", w.Path("same.toml")}).err,
              HasSubstr("it changes nothing"));
  EXPECT_THAT(w.On("a", {"charter", "list"}).out, Not(HasSubstr("proposed")));
}

TEST(CliCharterTest, VotersAgreeByFiles) {
  Voting w;
  w.Write("next.toml", w.ThreeVoters());
  Ran r = w.On("a", {"charter", "propose", w.Path("next.toml"), "-o", w.Path("p1")});
  ASSERT_EQ(r.exit, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("(east, weight 1, no next key) is new"));
  EXPECT_THAT(r.out,
              HasSubstr("It needs 1 of 1 of the voters of version 1, 3 of 3 of its own, "
                        "and each new voter: "));
  EXPECT_THAT(r.out, HasSubstr("It is not in force yet: "));
  r = w.On("a", {"charter", "list"});
  EXPECT_THAT(r.out, HasSubstr("(west) has not"));
  EXPECT_THAT(r.out, HasSubstr("1 of 3"));
  // Proposed again from the same text it is the same.
  EXPECT_EQ(w.On("a", {"charter", "propose", w.Path("next.toml")}).exit, 0);
  EXPECT_THAT(w.On("east", {"charter", "vote", w.Path("p1"), "-o", w.Path("x")}).err,
              HasSubstr("key `root` is not on this machine"));
  EXPECT_THAT(w.On("east", {"charter", "vote", w.Path("p1"), "--key", "identity"}).err,
              HasSubstr("key `identity` is no voter of version 1 nor of the proposed one"));
  EXPECT_THAT(w.On("east", {"charter", "vote", w.Path("p1"), "--key", "east"}).err,
              HasSubstr("give -o FILE"));
  r = w.On("east", {"charter", "vote", w.Path("p1"), "--key", "east", "-o", w.Path("p2")});
  ASSERT_EQ(r.exit, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("Mesh home, id "));
  r = w.On("a", {"import", w.Path("p2")});
  ASSERT_EQ(r.exit, 0) << r.err;
  EXPECT_THAT(w.On("a", {"charter", "list"}).out, HasSubstr("(east) signed"));
  r = w.On("west",
           {"charter", "vote", w.Path("p1"), "--key", "west", "-o", w.Path("p3"), "--json"});
  ASSERT_EQ(r.exit, 0) << r.err;
  EXPECT_EQ(TextIn(ReadObject(r.out), "schema"), "aqmesh.vote/1");
  ASSERT_EQ(w.On("a", {"import", w.Path("p3")}).exit, 0);
  r = w.On("a", {"charter", "list", "--json"});
  EXPECT_EQ(NumberIn(ReadObject(r.out), "version"), 2u);
  EXPECT_THAT(w.On("a", {"charter", "show"}).out, HasSubstr("east"));
  EXPECT_THAT(w.On("a", {"charter", "show", "--version", "1"}).err, HasSubstr("version 2 is"));
  EXPECT_THAT(w.On("a", {"charter", "show", "--version", "3"}).err, HasSubstr("the newest is 2"));
}

TEST(CliCharterTest, AKeySignsOneAnswerToAVersion) {
  Voting w;
  w.Agree();
  const std::string draft = w.Draft();
  EXPECT_THAT(draft, HasSubstr("version = 3"));
  w.Write("left.toml", draft + "\n[[param]]\nid = 1\nvalue = 60000\n");
  w.Write("right.toml", draft + "\n[[param]]\nid = 1\nvalue = 50000\n");
  Ran r = w.On("a", {"charter", "propose", w.Path("left.toml"), "-o", w.Path("left")});
  ASSERT_EQ(r.exit, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("param 1 (ADMIT from this level, of 65536): none becomes 60000"));
  // Nor does a new run of the program forget it.
  r = w.On("a", {"charter", "propose", w.Path("right.toml")});
  EXPECT_EQ(r.exit, 1);
  EXPECT_THAT(r.err, HasSubstr("signs one answer to a question"));
  // Another voter proposes the other; the root does not vote for it.
  r = w.On("east", {"import", w.Path("p3")});
  ASSERT_EQ(r.exit, 0) << r.err;
  r = w.On("east",
           {"charter", "propose", w.Path("right.toml"), "--key", "east", "-o", w.Path("right")});
  ASSERT_EQ(r.exit, 0) << r.err;
  r = w.On("a", {"charter", "vote", w.Path("right")});
  EXPECT_EQ(r.exit, 1);
  EXPECT_THAT(r.err, HasSubstr("signs one answer to a question"));
  // What it signed it signs again, the same.
  EXPECT_EQ(w.On("a", {"charter", "vote", w.Path("left")}).exit, 0);
  // A draft of a version that is decided is of no use.
  EXPECT_THAT(w.On("a", {"charter", "propose", w.Path("next.toml")}).err,
              HasSubstr("it does not follow version 2"));
  EXPECT_THAT(w.On("a", {"charter", "vote", "ffff"}).err, HasSubstr("no proposal `ffff`"));
}

TEST(CliCharterTest, ADamagedBookSignsNothing) {
  Voting w;
  w.Write("next.toml", w.ThreeVoters());
  ASSERT_EQ(w.On("a", {"charter", "propose", w.Path("next.toml")}).exit, 0);
  for (const auto& entry : std::filesystem::directory_iterator(w.Path("a") + "/keys")) {
    if (entry.path().extension() != ".votes") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out);
    file.seekp(60);
    file.put('0');
    file.put('1');
    file.put('2');
  }
  const Ran r = w.On("a", {"charter", "propose", w.Path("next.toml")});
  EXPECT_EQ(r.exit, 1);
  EXPECT_THAT(r.err, HasSubstr("is damaged: what this key voted for is unknown"));
}

// A class whose row asks for a certificate: what the root signs is not enough by itself.
TEST(CliCharterTest, VotersCertifyAGrant) {
  Voting w;
  w.Agree();
  ASSERT_EQ(w.On("east", {"import", w.Path("p3")}).exit, 0);
  ASSERT_EQ(w.On("west", {"import", w.Path("p3")}).exit, 0);
  Ran r = w.On("west", {"authority", "create", "lab", "--no-passphrase", "--json"});
  const std::string key = TextIn(ReadObject(r.out), "key");
  r = w.On("a",
           {"grant",
            "create",
            key,
            "--class",
            "SEGMENT",
            "--name",
            "lab",
            "--tag",
            "member",
            "--root",
            "-o",
            w.Path("lab.grant")});
  ASSERT_EQ(r.exit, 0) << r.err;
  r = w.On("east", {"import", w.Path("lab.grant")});
  EXPECT_EQ(r.exit, 1);
  EXPECT_THAT(r.err, HasSubstr("SEGMENT needs the voters' quorum"));
  r = w.On("east", {"grant", "vote", w.Path("lab.grant"), "--key", "east", "-o", w.Path("g1")});
  ASSERT_EQ(r.exit, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr(": 2 of 3. It does not hold yet."));
  ASSERT_EQ(w.On("a", {"import", w.Path("g1")}).exit, 1);  // not by itself
  r = w.On("west", {"grant", "vote", w.Path("lab.grant"), "--key", "west", "-o", w.Path("g2")});
  ASSERT_EQ(r.exit, 0) << r.err;
  r = w.On("a", {"import", w.Path("g1"), w.Path("g2")});
  EXPECT_EQ(r.exit, 0) << r.err;
  r = w.On("a", {"grant", "vote", w.Path("lab.grant"), "--json"});
  ASSERT_EQ(r.exit, 0) << r.err;
  EXPECT_TRUE(TrueIn(ReadObject(r.out), "certified")) << r.out;
  EXPECT_THAT(w.On("a", {"grant", "vote", "ffff"}).err, HasSubstr("names no grant here"));
}

// Grants that the voters signed under the charter before this one hold under it.
TEST(CliCharterTest, WhatWasSignedBeforeStillJoins) {
  Voting w;
  w.Agree();
  Ran r = w.On("a", {"sign", w.Path("east.rq"), "-o", w.Path("east.grant")});
  ASSERT_EQ(r.exit, 0) << r.err;
  r = w.On("east", {"import", w.Path("east.grant")});
  EXPECT_EQ(r.exit, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("You are east"));
  ASSERT_EQ(w.On("a", {"authority", "export", "charter", "-o", w.Path("all.charter")}).exit, 0);
  r = w.Run({"verify", w.Path("east.grant"), "--charter", w.Path("all.charter")});
  EXPECT_EQ(r.exit, 0) << r.out << r.err;
}

}  // namespace
}  // namespace aqmesh::cli
