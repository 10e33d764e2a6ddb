// ChaCha20-Poly1305 (RFC 8439) under WireGuard's nonce 00000000 || LE64(counter), and
// XChaCha20-Poly1305 with a 24-byte nonce.
// Bounds: sealed text = plain text + 16. Errors: Open gives false and leaves `out` unusable.
// Thread: free functions are pure; an AeadKey belongs to one thread at a time.
#ifndef AQMESH_CORE_CRYPTO_AEAD_H_
#define AQMESH_CORE_CRYPTO_AEAD_H_

#include <memory>

#include "core/base/bytes.h"
#include "core/base/secret.h"

struct evp_cipher_ctx_st;

namespace aqmesh::crypto {

inline constexpr size_t kTagSize = 16;

// For handshakes: one call, one key. out.size() == plain.size() + 16.
void AeadSeal(ByteView key32, uint64_t counter, ByteView plain, ByteView ad, MutableBytes out);
[[nodiscard]] bool AeadOpen(
    ByteView key32, uint64_t counter, ByteView sealed, ByteView ad, MutableBytes out);
void XAeadSeal(ByteView key32, ByteView nonce24, ByteView plain, ByteView ad, MutableBytes out);
[[nodiscard]] bool XAeadOpen(
    ByteView key32, ByteView nonce24, ByteView sealed, ByteView ad, MutableBytes out);

// For the data plane: a key kept as AeadBatch wants it, and, from the first single Seal or Open on,
// in OpenSSL's context too, so that a packet sets only its nonce. In place is allowed (out starts
// where plain or sealed starts). Wiped on destruction.
class AeadKey {
 public:
  enum class Direction : uint8_t { kSeal, kOpen };
  AeadKey(ByteView key32, Direction direction);
  ~AeadKey();
  AeadKey(AeadKey&&) noexcept;
  AeadKey& operator=(AeadKey&&) noexcept;

  void Seal(uint64_t counter, ByteView plain, uint8_t* out);  // writes plain.size() + 16
  [[nodiscard]] bool Open(uint64_t counter,
                          ByteView sealed,
                          uint8_t* out);  // writes sealed.size() - 16
  const uint8_t* key32() const { return key_.data(); }

 private:
  evp_cipher_ctx_st* Context();
  struct Free {
    void operator()(evp_cipher_ctx_st* c) const;
  };
  Secret<32> key_;
  Direction direction_;
  std::unique_ptr<evp_cipher_ctx_st, Free> ctx_;
};

}  // namespace aqmesh::crypto

#endif  // AQMESH_CORE_CRYPTO_AEAD_H_
