#include "core/crypto/lanes.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>

// Only these functions may hold AVX-512 code: a template or an inline function of a header compiled
// for it here could be the copy that the linker keeps for everybody.
#define AQ_512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")))
#define AQ_512_INLINE AQ_512 __attribute__((always_inline)) static inline

namespace aqmesh::crypto {

bool HaveLanes() {
  static const bool have =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512ifma");
  return have;
}

namespace {

// ---- ChaCha20: sixteen words of sixteen blocks; two such groups side by side hide the latency of
// one, and fill the 32 registers exactly.

constexpr size_t kGroup = 16, kRun = 2 * kGroup, kBlock = 64;

// The blocks of one run. A stretch writes whole registers, so there is room for one behind the
// last.
struct alignas(64) Run {
  uint32_t block[kRun + kGroup], nonce_lo[kRun + kGroup], nonce_hi[kRun + kGroup];
  uint8_t* data[kRun + kGroup];
  const uint8_t* key[kRun + kGroup];
  uint8_t size[kRun + kGroup];
  size_t n = 0;
  bool one_key = true;
};

AQ_512_INLINE void Append(const ChaChaStretch& s, size_t from_block, size_t blocks, Run& run) {
  const __m512i iota = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i steps = _mm512_set_epi64(448, 384, 320, 256, 192, 128, 64, 0);
  if (run.n != 0 && run.key[0] != s.key32) run.one_key = false;
  for (size_t i = 0; i < blocks; i += kGroup) {
    const size_t at = run.n + i, block = from_block + i;
    const __m512i numbers =
        _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(s.first + block)), iota);
    _mm512_storeu_si512(run.block + at, numbers);
    _mm512_storeu_si512(run.nonce_lo + at, _mm512_set1_epi32(static_cast<int>(s.nonce)));
    _mm512_storeu_si512(run.nonce_hi + at, _mm512_set1_epi32(static_cast<int>(s.nonce >> 32)));
    for (size_t half = 0; half < kGroup; half += 8) {
      const auto text = reinterpret_cast<int64_t>(s.data + (block + half) * kBlock);
      const auto key = reinterpret_cast<int64_t>(s.key32);
      _mm512_storeu_si512(static_cast<void*>(run.data + at + half),
                          _mm512_add_epi64(_mm512_set1_epi64(text), steps));
      _mm512_storeu_si512(static_cast<void*>(run.key + at + half), _mm512_set1_epi64(key));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(run.size + at), _mm_set1_epi8(kBlock));
  }
  run.n += blocks;
  const size_t end = (from_block + blocks) * kBlock;
  if (end > s.size) run.size[run.n - 1] = static_cast<uint8_t>(kBlock - (end - s.size));
}

struct alignas(64) Initial {
  uint32_t key[8][kGroup];
};

AQ_512_INLINE void Start(const Run& run, size_t from, __m512i (&v)[16], Initial& keys) {
  static constexpr uint32_t kSigma[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  for (size_t w = 0; w < 4; ++w) v[w] = _mm512_set1_epi32(static_cast<int>(kSigma[w]));
  if (run.one_key) {
    for (size_t w = 0; w < 8; ++w) {
      uint32_t word;
      std::memcpy(&word, run.key[0] + 4 * w, 4);
      v[4 + w] = _mm512_set1_epi32(static_cast<int>(word));
    }
  } else {
    for (size_t i = 0; i < kGroup; ++i) {
      uint32_t key[8];
      std::memcpy(key, run.key[from + i < run.n ? from + i : 0], sizeof key);
      for (size_t w = 0; w < 8; ++w) keys.key[w][i] = key[w];
    }
    for (size_t w = 0; w < 8; ++w) v[4 + w] = _mm512_load_si512(keys.key[w]);
  }
  for (size_t w = 0; w < 8; ++w) _mm512_store_si512(keys.key[w], v[4 + w]);
  v[12] = _mm512_load_si512(run.block + from);
  v[13] = _mm512_setzero_si512();
  v[14] = _mm512_load_si512(run.nonce_lo + from);
  v[15] = _mm512_load_si512(run.nonce_hi + from);
}

// Four quarter rounds' first half: a += b, d = (d ^ a) <<< bits. Written out, for the 32 words of
// two groups are all the registers that there are, and a compiler's copies would spill.
#define AQ_HALF(v, a0, a1, a2, a3, b0, b1, b2, b3, d0, d1, d2, d3, bits) \
  asm("vpaddd %8, %0, %0\n\tvpaddd %9, %1, %1\n\t"                       \
      "vpaddd %10, %2, %2\n\tvpaddd %11, %3, %3\n\t"                     \
      "vpxord %0, %4, %4\n\tvpxord %1, %5, %5\n\t"                       \
      "vpxord %2, %6, %6\n\tvpxord %3, %7, %7\n\t"                       \
      "vprold $" #bits ", %4, %4\n\tvprold $" #bits                      \
      ", %5, %5\n\t"                                                     \
      "vprold $" #bits ", %6, %6\n\tvprold $" #bits ", %7, %7"           \
      : "+v"(v[a0]),                                                     \
        "+v"(v[a1]),                                                     \
        "+v"(v[a2]),                                                     \
        "+v"(v[a3]),                                                     \
        "+v"(v[d0]),                                                     \
        "+v"(v[d1]),                                                     \
        "+v"(v[d2]),                                                     \
        "+v"(v[d3])                                                      \
      : "v"(v[b0]), "v"(v[b1]), "v"(v[b2]), "v"(v[b3]))
#define AQ_QUARTERS(v, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3) \
  AQ_HALF(v, 0, 1, 2, 3, b0, b1, b2, b3, d0, d1, d2, d3, 16);          \
  AQ_HALF(v, c0, c1, c2, c3, d0, d1, d2, d3, b0, b1, b2, b3, 12);      \
  AQ_HALF(v, 0, 1, 2, 3, b0, b1, b2, b3, d0, d1, d2, d3, 8);           \
  AQ_HALF(v, c0, c1, c2, c3, d0, d1, d2, d3, b0, b1, b2, b3, 7)
#define AQ_COLUMNS(v) AQ_QUARTERS(v, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#define AQ_DIAGONALS(v) AQ_QUARTERS(v, 5, 6, 7, 4, 10, 11, 8, 9, 15, 12, 13, 14)

// Words by block become blocks by word, and each block meets its data.
AQ_512_INLINE void Finish(const Run& run, size_t from, const Initial& keys, __m512i (&v)[16]) {
  static constexpr uint32_t kSigma[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  for (size_t w = 0; w < 4; ++w)
    v[w] = _mm512_add_epi32(v[w], _mm512_set1_epi32(static_cast<int>(kSigma[w])));
  for (size_t w = 0; w < 8; ++w)
    v[4 + w] = _mm512_add_epi32(v[4 + w], _mm512_load_si512(keys.key[w]));
  v[12] = _mm512_add_epi32(v[12], _mm512_load_si512(run.block + from));
  v[14] = _mm512_add_epi32(v[14], _mm512_load_si512(run.nonce_lo + from));
  v[15] = _mm512_add_epi32(v[15], _mm512_load_si512(run.nonce_hi + from));
  __m512i b[16], block[16];
  for (size_t g = 0; g < 16; g += 4) {
    const __m512i a0 = _mm512_unpacklo_epi32(v[g], v[g + 1]);
    const __m512i a1 = _mm512_unpackhi_epi32(v[g], v[g + 1]);
    const __m512i a2 = _mm512_unpacklo_epi32(v[g + 2], v[g + 3]);
    const __m512i a3 = _mm512_unpackhi_epi32(v[g + 2], v[g + 3]);
    b[g] = _mm512_unpacklo_epi64(a0, a2), b[g + 1] = _mm512_unpackhi_epi64(a0, a2);
    b[g + 2] = _mm512_unpacklo_epi64(a1, a3), b[g + 3] = _mm512_unpackhi_epi64(a1, a3);
  }
  for (size_t j = 0; j < 4; ++j) {
    const __m512i c0 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x44);
    const __m512i c1 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x44);
    const __m512i c2 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xee);
    const __m512i c3 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xee);
    block[j] = _mm512_shuffle_i32x4(c0, c1, 0x88);
    block[4 + j] = _mm512_shuffle_i32x4(c0, c1, 0xdd);
    block[8 + j] = _mm512_shuffle_i32x4(c2, c3, 0x88);
    block[12 + j] = _mm512_shuffle_i32x4(c2, c3, 0xdd);
  }
  uint8_t* const* const data = run.data + from;
  const __m128i sizes = _mm_load_si128(reinterpret_cast<const __m128i*>(run.size + from));
  const bool whole = _mm_cmpeq_epi8_mask(sizes, _mm_set1_epi8(kBlock)) == 0xffff;
  if (whole && run.n >= from + kGroup) {
    for (size_t i = 0; i < kGroup; ++i)
      _mm512_storeu_si512(data[i], _mm512_xor_si512(block[i], _mm512_loadu_si512(data[i])));
    return;
  }
  alignas(64) __m512i kept[16];
  for (size_t i = 0; i < kGroup; ++i) _mm512_store_si512(&kept[i], block[i]);
  for (size_t i = 0; i < kGroup && from + i < run.n; ++i) {
    const unsigned size = run.size[from + i];
    const __mmask64 mask = size == kBlock ? ~__mmask64{0} : (__mmask64{1} << size) - 1;
    const __m512i text = _mm512_maskz_loadu_epi8(mask, data[i]);
    _mm512_mask_storeu_epi8(data[i], mask, _mm512_xor_si512(_mm512_load_si512(&kept[i]), text));
  }
}

AQ_512 void Go(Run& run) {
  Initial keys, keys2;
  __m512i v[16], u[16];
  Start(run, 0, v, keys);
  if (run.n <= kGroup) {
    for (int round = 0; round < 10; ++round) {
      AQ_COLUMNS(v);
      AQ_DIAGONALS(v);
    }
  } else {
    Start(run, kGroup, u, keys2);
    for (int round = 0; round < 10; ++round) {
      AQ_COLUMNS(v);
      AQ_COLUMNS(u);
      AQ_DIAGONALS(v);
      AQ_DIAGONALS(u);
    }
    alignas(64) __m512i kept[16];
    for (size_t w = 0; w < 16; ++w) _mm512_store_si512(&kept[w], u[w]);
    Finish(run, 0, keys, v);
    for (size_t w = 0; w < 16; ++w) v[w] = _mm512_load_si512(&kept[w]);
    Finish(run, kGroup, keys2, v);
    run.n = 0, run.one_key = true;
    return;
  }
  Finish(run, 0, keys, v);
  run.n = 0, run.one_key = true;
}

AQ_512 void RunAll(std::span<const ChaChaStretch> stretches) {
  Run run;
  for (const ChaChaStretch& s : stretches) {
    const size_t blocks = (s.size + kBlock - 1) / kBlock;
    for (size_t done = 0; done < blocks;) {
      const size_t n = std::min(kRun - run.n, blocks - done);
      Append(s, done, n, run);
      done += n;
      if (run.n == kRun) Go(run);
    }
  }
  if (run.n != 0) Go(run);
}

// ---- Poly1305: three limbs of 44, 44 and 42 bits, eight packets a register.

constexpr size_t kLanes = 8;
constexpr uint64_t kMask44 = (uint64_t{1} << 44) - 1, kMask42 = (uint64_t{1} << 42) - 1;

struct Limbs {
  __m512i l0, l1, l2;
};

struct PolyState {
  Limbs h, r;
  __m512i s1, s2;  // 20 r1, 20 r2: 2^132 = 20 modulo 2^130 - 5
};

// One block of each packet: h = (h + block) r.
AQ_512_INLINE Limbs Absorbed(const PolyState& p, __m512i lo, __m512i hi) {
  const __m512i mask44 = _mm512_set1_epi64(static_cast<int64_t>(kMask44)),
                zero = _mm512_setzero_si512();
  const __m512i m0 = _mm512_and_si512(lo, mask44);
  const __m512i m1 = _mm512_and_si512(
      _mm512_or_si512(_mm512_srli_epi64(lo, 44), _mm512_slli_epi64(hi, 20)), mask44);
  const __m512i m2 =
      _mm512_or_si512(_mm512_srli_epi64(hi, 24), _mm512_set1_epi64(int64_t{1} << 40));
  const __m512i h0 = _mm512_add_epi64(p.h.l0, m0), h1 = _mm512_add_epi64(p.h.l1, m1),
                h2 = _mm512_add_epi64(p.h.l2, m2);
  // Two accumulators a product keep the chains short.
  __m512i a0 = _mm512_madd52lo_epu64(zero, h0, p.r.l0),
          b0 = _mm512_madd52hi_epu64(zero, h0, p.r.l0);
  __m512i a1 = _mm512_madd52lo_epu64(zero, h0, p.r.l1),
          b1 = _mm512_madd52hi_epu64(zero, h0, p.r.l1);
  __m512i a2 = _mm512_madd52lo_epu64(zero, h0, p.r.l2),
          b2 = _mm512_madd52hi_epu64(zero, h0, p.r.l2);
  a0 = _mm512_madd52lo_epu64(a0, h1, p.s2), b0 = _mm512_madd52hi_epu64(b0, h1, p.s2);
  a1 = _mm512_madd52lo_epu64(a1, h1, p.r.l0), b1 = _mm512_madd52hi_epu64(b1, h1, p.r.l0);
  a2 = _mm512_madd52lo_epu64(a2, h1, p.r.l1), b2 = _mm512_madd52hi_epu64(b2, h1, p.r.l1);
  a0 = _mm512_madd52lo_epu64(a0, h2, p.s1), b0 = _mm512_madd52hi_epu64(b0, h2, p.s1);
  a1 = _mm512_madd52lo_epu64(a1, h2, p.s2), b1 = _mm512_madd52hi_epu64(b1, h2, p.s2);
  a2 = _mm512_madd52lo_epu64(a2, h2, p.r.l0), b2 = _mm512_madd52hi_epu64(b2, h2, p.r.l0);
  // The high halves weigh 2^52: 2^8 of the next limb, or 2^10 of the wrap behind 130 bits.
  a1 = _mm512_add_epi64(a1, _mm512_add_epi64(_mm512_srli_epi64(a0, 44), _mm512_slli_epi64(b0, 8)));
  a2 = _mm512_add_epi64(a2, _mm512_add_epi64(_mm512_srli_epi64(a1, 44), _mm512_slli_epi64(b1, 8)));
  const __m512i c = _mm512_add_epi64(_mm512_srli_epi64(a2, 42), _mm512_slli_epi64(b2, 10));
  a0 = _mm512_add_epi64(_mm512_and_si512(a0, mask44), _mm512_add_epi64(c, _mm512_slli_epi64(c, 2)));
  a1 = _mm512_add_epi64(_mm512_and_si512(a1, mask44), _mm512_srli_epi64(a0, 44));
  return {_mm512_and_si512(a0, mask44),
          a1,
          _mm512_and_si512(a2, _mm512_set1_epi64(static_cast<int64_t>(kMask42)))};
}

// The same where `active`; the other packets have ended.
AQ_512_INLINE void AbsorbWhere(PolyState& p, __m512i lo, __m512i hi, __mmask8 active) {
  const Limbs h = Absorbed(p, lo, hi);
  p.h.l0 = _mm512_mask_mov_epi64(p.h.l0, active, h.l0);
  p.h.l1 = _mm512_mask_mov_epi64(p.h.l1, active, h.l1);
  p.h.l2 = _mm512_mask_mov_epi64(p.h.l2, active, h.l2);
}

struct alignas(64) Words {
  uint64_t at[kLanes];
};

AQ_512_INLINE void Begin(const PolyLane* lanes, PolyState& p) {
  Words r0, r1, r2;
  for (size_t i = 0; i < kLanes; ++i) {
    uint64_t lo, hi;
    std::memcpy(&lo, lanes[i].key32, 8);
    std::memcpy(&hi, lanes[i].key32 + 8, 8);
    lo &= 0x0ffffffc0fffffff, hi &= 0x0ffffffc0ffffffc;
    r0.at[i] = lo & kMask44, r1.at[i] = (lo >> 44 | hi << 20) & kMask44, r2.at[i] = hi >> 24;
  }
  p.h.l0 = p.h.l1 = p.h.l2 = _mm512_setzero_si512();
  p.r = {_mm512_load_si512(&r0), _mm512_load_si512(&r1), _mm512_load_si512(&r2)};
  const __m512i twenty = _mm512_set1_epi64(20);
  p.s1 = _mm512_mullo_epi64(p.r.l1, twenty), p.s2 = _mm512_mullo_epi64(p.r.l2, twenty);
}

// Eight rows by packet become eight words by packet.
AQ_512_INLINE void Transpose(const __m512i (&row)[kLanes], __m512i (&w)[kLanes]) {
  __m512i t[kLanes];
  for (size_t i = 0; i < kLanes; i += 2) {
    t[i] = _mm512_unpacklo_epi64(row[i], row[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi64(row[i], row[i + 1]);
  }
  for (size_t k = 0; k < 2; ++k) {  // even and odd words
    const __m512i a0 = _mm512_shuffle_i64x2(t[k], t[2 + k], 0x44);
    const __m512i a1 = _mm512_shuffle_i64x2(t[4 + k], t[6 + k], 0x44);
    const __m512i a2 = _mm512_shuffle_i64x2(t[k], t[2 + k], 0xee);
    const __m512i a3 = _mm512_shuffle_i64x2(t[4 + k], t[6 + k], 0xee);
    w[k] = _mm512_shuffle_i64x2(a0, a1, 0x88), w[2 + k] = _mm512_shuffle_i64x2(a0, a1, 0xdd);
    w[4 + k] = _mm512_shuffle_i64x2(a2, a3, 0x88), w[6 + k] = _mm512_shuffle_i64x2(a2, a3, 0xdd);
  }
}

// 64 bytes of each packet from `at` on; every packet has them.
AQ_512_INLINE void LoadWhole(const PolyLane* lanes, size_t at, __m512i (&w)[kLanes]) {
  __m512i row[kLanes];
  for (size_t i = 0; i < kLanes; ++i) row[i] = _mm512_loadu_si512(lanes[i].text + at);
  Transpose(row, w);
}
// Past a packet's end: zeros.
AQ_512_INLINE void LoadPart(const PolyLane* lanes, size_t at, __m512i (&w)[kLanes]) {
  __m512i row[kLanes];
  for (size_t i = 0; i < kLanes; ++i) {
    const size_t left = lanes[i].size > at ? lanes[i].size - at : 0;
    const __mmask64 mask = left >= kBlock ? ~__mmask64{0} : (__mmask64{1} << left) - 1;
    row[i] = _mm512_maskz_loadu_epi8(mask, lanes[i].text + at);
  }
  Transpose(row, w);
}

// Which packets have a 16-byte block, whole or begun, at `at`.
AQ_512_INLINE __mmask8 ActiveAt(__m512i sizes, size_t at) {
  return _mm512_cmpgt_epu64_mask(sizes, _mm512_set1_epi64(static_cast<int64_t>(at)));
}

void WriteTag(uint64_t h0, uint64_t h1, uint64_t h2, const PolyLane& lane) {
  uint64_t c = h1 >> 44;
  h1 &= kMask44, h2 += c, c = h2 >> 42, h2 &= kMask42, h0 += c * 5, c = h0 >> 44, h0 &= kMask44;
  h1 += c, c = h1 >> 44, h1 &= kMask44, h2 += c, c = h2 >> 42, h2 &= kMask42, h0 += c * 5;
  c = h0 >> 44, h0 &= kMask44, h1 += c;
  // h - p, taken if it is not negative.
  uint64_t g0 = h0 + 5, g1 = h1 + (g0 >> 44), g2 = h2 + (g1 >> 44) - (uint64_t{1} << 42);
  g0 &= kMask44, g1 &= kMask44;
  const uint64_t take = (g2 >> 63) - 1;
  h0 = (h0 & ~take) | (g0 & take), h1 = (h1 & ~take) | (g1 & take);
  h2 = (h2 & ~take) | (g2 & take);
  uint64_t s0, s1;
  std::memcpy(&s0, lane.key32 + 16, 8);
  std::memcpy(&s1, lane.key32 + 24, 8);
  const uint64_t lo = (h0 | h1 << 44) + s0;
  const uint64_t hi = (h1 >> 20 | h2 << 24) + s1 + (lo < s0 ? 1 : 0);
  std::memcpy(lane.tag16, &lo, 8);
  std::memcpy(lane.tag16 + 8, &hi, 8);
}

AQ_512_INLINE void End(const PolyLane* lanes, size_t n, __m512i sizes, PolyState& p) {
  p.h = Absorbed(p, _mm512_setzero_si512(), sizes);
  Words h0, h1, h2;
  _mm512_store_si512(&h0, p.h.l0);
  _mm512_store_si512(&h1, p.h.l1);
  _mm512_store_si512(&h2, p.h.l2);
  for (size_t i = 0; i < n; ++i) WriteTag(h0.at[i], h1.at[i], h2.at[i], lanes[i]);
}

AQ_512_INLINE __m512i SizesOf(const PolyLane* lanes) {
  Words sizes;
  for (size_t i = 0; i < kLanes; ++i) sizes.at[i] = lanes[i].size;
  return _mm512_load_si512(&sizes);
}

struct PolyRun {
  std::array<PolyLane, 2 * kLanes> lanes;  // all filled; the tags of the first n are wanted
  size_t n = 0, shortest = 0, longest = 0;
};

AQ_512 void RunEight(const PolyRun& run) {
  PolyState p;
  __m512i w[kLanes];
  Begin(run.lanes.data(), p);
  const __m512i sizes = SizesOf(run.lanes.data());
  size_t at = 0;
  for (; at + kBlock <= run.shortest; at += kBlock) {
    LoadWhole(run.lanes.data(), at, w);
    for (size_t i = 0; i < kLanes; i += 2) p.h = Absorbed(p, w[i], w[i + 1]);
  }
  for (; at < run.longest; at += kBlock) {
    LoadPart(run.lanes.data(), at, w);
    for (size_t i = 0; i < 4; ++i)
      AbsorbWhere(p, w[2 * i], w[2 * i + 1], ActiveAt(sizes, at + 16 * i));
  }
  End(run.lanes.data(), run.n, sizes, p);
}

// Two registers of packets side by side hide the latency of the carries.
AQ_512 void RunSixteen(const PolyRun& run) {
  const PolyLane *first = run.lanes.data(), *second = first + kLanes;
  PolyState p, q;
  __m512i w[kLanes], w2[kLanes];
  Begin(first, p);
  Begin(second, q);
  const __m512i sizes = SizesOf(first), sizes2 = SizesOf(second);
  size_t at = 0;
  for (; at + kBlock <= run.shortest; at += kBlock) {
    LoadWhole(first, at, w);
    LoadWhole(second, at, w2);
    for (size_t i = 0; i < kLanes; i += 2) {
      p.h = Absorbed(p, w[i], w[i + 1]);
      q.h = Absorbed(q, w2[i], w2[i + 1]);
    }
  }
  for (; at < run.longest; at += kBlock) {
    LoadPart(first, at, w);
    LoadPart(second, at, w2);
    for (size_t i = 0; i < 4; ++i) {
      AbsorbWhere(p, w[2 * i], w[2 * i + 1], ActiveAt(sizes, at + 16 * i));
      AbsorbWhere(q, w2[2 * i], w2[2 * i + 1], ActiveAt(sizes2, at + 16 * i));
    }
  }
  End(first, kLanes, sizes, p);
  End(second, run.n - kLanes, sizes2, q);
}

}  // namespace

void RunChaCha(std::span<const ChaChaStretch> stretches) { RunAll(stretches); }

void RunPoly(std::span<const PolyLane> lanes) {
  PolyRun run;
  while (!lanes.empty()) {
    run.n = std::min(lanes.size(), run.lanes.size());
    std::fill(std::copy_n(lanes.begin(), run.n, run.lanes.begin()), run.lanes.end(), lanes[0]);
    run.shortest = run.longest = lanes[0].size;
    for (const PolyLane& l : lanes.first(run.n)) {
      run.shortest = std::min(run.shortest, l.size);
      run.longest = std::max(run.longest, l.size);
    }
    if (run.n > kLanes) {
      RunSixteen(run);
    } else {
      RunEight(run);
    }
    lanes = lanes.subspan(run.n);
  }
}

}  // namespace aqmesh::crypto

#else  // another processor: AeadBatch asks HaveLanes and goes elsewhere

namespace aqmesh::crypto {
bool HaveLanes() { return false; }
void RunChaCha(std::span<const ChaChaStretch>) { AQ_CHECK(false); }
void RunPoly(std::span<const PolyLane>) { AQ_CHECK(false); }
}  // namespace aqmesh::crypto

#endif
