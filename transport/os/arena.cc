#include "transport/os/arena.h"

#include <algorithm>

namespace aqmesh::os {

namespace {
constexpr size_t kPad = 16;
}  // namespace

PacketArena::PacketArena(const Options& options) : options_(options) {
  memory_ = std::make_unique<uint8_t[]>(options_.bytes);  // zero filled: every page is touched now
  slots_.reserve(options_.packets_max);
}

size_t PacketArena::Tailroom(size_t size) const {
  size_t padded = (size + kPad - 1) & ~(kPad - 1);
  if (options_.mtu != 0)
    padded = size <= options_.mtu ? std::min(padded, options_.mtu) : size + kPad;
  return padded - size + options_.tailroom;
}

bool PacketArena::HasRoomFor(size_t count, size_t size_each) const {
  return slots_.size() + count <= options_.packets_max &&
         count * Stride(size_each) <= options_.bytes - used_;
}

uint8_t* PacketArena::Reserve(size_t size, bool follows) {
  if (size > options_.bytes || !HasRoomFor(1, size)) return nullptr;
  uint8_t* data = memory_.get() + used_ + options_.headroom;
  slots_.push_back({.data = data,
                    .size = size,
                    .tailroom = static_cast<uint16_t>(Tailroom(size)),
                    .follows = follows});
  used_ += Stride(size);
  return data;
}

void PacketArena::Clear() {
  used_ = 0;
  slots_.clear();
}

}  // namespace aqmesh::os
