// Eight or four elements of GF(2^255 - 19) at once, one a 64-bit IFMA lane: the ground that
// x25519_lanes.cc and ed25519_lanes.cc stand on. Four are the quicker where there are no more: a
// processor that does 512 bits in two halves has done them in half the time. Only files compiled as
// lanes.cc is may include it.
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

// ---- registers: what follows is the same for either

struct L8 {
  static constexpr size_t kCount = 8;
  __m512i v;
};
struct L4 {
  static constexpr size_t kCount = 4;
  __m256i v;
};

AQ_512_INLINE void Set(uint64_t v, L8& out) { out.v = _mm512_set1_epi64(static_cast<int64_t>(v)); }
AQ_512_INLINE void Set(uint64_t v, L4& out) { out.v = _mm256_set1_epi64x(static_cast<int64_t>(v)); }
template <class L>
AQ_512_INLINE L Each(uint64_t v) {
  L out;
  Set(v, out);
  return out;
}
AQ_512_INLINE void Load(const uint64_t* from, L8& out) { out.v = _mm512_load_si512(from); }
AQ_512_INLINE void Load(const uint64_t* from, L4& out) {
  out.v = _mm256_load_si256(reinterpret_cast<const __m256i*>(from));
}
template <class L>
AQ_512_INLINE L Loaded(const uint64_t* from) {
  L out;
  Load(from, out);
  return out;
}
AQ_512_INLINE void Store(L8 a, uint64_t* to) { _mm512_store_si512(to, a.v); }
AQ_512_INLINE void Store(L4 a, uint64_t* to) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), a.v);
}
// acc + the low, the high 52 bits of ab
AQ_512_INLINE L8 Lo(L8 acc, L8 a, L8 b) { return {_mm512_madd52lo_epu64(acc.v, a.v, b.v)}; }
AQ_512_INLINE L4 Lo(L4 acc, L4 a, L4 b) { return {_mm256_madd52lo_epu64(acc.v, a.v, b.v)}; }
AQ_512_INLINE L8 Hi(L8 acc, L8 a, L8 b) { return {_mm512_madd52hi_epu64(acc.v, a.v, b.v)}; }
AQ_512_INLINE L4 Hi(L4 acc, L4 a, L4 b) { return {_mm256_madd52hi_epu64(acc.v, a.v, b.v)}; }
AQ_512_INLINE L8 Sum(L8 a, L8 b) { return {_mm512_add_epi64(a.v, b.v)}; }
AQ_512_INLINE L4 Sum(L4 a, L4 b) { return {_mm256_add_epi64(a.v, b.v)}; }
AQ_512_INLINE L8 Difference(L8 a, L8 b) { return {_mm512_sub_epi64(a.v, b.v)}; }
AQ_512_INLINE L4 Difference(L4 a, L4 b) { return {_mm256_sub_epi64(a.v, b.v)}; }
AQ_512_INLINE L8 And(L8 a, L8 b) { return {_mm512_and_si512(a.v, b.v)}; }
AQ_512_INLINE L4 And(L4 a, L4 b) { return {_mm256_and_si256(a.v, b.v)}; }
AQ_512_INLINE L8 Or(L8 a, L8 b) { return {_mm512_or_si512(a.v, b.v)}; }
AQ_512_INLINE L4 Or(L4 a, L4 b) { return {_mm256_or_si256(a.v, b.v)}; }
AQ_512_INLINE L8 Xor(L8 a, L8 b) { return {_mm512_xor_si512(a.v, b.v)}; }
AQ_512_INLINE L4 Xor(L4 a, L4 b) { return {_mm256_xor_si256(a.v, b.v)}; }
template <unsigned kBits>
AQ_512_INLINE L8 Left(L8 a) {
  return {_mm512_slli_epi64(a.v, kBits)};
}
template <unsigned kBits>
AQ_512_INLINE L4 Left(L4 a) {
  return {_mm256_slli_epi64(a.v, kBits)};
}
template <unsigned kBits>
AQ_512_INLINE L8 Right(L8 a) {
  return {_mm512_srli_epi64(a.v, kBits)};
}
template <unsigned kBits>
AQ_512_INLINE L4 Right(L4 a) {
  return {_mm256_srli_epi64(a.v, kBits)};
}
// Lanes as bits: those with a common bit, those that are equal; and, where set, b, else a.
AQ_512_INLINE __mmask8 Common(L8 a, L8 b) { return _mm512_test_epi64_mask(a.v, b.v); }
AQ_512_INLINE __mmask8 Common(L4 a, L4 b) { return _mm256_test_epi64_mask(a.v, b.v); }
AQ_512_INLINE __mmask8 Equal(L8 a, L8 b) { return _mm512_cmpeq_epi64_mask(a.v, b.v); }
AQ_512_INLINE __mmask8 Equal(L4 a, L4 b) { return _mm256_cmpeq_epi64_mask(a.v, b.v); }
AQ_512_INLINE L8 Select(__mmask8 m, L8 a, L8 b) { return {_mm512_mask_blend_epi64(m, a.v, b.v)}; }
AQ_512_INLINE L4 Select(__mmask8 m, L4 a, L4 b) { return {_mm256_mask_blend_epi64(m, a.v, b.v)}; }

// ---- the field

template <class L>
struct Fe {
  L l0, l1, l2, l3, l4;
};
template <class L>
struct Wide {
  L l0, l1, l2, l3, l4;
};

template <class L>
AQ_512_INLINE L Twice(L a) {
  return Sum(a, a);
}
template <class L>
AQ_512_INLINE L Times19(L a) {
  return Sum(Sum(Left<4>(a), Twice(a)), a);
}
template <class L>
AQ_512_INLINE L Low(L a) {
  return And(a, Each<L>(kMask51));
}
template <class L>
AQ_512_INLINE L Over(L a) {
  return Right<51>(a);
}

template <class L>
AQ_512_INLINE Fe<L> Small(uint64_t v) {  // v < 2^51
  const L zero = Each<L>(0);
  return {Each<L>(v), zero, zero, zero, zero};
}

// One pass: a limb < 2^63 sends on less than 2^12, the top one 19 times that. From less than 2^61,
// where all sums here stay: less than 2^51 + 19 * 2^10, tight.
template <class L>
AQ_512_INLINE Fe<L> Carry(const Wide<L>& w) {
  return {Lo(Low(w.l0), Over(w.l4), Each<L>(19)),
          Sum(Low(w.l1), Over(w.l0)),
          Sum(Low(w.l2), Over(w.l1)),
          Sum(Low(w.l3), Over(w.l2)),
          Sum(Low(w.l4), Over(w.l3))};
}

template <template <class> class A, template <class> class B, class L>
AQ_512_INLINE Wide<L> Plus(const A<L>& a, const B<L>& b) {
  return {Sum(a.l0, b.l0), Sum(a.l1, b.l1), Sum(a.l2, b.l2), Sum(a.l3, b.l3), Sum(a.l4, b.l4)};
}
template <class L>
AQ_512_INLINE L Less(L a, L bias, L b) {
  return Difference(Sum(a, bias), b);
}
template <template <class> class A, template <class> class B, class L>
AQ_512_INLINE Wide<L> Minus(const A<L>& a, const B<L>& b) {
  const L p0 = Each<L>((kMask51 - 18) << 8), p = Each<L>(kMask51 << 8);
  return {Less(a.l0, p0, b.l0),
          Less(a.l1, p, b.l1),
          Less(a.l2, p, b.l2),
          Less(a.l3, p, b.l3),
          Less(a.l4, p, b.l4)};
}

// a + k b, k < 2^20: less than 2^53 + 38 * 2^20.
template <class L>
AQ_512_INLINE Wide<L> PlusTimes(const Fe<L>& a, const Fe<L>& b, uint64_t k) {
  const L zero = Each<L>(0), factor = Each<L>(k);
  return {Lo(Lo(a.l0, b.l0, factor), Hi(zero, b.l4, factor), Each<L>(38)),
          Sum(Lo(a.l1, b.l1, factor), Twice(Hi(zero, b.l0, factor))),
          Sum(Lo(a.l2, b.l2, factor), Twice(Hi(zero, b.l1, factor))),
          Sum(Lo(a.l3, b.l3, factor), Twice(Hi(zero, b.l2, factor))),
          Sum(Lo(a.l4, b.l4, factor), Twice(Hi(zero, b.l3, factor)))};
}

// With tight sides low halves are < 2^52, high ones < 2^50 + 2^15, and count twice: their weight is
// 2^52 where a limb's is 2^51. Column k has k + 1 low and k high products of its own, and, 19
// times, 4 - k low and 5 - k high ones from past the top. The worst is column 0:
//   2^52 + 19 (4 * 2^52 + 2 * 5 * (2^50 + 2^15)) < 125 * 2^52 < 2^59 - 4864.
template <class L>
AQ_512_INLINE Wide<L> MulWide(const Fe<L>& a, const Fe<L>& b) {
  const L zero = Each<L>(0);
  L t0, t1, t2, t3, t4, r0, r1, r2, r3, r4;
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
template <class L>
AQ_512_INLINE Wide<L> SquareWide(const Fe<L>& a) {
  const L zero = Each<L>(0);
  L t0, t1, t2, t3, t4, r0, r1, r2, r3, r4;
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

template <class L>
AQ_512_INLINE Fe<L> Mul(const Fe<L>& a, const Fe<L>& b) {
  return Carry(MulWide(a, b));
}
template <class L>
AQ_512_INLINE Fe<L> Square(const Fe<L>& a) {
  return Carry(SquareWide(a));
}
template <class L>
AQ_512_INLINE Fe<L> Add(const Fe<L>& a, const Fe<L>& b) {
  return Carry(Plus(a, b));
}
template <class L>
AQ_512_INLINE Fe<L> Sub(const Fe<L>& a, const Fe<L>& b) {
  return Carry(Minus(a, b));
}

// Where the mask has a lane: b, else a.
template <class L>
AQ_512_INLINE Fe<L> Select(__mmask8 m, const Fe<L>& a, const Fe<L>& b) {
  return {Select(m, a.l0, b.l0),
          Select(m, a.l1, b.l1),
          Select(m, a.l2, b.l2),
          Select(m, a.l3, b.l3),
          Select(m, a.l4, b.l4)};
}

template <class L>
AQ_512_INLINE Fe<L> SquareTimes(Fe<L> a, int times) {
  for (int i = 0; i < times; ++i) a = Square(a);
  return a;
}

// a^(2^250 - 1), and a^11 on the way.
template <class L>
AQ_512_INLINE Fe<L> Pow250(const Fe<L>& a, Fe<L>& a11) {
  const Fe<L> a2 = Square(a), a9 = Mul(SquareTimes(a2, 2), a);
  a11 = Mul(a9, a2);
  const Fe<L> p5 = Mul(Square(a11), a9);  // a^(2^5 - 1), and so on
  const Fe<L> p10 = Mul(SquareTimes(p5, 5), p5);
  const Fe<L> p20 = Mul(SquareTimes(p10, 10), p10);
  const Fe<L> p40 = Mul(SquareTimes(p20, 20), p20);
  const Fe<L> p50 = Mul(SquareTimes(p40, 10), p10);
  const Fe<L> p100 = Mul(SquareTimes(p50, 50), p50);
  const Fe<L> p200 = Mul(SquareTimes(p100, 100), p100);
  return Mul(SquareTimes(p200, 50), p50);
}
template <class L>
AQ_512_INLINE Fe<L> Invert(const Fe<L>& a) {  // a^(p - 2): 0 for 0
  Fe<L> a11;
  const Fe<L> p250 = Pow250(a, a11);
  return Mul(SquareTimes(p250, 5), a11);
}

// Words to limbs and back. From ignores bit 255 and takes what
// is not canonical; To gives the one canonical form.
template <class L>
AQ_512_INLINE Fe<L> From(const Words& words) {
  const L w0 = Loaded<L>(words.at[0]), w1 = Loaded<L>(words.at[1]);
  const L w2 = Loaded<L>(words.at[2]), w3 = Loaded<L>(words.at[3]);
  return {Low(w0),
          Low(Or(Right<51>(w0), Left<13>(w1))),
          Low(Or(Right<38>(w1), Left<26>(w2))),
          Low(Or(Right<25>(w2), Left<39>(w3))),
          Low(Right<12>(w3))};
}
// A tight a is less than 2 p. q: whether it is p or more, as the carry of a + 19 out of bit 255.
template <class L>
AQ_512_INLINE Fe<L> Freeze(const Fe<L>& a) {
  L q = Over(Sum(a.l0, Each<L>(19)));
  q = Over(Sum(a.l1, q)), q = Over(Sum(a.l2, q)), q = Over(Sum(a.l3, q)), q = Over(Sum(a.l4, q));
  const L l0 = Sum(a.l0, And(Difference(Each<L>(0), q), Each<L>(19)));
  const L l1 = Sum(a.l1, Over(l0)), l2 = Sum(a.l2, Over(l1)), l3 = Sum(a.l3, Over(l2));
  return {Low(l0), Low(l1), Low(l2), Low(l3), Low(Sum(a.l4, Over(l3)))};
}
template <class L>
AQ_512_INLINE __mmask8 IsZero(const Fe<L>& a) {
  const Fe<L> f = Freeze(a);
  const L any = Or(Or(Or(f.l0, f.l1), f.l2), Or(f.l3, f.l4));
  return Equal(any, Each<L>(0));
}
template <class L>
AQ_512_INLINE void To(const Fe<L>& a, Words& words) {
  const Fe<L> f = Freeze(a);
  Store(Or(f.l0, Left<51>(f.l1)), words.at[0]);
  Store(Or(Right<13>(f.l1), Left<38>(f.l2)), words.at[1]);
  Store(Or(Right<26>(f.l2), Left<25>(f.l3)), words.at[2]);
  Store(Or(Right<39>(f.l3), Left<12>(f.l4)), words.at[3]);
}

}  // namespace aqmesh::crypto::lanes

#endif  // __x86_64__

#endif  // AQMESH_CORE_CRYPTO_FIELD_LANES_H_
