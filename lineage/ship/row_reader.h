// RowReader: the rows of one log in order, each with the smallest signed head over it.
// A head counts once a CHECKPOINT record cites it: so which head a row names is a function of the
// log, the same whenever it is read. Each head is on the shelf, of this log, and has the root that
// the log's own tree gives, before a row names it.
// Spec:   spec/lineage.md §6.2, §7.5.
// Bounds: kBlockRows rows or some kBlockBytes of bodies at a time; kHeadsAhead heads.
// Thread: one owner; borrows the store.
// Errors: the store's; DataLoss for a record that does not parse, or a head that is not this log's.
#ifndef AQMESH_LINEAGE_SHIP_ROW_READER_H_
#define AQMESH_LINEAGE_SHIP_ROW_READER_H_

#include <deque>
#include <vector>

#include "lineage/ship/schema.h"
#include "lineage/store.h"

namespace aqmesh::lineage::ship {

inline constexpr size_t kBlockRows = 4096;  // one insert; far below ClickHouse's block of 65,536
inline constexpr size_t kBlockBytes = 4'194'304;  // of bodies; as text some three times that
inline constexpr size_t kHeadsAhead = 1024;       // a million records under usual heads

// What becomes of records that no head covers yet.
enum class Uncovered : uint8_t { kWait, kTake };

class RowReader {
 public:
  // `log`: whose log the store shows. What the store has later is another reader's.
  RowReader(const Store& store, const Kid& log, Uncovered uncovered);

  // The next rows from `first` on, below `end`; none: there is nothing more that may be taken.
  absl::StatusOr<std::vector<Row>> Next(Seq first, Seq end = kSeqEnd);

 private:
  absl::Status FindHeads(Seq first);
  absl::Status CheckHead(const Checkpoint& head);

  const Store& store_;
  Kid log_;
  Uncovered uncovered_;
  Seq end_;                       // of the store, when it was given
  std::deque<Checkpoint> heads_;  // by size, the first over the next row
  Seq looked_from_ = kSeqEnd;     // heads_ are all there are from here on, if all_found_
  bool all_found_ = false;
  std::optional<tlog::Prover> tree_;
};

}  // namespace aqmesh::lineage::ship

#endif  // AQMESH_LINEAGE_SHIP_ROW_READER_H_
