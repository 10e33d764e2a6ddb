#include "core/crypto/ed25519_checks.h"

#include <sodium.h>

#include <algorithm>
#include <array>

namespace aqmesh::crypto {

namespace {

using Encoded = std::array<uint8_t, 32>;

constexpr Encoded Filled(uint8_t first, uint8_t rest, uint8_t last) {
  Encoded out{};
  for (uint8_t& b : out) b = rest;
  out[0] = first, out[31] = last;
  return out;
}

// The y of every point whose order divides 8, sign aside: 0, 1, two of order 8, p - 1; and p and
// p + 1, which stand for 0 and 1.
constexpr std::array<Encoded, 7> kSmallOrder = {
    Filled(0x00, 0x00, 0x00),
    Filled(0x01, 0x00, 0x00),
    Encoded{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
            0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
            0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
    Encoded{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
            0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
            0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
    Filled(0xec, 0xff, 0x7f),
    Filled(0xed, 0xff, 0x7f),
    Filled(0xee, 0xff, 0x7f),
};
constexpr Encoded kPrime = Filled(0xed, 0xff, 0x7f);
constexpr Encoded kOrder = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                            0xa2, 0xde, 0xf9, 0xde, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10};

bool Less(const Encoded& a, const Encoded& b) {
  return std::lexicographical_compare(a.rbegin(), a.rend(), b.rbegin(), b.rend());
}

bool IsSmallOrder(const Encoded& y) {
  return std::find(kSmallOrder.begin(), kSmallOrder.end(), y) != kSmallOrder.end();
}

Encoded WithoutSign(ByteView point) {
  Encoded out;
  std::copy_n(point.begin(), 32, out.begin());
  out[31] &= 0x7f;
  return out;
}

}  // namespace

bool IsAcceptableKey(const Ed25519Key& key) {
  const Encoded y = WithoutSign(key);
  return Less(y, kPrime) && !IsSmallOrder(y);
}

bool IsAcceptable(const Signature& signature) {
  Encoded s;
  std::copy_n(signature.data() + 32, 32, s.begin());
  return Less(s, kOrder) && !IsSmallOrder(WithoutSign(signature.view().first(32)));
}

void HashToScalar(ByteView a, ByteView b, ByteView message, uint8_t* out32) {
  Secret<64> hash;
  crypto_hash_sha512_state state;
  crypto_hash_sha512_init(&state);
  crypto_hash_sha512_update(&state, a.data(), a.size());
  crypto_hash_sha512_update(&state, b.data(), b.size());
  crypto_hash_sha512_update(&state, message.data(), message.size());
  crypto_hash_sha512_final(&state, hash.data());
  crypto_core_ed25519_scalar_reduce(out32, hash.data());
  sodium_memzero(&state, sizeof state);
}

}  // namespace aqmesh::crypto
