// RecordFeed: the records that a question is about, read through the index that fits it best.
// Bounds: kFillRows records at a time, fewer at first, so that LIMIT 1 reads little.
// Thread: one owner. Errors: the store's; DataLoss for a record that does not parse.
#ifndef AQMESH_LINEAGE_SQL_RECORD_FEED_H_
#define AQMESH_LINEAGE_SQL_RECORD_FEED_H_

#include <memory>
#include <vector>

#include "core/base/status.h"
#include "lineage/sql/table.h"

namespace aqmesh::lineage::sql {

struct RecordRow {
  const Log* log = nullptr;
  Digest leaf = {};
  Bytes body = {};
  authority::Observe record = {};
};

class RecordFeed final : public Feed<RecordRow> {
 public:
  // Borrows the world. Only records of a kind in `kinds` come (Where::Kind).
  RecordFeed(const World& world, Bounds bounds, uint32_t kinds = Where::kAnyKind);
  absl::Status Fill(std::vector<RecordRow>& rows) override;

 private:
  absl::Status Begin(const Log& log);
  absl::Status Walk(const Log& log, RecordVisitor visit) const;
  bool Fits(const RecordRow& row) const;

  const World& world_;
  Bounds bounds_;
  size_t log_ = 0;            // the one being read
  bool begun_ = false;        // first_ and end_ are its
  Seq first_ = 0, end_ = 0;   // what is left of it
  std::optional<Kid> about_;  // answered from idx_about
  size_t rows_ = kFirstRows;
  static constexpr size_t kFirstRows = 16;
};

// The newest record before `before` of these kinds about `subject` for which `fits` says so.
absl::StatusOr<std::optional<RecordRow>> NewestBefore(
    const World& world,
    const Log& log,
    Seq before,
    const Kid& subject,
    absl::FunctionRef<bool(const authority::Observe&)> fits);

// Columns that several tables have.
namespace column {
void Machine(const RecordRow& row, const World&, Cell& cell);
void Seq(const RecordRow& row, const World&, Cell& cell);
void Id(const RecordRow& row, const World&, Cell& cell);
void Time(const RecordRow& row, const World&, Cell& cell);
void Millis(const RecordRow& row, const World&, Cell& cell);
void Kind(const RecordRow& row, const World&, Cell& cell);
void Scope(const RecordRow& row, const World&, Cell& cell);
void Subject(const RecordRow& row, const World&, Cell& cell);
void SubjectName(const RecordRow& row, const World& world, Cell& cell);
void Authority(const RecordRow& row, const World&, Cell& cell);
void Inputs(const RecordRow& row, const World&, Cell& cell);
void Outcome(const RecordRow& row, const World&, Cell& cell);
void OutcomeCode(const RecordRow& row, const World&, Cell& cell);
void Action(const RecordRow& row, const World&, Cell& cell);
void Reason(const RecordRow& row, const World& world, Cell& cell);
void ReasonCode(const RecordRow& row, const World&, Cell& cell);
void Ladm(const RecordRow& row, const World&, Cell& cell);
void Slope(const RecordRow& row, const World&, Cell& cell);
void Corr(const RecordRow& row, const World&, Cell& cell);
template <size_t N>
void Gate(const RecordRow& row, const World&, Cell& cell) {
  row.record.gates ? cell.Rung(static_cast<authority::Rung>((*row.record.gates)[N])) : cell.Null();
}
}  // namespace column

// "NODE,ROUTER" of an enum or "" as number: what several tables print.
std::string ActionText(uint16_t action);
// ["ab","cd"]: hex as JSON, for json_each().
template <class List>
std::string HexList(const List& list) {
  std::string out = "[";
  for (const auto& item : list) out += Join(out.size() > 1 ? "," : "", "\"", ToHex(item), "\"");
  return out + "]";
}

}  // namespace aqmesh::lineage::sql

#endif  // AQMESH_LINEAGE_SQL_RECORD_FEED_H_
