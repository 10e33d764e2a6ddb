// The shell of one plain WireGuard device: TUN, UDP sockets and configuration socket around
// wireguard::Device.
// Spec:   spec/wire.md §2 (program convention: when to exit, what to remove), §4 (offloads).
// Bounds: kClientsMax configuration connections, one request of one of them at a time, kLinesMax of
//         its lines; per turn one recvmmsg a family and kTunReadsMax TUN reads.
// Thread: one. Create, then fork if wanted (nothing is threaded, no event descriptor is open yet),
// then Run.
// Log:    one line an event to standard error: "aqmesh-wg INTERFACE: TEXT".
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
#include "transport/os/arena.h"
#include "transport/os/fd.h"
#include "transport/os/netlink.h"
#include "transport/os/offload_set.h"
#include "transport/os/standing_queue.h"
#include "transport/os/tun.h"
#include "transport/os/udp.h"
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
  // As many as one round of UDP may cause ACKs: fewer, and the TUN's queue overflows. Super-packets
  // end a turn sooner, by the arena.
  static constexpr size_t kTunReadsMax = 256;

  WgLoop(LogLevel log,
         std::unique_ptr<os::Tun> tun,
         std::unique_ptr<os::UnixListener> listener,
         std::string name);
  absl::Status OpenEvents();
  absl::Status Watch(int fd, uint32_t tag, uint32_t events);
  void Rewatch(int fd, uint32_t tag, uint32_t events);
  int WaitMs();
  bool IsMoved(Instant now);
  void OnEvent(uint32_t tag, uint32_t events);

  void OnTunReadable();
  void AnswerTooLong(ByteView packet);
  void OnUdpReadable(os::Family family);
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
  void CloseUdp();
  int ApplySettings(wireguard::Outbox& out);  // listen_port and fwmark, then Flush
  void Flush(wireguard::Outbox& out);         // datagrams and TUN packets; clears it
  void SendAll(wireguard::Outbox& out);
  void LogSessions(std::span<const wireguard::SessionEvent> events) const;
  void Stop(std::string_view why);
  void Log(LogLevel level, std::string_view text) const;

  LogLevel log_;
  std::string name_;
  std::unique_ptr<os::Tun> tun_;
  std::unique_ptr<os::UnixListener> listener_;
  std::unique_ptr<os::UdpPair> udp_;  // while the interface is up
  std::unique_ptr<os::LinkWatch> link_watch_;
  os::Fd epoll_;
  os::Fd signals_;
  os::Fd inotify_;
  wireguard::Device device_;
  uint16_t wanted_port_ = 0;
  uint32_t fwmark_ = 0;
  os::OffloadSet offloads_;
  bool tun_has_more_ = false;
  bool moved_ = false;         // the interface lies in another namespace than ours, as known
  Instant moved_until_{};      // until then
  Instant looked_at_{};        // when the interface's state was last read
  uint32_t mtu_ = 0;           // as read then
  bool port_missing_ = false;  // the interface is up, but its port is taken
  std::string port_error_;     // as last logged
  bool waits_for_up_ = false;
  bool stopping_ = false;

  // Kept for their memory.
  os::PacketArena arena_;
  std::vector<wireguard::TunPacket> packets_;
  std::vector<ByteView> to_tun_;
  std::vector<os::Datagram> received_;
  os::StandingQueue tun_queue_;
  std::array<os::StandingQueue, 2> udp_queues_;  // v4, v6
  std::vector<wireguard::InDatagram> came_;
  std::vector<os::OutDatagram> outgoing_;
  wireguard::Outbox out_;
  std::vector<std::unique_ptr<Client>> clients_;
  Client* applying_ = nullptr;  // whose settings are being made: the others wait
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_WG_WG_LOOP_H_
