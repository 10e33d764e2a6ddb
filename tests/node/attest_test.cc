// What third parties say of a machine: gathered in advance, shown where it goes, weighed by each
// for itself, and gone when its time or its signer is.
#include "node/attestations.h"
#include "tests/node/redecided.h"

namespace aqmesh::node {
namespace {

using authority::Attest;
using authority::AttestKind;
using authority::Gate;
using authority::RecordKind;
using authority::Rung;

admission::LocalPolicy Open(const Digest&) { return admission::OpenLocalPolicy(); }

// The standard profile, where a NODE of the root stands at ADMIT by its prior, and a member is
// eligible after a minute.
std::vector<authority::Param> Quick() { return {{1, 40'000}, {2, 36'000}, {25, 60}}; }

struct Attesting : testing::Test {
  Attesting() : a(mesh.Add("a")), b(mesh.Add("b")), c(mesh.Add("c")), d(mesh.Add("d")) {}
  void Introduce(TestNode& x, TestNode& y) {
    mesh.Introduce(x, y);
    mesh.Introduce(y, x);
  }
  void MeetAll(std::vector<TestNode*> nodes) {
    for (TestNode* x : nodes) {
      for (TestNode* y : nodes) {
        if (x != y) mesh.Introduce(*x, *y);
      }
    }
  }
  // a, b and c have known each other for longer than it takes.
  void GrowOld() {
    MeetAll({&a, &b, &c});
    for (TestNode* n : {&a, &b, &c}) n->Start();
    mesh.Pump(90s);
    d.now = a.now;
  }
  static PeerView At(const TestNode& at, const TestNode& of) {
    for (const PeerView& p : at.control->Peers()) {
      if (p.kid == of.kid()) return p;
    }
    return {};
  }
  static Rung RungAt(const TestNode& at, const TestNode& of) { return At(at, of).rung; }
  static Rung WordsAt(const TestNode& at, const TestNode& of) {
    return At(at, of).gates[static_cast<size_t>(Gate::kCorroboration)].rung;
  }
  CorroborationView View(TestNode& at, const TestNode& of) {
    return at.control->CorroborationOf(of.kid(), at.now).value();
  }
  static authority::Observe FirstDecision(const TestNode& at, const TestNode& of) {
    std::vector<authority::Observe> all = at.Records(RecordKind::kProposed);
    const auto decided = at.Records(RecordKind::kDecided);
    all.insert(all.end(), decided.begin(), decided.end());
    std::erase_if(all, [&](const authority::Observe& o) { return o.subject != of.kid(); });
    std::ranges::sort(all, {}, &authority::Observe::seq);
    EXPECT_FALSE(all.empty());
    return all.empty() ? authority::Observe{} : all[0];
  }
  static Held<authority::Grant> EnrollerOf(const TestNode& n) {
    Held<authority::Grant> found;
    const auto visit = [&](const Oid&, ByteView bytes) {
      auto s = std::make_shared<const authority::Signed>(Must(authority::Signed::Parse(bytes)));
      const auto g = authority::ParseBody<authority::Grant>(s->body());
      if (s->ctx() == authority::Ctx::kGrant && g.ok() && g->cls == authority::Class::kEnroller &&
          authority::KidOf(g->suite, g->key) == n.kid())
        found = {s, *g};
      return true;
    };
    EXPECT_TRUE(n.disk.ScanObjects(lineage::Shelf::kSigned, visit).ok());
    return found;
  }
  // A grant of a subnet that its signer does not hold.
  Held<authority::Grant> Overreach(const TestNode& signer, const Held<authority::Grant>& own) {
    Rng rng{TestSeed(78)};
    authority::Grant g;
    g.scope = mesh.scope();
    g.suite = authority::Suite::kEd25519;
    g.key = crypto::Ed25519Public(crypto::NewEd25519(rng));
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
  // From here on it is as if the machine were switched off.
  static void Off(TestNode& n) { n.control.reset(); }
  bool Reaches(TestNode& from, const TestNode& to) {
    mesh.tun.clear();
    mesh.Carry(from, from.FromTun(Udp6(mesh.AddressOf(from), mesh.AddressOf(to), 4'242, 7)));
    return !mesh.tun[to.name()].empty();
  }
  void RevokeByRoot(TestNode& at, const TestNode& whom) {
    const auto revoke = Must(
        issuing::MakeRevoke(mesh.issuer().signer,
                            mesh.scope(),
                            {.type = authority::RevokeType::kFloor, .kid = whom.kid(), .floor = 2},
                            issuing::Hlc(at.now.wall.millis())));
    mesh.Carry(at, at.Do([&](Outbox& out) {
      EXPECT_TRUE(at.control->Import(at.now, revoke.envelope->bytes(), out).ok());
    }));
  }

  Mesh2 mesh{authority::Profile::kStandard, Quick()};
  TestNode& a;
  TestNode& b;
  TestNode& c;
  TestNode& d;
};

TEST_F(Attesting, TheFirstMachinesAreNotHeldUp) {
  MeetAll({&a, &b});
  a.Start();
  b.Start();
  mesh.Pump(5s);
  EXPECT_EQ(RungAt(a, b), Rung::kAdmit);
  // Alone with each other they stay so: there is no third to ask.
  mesh.Pump(120s);
  EXPECT_EQ(RungAt(a, b), Rung::kAdmit);
  EXPECT_EQ(View(a, b).needed.admit, 0u);
  ExpectRedecided(a, Open);
}

TEST_F(Attesting, WhoMetSaysSoAndItIsEnough) {
  GrowOld();
  for (TestNode* n : {&a, &b, &c}) {
    EXPECT_EQ(n->control->attestations().own().size(), 2u) << n->name();
    EXPECT_EQ(n->control->attestations().said().size(), 2u) << n->name();
  }
  const CorroborationView view = View(a, b);
  EXPECT_EQ(view.sum.eligible, 2u);
  EXPECT_EQ(view.needed.admit, 500u);
  EXPECT_EQ(view.sum.attesters, 1u) << "c; what a saw itself is no third party's word";
  EXPECT_GE(view.sum.votes, 500u);
  EXPECT_EQ(RungAt(a, b), Rung::kAdmit);
  EXPECT_FALSE(a.Records(RecordKind::kAttested).empty());
  for (TestNode* n : {&a, &b, &c}) ExpectRedecided(*n, Open);
}

TEST_F(Attesting, ANewcomerStartsLowAndIsLiftedByWhatOthersSay) {
  GrowOld();
  Off(c);
  Introduce(a, d);
  a.Restart();
  d.Start();
  mesh.Pump(30s);
  const authority::Observe first = FirstDecision(a, d);
  EXPECT_EQ(first.rung, Rung::kProbation) << "nobody spoke for it";
  EXPECT_EQ(first.reason, static_cast<uint16_t>(authority::Reason::kCorroboration));
  EXPECT_EQ(first.corr, 0u);
  // b heard of it, met it, and said so.
  EXPECT_EQ(RungAt(a, d), Rung::kAdmit);
  EXPECT_EQ(View(a, d).voices.size(), 1u);
  const authority::Observe decided = a.Records(RecordKind::kDecided).back();
  EXPECT_GE(decided.corr, 500u);
  for (TestNode* n : {&a, &b, &d}) ExpectRedecided(*n, Open);
}

// Nobody is there to speak for it: a person is asked, until somebody does.
TEST_F(Attesting, WhoStaysWithoutAWordWaitsForAPerson) {
  GrowOld();
  Off(b);
  Off(c);
  Introduce(a, d);
  a.Restart();
  d.Start();
  const authority::Nonce16 item =
      authority::EscalationItem(mesh.scope(), d.kid(), authority::Cause::kCorroboration);
  mesh.Pump(5s);
  EXPECT_FALSE(a.control->escalations().all().contains(item)) << "it has only just come";
  mesh.Pump(150s);
  ASSERT_EQ(RungAt(a, d), Rung::kProbation);
  ASSERT_TRUE(a.control->escalations().all().contains(item));
  EXPECT_EQ(a.control->escalations().all().at(item).cause, authority::Cause::kCorroboration);
  b.now = a.now;
  b.Start();
  mesh.Pump(60s);
  EXPECT_EQ(RungAt(a, d), Rung::kAdmit);
  EXPECT_FALSE(a.control->escalations().all().contains(item));
  ExpectRedecided(a, Open);
}

// A person's word is worth more than theirs.
TEST_F(Attesting, AnApprovalStandsInForWords) {
  GrowOld();
  Off(b);
  Off(c);
  Introduce(a, d);
  a.Restart();
  d.Start();
  mesh.Pump(10s);
  ASSERT_EQ(RungAt(a, d), Rung::kProbation);
  const auto approved = Must(issuing::MakeApprove(
      mesh.issuer(),
      {.subject = d.kid(),
       .item = authority::EscalationItem(mesh.scope(), d.kid(), authority::Cause::kCorroboration),
       .ceiling = Rung::kConstrain,
       .until = a.now.wall.seconds() + 600},
      a.now.wall.seconds(),
      issuing::Hlc(a.now.wall.millis())));
  mesh.Carry(a, a.Do([&](Outbox& out) {
    EXPECT_TRUE(a.control->Import(a.now, approved.envelope->bytes(), out).ok());
  }));
  EXPECT_EQ(RungAt(a, d), Rung::kConstrain);
  ExpectRedecided(a, Open);
}

TEST_F(Attesting, EveryAttesterMayBeOffline) {
  GrowOld();
  Off(c);
  Introduce(a, d);
  a.Restart();
  d.Start();
  mesh.Pump(40s);
  ASSERT_GE(d.control->attestations().own().size(), 2u);
  // c knows a and b, and never met d: all that it has is what d carries.
  Off(a);
  Off(b);
  Off(d);
  c.now = d.now;
  Introduce(c, d);
  c.Start();
  d.Start();
  mesh.Pump(3s);
  EXPECT_EQ(RungAt(c, d), Rung::kAdmit);
  // At first sight: nothing was pulled before the decision.
  const authority::Observe first = FirstDecision(c, d);
  EXPECT_EQ(first.rung, Rung::kAdmit);
  EXPECT_GE(first.corr, 500u);
  ExpectRedecided(c, Open);
}

TEST_F(Attesting, ARevokedAttesterCountsNoMoreAtTheNextFrame) {
  GrowOld();
  Off(c);
  Introduce(a, d);
  a.Restart();
  d.Start();
  mesh.Pump(40s);
  ASSERT_EQ(RungAt(a, d), Rung::kAdmit);
  ASSERT_TRUE(Reaches(d, a));
  RevokeByRoot(a, b);
  EXPECT_EQ(WordsAt(a, d), Rung::kProbation);
  EXPECT_FALSE(Reaches(d, a)) << "the very next frame";
  EXPECT_STREQ(View(a, d).voices.at(0).why, "its signer has no grant to attest that holds here");
  ExpectRedecided(a, Open);
}

// A proof against who spoke takes down whom it spoke for, before another frame is taken.
TEST_F(Attesting, AnAttesterThatFallsTakesItsWordWithIt) {
  GrowOld();
  Off(c);
  Introduce(a, d);
  a.Restart();
  d.Start();
  mesh.Pump(40s);
  ASSERT_EQ(RungAt(a, d), Rung::kAdmit);
  const Held<authority::Grant> own = EnrollerOf(b), proof = Overreach(b, own);
  for (const authority::SignedPtr& object : {own.envelope, proof.envelope}) {
    mesh.Carry(a, a.Do([&](Outbox& out) {
      EXPECT_TRUE(a.control->Import(a.now, object->bytes(), out).ok());
    }));
  }
  EXPECT_EQ(WordsAt(a, d), Rung::kProbation);
  EXPECT_FALSE(Reaches(d, a));
  EXPECT_STREQ(View(a, d).voices.at(0).why, "its signer is trusted less than CONSTRAIN takes");
  ExpectRedecided(a, Open);
}

// Whoever a machine meets and has spoken for it was right, and that is to its credit.
TEST_F(Attesting, WhatProvesTrueCountsForWhoSaidIt) {
  GrowOld();
  mesh.Pump(320s);
  std::vector<authority::Observe> weighed = a.Records(RecordKind::kWeighted);
  std::erase_if(weighed, [&](const authority::Observe& o) { return o.subject != b.kid(); });
  ASSERT_FALSE(weighed.empty());
  const auto inputs = Must(a.disk.GetObject(lineage::Shelf::kInputs, *weighed[0].inputs));
  // A session or two, a head that went on, and c as b had said.
  EXPECT_GE(Must(lineage::ParseInputs(*inputs)).weighed->r, trust::kOne / 8);
}

TEST_F(Attesting, ALapsedWordIsNothingOnceItsGraceIsOver) {
  GrowOld();
  ASSERT_EQ(WordsAt(a, b), Rung::kAdmit);
  Off(b);
  Off(c);
  a.Later(24h);
  mesh.Carry(a, a.Wake());
  EXPECT_EQ(View(a, b).sum.attesters, 1u) << "its grace";
  a.Later(15min);
  mesh.Carry(a, a.Wake());
  EXPECT_EQ(View(a, b).sum.attesters, 0u);
  EXPECT_TRUE(a.control->attestations().About(b.kid()).empty());
  EXPECT_EQ(WordsAt(a, b), Rung::kProbation);
  ExpectRedecided(a, Open);
}

TEST_F(Attesting, AWordIsRenewedLongBeforeItEnds) {
  GrowOld();
  const auto& own = b.control->attestations().own();
  const uint64_t said = own.at(0).attest.body.not_before;
  for (TestNode* n : {&a, &b, &c}) n->Later(5h);  // too early
  mesh.Pump(30s);
  EXPECT_EQ(own.at(0).attest.body.not_before, said);
  for (TestNode* n : {&a, &b, &c}) n->Later(7h);
  mesh.Pump(60s);
  ASSERT_EQ(own.size(), 2u);
  for (const Word& w : own) EXPECT_GE(w.attest.body.not_before, said + 12 * 3'600);
  EXPECT_EQ(View(a, b).voices.size(), 1u);
  EXPECT_GE(View(a, b).voices.at(0).attest.body.not_before, said + 12 * 3'600) << "at readers too";
  EXPECT_EQ(WordsAt(a, b), Rung::kAdmit);
  ExpectRedecided(a, Open);
}

TEST_F(Attesting, ARestartForgetsNoWord) {
  GrowOld();
  const size_t own = b.control->attestations().own().size();
  const size_t spoken = b.Records(RecordKind::kAttested).size();
  b.Restart();
  EXPECT_EQ(b.control->attestations().own().size(), own);
  EXPECT_EQ(b.control->attestations().members().size(), 3u);
  mesh.Pump(30s);
  EXPECT_EQ(b.Records(RecordKind::kAttested).size(), spoken) << "nothing is said again";
  EXPECT_EQ(RungAt(a, b), Rung::kAdmit);
  ExpectRedecided(b, Open);
}

TEST(SmallMesh, NobodyIsAsked) {
  Mesh2 mesh;
  TestNode& a = mesh.Add("a");
  TestNode& b = mesh.Add("b");
  mesh.Introduce(a, b);
  mesh.Introduce(b, a);
  a.Start();
  b.Start();
  mesh.Pump(30s);
  EXPECT_TRUE(a.Records(RecordKind::kAttested).empty());
  EXPECT_FALSE(a.control->CorroborationOf(b.kid(), a.now).has_value());
}

// ---- what one word is worth

struct Words : testing::Test {
  Words() {
    identity_ = crypto::NewEd25519(rng_);
    subject_ = *Kid::From(Bytes(16, 0x55));
  }
  struct Signer {
    crypto::Ed25519Seed seed;
    Held<authority::Grant> grant;
    Kid kid() const { return authority::KidOf(authority::Suite::kEd25519, grant.body.key); }
  };
  Signer Member() {
    crypto::Ed25519Seed seed = crypto::NewEd25519(rng_);
    auto grant = Must(issuing::NodeGrant(
        mesh.issuer(), {.key = crypto::Ed25519Public(seed), .next_key = {}}, {}, mesh.t0()));
    return {std::move(seed), std::move(grant)};
  }
  Held<Attest> Says(const Signer& by, const Kid& subject, uint64_t at) {
    return Must(issuing::MakeAttest(by.seed,
                                    mesh.scope(),
                                    {.subject = subject,
                                     .kind = AttestKind::kKeySeen,
                                     .evidence = *Digest::From(Bytes(32, 7)),
                                     .ttl = 86'400},
                                    at));
  }
  std::vector<Voice> Heard(std::vector<authority::SignedPtr> objects, uint64_t at) {
    const authority::Restrictions restrictions(mesh.scope());
    const authority::Expansions expansions;
    const authority::ScopeHeld scope{.charters = std::span(&mesh.charter(), 1),
                                     .scope = mesh.scope(),
                                     .restrictions = &restrictions,
                                     .expansions = &expansions};
    return VoicesIn(subject_,
                    objects,
                    {.scope = scope, .now = WallTime::FromSeconds(at)},
                    [this](const authority::Chain&) { return level_; });
  }
  std::string Why(std::vector<authority::SignedPtr> objects, uint64_t at) {
    const auto voices = Heard(std::move(objects), at);
    if (voices.size() != 1) return Join(voices.size(), " voices");
    return voices[0].why == nullptr ? "" : voices[0].why;
  }
  Mesh2 mesh{authority::Profile::kStandard};
  Rng rng_{TestSeed(99)};
  crypto::Ed25519Seed identity_;
  Kid subject_;
  std::optional<uint32_t> level_ = 44'563;
  uint64_t now_ = Mesh2::t0() + 10;
};

TEST_F(Words, CountOnlyWhileTheyAndTheirSignersHold) {
  const Signer by = Member(), other = Member();
  const auto said = Says(by, subject_, now_);
  const std::vector<authority::SignedPtr> all = {said.envelope, by.grant.envelope};
  EXPECT_EQ(Why(all, now_), "");
  EXPECT_EQ(Heard(all, now_)[0].votes(), 679u);
  EXPECT_EQ(Why(all, now_ + 86'400 + 899), "");
  EXPECT_EQ(Why(all, now_ + 86'400 + 900), "lapsed");
  EXPECT_EQ(Why(all, now_ - 121), "not valid yet");
  EXPECT_EQ(Why({said.envelope}, now_), "its signer has no grant to attest that holds here");
  EXPECT_EQ(Why({said.envelope, other.grant.envelope}, now_),
            "its signer has no grant to attest that holds here");
  level_ = 27'524;
  EXPECT_EQ(Why(all, now_), "its signer is trusted less than CONSTRAIN takes");
  level_.reset();
  EXPECT_EQ(Why(all, now_), "its signer is trusted less than CONSTRAIN takes");
}

TEST_F(Words, AForgedOneIsNone) {
  const Signer by = Member(), other = Member();
  const auto said = Says(by, subject_, now_);
  // The same words under another's hand, named as the first's.
  Bytes forged = said.envelope->bytes();
  forged[forged.size() - 5] ^= 1;
  const auto object =
      std::make_shared<const authority::Signed>(Must(authority::Signed::Parse(forged)));
  EXPECT_EQ(Why({object, by.grant.envelope}, now_), "the signature is wrong");
  // About somebody else, or by one who may not attest.
  EXPECT_EQ(Why({Says(by, other.kid(), now_).envelope, by.grant.envelope}, now_), "0 voices");
  authority::Grant mute = by.grant.body;
  mute.caps &= ~uint32_t{authority::kCapAttest};
  EXPECT_EQ(Why({said.envelope, issuing::Seal(mute, other.seed).envelope}, now_),
            "its signer has no grant to attest that holds here");
}

TEST_F(Words, NobodySpeaksForItselfOrWithoutARecord) {
  const Signer by = Member();
  Attest own;
  own.scope = mesh.scope();
  own.subject = by.kid();
  own.kind = AttestKind::kKeySeen;
  own.not_before = now_;
  own.ttl = 60;
  own.evidence = *Digest::From(Bytes(32, 7));
  const authority::Signed self =
      authority::Sign(authority::Ctx::kAttest, authority::EncodeBody(own), by.seed);
  EXPECT_FALSE(authority::ParseObject<Attest>(self).ok());
  own.subject = subject_;
  own.evidence = {};
  EXPECT_FALSE(authority::TryEncodeBody(own).ok());
}

TEST_F(Words, ASignerHasOneVote) {
  const Signer by = Member();
  std::vector<authority::SignedPtr> objects = {by.grant.envelope};
  for (uint64_t i = 0; i < 4; ++i) objects.push_back(Says(by, subject_, now_ + i).envelope);
  const auto voices = Heard(objects, now_ + 5);
  EXPECT_EQ(SumOf(voices, mesh.charter().body).votes, 679u);
  EXPECT_EQ(SumOf(voices, mesh.charter().body).attesters, 1u);
}

TEST_F(Words, TenThousandOfOneGroupAreTwo) {
  const Signer by = Member();
  std::vector<Voice> voices(
      10'000,
      Voice{.attest = Says(by, subject_, now_), .group = "home", .ladm = 44'563, .why = nullptr});
  EXPECT_EQ(SumOf(voices, mesh.charter().body).votes, 2'000u);
  EXPECT_EQ(SumOf(voices, mesh.charter().body).groups, 1u);
  authority::Charter many = mesh.charter().body;
  for (const char* group : {"x", "y"}) {
    many.voters.push_back(many.voters[0]);
    many.voters.back().group = group;
  }
  EXPECT_EQ(SumOf(voices, many).votes, 1'000u) << "of three groups each is one vote at the most";
  voices.resize(20'000,
                Voice{.attest = voices[0].attest, .group = "x", .ladm = 65'536, .why = nullptr});
  EXPECT_EQ(SumOf(voices, many).votes, 2'000u);
}

// ---- bounds

TEST_F(Words, AFloodNeitherGrowsNorWrites) {
  Recorder recorder{lineage::Chain(subject_), {}};
  Attestations held(recorder);
  const Signer issuer = Member();
  int kept = 0;
  for (int i = 0; i < 200; ++i) {
    const Signer by = Member();
    Word word{Says(by, subject_, now_), {by.grant.envelope}};
    kept += held.TakeAbout(word, now_) ? 1 : 0;
    held.TakeOwn(word, now_);
  }
  EXPECT_EQ(kept, int{kVoicesMax});
  EXPECT_EQ(held.own().size(), Attestations::kOwnMax);
  // The same signer again and again: only what ends an hour later replaces what is held.
  const Signer again = Member();
  EXPECT_FALSE(held.TakeAbout({Says(again, subject_, now_ + 10), {again.grant.envelope}}, now_));
  EXPECT_TRUE(held.TakeAbout({Says(again, subject_, now_ + 3'600), {again.grant.envelope}}, now_));
  EXPECT_FALSE(held.TakeAbout({Says(again, subject_, now_ + 3'700), {again.grant.envelope}}, now_));
  for (uint32_t i = 0; i < Attestations::kSubjectsMax + 10; ++i) {
    Bytes kid(16, 1);
    StoreBe(kid.data(), i);
    held.TakeAbout({Says(issuer, *Kid::From(kid), now_), {issuer.grant.envelope}}, now_);
    held.Meet(*Kid::From(kid), {issuer.grant.envelope}, now_);
  }
  EXPECT_LE(held.about().size(), Attestations::kSubjectsMax);
  EXPECT_EQ(held.members().size(), Attestations::kMembersEachMax) << "of one voter";
  const Kid late = *Kid::From(Bytes(16, 0xee));
  held.Meet(late, {issuer.grant.envelope}, now_ + 86'400);
  EXPECT_FALSE(held.members().contains(late));
  held.Meet(late, {issuer.grant.envelope}, now_ + 31 * 86'400);
  EXPECT_TRUE(held.members().contains(late)) << "in the place of one whose grant has ended";
  EXPECT_EQ(held.members().size(), Attestations::kMembersEachMax);
  EXPECT_FALSE(held.Expire(now_ + 86'400 + 900).empty());
  EXPECT_TRUE(held.own().empty());
}

}  // namespace
}  // namespace aqmesh::node
