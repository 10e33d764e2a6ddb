#include "lineage/sealed/items.h"

#include <optional>

#include "core/base/status.h"
#include "lineage/sealed/frame.h"

namespace aqmesh::lineage {

namespace {

std::optional<Shelf> ShelfOf(uint8_t number) {
  if (number < static_cast<uint8_t>(Shelf::kSigned) ||
      number > static_cast<uint8_t>(Shelf::kPolicy))
    return std::nullopt;
  return static_cast<Shelf>(number);
}

// Takes bytes from the front of what is left, or says that there are too few.
class Cutter {
 public:
  explicit Cutter(ByteView bytes) : bytes_(bytes) {}
  bool empty() const { return at_ == bytes_.size(); }
  size_t at() const { return at_; }
  std::optional<ByteView> Take(size_t count) {
    if (count > bytes_.size() - at_) return std::nullopt;
    at_ += count;
    return bytes_.subspan(at_ - count, count);
  }
  template <class Number>
  std::optional<Number> TakeBe() {
    const auto bytes = Take(sizeof(Number));
    if (!bytes) return std::nullopt;
    return LoadBe<Number>(bytes->data());
  }

 private:
  ByteView bytes_;
  size_t at_ = 0;
};

// Gathers items, and closes a frame when it has enough.
class Framer {
 public:
  uint32_t begin() const { return static_cast<uint32_t>(frames_.size()); }
  void Add(ByteView item) {
    Append(content_, item);
    if (content_.size() >= kItemFrameBytes) Close();
  }
  Bytes Take() {
    Close();
    return std::move(frames_);
  }

 private:
  void Close() {
    if (content_.empty()) return;
    Append(frames_, PackFrame(content_));
    content_.clear();
  }
  Bytes frames_, content_;
};

}  // namespace

PackedObjects PackObjects(const ObjectKeyed& objects) {
  Framer framer;
  Bytes index;
  for (const auto& [key, bytes] : objects) {
    Bytes item = {static_cast<uint8_t>(key.first)};
    Append(item, key.second);
    Append(index, item);
    AppendBe(index, framer.begin());
    AppendBe(item, static_cast<uint32_t>(bytes.size()));
    Append(item, bytes);
    framer.Add(item);
  }
  return {framer.Take(), std::move(index)};
}

Bytes PackState(const StateNamed& state) {
  Framer framer;
  for (const auto& [name, value] : state) {
    Bytes item;
    AppendBe(item, static_cast<uint16_t>(name.size()));
    Append(item, AsBytes(name));
    AppendBe(item, static_cast<uint32_t>(value.size()));
    Append(item, value);
    framer.Add(item);
  }
  return framer.Take();
}

absl::StatusOr<std::vector<ObjectView>> ParseObjectFrame(ByteView content) {
  std::vector<ObjectView> out;
  Cutter in(content);
  while (!in.empty()) {
    const size_t start = in.at();
    const auto key = in.Take(kObjectKeyBytes);
    const auto shelf = key ? ShelfOf((*key)[0]) : std::nullopt;
    const auto length = shelf ? in.TakeBe<uint32_t>() : std::nullopt;
    const auto bytes =
        length && *length <= kStoredObjectBytesMax ? in.Take(*length) : std::optional<ByteView>();
    if (!bytes) return DataLoss("the object at byte ", start, " of its frame is malformed");
    const Oid oid = *Oid::From(key->subspan(1));
    if (!out.empty() && std::pair(out.back().shelf, out.back().oid) >= std::pair(*shelf, oid))
      return DataLoss("the object at byte ", start, " of its frame is out of order");
    out.push_back({*shelf, oid, *bytes});
  }
  return out;
}

absl::Status ParseStateFrame(ByteView content, StateNamed& into) {
  Cutter in(content);
  std::string before;
  while (!in.empty()) {
    const size_t start = in.at();
    const auto size = in.TakeBe<uint16_t>();
    const auto name =
        size && *size <= kStateNameBytesMax ? in.Take(*size) : std::optional<ByteView>();
    const auto length = name ? in.TakeBe<uint32_t>() : std::nullopt;
    const auto value =
        length && *length <= kStateValueBytesMax ? in.Take(*length) : std::optional<ByteView>();
    if (!value || name->empty() || (!before.empty() && before >= AsText(*name)))
      return DataLoss("the value at byte ", start, " of its frame is malformed");
    before = AsText(*name);
    into.insert_or_assign(before, Bytes(value->begin(), value->end()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ObjectPlace>> ParseObjectIndex(ByteView index) {
  if (index.size() % kObjectRowBytes != 0)
    return DataLoss("the index of the objects ends within a row");
  std::vector<ObjectPlace> out;
  out.reserve(index.size() / kObjectRowBytes);
  for (size_t at = 0; at < index.size(); at += kObjectRowBytes) {
    const auto shelf = ShelfOf(index[at]);
    const Oid oid = *Oid::From(index.subspan(at + 1, Oid::kSize));
    const bool ascends = shelf && (out.empty() || std::pair(out.back().shelf, out.back().oid) <
                                                      std::pair(*shelf, oid));
    if (!ascends) return DataLoss("row ", at / kObjectRowBytes, " of the index is malformed");
    out.push_back({*shelf, oid, LoadBe<uint32_t>(index.data() + at + kObjectKeyBytes)});
  }
  return out;
}

}  // namespace aqmesh::lineage
