// slopes: trust as decisions recorded it, and each slope that they read.
#include "lineage/inputs.h"
#include "lineage/sql/record_feed.h"

namespace aqmesh::lineage::sql {
namespace {

using authority::RecordKind;

// One record's weights, or one slope of the inputs that it was made from.
struct Row {
  RecordRow of;
  std::optional<SlopeInput> input = {};
};

constexpr uint32_t kWeighingKinds = 1u << static_cast<uint32_t>(RecordKind::kProposed) |
                                    1u << static_cast<uint32_t>(RecordKind::kDecided) |
                                    1u << static_cast<uint32_t>(RecordKind::kWeighted) |
                                    1u << static_cast<uint32_t>(RecordKind::kAttested) |
                                    1u << static_cast<uint32_t>(RecordKind::kRemoteAdmitted) |
                                    1u << static_cast<uint32_t>(RecordKind::kEscalated);

class SlopeFeed final : public Feed<Row> {
 public:
  SlopeFeed(const World& world, const Bounds& bounds) : records_(world, bounds, kWeighingKinds) {}

  absl::Status Fill(std::vector<Row>& rows) override {
    while (rows.empty()) {
      std::vector<RecordRow> some;
      AQ_RETURN_IF_ERROR(records_.Fill(some));
      if (some.empty()) return absl::OkStatus();
      for (const RecordRow& r : some) AQ_RETURN_IF_ERROR(Add(r, rows));
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status Add(const RecordRow& record, std::vector<Row>& rows) {
    const std::optional<Oid> inputs = record.record.inputs;
    if (HasWeights(record.record)) rows.push_back({record});
    if (!inputs) return absl::OkStatus();
    AQ_ASSIGN_OR_RETURN(const auto bytes, record.log->store->GetObject(Shelf::kInputs, *inputs));
    if (!bytes) return absl::OkStatus();
    AQ_ASSIGN_OR_RETURN(const Inputs in, ParseInputs(*bytes));
    for (const SlopeInput& slope : in.slopes) rows.push_back({record, slope});
    return absl::OkStatus();
  }

  RecordFeed records_;
};

template <auto Put>
void OfRecord(const Row& row, const World& world, Cell& cell) {
  Put(row.of, world, cell);
}
// Of a record's weights alone, or of an input's fields alone.
template <auto Put>
void OfWeights(const Row& row, const World& world, Cell& cell) {
  row.input ? cell.Null() : Put(row.of, world, cell);
}
template <auto Field>
void OfInput(const Row& row, const World&, Cell& cell) {
  row.input ? cell.Number((*row.input).*Field) : cell.Null();
}

const std::optional<Kid> KidOf(const Row& row) {
  return row.input ? std::optional<Kid>(row.input->kid) : row.of.record.subject;
}

constexpr ColumnOf<Row> kSlopes[] = {
    {"machine TEXT", Key::kMachine, OfRecord<column::Machine>},
    {"seq INTEGER", Key::kSeq, OfRecord<column::Seq>},
    {"id TEXT", Key::kId, OfRecord<column::Id>},
    {"time TEXT", Key::kTime, OfRecord<column::Time>},
    {"ms INTEGER", Key::kMillis, OfRecord<column::Millis>},
    {"source TEXT",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.Text(r.input ? "input" : "record"); }},
    {"subject TEXT", Key::kSubject, OfRecord<column::Subject>},
    {"subject_name TEXT", Key::kSubjectName, OfRecord<column::SubjectName>},
    {"kid TEXT", Key::kNone, [](const Row& r, const World&, Cell& c) { c.HexIf(KidOf(r)); }},
    {"name TEXT",
     Key::kNone,
     [](const Row& r, const World& w, Cell& c) { c.TextIf(w.NameOf(KidOf(r))); }},
    {"outcome TEXT", Key::kOutcome, OfRecord<column::Outcome>},
    {"ladm_q16 INTEGER", Key::kNone, OfWeights<column::Ladm>},
    {"slope_q16 INTEGER", Key::kNone, OfWeights<column::Slope>},
    {"corr_milli INTEGER", Key::kNone, OfWeights<column::Corr>},
    {"a INTEGER", Key::kNone, OfInput<&SlopeInput::a>},
    {"r_f INTEGER", Key::kNone, OfInput<&SlopeInput::r_f>},
    {"s_f INTEGER", Key::kNone, OfInput<&SlopeInput::s_f>},
    {"u INTEGER", Key::kNone, OfInput<&SlopeInput::u>},
    {"r_s INTEGER", Key::kNone, OfInput<&SlopeInput::r_s>},
    {"s_s INTEGER", Key::kNone, OfInput<&SlopeInput::s_s>},
    {"j INTEGER", Key::kNone, OfInput<&SlopeInput::j>},
    {"x INTEGER", Key::kNone, OfInput<&SlopeInput::x>},
    {"kap INTEGER", Key::kNone, OfInput<&SlopeInput::kap>},
    {"last INTEGER", Key::kNone, OfInput<&SlopeInput::last>},
    {"col INTEGER", Key::kNone, OfInput<&SlopeInput::col>},
    {"e_pos INTEGER", Key::kNone, OfInput<&SlopeInput::e_pos>},
};

}  // namespace

std::unique_ptr<Table> SlopesTable() {
  return std::make_unique<TableOf<Row>>(
      TableOf<Row>::Words{
          "slopes",
          "Trust as a decision recorded it (source `record`), and each slope it read (`input`)",
          Sorted::kBySeq},
      kSlopes,
      [](const World& world, const Bounds& bounds) -> std::unique_ptr<Feed<Row>> {
        return std::make_unique<SlopeFeed>(world, bounds);
      });
}

}  // namespace aqmesh::lineage::sql
