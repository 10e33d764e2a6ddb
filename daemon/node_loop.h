// The real driver of node::Control: one Asio thread between the engine and handshakes, disk, kernel
// tables and the control socket; packets are DataThreads' beside it. One turn: read a batch -> call
// Control once -> carry out its Outbox in this order:
//   commits -> Writer      datagrams -> UDP      packets -> TUN      os actions -> aqmesh-net
//   events -> clients    requests to public witnesses -> aqmesh-courier
// Spec:   style law 2 and 3, shape 2; spec/authority.md F, G.
// Bounds: per turn one recvmmsg a family; kMailMax letters of data threads; kBacklogMax batches that
//         the log's queue did not take (beyond it the node ends: it can no longer keep its
//         promise).
// Thread: Run's, which starts the data threads. The log thread only posts here.
// Errors: Create: what, where, mend. Run: OK when told to stop; else why the node had to end.
#ifndef AQMESH_DAEMON_NODE_LOOP_H_
#define AQMESH_DAEMON_NODE_LOOP_H_

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/control_api.h"
#include "daemon/data_thread.h"
#include "daemon/lane/threads.h"
#include "daemon/log.h"
#include "daemon/net/net_client.h"
#include "daemon/notify.h"
#include "daemon/os_actuation.h"
#include "daemon/setup.h"
#include "lineage/rocks/snapshot_keeper.h"
#include "lineage/rocks/writer.h"
#include "node/control.h"
#include "transport/os/aead_pool.h"
#include "transport/os/clock.h"
#include "transport/os/tun.h"
#include "transport/os/udp_group.h"

namespace aqmesh::daemon {

class Retainer;
class Verbs;
class WitnessLink;

class NodeLoop {
 public:
  struct Options {
    std::string socket_path;
    std::string version = {};
    bool up = true;                                         // addresses and routes at once
    std::optional<os::OffloadSet> offloads = std::nullopt;  // instead of the configuration's
    Threads threads = {};
    Severity log_least = Severity::kInfo;
  };
  // Opens the interface and the sockets; the control socket last, when all else is there.
  // `courier`: the socket to aqmesh-courier; not valid where no public witness is asked.
  static absl::StatusOr<std::unique_ptr<NodeLoop>> Create(Options options,
                                                          Setup setup,
                                                          std::unique_ptr<NetClient> net,
                                                          os::Fd courier);
  ~NodeLoop();

  absl::Status Run();
  // What this process shut itself in with, once it has; for the status and the log.
  void SetWalls(std::string walls, bool all_stand);
  const std::string& walls() const { return walls_; }
  bool all_walls_stand() const { return all_walls_stand_; }

  // ---- for the verbs ----
  // Calls f(now, out) on the engine and carries out what it made. Not from inside itself.
  template <class F>
  auto Turn(F f) {
    out_.Clear();
    const Now now = os::ReadNow();
    if constexpr (std::is_void_v<decltype(f(now, out_))>) {
      f(now, out_);
      Apply();
    } else {
      auto result = f(now, out_);
      Apply();
      return result;
    }
  }
  node::Control& control() { return *control_; }
  const Setup& setup() const { return setup_; }
  boost::asio::io_context& io() { return io_; }
  const std::string& interface() const { return interface_; }
  const std::string& version() const { return options_.version; }
  uint16_t port() const { return handshakes_->port(); }
  Instant started() const { return started_; }
  bool up() const { return up_; }
  const WitnessLink& witnesses() const { return *witnesses_; }
  uint64_t records() const;
  // All ends of packets together, as the data threads last told: at most DataThread::kReportEvery
  // ago.
  LaneCounters counters() const;
  const Threads& threads() const { return options_.threads; }
  os::OffloadSet offloads_allowed() const {
    return options_.offloads.value_or(setup_.file.offloads);
  }
  os::OffloadSet offloads_on() const;
  crypto::AeadBackend aead() const { return crypto::BestBackend(); }
  Rng& rng() { return rng_; }
  void SendFromHere(ByteView packet);  // as if it came from the TUN
  // While true, what may answer such a packet is shown to Verbs::TakeEchoReply.
  void WantEchoes(bool wanted) { wants_echo_.store(wanted, std::memory_order_relaxed); }
  void SetUp(bool up);
  absl::Status Reload();        // policy.toml and aqmesh.toml
  void Stop(absl::Status why);  // OK: an orderly end
  Retainer& retainer() { return *retainer_; }
  void Log(Severity severity, std::string_view topic, std::string_view text);
  // Runs `f` once all that was handed to the log up to now is durable: at once if it is.
  void WhenDurable(std::function<void()> f);

 private:
  static constexpr size_t kMailMax = 1024;
  static constexpr size_t kBacklogMax = 4'096;
  static constexpr std::chrono::seconds kEndpointsEvery{30};
  static constexpr std::chrono::seconds kStopWithin{3};

  NodeLoop(Options options, Setup setup, std::unique_ptr<NetClient> net);
  absl::Status Open();
  absl::Status OpenInterface();
  absl::Status OpenUdp();
  absl::Status MakeDataThreads();

  // turns
  void Apply();
  void SendDatagrams();
  void WriteTun();
  void WriteTun(std::span<const ByteView> packets);
  void Enqueue();
  void
  FollowTables();  // arms what is missing between the kernel's tables and what they should hold
  void CarryOutOs(std::vector<node::OsAction> actions);
  absl::Status FinishLastRestriction();
  void RunDurable();
  void TellEvents(const std::vector<node::Event>& events);
  void LogEvent(const node::Event& event);
  absl::Status BeginLog();

  // input
  // One family of handshakes_.
  struct Socket {
    Socket(boost::asio::io_context& io, os::Family f) : family(f), wait(io) {}
    const os::Family family;
    boost::asio::posix::stream_descriptor wait;
  };
  void WaitUdp(Socket& socket);
  void OnUdp(Socket& socket);
  void WaitMail();
  void OnMail();
  void WaitTimer();
  void ArmTimer();
  void WaitNet();
  void WaitSignals();
  void OnAck(const lineage::Ack& ack);
  void RefreshEndpoints();
  void WaitEndpoints();
  void WaitWatchdog();
  void CheckSettled();

  Options options_;
  Setup setup_;
  std::unique_ptr<NetClient> net_;
  Notifier notifier_;
  LogSink log_;
  std::string walls_;
  bool all_walls_stand_ = false;
  Rng rng_;
  Instant started_{};
  std::string interface_;
  std::unique_ptr<os::Tun> tun_;             // a second descriptor of the first queue: to write
  std::unique_ptr<os::UdpPair> handshakes_;  // what is no data; the data threads have their own
  std::vector<DataThread::Ends> ends_;       // of data threads that are not made yet
  std::unique_ptr<node::Control> control_;

  boost::asio::io_context io_{1};
  boost::asio::posix::stream_descriptor timer_{io_}, net_wait_{io_}, mail_wait_{io_};
  std::vector<std::unique_ptr<Socket>> sockets_;
  boost::asio::steady_timer endpoints_timer_{io_}, watchdog_timer_{io_}, stop_timer_{io_};
  boost::asio::signal_set signals_{io_};

  // Kept for their memory.
  node::Outbox out_;
  DatagramReader reader_;
  DatagramSender sender_;
  std::vector<node::PeerId> refused_;
  std::vector<FromDataThread> letters_;
  std::vector<node::ControlPacket> control_packets_;
  std::vector<ByteView> to_tun_;

  std::deque<lineage::Batch> backlog_;  // the log's queue was full; in order
  lineage::Ticket handed_ = 0, durable_ = 0;
  std::deque<std::pair<lineage::Ticket, std::function<void()>>> when_durable_;  // one a client
  std::vector<Endpoint> endpoints_;
  Instant armed_ = kNever;
  node::OsAction tables_;  // what was last armed to be there
  bool wanted_up_ = false;
  bool up_ = false;  // as read back
  bool stopping_ = false;
  bool disk_full_ = false;
  absl::Status end_;

  std::unique_ptr<Verbs> verbs_;
  std::unique_ptr<ControlServer> server_;
  std::unique_ptr<lineage::SnapshotKeeper> snapshots_;
  std::unique_ptr<Retainer> retainer_;
  std::unique_ptr<WitnessLink> witnesses_;
  std::unique_ptr<lineage::Writer> writer_;  // its thread ends before what it posts to
  std::atomic<bool> wants_echo_ = false;
  std::unique_ptr<os::AeadPool> pool_;
  std::unique_ptr<DataMailbox> mail_;
  std::vector<LaneCounters> lane_counters_;                // by thread, as last told
  std::vector<std::unique_ptr<DataThread>> data_threads_;  // last: they use all of the above
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_NODE_LOOP_H_
