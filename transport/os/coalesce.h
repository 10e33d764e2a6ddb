// Joins packets on their way into the TUN, so that the kernel takes up to 64 of them in one write
// and one trip through its stack: TCP segments by the rules of the kernel's own GRO, datagrams into
// USO super-packets. The reverse of Split. Pure.
// Spec:   spec/wire.md §4. Joined are packets of one flow whose headers differ in nothing but
//         lengths, checksums, sequence number, PSH on the last, and the IPv4 id; each checksum is
//         verified before, so that no damage is covered up; equal in size, only the last shorter.
//         With DF the id says nothing (RFC 6864 §4.1), without it the ids must count up.
// Order:  within a flow as it came. Between flows it may change inside one batch; a packet whose
//         flow cannot be told (fragment, options, other protocols) stays behind all before it and
//         before all after it.
// Bounds: kBatchMax packets a call, kRunsMax open runs (the oldest is closed for a new one),
//         kSegmentsMax packets and 65535 bytes a write.
// Thread: one owner. No clock: a run never outlives its batch.
// Cost:   no allocation after construction, no copy of a payload; a lone packet is looked at and
//         not summed (bench/micro/coalesce_bench.cc).
#ifndef AQMESH_TRANSPORT_OS_COALESCE_H_
#define AQMESH_TRANSPORT_OS_COALESCE_H_

#include <sys/uio.h>

#include <array>
#include <memory>
#include <span>

#include "transport/os/offload.h"

namespace aqmesh::os {

class Coalescer {
 public:
  static constexpr size_t kBatchMax = 512;    // what one turn of a driver brings, and some more
  static constexpr size_t kRunsMax = 8;       // flows that interleave; more gain little
  static constexpr size_t kSegmentsMax = 64;  // UDP_MAX_SEGMENTS of kernels before 6.9

  // One call of writev: the virtio header, then a packet as it came, or (packets > 1) new headers
  // and the payloads. The payloads lie in their packets, behind as many bytes as parts[1] has.
  struct Write {
    std::span<const iovec> parts;
    size_t packets = 1;
    uint32_t offload = 0;  // the kTunTso4 … kTunUso6 that it relies on; 0: none
  };

  // `offloads`: which super-packets may be made, of kTunTso4, kTunTso6, kTunUso4 and kTunUso6.
  explicit Coalescer(uint32_t offloads);
  ~Coalescer();
  Coalescer(const Coalescer&) = delete;
  Coalescer& operator=(const Coalescer&) = delete;

  // What to write, in this order, for a batch of at most kBatchMax packets, all of which it
  // contains. The answer is good until the next call, and while the packets stay where they are.
  std::span<const Write> Plan(std::span<const ByteView> packets);

  uint32_t offloads() const { return offloads_; }
  void Forbid(uint32_t offload) { offloads_ &= ~offload; }

 private:
  struct Look;
  struct Run;
  struct Scratch;

  void Take(uint32_t index);
  void Append(size_t slot, const Look& p, uint32_t index);
  void Open(const Look& p, uint32_t index);
  size_t Find(const Look& p) const;
  void Close(size_t slot);
  void CloseAll();
  void WriteAlone(ByteView packet);
  void WriteJoined(const Run& run);

  uint32_t offloads_;
  std::span<const ByteView> packets_;      // while Plan runs, and for its answer
  std::array<uint64_t, kRunsMax> tags_{};  // of the open runs; 0: the slot is free
  uint64_t order_ = 0;                     // their slots, a byte each, the oldest lowest
  size_t open_ = 0;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_COALESCE_H_
