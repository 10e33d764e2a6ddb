// Ed25519 of many at once, by a prepared key, and signing, by each backend: the accept set is
// libsodium's, case by case, among them keys and signatures made to fall between two readings of
// RFC 8032.
#include <gtest/gtest.h>
#include <sodium.h>

#include <random>

#include "core/crypto/curve_batch.h"
#include "tests/vectors/read.h"

namespace aqmesh::crypto {
namespace {

using vectors::Hex;
using Scalar = std::array<uint8_t, 32>;

// A signature on its way to be judged, and libsodium's judgement.
struct Case {
  Ed25519Key key;
  Bytes message;
  Signature signature;
  bool ok = false;
  void Judge() {
    ok = crypto_sign_verify_detached(
             signature.data(), message.data(), message.size(), key.data()) == 0;
  }
};

const char* const kOrderHex = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

// y of every point of small order, and the two that stand for 0 and 1; signs are added by the user.
std::vector<Ed25519Key> SmallOrder() {
  const std::string zeros(62, '0'), f(60, 'f');
  std::vector<Ed25519Key> out;
  for (const std::string& y :
       {"00" + zeros,
        "01" + zeros,
        std::string("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        std::string("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
        "ec" + f + "7f",
        "ed" + f + "7f",
        "ee" + f + "7f"}) {
    out.push_back(*Ed25519Key::From(Hex(y)));
    out.push_back(out.back());
    out.back().bytes[31] |= 0x80;
  }
  return out;
}

class Forge {
 public:
  explicit Forge(unsigned seed) : random_(seed), small_(SmallOrder()) {}

  size_t Below(size_t n) { return random_() % n; }
  Bytes Message() {
    Bytes out(Below(8) == 0 ? Below(400) : Below(64));
    for (uint8_t& b : out) b = static_cast<uint8_t>(random_());
    return out;
  }
  Scalar RandomScalar() {
    std::array<uint8_t, 64> wide;
    for (uint8_t& b : wide) b = static_cast<uint8_t>(random_());
    Scalar out;
    crypto_core_ed25519_scalar_reduce(out.data(), wide.data());
    return out;
  }
  // a, A = aB + torsion; R = rB + torsion; S = r + ha. Signed by the book but for the torsion.
  Case Signed(const Ed25519Key* key_torsion, const Ed25519Key* r_torsion) {
    Case c;
    c.message = Message();
    const Scalar a = RandomScalar(), r = RandomScalar();
    Scalar h, ha;
    c.key.bytes = Point(a, key_torsion);
    const auto big_r = Point(r, r_torsion);
    std::copy(big_r.begin(), big_r.end(), c.signature.data());
    const Bytes hashed = Concat({big_r, c.key, c.message});
    std::array<uint8_t, 64> wide;
    crypto_hash_sha512(wide.data(), hashed.data(), hashed.size());
    crypto_core_ed25519_scalar_reduce(h.data(), wide.data());
    crypto_core_ed25519_scalar_mul(ha.data(), h.data(), a.data());
    crypto_core_ed25519_scalar_add(c.signature.data() + 32, r.data(), ha.data());
    return c;
  }
  const Ed25519Key* Torsion() { return &small_[Below(10)]; }  // canonical ones

  // One of every kind that we could think of.
  static constexpr size_t kKinds = 14;
  Case Make(size_t kind);

 private:
  std::array<uint8_t, 32> Point(const Scalar& s, const Ed25519Key* torsion) {
    std::array<uint8_t, 32> out;
    EXPECT_EQ(crypto_scalarmult_ed25519_base_noclamp(out.data(), s.data()), 0);
    if (torsion != nullptr) {
      const auto plain = out;
      if (crypto_core_ed25519_add(out.data(), plain.data(), torsion->data()) != 0) out = plain;
    }
    return out;
  }
  std::mt19937_64 random_;
  std::vector<Ed25519Key> small_;
};

Case Forge::Make(size_t kind) {
  Case c = Signed(nullptr, nullptr);
  const auto flip = [this](uint8_t* at, size_t bytes) {
    at[Below(bytes)] ^= static_cast<uint8_t>(1u << Below(8));
  };
  const auto add_order = [](uint8_t* s) {
    const Bytes order = Hex(kOrderHex);
    sodium_add(s, order.data(), 32);
  };
  switch (kind) {
    case 0: break;
    case 1: flip(c.signature.data(), 32); break;
    case 2: flip(c.signature.data() + 32, 32); break;
    case 3: flip(c.key.data(), 32); break;
    case 4: c.message.push_back(0); break;
    case 5: add_order(c.signature.data() + 32); break;
    case 6: c.key = small_[Below(small_.size())]; break;
    case 7: std::copy_n(small_[Below(small_.size())].data(), 32, c.signature.data()); break;
    case 8:  // y of A in p ... 2^255 - 1, either sign
      c.key.bytes.fill(0xff);
      c.key.bytes[0] = static_cast<uint8_t>(0xe8 + Below(24));
      c.key.bytes[31] = static_cast<uint8_t>(0x7f | Below(2) << 7);
      break;
    case 9:  // half of all y have no x
      for (uint8_t& b : c.key.bytes) b = static_cast<uint8_t>(random_());
      break;
    case 10: c = Signed(Torsion(), nullptr); break;
    case 11: c = Signed(Torsion(), Torsion()); break;
    case 12: c = Signed(nullptr, Torsion()); break;
    case 13:  // a key of small order under which S = r would do
      c = Signed(nullptr, nullptr);
      c.key = small_[Below(small_.size())];
      std::fill_n(c.signature.data() + 32, 32, uint8_t{0});
      std::copy_n(small_[Below(small_.size())].data(), 32, c.signature.data());
      break;
    default: ADD_FAILURE() << "no such kind";
  }
  c.Judge();
  return c;
}

class Ed25519BatchTest : public testing::TestWithParam<CurveBackend> {
 protected:
  void SetUp() override {
    if (!IsSupported(GetParam())) GTEST_SKIP() << "this processor lacks what the backend needs";
  }
  static void ExpectAsLibsodium(const std::vector<Case>& cases) {
    std::vector<VerifyJob> jobs;
    for (const Case& c : cases) jobs.push_back({&c.key, c.message, &c.signature, !c.ok});
    Ed25519VerifyBatch(jobs, GetParam());
    for (size_t i = 0; i < cases.size(); ++i)
      ASSERT_EQ(jobs[i].ok, cases[i].ok) << "job " << i << " of " << cases.size();
  }
  static void ExpectPreparedAsLibsodium(const Case& c) {
    const Ed25519Verifier verifier(c.key, GetParam());
    ASSERT_EQ(verifier.Verify(c.message, c.signature), c.ok);
    ASSERT_EQ(verifier.key(), c.key);
  }
};

TEST_P(Ed25519BatchTest, EveryNumberOfGoodOnes) {
  Forge forge(1);
  for (size_t n = 0; n <= 40; ++n) {
    std::vector<Case> cases;
    for (size_t i = 0; i < n; ++i) {
      cases.push_back(forge.Make(0));
      ASSERT_TRUE(cases.back().ok);
    }
    ExpectAsLibsodium(cases);
  }
}

TEST_P(Ed25519BatchTest, OneOfEachKindAtEachPlaceOfEachNumber) {
  Forge forge(2);
  for (size_t n = 1; n <= 20; ++n) {
    for (size_t at = 0; at < n; ++at) {
      std::vector<Case> cases;
      for (size_t i = 0; i < n; ++i)
        cases.push_back(forge.Make(i == at ? forge.Below(Forge::kKinds) : 0));
      ExpectAsLibsodium(cases);
    }
  }
}

TEST_P(Ed25519BatchTest, ThousandsOfAllKinds) {
  Forge forge(3);
  std::vector<Case> cases;
  std::array<size_t, Forge::kKinds> good{}, bad{};
  for (size_t i = 0; i < 300 * Forge::kKinds; ++i) {
    const size_t kind = i % Forge::kKinds;
    cases.push_back(forge.Make(kind));
    ++(cases.back().ok ? good : bad)[kind];
  }
  // Without a cofactor a torsion passes where the hash happens to cancel it: both answers are seen.
  for (const size_t kind : {size_t{10}, size_t{11}}) {
    EXPECT_GT(good[kind], 10u) << kind;
    EXPECT_GT(bad[kind], 10u) << kind;
  }
  EXPECT_EQ(good[0], 300u);
  EXPECT_EQ(good[5], 0u);
  EXPECT_EQ(good[6], 0u);
  std::shuffle(cases.begin(), cases.end(), std::mt19937_64(4));
  ExpectAsLibsodium(cases);
}

TEST_P(Ed25519BatchTest, PreparedKeysOfAllKinds) {
  Forge forge(5);
  for (size_t i = 0; i < 60 * Forge::kKinds; ++i)
    ExpectPreparedAsLibsodium(forge.Make(i % Forge::kKinds));
}

TEST_P(Ed25519BatchTest, PreparedKeyServesManyAndMoves) {
  const Ed25519Pair pair(Ed25519Seed(Bytes(32, 7)));
  Ed25519Verifier first(pair.public_key(), GetParam());
  const Ed25519Verifier verifier(std::move(first));
  for (size_t i = 0; i < 200; ++i) {
    Bytes message(i, static_cast<uint8_t>(i));
    Signature signature = pair.Sign(message);
    EXPECT_TRUE(verifier.Verify(message, signature));
    message.push_back(1);
    EXPECT_FALSE(verifier.Verify(message, signature));
    signature.bytes[i % 64] ^= 4;
    message.pop_back();
    EXPECT_FALSE(verifier.Verify(message, signature));
  }
}

// S around 0 and L; each byte of L changed; R and A around p.
TEST_P(Ed25519BatchTest, ScalarsAndPointsAtTheEdges) {
  Forge forge(6);
  std::vector<Case> cases;
  const Bytes order = Hex(kOrderHex);
  for (size_t byte = 0; byte < 32; ++byte) {
    for (const int delta : {-1, 0, 1, 16, 128}) {
      Case c = forge.Make(0);
      std::copy(order.begin(), order.end(), c.signature.data() + 32);
      c.signature.bytes[32 + byte] = static_cast<uint8_t>(c.signature.bytes[32 + byte] + delta);
      cases.push_back(c);
    }
  }
  for (int low = 0; low < 256; ++low) {
    for (const int rest : {0x00, 0xff}) {
      Case key = forge.Make(0), r = forge.Make(0);
      key.key.bytes.fill(static_cast<uint8_t>(rest));
      key.key.bytes[0] = static_cast<uint8_t>(low);
      key.key.bytes[31] ^= static_cast<uint8_t>(forge.Below(2) << 7);
      std::copy_n(key.key.data(), 32, r.signature.data());
      cases.push_back(key);
      cases.push_back(r);
    }
  }
  for (Case& c : cases) {
    c.Judge();
    ExpectPreparedAsLibsodium(c);
  }
  ExpectAsLibsodium(cases);
}

TEST_P(Ed25519BatchTest, Wycheproof) {
  std::vector<Case> cases;
  int valid = 0;
  for (const vectors::Row& r : vectors::Read("wycheproof/ed25519.txt")) {
    const auto signature = Signature::From(Hex(r[5]));
    if (!signature) continue;
    cases.push_back({*Ed25519Key::From(Hex(r[3])), Hex(r[4]), *signature, r[1] == "valid"});
    ExpectPreparedAsLibsodium(cases.back());
    valid += r[1] == "valid" ? 1 : 0;
  }
  EXPECT_EQ(valid, 88);
  ExpectAsLibsodium(cases);
}

// RFC 8032 §7.1: TEST 1, 2, 3 and SHA(abc).
TEST_P(Ed25519BatchTest, Rfc8032) {
  const std::string abc =
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
      "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
  const std::vector<std::array<std::string, 4>> rows = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
       "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf"
       "9b4"
       "6bd25bf5f0595bbe24655141438e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
       "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f"
       "11d"
       "8c387b2eaeb4302aeeb00d291612bb0c00"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
       "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
       "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984"
       "dc6"
       "594a7c15e9716ed28dc027beceea1ec40a"},
      {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
       "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
       abc,
       "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c6643"
       "1e0"
       "303dca179c138ac17ad9bef1177331a704"}};
  std::vector<Case> cases;
  for (const auto& row : rows) {
    const Ed25519Pair pair(Ed25519Seed(Hex(row[0])), GetParam());
    EXPECT_EQ(ToHex(pair.public_key()), row[1]);
    EXPECT_EQ(ToHex(pair.Sign(Hex(row[2]))), row[3]);
    cases.push_back({pair.public_key(), Hex(row[2]), *Signature::From(Hex(row[3])), true});
    ExpectPreparedAsLibsodium(cases.back());
  }
  ExpectAsLibsodium(cases);
}

TEST_P(Ed25519BatchTest, SignsAsLibsodium) {
  Forge forge(8);
  for (size_t i = 0; i < 2000; ++i) {
    const Ed25519Seed seed(ByteView(forge.RandomScalar()));
    const Bytes message = forge.Message();
    const Ed25519Pair pair(seed, GetParam());
    Ed25519Key key;
    Secret<64> secret;
    Signature want;
    ASSERT_EQ(crypto_sign_seed_keypair(key.data(), secret.data(), seed.data()), 0);
    ASSERT_EQ(
        crypto_sign_detached(want.data(), nullptr, message.data(), message.size(), secret.data()),
        0);
    ASSERT_EQ(pair.public_key(), key);
    ASSERT_EQ(pair.Sign(message), want);
  }
}

// Clamped or not, and at the edges of every digit.
TEST_P(Ed25519BatchTest, PublicX25519KeysAsLibsodium) {
  Forge forge(9);
  const auto expect = [](const X25519Private& key) {
    X25519Key want;
    ASSERT_EQ(crypto_scalarmult_base(want.data(), key.data()), 0);
    ASSERT_EQ(X25519Public(key, GetParam()), want) << ToHex(key.view());
  };
  for (size_t i = 0; i < 2000; ++i) {
    X25519Private key{ByteView(forge.RandomScalar())};
    key.data()[31] = static_cast<uint8_t>(forge.Below(256));
    expect(key);
  }
  for (size_t bit = 0; bit < 256; ++bit) {
    for (const int rest : {0x00, 0xff, 0x77, 0x78, 0x87, 0x88}) {
      X25519Private key;
      std::memset(key.data(), rest, 32);
      key.data()[bit / 8] = static_cast<uint8_t>(key.data()[bit / 8] ^ (1u << bit % 8));
      expect(key);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends,
                         Ed25519BatchTest,
                         testing::Values(CurveBackend::kSodium, CurveBackend::kLanes),
                         [](const auto& p) { return std::string(BackendName(p.param)); });

}  // namespace
}  // namespace aqmesh::crypto
