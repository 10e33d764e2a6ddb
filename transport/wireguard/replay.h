// Which transport counters were seen: a sliding window over a ring of bits.
// Spec:   RFC 6479; spec/wire.md §1.8. 8192 bits, of which 8128 are usable, because the newest word is
//         filled while the oldest is being cleared.
// Thread: one owner. Cost: O(1); a jump clears at most the ring.
#ifndef AQMESH_TRANSPORT_WIREGUARD_REPLAY_H_
#define AQMESH_TRANSPORT_WIREGUARD_REPLAY_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace aqmesh::wireguard {

inline constexpr uint64_t kRekeyAfterMessages = uint64_t{1} << 60;
inline constexpr uint64_t kRejectAfterMessages = UINT64_MAX - (uint64_t{1} << 13);
static_assert(kRejectAfterMessages == 0xffffffffffffffffULL - 8192, "2^64 - 2^13 - 1");
static_assert(kRekeyAfterMessages < kRejectAfterMessages);

class ReplayWindow {
 public:
  static constexpr uint64_t kBits = 8192;
  static constexpr uint64_t kWordBits = 64;
  static constexpr uint64_t kWindow = kBits - kWordBits;

  // Call only after the packet opened. False: too old, seen before, or at the reject limit; nothing
  // changes.
  bool Accept(uint64_t counter);
  // A look without effect: true if Accept would refuse. Drops replays before they cost an AEAD.
  bool Seen(uint64_t counter) const;

 private:
  static constexpr size_t kWords = kBits / kWordBits;
  uint64_t last_ = 0;
  std::array<uint64_t, kWords> ring_{};
};
static_assert(ReplayWindow::kWindow == 8128);

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_REPLAY_H_
