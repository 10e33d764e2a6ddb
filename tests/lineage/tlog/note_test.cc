#include "lineage/tlog/note.h"

#include <gtest/gtest.h>

#include "core/base/status.h"
#include "lineage/tlog/checkpoint.h"
#include "lineage/tlog/text.h"
#include "lineage/tlog/tree.h"

namespace aqmesh::tlog {
namespace {

// C2SP signed-note's example.
constexpr std::string_view kVkey =
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
constexpr std::string_view kNote =
    "This is an example message.\n\n\u2014 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
    "\n";
// tlog-cosignature's example of a note, whose keys are not published.
constexpr std::string_view kSeaside =
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\u2014 witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/"
    "zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkB"
    "IfZ+qnA==\n";

crypto::Ed25519Seed Seed(uint8_t byte) { return crypto::Ed25519Seed(Bytes(32, byte)); }
NoteSigner Log() { return NoteSigner("example.com/log", KeyType::kEd25519, Seed(1)); }
NoteSigner Peer(uint8_t n) {
  return NoteSigner("example.com/w" + std::to_string(n), KeyType::kCosignature, Seed(n));
}

TEST(NoteTest, OpensTheExampleOfTheSpec) {
  const auto key = NoteKey::Parse(kVkey);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->name, "example.com/foo");
  EXPECT_EQ(key->id(), 0x530d903au);
  EXPECT_EQ(key->Vkey(), kVkey);
  const auto note = ParseNote(kNote);
  ASSERT_TRUE(note.ok()) << note.status();
  EXPECT_EQ(note->text, "This is an example message.\n");
  EXPECT_EQ(note->Text(), kNote);
  const auto signers = VerifyNote(*note, {&*key, 1});
  ASSERT_TRUE(signers.ok()) << signers.status();
  EXPECT_EQ(*signers, (std::vector<Signer>{{0, 0}}));
}

TEST(NoteTest, NoBitOfTheExampleMayDiffer) {
  const NoteKey key = *NoteKey::Parse(kVkey);
  for (size_t n = 0; n < kNote.size(); ++n) EXPECT_FALSE(ParseNote(kNote.substr(0, n)).ok()) << n;
  for (size_t bit = 0; bit < 8 * kNote.size(); ++bit) {
    std::string flipped(kNote);
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    const auto note = ParseNote(flipped);
    if (!note.ok()) continue;
    EXPECT_EQ(note->Text(), flipped);
    EXPECT_FALSE(VerifyNote(*note, {&key, 1}).ok()) << bit;
  }
}

TEST(NoteTest, TheTextEndsAtTheLastEmptyLine) {
  const NoteSigner log = Log();
  const std::string text = "a\n\nb\n\n\nc\n";
  const Note note{text, {log.Sign(text, 0)}};
  const auto parsed = ParseNote(note.Text());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, note);
  EXPECT_TRUE(VerifyNote(*parsed, {&log.key(), 1}).ok());
}

TEST(NoteTest, RefusesWhatIsNoNote) {
  struct Case {
    const char* name;
    std::string bytes;
  };
  const std::string line = Log().Sign("x\n", 0).Text();
  const Case cases[] = {
      {"empty", ""},
      {"no signature", "x\n\n"},
      {"no empty line", "x\n" + line},
      {"no last newline", "x\n\n" + line.substr(0, line.size() - 1)},
      {"control character", "x\ty\n\n" + line},
      {"carriage return", "x\r\n\n" + line},
      {"zero byte", std::string("x\0\n\n", 4) + line},
      {"bad UTF-8", "x\xff\n\n" + line},
      {"overlong", "x\xc0\xaf\n\n" + line},
      {"surrogate", "x\xed\xa0\x80\n\n" + line},
      {"past Unicode", "x\xf4\x90\x80\x80\n\n" + line},
      {"cut rune", "x\xe2\x80\n\n" + line},
      {"hyphen", "x\n\n- example.com/log " + line.substr(line.rfind(' ') + 1)},
      {"en dash", "x\n\n\u2013 example.com/log " + line.substr(line.rfind(' ') + 1)},
      {"no space", "x\n\n\u2014" + line.substr(4)},
      {"two spaces", "x\n\n\u2014  " + line.substr(4)},
      {"no name", "x\n\n\u2014 " + line.substr(line.rfind(' '))},
      {"plus in the name", "x\n\n\u2014 a+b" + line.substr(line.rfind(' '))},
      {"no-break space in the name", "x\n\n\u2014 a\u00a0b" + line.substr(line.rfind(' '))},
      {"ideographic space in the name", "x\n\n\u2014 a\u3000b" + line.substr(line.rfind(' '))},
      {"no base64", "x\n\n\u2014 example.com/log !!!!\n"},
      {"key id alone", "x\n\n\u2014 example.com/log AAAAAA==\n"},
      {"fill bits", "x\n\n\u2014 example.com/log AAAAAAB=\n"},
      {"blank in base64", "x\n\n" + line.substr(0, line.size() - 1) + " \n"},
      {"behind the lines", "x\n\n" + line + "y\n"},
      {"name too long", "x\n\n\u2014 " + std::string(256, 'a') + line.substr(line.rfind(' '))},
  };
  EXPECT_TRUE(ParseNote("x\n\n" + line).ok());
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(ParseNote(c.bytes).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(NoteTest, HoldsSixtyFourSignaturesAndAnEighthOfAMegabyte) {
  const std::string line = Log().Sign("x\n", 0).Text();
  std::string bytes = "x\n\n";
  for (size_t i = 0; i < kNoteLinesMax; ++i) bytes += line;
  EXPECT_TRUE(ParseNote(bytes).ok());
  EXPECT_FALSE(ParseNote(bytes + line).ok());
  const std::string large(kNoteBytesMax - 3 - line.size(), 'x');
  EXPECT_TRUE(ParseNote(large + "\n\n" + line + "").ok());
  EXPECT_FALSE(ParseNote(large + "xx\n\n" + line).ok());
}

TEST(NoteTest, UnknownSignaturesAreKeptAndPassedOver) {
  const NoteSigner log = Log(), peer = Peer(2);
  SignedCheckpoint head = SignCheckpoint({"example.com/log", 3, EmptyRoot()}, log);
  head.note.lines.push_back(peer.Sign(head.note.text, 1'700'000'000));
  head.note.lines.push_back({"example.com/pq", 7, Bytes(2428, 9)});
  const auto parsed = ParseCheckpoint(head.note.Text());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, head);
  const NoteKey both[] = {peer.key(), log.key()};
  EXPECT_EQ(*VerifyNote(parsed->note, both), (std::vector<Signer>{{0, 1'700'000'000}, {1, 0}}));
  EXPECT_EQ(*VerifyNote(parsed->note, {&log.key(), 1}), (std::vector<Signer>{{0, 0}}));
  const NoteSigner stranger("example.com/log", KeyType::kEd25519, Seed(9));  // another id
  EXPECT_EQ(VerifyNote(parsed->note, {&stranger.key(), 1}).status().code(),
            absl::StatusCode::kUnauthenticated);
}

TEST(NoteTest, OneWrongSignatureOfAKnownKeyRefusesTheWholeNote) {
  const NoteSigner log = Log(), peer = Peer(2);
  SignedCheckpoint head = SignCheckpoint({"example.com/log", 3, EmptyRoot()}, log);
  const NoteKey both[] = {log.key(), peer.key()};
  NoteLine wrong = peer.Sign(head.note.text, 5);
  for (const size_t byte : {size_t{7}, size_t{8}, size_t{71}}) {  // the time, the signature
    NoteLine forged = wrong;
    forged.signature[byte] = static_cast<uint8_t>(forged.signature[byte] ^ 1);
    head.note.lines = {head.note.lines[0], forged};
    EXPECT_FALSE(VerifyNote(head.note, both).ok()) << byte;
    EXPECT_TRUE(VerifyNote(head.note, {both, 1}).ok());
  }
  // Twice the same signer counts once, and its newest time is what it says.
  head.note.lines = {wrong, peer.Sign(head.note.text, 9), wrong};
  EXPECT_EQ(*VerifyNote(head.note, both), (std::vector<Signer>{{1, 9}}));
  const NoteKey twice[] = {log.key(), log.key()};
  EXPECT_EQ(VerifyNote(head.note, twice).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(NoteTest, ASignatureIsOfItsTypeAlone) {
  // One key pair under one name in both roles: the ids differ, and neither passes for the other.
  const NoteSigner plain("n", KeyType::kEd25519, Seed(1));
  const NoteSigner timed("n", KeyType::kCosignature, Seed(1));
  EXPECT_NE(plain.key().id(), timed.key().id());
  const std::string text = "cosignature/v1\ntime 5\nx\ny\nz\n";
  NoteLine line = plain.Sign(text, 0);
  line.key_id = timed.key().id();
  line.signature.insert(line.signature.begin(), {0, 0, 0, 0, 0, 0, 0, 5});
  EXPECT_FALSE(VerifyLine(timed.key(), text, line).ok());
  // The text that a cosignature signs must itself never be signed as a note: it would be one. This
  // is why a log key signs nothing but texts that begin with its origin.
  EXPECT_TRUE(VerifyLine(timed.key(), "x\ny\nz\n", line).ok());
  // Nor of another's name, or under another's id.
  NoteLine renamed = plain.Sign(text, 0);
  EXPECT_TRUE(VerifyLine(plain.key(), text, renamed).ok());
  renamed.name = "m";
  EXPECT_FALSE(VerifyLine(plain.key(), text, renamed).ok());
  renamed = plain.Sign(text, 0);
  ++renamed.key_id;
  EXPECT_FALSE(VerifyLine(plain.key(), text, renamed).ok());
}

TEST(NoteTest, KeysAsTextAreTakenInOneSpellingOnly) {
  for (const NoteSigner& signer : {Log(), Peer(2)}) {
    const std::string vkey = signer.key().Vkey();
    EXPECT_EQ(*NoteKey::Parse(vkey), signer.key());
    for (size_t n = 0; n < vkey.size(); ++n)
      EXPECT_FALSE(NoteKey::Parse(std::string_view(vkey).substr(0, n)).ok()) << n;
    for (size_t bit = 0; bit < 8 * vkey.size(); ++bit) {
      std::string flipped = vkey;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
      EXPECT_FALSE(NoteKey::Parse(flipped).ok()) << flipped;
    }
  }
  const std::string skey = Skey(Log().key(), Seed(1));
  EXPECT_EQ(skey.substr(0, 28), "PRIVATE+KEY+example.com/log+");
  const auto signer = NoteSigner::Parse(skey);
  ASSERT_TRUE(signer.ok()) << signer.status();
  EXPECT_EQ(signer->key(), Log().key());
  EXPECT_EQ(signer->Sign("x\n", 0), Log().Sign("x\n", 0));
  for (size_t n = 0; n < skey.size(); ++n) {
    const auto cut = NoteSigner::Parse(std::string_view(skey).substr(0, n));
    EXPECT_FALSE(cut.ok());
    EXPECT_EQ(Text(cut.status()).find(skey.substr(30)), std::string::npos);
  }
  EXPECT_FALSE(NoteSigner::Parse(Log().key().Vkey()).ok());
  // RFC 6962 tree heads, ECDSA, ML-DSA: not ours.
  EXPECT_FALSE(NoteKey::Parse("n+00000000+" + ToBase64(Concat({Bytes{5}, Bytes(32, 1)}))).ok());
}

TEST(NoteTest, DecimalsHaveOneSpelling) {
  EXPECT_EQ(ParseDecimal("0"), 0u);
  EXPECT_EQ(ParseDecimal("9223372036854775807"), kTreeSizeMax);
  for (const char* wrong : {"",
                            "00",
                            "01",
                            "+1",
                            "-1",
                            " 1",
                            "1 ",
                            "0x1",
                            "9223372036854775808",
                            "18446744073709551616",
                            "99999999999999999999"})
    EXPECT_FALSE(ParseDecimal(wrong)) << wrong;
}

// ---- checkpoints ----

TEST(CheckpointTest, ReadsTheExampleOfTheSpec) {
  const auto head = ParseCheckpoint(kSeaside);
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->checkpoint.origin, "example.com/behind-the-sofa");
  EXPECT_EQ(head->checkpoint.size, 20'852'163u);
  EXPECT_TRUE(head->checkpoint.extensions.empty());
  EXPECT_EQ(head->note.Text(), kSeaside);
  ASSERT_EQ(head->note.lines.size(), 2u);
  EXPECT_EQ(LoadBe<uint64_t>(head->note.lines[1].signature.data()), 1'679'315'147u);
  EXPECT_EQ(head->note.lines[1].signature.size(), 72u);
}

TEST(CheckpointTest, WritesWhatItReads) {
  Checkpoint c{"example.com/log", 70'000, EmptyRoot(), {"first", "second \u00e9"}};
  EXPECT_EQ(*ParseCheckpointText(c.Text()), c);
  c.extensions.clear();
  c.size = 0;
  EXPECT_EQ(*ParseCheckpointText(c.Text()), c);
  EXPECT_EQ(c.Text(), "example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
  const std::string root = ToBase64(EmptyRoot());
  for (const std::string& wrong : {std::string(),
                                   "\n1\n" + root + "\n",
                                   "o\n01\n" + root + "\n",
                                   "o\n-1\n" + root + "\n",
                                   "o\n\n" + root + "\n",
                                   "o\n9223372036854775808\n" + root + "\n",
                                   "o\n1\n" + root,
                                   "o\n1\n" + root + " \n",
                                   "o\n1\n" + root.substr(0, 43) + "\n",
                                   "o\n1\n" + root + "\n\n",
                                   "o\n1\n" + root + "\nx",
                                   "o\n1\n" + root + "\nx\n\ny\n",
                                   "o\t\n1\n" + root + "\n",
                                   std::string(256, 'o') + "\n1\n" + root + "\n"})
    EXPECT_FALSE(ParseCheckpointText(wrong).ok()) << wrong;
  std::string lines = c.Text();
  for (size_t i = 0; i < kExtensionsMax; ++i) lines += "x\n";
  EXPECT_TRUE(ParseCheckpointText(lines).ok());
  EXPECT_FALSE(ParseCheckpointText(lines + "x\n").ok());
}

TEST(CheckpointTest, TakesTheCosignaturesOfThoseItKnows) {
  const NoteSigner log = Log(), one = Peer(2), two = Peer(3), stranger = Peer(4);
  SignedCheckpoint head = SignCheckpoint({"example.com/log", 3, EmptyRoot()}, log);
  const NoteKey known[] = {log.key(), one.key(), two.key()};
  const std::string& text = head.note.text;
  const std::string answer = stranger.Sign(text, 5).Text() + one.Sign(text, 6).Text();
  EXPECT_EQ(*TakeCosignatures(answer, known, head), 1u);
  EXPECT_EQ(*TakeCosignatures(answer, known, head), 0u);  // had it
  EXPECT_EQ(head.note.lines.size(), 2u);
  SignedCheckpoint before = head;
  EXPECT_FALSE(TakeCosignatures(two.Sign(text + "x\n", 6).Text(), known, head).ok());
  NoteLine timeless = two.Sign(text, 6);
  std::fill_n(timeless.signature.begin(), 8, uint8_t{0});
  EXPECT_FALSE(TakeCosignatures(timeless.Text(), known, head).ok());
  EXPECT_FALSE(TakeCosignatures("", known, head).ok());
  EXPECT_FALSE(TakeCosignatures("409\n", known, head).ok());
  EXPECT_EQ(head, before);
  // The log's own signature is no cosignature, even if it comes as one.
  EXPECT_EQ(*TakeCosignatures(log.Sign(text, 0).Text(), known, head), 0u);
  EXPECT_EQ(*TakeCosignatures(two.Sign(text, 7).Text(), known, head), 1u);
  EXPECT_EQ(VerifyNote(head.note, known)->size(), 3u);
  EXPECT_EQ(NoteOid(text), NoteOid(before.note.text));
}

TEST(CheckpointTest, AProofTravelsAsC2spsText) {
  const NoteSigner log = Log();
  Edge edge;
  const Digest a = LeafHash(Bytes{1}), b = LeafHash(Bytes{2}), c = LeafHash(Bytes{3});
  for (const Digest& leaf : {a, b, c}) edge.Append(leaf);
  LogProof proof;
  proof.index = 1;
  proof.hashes = {a, c};
  proof.head = SignCheckpoint({"example.com/log", 3, edge.Root()}, log);
  for (const Bytes& extra : {Bytes{}, Bytes{1, 2, 3}}) {
    proof.extra = extra;
    const std::string text = proof.Text();
    EXPECT_TRUE(text.starts_with("c2sp.org/tlog-proof@v1\n"));
    const auto parsed = ParseLogProof(text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, proof);
    EXPECT_TRUE(VerifyPath(*parsed, b).ok());
    EXPECT_FALSE(VerifyPath(*parsed, a).ok());
    for (size_t n = 0; n < text.size(); ++n)
      EXPECT_FALSE(ParseLogProof(std::string_view(text).substr(0, n)).ok()) << n;
    for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
      std::string flipped = text;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
      const auto altered = ParseLogProof(flipped);
      if (!altered.ok()) continue;
      EXPECT_EQ(altered->Text(), flipped);
      const bool good =
          VerifyPath(*altered, b).ok() && VerifyNote(altered->head.note, {&log.key(), 1}).ok();
      EXPECT_EQ(good, altered->extra != extra) << flipped;  // which nobody signed
    }
  }
}

}  // namespace
}  // namespace aqmesh::tlog
