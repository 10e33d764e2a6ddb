#include "transport/frame/assembler.h"

#include <algorithm>

#include "core/base/check.h"

namespace aqmesh::frame {

Drop ObjectAssembler::Add(Instant now,
                          const PeerKey& peer,
                          const Piece& piece,
                          std::optional<Bytes>& finished) {
  finished.reset();
  AQ_CHECK(piece.total <= authority::kObjectBytesMax);
  AQ_CHECK(piece.offset % options_.piece_bytes == 0 &&
           piece.offset + piece.data.size() <= piece.total);
  Expire(now);
  const auto key = std::pair(peer, piece.ref);
  auto it = slots_.find(key);
  if (it == slots_.end()) {
    if (slots_.size() >= options_.objects_max || bytes_ + piece.total > options_.bytes_max ||
        BytesOf(peer) + piece.total > options_.peer_bytes_max) {
      return Drop::kFragmentBudget;
    }
    it = slots_.try_emplace(key, Slot{.born = now, .object = Bytes(piece.total)}).first;
    bytes_ += piece.total;
  }
  Slot& slot = it->second;
  if (slot.object.size() != piece.total) {
    Erase(it);
    return Drop::kFragmentConflict;
  }
  const size_t index = piece.offset / options_.piece_bytes;  // at most 16,383 / 1,064 = 15
  const MutableBytes place = MutableBytes(slot.object).subspan(piece.offset, piece.data.size());
  if ((slot.have >> index & 1) != 0) {
    if (Equal(place, piece.data)) return Drop::kNone;
    Erase(it);
    return Drop::kFragmentConflict;
  }
  std::copy(piece.data.begin(), piece.data.end(), place.begin());
  slot.have |= uint32_t{1} << index;
  const size_t pieces = (piece.total + options_.piece_bytes - 1) / options_.piece_bytes;
  if (slot.have == (uint32_t{1} << pieces) - 1) {
    finished = std::move(slot.object);
    bytes_ -= piece.total;
    slots_.erase(it);
  }
  return Drop::kNone;
}

void ObjectAssembler::Forget(const PeerKey& peer) {
  auto it = slots_.lower_bound({peer, Ref16{}});
  while (it != slots_.end() && it->first.first == peer) it = Erase(it);
}

void ObjectAssembler::Expire(Instant now) {
  for (auto it = slots_.begin(); it != slots_.end();) {
    it = now - it->second.born >= options_.life ? Erase(it) : std::next(it);
  }
}

Instant ObjectAssembler::NextExpiry() const {
  Instant next = kNever;
  for (const auto& [key, slot] : slots_) next = std::min(next, After(slot.born, options_.life));
  return next;
}

ObjectAssembler::Slots::iterator ObjectAssembler::Erase(Slots::iterator it) {
  bytes_ -= it->second.object.size();
  return slots_.erase(it);
}

size_t ObjectAssembler::BytesOf(const PeerKey& peer) const {
  size_t bytes = 0;
  for (auto it = slots_.lower_bound({peer, Ref16{}}); it != slots_.end() && it->first.first == peer;
       ++it) {
    bytes += it->second.object.size();
  }
  return bytes;
}

Drop VectorAssembler::Add(uint32_t request, const VectorPart& part) {
  AQ_CHECK(part.part < part.parts);
  if (request != request_ || part.parts != parts_) {
    request_ = request;
    parts_ = part.parts;
    got_ = 0;
    rows_.assign(parts_, std::nullopt);
  }
  const std::vector<Row> rows(part.view().begin(), part.view().end());
  std::optional<std::vector<Row>>& place = rows_[part.part];
  if (place) return *place == rows ? Drop::kNone : Drop::kFragmentConflict;
  const auto after = [this, &part, &rows] {  // the neighbours that came bound this part
    for (size_t i = 0; i < parts_; ++i) {
      if (!rows_[i] || rows_[i]->empty() || rows.empty()) continue;
      const bool in_order = i < part.part ? RowBefore(rows_[i]->back(), rows.front())
                                          : RowBefore(rows.back(), rows_[i]->front());
      if (!in_order) return false;
    }
    return true;
  };
  if (!after()) return Drop::kFragmentConflict;
  place = rows;
  ++got_;
  return Drop::kNone;
}

std::vector<Row> VectorAssembler::Rows() const {
  AQ_CHECK(complete());
  std::vector<Row> all;
  for (const auto& part : rows_) all.insert(all.end(), part->begin(), part->end());
  return all;
}

}  // namespace aqmesh::frame
