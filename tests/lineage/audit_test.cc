// The whole log against what was signed about it.
#include "lineage/audit.h"

#include "tests/lineage/story.h"

namespace aqmesh::lineage {
namespace {

crypto::Ed25519Seed Seed(uint8_t byte) { return crypto::Ed25519Seed(Bytes(32, byte)); }

class AuditTest : public testing::Test {
 protected:
  AuditTest() : log(LogSigner(Seed(5))), witness(CosignerSigner(Seed(2))) {}

  void Grow(size_t records) { ASSERT_TRUE(store.Commit(scribe.NextBatch(records)).ok()); }
  tlog::SignedCheckpoint Head(bool cosigned = true) const {
    auto head = tlog::SignCheckpoint({log.key().name, store.size(), store.edge().Root()}, log);
    if (cosigned) head.note.lines.push_back(witness.Sign(head.note.text, kStartSeconds));
    return head;
  }
  // On the shelf, and in the log.
  void Keep(const tlog::SignedCheckpoint& head) {
    Batch batch;
    const std::string text = head.note.Text();
    const Oid oid = tlog::NoteOid(head.note.text);
    batch.objects.push_back({Shelf::kNote, oid, Bytes(text.begin(), text.end())});
    authority::Observe o;
    o.kind = authority::RecordKind::kCheckpoint;
    o.evidence = Digest{oid.bytes};
    o.intent_gen = head.checkpoint.size;
    batch.records.push_back(scribe.Add(std::move(o)));
    ASSERT_TRUE(store.Commit(batch).ok());
  }
  absl::StatusOr<AuditReport> Audit() const {
    const tlog::NoteKey known = witness.key();
    return AuditLog(store, log.key(), {&known, 1});
  }

  tlog::NoteSigner log, witness;
  MemStore store;
  Scribe scribe;
};

TEST_F(AuditTest, CountsRecordsHeadsAndCosignatures) {
  EXPECT_EQ(Audit()->records, 0u);
  Grow(300);
  Keep(Head());
  Grow(2);
  Keep(Head(false));
  Grow(7);
  const auto report = Audit();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->records, 311u);
  EXPECT_EQ(report->heads, 2u);
  EXPECT_EQ(report->cosignatures, 1u);
  EXPECT_EQ(report->covered, 303u);
}

TEST_F(AuditTest, AHeadOverOtherRecordsIsNamed) {
  Grow(20);
  auto head = Head();
  Keep(head);
  Grow(20);
  tlog::Edge other;
  for (int i = 0; i < 30; ++i) other.Append(Filled<Digest>(1));
  Keep(tlog::SignCheckpoint({log.key().name, 30, other.Root()}, log));
  const auto report = Audit();
  EXPECT_TRUE(absl::IsDataLoss(report.status())) << report.status();
  EXPECT_NE(Text(report.status()).find("30 records"), std::string::npos);
}

TEST_F(AuditTest, ALostTailIsNoticedByTheHeadThatWasSignedOverIt) {
  Grow(20);
  const MemStore then = store;
  Grow(20);
  const auto head = Head();
  store = then;
  scribe = Scribe::After(store);
  Keep(head);
  const auto report = Audit();
  EXPECT_TRUE(absl::IsDataLoss(report.status()));
  EXPECT_NE(Text(report.status()).find("restored from a backup"), std::string::npos);
}

TEST_F(AuditTest, AWrongSignatureOfAKnownKeyIsRefusedAndAStrangersIsPassedOver) {
  Grow(20);
  auto head = Head();
  head.note.lines.push_back(CosignerSigner(Seed(9)).Sign(head.note.text, kStartSeconds));
  Keep(head);
  EXPECT_EQ(Audit()->cosignatures, 1u);
  auto wrong = Head();
  wrong.note.lines[1].signature.back() ^= 1;
  Keep(wrong);
  EXPECT_TRUE(absl::IsUnauthenticated(Audit().status()));
}

TEST_F(AuditTest, TheHeadThatProvesARecordIsTheOneWithTheMostSignatures) {
  Grow(5);
  EXPECT_TRUE(absl::IsNotFound(HeadOver(store, 3, log.key().name).status()));
  Keep(Head(false));
  Grow(5);
  const auto cosigned = Head();
  Keep(cosigned);
  EXPECT_EQ(*HeadOver(store, 3, log.key().name), cosigned);
  EXPECT_EQ(HeadOver(store, 4, log.key().name)->checkpoint.size, cosigned.checkpoint.size);
  EXPECT_TRUE(absl::IsNotFound(HeadOver(store, store.size() - 1, log.key().name).status()));
  EXPECT_TRUE(absl::IsNotFound(HeadOver(store, 3, "aqmesh/1/log/00").status()));
}

}  // namespace
}  // namespace aqmesh::lineage
