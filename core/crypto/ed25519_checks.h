// What libsodium refuses in an Ed25519 signature before it computes, and what it hashes: for
// whoever computes by other means and must say the same.
// Spec:   RFC 8032 §5.1.7, with libsodium's stricter rules: S < L, y of A < p, neither A nor R of
//         small order in any encoding.
// Timing: all is public. Thread: pure.
#ifndef AQMESH_CORE_CRYPTO_ED25519_CHECKS_H_
#define AQMESH_CORE_CRYPTO_ED25519_CHECKS_H_

#include "core/base/ids.h"
#include "core/base/secret.h"

namespace aqmesh::crypto {

bool IsAcceptableKey(const Ed25519Key& key);
bool IsAcceptable(const Signature& signature);  // R and S, for themselves

// SHA-512(a || b || message) mod L, 32 bytes little endian: h of R, A and the message, and the
// nonce of a prefix alone.
void HashToScalar(ByteView a, ByteView b, ByteView message, uint8_t* out32);

}  // namespace aqmesh::crypto

#endif  // AQMESH_CORE_CRYPTO_ED25519_CHECKS_H_
