#include "daemon/wg/wg_worker.h"

#include "transport/os/clock.h"

namespace aqmesh::daemon {

WgWorker::WgWorker(uint32_t number,
                   std::unique_ptr<os::Tun> tun,
                   MainMailbox& main,
                   std::unique_ptr<os::Mailbox<ToWorker>> mail,
                   LanePoll poll)
    : main_(main),
      mail_(std::move(mail)),
      poll_(std::move(poll)),
      // Plain peers alone: their messages lie end to end without the frame's room.
      lane_(std::move(tun), wireguard::kTransportHeader, 0),
      shard_(number, /*governed_headroom=*/0) {}

absl::StatusOr<std::unique_ptr<WgWorker>> WgWorker::Start(uint32_t number,
                                                          std::unique_ptr<os::Tun> tun,
                                                          MainMailbox& main,
                                                          crypto::AeadHelpers* helpers) {
  AQ_ASSIGN_OR_RETURN(auto mail, os::Mailbox<ToWorker>::Open(kMailMax));
  AQ_ASSIGN_OR_RETURN(LanePoll poll, LanePoll::Open());
  std::unique_ptr<WgWorker> worker(
      new WgWorker(number, std::move(tun), main, std::move(mail), std::move(poll)));
  AQ_RETURN_IF_ERROR(worker->poll_.WatchTun(worker->lane_.tun()));
  AQ_RETURN_IF_ERROR(worker->poll_.WatchCalls(worker->mail_->fd()));
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

int WgWorker::WaitMs(Instant now) const {
  if (tun_has_more_) return 0;
  return os::PollTimeoutMs(now, shard_.ReportDue(now));
}

void WgWorker::Run() {
  while (!stopping_) {
    const auto ready = poll_.Wait(WaitMs(os::ReadNow().mono), lane_);
    if (!ready.ok()) {
      End(ready.status());
      break;
    }
    // What came in goes first: a receiver that starves while it sends drops what it asked for.
    if (ready->called) TakeMail();
    if (ready->udp4) OnUdp(os::Family::kV4);
    if (ready->udp6) OnUdp(os::Family::kV6);
    if ((ready->tun || tun_has_more_) && !stopping_) OnTun();
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
    if (lane_.udp() != nullptr) {
      if (absl::Status s = poll_.WatchUdp(*lane_.udp()); !s.ok()) End(std::move(s));
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
    FromWorker letter{.stray = CopyOf(*d)};
    if (!main_.Put(letter)) break;  // as a full queue would
  }
  Flush();
}

void WgWorker::OnTun() {
  const LanePackets in = lane_.ReadTun(out_);
  tun_has_more_ = in.has_more;
  if (in.gone) {
    // The main thread sees it by its own queue, and stops us.
    poll_.ForgetTun(lane_.tun());
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
