#include "lineage/ship/row_reader.h"

#include <algorithm>

#include "core/authority/signed.h"
#include "core/base/status.h"
#include "lineage/heads.h"
#include "lineage/tlog/checkpoint.h"

namespace aqmesh::lineage::ship {

RowReader::RowReader(const Store& store, const Kid& log, Uncovered uncovered)
    : store_(store), log_(log), uncovered_(uncovered), end_(store.size()) {}

absl::Status RowReader::CheckHead(const Checkpoint& head) {
  AQ_ASSIGN_OR_RETURN(const auto bytes, store_.GetObject(Shelf::kNote, head.oid));
  if (!bytes) return DataLoss("note ", ToHex(head.oid), " is cited and not in the store");
  AQ_ASSIGN_OR_RETURN(const auto note, tlog::ParseCheckpoint(AsText(*bytes)));
  if (tlog::NoteOid(note.note.text) != head.oid || note.checkpoint.origin != LogOrigin(log_) ||
      note.checkpoint.size != head.size) {
    return DataLoss("note ", ToHex(head.oid), " is not the head of ", head.size, " records here");
  }
  if (!tree_) {
    AQ_ASSIGN_OR_RETURN(tree_, store_.ProverAt(end_));
  }
  AQ_ASSIGN_OR_RETURN(const tlog::Edge edge, tree_->EdgeAt(head.size));
  if (edge.Root() == note.checkpoint.root) return absl::OkStatus();
  return DataLoss("the head of ",
                  head.size,
                  " records was signed over another root than they give; `aqmesh lineage verify` "
                  "says more");
}

// A CHECKPOINT record lies behind all that its head covers, and the heads of a log only grow.
absl::Status RowReader::FindHeads(Seq first) {
  if (looked_from_ <= first && all_found_) return absl::OkStatus();
  looked_from_ = first;
  all_found_ = true;
  Where where;
  where.kinds = Where::Kind(authority::RecordKind::kCheckpoint);
  std::vector<Checkpoint> found;
  AQ_RETURN_IF_ERROR(store_.WalkWhere(
      where, first + 1, end_, Order::kOldestFirst, [&](Seq seq, const Digest&, ByteView body) {
        const auto record = authority::ParseBody<authority::Observe>(body);
        if (!record.ok() || record->kind != authority::RecordKind::kCheckpoint || !record->evidence)
          return true;
        const uint64_t size = record->intent_gen;
        if (size > seq || size <= (found.empty() ? first : found.back().size)) return true;
        found.push_back({Oid{record->evidence->bytes}, size});
        all_found_ = found.size() < kHeadsAhead;
        return all_found_;
      }));
  for (const Checkpoint& head : found) AQ_RETURN_IF_ERROR(CheckHead(head));
  heads_.assign(found.begin(), found.end());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Row>> RowReader::Next(Seq first, Seq end) {
  std::vector<Row> rows;
  end = std::min({end, end_, first + kBlockRows});
  if (first >= end) return rows;
  while (!heads_.empty() && heads_.front().size <= first) heads_.pop_front();
  if (heads_.empty()) AQ_RETURN_IF_ERROR(FindHeads(first));
  const Seq covered = heads_.empty() ? first : heads_.back().size;
  // Behind the heads that were found there may be more, which the next call looks for.
  if (uncovered_ == Uncovered::kWait || !all_found_) end = std::min(end, covered);
  size_t bytes = 0;
  absl::Status broken;
  auto head = heads_.begin();
  AQ_RETURN_IF_ERROR(store_.WalkLog(
      first, end, Order::kOldestFirst, [&](Seq seq, const Digest& leaf, ByteView body) {
        auto record = authority::ParseBody<authority::Observe>(body);
        if (!record.ok() || record->log != log_ || record->seq != seq) {
          broken = DataLoss("record ",
                            seq,
                            record.ok() ? " is of another place or log than where it lies"
                                        : Join(" does not parse: ", Text(record.status())));
          return false;
        }
        while (head != heads_.end() && head->size <= seq) ++head;
        rows.push_back({*std::move(record), leaf, Bytes(body.begin(), body.end()), std::nullopt});
        if (head != heads_.end()) rows.back().checkpoint = *head;
        bytes += body.size();
        return bytes < kBlockBytes;
      }));
  AQ_RETURN_IF_ERROR(broken);
  return rows;
}

}  // namespace aqmesh::lineage::ship
