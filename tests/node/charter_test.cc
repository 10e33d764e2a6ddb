// The next charter: proposed anywhere, voted for anywhere, in force everywhere once its voters
// agree.
#include "core/authority/charter.h"

#include "issuing/vote.h"
#include "tests/node/redecided.h"

namespace aqmesh::node {
namespace {

using authority::Charter;
using authority::Cosign;
using authority::RecordKind;
using authority::Rung;

admission::LocalPolicy Open(const Digest&) { return admission::OpenLocalPolicy(); }

struct Vote : testing::Test {
  Vote() : a(mesh.Add("a")), b(mesh.Add("b")), d(mesh.Add("d")) {
    for (TestNode* x : All()) {
      for (TestNode* y : All()) {
        if (x != y) mesh.Introduce(*x, *y);
      }
    }
    for (crypto::Ed25519Seed& seed : seeds_) seed = crypto::NewEd25519(rng_);
  }
  std::vector<TestNode*> All() { return {&a, &b, &d}; }
  void Meet() {
    for (TestNode* n : All()) n->Start();
    mesh.Pump(10s);
    for (TestNode* n : {&b, &d}) ASSERT_EQ(RungAt(a, *n), Rung::kAdmit) << n->name();
  }
  const crypto::Ed25519Seed& root() { return mesh.issuer().signer.seed(); }
  authority::Voter VoterOf(const crypto::Ed25519Seed& seed, const std::string& group) {
    return {.suite = authority::Suite::kEd25519,
            .key = crypto::Ed25519Public(seed),
            .weight = 1,
            .group = group,
            .next_key = {}};
  }
  // Of four voters in four groups, three have to agree.
  Charter WithVoters(const Held<Charter>& now) {
    Charter c = issuing::NextOf(now, Mesh2::t0());
    c.voters = {VoterOf(root(), "home"),
                VoterOf(seeds_[0], "east"),
                VoterOf(seeds_[1], "west"),
                VoterOf(seeds_[2], "south")};
    issuing::PutInOrder(c);
    c.q_reg = c.q_sens = 3;
    c.flags = 0;
    return c;
  }
  // Whoever was at ADMIT is held down below it: nobody's level is that high.
  static Charter Stricter(const Held<Charter>& now) {
    Charter c = issuing::NextOf(now, Mesh2::t0() + 1);
    c.params = {{1, 65'536}, {2, 65'500}};
    return c;
  }
  Held<Charter> Propose(const Charter& body, const crypto::Ed25519Seed& by) {
    return Must(issuing::Propose(body, by, votes_, 7));
  }
  template <class T>
  authority::SignedPtr VoteFor(const Held<T>& c, const crypto::Ed25519Seed& by) {
    return Must(issuing::Vote(*c.envelope, by, votes_, 7)).envelope;
  }
  absl::Status Give(TestNode& n, const authority::SignedPtr& object) {
    absl::Status taken;
    mesh.Carry(n,
               n.Do([&](Outbox& out) { taken = n.control->Import(n.now, object->bytes(), out); }));
    return taken;
  }
  // Four voters, agreed on and heard everywhere.
  Held<Charter> FourVoters() {
    const Held<Charter> second = Propose(WithVoters(mesh.charter()), root());
    EXPECT_TRUE(Give(a, second.envelope).ok());
    for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(Give(a, VoteFor(second, seeds_[i])).ok()) << i;
    mesh.Pump(1s);
    return second;
  }
  static uint32_t VersionAt(const TestNode& n) { return n.control->mesh().charter().body.version; }
  static Rung RungAt(const TestNode& at, const TestNode& of) {
    for (const PeerView& p : at.control->Peers()) {
      if (p.kid == of.kid()) return p.rung;
    }
    return Rung::kNone;
  }
  static size_t Convictions(const TestNode& n) {
    size_t count = 0;
    for (const authority::Observe& o : n.Records(RecordKind::kEscalated))
      count += o.reason == static_cast<uint16_t>(authority::Reason::kEquivocation) && o.evidence;
    return count;
  }

  Mesh2 mesh;
  issuing::MemoryVotes votes_;
  Rng rng_{TestSeed(91)};
  std::array<crypto::Ed25519Seed, 3> seeds_;
  TestNode& a;
  TestNode& b;
  TestNode& d;
};

TEST_F(Vote, IsInForceEverywhereHoweverItsVotesTravel) {
  Meet();
  FourVoters();
  for (TestNode* n : All()) ASSERT_EQ(VersionAt(*n), 2u) << n->name();
  // Each piece is given to another machine, the votes before what they are for.
  const Held<Charter> third = Propose(Stricter(a.control->mesh().charter()), seeds_[0]);
  EXPECT_TRUE(absl::IsUnavailable(Give(a, VoteFor(third, root()))));
  EXPECT_TRUE(absl::IsUnavailable(Give(b, VoteFor(third, seeds_[1]))));
  for (TestNode* n : All()) EXPECT_EQ(VersionAt(*n), 2u);
  EXPECT_TRUE(Give(d, third.envelope).ok());
  mesh.Pump(15s);
  for (TestNode* n : All()) {
    SCOPED_TRACE(n->name());
    EXPECT_EQ(VersionAt(*n), 3u);
    EXPECT_TRUE(n->control->mesh().charters().proposals().empty());
    EXPECT_TRUE(n->ImageOfDisk().state.lower_bound("proposal/")->first.substr(0, 9) != "proposal/");
    const auto records = n->Records(RecordKind::kApproved);
    ASSERT_EQ(records.size(), 2u);
    EXPECT_EQ(records[1].evidence, Digest{third.oid().bytes});
    EXPECT_EQ(records[1].intent_gen, 3u);
    EXPECT_TRUE(records[1].inputs.has_value());
    // Its numbers are felt, and what was decided under either is made again under the same.
    for (TestNode* other : All()) {
      if (other == n) continue;
      EXPECT_EQ(RungAt(*n, *other), Rung::kConstrain) << other->name();
    }
    ExpectRedecided(*n, Open);
  }
}

TEST_F(Vote, AMachineThatWasAwayHearsEveryStep) {
  a.Start();
  b.Start();
  mesh.Pump(10s);
  FourVoters();
  const Held<Charter> third = Propose(Stricter(a.control->mesh().charter()), root());
  for (const auto& s : {third.envelope, VoteFor(third, seeds_[1]), VoteFor(third, seeds_[2])})
    EXPECT_TRUE(Give(b, s).ok());
  mesh.Pump(5s);
  ASSERT_EQ(VersionAt(a), 3u);
  d.Start();
  EXPECT_EQ(VersionAt(d), 1u);
  mesh.Pump(30s);
  EXPECT_EQ(VersionAt(d), 3u);
  for (TestNode* n : {&a, &b}) {
    EXPECT_EQ(RungAt(d, *n), Rung::kConstrain) << n->name();
    EXPECT_EQ(RungAt(*n, d), Rung::kConstrain) << n->name();
  }
  ExpectRedecided(d, Open);
}

TEST_F(Vote, WhoIsAddedHasToSign) {
  Meet();
  const Held<Charter> second = Propose(WithVoters(mesh.charter()), root());
  EXPECT_TRUE(Give(a, second.envelope).ok());
  EXPECT_TRUE(Give(a, VoteFor(second, seeds_[0])).ok());
  EXPECT_TRUE(Give(a, VoteFor(second, seeds_[1])).ok());
  mesh.Pump(5s);
  EXPECT_EQ(VersionAt(a), 1u);
  const auto& proposals = b.control->mesh().charters().proposals();
  ASSERT_EQ(proposals.size(), 1u);
  EXPECT_EQ(proposals.begin()->second.votes.size(), 2u);
  EXPECT_TRUE(Give(b, VoteFor(second, seeds_[2])).ok());
  mesh.Pump(5s);
  for (TestNode* n : All()) EXPECT_EQ(VersionAt(*n), 2u) << n->name();
}

TEST_F(Vote, ASplitVoteLeavesTheVersionOpen) {
  Meet();
  const Held<Charter> second = FourVoters();
  Charter other = Stricter(second);
  other.params = {{1, 60'000}};
  const Held<Charter> left = Propose(Stricter(second), root()), right = Propose(other, seeds_[0]);
  EXPECT_TRUE(Give(a, left.envelope).ok());
  EXPECT_TRUE(Give(b, right.envelope).ok());
  EXPECT_TRUE(Give(a, VoteFor(left, seeds_[1])).ok());
  EXPECT_TRUE(Give(b, VoteFor(right, seeds_[2])).ok());
  mesh.Pump(15s);
  for (TestNode* n : All()) {
    EXPECT_EQ(VersionAt(*n), 2u);
    EXPECT_EQ(n->control->mesh().charters().proposals().size(), 2u);
    EXPECT_EQ(Convictions(*n), 0u);  // nobody said two things
  }
  // An honest voter's book refuses the second answer.
  EXPECT_TRUE(
      absl::IsFailedPrecondition(issuing::Vote(*right.envelope, root(), votes_, 7).status()));
}

TEST_F(Vote, WhoAnswersTwiceIsConvicted) {
  Meet();
  const Held<Charter> second = FourVoters();
  Charter other = Stricter(second);
  other.params = {{1, 60'000}};
  issuing::MemoryVotes lost;  // a book restored from a copy
  const Held<Charter> left = Propose(Stricter(second), seeds_[0]);
  EXPECT_TRUE(Give(a, left.envelope).ok());
  EXPECT_TRUE(Give(b, Must(issuing::Propose(other, seeds_[0], lost, 7)).envelope).ok());
  mesh.Pump(15s);
  const Kid twice = authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(seeds_[0]));
  for (TestNode* n : All()) {
    SCOPED_TRACE(n->name());
    EXPECT_EQ(Convictions(*n), 1u);
    EXPECT_TRUE(n->control->mesh().restrictions().Collapsed(twice, second.body));
    EXPECT_EQ(VersionAt(*n), 2u);
  }
  // After its version is decided too.
  const Held<Charter> again = Propose(other, seeds_[1]);
  for (const auto& s : {VoteFor(left, root()), VoteFor(left, seeds_[2])})
    EXPECT_TRUE(Give(a, s).ok());
  mesh.Pump(5s);
  ASSERT_EQ(VersionAt(d), 3u);
  EXPECT_TRUE(absl::IsFailedPrecondition(Give(d, again.envelope)));
  EXPECT_EQ(Convictions(d), 1u);  // it had not voted for the other
  EXPECT_TRUE(absl::IsFailedPrecondition(
      Give(d, Must(issuing::Vote(*again.envelope, root(), lost, 7)).envelope)));
  EXPECT_EQ(Convictions(d), 2u);
}

// More than a third signed both: each machine stays with what it heard first, and convicts them.
TEST_F(Vote, OfTwoValidChartersOfOneVersionTheFirstHeardStays) {
  Meet();
  const Held<Charter> second = FourVoters();
  Charter other = Stricter(second);
  other.params = {{1, 60'000}};
  issuing::MemoryVotes lost;
  const Held<Charter> left = Propose(Stricter(second), root());
  const Held<Charter> right = Must(issuing::Propose(other, root(), lost, 7));
  const auto unheard = [](TestNode& n, const authority::SignedPtr& object) {
    n.Do([&](Outbox& out) {
      EXPECT_TRUE(n.control->Import(n.now, object->bytes(), out).ok());
    });  // its datagrams are lost
  };
  unheard(a, left.envelope);
  unheard(b, right.envelope);
  for (size_t i = 0; i < 2; ++i) {
    unheard(a, VoteFor(left, seeds_[i]));
    unheard(b, Must(issuing::Vote(*right.envelope, seeds_[i], lost, 7)).envelope);
  }
  ASSERT_EQ(a.control->mesh().charter().oid(), left.oid());
  ASSERT_EQ(b.control->mesh().charter().oid(), right.oid());
  mesh.Pump(30s);
  EXPECT_EQ(a.control->mesh().charter().oid(), left.oid());
  EXPECT_EQ(b.control->mesh().charter().oid(), right.oid());
  const Kid both = authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(root()));
  // Whoever hears both first ends what hangs on those; the other may not hear why.
  size_t convicting = 0;
  for (TestNode* n : {&a, &b}) {
    const bool collapsed = n->control->mesh().restrictions().Collapsed(both, second.body);
    EXPECT_EQ(collapsed, Convictions(*n) > 0) << n->name();
    convicting += collapsed;
    ExpectRedecided(*n, Open);
  }
  EXPECT_GE(convicting, 1u);
}

// Whom it let in falls with it, and that is made again from the log too.
TEST_F(Vote, TheRootFallsWithItsSecondAnswer) {
  Meet();
  const Held<Charter> second = FourVoters();
  Charter other = Stricter(second);
  other.params = {{1, 60'000}};
  issuing::MemoryVotes lost;
  EXPECT_TRUE(Give(a, Propose(Stricter(second), root()).envelope).ok());
  EXPECT_TRUE(Give(a, Must(issuing::Propose(other, root(), lost, 7)).envelope).ok());
  EXPECT_EQ(RungAt(a, b), Rung::kNone);
  EXPECT_EQ(Convictions(a), 1u);
  a.Restart();
  mesh.Pump(10s);
  EXPECT_EQ(RungAt(a, b), Rung::kNone);
  ExpectRedecided(a, Open);
}

TEST_F(Vote, ARestartKeepsWhatIsInForceAndWhatIsProposed) {
  Meet();
  const Held<Charter> second = FourVoters();
  const Held<Charter> third = Propose(Stricter(second), root());
  EXPECT_TRUE(Give(a, third.envelope).ok());
  EXPECT_TRUE(Give(a, VoteFor(third, seeds_[2])).ok());
  mesh.Pump(2s);
  for (TestNode* n : All()) n->control.reset();
  a.Restart();
  b.Restart();
  for (TestNode* n : {&a, &b}) {
    EXPECT_EQ(n->control->mesh().charter().oid(), second.oid());
    ASSERT_EQ(n->control->mesh().charters().proposals().size(), 1u);
    EXPECT_EQ(n->control->mesh().charters().proposals().begin()->second.votes.size(), 1u);
  }
  EXPECT_TRUE(Give(b, VoteFor(third, seeds_[1])).ok());
  EXPECT_EQ(VersionAt(b), 3u);
  b.Restart();
  EXPECT_EQ(VersionAt(b), 3u);
  EXPECT_EQ(b.Records(RecordKind::kApproved).size(), 2u);  // told once
  // One that came while the node was down is taken at its start.
  a.control.reset();
  const authority::SignedPtr vote = VoteFor(third, seeds_[1]);
  lineage::Batch batch;
  batch.puts.push_back({"vote/" + ToHex(vote->oid()), vote->bytes()});
  EXPECT_TRUE(a.disk.Commit(batch).ok());
  a.Restart();
  EXPECT_EQ(VersionAt(a), 3u);
  EXPECT_EQ(a.Records(RecordKind::kApproved).back().intent_gen, 3u);
}

// A SEGMENT needs its voters' certificate; who hangs on one comes in when they agreed, and stays.
TEST_F(Vote, AGrantThatNeedsACertificateCountsOnceItsVotersAgree) {
  Meet();
  const Held<Charter> second = FourVoters();
  const crypto::Ed25519Seed segment_seed = crypto::NewEd25519(rng_);
  issuing::MemorySeqs seqs;
  const issuing::Signer segment_signer(segment_seed, seqs);
  authority::Grant wanted;
  wanted.suite = authority::Suite::kEd25519;
  wanted.key = crypto::Ed25519Public(segment_seed);
  wanted.cls = authority::Class::kSegment;
  wanted.depth_left = 2;
  wanted.tags = {"member"};
  const auto segment =
      Must(issuing::MakeGrant({mesh.issuer().signer, second}, std::move(wanted), Mesh2::t0()));
  mesh.nodes.push_back(std::make_unique<TestNode>(uint8_t{9}, "e"));
  TestNode& e = *mesh.nodes.back();
  const auto leaf = Must(
      issuing::NodeGrant({segment_signer, second, &segment},
                         {.key = crypto::Ed25519Public(e.identity()), .name = "e", .next_key = {}},
                         {},
                         Mesh2::t0()));
  for (const auto& s : a.control->mesh().charters().InForceBeyond(0)) e.Hold(*s);
  for (const auto& s : {segment.envelope, leaf.envelope, mesh.fragment().envelope}) e.Hold(*s);
  mesh.Introduce(e, a);
  e.now = a.now;
  e.Start();
  mesh.Pump(10s);
  EXPECT_EQ(RungAt(a, e), Rung::kNone);
  // One vote is not enough with the root's own signature; two are. They are given where they are.
  EXPECT_TRUE(Give(b, VoteFor(segment, seeds_[0])).ok());
  mesh.Pump(20s);
  EXPECT_EQ(RungAt(a, e), Rung::kNone);
  EXPECT_TRUE(Give(d, VoteFor(segment, seeds_[2])).ok());
  mesh.Pump(90s);
  EXPECT_EQ(RungAt(a, e), Rung::kAdmit);
  EXPECT_TRUE(absl::IsPermissionDenied(Give(a, VoteFor(segment, crypto::NewEd25519(rng_)))));
  for (TestNode* n : {&a, &b, &d})
    EXPECT_EQ(n->control->mesh().VotesFor(segment.oid()).size(), 2u) << n->name();
  ExpectRedecided(a, Open);
  a.Restart();
  mesh.Pump(30s);
  EXPECT_EQ(RungAt(a, e), Rung::kAdmit);
  ExpectRedecided(a, Open);
}

TEST_F(Vote, VotesForStatementsAreBounded) {
  Meet();
  const Held<Charter> second = FourVoters();
  const Kid kid = authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(seeds_[0]));
  absl::Status last;
  for (uint64_t i = 1; i <= 10'000 && !absl::IsResourceExhausted(last); ++i) {
    last = Give(a,
                issuing::Seal(Cosign{.scope = mesh.scope(),
                                     .slot = 1,
                                     .id = kid,
                                     .number = i,
                                     .target = *Oid::From(Bytes(32, 7)),
                                     .time = i},
                              seeds_[0])
                    .envelope);
  }
  EXPECT_TRUE(absl::IsResourceExhausted(last)) << Text(last);
  EXPECT_LE(a.control->mesh().StatementVotes().size(), Mesh::kVotesOfOneMax);
  EXPECT_EQ(Convictions(a), 0u);
}

// ---- the value alone

struct Flood : Vote {
  Flood() {
    genesis_ = mesh.charter();
    EXPECT_TRUE(charters_.Take(genesis_.envelope, nullptr).ok());
    charters_.TakeNews();
  }
  size_t Held() const {
    size_t n = charters_.early();
    for (const auto& [oid, p] : charters_.proposals()) n += 1 + p.votes.size();
    return n;
  }
  node::Held<Charter> genesis_;
  Charters charters_;
};

TEST_F(Flood, StrangersAndTraitorsLeaveItAsSmallAsItIs) {
  Charter body = WithVoters(genesis_);
  for (uint64_t i = 0; i < 2'500; ++i) {
    const crypto::Ed25519Seed stranger = crypto::NewEd25519(rng_);
    body.created = Mesh2::t0() + i;
    // By nobody; by somebody who names itself a voter; by a voter who says everything.
    (void)charters_.Take(issuing::Seal(body, stranger).envelope, nullptr);
    Charter own = body;
    own.voters.push_back(VoterOf(stranger, "far"));
    own.q_reg = own.q_sens = 4;
    issuing::PutInOrder(own);
    const auto named = issuing::Seal(own, stranger);
    (void)charters_.Take(named.envelope, nullptr);
    (void)charters_.Take(issuing::Seal(body, root()).envelope, nullptr);
    // Votes for what nobody knows, and of a version that is far away.
    Cosign vote{.scope = mesh.scope(),
                .slot = 3,
                .id = *Kid::From(mesh.scope().view()),
                .number = 2 + i % 3,
                .target = named.oid(),
                .time = i + 1};
    (void)charters_.Take(issuing::Seal(vote, stranger).envelope, nullptr);
  }
  EXPECT_LE(charters_.early(), Charters::kEarlyMax);
  EXPECT_LE(charters_.proposals().size(), Charters::kNewcomersMax + 2);
  EXPECT_LE(Held(), Charters::kEarlyMax + 64);
  EXPECT_EQ(charters_.all().size(), 1u);
  EXPECT_EQ(charters_.TakeNews().conflicts.size(), 1u);
}

TEST_F(Flood, AWrongSignatureDoesNotStandInForARightOne) {
  const node::Held<Charter> second = Propose(WithVoters(genesis_), root());
  for (size_t i = 0; i < 3; ++i) {
    const authority::SignedPtr right = VoteFor(second, seeds_[i]);
    Bytes wrong = right->bytes();
    wrong.back() ^= 1;
    const auto forged =
        std::make_shared<const authority::Signed>(Must(authority::Signed::Parse(wrong)));
    ASSERT_EQ(forged->oid(), right->oid());
    EXPECT_TRUE(absl::IsUnavailable(charters_.Take(forged, nullptr)));
    EXPECT_TRUE(absl::IsUnavailable(charters_.Take(right, nullptr)));
  }
  EXPECT_TRUE(charters_.Take(second.envelope, nullptr).ok());
  EXPECT_EQ(charters_.all().size(), 2u);
}

}  // namespace
}  // namespace aqmesh::node
