#include "daemon/net/printable.h"

#include <array>
#include <cstdint>

namespace aqmesh::daemon {

namespace {

struct Range {
  uint32_t first, last;
};
// What changes how the characters around it are shown, or is not seen itself.
constexpr std::array kHarmful = {
    Range{0x0000, 0x001f},
    Range{0x007f, 0x009f},
    Range{0x00ad, 0x00ad},    // soft hyphen
    Range{0x061c, 0x061c},    // Arabic letter mark
    Range{0x180e, 0x180e},    // Mongolian vowel separator
    Range{0x200b, 0x200f},    // without width; marks of direction
    Range{0x2028, 0x202e},    // separators; embeddings and overrides
    Range{0x2060, 0x206f},    // word joiner; isolates
    Range{0xfeff, 0xfeff},    // byte order mark
    Range{0xfff9, 0xfffb},    // annotations
    Range{0xe0000, 0xe007f},  // tags
};

bool IsHarmful(uint32_t c) {
  for (const Range& r : kHarmful) {
    if (c >= r.first && c <= r.last) return true;
  }
  return false;
}

// The character that `text` begins with, and its size; size 0 if it begins with no valid UTF-8.
struct Character {
  uint32_t code = 0;
  size_t size = 0;
};
Character First(std::string_view text) {
  const auto byte = [&text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {.code = lead, .size = 1};
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  uint32_t code = lead & (0xffu >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (overlong || surrogate || code > 0x10ffff) return {};
  return {.code = code, .size = size};
}

void AppendEscape(std::string& out, char kind, uint32_t code, int digits) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += {'\\', kind};
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += kHex[(code >> shift) & 0xf];
}

}  // namespace

std::string Printable(std::string_view text, size_t bytes_max) {
  std::string out;
  size_t at = 0;
  while (at < text.size()) {
    const Character c = First(text.substr(at));
    const size_t size = c.size == 0 ? 1 : c.size;
    if (at + size > bytes_max) return out + "…";
    if (c.size == 0) {
      AppendEscape(out, 'x', static_cast<uint8_t>(text[at]), 2);
    } else if (!IsHarmful(c.code)) {
      out.append(text.substr(at, size));
    } else if (c.code < 0x80) {
      AppendEscape(out, 'x', c.code, 2);
    } else {
      AppendEscape(out, 'u', c.code, c.code > 0xffff ? 6 : 4);
    }
    at += size;
  }
  return out;
}

}  // namespace aqmesh::daemon
