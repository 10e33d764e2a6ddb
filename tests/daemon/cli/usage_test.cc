#include <gmock/gmock.h>

#include "core/base/status.h"
#include "daemon/cli/local_policy_file.h"
#include "daemon/cli/state.h"
#include "daemon/cli/text.h"
#include "tests/daemon/cli/world.h"

namespace aqmesh::cli {
namespace {

using testing::HasSubstr;

TEST(CliUsageTest, AMistypedCommandNamesTheOneThatWasMeant) {
  World w;
  EXPECT_EQ(w.Run({"statsu"}).err, "no command `statsu`; did you mean `status`?\n");
  EXPECT_EQ(w.Run({"statsu"}).exit, 2);
  EXPECT_EQ(w.Run({"--state", "/x", "lineage", "qurey"}).err,
            "no command `lineage qurey`; did you mean `lineage query`?\n");
  EXPECT_EQ(w.Run({"zzzzzz"}).err, "no command `zzzzzz`; see: aqmesh --help\n");
}

TEST(CliUsageTest, EveryMistakeOfTheTypistIsOneLineAndExitTwo) {
  const std::vector<std::vector<std::string>> cases = {
      {"init"},
      {"init", "Not A Lab"},
      {"init", "home", "--port", "0"},
      {"init", "home", "--endpoint", "nowhere"},
      {"init", "home"},  // no terminal for the passphrase
      {"invite", "--ttl", "soon"},
      {"join"},
      {"up", "now"},
      {"down", "now"},
      {"request", "--name", "b"},
      {"request", "--name", "B!", "--mesh", "00"},
      {"sign"},
      {"sign", "x", "--ttl", "x"},
      {"import"},
      {"status", "--jsno"},
      {"peers", "x"},
      {"ping"},
      {"ping", "a", "-c", "0"},
      {"whois"},
      {"whoami", "x"},
      {"ip", "a", "b"},
      {"wait", "--timeout", "x"},
      {"explain"},
      {"explain", "a", "b:99999"},
      {"can", "a"},
      {"can", "a", "b:22/xyz"},
      {"authority", "create"},
      {"authority", "create", "root"},
      {"authority", "delegate"},
      {"authority", "paper", "identity"},
      {"charter", "propose"},
      {"charter", "vote"},
      {"grant", "create", "xyz"},
      {"grant", "vote"},
      {"grant", "create", "00", "--class", "KING"},
      {"fragment", "create", "--what"},
      {"revoke"},
      {"revoke", "--reason", "-1", "a"},
      {"inspect"},
      {"verify", "x"},
      {"lineage", "show"},
      {"lineage", "sql", "--json", "--csv", "SELECT 1"},
      {"lineage", "sql", "--param", "x", "SELECT 1"},
      {"lineage", "sql", "--timeout", "x", "SELECT 1"},
      {"lineage", "sql", "SELECT", "1"},
      {"lineage", "export", "--format", "xml"},
      {"lineage", "export", "--since", "soon"},
      {"lineage", "check"},
      {"lineage", "check", "file"},
      {"lineage", "check", "file", "--charter", "c", "--store", "d"},
      {"lineage", "prove", "1", "--checkpoint", "00"},
      {"lineage", "prove", "--head", "x", "--disclose"},
      {"lineage", "export", "--json"},
      {"lineage", "ship"},
      {"lineage", "ship", "--to", "mysql://x"},
      {"lineage", "ship", "--to", "http://a:b@c/"},
      {"lineage", "ship", "--to", "postgres://c/d", "--table", "a b"},
      {"lineage", "ship", "--to", "postgres://c/d", "--from", "-1"},
      {"lineage", "ship", "--to", "x", "--ddl"},
      {"lineage", "follow", "x"},
      {"trust", "list", "x"},
      {"trust", "show"},
      {"trust", "plot"},
      {"trust", "plot", "a", "--width", "9"},
      {"trust", "plot", "a", "--height", "x"},
      {"completion", "fish"},
      {"help", "nothing"},
      {"version", "x"}};
  for (const auto& args : cases) {
    World w;
    std::vector<std::string> full = {"--state", w.Path("s")};
    full.insert(full.end(), args.begin(), args.end());
    const Ran ran = w.Run(full);
    SCOPED_TRACE(testing::PrintToString(args) + " said: " + ran.err);
    EXPECT_EQ(ran.exit, 2);
    EXPECT_EQ(std::ranges::count(ran.err, '\n'), 1);
    EXPECT_EQ(ran.out, "");
  }
}

TEST(CliUsageTest, AMistypedOptionNamesTheOneThatWasMeant) {
  World w;
  EXPECT_THAT(w.Run({"status", "--jsno"}).err,
              HasSubstr("no option `--jsno` here; did you mean `--json`?"));
}

TEST(CliUsageTest, HelpGoesToStdoutAndEveryCommandHasAnExample) {
  World w;
  const std::vector<std::vector<std::string>> commands = {{"init"},
                                                          {"invite"},
                                                          {"join"},
                                                          {"up"},
                                                          {"down"},
                                                          {"request"},
                                                          {"sign"},
                                                          {"import"},
                                                          {"status"},
                                                          {"peers"},
                                                          {"ping"},
                                                          {"whois"},
                                                          {"whoami"},
                                                          {"ip"},
                                                          {"wait"},
                                                          {"explain"},
                                                          {"can"},
                                                          {"authority", "create"},
                                                          {"authority", "delegate"},
                                                          {"authority", "list"},
                                                          {"authority", "show"},
                                                          {"authority", "export"},
                                                          {"authority", "paper"},
                                                          {"grant", "create"},
                                                          {"grant", "show"},
                                                          {"fragment", "create"},
                                                          {"fragment", "show"},
                                                          {"revoke"},
                                                          {"inspect"},
                                                          {"verify"},
                                                          {"lineage", "query"},
                                                          {"lineage", "show"},
                                                          {"lineage", "verify"},
                                                          {"lineage", "sql"},
                                                          {"lineage", "export"},
                                                          {"lineage", "ship"},
                                                          {"lineage", "prove"},
                                                          {"lineage", "check"},
                                                          {"lineage", "follow"},
                                                          {"trust", "report"},
                                                          {"trust", "list"},
                                                          {"trust", "show"},
                                                          {"trust", "plot"},
                                                          {"version"},
                                                          {"completion"},
                                                          {"help"}};
  for (auto args : commands) {
    args.push_back("--help");
    const Ran ran = w.Run(args);
    SCOPED_TRACE(testing::PrintToString(args) + ran.err);
    EXPECT_EQ(ran.exit, 0);
    EXPECT_THAT(ran.out, HasSubstr("Example:"));
    EXPECT_EQ(ran.err, "");
  }
  EXPECT_THAT(w.Run({"help", "rung"}).out, HasSubstr("CONSTRAIN"));
  EXPECT_THAT(w.Run({"completion", "bash"}).out, HasSubstr("'lineage query') words='"));
}

TEST(CliTextTest, ATableFitsTheTerminalAndLeavesOutWhatIsEmpty) {
  Table t({"NAME", "EMPTY", "PATH"});
  t.Row({"borealis", "", "direct 192.168.1.20:41641"});
  EXPECT_EQ(t.Print(0), "NAME      PATH\nborealis  direct 192.168.1.20:41641\n");
  EXPECT_EQ(t.Print(20), "NAME      PATH\nborealis  direct 19~\n");
}

TEST(CliTextTest, UnitsAreThoseOfPeople) {
  EXPECT_EQ(BytesText(1'023), "1023 B");
  EXPECT_EQ(BytesText(1'288'490'189), "1.2 GiB");
  EXPECT_EQ(SpanText(29 * 86'400), "29 d");
  EXPECT_EQ(RttText(640), "0.6 ms");
  EXPECT_EQ(*ParseSpan("90m"), 5'400u);
  EXPECT_FALSE(ParseSpan("90").ok());
  EXPECT_EQ(*ParseWhen("2h", 10'000), 2'800u);
  EXPECT_EQ(*ParseWhen("2026-11-21T14:00Z", 0), 1'795'269'600u);
}

TEST(LocalPolicyFileTest, TheDefaultAllowsWhatTheMeshGrants) {
  const auto p = ParseLocalPolicy(DefaultPolicyText(), "policy.toml");
  ASSERT_TRUE(p.ok()) << p.status();
  EXPECT_TRUE(p->readable);
  EXPECT_EQ(p->default_rung, authority::Rung::kAdmit);
  EXPECT_EQ(p->plain_ceiling, authority::Rung::kConstrain);
  EXPECT_FALSE(p->file_hash.is_zero());
}

TEST(LocalPolicyFileTest, DenialsAreReadAndErrorsHaveAPlace) {
  const auto p = ParseLocalPolicy(
      "default_rung = \"CONSTRAIN\"\n[[deny]]\nsrc = \"tag:guest\"\nservice = "
      "\"tcp:22,80-90\"\nnote = \"no\"\n",
      "p");
  ASSERT_TRUE(p.ok()) << p.status();
  ASSERT_EQ(p->denials.size(), 1u);
  EXPECT_EQ(p->denials[0].src.tag, "guest");
  EXPECT_EQ(p->denials[0].ports.size(), 2u);
  EXPECT_EQ(p->denials[0].protos, Bytes{6});
  const auto message = [](std::string_view text) {
    return Text(ParseLocalPolicy(text, "p").status());
  };
  EXPECT_THAT(message("a = \n"), HasSubstr("p:1:"));
  EXPECT_THAT(message("\ndefault_rung = \"MAYBE\"\n"),
              HasSubstr("p:2:16: default_rung: wants REFUSE"));
  EXPECT_THAT(message("[[deny]]\nsrv = \"any\"\n"), HasSubstr("p:2:1: no setting `srv` here"));
  EXPECT_THAT(message("[[deny]]\nsrc = \"guest\"\n"), HasSubstr("p:2:7: src: "));
}

TEST(LocalPolicyFileTest, WithoutAFileNothingIsAllowed) {
  World w;
  EXPECT_FALSE(LoadLocalPolicy(w.Path("none")).policy.readable);
  w.Write("bad", "x");
  const LoadedPolicy bad = LoadLocalPolicy(w.Path("bad"));
  EXPECT_FALSE(bad.policy.readable);
  EXPECT_FALSE(bad.status.ok());
  EXPECT_FALSE(bad.policy.file_hash.is_zero());
}

TEST(ConfigTest, WhatIsPrintedIsReadBack) {
  Config c{.name = "atlas",
           .mesh = ScopeId{},
           .listen_port = 7,
           .endpoints = {*Endpoint::Parse("192.0.2.1:7")},
           .mtu = 1'400};
  EXPECT_EQ(*ParseConfig(PrintConfig(c), "f"), c);
  EXPECT_FALSE(ParseConfig("listen_port = 70000\n", "f").ok());
  EXPECT_FALSE(ParseConfig("mesh = \"12\"\n", "f").ok());
}

TEST(ConfigTest, OffloadsAreATextOrAListAndABadWordIsNamedWithItsPlace) {
  EXPECT_EQ(ParseConfig("", "f")->offloads, os::OffloadSet{});
  const struct {
    const char* value;
    const char* want;
  } good[] = {{R"("all")", "all"},
              {"[]", "none"},
              {R"("none")", "none"},
              {R"(["tun-tso4", "udp-gro"])", "tun-csum,tun-tso4,udp-gro"},
              {R"("no-udp-gso, no-udp-gro")", "tun-csum,tun-tso4,tun-tso6,tun-uso"},
              {R"(["no-tun-uso"])", "tun-csum,tun-tso4,tun-tso6,udp-gso,udp-gro"}};
  for (const auto& c : good) {
    SCOPED_TRACE(c.value);
    const auto config = ParseConfig(Join("offloads = ", c.value, "\n"), "f");
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(os::PrintOffloads(config->offloads), c.want);
    EXPECT_EQ(*ParseConfig(PrintConfig(*config), "f"), *config);
  }
  const auto why = [](const char* text) { return Text(ParseConfig(text, "f.toml").status()); };
  EXPECT_EQ(why("mtu = 1380\noffloads = [\"tun-csum\", \"tun-tso\"]\n"),
            "f.toml:2:25: offloads: `tun-tso` is no offload; there are: tun-csum, tun-tso4, "
            "tun-tso6, tun-uso, udp-gso, udp-gro, each also as no-NAME, and all, none");
  EXPECT_EQ(why("offloads = 7\n"), "f.toml:1:12: offloads: wants a text or a list of texts");
  EXPECT_EQ(why("offloads = [\"all\", 7]\n"),
            "f.toml:1:20: offloads: each element is text in quotes");
}

TEST(ControlMessageTest, BothWaysAndInPieces) {
  const Bytes m = EncodeReply({.ok = true, .answer = {.json = "{}", .exit = 1}, .more = true});
  EXPECT_EQ(*MessageIn(m), m.size());
  EXPECT_EQ(*MessageIn(ByteView(m).first(m.size() - 1)), 0u);
  const auto reply = ParseReply(ByteView(m).subspan(4));
  ASSERT_TRUE(reply.ok());
  EXPECT_TRUE(reply->more);
  EXPECT_EQ(reply->answer.exit, 1);
  EXPECT_FALSE(MessageIn(Bytes{0xff, 0, 0, 0}).ok());
  const Bytes q = EncodeRequest({.verb = "status"});
  EXPECT_EQ(ParseRequest(ByteView(q).subspan(4))->verb, "status");
}

}  // namespace
}  // namespace aqmesh::cli
