#include "daemon/node_loop.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>

#include "core/authority/address.h"
#include "daemon/cli/witness_file.h"
#include "daemon/net/sandbox.h"
#include "daemon/retainer.h"
#include "daemon/verbs.h"
#include "daemon/witness_link.h"

namespace aqmesh::daemon {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

namespace {

// Asio wants a descriptor of its own to close.
int Duplicate(int fd) { return ::fcntl(fd, F_DUPFD_CLOEXEC, 3); }

std::string_view EventName(node::Event::Kind kind) {
  using Kind = node::Event::Kind;
  switch (kind) {
    case Kind::kJoinWaits: return "asks to join";
    case Kind::kWords: return "words to compare";
    case Kind::kJoined: return "joined";
    case Kind::kJoinGranted: return "was let in";
    case Kind::kAdmitted: return "admitted";
    case Kind::kRefused: return "refused";
    case Kind::kNotice: return "refuses us";
    case Kind::kRevoked: return "revoked";
    case Kind::kRenewed: return "grant renewed";
    case Kind::kLogBehind: return "log is older than what others saw of it";
    case Kind::kLogBegun: return "began another log";
    case Kind::kForked: return "showed two histories";
    case Kind::kRedacted: return "redacted";
    case Kind::kUnwitnessed: return "does not cosign our log";
    case Kind::kWitnessed: return "cosigns our log again";
    case Kind::kEscalated: return "waits for a person: aqmesh escalations list";
    case Kind::kCharter: return "another charter is in force";
  }
  return "event";
}

// What somebody else can bring about as often as they like. The lineage has it all; followers see
// it.
bool IsOfPeersMaking(node::Event::Kind kind) {
  using Kind = node::Event::Kind;
  return kind == Kind::kJoinWaits || kind == Kind::kAdmitted || kind == Kind::kRefused ||
         kind == Kind::kNotice;
}

bool HasWitnessesOfFile(const Setup& setup) {
  const auto policy = cli::LoadWitnesses(setup.dir->witnesses_path());
  if (!policy.ok()) return absl::IsNotFound(policy.status()) && setup.witnesses.empty();
  return cli::Asked(*policy) == setup.witnesses;
}

}  // namespace

// ---- start ----

NodeLoop::NodeLoop(Options options, Setup setup, std::unique_ptr<NetClient> net)
    : options_(std::move(options)),
      setup_(std::move(setup)),
      net_(std::move(net)),
      log_(options_.log_least, LogSink::ToStandardError()),
      rng_(os::KernelSeed()) {}

NodeLoop::~NodeLoop() = default;

void NodeLoop::Log(Severity severity, std::string_view topic, std::string_view text) {
  log_.Say(os::ReadNow().mono, severity, topic, text);
}

void NodeLoop::SetWalls(std::string walls, bool all_stand) {
  walls_ = std::move(walls);
  all_walls_stand_ = all_stand;
  Log(all_stand ? Severity::kInfo : Severity::kWarn, "walls", Join("confined by ", walls_));
}

absl::StatusOr<std::unique_ptr<NodeLoop>> NodeLoop::Create(Options options,
                                                           Setup setup,
                                                           std::unique_ptr<NetClient> net,
                                                           os::Fd courier) {
  std::unique_ptr<NodeLoop> loop(
      new NodeLoop(std::move(options), std::move(setup), std::move(net)));
  AQ_ASSIGN_OR_RETURN(loop->witnesses_, WitnessLink::Make(*loop, std::move(courier)));
  if (!loop->setup_.witnesses_file.ok()) {
    loop->Log(Severity::kError,
              "witnesses",
              Join("no public witness is asked: ", Text(loop->setup_.witnesses_file)));
  }
  AQ_RETURN_IF_ERROR(loop->Open());
  return loop;
}

absl::Status NodeLoop::Open() {
  AQ_RETURN_IF_ERROR(OpenInterface());
  AQ_RETURN_IF_ERROR(OpenUdp());
  AQ_ASSIGN_OR_RETURN(node::Config config, NodeConfig(setup_));
  config.lanes = options_.threads.data;
  if (!setup_.policy.ok())
    Log(Severity::kError, "policy", Join("nothing is allowed: ", Text(setup_.policy)));
  const Now now = os::ReadNow();
  started_ = now.mono;
  control_ =
      std::make_unique<node::Control>(std::move(config), setup_.image, Rng(os::KernelSeed()), now);
  // The identity and the static key lie in it.
  if (const absl::Status s = LockInMemory(control_.get(), sizeof(node::Control)); !s.ok())
    Log(Severity::kWarn, "start", Text(s));
  setup_.image = {};
  AQ_RETURN_IF_ERROR(MakeDataThreads());
  snapshots_ = std::make_unique<lineage::SnapshotKeeper>(*setup_.store);
  writer_ = std::make_unique<lineage::Writer>(
      *setup_.store, lineage::WriterOptions{}, [this](const lineage::Ack& ack) {
        if (ack.head) snapshots_->Poke(ack.head->seq + 1);
        boost::asio::post(io_, [this, ack] { OnAck(ack); });
      });
  retainer_ = std::make_unique<Retainer>(*this);
  const os::Fd timer(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer.valid()) return os::ErrnoStatus(errno, "opening a timer");
  timer_.assign(Duplicate(timer.get()));
  verbs_ = std::make_unique<Verbs>(*this);
  AQ_ASSIGN_OR_RETURN(
      auto listener,
      os::UnixListener::Listen({.path = options_.socket_path,
                                .mode = 0660,
                                .directory_mode = 0750,
                                .stale_advice = "another aqmeshd serves it; stop that one"}));
  const RoleGroups groups = RoleGroups::OfMachine();
  if (groups.read != static_cast<gid_t>(-1)) {
    // Without the right to give it away, root and our own user can still talk to it.
    [[maybe_unused]] const int given =
        ::chown(options_.socket_path.c_str(), static_cast<uid_t>(-1), groups.read);
  }
  server_ = std::make_unique<ControlServer>(
      io_,
      std::move(listener),
      groups,
      [this](SessionId session, Verb verb, const cli::LiveRequest& request) {
        verbs_->Handle(session, verb, request);
      });
  verbs_->SetServer(server_.get());
  return absl::OkStatus();
}

absl::Status NodeLoop::OpenInterface() {
  AQ_ASSIGN_OR_RETURN(NetClient::Interface opened,
                      net_->OpenTun(setup_.file.interface,
                                    setup_.file.mtu,
                                    options_.threads.data * options_.threads.flow_queues()));
  interface_ = std::move(opened.name);
  const uint32_t offloads = offloads_allowed().tun;
  AQ_ASSIGN_OR_RETURN(tun_, os::Tun::Adopt(os::Fd(Duplicate(opened.queues[0].get())), offloads));
  if (opened.queues.size() == 1) options_.threads.data = 1;
  const size_t each = opened.queues.size() / options_.threads.data;
  for (size_t i = 0; i < opened.queues.size(); i += each) {
    std::vector<os::Fd> queues;
    for (size_t j = i; j < i + each; ++j) queues.push_back(std::move(opened.queues[j]));
    AQ_ASSIGN_OR_RETURN(auto tun, os::Tun::Adopt(std::move(queues), offloads));
    ends_.push_back({.tun = std::move(tun), .udp = nullptr, .mtu = setup_.file.mtu});
  }
  net_wait_.assign(Duplicate(net_->fd()));
  return absl::OkStatus();
}

absl::Status NodeLoop::OpenUdp() {
  const os::OffloadSet offloads = offloads_allowed();
  // Frames and bare data, by the low byte of the handle or index that we chose.
  constexpr std::array<os::SteerRule, 2> kData = {
      {{.first = static_cast<uint8_t>(frame::Type::kFrame), .at = 4},
       {.first = static_cast<uint8_t>(wireguard::MessageType::kTransport), .at = 4}}};
  AQ_ASSIGN_OR_RETURN(
      os::UdpGroup group,
      os::UdpGroup::Open(
          {.port = setup_.file.listen_port, .gso = offloads.udp_gso, .gro = offloads.udp_gro},
          ends_.size(),
          kData));
  handshakes_ = std::move(group.control);
  for (size_t i = 0; i < ends_.size(); ++i) ends_[i].udp = std::move(group.data[i]);
  for (const os::Family family : {os::Family::kV4, os::Family::kV6}) {
    if (handshakes_->fd(family) < 0) continue;
    sockets_.push_back(std::make_unique<Socket>(io_, family));
    sockets_.back()->wait.assign(Duplicate(handshakes_->fd(family)));
  }
  return absl::OkStatus();
}

absl::Status NodeLoop::MakeDataThreads() {
  if (options_.threads.helpers != 0)
    pool_ = std::make_unique<os::AeadPool>(options_.threads.helpers);
  AQ_ASSIGN_OR_RETURN(mail_, DataMailbox::Open(kMailMax));
  mail_wait_.assign(Duplicate(mail_->fd()));
  const DataThread::Shared shared{.datapath = control_->datapath(),
                                  .main = *mail_,
                                  .helpers = pool_.get(),
                                  .wants_echo = wants_echo_};
  for (DataThread::Ends& ends : ends_) {
    LaneCounters counters;
    counters.udp_gso = ends.udp->gso();
    counters.udp_gro = ends.udp->gro();
    lane_counters_.push_back(counters);
    const auto number = static_cast<uint32_t>(data_threads_.size());
    AQ_ASSIGN_OR_RETURN(auto thread, DataThread::Make(number, std::move(ends), shared));
    data_threads_.push_back(std::move(thread));
  }
  ends_.clear();
  return absl::OkStatus();
}

absl::Status NodeLoop::Run() {
  WaitSignals();
  for (const auto& thread : data_threads_) thread->Start();
  for (const auto& socket : sockets_) WaitUdp(*socket);
  WaitMail();
  WaitTimer();
  WaitNet();
  witnesses_->Start();
  RefreshEndpoints();
  WaitEndpoints();
  Turn([this](Now now, node::Outbox& out) { control_->OnWake(now, out); });
  if (const absl::Status s = FinishLastRestriction(); !s.ok())
    Log(Severity::kError, "start", Text(Annotate(s, "the last restriction of this machine")));
  if (options_.up) {
    SetUp(true);
  } else {
    // The log may end with an interface that a crash took: it is told that it is down now.
    node::OsAction down;
    down.kind = node::OsAction::Kind::kDown;
    Turn([&](Now now, node::Outbox& out) { control_->ArmOs(now, std::move(down), out); });
  }
  retainer_->StartHourly();
  WaitWatchdog();
  notifier_.Say("READY=1");
  notifier_.Status(Join("serving ", interface_, " on UDP port ", port()));
  Log(Severity::kInfo, "start", Join("serving ", interface_, " on UDP port ", port()));
  io_.run();
  data_threads_.clear();
  notifier_.Say("STOPPING=1");
  server_->CloseAll();
  retainer_->Stop();
  writer_->Stop();
  snapshots_->Stop();
  log_.Flush();
  if (end_.ok()) Log(Severity::kInfo, "stop", "stopped");
  return end_;
}

// ---- effects, in their order ----

void NodeLoop::Apply() {
  Enqueue();
  SendDatagrams();
  WriteTun();
  // The engine may be called again below: what is still to do leaves the outbox first.
  std::vector<node::OsAction> os = std::move(out_.os);
  const std::vector<node::Event> events = std::move(out_.events);
  std::vector<node::WitnessAsk> asks = std::move(out_.asks);
  out_.Clear();
  ArmTimer();
  if (!asks.empty()) witnesses_->Ask(std::move(asks));
  if (!os.empty()) CarryOutOs(std::move(os));
  if (!events.empty()) TellEvents(events);
}

void NodeLoop::Enqueue() {
  handed_ += out_.commits.size();
  for (lineage::Batch& batch : out_.commits) backlog_.push_back(std::move(batch));
  out_.commits.clear();
#ifdef AQMESH_SABOTAGE_LINEAGE
  // The sabotaged build claims durability for what it never wrote; the demo must find that out.
  if (!backlog_.empty()) {
    static lineage::Ticket claimed = 0;
    claimed += backlog_.size();
    backlog_.clear();
    boost::asio::post(io_, [this, ticket = claimed] {
      OnAck({.status = absl::OkStatus(), .ticket = ticket, .head = {}});
    });
  }
#endif
  // Tickets count batches in order, as Control does: nothing may overtake the backlog.
  while (!backlog_.empty() && writer_->TryEnqueue(backlog_.front())) backlog_.pop_front();
  if (backlog_.size() > kBacklogMax && !stopping_) {
    Stop(ResourceExhausted("lineage: ",
                           backlog_.size(),
                           " batches wait for the disk of ",
                           setup_.dir->store_path(),
                           "; free space or find out why it is slow"));
  }
}

void NodeLoop::SendDatagrams() {
  refused_.clear();
  sender_.Send(*handshakes_, out_.wg.datagrams, refused_);
  if (!refused_.empty()) control_->datapath().OnSourcesRefused(refused_);
}

void NodeLoop::WriteTun() {
  if (out_.wg.tun.empty()) return;
  to_tun_.clear();
  for (const wireguard::OutPacket& p : out_.wg.tun) {
    const ByteView packet = std::as_const(out_.wg).bytes(p);
    if (verbs_->TakeEchoReply(packet)) continue;  // of our own `ping`
    to_tun_.push_back(packet);
  }
  WriteTun(to_tun_);
}

void NodeLoop::WriteTun(std::span<const ByteView> packets) {
  if (!packets.empty() && tun_->WritePackets(packets) == os::TunState::kGone)
    Stop(Unavailable("interface ", interface_, ": somebody deleted it; start aqmeshd again"));
}

void NodeLoop::CarryOutOs(std::vector<node::OsAction> actions) {
  for (node::OsAction& action : actions) {
    OsActuation actuation(std::move(action));
    CarryOut(actuation, *net_);
    if (actuation.committed()) {
      up_ = actuation.up();
      Log(Severity::kInfo,
          "tables",
          Join(interface_, up_ ? " is up" : " is down", ", read back from the kernel"));
    } else {
      if (actuation.up()) tables_ = {};
      Log(Severity::kError,
          "tables",
          Join(interface_,
               ": taking it ",
               actuation.up() ? "up" : "down",
               " did not hold: ",
               actuation.why()));
    }
    Turn([&](Now now, node::Outbox& out) {
      control_->OnOsOutcome(now, actuation.action(), actuation.edges(), out);
    });
    if (stopping_) CheckSettled();
  }
}

void NodeLoop::LogEvent(const node::Event& e) {
  // Words prove two screens to be of one handshake: they are shown to clients, not kept in a log.
  const bool secret =
      e.kind == node::Event::Kind::kWords || e.kind == node::Event::Kind::kJoinWaits;
  const std::string kid = ToHex(e.subject).substr(0, 8);
  Log(IsOfPeersMaking(e.kind) ? Severity::kDebug : Severity::kInfo,
      Join(EventName(e.kind), " ", kid),
      Join(e.name.empty() ? kid : PeerText(e.name),
           " ",
           EventName(e.kind),
           secret || e.text.empty() ? "" : ": ",
           secret ? "" : PeerText(e.text)));
}

void NodeLoop::TellEvents(const std::vector<node::Event>& events) {
  for (const node::Event& e : events) {
    LogEvent(e);
    if (e.kind == node::Event::Kind::kJoined) {
      if (const absl::Status gone = setup_.dir->RemoveInvitation(); !gone.ok())
        Log(Severity::kWarn, "invitation", Text(gone));
    }
    verbs_->OnEvent(e);
    if (e.kind == node::Event::Kind::kLogBehind) {
      if (const absl::Status begun = BeginLog(); !begun.ok())
        Log(Severity::kError, "lineage", Join("no other log was begun: ", Text(begun)));
    }
    if (e.kind == node::Event::Kind::kLogBegun) {
      if (const absl::Status kept = SettleLogKey(*setup_.keys, *setup_.store); !kept.ok())
        Log(Severity::kError, "lineage", Join("the new log's key: ", Text(kept)));
      tables_ = {};
      FollowTables();  // the new log hears of them
    }
    if (e.kind == node::Event::Kind::kJoined || e.kind == node::Event::Kind::kRenewed)
      FollowTables();
  }
}

// The state directory was restored from a backup: the old log is never signed again.
absl::Status NodeLoop::BeginLog() {
  const crypto::Ed25519Seed seed = crypto::NewEd25519(rng_);
  AQ_RETURN_IF_ERROR(setup_.keys->SaveEd25519(kNextLogKey, seed));
  return Turn([&](Now now, node::Outbox& out) { return control_->BeginLog(now, seed, out); });
}

// ---- input ----

void NodeLoop::WaitUdp(Socket& socket) {
  socket.wait.async_wait(stream_descriptor::wait_read, [this, &socket](error_code error) {
    if (error) return;
    OnUdp(socket);
    WaitUdp(socket);
  });
}

void NodeLoop::OnUdp(Socket& socket) {
  // What is left makes the next wait return at once.
  const auto came = reader_.Read(*handshakes_, socket.family);
  if (came.empty()) return;
  Turn([&](Now now, node::Outbox& out) { control_->OnHandshakes(now, came, out); });
}

void NodeLoop::WaitMail() {
  mail_wait_.async_wait(stream_descriptor::wait_read, [this](error_code error) {
    if (error) return;
    OnMail();
    WaitMail();
  });
}

void NodeLoop::OnMail() {
  mail_->Take(letters_);
  control_packets_.clear();
  for (FromDataThread& letter : letters_) {
    std::move(letter.control.begin(), letter.control.end(), std::back_inserter(control_packets_));
    if (letter.counters) lane_counters_[letter.thread] = *letter.counters;
    if (!letter.echo.empty() && !verbs_->TakeEchoReply(letter.echo))
      WriteTun(std::array{ByteView(letter.echo)});
    if (!letter.end.ok()) Stop(Annotate(letter.end, Join("interface ", interface_)));
  }
  // What the threads saw comes before what was said under it: a session's first frame confirms it.
  Turn([this](Now now, node::Outbox& out) { control_->OnNews(now, control_packets_, out); });
  std::vector<node::InFrame> strays;
  for (FromDataThread& letter : letters_) {
    if (letter.stray) strays.push_back(letter.stray->View());
  }
  if (strays.empty()) return;
  Turn([&](Now now, node::Outbox& out) { control_->OnHandshakes(now, strays, out); });
}

void NodeLoop::SendFromHere(ByteView packet) {
  Bytes own(packet.begin(), packet.end());
  const std::array<wireguard::TunPacket, 1> packets = {{{.bytes = own}}};
  Turn([&](Now now, node::Outbox& out) { control_->OnTunPackets(now, packets, out); });
}

void NodeLoop::ArmTimer() {
  const Instant at = control_->NextWake();
  if (at == armed_) return;
  armed_ = at;
  itimerspec spec{};
  if (at != kNever) {
    // Zero would disarm; what is due already fires at once.
    const int64_t nanos = std::max<int64_t>(at.time_since_epoch().count(), 1);
    spec.it_value = {.tv_sec = nanos / 1'000'000'000, .tv_nsec = nanos % 1'000'000'000};
  }
  ::timerfd_settime(timer_.native_handle(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void NodeLoop::WaitTimer() {
  timer_.async_wait(stream_descriptor::wait_read, [this](error_code error) {
    if (error) return;
    uint64_t expirations = 0;
    if (::read(timer_.native_handle(), &expirations, sizeof expirations) > 0) {
      armed_ = kNever;
      Turn([this](Now now, node::Outbox& out) { control_->OnWake(now, out); });
    }
    WaitTimer();
  });
}

void NodeLoop::WaitNet() {
  net_wait_.async_wait(stream_descriptor::wait_read, [this](error_code error) {
    if (error) return;
    // An answer that was read meanwhile leaves its event behind.
    if (net_->IsGone()) return Stop(Unavailable("aqmesh-net ended; start aqmeshd again"));
    WaitNet();
  });
}

void NodeLoop::WaitSignals() {
  error_code ignored;  // the numbers are valid
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) signals_.add(signal, ignored);
  signals_.async_wait([this](error_code error, int signal) {
    if (error) return;
    if (signal == SIGHUP) {
      const absl::Status reloaded = Reload();
      Log(reloaded.ok() ? Severity::kInfo : Severity::kError,
          "reload",
          reloaded.ok() ? "policy and config read again" : Text(reloaded));
    } else {
      Stop(absl::OkStatus());
    }
    WaitSignals();
  });
}

void NodeLoop::OnAck(const lineage::Ack& ack) {
  if (ack.status.ok()) {
    disk_full_ = false;
    durable_ = std::max(durable_, ack.ticket);
    Turn([&](Now now, node::Outbox& out) { control_->OnDurable(now, ack.ticket, out); });
    RunDurable();
    if (stopping_) CheckSettled();
  } else if (absl::IsResourceExhausted(ack.status)) {
    // Nobody new is admitted while it lasts: decisions wait for their records.
    if (!disk_full_) Log(Severity::kError, "disk", Text(ack.status));
    disk_full_ = true;
  } else {
    // A failed sync may have lost pages: only opening and verifying anew tells what is there.
    Stop(Annotate(ack.status, "lineage"));
  }
}

void NodeLoop::WhenDurable(std::function<void()> f) {
  when_durable_.emplace_back(handed_, std::move(f));
  RunDurable();
}

void NodeLoop::RunDurable() {
  while (!when_durable_.empty() && when_durable_.front().first <= durable_) {
    const auto f = std::move(when_durable_.front().second);
    when_durable_.pop_front();
    f();
  }
}

// ---- the rest of a node's life ----

// A number of our restrictions is taken on disk before the log has the statement. What a crash kept
// from the log comes back here: a hole in the stream would hold up all that we revoke after it.
absl::Status NodeLoop::FinishLastRestriction() {
  if (!control_->mesh().has_charter()) return absl::OkStatus();
  AQ_ASSIGN_OR_RETURN(const crypto::Ed25519Seed seed, setup_.keys->LoadEd25519(cli::kIdentityKey));
  AQ_ASSIGN_OR_RETURN(const auto last, issuing::ResignLast(issuing::Signer(seed, *setup_.seqs)));
  if (!last || last->ctx() != authority::Ctx::kRevoke) return absl::OkStatus();
  return Turn(
      [&](Now now, node::Outbox& out) { return control_->Import(now, last->bytes(), out); });
}

void NodeLoop::RefreshEndpoints() {
  std::vector<Endpoint> found = setup_.file.endpoints;
  if (found.empty()) {
    const auto addresses = net_->MachineAddresses();
    if (!addresses.ok()) return Log(Severity::kWarn, "endpoints", Text(addresses.status()));
    for (const IpAddress& a : *addresses) {
      if (found.size() < cli::kConfigEndpointsMax) found.push_back({.address = a, .port = port()});
    }
  }
  if (found == endpoints_) return;
  endpoints_ = found;
  Turn([&](Now now, node::Outbox& out) { control_->SetEndpoints(now, std::move(found), out); });
}

void NodeLoop::WaitEndpoints() {
  endpoints_timer_.expires_after(kEndpointsEvery);
  endpoints_timer_.async_wait([this](error_code error) {
    if (error) return;
    RefreshEndpoints();
    WaitEndpoints();
  });
}

void NodeLoop::WaitWatchdog() {
  if (!notifier_.watchdog()) return;
  notifier_.Say("WATCHDOG=1");
  watchdog_timer_.expires_after(*notifier_.watchdog());
  watchdog_timer_.async_wait([this](error_code error) {
    if (!error) WaitWatchdog();
  });
}

uint64_t NodeLoop::records() const { return setup_.store->size(); }

os::OffloadSet NodeLoop::offloads_on() const {
  const LaneCounters all = counters();
  return {.tun = tun_->offload_flags(), .udp_gso = all.udp_gso, .udp_gro = all.udp_gro};
}

LaneCounters NodeLoop::counters() const {
  LaneCounters sum{.tun = tun_->counters(), .udp = handshakes_->counters(), .signals = {}};
  for (const LaneCounters& c : lane_counters_) {
    sum.tun.read_malformed += c.tun.read_malformed;
    sum.tun.read_no_room += c.tun.read_no_room;
    sum.tun.write_refused += c.tun.write_refused;
    sum.tun.joined_refused += c.tun.joined_refused;
    sum.udp.truncated += c.udp.truncated;
    sum.udp.send_refused += c.udp.send_refused;
    sum.udp.source_refused += c.udp.source_refused;
    sum.udp.gso_turned_off += c.udp.gso_turned_off;
    sum.signals.tun += c.signals.tun;
    sum.signals.udp += c.signals.udp;
    sum.udp_gso |= c.udp_gso;
    sum.udp_gro |= c.udp_gro;
  }
  return sum;
}

void NodeLoop::SetUp(bool up) {
  wanted_up_ = up;
  Turn([&](Now now, node::Outbox& out) { control_->SetUp(now, up, out); });
  FollowTables();
}

void NodeLoop::FollowTables() {
  const auto* charter = control_->mesh().has_charter() ? &control_->mesh().charter() : nullptr;
  node::OsAction action;
  if (wanted_up_ && charter != nullptr) {
    action.addresses = control_->own_addresses();  // none before the join is done
    if (!action.addresses.empty()) {
      action.routes = {authority::Prefix48(control_->mesh().scope()),
                       charter->body.pool4.value_or(authority::DefaultPool4())};
    }
  }
  action.kind = action.addresses.empty() ? node::OsAction::Kind::kDown : node::OsAction::Kind::kUp;
  if (action.addresses == tables_.addresses && action.routes == tables_.routes) return;
  if (action.kind == node::OsAction::Kind::kDown) {
    action.addresses = tables_.addresses;
    action.routes = tables_.routes;
    tables_ = {};
  } else {
    tables_ = action;
  }
  Turn([&](Now now, node::Outbox& out) { control_->ArmOs(now, std::move(action), out); });
}

absl::Status NodeLoop::Reload() {
  AQ_ASSIGN_OR_RETURN(cli::Config file, ReadConfigFile(setup_.config_path));
  cli::LoadedPolicy loaded = cli::LoadLocalPolicy(setup_.dir->policy_path());
  AQ_RETURN_IF_ERROR(loaded.status);  // what ran until now goes on
  setup_.policy = absl::OkStatus();
  Turn(
      [&](Now now, node::Outbox& out) { control_->SetPolicy(now, std::move(loaded.policy), out); });
  const bool restart = file.listen_port != setup_.file.listen_port ||
                       file.interface != setup_.file.interface || file.mtu != setup_.file.mtu ||
                       file.name != setup_.file.name ||
                       (!options_.offloads && file.offloads != setup_.file.offloads);
  const bool same_witnesses = HasWitnessesOfFile(setup_);
  setup_.file.endpoints = std::move(file.endpoints);
  RefreshEndpoints();
  if (restart)
    return FailedPrecondition(setup_.config_path,
                              ": name, port, interface, MTU and offloads change at a restart only");
  if (!same_witnesses)
    return FailedPrecondition(setup_.dir->witnesses_path(),
                              ": public witnesses change at a restart only");
  return absl::OkStatus();
}

void NodeLoop::Stop(absl::Status why) {
  if (stopping_) {
    if (!why.ok() && end_.ok()) end_ = std::move(why);
    return;
  }
  stopping_ = true;
  end_ = std::move(why);
  if (!end_.ok()) {
    Log(Severity::kError, "end", Text(end_));
    io_.stop();  // nothing more may be admitted; aqmesh-net undoes at our end
    return;
  }
  notifier_.Say("STOPPING=1");
  // From the loop, not from inside a turn. Then until the records of the end are durable, or time
  // is up.
  boost::asio::post(io_, [this] {
    SetUp(false);
    CheckSettled();
  });
  stop_timer_.expires_after(kStopWithin);
  stop_timer_.async_wait([this](error_code error) {
    if (!error) io_.stop();
  });
}

void NodeLoop::CheckSettled() {
  if (backlog_.empty() && control_->recorder().settled() && !up_) io_.stop();
}

}  // namespace aqmesh::daemon
