// Eight elements of GF(2^255 - 19) at once, one a 64-bit IFMA lane: the ground that x25519_lanes.cc
// and ed25519_lanes.cc stand on. Only files compiled as lanes.cc is may include it.
// Spec:   radix 2^51, five limbs: x = l0 + l1 2^51 + ... + l4 2^204. vpmadd52 multiplies the low 52
//         bits of either side, and adds the low or the high 52 bits of the product.
// Bounds: a Fe is tight: each limb < 2^51 + 2^15, so that both sides of a product fit in 52 bits.
//         A Wide is a sum of limbs on their way to Carry: < 2^63 each. A product is < 2^59 (below);
//         Plus of two of them < 2^60; Minus of two < 2^60, for it adds 2^8 p, whose limbs are
//         2^59 - 4864 and more, before it subtracts. Neither may be repeated without a Carry.
// Timing: no branch or address depends on a value.
// Cost:   a product is 50 multiply-adds for eight lanes, a square 30.
#ifndef AQMESH_CORE_CRYPTO_FIELD_LANES_H_
#define AQMESH_CORE_CRYPTO_FIELD_LANES_H_

#include "core/crypto/curve_lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>

// Static and inlined, all of it: a copy that the linker could keep for everybody would bring
// AVX-512 to processors that have none.
#define AQ_512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")))
#define AQ_512_INLINE AQ_512 __attribute__((always_inline)) static inline

namespace aqmesh::crypto::lanes {

constexpr uint64_t kMask51 = (uint64_t{1} << 51) - 1;

struct Fe {
  __m512i l0, l1, l2, l3, l4;
};
struct Wide {
  __m512i l0, l1, l2, l3, l4;
};

AQ_512_INLINE __m512i Each(uint64_t v) { return _mm512_set1_epi64(static_cast<int64_t>(v)); }
AQ_512_INLINE __m512i Lo(__m512i acc, __m512i a, __m512i b) {
  return _mm512_madd52lo_epu64(acc, a, b);
}
AQ_512_INLINE __m512i Hi(__m512i acc, __m512i a, __m512i b) {
  return _mm512_madd52hi_epu64(acc, a, b);
}
AQ_512_INLINE __m512i Sum(__m512i a, __m512i b) { return _mm512_add_epi64(a, b); }
AQ_512_INLINE __m512i Twice(__m512i a) { return _mm512_add_epi64(a, a); }
AQ_512_INLINE __m512i Times19(__m512i a) { return Sum(Sum(_mm512_slli_epi64(a, 4), Twice(a)), a); }

AQ_512_INLINE Fe Small(uint64_t v) {  // v < 2^51
  const __m512i zero = _mm512_setzero_si512();
  return {Each(v), zero, zero, zero, zero};
}

// One pass: a limb < 2^63 sends on less than 2^12, the top one 19 times that. From less than 2^61,
// where all sums here stay: less than 2^51 + 19 * 2^10, tight.
AQ_512_INLINE __m512i Low(__m512i v) { return _mm512_and_si512(v, Each(kMask51)); }
AQ_512_INLINE __m512i Over(__m512i v) { return _mm512_srli_epi64(v, 51); }
AQ_512_INLINE Fe Carry(const Wide& w) {
  return {Lo(Low(w.l0), Over(w.l4), Each(19)),
          Sum(Low(w.l1), Over(w.l0)),
          Sum(Low(w.l2), Over(w.l1)),
          Sum(Low(w.l3), Over(w.l2)),
          Sum(Low(w.l4), Over(w.l3))};
}

template <class A, class B>
AQ_512_INLINE Wide Plus(const A& a, const B& b) {
  return {Sum(a.l0, b.l0), Sum(a.l1, b.l1), Sum(a.l2, b.l2), Sum(a.l3, b.l3), Sum(a.l4, b.l4)};
}
AQ_512_INLINE __m512i Less(__m512i a, __m512i bias, __m512i b) {
  return _mm512_sub_epi64(Sum(a, bias), b);
}
template <class A, class B>
AQ_512_INLINE Wide Minus(const A& a, const B& b) {
  const __m512i p0 = Each((kMask51 - 18) << 8), p = Each(kMask51 << 8);
  return {Less(a.l0, p0, b.l0),
          Less(a.l1, p, b.l1),
          Less(a.l2, p, b.l2),
          Less(a.l3, p, b.l3),
          Less(a.l4, p, b.l4)};
}

// a + k b, k < 2^20: less than 2^53 + 38 * 2^20.
AQ_512_INLINE Wide PlusTimes(const Fe& a, const Fe& b, uint64_t k) {
  const __m512i zero = _mm512_setzero_si512(), factor = Each(k);
  return {Lo(Lo(a.l0, b.l0, factor), Hi(zero, b.l4, factor), Each(38)),
          Sum(Lo(a.l1, b.l1, factor), Twice(Hi(zero, b.l0, factor))),
          Sum(Lo(a.l2, b.l2, factor), Twice(Hi(zero, b.l1, factor))),
          Sum(Lo(a.l3, b.l3, factor), Twice(Hi(zero, b.l2, factor))),
          Sum(Lo(a.l4, b.l4, factor), Twice(Hi(zero, b.l3, factor)))};
}

// With tight sides low halves are < 2^52, high ones < 2^50 + 2^15, and count twice: their weight is
// 2^52 where a limb's is 2^51. Column k has k + 1 low and k high products of its own, and, 19
// times, 4 - k low and 5 - k high ones from past the top. The worst is column 0:
//   2^52 + 19 (4 * 2^52 + 2 * 5 * (2^50 + 2^15)) < 125 * 2^52 < 2^59 - 4864.
AQ_512_INLINE Wide MulWide(const Fe& a, const Fe& b) {
  const __m512i zero = _mm512_setzero_si512();
  __m512i t0, t1, t2, t3, t4, r0, r1, r2, r3, r4;
  t0 = Hi(Hi(Hi(Hi(Hi(zero, a.l0, b.l4), a.l1, b.l3), a.l2, b.l2), a.l3, b.l1), a.l4, b.l0);
  t1 = Hi(Hi(Hi(Hi(zero, a.l1, b.l4), a.l2, b.l3), a.l3, b.l2), a.l4, b.l1);
  t2 = Hi(Hi(Hi(zero, a.l2, b.l4), a.l3, b.l3), a.l4, b.l2);
  t3 = Hi(Hi(zero, a.l3, b.l4), a.l4, b.l3);
  t4 = Hi(zero, a.l4, b.l4);
  r1 = Hi(zero, a.l0, b.l0);
  r2 = Hi(Hi(zero, a.l0, b.l1), a.l1, b.l0);
  r3 = Hi(Hi(Hi(zero, a.l0, b.l2), a.l1, b.l1), a.l2, b.l0);
  r4 = Hi(Hi(Hi(Hi(zero, a.l0, b.l3), a.l1, b.l2), a.l2, b.l1), a.l3, b.l0);
  t0 = Lo(Lo(Lo(Lo(Twice(t0), a.l1, b.l4), a.l2, b.l3), a.l3, b.l2), a.l4, b.l1);
  t1 = Lo(Lo(Lo(Twice(t1), a.l2, b.l4), a.l3, b.l3), a.l4, b.l2);
  t2 = Lo(Lo(Twice(t2), a.l3, b.l4), a.l4, b.l3);
  t3 = Lo(Twice(t3), a.l4, b.l4);
  t4 = Twice(t4);
  r0 = Lo(zero, a.l0, b.l0);
  r1 = Lo(Lo(Twice(r1), a.l0, b.l1), a.l1, b.l0);
  r2 = Lo(Lo(Lo(Twice(r2), a.l0, b.l2), a.l1, b.l1), a.l2, b.l0);
  r3 = Lo(Lo(Lo(Lo(Twice(r3), a.l0, b.l3), a.l1, b.l2), a.l2, b.l1), a.l3, b.l0);
  r4 = Lo(Lo(Lo(Lo(Lo(Twice(r4), a.l0, b.l4), a.l1, b.l3), a.l2, b.l2), a.l3, b.l1), a.l4, b.l0);
  return {Sum(r0, Times19(t0)),
          Sum(r1, Times19(t1)),
          Sum(r2, Times19(t2)),
          Sum(r3, Times19(t3)),
          Sum(r4, Times19(t4))};
}

// The same columns, so the same bounds: what stands off the diagonal is added before a doubling.
AQ_512_INLINE Wide SquareWide(const Fe& a) {
  const __m512i zero = _mm512_setzero_si512();
  __m512i t0, t1, t2, t3, t4, r0, r1, r2, r3, r4;
  // 2 (2 high off + high on + low off) + low on
  t0 = Twice(Hi(Hi(zero, a.l0, a.l4), a.l1, a.l3));
  t1 = Twice(Hi(Hi(zero, a.l1, a.l4), a.l2, a.l3));
  t2 = Twice(Hi(zero, a.l2, a.l4));
  t3 = Twice(Hi(zero, a.l3, a.l4));
  r2 = Twice(Hi(zero, a.l0, a.l1));
  r3 = Twice(Hi(zero, a.l0, a.l2));
  r4 = Twice(Hi(Hi(zero, a.l0, a.l3), a.l1, a.l2));
  t0 = Twice(Lo(Lo(Hi(t0, a.l2, a.l2), a.l1, a.l4), a.l2, a.l3));
  t1 = Lo(Twice(Lo(t1, a.l2, a.l4)), a.l3, a.l3);
  t2 = Twice(Lo(Hi(t2, a.l3, a.l3), a.l3, a.l4));
  t3 = Lo(Twice(t3), a.l4, a.l4);
  t4 = Twice(Hi(zero, a.l4, a.l4));
  r0 = Lo(zero, a.l0, a.l0);
  r1 = Twice(Lo(Hi(zero, a.l0, a.l0), a.l0, a.l1));
  r2 = Lo(Twice(Lo(r2, a.l0, a.l2)), a.l1, a.l1);
  r3 = Twice(Lo(Lo(Hi(r3, a.l1, a.l1), a.l0, a.l3), a.l1, a.l2));
  r4 = Lo(Twice(Lo(Lo(r4, a.l0, a.l4), a.l1, a.l3)), a.l2, a.l2);
  return {Sum(r0, Times19(t0)),
          Sum(r1, Times19(t1)),
          Sum(r2, Times19(t2)),
          Sum(r3, Times19(t3)),
          Sum(r4, Times19(t4))};
}

AQ_512_INLINE Fe Mul(const Fe& a, const Fe& b) { return Carry(MulWide(a, b)); }
AQ_512_INLINE Fe Square(const Fe& a) { return Carry(SquareWide(a)); }
AQ_512_INLINE Fe Add(const Fe& a, const Fe& b) { return Carry(Plus(a, b)); }
AQ_512_INLINE Fe Sub(const Fe& a, const Fe& b) { return Carry(Minus(a, b)); }

// Where the mask has a lane: b, else a.
AQ_512_INLINE Fe Select(__mmask8 m, const Fe& a, const Fe& b) {
  return {_mm512_mask_blend_epi64(m, a.l0, b.l0),
          _mm512_mask_blend_epi64(m, a.l1, b.l1),
          _mm512_mask_blend_epi64(m, a.l2, b.l2),
          _mm512_mask_blend_epi64(m, a.l3, b.l3),
          _mm512_mask_blend_epi64(m, a.l4, b.l4)};
}

AQ_512_INLINE Fe SquareTimes(Fe a, int times) {
  for (int i = 0; i < times; ++i) a = Square(a);
  return a;
}

// a^(2^250 - 1), and a^11 on the way.
AQ_512_INLINE Fe Pow250(const Fe& a, Fe& a11) {
  const Fe a2 = Square(a), a9 = Mul(SquareTimes(a2, 2), a);
  a11 = Mul(a9, a2);
  const Fe p5 = Mul(Square(a11), a9);  // a^(2^5 - 1), and so on
  const Fe p10 = Mul(SquareTimes(p5, 5), p5);
  const Fe p20 = Mul(SquareTimes(p10, 10), p10);
  const Fe p40 = Mul(SquareTimes(p20, 20), p20);
  const Fe p50 = Mul(SquareTimes(p40, 10), p10);
  const Fe p100 = Mul(SquareTimes(p50, 50), p50);
  const Fe p200 = Mul(SquareTimes(p100, 100), p100);
  return Mul(SquareTimes(p200, 50), p50);
}
AQ_512_INLINE Fe Invert(const Fe& a) {  // a^(p - 2): 0 for 0
  Fe a11;
  const Fe p250 = Pow250(a, a11);
  return Mul(SquareTimes(p250, 5), a11);
}

// Words to limbs and back. From ignores bit 255 and takes what
// is not canonical; To gives the one canonical form.
AQ_512_INLINE Fe From(const Words& words) {
  const __m512i w0 = _mm512_load_si512(words.at[0]), w1 = _mm512_load_si512(words.at[1]);
  const __m512i w2 = _mm512_load_si512(words.at[2]), w3 = _mm512_load_si512(words.at[3]);
  return {Low(w0),
          Low(_mm512_or_si512(_mm512_srli_epi64(w0, 51), _mm512_slli_epi64(w1, 13))),
          Low(_mm512_or_si512(_mm512_srli_epi64(w1, 38), _mm512_slli_epi64(w2, 26))),
          Low(_mm512_or_si512(_mm512_srli_epi64(w2, 25), _mm512_slli_epi64(w3, 39))),
          Low(_mm512_srli_epi64(w3, 12))};
}
// A tight a is less than 2 p. q: whether it is p or more, as the carry of a + 19 out of bit 255.
AQ_512_INLINE Fe Freeze(const Fe& a) {
  __m512i q = Over(Sum(a.l0, Each(19)));
  q = Over(Sum(a.l1, q)), q = Over(Sum(a.l2, q)), q = Over(Sum(a.l3, q)), q = Over(Sum(a.l4, q));
  const __m512i l0 =
      Sum(a.l0, _mm512_and_si512(_mm512_sub_epi64(_mm512_setzero_si512(), q), Each(19)));
  const __m512i l1 = Sum(a.l1, Over(l0)), l2 = Sum(a.l2, Over(l1)), l3 = Sum(a.l3, Over(l2));
  return {Low(l0), Low(l1), Low(l2), Low(l3), Low(Sum(a.l4, Over(l3)))};
}
AQ_512_INLINE __mmask8 IsZero(const Fe& a) {
  const Fe f = Freeze(a);
  const __m512i any = _mm512_or_si512(_mm512_or_si512(_mm512_or_si512(f.l0, f.l1), f.l2),
                                      _mm512_or_si512(f.l3, f.l4));
  return _mm512_testn_epi64_mask(any, any);
}
AQ_512_INLINE void To(const Fe& a, Words& words) {
  const Fe f = Freeze(a);
  _mm512_store_si512(words.at[0], _mm512_or_si512(f.l0, _mm512_slli_epi64(f.l1, 51)));
  _mm512_store_si512(words.at[1],
                     _mm512_or_si512(_mm512_srli_epi64(f.l1, 13), _mm512_slli_epi64(f.l2, 38)));
  _mm512_store_si512(words.at[2],
                     _mm512_or_si512(_mm512_srli_epi64(f.l2, 26), _mm512_slli_epi64(f.l3, 25)));
  _mm512_store_si512(words.at[3],
                     _mm512_or_si512(_mm512_srli_epi64(f.l3, 39), _mm512_slli_epi64(f.l4, 12)));
}

}  // namespace aqmesh::crypto::lanes

#endif  // __x86_64__

#endif  // AQMESH_CORE_CRYPTO_FIELD_LANES_H_
