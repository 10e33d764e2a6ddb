// A fixed arena of packets with room before and behind each: TUN reads fill it, the engine seals in
// place, and slots lie end to end as their datagrams will on the wire.
// Bounds: bytes and packet count fixed at construction; Reserve answers nullptr when either is used up.
// Thread: one owner. Cost: memory is touched once, at construction (a page fault is 1.5 us);
// Reserve is O(1).
#ifndef AQMESH_TRANSPORT_OS_ARENA_H_
#define AQMESH_TRANSPORT_OS_ARENA_H_

#include <memory>
#include <span>
#include <vector>

#include "core/base/bytes.h"

namespace aqmesh::os {

// The arena's headroom bytes before data, and `tailroom` bytes after data + size, belong to the
// slot too.
struct PacketSlot {
  uint8_t* data = nullptr;
  size_t size = 0;
  uint16_t tailroom = 0;
  bool follows = false;  // a segment of the super-packet that the slot before is of
  MutableBytes bytes() const { return {data, size}; }
};

class PacketArena {
 public:
  struct Options {
    size_t bytes = 384 * 1024;  // 5 super-packets of 64 KiB, their rooms, and slack
    size_t packets_max = 1024;
    size_t headroom = 32;  // frame header 16, transport header 16
    size_t tailroom = 16;  // of a packet that needs no padding: the tag
    // Packets up to this size are padded to 16 bytes but never above it, larger ones have room for
    // any padding. 0: all are padded.
    size_t mtu = 0;
  };
  explicit PacketArena(const Options& options);
  PacketArena(const PacketArena&) = delete;
  PacketArena& operator=(const PacketArena&) = delete;

  void SetMtu(size_t mtu) { options_.mtu = mtu; }  // of the slots from now on
  // A new slot of `size` bytes at the end; nullptr when it does not fit.
  uint8_t* Reserve(size_t size, bool follows = false);
  bool HasRoomFor(size_t count, size_t size_each) const;
  void Clear();
  std::span<PacketSlot> packets() { return slots_; }
  size_t headroom() const { return options_.headroom; }

 private:
  size_t Tailroom(size_t size) const;
  size_t Stride(size_t size) const { return options_.headroom + size + Tailroom(size); }

  Options options_;
  std::unique_ptr<uint8_t[]> memory_;
  size_t used_ = 0;
  std::vector<PacketSlot> slots_;
};

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_ARENA_H_
