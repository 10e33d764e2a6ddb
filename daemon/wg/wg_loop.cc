#include "daemon/wg/wg_loop.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "daemon/wg/wg_client.h"
#include "transport/os/clock.h"

namespace aqmesh::daemon {

namespace {

constexpr uint32_t kDefaultMtu = 1420;
// How soon changes in another network namespace are noticed, and that a taken port is free.
constexpr int kLookMs = 1000;
constexpr int kEventsMax = 32;

// What epoll gives back. Clients are found by descriptor, from Client::kFirstTag on.
enum Tag : uint32_t {
  kTagTun,  // and the TUN's further queues
  kTagUdp4 = os::Tun::kQueuesMax,
  kTagUdp6,
  kTagControl4,
  kTagControl6,
  kTagMail,
  kTagListener,
  kTagLinks,
  kTagSignals,
  kTagSocketFile,
};

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

std::string_view KindOf(const wireguard::SessionEvent& e) {
  switch (e.kind) {
    case wireguard::SessionEvent::Kind::kInstalled: return e.initiator ? "made" : "offered";
    case wireguard::SessionEvent::Kind::kPromoted: return "confirmed";
    case wireguard::SessionEvent::Kind::kGone: break;
  }
  return "ended";
}

}  // namespace

WgLoop::WgLoop(const Options& options,
               std::unique_ptr<os::Tun> tun,
               std::unique_ptr<os::UnixListener> listener,
               std::string name)
    : options_(options),
      name_(std::move(name)),
      lane_(std::move(tun), wireguard::kTransportHeader, 0),
      listener_(std::move(listener)),
      device_({.shards = options.threads.data}, Rng(os::KernelSeed())) {}

WgLoop::~WgLoop() = default;

absl::StatusOr<std::unique_ptr<WgLoop>> WgLoop::Create(const Options& given) {
  Options options = given;
  if (options.tun_fd) options.threads.data = 1;  // whoever opened it has its other queues
  const sigset_t stops = StopSignals();
  // From here on there is something to clean up.
  // NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread starts
  ::sigprocmask(SIG_BLOCK, &stops, nullptr);
  std::unique_ptr<os::Tun> tun;
  if (options.tun_fd) {
    AQ_ASSIGN_OR_RETURN(tun, os::Tun::Adopt(os::Fd(*options.tun_fd), options.offloads.tun));
  } else {
    AQ_ASSIGN_OR_RETURN(tun,
                        os::Tun::Open({.name = options.interface,
                                       .multi_queue = options.threads.data > 1,
                                       .queues = options.threads.flow_queues(),
                                       .offloads = options.offloads.tun}));
    AQ_ASSIGN_OR_RETURN(const auto netlink, os::Netlink::Open());
    AQ_ASSIGN_OR_RETURN(const std::string made, tun->Name());
    AQ_ASSIGN_OR_RETURN(const os::Link link, netlink->LinkByName(made));
    AQ_RETURN_IF_ERROR(netlink->SetMtu(link.index, kDefaultMtu));
  }
  AQ_ASSIGN_OR_RETURN(std::string name, tun->Name());
  const std::string path = Join(options.socket_directory, "/", name, ".sock");
  std::unique_ptr<os::UnixListener> listener;
  if (options.uapi_fd) {
    AQ_ASSIGN_OR_RETURN(listener, os::UnixListener::Adopt(os::Fd(*options.uapi_fd), path));
  } else {
    AQ_ASSIGN_OR_RETURN(
        listener,
        os::UnixListener::Listen({.path = path,
                                  .mode = 0700,  // what a umask of 077 leaves
                                  .directory_mode = 0755,
                                  .stale_advice = "stop the program that serves this interface"}));
  }
  std::unique_ptr<WgLoop> loop(
      new WgLoop(options, std::move(tun), std::move(listener), std::move(name)));
  AQ_RETURN_IF_ERROR(loop->OpenQueues());
  return loop;
}

absl::Status WgLoop::OpenQueues() {
  for (uint32_t i = 1; i < options_.threads.data; ++i) {
    AQ_ASSIGN_OR_RETURN(auto queue,
                        os::Tun::Open({.name = name_,
                                       .multi_queue = true,
                                       .queues = options_.threads.flow_queues(),
                                       .offloads = options_.offloads.tun}));
    queues_.push_back(std::move(queue));
  }
  return absl::OkStatus();
}

absl::Status WgLoop::StartWorkers() {
  if (options_.threads.helpers != 0) {
    pool_ = std::make_unique<os::AeadPool>(options_.threads.helpers);
    device_.SetHelpers(pool_.get());
  }
  if (queues_.empty()) return absl::OkStatus();
  AQ_ASSIGN_OR_RETURN(mail_, MainMailbox::Open(WgWorker::kMailMax));
  AQ_RETURN_IF_ERROR(Watch(mail_->fd(), kTagMail, EPOLLIN));
  for (auto& queue : queues_) {
    const auto number = static_cast<uint32_t>(workers_.size() + 1);
    AQ_ASSIGN_OR_RETURN(auto worker,
                        WgWorker::Start(number, std::move(queue), *mail_, pool_.get()));
    workers_.push_back(std::move(worker));
  }
  queues_.clear();
  return absl::OkStatus();
}

void WgLoop::Log(LogLevel level, std::string_view text) const {
  if (level <= options_.log) {
    std::fprintf(
        stderr, "aqmesh-wg %s: %.*s\n", name_.c_str(), static_cast<int>(text.size()), text.data());
  }
}

void WgLoop::LogSessions(std::span<const wireguard::SessionEvent> events) const {
  for (const wireguard::SessionEvent& e : events) {
    if (!device_.handshaker().Live(e.peer)) continue;
    const std::string peer = ToHex(device_.handshaker().public_key(e.peer)).substr(0, 16);
    Log(LogLevel::kVerbose, Join("session ", e.local_index, " with peer ", peer, " ", KindOf(e)));
  }
}

void WgLoop::Stop(std::string_view why) {
  Log(LogLevel::kVerbose, Join("stopping: ", why));
  stopping_ = true;
}

// ---- events ----

absl::Status WgLoop::Watch(int fd, uint32_t tag, uint32_t events) {
  epoll_event e{};
  e.events = events;
  e.data.u32 = tag;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &e) < 0)
    return os::ErrnoStatus(errno, "watching a descriptor");
  return absl::OkStatus();
}

void WgLoop::Rewatch(int fd, uint32_t tag, uint32_t events) {
  epoll_event e{};
  e.events = events;
  e.data.u32 = tag;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &e);  // cannot fail for a descriptor that is watched
}

absl::Status WgLoop::OpenEvents() {
  epoll_ = os::Fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return os::ErrnoStatus(errno, "opening epoll");
  const sigset_t stops = StopSignals();
  signals_ = os::Fd(::signalfd(-1, &stops, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals_.valid()) return os::ErrnoStatus(errno, "opening a signal descriptor");
  inotify_ = os::Fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify_.valid() || ::inotify_add_watch(inotify_.get(),
                                               listener_->path().c_str(),
                                               IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF) < 0) {
    return os::ErrnoStatus(errno, Join("watching the socket file ", listener_->path()));
  }
  AQ_ASSIGN_OR_RETURN(link_watch_, os::LinkWatch::Open());
  for (uint32_t i = 0; i < lane_.tun().queues(); ++i)
    AQ_RETURN_IF_ERROR(Watch(lane_.tun().fd(i), kTagTun + i, EPOLLIN));
  AQ_RETURN_IF_ERROR(Watch(listener_->fd(), kTagListener, EPOLLIN));
  AQ_RETURN_IF_ERROR(Watch(link_watch_->fd(), kTagLinks, EPOLLIN));
  AQ_RETURN_IF_ERROR(Watch(signals_.get(), kTagSignals, EPOLLIN));
  return Watch(inotify_.get(), kTagSocketFile, EPOLLIN);
}

// Asking costs four system calls, and every turn asks: the answer is kept until a link event, or a
// second.
bool WgLoop::IsMoved(Instant now) {
  if (now >= moved_until_) {
    moved_ = lane_.tun().InOtherNamespace();
    moved_until_ = After(now, std::chrono::milliseconds(kLookMs));
  }
  return moved_;
}

int WgLoop::WaitMs() {
  if (tun_has_more_ || applying_ != nullptr) return 0;
  const Instant now = os::ReadNow().mono;
  const int timer = os::PollTimeoutMs(now, device_.NextWake());
  if (!MustLook(now)) return timer;
  return timer < 0 ? kLookMs : std::min(timer, kLookMs);
}

// Of a moved interface, only the down and the MTU must be polled for; its up wakes EPOLLOUT.
bool WgLoop::MustLook(Instant now) { return port_missing_ || (device_.up() && IsMoved(now)); }

absl::Status WgLoop::Run() {
  AQ_RETURN_IF_ERROR(OpenEvents());
  AQ_RETURN_IF_ERROR(StartWorkers());
  FollowInterface();
  std::array<epoll_event, kEventsMax> events;
  while (!stopping_) {
    const int n = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, WaitMs());
    if (n < 0 && errno != EINTR) return os::ErrnoStatus(errno, "waiting for events");
    // What came in goes first: a receiver that starves while it sends drops what it asked for.
    for (int i = 0; i < n; ++i) {
      if (events[static_cast<size_t>(i)].data.u32 >= kTagUdp4) {
        OnEvent(events[static_cast<size_t>(i)].data.u32, events[static_cast<size_t>(i)].events);
      }
    }
    if (applying_ != nullptr) Serve(*applying_);
    bool tun_event = tun_has_more_;
    for (int i = 0; i < n; ++i) {
      const epoll_event& e = events[static_cast<size_t>(i)];
      if (e.data.u32 >= kTagUdp4) continue;
      if ((e.events & EPOLLOUT) != 0) FollowInterface();
      lane_.SetTunReadable(e.data.u32);
      tun_event = true;
    }
    if (tun_event) OnTunReadable();
    const Instant now = os::ReadNow().mono;
    if (now >= After(looked_at_, std::chrono::milliseconds(kLookMs)) && MustLook(now))
      FollowInterface();
    DropClosedClients();
    if (device_.NextWake() <= now) {
      device_.OnWake(os::ReadNow(), out_);
      Flush(out_);
    }
  }
  return absl::OkStatus();
}

void WgLoop::OnEvent(uint32_t tag, uint32_t events) {
  switch (tag) {
    case kTagUdp4: return OnUdpReadable(os::Family::kV4);
    case kTagUdp6: return OnUdpReadable(os::Family::kV6);
    case kTagControl4: return OnControlReadable(os::Family::kV4);
    case kTagControl6: return OnControlReadable(os::Family::kV6);
    case kTagMail:
      if (const absl::Status s = OnMail(); !s.ok()) {
        Log(LogLevel::kError, Text(s));
        Stop("a data thread ended");
      }
      return;
    case kTagListener: return OnNewClient();
    case kTagLinks: return OnLinkEvents();
    case kTagSignals: return Stop("told by a signal");
    case kTagSocketFile: return OnSocketFileEvent();
    default:
      for (const auto& client : clients_) {
        if (client->tag() == tag) return OnClient(*client, events);
      }
  }
}

// ---- packets ----

void WgLoop::OnTunReadable() {
  const LanePackets in = lane_.ReadTun(out_);
  tun_has_more_ = in.has_more;
  if (in.gone) return Stop("the interface was deleted");
  if (!in.packets.empty()) device_.OnTunPackets(in.now, in.packets, out_);
  Flush(out_);
}

void WgLoop::OnUdpReadable(os::Family family) {
  const LaneDatagrams in = lane_.ReadUdp(family);
  if (in.datagrams.empty()) return;
  // What they were worth is counted in the device; outside, silence.
  device_.OnDatagrams(in.now, in.datagrams, out_);
  Flush(out_);
}

void WgLoop::OnControlReadable(os::Family family) {
  if (control_ == nullptr) return;  // closed earlier in this turn
  const LaneDatagrams in = lane_.ReadFrom(*control_, family);
  device_.OnHandshakes(in.now, in.datagrams, out_);
  Flush(out_);
}

absl::Status WgLoop::OnMail() {
  mail_->Take(letters_);
  for (FromWorker& letter : letters_) {
    AQ_RETURN_IF_ERROR(letter.end);
    if (letter.report) device_.OnReport(os::ReadNow(), *letter.report, out_);
    if (letter.stray) {
      const wireguard::InDatagram stray = letter.stray->View();
      device_.OnHandshakes(os::ReadNow(), {&stray, 1}, out_);
    }
    Flush(out_);
  }
  return absl::OkStatus();
}

void WgLoop::Flush(wireguard::Outbox& out) {
  // Before anything leaves: what answers it may come to any of them.
  if (const auto orders = device_.TakeOrders(); orders != nullptr) {
    for (const auto& worker : workers_) worker->Tell({.orders = orders});
  }
  if (options_.log == LogLevel::kVerbose) LogSessions(out.sessions);
  if (!lane_.Flush(out, refused_)) Stop("the interface was deleted");
  for (const wireguard::PeerId peer : refused_) device_.OnSourceRefused(peer, out);
}

// ---- the interface and the sockets ----

void WgLoop::OnLinkEvents() {
  std::vector<os::LinkEvent> events;
  link_watch_->Drain(events);  // whatever was lost: the state is read afresh
  moved_until_ = {};
  FollowInterface();
}

void WgLoop::FollowMtu() {
  const auto mtu = lane_.tun().Mtu();
  if (!mtu.ok() || *mtu == mtu_) return;
  mtu_ = *mtu;
  const auto clamped = static_cast<uint16_t>(std::min<uint32_t>(*mtu, 65535));
  device_.SetMtu(clamped);
  lane_.SetMtu(clamped);
  const uint32_t gso_max = os::GsoMaxFor(*mtu, wireguard::Forwarder::kOverhead);
  if (gso_max == 0 || IsMoved(os::ReadNow().mono)) return;
  // Best effort: a kernel that does not know it sends a little slower.
  const auto netlink = os::Netlink::Open();
  const auto name = lane_.tun().Name();
  if (!netlink.ok() || !name.ok()) return;
  if (const auto link = (*netlink)->LinkByName(*name); link.ok())
    (void)(*netlink)->SetGsoMax(link->index, gso_max);
}

void WgLoop::FollowInterface() {
  looked_at_ = os::ReadNow().mono;
  FollowMtu();
  const bool up = lane_.tun().IsUp();
  if (up && !device_.up() && BindUdp(wanted_port_) == 0) {
    Log(LogLevel::kVerbose, Join("interface up, listening on UDP port ", port()));
    device_.SetUp(os::ReadNow(), true, out_);
    Flush(out_);
  } else if (!up && device_.up()) {
    Log(LogLevel::kVerbose, "interface down");
    device_.SetUp(os::ReadNow(), false, out_);
    Flush(out_);
    CloseUdp();
  }
  port_missing_ = up && !device_.up();
  // While down, a writable TUN says that it came up; while up it always is writable.
  if (waits_for_up_ != !up) {
    waits_for_up_ = !up;
    Rewatch(lane_.tun().fd(), kTagTun, waits_for_up_ ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
}

int WgLoop::BindUdp(uint16_t wanted) {
  if (control_ != nullptr && port() == wanted) return 0;
  // Message type 4, and the receiver index behind it, its low byte first.
  constexpr os::SteerRule kData{.first = 4, .at = 4};
  auto group = os::UdpGroup::Open({.port = wanted,
                                   .mark = fwmark_,
                                   .gso = options_.offloads.udp_gso,
                                   .gro = options_.offloads.udp_gro},
                                  options_.threads.data,
                                  {&kData, 1});
  if (!group.ok()) {
    if (const std::string why = Text(group.status()); why != port_error_) {
      Log(LogLevel::kError, why);  // once, however often it is tried
      port_error_ = why;
    }
    return absl::IsAlreadyExists(group.status()) ? wireguard::kUapiAddressInUse
                                                 : wireguard::kUapiIo;
  }
  port_error_.clear();
  if (const absl::Status s = TakeSockets(*std::move(group)); !s.ok())
    Log(LogLevel::kError, Text(s));
  wanted_port_ = port();
  device_.SetBoundPort(port());
  return 0;
}

// Closing those before takes them out of epoll.
absl::Status WgLoop::TakeSockets(os::UdpGroup group) {
  control_ = std::move(group.control);
  lane_.SetUdp(std::move(group.data[0]));
  for (size_t i = 0; i < workers_.size(); ++i)
    workers_[i]->Tell({.udp = std::move(group.data[i + 1])});
  const struct {
    os::UdpPair* pair;
    os::Family family;
    Tag tag;
  } watched[] = {{lane_.udp(), os::Family::kV4, kTagUdp4},
                 {lane_.udp(), os::Family::kV6, kTagUdp6},
                 {control_.get(), os::Family::kV4, kTagControl4},
                 {control_.get(), os::Family::kV6, kTagControl6}};
  for (const auto& [pair, family, tag] : watched) {
    if (pair->fd(family) >= 0) AQ_RETURN_IF_ERROR(Watch(pair->fd(family), tag, EPOLLIN));
  }
  return absl::OkStatus();
}

void WgLoop::CloseUdp() {
  control_.reset();
  lane_.SetUdp(nullptr);
  for (const auto& worker : workers_) worker->Tell({.udp = nullptr});
}

absl::Status WgLoop::SetMark() {
  if (control_ == nullptr) return absl::OkStatus();
  AQ_RETURN_IF_ERROR(control_->SetMark(fwmark_));
  AQ_RETURN_IF_ERROR(lane_.udp()->SetMark(fwmark_));
  for (const auto& worker : workers_) worker->Tell({.mark = fwmark_});
  return absl::OkStatus();
}

void WgLoop::OnSocketFileEvent() {
  std::array<uint8_t, 4096> buffer;
  while (::read(inotify_.get(), buffer.data(), buffer.size()) > 0) {
  }
  if (!listener_->FileIsThere()) Stop("the socket file was deleted");
}

}  // namespace aqmesh::daemon
