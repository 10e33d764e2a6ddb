#include "core/wire/writer.h"

namespace aqmesh::wire {

void AppendVarint(Bytes& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<uint8_t>(value | 0x80));
  out.push_back(static_cast<uint8_t>(value));
}

size_t VarintSize(uint64_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

void Writer::Tag(uint32_t field, WireType type) {
  AppendVarint(bytes_, uint64_t{field} << 3 | static_cast<uint64_t>(type));
}

void Writer::Number(uint32_t field, uint64_t value) {
  if (value == 0) return;
  Tag(field, WireType::kVarint);
  AppendVarint(bytes_, value);
}

void Writer::String(uint32_t field, ByteView value) {
  if (value.empty()) return;
  Tag(field, WireType::kBytes);
  AppendVarint(bytes_, value.size());
  Append(bytes_, value);
}

}  // namespace aqmesh::wire
