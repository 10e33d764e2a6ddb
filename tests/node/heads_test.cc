// Heads: members sign those of their logs and cosign each other's; one whose disk was rolled back
// begins another log instead of a fork.
#include "core/crypto/keys.h"
#include "lineage/held_forks.h"
#include "lineage/history/replay.h"
#include "node/heads/cosigner.h"
#include "tests/node/pair.h"
#include "tests/node/redecided.h"

namespace aqmesh::node {
namespace {

using Kind = authority::RecordKind;

class HeadsTest : public testing::Test {
 protected:
  HeadsTest() {
    for (const char* name : {"a", "b", "c", "d"}) mesh.Add(name);
    for (const auto& to : mesh.nodes) {
      for (const auto& other : mesh.nodes) {
        if (to != other) mesh.Introduce(*to, *other);
      }
    }
    for (const auto& n : mesh.nodes) n->Start();
  }
  TestNode& At(size_t i) { return *mesh.nodes[i]; }
  static tlog::NoteKey LogKey(const TestNode& n) {
    return lineage::LogNoteKey(crypto::Ed25519Public(n.log()));
  }
  // The keys that may stand under a head of `n`: its log's, then its fellows'.
  std::vector<tlog::NoteKey> KeysFor(const TestNode& n) {
    std::vector<tlog::NoteKey> keys = {LogKey(n)};
    for (const auto& other : mesh.nodes) {
      if (other.get() != &n)
        keys.push_back(lineage::CosignerNoteKey(crypto::Ed25519Public(other->identity())));
    }
    return keys;
  }
  // Until a head of `n` longer than `size` has all its cosignatures.
  void PumpUntilCosigned(const TestNode& n, uint64_t size = 0) {
    const auto done = [&] {
      const auto& head = n.control->notary().head();
      return head && head->checkpoint.size > size && n.control->notary().cosigned() == 3;
    };
    for (int i = 0; i < 3'000 && !done(); ++i) mesh.Pump(100ms);
    EXPECT_TRUE(done()) << n.name() << " " << n.control->notary().trouble();
  }
  static bool Said(const TestNode& n, Event::Kind kind) {
    return std::ranges::any_of(n.events, [&](const Event& e) { return e.kind == kind; });
  }
  // The notes on a node's shelf, as checkpoints.
  static std::vector<tlog::SignedCheckpoint> Notes(const TestNode& n) {
    std::vector<tlog::SignedCheckpoint> out;
    EXPECT_TRUE(n.disk
                    .ScanObjects(lineage::Shelf::kNote,
                                 [&](const Oid& oid, ByteView bytes) {
                                   auto note = tlog::ParseCheckpoint(AsText(bytes));
                                   EXPECT_TRUE(note.ok()) << note.status();
                                   EXPECT_EQ(tlog::NoteOid(note->note.text), oid);
                                   out.push_back(*std::move(note));
                                   return true;
                                 })
                    .ok());
    return out;
  }

  Mesh2 mesh;
};

TEST_F(HeadsTest, EachMemberSignsItsHeadsAndThreeCosignThem) {
  mesh.Pump(100s);
  for (const auto& n : mesh.nodes) {
    PumpUntilCosigned(*n);
    const auto& head = n->control->notary().head();
    ASSERT_TRUE(head.has_value()) << n->name() << " " << n->control->notary().trouble();
    const std::vector<tlog::NoteKey> keys = KeysFor(*n);
    const auto signers = tlog::VerifyNote(head->note, keys);
    ASSERT_TRUE(signers.ok()) << signers.status();
    EXPECT_EQ(signers->size(), 4u) << n->name();
    // What was signed is the log on the disk.
    auto prover = n->disk.ProverAt(head->checkpoint.size);
    ASSERT_TRUE(prover.ok()) << prover.status();
    EXPECT_EQ(prover->EdgeAt(head->checkpoint.size)->Root(), head->checkpoint.root);
    // Each head has its record, which cites the note.
    const auto records = n->Records(Kind::kCheckpoint);
    ASSERT_GE(records.size(), 1u);
    const auto note = n->disk.GetObject(lineage::Shelf::kNote, Oid{records[0].evidence->bytes});
    ASSERT_TRUE(note.ok() && note->has_value());
    const auto first = tlog::ParseCheckpoint(AsText(**note));
    EXPECT_EQ(first->checkpoint.size, records[0].intent_gen);
    EXPECT_EQ(tlog::VerifyNote(first->note, keys)->size(), 4u) << "cosignatures are kept";
  }
}

TEST_F(HeadsTest, ARestartGoesOnWithTheSameLogAndKeepsWhatWasGathered) {
  mesh.Pump(100s);
  TestNode& a = At(0);
  const auto before = *a.control->notary().head();
  a.Restart();
  EXPECT_EQ(a.control->notary().head(), before) << "with its cosignatures";
  PumpUntilCosigned(a, before.checkpoint.size);
  const auto& after = a.control->notary().head();
  EXPECT_GT(after->checkpoint.size, before.checkpoint.size);
  EXPECT_EQ(tlog::VerifyNote(after->note, KeysFor(a))->size(), 4u);
  EXPECT_FALSE(Said(a, Event::Kind::kLogBehind));
}

TEST_F(HeadsTest, WhileNobodyHasAnsweredAfterAStartNoHeadIsSigned) {
  mesh.Pump(100s);
  TestNode& a = At(0);
  const uint64_t size = a.control->notary().head()->checkpoint.size;
  for (size_t i = 1; i < 4; ++i) At(i).control.reset();
  a.Restart();
  mesh.Pump(300s);
  EXPECT_EQ(a.control->notary().head()->checkpoint.size, size);
  EXPECT_EQ(a.control->notary().finding(), lineage::StartCheck::Finding::kAsk);
  At(1).Start();
  mesh.Pump(120s);
  EXPECT_EQ(a.control->notary().head()->checkpoint.size, size) << "one answer of the two wanted";
  mesh.Pump(600s);
  EXPECT_GT(a.control->notary().head()->checkpoint.size, size) << "ten minutes on one is enough";
}

TEST_F(HeadsTest, ARolledBackDiskBeginsAnotherLogAndNeverSignsTheOldOne) {
  TestNode& a = At(0);
  mesh.Pump(30s);
  const issuing::Issuer root = mesh.issuer();
  const auto revoke = Must(issuing::MakeRevoke(root.signer,
                                               mesh.scope(),
                                               {.type = authority::RevokeType::kFloor,
                                                .kid = *Kid::From(Bytes(16, 9)),
                                                .oid = {},
                                                .floor = 2},
                                               issuing::Hlc(1'780'000'000'000)));
  mesh.Carry(a, a.Do([&](Outbox& out) {
    EXPECT_TRUE(a.control->Import(a.now, revoke.envelope->bytes(), out).ok());
  }));
  mesh.Pump(60s);
  const lineage::MemStore backup = a.disk;
  const std::string old_origin = LogKey(a).name;
  const Kid old_log = a.control->notary().log();
  mesh.Pump(300s);
  const uint64_t newest = a.control->notary().head()->checkpoint.size;
  const uint64_t had = backup.size();
  a.control.reset();
  a.disk = backup;
  a.Start();
  for (int i = 0; i < 600 && !Said(a, Event::Kind::kLogBehind); ++i) mesh.Pump(100ms);
  ASSERT_TRUE(Said(a, Event::Kind::kLogBehind));
  const uint64_t kept = a.disk.size();
  a.BeginLog();
  EXPECT_TRUE(Said(a, Event::Kind::kLogBegun));
  PumpUntilCosigned(a);
  const auto restart = authority::ParseBody<authority::Observe>(*a.disk.Read(0));
  ASSERT_TRUE(restart.ok()) << restart.status();
  EXPECT_EQ(restart->kind, Kind::kLogRestart);
  EXPECT_EQ(restart->subject, old_log);
  EXPECT_LE(restart->intent_gen, newest);
  EXPECT_GT(restart->intent_gen, had - 1);
  EXPECT_EQ(restart->observed_gen, kept);
  EXPECT_TRUE(a.disk.Verify().ok());
  const auto& head = a.control->notary().head();
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->checkpoint.origin, LogKey(a).name);
  EXPECT_EQ(tlog::VerifyNote(head->note, KeysFor(a))->size(), 4u);
  // Of the old log nothing is signed but what was before the backup, and the head that others held.
  for (const tlog::SignedCheckpoint& note : Notes(a)) {
    if (note.checkpoint.origin != old_origin) continue;
    EXPECT_TRUE(note.checkpoint.size <= had || note.checkpoint.size == restart->intent_gen);
  }
  for (const auto& n : mesh.nodes) EXPECT_FALSE(Said(*n, Event::Kind::kForked));
  // The new log stands by itself: what is in force is in it, and each decision can be made again.
  const auto any_policy = [](const Digest&) { return admission::OpenLocalPolicy(); };
  EXPECT_GE(ExpectRedecided(a, any_policy), 3u);
  const lineage::State state = Must(lineage::StateOf(a.disk, a.disk.size()));
  EXPECT_EQ(a.control->Peers().size(), 3u);
  for (const PeerView& p : a.control->Peers()) {
    EXPECT_TRUE(p.committed);
    ASSERT_NE(state.Find(p.kid), nullptr) << p.name;
    EXPECT_EQ(state.Find(p.kid)->rung(), p.rung) << p.name;
  }
  EXPECT_EQ(state.restrictions().size(), 1u);
  // It cosigned for others since the backup and has forgotten that: it asked before it did again.
  for (size_t i = 1; i < 4; ++i) {
    PumpUntilCosigned(At(i), At(i).control->notary().head()->checkpoint.size);
    const auto heard = a.disk.GetState("heard/" + ToHex(At(i).control->notary().log()));
    EXPECT_TRUE(heard.ok() && heard->has_value());
    EXPECT_EQ(tlog::VerifyNote(At(i).control->notary().head()->note, KeysFor(At(i)))->size(), 4u);
  }
}

TEST_F(HeadsTest, ACrashBetweenTheNewKeyAndTheNewLogFindsItOutAgain) {
  mesh.Pump(90s);
  TestNode& a = At(0);
  const lineage::MemStore backup = a.disk;
  mesh.Pump(200s);
  a.disk = backup;
  a.Restart();
  for (int i = 0; i < 600 && !Said(a, Event::Kind::kLogBehind); ++i) mesh.Pump(100ms);
  ASSERT_TRUE(Said(a, Event::Kind::kLogBehind));
  a.events.clear();
  a.Restart();  // the old key again: nothing of the new log was durable
  for (int i = 0; i < 600 && !Said(a, Event::Kind::kLogBehind); ++i) mesh.Pump(100ms);
  EXPECT_TRUE(Said(a, Event::Kind::kLogBehind));
}

// ---- one witness, and a member that does not play by the rules ----

class CosignerTest : public testing::Test {
 protected:
  CosignerTest()
      : identity(crypto::NewEd25519(keys)),
        owner(crypto::NewEd25519(keys)),
        log(crypto::NewEd25519(keys)),
        from{KidOf(owner), crypto::Ed25519Public(owner)},
        recorder(lineage::Chain(KidOf(identity)), {}),
        letters(Rng(TestSeed(9))),
        cosigner(identity, recorder, letters) {}

  static Kid KidOf(const crypto::Ed25519Seed& seed) {
    return authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(seed));
  }
  Held<authority::Keybind> Bind(const crypto::Ed25519Seed& by, const crypto::Ed25519Seed& key) {
    const issuing::Signer signer(by, seqs);
    return Must(issuing::MakeKeybind(
        signer, scope, {.kind = 2, .key = crypto::Ed25519Public(key)}, now.wall.seconds()));
  }
  // A log whose n-th leaf is n, and a fork of it from `fork` on.
  static tlog::Edge Tree(uint64_t size, uint64_t fork = UINT64_MAX) {
    tlog::Edge edge;
    for (uint64_t i = 0; i < size; ++i) {
      Digest leaf;
      leaf.bytes[0] = static_cast<uint8_t>(i);
      leaf.bytes[1] = i >= fork;
      edge.Append(leaf);
    }
    return edge;
  }
  static tlog::SignedCheckpoint Head(const crypto::Ed25519Seed& key, const tlog::Edge& tree) {
    return tlog::SignCheckpoint({lineage::LogOrigin(KidOf(key)), tree.size(), tree.Root()},
                                lineage::LogSigner(key));
  }
  // Sends a request; what came back: 0 for silence.
  uint16_t Ask(const authority::Signed& keybind, const tlog::AddCheckpoint& add) {
    now.mono += 1s;
    const Bytes whole = frame::EncodeCosign(keybind.bytes(), add.Text());
    last = frame::Drop::kNone;
    for (size_t at = 0; at < whole.size(); at += frame::kObjectPiece) {
      const Bytes body = frame::EncodeObjectPiece(frame::CosignRef(whole), whole, at);
      last = cosigner.OnCosign(
          now, scope, from, {frame::Control::kCosign, 7, body}, [&] { return fellows; });
    }
    std::vector<lineage::Batch> out;
    recorder.Flush(out);
    recorder.OnDurable(durable += out.size());
    recorder.RunDue();
    uint16_t status = 0;
    for (const Letter& letter : letters.Take()) {
      if (letter.kind != frame::Control::kCosigned) continue;
      EXPECT_EQ(letter.request, 7u);
      status = frame::ParseCosigned(letter.body)->status;
    }
    return status;
  }

  Rng keys{TestSeed(8)};
  crypto::Ed25519Seed identity, owner, log;
  issuing::MemorySeqs seqs;
  ScopeId scope = *ScopeId::From(Bytes(16, 7));
  Fellow from;
  std::vector<Fellow> fellows;
  Recorder recorder;
  Letters letters;
  Cosigner cosigner;
  Ticket durable = 0;
  frame::Drop last{};
  Now now{Instant{} + 1000s, WallTime::FromSeconds(1'780'000'000)};
};

TEST_F(CosignerTest, CosignsWhatAppendsAndConvictsWhatForks) {
  const auto bind = Bind(owner, log);
  EXPECT_EQ(Ask(*bind.envelope, {0, {}, Head(log, Tree(5))}), 200);
  EXPECT_EQ(Ask(*bind.envelope, {0, {}, Head(log, Tree(9))}), 409);
  EXPECT_TRUE(cosigner.TakeForks().empty());
  EXPECT_EQ(Ask(*bind.envelope, {5, {}, Head(log, Tree(5, 4))}), 422);
  const auto forks = cosigner.TakeForks();
  ASSERT_EQ(forks.size(), 1u);
  EXPECT_EQ(forks[0].owner, from.kid);
  EXPECT_EQ(forks[0].log, KidOf(log));
  EXPECT_EQ(forks[0].keybind, bind.envelope->bytes()) << "so that others can tell whose it is";
  EXPECT_NE(forks[0].heads[0].checkpoint.root, forks[0].heads[1].checkpoint.root);
  for (const auto& head : forks[0].heads) {
    const tlog::NoteKey key = lineage::LogNoteKey(crypto::Ed25519Public(log));
    EXPECT_TRUE(tlog::VerifyNote(head.note, {&key, 1}).ok());
  }
}

TEST_F(CosignerTest, NeedsAKeybindOfWhoAsksForThisScopeInTime) {
  const auto head = Head(log, Tree(5));
  const crypto::Ed25519Seed stranger = crypto::NewEd25519(keys);
  EXPECT_EQ(Ask(*Bind(stranger, log).envelope, {0, {}, head}), 403);
  const auto good = Bind(owner, log);
  now.wall.nanos += 500ll * 86'400 * 1'000'000'000;
  EXPECT_EQ(Ask(*good.envelope, {0, {}, head}), 403) << "lapsed";
  now.wall.nanos -= 500ll * 86'400 * 1'000'000'000;
  scope = *ScopeId::From(Bytes(16, 8));
  EXPECT_EQ(Ask(*good.envelope, {0, {}, head}), 403) << "of another scope";
  scope = *ScopeId::From(Bytes(16, 7));
  // Another member's log, under one's own keybind.
  const crypto::Ed25519Seed other = crypto::NewEd25519(keys);
  EXPECT_EQ(Ask(*good.envelope, {0, {}, Head(other, Tree(5))}), 404);
  EXPECT_EQ(Ask(*good.envelope, {0, {}, head}), 200);
}

TEST_F(CosignerTest, AMemberHasEightLogsAndASteadyHand) {
  std::vector<crypto::Ed25519Seed> logs;
  for (size_t i = 0; i <= Cosigner::kLogsEachMax; ++i) logs.push_back(crypto::NewEd25519(keys));
  for (size_t i = 0; i < logs.size(); ++i) {
    EXPECT_EQ(Ask(*Bind(owner, logs[i]).envelope, {0, {}, Head(logs[i], Tree(3))}),
              i < Cosigner::kLogsEachMax ? 200 : 404);
  }
  int answered = 0;
  for (int i = 0; i < 10; ++i) {
    now.mono -= 1s;  // all at the instant of the last
    answered += Ask(*Bind(owner, logs[0]).envelope, {3, {}, Head(logs[0], Tree(3))}) != 0;
  }
  EXPECT_EQ(answered, Cosigner::kBurst - 1) << "the last one above was the first";
  EXPECT_EQ(last, frame::Drop::kSourceRate);
}

TEST_F(CosignerTest, AfterARollbackItHearsAnotherMemberFirst) {
  const auto bind = Bind(owner, log);
  const Fellow other{*Kid::From(Bytes(16, 3)), from.key};
  cosigner.OnRolledBack();
  fellows = {from, other};
  EXPECT_EQ(Ask(*bind.envelope, {0, {}, Head(log, Tree(5))}), 503);
  const Bytes note = [&] {
    const std::string text = Head(log, Tree(9)).note.Text();
    return Bytes(text.begin(), text.end());
  }();
  Bytes forged = note;
  forged[forged.size() - 10] ^= 1;
  cosigner.OnNote(now, KidOf(log), forged);
  EXPECT_EQ(Ask(*bind.envelope, {0, {}, Head(log, Tree(5))}), 503) << "that was no answer";
  cosigner.OnNote(now, KidOf(log), note);
  EXPECT_EQ(Ask(*bind.envelope, {0, {}, Head(log, Tree(5))}), 409) << "another saw nine";
  EXPECT_EQ(Ask(*bind.envelope, {9, {}, Head(log, Tree(9, 7))}), 422);
  EXPECT_EQ(cosigner.TakeForks().size(), 1u);
  EXPECT_EQ(Ask(*bind.envelope, {9, {}, Head(log, Tree(9))}), 200);
}

TEST_F(CosignerTest, WithNobodyElseThereItGoesOn) {
  cosigner.OnRolledBack();
  fellows = {from};
  EXPECT_EQ(Ask(*Bind(owner, log).envelope, {0, {}, Head(log, Tree(5))}), 200);
}

TEST_F(CosignerTest, NoiseIsNoRequest) {
  Rng rng(TestSeed(5));
  const auto bind = Bind(owner, log);
  const Bytes good = frame::EncodeCosign(bind.envelope->bytes(),
                                         tlog::AddCheckpoint{0, {}, Head(log, Tree(5))}.Text());
  for (int i = 0; i < 2'000; ++i) {
    Bytes whole = good;
    whole.resize(1 + rng.Below(whole.size()));
    for (uint64_t n = rng.Below(4); n > 0; --n)
      whole[rng.Below(whole.size())] = static_cast<uint8_t>(rng.U32());
    if (whole == good) continue;
    now.mono += 1s;
    const Bytes body = frame::EncodeObjectPiece(frame::CosignRef(whole), whole, 0);
    (void)cosigner.OnCosign(
        now, scope, from, {frame::Control::kCosign, 1, body}, [&] { return fellows; });
    for (const Letter& l : letters.Take()) EXPECT_NE(frame::ParseCosigned(l.body)->status, 200);
  }
}

// ---- a key that signs two statements under one number

TEST(EscalationTest, TheProofIsOnItsShelfAndARecordCitesIt) {
  Mesh2 mesh;
  TestNode& a = mesh.Add("a");
  // A second copy of the root, which knows of no number that is taken, grants c.
  Rng keys(TestSeed(200));  // as Mesh2's
  const crypto::Ed25519Seed root = crypto::NewEd25519(keys);
  issuing::MemorySeqs seqs;
  const issuing::Signer copy(root, seqs);
  const Kid signer = authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(root));
  ASSERT_TRUE(seqs.ReserveExpansion(signer).ok());  // so that c's NODE grant gets a's number
  mesh.nodes.push_back(std::make_unique<TestNode>(uint8_t{9}, "c"));
  TestNode& c = *mesh.nodes.back();
  const auto grants = Must(
      issuing::RootGrants({.signer = copy, .charter = mesh.charter()},
                          {.key = crypto::Ed25519Public(c.identity()), .name = "c", .next_key = {}},
                          Mesh2::t0()));
  for (const auto* object : {mesh.charter().envelope.get(),
                             grants.enroller->envelope.get(),
                             grants.node.envelope.get(),
                             mesh.fragment().envelope.get()})
    c.Hold(*object);
  mesh.Introduce(a, c);
  mesh.Introduce(c, a);
  a.Start();
  c.Start();
  mesh.Pump(30s);
  const auto records = a.Records(Kind::kEscalated);
  ASSERT_GE(records.size(), 1u);
  EXPECT_EQ(records[0].subject, signer);
  const auto proof = a.disk.GetObject(lineage::Shelf::kProof, Oid{records[0].evidence->bytes});
  ASSERT_TRUE(proof.ok() && proof->has_value());
  const auto forks = Must(lineage::HeldForks(a.disk));
  ASSERT_GE(forks.size(), records.size());
  for (const lineage::HeldFork& fork : forks) {
    const auto convicted = lineage::CheckForkProof(fork.proof, mesh.charter());
    ASSERT_TRUE(convicted.ok()) << convicted.status();
    EXPECT_EQ(convicted->signer, signer);
  }
}

TEST(ForkedRestrictionsTest, TwoUnderOneNumberLeaveAProofAndARecordOnce) {
  Mesh2 mesh;
  TestNode& a = mesh.Add("a");
  a.Start();
  Rng keys(TestSeed(200));
  const crypto::Ed25519Seed root = crypto::NewEd25519(keys);  // as Mesh2 makes it
  issuing::MemorySeqs seqs;
  const issuing::Signer copy(root, seqs);
  ASSERT_EQ(copy.kid(), mesh.issuer().signer.kid());
  const auto import = [&](const issuing::Signer& by, uint8_t whom) {
    const auto revoke = Must(issuing::MakeRevoke(by,
                                                 mesh.scope(),
                                                 {.type = authority::RevokeType::kFloor,
                                                  .kid = *Kid::From(Bytes(16, whom)),
                                                  .oid = {},
                                                  .floor = 2},
                                                 issuing::Hlc(1'780'000'000'000)));
    a.Do([&](Outbox& out) { (void)a.control->Import(a.now, revoke.envelope->bytes(), out); });
  };
  import(mesh.issuer().signer, 9);
  EXPECT_TRUE(a.Records(Kind::kEscalated).empty());
  import(copy, 8);
  ASSERT_EQ(a.Records(Kind::kEscalated).size(), 1u);
  const authority::Observe record = a.Records(Kind::kEscalated)[0];
  EXPECT_EQ(record.subject, copy.kid());
  EXPECT_EQ(record.reason, static_cast<uint16_t>(authority::Reason::kEquivocation));
  const auto proof = a.disk.GetObject(lineage::Shelf::kProof, Oid{record.evidence->bytes});
  ASSERT_TRUE(proof.ok() && proof->has_value());
  a.Restart();
  EXPECT_EQ(a.Records(Kind::kEscalated).size(), 1u) << "told again after a restart";
}

}  // namespace
}  // namespace aqmesh::node
