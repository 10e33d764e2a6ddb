// The engine's end of the pair to aqmesh-courier, the process that speaks HTTP for it.
// Spec:   courier_protocol.h; spec/lineage.md §7.8.
// Bounds: what the socket holds; kOutcomesATime of a call. Thread: one owner; never blocks.
// Errors: Send: Unavailable (the courier does not take it now); anything else: it has ended.
#ifndef AQMESH_DAEMON_COURIER_COURIER_CLIENT_H_
#define AQMESH_DAEMON_COURIER_COURIER_CLIENT_H_

#include <absl/status/statusor.h>

#include <vector>

#include "daemon/courier/courier_protocol.h"
#include "transport/os/fd.h"

namespace aqmesh::daemon {

class CourierClient {
 public:
  static constexpr size_t kOutcomesATime = 64;

  // `fd`: one end of os::SequencedPair(), whose other end aqmesh-courier has.
  static absl::StatusOr<CourierClient> Take(os::Fd fd);

  absl::Status Send(const Errand& errand);
  // What has come; malformed messages are left out. An error: the courier has ended, and no more
  // will come.
  absl::Status Receive(std::vector<Outcome>& out);
  int fd() const { return fd_.get(); }  // to watch: when readable, Receive

 private:
  explicit CourierClient(os::Fd fd) : fd_(std::move(fd)) {}
  os::Fd fd_;
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_COURIER_COURIER_CLIENT_H_
