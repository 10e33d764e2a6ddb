// X25519 and Ed25519.
// Spec:   RFC 7748; RFC 8032 as libsodium verifies it (suite 1 of spec/objects.md §1: S < L, no small
//         order, canonical A, no cofactor).
// Errors: a Diffie-Hellman whose result is all zero gives false.
// Cost:   X25519 30 us; verify 39; sign 14 by a pair, and 14 more where it is made of its seed.
#ifndef AQMESH_CORE_CRYPTO_KEYS_H_
#define AQMESH_CORE_CRYPTO_KEYS_H_

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/rng.h"
#include "core/base/secret.h"

namespace aqmesh::crypto {

using X25519Private = Secret<32>;
using Ed25519Seed = Secret<32>;

X25519Private NewX25519(Rng& rng);     // clamped
void ClampX25519(X25519Private& key);  // as WireGuard clamps when a key is set
X25519Key X25519Public(const X25519Private& key);
[[nodiscard]] bool X25519(const X25519Private& key, const X25519Key& peer, Secret<32>& shared);

Ed25519Seed NewEd25519(Rng& rng);
Ed25519Key Ed25519Public(const Ed25519Seed& seed);
// A seed unfolded once, for who signs often.
class Ed25519Pair {
 public:
  explicit Ed25519Pair(const Ed25519Seed& seed);
  const Ed25519Key& public_key() const { return public_; }
  Signature Sign(ByteView message) const;

 private:
  Ed25519Key public_;
  Secret<64> secret_;
};
Signature Ed25519Sign(const Ed25519Seed& seed, ByteView message);
[[nodiscard]] bool Ed25519Verify(const Ed25519Key& key,
                                 ByteView message,
                                 const Signature& signature);

}  // namespace aqmesh::crypto

#endif  // AQMESH_CORE_CRYPTO_KEYS_H_
