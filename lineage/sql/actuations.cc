// actuations: a row an action, put together from the records of its stages.
#include <map>

#include "core/base/status.h"
#include "lineage/sql/record_feed.h"

namespace aqmesh::lineage::sql {
namespace {

using authority::RecordKind;

constexpr size_t kStages = 6;
constexpr auto kFirstStage = static_cast<size_t>(RecordKind::kArmed);
static_assert(static_cast<size_t>(RecordKind::kDiverged) == kFirstStage + kStages - 1);
constexpr uint32_t kStageKinds = ((1u << kStages) - 1) << kFirstStage;
constexpr size_t kActionsMax = 1'000'000;  // some 200 MB

struct Row {
  const Log* log = nullptr;
  authority::ActionId id = {};
  std::optional<Kid> subject = {};
  uint16_t action = 0;
  uint16_t reason = 0;
  authority::Rung rung = authority::Rung::kNone;
  uint64_t intent = 0, observed = 0;
  std::array<uint64_t, kStages> at{};  // milliseconds; 0: not reached
  Seq first = 0, last = 0;
  RecordKind state{};  // the last stage
};

// All that match, gathered at once: the stages of one action lie apart, so no part of the log holds
// a whole row.
class ActuationFeed final : public Feed<Row> {
 public:
  ActuationFeed(const World& world, Bounds bounds)
      : records_(world, Widened(std::move(bounds)), kStageKinds) {}

  absl::Status Fill(std::vector<Row>& rows) override {
    if (!gathered_) AQ_RETURN_IF_ERROR(Gather());
    gathered_ = true;
    while (at_ < found_.size() && rows.size() < kFillRows) rows.push_back(found_[at_++]);
    return absl::OkStatus();
  }

 private:
  // A bound on when an action was armed bounds its later stages from below alone. An action that
  // was armed before the bound shows no `armed` here, so SQLite drops its row.
  static Bounds Widened(Bounds bounds) {
    bounds.millis_end = Bounds().millis_end;
    return bounds;
  }

  absl::Status Gather() {
    std::map<std::pair<const Log*, authority::ActionId>, size_t> place;
    while (true) {
      std::vector<RecordRow> some;
      AQ_RETURN_IF_ERROR(records_.Fill(some));
      if (some.empty()) return absl::OkStatus();
      for (const RecordRow& r : some) {
        if (!r.record.action_id) continue;
        const auto [at, fresh] = place.try_emplace({r.log, *r.record.action_id}, found_.size());
        if (fresh && found_.size() == kActionsMax) {
          return ResourceExhausted("more than ",
                                   kActionsMax,
                                   " actions; ask of one subject, or of those armed since a time");
        }
        if (fresh) found_.push_back({.log = r.log, .id = *r.record.action_id});
        Take(r.record, found_[at->second], fresh);
      }
    }
  }

  static void Take(const authority::Observe& r, Row& row, bool fresh) {
    if (fresh) row.first = r.seq;
    row.last = r.seq;
    row.state = r.kind;
    if (r.subject) row.subject = r.subject;
    if (r.action != 0) row.action = r.action;
    if (r.reason != 0) row.reason = r.reason;
    if (r.rung != authority::Rung::kNone) row.rung = r.rung;
    if (r.intent_gen != 0) row.intent = r.intent_gen;
    if (r.observed_gen != 0) row.observed = r.observed_gen;
    uint64_t& at = row.at[static_cast<size_t>(r.kind) - kFirstStage];
    if (at == 0) at = MillisFromHlc(r.hlc);
  }

  RecordFeed records_;
  bool gathered_ = false;
  std::vector<Row> found_;
  size_t at_ = 0;
};

template <RecordKind Stage>
void TimeOf(const Row& row, const World&, Cell& cell) {
  const uint64_t at = row.at[static_cast<size_t>(Stage) - kFirstStage];
  at == 0 ? cell.Null() : cell.Time(at);
}

// From ARMED to the last stage that was reached.
void Took(const Row& row, const World&, Cell& cell) {
  const uint64_t last = row.at[static_cast<size_t>(row.state) - kFirstStage];
  row.at[0] == 0 || last < row.at[0] ? cell.Null() : cell.Number(last - row.at[0]);
}

constexpr ColumnOf<Row> kActuations[] = {
    {"machine TEXT",
     Key::kMachine,
     [](const Row& r, const World&, Cell& c) { c.Text(r.log->name); }},
    {"action_id TEXT", Key::kNone, [](const Row& r, const World&, Cell& c) { c.Hex(r.id); }},
    {"action TEXT",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.TextIf(ActionText(r.action)); }},
    {"action_code INTEGER",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.NumberIf(r.action); }},
    {"subject TEXT",
     Key::kSubject,
     [](const Row& r, const World&, Cell& c) { c.HexIf(r.subject); }},
    {"subject_name TEXT",
     Key::kSubjectName,
     [](const Row& r, const World& w, Cell& c) { c.TextIf(w.NameOf(r.subject)); }},
    {"state TEXT",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.Text(KindName(r.state)); }},
    {"outcome TEXT", Key::kNone, [](const Row& r, const World&, Cell& c) { c.Rung(r.rung); }},
    {"armed TEXT", Key::kTime, TimeOf<RecordKind::kArmed>},
    {"applied TEXT", Key::kNone, TimeOf<RecordKind::kApplied>},
    {"verified TEXT", Key::kNone, TimeOf<RecordKind::kVerified>},
    {"committed TEXT", Key::kNone, TimeOf<RecordKind::kCommitted>},
    {"rolled_back TEXT", Key::kNone, TimeOf<RecordKind::kRolledBack>},
    {"diverged TEXT", Key::kNone, TimeOf<RecordKind::kDiverged>},
    {"armed_ms INTEGER",
     Key::kMillis,
     [](const Row& r, const World&, Cell& c) { c.NumberIf(r.at[0]); }},
    {"took_ms INTEGER", Key::kNone, Took},
    {"intent_gen INTEGER",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.NumberIf(r.intent); }},
    {"observed_gen INTEGER",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.NumberIf(r.observed); }},
    {"reason TEXT",
     Key::kNone,
     [](const Row& r, const World& w, Cell& c) { c.TextIf(ReasonName(r.reason, w.names)); }},
    {"first_seq INTEGER",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.Number(r.first); }},
    {"last_seq INTEGER", Key::kNone, [](const Row& r, const World&, Cell& c) { c.Number(r.last); }},
};

}  // namespace

std::unique_ptr<Table> ActuationsTable() {
  return std::make_unique<TableOf<Row>>(
      TableOf<Row>::Words{"actuations",
                          "An action a row: when each of its stages was reached, and how it ended",
                          Sorted::kNo},
      kActuations,
      [](const World& world, const Bounds& bounds) -> std::unique_ptr<Feed<Row>> {
        return std::make_unique<ActuationFeed>(world, bounds);
      });
}

}  // namespace aqmesh::lineage::sql
