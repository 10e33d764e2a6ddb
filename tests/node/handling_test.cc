// What rules and grants demand of the packets that they let pass, on the way through two engines.
#include "lineage/content.h"
#include "tests/node/pair.h"

namespace aqmesh::node {
namespace {

using authority::RecordKind;
using authority::Rung;

constexpr uint16_t kMarked = 1'000, kSlow = 1'001, kHeldPort = 1'002, kLogged = 1'003,
                   kPlainPort = 1'004, kHeaders = 1'005;

class Handling : public testing::Test {
 protected:
  // A machine whose grant is under `obligations`, in a mesh with one rule a port.
  TestNode& Add(const std::string& name, uint16_t obligations = 0) {
    mesh.nodes.push_back(
        std::make_unique<TestNode>(static_cast<uint8_t>(mesh.nodes.size() + 1), name));
    TestNode& n = *mesh.nodes.back();
    authority::Grant wanted;
    wanted.key = crypto::Ed25519Public(n.identity());
    wanted.cls = authority::Class::kNode;
    wanted.name = name;
    wanted.tags = {"member"};
    wanted.obligations = obligations;
    wanted.prefixes = {Prefix::Host(mesh.AddressOf(n))};
    const auto grant = Must(issuing::MakeGrant(mesh.issuer(), wanted, mesh.t0()));
    if (!fragment_) fragment_ = Must(issuing::MakeFragment(mesh.issuer(), Rules(), mesh.t0()));
    for (const authority::SignedPtr& s :
         {mesh.charter().envelope, grant.envelope, fragment_->envelope})
      n.Hold(*s);
    return n;
  }
  static issuing::FragmentTerms Rules() {
    const auto rule = [](uint16_t port) {
      authority::Rule r;
      r.src.kind = r.dst.kind = authority::Selector::Kind::kTag;
      r.src.tag = r.dst.tag = "member";
      r.protos = {17};
      r.ports = {{port, port}};
      return r;
    };
    issuing::FragmentTerms terms;
    for (uint16_t port = kMarked; port <= kHeaders; ++port) terms.rules.push_back(rule(port));
    terms.rules[0].transform = {"dscp-46-v1"};
    terms.rules[1].rate = 7;
    terms.rules[2].directives = authority::kDoEscalate;
    terms.rules[3].directives = authority::kDoLogFlow;
    terms.rules[5].directives = authority::kDoLogHeaders;
    return terms;
  }
  void Meet(TestNode& a, TestNode& b) {
    mesh.Introduce(a, b);
    mesh.Introduce(b, a);
    a.Start();
    b.Start();
    mesh.Pump(5s);
  }
  // What comes out at the other end.
  std::vector<Bytes> Send(TestNode& from, const TestNode& to, uint16_t port, uint16_t source = 0) {
    mesh.tun.clear();
    Bytes packet = Udp6(mesh.AddressOf(from), mesh.AddressOf(to), port, 7);
    if (source != 0) {  // any checksum: nobody here reads it
      StoreBe(packet.data() + 40, source);
    }
    mesh.Carry(from, from.FromTun(packet));
    return mesh.tun[to.name()];
  }
  static std::vector<lineage::Attempt> AttemptsAt(const TestNode& n) {
    std::vector<lineage::Attempt> out;
    for (const authority::Observe& r : n.Records(RecordKind::kFlow)) {
      const auto content = Must(lineage::ReadContent(n.disk, r));
      for (const lineage::Attempt& row : Must(lineage::AttemptsIn(content)).rows)
        out.push_back(row);
    }
    return out;
  }
  authority::Nonce16 FlowItem(const TestNode& about) {
    return authority::EscalationItem(mesh.scope(), about.kid(), authority::Cause::kAction);
  }
  void Say(TestNode& at, const TestNode& about, Rung ceiling, uint64_t until) {
    const auto said = Must(issuing::MakeApprove(
        mesh.issuer(),
        {.subject = about.kid(), .item = FlowItem(about), .ceiling = ceiling, .until = until},
        at.now.wall.seconds(),
        issuing::Hlc(at.now.wall.millis(), ++said_)));
    mesh.Carry(at, at.Do([&](Outbox& out) {
      const absl::Status s = at.control->Import(at.now, said.envelope->bytes(), out);
      EXPECT_TRUE(s.ok()) << Text(s);
    }));
  }

  Mesh2 mesh;
  std::optional<Held<authority::Fragment>> fragment_;
  uint16_t said_ = 0;
};

TEST_F(Handling, ARuleMarksWhatItLetsPass) {
  TestNode &a = Add("atlas"), &b = Add("borealis");
  Meet(a, b);
  auto came = Send(a, b, kMarked);
  ASSERT_EQ(came.size(), 1u);
  EXPECT_EQ(LoadBe<uint16_t>(came[0].data()) >> 6 & 63, 46);
  came = Send(a, b, kPlainPort);
  ASSERT_EQ(came.size(), 1u);
  EXPECT_EQ(LoadBe<uint16_t>(came[0].data()) >> 6 & 63, 0);
}

TEST_F(Handling, ARateClassIsItsFlowsAlone) {
  TestNode &a = Add("atlas"), &b = Add("borealis");
  Meet(a, b);
  size_t slow = 0, plain = 0;
  for (int i = 0; i < 2'000; ++i) slow += Send(a, b, kSlow).size();
  for (int i = 0; i < 2'000; ++i) plain += Send(a, b, kPlainPort).size();
  EXPECT_EQ(slow, 64u * 1'024 / 52);  // the burst of 64 kbit/s, in packets of 52 bytes
  EXPECT_EQ(plain, 2'000u);
}

TEST_F(Handling, AnObligationOfEitherGrantLimitsThePair) {
  TestNode &a = Add("atlas", 0x700), &b = Add("borealis");
  Meet(a, b);
  size_t out = 0, back = 0;
  for (int i = 0; i < 2'000; ++i) out += Send(a, b, kPlainPort).size();
  for (int i = 0; i < 2'000; ++i) back += Send(b, a, kPlainPort).size();
  EXPECT_EQ(out, 64u * 1'024 / 52);
  EXPECT_EQ(back, 64u * 1'024 / 52);
}

TEST_F(Handling, WhatMustBeLoggedIsARowOfItsOwn) {
  TestNode &a = Add("atlas"), &b = Add("borealis");
  Meet(a, b);
  for (uint16_t source = 2'000; source < 2'003; ++source) {
    ASSERT_EQ(Send(a, b, kLogged, source).size(), 1u);
    ASSERT_EQ(Send(a, b, kPlainPort, source).size(), 1u);
  }
  ASSERT_EQ(Send(a, b, kHeaders, 2'000).size(), 1u);
  mesh.Pump(11s);
  for (const TestNode* n : {&a, &b}) {
    size_t logged = 0, plain = 0, headers = 0;
    for (const lineage::Attempt& row : AttemptsAt(*n)) {
      if (row.port == kLogged) {
        EXPECT_TRUE(row.logged && row.count == 1 && row.src_port >= 2'000 && row.headers.empty());
        ++logged;
      } else if (row.port == kPlainPort) {
        EXPECT_TRUE(!row.logged && row.count == 3 && row.src_port == 0);
        ++plain;
      } else if (row.port == kHeaders) {
        EXPECT_EQ(row.headers.size(), 48u) << "IPv6 and UDP, and none of what they carry";
        ++headers;
      }
    }
    EXPECT_EQ(logged, 3u);
    EXPECT_EQ(plain, 1u);
    EXPECT_EQ(headers, 1u);
  }
}

TEST_F(Handling, LoggedFlowsThatFillTheBookAreWrittenDownSooner) {
  TestNode &a = Add("atlas"), &b = Add("borealis");
  Meet(a, b);
  size_t sent = 0;
  for (int second = 0; second < 9; ++second) {
    for (int i = 0; i < 200; ++i) {
      Send(a, b, kLogged, static_cast<uint16_t>(2'000 + sent++));
    }
    mesh.Pump(1s);
  }
  mesh.Pump(11s);
  EXPECT_EQ(AttemptsAt(a).size(), sent);
  EXPECT_EQ(AttemptsAt(b).size(), sent);
}

TEST_F(Handling, AnObligationLogsEveryFlow) {
  TestNode &a = Add("atlas"), &b = Add("borealis", authority::kMustLogFlow);
  Meet(a, b);
  for (uint16_t source = 2'000; source < 2'003; ++source) Send(b, a, kPlainPort, source);
  Send(b, a, 9, 2'000);  // refused: a flow that was tried is a flow
  mesh.Pump(11s);
  const auto rows = AttemptsAt(b);
  ASSERT_EQ(rows.size(), 4u);
  for (const lineage::Attempt& row : rows) EXPECT_TRUE(row.logged && row.src_port != 0);
}

TEST_F(Handling, AHeldFlowPassesOnceAPersonHasSaidSoAndNoLonger) {
  TestNode &a = Add("atlas"), &b = Add("borealis");
  Meet(a, b);
  EXPECT_TRUE(Send(b, a, kHeldPort).empty());
  EXPECT_EQ(Send(b, a, kPlainPort).size(), 1u) << "only that rule's";
  ASSERT_TRUE(a.control->escalations().all().contains(FlowItem(b)));
  EXPECT_FALSE(b.control->escalations().all().contains(FlowItem(b)));
  for (int i = 0; i < 100; ++i) Send(b, a, kHeldPort);
  EXPECT_EQ(a.Records(RecordKind::kEscalated).size(), 1u) << "asked once";

  Say(a, b, Rung::kAdmit, a.now.wall.seconds() + 60);
  EXPECT_FALSE(a.control->escalations().all().contains(FlowItem(b)));
  EXPECT_EQ(Send(b, a, kHeldPort).size(), 1u);
  a.Restart();
  mesh.Pump(5s);
  EXPECT_EQ(Send(b, a, kHeldPort).size(), 1u) << "said once, and kept";
  mesh.Pump(61s);
  EXPECT_TRUE(Send(b, a, kHeldPort).empty());
  EXPECT_TRUE(a.control->escalations().all().contains(FlowItem(b))) << "asked again";
  mesh.Pump(11s);
  const auto held = AttemptsAt(a);
  EXPECT_TRUE(std::ranges::any_of(held, [](const lineage::Attempt& row) {
    return row.reason == static_cast<uint16_t>(authority::Reason::kHeld);
  }));
}

TEST_F(Handling, NoAnswersAFlowAndTheRungIsNotItsBusiness) {
  TestNode &a = Add("atlas"), &b = Add("borealis");
  Meet(a, b);
  EXPECT_TRUE(Send(b, a, kHeldPort).empty());
  Say(a, b, Rung::kRefuse, a.now.wall.seconds() + 600);
  EXPECT_TRUE(Send(b, a, kHeldPort).empty());
  EXPECT_EQ(Send(b, a, kPlainPort).size(), 1u);
  for (const PeerView& p : a.control->Peers()) EXPECT_EQ(p.rung, Rung::kAdmit);
}

TEST_F(Handling, FirstUseWaitsForAPersonOnce) {
  TestNode &a = Add("atlas"), &b = Add("borealis", authority::kMustEscalateFirstUse);
  Meet(a, b);
  EXPECT_TRUE(Send(b, a, kPlainPort).empty());
  EXPECT_EQ(Send(a, b, kPlainPort, 9).size(), 1u) << "it is b's first use, not ours";
  ASSERT_TRUE(a.control->escalations().all().contains(FlowItem(b)));
  Say(a, b, Rung::kAdmit, a.now.wall.seconds() + 60);
  EXPECT_EQ(Send(b, a, kPlainPort).size(), 1u);
  mesh.Pump(61s);
  EXPECT_EQ(Send(b, a, kPlainPort).size(), 1u) << "the first use is over";
}

}  // namespace
}  // namespace aqmesh::node
