// X25519 and Ed25519, one at a time; curve_batch.h has many at once.
// Spec:   RFC 7748; RFC 8032 as libsodium verifies it (suite 1 of spec/objects.md §1: S < L, no small
//         order, canonical A, no cofactor).
// Thread: pure; a value may be shared.
// Errors: a Diffie-Hellman whose result is all zero gives false.
// Timing: no branch or address depends on a private key, a seed or what is made of them.
// Cost:   by libsodium X25519 30 us, a public key 27, a signature 17, a verification 48. On lanes a
//         public key 6, a signature 8, a verification by a prepared key 12, once 34 were spent to
//         prepare it. The first of a process makes tables, in 0.3 ms.
#ifndef AQMESH_CORE_CRYPTO_KEYS_H_
#define AQMESH_CORE_CRYPTO_KEYS_H_

#include <memory>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/rng.h"
#include "core/base/secret.h"

namespace aqmesh::crypto {

// Who computes. Both accept, refuse and make the same bytes.
enum class CurveBackend : uint8_t {
  kSodium,  // libsodium: everywhere, and the oracle of the other
  kLanes,   // our own on AVX-512 IFMA, and libsodium for what that does no faster
};
std::string_view BackendName(CurveBackend b);  // "libsodium", "avx512"
bool IsSupported(CurveBackend b);              // by this build and this processor
CurveBackend BestCurveBackend();

using X25519Private = Secret<32>;
using Ed25519Seed = Secret<32>;

X25519Private NewX25519(Rng& rng);     // clamped
void ClampX25519(X25519Private& key);  // as WireGuard clamps when a key is set
X25519Key X25519Public(const X25519Private& key, CurveBackend backend = BestCurveBackend());
[[nodiscard]] bool X25519(const X25519Private& key, const X25519Key& peer, Secret<32>& shared);

Ed25519Seed NewEd25519(Rng& rng);
Ed25519Key Ed25519Public(const Ed25519Seed& seed);
// A seed unfolded once, for who signs often.
class Ed25519Pair {
 public:
  explicit Ed25519Pair(const Ed25519Seed& seed, CurveBackend backend = BestCurveBackend());
  const Ed25519Key& public_key() const { return public_; }
  Signature Sign(ByteView message) const;

 private:
  Signature SignOnLanes(ByteView message) const;

  CurveBackend backend_;
  Ed25519Key public_;
  Secret<64> secret_;    // seed and public key, as libsodium keeps them
  Secret<64> expanded_;  // SHA-512 of the seed: the scalar, clamped, and the prefix of nonces
};
Signature Ed25519Sign(const Ed25519Seed& seed, ByteView message);
[[nodiscard]] bool Ed25519Verify(const Ed25519Key& key,
                                 ByteView message,
                                 const Signature& signature);

namespace lanes {
struct PreparedKey;
}
// A key prepared once, for who will verify by it again: pays from the second signature on. Half a
// KiB. A key that is refused (small order, not canonical, no point) verifies nothing.
class Ed25519Verifier {
 public:
  explicit Ed25519Verifier(const Ed25519Key& key, CurveBackend backend = BestCurveBackend());
  ~Ed25519Verifier();
  Ed25519Verifier(Ed25519Verifier&&) noexcept;
  Ed25519Verifier& operator=(Ed25519Verifier&&) noexcept;

  const Ed25519Key& key() const { return key_; }
  // What Ed25519Verify says of this key.
  [[nodiscard]] bool Verify(ByteView message, const Signature& signature) const;

 private:
  CurveBackend backend_;
  Ed25519Key key_;
  std::unique_ptr<lanes::PreparedKey> prepared_;  // null: refused, or libsodium's work
};

}  // namespace aqmesh::crypto

#endif  // AQMESH_CORE_CRYPTO_KEYS_H_
