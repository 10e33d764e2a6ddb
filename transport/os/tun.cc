#include "transport/os/tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <thread>

#include "core/base/check.h"

namespace aqmesh::os {

namespace {

constexpr const char* kTunNode = "/dev/net/tun";
constexpr uint32_t kOffloadLadder[] = {kTunOffloads, kTunCsum | kTunTso4 | kTunTso6, kTunCsum};

absl::StatusOr<ifreq> QueryInterface(int fd) {
  ifreq r{};
  if (::ioctl(fd, TUNGETIFF, &r) < 0) {
    return ErrnoStatus(errno,
                       Join("TUN descriptor ", fd, ": asking its name"),
                       "the device may have been deleted, or the descriptor is not a TUN");
  }
  return r;
}

absl::StatusOr<uint32_t> MtuHere(const ifreq& named) {
  Fd s(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!s.valid()) return ErrnoStatus(errno, "opening a socket to ask the MTU");
  ifreq r = named;
  if (::ioctl(s.get(), SIOCGIFMTU, &r) < 0)
    return ErrnoStatus(errno, Join("interface ", named.ifr_name, ": asking its MTU"));
  return static_cast<uint32_t>(r.ifr_mtu);
}

// A socket belongs to the namespace its thread was in, so a short-lived thread enters the device's.
absl::StatusOr<uint32_t> MtuInNamespaceOf(int tun_fd, const ifreq& named) {
  Fd netns(::ioctl(tun_fd, TUNGETDEVNETNS, 0));
  if (!netns.valid()) return ErrnoStatus(errno, "asking the TUN's network namespace");
  absl::StatusOr<uint32_t> mtu(0u);
  std::thread([&mtu, &netns, &named] {
    mtu = ::setns(netns.get(), CLONE_NEWNET) == 0
              ? MtuHere(named)
              : absl::StatusOr<uint32_t>(ErrnoStatus(
                    errno, "entering the TUN's network namespace", "needs CAP_SYS_ADMIN"));
  }).join();
  return mtu;
}

absl::StatusOr<Fd> OpenQueue(const Tun::Options& options,
                             const std::string& name,
                             bool multi_queue) {
  Fd fd(::open(kTunNode, O_RDWR | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoStatus(errno,
                       Join("opening ", kTunNode),
                       "load the tun module (modprobe tun) and run with CAP_NET_ADMIN");
  }
  ifreq r{};
  std::memcpy(r.ifr_name, name.data(), name.size());
  const int flags = IFF_TUN | IFF_NO_PI | (options.offload ? IFF_VNET_HDR : 0) |
                    (multi_queue ? IFF_MULTI_QUEUE : 0);
  r.ifr_flags = static_cast<short>(flags);
  if (::ioctl(fd.get(), TUNSETIFF, &r) == 0) return fd;
  const int err = errno;
  return ErrnoStatus(
      err,
      Join("interface ", name, ": creating the TUN"),
      err == EBUSY ? "an interface of that name exists: choose another or delete it (ip link del)"
                   : "run with CAP_NET_ADMIN, and check the name");
}

// The same for both directions of a flow.
uint32_t FlowHash(ByteView packet) {
  if (packet.empty()) return 0;
  const bool v6 = packet[0] >> 4 == 6;
  const size_t header = v6 ? 40 : size_t{packet[0] & 0x0fu} * 4;
  if (packet.size() < (v6 ? 40u : 20u)) return 0;
  const uint8_t protocol = packet[v6 ? 6 : 9];
  uint32_t sum = protocol;
  for (size_t at = v6 ? 8 : 12; at < (v6 ? 40u : 20u); at += 4)
    sum += LoadBe<uint32_t>(packet.data() + at);
  const bool fragment = !v6 && (LoadBe<uint16_t>(packet.data() + 6) & 0x3fff) != 0;
  const bool ports = (protocol == 6 || protocol == 17) && !fragment;
  if (ports && packet.size() >= header + 4) {
    sum += uint32_t{LoadBe<uint16_t>(packet.data() + header)} +
           LoadBe<uint16_t>(packet.data() + header + 2);
  }
  return (sum * 0x9e3779b1u) >> 16;
}

}  // namespace

Tun::Tun(std::vector<Fd> fds, bool vnet_header) : fds_(std::move(fds)), vnet_header_(vnet_header) {}

absl::StatusOr<std::unique_ptr<Tun>> Tun::Open(const Options& options) {
  if (options.name.size() > kInterfaceNameMax || options.name.find('/') != std::string::npos) {
    return InvalidArgument(
        "interface name \"", options.name, "\": use at most 15 characters and no slash");
  }
  AQ_CHECK(options.queues >= 1 && options.queues <= kQueuesMax);
  std::vector<Fd> fds;
  std::string name = options.name;
  const bool multi_queue = options.multi_queue || options.queues > 1;
  absl::StatusOr<Fd> first = OpenQueue(options, name, multi_queue);
  uint32_t queues = options.queues;
  if (absl::IsInvalidArgument(first.status()) && multi_queue && !options.multi_queue) {
    // Somebody made the interface beforehand, with one queue.
    first = OpenQueue(options, name, false);
    queues = 1;
  }
  AQ_RETURN_IF_ERROR(first.status());
  AQ_ASSIGN_OR_RETURN(const ifreq made, QueryInterface(first->get()));
  name.assign(made.ifr_name, strnlen(made.ifr_name, IFNAMSIZ));
  fds.push_back(*std::move(first));
  while (fds.size() < queues) {
    AQ_ASSIGN_OR_RETURN(Fd fd, OpenQueue(options, name, true));
    fds.push_back(std::move(fd));
  }
  std::unique_ptr<Tun> tun(new Tun(std::move(fds), options.offload));
  AQ_RETURN_IF_ERROR(tun->Prepare(options.offloads));
  return tun;
}

absl::StatusOr<std::unique_ptr<Tun>> Tun::Adopt(std::vector<Fd> queues, uint32_t offloads) {
  AQ_CHECK(!queues.empty() && queues.size() <= kQueuesMax);
  bool vnet_header = false;
  for (const Fd& fd : queues) {
    AQ_ASSIGN_OR_RETURN(const ifreq r, QueryInterface(fd.get()));
    const unsigned flags = static_cast<unsigned short>(r.ifr_flags);
    if ((flags & IFF_TUN) == 0 || (flags & IFF_NO_PI) == 0) {
      return InvalidArgument(
          "passed TUN descriptor of ", r.ifr_name, ": must be opened with IFF_TUN and IFF_NO_PI");
    }
    vnet_header = (flags & IFF_VNET_HDR) != 0;  // the device's, so the same for all
  }
  std::unique_ptr<Tun> tun(new Tun(std::move(queues), vnet_header));
  AQ_RETURN_IF_ERROR(tun->Prepare(offloads));
  return tun;
}

absl::Status Tun::Prepare(uint32_t offloads) {
  for (const Fd& fd : fds_) AQ_RETURN_IF_ERROR(SetNonBlocking(fd.get()));
  read_buffer_ = std::make_unique<uint8_t[]>(kReadMax);
  if (!vnet_header_) return absl::OkStatus();
  int header_size = kVnetHeaderSize;  // an earlier owner may have chosen 12
  if (::ioctl(fd(), TUNSETVNETHDRSZ, &header_size) < 0) {
    return ErrnoStatus(errno, "TUN: setting the size of the virtio header");
  }
  for (const uint32_t rung : kOffloadLadder) {
    const unsigned long wanted = rung & offloads;
    if (::ioctl(fd(), TUNSETOFFLOAD, wanted) == 0) {
      offload_flags_ = static_cast<uint32_t>(wanted);
      break;
    }
  }
  coalescer_ = std::make_unique<Coalescer>(offload_flags_);
  return absl::OkStatus();
}

TunState Tun::ReadBatch(PacketArena& arena, size_t reads_max) {
  bool full = pending_ != 0 && ReadInto(arena) == TunState::kOk;
  // A queue that nobody looked at is not known to be empty.
  uint32_t fresh = std::exchange(ready_, 0) & ~busy_;
  if (fresh == 0 && busy_ == 0) fresh = (1u << fds_.size()) - 1;
  while (!full && reads_max != 0 && (fresh | busy_) != 0) {
    size_t queue = 0;
    if (fresh != 0) {
      queue = static_cast<size_t>(std::countr_zero(fresh));
      fresh &= fresh - 1;
    } else {
      const uint32_t later = busy_ & ~((1u << next_busy_) - 1);
      queue = static_cast<size_t>(std::countr_zero(later != 0 ? later : busy_));
      next_busy_ = (queue + 1) % fds_.size();
    }
    const TunState state = ReadQueue(queue, arena, reads_max, full);
    if (state == TunState::kGone) return state;
    busy_ = state == TunState::kDrained ? busy_ & ~(1u << queue) : busy_ | 1u << queue;
  }
  ready_ |= fresh;
  return full || (ready_ | busy_) != 0 ? TunState::kOk : TunState::kDrained;
}

// One queue's turn. kOk: there may be more in it.
TunState Tun::ReadQueue(size_t queue, PacketArena& arena, size_t& reads_left, bool& full) {
  size_t bytes = 0;
  for (size_t i = 0; i < kQuantumReads && bytes < kQuantumBytes && reads_left != 0; ++i) {
    const ssize_t n = ::read(fds_[queue].get(), read_buffer_.get(), kReadMax);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN ? TunState::kDrained : TunState::kGone;
    --reads_left;
    pending_ = static_cast<size_t>(n);
    bytes += pending_;
    full = ReadInto(arena) == TunState::kOk;  // then what is pending waits
    if (full) break;
  }
  return TunState::kOk;
}

// Moves read_buffer_ into the arena. kOk: no room left now; kDrained: consumed.
TunState Tun::ReadInto(PacketArena& arena) {
  const size_t skip = vnet_header_ ? kVnetHeaderSize : 0;
  const size_t size = pending_;
  if (size < skip) {
    ++counters_.read_malformed;
    pending_ = 0;
    return TunState::kDrained;
  }
  VnetHeader h;
  if (vnet_header_)
    h = ParseVnetHeader(
        std::span<const uint8_t, kVnetHeaderSize>(read_buffer_.get(), kVnetHeaderSize));
  const OffloadDrop why = Split(h, MutableBytes(read_buffer_.get() + skip, size - skip), arena);
  if (why == OffloadDrop::kArenaFull && !arena.packets().empty()) {
    return TunState::kOk;
  }
  pending_ = 0;
  if (why == OffloadDrop::kArenaFull) ++counters_.read_no_room;
  if (why != OffloadDrop::kNone && why != OffloadDrop::kArenaFull) ++counters_.read_malformed;
  return TunState::kDrained;
}

TunState Tun::WritePackets(std::span<const ByteView> packets) {
  if (!vnet_header_) {
    for (const ByteView p : packets) {
      if (WriteAlone(p) == TunState::kGone) return TunState::kGone;
    }
    return TunState::kOk;
  }
  while (!packets.empty()) {
    const size_t count = std::min(packets.size(), Coalescer::kBatchMax);
    for (const Coalescer::Write& w : coalescer_->Plan(packets.first(count))) {
      const iovec& head = w.parts[1];
      const int fd = FdFor({static_cast<const uint8_t*>(head.iov_base), head.iov_len});
      if (::writev(fd, w.parts.data(), static_cast<int>(w.parts.size())) >= 0) continue;
      const TunState state = w.packets > 1 && errno == EINVAL ? WriteApart(w) : Refused(w.packets);
      if (state == TunState::kGone) return state;
    }
    packets = packets.subspan(count);
  }
  return TunState::kOk;
}

// Of a write that failed with `errno`.
TunState Tun::Refused(size_t packets) {
  if (errno == EBADFD || errno == EBADF) return TunState::kGone;
  // EIO while down, EINVAL for no IP version, ENOBUFS or EAGAIN when full
  counters_.write_refused += packets;
  return TunState::kOk;
}

int Tun::FdFor(ByteView packet) const {
  return fds_[fds_.size() == 1 ? 0 : FlowHash(packet) % fds_.size()].get();
}

TunState Tun::WriteAlone(ByteView packet) {
  std::array<uint8_t, kVnetHeaderSize> vnet{};
  const std::array<iovec, 2> parts = {
      iovec{.iov_base = vnet.data(), .iov_len = vnet_header_ ? vnet.size() : 0},
      iovec{.iov_base = const_cast<uint8_t*>(packet.data()), .iov_len = packet.size()}};
  return ::writev(FdFor(packet), parts.data(), parts.size()) < 0 ? Refused(1) : TunState::kOk;
}

// Some kernels accept an offload and then refuse its super-packets (6.6.44 and others of its summer
// did, torvalds/linux e269d79c7d35). No packet is lost to that, and none of this kind is tried
// again.
TunState Tun::WriteApart(const Coalescer::Write& joined) {
  ++counters_.joined_refused;
  coalescer_->Forbid(joined.offload);
  const size_t head_size = joined.parts[1].iov_len;
  for (const iovec& payload : joined.parts.subspan(2)) {
    const auto* packet = static_cast<const uint8_t*>(payload.iov_base) - head_size;
    if (WriteAlone({packet, head_size + payload.iov_len}) == TunState::kGone)
      return TunState::kGone;
  }
  return TunState::kOk;
}

bool Tun::IsUp() const {
  pollfd p{.fd = fd(), .events = POLLOUT, .revents = 0};
  return ::poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0 && (p.revents & POLLERR) == 0;
}

absl::StatusOr<std::string> Tun::Name() const {
  AQ_ASSIGN_OR_RETURN(const ifreq r, QueryInterface(fd()));
  return std::string(r.ifr_name, strnlen(r.ifr_name, IFNAMSIZ));
}

bool Tun::InOtherNamespace() const {
  Fd theirs(::ioctl(fd(), TUNGETDEVNETNS, 0));
  struct stat a{}, b{};
  if (!theirs.valid() || ::fstat(theirs.get(), &a) < 0 || ::stat("/proc/self/ns/net", &b) < 0)
    return false;
  return a.st_ino != b.st_ino || a.st_dev != b.st_dev;
}

absl::StatusOr<uint32_t> Tun::Mtu() const {
  AQ_ASSIGN_OR_RETURN(const ifreq r, QueryInterface(fd()));
  return InOtherNamespace() ? MtuInNamespaceOf(fd(), r) : MtuHere(r);
}

}  // namespace aqmesh::os
