// checkpoints: signed heads, of this log and of others. cosignatures: a row a line under a head.
#include <map>

#include "core/base/status.h"
#include "lineage/heads.h"
#include "lineage/sql/object_feed.h"
#include "lineage/sql/record_feed.h"
#include "lineage/tlog/checkpoint.h"

namespace aqmesh::lineage::sql {
namespace {

using authority::RecordKind;

constexpr uint32_t kCheckpointKinds = 1u << static_cast<uint32_t>(RecordKind::kCheckpoint);
constexpr size_t kTimeBytes = 8;  // before the signature, in a line of type 4

// A head on the shelf, with the record that says when it was signed here; or such a record alone.
struct Checkpoint {
  const Log* log = nullptr;
  Oid oid = {};
  std::optional<tlog::SignedCheckpoint> head = {};
  std::optional<RecordRow> record = {};

  uint64_t size() const {
    return head ? head->checkpoint.size : record ? record->record.intent_gen : 0;
  }
  std::string origin() const {
    if (head) return head->checkpoint.origin;
    return record ? LogOrigin(record->record.log) : "";
  }
};

// A note that is no checkpoint is passed over.
std::optional<Checkpoint> CheckpointOf(const ObjectRow& o) {
  auto head = tlog::ParseCheckpoint(AsText(o.bytes));
  if (!head.ok()) return std::nullopt;
  return Checkpoint{.log = o.log, .oid = o.oid, .head = *std::move(head)};
}

class CheckpointFeed final : public Feed<Checkpoint> {
 public:
  CheckpointFeed(const World& world, const Bounds& bounds)
      : records_(world, Of(bounds), kCheckpointKinds), notes_(world, bounds, {Shelf::kNote}) {}

  absl::Status Fill(std::vector<Checkpoint>& rows) override {
    if (!gathered_) AQ_RETURN_IF_ERROR(Gather());
    gathered_ = true;
    std::vector<ObjectRow> some;
    while (rows.empty()) {
      some.clear();
      AQ_RETURN_IF_ERROR(notes_.Fill(some));
      if (some.empty()) break;
      for (const ObjectRow& o : some) {
        auto row = CheckpointOf(o);
        if (!row) continue;
        const auto record = of_note_.find({o.log, o.oid});
        if (record != of_note_.end()) row->record = std::move(record->second);
        if (record != of_note_.end()) of_note_.erase(record);
        rows.push_back(*std::move(row));
      }
    }
    if (rows.empty()) Rest(rows);
    return absl::OkStatus();
  }

 private:
  static Bounds Of(const Bounds& bounds) {
    Bounds records;
    records.nothing = bounds.nothing;
    records.machine = bounds.machine;
    return records;
  }
  absl::Status Gather() {
    while (true) {
      std::vector<RecordRow> some;
      AQ_RETURN_IF_ERROR(records_.Fill(some));
      if (some.empty()) return absl::OkStatus();
      for (RecordRow& r : some) {
        if (!r.record.evidence) continue;
        const Oid oid = *Oid::From(*r.record.evidence);
        of_note_.try_emplace({r.log, oid}, std::move(r));
      }
    }
  }
  // Records whose note is not on the shelf.
  void Rest(std::vector<Checkpoint>& rows) {
    for (auto& [key, record] : of_note_)
      rows.push_back({.log = key.first, .oid = key.second, .record = std::move(record)});
    of_note_.clear();
  }

  RecordFeed records_;
  ObjectFeed notes_;
  bool gathered_ = false;
  std::map<std::pair<const Log*, Oid>, RecordRow> of_note_;
};

template <auto Put>
void OfRecord(const Checkpoint& row, const World& world, Cell& cell) {
  row.record ? Put(*row.record, world, cell) : cell.Null();
}

constexpr ColumnOf<Checkpoint> kCheckpoints[] = {
    {"machine TEXT",
     Key::kMachine,
     [](const Checkpoint& r, const World&, Cell& c) { c.Text(r.log->name); }},
    {"seq INTEGER", Key::kNone, OfRecord<column::Seq>},
    {"time TEXT", Key::kNone, OfRecord<column::Time>},
    {"ms INTEGER", Key::kNone, OfRecord<column::Millis>},
    {"oid TEXT", Key::kOid, [](const Checkpoint& r, const World&, Cell& c) { c.Hex(r.oid); }},
    {"origin TEXT",
     Key::kNone,
     [](const Checkpoint& r, const World&, Cell& c) { c.TextIf(r.origin()); }},
    {"log TEXT",
     Key::kNone,
     [](const Checkpoint& r, const World&, Cell& c) { c.HexIf(LogOfOrigin(r.origin())); }},
    {"own INTEGER",
     Key::kNone,
     [](const Checkpoint& r, const World&, Cell& c) {
       c.Number(r.log->kid && LogOfOrigin(r.origin()) == r.log->kid ? 1u : 0u);
     }},
    {"size INTEGER",
     Key::kNone,
     [](const Checkpoint& r, const World&, Cell& c) { c.Number(r.size()); }},
    {"root TEXT",
     Key::kNone,
     [](const Checkpoint& r, const World&, Cell& c) {
       r.head ? c.Hex(r.head->checkpoint.root) : c.Null();
     }},
    {"lines INTEGER",
     Key::kNone,
     [](const Checkpoint& r, const World&, Cell& c) {
       r.head ? c.Number(r.head->note.lines.size()) : c.Null();
     }},
    {"note TEXT",
     Key::kNone,
     [](const Checkpoint& r, const World&, Cell& c) {
       r.head ? c.Text(r.head->note.Text()) : c.Null();
     }},
};

// ---- cosignatures ----

struct Line {
  const Log* log = nullptr;
  Oid oid = {};
  std::shared_ptr<const tlog::SignedCheckpoint> head = {};
  size_t line = 0;

  const tlog::NoteLine& at() const { return head->note.lines[line]; }
  bool by_log() const { return at().name == head->checkpoint.origin; }
  std::optional<Kid> kid() const;
};

// Who the line says it is: the log, or "aqmesh/1/<kid>".
std::optional<Kid> Line::kid() const {
  if (by_log()) return LogOfOrigin(at().name);
  constexpr std::string_view kPrefix = "aqmesh/1/";
  if (!at().name.starts_with(kPrefix)) return std::nullopt;
  const auto bytes = FromHex(std::string_view(at().name).substr(kPrefix.size()));
  const auto kid = bytes ? Kid::From(*bytes) : std::nullopt;
  return kid && CosignerName(*kid) == at().name ? kid : std::nullopt;
}

class LineFeed final : public Feed<Line> {
 public:
  LineFeed(const World& world, const Bounds& bounds) : notes_(world, bounds, {Shelf::kNote}) {}

  absl::Status Fill(std::vector<Line>& rows) override {
    while (rows.empty()) {
      std::vector<ObjectRow> some;
      AQ_RETURN_IF_ERROR(notes_.Fill(some));
      if (some.empty()) return absl::OkStatus();
      for (const ObjectRow& o : some) {
        auto row = CheckpointOf(o);
        if (!row) continue;
        const auto head = std::make_shared<const tlog::SignedCheckpoint>(*std::move(row->head));
        for (size_t i = 0; i < head->note.lines.size(); ++i)
          rows.push_back({o.log, o.oid, head, i});
      }
    }
    return absl::OkStatus();
  }

 private:
  ObjectFeed notes_;
};

// 1 or 0 under the signer's key, if this machine has that; NULL if not.
void Valid(const Line& row, const World& world, Cell& cell) {
  const auto kid = row.kid();
  const auto key = kid ? world.directory.KeyOf(*kid) : std::nullopt;
  if (!key) return cell.Null();
  const tlog::NoteKey signer = row.by_log() ? LogNoteKey(*key) : CosignerNoteKey(*key);
  cell.Number(tlog::VerifyLine(signer, row.head->note.text, row.at()).ok() ? 1u : 0u);
}

void SignedAt(const Line& row, const World&, Cell& cell) {
  if (row.by_log() || row.at().signature.size() <= kTimeBytes) return cell.Null();
  cell.Seconds(LoadBe<uint64_t>(row.at().signature.data()));
}

constexpr ColumnOf<Line> kCosignatures[] = {
    {"machine TEXT",
     Key::kMachine,
     [](const Line& r, const World&, Cell& c) { c.Text(r.log->name); }},
    {"oid TEXT", Key::kOid, [](const Line& r, const World&, Cell& c) { c.Hex(r.oid); }},
    {"origin TEXT",
     Key::kNone,
     [](const Line& r, const World&, Cell& c) { c.Text(r.head->checkpoint.origin); }},
    {"size INTEGER",
     Key::kNone,
     [](const Line& r, const World&, Cell& c) { c.Number(r.head->checkpoint.size); }},
    {"role TEXT",
     Key::kNone,
     [](const Line& r, const World&, Cell& c) { c.Text(r.by_log() ? "log" : "cosigner"); }},
    {"key_name TEXT",
     Key::kNone,
     [](const Line& r, const World&, Cell& c) { c.Text(r.at().name); }},
    {"key_id TEXT",
     Key::kNone,
     [](const Line& r, const World&, Cell& c) {
       Bytes id;
       AppendBe(id, r.at().key_id);
       c.Hex(id);
     }},
    {"kid TEXT", Key::kNone, [](const Line& r, const World&, Cell& c) { c.HexIf(r.kid()); }},
    {"name TEXT",
     Key::kNone,
     [](const Line& r, const World& w, Cell& c) { c.TextIf(w.NameOf(r.kid())); }},
    {"time TEXT", Key::kNone, SignedAt},
    {"valid INTEGER", Key::kNone, Valid},
    {"signature TEXT",
     Key::kNone,
     [](const Line& r, const World&, Cell& c) { c.Hex(r.at().signature); }},
};

}  // namespace

std::unique_ptr<Table> CheckpointsTable() {
  return std::make_unique<TableOf<Checkpoint>>(
      TableOf<Checkpoint>::Words{
          "checkpoints",
          "Signed heads of logs: ours, with when they were signed, and others'",
          Sorted::kNo},
      kCheckpoints,
      [](const World& world, const Bounds& bounds) -> std::unique_ptr<Feed<Checkpoint>> {
        return std::make_unique<CheckpointFeed>(world, bounds);
      });
}

std::unique_ptr<Table> CosignaturesTable() {
  return std::make_unique<TableOf<Line>>(
      TableOf<Line>::Words{
          "cosignatures", "Who signed each head: the log itself, and its cosigners", Sorted::kNo},
      kCosignatures,
      [](const World& world, const Bounds& bounds) -> std::unique_ptr<Feed<Line>> {
        return std::make_unique<LineFeed>(world, bounds);
      });
}

}  // namespace aqmesh::lineage::sql
