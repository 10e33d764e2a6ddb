#include "lineage/inputs.h"

#include "tests/lineage/story.h"

namespace aqmesh::lineage {
namespace {

Inputs Sample() {
  Inputs in;
  in.oids = {Filled<Oid>(3), Filled<Oid>(1), Filled<Oid>(3)};
  in.policy = Filled<Digest>(9);
  in.slopes = {{.kid = Filled<Kid>(2),
                .a = 65'536,
                .r_f = 1,
                .s_f = 2,
                .u = 3,
                .r_s = 4,
                .s_s = 5,
                .j = 6,
                .x = 7,
                .kap = 8,
                .last = 5'666'666,
                .col = 1,
                .e_pos = 5'666'660},
               {.kid = Filled<Kid>(1)}};
  in.age = 60;
  in.wall_millis = kStartSeconds * 1000;
  in.mono_nanos = 1'000'000;
  in.prev_rung = authority::Rung::kProbation;
  in.h = Filled<Digest>(4);
  in.action = 3;
  in.since = kStartSeconds - 5;
  in.epochs = 7;
  in.flags = kInputCommittedBefore | kInputAgain;
  in.held = 12;
  in.restricted = 2;
  in.granted = {Filled<GrantedPair>(8), Filled<GrantedPair>(6)};
  in.issuer = Filled<Ed25519Key>(5);
  in.last_use = kStartSeconds - 9;
  in.epoch = 5'666'666;
  in.weighed = WeighedInput{.r = 1, .s = 2, .u = 3, .equivocation = true};
  in.voices = {{Filled<Kid>(7), 44'563}, {Filled<Kid>(6)}};
  in.eligible = 2;
  return in;
}

TEST(InputsTest, ComeBackSortedAndWithoutDoubles) {
  const Bytes bytes = EncodeInputs(Sample());
  const auto back = ParseInputs(bytes);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->oids, (std::vector<Oid>{Filled<Oid>(1), Filled<Oid>(3)}));
  ASSERT_EQ(back->slopes.size(), 2u);
  EXPECT_EQ(back->slopes[1], Sample().slopes[0]);  // by kid, which is encoded first
  EXPECT_EQ(back->voices, (std::vector<VoiceInput>{{Filled<Kid>(6)}, {Filled<Kid>(7), 44'563}}));
  EXPECT_EQ(back->eligible, 2u);
  EXPECT_EQ(back->wall_millis, Sample().wall_millis);
  EXPECT_EQ(back->prev_rung, authority::Rung::kProbation);
  EXPECT_EQ(EncodeInputs(*back), bytes);
}

TEST(InputsTest, TheIdIsTheHashOfTheBytesAlone) {
  Inputs other = Sample();
  std::swap(other.oids[0], other.oids[1]);
  EXPECT_EQ(InputsId(EncodeInputs(Sample())), InputsId(EncodeInputs(other)));
  other.action = 4;
  EXPECT_NE(InputsId(EncodeInputs(Sample())), InputsId(EncodeInputs(other)));
}

TEST(InputsTest, EveryTruncationIsRefusedAndEveryFlipIsRefusedOrAnotherValue) {
  const Bytes bytes = EncodeInputs(Sample());
  for (size_t n = 0; n < bytes.size(); ++n) {
    // What is optional comes last: cut exactly there, what is left is a whole message, of less.
    const auto cut = ParseInputs(ByteView(bytes).first(n));
    if (cut.ok()) {
      EXPECT_EQ(cut->eligible, 0u) << n;
    }
  }
  const auto whole = ParseInputs(bytes);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes flipped = bytes;
    flipped[bit / 8] = static_cast<uint8_t>(flipped[bit / 8] ^ (1u << (bit % 8)));
    const auto read = ParseInputs(flipped);
    if (read.ok()) {
      EXPECT_NE(*read, *whole) << bit;
      EXPECT_EQ(EncodeInputs(*read), flipped) << bit;
    }
  }
}

TEST(InputsTest, RefusesWhatBreaksARule) {
  const std::string policy =
                        "12"
                        "20" +
                        std::string(64, '9'),
                    tail =
                        "28"
                        "01"
                        "30"
                        "01";
  struct Case {
    const char* name;
    std::string hex;
    bool ok;
  };
  const std::string oid1 = "0a20" + std::string(64, '1'), oid2 = "0a20" + std::string(64, '2');
  const std::string kid = "0a10" + std::string(32, '1');
  const Case cases[] = {
      {"the least there can be", policy + tail, true},
      {"two oids", oid1 + oid2 + policy + tail, true},
      {"oids descending", oid2 + oid1 + policy + tail, false},
      {"an oid twice", oid1 + oid1 + policy + tail, false},
      {"no policy", tail, false},
      {"no wall", policy + "3001", false},
      {"no mono", policy + "2801", false},
      {"policy twice", policy + policy + tail, false},
      {"field out of order",
       policy + "3001"
                "2801",
       false},
      {"the trust gate's memory", policy + tail + "5001" + "5802", true},
      {"flags", policy + tail + "600f", true},
      {"a flag that nobody knows", policy + tail + "6010", false},
      {"granted descending",
       policy + tail + "7a20" + std::string(64, '2') + "7a20" + std::string(64, '1'),
       false},
      {"what was weighed", policy + tail + "9a01020801", true},
      {"weighed, and nothing", policy + tail + "9a0100", false},
      {"weighed, a fifth field", policy + tail + "9a01022801", false},
      {"an equivocation of two", policy + tail + "9a01022002", false},
      {"unknown field", policy + tail + "a00101", false},
      {"zero written", policy + "2000" + tail, false},
      {"varint longer than need be",
       policy + "288100"
                "3001",
       false},
      {"wrong wire type",
       policy + "2a0101"
                "3001",
       false},
      {"no such rung", policy + tail + "3807", false},
      {"rung 6", policy + tail + "3806", true},
      {"action above u16", policy + tail + "48808004", false},
      {"short policy", "1203090909" + tail, false},
      {"a slope", policy + "1a12" + kid + tail, true},
      {"a slope without kid", policy + "1a021001" + tail, false},
      {"a slope's kap above u8", policy + "1a15" + kid + "508002" + tail, false},
      {"trailing byte", policy + tail + "00", false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto read = ParseInputs(*FromHex(c.hex));
    EXPECT_EQ(read.ok(), c.ok) << read.status();
    if (!c.ok) {
      EXPECT_TRUE(absl::IsInvalidArgument(read.status()));
    }
  }
}

TEST(InputsTest, RefusesMoreThanTheBounds) {
  std::string hex;
  for (int i = 0; i < 129; ++i) {
    Oid oid;
    oid.bytes[0] = static_cast<uint8_t>(i);
    hex += "0a20" + ToHex(oid);
  }
  EXPECT_FALSE(ParseInputs(*FromHex(hex + "1220" + std::string(64, '9') + "28013001")).ok());
}

}  // namespace
}  // namespace aqmesh::lineage
