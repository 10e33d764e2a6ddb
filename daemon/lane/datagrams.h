// Datagrams between a pair of sockets and the engine's words for them.
// Thread: pure but for the sockets. Errors: what the kernel refuses is lost and counted there.
#ifndef AQMESH_DAEMON_LANE_DATAGRAMS_H_
#define AQMESH_DAEMON_LANE_DATAGRAMS_H_

#include <span>
#include <vector>

#include "transport/os/udp.h"
#include "transport/wireguard/outbox.h"

namespace aqmesh::daemon {

// A datagram with bytes of its own, on its way to another thread.
struct StrayDatagram {
  Bytes bytes;
  Endpoint from;
  wireguard::Source at;
  uint8_t tos = 0;
  wireguard::InDatagram View() { return {.bytes = bytes, .from = from, .at = at, .tos = tos}; }
};
StrayDatagram CopyOf(const wireguard::InDatagram& d);

class DatagramReader {
 public:
  // What one recvmmsg of the family gives, in the sockets' memory until the next.
  std::span<const wireguard::InDatagram> Read(os::UdpPair& udp, os::Family family);
  bool emptied() const { return emptied_; }  // the socket's queue, by the last read

 private:
  bool emptied_ = false;
  std::vector<os::Datagram> received_;  // kept for their memory
  std::vector<wireguard::InDatagram> came_;
};

class DatagramSender {
 public:
  // Adds to `refused` the peers whose source address may be gone.
  void Send(os::UdpPair& udp,
            std::span<const wireguard::OutDatagram> datagrams,
            std::vector<wireguard::PeerId>& refused);

 private:
  std::vector<os::OutDatagram> outgoing_;  // kept for its memory
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_LANE_DATAGRAMS_H_
