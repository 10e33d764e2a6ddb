#include "lineage/tlog/text.h"

#include "lineage/tlog/tree.h"

namespace aqmesh::tlog {

namespace {

// Takes one code point from the front; nullopt if what stands there is not UTF-8.
std::optional<uint32_t> TakeRune(std::string_view& text) {
  const auto byte = [&text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  size_t length = 0;
  uint32_t rune = 0, least = 0;
  if (lead < 0x80) {
    length = 1, rune = lead;
  } else if ((lead & 0xe0) == 0xc0) {
    length = 2, rune = lead & 0x1fu, least = 0x80;
  } else if ((lead & 0xf0) == 0xe0) {
    length = 3, rune = lead & 0x0fu, least = 0x800;
  } else if ((lead & 0xf8) == 0xf0) {
    length = 4, rune = lead & 0x07u, least = 0x10000;
  } else {
    return std::nullopt;
  }
  if (text.size() < length) return std::nullopt;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    rune = rune << 6 | (byte(i) & 0x3fu);
  }
  const bool surrogate = rune >= 0xd800 && rune <= 0xdfff;
  if (rune < least || rune > 0x10ffff || surrogate) return std::nullopt;
  text.remove_prefix(length);
  return rune;
}

// Unicode's property White_Space.
bool IsSpace(uint32_t rune) {
  return (rune >= 0x09 && rune <= 0x0d) || rune == 0x20 || rune == 0x85 || rune == 0xa0 ||
         rune == 0x1680 || (rune >= 0x2000 && rune <= 0x200a) || rune == 0x2028 || rune == 0x2029 ||
         rune == 0x202f || rune == 0x205f || rune == 0x3000;
}

}  // namespace

std::optional<uint64_t> ParseDecimal(std::string_view text) {
  if (text.empty() || text.size() > 19 || (text[0] == '0' && text.size() > 1)) return std::nullopt;
  uint64_t n = 0;  // 19 digits fit
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    n = n * 10 + static_cast<uint64_t>(c - '0');
  }
  return n <= kTreeSizeMax ? std::optional(n) : std::nullopt;
}

std::optional<Digest> ParseHash(std::string_view text) {
  if (text.size() != 44) return std::nullopt;
  const auto bytes = FromBase64(text);
  return bytes ? Digest::From(*bytes) : std::nullopt;
}

std::optional<std::string_view> TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

bool IsNoteText(std::string_view text) {
  while (!text.empty()) {
    const auto rune = TakeRune(text);
    if (!rune || (*rune < 0x20 && *rune != '\n')) return false;
  }
  return true;
}

bool IsKeyName(std::string_view text) {
  if (text.empty() || text.size() > kNameBytesMax) return false;
  while (!text.empty()) {
    const auto rune = TakeRune(text);
    if (!rune || *rune < 0x20 || *rune == '+' || IsSpace(*rune)) return false;
  }
  return true;
}

}  // namespace aqmesh::tlog
