// SHA-256 by the processor's own instructions: one message, or two at once, of which each waits for
// the other's rounds only. The inside of Sha256, MerkleLeaves and MerkleNodes.
// Spec:   FIPS 180-4 §6.2. Bounds: any sizes; two at once up to kPairBytesMax each.
// Thread: pure. Errors: none; ask HaveShaInstructions first. Timing: depends on sizes alone.
#ifndef AQMESH_CORE_CRYPTO_SHA256_LANES_H_
#define AQMESH_CORE_CRYPTO_SHA256_LANES_H_

#include <initializer_list>

#include "core/crypto/hash.h"

namespace aqmesh::crypto {

bool HaveShaInstructions();

Hash32 Sha256One(std::initializer_list<ByteView> parts);

inline constexpr size_t kPairBytesMax = 1'000;
// SHA-256(prefix || a) and SHA-256(prefix || b).
void Sha256Two(uint8_t prefix, ByteView a, ByteView b, Hash32& out_a, Hash32& out_b);

}  // namespace aqmesh::crypto

#endif  // AQMESH_CORE_CRYPTO_SHA256_LANES_H_
