#include "daemon/cli/sql_print.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/status.h"
#include "core/wire/json.h"

namespace aqmesh::cli {
namespace {

using lineage::sql::Value;

constexpr size_t kCellMin = 6;          // a column is not cut below this
constexpr size_t kChunkBytes = 65'536;  // written at a time

bool IsNumber(const Value& v) {
  return std::holds_alternative<int64_t>(v) || std::holds_alternative<double>(v);
}

std::string TextOf(const Value& v) {
  if (const auto* n = std::get_if<int64_t>(&v)) return std::to_string(*n);
  if (const auto* d = std::get_if<double>(&v)) {
    // As SQLite writes it: a real is seen to be one.
    std::string text = fmt::format("{:.15g}", *d);
    if (std::isfinite(*d) && text.find_first_of(".e") == std::string::npos) text += ".0";
    return text;
  }
  if (const auto* s = std::get_if<std::string>(&v)) return *s;
  if (const auto* b = std::get_if<Bytes>(&v)) return ToHex(*b);
  return "";
}

// One line, and nothing that a terminal obeys.
std::string Visible(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out.push_back(c);
    }
  }
  return out;
}

bool StartsCharacter(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }
size_t WidthOf(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, StartsCharacter));
}

// The first `width` characters, the last of them a "~", if there are more.
std::string Cut(std::string text, size_t width) {
  if (WidthOf(text) <= width) return text;
  size_t at = 0;
  for (size_t seen = 0; at < text.size(); ++at) {
    if (StartsCharacter(text[at]) && seen++ == width - 1) break;
  }
  return text.substr(0, at) + "~";
}

// Gathers lines, and hands them on when there are many.
class Lines {
 public:
  explicit Lines(TextSink out) : out_(std::move(out)) {}
  void Add(std::string_view text) {
    held_ += text;
    if (held_.size() >= kChunkBytes) Flush();
  }
  void Flush() {
    if (!held_.empty()) out_(held_);
    held_.clear();
  }

 private:
  TextSink out_;
  std::string held_;
};

class TablePrinter final : public SqlPrinter {
 public:
  TablePrinter(size_t columns, TextSink out) : columns_(columns), lines_(std::move(out)) {}

  bool Columns(std::span<const std::string> names) override {
    for (const std::string& name : names) header_.push_back(Visible(name));
    numbers_.assign(names.size(), true);
    return true;
  }
  bool Row(std::span<const Value> values) override {
    any_ = true;
    std::vector<std::string> row;
    for (size_t i = 0; i < values.size(); ++i) {
      row.push_back(Visible(TextOf(values[i])));
      bytes_ += row.back().size();
      const bool null = std::holds_alternative<std::monostate>(values[i]);
      if (!settled_ && !null && !IsNumber(values[i])) numbers_[i] = false;
    }
    if (settled_) {
      Print(row);
      return true;
    }
    held_.push_back(std::move(row));
    if (held_.size() >= kTableRowsHeld || bytes_ >= kTableBytesHeld) Settle();
    return true;
  }
  void End() override {
    Settle();
    lines_.Flush();
  }

 private:
  void Settle() {
    if (std::exchange(settled_, true) || header_.empty()) return;
    size_t total = 0;
    for (size_t c = 0; c < header_.size(); ++c) {
      width_.push_back(WidthOf(header_[c]));
      for (const auto& row : held_) width_[c] = std::max(width_[c], WidthOf(row[c]));
      total += width_[c] + 2;
    }
    while (columns_ > 0 && total > columns_ + 2) {
      size_t& widest = *std::ranges::max_element(width_);
      if (widest <= kCellMin) break;
      --widest;
      --total;
    }
    Print(header_);
    for (const auto& row : held_) Print(row);
    held_.clear();
  }

  void Print(const std::vector<std::string>& row) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string cell = columns_ > 0 ? Cut(row[c], width_[c]) : row[c];
      const size_t width = WidthOf(cell);
      const std::string fill(width < width_[c] ? width_[c] - width : 0, ' ');
      line += numbers_[c] ? fill + cell : cell + fill;
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    lines_.Add(line + "\n");
  }

  const size_t columns_;
  Lines lines_;
  std::vector<std::string> header_;
  std::vector<bool> numbers_;  // columns of nothing else
  std::vector<size_t> width_;
  std::vector<std::vector<std::string>> held_;
  size_t bytes_ = 0;
  bool settled_ = false;
};

class JsonPrinter final : public SqlPrinter {
 public:
  explicit JsonPrinter(TextSink out) : lines_(std::move(out)) {}

  bool Columns(std::span<const std::string> names) override {
    // Two columns of one name would be one field: the later has its number behind it.
    for (const std::string& name : names) {
      std::string own = name;
      for (int n = 2; std::ranges::find(names_, own) != names_.end(); ++n) own = Join(name, "_", n);
      names_.push_back(own);
    }
    return true;
  }
  bool Row(std::span<const Value> values) override {
    any_ = true;
    wire::JsonWriter w;
    w.Object();
    for (size_t i = 0; i < values.size(); ++i) {
      w.Key(names_[i]);
      if (std::holds_alternative<std::monostate>(values[i])) {
        w.Null();
      } else if (const auto* n = std::get_if<int64_t>(&values[i])) {
        w.Value(*n);
      } else if (const auto* d = std::get_if<double>(&values[i])) {
        w.Value(*d);
      } else {
        w.Value(TextOf(values[i]));
      }
    }
    w.End();
    lines_.Add(w.Take() + "\n");
    return true;
  }
  void End() override { lines_.Flush(); }

 private:
  Lines lines_;
  std::vector<std::string> names_;
};

class CsvPrinter final : public SqlPrinter {
 public:
  explicit CsvPrinter(TextSink out) : lines_(std::move(out)) {}

  bool Columns(std::span<const std::string> names) override {
    std::string line;
    for (const std::string& name : names) line += Join(line.empty() ? "" : ",", CsvField(name));
    lines_.Add(line + "\r\n");
    return true;
  }
  bool Row(std::span<const Value> values) override {
    any_ = true;
    std::string line;
    for (size_t i = 0; i < values.size(); ++i)
      line += Join(i == 0 ? "" : ",", CsvField(TextOf(values[i])));
    lines_.Add(line + "\r\n");
    return true;
  }
  void End() override { lines_.Flush(); }

 private:
  Lines lines_;
};

}  // namespace

std::string CsvField(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  return out + "\"";
}

std::unique_ptr<SqlPrinter> MakePrinter(SqlMode mode, size_t columns, TextSink out) {
  switch (mode) {
    case SqlMode::kTable: return std::make_unique<TablePrinter>(columns, std::move(out));
    case SqlMode::kJson: return std::make_unique<JsonPrinter>(std::move(out));
    case SqlMode::kCsv: return std::make_unique<CsvPrinter>(std::move(out));
  }
  return nullptr;
}

}  // namespace aqmesh::cli
