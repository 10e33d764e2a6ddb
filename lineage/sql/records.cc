// records, decisions, flows: a row a record.
#include "core/authority/decision.h"
#include "core/wire/json.h"
#include "lineage/inputs.h"
#include "lineage/sql/record_feed.h"

namespace aqmesh::lineage::sql {
namespace {

using authority::RecordKind;
using Row = RecordRow;

constexpr uint32_t kDecisionKinds = 1u << static_cast<uint32_t>(RecordKind::kProposed) |
                                    1u << static_cast<uint32_t>(RecordKind::kDecided) |
                                    1u << static_cast<uint32_t>(RecordKind::kEscalated) |
                                    1u << static_cast<uint32_t>(RecordKind::kApproved);
constexpr uint32_t kFlowKinds = 1u << static_cast<uint32_t>(RecordKind::kFlow);

std::string DropsJson(const authority::Observe& r, const World& world) {
  wire::JsonWriter json;
  json.Array();
  for (const authority::DropCount& drop : r.drops) {
    json.Object().Field("reason", ReasonName(drop.reason, world.names));
    json.Field("reason_code", drop.reason).Field("count", drop.count).End();
  }
  json.End();
  return json.Take();
}

// Of the gates that allowed least, the first: the one that set the rung.
void HeldBy(const Row& row, const World&, Cell& cell) {
  if (!row.record.gates) return cell.Null();
  const auto lowest = std::ranges::min_element(*row.record.gates);
  if (*lowest == static_cast<uint8_t>(authority::Rung::kAdmit)) return cell.Null();
  cell.Text(authority::GateName(static_cast<authority::Gate>(lowest - row.record.gates->begin())));
}

void Mend(const Row& row, const World&, Cell& cell) {
  if (row.record.reason == 0 || row.record.reason >= authority::kReasonCount) return cell.Null();
  cell.TextIf(authority::ReasonMend(static_cast<authority::Reason>(row.record.reason)));
}

// What the decision was made from, put by `put`; NULL where the record names no inputs.
template <class Put>
void FromInputs(const Row& row, Cell& cell, Put put) {
  if (!row.record.inputs) return cell.Null();
  const auto bytes = row.log->store->GetObject(Shelf::kInputs, *row.record.inputs);
  if (!bytes.ok()) return cell.Fail(bytes.status());
  if (!*bytes) return cell.Null();
  const auto inputs = ParseInputs(**bytes);
  if (!inputs.ok()) return cell.Fail(inputs.status());
  put(*inputs);
}

template <uint64_t authority::FlowSummary::* Field>
void OfFlow(const Row& row, const World&, Cell& cell) {
  row.record.flow ? cell.Number((*row.record.flow).*Field) : cell.Null();
}
void FlowTags(const Row& row, const World&, Cell& cell) {
  row.record.flow ? cell.Hex(row.record.flow->tags) : cell.Null();
}
void FlowPresentations(const Row& row, const World&, Cell& cell) {
  row.record.flow ? cell.Text(HexList(row.record.flow->presentations)) : cell.Null();
}
void Peer(const Row& row, const World&, Cell& cell) {
  cell.Hex(row.record.subject ? *row.record.subject : row.record.log);
}

constexpr ColumnOf<Row> kRecords[] = {
    {"machine TEXT", Key::kMachine, column::Machine},
    {"seq INTEGER", Key::kSeq, column::Seq},
    {"id TEXT", Key::kId, column::Id},
    {"time TEXT", Key::kTime, column::Time},
    {"ms INTEGER", Key::kMillis, column::Millis},
    {"hlc INTEGER",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.Number(r.record.hlc); }},
    {"kind TEXT", Key::kKind, column::Kind},
    {"kind_code INTEGER",
     Key::kKindCode,
     [](const Row& r, const World&, Cell& c) { c.Number(static_cast<uint64_t>(r.record.kind)); }},
    {"log TEXT", Key::kNone, [](const Row& r, const World&, Cell& c) { c.Hex(r.record.log); }},
    {"prev TEXT", Key::kNone, [](const Row& r, const World&, Cell& c) { c.HexIf(r.record.prev); }},
    {"scope TEXT", Key::kNone, column::Scope},
    {"subject TEXT", Key::kSubject, column::Subject},
    {"subject_name TEXT", Key::kSubjectName, column::SubjectName},
    {"peer TEXT", Key::kPeer, Peer},
    {"authority TEXT", Key::kAuthority, column::Authority},
    {"inputs TEXT", Key::kNone, column::Inputs},
    {"gate_crypto TEXT", Key::kNone, column::Gate<0>},
    {"gate_trust TEXT", Key::kNone, column::Gate<1>},
    {"gate_corroboration TEXT", Key::kNone, column::Gate<2>},
    {"gate_freshness TEXT", Key::kNone, column::Gate<3>},
    {"gate_action TEXT", Key::kNone, column::Gate<4>},
    {"gate_local TEXT", Key::kNone, column::Gate<5>},
    {"ladm_q16 INTEGER", Key::kNone, column::Ladm},
    {"slope_q16 INTEGER", Key::kNone, column::Slope},
    {"corr_milli INTEGER", Key::kNone, column::Corr},
    {"outcome TEXT", Key::kOutcome, column::Outcome},
    {"outcome_code INTEGER", Key::kOutcomeCode, column::OutcomeCode},
    {"action TEXT", Key::kNone, column::Action},
    {"action_code INTEGER",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.NumberIf(r.record.action); }},
    {"action_id TEXT",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.HexIf(r.record.action_id); }},
    {"intent_gen INTEGER",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.NumberIf(r.record.intent_gen); }},
    {"observed_gen INTEGER",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.NumberIf(r.record.observed_gen); }},
    {"evidence TEXT",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.HexIf(r.record.evidence); }},
    {"reason TEXT", Key::kNone, column::Reason},
    {"reason_code INTEGER", Key::kNone, column::ReasonCode},
    {"commits TEXT",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) {
       r.record.commits.empty() ? c.Null() : c.Text(HexList(r.record.commits));
     }},
    {"frames INTEGER", Key::kNone, OfFlow<&authority::FlowSummary::frames>},
    {"bytes INTEGER", Key::kNone, OfFlow<&authority::FlowSummary::bytes>},
    {"first INTEGER", Key::kNone, OfFlow<&authority::FlowSummary::first>},
    {"last INTEGER", Key::kNone, OfFlow<&authority::FlowSummary::last>},
    {"tags TEXT", Key::kNone, FlowTags},
    {"presentations TEXT", Key::kNone, FlowPresentations},
    {"dropped INTEGER", Key::kNone, OfFlow<&authority::FlowSummary::drops>},
    {"drops TEXT",
     Key::kNone,
     [](const Row& r, const World& w, Cell& c) {
       r.record.drops.empty() ? c.Null() : c.Text(DropsJson(r.record, w));
     }},
    {"body BLOB HIDDEN", Key::kNone, [](const Row& r, const World&, Cell& c) { c.Blob(r.body); }},
};

constexpr ColumnOf<Row> kDecisions[] = {
    {"machine TEXT", Key::kMachine, column::Machine},
    {"seq INTEGER", Key::kSeq, column::Seq},
    {"id TEXT", Key::kId, column::Id},
    {"time TEXT", Key::kTime, column::Time},
    {"ms INTEGER", Key::kMillis, column::Millis},
    {"kind TEXT", Key::kKind, column::Kind},
    {"subject TEXT", Key::kSubject, column::Subject},
    {"subject_name TEXT", Key::kSubjectName, column::SubjectName},
    {"outcome TEXT", Key::kOutcome, column::Outcome},
    {"outcome_code INTEGER", Key::kOutcomeCode, column::OutcomeCode},
    {"held_by TEXT", Key::kNone, HeldBy},
    {"reason TEXT", Key::kNone, column::Reason},
    {"reason_code INTEGER", Key::kNone, column::ReasonCode},
    {"mend TEXT", Key::kNone, Mend},
    {"authority TEXT", Key::kAuthority, column::Authority},
    {"gate_crypto TEXT", Key::kNone, column::Gate<0>},
    {"gate_trust TEXT", Key::kNone, column::Gate<1>},
    {"gate_corroboration TEXT", Key::kNone, column::Gate<2>},
    {"gate_freshness TEXT", Key::kNone, column::Gate<3>},
    {"gate_action TEXT", Key::kNone, column::Gate<4>},
    {"gate_local TEXT", Key::kNone, column::Gate<5>},
    {"ladm_q16 INTEGER", Key::kNone, column::Ladm},
    {"slope_q16 INTEGER", Key::kNone, column::Slope},
    {"corr_milli INTEGER", Key::kNone, column::Corr},
    {"action TEXT", Key::kNone, column::Action},
    {"scope TEXT", Key::kNone, column::Scope},
    {"evidence TEXT",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.HexIf(r.record.evidence); }},
    {"inputs TEXT", Key::kNone, column::Inputs},
    {"policy TEXT",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) {
       FromInputs(r, c, [&c](const lineage::Inputs& in) { c.Hex(in.policy); });
     }},
    {"age_s INTEGER",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) {
       FromInputs(r, c, [&c](const lineage::Inputs& in) { c.Number(in.age); });
     }},
    {"previous TEXT",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) {
       FromInputs(r, c, [&c](const lineage::Inputs& in) { c.Rung(in.prev_rung); });
     }},
    {"rests_on TEXT",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) {
       FromInputs(r, c, [&c](const lineage::Inputs& in) { c.Text(HexList(in.oids)); });
     }},
};

constexpr ColumnOf<Row> kFlows[] = {
    {"machine TEXT", Key::kMachine, column::Machine},
    {"seq INTEGER", Key::kSeq, column::Seq},
    {"id TEXT", Key::kId, column::Id},
    {"time TEXT", Key::kTime, column::Time},
    {"ms INTEGER", Key::kMillis, column::Millis},
    {"subject TEXT", Key::kSubject, column::Subject},
    {"subject_name TEXT", Key::kSubjectName, column::SubjectName},
    {"frames INTEGER", Key::kNone, OfFlow<&authority::FlowSummary::frames>},
    {"bytes INTEGER", Key::kNone, OfFlow<&authority::FlowSummary::bytes>},
    {"dropped INTEGER", Key::kNone, OfFlow<&authority::FlowSummary::drops>},
    {"first INTEGER", Key::kNone, OfFlow<&authority::FlowSummary::first>},
    {"last INTEGER", Key::kNone, OfFlow<&authority::FlowSummary::last>},
    {"tags TEXT", Key::kNone, FlowTags},
    {"presentations TEXT", Key::kNone, FlowPresentations},
    {"scope TEXT", Key::kNone, column::Scope},
};

template <uint32_t Kinds>
std::unique_ptr<Feed<Row>> FeedOf(const World& world, const Bounds& bounds) {
  return std::make_unique<RecordFeed>(world, bounds, Kinds);
}

using TableOfRecords = TableOf<Row>;

}  // namespace

std::unique_ptr<Table> RecordsTable() {
  return std::make_unique<TableOfRecords>(
      TableOfRecords::Words{
          "records",
          "Every record, with every field that it has; `body` (hidden) is its bytes",
          Sorted::kOneRowASeq},
      kRecords,
      FeedOf<Where::kAnyKind>);
}

std::unique_ptr<Table> DecisionsTable() {
  return std::make_unique<TableOfRecords>(
      TableOfRecords::Words{"decisions",
                            "Who was let in how far, which gate held it there, and from what",
                            Sorted::kOneRowASeq},
      kDecisions,
      FeedOf<kDecisionKinds>);
}

std::unique_ptr<Table> FlowsTable() {
  return std::make_unique<TableOfRecords>(
      TableOfRecords::Words{"flows",
                            "What a session carried in ten seconds, and under which presentations",
                            Sorted::kOneRowASeq},
      kFlows,
      FeedOf<kFlowKinds>);
}

}  // namespace aqmesh::lineage::sql
