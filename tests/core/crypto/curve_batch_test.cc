// X25519 of many at once, by each backend, against libsodium, the vectors of RFC 7748 and
// Wycheproof's.
#include "core/crypto/curve_batch.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <random>

#include "tests/vectors/read.h"

namespace aqmesh::crypto {
namespace {

using vectors::Hex;

template <class T>
T Random(std::mt19937_64& random) {
  T out;
  for (size_t i = 0; i < T::kSize; ++i) out.data()[i] = static_cast<uint8_t>(random());
  return out;
}

X25519Key KeyOf(const std::string& hex) { return *X25519Key::From(Hex(hex)); }

class X25519BatchTest : public testing::TestWithParam<CurveBackend> {
 protected:
  void SetUp() override {
    if (!IsSupported(GetParam())) GTEST_SKIP() << "this processor lacks what the backend needs";
  }
};

// A job's inputs and output, and what libsodium makes of the same.
struct Exchange {
  Exchange(X25519Private k, std::optional<X25519Key> p) : key(std::move(k)), peer(p) {
    const X25519Key base = KeyOf("09" + std::string(62, '0'));
    ok = crypto_scalarmult(want.data(), key.data(), peer ? peer->data() : base.data()) == 0;
    if (!ok) want = Secret<32>();
    std::memset(shared.data(), 0xa5, 32);
  }
  X25519Job Job() { return {&key, peer ? &*peer : nullptr, shared.data()}; }

  X25519Private key;
  std::optional<X25519Key> peer;
  Secret<32> shared, want;
  bool ok;
};

void ExpectAsLibsodium(CurveBackend backend, std::vector<Exchange>& all) {
  std::vector<X25519Job> jobs;
  for (Exchange& e : all) jobs.push_back(e.Job());
  X25519Batch(jobs, backend);
  for (size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(jobs[i].ok, all[i].ok) << "job " << i << " of " << all.size();
    ASSERT_EQ(all[i].shared, all[i].want) << "job " << i << " of " << all.size();
  }
}

// Every u that is of small order, on the curve or its twist, in each of its encodings.
std::vector<X25519Key> SmallOrder() {
  const std::string f = std::string(60, 'f');
  std::vector<X25519Key> out;
  for (const std::string& low :
       {std::string(62, '0') + "00",
        "01" + std::string(62, '0'),
        std::string("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        std::string("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        "ec" + f + "7f",
        "ed" + f + "7f",
        "ee" + f + "7f"}) {
    out.push_back(KeyOf(low));
    out.push_back(out.back());
    out.back().bytes[31] |= 0x80;
  }
  return out;
}

// u near 0, p and 2^255, with bit 255 and without.
std::vector<X25519Key> Edges() {
  std::vector<X25519Key> out;
  for (int low = 0; low < 256; ++low) {
    for (const int rest : {0x00, 0xff}) {
      for (const int top : {0x00, 0x7f, 0x80, 0xff}) {
        X25519Key key;
        key.bytes.fill(static_cast<uint8_t>(rest));
        key.bytes[0] = static_cast<uint8_t>(low);
        key.bytes[31] = static_cast<uint8_t>(top);
        out.push_back(key);
      }
    }
  }
  return out;
}

TEST_P(X25519BatchTest, EveryNumberOfJobs) {
  std::mt19937_64 random(1);
  for (size_t n = 0; n <= 70; ++n) {
    std::vector<Exchange> all;
    for (size_t i = 0; i < n; ++i)
      all.emplace_back(Random<X25519Private>(random), Random<X25519Key>(random));
    ExpectAsLibsodium(GetParam(), all);
  }
}

TEST_P(X25519BatchTest, ThousandsAtOnce) {
  std::mt19937_64 random(2);
  std::vector<Exchange> all;
  for (size_t i = 0; i < 4099; ++i)
    all.emplace_back(Random<X25519Private>(random), Random<X25519Key>(random));
  ExpectAsLibsodium(GetParam(), all);
}

TEST_P(X25519BatchTest, PublicKeysAmongExchanges) {
  std::mt19937_64 random(3);
  for (size_t n = 1; n <= 20; ++n) {
    std::vector<Exchange> all;
    for (size_t i = 0; i < n; ++i) {
      std::optional<X25519Key> peer;
      if (random() % 2 != 0) peer = Random<X25519Key>(random);
      all.emplace_back(Random<X25519Private>(random), peer);
      if (!peer) {
        ASSERT_EQ(X25519Public(all.back().key).bytes,
                  X25519Key::From(all.back().want.view())->bytes);
      }
    }
    ExpectAsLibsodium(GetParam(), all);
  }
}

// A zero result closes its own job and leaves its neighbours alone, whichever lane it is in, and
// though all lanes share an inversion.
TEST_P(X25519BatchTest, SmallOrderAtEachPlaceOfEachNumber) {
  std::mt19937_64 random(4);
  const std::vector<X25519Key> small = SmallOrder();
  for (size_t n = 1; n <= 20; ++n) {
    for (size_t at = 0; at < n; ++at) {
      std::vector<Exchange> all;
      for (size_t i = 0; i < n; ++i) {
        const bool bad = i == at || random() % 8 == 0;
        all.emplace_back(Random<X25519Private>(random),
                         bad ? small[random() % small.size()] : Random<X25519Key>(random));
        ASSERT_EQ(all.back().ok, !bad);
      }
      ExpectAsLibsodium(GetParam(), all);
    }
  }
}

TEST_P(X25519BatchTest, PointsAtTheEdges) {
  std::mt19937_64 random(5);
  std::vector<Exchange> all;
  for (const X25519Key& u : Edges()) all.emplace_back(Random<X25519Private>(random), u);
  for (const X25519Key& u : SmallOrder()) all.emplace_back(Random<X25519Private>(random), u);
  ExpectAsLibsodium(GetParam(), all);
}

TEST_P(X25519BatchTest, ScalarsAtTheEdges) {
  std::mt19937_64 random(6);
  std::vector<Exchange> all;
  for (size_t bit = 0; bit < 256; ++bit) {
    for (const int rest : {0x00, 0xff}) {
      X25519Private key;
      std::memset(key.data(), rest, 32);
      key.data()[bit / 8] = static_cast<uint8_t>(key.data()[bit / 8] ^ (1u << bit % 8));
      all.emplace_back(std::move(key), Random<X25519Key>(random));
    }
  }
  ExpectAsLibsodium(GetParam(), all);
}

TEST_P(X25519BatchTest, OutputMayLieWhereItsKeyLies) {
  std::mt19937_64 random(7);
  std::vector<Exchange> all;
  for (size_t i = 0; i < 11; ++i)
    all.emplace_back(Random<X25519Private>(random), Random<X25519Key>(random));
  std::vector<X25519Job> jobs;
  for (Exchange& e : all) jobs.push_back({&e.key, &*e.peer, e.key.data()});
  X25519Batch(jobs, GetParam());
  for (const Exchange& e : all) ASSERT_EQ(e.key, e.want);
}

// RFC 7748 §5.2: two single vectors, and k, u = X25519(k, u), k a thousand times, in every lane.
TEST_P(X25519BatchTest, Rfc7748) {
  const std::vector<std::array<std::string, 3>> rows = {
      {"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
       "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
       "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
      {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
       "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
       "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"}};
  std::vector<Exchange> all;
  for (const auto& row : rows) all.emplace_back(X25519Private(Hex(row[0])), KeyOf(row[1]));
  ExpectAsLibsodium(GetParam(), all);
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(ToHex(all[i].shared.view()), rows[i][2]);

  const std::string nine = "09" + std::string(62, '0');
  std::array<X25519Private, 9> key;
  std::array<X25519Key, 9> u;
  for (auto& k : key) k = X25519Private(Hex(nine));
  for (auto& p : u) p = KeyOf(nine);
  for (int round = 1; round <= 1000; ++round) {
    std::array<Secret<32>, 9> shared;
    std::array<X25519Job, 9> jobs;
    for (size_t i = 0; i < 9; ++i) jobs[i] = {&key[i], &u[i], shared[i].data()};
    X25519Batch(jobs, GetParam());
    for (size_t i = 0; i < 9; ++i) {
      u[i] = *X25519Key::From(key[i].view());
      key[i] = std::move(shared[i]);
    }
    if (round == 1) {
      EXPECT_EQ(ToHex(key[3].view()),
                "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
  }
  for (const auto& k : key) {
    EXPECT_EQ(ToHex(k.view()), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
  }
}

TEST_P(X25519BatchTest, Wycheproof) {
  std::vector<Exchange> all;
  for (const vectors::Row& r : vectors::Read("wycheproof/x25519.txt")) {
    all.emplace_back(X25519Private(Hex(r[4])), KeyOf(r[3]));
    ASSERT_EQ(all.back().want, Secret<32>(Hex(r[5]))) << r[0];
  }
  EXPECT_EQ(all.size(), 518u);
  ExpectAsLibsodium(GetParam(), all);
}

std::string NameOf(const testing::TestParamInfo<CurveBackend>& p) {
  return std::string(BackendName(p.param));
}
INSTANTIATE_TEST_SUITE_P(Backends,
                         X25519BatchTest,
                         testing::Values(CurveBackend::kSodium, CurveBackend::kLanes),
                         NameOf);

TEST(CurveBackendTest, BestIsOneThatIsSupported) {
  EXPECT_TRUE(IsSupported(BestCurveBackend()));
  EXPECT_TRUE(IsSupported(CurveBackend::kSodium));
}

}  // namespace
}  // namespace aqmesh::crypto
