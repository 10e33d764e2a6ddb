// Retainer: lets go of records under a retention rule while the node runs: once an hour, and when
// somebody asks. Planning, sealing and pruning are work for a thread of its own; what is recorded
// about it goes through the loop's turns.
// Spec:   spec/lineage.md §12.4: sealed and read again, recorded and durable, then gone.
// Bounds: one pruning at a time; who asks meanwhile hears so.
// Thread: the loop's, but for what it does on its own. Errors: handed to whoever asked; of its own
//         hourly work they are logged.
#ifndef AQMESH_DAEMON_RETAINER_H_
#define AQMESH_DAEMON_RETAINER_H_

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>
#include <thread>

#include "daemon/cli/retention.h"

namespace aqmesh::daemon {

class NodeLoop;

class Retainer {
 public:
  using Done = std::function<void(absl::StatusOr<cli::PreparedPrune>)>;
  static constexpr std::chrono::hours kEvery{1};

  // Its thread begins here, before any sandbox.
  explicit Retainer(NodeLoop& loop);
  ~Retainer();  // Stop()
  Retainer(const Retainer&) = delete;
  Retainer& operator=(const Retainer&) = delete;

  void StartHourly();
  // Unavailable if one is under way.
  void Prune(Done done);
  // Ends after the step that it is at; no Done is called any more.
  void Stop();

 private:
  void WaitHour();
  void OnPrepared(absl::StatusOr<cli::PreparedPrune> prepared);
  void OnDurable();
  void OnPruned(absl::Status pruned);
  void Finish(absl::StatusOr<cli::PreparedPrune> result);

  NodeLoop& loop_;
  boost::asio::steady_timer timer_;
  cli::PreparedPrune now_;
  Done done_;  // empty: nothing is under way
  boost::asio::io_context work_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> busy_;
  std::thread thread_;  // last: it uses the above
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_RETAINER_H_
