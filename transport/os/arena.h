// A fixed arena of packets with head and tail room: TUN reads fill it, the engine seals in place.
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

// `headroom` bytes before data and `tailroom` bytes after data+size belong to the slot too.
struct PacketSlot {
  uint8_t* data = nullptr;
  size_t size = 0;
  MutableBytes bytes() const { return {data, size}; }
};

class PacketArena {
 public:
  struct Options {
    size_t bytes =
        768 * 1024;  // 8 super-packets of 64 KiB, their rooms, and slack: stays inside L2
    size_t packets_max = 1024;
    size_t headroom = 64;  // frame header 16 + transport header 16, and alignment
    size_t tailroom = 48;  // padding 15 + tag 16, rounded up
  };
  explicit PacketArena(const Options& options);
  PacketArena(const PacketArena&) = delete;
  PacketArena& operator=(const PacketArena&) = delete;

  // A new slot of `size` bytes at the end; nullptr when it does not fit. Data starts 16-byte
  // aligned.
  uint8_t* Reserve(size_t size);
  void DropLast();            // undoes the last Reserve
  void DropTo(size_t count);  // keeps the first `count` slots
  bool HasRoomFor(size_t count, size_t size_each) const;
  void Clear();
  std::span<PacketSlot> packets() { return slots_; }
  size_t headroom() const { return options_.headroom; }
  size_t tailroom() const { return options_.tailroom; }

 private:
  size_t Stride(size_t size) const;

  Options options_;
  std::unique_ptr<uint8_t[]> memory_;
  size_t used_ = 0;
  std::vector<PacketSlot> slots_;
};

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_ARENA_H_
