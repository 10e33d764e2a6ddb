#include "core/crypto/aead.h"

#include <openssl/evp.h>
#include <sodium.h>

#include "core/base/check.h"

namespace aqmesh::crypto {

namespace {

void MakeNonce(uint64_t counter, uint8_t nonce[12]) {
  std::memset(nonce, 0, 4);
  StoreLe(nonce + 4, counter);
}

const EVP_CIPHER* ChaChaPoly() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  AQ_CHECK(cipher != nullptr);
  return cipher;
}

}  // namespace

void AeadSeal(ByteView key32, uint64_t counter, ByteView plain, ByteView ad, MutableBytes out) {
  AQ_CHECK(key32.size() == 32 && out.size() == plain.size() + kTagSize);
  uint8_t nonce[12];
  MakeNonce(counter, nonce);
  AQ_CHECK(crypto_aead_chacha20poly1305_ietf_encrypt(out.data(),
                                                     nullptr,
                                                     plain.data(),
                                                     plain.size(),
                                                     ad.data(),
                                                     ad.size(),
                                                     nullptr,
                                                     nonce,
                                                     key32.data()) == 0);
}

bool AeadOpen(ByteView key32, uint64_t counter, ByteView sealed, ByteView ad, MutableBytes out) {
  AQ_CHECK(key32.size() == 32);
  if (sealed.size() < kTagSize) return false;
  AQ_CHECK(out.size() == sealed.size() - kTagSize);
  uint8_t nonce[12];
  MakeNonce(counter, nonce);
  return crypto_aead_chacha20poly1305_ietf_decrypt(out.data(),
                                                   nullptr,
                                                   nullptr,
                                                   sealed.data(),
                                                   sealed.size(),
                                                   ad.data(),
                                                   ad.size(),
                                                   nonce,
                                                   key32.data()) == 0;
}

void XAeadSeal(ByteView key32, ByteView nonce24, ByteView plain, ByteView ad, MutableBytes out) {
  AQ_CHECK(key32.size() == 32 && nonce24.size() == 24 && out.size() == plain.size() + kTagSize);
  AQ_CHECK(crypto_aead_xchacha20poly1305_ietf_encrypt(out.data(),
                                                      nullptr,
                                                      plain.data(),
                                                      plain.size(),
                                                      ad.data(),
                                                      ad.size(),
                                                      nullptr,
                                                      nonce24.data(),
                                                      key32.data()) == 0);
}

bool XAeadOpen(ByteView key32, ByteView nonce24, ByteView sealed, ByteView ad, MutableBytes out) {
  AQ_CHECK(key32.size() == 32 && nonce24.size() == 24);
  if (sealed.size() < kTagSize) return false;
  AQ_CHECK(out.size() == sealed.size() - kTagSize);
  return crypto_aead_xchacha20poly1305_ietf_decrypt(out.data(),
                                                    nullptr,
                                                    nullptr,
                                                    sealed.data(),
                                                    sealed.size(),
                                                    ad.data(),
                                                    ad.size(),
                                                    nonce24.data(),
                                                    key32.data()) == 0;
}

void AeadKey::Free::operator()(evp_cipher_ctx_st* c) const {
  EVP_CIPHER_CTX_free(c);
}  // wipes the key

AeadKey::AeadKey(ByteView key32, Direction direction) : key_(key32), direction_(direction) {}

evp_cipher_ctx_st* AeadKey::Context() {
  if (ctx_ != nullptr) return ctx_.get();
  ctx_.reset(EVP_CIPHER_CTX_new());
  AQ_CHECK(ctx_ != nullptr);
  AQ_CHECK(EVP_CipherInit_ex2(ctx_.get(),
                              ChaChaPoly(),
                              key_.data(),
                              nullptr,
                              direction_ == Direction::kSeal ? 1 : 0,
                              nullptr) == 1);
  return ctx_.get();
}
AeadKey::~AeadKey() = default;
AeadKey::AeadKey(AeadKey&&) noexcept = default;
AeadKey& AeadKey::operator=(AeadKey&&) noexcept = default;

void AeadKey::Seal(uint64_t counter, ByteView plain, uint8_t* out) {
  uint8_t nonce[12];
  MakeNonce(counter, nonce);
  evp_cipher_ctx_st* const ctx = Context();
  int n = 0;
  AQ_CHECK(EVP_CipherInit_ex2(ctx, nullptr, nullptr, nonce, -1, nullptr) == 1);
  if (!plain.empty()) {
    AQ_CHECK(EVP_CipherUpdate(ctx, out, &n, plain.data(), static_cast<int>(plain.size())) == 1);
  }
  int tail = 0;
  AQ_CHECK(EVP_CipherFinal_ex(ctx, out + n, &tail) == 1);
  AQ_CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, kTagSize, out + plain.size()) == 1);
}

bool AeadKey::Open(uint64_t counter, ByteView sealed, uint8_t* out) {
  if (sealed.size() < kTagSize) return false;
  uint8_t nonce[12];
  MakeNonce(counter, nonce);
  const size_t size = sealed.size() - kTagSize;
  uint8_t tag[kTagSize];
  std::memcpy(tag, sealed.data() + size, kTagSize);
  evp_cipher_ctx_st* const ctx = Context();
  int n = 0;
  if (EVP_CipherInit_ex2(ctx, nullptr, nullptr, nonce, -1, nullptr) != 1) return false;
  if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, kTagSize, tag) != 1) return false;
  if (size > 0 && EVP_CipherUpdate(ctx, out, &n, sealed.data(), static_cast<int>(size)) != 1)
    return false;
  int tail = 0;
  return EVP_CipherFinal_ex(ctx, out + n, &tail) == 1;
}

}  // namespace aqmesh::crypto
