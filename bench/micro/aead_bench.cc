// Sealing and opening one packet: ours, libsodium's call and OpenSSL's, each with its key kept.
#include <openssl/evp.h>
#include <sodium.h>

#include <array>
#include <memory>

#include "bench/micro/bench.h"
#include "core/base/check.h"
#include "core/crypto/aead.h"
#include "core/crypto/aead_batch.h"

namespace aqmesh::bench {

namespace {

constexpr size_t kRoom = 2048;
const std::array<uint8_t, 32> kKey = {1, 2, 3};

struct Buffers {
  explicit Buffers(size_t n) : size(n) { randombytes_buf(plain.data(), size); }
  ByteView view() const { return ByteView(plain).first(size); }
  size_t size;
  std::array<uint8_t, kRoom> plain{};
  std::array<uint8_t, kRoom> sealed{};
};

void MakeNonce(uint64_t counter, uint8_t (&nonce)[12]) {
  std::memset(nonce, 0, 4);
  StoreLe(nonce + 4, counter);
}

struct EvpFree {
  void operator()(EVP_CIPHER_CTX* c) const { EVP_CIPHER_CTX_free(c); }
};
using Evp = std::unique_ptr<EVP_CIPHER_CTX, EvpFree>;

Evp NewEvp(bool seal) {
  Evp ctx(EVP_CIPHER_CTX_new());
  AQ_CHECK(EVP_CipherInit_ex(
               ctx.get(), EVP_chacha20_poly1305(), nullptr, kKey.data(), nullptr, seal) == 1);
  return ctx;
}

void SealOurs(benchmark::State& state, size_t size) {
  Buffers b(size);
  crypto::AeadKey key(kKey, crypto::AeadKey::Direction::kSeal);
  uint64_t counter = 0;
  for (auto _ : state) {
    key.Seal(counter++, b.view(), b.sealed.data());
    benchmark::ClobberMemory();
  }
}

void SealSodium(benchmark::State& state, size_t size) {
  Buffers b(size);
  uint64_t counter = 0;
  for (auto _ : state) {
    uint8_t nonce[12];
    MakeNonce(counter++, nonce);
    crypto_aead_chacha20poly1305_ietf_encrypt(
        b.sealed.data(), nullptr, b.plain.data(), size, nullptr, 0, nullptr, nonce, kKey.data());
    benchmark::ClobberMemory();
  }
}

void SealEvp(benchmark::State& state, size_t size) {
  Buffers b(size);
  const Evp ctx = NewEvp(true);
  uint64_t counter = 0;
  for (auto _ : state) {
    uint8_t nonce[12];
    MakeNonce(counter++, nonce);
    int n = 0;
    EVP_EncryptInit_ex(ctx.get(), nullptr, nullptr, nullptr, nonce);
    EVP_EncryptUpdate(ctx.get(), b.sealed.data(), &n, b.plain.data(), static_cast<int>(size));
    EVP_EncryptFinal_ex(ctx.get(), b.sealed.data() + n, &n);
    EVP_CIPHER_CTX_ctrl(ctx.get(), EVP_CTRL_AEAD_GET_TAG, 16, b.sealed.data() + size);
    benchmark::ClobberMemory();
  }
}

void OpenOurs(benchmark::State& state, size_t size) {
  Buffers b(size);
  crypto::AeadSeal(kKey, 7, b.view(), {}, MutableBytes(b.sealed).first(size + 16));
  crypto::AeadKey key(kKey, crypto::AeadKey::Direction::kOpen);
  for (auto _ : state) {
    AQ_CHECK(key.Open(7, ByteView(b.sealed).first(size + 16), b.plain.data()));
    benchmark::ClobberMemory();
  }
}

void OpenSodium(benchmark::State& state, size_t size) {
  Buffers b(size);
  crypto::AeadSeal(kKey, 7, b.view(), {}, MutableBytes(b.sealed).first(size + 16));
  for (auto _ : state) {
    uint8_t nonce[12];
    MakeNonce(7, nonce);
    AQ_CHECK(crypto_aead_chacha20poly1305_ietf_decrypt(b.plain.data(),
                                                       nullptr,
                                                       nullptr,
                                                       b.sealed.data(),
                                                       size + 16,
                                                       nullptr,
                                                       0,
                                                       nonce,
                                                       kKey.data()) == 0);
    benchmark::ClobberMemory();
  }
}

void OpenEvp(benchmark::State& state, size_t size) {
  Buffers b(size);
  crypto::AeadSeal(kKey, 7, b.view(), {}, MutableBytes(b.sealed).first(size + 16));
  const Evp ctx = NewEvp(false);
  for (auto _ : state) {
    uint8_t nonce[12];
    MakeNonce(7, nonce);
    int n = 0;
    EVP_DecryptInit_ex(ctx.get(), nullptr, nullptr, nullptr, nonce);
    EVP_CIPHER_CTX_ctrl(ctx.get(), EVP_CTRL_AEAD_SET_TAG, 16, b.sealed.data() + size);
    EVP_DecryptUpdate(ctx.get(), b.plain.data(), &n, b.sealed.data(), static_cast<int>(size));
    AQ_CHECK(EVP_DecryptFinal_ex(ctx.get(), b.plain.data() + n, &n) == 1);
    benchmark::ClobberMemory();
  }
}

// Thirty-two packets in one call, as the data plane has them under load; time is of one packet.
void SealBatch(benchmark::State& state, size_t size, crypto::AeadBackend backend) {
  if (!crypto::IsSupported(backend)) return state.SkipWithError("not on this processor");
  constexpr size_t kPackets = 32;
  crypto::AeadBatch batch(backend);
  crypto::AeadKey key(kKey, crypto::AeadKey::Direction::kSeal);
  std::vector<uint8_t> memory(kPackets * kRoom);
  std::vector<crypto::AeadJob> jobs(kPackets);
  for (size_t i = 0; i < kPackets; ++i)
    jobs[i] = {.key = &key, .counter = i, .data = memory.data() + i * kRoom, .size = size};
  while (state.KeepRunningBatch(kPackets)) {
    batch.Seal(jobs);
    benchmark::ClobberMemory();
  }
}

// With the copy that brings the sealed bytes back, the same for each backend.
void OpenBatch(benchmark::State& state, size_t size, crypto::AeadBackend backend) {
  if (!crypto::IsSupported(backend)) return state.SkipWithError("not on this processor");
  constexpr size_t kPackets = 32;
  crypto::AeadBatch batch(backend);
  crypto::AeadKey key(kKey, crypto::AeadKey::Direction::kOpen);
  const size_t stride = size + 64;  // small, so that the copy stays so
  std::vector<uint8_t> sealed(kPackets * stride), memory(kPackets * stride);
  std::vector<crypto::AeadJob> jobs(kPackets);
  for (size_t i = 0; i < kPackets; ++i) {
    crypto::AeadSeal(kKey, i, Bytes(size), {}, MutableBytes(&sealed[i * stride], size + 16));
    jobs[i] = {.key = &key, .counter = i, .data = memory.data() + i * stride, .size = size + 16};
  }
  while (state.KeepRunningBatch(kPackets)) {
    std::memcpy(memory.data(), sealed.data(), memory.size());
    batch.Open(jobs);
    AQ_CHECK(jobs[0].ok);
    benchmark::ClobberMemory();
  }
}

}  // namespace

void RegisterAead() {
  for (const size_t size : {size_t{64}, size_t{1420}}) {
    const std::string bytes = std::to_string(size) + " B";
    using benchmark::State;
    const std::string seal = "aead seal " + bytes, open = "aead open " + bytes;
    Measure(seal, "aqmesh", [size](State& s) { SealOurs(s, size); });
    Measure(seal, "=libsodium", [size](State& s) { SealSodium(s, size); });
    Measure(seal, "=OpenSSL EVP", [size](State& s) { SealEvp(s, size); });
    Measure(open, "aqmesh", [size](State& s) { OpenOurs(s, size); });
    Measure(open, "=libsodium", [size](State& s) { OpenSodium(s, size); });
    Measure(open, "=OpenSSL EVP", [size](State& s) { OpenEvp(s, size); });
    using crypto::AeadBackend;
    for (const bool sealing : {true, false}) {
      const auto run = sealing ? SealBatch : OpenBatch;
      const std::string name = (sealing ? "aead seal x32 " : "aead open x32 ") + bytes;
      const auto measure = [&](const char* who, AeadBackend backend) {
        Measure(name, who, [=](State& s) { run(s, size, backend); });
      };
      measure("aqmesh", crypto::BestBackend());
      measure("=OpenSSL EVP", AeadBackend::kEvp);
      measure("=ipsec-mb", AeadBackend::kIpsecMb);
    }
  }
}

}  // namespace aqmesh::bench
