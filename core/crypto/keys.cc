#include "core/crypto/keys.h"

#include <sodium.h>

#include "core/base/check.h"

namespace aqmesh::crypto {

void ClampX25519(X25519Private& key) {
  key.data()[0] &= 0xf8;
  key.data()[31] = static_cast<uint8_t>((key.data()[31] & 0x7f) | 0x40);
}

X25519Private NewX25519(Rng& rng) {
  X25519Private key;
  rng.Fill(key.mutable_view());
  ClampX25519(key);
  return key;
}

X25519Key X25519Public(const X25519Private& key) {
  X25519Key out;
  AQ_CHECK(crypto_scalarmult_base(out.data(), key.data()) == 0);
  return out;
}

bool X25519(const X25519Private& key, const X25519Key& peer, Secret<32>& shared) {
  return crypto_scalarmult(shared.data(), key.data(), peer.data()) == 0 && !shared.is_zero();
}

Ed25519Seed NewEd25519(Rng& rng) {
  Ed25519Seed seed;
  rng.Fill(seed.mutable_view());
  return seed;
}

Ed25519Key Ed25519Public(const Ed25519Seed& seed) { return Ed25519Pair(seed).public_key(); }

Ed25519Pair::Ed25519Pair(const Ed25519Seed& seed) {
  AQ_CHECK(crypto_sign_seed_keypair(public_.data(), secret_.data(), seed.data()) == 0);
}

Signature Ed25519Pair::Sign(ByteView message) const {
  Signature out;
  AQ_CHECK(crypto_sign_detached(
               out.data(), nullptr, message.data(), message.size(), secret_.data()) == 0);
  return out;
}

Signature Ed25519Sign(const Ed25519Seed& seed, ByteView message) {
  return Ed25519Pair(seed).Sign(message);
}

bool Ed25519Verify(const Ed25519Key& key, ByteView message, const Signature& signature) {
  return crypto_sign_verify_detached(
             signature.data(), message.data(), message.size(), key.data()) == 0;
}

}  // namespace aqmesh::crypto
