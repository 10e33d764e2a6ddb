// What one key voted for, so that it never votes for two answers to one question. Asked before
// every signature.
// Spec:   spec/quorum.md §7 (the witness rule).
// Wire:   u8 1 · BE16 ids · each, ascending by (slot, id): u8 slot, id 16, BE64 floor, u8 n, n
// times ascending: BE64 number,
//         target 32, BE64 time. Nothing after it.
// Bounds: kIdsMax ids, kNumbersMax numbers an id (of a charter's versions the newest alone). A full id gives up its lowest
//         number and refuses all up to it from then on; a full book refuses new ids.
// Thread: a value. Errors: Decode: InvalidArgument, with the byte. Cost: O(log ids).
#ifndef AQMESH_CORE_AUTHORITY_SLOT_BOOK_H_
#define AQMESH_CORE_AUTHORITY_SLOT_BOOK_H_

#include <map>

#include "core/authority/quorum.h"

namespace aqmesh::authority {

enum class Permit : uint8_t {
  kSign,       // written down now: make the book durable, then sign
  kSameAgain,  // signed before: sign the same bytes again, with the time given
  kRefuse,
};

class SlotBook {
 public:
  static constexpr size_t kIdsMax = 1'024, kNumbersMax = 8;

  struct Answer {
    Permit permit = Permit::kRefuse;
    uint64_t time = 0;     // to put into the vote; nothing if refused
    std::string_view why;  // it was refused; lives for ever
  };
  // May this key sign that `target` answers `slot`? If so it is written down: whatever becomes of
  // the signature, no other target gets one. `time` is that of a new vote, in seconds. The book
  // does not know what the question means: who asks has checked first that the number is real. It
  // goes along when its key rotates.
  Answer Take(const Slot& slot, const Oid& target, uint64_t time);

  Bytes Encode() const;
  static absl::StatusOr<SlotBook> Decode(ByteView bytes);  // what Encode writes, and nothing else
  size_t size() const { return ids_.size(); }
  bool operator==(const SlotBook&) const = default;

 private:
  using Place = std::pair<uint8_t, Kid>;  // slot and id; a number is used once whatever the scope
  struct Vote {
    Oid target;
    uint64_t time = 0;
    bool operator==(const Vote&) const = default;
  };
  struct Numbers {
    uint64_t floor = 0;  // up to here all is refused
    std::map<uint64_t, Vote> votes;
    bool operator==(const Numbers&) const = default;
  };
  static size_t MaxOf(uint8_t slot);

  std::map<Place, Numbers> ids_;
};

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_SLOT_BOOK_H_
