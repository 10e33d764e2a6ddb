// Curve25519 on eight lanes: the inside of curve_batch.h.
// Spec:   RFC 7748 §5.
// Bounds: any number of lanes, also none.
// Thread: pure. Errors: none; ask HaveLanes first.
// Timing: depends on the number of lanes alone. Copies of keys, and the stack that the compiler may
//         have spilled them to, are wiped.
#ifndef AQMESH_CORE_CRYPTO_CURVE_LANES_H_
#define AQMESH_CORE_CRYPTO_CURVE_LANES_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace aqmesh::crypto::lanes {

constexpr size_t kGroups = 4;      // of eight, that share one inversion
constexpr size_t kSpilled = 8192;  // more than any frame here

// X25519 as libsodium makes it: the key is clamped, bit 255 of u ignored. A u of small order gives
// zeros.
struct LadderLane {
  const uint8_t* key32;
  const uint8_t* u32;
  uint8_t* out32;
};
void RunLadders(std::span<const LadderLane> lanes);

}  // namespace aqmesh::crypto::lanes

#endif  // AQMESH_CORE_CRYPTO_CURVE_LANES_H_
