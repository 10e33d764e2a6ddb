#include "core/authority/codec.h"

#include <gtest/gtest.h>

#include "core/base/status.h"
#include "core/wire/writer.h"
#include "tests/core/authority/random_objects.h"

namespace aqmesh::authority {
namespace {

using namespace vectors;  // NOLINT(google-build-using-namespace)

template <class T>
class EveryObjectTest : public testing::Test {};
using Objects = testing::Types<Charter,
                               Grant,
                               Fragment,
                               Keybind,
                               Rotate,
                               Attest,
                               Revoke,
                               Cosign,
                               Observe,
                               Treaty,
                               Pardon,
                               Presentation,
                               Invite,
                               Request,
                               Approve,
                               Announce,
                               Retention>;
TYPED_TEST_SUITE(EveryObjectTest, Objects);

TYPED_TEST(EveryObjectTest, RandomObjectsReadBackAndEncodeTheSame) {
  Rng rng = SeededRng();
  for (int i = 0; i < 300; ++i) {
    const TypeParam object = RandomObject<TypeParam>(rng);
    const auto body = TryEncodeBody(object);
    ASSERT_TRUE(body.ok()) << body.status();
    const auto again = ParseBody<TypeParam>(*body);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(*again == object);
    EXPECT_EQ(EncodeBody(*again), *body);
  }
}

// spec: objects#1 rule 4.
TYPED_TEST(EveryObjectTest, EveryFlippedBitIsRefusedOrIsAnotherObject) {
  Rng rng = SeededRng();
  const TypeParam object = RandomObject<TypeParam>(rng);
  const Bytes body = EncodeBody(object);
  for (size_t bit = 0; bit < body.size() * 8; ++bit) {
    Bytes flipped = body;
    flipped[bit / 8] = static_cast<uint8_t>(flipped[bit / 8] ^ (1u << bit % 8));
    const auto read = ParseBody<TypeParam>(flipped);
    if (!read.ok()) {
      EXPECT_TRUE(wire::RefusedByte(read.status()).has_value()) << read.status();
      continue;
    }
    EXPECT_FALSE(*read == object);
    const auto again = TryEncodeBody(*read);
    if (again.ok()) {
      EXPECT_EQ(*again, flipped);
    }
  }
}

TEST(SignedTest, EveryTruncationAndEveryFlippedBitOfTheVectorsFails) {
  for (const Signed& s : All()) {
    for (size_t n = 0; n < s.bytes().size(); ++n) {
      EXPECT_FALSE(Signed::Parse(ByteView(s.bytes()).first(n)).ok())
          << CtxName(s.ctx()) << " at " << n;
    }
    for (size_t bit = 0; bit < s.bytes().size() * 8; ++bit) {
      Bytes flipped = s.bytes();
      flipped[bit / 8] = static_cast<uint8_t>(flipped[bit / 8] ^ (1u << bit % 8));
      const auto read = Signed::Parse(flipped);
      if (!read.ok()) continue;
      EXPECT_EQ(read->bytes(), flipped);
      EXPECT_FALSE(VerifySignature(*read, KeyOf(kRoot)) || VerifySignature(*read, KeyOf(kAtlas)) ||
                   VerifySignature(*read, KeyOf(kBorealis)));
    }
    Bytes longer = s.bytes();
    longer.push_back(0);
    EXPECT_FALSE(Signed::Parse(longer).ok());
  }
}

TEST(SignedTest, BodiesCutShortAreRefused) {
  const Bytes charter = *FromHex(kCharterBody);
  for (size_t n = 0; n < charter.size(); ++n)
    EXPECT_FALSE(ParseBody<Charter>(ByteView(charter).first(n)).ok()) << n;
  const Bytes fragment = *FromHex(kFragmentBody);
  for (size_t n = 0; n < fragment.size(); ++n)
    EXPECT_FALSE(ParseBody<Fragment>(ByteView(fragment).first(n)).ok()) << n;
}

TEST(SignedTest, AnObjectOfAnotherKindIsRefused) {
  const Signed s = SignObject(Node(), Seed(kAtlas));
  EXPECT_TRUE(ParseObject<Grant>(s.bytes()).ok());
  EXPECT_FALSE(ParseObject<Revoke>(s.bytes()).ok());
}

TEST(SignedTest, RulesThatJoinBodyAndEnvelope) {
  EXPECT_FALSE(
      ParseObject<Grant>(SignObject(Node(), Seed(kBorealis))).ok());  // the subject's own key
  EXPECT_FALSE(ParseObject<Charter>(SignObject(CharterObject(), Seed(kAtlas))).ok());  // no voter
  Revoke last = FloorRevoke();
  last.seq = kTerminalSeq;
  last.type = RevokeType::kKey;
  last.floor = 0;
  EXPECT_TRUE(ParseObject<Revoke>(SignObject(last, Seed(kBorealis))).ok());
  EXPECT_FALSE(ParseObject<Revoke>(SignObject(last, Seed(kAtlas))).ok());  // not oneself
  Grant large = Node();
  large.caps |= kCapIssueAcl;
  large.prefixes.clear();
  for (uint8_t i = 0; i < 8; ++i)
    large.tags.push_back(std::string(1, static_cast<char>('a' + i)) + std::string(31, 'x') + "." +
                         std::string(31, 'y'));
  large.tags.erase(large.tags.begin());
  SortLists(large);
  const Bytes body = EncodeBody(large);
  EXPECT_GT(SignedSize(body.size(), Suite::kEd25519), kLeafGrantBytesMax);
  EXPECT_TRUE(ParseObject<Grant>(Sign(Ctx::kGrant, body, Seed(kAtlas))).ok());
  large.caps = 0x27;  // now a leaf, and too large for one
  EXPECT_FALSE(TryEncodeBody(large).ok());
}

TEST(SignedTest, SizesAreCountedAsTheyAre) {
  for (const Signed& s : All()) EXPECT_EQ(SignedSize(s.body().size(), s.suite()), s.bytes().size());
  EXPECT_EQ(SignedBytesMax(Ctx::kGrant, Suite::kEd25519), 1'280u);
}

TEST(SignedTest, ContextNamesAreReadInEitherCase) {
  EXPECT_EQ(CtxNamed("GRANT"), Ctx::kGrant);
  EXPECT_EQ(CtxNamed("presentation"), Ctx::kPresentation);
  EXPECT_EQ(CtxNamed("checkpoint"), std::nullopt);
}

// Hand-made bodies against the rules of §1, each refused at its byte.
TEST(CodecTest, TheStrictRulesNameTheirByte) {
  const std::string n(kNodeBody);
  const auto replaced = [&n](std::string_view from, std::string_view to) {
    std::string out = n;
    const size_t at = out.find(from);
    EXPECT_NE(at, std::string::npos);
    return out.replace(at, from.size(), to);
  };
  struct Case {
    const char* name;
    std::string hex;
    std::string_view says;
    size_t byte;
  };
  const Case cases[] = {
      {"non-minimal varint", replaced("20043001", "2084003001"), "more bytes than it needs", 55},
      {"zero on the wire", replaced("20043001", "20043000"), "zero on the wire", 57},
      {"doubled field", replaced("20043001", "200420043001"), "doubled", 56},
      {"out of order", replaced("20043001", "30012004"), "required, but absent", 54},
      {"unknown field", n + "a00101", "unknown field", n.size() / 2},
      {"unknown bit", replaced("5027", "50a78001"), "unknown bit 0x4000", 71},
      {"wrong wire type",
       replaced("20043001",
                "220104"
                "3001"),
       "bytes where a number belongs",
       54},
      {"class out of range", replaced("20043001", "20113001"), "not in 2..16", 54},
      {"length past the end", n.substr(0, n.size() - 2), "past the end", 180},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto read = ParseBody<Grant>(*FromHex(c.hex));
    ASSERT_FALSE(read.ok());
    EXPECT_NE(Text(read.status()).find(c.says), std::string::npos) << read.status();
    EXPECT_EQ(Text(read.status()).rfind("grant: ", 0), 0u);
    EXPECT_EQ(wire::RefusedByte(read.status()), c.byte) << read.status();
  }
}

TEST(CodecTest, ARefusalReadsAsASentence) {
  const std::string hex = std::string(kNodeBody);
  const size_t at = hex.find("502762");
  const auto read =
      ParseBody<Grant>(*FromHex(hex.substr(0, at + 4) + "588001" + hex.substr(at + 4)));
  EXPECT_EQ(Text(read.status()),
            Join("grant: field 11 obligations at byte ",
                 at / 2 + 2,
                 ": unknown bit 0x0080 (spec/objects.md §2)"));
}

template <class T>
void ExpectRefused(const char* name, T object, std::string_view says) {
  SCOPED_TRACE(name);
  const auto body = TryEncodeBody(object);
  ASSERT_FALSE(body.ok());
  EXPECT_NE(Text(body.status()).find(says), std::string::npos) << body.status();
}
template <class T, class Change>
void ExpectRule(const char* name, T object, Change change, std::string_view says) {
  change(object);
  ExpectRefused(name, object, says);
}

TEST(CodecTest, CharterRules) {
  const Charter c = CharterObject();
  const Voter second{Suite::kEd25519, KeyOf(kAtlas), 2, "home", {}};
  ExpectRule(
      "scope in genesis",
      c,
      [](Charter& o) { o.scope.emplace(); },
      "only allowed in versions after 1");
  ExpectRule("no salt", c, [](Charter& o) { o.salt.reset(); }, "required in version 1");
  ExpectRule(
      "version 2 without prev",
      c,
      [](Charter& o) {
        o.version = 2;
        o.scope.emplace();
        o.salt.reset();
      },
      "prev");
  ExpectRule(
      "quorum too low",
      c,
      [&](Charter& o) {
        o.voters.push_back(second);
        SortLists(o);
        o.q_sens = 3;
        o.q_reg = 2;
      },
      "q_reg");
  ExpectRule("quorum too high", c, [](Charter& o) { o.q_sens = 2; }, "q_sens");
  ExpectRule(
      "key twice",
      c,
      [](Charter& o) {
        o.voters.push_back(o.voters[0]);
        o.voters[1].group = "work";
        o.q_reg = o.q_sens = 2;
        SortLists(o);
      },
      "a key stands twice");
  ExpectRule("q_wit without witnesses", c, [](Charter& o) { o.q_wit = 1; }, "with witnesses");
  ExpectRule("suite not listed", c, [](Charter& o) { o.suites = {65281}; }, "does not list");
  ExpectRule(
      "suites descend", c, [](Charter& o) { o.suites = {65281, 1}; }, "suites do not ascend");
  ExpectRule(
      "pool too small", c, [](Charter& o) { o.pool4 = Prefix::Parse("10.0.0.0/25"); }, "/8../24");
  ExpectRule(
      "prefix in prefix",
      c,
      [](Charter& o) {
        o.prefixes = {*Prefix::Parse("10.0.0.0/8"), *Prefix::Parse("10.1.0.0/16")};
      },
      "inside another");
  ExpectRule("name", c, [](Charter& o) { o.name = "-home"; }, "not a label");
  ExpectRule("unsorted tags", c, [](Charter& o) { o.tags = {"b", "a"}; }, "strictly ascend");
}

TEST(CodecTest, GrantRules) {
  const Grant g = Node();
  ExpectRule("wildcard in a leaf", g, [](Grant& o) { o.tags = {"home.*"}; }, "wildcard");
  ExpectRule("depth in a leaf", g, [](Grant& o) { o.depth_left = 1; }, "depth_left");
  ExpectRule(
      "plain without suite 16",
      g,
      [](Grant& o) { o.cls = Class::kPlain; },
      "if and only if suite 16");
  ExpectRule(
      "suite 16 without plain",
      g,
      [](Grant& o) { o.suite = Suite::kX25519Static; },
      "if and only if suite 16");
  ExpectRule(
      "a leaf that cannot present itself",
      g,
      [](Grant& o) { o.suite = Suite::kLargeTest; },
      "do not fit a presentation");
  ExpectRule("no such suite", g, [](Grant& o) { o.suite = Suite{3}; }, "suite");
  ExpectRule("an empty routing", g, [](Grant& o) { o.routing.emplace(); }, "no encoding");
  ExpectRule(
      "host bits",
      g,
      [](Grant& o) { o.prefixes = {{*IpAddress::Parse("10.0.0.1"), 8}}; },
      "host bits");
  ExpectRule("seq of 2^63", g, [](Grant& o) { o.seq = uint64_t{1} << 63; }, "seq");
  ExpectRule("obligation", g, [](Grant& o) { o.obligations = 0x0840; }, "unknown bit 0x0040");
}

TEST(CodecTest, FragmentRules) {
  const Fragment f = TcpFragment();
  ExpectRule("no rules", f, [](Fragment& o) { o.rules.clear(); }, "rules");
  ExpectRule("ports without protocol", f, [](Fragment& o) { o.rules[0].protos = {1}; }, "ports");
  ExpectRule("protocol without ports", f, [](Fragment& o) { o.rules[0].ports.clear(); }, "ports");
  ExpectRule("any with another", f, [](Fragment& o) { o.rules[0].protos = {6, 255}; }, "alone");
  ExpectRule(
      "adjacent ports", f, [](Fragment& o) { o.rules[0].ports = {{1, 2}, {3, 4}}; }, "adjacent");
  ExpectRule(
      "ports past 65535",
      f,
      [](Fragment& o) { o.rules[0].ports = {{1, 65535}, {0, 4}}; },
      "ascending");
  ExpectRule(
      "touching hours", f, [](Fragment& o) { o.rules[0].hours = {{1, 2}, {2, 4}}; }, "touching");
  ExpectRule(
      "hours past the week", f, [](Fragment& o) { o.rules[0].hours = {{1, 10'081}}; }, "10080");
  ExpectRule(
      "until before since",
      f,
      [](Fragment& o) {
        o.rules[0].since = 9;
        o.rules[0].until = 9;
      },
      "until");
  ExpectRule("via without parent", f, [](Fragment& o) { o.rules[0].via = 1; }, "via");
  ExpectRule("parent without via", f, [](Fragment& o) { o.parent.emplace(); }, "via");
}

TEST(CodecTest, RulesOfTheOthers) {
  const Revoke r = FloorRevoke();
  ExpectRule("prev at seq 1", r, [](Revoke& o) { o.prev.emplace(); }, "prev");
  ExpectRule("no prev at seq 2", r, [](Revoke& o) { o.seq = 2; }, "prev");
  ExpectRule("floor with another type", r, [](Revoke& o) { o.type = RevokeType::kKey; }, "floor");
  ExpectRule("terminal of another type", r, [](Revoke& o) { o.seq = kTerminalSeq; }, "terminal");
  ExpectRule(
      "oid with kid",
      r,
      [](Revoke& o) {
        o.type = RevokeType::kOid;
        o.floor = 0;
        o.oid.emplace();
      },
      "kid");
  Attest a;
  a.subject = KidOfSeed(kBorealis);
  a.kind = AttestKind::kKeySeen;
  a.not_before = kT;
  a.ttl = kDaySeconds;
  a.evidence.bytes[0] = 1;
  EXPECT_EQ(SignObject(a, Seed(kAtlas)).bytes().size(), 172u);
  EXPECT_FALSE(ParseObject<Attest>(SignObject(a, Seed(kBorealis))).ok());  // of itself
  ExpectRule("more than a day", a, [](Attest& o) { ++o.ttl; }, "ttl");
  ExpectRule("without a record", a, [](Attest& o) { o.evidence = {}; }, "record");
  ExpectRule("a head of a key", a, [](Attest& o) { o.head.emplace(); }, "head");
  ExpectRule("reach nowhere", a, [](Attest& o) { o.kind = AttestKind::kReach; }, "prefix");
  ExpectRule("no posture", a, [](Attest& o) { o.kind = AttestKind::kPosture; }, "posture");
  const Presentation p = InitiatorPresentation();
  ExpectRule("answers of an initiator", p, [](Presentation& o) { o.answers.emplace(); }, "answers");
  ExpectRule("a ref twice", p, [](Presentation& o) { o.refs.push_back(o.refs[0]); }, "twice");
  ExpectRule("13 refs", p, [](Presentation& o) { o.refs.resize(13); }, "refs");
  const Invite i = AtlasInvite();
  ExpectRule("a wildcard asked for", i, [](Invite& o) { o.tags = {"home.*"}; }, "not a tag");
  ExpectRule("port 0", i, [](Invite& o) { o.members[0].endpoints[0].port = 0; }, "port 0");
  ExpectRule(
      "a zone",
      i,
      [](Invite& o) { o.members[0].endpoints = {*Endpoint::Parse("[fe80::1%3]:7")}; },
      "no encoding");
  Observe o;
  o.kind = RecordKind::kDecided;
  o.log = KidOfSeed(kAtlas);
  o.hlc = 5;
  EXPECT_TRUE(TryEncodeBody(o).ok());
  ExpectRule("drops elsewhere", o, [](Observe& v) { v.drops = {{1, 1}}; }, "kind 18");
  ExpectRule("no drops in 18", o, [](Observe& v) { v.kind = RecordKind::kDrops; }, "drops");
  ExpectRule("prev at seq 0", o, [](Observe& v) { v.prev.emplace(); }, "prev");
  ExpectRule("a gate's rung", o, [](Observe& v) { v.gates = Gates{1, 2, 3, 4, 5, 7}; }, "rung");
}

TEST(CodecTest, MappedAddressesHaveNoSecondEncoding) {
  Announce a;
  a.scope = Fixed<ScopeId>(kScope);
  a.time = kT;
  a.ttl = 60;
  a.static_key = Fixed<X25519Key>(kAtlasStatic);
  a.endpoints = {*Endpoint::Parse("[2001:db8::1]:7")};
  Bytes body = EncodeBody(a);
  static constexpr uint8_t kMapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  std::copy(std::begin(kMapped), std::end(kMapped), body.end() - 18);
  EXPECT_FALSE(ParseBody<Announce>(body).ok());
}

}  // namespace
}  // namespace aqmesh::authority
