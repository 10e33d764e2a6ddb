#include "lineage/evidence.h"

#include "core/authority/codec.h"
#include "lineage/heads.h"
#include "lineage/inputs.h"
#include "tests/fuzz/corpus.h"
#include "tests/lineage/story.h"
#include "tests/lineage/tlog/slow_tree.h"

namespace aqmesh::lineage {
namespace {

crypto::Ed25519Seed Seed(uint8_t byte) { return crypto::Ed25519Seed(Bytes(32, byte)); }

// A log of seven records, of which the fifth is told about in court.
class EvidenceTest : public testing::Test {
 protected:
  EvidenceTest() {
    Inputs inputs;
    inputs.wall_millis = 1;
    inputs.mono_nanos = 1;
    inputs.oids = {Filled<Oid>(7)};
    const Bytes encoded = EncodeInputs(inputs);
    Chain chain(*LogOfOrigin(log_.key().name));
    for (uint8_t i = 0; i < 7; ++i) {
      authority::Observe record = Decided(static_cast<uint8_t>(i + 1));
      record.inputs = InputsId(encoded);
      records_.push_back(chain.Add(record, WallTime::FromSeconds(kStartSeconds + i)));
      store_.Append(records_.back().leaf);
    }
    evidence_.record = records_[4].body;
    evidence_.cited = {{Shelf::kSigned, Bytes(90, 3)}, {Shelf::kInputs, encoded}};
    evidence_.proof.index = 4;
    evidence_.proof.hashes = *store_.Newest().Inclusion(4);
    evidence_.proof.head = tlog::SignCheckpoint({log_.key().name, 7, store_.edge().Root()}, log_);
    tlog::Note& note = evidence_.proof.head.note;
    note.lines.push_back(peer_.Sign(note.text, kStartSeconds + 60));
  }
  absl::StatusOr<Proven> Check(const Evidence& evidence) {
    return CheckEvidence(evidence, log_.key().key, {&peer_.key(), 1});
  }

  tlog::NoteSigner log_ = LogSigner(Seed(5)), peer_ = CosignerSigner(Seed(2));
  std::vector<RecordEntry> records_;
  tlog::TileStore store_;
  Evidence evidence_;
};

// What a record commits to is shown to whom its holder wants, and to nobody else.
TEST_F(EvidenceTest, DisclosesWhatItsRecordCommitsToAndNothingElse) {  // spec: lineage#7.7
  Rng rng = SeededRng();
  const ContentKey key = ContentKey::Make(rng);
  const Kid whom = Filled<Kid>(3);
  const Attempts attempts{.rows = {}, .unlisted = 12};
  Bytes value = {kAttemptsContent};
  Append(value, EncodeAttempts(attempts));
  MemStore store;
  Scribe scribe{Chain(*LogOfOrigin(log_.key().name))};
  authority::Observe flow;
  flow.kind = authority::RecordKind::kFlow;
  flow.subject = whom;
  flow.flow = authority::FlowSummary{};
  Batch batch;
  batch.puts.push_back({ContentKeyName(whom), key.Encode()});
  for (int i = 0; i < 2; ++i) {
    const SealedContent sealed = SealContent(key, whom, value, rng);
    flow.commits.push_back(sealed.commit);
    batch.objects.push_back({Shelf::kContent, ContentName(sealed.commit), sealed.bytes});
  }
  batch.records.push_back(scribe.Add(flow));
  ASSERT_TRUE(store.Commit(batch).ok());
  const Content content = *ReadContent(store, flow);
  ASSERT_EQ(content.openings.size(), 2u);
  Evidence e{.record = *store.Read(0), .cited = {}, .proof = {}};
  e.proof.head = tlog::SignCheckpoint({log_.key().name, 1, store.edge().Root()}, log_);
  EXPECT_EQ(Check(e)->content.state, Content::State::kClosed);
  const auto cite = [&e](std::initializer_list<Bytes> openings) {
    e.cited.clear();
    for (const Bytes& o : openings) e.cited.push_back({Shelf::kContent, o});
  };
  cite({content.openings[1]});
  const auto some = Check(*ParseEvidence(e.Text()));
  ASSERT_TRUE(some.ok()) << some.status();
  EXPECT_EQ(some->content.state, Content::State::kOpen);
  EXPECT_EQ(AttemptsIn(some->content)->unlisted, 12u);
  cite({content.openings[0], content.openings[1]});
  EXPECT_EQ(AttemptsIn(Check(e)->content)->unlisted, 24u);
  cite({content.openings[1], content.openings[0]});
  EXPECT_TRUE(absl::IsDataLoss(Check(e).status())) << "not in their order";
  cite({content.openings[0], content.openings[0]});
  EXPECT_TRUE(absl::IsDataLoss(Check(e).status())) << "twice";
  Bytes forged = content.openings[0];
  for (const size_t at : {size_t{0}, size_t{16}, forged.size() - 1}) {
    forged[at] ^= 1;
    cite({forged});
    EXPECT_TRUE(absl::IsDataLoss(Check(e).status())) << at;
    forged[at] ^= 1;
  }
  cite({Bytes(16, 1)});
  EXPECT_TRUE(absl::IsDataLoss(Check(e).status())) << "no more than a salt";
}

TEST_F(EvidenceTest, HoldsByItself) {
  const auto read = ParseEvidence(evidence_.Text());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, evidence_);
  const auto proven = Check(*read);
  ASSERT_TRUE(proven.ok()) << proven.status();
  EXPECT_EQ(proven->leaf, records_[4].leaf);
  EXPECT_EQ(proven->record.subject, Filled<Kid>(5));
  EXPECT_EQ(proven->cosigned, (std::vector<tlog::Signer>{{0, kStartSeconds + 60}}));
  const auto alone = CheckEvidence(*read, log_.key().key, {});
  ASSERT_TRUE(alone.ok()) << alone.status();
  EXPECT_TRUE(alone->cosigned.empty());
}

TEST_F(EvidenceTest, NothingInItMayDifferButWhatNobodySigned) {
  Evidence e = evidence_;
  e.record = records_[3].body;  // another record's text at this place
  EXPECT_EQ(Check(e).status().code(), absl::StatusCode::kUnauthenticated);
  e = evidence_;
  e.proof.index = 3;
  EXPECT_EQ(Check(e).status().code(), absl::StatusCode::kUnauthenticated);
  e = evidence_;
  e.proof.hashes[0].bytes[0] ^= 1;
  EXPECT_EQ(Check(e).status().code(), absl::StatusCode::kUnauthenticated);
  e = evidence_;
  e.proof.head.note.lines[1].signature[20] ^= 1;
  EXPECT_EQ(Check(e).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(CheckEvidence(e, log_.key().key, {}).ok());  // nobody known said it
  e = evidence_;
  e.proof.head.note.lines.erase(e.proof.head.note.lines.begin());  // a cosigner is not the log
  EXPECT_EQ(Check(e).status().code(), absl::StatusCode::kUnauthenticated);
  e = evidence_;
  e.cited[1].bytes[3] ^= 1;
  EXPECT_EQ(Check(e).status().code(), absl::StatusCode::kDataLoss);
  const tlog::NoteSigner other = LogSigner(Seed(6));
  EXPECT_EQ(CheckEvidence(evidence_, other.key().key, {}).status().code(),
            absl::StatusCode::kUnauthenticated);
  // A record of ours in a log that somebody else signs.
  e = evidence_;
  e.proof.head = tlog::SignCheckpoint({other.key().name, 7, store_.edge().Root()}, other);
  EXPECT_FALSE(Check(e).ok());
  EXPECT_FALSE(CheckEvidence(e, other.key().key, {}).ok());
}

TEST_F(EvidenceTest, ARecordThatLiesAtAnotherPlaceThanItSaysIsNoEvidence) {
  tlog::TileStore swapped;
  for (const size_t i : {size_t{0}, size_t{1}, size_t{2}, size_t{4}, size_t{3}})
    swapped.Append(records_[i].leaf);
  Evidence e = evidence_;
  e.proof.index = 3;
  e.proof.hashes = *swapped.Newest().Inclusion(3);
  e.proof.head = tlog::SignCheckpoint({log_.key().name, 5, swapped.edge().Root()}, log_);
  EXPECT_TRUE(tlog::VerifyPath(e.proof, records_[4].leaf).ok());
  EXPECT_EQ(Check(e).status().code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(EvidenceTest, EachBitThatIsFlippedIsRefusedOrIsNotPartOfTheProof) {
  Evidence e = evidence_;
  e.cited = {evidence_.cited[1]};
  const std::string text = e.Text();
  for (size_t n = 0; n < text.size(); ++n) {
    // A cut between two signature lines leaves a note with fewer signatures, and is one.
    const auto read = ParseEvidence(std::string_view(text).substr(0, n));
    EXPECT_TRUE(!read.ok() || Check(*read)->cosigned.empty()) << n;
  }
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    const auto read = ParseEvidence(flipped);
    if (!read.ok()) continue;
    EXPECT_EQ(read->Text(), flipped);
    const auto proven = Check(*read);
    if (!proven.ok()) continue;
    // What is left: the name or id of a cosigner's line, which makes it a stranger's.
    EXPECT_TRUE(proven->cosigned.empty()) << bit;
    EXPECT_EQ(proven->leaf, records_[4].leaf);
  }
}

TEST_F(EvidenceTest, TheReaderIsTotalAndBounded) {
  const std::string text = evidence_.Text();
  fuzz::Replay({Bytes(text.begin(), text.end())}, [this](ByteView bytes) {
    const auto read = ParseEvidence(AsText(bytes));
    if (!read.ok()) return;
    EXPECT_EQ(read->Text(), AsText(bytes));
    (void)Check(*read);
  });
  Evidence many = evidence_;
  many.cited.assign(kCitedMax, evidence_.cited[0]);
  EXPECT_TRUE(ParseEvidence(many.Text()).ok());
  many.cited.push_back(evidence_.cited[0]);
  EXPECT_FALSE(ParseEvidence(many.Text()).ok());
  many.cited = {{Shelf::kSigned, Bytes(kStoredObjectBytesMax + 1, 1)}};
  EXPECT_FALSE(ParseEvidence(many.Text()).ok());
  EXPECT_FALSE(ParseEvidence(std::string(kEvidenceBytesMax + 1, 'x')).ok());
}

}  // namespace
}  // namespace aqmesh::lineage
