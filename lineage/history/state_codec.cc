#include <limits>
#include <utility>

#include "core/base/status.h"
#include "core/wire/writer.h"
#include "lineage/field_scan.h"
#include "lineage/history/state.h"

// The one encoding of a State (spec: lineage#8.3). Rows that repeat begin with their key in fixed
// bytes, so that ascending as bytes is ascending by key.
namespace aqmesh::lineage {

using authority::RecordKind;
using authority::Rung;

namespace {

constexpr uint64_t kVersion = 1;
constexpr unsigned kSection = 1;  // of spec/objects.md: the subset
constexpr size_t kSeqBytes = 8;
using SeqBytes = FixedBytes<kSeqBytes, struct SeqTag>;

constexpr FieldRow kStateFields[] = {{"version", kNumberField},
                                     {"log", kBytesField},
                                     {"records", kNumberField},
                                     {"head", kBytesField},
                                     {"hlc", kNumberField},
                                     {"forgotten", kNumberField},
                                     {"kinds", kBytesField, State::kKinds},
                                     {"drops", kBytesField, State::kDropReasonsMax},
                                     {"restrictions", kBytesField, State::kRestrictionsMax},
                                     {"checkpoint", kBytesField},
                                     {"subjects", kBytesField, State::kSubjectsMax}};
constexpr FieldRow kSubjectFields[] = {{"kid", kBytesField},
                                       {"touched", kBytesField},
                                       {"rulings", kBytesField, Subject::kOpenMax + 3},
                                       {"in_force", kBytesField},
                                       {"open", kBytesField, Subject::kOpenMax},
                                       {"approved", kBytesField},
                                       {"restricted", kBytesField},
                                       {"flows", kNumberField},
                                       {"frames", kNumberField},
                                       {"bytes", kNumberField},
                                       {"carried", kNumberField}};
constexpr FieldRow kRulingFields[] = {{"leaf", kBytesField},
                                      {"hlc", kNumberField},
                                      {"kind", kNumberField},
                                      {"rung", kNumberField},
                                      {"gates", kBytesField},
                                      {"authority", kBytesField},
                                      {"inputs", kBytesField},
                                      {"ladm", kNumberField},
                                      {"slope", kNumberField},
                                      {"corr", kNumberField},
                                      {"reason", kNumberField},
                                      {"action", kNumberField}};
constexpr FieldRow kDeedFields[] = {{"id", kBytesField},
                                    {"action", kNumberField},
                                    {"stage", kNumberField},
                                    {"newest", kBytesField},
                                    {"since", kNumberField},
                                    {"rung", kNumberField},
                                    {"intent", kNumberField},
                                    {"observed", kNumberField},
                                    {"ruling", kBytesField}};

// ---- out

SeqBytes Be(uint64_t n) {
  SeqBytes out;
  StoreBe(out.data(), n);
  return out;
}

Bytes Row(uint64_t key, const Bytes& message) {
  Bytes out;
  out.reserve(kSeqBytes + message.size());
  AppendBe(out, key);
  Append(out, message);
  return out;
}

Bytes EncodeRuling(const Ruling& r) {
  wire::Writer w;
  w.String(1, r.leaf);
  w.Number(2, r.hlc);
  w.Number(3, static_cast<uint64_t>(r.kind));
  w.Number(4, static_cast<uint64_t>(r.rung));
  if (r.gates) w.String(5, *r.gates);
  if (r.authority) w.String(6, *r.authority);
  if (r.inputs) w.String(7, *r.inputs);
  w.Number(8, r.ladm);
  w.Number(9, r.slope);
  w.Number(10, r.corr);
  w.Number(11, r.reason);
  w.Number(12, r.action);
  return Row(r.seq, w.bytes());
}

Bytes EncodeDeed(const Deed& d) {
  wire::Writer w;
  w.String(1, d.id);
  w.Number(2, d.action);
  w.Number(3, static_cast<uint64_t>(d.stage));
  w.String(4, Be(d.newest));
  w.Number(5, d.since);
  w.Number(6, static_cast<uint64_t>(d.rung));
  w.Number(7, d.intent);
  w.Number(8, d.observed);
  if (d.ruling) w.String(9, Be(*d.ruling));
  return Row(d.armed, w.bytes());
}

Bytes EncodeSubject(const Kid& kid, const Subject& s) {
  wire::Writer w;
  w.String(1, kid);
  w.String(2, Be(s.touched));
  for (const Ruling& r : s.rulings) w.String(3, EncodeRuling(r));
  if (s.in_force) w.String(4, EncodeDeed(*s.in_force));
  for (const Deed& d : s.open) w.String(5, EncodeDeed(d));
  if (s.approved) w.String(6, *s.approved);
  if (s.restricted) w.String(7, Be(*s.restricted));
  w.Number(8, s.carried.records);
  w.Number(9, s.carried.frames);
  w.Number(10, s.carried.bytes);
  w.Number(11, s.carried.hlc);
  return w.Take();
}

Bytes EncodeRestricted(const Restricted& r) {
  Bytes out;
  AppendBe(out, r.seq);
  AppendBe(out, r.hlc);
  Append(out, r.oid);
  if (r.subject) Append(out, *r.subject);
  return out;
}

// ---- in

uint64_t Be(FieldScan& scan) { return LoadBe<uint64_t>(scan.Bytes<SeqBytes>().data()); }

// The key of a row, and the message behind it.
std::optional<std::pair<uint64_t, ByteView>> TakeRow(ByteView row) {
  if (row.size() < kSeqBytes) return std::nullopt;
  return std::pair(LoadBe<uint64_t>(row.data()), row.subspan(kSeqBytes));
}

absl::Status Short(std::string_view what) {
  return InvalidArgument(what, ": the row is cut short");
}

absl::StatusOr<Ruling> ParseRuling(ByteView bytes) {
  const auto row = TakeRow(bytes);
  if (!row) return Short("ruling");
  Ruling r{.seq = row->first};
  FieldScan scan(row->second, kRulingFields, "ruling", kSection);
  while (const uint32_t field = scan.Next()) {
    switch (field) {
      case 1: r.leaf = scan.Bytes<Digest>(); break;
      case 2: r.hlc = scan.Integer<uint64_t>(); break;
      case 3: r.kind = static_cast<RecordKind>(scan.Number(State::kKinds - 1)); break;
      case 4: r.rung = static_cast<Rung>(scan.Number(6)); break;
      case 5: r.gates = scan.Bytes<FixedBytes<6, struct GatesTag>>().bytes; break;
      case 6: r.authority = scan.Bytes<Digest>(); break;
      case 7: r.inputs = scan.Bytes<Oid>(); break;
      case 8: r.ladm = scan.Integer<uint32_t>(); break;
      case 9: r.slope = scan.Integer<uint32_t>(); break;
      case 10: r.corr = scan.Integer<uint32_t>(); break;
      case 11: r.reason = scan.Integer<uint16_t>(); break;
      case 12: r.action = scan.Integer<uint16_t>(); break;
      default: break;  // Next() refuses what is not in the table
    }
  }
  if (!scan.status().ok()) return scan.status();
  return r;
}

absl::StatusOr<Deed> ParseDeed(ByteView bytes) {
  const auto row = TakeRow(bytes);
  if (!row) return Short("action");
  Deed d{.id = {}, .armed = row->first};
  FieldScan scan(row->second, kDeedFields, "action", kSection);
  while (const uint32_t field = scan.Next()) {
    switch (field) {
      case 1: d.id = scan.Bytes<authority::ActionId>(); break;
      case 2: d.action = scan.Integer<uint16_t>(); break;
      case 3:
        d.stage = static_cast<Stage>(scan.Number(static_cast<uint64_t>(Stage::kDiverged)));
        break;
      case 4: d.newest = Be(scan); break;
      case 5: d.since = scan.Integer<uint64_t>(); break;
      case 6: d.rung = static_cast<Rung>(scan.Number(6)); break;
      case 7: d.intent = scan.Integer<uint64_t>(); break;
      case 8: d.observed = scan.Integer<uint64_t>(); break;
      case 9: d.ruling = Be(scan); break;
      default: break;
    }
  }
  if (!scan.status().ok()) return scan.status();
  return d;
}

template <class T>
void Take(FieldScan& scan, absl::StatusOr<T> parsed, std::vector<T>& out) {
  if (parsed.ok()) out.push_back(*std::move(parsed));
  scan.Adopt(parsed.status());
}

absl::StatusOr<std::pair<Kid, Subject>> ParseSubject(ByteView bytes) {
  FieldScan scan(bytes, kSubjectFields, "subject", kSection);
  std::pair<Kid, Subject> out;
  Subject& s = out.second;
  while (const uint32_t field = scan.Next()) {
    switch (field) {
      case 1: out.first = scan.Bytes<Kid>(); break;
      case 2: s.touched = Be(scan); break;
      case 3: Take(scan, ParseRuling(scan.String()), s.rulings); break;
      case 4: {
        auto deed = ParseDeed(scan.String());
        if (deed.ok()) s.in_force = *std::move(deed);
        scan.Adopt(deed.status());
        break;
      }
      case 5: Take(scan, ParseDeed(scan.String()), s.open); break;
      case 6: s.approved = scan.Bytes<Digest>(); break;
      case 7: s.restricted = Be(scan); break;
      case 8: s.carried.records = scan.Integer<uint64_t>(); break;
      case 9: s.carried.frames = scan.Integer<uint64_t>(); break;
      case 10: s.carried.bytes = scan.Integer<uint64_t>(); break;
      case 11: s.carried.hlc = scan.Integer<uint64_t>(); break;
      default: break;
    }
  }
  if (!scan.status().ok()) return scan.status();
  return out;
}

constexpr size_t kRestrictedBytes = kSeqBytes * 2 + Digest::kSize;

absl::StatusOr<Restricted> ParseRestricted(ByteView b) {
  if (b.size() != kRestrictedBytes && b.size() != kRestrictedBytes + Kid::kSize)
    return Short("restriction");
  Restricted r{.seq = LoadBe<uint64_t>(b.data()),
               .hlc = LoadBe<uint64_t>(b.data() + kSeqBytes),
               .oid = *Digest::From(b.subspan(kSeqBytes * 2, Digest::kSize)),
               .subject = Kid::From(b.subspan(kRestrictedBytes))};
  return r;
}

}  // namespace

Bytes State::Encode() const {
  wire::Writer w;
  w.Number(1, kVersion);
  if (log_) w.String(2, *log_);
  w.Number(3, records_);
  if (head_)
    w.String(4, Row(head_->seq, Bytes(head_->leaf.bytes.begin(), head_->leaf.bytes.end())));
  w.Number(5, hlc_);
  w.Number(6, forgotten_);
  for (size_t kind = 0; kind < kKinds; ++kind) {
    if (kinds_[kind] == 0) continue;
    Bytes row = {static_cast<uint8_t>(kind)};
    AppendBe(row, kinds_[kind]);
    w.String(7, row);
  }
  for (const auto& [reason, count] : drops_) {
    Bytes row;
    AppendBe(row, reason);
    AppendBe(row, count);
    w.String(8, row);
  }
  for (const Restricted& r : restrictions_) w.String(9, EncodeRestricted(r));
  if (checkpoint_) w.String(10, Be(*checkpoint_));
  for (const Kid& kid : Subjects()) w.String(11, EncodeSubject(kid, subjects_.at(kid)));
  return w.Take();
}

absl::StatusOr<State> State::Parse(ByteView bytes) {
  FieldScan scan(bytes, kStateFields, "state", kSection);
  State out;
  uint64_t version = 0;
  const auto fixed = [&scan](size_t size) {
    const ByteView row = scan.String();
    if (row.size() != size && scan.status().ok()) scan.Adopt(Short("state"));
    return row.size() == size ? row : ByteView();
  };
  while (const uint32_t field = scan.Next()) {
    switch (field) {
      case 1: version = scan.Integer<uint64_t>(); break;
      case 2: out.log_ = scan.Bytes<Kid>(); break;
      case 3: out.records_ = scan.Integer<uint64_t>(); break;
      case 4:
        if (const ByteView row = fixed(kSeqBytes + Digest::kSize); !row.empty())
          out.head_ = Head{LoadBe<uint64_t>(row.data()), *Digest::From(row.subspan(kSeqBytes))};
        break;
      case 5: out.hlc_ = scan.Integer<uint64_t>(); break;
      case 6: out.forgotten_ = scan.Integer<uint64_t>(); break;
      case 7:
        if (const ByteView row = fixed(1 + kSeqBytes); !row.empty() && row[0] < kKinds)
          out.kinds_[row[0]] = LoadBe<uint64_t>(row.data() + 1);
        break;
      case 8:
        if (const ByteView row = fixed(2 + kSeqBytes); !row.empty())
          out.drops_[LoadBe<uint16_t>(row.data())] = LoadBe<uint64_t>(row.data() + 2);
        break;
      case 9: {
        auto r = ParseRestricted(scan.String());
        if (r.ok()) out.restrictions_.push_back(*std::move(r));
        scan.Adopt(r.status());
        break;
      }
      case 10: out.checkpoint_ = Be(scan); break;
      case 11: {
        auto s = ParseSubject(scan.String());
        if (s.ok()) out.subjects_.insert(*std::move(s));
        scan.Adopt(s.status());
        break;
      }
      default: break;
    }
  }
  if (!scan.status().ok()) return DataLoss("a folded state: ", Text(scan.status()));
  if (version != kVersion) return DataLoss("a folded state of version ", version, " is not read");
  // One encoding a value, held by comparing, as everywhere.
  if (!Equal(out.Encode(), bytes)) return DataLoss("a folded state is not the one encoding of it");
  return out;
}

}  // namespace aqmesh::lineage
