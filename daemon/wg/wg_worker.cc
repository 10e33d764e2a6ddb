#include "daemon/wg/wg_worker.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>

#include "transport/os/clock.h"

namespace aqmesh::daemon {

namespace {

enum Tag : uint32_t {
  kTagTun,  // and the TUN's further queues
  kTagUdp4 = os::Tun::kQueuesMax,
  kTagUdp6,
  kTagMail
};

}  // namespace

WgWorker::WgWorker(uint32_t number,
                   std::unique_ptr<os::Tun> tun,
                   MainMailbox& main,
                   std::unique_ptr<os::Mailbox<ToWorker>> mail,
                   os::Fd epoll)
    : main_(main),
      mail_(std::move(mail)),
      epoll_(std::move(epoll)),
      // Plain peers alone: their messages lie end to end without the frame's room.
      lane_(std::move(tun), wireguard::kTransportHeader, 0),
      shard_(number, /*governed_headroom=*/0) {}

absl::StatusOr<std::unique_ptr<WgWorker>> WgWorker::Start(uint32_t number,
                                                          std::unique_ptr<os::Tun> tun,
                                                          MainMailbox& main,
                                                          crypto::AeadHelpers* helpers) {
  AQ_ASSIGN_OR_RETURN(auto mail, os::Mailbox<ToWorker>::Open(kMailMax));
  os::Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return os::ErrnoStatus(errno, "opening epoll");
  std::unique_ptr<WgWorker> worker(
      new WgWorker(number, std::move(tun), main, std::move(mail), std::move(epoll)));
  for (uint32_t i = 0; i < worker->lane_.tun().queues(); ++i)
    AQ_RETURN_IF_ERROR(worker->Watch(worker->lane_.tun().fd(i), kTagTun + i));
  AQ_RETURN_IF_ERROR(worker->Watch(worker->mail_->fd(), kTagMail));
  worker->shard_.SetHelpers(helpers);
  worker->thread_ = std::thread([w = worker.get()] { w->Run(); });
  return worker;
}

WgWorker::~WgWorker() {
  if (!thread_.joinable()) return;
  Tell({.stop = true});
  thread_.join();
}

void WgWorker::Tell(ToWorker letter) {
  while (!mail_->Put(letter)) std::this_thread::yield();
}

absl::Status WgWorker::Watch(int fd, uint32_t tag) {
  epoll_event e{};
  e.events = EPOLLIN;
  e.data.u32 = tag;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &e) < 0)
    return os::ErrnoStatus(errno, "watching a descriptor");
  return absl::OkStatus();
}

int WgWorker::WaitMs(Instant now) const {
  if (tun_has_more_) return 0;
  return os::PollTimeoutMs(now, shard_.ReportDue(now));
}

void WgWorker::Run() {
  std::array<epoll_event, os::Tun::kQueuesMax + 3> events;
  while (!stopping_) {
    const int n = ::epoll_wait(
        epoll_.get(), events.data(), static_cast<int>(events.size()), WaitMs(os::ReadNow().mono));
    if (n < 0 && errno != EINTR) End(os::ErrnoStatus(errno, "waiting for events"));
    bool tun_event = tun_has_more_;
    // What came in goes first: a receiver that starves while it sends drops what it asked for.
    for (int i = 0; i < n; ++i) {
      const uint32_t tag = events[static_cast<size_t>(i)].data.u32;
      switch (tag) {
        case kTagUdp4: OnUdp(os::Family::kV4); break;
        case kTagUdp6: OnUdp(os::Family::kV6); break;
        case kTagMail: TakeMail(); break;
        default: tun_event = true; lane_.SetTunReadable(tag);
      }
    }
    if (tun_event && !stopping_) OnTun();
    closing_.clear();  // which takes them out of epoll
    Report(os::ReadNow().mono);
  }
}

void WgWorker::TakeMail() {
  mail_->Take(letters_);
  for (ToWorker& letter : letters_) Follow(letter);
}

void WgWorker::Follow(ToWorker& letter) {
  if (letter.stop) stopping_ = true;
  if (letter.orders != nullptr) {
    lane_.SetMtu(letter.orders->mtu);
    shard_.Apply(os::ReadNow(), *letter.orders, out_);
  }
  if (letter.udp) {
    closing_.push_back(lane_.SetUdp(*std::move(letter.udp)));
    for (const auto& [family, tag] :
         {std::pair{os::Family::kV4, kTagUdp4}, std::pair{os::Family::kV6, kTagUdp6}}) {
      if (lane_.udp() == nullptr || lane_.udp()->fd(family) < 0) continue;
      if (absl::Status s = Watch(lane_.udp()->fd(family), tag); !s.ok()) End(std::move(s));
    }
  }
  // Whether it may be set the main thread has seen by its own sockets.
  if (letter.mark && lane_.udp() != nullptr) (void)lane_.udp()->SetMark(*letter.mark);
  Flush();
}

void WgWorker::OnUdp(os::Family family) {
  const LaneDatagrams in = lane_.ReadUdp(family);
  if (in.datagrams.empty()) return;
  // The main thread may know the session that one of these is under since a moment ago.
  TakeMail();
  strays_.clear();
  shard_.OnDatagrams(in.now, in.datagrams, out_, strays_);
  for (const wireguard::InDatagram* d : strays_) {
    FromWorker letter{.stray = StrayDatagram{.bytes = Bytes(d->bytes.begin(), d->bytes.end()),
                                             .from = d->from,
                                             .at = d->at,
                                             .tos = d->tos}};
    if (!main_.Put(letter)) break;  // as a full queue would
  }
  Flush();
}

void WgWorker::OnTun() {
  const LanePackets in = lane_.ReadTun(out_);
  tun_has_more_ = in.has_more;
  if (in.gone) {
    // The main thread sees it by its own queue, and stops us.
    for (size_t i = 0; i < lane_.tun().queues(); ++i)
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, lane_.tun().fd(i), nullptr);
    return;
  }
  if (!in.packets.empty()) shard_.OnTunPackets(in.now, in.packets, out_);
  Flush();
}

void WgWorker::Flush() {
  lane_.Flush(out_, refused_);
  for (const wireguard::PeerId peer : refused_) shard_.OnSourceRefused(peer);
}

void WgWorker::Report(Instant now) {
  if (shard_.ReportDue(now) > now) return;
  FromWorker letter{.report = shard_.TakeReport(now)};
  // The main thread empties it, unless it waits for us to do so with ours.
  while (!main_.Put(letter) && !stopping_) {
    TakeMail();
    std::this_thread::yield();
  }
}

void WgWorker::End(absl::Status why) {
  stopping_ = true;
  FromWorker letter{.end = std::move(why)};
  (void)main_.Put(letter);
}

}  // namespace aqmesh::daemon
