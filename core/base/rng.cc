#include "core/base/rng.h"

#include <sodium.h>

#include <algorithm>

#include "core/base/check.h"

namespace aqmesh {

Rng::Rng(const Seed& seed) : key_(seed) {}

Rng::~Rng() {
  sodium_memzero(key_.data(), key_.size());
  sodium_memzero(pool_.data(), pool_.size());
}

void Rng::Refill() {
  uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
  StoreLe<uint64_t>(nonce, block_++);
  crypto_stream_chacha20(pool_.data(), pool_.size(), nonce, key_.data());
  used_ = 0;
}

void Rng::Fill(MutableBytes out) {
  while (!out.empty()) {
    if (used_ == pool_.size()) Refill();
    const size_t n = std::min(out.size(), pool_.size() - used_);
    std::memcpy(out.data(), pool_.data() + used_, n);
    sodium_memzero(pool_.data() + used_, n);
    used_ += n;
    out = out.subspan(n);
  }
}

uint32_t Rng::U32() {
  uint8_t b[4];
  Fill(b);
  return LoadLe<uint32_t>(b);
}

uint64_t Rng::U64() {
  uint8_t b[8];
  Fill(b);
  return LoadLe<uint64_t>(b);
}

uint64_t Rng::Below(uint64_t bound) {
  AQ_CHECK(bound > 0);
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  uint64_t v;
  do {
    v = U64();
  } while (v >= limit);
  return v % bound;
}

Rng Rng::Child(std::string_view purpose) {
  Seed seed;
  Seed salt;
  Fill(salt);
  crypto_generichash(seed.data(),
                     seed.size(),
                     reinterpret_cast<const uint8_t*>(purpose.data()),
                     purpose.size(),
                     salt.data(),
                     salt.size());
  return Rng(seed);
}

}  // namespace aqmesh
