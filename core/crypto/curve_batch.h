// X25519 and Ed25519 for many at once: the way of whoever has several handshakes, or several
// signatures to verify.
// Spec:   as core/crypto/keys.h, bit for bit: the same results, the same refusals.
// Bounds: any number of jobs; the working set is on the stack, about 32 KiB whatever the number.
// Thread: pure. Errors: a flag per job, as the functions of keys.h return it; jobs do not touch
// each other. Timing: of X25519 depends on the number of jobs alone.
#ifndef AQMESH_CORE_CRYPTO_CURVE_BATCH_H_
#define AQMESH_CORE_CRYPTO_CURVE_BATCH_H_

#include <span>

#include "core/crypto/keys.h"

namespace aqmesh::crypto {

// shared = X25519(key, peer); ok as crypto::X25519 returns it, and shared is zero where it is
// false. Without a peer: the key's public key, always ok. A job's output may lie where its own
// inputs lie, but not where another's do.
// Cost: on lanes one to four 25 us together, five to eight 45, then 42 for each eight more: two or
// three of one handshake are dearer apart. By libsodium 30 each.
struct X25519Job {
  const X25519Private* key = nullptr;
  const X25519Key* peer = nullptr;  // null: the base point
  uint8_t* shared32 = nullptr;      // a Secret<32>'s data(), or an X25519Key's
  bool ok = false;
};
void X25519Batch(std::span<X25519Job> jobs, CurveBackend backend = BestCurveBackend());

// ok = Ed25519Verify(key, message, signature), each for itself: no sum over several that could open
// or close them together. Cost: on lanes two to eight 66 us together; one alone is libsodium's, 48.
struct VerifyJob {
  const Ed25519Key* key = nullptr;
  ByteView message;
  const Signature* signature = nullptr;
  bool ok = false;
};
void Ed25519VerifyBatch(std::span<VerifyJob> jobs, CurveBackend backend = BestCurveBackend());

}  // namespace aqmesh::crypto

#endif  // AQMESH_CORE_CRYPTO_CURVE_BATCH_H_
