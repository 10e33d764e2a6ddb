#include "core/authority/slot_book.h"

#include "core/base/status.h"

namespace aqmesh::authority {

namespace {

constexpr uint8_t kFormat = 1, kSlotCharter = 3, kSlotMax = 4;

// Takes fields from the front; a reader that ran out stays so and yields zeros.
class Fields {
 public:
  explicit Fields(ByteView bytes) : bytes_(bytes) {}
  ByteView Take(size_t size) {
    if (size > bytes_.size() - at_) short_ = true;
    if (short_) return {};
    at_ += size;
    return bytes_.subspan(at_ - size, size);
  }
  template <class T>
  T Number() {
    const ByteView b = Take(sizeof(T));
    return short_ ? T{0} : LoadBe<T>(b.data());
  }
  template <class Id>
  Id Fixed() {
    return Id::From(Take(Id::kSize)).value_or(Id{});
  }
  bool ran_out() const { return short_; }
  bool done() const { return at_ == bytes_.size(); }
  absl::Status Refuse(std::string_view rule) const {
    return InvalidArgument("slot book: at byte ", at_, ": ", rule);
  }

 private:
  ByteView bytes_;
  size_t at_ = 0;
  bool short_ = false;
};

}  // namespace

// Of a charter only the version after the one in force can be wanted.
size_t SlotBook::MaxOf(uint8_t slot) { return slot == kSlotCharter ? 1 : kNumbersMax; }

SlotBook::Answer SlotBook::Take(const Slot& slot, const Oid& target, uint64_t time) {
  if (slot.kind < 1 || slot.kind > kSlotMax) return {.why = "no such slot"};
  if (slot.number == 0) return {.why = "numbers count from 1"};
  const Place place{slot.kind, slot.id};
  const auto it = ids_.find(place);
  if (it == ids_.end()) {
    if (ids_.size() >= kIdsMax) return {.why = "the book is full"};
    ids_[place].votes.emplace(slot.number, Vote{target, time});
    return {.permit = Permit::kSign, .time = time, .why = {}};
  }
  Numbers& numbers = it->second;
  if (const auto known = numbers.votes.find(slot.number); known != numbers.votes.end()) {
    if (known->second.target != target) return {.why = "another answer was signed"};
    return {.permit = Permit::kSameAgain, .time = known->second.time, .why = {}};
  }
  const bool full = numbers.votes.size() >= MaxOf(slot.kind);
  if (slot.number <= numbers.floor || (full && slot.number < numbers.votes.begin()->first))
    return {.why = "what was signed under so old a number is forgotten"};
  if (full) {
    numbers.floor = numbers.votes.begin()->first;
    numbers.votes.erase(numbers.votes.begin());
  }
  numbers.votes.emplace(slot.number, Vote{target, time});
  return {.permit = Permit::kSign, .time = time, .why = {}};
}

Bytes SlotBook::Encode() const {
  Bytes out = {kFormat};
  AppendBe(out, static_cast<uint16_t>(ids_.size()));
  for (const auto& [place, numbers] : ids_) {
    out.push_back(place.first);
    Append(out, place.second);
    AppendBe(out, numbers.floor);
    out.push_back(static_cast<uint8_t>(numbers.votes.size()));
    for (const auto& [number, vote] : numbers.votes) {
      AppendBe(out, number);
      Append(out, vote.target);
      AppendBe(out, vote.time);
    }
  }
  return out;
}

absl::StatusOr<SlotBook> SlotBook::Decode(ByteView bytes) {
  Fields in(bytes);
  if (in.Number<uint8_t>() != kFormat) return in.Refuse("not format 1");
  const size_t ids = in.Number<uint16_t>();
  if (in.ran_out()) return in.Refuse("cut short");
  if (ids > kIdsMax) return in.Refuse("too many ids");
  SlotBook book;
  for (size_t i = 0; i < ids; ++i) {
    const uint8_t slot = in.Number<uint8_t>();
    const Place place{slot, in.Fixed<Kid>()};
    Numbers numbers{.floor = in.Number<uint64_t>(), .votes = {}};
    const size_t n = in.Number<uint8_t>();
    if (in.ran_out()) return in.Refuse("cut short");
    if (slot < 1 || slot > kSlotMax) return in.Refuse("no such slot");
    if (!book.ids_.empty() && place <= book.ids_.rbegin()->first)
      return in.Refuse("ids do not ascend");
    if (n < 1 || n > MaxOf(slot)) return in.Refuse("too few or too many numbers");
    if (numbers.floor != 0 && n < MaxOf(slot)) return in.Refuse("a floor where there is room");
    uint64_t last = numbers.floor;
    for (size_t j = 0; j < n; ++j) {
      const auto number = in.Number<uint64_t>();
      Vote vote{.target = in.Fixed<Oid>(), .time = 0};
      vote.time = in.Number<uint64_t>();
      if (in.ran_out()) return in.Refuse("cut short");
      if (number <= last) return in.Refuse("numbers do not ascend");
      numbers.votes.emplace(number, vote);
      last = number;
    }
    book.ids_.emplace(place, std::move(numbers));
  }
  if (!in.done()) return in.Refuse("bytes after the end");
  return book;
}

}  // namespace aqmesh::authority
