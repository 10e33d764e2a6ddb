#include "lineage/sql/record_feed.h"

#include "core/authority/signed.h"
#include "core/base/status.h"

namespace aqmesh::lineage::sql {
namespace {

constexpr size_t kLooksPerStop = 64;  // records between two looks at World::Stop

bool StartsWith(ByteView whole, ByteView prefix) {
  return prefix.size() <= whole.size() && Equal(whole.first(prefix.size()), prefix);
}

bool Matches(const Where& where, const authority::Observe& record, const Digest& leaf) {
  if ((where.kinds & Where::Kind(record.kind)) == 0) return false;
  if ((where.rungs & Where::Rung(record.rung)) == 0) return false;
  if (!where.authority_prefix.empty() &&
      !(record.authority && StartsWith(*record.authority, where.authority_prefix))) {
    return false;
  }
  return StartsWith(leaf, where.id_prefix);
}

absl::StatusOr<RecordRow> RowOf(const Log& log, Seq seq, const Digest& leaf, ByteView body) {
  auto record = authority::ParseBody<authority::Observe>(body);
  if (!record.ok())
    return DataLoss("record ", seq, " of ", log.name, " does not parse: ", Text(record.status()));
  return RecordRow{&log, leaf, Bytes(body.begin(), body.end()), *std::move(record)};
}

}  // namespace

uint64_t World::records() const {
  uint64_t sum = 0;
  for (const Log& log : logs) sum += log.store->size();
  return sum;
}

RecordFeed::RecordFeed(const World& world, Bounds bounds, uint32_t kinds)
    : world_(world), bounds_(std::move(bounds)) {
  bounds_.where.kinds &= kinds;
  if (bounds_.nothing) log_ = world_.logs.size();
}

// What of this log may match: from seq and time, and whose records they are.
absl::Status RecordFeed::Begin(const Log& log) {
  begun_ = true;
  first_ = end_ = 0;
  if (bounds_.machine && *bounds_.machine != log.name) return absl::OkStatus();
  about_ = bounds_.subject;
  if (bounds_.peer && bounds_.peer != log.kid) {
    if (about_ && *about_ != *bounds_.peer) return absl::OkStatus();
    about_ = bounds_.peer;
  }
  first_ = bounds_.seq_first;
  end_ = std::min<Seq>(bounds_.seq_end, log.store->size());
  constexpr uint64_t kLastMillis = (uint64_t{1} << 48) - 1;
  if (bounds_.millis_first > 0) {
    if (bounds_.millis_first > kLastMillis) {
      end_ = 0;
      return absl::OkStatus();
    }
    AQ_ASSIGN_OR_RETURN(const Seq at, log.store->SeqAt(HlcFromMillis(bounds_.millis_first)));
    first_ = std::max(first_, at);
  }
  if (bounds_.millis_end <= kLastMillis) {
    AQ_ASSIGN_OR_RETURN(const Seq at, log.store->SeqAt(HlcFromMillis(bounds_.millis_end)));
    end_ = std::min(end_, at);
  }
  return absl::OkStatus();
}

absl::Status RecordFeed::Walk(const Log& log, RecordVisitor visit) const {
  const Order order = bounds_.newest_first ? Order::kNewestFirst : Order::kOldestFirst;
  return about_ ? log.store->WalkSubject(*about_, first_, end_, order, visit)
                : log.store->WalkWhere(bounds_.where, first_, end_, order, visit);
}

bool RecordFeed::Fits(const RecordRow& row) const {
  return Matches(bounds_.where, row.record, row.leaf);
}

absl::Status RecordFeed::Fill(std::vector<RecordRow>& rows) {
  while (rows.empty() && log_ < world_.logs.size()) {
    const Log& log = world_.logs[log_];
    if (!begun_) AQ_RETURN_IF_ERROR(Begin(log));
    absl::Status broken;
    size_t looks = 0;
    bool more = false;  // the walk was stopped before its end
    AQ_RETURN_IF_ERROR(Walk(log, [&](lineage::Seq seq, const Digest& leaf, ByteView body) {
      if (++looks % kLooksPerStop == 0) broken = world_.Stop();
      if (!broken.ok()) return false;
      auto row = RowOf(log, seq, leaf, body);
      broken = row.status();
      if (!broken.ok()) return false;
      (bounds_.newest_first ? end_ : first_) = bounds_.newest_first ? seq : seq + 1;
      if (Fits(*row)) rows.push_back(*std::move(row));
      more = rows.size() >= rows_;
      return !more;
    }));
    AQ_RETURN_IF_ERROR(broken);
    if (!more) {
      ++log_;
      begun_ = false;
    }
  }
  rows_ = std::min(rows_ * 2, kFillRows);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<RecordRow>> NewestBefore(
    const World& world,
    const Log& log,
    Seq before,
    const Kid& subject,
    absl::FunctionRef<bool(const authority::Observe&)> fits) {
  std::optional<RecordRow> found;
  absl::Status broken;
  size_t looks = 0;
  AQ_RETURN_IF_ERROR(
      log.store->WalkSubject(subject,
                             0,
                             before,
                             Order::kNewestFirst,
                             [&](lineage::Seq seq, const Digest& leaf, ByteView body) {
                               if (++looks % kLooksPerStop == 0) broken = world.Stop();
                               if (!broken.ok()) return false;
                               auto row = RowOf(log, seq, leaf, body);
                               broken = row.status();
                               if (row.ok() && fits(row->record)) found = *std::move(row);
                               return broken.ok() && !found;
                             }));
  AQ_RETURN_IF_ERROR(broken);
  return found;
}

std::string ActionText(uint16_t action) {
  const std::string_view name = ActionName(action);
  return name.empty() && action != 0 ? Join(action) : std::string(name);
}

namespace column {

void Machine(const RecordRow& row, const World&, Cell& cell) { cell.Text(row.log->name); }
void Seq(const RecordRow& row, const World&, Cell& cell) { cell.Number(row.record.seq); }
void Id(const RecordRow& row, const World&, Cell& cell) { cell.Hex(row.leaf); }
void Time(const RecordRow& row, const World&, Cell& cell) { cell.Text(TimeText(row.record.hlc)); }
void Millis(const RecordRow& row, const World&, Cell& cell) {
  cell.Number(MillisFromHlc(row.record.hlc));
}
void Kind(const RecordRow& row, const World&, Cell& cell) { cell.Text(KindName(row.record.kind)); }
void Scope(const RecordRow& row, const World&, Cell& cell) { cell.HexIf(row.record.scope); }
void Subject(const RecordRow& row, const World&, Cell& cell) { cell.HexIf(row.record.subject); }
void SubjectName(const RecordRow& row, const World& world, Cell& cell) {
  cell.TextIf(world.NameOf(row.record.subject));
}
void Authority(const RecordRow& row, const World&, Cell& cell) { cell.HexIf(row.record.authority); }
void Inputs(const RecordRow& row, const World&, Cell& cell) { cell.HexIf(row.record.inputs); }
void Outcome(const RecordRow& row, const World&, Cell& cell) { cell.Rung(row.record.rung); }
void OutcomeCode(const RecordRow& row, const World&, Cell& cell) {
  cell.NumberIf(static_cast<uint64_t>(row.record.rung));
}
void Action(const RecordRow& row, const World&, Cell& cell) {
  cell.TextIf(ActionText(row.record.action));
}
void Reason(const RecordRow& row, const World& world, Cell& cell) {
  cell.TextIf(ReasonName(row.record.reason, world.names));
}
void ReasonCode(const RecordRow& row, const World&, Cell& cell) {
  cell.NumberIf(row.record.reason);
}
void Ladm(const RecordRow& row, const World&, Cell& cell) {
  HasWeights(row.record) ? cell.Number(row.record.ladm) : cell.Null();
}
void Slope(const RecordRow& row, const World&, Cell& cell) {
  HasWeights(row.record) ? cell.Signed(int64_t{row.record.slope} - kSlopeZero) : cell.Null();
}
void Corr(const RecordRow& row, const World&, Cell& cell) {
  HasWeights(row.record) ? cell.Number(row.record.corr) : cell.Null();
}

}  // namespace column

}  // namespace aqmesh::lineage::sql
