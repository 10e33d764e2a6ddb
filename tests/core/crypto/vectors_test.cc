// Our wrappers against what others published: Wycheproof, and BLAKE2s as another implementation
// computes it. Each test counts its cases, so that a file that shrank is noticed.
#include <gtest/gtest.h>
#include <sodium.h>

#include "core/crypto/aead.h"
#include "core/crypto/hash.h"
#include "core/crypto/keys.h"
#include "tests/vectors/read.h"

namespace aqmesh::crypto {
namespace {

using vectors::Hex;
using vectors::Row;

// The columns after tcId, result and flags.
struct AeadCase {
  explicit AeadCase(const Row& r)
      : valid(r[1] == "valid"),
        key(Hex(r[3])),
        iv(Hex(r[4])),
        ad(Hex(r[5])),
        plain(Hex(r[6])),
        sealed(vectors::Joined(r[7], r[8])) {}
  bool valid;
  Bytes key, iv, ad, plain, sealed;
};

// One case under WireGuard's nonce, through the one-shot functions and, where there is nothing to
// authenticate besides, through the kept key.
void CheckAead(ByteView key, uint64_t counter, const AeadCase& c) {
  Bytes sealed(c.plain.size() + kTagSize), opened(c.sealed.size() - kTagSize);
  AeadSeal(key, counter, c.plain, c.ad, sealed);
  EXPECT_EQ(sealed == c.sealed, c.valid);
  EXPECT_EQ(AeadOpen(key, counter, c.sealed, c.ad, opened), c.valid);
  if (c.valid) {
    EXPECT_EQ(opened, c.plain);
  }
  if (!c.ad.empty()) return;
  AeadKey seal(key, AeadKey::Direction::kSeal), open(key, AeadKey::Direction::kOpen);
  seal.Seal(counter, c.plain, sealed.data());
  EXPECT_EQ(sealed == c.sealed, c.valid);
  EXPECT_EQ(open.Open(counter, c.sealed, opened.data()), c.valid);
}

TEST(WycheproofTest, X25519RefusesAllZeroResultsAndNothingElse) {
  int zero = 0, good = 0;
  for (const Row& r : vectors::Read("wycheproof/x25519.txt")) {
    SCOPED_TRACE(r[0] + " " + r[2]);
    const X25519Private key(Hex(r[4]));
    const Secret<32> want(Hex(r[5]));
    Secret<32> shared;
    const bool ok = X25519(key, *X25519Key::From(Hex(r[3])), shared);
    EXPECT_EQ(ok, !want.is_zero()) << "acceptable or not, only a zero secret is refused";
    if (ok) {
      EXPECT_EQ(shared, want);
    }
    ++(want.is_zero() ? zero : good);
  }
  EXPECT_EQ(zero, 31);
  EXPECT_EQ(good, 487);
}

// Our nonce is four zero bytes and a counter, so most of the file cannot be said to our functions;
// the extended-nonce cases below bring as many to the same ones.
TEST(WycheproofTest, ChaCha20Poly1305UnderWireGuardsNonce) {
  int tried = 0;
  for (const Row& r : vectors::Read("wycheproof/chacha20_poly1305.txt")) {
    const AeadCase c(r);
    if (c.iv.size() != 12 || LoadLe<uint32_t>(c.iv.data()) != 0) continue;
    SCOPED_TRACE(r[0] + " " + r[2]);
    CheckAead(c.key, LoadLe<uint64_t>(c.iv.data() + 4), c);
    ++tried;
  }
  EXPECT_EQ(tried, 10);
}

TEST(WycheproofTest, XChaCha20Poly1305) {
  int valid = 0, invalid = 0;
  for (const Row& r : vectors::Read("wycheproof/xchacha20_poly1305.txt")) {
    const AeadCase c(r);
    if (c.iv.size() != 24) continue;  // nine cases of wrong length, which our types do not allow
    SCOPED_TRACE(r[0] + " " + r[2]);
    Bytes sealed(c.plain.size() + kTagSize), opened(c.sealed.size() - kTagSize);
    XAeadSeal(c.key, c.iv, c.plain, c.ad, sealed);
    EXPECT_EQ(sealed == c.sealed, c.valid);
    EXPECT_EQ(XAeadOpen(c.key, c.iv, c.sealed, c.ad, opened), c.valid);
    if (c.valid) {
      EXPECT_EQ(opened, c.plain);
    }
    // XChaCha20-Poly1305 is ChaCha20-Poly1305 under a derived key and a nonce of our form.
    std::array<uint8_t, 32> derived;
    ASSERT_EQ(crypto_core_hchacha20(derived.data(), c.iv.data(), c.key.data(), nullptr), 0);
    CheckAead(derived, LoadLe<uint64_t>(c.iv.data() + 16), c);
    ++(c.valid ? valid : invalid);
  }
  EXPECT_EQ(valid, 246);
  EXPECT_EQ(invalid, 60);
}

TEST(WycheproofTest, Ed25519) {
  int valid = 0, invalid = 0;
  for (const Row& r : vectors::Read("wycheproof/ed25519.txt")) {
    SCOPED_TRACE(r[0] + " " + r[2]);
    const auto signature =
        Signature::From(Hex(r[5]));  // none: a wrong length, which no type of ours holds
    const bool ok = signature && Ed25519Verify(*Ed25519Key::From(Hex(r[3])), Hex(r[4]), *signature);
    EXPECT_EQ(ok, r[1] == "valid");
    ++(r[1] == "valid" ? valid : invalid);
  }
  EXPECT_EQ(valid, 88);
  EXPECT_EQ(invalid, 63);
}

TEST(WycheproofTest, SipHash) {
  int tried = 0;
  for (const Row& r : vectors::Read("wycheproof/siphash_2_4.txt")) {
    SCOPED_TRACE(r[0]);
    std::array<uint8_t, 8> tag;
    StoreLe(tag.data(), SipHash24(Hex(r[3]), Hex(r[4])));
    EXPECT_EQ(ToHex(tag), r[5]);
    ++tried;
  }
  for (const Row& r : vectors::Read("wycheproof/siphashx_2_4.txt")) {
    SCOPED_TRACE(r[0]);
    EXPECT_EQ(ToHex(SipHash24x128(Hex(r[3]), Hex(r[4]))), r[5]);
    ++tried;
  }
  EXPECT_EQ(tried, 80);
}

TEST(Blake2sVectorsTest, HashMacAndHmacAtEveryLengthAroundABlock) {
  int tried = 0;
  for (const Row& r : vectors::Read("blake2s.txt")) {
    const Bytes data = Hex(r[0]), key = Hex(r[1]);
    SCOPED_TRACE(data.size());
    EXPECT_EQ(ToHex(Blake2s({data})), r[2]);
    const ByteView halves(data);
    EXPECT_EQ(ToHex(Blake2s({halves.first(data.size() / 3), halves.subspan(data.size() / 3)})),
              r[2]);
    EXPECT_EQ(ToHex(Blake2sMac(key, data)), r[3]);
    EXPECT_EQ(ToHex(HmacBlake2s(key, {data})), r[4]);
    ++tried;
  }
  EXPECT_EQ(tried, 134);
}

}  // namespace
}  // namespace aqmesh::crypto
