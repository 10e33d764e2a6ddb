// Bytes, views of bytes, fixed-size tags of bytes, hex, and integers in either byte order.
// Bounds: none; callers check lengths first. Thread: all functions are pure.
#ifndef AQMESH_CORE_BASE_BYTES_H_
#define AQMESH_CORE_BASE_BYTES_H_

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aqmesh {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;

// A value of exactly N bytes, ordered as memcmp orders it. Tag keeps kids, oids and keys apart.
template <size_t N, class Tag>
struct FixedBytes {
  static constexpr size_t kSize = N;
  std::array<uint8_t, N> bytes{};

  // Copies exactly N bytes; nullopt for any other length.
  static std::optional<FixedBytes> From(ByteView b) {
    if (b.size() != N) return std::nullopt;
    FixedBytes out;
    std::memcpy(out.bytes.data(), b.data(), N);
    return out;
  }
  ByteView view() const { return bytes; }
  operator ByteView() const { return bytes; }  // NOLINT(google-explicit-constructor)
  const uint8_t* data() const { return bytes.data(); }
  uint8_t* data() { return bytes.data(); }
  bool is_zero() const { return *this == FixedBytes{}; }
  auto operator<=>(const FixedBytes&) const = default;
  bool operator==(const FixedBytes&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, const FixedBytes& v) {
    return H::combine_contiguous(std::move(h), v.bytes.data(), N);
  }
};

inline ByteView AsBytes(std::string_view s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}
inline std::string_view AsText(ByteView b) {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}
inline void Append(Bytes& out, ByteView b) { out.insert(out.end(), b.begin(), b.end()); }
inline Bytes Concat(std::initializer_list<ByteView> parts) {
  Bytes out;
  size_t size = 0;
  for (ByteView p : parts) size += p.size();
  out.reserve(size);
  for (ByteView p : parts) Append(out, p);
  return out;
}
inline bool Equal(ByteView a, ByteView b) {  // public data only; secrets: crypto::SecretEqual
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

std::string ToHex(ByteView b);                           // lower case
std::string ToBase64(ByteView b);                        // RFC 4648 §4, padded, one line
std::optional<Bytes> FromBase64(std::string_view text);  // exactly what ToBase64 gives
std::optional<Bytes> FromHex(std::string_view text);     // either case, even length, nothing else

template <typename T>
T LoadLe(const uint8_t* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  static_assert(std::endian::native == std::endian::little);
  return v;
}
template <typename T>
void StoreLe(uint8_t* p, T v) {
  std::memcpy(p, &v, sizeof v);
}
// The loop that says the same is not made a byte swap by every compiler, and these are on every hot
// path.
template <typename T>
T SwapBytes(T v) {
  static_assert(sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);
  if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(v));
  if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(v));
  if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(v));
  return v;
}
template <typename T>
T LoadBe(const uint8_t* p) {
  return SwapBytes(LoadLe<T>(p));
}
template <typename T>
void StoreBe(uint8_t* p, T v) {
  StoreLe<T>(p, SwapBytes(v));
}
template <typename T>
void AppendBe(Bytes& out, T v) {
  uint8_t b[sizeof(T)];
  StoreBe(b, v);
  out.insert(out.end(), b, b + sizeof(T));
}
template <typename T>
void AppendLe(Bytes& out, T v) {
  uint8_t b[sizeof(T)];
  StoreLe(b, v);
  out.insert(out.end(), b, b + sizeof(T));
}

}  // namespace aqmesh

#endif  // AQMESH_CORE_BASE_BYTES_H_
