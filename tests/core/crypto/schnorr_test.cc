// Suite 2 against tests/oracle/schnorr.py, which was written from spec/suites.md and RFC 9496 with
// integers of its own, and against the vectors that the spec prints.
#include "core/crypto/schnorr.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "core/base/rng.h"
#include "tests/support/oracle.h"

namespace aqmesh::crypto {
namespace {

const char kScript[] = "schnorr.py";

// The order of the group, little endian.
constexpr std::array<uint8_t, 32> kOrder = {
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

Rng Seeded() {
  uint64_t number = 1;
  if (const char* text = std::getenv("AQMESH_SEED")) number = std::strtoull(text, nullptr, 10);
  std::printf("AQMESH_SEED=%llu\n", static_cast<unsigned long long>(number));
  Rng::Seed seed{};
  StoreLe(seed.data(), number);
  return Rng(seed);
}

Bytes RandomBytes(Rng& rng, size_t size) {
  Bytes out(size);
  rng.Fill(out);
  return out;
}

std::string Hex(ByteView b) { return b.empty() ? "-" : ToHex(b); }

// s + L, which is the same scalar written otherwise.
Signature PlusOrder(Signature sig) {
  unsigned carry = 0;
  for (size_t i = 0; i < 32; ++i) {
    carry += unsigned{sig.bytes[32 + i]} + unsigned{kOrder[i]};
    sig.bytes[32 + i] = static_cast<uint8_t>(carry);
    carry >>= 8;
  }
  return sig;
}

// RFC 9496 A.2, and others of their kind: not canonical, negative, no element, the identity.
const char* const kNoElements[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
};

struct Vector {
  uint8_t seed;
  Bytes message;
  const char *key, *signature;
};
const Vector kVectors[] = {
    // frozen: spec/suites.md §3
    {0x01,
     {},
     "307779a56891e4ed162bafb5f43d0f2d15812c1098b07be4131ea8000b185919",
     "58dbf4ea65dfef56661dd6e2f57f9f2d0f61220d6e8a6bc95f456cc1b8ddf72c"
     "48bdfa01ddd0a7758b08e26978366515b3c515cbcca5a85f5d3ae318c9d2d702"},
    {0x02,
     {'a', 'q', 'm', 'e', 's', 'h'},
     "329c609dc4dce69227909022a8ecb388754341c2b900cd52321b631f52252267",
     "5a9ba4c0ad7586f3a8cdcee0243724b8d8d4b03f5b5fcf8d1e72c6c3a83c9228"
     "888e7faa71d0f5f45fafe4b15987379a989e67750af05055aa902a2ea9f61e08"},
    {0xff,
     Bytes(200, 0x5a),
     "4263625be585576df964e1befce6b145d9b46b427ab8b02fa6b2e5bd4a3a8476",
     "ea6460c98a0e33124b661a1c6f9ddc268752e7ff80cd2b3bc688ac4d7b559203"
     "71b43b07f558d38bf0c3a621ee7f8d28d9b6a88e72201af42f2af8a397081708"},
};

TEST(SchnorrTest, GivesTheVectorsThatTheSpecPrints) {  // spec: suites#3
  std::ifstream in(AQ_SOURCE_DIR "/spec/suites.md");
  std::stringstream spec;
  spec << in.rdbuf();
  for (const Vector& v : kVectors) {
    const SchnorrSeed seed(Bytes(32, v.seed));
    const Ed25519Key key = SchnorrPublic(seed);
    const Signature sig = SchnorrSign(seed, v.message);
    EXPECT_EQ(ToHex(key), v.key);
    EXPECT_EQ(ToHex(sig), v.signature);
    EXPECT_TRUE(SchnorrVerify(key, v.message, sig));
    EXPECT_NE(spec.str().find(v.key), std::string::npos);
    EXPECT_NE(spec.str().find(std::string(v.signature).substr(0, 64)), std::string::npos);
    EXPECT_NE(spec.str().find(std::string(v.signature).substr(64)), std::string::npos);
  }
}

TEST(SchnorrTest, RefusesWhatTheSpecRefuses) {  // spec: suites#2
  const SchnorrSeed seed(Bytes(32, 7));
  const Ed25519Key key = SchnorrPublic(seed);
  const Bytes message = {1, 2, 3};
  const Signature sig = SchnorrSign(seed, message);
  ASSERT_TRUE(SchnorrVerify(key, message, sig));
  EXPECT_FALSE(SchnorrVerify(key, message, PlusOrder(sig)));
  EXPECT_FALSE(SchnorrVerify(key, Bytes{1, 2}, sig));
  EXPECT_FALSE(SchnorrVerify(SchnorrPublic(SchnorrSeed(Bytes(32, 8))), message, sig));
  for (const char* hex : kNoElements) {
    SCOPED_TRACE(hex);
    const Bytes bytes = *FromHex(hex);
    EXPECT_FALSE(SchnorrVerify(*Ed25519Key::From(bytes), message, sig));
    Signature other = sig;
    std::copy(bytes.begin(), bytes.end(), other.data());
    EXPECT_FALSE(SchnorrVerify(key, message, other));
    // Of the identity as key, s B = R for any message at all: that must not be a signature.
    Signature any = SchnorrSign(seed, message);
    std::fill(any.data() + 32, any.data() + 64, uint8_t{0});
    any.bytes[32] = 1;
    const Bytes base = *FromHex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76");
    std::copy(base.begin(), base.end(), any.data());
    EXPECT_FALSE(SchnorrVerify(*Ed25519Key::From(bytes), message, any));
  }
  for (size_t bit = 0; bit < 512; ++bit) {
    Signature flipped = sig;
    flipped.bytes[bit / 8] = static_cast<uint8_t>(flipped.bytes[bit / 8] ^ (1u << bit % 8));
    EXPECT_FALSE(SchnorrVerify(key, message, flipped)) << bit;
  }
  Signature zero{};
  EXPECT_FALSE(SchnorrVerify(key, message, zero));
  EXPECT_FALSE(SchnorrVerify(Ed25519Key{}, message, zero));
}

// Asks both what they say of a signature.
void AskOfBoth(Questions& q, const Ed25519Key& key, ByteView message, const Signature& sig) {
  q.Ask("verify " + ToHex(key) + " " + Hex(message) + " " + ToHex(sig),
        SchnorrVerify(key, message, sig) ? "yes" : "no");
}

TEST(SchnorrOracleTest, SignsAndRefusesAsTheOracleDoes) {
  Rng rng = Seeded();
  Questions q;
  size_t right = 0;
  for (int n = 0; n < 300; ++n) {
    const SchnorrSeed seed(RandomBytes(rng, 32));
    Bytes message = RandomBytes(rng, rng.Below(300));
    Ed25519Key key = SchnorrPublic(seed);
    Signature sig = SchnorrSign(seed, message);
    q.Ask("sign " + ToHex(seed.view()) + " " + Hex(message), ToHex(key) + " " + ToHex(sig));
    const uint64_t harm = rng.Below(8);
    if (harm == 1) sig = PlusOrder(sig);
    if (harm == 2) sig.bytes[rng.Below(64)] ^= static_cast<uint8_t>(1 + rng.Below(255));
    if (harm == 3) key.bytes[rng.Below(32)] ^= static_cast<uint8_t>(1 + rng.Below(255));
    if (harm == 4) message.push_back(0);
    if (harm == 5) {
      const Bytes bad = *FromHex(kNoElements[rng.Below(std::size(kNoElements))]);
      std::copy(bad.begin(), bad.end(), rng.Below(2) == 0 ? key.data() : sig.data());
    }
    if (harm == 6) key.bytes[31] ^= 0x80;
    right += harm == 0 || harm == 7;
    AskOfBoth(q, key, message, sig);
  }
  EXPECT_GT(right, 30u);
  q.Compare(kScript);
}

}  // namespace
}  // namespace aqmesh::crypto
