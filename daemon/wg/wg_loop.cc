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
#include "transport/wireguard/packet.h"

namespace aqmesh::daemon {

namespace {

constexpr uint32_t kDefaultMtu = 1420;
// How soon changes in another network namespace are noticed, and that a taken port is free.
constexpr int kLookMs = 1000;
// The longest packet that fits a datagram of IPv4 (65,507 bytes) with WireGuard's 32 around it,
// padded. An MTU of up to 65,535 may be set, and above this nothing can be carried.
constexpr uint16_t kInnerMax = (65507 - wireguard::Forwarder::kOverhead) & ~15u;
constexpr int kEventsMax = 16;

// What epoll gives back. Clients are found by descriptor, from Client::kFirstTag on.
enum Tag : uint32_t {
  kTagTun,
  kTagUdp4,
  kTagUdp6,
  kTagListener,
  kTagLinks,
  kTagSignals,
  kTagSocketFile,
};

os::LocalSource ToOs(const wireguard::Source& s) {
  return s.known ? os::LocalSource{.address = s.address, .ifindex = s.ifindex} : os::LocalSource{};
}
wireguard::Source FromOs(const os::LocalSource& s) {
  return {.address = s.address, .ifindex = s.ifindex, .known = s.is_set()};
}

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

WgLoop::WgLoop(LogLevel log,
               std::unique_ptr<os::Tun> tun,
               std::unique_ptr<os::UnixListener> listener,
               std::string name)
    : log_(log),
      name_(std::move(name)),
      tun_(std::move(tun)),
      listener_(std::move(listener)),
      device_({}, Rng(os::KernelSeed())),
      // Plain peers alone: their messages lie end to end without the frame's room.
      arena_({.headroom = wireguard::kTransportHeader}) {}

WgLoop::~WgLoop() = default;

absl::StatusOr<std::unique_ptr<WgLoop>> WgLoop::Create(const Options& options) {
  const sigset_t stops = StopSignals();
  // From here on there is something to clean up.
  // NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread starts
  ::sigprocmask(SIG_BLOCK, &stops, nullptr);
  std::unique_ptr<os::Tun> tun;
  if (options.tun_fd) {
    AQ_ASSIGN_OR_RETURN(tun, os::Tun::Adopt(os::Fd(*options.tun_fd), options.offloads.tun));
  } else {
    AQ_ASSIGN_OR_RETURN(
        tun, os::Tun::Open({.name = options.interface, .offloads = options.offloads.tun}));
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
      new WgLoop(options.log, std::move(tun), std::move(listener), std::move(name)));
  loop->offloads_ = options.offloads;
  return loop;
}

void WgLoop::Log(LogLevel level, std::string_view text) const {
  if (level <= log_) {
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
  AQ_RETURN_IF_ERROR(Watch(tun_->fd(), kTagTun, EPOLLIN));
  AQ_RETURN_IF_ERROR(Watch(listener_->fd(), kTagListener, EPOLLIN));
  AQ_RETURN_IF_ERROR(Watch(link_watch_->fd(), kTagLinks, EPOLLIN));
  AQ_RETURN_IF_ERROR(Watch(signals_.get(), kTagSignals, EPOLLIN));
  return Watch(inotify_.get(), kTagSocketFile, EPOLLIN);
}

// Asking costs four system calls, and every turn asks: the answer is kept until a link event, or a
// second.
bool WgLoop::IsMoved(Instant now) {
  if (now >= moved_until_) {
    moved_ = tun_->InOtherNamespace();
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
  FollowInterface();
  std::array<epoll_event, kEventsMax> events;
  while (!stopping_) {
    const int n = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, WaitMs());
    if (n < 0 && errno != EINTR) return os::ErrnoStatus(errno, "waiting for events");
    // What came in goes first: a receiver that starves while it sends drops what it asked for.
    for (int i = 0; i < n; ++i) {
      if (events[static_cast<size_t>(i)].data.u32 != kTagTun) {
        OnEvent(events[static_cast<size_t>(i)].data.u32, events[static_cast<size_t>(i)].events);
      }
    }
    if (applying_ != nullptr) Serve(*applying_);
    bool tun_event = tun_has_more_;
    for (int i = 0; i < n; ++i) {
      const epoll_event& e = events[static_cast<size_t>(i)];
      if (e.data.u32 != kTagTun) continue;
      if ((e.events & EPOLLOUT) != 0) FollowInterface();
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
  arena_.Clear();
  const os::TunState state = tun_->ReadBatch(arena_, kTunReadsMax);
  tun_has_more_ = state == os::TunState::kOk;
  if (state == os::TunState::kGone) return Stop("the interface was deleted");
  if (arena_.packets().empty()) return;
  packets_.clear();
  bool fits = false;
  for (const os::PacketSlot& p : arena_.packets()) {
    const bool follows = fits && p.follows;
    fits = p.size <= kInnerMax;
    if (!fits) {
      AnswerTooLong(p.bytes());
      continue;
    }
    packets_.push_back({.bytes = p.bytes(),
                        .headroom = static_cast<uint16_t>(arena_.headroom()),
                        .tailroom = p.tailroom,
                        .follows = follows});
  }
  const Now now = os::ReadNow();
  if (tun_queue_.OnRead(now.mono, state == os::TunState::kDrained))
    wireguard::SignalCongestion(packets_);
  device_.OnTunPackets(now, packets_, out_);
  Flush(out_);
}

// Else TCP would send it again until it gives up.
void WgLoop::AnswerTooLong(ByteView packet) {
  std::array<uint8_t, wireguard::kUnreachableMax> icmp;
  const size_t size = wireguard::WriteTooBig(packet, kInnerMax, icmp);
  if (size == 0) return;
  uint8_t* const data = out_.arena.Take(size);
  std::memcpy(data, icmp.data(), size);
  out_.tun.push_back({.peer = wireguard::kNoPeer, .data = data, .size = size});
}

void WgLoop::OnUdpReadable(os::Family family) {
  if (udp_ == nullptr) return;  // closed earlier in this turn
  received_.clear();
  const bool emptied = !udp_->Receive(family, received_);
  came_.clear();
  for (const os::Datagram& d : received_)
    came_.push_back({.bytes = d.bytes, .from = d.remote, .at = FromOs(d.local), .tos = d.tos});
  // What they were worth is counted in the device; outside, silence.
  const Now now = os::ReadNow();
  device_.OnDatagrams(now, came_, out_);
  if (udp_queues_[family == os::Family::kV4 ? 0 : 1].OnRead(now.mono, emptied))
    wireguard::SignalCongestion(out_.tun);
  Flush(out_);
}

void WgLoop::SendAll(wireguard::Outbox& out) {
  outgoing_.clear();
  for (const wireguard::OutDatagram& d : out.datagrams) {
    outgoing_.push_back({.bytes = out.bytes(d),
                         .remote = d.to,
                         .local = ToOs(d.from),
                         .tos = d.tos,
                         .segment = d.segment});
  }
  const uint64_t refused = udp_->counters().source_refused;
  udp_->Send(outgoing_);
  if (udp_->counters().source_refused == refused) return;
  // An address went with its interface. Whose packet it was is not known; asking the kernel anew
  // costs the other peers of this batch nothing.
  for (const wireguard::OutDatagram& d : out.datagrams) {
    if (d.from.known && d.peer != wireguard::kNoPeer) device_.OnSourceRefused(d.peer, out);
  }
}

void WgLoop::Flush(wireguard::Outbox& out) {
  if (udp_ != nullptr && !out.datagrams.empty()) SendAll(out);
  if (log_ == LogLevel::kVerbose) LogSessions(out.sessions);
  if (!out.tun.empty()) {
    to_tun_.clear();
    for (const wireguard::OutPacket& p : out.tun) to_tun_.emplace_back(out.bytes(p));
    if (tun_->WritePackets(to_tun_) == os::TunState::kGone) Stop("the interface was deleted");
  }
  out.Clear();
}

// ---- the interface and the sockets ----

void WgLoop::OnLinkEvents() {
  std::vector<os::LinkEvent> events;
  link_watch_->Drain(events);  // whatever was lost: the state is read afresh
  moved_until_ = {};
  FollowInterface();
}

void WgLoop::FollowMtu() {
  const auto mtu = tun_->Mtu();
  if (!mtu.ok() || *mtu == mtu_) return;
  mtu_ = *mtu;
  const auto clamped = static_cast<uint16_t>(std::min<uint32_t>(*mtu, 65535));
  device_.SetMtu(clamped);
  arena_.SetMtu(clamped);
  const uint32_t gso_max = os::GsoMaxFor(*mtu, wireguard::Forwarder::kOverhead);
  if (gso_max == 0 || IsMoved(os::ReadNow().mono)) return;
  // Best effort: a kernel that does not know it sends a little slower.
  const auto netlink = os::Netlink::Open();
  const auto name = tun_->Name();
  if (!netlink.ok() || !name.ok()) return;
  if (const auto link = (*netlink)->LinkByName(*name); link.ok())
    (void)(*netlink)->SetGsoMax(link->index, gso_max);
}

void WgLoop::FollowInterface() {
  looked_at_ = os::ReadNow().mono;
  FollowMtu();
  const bool up = tun_->IsUp();
  if (up && !device_.up() && BindUdp(wanted_port_) == 0) {
    Log(LogLevel::kVerbose, Join("interface up, listening on UDP port ", udp_->port()));
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
    Rewatch(tun_->fd(), kTagTun, waits_for_up_ ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
}

int WgLoop::BindUdp(uint16_t port) {
  if (udp_ != nullptr && udp_->port() == port) return 0;
  auto fresh = os::UdpPair::Open(
      {.port = port, .mark = fwmark_, .gso = offloads_.udp_gso, .gro = offloads_.udp_gro});
  if (!fresh.ok()) {
    if (const std::string why = Text(fresh.status()); why != port_error_) {
      Log(LogLevel::kError, why);  // once, however often it is tried
      port_error_ = why;
    }
    return absl::IsAlreadyExists(fresh.status()) ? wireguard::kUapiAddressInUse
                                                 : wireguard::kUapiIo;
  }
  port_error_.clear();
  CloseUdp();
  udp_ = *std::move(fresh);
  wanted_port_ = udp_->port();
  device_.SetBoundPort(udp_->port());
  for (const auto& [family, tag] :
       {std::pair{os::Family::kV4, kTagUdp4}, std::pair{os::Family::kV6, kTagUdp6}}) {
    if (udp_->fd(family) < 0) continue;
    if (const absl::Status s = Watch(udp_->fd(family), tag, EPOLLIN); !s.ok())
      Log(LogLevel::kError, Text(s));
  }
  return 0;
}

void WgLoop::CloseUdp() { udp_.reset(); }  // closing takes the sockets out of epoll

void WgLoop::OnSocketFileEvent() {
  std::array<uint8_t, 4096> buffer;
  while (::read(inotify_.get(), buffer.data(), buffer.size()) > 0) {
  }
  if (!listener_->FileIsThere()) Stop("the socket file was deleted");
}

}  // namespace aqmesh::daemon
