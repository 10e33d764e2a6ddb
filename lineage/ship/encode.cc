#include "lineage/ship/encode.h"

#include "core/base/status.h"
#include "core/wire/json.h"

namespace aqmesh::lineage::ship {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

// How many bytes at the front are one character of UTF-8, in its shortest form; 0: none.
size_t CharacterAt(std::string_view s) {
  const auto byte = [&s](size_t i) { return static_cast<uint8_t>(s[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return lead == 0 ? 0 : 1;
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || s.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool beyond = (lead == 0xed && byte(1) >= 0xa0) || (lead == 0xf4 && byte(1) >= 0x90);
  return overlong || beyond ? 0 : size;
}

void AppendCopyText(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '\\': out += "\\\\"; break;
      case '\t': out += "\\t"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      default: out += c;
    }
  }
}

void AppendCsvText(std::string& out, std::string_view text) {
  if (!text.empty() && text.find_first_of(",\"\r\n") == std::string_view::npos &&
      text.front() != ' ' && text.back() != ' ') {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

// Calls `put` with what a value is: nothing, digits, or text.
template <class Null, class Digits, class Put>
void Spell(const Value& value, Null null, Digits digits, Put text) {
  if (const auto* i = std::get_if<int64_t>(&value)) return digits(std::to_string(*i));
  if (const auto* u = std::get_if<uint64_t>(&value)) return digits(std::to_string(*u));
  if (const auto* s = std::get_if<std::string>(&value)) return text(*s);
  null();
}

}  // namespace

std::string CleanText(std::string text) {
  std::string_view rest = text;
  size_t good = 0;
  while (good < rest.size()) {
    const size_t size = CharacterAt(rest.substr(good));
    if (size == 0) break;
    good += size;
  }
  if (good == text.size()) return text;
  std::string out;
  while (!rest.empty()) {
    const size_t size = CharacterAt(rest);
    out += size == 0 ? kReplacement : rest.substr(0, size);
    rest.remove_prefix(size == 0 ? 1 : size);
  }
  return out;
}

void AppendCopyLine(std::string& out, const Row& row, const Words& words) {
  bool first = true;
  for (const Column& c : Columns()) {
    if (!std::exchange(first, false)) out += '\t';
    Spell(
        c.of(row, words),
        [&out] { out += "\\N"; },
        [&out](std::string_view digits) { out += digits; },
        [&out](std::string_view text) { AppendCopyText(out, text); });
  }
  out += '\n';
}

void AppendCsvLine(std::string& out, const Row& row, const Words& words) {
  bool first = true;
  for (const Column& c : Columns()) {
    if (!std::exchange(first, false)) out += ',';
    Spell(
        c.of(row, words),
        [] {},
        [&out](std::string_view digits) { out += digits; },
        [&out](std::string_view text) { AppendCsvText(out, text); });
  }
  out += "\r\n";
}

std::string CsvHeader() {
  std::string out;
  for (const Column& c : Columns()) out += Join(out.empty() ? "" : ",", c.name);
  return out + "\r\n";
}

void AppendJsonLine(std::string& out, const Row& row, const Words& words) {
  out += '{';
  bool first = true;
  for (const Column& c : Columns()) {
    if (!std::exchange(first, false)) out += ',';
    wire::AppendJsonString(out, c.name);
    out += ':';
    Spell(
        c.of(row, words),
        [&out] { out += "null"; },
        [&out](std::string_view digits) { out += digits; },
        [&out](std::string_view text) { wire::AppendJsonString(out, text); });
  }
  out += "}\n";
}

}  // namespace aqmesh::lineage::ship
