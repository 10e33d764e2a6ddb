// Writer: the log thread. Batches go in from the control thread; whatever is queued becomes one
// synced commit; then all of it is acknowledged at once. The next group gathers while this one
// syncs, so there is no timer.
// Spec:   spec/authority.md G (group commit); spec/performance.md 4.2.
// Bounds: the queue holds queue_items_max records, objects and state changes together; TryEnqueue says no
//         when it is full, and then the caller admits nobody: a decision waits for its record.
// Thread: TryEnqueue and Stop from any thread; `on_ack` runs on the log thread and must only hand
//         over (write an eventfd, post to a loop). It must not call Stop.
//         The locks are std's: the thread sanitizer sees those, and not those of an abseil that was
//         built without it.
// Errors: a full disk is waited out: one Ack with ResourceExhausted, then the same group again every
//         retry interval. Any other error ends the writer: one Ack with it, and TryEnqueue refuses.
#ifndef AQMESH_LINEAGE_ROCKS_WRITER_H_
#define AQMESH_LINEAGE_ROCKS_WRITER_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "lineage/store.h"

namespace aqmesh::lineage {

// Batches are numbered from 1 in the order in which they were taken.
using Ticket = uint64_t;

struct Ack {
  absl::Status status;       // OK: everything up to `ticket` is durable
  Ticket ticket = 0;         // the newest durable batch; 0: none yet
  std::optional<Head> head;  // the newest durable record
};

struct WriterOptions {
  size_t queue_items_max = 16'384;
  std::chrono::milliseconds retry{500};
};

class Writer {
 public:
  // `store` outlives the writer and takes commits from nobody else meanwhile.
  Writer(Store& store, WriterOptions options, std::function<void(const Ack&)> on_ack);
  ~Writer();  // Stop()
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Takes the batch and gives its ticket; nullopt, with the batch left as it was, if the queue is
  // full or the writer has ended.
  [[nodiscard]] std::optional<Ticket> TryEnqueue(Batch& batch);
  // Writes what is queued, acknowledges it and joins the thread. On a full disk: gives up after one
  // try.
  void Stop();

  uint64_t groups() const;  // commits that succeeded

 private:
  void Run();
  std::vector<Batch> TakeGroup();  // under mutex_
  absl::Status CommitGroup(const std::vector<Batch>& group);

  Store& store_;
  const WriterOptions options_;
  const std::function<void(const Ack&)> on_ack_;
  mutable std::mutex mutex_;       // guards all down to the thread
  std::condition_variable woken_;  // something to write, or to stop for
  std::deque<Batch> queue_;
  size_t queued_items_ = 0;
  Ticket taken_ = 0;
  Ticket durable_ = 0;
  uint64_t groups_ = 0;
  bool stopping_ = false;
  bool failed_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_ROCKS_WRITER_H_
