#include "transport/wireguard/outbox.h"

#include <cstring>

#include "transport/wireguard/packet.h"

namespace aqmesh::wireguard {

uint8_t* Arena::Take(size_t n) {
  while (block_ < blocks_.size() && blocks_[block_].size - used_ < n) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    const size_t size = std::max(n, blocks_.empty() ? kBlock : 2 * blocks_.back().size);
    blocks_.push_back({.bytes = std::make_unique_for_overwrite<uint8_t[]>(size), .size = size});
  }
  used_ += n;
  return blocks_[block_].bytes.get() + used_ - n;
}

void Arena::Clear() { block_ = used_ = 0; }

void Outbox::AddDatagram(
    ByteView message, const Endpoint& to, const Source& from, uint8_t tos, PeerId peer) {
  uint8_t* const data = arena.Take(message.size());
  std::memcpy(data, message.data(), message.size());
  datagrams.push_back(
      {.to = to, .from = from, .tos = tos, .peer = peer, .data = data, .size = message.size()});
}

void Outbox::Clear() {
  arena.Clear();
  datagrams.clear();
  frames.clear();
  pending.clear();
  pending_sessions.clear();
  held_sessions.clear();
  tun.clear();
  governed.clear();
  sessions.clear();
  orders.clear();
  listen_port.reset();
  fwmark.reset();
}

void SignalCongestion(std::vector<TunPacket>& packets) {
  if (packets.empty()) return;
  const size_t middle = packets.size() / 2;
  if (CombineEcn(kCongestionExperienced, packets[middle].bytes)) return;
  // What followed it follows what it followed.
  if (middle + 1 < packets.size() && packets[middle + 1].follows)
    packets[middle + 1].follows = packets[middle].follows;
  packets.erase(packets.begin() + static_cast<ptrdiff_t>(middle));
}

void SignalCongestion(std::vector<OutPacket>& packets) {
  if (packets.empty()) return;
  const auto middle = packets.begin() + static_cast<ptrdiff_t>(packets.size() / 2);
  if (!CombineEcn(kCongestionExperienced, {middle->data, middle->size})) packets.erase(middle);
}

}  // namespace aqmesh::wireguard
