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

struct Point {  // x/z, y/z; t = xy/z
  Fe x, y, z, t;
};
struct Completed {  // x = ef, y = gh, z = fg, t = eh
  Fe e, f, g, h;
};
struct Cached {  // for adding: y + x, y - x, 2z, 2dt
  Fe plus, minus, z2, t2d;
};
struct Affine {  // the same of a point whose z is 1
  Fe plus, minus, t2d;
};

AQ_512_INLINE Fe Constant(const uint64_t (&l)[5]) {
  return {Each(l[0]), Each(l[1]), Each(l[2]), Each(l[3]), Each(l[4])};
}
AQ_512_INLINE Fe D() {
  return Constant(
      {0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff});
}
AQ_512_INLINE Fe TwoD() {
  return Constant(
      {0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff});
}
AQ_512_INLINE Fe RootOfMinusOne() {
  return Constant(
      {0x61b274a0ea0b0, 0xd5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d});
}
AQ_512_INLINE Point Base() {
  const Fe x = Constant(
      {0x62d608f25d51a, 0x412a4b4f6592a, 0x75b7171a4b31d, 0x1ff60527118fe, 0x216936d3cd6e5});
  const Fe y = Constant(
      {0x6666666666658, 0x4cccccccccccc, 0x1999999999999, 0x3333333333333, 0x6666666666666});
  return {x, y, Small(1), Mul(x, y)};
}
AQ_512_INLINE Point Identity() { return {Small(0), Small(1), Small(1), Small(0)}; }
AQ_512_INLINE Cached CachedIdentity() { return {Small(1), Small(1), Small(2), Small(0)}; }

AQ_512_INLINE Cached ToCached(const Point& p) {
  return {Add(p.y, p.x), Sub(p.y, p.x), Add(p.z, p.z), Mul(p.t, TwoD())};
}
AQ_512_INLINE Point ToPoint(const Completed& c) {
  return {Mul(c.e, c.f), Mul(c.g, c.h), Mul(c.f, c.g), Mul(c.e, c.h)};
}

AQ_512_INLINE Completed Doubled(const Fe& x, const Fe& y, const Fe& z) {
  const Wide a = SquareWide(x), b = SquareWide(y), c = SquareWide(z);
  const Wide h = Plus(a, b), g = Minus(a, b);
  return {.e = Carry(Minus(h, SquareWide(Add(x, y)))),
          .f = Carry(Plus(Plus(c, c), g)),
          .g = Carry(g),
          .h = Carry(h)};
}

// p + q, or p - q where `negative` has the lane: -q has plus and minus changed about, and t2d
// negated, which changes f and g about.
AQ_512_INLINE Completed Added(const Point& p,
                              const Fe& plus,
                              const Fe& minus,
                              const Fe& t2d,
                              const Wide& d,
                              __mmask8 negative) {
  const Wide a = MulWide(Sub(p.y, p.x), Select(negative, minus, plus));
  const Wide b = MulWide(Add(p.y, p.x), Select(negative, plus, minus));
  const Wide c = MulWide(p.t, t2d);
  const Fe f = Carry(Minus(d, c)), g = Carry(Plus(d, c));
  return {.e = Carry(Minus(b, a)),
          .f = Select(negative, f, g),
          .g = Select(negative, g, f),
          .h = Carry(Plus(b, a))};
}
AQ_512_INLINE Completed Added(const Point& p, const Cached& q, __mmask8 negative) {
  return Added(p, q.plus, q.minus, q.t2d, MulWide(p.z, q.z2), negative);
}
AQ_512_INLINE Completed Added(const Point& p, const Affine& q, __mmask8 negative) {
  return Added(p, q.plus, q.minus, q.t2d, Plus(p.z, p.z), negative);
}

AQ_512_INLINE Cached Select(__mmask8 m, const Cached& a, const Cached& b) {
  return {Select(m, a.plus, b.plus),
          Select(m, a.minus, b.minus),
          Select(m, a.z2, b.z2),
          Select(m, a.t2d, b.t2d)};
}
AQ_512_INLINE Affine Select(__mmask8 m, const Affine& a, const Affine& b) {
  return {Select(m, a.plus, b.plus), Select(m, a.minus, b.minus), Select(m, a.t2d, b.t2d)};
}
AQ_512_INLINE Point Select(__mmask8 m, const Point& a, const Point& b) {
  return {Select(m, a.x, b.x), Select(m, a.y, b.y), Select(m, a.z, b.z), Select(m, a.t, b.t)};
}

// table[size - 1], or the identity for 0, a lane each; every entry is read.
template <class Entry, size_t kSize>
AQ_512_INLINE Entry Picked(const Entry (&table)[kSize], Entry identity, __m512i size) {
  for (size_t i = 0; i < kSize; ++i)
    identity = Select(_mm512_cmpeq_epi64_mask(size, Each(i + 1)), identity, table[i]);
  return identity;
}

}  // namespace aqmesh::crypto::lanes

#endif  // __x86_64__

#endif  // AQMESH_CORE_CRYPTO_EDWARDS_LANES_H_
