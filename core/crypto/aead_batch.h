// ChaCha20-Poly1305 over a batch of packets, each under its own key and counter: the data plane's
// way.
// Spec:   RFC 8439 §2.8 under WireGuard's nonce, no associated data; the backends are told apart by speed alone.
// Bounds: any number of jobs a call; the working set is about 8 KiB whatever the number.
// Thread: one owner; backends keep scratch memory. Large batches may be shared with helpers.
// Errors: Open sets ok a job, the tag compared in constant time. A job that did not open holds no
//         plain text when Open returns: kLanes deciphers nothing before the tag is known to be
//         right; kEvp and kIpsecMb decipher on the way, and its bytes are wiped.
// Cost:   spec/performance.md §1 has the figures of each.
#ifndef AQMESH_CORE_CRYPTO_AEAD_BATCH_H_
#define AQMESH_CORE_CRYPTO_AEAD_BATCH_H_

#include <memory>
#include <span>
#include <string_view>

#include "core/crypto/aead.h"

namespace aqmesh::crypto {

enum class AeadBackend : uint8_t {
  kEvp,      // OpenSSL, one packet at a time: everywhere, and the oracle of the others
  kIpsecMb,  // intel-ipsec-mb's jobs
  kLanes,    // our own, AVX-512
  kMixed,    // kLanes for runs that fill them, kIpsecMb for a few packets
};
std::string_view BackendName(
    AeadBackend b);               // "openssl", "ipsec-mb", "avx512", "avx512 and ipsec-mb"
bool IsSupported(AeadBackend b);  // by this build and this processor
AeadBackend BestBackend();

// In place. Seal: data holds `size` bytes of text and has room for 16 more. Open: data holds `size`
// bytes, tag included; text is left in the first size - 16.
struct AeadJob {
  AeadKey* key = nullptr;
  uint64_t counter = 0;
  uint8_t* data = nullptr;
  size_t size = 0;
  bool ok = false;
};

class AeadBatch;

// Other cores that take a part of a batch. They are a driver's, as all threads are
// (transport/os/aead_pool.h).
class AeadHelpers {
 public:
  virtual ~AeadHelpers() = default;
  // Runs all jobs, some of them by `own` on the caller's thread, and returns when all are done.
  // False: the helpers are busy; nothing was done.
  virtual bool Run(AeadBatch& own, std::span<AeadJob> jobs, bool seal) = 0;
};

class AeadBatch {
 public:
  // Below this a batch is done before another core has seen it.
  static constexpr size_t kHelpFromBytes = 96 * 1024;

  explicit AeadBatch(AeadBackend backend = BestBackend());  // IsSupported(backend)
  ~AeadBatch();
  AeadBatch(AeadBatch&&) noexcept;
  AeadBatch& operator=(AeadBatch&&) noexcept;

  AeadBackend backend() const { return backend_; }
  void SetHelpers(AeadHelpers* helpers) { helpers_ = helpers; }  // nullptr: none. Outlives this
  void Seal(std::span<AeadJob> jobs);
  void Open(std::span<AeadJob> jobs);
  void RunAlone(std::span<AeadJob> jobs, bool seal);  // what a helper does

 private:
  struct Manager;      // ipsec-mb's
  struct LaneScratch;  // ours
  void Run(std::span<AeadJob> jobs, bool seal);

  AeadBackend backend_;
  AeadHelpers* helpers_ = nullptr;
  std::unique_ptr<Manager> manager_;
  std::unique_ptr<LaneScratch> scratch_;
};

}  // namespace aqmesh::crypto

#endif  // AQMESH_CORE_CRYPTO_AEAD_BATCH_H_
