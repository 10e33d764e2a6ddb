#include "core/crypto/sha256_lanes.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace aqmesh::crypto {

#if defined(__x86_64__)

namespace {

constexpr size_t kBlock = 64;
constexpr size_t kLengthBytes = 8;

alignas(16) constexpr uint32_t kRounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The instructions want the state as {f, e, b, a} and {h, g, d, c}, the lowest word first.
struct alignas(16) State {
  uint32_t feba[4] = {0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667};
  uint32_t hgdc[4] = {0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372};

  Hash32 Digest() const {
    const uint32_t words[8] = {
        feba[3], feba[2], hgdc[3], hgdc[2], feba[1], feba[0], hgdc[1], hgdc[0]};
    Hash32 out;
    for (size_t i = 0; i < 8; ++i) StoreBe(out.data() + 4 * i, words[i]);
    return out;
  }
};

// N messages side by side, each with `blocks` blocks: their rounds do not wait for each other.
template <size_t N>
[[gnu::target("sha,sse4.1")]] void Compress(State* const (&states)[N],
                                            const uint8_t* (&data)[N],
                                            size_t blocks) {
  const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i feba[N], hgdc[N];
  for (size_t n = 0; n < N; ++n) {
    feba[n] = _mm_load_si128(reinterpret_cast<const __m128i*>(states[n]->feba));
    hgdc[n] = _mm_load_si128(reinterpret_cast<const __m128i*>(states[n]->hgdc));
  }
  for (; blocks > 0; --blocks) {
    __m128i words[N][4], feba_before[N], hgdc_before[N];
    for (size_t n = 0; n < N; ++n) {
      feba_before[n] = feba[n];
      hgdc_before[n] = hgdc[n];
      for (size_t i = 0; i < 4; ++i) {
        const auto* at = reinterpret_cast<const __m128i*>(data[n] + 16 * i);
        words[n][i] = _mm_shuffle_epi8(_mm_loadu_si128(at), order);
      }
      data[n] += kBlock;
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; ++i) {
      const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(kRounds + 4 * i));
      for (size_t n = 0; n < N; ++n) {
        const __m128i w = words[n][i % 4];
        const __m128i sum = _mm_add_epi32(w, constants);
        hgdc[n] = _mm_sha256rnds2_epu32(hgdc[n], feba[n], sum);
        feba[n] = _mm_sha256rnds2_epu32(feba[n], hgdc[n], _mm_shuffle_epi32(sum, 0x0e));
        if (i >= 12) continue;
        // The words of four groups on: from this one and the three behind it.
        const __m128i next = words[n][(i + 1) % 4], third = words[n][(i + 2) % 4],
                      last = words[n][(i + 3) % 4];
        const __m128i partly =
            _mm_add_epi32(_mm_sha256msg1_epu32(w, next), _mm_alignr_epi8(last, third, 4));
        words[n][i % 4] = _mm_sha256msg2_epu32(partly, last);
      }
    }
    for (size_t n = 0; n < N; ++n) {
      feba[n] = _mm_add_epi32(feba[n], feba_before[n]);
      hgdc[n] = _mm_add_epi32(hgdc[n], hgdc_before[n]);
    }
  }
  for (size_t n = 0; n < N; ++n) {
    _mm_store_si128(reinterpret_cast<__m128i*>(states[n]->feba), feba[n]);
    _mm_store_si128(reinterpret_cast<__m128i*>(states[n]->hgdc), hgdc[n]);
  }
}

void CompressOne(State& state, const uint8_t* data, size_t blocks) {
  State* const states[1] = {&state};
  const uint8_t* texts[1] = {data};
  Compress<1>(states, texts, blocks);
}

// What ends a message of `size` bytes, of which the last `rest` lie at `block`: into one block or
// two.
size_t Pad(uint8_t* block, size_t rest, uint64_t size) {
  const size_t blocks = rest + 1 + kLengthBytes <= kBlock ? 1 : 2;
  block[rest] = 0x80;
  std::memset(block + rest + 1, 0, blocks * kBlock - rest - 1 - kLengthBytes);
  StoreBe(block + blocks * kBlock - kLengthBytes, size * 8);
  return blocks;
}

}  // namespace

bool HaveShaInstructions() {
  static const bool have = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
           (b & bit_SHA) != 0;
  }();
  return have;
}

Hash32 Sha256One(std::initializer_list<ByteView> parts) {
  State state;
  uint8_t block[2 * kBlock];
  size_t held = 0;
  uint64_t size = 0;
  for (ByteView part : parts) {
    size += part.size();
    if (held > 0 || part.size() < kBlock) {
      const size_t take = std::min(part.size(), kBlock - held);
      if (take > 0) std::memcpy(block + held, part.data(), take);
      held += take;
      part = part.subspan(take);
      if (held < kBlock) continue;
      CompressOne(state, block, 1);
      held = 0;
    }
    const size_t whole = part.size() / kBlock;
    CompressOne(state, part.data(), whole);
    held = part.size() - whole * kBlock;
    if (held > 0) std::memcpy(block, part.data() + whole * kBlock, held);
  }
  CompressOne(state, block, Pad(block, held, size));
  return state.Digest();
}

void Sha256Two(uint8_t prefix, ByteView a, ByteView b, Hash32& out_a, Hash32& out_b) {
  // Prefix, text, and padding of up to two blocks.
  uint8_t texts[2][1 + kPairBytesMax + 2 * kBlock];
  size_t blocks[2];
  const ByteView both[2] = {a, b};
  for (size_t n = 0; n < 2; ++n) {
    AQ_CHECK(both[n].size() <= kPairBytesMax);
    const size_t size = 1 + both[n].size(), whole = size / kBlock;
    texts[n][0] = prefix;
    if (!both[n].empty()) std::memcpy(texts[n] + 1, both[n].data(), both[n].size());
    blocks[n] = whole + Pad(texts[n] + whole * kBlock, size - whole * kBlock, size);
  }
  State first, second;
  State* const states[2] = {&first, &second};
  const uint8_t* at[2] = {texts[0], texts[1]};
  const size_t together = std::min(blocks[0], blocks[1]);
  Compress<2>(states, at, together);
  CompressOne(first, at[0], blocks[0] - together);
  CompressOne(second, at[1], blocks[1] - together);
  out_a = first.Digest();
  out_b = second.Digest();
}

#else

bool HaveShaInstructions() { return false; }
Hash32 Sha256One(std::initializer_list<ByteView>) {
  CheckFailed("SHA instructions", __FILE__, __LINE__);
}
void Sha256Two(uint8_t, ByteView, ByteView, Hash32&, Hash32&) {
  CheckFailed("SHA instructions", __FILE__, __LINE__);
}

#endif

}  // namespace aqmesh::crypto
