// Writer: the log thread. Batches go in from the control thread; whatever is queued becomes one
// synced commit; then all of it is acknowledged at once. The next group gathers while this one
// syncs, so there is no timer.
// Spec:   spec/authority.md G (group commit); spec/performance.md 4.2.
// Bounds: the queue holds queue_items_max records, objects and state changes together; TryEnqueue says no
//         when it is full, and then the caller admits nobody: a decision waits for its record.
// Thread: TryEnqueue and Stop from any thread; `on_ack` runs on the log thread and must only hand
// over
//         (write an eventfd, post to a loop). It must not call Stop.
// Errors: a full disk is waited out: one Ack with ResourceExhausted, then the same group again every
//         retry interval. Any other error ends the writer: one Ack with it, and TryEnqueue refuses.
#ifndef AQMESH_LINEAGE_ROCKS_WRITER_H_
#define AQMESH_LINEAGE_ROCKS_WRITER_H_

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
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
  std::vector<Batch> TakeGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CommitGroup(const std::vector<Batch>& group);
  bool Awake() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || !queue_.empty(); }

  Store& store_;
  const WriterOptions options_;
  const std::function<void(const Ack&)> on_ack_;
  mutable absl::Mutex mutex_;
  std::deque<Batch> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_items_ ABSL_GUARDED_BY(mutex_) = 0;
  Ticket taken_ ABSL_GUARDED_BY(mutex_) = 0;
  Ticket durable_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t groups_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_ROCKS_WRITER_H_
