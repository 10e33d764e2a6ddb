#include "transport/wireguard/replay.h"

#include <algorithm>

namespace aqmesh::wireguard {

bool ReplayWindow::Seen(uint64_t counter) const {
  if (counter >= kRejectAfterMessages) return true;
  if (counter > last_) return false;
  if (last_ - counter > kWindow) return true;
  return (ring_[(counter / kWordBits) % kWords] >> (counter % kWordBits) & 1) != 0;
}

bool ReplayWindow::Accept(uint64_t counter) {
  if (Seen(counter)) return false;
  const uint64_t block = counter / kWordBits;
  if (counter > last_) {
    const uint64_t last_block = last_ / kWordBits;
    const uint64_t ahead = std::min<uint64_t>(block - last_block, kWords);
    for (uint64_t i = 1; i <= ahead; ++i) ring_[(last_block + i) % kWords] = 0;
    last_ = counter;
  }
  ring_[block % kWords] |= uint64_t{1} << (counter % kWordBits);
  return true;
}

}  // namespace aqmesh::wireguard
