// Schnorr signatures over ristretto255: suite 2, of another algebra and another hash than Ed25519.
// Spec:   spec/suites.md §2, with its vectors; RFC 9496 for the group and its encodings.
// Thread: pure. Errors: false for whatever the spec refuses, without saying which.
// Timing: no branch or address depends on a seed or on what is made of it; what is verified is
//         public.
// Cost:   a key 16 us, a signature 33, a verification 88: libsodium's group, no lanes.
#ifndef AQMESH_CORE_CRYPTO_SCHNORR_H_
#define AQMESH_CORE_CRYPTO_SCHNORR_H_

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/secret.h"

namespace aqmesh::crypto {

using SchnorrSeed = Secret<32>;

Ed25519Key SchnorrPublic(const SchnorrSeed& seed);
// Deterministic: one seed and one message give one signature.
Signature SchnorrSign(const SchnorrSeed& seed, ByteView message);
[[nodiscard]] bool SchnorrVerify(const Ed25519Key& key,
                                 ByteView message,
                                 const Signature& signature);

}  // namespace aqmesh::crypto

#endif  // AQMESH_CORE_CRYPTO_SCHNORR_H_
