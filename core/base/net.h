// Addresses as the rooms speak of them: one type for both families, v4-mapped v6 made v4 at the
// door.
#ifndef AQMESH_CORE_BASE_NET_H_
#define AQMESH_CORE_BASE_NET_H_

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"

namespace aqmesh {

// An IPv4 or IPv6 address. Bounds: size() is 4 or 16; the unused bytes are zero.
class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0
  // 4 or 16 bytes; ::ffff:a.b.c.d becomes a.b.c.d. Here, because each packet asks.
  static std::optional<IpAddress> From(ByteView b) {
    IpAddress out;
    if (b.size() == 16 && IsMapped(b)) b = b.subspan(12);
    if (b.size() != 4 && b.size() != 16) return std::nullopt;
    out.v6_ = b.size() == 16;
    std::memcpy(out.bytes_.data(), b.data(), b.size());
    return out;
  }
  static std::optional<IpAddress> Parse(std::string_view text);
  bool is_v6() const { return v6_; }
  size_t size() const { return v6_ ? 16 : 4; }
  unsigned bits() const { return v6_ ? 128 : 32; }
  ByteView bytes() const { return ByteView(bytes_).first(size()); }
  std::string ToString() const;
  auto operator<=>(const IpAddress&) const = default;
  bool operator==(const IpAddress&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const IpAddress& v) {
    return H::combine(H::combine_contiguous(std::move(h), v.bytes_.data(), 16), v.v6_);
  }

 private:
  static bool IsMapped(ByteView b16) {
    return LoadLe<uint64_t>(b16.data()) == 0 && LoadLe<uint32_t>(b16.data() + 8) == 0xffff0000;
  }
  std::array<uint8_t, 16> bytes_{};
  bool v6_ = false;
};

// address/length with the host bits zero.
struct Prefix {
  IpAddress address;
  uint8_t length = 0;
  static std::optional<Prefix> Make(const IpAddress& a,
                                    unsigned length);  // masks host bits; nullopt if too long
  static std::optional<Prefix> Parse(std::string_view text);  // "a/len" or "a" for a host
  static Prefix Host(const IpAddress& a) { return {a, static_cast<uint8_t>(a.bits())}; }
  bool Contains(const IpAddress& a) const;
  bool Contains(const Prefix& p) const { return p.length >= length && Contains(p.address); }
  std::string ToString() const;
  auto operator<=>(const Prefix&) const = default;
  bool operator==(const Prefix&) const = default;
};

// A UDP endpoint. scope_id is the zone of a link-local IPv6 address, 0 otherwise.
struct Endpoint {
  IpAddress address;
  uint16_t port = 0;
  uint32_t scope_id = 0;
  static std::optional<Endpoint> Parse(
      std::string_view text);  // 1.2.3.4:5 or [v6%zone]:5, zone numeric or a name
  std::string ToString() const;
  auto operator<=>(const Endpoint&) const = default;
  bool operator==(const Endpoint&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Endpoint& e) {
    return H::combine(std::move(h), e.address, e.port, e.scope_id);
  }
};

}  // namespace aqmesh

#endif  // AQMESH_CORE_BASE_NET_H_
