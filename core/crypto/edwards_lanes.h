// Points of edwards25519, one a lane: what Ed25519 and the base point's multiples are made of.
// Spec:   RFC 8032 §5.1.4's formulas (Hisil, Wong, Carter, Dawson 2008), complete for every point
//         of the curve, also those with a part of small order.
// Bounds: every coordinate is tight (field_lanes.h). The widest sum is Doubled's f: two squares and
//         Minus of two, 2 * 2^59 + 2^60 = 2^61, as Carry allows.
// Timing: no branch or address depends on a value, but for Gathered, which is for what is public.
#ifndef AQMESH_CORE_CRYPTO_EDWARDS_LANES_H_
#define AQMESH_CORE_CRYPTO_EDWARDS_LANES_H_

#include "core/crypto/field_lanes.h"

#if defined(__x86_64__)

namespace aqmesh::crypto::lanes {

template <class L>
struct Point {  // x/z, y/z; t = xy/z
  Fe<L> x, y, z, t;
};
template <class L>
struct Completed {  // x = ef, y = gh, z = fg, t = eh
  Fe<L> e, f, g, h;
};
template <class L>
struct Cached {  // for adding: y + x, y - x, 2z, 2dt
  Fe<L> plus, minus, z2, t2d;
};
template <class L>
struct Affine {  // the same of a point whose z is 1
  Fe<L> plus, minus, t2d;
};

template <class L>
AQ_512_INLINE Fe<L> Constant(const uint64_t (&l)[5]) {
  return {Each<L>(l[0]), Each<L>(l[1]), Each<L>(l[2]), Each<L>(l[3]), Each<L>(l[4])};
}
template <class L>
AQ_512_INLINE Fe<L> D() {
  return Constant<L>(
      {0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff});
}
template <class L>
AQ_512_INLINE Fe<L> TwoD() {
  return Constant<L>(
      {0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff});
}
template <class L>
AQ_512_INLINE Fe<L> RootOfMinusOne() {
  return Constant<L>(
      {0x61b274a0ea0b0, 0xd5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d});
}
template <class L>
AQ_512_INLINE Point<L> Base() {
  const Fe<L> x = Constant<L>(
      {0x62d608f25d51a, 0x412a4b4f6592a, 0x75b7171a4b31d, 0x1ff60527118fe, 0x216936d3cd6e5});
  const Fe<L> y = Constant<L>(
      {0x6666666666658, 0x4cccccccccccc, 0x1999999999999, 0x3333333333333, 0x6666666666666});
  return {x, y, Small<L>(1), Mul(x, y)};
}
template <class L>
AQ_512_INLINE Point<L> Identity() {
  return {Small<L>(0), Small<L>(1), Small<L>(1), Small<L>(0)};
}
template <class L>
AQ_512_INLINE Cached<L> CachedIdentity() {
  return {Small<L>(1), Small<L>(1), Small<L>(2), Small<L>(0)};
}

template <class L>
AQ_512_INLINE Cached<L> ToCached(const Point<L>& p) {
  return {Add(p.y, p.x), Sub(p.y, p.x), Add(p.z, p.z), Mul(p.t, TwoD<L>())};
}
template <class L>
AQ_512_INLINE Point<L> ToPoint(const Completed<L>& c) {
  return {Mul(c.e, c.f), Mul(c.g, c.h), Mul(c.f, c.g), Mul(c.e, c.h)};
}

template <class L>
AQ_512_INLINE Completed<L> Doubled(const Fe<L>& x, const Fe<L>& y, const Fe<L>& z) {
  const Wide<L> a = SquareWide(x), b = SquareWide(y), c = SquareWide(z);
  const Wide<L> h = Plus(a, b), g = Minus(a, b);
  return {.e = Carry(Minus(h, SquareWide(Add(x, y)))),
          .f = Carry(Plus(Plus(c, c), g)),
          .g = Carry(g),
          .h = Carry(h)};
}

// p + q, or p - q where `negative` has the lane: -q has plus and minus changed about, and t2d
// negated, which changes f and g about.
template <class L>
AQ_512_INLINE Completed<L> Added(const Point<L>& p,
                                 const Fe<L>& plus,
                                 const Fe<L>& minus,
                                 const Fe<L>& t2d,
                                 const Wide<L>& d,
                                 __mmask8 negative) {
  const Wide<L> a = MulWide(Sub(p.y, p.x), Select(negative, minus, plus));
  const Wide<L> b = MulWide(Add(p.y, p.x), Select(negative, plus, minus));
  const Wide<L> c = MulWide(p.t, t2d);
  const Fe<L> f = Carry(Minus(d, c)), g = Carry(Plus(d, c));
  return {.e = Carry(Minus(b, a)),
          .f = Select(negative, f, g),
          .g = Select(negative, g, f),
          .h = Carry(Plus(b, a))};
}
template <class L>
AQ_512_INLINE Completed<L> Added(const Point<L>& p, const Cached<L>& q, __mmask8 negative) {
  return Added(p, q.plus, q.minus, q.t2d, MulWide(p.z, q.z2), negative);
}
template <class L>
AQ_512_INLINE Completed<L> Added(const Point<L>& p, const Affine<L>& q, __mmask8 negative) {
  return Added(p, q.plus, q.minus, q.t2d, Plus(p.z, p.z), negative);
}

template <class L>
AQ_512_INLINE Cached<L> Select(__mmask8 m, const Cached<L>& a, const Cached<L>& b) {
  return {Select(m, a.plus, b.plus),
          Select(m, a.minus, b.minus),
          Select(m, a.z2, b.z2),
          Select(m, a.t2d, b.t2d)};
}
template <class L>
AQ_512_INLINE Affine<L> Select(__mmask8 m, const Affine<L>& a, const Affine<L>& b) {
  return {Select(m, a.plus, b.plus), Select(m, a.minus, b.minus), Select(m, a.t2d, b.t2d)};
}
template <class L>
AQ_512_INLINE Point<L> Select(__mmask8 m, const Point<L>& a, const Point<L>& b) {
  return {Select(m, a.x, b.x), Select(m, a.y, b.y), Select(m, a.z, b.z), Select(m, a.t, b.t)};
}

// table[size - 1], or the identity for 0, a lane each; every entry is read.
template <template <class> class Entry, class L, size_t kSize>
AQ_512_INLINE Entry<L> Picked(const Entry<L> (&table)[kSize], Entry<L> identity, L size) {
  for (size_t i = 0; i < kSize; ++i)
    identity = Select(Equal(size, Each<L>(i + 1)), identity, table[i]);
  return identity;
}

}  // namespace aqmesh::crypto::lanes

#endif  // __x86_64__

#endif  // AQMESH_CORE_CRYPTO_EDWARDS_LANES_H_
