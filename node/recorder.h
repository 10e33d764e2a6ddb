// Recorder: one turn's writes, and what may only happen once they are durable.
// A turn adds records, objects and state; Flush hands them to the driver as one batch with a
// ticket; the driver says which ticket is durable; then what waited for it runs, in order.
// Spec:   style law 4 (decide, write, act, confirm); spec/authority.md G (durable before effect).
// Bounds: kWaitingMax continuations; Full() says so, and then nobody new is admitted.
// Thread: the control engine's.
#ifndef AQMESH_NODE_RECORDER_H_
#define AQMESH_NODE_RECORDER_H_

#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "lineage/chain.h"
#include "lineage/store.h"

namespace aqmesh::node {

// Batches are numbered from 1, in the order in which they leave; 0 is before all of them.
using Ticket = uint64_t;

class Recorder {
 public:
  static constexpr size_t kWaitingMax = 4'096;

  // `edge`: of the records that `chain` goes on after.
  Recorder(lineage::Chain chain, const tlog::Edge& edge) : chain_(chain), edge_(edge) {}

  // The digest by which others cite the record.
  Digest Record(authority::Observe record, WallTime wall);
  void PutObject(lineage::Shelf shelf, const Oid& oid, ByteView bytes);
  void PutState(std::string name, Bytes value);
  void DeleteState(std::string name);
  void ShredState(std::string name);  // deletes it, and every byte of it (Batch::shreds)

  // Runs `f()` once all that was added up to now is durable: at the end of this turn if it is
  // already.
  template <class F>
  void WhenDurable(F f) {
    waiting_.push_back({Newest(), std::make_unique<Task<F>>(std::move(f))});
  }
  bool Full() const { return waiting_.size() >= kWaitingMax; }

  // Moves this turn's batch to `out`, if there is one. A batch that grew large leaves in several.
  void Flush(std::vector<lineage::Batch>& out);
  void OnDurable(Ticket up_to) { durable_ = std::max(durable_, up_to); }
  // Runs what is due; tasks may record again. True if anything ran.
  bool RunDue();

  lineage::Chain& chain() { return chain_; }
  const lineage::Chain& chain() const { return chain_; }
  // The tree over all records, durable or not.
  const tlog::Edge& edge() const { return edge_; }
  // Records of this life but those of kind CHECKPOINT: what a head is signed for.
  uint64_t worth() const { return worth_; }
  // What was recorded up to now ends the log; what comes begins that of `log`.
  void BeginLog(const Kid& log, std::vector<lineage::Batch>& out);
  bool settled() const { return durable_ == sent_ && batch_.empty(); }

 private:
  struct TaskBase {
    virtual ~TaskBase() = default;
    virtual void Run() = 0;
  };
  template <class F>
  struct Task final : TaskBase {
    explicit Task(F f) : f_(std::move(f)) {}
    void Run() override { f_(); }
    F f_;
  };
  struct Waiting {
    Ticket ticket;
    std::unique_ptr<TaskBase> task;
  };
  Ticket Newest() const { return batch_.empty() ? sent_ : sent_ + 1; }

  lineage::Chain chain_;
  tlog::Edge edge_;
  uint64_t worth_ = 0;
  lineage::Batch batch_;
  std::deque<Waiting> waiting_;
  Ticket sent_ = 0, durable_ = 0;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_RECORDER_H_
