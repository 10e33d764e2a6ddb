#include "transport/wireguard/outbox.h"

#include <algorithm>

namespace aqmesh::wireguard {

size_t Arena::Take(size_t n) {
  const size_t offset = used_;
  if (capacity_ - used_ < n) {
    const size_t grown = std::max({capacity_ * 2, used_ + n, size_t{64} * 1024});
    auto bigger = std::make_unique_for_overwrite<uint8_t[]>(grown);
    if (used_ != 0) std::memcpy(bigger.get(), data_.get(), used_);
    data_ = std::move(bigger);
    capacity_ = grown;
  }
  used_ += n;
  return offset;
}

void Outbox::AddDatagram(
    ByteView message, const Endpoint& to, const Source& from, uint8_t tos, PeerId peer) {
  const size_t offset = arena.Take(message.size());
  std::memcpy(arena.At(offset, message.size()).data(), message.data(), message.size());
  datagrams.push_back(
      {.to = to, .from = from, .tos = tos, .peer = peer, .offset = offset, .size = message.size()});
}

void Outbox::Clear() {
  arena.Clear();
  datagrams.clear();
  frames.clear();
  pending.clear();
  tun.clear();
  governed.clear();
  sessions.clear();
  orders.clear();
  listen_port.reset();
  fwmark.reset();
}

}  // namespace aqmesh::wireguard
