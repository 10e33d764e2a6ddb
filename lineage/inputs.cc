#include "lineage/inputs.h"

#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "core/base/check.h"
#include "core/crypto/hash.h"
#include "core/wire/reader.h"
#include "core/wire/refusal.h"
#include "core/wire/writer.h"

namespace aqmesh::lineage {
namespace {

constexpr std::string_view kPersonal = "aqmesh-inp-v1";
constexpr unsigned kSection = 7;  // of spec/objects.md

struct Field {
  std::string_view name;
  wire::WireType type;
  size_t count_max = 1;
};
constexpr auto kNumber = wire::WireType::kVarint;
constexpr auto kBytes = wire::WireType::kBytes;

// Field n is row n-1.
constexpr Field kInputFields[] = {{"oids", kBytes, kInputOidsMax},
                                  {"policy", kBytes},
                                  {"slopes", kBytes, kInputSlopesMax},
                                  {"age", kNumber},
                                  {"wall", kNumber},
                                  {"mono", kNumber},
                                  {"prev_rung", kNumber},
                                  {"h", kBytes},
                                  {"action", kNumber}};
constexpr Field kSlopeFields[] = {{"kid", kBytes},
                                  {"a", kNumber},
                                  {"R_f", kNumber},
                                  {"S_f", kNumber},
                                  {"U", kNumber},
                                  {"R_s", kNumber},
                                  {"S_s", kNumber},
                                  {"J", kNumber},
                                  {"X", kNumber},
                                  {"kap", kNumber},
                                  {"last", kNumber},
                                  {"col", kNumber},
                                  {"e_pos", kNumber}};

// Walks the fields of one message by its table and keeps the first refusal; values read after one
// are zero.
class FieldScan {
 public:
  FieldScan(ByteView bytes, std::span<const Field> fields, std::string thing)
      : reader_(bytes), fields_(fields), thing_(std::move(thing)) {}

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
      status_ = wire::Refusal{thing_, std::move(field), byte, rule, kSection}.ToStatus();
    }
    return 0;
  }

  wire::Reader reader_;
  std::span<const Field> fields_;
  std::string thing_;
  size_t at_ = 0;  // of the tag of the field being read
  uint32_t number_ = 0;
  size_t count_ = 0;
  ByteView before_;  // the value before, of a repeated field
  absl::Status status_;
};

Bytes EncodeSlope(const SlopeInput& s) {
  wire::Writer w;
  w.String(1, s.kid);
  w.Number(2, s.a);
  w.Number(3, s.r_f);
  w.Number(4, s.s_f);
  w.Number(5, s.u);
  w.Number(6, s.r_s);
  w.Number(7, s.s_s);
  w.Number(8, s.j);
  w.Number(9, s.x);
  w.Number(10, s.kap);
  w.Number(11, s.last);
  w.Number(12, s.col);
  w.Number(13, s.e_pos);
  return w.Take();
}

absl::StatusOr<SlopeInput> ParseSlope(ByteView bytes) {
  FieldScan scan(bytes, kSlopeFields, "slope");
  SlopeInput s;
  bool has_kid = false;
  while (const uint32_t field = scan.Next()) {
    switch (field) {
      case 1:
        s.kid = scan.Bytes<Kid>();
        has_kid = true;
        break;
      case 2: s.a = scan.Integer<uint32_t>(); break;
      case 3: s.r_f = scan.Integer<uint32_t>(); break;
      case 4: s.s_f = scan.Integer<uint32_t>(); break;
      case 5: s.u = scan.Integer<uint32_t>(); break;
      case 6: s.r_s = scan.Integer<uint32_t>(); break;
      case 7: s.s_s = scan.Integer<uint32_t>(); break;
      case 8: s.j = scan.Integer<uint32_t>(); break;
      case 9: s.x = scan.Integer<uint32_t>(); break;
      case 10: s.kap = scan.Integer<uint8_t>(); break;
      case 11: s.last = scan.Integer<uint64_t>(); break;
      case 12: s.col = scan.Integer<uint8_t>(); break;
      case 13: s.e_pos = scan.Integer<uint64_t>(); break;
      default: break;  // Next() refuses what is not in the table
    }
  }
  scan.Must(has_kid, "kid is missing");
  if (!scan.status().ok()) return scan.status();
  return s;
}

Bytes Encode(const Inputs& in) {
  wire::Writer w;
  for (const Oid& oid : in.oids) w.String(1, oid);
  w.String(2, in.policy);
  for (const SlopeInput& slope : in.slopes) w.String(3, EncodeSlope(slope));
  w.Number(4, in.age);
  w.Number(5, in.wall_millis);
  w.Number(6, in.mono_nanos);
  w.Number(7, static_cast<uint64_t>(in.prev_rung));
  if (in.h) w.String(8, *in.h);
  w.Number(9, in.action);
  return w.Take();
}

template <class T, class Less>
void SortUnique(std::vector<T>& list, Less less) {
  std::sort(list.begin(), list.end(), less);
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

}  // namespace

Bytes EncodeInputs(Inputs in) {
  SortUnique(in.oids, std::less<>());
  SortUnique(in.slopes, [](const SlopeInput& x, const SlopeInput& y) {
    return EncodeSlope(x) < EncodeSlope(y);
  });
  AQ_CHECK(in.oids.size() <= kInputOidsMax);
  AQ_CHECK(in.slopes.size() <= kInputSlopesMax);
  AQ_CHECK(in.wall_millis != 0);
  AQ_CHECK(in.mono_nanos != 0);
  Bytes out = Encode(in);
  AQ_CHECK(out.size() <= kInputsBytesMax);
  return out;
}

absl::StatusOr<Inputs> ParseInputs(ByteView bytes) {
  if (bytes.size() > kInputsBytesMax) {
    return wire::Refusal{"inputs", "", kInputsBytesMax, "too large", kSection}.ToStatus();
  }
  FieldScan scan(bytes, kInputFields, "inputs");
  Inputs in;
  bool has_policy = false;
  while (const uint32_t field = scan.Next()) {
    switch (field) {
      case 1: in.oids.push_back(scan.Bytes<Oid>()); break;
      case 2:
        in.policy = scan.Bytes<Digest>();
        has_policy = true;
        break;
      case 3: {
        auto slope = ParseSlope(scan.String());
        if (slope.ok()) in.slopes.push_back(*slope);
        scan.Adopt(slope.status());
        break;
      }
      case 4: in.age = scan.Integer<uint64_t>(); break;
      case 5: in.wall_millis = scan.Integer<uint64_t>(); break;
      case 6: in.mono_nanos = scan.Integer<uint64_t>(); break;
      case 7: in.prev_rung = static_cast<authority::Rung>(scan.Number(6)); break;
      case 8: in.h = scan.Bytes<Digest>(); break;
      case 9: in.action = scan.Integer<uint16_t>(); break;
      default: break;  // Next() refuses what is not in the table
    }
  }
  scan.Must(has_policy, "policy is missing");
  scan.Must(in.wall_millis != 0, "wall is missing");
  scan.Must(in.mono_nanos != 0, "mono is missing");
  if (!scan.status().ok()) return scan.status();
  // spec: objects#1 rule 4: one encoding a value, held by comparing.
  if (Encode(in) != Bytes(bytes.begin(), bytes.end())) {
    return wire::Refusal{"inputs", "", 0, "not the one encoding of its value", kSection}.ToStatus();
  }
  return in;
}

Oid InputsId(ByteView encoded) { return Oid{crypto::Blake2bPersonal(kPersonal, {encoded})}; }

}  // namespace aqmesh::lineage
