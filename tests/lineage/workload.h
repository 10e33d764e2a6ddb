// Workload: sixty records as a machine writes them, for tests that break the disk under them: joins
// with their inputs and undo, what was carried and its sealed content, restrictions, refusals,
// drops, signed heads, a redaction. Turn n of it is the same bytes in every run, also in one that
// goes on after a crash, so that two logs may be compared.
//   LookAtAll reads all that a store shows, each record hashed again, so that two stores may be.
// Spec: spec/reliability.md G6, G8. Bounds: kTurns batches, kRecords records. Thread: values.
#ifndef AQMESH_TESTS_LINEAGE_WORKLOAD_H_
#define AQMESH_TESTS_LINEAGE_WORKLOAD_H_

#include <absl/status/statusor.h>

#include <string>
#include <utility>
#include <vector>

#include "lineage/heads.h"
#include "lineage/rocks/rocks_store.h"

namespace aqmesh::lineage {

class Workload {
 public:
  static constexpr uint64_t kTurnsPerRound = 7, kRecordsPerRound = 10, kRounds = 6;
  static constexpr uint64_t kTurns = kTurnsPerRound * kRounds;
  static constexpr uint64_t kRecords = kRecordsPerRound * kRounds;

  // Goes on where `store` stands. DataLoss: no turn of this story leaves a store so, as when half a
  // batch is there. The store must outlive it.
  static absl::StatusOr<Workload> After(const Store& store);

  uint64_t turn() const { return turn_; }
  bool done() const { return turn_ == kTurns; }
  // The next turn's batch. It may be asked for once the batch before is durable.
  Batch Next();
  // After some turns: what the log comes to, as the snapshot thread would store it.
  absl::StatusOr<std::optional<Snapshot>> SnapshotDue() const;

  static uint64_t RecordsAfter(uint64_t turn);
  static const tlog::NoteSigner& Signer();  // the log key's

 private:
  Workload(const Store& store, Chain chain, uint64_t turn)
      : store_(&store), chain_(std::move(chain)), turn_(turn) {}
  void Add(Batch& to, authority::Observe record);
  void LetIn(Batch& to);
  void Commit(Batch& to);
  void Carry(Batch& to);
  void Restrict(Batch& to);
  void Refuse(Batch& to);
  void DraftHead(Batch& to);
  void CiteHead(Batch& to);

  const Store* store_;
  Chain chain_;
  uint64_t turn_;
};

// What was read, part by part: its name and its bytes.
using Seen = std::vector<std::pair<std::string, std::string>>;
// Reads and audits everything. Errors: whatever any of it says.
absl::StatusOr<Seen> LookAtAll(const Store& store);
// Those that differ, by name; "" if none does.
std::string Differing(const Seen& a, const Seen& b);

}  // namespace aqmesh::lineage

#endif  // AQMESH_TESTS_LINEAGE_WORKLOAD_H_
