// The shell of one plain WireGuard device: TUN, UDP sockets and configuration socket around
// wireguard::Device, on as many data threads as asked for: this one, and workers beside it.
// Spec:   spec/wire.md §2 (program convention: when to exit, what to remove), §4 (offloads).
// Bounds: kClientsMax configuration connections, one request of one of them at a time, kLinesMax of
//         its lines; per turn one recvmmsg a family and kTunReadsMax TUN reads.
// Thread: one, which starts the others. Create, then fork if wanted (nothing is threaded, no event
// descriptor is open yet), then Run. Log:    one line an event to standard error: "aqmesh-wg
// INTERFACE: TEXT".
// Errors: Create: what, where, mend. Run: OK when told to stop (signal, interface or socket file deleted).
#ifndef AQMESH_DAEMON_WG_WG_LOOP_H_
#define AQMESH_DAEMON_WG_WG_LOOP_H_

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "daemon/lane/packet_lane.h"
#include "daemon/lane/threads.h"
#include "daemon/wg/wg_worker.h"
#include "transport/os/aead_pool.h"
#include "transport/os/fd.h"
#include "transport/os/netlink.h"
#include "transport/os/offload_set.h"
#include "transport/os/udp_group.h"
#include "transport/os/unix_socket.h"
#include "transport/wireguard/device.h"
#include "transport/wireguard/uapi.h"

namespace aqmesh::daemon {

enum class LogLevel : uint8_t { kSilent, kError, kVerbose };

class WgLoop {
 public:
  struct Options {
    std::string interface;
    std::optional<int> tun_fd = std::nullopt;   // inherited: WG_TUN_FD
    std::optional<int> uapi_fd = std::nullopt;  // inherited: WG_UAPI_FD
    std::string socket_directory = "/var/run/wireguard";
    LogLevel log = LogLevel::kError;  // to standard error
    os::OffloadSet offloads = {};     // that may be used: AQMESH_WG_OFFLOADS
    Threads threads = {};             // one data thread where the TUN is inherited
  };
  // Makes the interface (down, MTU 1420) and the listening socket.
  static absl::StatusOr<std::unique_ptr<WgLoop>> Create(const Options& options);
  ~WgLoop();

  absl::Status Run();
  void Abandon() {
    listener_->Abandon();
  }  // in the parent of a fork: the child removes the socket file
  const std::string& interface() const { return name_; }

 private:
  struct Client;
  static constexpr size_t kClientsMax = 32;
  static constexpr size_t kLinesMax = 256;  // a few milliseconds of new peers

  WgLoop(const Options& options,
         std::unique_ptr<os::Tun> tun,
         std::unique_ptr<os::UnixListener> listener,
         std::string name);
  absl::Status OpenQueues();  // of the TUN, for the workers
  absl::Status StartWorkers();
  absl::Status OpenEvents();
  absl::Status Watch(int fd, uint32_t tag, uint32_t events);
  void Rewatch(int fd, uint32_t tag, uint32_t events);
  int WaitMs();
  bool IsMoved(Instant now);
  void OnEvent(uint32_t tag, uint32_t events);

  void OnTunReadable();
  void OnUdpReadable(os::Family family);
  void OnControlReadable(os::Family family);
  absl::Status OnMail();
  void OnLinkEvents();
  void OnSocketFileEvent();
  void OnNewClient();
  void OnClient(Client& client, uint32_t events);
  void Serve(Client& client);
  bool ReadAsked(Client& client);  // false: it is gone
  void AnswerNext(Client& client);
  void SendReply(Client& client);
  void DropClosedClients();

  void FollowInterface();  // its up state and MTU
  void FollowMtu();
  bool MustLook(Instant now);  // at the interface, since nothing will tell
  int BindUdp(uint16_t port);  // 0 or the magnitude of an errno for the configuration protocol
  absl::Status TakeSockets(os::UdpGroup group);
  void CloseUdp();
  uint16_t port() const { return control_->port(); }  // control_ is there
  absl::Status SetMark();
  int ApplySettings(wireguard::Outbox& out);  // listen_port and fwmark, then Flush
  // Tells the workers, then datagrams and TUN packets; clears it.
  void Flush(wireguard::Outbox& out);
  void LogSessions(std::span<const wireguard::SessionEvent> events) const;
  void Stop(std::string_view why);
  void Log(LogLevel level, std::string_view text) const;

  const Options options_;
  std::string name_;
  PacketLane lane_;
  std::unique_ptr<os::UnixListener> listener_;
  std::unique_ptr<os::UdpPair> control_;  // beside the lanes' sockets, while the interface is up
  std::unique_ptr<os::LinkWatch> link_watch_;
  os::Fd epoll_;
  os::Fd signals_;
  os::Fd inotify_;
  wireguard::Device device_;
  uint16_t wanted_port_ = 0;
  uint32_t fwmark_ = 0;
  bool tun_has_more_ = false;
  bool moved_ = false;         // the interface lies in another namespace than ours, as known
  Instant moved_until_{};      // until then
  Instant looked_at_{};        // when the interface's state was last read
  uint32_t mtu_ = 0;           // as read then
  bool port_missing_ = false;  // the interface is up, but its port is taken
  std::string port_error_;     // as last logged
  bool waits_for_up_ = false;
  bool stopping_ = false;

  wireguard::Outbox out_;  // kept for its memory, as the next are
  std::vector<wireguard::PeerId> refused_;
  std::vector<FromWorker> letters_;
  std::vector<std::unique_ptr<Client>> clients_;
  Client* applying_ = nullptr;  // whose settings are being made: the others wait

  std::vector<std::unique_ptr<os::Tun>> queues_;  // of workers that have not started
  std::unique_ptr<MainMailbox> mail_;
  std::unique_ptr<os::AeadPool> pool_;
  std::vector<std::unique_ptr<WgWorker>> workers_;  // last: they use the two above
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_WG_WG_LOOP_H_
