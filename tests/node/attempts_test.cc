// What was tried: both ends write it down, under the other's key, and it can be judged again under
// other rules or closed for good.
#include "lineage/content.h"
#include "node/what_if.h"
#include "tests/node/pair.h"

namespace aqmesh::node {
namespace {

using authority::RecordKind;

class AttemptsTest : public testing::Test {
 protected:
  AttemptsTest() {
    a = &mesh.Add("atlas");
    b = &mesh.Add("borealis");
    mesh.Introduce(*a, *b);
    mesh.Introduce(*b, *a);
    a->Start();
    b->Start();
    mesh.Pump(5s);
  }
  void Send(TestNode& from, const TestNode& to, uint16_t port, uint32_t mark = 1) {
    Bytes packet = Udp6(mesh.AddressOf(from), mesh.AddressOf(to), port, mark);
    mesh.Carry(from, from.FromTun(packet));
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
  WhatIfReport Under(const TestNode& n, std::vector<Held<authority::Fragment>> proposed) {
    const auto decisions =
        Must(Redecider::Open(n.disk, [](const Digest&, const std::optional<Bytes>&) {
          return admission::OpenLocalPolicy();
        }));
    WhatIf what_if(n.disk, decisions, proposed, [&](uint64_t) {
      return admission::PartyOf(n.kid(), n.control->mesh().leaf()->body);
    });
    return Must(what_if.From(0));
  }
  // Any to any, UDP to one port.
  Held<authority::Fragment> OnlyUdp(uint16_t port) {
    authority::Fragment f = mesh.fragment().body;
    f.seq += 100;
    authority::Rule rule;
    rule.protos = {17};
    rule.ports = {{port, port}};
    rule.directives = authority::kDoForward;
    f.rules = {rule};
    return Held<authority::Fragment>{mesh.fragment().envelope, f};
  }

  Mesh2 mesh;
  TestNode* a = nullptr;
  TestNode* b = nullptr;
};

TEST_F(AttemptsTest, BothEndsWriteDownWhatWasTriedOnceAFlow) {
  for (uint32_t i = 0; i < 5; ++i) Send(*a, *b, 7, i);
  Send(*b, *a, 9);
  mesh.Pump(11s);
  const auto at_a = AttemptsAt(*a), at_b = AttemptsAt(*b);
  ASSERT_EQ(at_a.size(), 2u);
  ASSERT_EQ(at_b.size(), 2u);
  EXPECT_EQ(at_a[0].port, 7);
  EXPECT_EQ(at_a[0].count, 1u) << "five packets are one flow";
  EXPECT_TRUE(at_a[0].opened_here);
  EXPECT_FALSE(at_b[0].opened_here);
  EXPECT_TRUE(at_a[0].allowed());
  EXPECT_EQ(at_a[0].rule->fragment, mesh.fragment().oid());
  EXPECT_EQ(at_a[0].src, mesh.AddressOf(*a));
  EXPECT_EQ(at_b[0].dst, mesh.AddressOf(*b));
  EXPECT_EQ(at_b[1].port, 9);
  EXPECT_TRUE(at_b[1].opened_here);
}

TEST_F(AttemptsTest, ARefusedFlowIsWrittenDownToo) {
  b->policy.denials.push_back(
      {.src = {}, .dst = {}, .protos = {17}, .ports = {{7, 7}}, .note = "no echo"});
  b->Restart();
  mesh.Pump(5s);
  Send(*a, *b, 7);
  Send(*a, *b, 8);
  mesh.Pump(11s);
  const auto at_b = AttemptsAt(*b);
  ASSERT_EQ(at_b.size(), 2u);
  EXPECT_EQ(at_b[0].port, 7);
  EXPECT_EQ(at_b[0].reason, static_cast<uint16_t>(authority::Reason::kLocalPolicy));
  EXPECT_TRUE(at_b[1].allowed());
}

TEST_F(AttemptsTest, AScanIsCountedWhereItsRowsEnd) {
  for (uint16_t port = 1; port <= 400; ++port) Send(*a, *b, port);
  mesh.Pump(11s);
  uint64_t listed = 0, unlisted = 0;
  for (const authority::Observe& r : b->Records(RecordKind::kFlow)) {
    const auto content = Must(lineage::ReadContent(b->disk, r));
    const auto attempts = Must(lineage::AttemptsIn(content));
    listed += attempts.rows.size();
    unlisted += attempts.unlisted;
  }
  EXPECT_EQ(listed, lineage::kAttemptRowsMax);
  EXPECT_EQ(unlisted, 400 - lineage::kAttemptRowsMax);
}

TEST_F(AttemptsTest, WhatLeftAndWasNeverAnsweredIsARecordOfItsOwn) {
  b->control.reset();  // nothing comes back
  mesh.Pump(21s);      // and what came is written down
  a->FromTun(Udp6(mesh.AddressOf(*a), mesh.AddressOf(*b), 7, 1));
  const size_t then = a->Records(RecordKind::kFlow).size();
  mesh.Pump(11s);
  const auto records = a->Records(RecordKind::kFlow);
  ASSERT_EQ(records.size(), then + 1);
  EXPECT_EQ(records.back().flow->frames, 0u);
  EXPECT_EQ(records.back().commits.size(), 1u);
}

TEST_F(AttemptsTest, RedactedNobodyReadsItAgainAndTheLogStillHolds) {
  Send(*a, *b, 7);
  mesh.Pump(11s);
  ASSERT_EQ(AttemptsAt(*b).size(), 1u);
  Send(*a, *b, 8);  // not written down yet: goes with it
  b->Do([&](Outbox& out) { EXPECT_TRUE(b->control->Redact(b->now, a->kid(), out).ok()); });
  const auto redacted = b->Records(RecordKind::kRedacted);
  ASSERT_EQ(redacted.size(), 1u);
  EXPECT_EQ(redacted[0].subject, a->kid());
  for (const authority::Observe& r : b->Records(RecordKind::kFlow)) {
    const auto content = Must(lineage::ReadContent(b->disk, r));
    EXPECT_NE(content.state, lineage::Content::State::kOpen);
  }
  EXPECT_TRUE(b->disk.Verify().ok());
  b->Do([&](Outbox& out) {
    EXPECT_TRUE(absl::IsNotFound(b->control->Redact(b->now, a->kid(), out)));
  });
  // What comes is under another key, through a restart too.
  Send(*a, *b, 9);
  mesh.Pump(11s);
  b->Restart();
  mesh.Pump(5s);
  Send(*a, *b, 10);
  mesh.Pump(11s);
  const auto now = AttemptsAt(*b);
  ASSERT_EQ(now.size(), 2u);
  EXPECT_EQ(now[0].port, 9);
  EXPECT_EQ(now[1].port, 10);
}

TEST_F(AttemptsTest, WhatIfJudgesEveryFlowAgain) {
  Send(*a, *b, 7);
  Send(*a, *b, 8);
  Send(*b, *a, 9);
  mesh.Pump(11s);
  const WhatIfReport same = Under(*b, {mesh.fragment()});
  EXPECT_EQ(same.flows, 3u);
  EXPECT_EQ(same.changed, 0u);
  const WhatIfReport narrow = Under(*b, {OnlyUdp(7)});
  EXPECT_EQ(narrow.flows, 3u);
  ASSERT_EQ(narrow.changes.size(), 2u);
  EXPECT_EQ(narrow.changes[0].attempt.port, 8);
  EXPECT_EQ(narrow.changes[1].attempt.port, 9);
  EXPECT_TRUE(narrow.changes[1].attempt.opened_here);
  EXPECT_EQ(narrow.changes[0].subject, a->kid());
  EXPECT_EQ(narrow.changes[0].now.reason, authority::Reason::kNoRule);
  EXPECT_EQ(narrow.allowed_now, 0u);
  const WhatIfReport none = Under(*b, {});
  EXPECT_EQ(none.changed, 3u);
  EXPECT_EQ(none.unknown, 0u);
}

TEST_F(AttemptsTest, WhatIfSaysWhatItCannotRead) {
  Send(*a, *b, 7);
  mesh.Pump(11s);
  b->Do([&](Outbox& out) { EXPECT_TRUE(b->control->Redact(b->now, a->kid(), out).ok()); });
  const WhatIfReport report = Under(*b, {});
  EXPECT_EQ(report.flows, 0u);
  EXPECT_GE(report.unreadable, 1u);
}

}  // namespace
}  // namespace aqmesh::node
