#include "core/base/net.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <charconv>

namespace aqmesh {

namespace {
template <typename T>
std::optional<T> ParseUnsigned(std::string_view text, T max) {
  T v{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty() || v > max)
    return std::nullopt;
  return v;
}
}  // namespace

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  const std::string copy(text);
  uint8_t b[16];
  if (inet_pton(AF_INET, copy.c_str(), b) == 1) return From(ByteView(b, 4));
  if (inet_pton(AF_INET6, copy.c_str(), b) == 1) return From(ByteView(b, 16));
  return std::nullopt;
}

std::string IpAddress::ToString() const {
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(v6_ ? AF_INET6 : AF_INET, bytes_.data(), text, sizeof text);
}

std::optional<Prefix> Prefix::Make(const IpAddress& a, unsigned length) {
  if (length > a.bits()) return std::nullopt;
  uint8_t b[16];
  std::memcpy(b, a.bytes().data(), a.size());
  for (unsigned i = length; i < a.bits(); ++i)
    b[i / 8] = static_cast<uint8_t>(b[i / 8] & ~(0x80u >> (i % 8)));
  const auto masked = IpAddress::From(ByteView(b, a.size()));
  if (!masked || masked->is_v6() != a.is_v6()) return std::nullopt;
  return Prefix{*masked, static_cast<uint8_t>(length)};
}

std::optional<Prefix> Prefix::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const auto a = IpAddress::Parse(text.substr(0, slash));
  if (!a) return std::nullopt;
  if (slash == std::string_view::npos) return Host(*a);
  const auto length = ParseUnsigned<unsigned>(text.substr(slash + 1), a->bits());
  if (!length) return std::nullopt;
  return Make(*a, *length);
}

bool Prefix::Contains(const IpAddress& a) const {
  if (a.is_v6() != address.is_v6()) return false;
  const size_t whole = length / 8;
  if (std::memcmp(a.bytes().data(), address.bytes().data(), whole) != 0) return false;
  const unsigned rest = length % 8;
  if (rest == 0) return true;
  return ((a.bytes()[whole] ^ address.bytes()[whole]) & (0xff00u >> rest) & 0xffu) == 0;
}

std::string Prefix::ToString() const { return address.ToString() + "/" + std::to_string(length); }

std::optional<Endpoint> Endpoint::Parse(std::string_view text) {
  Endpoint out;
  size_t colon;
  std::string_view host;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || close + 1 >= text.size() || text[close + 1] != ':')
      return std::nullopt;
    host = text.substr(1, close - 1);
    colon = close + 1;
    const size_t percent = host.find('%');
    if (percent != std::string_view::npos) {
      const std::string zone(host.substr(percent + 1));
      const auto number = ParseUnsigned<uint32_t>(zone, UINT32_MAX);
      out.scope_id = number ? *number : if_nametoindex(zone.c_str());
      if (out.scope_id == 0) return std::nullopt;
      host = host.substr(0, percent);
    }
  } else {
    colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    host = text.substr(0, colon);
  }
  const auto a = IpAddress::Parse(host);
  const auto port = ParseUnsigned<uint32_t>(text.substr(colon + 1), 65535u);
  if (!a || !port || (text.starts_with('[') != (host.find(':') != std::string_view::npos)))
    return std::nullopt;
  out.address = *a;
  out.port = static_cast<uint16_t>(*port);
  return out;
}

std::string Endpoint::ToString() const {
  std::string out = address.ToString();
  if (address.is_v6()) {
    if (scope_id != 0) out += "%" + std::to_string(scope_id);
    out = "[" + out + "]";
  }
  return out + ":" + std::to_string(port);
}

}  // namespace aqmesh
