#include "lineage/sealed/sealed_store.h"

#include <algorithm>

#include "core/base/status.h"
#include "lineage/sealed/files.h"

namespace aqmesh::lineage {

namespace {

constexpr uint64_t kRun = tlog::kTileWidth;

std::optional<Kid> KidOfName(std::string_view name) {
  const auto bytes = name.size() == 2 * Kid::kSize ? FromHex(name) : std::nullopt;
  const auto kid = bytes ? Kid::From(*bytes) : std::nullopt;
  return kid && ToHex(*kid) == name ? kid : std::nullopt;
}

bool HasSegments(const std::string& dir) {
  const auto names = ListDirectory(dir);
  return names.ok() &&
         std::ranges::any_of(*names, [](const std::string& n) { return IsSegmentName(n); });
}

// The directory of the log that is meant.
absl::StatusOr<std::string> Choose(const std::string& dir, const std::optional<Kid>& log) {
  if (HasSegments(dir)) return dir;
  if (log) return SealedDirOf(dir, *log);
  AQ_ASSIGN_OR_RETURN(const std::vector<Kid> logs, SealedLogs(dir));
  if (logs.empty()) return NotFound(dir, ": no sealed segments here");
  if (logs.size() == 1) return SealedDirOf(dir, logs.front());
  std::string all;
  for (const Kid& kid : logs) all += Join(" ", ToHex(kid));
  return InvalidArgument(dir, " has the segments of several logs; say which with --log:", all);
}

absl::StatusOr<std::vector<std::unique_ptr<Segment>>> OpenSegments(const std::string& dir) {
  AQ_ASSIGN_OR_RETURN(std::vector<std::string> names, ListDirectory(dir));
  std::erase_if(names, [](const std::string& n) { return !IsSegmentName(n); });
  if (names.empty()) return NotFound(dir, ": no sealed segments here");
  if (names.size() > SealedStore::kSegmentsMax)
    return ResourceExhausted(dir, " has more than ", SealedStore::kSegmentsMax, " segments");
  std::vector<std::unique_ptr<Segment>> out;
  for (const std::string& name : names) {
    AQ_ASSIGN_OR_RETURN(auto segment, Segment::Open(Join(dir, "/", name)));
    out.push_back(std::move(segment));
  }
  std::ranges::sort(out, {}, [](const auto& s) { return s->manifest().first; });
  for (size_t i = 1; i < out.size(); ++i) {
    const Manifest &before = out[i - 1]->manifest(), &here = out[i]->manifest();
    if (here.log != before.log)
      return DataLoss(out[i]->dir(), " is of another log than ", out[i - 1]->dir());
    if (here.first != before.end)
      return DataLoss(out[i]->dir(), " does not follow ", out[i - 1]->dir(), ": one is missing");
  }
  return out;
}

bool Less(const std::pair<Shelf, Oid>& a, const std::pair<Shelf, Oid>& b) { return a < b; }

}  // namespace

std::string SealedDirOf(const std::string& dir, const Kid& log) {
  return Join(dir, "/", ToHex(log));
}

absl::StatusOr<std::vector<Kid>> SealedLogs(const std::string& dir) {
  AQ_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(dir));
  std::vector<Kid> out;
  for (const std::string& name : names) {
    const auto kid = KidOfName(name);
    if (kid && HasSegments(Join(dir, "/", name))) out.push_back(*kid);
  }
  return out;
}

bool HasSealed(const std::string& dir) {
  if (HasSegments(dir)) return true;
  const auto logs = SealedLogs(dir);
  return logs.ok() && !logs->empty();
}

absl::StatusOr<std::unique_ptr<SealedStore>> SealedStore::Open(const std::string& dir,
                                                               std::optional<Kid> log) {
  std::string path = dir;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  AQ_ASSIGN_OR_RETURN(const std::string of_log, Choose(path, log));
  AQ_ASSIGN_OR_RETURN(auto segments, OpenSegments(of_log));
  const Kid kid = segments.front()->manifest().log;
  if (log && *log != kid) return NotFound(of_log, " is of log ", ToHex(kid), ", not ", ToHex(*log));
  std::unique_ptr<SealedStore> store(new SealedStore(kid, std::move(segments)));
  AQ_RETURN_IF_ERROR(store->ReadHead());
  return store;
}

// The newest record, and the tree that the last segment's head is of.
absl::Status SealedStore::ReadHead() {
  const Segment& last = *segments_.back();
  const Seq end = last.manifest().end;
  AQ_ASSIGN_OR_RETURN(const Bytes tile, last.ReadTile({0, end / kRun - 1, tlog::kTileWidth}));
  head_ = Head{end - 1, *Digest::From(ByteView(tile).last(Digest::kSize))};
  AQ_ASSIGN_OR_RETURN(const tlog::SignedCheckpoint note, last.ReadCheckpoint());
  tlog::Prover prover(note.checkpoint.size, note.checkpoint.root, [&last](const tlog::Tile& t) {
    return last.ReadTile(t);
  });
  auto edge = prover.EdgeAt(note.checkpoint.size);
  if (!edge.ok()) return DataLoss(last.dir(), ": ", Text(edge.status()));
  edge_ = *std::move(edge);
  for (const auto& segment : segments_) {
    AQ_ASSIGN_OR_RETURN(const tlog::SignedCheckpoint covering, segment->ReadCheckpoint());
    const std::string text = covering.note.Text();
    heads_.emplace(tlog::NoteOid(covering.note.text), Bytes(text.begin(), text.end()));
  }
  return absl::OkStatus();
}

absl::Status SealedStore::VerifyAll(absl::FunctionRef<void(const Segment&)> held) const {
  ChainVerifier chain(segments_.front()->manifest().first);
  for (const auto& segment : segments_) {
    AQ_RETURN_IF_ERROR(segment->Verify(chain));
    held(*segment);
  }
  return absl::OkStatus();
}

absl::Status SealedStore::CommitAll(std::span<const Batch>) {
  return FailedPrecondition(segments_.front()->dir(), " is sealed: it is only read");
}
absl::Status SealedStore::PutSnapshot(const Snapshot&) { return CommitAll({}); }
absl::StatusOr<std::optional<Snapshot>> SealedStore::SnapshotAt(uint64_t) const {
  return std::optional<Snapshot>();
}

absl::Status SealedStore::LoadObjects() const {
  if (objects_) return absl::OkStatus();
  std::vector<ObjectAt> all;
  for (size_t i = 0; i < segments_.size(); ++i) {
    AQ_ASSIGN_OR_RETURN(const std::vector<ObjectPlace> index, segments_[i]->ReadObjectIndex());
    for (const ObjectPlace& place : index) all.push_back({place, static_cast<uint32_t>(i)});
  }
  // Of one that several have, the newest: notes grow.
  std::ranges::sort(all, [](const ObjectAt& a, const ObjectAt& b) {
    const std::pair x(a.place.shelf, a.place.oid), y(b.place.shelf, b.place.oid);
    return x != y ? Less(x, y) : a.segment > b.segment;
  });
  const auto same = [](const ObjectAt& a, const ObjectAt& b) {
    return a.place.shelf == b.place.shelf && a.place.oid == b.place.oid;
  };
  all.erase(std::unique(all.begin(), all.end(), same), all.end());
  objects_ = std::move(all);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<SealedStore::ObjectAt>> SealedStore::FindObject(Shelf shelf,
                                                                             const Oid& oid) const {
  AQ_RETURN_IF_ERROR(LoadObjects());
  const auto it =
      std::ranges::lower_bound(*objects_, std::pair(shelf, oid), Less, [](const ObjectAt& o) {
        return std::pair(o.place.shelf, o.place.oid);
      });
  if (it == objects_->end() || it->place.shelf != shelf || it->place.oid != oid)
    return std::optional<ObjectAt>();
  return std::optional<ObjectAt>(*it);
}

absl::StatusOr<bool> SealedStore::HasObject(Shelf shelf, const Oid& oid) const {
  AQ_ASSIGN_OR_RETURN(const auto found, FindObject(shelf, oid));
  return found.has_value();
}

absl::StatusOr<std::optional<Bytes>> SealedStore::GetObject(Shelf shelf, const Oid& oid) const {
  if (shelf == Shelf::kNote) {
    if (const auto it = heads_.find(oid); it != heads_.end())
      return std::optional<Bytes>(it->second);
  }
  AQ_ASSIGN_OR_RETURN(const auto found, FindObject(shelf, oid));
  if (!found) return std::optional<Bytes>();
  AQ_ASSIGN_OR_RETURN(Bytes bytes, segments_[found->segment]->ReadObject(found->place));
  return std::optional<Bytes>(std::move(bytes));
}

absl::Status SealedStore::ScanObjects(Shelf shelf, ObjectVisitor visit) const {
  AQ_RETURN_IF_ERROR(LoadObjects());
  std::vector<Oid> ids;
  for (const ObjectAt& o : *objects_) {
    if (o.place.shelf == shelf) ids.push_back(o.place.oid);
  }
  if (shelf == Shelf::kNote) {
    for (const auto& [oid, text] : heads_) ids.push_back(oid);
    std::ranges::sort(ids);
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  }
  for (const Oid& oid : ids) {
    AQ_ASSIGN_OR_RETURN(const auto bytes, GetObject(shelf, oid));
    if (!visit(oid, *bytes)) break;
  }
  return absl::OkStatus();
}

absl::Status SealedStore::LoadState() const {
  if (state_) return absl::OkStatus();
  StateNamed all;
  for (const auto& segment : segments_) {
    AQ_ASSIGN_OR_RETURN(StateNamed here, segment->ReadState());
    for (auto& [name, value] : here) all.insert_or_assign(name, std::move(value));
  }
  state_ = std::move(all);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Bytes>> SealedStore::GetState(std::string_view name) const {
  AQ_RETURN_IF_ERROR(LoadState());
  const auto it = state_->find(name);
  return it == state_->end() ? std::optional<Bytes>() : std::optional<Bytes>(it->second);
}

absl::Status SealedStore::ScanState(std::string_view prefix, StateVisitor visit) const {
  AQ_RETURN_IF_ERROR(LoadState());
  for (auto it = state_->lower_bound(prefix);
       it != state_->end() && std::string_view(it->first).starts_with(prefix);
       ++it) {
    if (!visit(it->first, it->second)) break;
  }
  return absl::OkStatus();
}

const Segment& SealedStore::SegmentOf(Seq seq) const {
  const auto it =
      std::ranges::upper_bound(segments_, seq, {}, [](const auto& s) { return s->manifest().end; });
  return it == segments_.end() ? *segments_.back() : **it;
}

absl::StatusOr<const Bundle*> SealedStore::BundleAt(uint64_t index) const {
  const auto held = std::ranges::find(bundles_, index, [](const auto& b) { return b.first; });
  if (held != bundles_.end()) {
    bundles_.splice(bundles_.begin(), bundles_, held);
  } else {
    AQ_ASSIGN_OR_RETURN(Bundle bundle, SegmentOf(index * kRun).ReadBundle(index));
    bundles_.emplace_front(index, std::move(bundle));
    if (bundles_.size() > kBundlesHeldMax) bundles_.pop_back();
  }
  return &bundles_.front().second;
}

absl::Status SealedStore::WalkLog(Seq first, Seq end, Order order, RecordVisitor visit) const {
  first = std::max(first, this->first());
  end = std::min<Seq>(end, size());
  for (Seq i = first; i < end; ++i) {
    const Seq seq = order == Order::kOldestFirst ? i : end - 1 - (i - first);
    AQ_ASSIGN_OR_RETURN(const Bundle* bundle, BundleAt(seq / kRun));
    const size_t at = seq % kRun;
    if (!visit(seq, bundle->leaves[at], bundle->bodies[at])) break;
  }
  return absl::OkStatus();
}

absl::Status SealedStore::WalkSubject(
    const Kid& subject, Seq first, Seq end, Order order, RecordVisitor visit) const {
  absl::Status broken;
  AQ_RETURN_IF_ERROR(WalkLog(first, end, order, [&](Seq seq, const Digest& leaf, ByteView body) {
    const auto entry = ParseEntry(body);
    if (!entry.ok()) broken = entry.status();
    if (!broken.ok()) return false;
    return entry->subject != subject || visit(seq, leaf, body);
  }));
  return broken;
}

absl::StatusOr<Seq> SealedStore::SeqAt(uint64_t hlc) const {
  const auto it = std::ranges::lower_bound(
      segments_, hlc, {}, [](const auto& s) { return s->manifest().hlc_last; });
  if (it == segments_.end()) return size();
  Seq low = (*it)->manifest().first, high = (*it)->manifest().end;
  while (low < high) {
    const Seq middle = low + (high - low) / 2;
    AQ_ASSIGN_OR_RETURN(const Bundle* bundle, BundleAt(middle / kRun));
    AQ_ASSIGN_OR_RETURN(const RecordEntry entry, ParseEntry(bundle->bodies[middle % kRun]));
    entry.hlc < hlc ? low = middle + 1 : high = middle;
  }
  return low;
}

absl::StatusOr<Bytes> SealedStore::ReadTile(const tlog::Tile& tile) const {
  if (tile.level > tlog::kTileLevelMax || tile.width == 0 || tile.width > tlog::kTileWidth)
    return NotFound(tlog::TilePath(tile), ": there is no such tile");
  // The segment that has the last leaf under it, or the first after that which has the tile.
  const unsigned shift = tile.level * tlog::kTileHeight;
  const uint64_t hashes = tile.index * kRun + tile.width;
  if (hashes > (tlog::kTreeSizeMax >> shift))
    return NotFound(tlog::TilePath(tile), ": the log is not that long");
  const Segment& from = SegmentOf((hashes << shift) - 1);
  auto found = from.ReadTile(tile);
  if (!absl::IsNotFound(found.status()) || &from == segments_.back().get()) return found;
  return segments_.back()->ReadTile(tile);
}

}  // namespace aqmesh::lineage
