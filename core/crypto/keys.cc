#include "core/crypto/keys.h"

#include <sodium.h>

#include "core/base/check.h"
#include "core/crypto/curve_lanes.h"
#include "core/crypto/ed25519_checks.h"
#include "core/crypto/lanes.h"

namespace aqmesh::crypto {

std::string_view BackendName(CurveBackend b) {
  switch (b) {
    case CurveBackend::kSodium: return "libsodium";
    case CurveBackend::kLanes: return "avx512";
  }
  return "?";
}

bool IsSupported(CurveBackend b) { return b == CurveBackend::kSodium || HaveLanes(); }

CurveBackend BestCurveBackend() {
  return HaveLanes() ? CurveBackend::kLanes : CurveBackend::kSodium;
}

// ---- X25519

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

X25519Key X25519Public(const X25519Private& key, CurveBackend backend) {
  AQ_CHECK(IsSupported(backend));
  X25519Key out;
  if (backend == CurveBackend::kSodium) {
    AQ_CHECK(crypto_scalarmult_base(out.data(), key.data()) == 0);
    return out;
  }
  X25519Private clamped = key.Clone();
  ClampX25519(clamped);
  lanes::BaseMultiple(clamped.data(), lanes::BaseForm::kMontgomery, out.data());
  return out;
}

bool X25519(const X25519Private& key, const X25519Key& peer, Secret<32>& shared) {
  return crypto_scalarmult(shared.data(), key.data(), peer.data()) == 0 && !shared.is_zero();
}

// ---- Ed25519

Ed25519Seed NewEd25519(Rng& rng) {
  Ed25519Seed seed;
  rng.Fill(seed.mutable_view());
  return seed;
}

Ed25519Key Ed25519Public(const Ed25519Seed& seed) { return Ed25519Pair(seed).public_key(); }

Ed25519Pair::Ed25519Pair(const Ed25519Seed& seed, CurveBackend backend) : backend_(backend) {
  AQ_CHECK(IsSupported(backend));
  AQ_CHECK(crypto_sign_seed_keypair(public_.data(), secret_.data(), seed.data()) == 0);
  AQ_CHECK(crypto_hash_sha512(expanded_.data(), seed.data(), Ed25519Seed::kSize) == 0);
  expanded_.data()[0] &= 0xf8;
  expanded_.data()[31] = static_cast<uint8_t>((expanded_.data()[31] & 0x3f) | 0x40);
}

Signature Ed25519Pair::Sign(ByteView message) const {
  if (backend_ == CurveBackend::kLanes) return SignOnLanes(message);
  Signature out;
  AQ_CHECK(crypto_sign_detached(
               out.data(), nullptr, message.data(), message.size(), secret_.data()) == 0);
  return out;
}

constexpr size_t kScalarWork = 2048;

// RFC 8032 §5.1.6.
Signature Ed25519Pair::SignOnLanes(ByteView message) const {
  Signature out;
  Secret<32> nonce, product;
  uint8_t h[32];
  HashToScalar(expanded_.view().subspan(32), {}, message, nonce.data());
  lanes::BaseMultiple(nonce.data(), lanes::BaseForm::kEdwards, out.data());
  HashToScalar(out.view().first(32), public_, message, h);
  crypto_core_ed25519_scalar_mul(product.data(), h, expanded_.data());
  crypto_core_ed25519_scalar_add(out.data() + 32, product.data(), nonce.data());
  sodium_stackzero(kScalarWork);  // where the three above leave their copies
  return out;
}

Signature Ed25519Sign(const Ed25519Seed& seed, ByteView message) {
  return Ed25519Pair(seed).Sign(message);
}

bool Ed25519Verify(const Ed25519Key& key, ByteView message, const Signature& signature) {
  return crypto_sign_verify_detached(
             signature.data(), message.data(), message.size(), key.data()) == 0;
}

Ed25519Verifier::Ed25519Verifier(const Ed25519Key& key, CurveBackend backend)
    : backend_(backend), key_(key) {
  AQ_CHECK(IsSupported(backend));
  if (backend == CurveBackend::kSodium || !IsAcceptableKey(key)) return;
  prepared_ = std::make_unique<lanes::PreparedKey>();
  if (!lanes::PrepareKey(key.data(), *prepared_)) prepared_.reset();
}
Ed25519Verifier::~Ed25519Verifier() = default;
Ed25519Verifier::Ed25519Verifier(Ed25519Verifier&&) noexcept = default;
Ed25519Verifier& Ed25519Verifier::operator=(Ed25519Verifier&&) noexcept = default;

bool Ed25519Verifier::Verify(ByteView message, const Signature& signature) const {
  if (backend_ == CurveBackend::kSodium) return Ed25519Verify(key_, message, signature);
  if (prepared_ == nullptr || !IsAcceptable(signature)) return false;
  uint8_t h[32];
  HashToScalar(signature.view().first(32), key_, message, h);
  return lanes::RunVerify(*prepared_, {key_.data(), signature.data(), signature.data() + 32, h});
}

}  // namespace aqmesh::crypto
