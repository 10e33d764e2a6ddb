#include "core/base/bytes.h"

namespace aqmesh {

namespace {
int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}
}  // namespace

std::string ToHex(ByteView b) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(b.size() * 2);
  for (uint8_t v : b) {
    out.push_back(kDigits[v >> 4]);
    out.push_back(kDigits[v & 15]);
  }
  return out;
}

std::optional<Bytes> FromHex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  Bytes out;
  out.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int hi = HexDigit(text[i]);
    const int lo = HexDigit(text[i + 1]);
    if (hi < 0 || lo < 0) return std::nullopt;
    out.push_back(static_cast<uint8_t>(hi << 4 | lo));
  }
  return out;
}

namespace {

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string ToBase64(ByteView b) {
  std::string out;
  for (size_t at = 0; at < b.size(); at += 3) {
    const size_t n = std::min<size_t>(3, b.size() - at);
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < n ? b[at + i] : 0u);
    for (size_t i = 0; i < 4; ++i) out += i <= n ? kBase64[bits >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

std::optional<Bytes> FromBase64(std::string_view text) {
  std::string_view digits = text;
  while (digits.ends_with('=')) digits.remove_suffix(1);
  Bytes out;
  uint32_t bits = 0;
  unsigned held = 0;
  for (char c : digits) {
    const size_t value = kBase64.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out.push_back(static_cast<uint8_t>(bits >> held));
  }
  // Padding, fill bits and length are right if it comes out the same again.
  return ToBase64(out) == text ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace aqmesh
