#include "lineage/heads.h"

#include "core/authority/codec.h"
#include "lineage/chain.h"
#include "tests/lineage/story.h"
#include "tests/lineage/tlog/slow_tree.h"

namespace aqmesh::lineage {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using tlog::Checkpoint;
using tlog::Edge;
using tlog::SignedCheckpoint;

crypto::Ed25519Seed Seed(uint8_t byte) { return crypto::Ed25519Seed(Bytes(32, byte)); }
Edge EdgeOf(std::span<const Digest> leaves) {
  Edge edge;
  for (const Digest& leaf : leaves) edge.Append(leaf);
  return edge;
}

TEST(HeadNamesTest, ComeFromTheKeysAlone) {  // spec: lineage#7.8
  const tlog::NoteSigner log = LogSigner(Seed(5));
  const tlog::NoteSigner cosigner = CosignerSigner(Seed(2));
  EXPECT_EQ(log.key().name, "aqmesh/1/log/360dc95e6c43b5e510a02ead187f516a");
  EXPECT_EQ(cosigner.key().name, "aqmesh/1/49222af5ee7a8e079fe65dc3f5e738b3");
  EXPECT_EQ(LogNoteKey(crypto::Ed25519Public(Seed(5))), log.key());
  EXPECT_EQ(CosignerNoteKey(crypto::Ed25519Public(Seed(2))), cosigner.key());
  const auto kid = LogOfOrigin(log.key().name);
  ASSERT_TRUE(kid);
  EXPECT_EQ(LogOrigin(*kid), log.key().name);
  for (const char* wrong : {"",
                            "aqmesh/1/log/",
                            "aqmesh/1/log/00",
                            "aqmesh/1/log/360DC95E6C43B5E510A02EAD187F516A",
                            "aqmesh/1/log/360dc95e6c43b5e510a02ead187f516a0",
                            "aqmesh/1/49222af5ee7a8e079fe65dc3f5e738b3",
                            "example.com/log"})
    EXPECT_FALSE(LogOfOrigin(wrong)) << wrong;
}

// The vectors of the spec, computed by another program (Python, from the text of the spec).
TEST(HeadNamesTest, KeysHeadCosignatureAndEdgeAreTheSpecs) {  // spec: lineage#7.8
  const tlog::NoteSigner log = LogSigner(Seed(5)), cosigner = CosignerSigner(Seed(2));
  EXPECT_EQ(log.key().Vkey(),
            "aqmesh/1/log/360dc95e6c43b5e510a02ead187f516a+ad514e79+"
            "AW56HN0psLeP0Tr0xVmP7/TvKpcWbjym8uT7/M2AUFvx");
  EXPECT_EQ(cosigner.key().Vkey(),
            "aqmesh/1/49222af5ee7a8e079fe65dc3f5e738b3+068a7019+"
            "BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU");
  const std::vector<Digest> leaves = tlog::ReferenceLeaves();
  const Edge edge = EdgeOf(std::span(leaves).first(5));
  HeadPen pen(log, std::nullopt, Instant{1s});
  SignedCheckpoint head = pen.Sign(*pen.Begin(edge, Instant{1s}));
  head.note.lines.push_back(cosigner.Sign(head.note.text, 1'700'000'000));
  EXPECT_EQ(
      head.note.Text(),
      "aqmesh/1/log/360dc95e6c43b5e510a02ead187f516a\n5\n"
      "Tju7H3tHjc/nH7YxYxUZo7yhLJrvyhYSv85ME6hiZNQ=\n\n"
      "\u2014 aqmesh/1/log/360dc95e6c43b5e510a02ead187f516a "
      "rVFOeV1HOL13idoNoGfke7dofM0860fjUHJmpAjPyaYaN2UbM3jS44L0tIR0TanCnhOEwKfzcjNrNXMdcJH6+IcJSQc="
      "\n\u2014 aqmesh/1/49222af5ee7a8e079fe65dc3f5e738b3 "
      "BopwGQAAAABlU/EA3qH6XmTLibWeTNeE2eW4C7xtiubXWIj0avzVWnYmNiMF2UhgRhgg+eK/YJdvgWv/"
      "lqTzqguAoIg5O"
      "2H4/hOVDg==\n");
  EXPECT_EQ(ToHex(tlog::NoteOid(head.note.text)),
            "4aaba4c583f1fb426d0c0b78c34634c6f80526ecc97af73d1db9fe30d6615abe");
  Bytes stored;
  edge.AppendTo(stored);
  EXPECT_EQ(
      ToHex(stored),
      "0000000000000005d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7bc1a0643b1"
      "2e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b");
}

class HeadPenTest : public testing::Test {
 protected:
  tlog::NoteSigner log_ = LogSigner(Seed(5));
  std::vector<Digest> leaves_ = tlog::NumberedLeaves(20);
  Instant start_{1000s};
  HeadPen pen_{log_, std::nullopt, start_};
};

TEST_F(HeadPenTest, AHeadIsDueAMinuteAfterTheLastOrWhenEnoughIsNew) {
  EXPECT_EQ(pen_.DueAt(0), kNever);
  EXPECT_EQ(pen_.DueAt(1), start_ + 60s);
  EXPECT_EQ(pen_.DueAt(1023), start_ + 60s);
  EXPECT_EQ(pen_.DueAt(1024), start_);
  ASSERT_TRUE(pen_.Begin(EdgeOf(leaves_), start_ + 5s).ok());
  EXPECT_EQ(pen_.DueAt(20), kNever);
  EXPECT_EQ(pen_.DueAt(21), start_ + 65s);
  EXPECT_EQ(pen_.DueAt(1044), start_ + 5s);
}

TEST_F(HeadPenTest, SignsEachSizeInOneWayOnlyAlsoAfterARestart) {
  auto draft = pen_.Begin(EdgeOf(std::span(leaves_).first(8)), start_);
  ASSERT_TRUE(draft.ok()) << draft.status();
  const Bytes stored = draft->state();
  const SignedCheckpoint head = pen_.Sign(*std::move(draft));
  EXPECT_TRUE(tlog::VerifyNote(head.note, {&log_.key(), 1}).ok());
  EXPECT_EQ(head.checkpoint.root, tlog::SlowRoot(tlog::Leaves(leaves_).first(8)));

  HeadPen again(log_, *HeadPen::ParseState(stored), start_);
  auto same = again.Begin(EdgeOf(std::span(leaves_).first(8)), start_);
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(again.Sign(*std::move(same)), head);
  EXPECT_EQ(again.Begin(EdgeOf(std::span(leaves_).first(7)), start_).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(again.Begin(EdgeOf(tlog::NumberedLeaves(8, 1)), start_).status().code(),
            absl::StatusCode::kDataLoss);
  // A draft that never became durable still binds: it may be on the disk.
  ASSERT_TRUE(again.Begin(EdgeOf(std::span(leaves_).first(12)), start_).ok());
  EXPECT_FALSE(again.Begin(EdgeOf(std::span(leaves_).first(11)), start_).ok());
  EXPECT_TRUE(again.Begin(EdgeOf(std::span(leaves_).first(12)), start_).ok());
  for (size_t n = 0; n < stored.size(); ++n)
    EXPECT_FALSE(HeadPen::ParseState(ByteView(stored).first(n)).ok()) << n;
}

class StartCheckTest : public testing::Test {
 protected:
  SignedCheckpoint Head(std::span<const Digest> leaves) {
    return tlog::SignCheckpoint({log_.key().name, leaves.size(), tlog::SlowRoot(leaves)}, log_);
  }
  // A peer answers a node whose disk has the first ten records.
  StartCheck::Finding Answer(StartCheck& check,
                             uint8_t peer,
                             const std::optional<SignedCheckpoint>& head) {
    const auto finding = check.OnAnswer(Filled<Kid>(peer), head, 10, [this](uint64_t size) {
      return absl::StatusOr<Digest>(tlog::SlowRoot(tlog::Leaves(leaves_).first(size)));
    });
    EXPECT_TRUE(finding.ok()) << finding.status();
    return *finding;
  }
  using Finding = StartCheck::Finding;
  tlog::NoteSigner log_ = LogSigner(Seed(5));
  std::vector<Digest> leaves_ = tlog::NumberedLeaves(20);
};

TEST_F(StartCheckTest, TwoWhoKnowNoMoreAreEnough) {
  StartCheck check(log_.key(), 7);
  EXPECT_EQ(check.finding(), Finding::kAsk);
  EXPECT_EQ(Answer(check, 1, Head(std::span(leaves_).first(8))), Finding::kAsk);
  EXPECT_EQ(Answer(check, 1, Head(std::span(leaves_).first(10))), Finding::kAsk);  // the same peer
  EXPECT_EQ(Answer(check, 2, std::nullopt), Finding::kGoOn);
  // Who comes later may still know better.
  EXPECT_EQ(Answer(check, 3, Head(std::span(leaves_).first(11))), Finding::kNewLog);
}

TEST_F(StartCheckTest, AsksAsManyAsThereAre) {
  EXPECT_EQ(StartCheck(log_.key(), 0).finding(), Finding::kGoOn);
  StartCheck one(log_.key(), 1);
  EXPECT_EQ(one.finding(), Finding::kAsk);
  EXPECT_EQ(Answer(one, 1, std::nullopt), Finding::kGoOn);
}

TEST_F(StartCheckTest, ALongerHeadOrAnotherOneMeansANewLog) {
  StartCheck longer(log_.key(), 2);
  EXPECT_EQ(Answer(longer, 1, Head(std::span(leaves_).first(15))), Finding::kNewLog);
  EXPECT_EQ(Answer(longer, 2, Head(std::span(leaves_).first(12))), Finding::kNewLog);
  EXPECT_EQ(longer.beyond()->checkpoint.size, 15u);
  StartCheck other(log_.key(), 2);
  EXPECT_EQ(Answer(other, 1, Head(tlog::NumberedLeaves(9, 1))), Finding::kNewLog);
  EXPECT_EQ(Answer(other, 2, std::nullopt), Finding::kNewLog);  // final

  const authority::Observe restart = LogRestart(*longer.beyond(), 10);
  Chain chain(Filled<Kid>(0x33));  // the new log's key
  const RecordEntry entry = chain.Add(restart, WallTime::FromSeconds(kStartSeconds));
  const auto record = authority::ParseBody<authority::Observe>(entry.body);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->seq, 0u);
  EXPECT_EQ(record->kind, authority::RecordKind::kLogRestart);
  EXPECT_EQ(record->subject, LogOfOrigin(log_.key().name));
  EXPECT_EQ(record->evidence->bytes, tlog::NoteOid(longer.beyond()->note.text).bytes);
  EXPECT_EQ(record->intent_gen, 15u);
  EXPECT_EQ(record->observed_gen, 10u);
}

TEST_F(StartCheckTest, NobodyCanMakeUsGiveUpALog) {
  StartCheck check(log_.key(), 2);
  SignedCheckpoint forged = Head(std::span(leaves_).first(15));
  forged.note.lines[0].signature[3] ^= 1;
  EXPECT_EQ(Answer(check, 1, forged), Finding::kAsk);
  const tlog::NoteSigner other = LogSigner(Seed(6));
  EXPECT_EQ(
      Answer(check, 2, tlog::SignCheckpoint({other.key().name, 15, tlog::EmptyRoot()}, other)),
      Finding::kAsk);
  EXPECT_EQ(Answer(check, 1, std::nullopt), Finding::kAsk);  // the first answer that counts
  EXPECT_EQ(Answer(check, 2, std::nullopt), Finding::kGoOn);
  const auto broken = check.OnAnswer(Filled<Kid>(3), Head(leaves_), 20, [](uint64_t) {
    return absl::StatusOr<Digest>(DataLoss("a tile"));
  });
  EXPECT_EQ(broken.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(check.finding(), Finding::kGoOn);
}

}  // namespace
}  // namespace aqmesh::lineage
