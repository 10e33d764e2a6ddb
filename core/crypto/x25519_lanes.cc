#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/crypto/curve_lanes.h"
#include "core/crypto/field_lanes.h"

#if defined(__x86_64__)

namespace aqmesh::crypto::lanes {

namespace {

struct Ratio {
  Fe x, z;
};

// RFC 7748 §5, without the swap: the sum of the two points is the same either way, so only the one
// that is doubled is chosen. Between steps a point is kept as x + z and x - z.
struct Ladder {
  Fe plus, minus;              // of the multiple k
  Fe plus_after, minus_after;  // of k + 1
};

// x = (x + z)^2 (x - z)^2, z = e (aa + 121665 e).
AQ_512_INLINE void Double(const Fe& plus, const Fe& minus, Wide& x, Wide& z) {
  const Wide plus2 = SquareWide(plus), minus2 = SquareWide(minus);
  const Fe aa = Carry(plus2), bb = Carry(minus2), e = Carry(Minus(plus2, minus2));
  x = MulWide(aa, bb);
  z = MulWide(e, Carry(PlusTimes(aa, e, 121665)));
}

AQ_512_INLINE void Step(__mmask8 other, const Fe& u, Ladder& s) {
  const Fe plus = Select(other, s.plus, s.plus_after);
  const Fe minus = Select(other, s.minus, s.minus_after);
  const Wide da = MulWide(s.minus_after, s.plus), cb = MulWide(s.plus_after, s.minus);
  const Fe sum = Carry(Plus(da, cb)), difference = Carry(Minus(da, cb));
  Wide x, z;
  Double(plus, minus, x, z);
  s.plus = Carry(Plus(x, z)), s.minus = Carry(Minus(x, z));
  x = SquareWide(sum), z = MulWide(Square(difference), u);
  s.plus_after = Carry(Plus(x, z)), s.minus_after = Carry(Minus(x, z));
}

// Scalars as X25519 clamps them: bits 255, 2, 1 and 0 clear, bit 254 set. A step asks whether its
// bit differs from the one above; the three lowest are doublings alone.
AQ_512 __attribute__((noinline)) void Multiply(const Words& scalars,
                                               const Words& points,
                                               Ratio& out) {
  __m512i change[4];
  for (size_t w = 0; w < 4; ++w) {
    const __m512i word = _mm512_load_si512(scalars.at[w]);
    const __m512i above = w == 3 ? _mm512_setzero_si512() : _mm512_load_si512(scalars.at[w + 1]);
    const __m512i shifted =
        _mm512_or_si512(_mm512_srli_epi64(word, 1), _mm512_slli_epi64(above, 63));
    change[w] = _mm512_xor_si512(word, shifted);
  }
  const Fe u = From(points), one = Small(1);
  Ladder s = {one, one, Add(u, one), Sub(u, one)};
  for (size_t bit = 254; bit > 2; --bit) {
    Step(_mm512_test_epi64_mask(change[bit / 64], Each(uint64_t{1} << bit % 64)), u, s);
  }
  const __mmask8 other = _mm512_test_epi64_mask(change[0], Each(4));
  Fe plus = Select(other, s.plus, s.plus_after), minus = Select(other, s.minus, s.minus_after);
  Wide x, z;
  Double(plus, minus, x, z);
  for (int i = 0; i < 2; ++i) {
    plus = Carry(Plus(x, z)), minus = Carry(Minus(x, z));
    Double(plus, minus, x, z);
  }
  out = {Carry(x), Carry(z)};
}

// Montgomery's trick: one inversion for all groups. A z of zero would zero its neighbours: it is
// one meanwhile, and its quotient zero, as the inverse of zero is.
AQ_512 __attribute__((noinline)) void Divide(Ratio* ratios, size_t n) {
  Fe before[kGroups];  // the product of all z before this
  __mmask8 zero[kGroups];
  Fe product = Small(1);
  for (size_t i = 0; i < n; ++i) {
    zero[i] = IsZero(ratios[i].z);
    ratios[i].z = Select(zero[i], ratios[i].z, Small(1));
    before[i] = product;
    product = i == 0 ? ratios[0].z : Mul(product, ratios[i].z);
  }
  Fe inverse = Invert(product);
  for (size_t i = n; i-- > 0;) {
    const Fe one = i == 0 ? inverse : Mul(inverse, before[i]);
    inverse = Mul(inverse, ratios[i].z);
    ratios[i].x = Select(zero[i], Mul(ratios[i].x, one), Small(0));
  }
}

void Clamped(const uint8_t* key, size_t lane, Words& words) {
  for (size_t w = 0; w < 4; ++w) std::memcpy(&words.at[w][lane], key + 8 * w, 8);
  words.at[0][lane] &= ~uint64_t{7};
  words.at[3][lane] = (words.at[3][lane] & ~uint64_t{0} >> 1) | uint64_t{1} << 62;
}

struct Work {
  Ratio ratios[kGroups];
  Words keys, points;
};

AQ_512 __attribute__((noinline)) void Run(std::span<const LadderLane> lanes, Work& work) {
  const size_t groups = (lanes.size() + kLanes - 1) / kLanes;
  for (size_t g = 0; g < groups; ++g) {
    for (size_t i = 0; i < kLanes; ++i) {
      const LadderLane& lane = lanes[std::min(g * kLanes + i, lanes.size() - 1)];
      Clamped(lane.key32, i, work.keys);
      for (size_t w = 0; w < 4; ++w) std::memcpy(&work.points.at[w][i], lane.u32 + 8 * w, 8);
    }
    Multiply(work.keys, work.points, work.ratios[g]);
  }
  Divide(work.ratios, groups);
  for (size_t g = 0; g < groups; ++g) {
    To(work.ratios[g].x, work.points);
    for (size_t i = 0; i < kLanes && g * kLanes + i < lanes.size(); ++i) {
      for (size_t w = 0; w < 4; ++w)
        std::memcpy(lanes[g * kLanes + i].out32 + 8 * w, &work.points.at[w][i], 8);
    }
  }
}

}  // namespace

void RunLadders(std::span<const LadderLane> lanes) {
  while (!lanes.empty()) {
    Work work;
    const size_t n = std::min(lanes.size(), kGroups * kLanes);
    Run(lanes.first(n), work);
    sodium_memzero(&work, sizeof work);
    lanes = lanes.subspan(n);
  }
  sodium_stackzero(kSpilled);
}

}  // namespace aqmesh::crypto::lanes

#else

namespace aqmesh::crypto::lanes {
void RunLadders(std::span<const LadderLane>) { AQ_CHECK(false); }
}  // namespace aqmesh::crypto::lanes

#endif
