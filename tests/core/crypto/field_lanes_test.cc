// The field under the lanes against OpenSSL's big numbers: random limbs at the top of their bounds,
// and the values at which carries and the last subtraction go wrong.
#include "core/crypto/field_lanes.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>

#include <cstring>
#include <memory>
#include <random>

#include "core/crypto/lanes.h"

#if defined(__x86_64__)

namespace aqmesh::crypto::lanes {
namespace {

struct BnFree {
  void operator()(BIGNUM* n) const { BN_free(n); }
};
using Bn = std::unique_ptr<BIGNUM, BnFree>;

struct CtxFree {
  void operator()(BN_CTX* c) const { BN_CTX_free(c); }
};

// Integers, slow and sure.
class Slow {
 public:
  Slow() : ctx_(BN_CTX_new()), p_(BN_new()) {
    BN_one(p_.get());
    BN_lshift(p_.get(), p_.get(), 255);
    BN_sub_word(p_.get(), 19);
  }
  Bn Value(const uint64_t (&limbs)[5]) const {
    Bn out(BN_new());
    BN_zero(out.get());
    for (size_t i = 5; i-- > 0;) {
      BN_lshift(out.get(), out.get(), 51);
      BN_add_word(out.get(), limbs[i]);
    }
    return out;
  }
  std::array<uint8_t, 32> Canonical(const Bn& n) const {
    Bn r(BN_new());
    BN_nnmod(r.get(), n.get(), p_.get(), ctx_.get());
    std::array<uint8_t, 32> out;
    BN_bn2lebinpad(r.get(), out.data(), 32);
    return out;
  }
  template <class F>
  std::array<uint8_t, 32> Of(F f, const Bn& a, const Bn& b) const {
    Bn r(BN_new());
    f(r.get(), a.get(), b.get(), ctx_.get());
    return Canonical(r);
  }
  std::array<uint8_t, 32> Inverse(const Bn& a) const {
    Bn e(BN_dup(p_.get())), r(BN_new());
    BN_sub_word(e.get(), 2);
    BN_mod_exp(r.get(), a.get(), e.get(), p_.get(), ctx_.get());
    return Canonical(r);
  }

 private:
  std::unique_ptr<BN_CTX, CtxFree> ctx_;
  Bn p_;
};

using Limbs = uint64_t[kLanes][5];
struct Results {
  Words product, square, sum, difference, of_wides, small, inverse, frozen;
  uint8_t zero;
};

template <class L>
AQ_512_INLINE Fe<L> FromLimbs(const Limbs& limbs, size_t first) {
  alignas(64) uint64_t t[5][kLanes];
  for (size_t i = 0; i < L::kCount; ++i)
    for (size_t k = 0; k < 5; ++k) t[k][i] = limbs[first + i][k];
  return {Loaded<L>(t[0]), Loaded<L>(t[1]), Loaded<L>(t[2]), Loaded<L>(t[3]), Loaded<L>(t[4])};
}

template <class L>
AQ_512 __attribute__((noinline)) void Compute(const Limbs& x,
                                              const Limbs& y,
                                              size_t first,
                                              Results& out) {
  const Fe<L> a = FromLimbs<L>(x, first), b = FromLimbs<L>(y, first);
  To(Mul(a, b), out.product);
  To(Square(a), out.square);
  To(Add(a, b), out.sum);
  To(Sub(a, b), out.difference);
  To(Carry(Minus(SquareWide(a), MulWide(a, b))), out.of_wides);
  To(Carry(PlusTimes(a, b, 121665)), out.small);
  To(Invert(a), out.inverse);
  To(a, out.frozen);
  out.zero = IsZero(a);
}

// What Carry leaves of the largest limbs that the bounds allow is tight.
AQ_512 __attribute__((noinline)) void Carried(uint64_t limb, uint64_t (&out)[5]) {
  const L8 v = Each<L8>(limb);
  const Fe<L8> f = Carry(Wide<L8>{v, v, v, v, v});
  for (const auto& [from, to] :
       {std::pair{&f.l0, 0}, {&f.l1, 1}, {&f.l2, 2}, {&f.l3, 3}, {&f.l4, 4}})
    std::memcpy(&out[to], from, 8);
}

std::array<uint8_t, 32> Lane(const Words& words, size_t lane) {
  std::array<uint8_t, 32> out;
  for (size_t w = 0; w < 4; ++w) std::memcpy(out.data() + 8 * w, &words.at[w][lane], 8);
  return out;
}

constexpr uint64_t kTight = (uint64_t{1} << 51) + (uint64_t{1} << 15) - 1;

class FieldLanesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!HaveLanes()) GTEST_SKIP() << "this processor has no lanes";
  }
  void Check(const Limbs& x, const Limbs& y) {
    CheckOn<L8>(x, y, 0);
    CheckOn<L4>(x, y, 0);
    CheckOn<L4>(x, y, 4);
  }
  template <class L>
  void CheckOn(const Limbs& x, const Limbs& y, size_t first) {
    Results got;
    Compute<L>(x, y, first, got);
    const auto sub = [](BIGNUM* r, const BIGNUM* a, const BIGNUM* b, BN_CTX*) { BN_sub(r, a, b); };
    const auto add = [](BIGNUM* r, const BIGNUM* a, const BIGNUM* b, BN_CTX*) { BN_add(r, a, b); };
    for (size_t i = 0; i < L::kCount; ++i) {
      const Bn a = slow_.Value(x[first + i]), b = slow_.Value(y[first + i]);
      ASSERT_EQ(Lane(got.product, i), slow_.Of(BN_mul, a, b));
      ASSERT_EQ(Lane(got.square, i), slow_.Of(BN_mul, a, a));
      ASSERT_EQ(Lane(got.sum, i), slow_.Of(add, a, b));
      ASSERT_EQ(Lane(got.difference, i), slow_.Of(sub, a, b));
      Bn aa(BN_new()), ab(BN_new()), small(BN_dup(b.get()));
      const std::unique_ptr<BN_CTX, CtxFree> ctx(BN_CTX_new());
      BN_mul(aa.get(), a.get(), a.get(), ctx.get());
      BN_mul(ab.get(), a.get(), b.get(), ctx.get());
      ASSERT_EQ(Lane(got.of_wides, i), slow_.Of(sub, aa, ab));
      BN_mul_word(small.get(), 121665);
      ASSERT_EQ(Lane(got.small, i), slow_.Of(add, a, small));
      ASSERT_EQ(Lane(got.inverse, i), slow_.Inverse(a));
      ASSERT_EQ(Lane(got.frozen, i), slow_.Canonical(a));
      const bool zero = slow_.Canonical(a) == std::array<uint8_t, 32>{};
      ASSERT_EQ((got.zero >> i & 1) != 0, zero);
    }
  }
  Slow slow_;
};

TEST_F(FieldLanesTest, RandomLimbsUpToTheirBound) {
  std::mt19937_64 random(1);
  Limbs x, y;
  for (int round = 0; round < 400; ++round) {
    for (size_t i = 0; i < kLanes; ++i) {
      for (size_t k = 0; k < 5; ++k) {
        // Uniform, or a few from either end.
        const auto limb = [&random] {
          const uint64_t r = random();
          const uint64_t few = random() % 40;
          return r % 3 == 0 ? few : r % 3 == 1 ? kTight - few : random() % (kTight + 1);
        };
        x[i][k] = limb(), y[i][k] = limb();
      }
    }
    Check(x, y);
  }
}

TEST_F(FieldLanesTest, EveryLimbAtItsBound) {
  Limbs x, y;
  for (size_t i = 0; i < kLanes; ++i)
    for (size_t k = 0; k < 5; ++k) x[i][k] = kTight, y[i][k] = (i >> k % 3 & 1) != 0 ? kTight : 0;
  Check(x, y);
  Check(y, x);
}

// 0, 1, and what stands around p and 2^255, also where p is written as limbs that were never
// carried.
TEST_F(FieldLanesTest, ValuesAroundThePrime) {
  constexpr uint64_t kFull = kMask51;
  for (int64_t d = -24; d <= 24; ++d) {
    Limbs x = {}, y = {};
    x[0][0] = static_cast<uint64_t>(d < 0 ? -d : d);
    for (size_t i = 1; i < kLanes; ++i) {
      for (size_t k = 0; k < 5; ++k) x[i][k] = kFull;
      x[i][0] = static_cast<uint64_t>(static_cast<int64_t>(kFull) - 18 + d);
    }
    for (size_t k = 2; k < 6; ++k)  // a carry that waits in limb k - 2
      x[k][k - 2] += 1;
    for (size_t i = 0; i < kLanes; ++i) std::copy_n(x[kLanes - 1 - i], 5, y[i]);
    Check(x, y);
  }
}

TEST_F(FieldLanesTest, CarryLeavesTightLimbs) {
  // The widest: two products and 2^8 p.
  for (const uint64_t limb : {~uint64_t{0} >> 3, (uint64_t{1} << 61) - 1, uint64_t{1} << 60}) {
    uint64_t out[5];
    Carried(limb, out);
    for (const uint64_t l : out) EXPECT_LE(l, kTight);
  }
}

}  // namespace
}  // namespace aqmesh::crypto::lanes

#endif  // __x86_64__
