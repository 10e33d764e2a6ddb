// Writes the strict subset of protobuf, in the one encoding that Reader takes: zero and empty by
// absence.
// Spec:   spec/objects.md §1. The caller writes fields in ascending order.
// Thread: a value; one owner.
#ifndef AQMESH_CORE_WIRE_WRITER_H_
#define AQMESH_CORE_WIRE_WRITER_H_

#include "core/base/bytes.h"
#include "core/wire/reader.h"

namespace aqmesh::wire {

void AppendVarint(Bytes& out, uint64_t value);
size_t VarintSize(uint64_t value);

class Writer {
 public:
  void Number(uint32_t field, uint64_t value);  // nothing for 0
  void String(uint32_t field, ByteView value);  // nothing for no bytes
  const Bytes& bytes() const { return bytes_; }
  Bytes Take() { return std::move(bytes_); }

 private:
  static constexpr size_t kBytesAtFirst = 256;  // most objects have fewer

  void Pair(uint64_t first, uint64_t second);  // as varints
  Bytes bytes_;
};

}  // namespace aqmesh::wire

#endif  // AQMESH_CORE_WIRE_WRITER_H_
