#include "lineage/sealed/seal.h"

#include <algorithm>
#include <memory>
#include <set>

#include "core/authority/signed.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "lineage/audit.h"
#include "lineage/heads.h"
#include "lineage/inputs.h"
#include "lineage/sealed/files.h"
#include "lineage/sealed/frame.h"
#include "lineage/sealed/sealed_store.h"

namespace aqmesh::lineage {

namespace {

constexpr uint64_t kRun = tlog::kTileWidth;
constexpr std::string_view kUnfinished = ".unfinished-";
// What decisions are made again from, beside objects (spec: lineage#9).
constexpr std::string_view kStateKept[] = {"held/", "cut/", "keybind/", "seen/"};

absl::StatusOr<Kid> LogOf(const Store& store) {
  if (!store.head()) return FailedPrecondition("the log has no record yet: nothing to seal");
  AQ_ASSIGN_OR_RETURN(const Bytes body, store.Read(store.head()->seq));
  AQ_ASSIGN_OR_RETURN(const auto record, authority::ParseBody<authority::Observe>(body));
  return record.log;
}

// Everything of one segment but its records, gathered as they go by.
class Gatherer {
 public:
  Gatherer(const Store& store, const SealedStore* there) : store_(store), there_(there) {}

  // What the record cites: its inputs and the objects and the policy that these name, its evidence.
  absl::Status Cite(const authority::Observe& record) {
    if (record.inputs) AQ_RETURN_IF_ERROR(CiteInputs(*record.inputs));
    if (record.evidence) {
      const Oid oid{record.evidence->bytes};
      for (const Shelf shelf : {Shelf::kSigned, Shelf::kProof, Shelf::kNote, Shelf::kInputs})
        AQ_RETURN_IF_ERROR(Take(shelf, oid).status());
    }
    if (!record.flow) return absl::OkStatus();
    for (const Oid& oid : record.flow->presentations)
      AQ_RETURN_IF_ERROR(Take(Shelf::kInputs, oid).status());
    return absl::OkStatus();
  }

  // Of the signed objects and the state names, what no segment before has.
  absl::Status TakeRest() {
    absl::Status status;
    AQ_RETURN_IF_ERROR(store_.ScanObjects(Shelf::kSigned, [&](const Oid& oid, ByteView bytes) {
      const auto had =
          there_ ? there_->HasObject(Shelf::kSigned, oid) : absl::StatusOr<bool>(false);
      status = had.status();
      if (had.ok() && !*had)
        objects_.try_emplace({Shelf::kSigned, oid}, bytes.begin(), bytes.end());
      return status.ok();
    }));
    AQ_RETURN_IF_ERROR(status);
    for (const std::string_view prefix : kStateKept) {
      AQ_RETURN_IF_ERROR(store_.ScanState(prefix, [&](std::string_view name, ByteView value) {
        const auto had =
            there_ ? there_->GetState(name) : absl::StatusOr<std::optional<Bytes>>(std::nullopt);
        status = had.status();
        if (had.ok() && (!*had || !Equal(**had, value)))
          state_.insert_or_assign(std::string(name), Bytes(value.begin(), value.end()));
        return status.ok();
      }));
      AQ_RETURN_IF_ERROR(status);
    }
    return absl::OkStatus();
  }

  const ObjectKeyed& objects() const { return objects_; }
  const StateNamed& state() const { return state_; }

 private:
  // Its bytes, if the store has it.
  absl::StatusOr<const Bytes*> Take(Shelf shelf, const Oid& oid) {
    const auto held = objects_.find({shelf, oid});
    if (held != objects_.end()) return &held->second;
    AQ_ASSIGN_OR_RETURN(auto bytes, store_.GetObject(shelf, oid));
    if (!bytes) return nullptr;
    return &objects_.emplace(std::pair(shelf, oid), *std::move(bytes)).first->second;
  }
  absl::Status CiteInputs(const Oid& id) {
    if (!seen_.insert(id).second) return absl::OkStatus();
    AQ_ASSIGN_OR_RETURN(const Bytes* bytes, Take(Shelf::kInputs, id));
    if (bytes == nullptr) return absl::OkStatus();
    const auto inputs = ParseInputs(*bytes);
    if (!inputs.ok()) return absl::OkStatus();  // an older build's: kept as it is
    for (const Oid& oid : inputs->oids) {
      for (const Shelf shelf : {Shelf::kInputs, Shelf::kSigned})
        AQ_RETURN_IF_ERROR(Take(shelf, oid).status());
    }
    return Take(Shelf::kPolicy, Oid{inputs->policy.bytes}).status();
  }

  const Store& store_;
  const SealedStore* there_;
  ObjectKeyed objects_;
  StateNamed state_;
  std::set<Oid> seen_;
};

// Writes one segment into a directory that nobody looks into, then gives it its name.
class SegmentWriter {
 public:
  SegmentWriter(const Store& store, std::string dir, Manifest manifest)
      : store_(store), dir_(std::move(dir)), manifest_(std::move(manifest)) {
    name_ = SegmentName(manifest_.first, manifest_.end);
    at_ = Join(dir_, "/", kUnfinished, name_);
  }

  absl::Status Write(const tlog::SignedCheckpoint& head, const SealedStore* there) {
    AQ_RETURN_IF_ERROR(RemoveTree(at_));
    AQ_RETURN_IF_ERROR(MakeDirectory(at_));
    Gatherer cited(store_, there);
    for (Seq first = manifest_.first; first < manifest_.end; first += kRun)
      AQ_RETURN_IF_ERROR(PutRecords(first, cited));
    AQ_RETURN_IF_ERROR(cited.TakeRest());
    for (const tlog::Tile& tile : TilesOf(manifest_.first, manifest_.end, head.checkpoint.size))
      AQ_RETURN_IF_ERROR(PutTile(tile));
    const PackedObjects objects = PackObjects(cited.objects());
    AQ_RETURN_IF_ERROR(Put(kObjectsName, objects.frames));
    AQ_RETURN_IF_ERROR(Put(kObjectIndexName, objects.index));
    AQ_RETURN_IF_ERROR(Put(kStateName, PackState(cited.state())));
    AQ_RETURN_IF_ERROR(Put(kCheckpointName, AsBytes(head.note.Text())));
    std::ranges::sort(manifest_.files, {}, &SealedFile::path);
    AQ_RETURN_IF_ERROR(WriteNew(Join(at_, "/", kManifestName), AsBytes(manifest_.Text())));
    for (const std::string& made : made_) AQ_RETURN_IF_ERROR(SyncDirectory(made));
    AQ_RETURN_IF_ERROR(SyncDirectory(at_));
    AQ_RETURN_IF_ERROR(RenameTo(at_, Join(dir_, "/", name_)));
    return SyncDirectory(dir_);
  }

 private:
  absl::Status PutRecords(Seq first, Gatherer& cited) {
    Bytes bundle;
    absl::Status broken;
    AQ_RETURN_IF_ERROR(store_.WalkLog(
        first, first + kRun, Order::kOldestFirst, [&](Seq seq, const Digest&, ByteView body) {
          const auto record = authority::ParseBody<authority::Observe>(body);
          broken = record.status();
          if (!broken.ok()) return false;
          if (seq == manifest_.first) manifest_.hlc_first = record->hlc;
          if (seq + 1 == manifest_.end) manifest_.hlc_last = record->hlc;
          tlog::AppendBundleEntry(bundle, body);
          held_.push_back(*record);
          return true;
        }));
    AQ_RETURN_IF_ERROR(broken);
    // Not from within the walk: a visitor does not call the store.
    for (const authority::Observe& record : held_) AQ_RETURN_IF_ERROR(cited.Cite(record));
    if (held_.size() != kRun) return DataLoss("record ", first + held_.size(), " is missing");
    held_.clear();
    return Put(SealedBundlePath(first / kRun), PackFrame(bundle));
  }

  absl::Status PutTile(const tlog::Tile& tile) {
    AQ_ASSIGN_OR_RETURN(const Bytes bytes, store_.ReadTile(tile));
    return Put(tlog::TilePath(tile), bytes);
  }

  absl::Status Put(std::string_view path, ByteView content) {
    for (size_t slash = path.find('/'); slash != std::string_view::npos;
         slash = path.find('/', slash + 1)) {
      const std::string dir = Join(at_, "/", path.substr(0, slash));
      AQ_RETURN_IF_ERROR(MakeDirectory(dir));
      made_.insert(dir);
    }
    AQ_RETURN_IF_ERROR(WriteNew(Join(at_, "/", path), content));
    manifest_.files.push_back(
        {std::string(path), content.size(), Digest{crypto::Sha256({content})}});
    return absl::OkStatus();
  }

  const Store& store_;
  std::string dir_, name_, at_;
  Manifest manifest_;
  std::set<std::string> made_;
  std::vector<authority::Observe> held_;
};

absl::Status RemoveUnfinished(const std::string& dir) {
  AQ_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(dir));
  for (const std::string& name : names) {
    if (name.starts_with(kUnfinished)) AQ_RETURN_IF_ERROR(RemoveTree(Join(dir, "/", name)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SealedStore>> OpenThere(const std::string& dir, const Kid& log) {
  auto there = SealedStore::Open(dir, log);
  if (absl::IsNotFound(there.status())) return std::unique_ptr<SealedStore>();
  return there;
}

}  // namespace

absl::StatusOr<SealReport> Seal(const Store& store, const std::string& dir, Seq until) {
  AQ_ASSIGN_OR_RETURN(const Kid log, LogOf(store));
  AQ_RETURN_IF_ERROR(MakeDirectory(dir));
  const std::string of_log = SealedDirOf(dir, log);
  AQ_RETURN_IF_ERROR(MakeDirectory(of_log));
  AQ_RETURN_IF_ERROR(SyncDirectory(dir));
  AQ_ASSIGN_OR_RETURN(const auto lock, DirectoryLock::Take(of_log));
  AQ_RETURN_IF_ERROR(RemoveUnfinished(of_log));
  AQ_ASSIGN_OR_RETURN(auto there, OpenThere(dir, log));
  SealReport report;
  report.first = there ? there->first() : store.first();
  report.end = there ? there->size() : store.first();
  if (report.end < store.first()) {
    return FailedPrecondition(of_log,
                              " ends before record ",
                              store.first(),
                              ", with which this log begins: seal it to another directory, or "
                              "`aqmesh lineage import` what was sealed between");
  }
  until = std::min(until, store.size()) / kRun * kRun;
  while (report.end < until) {
    Manifest manifest;
    manifest.log = log;
    manifest.first = report.end;
    manifest.end = std::min(until, report.end + kSegmentRecordsMax);
    auto head = HeadOver(store, manifest.end - 1, LogOrigin(log));
    while (absl::IsNotFound(head.status()) && manifest.end - manifest.first > kRun) {
      manifest.end -= kRun;  // as far as a head reaches
      head = HeadOver(store, manifest.end - 1, LogOrigin(log));
    }
    if (absl::IsNotFound(head.status())) {
      report.uncovered = true;
      break;
    }
    if (!head.ok()) return head.status();
    manifest.head_size = head->checkpoint.size;
    AQ_RETURN_IF_ERROR(SegmentWriter(store, of_log, manifest).Write(*head, there.get()));
    ++report.segments;
    report.records += manifest.end - manifest.first;
    report.end = manifest.end;
    AQ_ASSIGN_OR_RETURN(there, OpenThere(dir, log));
  }
  return report;
}

absl::Status CheckSealed(const Store& store, const std::string& dir, Seq first, Seq end) {
  AQ_ASSIGN_OR_RETURN(const Kid log, LogOf(store));
  AQ_ASSIGN_OR_RETURN(const auto there, OpenThere(dir, log));
  if (there == nullptr || there->first() > first || there->size() < end)
    return FailedPrecondition("records ", first, " to ", end - 1, " are not all sealed in ", dir);
  for (const auto& segment : there->segments()) {
    const Manifest& m = segment->manifest();
    if (m.end <= first || m.first >= end) continue;
    ChainVerifier chain(m.first);
    AQ_RETURN_IF_ERROR(segment->Verify(chain));
    for (uint64_t index = m.first / kRun; index < m.end / kRun; ++index) {
      const tlog::Tile tile{0, index, tlog::kTileWidth};
      AQ_ASSIGN_OR_RETURN(const Bytes sealed, segment->ReadTile(tile));
      AQ_ASSIGN_OR_RETURN(const Bytes ours, store.ReadTile(tile));
      if (sealed != ours)
        return DataLoss(segment->dir(),
                        ": records ",
                        index * kRun,
                        " to ",
                        (index + 1) * kRun - 1,
                        " are not those of this log");
    }
  }
  return absl::OkStatus();
}

}  // namespace aqmesh::lineage
