// Journeys through the commands as a person would make them.
#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "core/base/status.h"
#include "daemon/cli/json_read.h"
#include "issuing/line.h"
#include "tests/daemon/cli/world.h"

namespace aqmesh::cli {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::StartsWith;

std::vector<std::string> KeysOf(const std::string& text) {
  std::vector<std::string> out;
  for (const auto& [key, value] : ReadObject(text)) out.emplace_back(key.data(), key.size());
  return out;
}

struct Meshed : World {
  Meshed() {
    init = Run({"--state",
                A(),
                "init",
                "home",
                "--no-passphrase",
                "--machine",
                "atlas",
                "--endpoint",
                "192.0.2.1:41641",
                "--json"});
    EXPECT_EQ(init.exit, 0) << init.err;
  }
  std::string A() const { return Path("a"); }
  std::string B() const { return Path("b"); }
  Ran OnA(std::vector<std::string> args) { return On(A(), std::move(args)); }
  Ran OnB(std::vector<std::string> args) { return On(B(), std::move(args)); }
  Ran On(const std::string& state, std::vector<std::string> args) {
    args.insert(args.begin(), {"--state", state});
    return Run(std::move(args));
  }
  void Granted() {
    EXPECT_EQ(OnA({"authority", "export", "-o", Path("home.charter")}).exit, 0);
    Ran r = OnB(
        {"request", "--name", "borealis", "--mesh", Path("home.charter"), "-o", Path("b.request")});
    EXPECT_EQ(r.exit, 0) << r.err;
    r = OnA({"sign", Path("b.request"), "-o", Path("b.grant")});
    EXPECT_EQ(r.exit, 0) << r.err;
  }
  Ran init;
};

TEST(CliJourneyTest, InitSaysWhoWeAreAndKeepsTheKeysPrivate) {
  Meshed w;
  EXPECT_THAT(KeysOf(w.init.out),
              ElementsAreArray({"schema",
                                "mesh",
                                "scope",
                                "name",
                                "kid",
                                "root",
                                "root_sealed",
                                "enroller",
                                "state",
                                "addresses"}));
  EXPECT_EQ(TextIn(ReadObject(w.init.out), "schema"), "aqmesh.init/1");
  EXPECT_THAT(TextsIn(ReadObject(w.init.out), "addresses")[0], StartsWith("100."));
  EXPECT_EQ(std::filesystem::status(w.A() + "/keys/root.key").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const Ran again = w.OnA({"init", "home", "--no-passphrase"});
  EXPECT_EQ(again.exit, 1);
  EXPECT_THAT(again.err, HasSubstr("already belongs to a mesh"));
}

TEST(CliJourneyTest, RequestSignImportVerifyByFileAlone) {
  Meshed w;
  w.Granted();
  const Ran verify = w.Run({"verify", w.Path("b.grant"), "--charter", w.Path("home.charter")});
  EXPECT_EQ(verify.exit, 0) << verify.out << verify.err;
  EXPECT_THAT(verify.out, HasSubstr("not checked  revocations"));
  const Ran import = w.OnB({"import", w.Path("b.grant")});
  EXPECT_EQ(import.exit, 0) << import.err;
  EXPECT_THAT(import.out, HasSubstr("You are borealis, 100."));
  const Ran again = w.OnB({"import", w.Path("b.grant"), "--json"});
  EXPECT_THAT(KeysOf(again.out),
              ElementsAreArray({"schema", "mesh", "imported", "known", "granted", "addresses"}));
  EXPECT_EQ(NumberIn(ReadObject(again.out), "known") > 0, true);
  const Ran inspect = w.Run({"inspect", w.Path("b.grant"), "--json"});
  EXPECT_EQ(inspect.exit, 0);
  EXPECT_THAT(inspect.out, HasSubstr("\"schema\":\"aqmesh.inspect/1\",\"ctx\":\"grant\""));
  EXPECT_EQ(w.OnB({"lineage", "query", "--json"}).out,
            "{\"schema\":\"aqmesh.lineage/1\",\"size\":0,\"records\":[]}\n");
}

TEST(CliJourneyTest, BadFilesAreRefusedInOneLine) {
  Meshed w;
  w.Granted();
  w.Write("garbage", "hello");
  std::string torn = w.Read("b.grant");
  torn.resize(torn.size() - 40);
  w.Write("torn", torn);
  for (const char* name : {"garbage", "torn", "missing"}) {
    const Ran r = w.OnB({"import", w.Path(name)});
    EXPECT_EQ(r.exit, 1) << name;
    EXPECT_EQ(std::ranges::count(r.err, '\n'), 1) << r.err;
    EXPECT_THAT(r.err, HasSubstr(name));
  }
  // A charter of another mesh is not taken for the one that was asked.
  EXPECT_EQ(w.On(w.Path("c"), {"init", "other", "--no-passphrase", "--machine", "carol"}).exit, 0);
  EXPECT_EQ(w.On(w.Path("c"), {"authority", "export", "-o", w.Path("other.charter")}).exit, 0);
  const Ran other = w.OnB({"import", w.Path("other.charter")});
  EXPECT_EQ(other.exit, 1);
  EXPECT_THAT(other.err, HasSubstr("nothing was taken"));
  EXPECT_EQ(w.Run({"verify", w.Path("b.grant"), "--charter", w.Path("other.charter")}).exit, 1);
}

TEST(CliJourneyTest, TheRootSealsDelegatesRulesAndRevokes) {
  World w;
  w.Write("pass", "correct horse\n");
  w.Write("wrong", "battery\n");
  const std::string state = w.Path("s");
  const auto run = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"--state", state});
    return w.Run(std::move(args));
  };
  ASSERT_EQ(run({"init", "home", "--passphrase-file", w.Path("pass"), "--machine", "atlas"}).exit,
            0);
  const std::string rule = "tag:member -> tag:member tcp:443";
  EXPECT_EQ(
      run({"fragment", "create", "--rule", rule, "--root", "--passphrase-file", w.Path("wrong")})
          .exit,
      1);
  const Ran made =
      run({"fragment", "create", "--rule", rule, "--root", "--passphrase-file", w.Path("pass")});
  EXPECT_EQ(made.exit, 0) << made.err;
  EXPECT_THAT(run({"fragment", "show"}).out, HasSubstr(rule));
  const Ran paper = run({"authority", "paper", "root", "--passphrase-file", w.Path("pass")});
  EXPECT_TRUE(issuing::ParsePaper(paper.out).ok());
  EXPECT_EQ(run({"authority", "paper", "root", "--forget"}).exit, 0);
  EXPECT_EQ(run({"authority", "paper", "root"}).exit, 1);

  const Ran key = run({"authority", "create", "prod", "--no-passphrase", "--json"});
  ASSERT_EQ(key.exit, 0) << key.err;
  const Ran grant = run({"authority",
                         "delegate",
                         TextIn(ReadObject(key.out), "key"),
                         "--name",
                         "prod",
                         "--root",
                         "--passphrase-file",
                         w.Path("pass"),
                         "-o",
                         w.Path("prod.grant")});
  EXPECT_EQ(grant.exit, 0) << grant.err;
  const Ran list = run({"authority", "list", "--json"});
  EXPECT_THAT(KeysOf(list.out),
              ElementsAreArray({"schema", "mesh", "scope", "charter_version", "authorities"}));
  EXPECT_EQ(ObjectsIn(ReadObject(list.out), "authorities").size(), 3u);
  const Ran revoke = run({"revoke",
                          "--name",
                          "prod",
                          "--root",
                          "--passphrase-file",
                          w.Path("pass"),
                          "-o",
                          w.Path("prod.revoke")});
  EXPECT_EQ(revoke.exit, 0) << revoke.err;
  EXPECT_EQ(w.Run({"inspect", w.Path("prod.revoke")}).exit, 0);
}

TEST(CliLiveTest, StatusIsATableAndItsJsonIsTheDaemons) {
  World w;
  const std::string answer =
      R"({"schema":"aqmesh.status/1","mesh":"home","name":"atlas","addresses":["100.79.3.1"],"uptime_s":259200,"records":42,"peers":[)"
      R"({"name":"borealis","addresses":["100.79.3.2"],"rung":"CONSTRAIN","reason":"stale","path":"direct","endpoint":"192.168.1.20:41641",)"
      R"("rtt_us":640,"last_handshake":1799999999,"rx_bytes":1288490189,"tx_bytes":0,"grant_end":1802505600}]})";
  w.answers["status"] = {{.json = answer}};
  const Ran ran = w.Run({"status"});
  EXPECT_EQ(
      ran.out,
      "atlas  100.79.3.1  mesh home  up 3 d  lineage 42 records\n"
      "NAME      ADDRESS     RUNG       PATH                       RTT     LAST  IN       GRANT\n"
      "borealis  100.79.3.2  CONSTRAIN  direct 192.168.1.20:41641  0.6 ms  now   1.2 GiB  29 d\n"
      "Warnings: borealis is held at CONSTRAIN: stale  -> aqmesh explain borealis\n");
  EXPECT_EQ(w.Run({"status", "--json"}).out, answer + "\n");
}

TEST(CliLiveTest, StatusTellsTheDataPathInOneLine) {
  World w;
  const struct {
    const char* offloads;
    const char* want;
  } cases[] = {
      {R"({"tun-csum":"on","udp-gro":"on"})", "sealed by openssl; all offloads on"},
      {R"({"tun-csum":"on","tun-uso":"lacking","udp-gso":"off","udp-gro":"on"})",
       "sealed by openssl; offloads on tun-csum, udp-gro; off udp-gso; kernel or device lacks "
       "tun-uso"},
      {R"({"tun-csum":"off","udp-gro":"off"})",
       "sealed by openssl; no offload on; off tun-csum, udp-gro"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.offloads);
    w.answers["status"] = {
        {.json = Join(
             R"({"schema":"aqmesh.status/1","mesh":"home","name":"atlas","addresses":["100.79.3.1"],)",
             R"("uptime_s":60,"records":42,"peers":[],"aead":"openssl","offloads":)",
             c.offloads,
             "}")}};
    EXPECT_EQ(w.Run({"status"}).out,
              Join("atlas  100.79.3.1  mesh home  up 1 min  lineage 42 records\n",
                   c.want,
                   "\nNo peers yet. For another machine: aqmesh invite\n"));
  }
}

TEST(CliLiveTest, WithoutADaemonTheMendIsNamed) {
  World w;
  const Ran ran = w.Run({"status"});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_THAT(ran.err, HasSubstr("aqmesh up"));
  Env env;
  const auto real = SocketClient(w.Path("none.sock"))->Call({.verb = "status"});
  EXPECT_THAT(std::string(real.status().message().data(), real.status().message().size()),
              HasSubstr("start it: aqmesh up"));
}

TEST(CliLiveTest, CanAnswersByExitCode) {
  World w;
  w.answers["can"] = {{.json = R"({"allowed":false,"verdict":"REFUSE"})", .exit = 1}};
  const Ran ran = w.Run({"can", "laptop", "db:5432"});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_EQ(ran.out, "no\n");
  EXPECT_EQ(w.asked[0].json, R"({"src":"laptop","dst":"db","proto":"tcp","port":5432})");
}

TEST(CliLiveTest, ExplainNamesGateRuleAndMend) {
  World w;
  w.answers["explain"] = {
      {.json =
           R"({"allowed":false,"verdict":"REFUSE","src":{"name":"laptop","address":"100.79.3.7"},"dst":{"name":"db"},"proto":"tcp","port":22,)"
           R"("gates":[{"gate":"crypto","rung":"ADMIT"},{"gate":"local policy","rung":"REFUSE","reason":"local policy"}],)"
           R"("reason":"no rule","mend":"Ask for a rule.","record":"9f3a00112233"})"}};
  EXPECT_EQ(w.Run({"explain", "laptop", "db:22"}).out,
            "REFUSE  tcp  laptop 100.79.3.7 -> db:22\n"
            "  crypto ok  local policy REFUSE (local policy)\n"
            "  rule  NO MATCH\n  why   no rule\n  mend  Ask for a rule.\n"
            "  Record 9f3a0011  -> aqmesh lineage show 9f3a0011\n");
}

TEST(CliLiveTest, AnInvitationWaitsComparesWordsAndReportsTheJoin) {
  World w;
  w.answers["invite"] = {
      {.json = R"({"schema":"aqmesh.invite/1","line":"aq1-7H3KQ","expires":1,"uses":1})"}};
  w.answers["follow"] = {
      {.json = R"({"event":"ask","kid":"aa","name":"borealis","words":"maple rocket seven"})"},
      {.json =
           R"({"event":"joined","name":"borealis","addresses":["100.79.3.2"],"rung":"ADMIT","grant_end":1802592000})"},
      {}};
  w.answers["answer"] = {{}};
  const Ran ran = w.Run({"invite", "--wait", "--yes"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, "aq1-7H3KQ\nborealis joined: 100.79.3.2, ADMIT, grant 30 d\n");
  EXPECT_THAT(ran.err, HasSubstr("maple rocket seven"));
  EXPECT_EQ(w.asked.back().json, R"({"kid":"aa","yes":true})");
}

TEST(CliLiveTest, InitInviteStartsTheDaemonFirst) {
  World w;
  w.answers["invite"] = {{.json = R"({"line":"aq1-X"})"}};
  w.answers["follow"] = {{}};
  const Ran ran = w.Run({"--state",
                         w.Path("s"),
                         "init",
                         "home",
                         "--no-passphrase",
                         "--machine",
                         "atlas",
                         "--invite",
                         "--yes"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(w.starts, 1);
  EXPECT_THAT(ran.out, HasSubstr("aq1-X"));
}

}  // namespace
}  // namespace aqmesh::cli
