// Reads the strict subset of protobuf: tags, minimal varints and lengths, each checked before it is
// used.
// Spec:   spec/objects.md §1 rules 1-4. What needs a schema (which tags, in which order) is the caller's.
// Wire:   tag = varint(number << 3 | type), type 0 a varint or 2 a length and its bytes.
// Bounds: reads inside the view that it was given; no allocation.
// Errors: a broken rule is a Fault with its byte; after one, the reader's place is unspecified.
// Thread: a value; one owner.
#ifndef AQMESH_CORE_WIRE_READER_H_
#define AQMESH_CORE_WIRE_READER_H_

#include <optional>
#include <variant>

#include "core/base/bytes.h"

namespace aqmesh::wire {

enum class WireType : uint8_t { kVarint = 0, kBytes = 2 };

struct Tag {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  bool operator==(const Tag&) const = default;
};

inline constexpr uint32_t kFieldNumberMax = (1u << 29) - 1;

class Reader {
 public:
  // Where and which rule; rule points at a literal.
  struct Fault {
    size_t byte = 0;
    const char* rule = "";
  };
  template <class T>
  using Result = std::variant<T, Fault>;

  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  bool done() const { return at_ == bytes_.size(); }
  size_t at() const { return at_; }  // bytes consumed

  // The next tag, left unread; a fault if it is malformed. Not to be called when done().
  Result<Tag> PeekTag() const;
  // What follows a tag: PeekTag has to have succeeded since the last read.
  void SkipTag();
  Result<uint64_t> Number();  // minimal, not zero
  Result<ByteView> String();  // its length minimal, not zero, inside the view

 private:
  Result<uint64_t> Varint(size_t& at) const;

  ByteView bytes_;
  size_t at_ = 0;
};

}  // namespace aqmesh::wire

#endif  // AQMESH_CORE_WIRE_READER_H_
