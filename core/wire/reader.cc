#include "core/wire/reader.h"

#include "core/base/check.h"

namespace aqmesh::wire {

namespace {
constexpr size_t kVarintBytesMax = 10;
}  // namespace

// spec: objects#1 rule 2: the fewest bytes, at most 10, below 2^64.
Reader::Result<uint64_t> Reader::Varint(size_t& at) const {
  if (at < bytes_.size() && bytes_[at] < 0x80) return uint64_t{bytes_[at++]};
  const size_t start = at;
  uint64_t value = 0;
  for (size_t i = 0; i < kVarintBytesMax; ++i) {
    if (at == bytes_.size()) return Fault{at, "cut short inside a varint"};
    const uint8_t b = bytes_[at++];
    if (i == kVarintBytesMax - 1 && b > 1) return Fault{start, "varint of 2^64 or more"};
    value |= uint64_t{static_cast<uint8_t>(b & 0x7f)} << (7 * i);
    if ((b & 0x80) != 0) continue;
    if (b == 0 && i > 0) return Fault{start, "varint with more bytes than it needs"};
    return value;
  }
  return Fault{start, "varint of 2^64 or more"};
}

Reader::Result<Tag> Reader::PeekTag() const {
  size_t at = at_;
  const Result<uint64_t> read = Varint(at);
  if (const Fault* fault = std::get_if<Fault>(&read)) return *fault;
  const uint64_t raw = std::get<uint64_t>(read);
  const uint64_t number = raw >> 3, type = raw & 7;
  if (number == 0 || number > kFieldNumberMax) return Fault{at_, "field number out of range"};
  if (type != 0 && type != 2) return Fault{at_, "wire type is neither 0 nor 2"};
  return Tag{static_cast<uint32_t>(number), static_cast<WireType>(type)};
}

void Reader::SkipTag() {
  const Result<uint64_t> read = Varint(at_);
  AQ_CHECK(std::holds_alternative<uint64_t>(read));
}

// spec: objects#1 rule 3: zero is written by absence.
Reader::Result<uint64_t> Reader::Number() {
  const size_t start = at_;
  const Result<uint64_t> read = Varint(at_);
  const uint64_t* value = std::get_if<uint64_t>(&read);
  if (value != nullptr && *value == 0) return Fault{start, "zero on the wire: absence says zero"};
  return read;
}

Reader::Result<ByteView> Reader::String() {
  const size_t start = at_;
  const Result<uint64_t> read = Varint(at_);
  if (const Fault* fault = std::get_if<Fault>(&read)) return *fault;
  const uint64_t size = std::get<uint64_t>(read);
  if (size == 0) return Fault{start, "length zero on the wire: absence says empty"};
  if (size > bytes_.size() - at_) return Fault{start, "length reaches past the end"};
  const ByteView out = bytes_.subspan(at_, static_cast<size_t>(size));
  at_ += out.size();
  return out;
}

}  // namespace aqmesh::wire
