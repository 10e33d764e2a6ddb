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
#include <cerrno>
#include <cstring>
#include <thread>

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

}  // namespace

Tun::Tun(Fd fd, bool vnet_header) : fd_(std::move(fd)), vnet_header_(vnet_header) {}

absl::StatusOr<std::unique_ptr<Tun>> Tun::Open(const Options& options) {
  if (options.name.size() > kInterfaceNameMax || options.name.find('/') != std::string::npos) {
    return InvalidArgument(
        "interface name \"", options.name, "\": use at most 15 characters and no slash");
  }
  Fd fd(::open(kTunNode, O_RDWR | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoStatus(errno,
                       Join("opening ", kTunNode),
                       "load the tun module (modprobe tun) and run with CAP_NET_ADMIN");
  }
  ifreq r{};
  std::memcpy(r.ifr_name, options.name.data(), options.name.size());
  const int flags = IFF_TUN | IFF_NO_PI | (options.offload ? IFF_VNET_HDR : 0) |
                    (options.multi_queue ? IFF_MULTI_QUEUE : 0);
  r.ifr_flags = static_cast<short>(flags);
  if (::ioctl(fd.get(), TUNSETIFF, &r) < 0) {
    const int err = errno;
    return ErrnoStatus(
        err,
        Join("interface ", options.name, ": creating the TUN"),
        err == EBUSY ? "an interface of that name exists: choose another or delete it (ip link del)"
                     : "run with CAP_NET_ADMIN, and check the name");
  }
  std::unique_ptr<Tun> tun(new Tun(std::move(fd), options.offload));
  AQ_RETURN_IF_ERROR(tun->Prepare(options.offloads));
  return tun;
}

absl::StatusOr<std::unique_ptr<Tun>> Tun::Adopt(Fd fd, uint32_t offloads) {
  AQ_ASSIGN_OR_RETURN(const ifreq r, QueryInterface(fd.get()));
  const unsigned flags = static_cast<unsigned short>(r.ifr_flags);
  if ((flags & IFF_TUN) == 0 || (flags & IFF_NO_PI) == 0) {
    return InvalidArgument(
        "passed TUN descriptor of ", r.ifr_name, ": must be opened with IFF_TUN and IFF_NO_PI");
  }
  std::unique_ptr<Tun> tun(new Tun(std::move(fd), (flags & IFF_VNET_HDR) != 0));
  AQ_RETURN_IF_ERROR(tun->Prepare(offloads));
  return tun;
}

absl::Status Tun::Prepare(uint32_t offloads) {
  AQ_RETURN_IF_ERROR(SetNonBlocking(fd_.get()));
  read_buffer_ = std::make_unique<uint8_t[]>(kReadMax);
  if (!vnet_header_) return absl::OkStatus();
  int header_size = kVnetHeaderSize;  // an earlier owner may have chosen 12
  if (::ioctl(fd_.get(), TUNSETVNETHDRSZ, &header_size) < 0) {
    return ErrnoStatus(errno, "TUN: setting the size of the virtio header");
  }
  for (const uint32_t rung : kOffloadLadder) {
    const unsigned long wanted = rung & offloads;
    if (::ioctl(fd_.get(), TUNSETOFFLOAD, wanted) == 0) {
      offload_flags_ = static_cast<uint32_t>(wanted);
      break;
    }
  }
  coalescer_ = std::make_unique<Coalescer>(offload_flags_);
  return absl::OkStatus();
}

TunState Tun::ReadBatch(PacketArena& arena, size_t reads_max) {
  for (size_t i = 0; i < reads_max; ++i) {
    if (pending_ == 0) {
      const ssize_t n = ::read(fd_.get(), read_buffer_.get(), kReadMax);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno == EAGAIN ? TunState::kDrained : TunState::kGone;
      pending_ = static_cast<size_t>(n);
    }
    if (ReadInto(arena) == TunState::kOk)
      return TunState::kOk;  // arena full: what is pending waits
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
      if (::writev(fd_.get(), w.parts.data(), static_cast<int>(w.parts.size())) >= 0) continue;
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

TunState Tun::WriteAlone(ByteView packet) {
  std::array<uint8_t, kVnetHeaderSize> vnet{};
  const std::array<iovec, 2> parts = {
      iovec{.iov_base = vnet.data(), .iov_len = vnet_header_ ? vnet.size() : 0},
      iovec{.iov_base = const_cast<uint8_t*>(packet.data()), .iov_len = packet.size()}};
  return ::writev(fd_.get(), parts.data(), parts.size()) < 0 ? Refused(1) : TunState::kOk;
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
  pollfd p{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
  return ::poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0 && (p.revents & POLLERR) == 0;
}

absl::StatusOr<std::string> Tun::Name() const {
  AQ_ASSIGN_OR_RETURN(const ifreq r, QueryInterface(fd_.get()));
  return std::string(r.ifr_name, strnlen(r.ifr_name, IFNAMSIZ));
}

bool Tun::InOtherNamespace() const {
  Fd theirs(::ioctl(fd_.get(), TUNGETDEVNETNS, 0));
  struct stat a{}, b{};
  if (!theirs.valid() || ::fstat(theirs.get(), &a) < 0 || ::stat("/proc/self/ns/net", &b) < 0)
    return false;
  return a.st_ino != b.st_ino || a.st_dev != b.st_dev;
}

absl::StatusOr<uint32_t> Tun::Mtu() const {
  AQ_ASSIGN_OR_RETURN(const ifreq r, QueryInterface(fd_.get()));
  return InOtherNamespace() ? MtuInNamespaceOf(fd_.get(), r) : MtuHere(r);
}

}  // namespace aqmesh::os
