#include "core/wire/json.h"

#include <charconv>
#include <cmath>

#include "core/base/check.h"

namespace aqmesh::wire {

namespace {

// Length of the well-formed UTF-8 sequence that `s` starts with (Unicode table 3-7), 0 if there is
// none.
size_t SequenceLength(std::string_view s) {
  const auto byte = [s](size_t i) {
    return i < s.size() ? static_cast<uint8_t>(s[i]) : uint8_t{0};
  };
  const auto tail = [&byte](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const uint8_t a = byte(0), b = byte(1);
  if (a < 0x80) return 1;
  if (a >= 0xc2 && a <= 0xdf) return tail(1) ? 2 : 0;
  if (a >= 0xe0 && a <= 0xef) {
    const bool first = tail(1) && (a != 0xe0 || b >= 0xa0) && (a != 0xed || b <= 0x9f);
    return first && tail(2) ? 3 : 0;
  }
  if (a >= 0xf0 && a <= 0xf4) {
    const bool first = tail(1) && (a != 0xf0 || b >= 0x90) && (a != 0xf4 || b <= 0x8f);
    return first && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

void AppendControl(std::string& out, uint8_t c) {
  static constexpr char kDigits[] = "0123456789abcdef";
  out += "\\u00";
  out += kDigits[c >> 4];
  out += kDigits[c & 15];
}

}  // namespace

void AppendJsonString(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const char c = text[0];
    const size_t length = SequenceLength(text);
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (length > 1) {
      out += text.substr(0, length);
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) {
      AppendControl(out, static_cast<uint8_t>(c));
    } else {
      out += c;
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out += '"';
}

void JsonWriter::BeforeValue() {
  if (levels_.empty()) {
    AQ_CHECK(out_.empty());
    return;
  }
  Level& level = levels_.back();
  if (level.object) {
    AQ_CHECK(level.keyed);
    level.keyed = false;
    return;
  }
  if (!level.empty) out_ += ',';
  level.empty = false;
}

JsonWriter& JsonWriter::Raw(std::string_view text) {
  BeforeValue();
  out_ += text;
  return *this;
}

JsonWriter& JsonWriter::Open(bool object) {
  BeforeValue();
  AQ_CHECK(levels_.size() < kDepthMax);
  out_ += object ? '{' : '[';
  levels_.push_back(Level{.object = object});
  return *this;
}

JsonWriter& JsonWriter::Object() { return Open(true); }
JsonWriter& JsonWriter::Array() { return Open(false); }

JsonWriter& JsonWriter::End() {
  AQ_CHECK(!levels_.empty());
  AQ_CHECK(!levels_.back().keyed);
  out_ += levels_.back().object ? '}' : ']';
  levels_.pop_back();
  return *this;
}

JsonWriter& JsonWriter::Key(std::string_view name) {
  AQ_CHECK(!levels_.empty());
  Level& level = levels_.back();
  AQ_CHECK(level.object);
  AQ_CHECK(!level.keyed);
  if (!level.empty) out_ += ',';
  level.empty = false;
  level.keyed = true;
  AppendJsonString(out_, name);
  out_ += ':';
  return *this;
}

JsonWriter& JsonWriter::Value(std::string_view text) {
  BeforeValue();
  AppendJsonString(out_, text);
  return *this;
}

JsonWriter& JsonWriter::Value(bool b) { return Raw(b ? "true" : "false"); }

JsonWriter& JsonWriter::Value(double d) {
  if (!std::isfinite(d)) return Null();
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, d);
  AQ_CHECK(error == std::errc{});
  return Raw(std::string_view(text, static_cast<size_t>(end - text)));
}

std::string JsonWriter::Take() {
  AQ_CHECK(levels_.empty());
  std::string out = std::move(out_);
  out_.clear();
  return out;
}

}  // namespace aqmesh::wire
