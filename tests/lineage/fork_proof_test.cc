// Forks in court: what convicts a key with nothing but the charter, and all that must not.
#include "lineage/fork_proof.h"

#include "core/authority/restrictions.h"
#include "issuing/issue.h"
#include "lineage/heads.h"
#include "lineage/held_forks.h"
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/fork_targets.h"
#include "tests/lineage/story.h"
#include "tests/lineage/tlog/slow_tree.h"

namespace aqmesh::lineage {
namespace {

using authority::Held;
using authority::Signed;

crypto::Ed25519Seed Seed(uint8_t byte) { return crypto::Ed25519Seed(Bytes(32, byte)); }
Kid KidOf(const crypto::Ed25519Seed& seed) {
  return authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(seed));
}
template <class T>
T Must(absl::StatusOr<T> value) {
  EXPECT_TRUE(value.ok()) << value.status();
  return *std::move(value);
}
template <class T>
Bytes BytesOf(const Held<T>& object) {
  return object.envelope->bytes();
}
Bytes BytesOf(const tlog::SignedCheckpoint& head) {
  const std::string text = head.note.Text();
  return Bytes(text.begin(), text.end());
}

// A mesh of the root, borealis and cygnus. A second set of counters is a second copy of a machine.
class ForkProofTest : public testing::Test {
 protected:
  ForkProofTest() {
    charter_ = Must(issuing::Genesis(
        {.name = "home", .next_key = {}, .now = kStartSeconds, .pool4 = {}, .prefixes = {}},
        root_,
        rng_));
    scope_ = issuing::ScopeOfCharter(charter_);
    const issuing::Signer root(root_, seqs_);
    const issuing::Issuer issuer{.signer = root, .charter = charter_};
    for (auto [seed, name, grants] : {std::tuple(&borealis_, "borealis", &of_borealis_),
                                      std::tuple(&cygnus_, "cygnus", &of_cygnus_)}) {
      *grants = Must(
          issuing::RootGrants(issuer,
                              {.key = crypto::Ed25519Public(*seed), .name = name, .next_key = {}},
                              kStartSeconds));
    }
  }
  Bytes Bind(const crypto::Ed25519Seed& by, const crypto::Ed25519Seed& key, issuing::SeqSource& s) {
    const issuing::Signer signer(by, s);
    return BytesOf(Must(issuing::MakeKeybind(
        signer, scope_, {.kind = 2, .key = crypto::Ed25519Public(key)}, kStartSeconds)));
  }
  // borealis under number 1, twice.
  ForkProof Statements() {
    issuing::MemorySeqs one, other;
    ForkProof p{.kind = ForkKind::kStatements,
                .two = {Bind(borealis_, Seed(21), one), Bind(borealis_, Seed(22), other)}};
    p.cited = {BytesOf(of_borealis_.node)};
    return p;
  }
  Bytes Vote(uint64_t number, uint8_t target, const crypto::Ed25519Seed& by) const {
    authority::Cosign vote{.scope = scope_,
                           .slot = 1,
                           .id = KidOf(root_),
                           .number = number,
                           .target = Filled<Oid>(target),
                           .time = kStartSeconds + target};
    return authority::SignObject(vote, by).bytes();
  }
  tlog::SignedCheckpoint Head(uint64_t size, const Digest& root, uint8_t log = 21) const {
    const tlog::NoteSigner signer = LogSigner(Seed(log));
    return tlog::SignCheckpoint({signer.key().name, size, root}, signer);
  }
  ForkProof Heads() {
    issuing::MemorySeqs seqs;
    ForkProof p{.kind = ForkKind::kHeads,
                .two = {BytesOf(Head(7, Filled<Digest>(1))), BytesOf(Head(7, Filled<Digest>(2)))}};
    p.cited = {BytesOf(of_borealis_.node), Bind(borealis_, Seed(21), seqs)};
    return p;
  }
  // A log of nine whose head of five was of other records.
  ForkProof History() {
    const std::vector<Digest> leaves = tlog::NumberedLeaves(9);
    ForkProof p = Heads();
    p.kind = ForkKind::kHistory;
    p.two = {BytesOf(Head(5, Filled<Digest>(1))), BytesOf(Head(9, tlog::SlowRoot(leaves)))};
    p.root = tlog::SlowRoot(tlog::Leaves(leaves).first(5));
    p.hashes = tlog::SlowSubproof(5, leaves, true);
    return p;
  }
  absl::StatusOr<Convicted> Check(const ForkProof& p) const { return CheckForkProof(p, charter_); }
  void Refuses(const ForkProof& p, std::string_view words) const {
    const auto convicted = Check(p);
    ASSERT_FALSE(convicted.ok()) << words;
    EXPECT_NE(Text(convicted.status()).find(words), std::string::npos) << convicted.status();
  }

  Rng rng_{Rng::Seed{7}};
  crypto::Ed25519Seed root_ = Seed(1), borealis_ = Seed(2), cygnus_ = Seed(3);
  issuing::MemorySeqs seqs_;
  Held<authority::Charter> charter_;
  ScopeId scope_;
  issuing::JoinGrants of_borealis_, of_cygnus_;
};

TEST_F(ForkProofTest, EachKindConvictsAndIsReadAsItWasWritten) {
  ForkProof votes{.kind = ForkKind::kVotes, .two = {Vote(3, 1, borealis_), Vote(3, 2, borealis_)}};
  votes.cited = {BytesOf(of_borealis_.node)};
  for (const ForkProof& p : {Statements(), votes, Heads(), History()}) {
    SCOPED_TRACE(ForkKindName(p.kind));
    const auto read = ParseForkProof(p.Text());
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, p);
    const auto convicted = Check(*read);
    ASSERT_TRUE(convicted.ok()) << convicted.status();
    EXPECT_EQ(convicted->name, "borealis");
    EXPECT_EQ(convicted->signer, KidOf(borealis_));
    ForkProof swapped = p;
    std::swap(swapped.two[0], swapped.two[1]);
    EXPECT_EQ(swapped.Id(), p.Id());
    EXPECT_EQ(Check(swapped).ok(), p.kind != ForkKind::kHistory);
    // Another mesh's charter convicts nobody of this one.
    const auto other = Must(issuing::Genesis(
        {.name = "away", .next_key = {}, .now = kStartSeconds, .pool4 = {}, .prefixes = {}},
        root_,
        rng_));
    EXPECT_FALSE(CheckForkProof(p, other).ok());
    ForkProof bare = p;
    bare.cited.clear();
    EXPECT_FALSE(Check(bare).ok()) << "nothing says whose key it is";
  }
}

TEST_F(ForkProofTest, TheIdOfStatementsIsThatOfTheEnginesProof) {
  const ForkProof p = Statements();
  const Signed a = Must(Signed::Parse(p.two[0])), b = Must(Signed::Parse(p.two[1]));
  EXPECT_EQ(p.Id(), authority::ProveEquivocation(a, b).id);
}

TEST_F(ForkProofTest, AVoterNeedsNoPapers) {
  issuing::MemorySeqs one, other;
  const ForkProof p{.kind = ForkKind::kStatements,
                    .two = {Bind(root_, Seed(21), one), Bind(root_, Seed(22), other)}};
  const auto convicted = Check(p);
  ASSERT_TRUE(convicted.ok()) << convicted.status();
  EXPECT_EQ(convicted->name, "");
  EXPECT_EQ(convicted->signer, KidOf(root_));
}

TEST_F(ForkProofTest, ARotatedKeyIsKnownByItsRotation) {
  // The root's next key, which its charter row commits to, signs twice.
  const crypto::Ed25519Seed next = Seed(9);
  const auto charter = Must(issuing::Genesis(
      {.name = "home",
       .next_key = authority::NextKeyOf(authority::Suite::kEd25519, crypto::Ed25519Public(next)),
       .now = kStartSeconds,
       .pool4 = {},
       .prefixes = {}},
      root_,
      rng_));
  scope_ = issuing::ScopeOfCharter(charter);
  issuing::MemorySeqs one, other;
  ForkProof p{.kind = ForkKind::kStatements,
              .two = {Bind(next, Seed(21), one), Bind(next, Seed(22), other)}};
  EXPECT_FALSE(CheckForkProof(p, charter).ok());
  authority::Rotate rotate{.scope = scope_,
                           .seq = 1,
                           .old = KidOf(root_),
                           .suite = authority::Suite::kEd25519,
                           .key = crypto::Ed25519Public(next),
                           .next_key = {},
                           .hlc = 1,
                           .step = 1,
                           .reason = 1};
  p.cited = {authority::SignObject(rotate, next).bytes()};
  EXPECT_TRUE(CheckForkProof(p, charter).ok()) << CheckForkProof(p, charter).status();
  // To a key that nobody committed to.
  rotate.key = crypto::Ed25519Public(Seed(8));
  ForkProof forged{.kind = ForkKind::kStatements,
                   .two = {Bind(Seed(8), Seed(21), one), Bind(Seed(8), Seed(22), other)}};
  forged.cited = {authority::SignObject(rotate, Seed(8)).bytes()};
  EXPECT_FALSE(CheckForkProof(forged, charter).ok());
}

TEST_F(ForkProofTest, StatementsThatContradictNothingConvictNobody) {
  ForkProof p = Statements();
  p.two[1] = p.two[0];
  Refuses(p, "one statement twice");
  issuing::MemorySeqs seqs;
  p.two = {Bind(borealis_, Seed(21), seqs), Bind(borealis_, Seed(22), seqs)};
  Refuses(p, "numbers differ");
  issuing::MemorySeqs one, other;
  p.two = {Bind(borealis_, Seed(21), one), Bind(cygnus_, Seed(22), other)};
  Refuses(p, "two keys");
  // Number 1 of stream R beside number 1 of stream E.
  issuing::MemorySeqs r;
  const issuing::Signer signer(borealis_, r);
  const Bytes revoke = BytesOf(Must(issuing::MakeRevoke(
      signer,
      scope_,
      {.type = authority::RevokeType::kFloor, .kid = KidOf(cygnus_), .oid = {}, .floor = 2},
      1)));
  p = Statements();
  p.two[1] = revoke;
  Refuses(p, "stream R");
  p.two = {BytesOf(issuing::SelfRevocation(borealis_, scope_, 1)),
           BytesOf(issuing::SelfRevocation(borealis_, scope_, 2))};
  Refuses(p, "more than one last statement");
  p.two = {Vote(3, 1, borealis_), Vote(3, 2, borealis_)};
  Refuses(p, "has no number");
  scope_ = Filled<ScopeId>(9);
  ForkProof away = Statements();
  Refuses(away, "not of this charter's mesh");
}

TEST_F(ForkProofTest, AForgedSignatureConvictsNobody) {
  ForkProof p = Statements();
  for (Bytes& statement : p.two) {
    ForkProof forged = p;
    (&statement == &p.two[0] ? forged.two[0] : forged.two[1]).back() ^= 1;
    Refuses(forged, "signature");
  }
  // A third party writes both in borealis's name.
  const Signed honest = Must(Signed::Parse(p.two[0]));
  Bytes stolen = p.two[1];
  const Signed by_cygnus = authority::Sign(authority::Ctx::kKeybind, honest.body(), cygnus_);
  std::ranges::copy(by_cygnus.sig(), stolen.end() - 64);
  p.two[1] = stolen;
  Refuses(p, "signature");
  // And with a grant that nobody of the charter signed.
  issuing::MemorySeqs seqs, one, other;
  const auto seed = Seed(66);  // a signer borrows it
  const issuing::Signer thief(seed, seqs);
  const auto own = Must(issuing::Genesis(
      {.name = "home", .next_key = {}, .now = kStartSeconds, .pool4 = {}, .prefixes = {}},
      Seed(66),
      rng_));
  const auto grants = Must(issuing::RootGrants(
      {.signer = thief, .charter = own},
      {.key = crypto::Ed25519Public(Seed(67)), .name = "borealis", .next_key = {}},
      kStartSeconds));
  p = {.kind = ForkKind::kStatements,
       .two = {Bind(Seed(67), Seed(21), one), Bind(Seed(67), Seed(22), other)},
       .cited = {BytesOf(grants.node), BytesOf(own)}};
  Refuses(p, "says whose key");
}

TEST_F(ForkProofTest, VotesInTwoSlotsOrForOneTargetConvictNobody) {
  ForkProof p{.kind = ForkKind::kVotes, .two = {Vote(3, 1, borealis_), Vote(4, 2, borealis_)}};
  p.cited = {BytesOf(of_borealis_.node)};
  Refuses(p, "two slots");
  authority::Cosign again{.scope = scope_,
                          .slot = 1,
                          .id = KidOf(root_),
                          .number = 3,
                          .target = Filled<Oid>(1),
                          .time = kStartSeconds + 77};
  p.two[1] = authority::SignObject(again, borealis_).bytes();
  Refuses(p, "both votes are for");
  p.two[1] = Vote(3, 2, cygnus_);
  Refuses(p, "two keys");
  p.two[1] = Bind(borealis_, Seed(21), seqs_);
  EXPECT_FALSE(Check(p).ok());
}

TEST_F(ForkProofTest, HeadsThatAgreeConvictNobody) {
  ForkProof p = Heads();
  p.two[1] = p.two[0];
  Refuses(p, "say the same");
  p.two[1] = BytesOf(Head(8, Filled<Digest>(2)));
  Refuses(p, "of 7 and of 8");
  p.two[1] = BytesOf(Head(7, Filled<Digest>(2), 22));
  Refuses(p, "two logs");
  // Signed by nobody, or by another log in its name.
  tlog::SignedCheckpoint forged = Head(7, Filled<Digest>(2));
  forged.note.lines[0].signature[5] ^= 1;
  p.two[1] = BytesOf(forged);
  EXPECT_FALSE(Check(p).ok());
  const tlog::NoteSigner in_its_name(
      Head(7, {}).checkpoint.origin, tlog::KeyType::kEd25519, Seed(22));
  forged = tlog::SignCheckpoint({in_its_name.key().name, 7, Filled<Digest>(2)}, in_its_name);
  p.two[1] = BytesOf(forged);
  EXPECT_FALSE(Check(p).ok());
  // Of a log that another member, or a stranger, says is its own.
  p = Heads();
  issuing::MemorySeqs seqs;
  p.cited[1] = Bind(Seed(66), Seed(21), seqs);
  Refuses(p, "whose log");
  p.cited[1].clear();
  p.cited.pop_back();
  Refuses(p, "whose log");
}

TEST_F(ForkProofTest, WhoCosignedBothHeadsIsNamed) {
  ForkProof p = Heads();
  const tlog::NoteSigner both = CosignerSigner(cygnus_), one = CosignerSigner(borealis_);
  tlog::SignedCheckpoint heads[2] = {Head(7, Filled<Digest>(1)), Head(7, Filled<Digest>(2))};
  for (tlog::SignedCheckpoint& head : heads)
    head.note.lines.push_back(both.Sign(head.note.text, kStartSeconds));
  heads[0].note.lines.push_back(one.Sign(heads[0].note.text, kStartSeconds));
  // borealis's line under the second is the one of the first.
  heads[1].note.lines.push_back(heads[0].note.lines.back());
  p.two = {BytesOf(heads[0]), BytesOf(heads[1])};
  p.cited.push_back(BytesOf(of_cygnus_.node));
  const auto convicted = Check(p);
  ASSERT_TRUE(convicted.ok()) << convicted.status();
  EXPECT_EQ(convicted->cosigners, std::vector<std::string>{"cygnus"});
}

TEST_F(ForkProofTest, AHistoryThatLeadsThereConvictsNobody) {
  ForkProof p = History();
  p.two[0] = BytesOf(Head(5, p.root));
  Refuses(p, "begins as the shorter one says");
  p = History();
  p.root = Filled<Digest>(3);  // a beginning that the longer head has not
  EXPECT_FALSE(Check(p).ok());
  p = History();
  p.hashes.pop_back();
  EXPECT_FALSE(Check(p).ok());
  p = History();
  p.two[0] = BytesOf(Head(9, Filled<Digest>(1)));
  Refuses(p, "of 9 records, the second of 9");
  p.two[0] = BytesOf(Head(0, Filled<Digest>(1)));
  EXPECT_FALSE(Check(p).ok());
}

TEST_F(ForkProofTest, EachBitThatIsFlippedIsRefusedOrSaysTheSame) {
  for (const ForkProof& p : {Statements(), History()}) {
    const std::string text = p.Text();
    for (size_t bit = 0; bit < 8 * text.size(); bit += 29) {  // a signature is 40 us
      std::string flipped = text;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
      const auto read = ParseForkProof(flipped);
      if (!read.ok()) continue;
      EXPECT_EQ(read->Text(), flipped);
      const auto convicted = Check(*read);
      if (convicted.ok()) {
        EXPECT_EQ(convicted->signer, KidOf(borealis_)) << bit;
      }
    }
  }
}

TEST_F(ForkProofTest, TheReaderIsTotalAndBounded) {
  std::vector<Bytes> seeds;
  for (const ForkProof& p : {Statements(), Heads(), History()}) {
    const std::string text = p.Text();
    seeds.emplace_back(text.begin(), text.end());
  }
  seeds.push_back(BytesOf(charter_));
  fuzz::Replay(seeds, fuzz::FuzzFork, 60);
  ForkProof many = Statements();
  many.cited.assign(kForkCitedMax, many.cited[0]);
  EXPECT_TRUE(ParseForkProof(many.Text()).ok());
  many.cited.push_back(many.cited[0]);
  EXPECT_FALSE(ParseForkProof(many.Text()).ok());
  ForkProof large = Statements();
  large.two[0] = Bytes(authority::kObjectBytesMax + 1, 1);
  EXPECT_FALSE(ParseForkProof(large.Text()).ok());
  ForkProof long_proof = History();
  long_proof.hashes.assign(tlog::kProofHashesMax + 1, Digest{});
  EXPECT_FALSE(ParseForkProof(long_proof.Text()).ok());
  EXPECT_FALSE(ParseForkProof(std::string(kForkBytesMax + 1, 'x')).ok());
}

// ---- what a store holds

TEST_F(ForkProofTest, AStoreGivesOutEachForkOnce) {
  MemStore store;
  EXPECT_TRUE(Must(HeldForks(store)).empty());
  const ForkProof statements = Statements(), heads = Heads();
  const Signed a = Must(Signed::Parse(statements.two[0])),
               b = Must(Signed::Parse(statements.two[1]));
  const authority::Equivocation kept = authority::ProveEquivocation(a, b);
  Batch batch;
  batch.puts.push_back({"proof/" + ToHex(kept.id), kept.proof});
  batch.objects.push_back({Shelf::kProof, Oid{kept.id.bytes}, kept.proof});
  const auto put = [&batch](const Bytes& bytes) {
    const Signed s = *Signed::Parse(bytes);
    batch.objects.push_back({Shelf::kSigned, s.oid(), s.bytes()});
  };
  put(Vote(3, 1, borealis_)), put(Vote(3, 2, borealis_)), put(Vote(4, 1, borealis_));
  issuing::MemorySeqs one, other;
  for (auto* seqs : {&one, &other}) {  // stream R: both statements restrict, both are kept
    const issuing::Signer signer(cygnus_, *seqs);
    put(BytesOf(Must(issuing::MakeRevoke(signer,
                                         scope_,
                                         {.type = authority::RevokeType::kFloor,
                                          .kid = KidOf(borealis_),
                                          .oid = {},
                                          .floor = seqs == &one ? 2u : 3u},
                                         1))));
  }
  put(BytesOf(issuing::SelfRevocation(borealis_, scope_, 1)));
  put(BytesOf(issuing::SelfRevocation(borealis_, scope_, 2)));
  for (const Bytes& note : {heads.two[0], heads.two[1], BytesOf(Head(8, Filled<Digest>(1)))}) {
    const auto head = *tlog::ParseCheckpoint(AsText(note));
    batch.objects.push_back({Shelf::kNote, tlog::NoteOid(head.note.text), note});
  }
  ASSERT_TRUE(store.Commit(batch).ok());
  std::map<ForkKind, int> kinds;
  bool has_kept = false;
  for (const HeldFork& fork : Must(HeldForks(store))) {
    ++kinds[fork.proof.kind];
    has_kept |= fork.id == kept.id;
    ForkProof whole = fork.proof;
    whole.cited = heads.cited;
    whole.cited.push_back(BytesOf(of_cygnus_.node));
    EXPECT_TRUE(Check(whole).ok()) << ForkKindName(whole.kind) << " " << Check(whole).status();
  }
  EXPECT_TRUE(has_kept);
  EXPECT_EQ(kinds,
            (std::map<ForkKind, int>{
                {ForkKind::kStatements, 2}, {ForkKind::kVotes, 1}, {ForkKind::kHeads, 1}}));
  Batch rotten;
  rotten.puts.push_back({"proof/00", Bytes(kept.proof.begin(), kept.proof.end() - 1)});
  ASSERT_TRUE(store.Commit(rotten).ok());
  EXPECT_EQ(HeldForks(store).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ForkProofTest, AHeadFromElsewhereIsHeldAgainstWhatIsKnown) {
  MemStore store;
  Scribe scribe{Chain(KidOf(Seed(21)))};
  ASSERT_TRUE(store.Commit(scribe.NextBatch(9)).ok());
  Batch batch;
  const tlog::SignedCheckpoint newest = Head(9, store.edge().Root());
  batch.objects.push_back({Shelf::kNote, tlog::NoteOid(newest.note.text), BytesOf(newest)});
  ASSERT_TRUE(store.Commit(batch).ok());
  const auto with = [&](uint64_t size, const Digest& root, uint8_t log = 21) {
    return ForkWith(store, Head(size, root, log));
  };
  auto prover = Must(store.ProverAt(9));
  EXPECT_TRUE(absl::IsNotFound(with(9, store.edge().Root()).status()));
  EXPECT_TRUE(absl::IsNotFound(with(5, prover.EdgeAt(5)->Root()).status())) << "it leads here";
  EXPECT_TRUE(absl::IsNotFound(with(12, Filled<Digest>(1)).status())) << "of what is not here";
  EXPECT_TRUE(absl::IsNotFound(with(5, Filled<Digest>(1), 22).status())) << "another log";
  const ForkProof heads = Heads();
  for (const auto& [size, kind] :
       {std::pair(uint64_t{9}, ForkKind::kHeads), std::pair(uint64_t{5}, ForkKind::kHistory)}) {
    HeldFork fork = Must(with(size, Filled<Digest>(1)));
    EXPECT_EQ(fork.proof.kind, kind);
    fork.proof.cited = heads.cited;
    EXPECT_TRUE(Check(fork.proof).ok()) << Check(fork.proof).status();
  }
}

}  // namespace
}  // namespace aqmesh::lineage
