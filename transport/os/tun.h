// The TUN device: packets of the overlay, to and from the kernel.
// Spec:   spec/wire.md §4. Opened with IFF_VNET_HDR, TSO and, where the kernel has it, USO, so that one
//         read may carry a 64 KiB super-packet, which is split into the caller's arena.
// Thread: one owner (the data thread). Errors: absl::Status when opening; enum results per batch.
// Cost:   reading, 35 ns a packet inside a super-packet, 480 alone; writing, 50 to 400 inside one,
//         1300 alone: the trip through the stack, which only a super-packet shares.
#ifndef AQMESH_TRANSPORT_OS_TUN_H_
#define AQMESH_TRANSPORT_OS_TUN_H_

#include <array>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "transport/os/arena.h"
#include "transport/os/coalesce.h"
#include "transport/os/fd.h"
#include "transport/os/offload.h"

namespace aqmesh::os {

inline constexpr size_t kInterfaceNameMax = 15;

// The longest super-packet whose segments, each `overhead` bytes longer on the underlay, still
// leave in one UDP_SEGMENT message: a longer one would send its last few segments in a message of
// their own. 0: leave the kernel's. Set it on the interface (Netlink::SetGsoMax).
constexpr uint32_t GsoMaxFor(uint32_t mtu, uint32_t overhead) {
  constexpr uint32_t kPayloadMax = 65'507;  // a UDP payload over IPv4
  constexpr uint32_t kInnerHeaders = 52;    // IPv4 and TCP with timestamps, the least in use
  if (mtu < 576 || mtu > kPayloadMax / 2) return 0;
  const uint32_t segments = kPayloadMax / (mtu + overhead);
  return segments * (mtu - kInnerHeaders) + 100;  // with the headers, which are there once
}

enum class TunState : uint8_t {
  kOk,       // budget or arena used up: there may be more
  kDrained,  // nothing more to read now
  kGone,     // the device was deleted: give up
};

class Tun {
 public:
  struct Options {
    std::string name;     // "" or "aq%d" lets the kernel number it
    bool offload = true;  // false: no virtio header at all (one packet a read)
    // More descriptors may be opened on the same name, a queue each. All of them, with this set.
    bool multi_queue = false;
    // Descriptors of this Tun itself, up to kQueuesMax: the kernel puts each flow into one of their
    // queues. One, where the interface was there already and has one.
    uint32_t queues = 1;
    // Which offloads may be asked for, kTunCsum … kTunUso6, in both directions.
    uint32_t offloads = kTunOffloads;
  };
  // Needs CAP_NET_ADMIN. The device goes when the last descriptor closes. It starts down.
  static absl::StatusOr<std::unique_ptr<Tun>> Open(const Options& options);
  // Takes a descriptor that another process opened (with or without IFF_VNET_HDR: asked by
  // TUNGETIFF). `offloads` are asked for anew, and those that the opener had beyond them end; a
  // process without CAP_NET_ADMIN may do so on an attached descriptor.
  static absl::StatusOr<std::unique_ptr<Tun>> Adopt(Fd fd, uint32_t offloads = kTunOffloads) {
    std::vector<Fd> queues;
    queues.push_back(std::move(fd));
    return Adopt(std::move(queues), offloads);
  }
  static absl::StatusOr<std::unique_ptr<Tun>> Adopt(std::vector<Fd> queues,
                                                    uint32_t offloads = kTunOffloads);
  static constexpr size_t kQueuesMax = 16;

  size_t queues() const { return fds_.size(); }
  // Readable: packets. Of the first: writable: the interface is up; error: it is gone.
  int fd(size_t queue = 0) const { return fds_[queue].get(); }
  // Hands the descriptors over (to pass them to another process).
  std::vector<Fd> Detach() { return std::exchange(fds_, {}); }

  // The driver found the queue readable. Where there are several and none was found so, the next
  // read looks into all.
  void SetReadable(size_t queue) { ready_ |= 1u << queue; }
  // Reads up to `reads_max` times. Packets are appended to `arena`, finished (Split). Malformed
  // ones are counted. Sparse flows go first: a queue that was empty before is read before those
  // that were not, and these take turns of kQuantumBytes or kQuantumReads (as RFC 8290 has it, with
  // the kernel's queues for its own).
  TunState ReadBatch(PacketArena& arena, size_t reads_max);
  // Writes the packets, joined into super-packets where they allow it (coalesce.h). What the kernel
  // refuses (down, malformed, queue full) is counted and skipped. A flow is written by one of the
  // descriptors, and the kernel brings what comes back to its queue.
  TunState WritePackets(std::span<const ByteView> packets);

  bool IsUp() const;  // POLLOUT: follows the interface even into another namespace
  absl::StatusOr<std::string> Name() const;  // follows renames
  absl::StatusOr<uint32_t> Mtu()
      const;  // follows moves to another network namespace (needs CAP_SYS_ADMIN there)
  bool InOtherNamespace() const;  // no link event of ours will tell about it: poll
  // What TUNSETOFFLOAD accepted of the offloads that were allowed.
  uint32_t offload_flags() const { return offload_flags_; }

  struct Counters {
    uint64_t read_malformed = 0;  // virtio header contradicting its packet
    uint64_t read_no_room = 0;    // a super-packet larger than the whole arena
    uint64_t write_refused = 0;
    uint64_t joined_refused = 0;  // super-packets, whose packets were then written one by one
  };
  const Counters& counters() const { return counters_; }

 private:
  Tun(std::vector<Fd> fds, bool vnet_header);
  absl::Status Prepare(uint32_t offloads);
  TunState ReadQueue(size_t queue, PacketArena& arena, size_t& reads_left, bool& full);
  TunState ReadInto(PacketArena& arena);
  int FdFor(ByteView packet) const;
  TunState WriteAlone(ByteView packet);
  TunState WriteApart(const Coalescer::Write& joined);
  TunState Refused(size_t packets);

  static constexpr size_t kReadMax = 65535 + kVnetHeaderSize;
  static constexpr size_t kQuantumBytes = 60'000, kQuantumReads = 64;

  std::vector<Fd> fds_;
  uint32_t ready_ = 0;    // queues that were found readable
  uint32_t busy_ = 0;     // queues that were left with something in them
  size_t next_busy_ = 0;  // whose turn it is among them
  bool vnet_header_ = false;
  uint32_t offload_flags_ = 0;
  std::unique_ptr<uint8_t[]> read_buffer_;
  size_t pending_ = 0;  // bytes in read_buffer_ that did not fit the arena last time
  std::unique_ptr<Coalescer> coalescer_;  // none without a virtio header
  Counters counters_;
};

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_TUN_H_
