#include "daemon/data_thread.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "daemon/echo.h"
#include "transport/os/clock.h"

namespace aqmesh::daemon {

namespace {

constexpr size_t kHeadroom = frame::kFrameHeaderBytes + wireguard::kTransportHeader;

enum Tag : uint32_t {
  kTagTun,  // and the TUN's further queues
  kTagUdp4 = os::Tun::kQueuesMax,
  kTagUdp6,
  kTagStop
};

bool IsFrame(const wireguard::InDatagram& d) {
  return !d.bytes.empty() && d.bytes[0] == static_cast<uint8_t>(frame::Type::kFrame);
}

}  // namespace

DataThread::DataThread(uint32_t number, Ends ends, const Shared& shared, os::Fd epoll, os::Fd stop)
    : number_(number),
      lane_(std::move(ends.tun), kHeadroom, ends.mtu),
      shared_(shared),
      epoll_(std::move(epoll)),
      stop_(std::move(stop)) {
  lane_.SetUdp(std::move(ends.udp));
  judged_.SetHelpers(shared.helpers);
}

absl::StatusOr<std::unique_ptr<DataThread>> DataThread::Make(uint32_t number,
                                                             Ends ends,
                                                             const Shared& shared) {
  os::Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return os::ErrnoStatus(errno, "opening epoll");
  os::Fd stop(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!stop.valid()) return os::ErrnoStatus(errno, "opening an event descriptor");
  std::unique_ptr<DataThread> thread(
      new DataThread(number, std::move(ends), shared, std::move(epoll), std::move(stop)));
  for (uint32_t i = 0; i < thread->lane_.tun().queues(); ++i)
    AQ_RETURN_IF_ERROR(thread->Watch(thread->lane_.tun().fd(i), kTagTun + i));
  AQ_RETURN_IF_ERROR(thread->Watch(thread->stop_.get(), kTagStop));
  for (const auto& [family, tag] :
       {std::pair{os::Family::kV4, kTagUdp4}, std::pair{os::Family::kV6, kTagUdp6}}) {
    if (const int fd = thread->lane_.udp()->fd(family); fd >= 0)
      AQ_RETURN_IF_ERROR(thread->Watch(fd, tag));
  }
  return thread;
}

void DataThread::Start() {
  thread_ = std::thread([this] { Run(); });
}

DataThread::~DataThread() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof one);  // it is zero, so there is room
  thread_.join();
}

absl::Status DataThread::Watch(int fd, uint32_t tag) {
  epoll_event e{};
  e.events = EPOLLIN;
  e.data.u32 = tag;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &e) < 0)
    return os::ErrnoStatus(errno, "watching a descriptor");
  return absl::OkStatus();
}

void DataThread::Run() {
  std::array<epoll_event, os::Tun::kQueuesMax + 3> events;
  while (!stopping_) {
    const Instant before = os::ReadNow().mono;
    const int wait = tun_has_more_ ? 0 : os::PollTimeoutMs(before, report_at_);
    const int n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait);
    if (n < 0 && errno != EINTR) {
      Tell({.end = os::ErrnoStatus(errno, "a data thread waiting for events")});
      return;
    }
    bool tun_event = tun_has_more_;
    // What came in goes first: a receiver that starves while it sends drops what it asked for.
    for (int i = 0; i < n; ++i) {
      const uint32_t tag = events[static_cast<size_t>(i)].data.u32;
      switch (tag) {
        case kTagUdp4: OnUdp(os::Family::kV4); break;
        case kTagUdp6: OnUdp(os::Family::kV6); break;
        case kTagStop: return;
        default: tun_event = true; lane_.SetTunReadable(tag);
      }
    }
    if (tun_event) OnTun();
    if (report_at_ != kNever && os::ReadNow().mono >= report_at_) Report();
  }
}

void DataThread::OnUdp(os::Family family) {
  const LaneDatagrams in = lane_.ReadUdp(family);
  std::span<const wireguard::InDatagram> rest = in.datagrams;
  while (!rest.empty()) {
    const bool frames = IsFrame(rest[0]);
    size_t same = 1;
    if (frames) {
      while (same < rest.size() && IsFrame(rest[same])) ++same;
      OnFrames(in.now, rest.first(same));
    } else if (wireguard::IsData(rest[0].bytes)) {
      while (same < rest.size() && wireguard::IsData(rest[same].bytes)) ++same;
      shared_.datapath.OnBare(in.now, rest.first(same), judged_, out_);
    } else {
      Tell({.stray = StrayFrame{.bytes = Bytes(rest[0].bytes.begin(), rest[0].bytes.end()),
                                .from = rest[0].from,
                                .at = rest[0].at,
                                .tos = rest[0].tos}});
    }
    rest = rest.subspan(same);
  }
  if (!in.datagrams.empty()) Finish(in.now.mono);
}

void DataThread::OnFrames(Now now, std::span<const wireguard::InDatagram> in) {
  shared_.datapath.OpenFrames(now, in, judged_);
  FromDataThread letter;
  for (bool more = true; more;) {
    control_.clear();
    more = shared_.datapath.DeliverFrames(now, judged_, out_, control_);
    std::move(control_.begin(), control_.end(), std::back_inserter(letter.control));
  }
  if (!letter.control.empty()) Tell(std::move(letter));
}

void DataThread::OnTun() {
  const LanePackets in = lane_.ReadTun(out_);
  tun_has_more_ = in.has_more;
  if (in.gone) {
    stopping_ = true;
    return Tell({.end = Unavailable("somebody deleted the interface; start aqmeshd again")});
  }
  if (!in.packets.empty()) shared_.datapath.OnTunPackets(in.now, in.packets, out_);
  shared_.datapath.FinishFrames(judged_, out_);
  Finish(in.now.mono);
}

// Sends and writes what a turn made, and says what Control has to hear.
void DataThread::Finish(Instant now) {
  if (shared_.wants_echo.load(std::memory_order_relaxed)) TakeEchoes();
  if (!lane_.Flush(out_, refused_)) {
    stopping_ = true;
    return Tell({.end = Unavailable("somebody deleted the interface; start aqmeshd again")});
  }
  if (!refused_.empty()) shared_.datapath.OnSourcesRefused(refused_);
  if (report_at_ == kNever) report_at_ = now + kReportEvery;
  if (shared_.datapath.TakeUrgentNews()) Report();
}

void DataThread::TakeEchoes() {
  std::erase_if(out_.tun, [this](const wireguard::OutPacket& p) {
    const ByteView packet = std::as_const(out_).bytes(p);
    if (!ParseEchoReply(packet)) return false;
    Tell({.echo = Bytes(packet.begin(), packet.end())});
    return true;
  });
}

void DataThread::Report() {
  report_at_ = kNever;
  Tell({.counters = LaneCounters{.tun = lane_.tun().counters(),
                                 .udp = lane_.udp()->counters(),
                                 .signals = lane_.signals(),
                                 .udp_gso = lane_.udp()->gso(),
                                 .udp_gro = lane_.udp()->gro()}});
}

void DataThread::Tell(FromDataThread letter) {
  letter.thread = number_;
  const bool must = !letter.end.ok();
  // The last word is worth waiting for, unless the main thread waits for us.
  while (!shared_.main.Put(letter) && must) {
    std::array<epoll_event, 1> event;
    if (::epoll_wait(epoll_.get(), event.data(), 1, 1) > 0 && event[0].data.u32 == kTagStop) return;
  }
}

}  // namespace aqmesh::daemon
