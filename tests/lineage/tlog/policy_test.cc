#include "lineage/tlog/policy.h"

#include <gtest/gtest.h>

#include "core/base/status.h"
#include "tests/fuzz/corpus.h"

namespace aqmesh::tlog {
namespace {

crypto::Ed25519Seed Seed(uint8_t byte) { return crypto::Ed25519Seed(Bytes(32, byte)); }
NoteSigner Log(uint8_t seed = 1) {
  return NoteSigner("example.com/log", KeyType::kEd25519, Seed(seed));
}
NoteSigner Witness(uint8_t n) {
  return NoteSigner("example.com/w" + std::to_string(n), KeyType::kCosignature, Seed(n));
}
std::string WitnessLine(const std::string& name, uint8_t n) {
  return "witness " + name + " " + Witness(n).key().Vkey() + "\n";
}
// C2SP's example, with keys.
std::string Example() {
  return "# two levels of groups\nlog " + Log().key().Vkey() + " https://log.example/\n\n" +
         WitnessLine("X1", 11) + WitnessLine("X2", 12) + WitnessLine("X3", 13) +
         "group X-witnesses 2 X1 X2 X3\n" + WitnessLine("Y1", 21) + WitnessLine("Y2", 22) +
         WitnessLine("Y3", 23) +
         " \tgroup  Y-witnesses\tany Y1 Y2 Y3 \n"
         "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n";
}
SignedCheckpoint Head(std::initializer_list<uint8_t> witnesses, const NoteSigner& log = Log()) {
  SignedCheckpoint head = SignCheckpoint({log.key().name, 7, EmptyRoot()}, log);
  for (const uint8_t n : witnesses)
    head.note.lines.push_back(Witness(n).Sign(head.note.text, 1'700'000'000));
  return head;
}

TEST(PolicyTest, WantsTheQuorumOfTheExample) {
  const auto policy = Policy::Parse(Example());
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->logs().size(), 1u);
  EXPECT_EQ(policy->logs()[0].url, "https://log.example/");
  EXPECT_EQ(policy->witnesses().size(), 6u);
  for (const auto& good : {Head({11, 12, 21}), Head({23, 13, 12}), Head({11, 12, 13, 21, 22, 99})})
    EXPECT_TRUE(policy->Accept(good).ok());
  for (const auto& few :
       {Head({}), Head({11, 12}), Head({11, 21}), Head({21, 22, 23}), Head({11, 11, 21})})
    EXPECT_EQ(policy->Accept(few).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_NE(Text(policy->Accept(Head({13, 21}))).find("X3 Y1"), std::string::npos);
}

TEST(PolicyTest, ALogSignsForItselfAlone) {
  const Policy policy = *Policy::Parse("log " + Log().key().Vkey() + "\nquorum none\n");
  EXPECT_TRUE(policy.Accept(Head({})).ok());
  EXPECT_EQ(policy.Accept(Head({}, Log(2))).code(), absl::StatusCode::kUnauthenticated);
  const NoteSigner other("example.com/other", KeyType::kEd25519, Seed(1));
  EXPECT_EQ(policy.Accept(Head({}, other)).code(), absl::StatusCode::kUnauthenticated);
  const Policy strict = *Policy::Parse(Example());
  SignedCheckpoint unsigned_head = Head({11, 12, 21});
  unsigned_head.note.lines.erase(unsigned_head.note.lines.begin());
  EXPECT_EQ(strict.Accept(unsigned_head).code(), absl::StatusCode::kUnauthenticated);
  SignedCheckpoint wrong = Head({11, 12, 21, 22});
  wrong.note.lines.back().signature[9] ^= 1;  // one too many, and forged
  EXPECT_EQ(strict.Accept(wrong).code(), absl::StatusCode::kUnauthenticated);
}

TEST(PolicyTest, RefusesWhatIsNoPolicyAndNamesTheLine) {
  const std::string log = "log " + Log().key().Vkey() + "\n", a = WitnessLine("a", 2);
  struct Case {
    const char* name;
    std::string text;
    const char* says;
  };
  const Case cases[] = {
      {"no quorum", log + a, "no line quorum"},
      {"two quorums", a + "quorum a\nquorum none\n", "line 3"},
      {"unknown quorum", "quorum b\n", "line 1"},
      {"quorum before its witness", "quorum a\n" + a, "line 1"},
      {"unknown word", "logs x\nquorum none\n", "line 1"},
      {"a log twice", log + log + "quorum none\n", "line 2"},
      {"a key twice", a + WitnessLine("b", 2) + "quorum a\n", "line 2"},
      {"a name twice", a + WitnessLine("a", 3) + "quorum a\n", "line 2"},
      {"the name none", WitnessLine("none", 2) + "quorum none\n", "line 1"},
      {"none in a group", a + "group g any none\nquorum g\n", "line 2"},
      {"a group of itself", a + "group g any g\nquorum g\n", "line 2"},
      {"a member twice", a + "group g 2 a a\nquorum g\n", "line 2"},
      {"nobody", a + "group g any\nquorum g\n", "line 2"},
      {"0 of 1", a + "group g 0 a\nquorum g\n", "line 2"},
      {"2 of 1", a + "group g 2 a\nquorum g\n", "line 2"},
      {"01 of 1", a + "group g 01 a\nquorum g\n", "line 2"},
      {"a log's key as a witness", "witness w " + Log().key().Vkey() + "\nquorum w\n", "line 1"},
      {"a witness's key as a log", "log " + Witness(2).key().Vkey() + "\nquorum none\n", "line 1"},
      {"words behind", log + "quorum none x\n", "line 2"},
      {"no last newline", log + "quorum none", "line 2"},
      {"carriage return", "quorum none\r\n", "line 1"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto policy = Policy::Parse(c.text);
    EXPECT_EQ(policy.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(Text(policy.status()).find(c.says), std::string::npos) << policy.status();
  }
  EXPECT_FALSE(Policy::Parse(std::string(kPolicyBytesMax, '\n') + "quorum none\n").ok());
}

TEST(PolicyTest, TheReaderIsTotal) {
  const std::string text = Example();
  const SignedCheckpoint head = Head({11, 12, 21});
  fuzz::Replay({Bytes(text.begin(), text.end())}, [&head](ByteView bytes) {
    const auto policy = Policy::Parse(AsText(bytes));
    if (policy.ok()) (void)policy->Accept(head);
  });
}

}  // namespace
}  // namespace aqmesh::tlog
