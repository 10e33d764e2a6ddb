// N secret bytes: move-only, wiped when they go, compared in constant time, and unprintable.
#ifndef AQMESH_CORE_BASE_SECRET_H_
#define AQMESH_CORE_BASE_SECRET_H_

#include <sodium.h>

#include <array>
#include <cstring>

#include "core/base/bytes.h"
#include "core/base/check.h"

namespace aqmesh {

template <size_t N>
class Secret {
 public:
  static constexpr size_t kSize = N;
  Secret() = default;
  explicit Secret(ByteView b) {
    AQ_CHECK(b.size() == N);
    std::memcpy(bytes_.data(), b.data(), N);
  }
  ~Secret() { Wipe(); }
  Secret(Secret&& o) noexcept : bytes_(o.bytes_) { o.Wipe(); }
  Secret& operator=(Secret&& o) noexcept {
    if (this != &o) {
      bytes_ = o.bytes_;
      o.Wipe();
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  Secret Clone() const { return Secret(ByteView(bytes_)); }  // a copy is said aloud
  void Wipe() { sodium_memzero(bytes_.data(), N); }
  ByteView view() const { return bytes_; }
  const uint8_t* data() const { return bytes_.data(); }
  uint8_t* data() { return bytes_.data(); }
  MutableBytes mutable_view() { return bytes_; }
  bool is_zero() const { return sodium_is_zero(bytes_.data(), N) == 1; }
  friend bool operator==(const Secret& a, const Secret& b) {
    return sodium_memcmp(a.bytes_.data(), b.bytes_.data(), N) == 0;
  }

 private:
  std::array<uint8_t, N> bytes_{};
};

}  // namespace aqmesh

#endif  // AQMESH_CORE_BASE_SECRET_H_
