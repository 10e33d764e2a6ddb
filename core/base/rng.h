// A seeded stream of random bytes: the driver seeds it (from the kernel, or from a test's seed),
// engines draw from it. Same seed, same bytes.
// Spec: ChaCha20 keystream (RFC 8439) under the seed, block by block. Thread: one owner.
#ifndef AQMESH_CORE_BASE_RNG_H_
#define AQMESH_CORE_BASE_RNG_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "core/base/bytes.h"

namespace aqmesh {

class Rng {
 public:
  using Seed = std::array<uint8_t, 32>;
  explicit Rng(const Seed& seed);
  ~Rng();
  Rng(Rng&&) noexcept = default;
  Rng& operator=(Rng&&) noexcept = default;
  Rng(const Rng&) = delete;
  Rng& operator=(const Rng&) = delete;

  void Fill(MutableBytes out);
  uint32_t U32();
  uint64_t U64();
  uint64_t Below(uint64_t bound);  // uniform in [0, bound); bound > 0
  template <size_t N>
  std::array<uint8_t, N> Array() {
    std::array<uint8_t, N> out;
    Fill(out);
    return out;
  }
  // A child stream named by its purpose, so that a draw added in one place does not shift the
  // others.
  Rng Child(std::string_view purpose);

 private:
  void Refill();

  Seed key_;
  uint64_t block_ = 0;
  std::array<uint8_t, 512> pool_{};
  size_t used_ = 512;
};

}  // namespace aqmesh

#endif  // AQMESH_CORE_BASE_RNG_H_
