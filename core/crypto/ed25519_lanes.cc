#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/check.h"
#include "core/crypto/curve_lanes.h"

#if defined(__x86_64__)
#include "core/crypto/edwards_lanes.h"

namespace aqmesh::crypto::lanes {

namespace {

#define AQ_512_CALL AQ_512 __attribute__((noinline)) static

// ---- steps that are called, not inlined: a point is 20 registers

template <class L>
AQ_512_CALL void Double(Point<L>& p, int times) {
  for (; times > 1; --times) {
    const Completed<L> c = Doubled(p.x, p.y, p.z);
    p.x = Mul(c.e, c.f), p.y = Mul(c.g, c.h), p.z = Mul(c.f, c.g);
  }
  p = ToPoint(Doubled(p.x, p.y, p.z));
}
template <template <class> class Entry, class L>
AQ_512_CALL void AddTo(Point<L>& p, const Entry<L>& q, __mmask8 negative) {
  p = ToPoint(Added(p, q, negative));
}

// ---- digits: of a scalar less than 2^255, signed, so that a table needs half as many entries

struct alignas(64) Digit {
  uint64_t size[kLanes];
  uint8_t negative = 0;
};
AQ_512_INLINE L8 SizeOf(const Digit& d) { return Loaded<L8>(d.size); }

// 64 of them in -8 ... 8. No branch depends on the scalar.
void Nibbles(const uint8_t* scalar, int8_t (&out)[64]) {
  int carry = 0;
  for (size_t i = 0; i < 64; ++i) {
    const int nibble = (scalar[i / 2] >> (4 * (i % 2)) & 15) + carry;
    carry = i == 63 ? 0 : (nibble + 8) >> 4;
    out[i] = static_cast<int8_t>(nibble - 16 * carry);
  }
}
void Put(int digit, size_t lane, Digit& d) {
  const int sign = digit >> 31;
  d.size[lane] = static_cast<uint64_t>((digit ^ sign) - sign);
  d.negative = static_cast<uint8_t>(d.negative | (sign & 1) << lane);
}

// ---- the base point's multiples, made once

constexpr size_t kWide = 128;  // entries for digits of eight bits
constexpr size_t kRows = 2;    // of the comb below
constexpr size_t kChunk = 32;  // bits of a scalar that a lane takes

struct alignas(64) BaseTables {
  BaseTables();
  // Multiples 0 ... 128 as the limbs of an Affine, a gather apart.
  uint64_t wide[kWide + 1][16];
  // Lane k of row r: 1 ... 8 times 2^(32 k + 16 r) B.
  Affine<L8> comb[kRows][8];
};

AQ_512_INLINE Affine<L8> Normal(const Point<L8>& p) {
  const Fe<L8> inverse = Invert(p.z), x = Mul(p.x, inverse), y = Mul(p.y, inverse);
  return {Add(y, x), Sub(y, x), Mul(Mul(x, y), TwoD<L8>())};
}

AQ_512_INLINE void Store(const Fe<L8>& a, uint64_t (&out)[5][kLanes]) {
  Store(a.l0, out[0]);
  Store(a.l1, out[1]);
  Store(a.l2, out[2]);
  Store(a.l3, out[3]);
  Store(a.l4, out[4]);
}

// p in lane 0, 2^bits p in lane 1, and so on.
AQ_512_CALL void Spread(Point<L8>& p, int bits) {
  for (size_t step = 1; step < kLanes; ++step) {
    Point<L8> doubled = p;
    Double(doubled, bits);
    p = Select(static_cast<__mmask8>(0xff << step), p, doubled);
  }
}

AQ_512_CALL void MakeComb(Affine<L8> (&comb)[kRows][8]) {
  Point<L8> first = Base<L8>();
  Spread(first, kChunk);
  for (size_t row = 0; row < kRows; ++row) {
    if (row != 0) Double(first, kChunk / kRows);
    const Cached<L8> step = ToCached(first);
    Point<L8> p = first;
    for (size_t i = 0; i < 8; ++i) {
      comb[row][i] = Normal(p);
      AddTo(p, step, 0);
    }
  }
}

AQ_512_CALL void MakeWide(uint64_t (&wide)[kWide + 1][16]) {
  // Lane k: (k + 1) B, then by eight more.
  Point<L8> p = Identity<L8>(), eight = Base<L8>();
  const Cached<L8> base = ToCached(Base<L8>());
  for (size_t k = 0; k < kLanes; ++k) {
    Point<L8> sum = p;
    AddTo(sum, base, 0);
    p = Select(static_cast<__mmask8>(0xff << k), p, sum);
  }
  Double(eight, 3);
  const Cached<L8> step = ToCached(eight);
  std::memset(wide, 0, sizeof wide);
  wide[0][0] = wide[0][5] = 1;
  for (size_t first = 1; first < kWide; first += kLanes) {
    const Affine<L8> a = Normal(p);
    alignas(64) uint64_t limbs[3][5][kLanes];
    Store(a.plus, limbs[0]);
    Store(a.minus, limbs[1]);
    Store(a.t2d, limbs[2]);
    for (size_t k = 0; k < kLanes; ++k)
      for (size_t i = 0; i < 15; ++i) wide[first + k][i] = limbs[i / 5][i % 5][k];
    AddTo(p, step, 0);
  }
}

BaseTables::BaseTables() {
  MakeComb(comb);
  MakeWide(wide);
}

const BaseTables& Tables() {
  static const BaseTables tables;
  return tables;
}

AQ_512_INLINE Fe<L8> Gathered(const uint64_t* table, L8 index) {
  return {L8{_mm512_i64gather_epi64(index.v, table, 8)},
          L8{_mm512_i64gather_epi64(index.v, table + 1, 8)},
          L8{_mm512_i64gather_epi64(index.v, table + 2, 8)},
          L8{_mm512_i64gather_epi64(index.v, table + 3, 8)},
          L8{_mm512_i64gather_epi64(index.v, table + 4, 8)}};
}
// By address, so for public digits alone.
AQ_512_INLINE Affine<L8> Gathered(const uint64_t (*table)[16], L8 size) {
  const L8 index = Left<4>(size);
  return {Gathered(table[0], index), Gathered(table[0] + 5, index), Gathered(table[0] + 10, index)};
}

// ---- keys and results as bytes

template <class L>
AQ_512_INLINE __mmask8 IsOdd(const Fe<L>& a) {
  return Common(Freeze(a).l0, Each<L>(1));
}
AQ_512_INLINE __mmask8 Same(const Fe<L8>& a, const Fe<L8>& b) { return IsZero(Sub(a, b)); }

// -A of each key; returns the lanes whose y has an x. RFC 8032 §5.1.3: x = u v^3 (u v^7)^((p - 5) /
// 8) for u = y^2 - 1, v = d y^2 + 1, or that times a root of -1.
AQ_512_CALL __mmask8 NegativeOf(const Words& keys, Point<L8>& out) {
  const Fe<L8> one = Small<L8>(1), y = From<L8>(keys), y2 = Square(y);
  const Fe<L8> u = Sub(y2, one), v = Add(Mul(y2, D<L8>()), one);
  const Fe<L8> v3 = Mul(Square(v), v), uv7 = Mul(Mul(Square(v3), v), u);
  Fe<L8> unused;
  const Fe<L8> power = Mul(SquareTimes(Pow250(uv7, unused), 2), uv7);
  Fe<L8> x = Mul(Mul(power, v3), u);
  const Fe<L8> vx2 = Mul(Square(x), v);
  const __mmask8 root = Same(vx2, u), turned = IsZero(Add(vx2, u));
  x = Select(root, Mul(x, RootOfMinusOne<L8>()), x);
  const __mmask8 sign = Common(Loaded<L8>(keys.at[3]), Each<L8>(uint64_t{1} << 63));
  const auto negate = static_cast<__mmask8>(~(IsOdd(x) ^ sign));
  x = Select(negate, x, Sub(Small<L8>(0), x));
  out = {x, y, one, Mul(x, y)};
  return root | turned;
}

template <class L>
AQ_512_CALL void Encode(const Point<L>& p, Words& out) {
  const Fe<L> inverse = Invert(p.z), x = Mul(p.x, inverse), y = Mul(p.y, inverse);
  To(y, out);
  const L zero = Each<L>(0), sign = Select(IsOdd(x), zero, Each<L>(uint64_t{1} << 63));
  Store(Or(Loaded<L>(out.at[3]), sign), out.at[3]);
}

AQ_512_CALL void MakeTable(const Point<L8>& p, Cached<L8> (&table)[8]) {
  table[0] = ToCached(p);
  Point<L8> sum = p;
  for (size_t i = 1; i < 8; ++i) {
    AddTo(sum, table[0], 0);
    table[i] = ToCached(sum);
  }
}

void Load(const uint8_t* from32, size_t lane, Words& words) {
  for (size_t w = 0; w < 4; ++w) std::memcpy(&words.at[w][lane], from32 + 8 * w, 8);
}

// ---- eight verifications

struct VerifyWork {
  Cached<L8> table[8];
  Words words;
  std::array<Digit, 64> h;
  std::array<Digit, 32> s;
};

void Recode(const VerifyLane& lane, size_t at, VerifyWork& work) {
  int8_t nibbles[64];
  Nibbles(lane.h32, nibbles);
  for (size_t i = 0; i < 64; ++i) Put(nibbles[i], at, work.h[i]);
  int carry = 0;
  for (size_t i = 0; i < 32; ++i) {  // in -128 ... 127, for s is less than 2^253
    const int byte = lane.s32[i] + carry;
    carry = (byte + 128) >> 8;
    Put(byte - 256 * carry, at, work.s[i]);
  }
}

AQ_512_CALL uint8_t RunEight(std::span<const VerifyLane> lanes, VerifyWork& work) {
  for (size_t i = 0; i < kLanes; ++i) {
    const VerifyLane& lane = lanes[std::min(i, lanes.size() - 1)];
    Load(lane.key32, i, work.words);
    Recode(lane, i, work);
  }
  const BaseTables& tables = Tables();
  Point<L8> p;
  const __mmask8 on_curve = NegativeOf(work.words, p);
  MakeTable(p, work.table);
  p = Identity<L8>();
  for (size_t i = 64; i-- > 0;) {
    if (i != 63) Double(p, 4);
    const Digit& h = work.h[i];
    AddTo(p, Picked(work.table, CachedIdentity<L8>(), SizeOf(h)), h.negative);
    if (i % 2 != 0) continue;
    const Digit& s = work.s[i / 2];
    AddTo(p, Gathered(tables.wide, SizeOf(s)), s.negative);
  }
  Encode(p, work.words);
  uint8_t good = 0;
  for (size_t i = 0; i < lanes.size(); ++i) {
    uint8_t r[32];
    for (size_t w = 0; w < 4; ++w) std::memcpy(r + 8 * w, &work.words.at[w][i], 8);
    if (std::memcmp(r, lanes[i].r32, 32) == 0) good = static_cast<uint8_t>(good | 1u << i);
  }
  return good & on_curve;
}

// ---- one, spread over eight lanes: 32 bits of its scalars each

struct alignas(64) ChunkDigits {
  std::array<Digit, 8> of;  // digit i of every lane's chunk
};
void Spread(const uint8_t* scalar, ChunkDigits& out) {
  int8_t nibbles[64];
  Nibbles(scalar, nibbles);
  for (size_t i = 0; i < 64; ++i) Put(nibbles[i], i / 8, out.of[i % 8]);
  sodium_memzero(nibbles, sizeof nibbles);
}

// The upper four lanes.
AQ_512_INLINE L4 Upper(L8 a) { return {_mm512_extracti64x4_epi64(a.v, 1)}; }
AQ_512_INLINE L4 Lower(L8 a) { return {_mm512_castsi512_si256(a.v)}; }
AQ_512_INLINE Fe<L4> Upper(const Fe<L8>& a) {
  return {Upper(a.l0), Upper(a.l1), Upper(a.l2), Upper(a.l3), Upper(a.l4)};
}
AQ_512_INLINE Fe<L4> Lower(const Fe<L8>& a) {
  return {Lower(a.l0), Lower(a.l1), Lower(a.l2), Lower(a.l3), Lower(a.l4)};
}
// kBy lanes further, round about.
template <int kBy>
AQ_512_INLINE L4 Turned(L4 a) {
  static_assert(kBy == 1 || kBy == 2);
  return {_mm256_permute4x64_epi64(a.v, kBy == 2 ? 0x4e : 0xb1)};
}
template <int kBy>
AQ_512_INLINE Fe<L4> Turned(const Fe<L4>& a) {
  return {Turned<kBy>(a.l0),
          Turned<kBy>(a.l1),
          Turned<kBy>(a.l2),
          Turned<kBy>(a.l3),
          Turned<kBy>(a.l4)};
}
template <int kBy>
AQ_512_INLINE Point<L4> Turned(const Point<L4>& p) {
  return {Turned<kBy>(p.x), Turned<kBy>(p.y), Turned<kBy>(p.z), Turned<kBy>(p.t)};
}
// The sum of all lanes, in every lane: there is nothing left for the other four to do.
AQ_512_CALL void Gather(const Point<L8>& p, Point<L4>& out) {
  out = {Lower(p.x), Lower(p.y), Lower(p.z), Lower(p.t)};
  AddTo(out, ToCached(Point<L4>{Upper(p.x), Upper(p.y), Upper(p.z), Upper(p.t)}), 0);
  AddTo(out, ToCached(Turned<2>(out)), 0);
  AddTo(out, ToCached(Turned<1>(out)), 0);
}

AQ_512_CALL void FromWords(const Words& x, const Words& y, Point<L8>& p) {
  p = {From<L8>(x), From<L8>(y), Small<L8>(1), Small<L8>(0)};
  p.t = Mul(p.x, p.y);
}

AQ_512_CALL bool RunOne(const PreparedKey& key, const VerifyLane& lane) {
  ChunkDigits h, s;
  Spread(lane.h32, h);
  Spread(lane.s32, s);
  const BaseTables& tables = Tables();
  Words words;
  Cached<L8> table[8];
  Point<L8> p;
  FromWords(key.x, key.y, p);
  MakeTable(p, table);
  p = Identity<L8>();
  for (size_t i = 8; i-- > 0;) {
    if (i != 7) Double(p, 4);
    AddTo(p, Picked(table, CachedIdentity<L8>(), SizeOf(h.of[i])), h.of[i].negative);
    const Affine<L8> none = {Small<L8>(1), Small<L8>(1), Small<L8>(0)};
    AddTo(p, Picked(tables.comb[0], none, SizeOf(s.of[i])), s.of[i].negative);
  }
  Point<L4> sum;
  Gather(p, sum);
  Encode(sum, words);
  uint8_t r[32];
  for (size_t w = 0; w < 4; ++w) std::memcpy(r + 8 * w, &words.at[w][0], 8);
  return std::memcmp(r, lane.r32, 32) == 0;
}

AQ_512_CALL bool Prepare(const uint8_t* key32, PreparedKey& out) {
  Words words;
  for (size_t i = 0; i < kLanes; ++i) Load(key32, i, words);
  Point<L8> p;
  if (NegativeOf(words, p) != 0xff) return false;
  Spread(p, kChunk);
  const Fe<L8> inverse = Invert(p.z);
  To(Mul(p.x, inverse), out.x);
  To(Mul(p.y, inverse), out.y);
  return true;
}

// ---- multiples of the base point: a comb of kRows teeth a lane

struct BaseWork {
  ChunkDigits digits;
  Point<L8> p;
  Point<L4> sum;
  Affine<L8> picked;
  Words words;
};

// Lane k's digits are 8 k + i: tooth r takes i = 4 r + j, for j = 3 ... 0.
AQ_512_CALL void MultiplyBase(const uint8_t* scalar, BaseWork& work) {
  constexpr size_t kTooth = 8 / kRows;
  Spread(scalar, work.digits);
  const BaseTables& tables = Tables();
  work.p = Identity<L8>();
  for (size_t j = kTooth; j-- > 0;) {
    if (j != kTooth - 1) Double(work.p, 4);
    for (size_t r = 0; r < kRows; ++r) {
      const Digit& d = work.digits.of[kTooth * r + j];
      const Affine<L8> none = {Small<L8>(1), Small<L8>(1), Small<L8>(0)};
      work.picked = Picked(tables.comb[r], none, SizeOf(d));
      AddTo(work.p, work.picked, d.negative);
    }
  }
  Gather(work.p, work.sum);
}

AQ_512_CALL void ToMontgomery(const Point<L4>& p, Words& out) {
  To(Mul(Add(p.z, p.y), Invert(Sub(p.z, p.y))), out);
}

void Finish(const Words& words, uint8_t* out32) {
  for (size_t w = 0; w < 4; ++w) std::memcpy(out32 + 8 * w, &words.at[w][0], 8);
}

}  // namespace

uint8_t RunVerifies(std::span<const VerifyLane> lanes) {
  AQ_CHECK(!lanes.empty() && lanes.size() <= kLanes);
  VerifyWork work;
  return RunEight(lanes, work);
}

bool PrepareKey(const uint8_t* key32, PreparedKey& out) { return Prepare(key32, out); }
bool RunVerify(const PreparedKey& key, const VerifyLane& lane) { return RunOne(key, lane); }

void BaseMultiple(const uint8_t* scalar32, BaseForm form, uint8_t* out32) {
  {
    BaseWork work;
    MultiplyBase(scalar32, work);
    if (form == BaseForm::kEdwards) {
      Encode(work.sum, work.words);
    } else {
      ToMontgomery(work.sum, work.words);
    }
    Finish(work.words, out32);
    sodium_memzero(&work, sizeof work);
  }
  sodium_stackzero(kSpilled);
}

}  // namespace aqmesh::crypto::lanes

#else

namespace aqmesh::crypto::lanes {
uint8_t RunVerifies(std::span<const VerifyLane>) { AQ_CHECK(false); }
bool PrepareKey(const uint8_t*, PreparedKey&) { AQ_CHECK(false); }
bool RunVerify(const PreparedKey&, const VerifyLane&) { AQ_CHECK(false); }
void BaseMultiple(const uint8_t*, BaseForm, uint8_t*) { AQ_CHECK(false); }
}  // namespace aqmesh::crypto::lanes

#endif
