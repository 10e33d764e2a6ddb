#include "lineage/tlog/witness.h"

#include <gtest/gtest.h>

#include "core/base/status.h"
#include "tests/lineage/tlog/slow_tree.h"

namespace aqmesh::tlog {
namespace {

const WallTime kNow = WallTime::FromSeconds(1'700'000'000);
constexpr const char* kOrigin = "example.com/log";

crypto::Ed25519Seed Seed(uint8_t byte) { return crypto::Ed25519Seed(Bytes(32, byte)); }

// A log that grows, a witness, and the disk between them.
class WitnessTest : public testing::Test {
 protected:
  WitnessTest() {
    leaves_ = NumberedLeaves(40);
    EXPECT_TRUE(witness_.Trust(kOrigin, {log_.key()}).ok());
  }
  SignedCheckpoint HeadOf(Leaves leaves) {
    return SignCheckpoint({kOrigin, leaves.size(), SlowRoot(leaves)}, log_);
  }
  AddCheckpoint Request(uint64_t old_size, size_t size) {
    return RequestOf(old_size, Leaves(leaves_).first(size));
  }
  AddCheckpoint RequestOf(uint64_t old_size, Leaves leaves) {
    AddCheckpoint request{old_size, {}, HeadOf(leaves)};
    if (old_size > 0 && old_size <= leaves.size())
      request.proof = SlowSubproof(old_size, leaves, true);
    return request;
  }
  WitnessAnswer Ask(std::string_view body, WallTime now = kNow) {
    auto judged = witness_.Judge(body, now);
    if (auto* answer = std::get_if<WitnessAnswer>(&judged)) return *answer;
    auto& grant = std::get<Witness::Grant>(judged);
    disk_[grant.origin()] = grant.record();
    return witness_.Release(std::move(grant));
  }
  WitnessAnswer Ask(const AddCheckpoint& request) { return Ask(request.Text()); }
  WitnessStatus Status(const AddCheckpoint& request) { return Ask(request).status; }
  // The cosignature holds over that head.
  void ExpectCosigned(const WitnessAnswer& answer, SignedCheckpoint head) {
    EXPECT_EQ(answer.status, WitnessStatus::kCosigned) << answer.why;
    const auto taken = TakeCosignatures(answer.body, {&signer_.key(), 1}, head);
    ASSERT_TRUE(taken.ok()) << taken.status();
    EXPECT_EQ(*taken, 1u);
  }

  NoteSigner log_{kOrigin, KeyType::kEd25519, Seed(1)};
  NoteSigner signer_{"example.com/w", KeyType::kCosignature, Seed(2)};
  Witness witness_{signer_};
  std::map<std::string, Bytes> disk_;
  std::vector<Digest> leaves_;
};

TEST_F(WitnessTest, CosignsALogAsItGrows) {
  uint64_t old_size = 0;
  for (const size_t size : std::array<size_t, 9>{1, 2, 3, 7, 8, 9, 32, 33, 40}) {
    ExpectCosigned(Ask(Request(old_size, size)), HeadOf(Leaves(leaves_).first(size)));
    old_size = size;
  }
  // The same head again is cosigned again, with a newer time.
  const WitnessAnswer again = Ask(Request(40, 40).Text(), WallTime::FromSeconds(1'700'000'060));
  ExpectCosigned(again, HeadOf(leaves_));
  EXPECT_EQ(LoadBe<uint64_t>(ParseNoteLines(again.body)->front().signature.data()), 1'700'000'060u);
}

TEST_F(WitnessTest, AnEmptyLogIsCosignedWithItsOneRoot) {
  EXPECT_EQ(Status(Request(0, 0)), WitnessStatus::kCosigned);
  AddCheckpoint wrong = Request(0, 0);
  wrong.head = SignCheckpoint({kOrigin, 0, leaves_[0]}, log_);
  EXPECT_EQ(Status(wrong), WitnessStatus::kRefused);
  EXPECT_EQ(Status(Request(0, 5)), WitnessStatus::kCosigned);
}

TEST_F(WitnessTest, EveryRefusalHasTheStatusOfTheSpec) {
  AddCheckpoint needless = Request(0, 8);
  needless.proof = {leaves_[0]};
  EXPECT_EQ(Status(needless), WitnessStatus::kRefused);
  ASSERT_EQ(Status(Request(0, 8)), WitnessStatus::kCosigned);
  const WitnessAnswer conflict = Ask(Request(5, 9));
  EXPECT_EQ(conflict.status, WitnessStatus::kConflict);
  EXPECT_EQ(conflict.body, "8\n");
  EXPECT_EQ(conflict.content_type, "text/x.tlog.size");
  EXPECT_EQ(Ask(Request(0, 9)).body, "8\n");  // what a client that knows nothing asks
  EXPECT_EQ(Status(Request(0, 3)), WitnessStatus::kConflict);   // a shorter head
  EXPECT_EQ(Status(Request(8, 3)), WitnessStatus::kMalformed);  // old above new
  EXPECT_EQ(Status(Request(9, 12)), WitnessStatus::kConflict);

  AddCheckpoint r = Request(8, 12);
  r.proof.back() = leaves_[0];
  EXPECT_EQ(Status(r), WitnessStatus::kRefused);
  r.proof.clear();
  EXPECT_EQ(Status(r), WitnessStatus::kRefused);

  r = Request(8, 12);
  r.head.note.lines[0].signature[0] ^= 1;
  EXPECT_EQ(Status(r), WitnessStatus::kNotSigned);
  const NoteSigner stranger(kOrigin, KeyType::kEd25519, Seed(9));
  r = Request(8, 12);
  r.head = SignCheckpoint(r.head.checkpoint, stranger);
  EXPECT_EQ(Status(r), WitnessStatus::kNotSigned);
  // A bad line of a trusted key beside a good one.
  r = Request(8, 12);
  r.head.note.lines.push_back(log_.Sign("something else\n", 0));
  EXPECT_EQ(Status(r), WitnessStatus::kNotSigned);

  const NoteSigner other("example.com/other", KeyType::kEd25519, Seed(1));
  r.head = SignCheckpoint({"example.com/other", 12, SlowRoot(Leaves(leaves_).first(12))}, other);
  EXPECT_EQ(Status(r), WitnessStatus::kUnknownOrigin);
  EXPECT_EQ(Ask("").status, WitnessStatus::kMalformed);
  EXPECT_EQ(Ask(Request(8, 12).Text(), WallTime{}).status, WitnessStatus::kNoClock);
  // None of these moved anything.
  EXPECT_EQ(Ask(Request(1, 12)).body, "8\n");
  ExpectCosigned(Ask(Request(8, 12)), HeadOf(Leaves(leaves_).first(12)));
}

TEST_F(WitnessTest, AForkIsRefusedAndConvicted) {
  ASSERT_EQ(Status(Request(0, 8)), WitnessStatus::kCosigned);
  const std::vector<Digest> fork = NumberedLeaves(8, 1);
  const WitnessAnswer same_size = Ask(RequestOf(8, fork));
  EXPECT_EQ(same_size.status, WitnessStatus::kRefused);
  ASSERT_TRUE(same_size.equivocation);
  const auto& [ours, theirs] = *same_size.equivocation;
  EXPECT_EQ(ours.checkpoint.size, theirs.checkpoint.size);
  EXPECT_NE(ours.checkpoint.root, theirs.checkpoint.root);
  for (const SignedCheckpoint& head : {ours, theirs})
    EXPECT_TRUE(VerifyNote(head.note, {&log_.key(), 1}).ok());
  // Also when the request is refused for another reason.
  const WitnessAnswer conflict = Ask(RequestOf(3, fork));
  EXPECT_EQ(conflict.status, WitnessStatus::kConflict);
  EXPECT_TRUE(conflict.equivocation);
  // A fork that grew has no proof from what was cosigned: with its own it leads to another old
  // root.
  std::vector<Digest> grown = fork;
  grown.insert(grown.end(), leaves_.begin() + 8, leaves_.begin() + 12);
  const WitnessAnswer longer = Ask(RequestOf(8, grown));
  EXPECT_EQ(longer.status, WitnessStatus::kRefused);
  EXPECT_FALSE(longer.equivocation);
  EXPECT_FALSE(Ask(RequestOf(8, Leaves(leaves_).first(8))).equivocation);
}

TEST_F(WitnessTest, TwoThatRaceAreNeverBothGranted) {
  ASSERT_EQ(Status(Request(0, 8)), WitnessStatus::kCosigned);
  auto first = witness_.Judge(Request(8, 12).Text(), kNow);  // not yet durable
  ASSERT_TRUE(std::holds_alternative<Witness::Grant>(first));
  const WitnessAnswer second = Ask(Request(8, 20));
  EXPECT_EQ(second.status, WitnessStatus::kConflict);
  EXPECT_EQ(second.body, "12\n");
  EXPECT_EQ(witness_.Latest(kOrigin)->checkpoint.size,
            8u);  // nothing is shown before it is durable
  ExpectCosigned(witness_.Release(std::move(std::get<Witness::Grant>(first))),
                 HeadOf(Leaves(leaves_).first(12)));
  EXPECT_EQ(witness_.Latest(kOrigin)->checkpoint.size, 12u);
  // Had it not become durable, the log would have gone on from 12 all the same.
  auto lost = witness_.Judge(Request(12, 13).Text(), kNow);
  ASSERT_TRUE(std::holds_alternative<Witness::Grant>(lost));
  ExpectCosigned(Ask(Request(13, 20)), HeadOf(Leaves(leaves_).first(20)));
}

TEST_F(WitnessTest, ARestartKnowsWhatWasCosignedAndSignsItTheSame) {
  AddCheckpoint request = Request(0, 8);
  request.head.note.lines.push_back({"example.com/stranger", 5, Bytes(5000, 1)});
  const WitnessAnswer before = Ask(request);
  ASSERT_EQ(before.status, WitnessStatus::kCosigned);
  EXPECT_LT(disk_[kOrigin].size(), 400u);  // strangers' lines are not ours to keep
  Witness again(signer_);
  auto stored = Witnessed::Parse(disk_[kOrigin]);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->Encode(), disk_[kOrigin]);
  ASSERT_TRUE(again.Restore(*stored).ok());
  ASSERT_TRUE(again.Trust(kOrigin, {log_.key()}).ok());
  const auto latest = again.Latest(kOrigin);
  ASSERT_TRUE(latest);
  EXPECT_TRUE(latest->note.Text().ends_with(before.body));
  EXPECT_EQ(std::get<WitnessAnswer>(again.Judge(Request(0, 9).Text(), kNow)).body, "8\n");
  EXPECT_EQ(again.Latest("example.com/other"), std::nullopt);
  for (size_t n = 0; n < disk_[kOrigin].size(); ++n)
    EXPECT_FALSE(Witnessed::Parse(ByteView(disk_[kOrigin]).first(n)).ok()) << n;
  ASSERT_EQ(Status(Request(8, 9)), WitnessStatus::kCosigned);
  EXPECT_EQ(witness_.Restore(*stored).code(), absl::StatusCode::kDataLoss);
}

TEST_F(WitnessTest, TrustEndsAndGoesOnWhereItStopped) {
  ASSERT_EQ(Status(Request(0, 8)), WitnessStatus::kCosigned);
  ASSERT_TRUE(witness_.Trust(kOrigin, {}).ok());
  EXPECT_EQ(Status(Request(8, 9)), WitnessStatus::kUnknownOrigin);
  const NoteSigner next(kOrigin, KeyType::kEd25519, Seed(5));
  ASSERT_TRUE(witness_.Trust(kOrigin, {log_.key(), next.key()}).ok());
  AddCheckpoint request = Request(8, 9);
  request.head = SignCheckpoint(request.head.checkpoint, next);
  EXPECT_EQ(Ask(request).status, WitnessStatus::kCosigned);
  EXPECT_EQ(Ask(Request(8, 10)).body, "9\n");
  EXPECT_FALSE(witness_.Trust(kOrigin, {signer_.key()}).ok());  // a cosigner's key signs no heads
  EXPECT_FALSE(witness_.Trust(kOrigin, std::vector<NoteKey>(9, log_.key())).ok());
}

TEST_F(WitnessTest, RequestsHaveOneSpelling) {
  const AddCheckpoint request = Request(8, 12);
  const std::string body = request.Text();
  EXPECT_EQ(*ParseAddCheckpoint(body), request);
  for (size_t n = 0; n < body.size(); ++n)
    EXPECT_FALSE(ParseAddCheckpoint(std::string_view(body).substr(0, n)).ok()) << n;
  ASSERT_EQ(Status(Request(0, 8)), WitnessStatus::kCosigned);
  for (size_t bit = 0; bit < 8 * body.size(); ++bit) {
    std::string flipped = body;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    const auto parsed = ParseAddCheckpoint(flipped);
    EXPECT_TRUE(!parsed.ok() || parsed->Text() == flipped) << flipped;
    EXPECT_NE(Ask(flipped).status, WitnessStatus::kCosigned) << flipped;
  }
  EXPECT_TRUE(ParseAddCheckpoint("old 0\n\n" + request.head.note.Text()).ok());
  AddCheckpoint long_proof = request;
  long_proof.proof.assign(63, leaves_[0]);
  EXPECT_TRUE(ParseAddCheckpoint(long_proof.Text()).ok());
  long_proof.proof.push_back(leaves_[0]);
  EXPECT_FALSE(ParseAddCheckpoint(long_proof.Text()).ok());
  for (const std::string& wrong : {"old 08\n\n" + request.head.note.Text(),
                                   "old\n\n" + request.head.note.Text(),
                                   "Old 8\n\n" + request.head.note.Text(),
                                   "old 8\r\n\n" + request.head.note.Text(),
                                   "old 8\n" + request.head.note.Text(),
                                   "old 8\nAAAA\n\n" + request.head.note.Text()})
    EXPECT_FALSE(ParseAddCheckpoint(wrong).ok()) << wrong;
}

TEST_F(WitnessTest, ItsTableIsBounded) {
  Witness full(signer_);
  for (size_t i = 0; i < Witness::kOriginsMax; ++i)
    ASSERT_TRUE(full.Trust("example.com/" + std::to_string(i), {log_.key()}).ok());
  EXPECT_EQ(full.Trust(kOrigin, {log_.key()}).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(full.Trust("example.com/7", {log_.key()}).ok());
  EXPECT_EQ(full.Restore({1, HeadOf(leaves_)}).code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace aqmesh::tlog
