// FieldScan: one walk over a message of the strict protobuf subset, by a table of its fields. What
// the lineage keeps for itself (inputs, snapshots) is read with it; signed objects have their
// codec.
// Spec:   spec/objects.md §1 rules 1-4; repeated strings strictly ascending.
// Bounds: those of the table. Thread: a value; one owner.
// Errors: the first refusal is kept (InvalidArgument: thing, field, byte, rule); values read after
//         it are zero.
#ifndef AQMESH_LINEAGE_FIELD_SCAN_H_
#define AQMESH_LINEAGE_FIELD_SCAN_H_

#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "core/base/bytes.h"
#include "core/wire/reader.h"
#include "core/wire/refusal.h"

namespace aqmesh::lineage {

// Field n of a message is row n - 1 of its table.
struct FieldRow {
  std::string_view name;
  wire::WireType type;
  size_t count_max = 1;
};
inline constexpr auto kNumberField = wire::WireType::kVarint;
inline constexpr auto kBytesField = wire::WireType::kBytes;

class FieldScan {
 public:
  // `section`: of spec/objects.md, for what a refusal says.
  FieldScan(ByteView bytes, std::span<const FieldRow> fields, std::string thing, unsigned section)
      : reader_(bytes), fields_(fields), thing_(std::move(thing)), section_(section) {}

  // Goes to the next field: its number, or 0 at the end and after a refusal.
  uint32_t Next() {
    if (!status_.ok() || reader_.done()) return 0;
    at_ = reader_.at();
    const auto read = reader_.PeekTag();
    if (const auto* fault = std::get_if<wire::Reader::Fault>(&read))
      return Refuse(fault->byte, fault->rule);
    const wire::Tag tag = std::get<wire::Tag>(read);
    if (tag.number > fields_.size()) return Refuse(at_, "unknown field");
    if (tag.number < number_) return Refuse(at_, "field out of order");
    count_ = tag.number == number_ ? count_ + 1 : 1;
    number_ = tag.number;
    if (tag.type != fields_[number_ - 1].type) return Refuse(at_, "wrong wire type");
    if (count_ > fields_[number_ - 1].count_max) return Refuse(at_, "too many of this field");
    reader_.SkipTag();
    return number_;
  }
  uint64_t Number(uint64_t max) {
    const size_t at = reader_.at();
    const auto read = reader_.Number();
    if (const auto* fault = std::get_if<wire::Reader::Fault>(&read))
      return Refuse(fault->byte, fault->rule);
    if (std::get<uint64_t>(read) > max) return Refuse(at, "number too large");
    return std::get<uint64_t>(read);
  }
  template <class T>
  T Integer() {
    return static_cast<T>(Number(std::numeric_limits<T>::max()));
  }
  ByteView String() {
    const auto read = reader_.String();
    if (const auto* fault = std::get_if<wire::Reader::Fault>(&read)) {
      Refuse(fault->byte, fault->rule);
      return {};
    }
    const ByteView value = std::get<ByteView>(read);
    if (count_ > 1 &&
        !std::lexicographical_compare(before_.begin(), before_.end(), value.begin(), value.end())) {
      Refuse(at_, "values not strictly ascending");
    }
    before_ = value;
    return value;
  }
  template <class Fixed>
  Fixed Bytes() {
    const auto value = Fixed::From(String());
    if (!value) Refuse(at_, "wrong length");
    return value.value_or(Fixed{});
  }
  void Adopt(const absl::Status& inner) {
    if (status_.ok()) status_ = inner;
  }
  void Must(bool present, const char* rule) {
    if (!present) {
      number_ = 0;
      Refuse(reader_.at(), rule);
    }
  }
  const absl::Status& status() const { return status_; }

 private:
  uint32_t Refuse(size_t byte, const char* rule) {
    if (status_.ok()) {
      std::string field(number_ == 0 ? std::string_view() : fields_[number_ - 1].name);
      status_ = wire::Refusal{thing_, std::move(field), byte, rule, section_}.ToStatus();
    }
    return 0;
  }

  wire::Reader reader_;
  std::span<const FieldRow> fields_;
  std::string thing_;
  unsigned section_;
  size_t at_ = 0;  // of the tag of the field being read
  uint32_t number_ = 0;
  size_t count_ = 0;
  ByteView before_;  // the value before, of a repeated field
  absl::Status status_;
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_FIELD_SCAN_H_
