// Curve25519 on eight lanes: the inside of curve_batch.h.
// Spec:   RFC 7748 §5; RFC 8032 §5.1.
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

constexpr size_t kLanes = 8;
constexpr size_t kGroups = 4;      // of eight, that share one inversion
constexpr size_t kSpilled = 8192;  // more than any frame here

// 32 bytes a lane, as little-endian words: word w of lane k is at[w][k].
struct alignas(64) Words {
  uint64_t at[4][kLanes];
};

// X25519 as libsodium makes it: the key is clamped, bit 255 of u ignored. A u of small order gives
// zeros.
struct LadderLane {
  const uint8_t* key32;
  const uint8_t* u32;
  uint8_t* out32;
};
void RunLadders(std::span<const LadderLane> lanes);

// Is R, byte by byte, the encoding of [s]B - [h]A? s and h are reduced mod L, A is canonical; all
// is public. Bit i of the result: lane i, and false where the key is no point.
struct VerifyLane {
  const uint8_t* key32;
  const uint8_t* r32;
  const uint8_t* s32;
  const uint8_t* h32;
};
uint8_t RunVerifies(std::span<const VerifyLane> lanes);  // one to eight

// One verification by all eight lanes, each with 32 bits of s and h: lane k of a prepared key is
// -2^(32 k) A. False, and nothing prepared: the key is no point.
struct PreparedKey {
  Words x, y;
};
bool PrepareKey(const uint8_t* key32, PreparedKey& out);
bool RunVerify(const PreparedKey& key, const VerifyLane& lane);  // lane.key32 is not read

// [scalar]B for a scalar less than 2^255: a secret. As Ed25519 encodes points, or as X25519 does.
enum class BaseForm : uint8_t { kEdwards, kMontgomery };
void BaseMultiple(const uint8_t* scalar32, BaseForm form, uint8_t* out32);

}  // namespace aqmesh::crypto::lanes

#endif  // AQMESH_CORE_CRYPTO_CURVE_LANES_H_
