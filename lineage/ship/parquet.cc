#include "lineage/ship/parquet.h"

#include <utility>

#include "core/base/check.h"

namespace aqmesh::lineage::ship {
namespace {

constexpr std::string_view kMagic = "PAR1";

// Numbers of the format's own enums.
enum : int32_t { kInt64 = 2, kByteArray = 6 };        // Type
enum : int32_t { kRequired = 0, kOptional = 1 };      // FieldRepetitionType
enum : int32_t { kUtf8 = 0, kUint64 = 14 };           // ConvertedType
enum : int32_t { kPlain = 0, kRle = 3 };              // Encoding
enum : int32_t { kDataPage = 0, kUncompressed = 0 };  // PageType, CompressionCodec

void AppendVarint(std::string& out, uint64_t n) {
  for (; n >= 0x80; n >>= 7) out += static_cast<char>(n | 0x80);
  out += static_cast<char>(n);
}
template <class T>
void AppendLittle(std::string& out, T n) {
  uint8_t bytes[sizeof n];
  StoreLe(bytes, n);
  out.append(reinterpret_cast<const char*>(bytes), sizeof n);
}

// One struct of Thrift's compact protocol: fields by rising id.
class Struct {
 public:
  Struct& I32(int id, int64_t n) { return Integer(id, 5, n); }
  Struct& I64(int id, uint64_t n) { return Integer(id, 6, static_cast<int64_t>(n)); }
  Struct& Byte(int id, uint8_t n) {
    Field(id, 3);
    out_ += static_cast<char>(n);
    return *this;
  }
  Struct& False(int id) { return Field(id, 2); }
  Struct& Text(int id, std::string_view text) {
    Field(id, 8);
    AppendVarint(out_, text.size());
    out_ += text;
    return *this;
  }
  Struct& Nested(int id, std::string_view bytes) {
    Field(id, 12);
    out_ += bytes;
    return *this;
  }
  // Elements as they are encoded; `type`: 5 i32, 8 text, 12 struct.
  Struct& List(int id, char type, const std::vector<std::string>& elements) {
    Field(id, 9);
    if (elements.size() < 15) {
      out_ += static_cast<char>(elements.size() << 4 | static_cast<size_t>(type));
    } else {
      out_ += static_cast<char>(0xf0 | type);
      AppendVarint(out_, elements.size());
    }
    for (const std::string& e : elements) out_ += e;
    return *this;
  }
  std::string End() { return std::move(out_) + '\0'; }
  static std::string ZigZag(int64_t n) {
    std::string out;
    AppendVarint(out, static_cast<uint64_t>(n) << 1 ^ static_cast<uint64_t>(n >> 63));
    return out;
  }

 private:
  Struct& Field(int id, int type) {
    AQ_CHECK(id > last_ && id - last_ < 16);
    out_ += static_cast<char>((id - last_) << 4 | type);
    last_ = id;
    return *this;
  }
  Struct& Integer(int id, int type, int64_t n) {
    Field(id, type);
    out_ += ZigZag(n);
    return *this;
  }
  std::string out_;
  int last_ = 0;
};

std::string Counted(std::string_view text) {
  std::string out;
  AppendVarint(out, text.size());
  return out += text;
}

// LogicalType says again what ConvertedType says, for readers of either age.
std::string SchemaElement(const Column& column) {
  Struct e;
  e.I32(1, column.type == Type::kText ? kByteArray : kInt64);
  e.I32(3, column.always ? kRequired : kOptional).Text(4, column.name);
  if (column.type == Type::kText) {
    e.I32(6, kUtf8).Nested(10, Struct().Nested(1, Struct().End()).End());
  } else if (column.type == Type::kCount) {
    const std::string integer = Struct().Byte(1, 64).False(2).End();
    e.I32(6, kUint64).Nested(10, Struct().Nested(10, integer).End());
  }
  return e.End();
}

void AppendPlain(std::string& out, const Value& value, const Column& column) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    AppendLittle(out, static_cast<uint32_t>(text->size()));
    out += *text;
  } else if (const auto* u = std::get_if<uint64_t>(&value)) {
    AppendLittle(out, *u);
  } else if (const auto* i = std::get_if<int64_t>(&value)) {
    AppendLittle(out, *i);
  } else {
    AQ_CHECK(!column.always);
  }
}

}  // namespace

void ParquetWriter::Buffer::CloseRun() {
  if (run == 0) return;
  AppendVarint(levels, run << 1);
  levels += static_cast<char>(present ? 1 : 0);
  run = 0;
}

void ParquetWriter::Buffer::Level(bool is_present) {
  if (is_present != present) CloseRun();
  present = is_present;
  ++run;
}

ParquetWriter::ParquetWriter(Out out) : out_(std::move(out)), columns_(Columns().size()) {
  Write(kMagic);
}

void ParquetWriter::Write(std::string_view bytes) {
  out_(bytes);
  at_ += bytes.size();
}

void ParquetWriter::Add(const Row& row, const Words& words) {
  for (size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = Columns()[i];
    const Value value = column.of(row, words);
    Buffer& buffer = columns_[i];
    if (!column.always) buffer.Level(!std::holds_alternative<std::monostate>(value));
    const size_t before = buffer.values.size();
    AppendPlain(buffer.values, value, column);
    group_bytes_ += buffer.values.size() - before;
  }
  ++rows_;
  if (++group_rows_ == kGroupRows || group_bytes_ >= kGroupBytes) CloseGroup();
}

void ParquetWriter::CloseGroup() {
  std::vector<std::string> chunks;
  const uint64_t group_at = at_;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = Columns()[i];
    Buffer buffer = std::exchange(columns_[i], {});
    buffer.CloseRun();
    std::string page;
    if (!column.always) {
      AppendLittle(page, static_cast<uint32_t>(buffer.levels.size()));
      page += buffer.levels;
    }
    page += buffer.values;
    const auto size = static_cast<int64_t>(page.size());
    const std::string data = Struct()
                                 .I32(1, static_cast<int64_t>(group_rows_))
                                 .I32(2, kPlain)
                                 .I32(3, kRle)
                                 .I32(4, kRle)
                                 .End();
    const std::string header =
        Struct().I32(1, kDataPage).I32(2, size).I32(3, size).Nested(5, data).End();
    const uint64_t page_at = at_, whole = header.size() + page.size();
    Write(header);
    Write(page);
    const std::string meta = Struct()
                                 .I32(1, column.type == Type::kText ? kByteArray : kInt64)
                                 .List(2, 5, {Struct::ZigZag(kPlain), Struct::ZigZag(kRle)})
                                 .List(3, 8, {Counted(column.name)})
                                 .I32(4, kUncompressed)
                                 .I64(5, group_rows_)
                                 .I64(6, whole)
                                 .I64(7, whole)
                                 .I64(9, page_at)
                                 .End();
    chunks.push_back(Struct().I64(2, page_at).Nested(3, meta).End());
  }
  groups_.push_back(Struct().List(1, 12, chunks).I64(2, at_ - group_at).I64(3, group_rows_).End());
  group_rows_ = group_bytes_ = 0;
}

void ParquetWriter::Finish() {
  if (group_rows_ != 0) CloseGroup();
  std::vector<std::string> schema = {
      Struct().Text(4, "aqmesh_records").I32(5, static_cast<int64_t>(Columns().size())).End()};
  for (const Column& column : Columns()) schema.push_back(SchemaElement(column));
  const std::string meta = Struct()
                               .I32(1, 1)
                               .List(2, 12, schema)
                               .I64(3, rows_)
                               .List(4, 12, groups_)
                               .Text(6, "aqmesh")
                               .End();
  Write(meta);
  std::string end;
  AppendLittle(end, static_cast<uint32_t>(meta.size()));
  Write(end + std::string(kMagic));
}

}  // namespace aqmesh::lineage::ship
