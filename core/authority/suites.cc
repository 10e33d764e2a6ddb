#include "core/authority/suites.h"

#include <algorithm>
#include <memory>

#include "core/base/check.h"
#include "core/crypto/schnorr.h"

namespace aqmesh::authority {

namespace {

Bytes BytesOf(const Signature& signature) {
  return {signature.view().begin(), signature.view().end()};
}

Bytes SignEd25519(const SuiteSeed& seed, ByteView message) {
  return BytesOf(crypto::Ed25519Sign(seed, message));
}
bool VerifyEd25519(const Ed25519Key& key, ByteView message, ByteView signature) {
  const auto sig = Signature::From(signature);
  return sig && crypto::Ed25519Verify(key, message, *sig);
}
std::function<bool(ByteView, ByteView)> PrepareEd25519(const Ed25519Key& key) {
  return [prepared = std::make_shared<const crypto::Ed25519Verifier>(key)](ByteView message,
                                                                           ByteView signature) {
    const auto sig = Signature::From(signature);
    return sig && prepared->Verify(message, *sig);
  };
}

Bytes SignSchnorr(const SuiteSeed& seed, ByteView message) {
  return BytesOf(crypto::SchnorrSign(seed, message));
}
bool VerifySchnorr(const Ed25519Key& key, ByteView message, ByteView signature) {
  const auto sig = Signature::From(signature);
  return sig && crypto::SchnorrVerify(key, message, *sig);
}

constexpr SignatureSuite kSuites[] = {
    {.id = Suite::kEd25519,
     .name = "ed25519",
     .key_bytes = 32,
     .signature_bytes = 64,
     .profile =
         "RFC 8032 as libsodium: S < L, A canonical, A and R not of small order, no cofactor",
     .public_of = crypto::Ed25519Public,
     .sign = SignEd25519,
     .verify = VerifyEd25519,
     .prepare = PrepareEd25519},
    {.id = Suite::kRistretto,
     .name = "schnorr-ristretto255",
     .key_bytes = 32,
     .signature_bytes = 64,
     .profile = "1 <= s < L, key and R canonical and not the identity, R = sB - cA byte for byte",
     .public_of = crypto::SchnorrPublic,
     .sign = SignSchnorr,
     .verify = VerifySchnorr},
    {.id = Suite::kX25519Static,
     .name = "x25519-static",
     .key_bytes = 32,
     .profile = "a WireGuard static; it cannot sign"},
};

}  // namespace

const SignatureSuite* FindSuite(Suite id) {
  for (const auto rows : {std::span<const SignatureSuite>(kSuites), LinkedSuites()}) {
    const auto row = std::ranges::find(rows, id, &SignatureSuite::id);
    if (row != rows.end()) return &*row;
  }
  return nullptr;
}

std::vector<const SignatureSuite*> AllSuites() {
  std::vector<const SignatureSuite*> out;
  for (const SignatureSuite& s : kSuites) out.push_back(&s);
  for (const SignatureSuite& s : LinkedSuites()) out.push_back(&s);
  return out;
}

size_t SignatureSize(Suite suite) {
  const SignatureSuite* row = FindSuite(suite);
  return row == nullptr ? 0 : row->signature_bytes;
}

Ed25519Key PublicOf(Suite suite, const SuiteSeed& seed) {
  AQ_CHECK(SignatureSize(suite) != 0);
  return FindSuite(suite)->public_of(seed);
}

Bytes SignBy(Suite suite, const SuiteSeed& seed, ByteView message) {
  AQ_CHECK(SignatureSize(suite) != 0);
  return FindSuite(suite)->sign(seed, message);
}

bool VerifyBy(Suite suite, const Ed25519Key& key, ByteView message, ByteView signature) {
  const SignatureSuite* row = FindSuite(suite);
  return row != nullptr && row->verify != nullptr && row->verify(key, message, signature);
}

KeyVerifier::KeyVerifier(Suite suite, const Ed25519Key& key) : suite_(suite), key_(key) {
  const SignatureSuite* row = FindSuite(suite);
  if (row != nullptr && row->prepare != nullptr) prepared_ = row->prepare(key);
}

bool KeyVerifier::Verify(ByteView message, ByteView signature) const {
  return prepared_ ? prepared_(message, signature) : VerifyBy(suite_, key_, message, signature);
}

}  // namespace aqmesh::authority
