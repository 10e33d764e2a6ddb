// ChaCha20 and Poly1305 over many packets at once, on AVX-512: the inside of AeadBatch.
// Spec:   RFC 8439 §2.3 and §2.5. One ChaCha20 block is one 32-bit lane of sixteen; blocks of different packets,
//         and of different keys, share a run. One packet's Poly1305 is one 64-bit IFMA lane, so no
//         powers of r are needed.
// Bounds: any number of lanes. In place only. Thread: pure. Errors: none; ask HaveLanes first.
// Timing: depends on sizes alone.
#ifndef AQMESH_CORE_CRYPTO_LANES_H_
#define AQMESH_CORE_CRYPTO_LANES_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace aqmesh::crypto {

// Does this processor have AVX-512 F, BW, DQ, VL and IFMA, and does the kernel keep their
// registers?
bool HaveLanes();

// Keystream from block `first` on, xored onto data[0, size): blocks of all stretches share runs
// of 32.
struct ChaChaStretch {
  const uint8_t* key32;
  uint64_t nonce;  // the last eight bytes, LE; the first four are zero
  uint32_t first;
  uint8_t* data;
  size_t size;
};
void RunChaCha(std::span<const ChaChaStretch> stretches);

// One packet's tag as the AEAD makes it without associated data: text, zeros to 16, LE64(0),
// LE64(size).
struct PolyLane {
  const uint8_t* key32;  // the first half of keystream block 0
  const uint8_t* text;
  size_t size;
  uint8_t* tag16;
};
void RunPoly(std::span<const PolyLane> lanes);

}  // namespace aqmesh::crypto

#endif  // AQMESH_CORE_CRYPTO_LANES_H_
