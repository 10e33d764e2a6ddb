// attempts: the flows that were tried, as far as what FLOW records commit to can be read.
#include "lineage/content.h"
#include "lineage/sql/record_feed.h"

namespace aqmesh::lineage::sql {
namespace {

using authority::RecordKind;

// One line of what a record commits to; without an attempt: why there is none, or how many more.
struct Row {
  RecordRow of;
  Content::State state{};
  std::optional<Attempt> attempt = {};
  uint64_t unlisted = 0;
};

class AttemptFeed final : public Feed<Row> {
 public:
  AttemptFeed(const World& world, const Bounds& bounds)
      : records_(world, bounds, Where::Kind(RecordKind::kFlow)) {}

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
    AQ_ASSIGN_OR_RETURN(const Content content, ReadContent(*record.log->store, record.record));
    if (content.state == Content::State::kNone) return absl::OkStatus();
    if (content.state != Content::State::kOpen) {
      rows.push_back({record, content.state});
      return absl::OkStatus();
    }
    AQ_ASSIGN_OR_RETURN(const Attempts attempts, AttemptsIn(content));
    for (const Attempt& a : attempts.rows) rows.push_back({record, content.state, a});
    if (attempts.unlisted != 0) rows.push_back({record, content.state, {}, attempts.unlisted});
    return absl::OkStatus();
  }

  RecordFeed records_;
};

template <auto Put>
void OfRecord(const Row& row, const World& world, Cell& cell) {
  Put(row.of, world, cell);
}
template <auto Put>
void OfAttempt(const Row& row, const World& world, Cell& cell) {
  row.attempt ? Put(*row.attempt, world, cell) : cell.Null();
}

void PutState(const Row& row, const World&, Cell& cell) {
  switch (row.state) {
    case Content::State::kClosed: return cell.Text("closed");
    case Content::State::kAbsent: return cell.Text("absent");
    default: return cell.Text(row.attempt ? "open" : "unlisted");
  }
}

void PutCount(const Row& row, const World&, Cell& cell) {
  cell.NumberIf(row.attempt ? row.attempt->count : row.unlisted);
}

constexpr ColumnOf<Row> kAttempts[] = {
    {"machine TEXT", Key::kMachine, OfRecord<column::Machine>},
    {"seq INTEGER", Key::kSeq, OfRecord<column::Seq>},
    {"id TEXT", Key::kId, OfRecord<column::Id>},
    {"time TEXT", Key::kTime, OfRecord<column::Time>},
    {"ms INTEGER", Key::kMillis, OfRecord<column::Millis>},
    {"subject TEXT", Key::kSubject, OfRecord<column::Subject>},
    {"subject_name TEXT", Key::kSubjectName, OfRecord<column::SubjectName>},
    {"state TEXT", Key::kNone, PutState},
    {"opened_by TEXT", Key::kNone, OfAttempt<[](const Attempt& a, const World&, Cell& c) {
       c.Text(a.opened_here ? "machine" : "subject");
     }>},
    {"proto TEXT",
     Key::kNone,
     OfAttempt<[](const Attempt& a, const World&, Cell& c) { c.Text(ProtocolName(a.proto)); }>},
    {"src TEXT",
     Key::kNone,
     OfAttempt<[](const Attempt& a, const World&, Cell& c) { c.Text(a.src.ToString()); }>},
    {"dst TEXT",
     Key::kNone,
     OfAttempt<[](const Attempt& a, const World&, Cell& c) { c.Text(a.dst.ToString()); }>},
    {"port INTEGER",
     Key::kNone,
     OfAttempt<[](const Attempt& a, const World&, Cell& c) { c.NumberIf(a.port); }>},
    {"src_port INTEGER",
     Key::kNone,
     OfAttempt<[](const Attempt& a, const World&, Cell& c) { c.NumberIf(a.src_port); }>},
    {"allowed INTEGER",
     Key::kNone,
     OfAttempt<[](const Attempt& a, const World&, Cell& c) { c.Number(a.allowed() ? 1 : 0); }>},
    {"reason TEXT", Key::kNone, OfAttempt<[](const Attempt& a, const World& w, Cell& c) {
       c.TextIf(ReasonName(a.reason, w.names));
     }>},
    {"fragment TEXT", Key::kNone, OfAttempt<[](const Attempt& a, const World&, Cell& c) {
       a.rule ? c.Hex(a.rule->fragment) : c.Null();
     }>},
    {"rule INTEGER", Key::kNone, OfAttempt<[](const Attempt& a, const World&, Cell& c) {
       a.rule ? c.Number(a.rule->index + 1u) : c.Null();
     }>},
    {"count INTEGER", Key::kNone, PutCount},
    {"first TEXT",
     Key::kNone,
     OfAttempt<[](const Attempt& a, const World&, Cell& c) { c.Time(a.first_millis); }>},
    {"last TEXT",
     Key::kNone,
     OfAttempt<[](const Attempt& a, const World&, Cell& c) { c.Time(a.last_millis); }>},
    {"logged INTEGER",
     Key::kNone,
     OfAttempt<[](const Attempt& a, const World&, Cell& c) { c.Number(a.logged ? 1 : 0); }>},
    {"headers TEXT", Key::kNone, OfAttempt<[](const Attempt& a, const World&, Cell& c) {
       a.headers.empty() ? c.Null() : c.Text(ToHex(a.headers));
     }>},
};

}  // namespace

std::unique_ptr<Table> AttemptsTable() {
  return std::make_unique<TableOf<Row>>(
      TableOf<Row>::Words{"attempts",
                          "Which flows were tried, how each ended, and by which rule; `state` says "
                          "whether it can be read",
                          Sorted::kBySeq},
      kAttempts,
      [](const World& world, const Bounds& bounds) -> std::unique_ptr<Feed<Row>> {
        return std::make_unique<AttemptFeed>(world, bounds);
      });
}

}  // namespace aqmesh::lineage::sql
