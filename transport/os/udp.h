// The pair of UDP sockets, v4 and v6 on one port, that carries everything outside the overlay.
// Spec:   spec/wire.md §4: UDP_SEGMENT out, UDP_GRO in, sticky source by IP_PKTINFO, SO_MARK.
// Bounds: receive arena 4 x 64 KiB; at most 128 segments (64 on kernels
//         before 6.9: probed) and 65,507 bytes in one message.
// Thread: one owner. Errors: absl::Status when opening; per datagram, counters (a send error is a
// lost packet). Cost:   about 50 ns a datagram inside a GRO/GSO run, 600 (in) and 3,000 (out)
// alone.
#ifndef AQMESH_TRANSPORT_OS_UDP_H_
#define AQMESH_TRANSPORT_OS_UDP_H_

#include <memory>
#include <span>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/net.h"
#include "core/base/status.h"
#include "transport/os/fd.h"

namespace aqmesh::os {

// The local address a datagram came to, to answer from (sticky source). ifindex 0 = not known.
struct LocalSource {
  IpAddress address;
  uint32_t ifindex = 0;
  bool is_set() const { return ifindex != 0; }
  bool operator==(const LocalSource&) const = default;
};

// bytes borrows from the receive arena until the next Receive; it may be opened in place.
struct Datagram {
  MutableBytes bytes;
  Endpoint remote;
  LocalSource local = {};
  uint8_t tos = 0;  // outer TOS or traffic class
};

// local not set = let the kernel choose. segment not 0: a run, datagrams of so many bytes end to
// end in `bytes`, the last one perhaps shorter; at most 65,000 bytes.
struct OutDatagram {
  ByteView bytes;
  Endpoint remote;
  LocalSource local = {};
  uint8_t tos = 0;
  size_t segment = 0;
};

enum class Family : uint8_t { kV4, kV6 };

class UdpPair {
 public:
  static constexpr size_t kSegmentsMax = 128;
  struct Options {
    uint16_t port = 0;  // 0 = the kernel picks one that is free in both families
    uint32_t mark = 0;  // SO_MARK, 0 = none
    bool gso = true;    // UDP_SEGMENT and
    bool gro = true;    // UDP_GRO, where the kernel has them
    size_t buffer_bytes =
        7 * 1024 * 1024;  // asked by force (CAP_NET_ADMIN), else as the system allows
    bool shared = false;  // the port with other pairs of this program: UdpGroup
    size_t segments_max = kSegmentsMax;  // of one message, if the kernel takes as many
    bool touch = true;                   // the receive arena at once, and not as it is used
  };
  // One family may be missing on the machine; both missing is an error. AlreadyExists = port taken.
  static absl::StatusOr<std::unique_ptr<UdpPair>> Open(const Options& options);

  int fd(Family f) const { return side(f).fd.get(); }  // -1 where the family is missing
  uint16_t port() const { return port_; }
  absl::Status SetMark(uint32_t mark);  // needs CAP_NET_ADMIN
  absl::Status Share();                 // from now on others may be opened `shared` on its port

  // Appends what one recvmmsg gives (up to 4 buffers, each perhaps a GRO run, split here). Empties
  // nothing: clear `out` first. Returns false when the socket is drained. Truncated datagrams are
  // counted, not given.
  bool Receive(Family f, std::vector<Datagram>& out);

  // Sends in order; a run, and what can be made one (to one peer, equal sizes, the last perhaps
  // smaller), leaves as one GSO message. What the kernel refuses is lost and counted. EAGAIN loses
  // the rest: UDP's queue is the network's.
  void Send(std::span<const OutDatagram> batch);

  bool gso() const { return v4_.gso || v6_.gso; }
  size_t segments_max() const { return segments_max_; }  // of one message
  bool gro() const { return v4_.gro || v6_.gro; }

  struct Counters {
    uint64_t truncated = 0;       // MSG_TRUNC
    uint64_t send_refused = 0;    // unreachable, EPERM by a firewall, queue full ...
    uint64_t source_refused = 0;  // the sticky source was gone; sent again without it
    uint64_t gso_turned_off = 0;  // EIO on a GSO send: this family sends unsegmented from then on
  };
  const Counters& counters() const { return counters_; }

 private:
  struct Side {
    Fd fd;
    bool gso = false;
    bool gro = false;
  };
  struct Scratch;  // the headers, vectors and control buffers of one system call

 public:
  ~UdpPair();

 private:
  explicit UdpPair(size_t segments_max);
  const Side& side(Family f) const { return f == Family::kV4 ? v4_ : v6_; }
  Side& side(Family f) { return f == Family::kV4 ? v4_ : v6_; }
  std::span<const OutDatagram> Part(std::span<const OutDatagram> batch);
  void SendFamily(Family f, std::span<const OutDatagram> batch);
  size_t PackRuns(Family f, std::span<const OutDatagram> batch, size_t& consumed);
  void SendOneByOne(Family f, std::span<const OutDatagram> run);
  void SendOne(Family f, const OutDatagram& d);

  Side v4_;
  Side v6_;
  uint16_t port_ = 0;
  size_t segments_max_;
  std::vector<OutDatagram> parted_;  // runs that were too long for one message
  std::unique_ptr<uint8_t[]> receive_arena_;
  std::unique_ptr<Scratch> scratch_;
  Counters counters_;
};

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_UDP_H_
