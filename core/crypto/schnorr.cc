#include "core/crypto/schnorr.h"

#include <sodium.h>

#include <algorithm>
#include <string_view>

#include "core/base/check.h"

namespace aqmesh::crypto {

namespace {

using Scalar = Secret<32>;

// None is the beginning of another, so that no input of one is an input of another.
constexpr std::string_view kChallenge = "aqmesh/1/schnorr";
constexpr std::string_view kKey = "aqmesh/1/ristretto-key";
constexpr std::string_view kNonce = "aqmesh/1/ristretto-nonce";

constexpr size_t kScalarWork = 2048;

// BLAKE2b-512(label || parts) mod L.
Scalar HashToScalar(std::string_view label, std::initializer_list<ByteView> parts) {
  crypto_generichash_state state;
  Secret<64> wide;
  Scalar out;
  crypto_generichash_init(&state, nullptr, 0, Secret<64>::kSize);
  crypto_generichash_update(&state, AsBytes(label).data(), label.size());
  for (ByteView p : parts) crypto_generichash_update(&state, p.data(), p.size());
  crypto_generichash_final(&state, wide.data(), Secret<64>::kSize);
  crypto_core_ristretto255_scalar_reduce(out.data(), wide.data());
  sodium_memzero(&state, sizeof state);
  return out;
}

// Zero would make a key or a commitment of the identity. Nobody knows a seed that leads there.
void BaseMultiple(const Scalar& scalar, uint8_t* out32) {
  AQ_CHECK(crypto_scalarmult_ristretto255_base(out32, scalar.data()) == 0);
}

// 1 <= s < L.
bool IsScalar(ByteView s) {
  uint8_t wide[64] = {}, reduced[32];
  std::copy(s.begin(), s.end(), wide);
  crypto_core_ristretto255_scalar_reduce(reduced, wide);
  return Equal(s, reduced) && sodium_is_zero(reduced, sizeof reduced) == 0;
}

// The one encoding of an element, and not the identity.
bool IsElement(ByteView e) {
  return crypto_core_ristretto255_is_valid_point(e.data()) == 1 &&
         sodium_is_zero(e.data(), e.size()) == 0;
}

}  // namespace

Ed25519Key SchnorrPublic(const SchnorrSeed& seed) {
  Ed25519Key key;
  BaseMultiple(HashToScalar(kKey, {seed.view()}), key.data());
  return key;
}

Signature SchnorrSign(const SchnorrSeed& seed, ByteView message) {
  const Scalar x = HashToScalar(kKey, {seed.view()});
  const Scalar r = HashToScalar(kNonce, {seed.view(), message});
  Ed25519Key key;
  BaseMultiple(x, key.data());
  Signature out;  // R || s
  BaseMultiple(r, out.data());
  const Scalar c = HashToScalar(kChallenge, {out.view().first(32), key, message});
  Scalar product;
  crypto_core_ristretto255_scalar_mul(product.data(), c.data(), x.data());
  crypto_core_ristretto255_scalar_add(out.data() + 32, r.data(), product.data());
  sodium_stackzero(kScalarWork);  // where libsodium leaves its copies
  return out;
}

bool SchnorrVerify(const Ed25519Key& key, ByteView message, const Signature& signature) {
  const ByteView commitment = signature.view().first(32), s = signature.view().subspan(32);
  if (!IsScalar(s) || !IsElement(key) || !IsElement(commitment)) return false;
  const Scalar c = HashToScalar(kChallenge, {commitment, key, message});
  uint8_t base[32], challenged[32], again[32];
  if (c.is_zero() || crypto_scalarmult_ristretto255_base(base, s.data()) != 0 ||
      crypto_scalarmult_ristretto255(challenged, c.data(), key.data()) != 0 ||
      crypto_core_ristretto255_sub(again, base, challenged) != 0)
    return false;
  return Equal(commitment, again);  // one element, one encoding
}

}  // namespace aqmesh::crypto
