#include "transport/os/arena.h"

#include <cstring>

#include "core/base/check.h"

namespace aqmesh::os {

namespace {
constexpr size_t kAlign = 16;
constexpr size_t AlignUp(size_t n) { return (n + kAlign - 1) & ~(kAlign - 1); }
}  // namespace

PacketArena::PacketArena(const Options& options) : options_(options) {
  options_.headroom = AlignUp(options_.headroom);
  memory_ = std::make_unique<uint8_t[]>(options_.bytes);  // zero filled: every page is touched now
  AQ_CHECK(reinterpret_cast<uintptr_t>(memory_.get()) % kAlign == 0);
  slots_.reserve(options_.packets_max);
}

size_t PacketArena::Stride(size_t size) const {
  return AlignUp(options_.headroom + size + options_.tailroom);
}

bool PacketArena::HasRoomFor(size_t count, size_t size_each) const {
  return slots_.size() + count <= options_.packets_max &&
         count * Stride(size_each) <= options_.bytes - used_;
}

uint8_t* PacketArena::Reserve(size_t size) {
  if (size > options_.bytes || !HasRoomFor(1, size)) return nullptr;
  uint8_t* data = memory_.get() + used_ + options_.headroom;
  used_ += Stride(size);
  slots_.push_back({data, size});
  return data;
}

void PacketArena::DropLast() {
  AQ_CHECK(!slots_.empty());
  used_ -= Stride(slots_.back().size);
  slots_.pop_back();
}

void PacketArena::DropTo(size_t count) {
  while (slots_.size() > count) DropLast();
}

void PacketArena::Clear() {
  used_ = 0;
  slots_.clear();
}

}  // namespace aqmesh::os
