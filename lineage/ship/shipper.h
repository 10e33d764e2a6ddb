// Shipper: carries one log from a store to a sink, from where the sink's table ends.
// Spec:   spec/lineage.md §6.2. Bounds: one block of rows in memory (row_reader.h).
// Thread: one owner. Errors: the store's, the sink's; DataLoss where the table holds records of
//         this log that the store has not: it was put back to an older state.
#ifndef AQMESH_LINEAGE_SHIP_SHIPPER_H_
#define AQMESH_LINEAGE_SHIP_SHIPPER_H_

#include "lineage/ship/row_reader.h"
#include "lineage/ship/sink.h"

namespace aqmesh::lineage::ship {

struct Shipped {
  Seq first = 0, next = 0;  // records first..next-1 were handed over, and are in the table
  uint64_t waiting = 0;     // of the log, for a head that covers them
};
using ShippedVisitor = absl::FunctionRef<void(const Shipped&)>;  // after each block

// Where shipping of this log goes on: behind its newest row in the table, which must be a record of
// the store.
absl::StatusOr<Seq> ResumeAt(Sink& sink, const Store& store, const Kid& log);
// All that is covered by a head, from `first` on.
absl::StatusOr<Shipped> ShipLog(Sink& sink,
                                const Store& store,
                                const Kid& log,
                                Seq first,
                                const Words& words,
                                ShippedVisitor after_block);

}  // namespace aqmesh::lineage::ship

#endif  // AQMESH_LINEAGE_SHIP_SHIPPER_H_
