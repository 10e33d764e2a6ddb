// A data thread beside the main one: a wireguard::Shard on a lane of its own. It meets the main
// thread in two mailboxes, and shares with it nothing else but the counters and replay windows of
// sessions (transport/wireguard/session_sync.h).
// Spec:   spec/performance.md §5.
// Bounds: kMailMax letters each way. Either waits for room; a stray handshake is lost.
// Thread: starts one and joins it. Errors: absl::Status when starting.
#ifndef AQMESH_DAEMON_WG_WG_WORKER_H_
#define AQMESH_DAEMON_WG_WG_WORKER_H_

#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "daemon/lane/lane_poll.h"
#include "daemon/lane/packet_lane.h"
#include "transport/os/mailbox.h"
#include "transport/wireguard/shard.h"

namespace aqmesh::daemon {

struct ToWorker {
  std::shared_ptr<const wireguard::ShardOrders> orders = nullptr;
  // Set: the sockets from now on; nullptr in it: none.
  std::optional<std::unique_ptr<os::UdpPair>> udp = std::nullopt;
  std::optional<uint32_t> mark = std::nullopt;
  bool stop = false;
};

struct FromWorker {
  std::optional<wireguard::ShardReport> report = std::nullopt;
  std::optional<StrayDatagram> stray = std::nullopt;  // no data, and came to a worker all the same
  absl::Status end = {};                              // not OK: it cannot go on
};
using MainMailbox = os::Mailbox<FromWorker>;

class WgWorker {
 public:
  static constexpr size_t kMailMax = 1024;

  // number: 1, 2, …. tun: a queue of its own. `main` and `helpers` (or nullptr) outlive it.
  static absl::StatusOr<std::unique_ptr<WgWorker>> Start(uint32_t number,
                                                         std::unique_ptr<os::Tun> tun,
                                                         MainMailbox& main,
                                                         crypto::AeadHelpers* helpers);
  ~WgWorker();  // stops it

  void Tell(ToWorker letter);

 private:
  WgWorker(uint32_t number,
           std::unique_ptr<os::Tun> tun,
           MainMailbox& main,
           std::unique_ptr<os::Mailbox<ToWorker>> mail,
           LanePoll poll);
  void Run();
  int WaitMs(Instant now) const;
  void TakeMail();
  void Follow(ToWorker& letter);
  void OnUdp(os::Family family);
  void OnTun();
  void Flush();
  void Report(Instant now);
  void End(absl::Status why);

  MainMailbox& main_;
  std::unique_ptr<os::Mailbox<ToWorker>> mail_;
  LanePoll poll_;
  PacketLane lane_;
  wireguard::Shard shard_;
  wireguard::Outbox out_;
  bool tun_has_more_ = false;
  bool stopping_ = false;
  std::vector<std::unique_ptr<os::UdpPair>> closing_;  // until this turn ends
  std::vector<ToWorker> letters_;                      // kept for their memory, as the next are
  std::vector<const wireguard::InDatagram*> strays_;
  std::vector<wireguard::PeerId> refused_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_WG_WG_WORKER_H_
