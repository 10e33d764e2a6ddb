#include "daemon/data_thread.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "daemon/echo.h"
#include "transport/os/clock.h"

namespace aqmesh::daemon {

namespace {

constexpr size_t kHeadroom = frame::kFrameHeaderBytes + wireguard::kTransportHeader;

absl::Status InterfaceGone() { return Unavailable("somebody deleted it; start aqmeshd again"); }

bool IsFrame(const wireguard::InDatagram& d) {
  return !d.bytes.empty() && d.bytes[0] == static_cast<uint8_t>(frame::Type::kFrame);
}

}  // namespace

DataThread::DataThread(uint32_t number, Ends ends, const Shared& shared, LanePoll poll, os::Fd stop)
    : number_(number),
      lane_(std::move(ends.tun), kHeadroom, ends.mtu),
      shared_(shared),
      poll_(std::move(poll)),
      stop_(std::move(stop)) {
  lane_.SetUdp(std::move(ends.udp));
  judged_.SetHelpers(shared.helpers);
}

absl::StatusOr<std::unique_ptr<DataThread>> DataThread::Make(uint32_t number,
                                                             Ends ends,
                                                             const Shared& shared) {
  AQ_ASSIGN_OR_RETURN(LanePoll poll, LanePoll::Open());
  os::Fd stop(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!stop.valid()) return os::ErrnoStatus(errno, "opening an event descriptor");
  std::unique_ptr<DataThread> thread(
      new DataThread(number, std::move(ends), shared, std::move(poll), std::move(stop)));
  AQ_RETURN_IF_ERROR(thread->poll_.WatchTun(thread->lane_.tun()));
  AQ_RETURN_IF_ERROR(thread->poll_.WatchCalls(thread->stop_.get()));
  AQ_RETURN_IF_ERROR(thread->poll_.WatchUdp(*thread->lane_.udp()));
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

void DataThread::Run() {
  while (!stopping_) {
    const Instant before = os::ReadNow().mono;
    const auto ready = poll_.Wait(tun_has_more_ ? 0 : os::PollTimeoutMs(before, report_at_), lane_);
    if (!ready.ok()) return End(ready.status());
    if (ready->called) return;
    // What came in goes first: a receiver that starves while it sends drops what it asked for.
    if (ready->udp4) OnUdp(os::Family::kV4);
    if (ready->udp6) OnUdp(os::Family::kV6);
    if (ready->tun || tun_has_more_) OnTun();
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
      Tell({.stray = CopyOf(rest[0])});
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
  if (in.gone) return End(InterfaceGone());
  if (!in.packets.empty()) shared_.datapath.OnTunPackets(in.now, in.packets, out_);
  shared_.datapath.FinishFrames(judged_, out_);
  Finish(in.now.mono);
}

// Sends and writes what a turn made, and says what Control has to hear.
void DataThread::Finish(Instant now) {
  if (shared_.wants_echo.load(std::memory_order_relaxed)) TakeEchoes();
  if (!lane_.Flush(out_, refused_)) return End(InterfaceGone());
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

bool DataThread::Tell(FromDataThread letter) {
  letter.thread = number_;
  return shared_.main.Put(letter);
}

// The last word is worth waiting for, unless the main thread waits for us.
void DataThread::End(const absl::Status& why) {
  stopping_ = true;
  while (!Tell({.end = why})) {
    const auto ready = poll_.Wait(1, lane_);
    if (!ready.ok() || ready->called) return;
  }
}

}  // namespace aqmesh::daemon
