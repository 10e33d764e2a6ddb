#include "admission/rules.h"

#include "admission/explain.h"
#include "core/base/rng.h"
#include "tests/admission/world.h"

namespace aqmesh::admission {
namespace {

constexpr const char *kUs = "100.64.0.1", *kPeer = "100.64.0.2", *kUs6 = "fd00::1",
                     *kPeer6 = "fd00::2";

TEST(RulesTest, TagsMatchByWholeLabels) {
  EXPECT_TRUE(TagMatches("a", "a"));
  EXPECT_TRUE(TagMatches("a.*", "a"));
  EXPECT_TRUE(TagMatches("a.*", "a.b.c"));
  EXPECT_FALSE(TagMatches("a.*", "ab"));
  EXPECT_FALSE(TagMatches("a", "a.b"));
  EXPECT_TRUE(TagMatches("*", "x"));
  EXPECT_FALSE(TagMatches("", "x"));
  EXPECT_FALSE(TagMatches("*", ""));
  EXPECT_FALSE(TagMatches(".*", ".a"));
}

TEST(RulesTest, WithoutARuleNothingPasses) {
  World w;
  EXPECT_FALSE(w.Opens(Tcp(kUs, kPeer, 1, 22)));
  w.cited = {Issue({Allow(Tag("other"), Tag("member"))})};
  EXPECT_FALSE(w.Opens(Tcp(kUs, kPeer, 1, 22)));
}

TEST(RulesTest, EachPartOfARuleMustMatch) {
  struct Case {
    const char* name;
    Rule rule;
    Bytes packet;
    bool want;
  };
  const std::vector<authority::Range16> ssh = {{22, 22}, {80, 443}};
  Rule later = Allow(Any(), Any()), early = later, hours = later, closed = later;
  later.since = kT + 1;
  early.until = kT;
  hours.hours = {{1440 + 22 * 60, 1440 + 23 * 60}};  // Tuesday 22 to 23
  closed.hours = {{1440 + 22 * 60 + 14, 1440 + 23 * 60}};
  Rule transformed = Allow(Any(), Any());
  transformed.transform = {"strip"};
  Rule known = transformed, beyond = Allow(Tag("member"), Net("10.0.0.0/24"));
  known.transform = {"dscp-46-v1", "mss-1200-v1"};
  beyond.directives = authority::kDoForward;
  const Case cases[] = {
      {"tag to tag", Allow(Tag("member"), Tag("db"), {6}, ssh), Tcp(kUs, kPeer, 1, 22), true},
      {"v6", Allow(Tag("member"), Tag("db"), {6}, ssh), Tcp(kUs6, kPeer6, 1, 443), true},
      {"port below", Allow(Any(), Any(), {6}, ssh), Tcp(kUs, kPeer, 1, 79), false},
      {"port above", Allow(Any(), Any(), {6}, ssh), Tcp(kUs, kPeer, 1, 444), false},
      {"source port is no port", Allow(Any(), Any(), {6}, ssh), Tcp(kUs, kPeer, 22, 5), false},
      {"other protocol", Allow(Any(), Any(), {6}, ssh), Udp(kUs, kPeer, 1, 22), false},
      {"no ports listed is none", Allow(Any(), Any(), {1, 17}, ssh), Udp(kUs, kPeer, 1, 23), false},
      {"icmp needs no port", Allow(Any(), Any(), {1, 6}, ssh), Icmp(kUs, kPeer, 8, 1), true},
      {"icmp is not icmpv6", Allow(Any(), Any(), {1}), Icmp(kUs6, kPeer6, 128, 1), false},
      {"node", Allow(Node(1), Node(2)), Tcp(kUs, kPeer, 1, 1), true},
      {"another node", Allow(Node(2), Node(1)), Tcp(kUs, kPeer, 1, 1), false},
      {"a tag is its node's addresses only",
       Allow(Tag("member"), Tag("db")),
       Tcp(kUs, "10.0.0.5", 1, 1),
       false},
      {"a prefix reaches a subnet, if it forwards", beyond, Tcp(kUs, "10.0.0.5", 1, 1), true},
      {"and not if it does not",
       Allow(Tag("member"), Net("10.0.0.0/24")),
       Tcp(kUs, "10.0.0.5", 1, 1),
       false},
      {"anybody is not beyond", Allow(Any(), Any()), Tcp(kUs, "10.0.0.5", 1, 1), false},
      {"beside the prefix",
       Allow(Tag("member"), Net("10.0.0.0/24")),
       Tcp(kUs, "10.0.1.5", 1, 1),
       false},
      {"not yet", later, Tcp(kUs, kPeer, 1, 1), false},
      {"no more", early, Tcp(kUs, kPeer, 1, 1), false},
      {"in its hours", hours, Tcp(kUs, kPeer, 1, 1), true},
      {"out of its hours", closed, Tcp(kUs, kPeer, 1, 1), false},
      {"unknown transform", transformed, Tcp(kUs, kPeer, 1, 1), false},
      {"known transforms", known, Tcp(kUs, kPeer, 1, 1), true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    World w;
    w.cited = {Issue({c.rule})};
    EXPECT_EQ(w.Opens(c.packet), c.want);
  }
}

TEST(RulesTest, OnlyARuleForAnyTakesWhatCannotBeClassified) {
  World w;
  Bytes fragment = Tcp(kUs, kPeer, 1, 22);
  StoreBe(&fragment[6], uint16_t{0x2000});
  const Bytes extension = IpPacket(
      kUs6, kPeer6, 60, Concat({Bytes{6, 0, 0, 0, 0, 0, 0, 0}, TcpHeader(1, 22, kTcpSyn)}));
  Bytes all;
  for (int p = 0; p < 8; ++p)
    all.push_back(
        static_cast<uint8_t>(std::array{0, 6, 17, 43, 44, 51, 60, 135}[static_cast<size_t>(p)]));
  w.cited = {Issue({Allow(Any(), Any(), all, {{0, 65535}})})};
  EXPECT_TRUE(w.Opens(Tcp(kUs, kPeer, 1, 22)));
  EXPECT_FALSE(w.Opens(fragment));
  EXPECT_FALSE(w.Opens(extension));
  w.cited = {Issue({Allow(Any(), Any())})};
  EXPECT_TRUE(w.Opens(fragment));
  EXPECT_TRUE(w.Opens(extension));
  // ... but not past a denial that it might be hiding from.
  w.local.denials = {{Any(), Any(), {kProtoTcp}, {{22, 22}}, "no ssh"}};
  EXPECT_FALSE(w.Opens(Tcp(kUs, kPeer, 1, 22)));
  EXPECT_FALSE(w.Opens(fragment));
  EXPECT_FALSE(w.Opens(extension));
  EXPECT_TRUE(w.Opens(Tcp(kUs, kPeer, 1, 23)));
}

TEST(RulesTest, AWidenedChildGainsNothing) {
  const Held<Fragment> parent =
      Issue({Allow(Tag("member"), Tag("db"), {6}, {{443, 443}}), Allow(Any(), Any(), {1})});
  Rule wide = Allow(Any(), Any());
  wide.via = 1;
  const Held<Fragment> child = Issue({wide}, &parent, 2);
  World w;
  w.cited = {child, parent};
  EXPECT_TRUE(w.Opens(Tcp(kUs, kPeer, 1, 443)));
  EXPECT_FALSE(w.Opens(Tcp(kUs, kPeer, 1, 444)));
  EXPECT_FALSE(w.Opens(Icmp(kUs, kPeer, 8, 1)));  // the parent's other rule is not the one it names
  w.cited = {child};                              // its parent is not there
  EXPECT_FALSE(w.Opens(Tcp(kUs, kPeer, 1, 443)));
  Rule beyond = wide;
  beyond.via = 3;  // no such rule
  w.cited = {Issue({beyond}, &parent, 3), parent};
  EXPECT_FALSE(w.Opens(Tcp(kUs, kPeer, 1, 443)));
}

TEST(RulesTest, ObligationsOfTheWholeChainAreJoined) {
  Rule top = Allow(Any(), Any());
  top.directives = authority::kDoLogFlow | authority::kDoForward;
  top.rate = 2;
  top.drop_after = 10;
  const Held<Fragment> parent = Issue({top});
  Rule low = Allow(Any(), Any());
  low.via = 1;
  low.one_way = 1;
  low.drop_after = 99;
  World w;
  w.cited = {Issue({low}, &parent, 2), parent};
  const Policy p = Policy::Compile(w.Inputs(w.us, w.peer));
  const Ruling r = p.Evaluate(Read(Tcp(kUs, kPeer, 1, 1)), At(0).wall);
  ASSERT_TRUE(r.pass());
  EXPECT_EQ(p.terms(r.path).directives, authority::kDoLogFlow);
  EXPECT_EQ(p.terms(r.path).rate, 2);
  EXPECT_EQ(p.terms(r.path).drop_after, 10u);
  EXPECT_TRUE(p.terms(r.path).one_way);
  EXPECT_EQ(p.rule(r.path), (RuleRef{w.cited[0].oid(), 0}));
}

TEST(RulesTest, ProbationServesItsProfileToTheReceiverAlone) {
  World w;
  w.cited = {Issue({Allow(Any(), Any())})};
  w.profile = ProbationProfile({});
  EXPECT_TRUE(w.Opens(Icmp(kUs, kPeer, 8, 1)));
  EXPECT_TRUE(w.Opens(Icmp(kUs6, kPeer6, 128, 1)));
  EXPECT_FALSE(w.Opens(Tcp(kUs, kPeer, 1, 22)));
  EXPECT_FALSE(w.Opens(Icmp(kUs, "10.0.0.1", 8, 1)));
  w.profile = std::vector<authority::Svc>{};  // an empty list serves nothing
  EXPECT_FALSE(w.Opens(Icmp(kUs, kPeer, 8, 1)));
}

TEST(RulesTest, FragmentsEndAndPoliciesSayWhen) {
  World w;
  Rule r = Allow(Any(), Any());
  r.until = kT + 100;
  w.cited = {Issue({r, Allow(Any(), Any(), {6}, {{1, 1}})})};
  const Policy p = Policy::Compile(w.Inputs(w.us, w.peer));
  EXPECT_EQ(p.steady_until(), kT + 100);
  EXPECT_TRUE(p.Steady(At(99).wall));
  EXPECT_FALSE(p.Steady(At(100).wall));
  EXPECT_FALSE(p.Steady(WallTime::FromSeconds(kT - 1)));
  EXPECT_TRUE(w.Opens(Tcp(kUs, kPeer, 1, 2), 99));
  EXPECT_FALSE(w.Opens(Tcp(kUs, kPeer, 1, 2), 100));
  EXPECT_TRUE(w.Opens(Tcp(kUs, kPeer, 1, 1), 86'399));
  EXPECT_FALSE(w.Opens(Tcp(kUs, kPeer, 1, 1), 86'400));
}

TEST(ExplainTest, SaysForEachRuleWhatFailed) {
  World w;
  w.cited = {Issue({Allow(Tag("ops"), Any()),
                    Allow(Tag("member"), Tag("db"), {6}, {{5432, 5432}}),
                    Allow(Any(), Any(), {17}, {{53, 53}})})};
  const Question ssh{Ip(kUs), Ip(kPeer), kProtoTcp, 22};
  const Explanation no = Explain(ssh, w.Inputs(w.us, w.peer));
  EXPECT_FALSE(no.pass);
  EXPECT_EQ(no.reason, authority::Reason::kNoRule);
  ASSERT_EQ(no.rules.size(), 3u);
  EXPECT_EQ(no.rules[0].text, "tag:member -> tag:db tcp 5432");
  EXPECT_EQ(no.rules[0].why, "port 22 is not in 5432");
  EXPECT_EQ(no.rules[1].why, "tcp is not udp");
  EXPECT_EQ(no.rules[2].why,
            "source 100.64.0.1 is not in tag:ops: that machine has member, web.front");
  EXPECT_EQ(no.summary, "100.64.0.1 -> 100.64.0.2 tcp 22 is denied: none of 3 rules matches");
  EXPECT_FALSE(no.mend.empty());
  EXPECT_TRUE(Explain({Ip(kUs), Ip(kPeer), kProtoTcp, 5432}, w.Inputs(w.us, w.peer)).pass);
  w.local.denials = {{Tag("web.*"), Tag("db"), {}, {}, "frozen"}};
  const Explanation local = Explain({Ip(kUs), Ip(kPeer), kProtoTcp, 5432}, w.Inputs(w.us, w.peer));
  EXPECT_EQ(local.reason, authority::Reason::kLocalPolicy);
  EXPECT_EQ(local.summary,
            "100.64.0.1 -> 100.64.0.2 tcp 5432 is denied by the local policy, denial 1: frozen");
}

}  // namespace
}  // namespace aqmesh::admission
