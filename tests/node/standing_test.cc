// The way back: what was seen of a key is weighed, kept and recorded, and whoever hangs on it is
// judged again before another frame of his is taken.
#include "tests/node/redecided.h"

namespace aqmesh::node {
namespace {

using authority::RecordKind;
using authority::Rung;

admission::LocalPolicy Open(const Digest&) { return admission::OpenLocalPolicy(); }

// a, b and d hold what the root granted them; c what b did.
struct Standing : testing::Test {
  Standing() : a(mesh.Add("a")), b(mesh.Add("b")), d(mesh.Add("d")), c(AddUnder(b, "c")) {
    for (TestNode* x : {&a, &b, &c, &d}) {
      for (TestNode* y : {&a, &b, &c, &d}) {
        if (x != y) mesh.Introduce(*x, *y);
      }
    }
  }
  void Meet() {
    for (TestNode* n : {&a, &b, &c, &d}) n->Start();
    mesh.Pump(10s);
    for (TestNode* n : {&b, &c, &d}) ASSERT_EQ(RungAt(a, *n), Rung::kAdmit) << n->name();
  }
  Held<authority::Grant> EnrollerOf(const TestNode& n) {
    Held<authority::Grant> found;
    EXPECT_TRUE(n.disk
                    .ScanObjects(lineage::Shelf::kSigned,
                                 [&](const Oid&, ByteView bytes) {
                                   auto s = std::make_shared<const authority::Signed>(
                                       Must(authority::Signed::Parse(bytes)));
                                   const auto g = authority::ParseBody<authority::Grant>(s->body());
                                   if (s->ctx() == authority::Ctx::kGrant && g.ok() &&
                                       g->cls == authority::Class::kEnroller)
                                     found = {s, *g};
                                   return true;
                                 })
                    .ok());
    return found;
  }
  TestNode& AddUnder(const TestNode& sponsor, const std::string& name) {
    mesh.nodes.push_back(
        std::make_unique<TestNode>(static_cast<uint8_t>(mesh.nodes.size() + 1), name));
    TestNode& n = *mesh.nodes.back();
    const Held<authority::Grant> enroller = EnrollerOf(sponsor);
    const issuing::Signer signer(sponsor.identity(), seqs_);
    const auto node = Must(issuing::NodeGrant(
        {signer, mesh.charter(), &enroller},
        {.key = crypto::Ed25519Public(n.identity()), .name = name, .next_key = {}},
        {},
        mesh.t0()));
    for (const authority::SignedPtr& s :
         {mesh.charter().envelope, enroller.envelope, node.envelope, mesh.fragment().envelope})
      n.Hold(*s);
    return n;
  }
  // A grant by `signer` of a subnet that it does not hold itself.
  Held<authority::Grant> Overreach(const TestNode& signer) {
    const Held<authority::Grant> own = EnrollerOf(signer);
    authority::Grant g;
    g.scope = mesh.scope();
    g.suite = authority::Suite::kEd25519;
    g.key = crypto::Ed25519Public(crypto::NewEd25519(rng_));
    g.cls = authority::Class::kNode;
    g.generation = 1;
    g.seq = 900;
    g.not_before = mesh.t0();
    g.ttl = 86'400;
    g.caps = issuing::kNodeCaps;
    g.parent = own.oid();
    g.charter_version = 1;
    g.prefixes = {*Prefix::Parse("10.9.0.0/16")};
    g.tags = {"member"};
    return issuing::Seal(g, signer.identity());
  }
  void Import(TestNode& n, const authority::Signed& object) {
    mesh.Carry(n, n.Do([&](Outbox& out) {
      const absl::Status s = n.control->Import(n.now, object.bytes(), out);
      EXPECT_TRUE(s.ok()) << Text(s);
    }));
  }
  Held<authority::Approve> ApproveBy(const issuing::Issuer& issuer,
                                     const TestNode& subject,
                                     Rung ceiling,
                                     uint64_t until) {
    return Must(issuing::MakeApprove(
        issuer,
        {.subject = subject.kid(),
         .item = authority::EscalationItem(mesh.scope(), subject.kid(), authority::Cause::kTrust),
         .ceiling = ceiling,
         .until = until},
        a.now.wall.seconds(),
        issuing::Hlc(a.now.wall.millis(), ++said_)));
  }
  static Rung RungAt(const TestNode& at, const TestNode& of) {
    for (const PeerView& p : at.control->Peers()) {
      if (p.kid == of.kid()) return p.rung;
    }
    return Rung::kNone;
  }
  static uint32_t EpochAt(const TestNode& at, const TestNode& of) {
    for (const PeerView& p : at.control->Peers()) {
      if (p.kid == of.kid()) return at.control->datapath().VerdictOf(p.id)->epoch;
    }
    return 0;
  }
  // Whether a packet from one machine reaches the other's TUN.
  bool Reaches(TestNode& from, const TestNode& to) {
    mesh.tun.clear();
    mesh.Carry(from, from.FromTun(Udp6(mesh.AddressOf(from), mesh.AddressOf(to), 4'242, 7)));
    return !mesh.tun[to.name()].empty();
  }
  static std::vector<authority::Observe> WeightedOf(const TestNode& at, const Kid& key) {
    std::vector<authority::Observe> out = at.Records(RecordKind::kWeighted);
    std::erase_if(out, [&](const authority::Observe& o) { return o.subject != key; });
    return out;
  }
  Kid RootKid() { return mesh.charter().signer(); }

  Mesh2 mesh;
  issuing::MemorySeqs seqs_;
  Rng rng_{TestSeed(77)};
  uint16_t said_ = 0;
  TestNode& a;
  TestNode& b;
  TestNode& d;
  TestNode& c;
};

TEST_F(Standing, ASessionCountsForEveryoneThatItsChainRunsThrough) {
  Meet();
  EXPECT_TRUE(a.Records(RecordKind::kWeighted).empty());
  mesh.Pump(320s);
  for (const Kid& key : {RootKid(), b.kid(), c.kid(), d.kid()}) {
    const auto weighed = WeightedOf(a, key);
    ASSERT_EQ(weighed.size(), 1u) << ToHex(key);
    EXPECT_GT(weighed[0].slope, 65'536u);  // it rises
    EXPECT_FALSE(weighed[0].evidence.has_value());
  }
  // Sessions alone would not come to a quarter of 1.0: its log's heads were found to go on, too.
  const auto inputs =
      Must(a.disk.GetObject(lineage::Shelf::kInputs, *WeightedOf(a, b.kid())[0].inputs));
  ASSERT_TRUE(inputs.has_value());
  EXPECT_GT(Must(lineage::ParseInputs(*inputs)).weighed->r, trust::kOne / 4);
  // b as an authority, which c's chain needs it to be, and not as the NODE that it is too.
  EXPECT_GT(WeightedOf(a, b.kid())[0].ladm, 60'390u);
  EXPECT_GE(ExpectRedecided(a, Open), 3u);
}

TEST_F(Standing, WhatWasWeighedOutlivesTheProcess) {
  Meet();
  mesh.Pump(320s);
  const auto before = a.ImageOfDisk().state;
  ASSERT_TRUE(before.contains("trust/" + ToHex(c.kid())));
  ASSERT_TRUE(before.contains("rung/" + ToHex(c.kid())));
  a.Restart();
  mesh.Pump(320s);
  const auto weighed = WeightedOf(a, c.kid());
  ASSERT_GE(weighed.size(), 2u);
  EXPECT_GT(weighed.back().ladm, weighed.front().ladm);
  ExpectRedecided(a, Open);  // each weighing goes on from the one before
}

TEST_F(Standing, AnIssuerThatGivesMoreThanItHoldsTakesItsMachinesDownWithIt) {
  Meet();
  ASSERT_TRUE(Reaches(c, a));
  const Held<authority::Grant> proof = Overreach(b);
  Import(a, *proof.envelope);
  EXPECT_EQ(RungAt(a, b), Rung::kProbation);
  EXPECT_EQ(RungAt(a, c), Rung::kProbation);
  EXPECT_EQ(RungAt(a, d), Rung::kAdmit);
  EXPECT_FALSE(Reaches(c, a)) << "the very next frame";
  EXPECT_TRUE(Reaches(d, a));
  const auto weighed = WeightedOf(a, b.kid());
  ASSERT_EQ(weighed.size(), 1u);
  EXPECT_EQ(weighed[0].evidence, Digest{proof.oid().bytes});
  EXPECT_LT(weighed[0].slope, 65'536u);
  const authority::Observe decided = a.Records(RecordKind::kDecided).back();
  EXPECT_GT(decided.seq, weighed[0].seq);
  EXPECT_EQ(decided.reason, static_cast<uint16_t>(authority::Reason::kTrust));
  // The same again is no news.
  Import(a, *proof.envelope);
  EXPECT_EQ(WeightedOf(a, b.kid()).size(), 1u);
  mesh.Pump(320s);
  EXPECT_EQ(RungAt(a, c), Rung::kProbation);
  ExpectRedecided(a, Open);
}

TEST_F(Standing, AProofIsFoundOutByEveryoneWhoGetsIt) {
  Meet();
  Import(a, *Overreach(b).envelope);
  mesh.Pump(5s);
  EXPECT_EQ(RungAt(d, b), Rung::kProbation);
  EXPECT_EQ(RungAt(d, c), Rung::kProbation);
  EXPECT_EQ(RungAt(d, a), Rung::kAdmit);
  ExpectRedecided(d, Open);
}

TEST_F(Standing, AFallIsNotForgottenByARestart) {
  Meet();
  Import(a, *Overreach(b).envelope);
  ASSERT_EQ(RungAt(a, c), Rung::kProbation);
  a.Restart();
  mesh.Pump(20s);
  EXPECT_EQ(RungAt(a, c), Rung::kProbation);
  EXPECT_EQ(RungAt(a, d), Rung::kAdmit);
  ExpectRedecided(a, Open);
}

// A person who stands above it may know better, until a time, and says so once for the whole mesh.
TEST_F(Standing, WhatFellWaitsForAPersonWhoseWordLiftsItEverywhere) {
  Meet();
  Import(a, *Overreach(b).envelope);
  ASSERT_EQ(RungAt(a, c), Rung::kProbation);
  const authority::Nonce16 item =
      authority::EscalationItem(mesh.scope(), c.kid(), authority::Cause::kTrust);
  ASSERT_TRUE(a.control->escalations().all().contains(item));
  EXPECT_EQ(a.control->escalations().all().at(item).rung, Rung::kProbation);
  const auto records = a.Records(RecordKind::kEscalated);
  EXPECT_EQ(
      std::ranges::count(
          records, std::optional(authority::ActionId{item.bytes}), &authority::Observe::action_id),
      1);
  mesh.Pump(5s);
  ASSERT_EQ(RungAt(d, c), Rung::kProbation);

  const uint64_t until = a.now.wall.seconds() + 600;
  const auto approved = ApproveBy(mesh.issuer(), c, Rung::kAdmit, until);
  Import(a, *approved.envelope);
  EXPECT_EQ(RungAt(a, c), Rung::kAdmit);
  EXPECT_TRUE(Reaches(c, a));
  EXPECT_EQ(RungAt(a, b), Rung::kProbation) << "nobody spoke for it";
  EXPECT_FALSE(a.control->escalations().all().contains(item));
  EXPECT_EQ(a.Records(RecordKind::kApproved).back().evidence, Digest{approved.oid().bytes});
  mesh.Pump(5s);
  EXPECT_EQ(RungAt(d, c), Rung::kAdmit) << "it got about";
  // What a person said stands: no tick judges it again, which would void every flow's ruling.
  const uint32_t epoch = EpochAt(a, c);
  mesh.Pump(31s);
  EXPECT_EQ(EpochAt(a, c), epoch);
  a.Restart();
  mesh.Pump(20s);
  EXPECT_EQ(RungAt(a, c), Rung::kAdmit);
  mesh.Pump(600s);
  EXPECT_EQ(RungAt(a, c), Rung::kProbation) << "its time is over";
  ExpectRedecided(a, Open);
  ExpectRedecided(d, Open);
}

// Nobody has to come by either of them: that two exist is enough.
TEST_F(Standing, TwoGrantsUnderOneNumberThatTheOwnerBringsConvictTheirSigner) {
  Meet();
  const auto grant = [&](uint32_t ttl) {
    authority::Grant g = Overreach(b).body;
    g.key = crypto::Ed25519Public(crypto::NewEd25519(rng_));
    g.prefixes.clear();
    g.ttl = ttl;
    return issuing::Seal(g, b.identity());
  };
  Import(a, *grant(86'400).envelope);
  EXPECT_TRUE(Reaches(c, a));
  Import(a, *grant(86'401).envelope);
  EXPECT_FALSE(Reaches(c, a)) << "it hangs on b";
  EXPECT_LT(RungAt(a, b), Rung::kProbation);
  EXPECT_EQ(RungAt(a, d), Rung::kAdmit);
  mesh.Pump(20s);
  EXPECT_LT(RungAt(d, b), Rung::kProbation) << "and the proof gets about";
  a.Restart();
  mesh.Pump(20s);
  EXPECT_LT(RungAt(a, c), Rung::kProbation);
  ExpectRedecided(a, Open);
}

TEST_F(Standing, ADeniedSubjectIsRefusedAtOnce) {
  Meet();
  const auto denied = ApproveBy(mesh.issuer(), c, Rung::kRefuse, a.now.wall.seconds() + 600);
  Import(a, *denied.envelope);
  EXPECT_FALSE(Reaches(c, a));
  EXPECT_LT(RungAt(a, c), Rung::kProbation);
  ExpectRedecided(a, Open);
}

// Whoever is not above it, or is not trusted itself, lends nothing.
TEST_F(Standing, ApprovalsOfTheWrongMouthChangeNothing) {
  Meet();
  Import(a, *Overreach(b).envelope);
  const uint64_t until = a.now.wall.seconds() + 600;
  const Held<authority::Grant> of_d = EnrollerOf(d), of_b = EnrollerOf(b);
  const issuing::Signer as_d(d.identity(), seqs_), as_b(b.identity(), seqs_);
  const auto by_d = ApproveBy({as_d, mesh.charter(), &of_d}, c, Rung::kAdmit, until);
  const auto by_b = ApproveBy({as_b, mesh.charter(), &of_b}, c, Rung::kAdmit, until);
  const auto import = [&](const authority::Signed& object) {
    absl::Status s;
    mesh.Carry(a, a.Do([&](Outbox& out) { s = a.control->Import(a.now, object.bytes(), out); }));
    return s;
  };
  EXPECT_TRUE(absl::IsPermissionDenied(import(*by_d.envelope)));
  EXPECT_TRUE(import(*by_b.envelope).ok());  // above it, and not believed
  EXPECT_EQ(RungAt(a, c), Rung::kProbation);
  const auto by_root = ApproveBy(mesh.issuer(), c, Rung::kConstrain, until);
  authority::Approve later = by_root.body;
  later.until = until + 1;
  EXPECT_FALSE(import(*issuing::Seal(later, d.identity()).envelope).ok());
  EXPECT_TRUE(import(*by_root.envelope).ok());
  EXPECT_EQ(RungAt(a, c), Rung::kConstrain);
  ExpectRedecided(a, Open);
}

// Wrong signatures prove nothing against whom they name.
TEST_F(Standing, AForgedProofIsNone) {
  Meet();
  authority::Grant body = Overreach(b).body;
  const Held<authority::Grant> by_another = issuing::Seal(body, d.identity());
  Import(a, *by_another.envelope);
  EXPECT_EQ(RungAt(a, b), Rung::kAdmit);
  EXPECT_EQ(RungAt(a, d), Rung::kAdmit);
  EXPECT_TRUE(a.Records(RecordKind::kWeighted).empty());
}

}  // namespace
}  // namespace aqmesh::node
