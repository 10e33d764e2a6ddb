#include "daemon/lane/lane_poll.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>

namespace aqmesh::daemon {

namespace {

enum Tag : uint32_t {
  kTagTun,  // and the TUN's further queues
  kTagUdp4 = os::Tun::kQueuesMax,
  kTagUdp6,
  kTagCalls,
  kTagEnd,
};

}  // namespace

absl::StatusOr<LanePoll> LanePoll::Open() {
  os::Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return os::ErrnoStatus(errno, "opening epoll");
  return LanePoll(std::move(epoll));
}

absl::Status LanePoll::Watch(int fd, uint32_t tag) {
  epoll_event e{};
  e.events = EPOLLIN;
  e.data.u32 = tag;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &e) < 0)
    return os::ErrnoStatus(errno, "watching a descriptor");
  return absl::OkStatus();
}

absl::Status LanePoll::WatchCalls(int fd) { return Watch(fd, kTagCalls); }

absl::Status LanePoll::WatchTun(const os::Tun& tun) {
  for (uint32_t i = 0; i < tun.queues(); ++i) AQ_RETURN_IF_ERROR(Watch(tun.fd(i), kTagTun + i));
  return absl::OkStatus();
}

void LanePoll::ForgetTun(const os::Tun& tun) {
  for (size_t i = 0; i < tun.queues(); ++i)
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, tun.fd(i), nullptr);
}

absl::Status LanePoll::WatchUdp(const os::UdpPair& udp) {
  if (const int fd = udp.fd(os::Family::kV4); fd >= 0) AQ_RETURN_IF_ERROR(Watch(fd, kTagUdp4));
  if (const int fd = udp.fd(os::Family::kV6); fd >= 0) AQ_RETURN_IF_ERROR(Watch(fd, kTagUdp6));
  return absl::OkStatus();
}

absl::StatusOr<LanePoll::Ready> LanePoll::Wait(int wait_ms, PacketLane& lane) {
  std::array<epoll_event, kTagEnd> events;
  const int n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms);
  if (n < 0 && errno != EINTR) return os::ErrnoStatus(errno, "a data thread waiting for events");
  Ready ready;
  for (int i = 0; i < n; ++i) {
    const uint32_t tag = events[static_cast<size_t>(i)].data.u32;
    switch (tag) {
      case kTagUdp4: ready.udp4 = true; break;
      case kTagUdp6: ready.udp6 = true; break;
      case kTagCalls: ready.called = true; break;
      default: ready.tun = true; lane.SetTunReadable(tag);
    }
  }
  return ready;
}

}  // namespace aqmesh::daemon
