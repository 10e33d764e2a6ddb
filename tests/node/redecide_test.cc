// What a decision rests on is in its record: policies that changed, restrictions that came by other
// ways than the wire, and what ends without a refusal.
#include "lineage/history/replay.h"
#include "tests/node/redecided.h"

namespace aqmesh::node {
namespace {

using authority::RecordKind;
using authority::Rung;

struct Pair : testing::Test {
  Pair() : a(mesh.Add("a")), b(mesh.Add("b")) {
    mesh.Introduce(a, b);
    mesh.Introduce(b, a);
  }
  void Meet() {
    a.Start();
    b.Start();
    mesh.Pump(8s);
    ASSERT_FALSE(a.Records(RecordKind::kCommitted).empty());
  }
  Held<authority::Revoke> RevocationOf(const TestNode& n) {
    const issuing::Issuer root = mesh.issuer();
    return Must(issuing::MakeRevoke(
        root.signer,
        mesh.scope(),
        {.type = authority::RevokeType::kFloor, .kid = n.kid(), .oid = {}, .floor = 5},
        issuing::Hlc(1'780'000'000'000)));
  }
  const lineage::State Folded(const TestNode& n) {
    return Must(lineage::StateOf(n.disk, n.disk.size()));
  }
  Mesh2 mesh;
  TestNode& a;
  TestNode& b;
};

admission::LocalPolicy Open(const Digest&) { return admission::OpenLocalPolicy(); }

TEST_F(Pair, BothEndsOfAHandshakeAreMadeAgain) {
  Meet();
  EXPECT_GE(ExpectRedecided(a, Open), 1u);
  EXPECT_GE(ExpectRedecided(b, Open), 1u);
}

TEST_F(Pair, EachDecisionIsMadeAgainUnderThePolicyOfItsTime) {
  Meet();
  admission::LocalPolicy narrow = admission::OpenLocalPolicy();
  narrow.default_rung = Rung::kConstrain;
  narrow.text = "default_rung = \"CONSTRAIN\"\n";
  narrow.file_hash.bytes.fill(0x42);
  a.Do([&](Outbox& out) { a.control->SetPolicy(a.now, narrow, out); });
  mesh.Pump(1s);
  const lineage::Subject* s = nullptr;
  const lineage::State state = Folded(a);
  s = state.Find(b.kid());
  ASSERT_NE(s, nullptr);
  EXPECT_EQ(s->rung(), Rung::kConstrain);
  const auto by_hash = [&](const Digest& hash) {
    return hash == narrow.file_hash ? narrow : admission::OpenLocalPolicy();
  };
  EXPECT_GE(ExpectRedecided(a, by_hash), 2u);
  const auto kept = *a.disk.GetObject(lineage::Shelf::kPolicy, *Oid::From(narrow.file_hash.view()));
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(AsText(*kept), narrow.text);
}

// The wall clock is set; the monotonic one goes on as it did.
TEST_F(Pair, AClockThatIsSetIsInTheLogAndEverySessionIsJudgedByIt) {
  Meet();
  a.Wake();
  EXPECT_TRUE(a.Records(RecordKind::kClockStep).empty());
  a.Later(30s);
  a.now.wall.nanos += 900'000'000;  // steered
  a.Wake();
  EXPECT_TRUE(a.Records(RecordKind::kClockStep).empty());
  const uint64_t due = a.now.wall.millis();
  a.now.wall.nanos += std::chrono::nanoseconds(400 * 24h).count();
  a.Wake();
  const auto steps = a.Records(RecordKind::kClockStep);
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].intent_gen, due);
  EXPECT_EQ(steps[0].observed_gen, a.now.wall.millis());
  EXPECT_LT(Folded(a).Find(b.kid())->rung(), Rung::kProbation) << "its grant ran out by this clock";
  EXPECT_EQ(a.Records(RecordKind::kDecided).back().reason,
            static_cast<uint16_t>(authority::Reason::kLapsedRenew));
  ExpectRedecided(a, Open);
}

TEST_F(Pair, AClockThatWasSetBackWhileTheNodeWasDownIsInTheLog) {
  Meet();
  a.now.wall.nanos -= std::chrono::nanoseconds(100s).count();
  a.Restart();
  EXPECT_TRUE(a.Records(RecordKind::kClockStep).empty()) << "another's clock may drag ours so far";
  a.now.wall.nanos -= std::chrono::nanoseconds(1h).count();
  a.Restart();
  const auto steps = a.Records(RecordKind::kClockStep);
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].observed_gen, a.now.wall.millis());
  EXPECT_GT(steps[0].intent_gen, steps[0].observed_gen + 3'600'000);
}

TEST_F(Pair, ARestrictionThatWasImportedWhileTheNodeWasDownIsInItsLog) {
  Meet();
  a.control.reset();
  a.Hold(*RevocationOf(b).envelope);  // as `aqmesh import` does without a daemon
  EXPECT_TRUE(a.Records(RecordKind::kRevokeSeen).empty());
  a.Start();
  EXPECT_EQ(a.Records(RecordKind::kRevokeSeen).size(), 1u);
  mesh.Pump(8s);
  EXPECT_EQ(Folded(a).Find(b.kid())->rung(), Rung::kNone);
  ExpectRedecided(a, Open);
  const size_t refused = static_cast<size_t>(std::ranges::count(
      a.Records(RecordKind::kDecided), Rung::kRefuse, &authority::Observe::rung));
  EXPECT_GE(refused, 1u);
  a.Restart();  // it is old news now
  EXPECT_EQ(a.Records(RecordKind::kRevokeSeen).size(), 1u);
}

// The disk is slow, and a restriction comes while a first decision waits for it.
TEST_F(Pair, WhatIsTakenBackWhileItsDecisionWaitsIsNotLetIn) {
  TestNode& server = a.static_key() < b.static_key() ? b : a;  // the smaller key goes first
  TestNode& client = &server == &a ? b : a;
  const auto revoke = RevocationOf(client);
  server.Start();
  client.Start();
  server.hold_commits = true;
  std::vector<lineage::Batch> held;
  const auto keep = [&](Did did) {
    for (lineage::Batch& batch : did.commits) held.push_back(std::move(batch));
    return did;
  };
  Did hello;
  for (int i = 0; i < 20 && hello.datagrams.empty(); ++i) {
    hello = client.Wake();
    client.Later(100ms);
    server.Later(100ms);
  }
  ASSERT_FALSE(hello.datagrams.empty());
  for (const Did::Datagram& d : hello.datagrams) keep(server.Get(d.bytes, client.endpoint));
  ASSERT_FALSE(held.empty()) << "it was decided, and waits";
  keep(server.Do([&](Outbox& out) {
    EXPECT_TRUE(server.control->Import(server.now, revoke.envelope->bytes(), out).ok());
  }));
  // A client that confirms the session and says nothing else: it must not last until its keys do.
  const Did answer = server.Release(held);
  for (const Did::Datagram& d : answer.datagrams) {
    const Did said = client.Get(d.bytes, server.endpoint);
    ASSERT_FALSE(said.datagrams.empty());
    server.Get(said.datagrams[0].bytes, client.endpoint);
  }
  for (const PeerView& p : server.control->Peers())
    EXPECT_EQ(server.control->datapath().VerdictOf(p.id), nullptr) << p.name;
  EXPECT_EQ(Folded(server).Find(client.kid())->rung(), Rung::kNone);
  ExpectRedecided(server, Open);
}

TEST_F(Pair, EveryActionNamesTheDecisionThatItCarriesOut) {
  Meet();
  const auto armed = a.Records(RecordKind::kArmed);
  ASSERT_FALSE(armed.empty());
  for (const authority::Observe& r : armed) {
    ASSERT_TRUE(r.evidence.has_value());
    bool found = false;
    for (lineage::Seq i = 0; i < r.seq; ++i) {
      const auto entry = lineage::ParseEntry(*a.disk.Read(i));
      found = found || (entry->leaf == *r.evidence && entry->subject == r.subject);
    }
    EXPECT_TRUE(found) << r.seq;
  }
}

}  // namespace
}  // namespace aqmesh::node
