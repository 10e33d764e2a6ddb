#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/crypto/curve_lanes.h"
#include "core/crypto/field_lanes.h"

#if defined(__x86_64__)

namespace aqmesh::crypto::lanes {

namespace {

template <class L>
struct Ratio {
  Fe<L> x, z;
};

// RFC 7748 §5, without the swap: the sum of the two points is the same either way, so only the one
// that is doubled is chosen. Between steps a point is kept as x + z and x - z.
template <class L>
struct Ladder {
  Fe<L> plus, minus;              // of the multiple k
  Fe<L> plus_after, minus_after;  // of k + 1
};

// x = (x + z)^2 (x - z)^2, z = e (aa + 121665 e).
template <class L>
AQ_512_INLINE void Double(const Fe<L>& plus, const Fe<L>& minus, Wide<L>& x, Wide<L>& z) {
  const Wide<L> plus2 = SquareWide(plus), minus2 = SquareWide(minus);
  const Fe<L> aa = Carry(plus2), bb = Carry(minus2), e = Carry(Minus(plus2, minus2));
  x = MulWide(aa, bb);
  z = MulWide(e, Carry(PlusTimes(aa, e, 121665)));
}

template <class L>
AQ_512_INLINE void Step(__mmask8 other, const Fe<L>& u, Ladder<L>& s) {
  const Fe<L> plus = Select(other, s.plus, s.plus_after);
  const Fe<L> minus = Select(other, s.minus, s.minus_after);
  const Wide<L> da = MulWide(s.minus_after, s.plus), cb = MulWide(s.plus_after, s.minus);
  const Fe<L> sum = Carry(Plus(da, cb)), difference = Carry(Minus(da, cb));
  Wide<L> x, z;
  Double(plus, minus, x, z);
  s.plus = Carry(Plus(x, z)), s.minus = Carry(Minus(x, z));
  x = SquareWide(sum), z = MulWide(Square(difference), u);
  s.plus_after = Carry(Plus(x, z)), s.minus_after = Carry(Minus(x, z));
}

// Scalars as X25519 clamps them: bits 255, 2, 1 and 0 clear, bit 254 set. A step asks whether its
// bit differs from the one above; the three lowest are doublings alone.
template <class L>
AQ_512 __attribute__((noinline)) static void Multiply(const Words& scalars,
                                                      const Words& points,
                                                      Ratio<L>& out) {
  L change[4];
  for (size_t w = 0; w < 4; ++w) {
    const L word = Loaded<L>(scalars.at[w]);
    const L above = w == 3 ? Each<L>(0) : Loaded<L>(scalars.at[w + 1]);
    const L shifted = Or(Right<1>(word), Left<63>(above));
    change[w] = Xor(word, shifted);
  }
  const Fe<L> u = From<L>(points), one = Small<L>(1);
  Ladder<L> s = {one, one, Add(u, one), Sub(u, one)};
  for (size_t bit = 254; bit > 2; --bit) {
    Step(Common(change[bit / 64], Each<L>(uint64_t{1} << bit % 64)), u, s);
  }
  const __mmask8 other = Common(change[0], Each<L>(4));
  Fe<L> plus = Select(other, s.plus, s.plus_after), minus = Select(other, s.minus, s.minus_after);
  Wide<L> x, z;
  Double(plus, minus, x, z);
  for (int i = 0; i < 2; ++i) {
    plus = Carry(Plus(x, z)), minus = Carry(Minus(x, z));
    Double(plus, minus, x, z);
  }
  out = {Carry(x), Carry(z)};
}

// Montgomery's trick: one inversion for all groups. A z of zero would zero its neighbours: it is
// one meanwhile, and its quotient zero, as the inverse of zero is.
template <class L>
AQ_512 __attribute__((noinline)) static void Divide(Ratio<L>* ratios, size_t n) {
  Fe<L> before[kGroups];  // the product of all z before this
  __mmask8 zero[kGroups];
  Fe<L> product = Small<L>(1);
  for (size_t i = 0; i < n; ++i) {
    zero[i] = IsZero(ratios[i].z);
    ratios[i].z = Select(zero[i], ratios[i].z, Small<L>(1));
    before[i] = product;
    product = i == 0 ? ratios[0].z : Mul(product, ratios[i].z);
  }
  Fe<L> inverse = Invert(product);
  for (size_t i = n; i-- > 0;) {
    const Fe<L> one = i == 0 ? inverse : Mul(inverse, before[i]);
    inverse = Mul(inverse, ratios[i].z);
    ratios[i].x = Select(zero[i], Mul(ratios[i].x, one), Small<L>(0));
  }
}

void Clamped(const uint8_t* key, size_t lane, Words& words) {
  for (size_t w = 0; w < 4; ++w) std::memcpy(&words.at[w][lane], key + 8 * w, 8);
  words.at[0][lane] &= ~uint64_t{7};
  words.at[3][lane] = (words.at[3][lane] & ~uint64_t{0} >> 1) | uint64_t{1} << 62;
}

template <class L>
struct Work {
  Ratio<L> ratios[kGroups];
  Words keys, points;
};

template <class L>
AQ_512 __attribute__((noinline)) static void Run(std::span<const LadderLane> lanes, Work<L>& work) {
  const size_t groups = (lanes.size() + L::kCount - 1) / L::kCount;
  for (size_t g = 0; g < groups; ++g) {
    for (size_t i = 0; i < L::kCount; ++i) {  // the last one again where a group is not full
      const LadderLane& lane = lanes[std::min(g * L::kCount + i, lanes.size() - 1)];
      Clamped(lane.key32, i, work.keys);
      for (size_t w = 0; w < 4; ++w) std::memcpy(&work.points.at[w][i], lane.u32 + 8 * w, 8);
    }
    Multiply(work.keys, work.points, work.ratios[g]);
  }
  Divide(work.ratios, groups);
  for (size_t g = 0; g < groups; ++g) {
    To(work.ratios[g].x, work.points);
    for (size_t i = 0; i < L::kCount && g * L::kCount + i < lanes.size(); ++i) {
      for (size_t w = 0; w < 4; ++w)
        std::memcpy(lanes[g * L::kCount + i].out32 + 8 * w, &work.points.at[w][i], 8);
    }
  }
}

template <class L>
void RunWiped(std::span<const LadderLane> lanes) {
  Work<L> work;
  Run(lanes, work);
  sodium_memzero(&work, sizeof work);
}

}  // namespace

void RunLadders(std::span<const LadderLane> lanes) {
  while (!lanes.empty()) {
    size_t n = std::min(lanes.size(), kGroups * kLanes);
    if (n <= L4::kCount) {
      RunWiped<L4>(lanes);
    } else {
      if (n % kLanes <= L4::kCount) n -= n % kLanes;  // these next, in a run of four
      RunWiped<L8>(lanes.first(n));
    }
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
