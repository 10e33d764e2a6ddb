#include "core/wire/writer.h"

namespace aqmesh::wire {

namespace {

constexpr size_t kVarintBytesMax = 10;

// The bytes of `value` at `out`, which has room for kVarintBytesMax; how many they are.
size_t PutVarint(uint8_t* out, uint64_t value) {
  size_t size = 0;
  for (; value >= 0x80; value >>= 7) out[size++] = static_cast<uint8_t>(value | 0x80);
  out[size++] = static_cast<uint8_t>(value);
  return size;
}

constexpr uint64_t TagOf(uint32_t field, WireType type) {
  return uint64_t{field} << 3 | static_cast<uint64_t>(type);
}

}  // namespace

void AppendVarint(Bytes& out, uint64_t value) {
  uint8_t bytes[kVarintBytesMax];
  Append(out, ByteView(bytes, PutVarint(bytes, value)));
}

size_t VarintSize(uint64_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

void Writer::Pair(uint64_t first, uint64_t second) {
  if (bytes_.capacity() == 0) bytes_.reserve(kBytesAtFirst);
  uint8_t bytes[2 * kVarintBytesMax];
  size_t size = PutVarint(bytes, first);
  size += PutVarint(bytes + size, second);
  Append(bytes_, ByteView(bytes, size));
}

void Writer::Number(uint32_t field, uint64_t value) {
  if (value != 0) Pair(TagOf(field, WireType::kVarint), value);
}

void Writer::String(uint32_t field, ByteView value) {
  if (value.empty()) return;
  Pair(TagOf(field, WireType::kBytes), value.size());
  Append(bytes_, value);
}

}  // namespace aqmesh::wire
