// edges: what each record rests on: the record before it, the stage before it, the decision that it
// carries out, the objects that it cites.
#include <map>

#include "core/base/status.h"
#include "lineage/inputs.h"
#include "lineage/sql/auth_digest.h"
#include "lineage/sql/record_feed.h"

namespace aqmesh::lineage::sql {
namespace {

using authority::RecordKind;

enum class Relation : uint8_t {
  kPrev,
  kAction,
  kDecision,
  kAuthority,
  kEvidence,
  kInputs,
  kCites,
  kPresentation
};
constexpr std::string_view kRelationNames[] = {
    "prev", "action", "decision", "authority", "evidence", "inputs", "cites", "presentation"};

struct Row {
  const Log* log = nullptr;
  Seq seq = 0;
  uint64_t hlc = 0;
  RecordKind kind{};
  std::optional<Kid> subject = {};
  Digest from = {}, to = {};
  Relation relation{};
  std::string_view to_type = {};
  std::optional<Seq> to_seq = {};
};

bool IsDecision(const authority::Observe& r) {
  return r.kind == RecordKind::kProposed || r.kind == RecordKind::kDecided;
}
bool IsStage(const authority::Observe& r) {
  return r.action_id && r.kind >= RecordKind::kArmed && r.kind <= RecordKind::kDiverged;
}
std::string_view EvidenceType(RecordKind kind) {
  return kind == RecordKind::kCheckpoint || kind == RecordKind::kLogRestart ? "note" : "object";
}

// A record that others rest on.
struct Place {
  Seq seq = 0;
  Digest leaf;
};

// The newest record before another that has some mark, remembered over a scan in either direction.
// What is not remembered is sought through idx_about.
template <class Mark>
class Newest {
 public:
  static constexpr size_t kRememberedMax = 65'536;  // then all is forgotten, and sought again

  // In a scan of every record, oldest first: `place` is now the newest of its mark.
  void See(const Log* log, const Mark& mark, const Place& place) { Keep({log, mark}, place); }

  template <class Fits>
  absl::StatusOr<std::optional<Place>> Before(
      const World& world, const RecordRow& row, const Mark& mark, bool remember, Fits fits) {
    const auto known = known_.find({row.log, mark});
    if (remember && known != known_.end() &&
        (!known->second || known->second->seq < row.record.seq)) {
      return known->second;
    }
    std::optional<Place> place;
    if (row.record.subject) {
      AQ_ASSIGN_OR_RETURN(const auto found,
                          NewestBefore(world, *row.log, row.record.seq, *row.record.subject, fits));
      if (found) place = Place{found->record.seq, found->leaf};
    }
    if (remember) Keep({row.log, mark}, place);
    return place;
  }

 private:
  void Keep(const std::pair<const Log*, Mark>& key, const std::optional<Place>& place) {
    if (known_.size() >= kRememberedMax) known_.clear();
    known_[key] = place;
  }

  std::map<std::pair<const Log*, Mark>, std::optional<Place>> known_;
};

class EdgeFeed final : public Feed<Row> {
 public:
  EdgeFeed(const World& world, const Bounds& bounds)
      : world_(world),
        records_(world, bounds),
        whole_(bounds.where.everything()),
        forward_(!bounds.newest_first) {}

  absl::Status Fill(std::vector<Row>& rows) override {
    while (rows.empty()) {
      std::vector<RecordRow> some;
      AQ_RETURN_IF_ERROR(records_.Fill(some));
      if (some.empty()) return absl::OkStatus();
      for (const RecordRow& r : some) {
        AQ_RETURN_IF_ERROR(AddRecords(r, rows));
        AQ_RETURN_IF_ERROR(AddObjects(r, rows));
        if (whole_ && forward_) See(r);
      }
    }
    return absl::OkStatus();
  }

 private:
  static Row EdgeOf(const RecordRow& r, Relation relation, ByteView to, std::string_view type) {
    return {.log = r.log,
            .seq = r.record.seq,
            .hlc = r.record.hlc,
            .kind = r.record.kind,
            .subject = r.record.subject,
            .from = r.leaf,
            .to = *Digest::From(to),
            .relation = relation,
            .to_type = type};
  }
  static void AddRecord(const RecordRow& r,
                        Relation relation,
                        const std::optional<Place>& to,
                        std::vector<Row>& rows) {
    if (!to) return;
    rows.push_back(EdgeOf(r, relation, to->leaf, "record"));
    rows.back().to_seq = to->seq;
  }

  absl::Status AddRecords(const RecordRow& r, std::vector<Row>& rows) {
    const authority::Observe& o = r.record;
    if (o.prev) AddRecord(r, Relation::kPrev, Place{o.seq - 1, *o.prev}, rows);
    if (!o.subject) return absl::OkStatus();  // the others are found through idx_about
    if (IsStage(o) && o.kind != RecordKind::kArmed) {
      const auto same = [&o](const authority::Observe& before) {
        return IsStage(before) && before.action_id == o.action_id;
      };
      AQ_ASSIGN_OR_RETURN(const auto to,
                          actions_.Before(world_, r, {*o.subject, *o.action_id}, whole_, same));
      AddRecord(r, Relation::kAction, to, rows);
    }
    if (o.kind == RecordKind::kArmed) {
      AQ_ASSIGN_OR_RETURN(const auto to,
                          decisions_.Before(world_, r, *o.subject, whole_, IsDecision));
      AddRecord(r, Relation::kDecision, to, rows);
    }
    if (!o.flow) return absl::OkStatus();
    for (const Oid& presentation : o.flow->presentations) {
      const Digest digest = AuthDigestOf(presentation);
      const auto same = [&digest](const authority::Observe& before) {
        return IsDecision(before) && before.authority == digest;
      };
      AQ_ASSIGN_OR_RETURN(const auto to,
                          authorities_.Before(world_, r, {*o.subject, digest}, whole_, same));
      AddRecord(r, Relation::kAuthority, to, rows);
    }
    return absl::OkStatus();
  }

  static absl::Status AddObjects(const RecordRow& r, std::vector<Row>& rows) {
    const authority::Observe& o = r.record;
    if (o.evidence)
      rows.push_back(EdgeOf(r, Relation::kEvidence, *o.evidence, EvidenceType(o.kind)));
    if (o.flow) {
      for (const Oid& oid : o.flow->presentations)
        rows.push_back(EdgeOf(r, Relation::kPresentation, oid, "object"));
    }
    if (!o.inputs) return absl::OkStatus();
    rows.push_back(EdgeOf(r, Relation::kInputs, *o.inputs, "inputs"));
    AQ_ASSIGN_OR_RETURN(const auto bytes, r.log->store->GetObject(Shelf::kInputs, *o.inputs));
    if (!bytes) return absl::OkStatus();
    AQ_ASSIGN_OR_RETURN(const Inputs inputs, ParseInputs(*bytes));
    for (const Oid& oid : inputs.oids) rows.push_back(EdgeOf(r, Relation::kCites, oid, "object"));
    return absl::OkStatus();
  }

  void See(const RecordRow& r) {
    const authority::Observe& o = r.record;
    const Place place{o.seq, r.leaf};
    if (!o.subject) return;
    if (IsStage(o)) actions_.See(r.log, {*o.subject, *o.action_id}, place);
    if (!IsDecision(o)) return;
    decisions_.See(r.log, *o.subject, place);
    if (o.authority) authorities_.See(r.log, {*o.subject, *o.authority}, place);
  }

  const World& world_;
  RecordFeed records_;
  const bool whole_;    // every record of its range, or of a subject, comes by
  const bool forward_;  // oldest first
  Newest<std::pair<Kid, authority::ActionId>> actions_;
  Newest<Kid> decisions_;
  Newest<std::pair<Kid, Digest>> authorities_;
};

constexpr ColumnOf<Row> kEdges[] = {
    {"machine TEXT",
     Key::kMachine,
     [](const Row& r, const World&, Cell& c) { c.Text(r.log->name); }},
    {"seq INTEGER", Key::kSeq, [](const Row& r, const World&, Cell& c) { c.Number(r.seq); }},
    {"time TEXT", Key::kTime, [](const Row& r, const World&, Cell& c) { c.Text(TimeText(r.hlc)); }},
    {"ms INTEGER",
     Key::kMillis,
     [](const Row& r, const World&, Cell& c) { c.Number(MillisFromHlc(r.hlc)); }},
    {"kind TEXT",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { c.Text(KindName(r.kind)); }},
    {"subject TEXT",
     Key::kSubject,
     [](const Row& r, const World&, Cell& c) { c.HexIf(r.subject); }},
    {"subject_name TEXT",
     Key::kSubjectName,
     [](const Row& r, const World& w, Cell& c) { c.TextIf(w.NameOf(r.subject)); }},
    {"from_id TEXT", Key::kId, [](const Row& r, const World&, Cell& c) { c.Hex(r.from); }},
    {"relation TEXT",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) {
       c.Text(kRelationNames[static_cast<size_t>(r.relation)]);
     }},
    {"to_id TEXT", Key::kNone, [](const Row& r, const World&, Cell& c) { c.Hex(r.to); }},
    {"to_type TEXT", Key::kNone, [](const Row& r, const World&, Cell& c) { c.Text(r.to_type); }},
    {"to_seq INTEGER",
     Key::kNone,
     [](const Row& r, const World&, Cell& c) { r.to_seq ? c.Number(*r.to_seq) : c.Null(); }},
};

}  // namespace

std::unique_ptr<Table> EdgesTable() {
  return std::make_unique<TableOf<Row>>(
      TableOf<Row>::Words{"edges",
                          "What each record rests on: records, inputs, signed objects, notes",
                          Sorted::kBySeq},
      kEdges,
      [](const World& world, const Bounds& bounds) -> std::unique_ptr<Feed<Row>> {
        return std::make_unique<EdgeFeed>(world, bounds);
      });
}

}  // namespace aqmesh::lineage::sql
