// A data thread of aqmeshd: its queues of the TUN and one pair of sockets, and node::Datapath
// between them. It decides nothing: what is no data, and what only Control can settle, goes to the
// main thread's mailbox.
// Spec:   spec/performance.md §5; spec/life-of-a-packet.md.
// Bounds: the mailbox's; what finds it full is lost as in a full socket queue. Per turn one recvmmsg
//         a family and a batch of TUN reads.
// Thread: starts one and joins it. Errors: absl::Status when it is made; later ones by mail.
#ifndef AQMESH_DAEMON_DATA_THREAD_H_
#define AQMESH_DAEMON_DATA_THREAD_H_

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "daemon/lane/lane_poll.h"
#include "daemon/lane/packet_lane.h"
#include "node/datapath.h"
#include "transport/os/mailbox.h"

namespace aqmesh::daemon {

// What a thread's ends could not carry so far, as status shows it.
struct LaneCounters {
  os::Tun::Counters tun;
  os::UdpPair::Counters udp;
  PacketLane::Signals signals;
  bool udp_gso = false, udp_gro = false;
};

// One letter to the main thread. Any of them means that Control should look at its Datapath.
struct FromDataThread {
  uint32_t thread = 0;
  std::vector<node::ControlPacket> control = {};
  std::optional<StrayDatagram> stray = std::nullopt;  // no data, and came by its queue all the same
  Bytes echo = {};  // a packet for the TUN that may answer `aqmesh ping`
  std::optional<LaneCounters> counters = std::nullopt;
  absl::Status end = {};  // not OK: it cannot go on
};
using DataMailbox = os::Mailbox<FromDataThread>;

class DataThread {
 public:
  // How late Control hears of what no handshake waits for.
  static constexpr std::chrono::milliseconds kReportEvery{50};

  struct Shared {  // what is in it outlives the thread
    node::Datapath& datapath;
    DataMailbox& main;
    crypto::AeadHelpers* helpers = nullptr;
    // Set while somebody waits for an echo reply: all of them take the way through the main thread.
    const std::atomic<bool>& wants_echo;
  };
  struct Ends {
    std::unique_ptr<os::Tun> tun;  // queues of its own
    std::unique_ptr<os::UdpPair> udp;
    size_t mtu = 0;
  };
  static absl::StatusOr<std::unique_ptr<DataThread>> Make(uint32_t number,
                                                          Ends ends,
                                                          const Shared& shared);
  ~DataThread();  // stops it
  void Start();

 private:
  DataThread(uint32_t number, Ends ends, const Shared& shared, LanePoll poll, os::Fd stop);
  void Run();
  void OnUdp(os::Family family);
  void OnFrames(Now now, std::span<const wireguard::InDatagram> in);
  void OnTun();
  void Finish(Instant now);
  void TakeEchoes();
  bool Tell(FromDataThread letter);  // false: the mailbox is full, and the letter is lost
  void End(const absl::Status& why);
  void Report();

  const uint32_t number_;
  PacketLane lane_;
  Shared shared_;
  LanePoll poll_;
  os::Fd stop_;
  node::Lane judged_;
  bool tun_has_more_ = false;
  bool stopping_ = false;
  Instant report_at_ = kNever;
  wireguard::Outbox out_;  // kept for their memory, as the next are
  std::vector<node::ControlPacket> control_;
  std::vector<wireguard::PeerId> refused_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_DATA_THREAD_H_
