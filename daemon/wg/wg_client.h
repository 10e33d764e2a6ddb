// One configuration connection of a WgLoop: what it asked, and the answer that it has not read yet.
// Bounds: one read of what was asked, one answer. Thread: the loop's.
#ifndef AQMESH_DAEMON_WG_WG_CLIENT_H_
#define AQMESH_DAEMON_WG_WG_CLIENT_H_

#include <string>
#include <utility>

#include "daemon/wg/wg_loop.h"

namespace aqmesh::daemon {

struct WgLoop::Client {
  Client(os::Fd f, wireguard::Device& device, wireguard::UapiSession::Apply apply)
      : fd(std::move(f)), session(device, std::move(apply)) {
    session.ApplyInSlicesOf(kLinesMax);
  }
  ~Client();
  // What epoll gives back for it: above the loop's own tags.
  static constexpr uint32_t kFirstTag = 16;
  uint32_t tag() const { return kFirstTag + static_cast<uint32_t>(fd.get()); }
  bool busy() const { return session.applying() || !reply.empty() || !asked.empty(); }
  os::Fd fd;
  wireguard::UapiSession session;
  std::string asked;  // what was read and not taken yet: a request waits for the last one's answer
  size_t asked_at = 0;  // what was taken of it
  std::string reply;    // may hold keys, so it is wiped whole once it is written
  size_t reply_at = 0;  // what was written of it
  bool closing = false;
  bool closed = false;
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_WG_WG_CLIENT_H_
