// WitnessLink: aqmesh-courier's other end. What the engine asks public witnesses goes out by it,
// and what they answer comes back as turns of the loop.
// Spec:   spec/lineage.md §7.8; the courier's own frames: daemon/courier/courier_client.h.
// Bounds: the engine asks each witness one thing at a time. Thread: the loop's.
// Errors: what cannot be sent, and an end of the courier, are answers to whoever asked; the mesh
//         goes on without: witnesses vouch for the log, they do not carry it.
#ifndef AQMESH_DAEMON_WITNESS_LINK_H_
#define AQMESH_DAEMON_WITNESS_LINK_H_

#include <boost/asio/posix/stream_descriptor.hpp>
#include <optional>
#include <vector>

#include "daemon/courier/courier_client.h"
#include "node/control.h"

namespace aqmesh::daemon {

class NodeLoop;

class WitnessLink {
 public:
  // `courier`: not valid where no public witness is asked.
  static absl::StatusOr<std::unique_ptr<WitnessLink>> Make(NodeLoop& loop, os::Fd courier);

  void Start();
  void Ask(std::vector<node::WitnessAsk> asks);
  bool ended() const { return ended_; }

 private:
  explicit WitnessLink(NodeLoop& loop);
  void Wait();
  void OnReadable();

  NodeLoop& loop_;
  std::optional<CourierClient> courier_;
  boost::asio::posix::stream_descriptor wait_;
  bool ended_ = false;
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_WITNESS_LINK_H_
