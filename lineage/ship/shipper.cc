#include "lineage/ship/shipper.h"

#include "core/base/status.h"
#include "lineage/tlog/tree.h"

namespace aqmesh::lineage::ship {

absl::StatusOr<Seq> ResumeAt(Sink& sink, const Store& store, const Kid& log) {
  AQ_ASSIGN_OR_RETURN(const std::optional<Sink::Newest> newest, sink.NewestOf(log));
  if (!newest) return 0;
  if (newest->seq >= store.size()) {
    return DataLoss(sink.Name(),
                    " has record ",
                    newest->seq,
                    " of log ",
                    ToHex(log),
                    ", this store ends at ",
                    store.size(),
                    " records: its disk was put back to an older state, or the row was made up");
  }
  AQ_ASSIGN_OR_RETURN(const Bytes body, store.Read(newest->seq));
  if (ToHex(tlog::LeafHash(body)) == newest->record_digest) return newest->seq + 1;
  return DataLoss(sink.Name(),
                  " has another record ",
                  newest->seq,
                  " of log ",
                  ToHex(log),
                  " than this store: check that row with `aqmesh lineage check --row`");
}

absl::StatusOr<Shipped> ShipLog(Sink& sink,
                                const Store& store,
                                const Kid& log,
                                Seq first,
                                const Words& words,
                                ShippedVisitor after_block) {
  Shipped out{first, first, 0};
  RowReader reader(store, log, Uncovered::kWait);
  while (true) {
    AQ_ASSIGN_OR_RETURN(const std::vector<Row> rows, reader.Next(out.next));
    if (rows.empty()) break;
    AQ_RETURN_IF_ERROR(sink.Put(rows, words));
    out.next += rows.size();
    after_block(out);
  }
  out.waiting = store.size() > out.next ? store.size() - out.next : 0;
  return out;
}

}  // namespace aqmesh::lineage::ship
