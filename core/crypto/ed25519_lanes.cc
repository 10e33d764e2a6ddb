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

AQ_512_CALL void Double(Point& p, int times) {
  for (; times > 1; --times) {
    const Completed c = Doubled(p.x, p.y, p.z);
    p.x = Mul(c.e, c.f), p.y = Mul(c.g, c.h), p.z = Mul(c.f, c.g);
  }
  p = ToPoint(Doubled(p.x, p.y, p.z));
}
AQ_512_CALL void AddTo(Point& p, const Cached& q, __mmask8 negative) {
  p = ToPoint(Added(p, q, negative));
}
AQ_512_CALL void AddTo(Point& p, const Affine& q, __mmask8 negative) {
  p = ToPoint(Added(p, q, negative));
}

// ---- digits: of a scalar less than 2^255, signed, so that a table needs half as many entries

struct alignas(64) Digit {
  uint64_t size[kLanes];
  uint8_t negative = 0;
};
AQ_512_INLINE __m512i SizeOf(const Digit& d) { return _mm512_load_si512(d.size); }

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
  Affine comb[kRows][8];
};

AQ_512_INLINE Affine Normal(const Point& p) {
  const Fe inverse = Invert(p.z), x = Mul(p.x, inverse), y = Mul(p.y, inverse);
  return {Add(y, x), Sub(y, x), Mul(Mul(x, y), TwoD())};
}

AQ_512_INLINE void Store(const Fe& a, uint64_t (&out)[5][kLanes]) {
  _mm512_store_si512(out[0], a.l0);
  _mm512_store_si512(out[1], a.l1);
  _mm512_store_si512(out[2], a.l2);
  _mm512_store_si512(out[3], a.l3);
  _mm512_store_si512(out[4], a.l4);
}

// p in lane 0, 2^bits p in lane 1, and so on.
AQ_512_CALL void Spread(Point& p, int bits) {
  for (size_t step = 1; step < kLanes; ++step) {
    Point doubled = p;
    Double(doubled, bits);
    p = Select(static_cast<__mmask8>(0xff << step), p, doubled);
  }
}

AQ_512_CALL void MakeComb(Affine (&comb)[kRows][8]) {
  Point first = Base();
  Spread(first, kChunk);
  for (size_t row = 0; row < kRows; ++row) {
    if (row != 0) Double(first, kChunk / kRows);
    const Cached step = ToCached(first);
    Point p = first;
    for (size_t i = 0; i < 8; ++i) {
      comb[row][i] = Normal(p);
      AddTo(p, step, 0);
    }
  }
}

AQ_512_CALL void MakeWide(uint64_t (&wide)[kWide + 1][16]) {
  // Lane k: (k + 1) B, then by eight more.
  Point p = Identity(), eight = Base();
  const Cached base = ToCached(Base());
  for (size_t k = 0; k < kLanes; ++k) {
    Point sum = p;
    AddTo(sum, base, 0);
    p = Select(static_cast<__mmask8>(0xff << k), p, sum);
  }
  Double(eight, 3);
  const Cached step = ToCached(eight);
  std::memset(wide, 0, sizeof wide);
  wide[0][0] = wide[0][5] = 1;
  for (size_t first = 1; first < kWide; first += kLanes) {
    const Affine a = Normal(p);
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

AQ_512_INLINE Fe Gathered(const uint64_t* table, __m512i index) {
  return {_mm512_i64gather_epi64(index, table, 8),
          _mm512_i64gather_epi64(index, table + 1, 8),
          _mm512_i64gather_epi64(index, table + 2, 8),
          _mm512_i64gather_epi64(index, table + 3, 8),
          _mm512_i64gather_epi64(index, table + 4, 8)};
}
// By address, so for public digits alone.
AQ_512_INLINE Affine Gathered(const uint64_t (*table)[16], __m512i size) {
  const __m512i index = _mm512_slli_epi64(size, 4);
  return {Gathered(table[0], index), Gathered(table[0] + 5, index), Gathered(table[0] + 10, index)};
}

// ---- keys and results as bytes

AQ_512_INLINE __mmask8 IsOdd(const Fe& a) { return _mm512_test_epi64_mask(Freeze(a).l0, Each(1)); }
AQ_512_INLINE __mmask8 Same(const Fe& a, const Fe& b) { return IsZero(Sub(a, b)); }

// -A of each key; returns the lanes whose y has an x. RFC 8032 §5.1.3: x = u v^3 (u v^7)^((p - 5) /
// 8) for u = y^2 - 1, v = d y^2 + 1, or that times a root of -1.
AQ_512_CALL __mmask8 NegativeOf(const Words& keys, Point& out) {
  const Fe one = Small(1), y = From(keys), y2 = Square(y);
  const Fe u = Sub(y2, one), v = Add(Mul(y2, D()), one);
  const Fe v3 = Mul(Square(v), v), uv7 = Mul(Mul(Square(v3), v), u);
  Fe unused;
  const Fe power = Mul(SquareTimes(Pow250(uv7, unused), 2), uv7);
  Fe x = Mul(Mul(power, v3), u);
  const Fe vx2 = Mul(Square(x), v);
  const __mmask8 root = Same(vx2, u), turned = IsZero(Add(vx2, u));
  x = Select(root, Mul(x, RootOfMinusOne()), x);
  const __mmask8 sign =
      _mm512_test_epi64_mask(_mm512_load_si512(keys.at[3]), Each(uint64_t{1} << 63));
  const auto negate = static_cast<__mmask8>(~(IsOdd(x) ^ sign));
  x = Select(negate, x, Sub(Small(0), x));
  out = {x, y, one, Mul(x, y)};
  return root | turned;
}

AQ_512_CALL void Encode(const Point& p, Words& out) {
  const Fe inverse = Invert(p.z), x = Mul(p.x, inverse), y = Mul(p.y, inverse);
  To(y, out);
  const __m512i sign = _mm512_maskz_mov_epi64(IsOdd(x), Each(uint64_t{1} << 63));
  _mm512_store_si512(out.at[3], _mm512_or_si512(_mm512_load_si512(out.at[3]), sign));
}

AQ_512_CALL void MakeTable(const Point& p, Cached (&table)[8]) {
  table[0] = ToCached(p);
  Point sum = p;
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
  Cached table[8];
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
  Point p;
  const __mmask8 on_curve = NegativeOf(work.words, p);
  MakeTable(p, work.table);
  p = Identity();
  for (size_t i = 64; i-- > 0;) {
    if (i != 63) Double(p, 4);
    const Digit& h = work.h[i];
    AddTo(p, Picked(work.table, CachedIdentity(), SizeOf(h)), h.negative);
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

AQ_512_INLINE Fe Moved(const Fe& a, __m512i order) {
  return {_mm512_permutexvar_epi64(order, a.l0),
          _mm512_permutexvar_epi64(order, a.l1),
          _mm512_permutexvar_epi64(order, a.l2),
          _mm512_permutexvar_epi64(order, a.l3),
          _mm512_permutexvar_epi64(order, a.l4)};
}
// The sum of all lanes, in every lane.
AQ_512_CALL void Gather(Point& p) {
  const __m512i lane = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
  for (uint64_t by = 4; by != 0; by /= 2) {
    const __m512i order = _mm512_xor_si512(lane, Each(by));
    const Point q = {Moved(p.x, order), Moved(p.y, order), Moved(p.z, order), Moved(p.t, order)};
    AddTo(p, ToCached(q), 0);
  }
}

AQ_512_CALL void FromWords(const Words& x, const Words& y, Point& p) {
  p = {From(x), From(y), Small(1), Small(0)};
  p.t = Mul(p.x, p.y);
}

AQ_512_CALL bool RunOne(const PreparedKey& key, const VerifyLane& lane) {
  ChunkDigits h, s;
  Spread(lane.h32, h);
  Spread(lane.s32, s);
  const BaseTables& tables = Tables();
  Words words;
  Cached table[8];
  Point p;
  FromWords(key.x, key.y, p);
  MakeTable(p, table);
  p = Identity();
  for (size_t i = 8; i-- > 0;) {
    if (i != 7) Double(p, 4);
    AddTo(p, Picked(table, CachedIdentity(), SizeOf(h.of[i])), h.of[i].negative);
    const Affine none = {Small(1), Small(1), Small(0)};
    AddTo(p, Picked(tables.comb[0], none, SizeOf(s.of[i])), s.of[i].negative);
  }
  Gather(p);
  Encode(p, words);
  uint8_t r[32];
  for (size_t w = 0; w < 4; ++w) std::memcpy(r + 8 * w, &words.at[w][0], 8);
  return std::memcmp(r, lane.r32, 32) == 0;
}

AQ_512_CALL bool Prepare(const uint8_t* key32, PreparedKey& out) {
  Words words;
  for (size_t i = 0; i < kLanes; ++i) Load(key32, i, words);
  Point p;
  if (NegativeOf(words, p) != 0xff) return false;
  Spread(p, kChunk);
  const Fe inverse = Invert(p.z);
  To(Mul(p.x, inverse), out.x);
  To(Mul(p.y, inverse), out.y);
  return true;
}

// ---- multiples of the base point: a comb of kRows teeth a lane

struct BaseWork {
  ChunkDigits digits;
  Point p;
  Affine picked;
  Words words;
};

// Lane k's digits are 8 k + i: tooth r takes i = 4 r + j, for j = 3 ... 0.
AQ_512_CALL void MultiplyBase(const uint8_t* scalar, BaseWork& work) {
  constexpr size_t kTooth = 8 / kRows;
  Spread(scalar, work.digits);
  const BaseTables& tables = Tables();
  work.p = Identity();
  for (size_t j = kTooth; j-- > 0;) {
    if (j != kTooth - 1) Double(work.p, 4);
    for (size_t r = 0; r < kRows; ++r) {
      const Digit& d = work.digits.of[kTooth * r + j];
      const Affine none = {Small(1), Small(1), Small(0)};
      work.picked = Picked(tables.comb[r], none, SizeOf(d));
      AddTo(work.p, work.picked, d.negative);
    }
  }
  Gather(work.p);
}

AQ_512_CALL void ToMontgomery(const Point& p, Words& out) {
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
      Encode(work.p, work.words);
    } else {
      ToMontgomery(work.p, work.words);
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
