#include "lineage/sealed/segment.h"

#include <algorithm>
#include <set>

#include "core/authority/signed.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "lineage/inputs.h"
#include "lineage/sealed/files.h"
#include "lineage/sealed/frame.h"

namespace aqmesh::lineage {

namespace {

constexpr size_t kBundleBytesMax = tlog::kTileWidth * (2 + kRecordBytesMax);
constexpr uint64_t kRun = tlog::kTileWidth;

// An object is what its name says, as far as its shelf names things by their hash.
bool IsNamedRight(const ObjectView& o) {
  const auto is_object = [&o] {
    const auto parsed = authority::Signed::Parse(o.bytes);
    return parsed.ok() && parsed->oid() == o.oid;
  };
  switch (o.shelf) {
    case Shelf::kSigned: return is_object();
    case Shelf::kInputs: return InputsId(o.bytes) == o.oid || is_object();
    case Shelf::kPolicy: return crypto::H256({o.bytes}) == o.oid.bytes;
    case Shelf::kContent: return false;  // never leaves with a segment: its key does not
    case Shelf::kNote: {
      const auto note = tlog::ParseNote(AsText(o.bytes));
      return note.ok() && tlog::NoteOid(note->text) == o.oid;
    }
    case Shelf::kProof: return true;  // named by what it is about
  }
  return false;
}

std::string Range(Seq first, Seq end) { return Join("records ", first, " to ", end - 1); }

}  // namespace

absl::StatusOr<Bundle> UnpackBundle(ByteView packed, ByteView tile, Seq first) {
  Bundle out;
  AQ_ASSIGN_OR_RETURN(out.content, UnpackFrame(packed, kBundleBytesMax));
  AQ_ASSIGN_OR_RETURN(out.bodies, tlog::ParseBundle(out.content, tlog::kTileWidth));
  if (tile.size() != kRun * Digest::kSize) return DataLoss("the tile of its hashes is cut short");
  for (size_t i = 0; i < out.bodies.size(); ++i) {
    out.leaves.push_back(*Digest::From(tile.subspan(i * Digest::kSize, Digest::kSize)));
    if (tlog::LeafHash(out.bodies[i]) != out.leaves.back())
      return DataLoss("record ", first + i, " does not have the hash that its tile says");
  }
  return out;
}

std::vector<tlog::Tile> TilesOf(Seq first, Seq end, uint64_t head_size) {
  std::set<tlog::Tile> tiles;
  for (unsigned level = 0; level <= tlog::kTileLevelMax; ++level) {
    const unsigned shift = level * tlog::kTileHeight;
    const uint64_t hashes = head_size >> shift;
    if (hashes == 0) break;
    const uint64_t low = (first >> shift) / kRun, high = ((end - 1) >> shift) / kRun;
    for (uint64_t index = low; index <= high; ++index) {
      if (const unsigned width = tlog::WidthIn(head_size, level, index); width > 0)
        tiles.insert({level, index, width});
    }
    if (const auto width = static_cast<unsigned>(hashes % kRun); width > 0)
      tiles.insert({level, hashes / kRun, width});
  }
  return {tiles.begin(), tiles.end()};
}

std::string Segment::At(std::string_view path) const { return Join(dir_, "/", path); }

absl::StatusOr<std::unique_ptr<Segment>> Segment::Open(const std::string& dir) {
  const std::string path = Join(dir, "/", kManifestName);
  AQ_ASSIGN_OR_RETURN(const Bytes text, ReadWhole(path, kManifestBytesMax));
  auto manifest = ParseManifest(AsText(text));
  if (!manifest.ok()) return DataLoss(path, ": ", Text(manifest.status()));
  const std::string name = dir.substr(dir.rfind('/') + 1);
  if (name != SegmentName(manifest->first, manifest->end))
    return DataLoss(path, ": it is of ", SegmentName(manifest->first, manifest->end));
  return std::unique_ptr<Segment>(new Segment(dir, *std::move(manifest)));
}

absl::StatusOr<Bytes> Segment::ReadFile(std::string_view path) const {
  const SealedFile* file = manifest_.Find(path);
  if (file == nullptr) return NotFound(At(path), ": the segment has no such file");
  auto content = ReadWhole(At(path), kSealedFileBytesMax);
  if (absl::IsNotFound(content.status())) return DataLoss(At(path), " is missing");
  if (!content.ok()) return content.status();
  if (content->size() != file->bytes)
    return DataLoss(At(path), " has ", content->size(), " bytes, not ", file->bytes);
  if (crypto::Sha256({*content}) != file->hash.bytes)
    return DataLoss(At(path), " is not what was written: its SHA-256 is another");
  return content;
}

absl::StatusOr<Bundle> Segment::ReadBundle(uint64_t index) const {
  const std::string path = SealedBundlePath(index);
  const Seq first = index * kRun;
  const auto packed = ReadFile(path);
  if (!packed.ok()) return Annotate(packed.status(), Range(first, first + kRun));
  AQ_ASSIGN_OR_RETURN(const Bytes tile, ReadTile({0, index, tlog::kTileWidth}));
  auto bundle = UnpackBundle(*packed, tile, first);
  if (!bundle.ok()) return DataLoss(At(path), ": ", Text(bundle.status()));
  return bundle;
}

absl::StatusOr<Bytes> Segment::ReadTile(const tlog::Tile& tile) const {
  tlog::Tile whole = tile;
  whole.width = tlog::WidthIn(manifest_.head_size, tile.level, tile.index);
  if (whole.width < tile.width || whole.width == 0)
    return NotFound(dir_, ": ", tlog::TilePath(tile), " is not under its head");
  AQ_ASSIGN_OR_RETURN(Bytes bytes, ReadFile(tlog::TilePath(whole)));
  if (bytes.size() != whole.width * Digest::kSize)
    return DataLoss(At(tlog::TilePath(whole)), " has ", bytes.size(), " bytes");
  bytes.resize(tile.width * Digest::kSize);
  return bytes;
}

absl::StatusOr<tlog::SignedCheckpoint> Segment::ReadCheckpoint() const {
  AQ_ASSIGN_OR_RETURN(const Bytes text, ReadFile(kCheckpointName));
  auto head = tlog::ParseCheckpoint(AsText(text));
  if (!head.ok()) return DataLoss(At(kCheckpointName), ": ", Text(head.status()));
  if (head->checkpoint.size != manifest_.head_size)
    return DataLoss(At(kCheckpointName), " is of ", head->checkpoint.size, " records");
  return head;
}

absl::StatusOr<std::vector<ObjectPlace>> Segment::ReadObjectIndex() const {
  AQ_ASSIGN_OR_RETURN(const Bytes rows, ReadFile(kObjectIndexName));
  auto index = ParseObjectIndex(rows);
  if (!index.ok()) return DataLoss(At(kObjectIndexName), ": ", Text(index.status()));
  return index;
}

absl::Status Segment::CheckObjects() const {
  if (objects_checked_) return absl::OkStatus();
  AQ_RETURN_IF_ERROR(ReadFile(kObjectsName).status());
  objects_checked_ = true;
  return absl::OkStatus();
}

absl::StatusOr<Bytes> Segment::ReadObject(const ObjectPlace& place) const {
  AQ_RETURN_IF_ERROR(CheckObjects());
  const std::string path = At(kObjectsName);
  if (!frame_ || frame_->first != place.frame) {
    // A frame that does not compress has some more bytes than its content.
    AQ_ASSIGN_OR_RETURN(const Bytes part,
                        ReadPart(path, place.frame, kItemFrameBytesMax + kItemFrameBytesMax / 64));
    const auto size = FirstFrame(part);
    if (!size.ok()) return DataLoss(path, " at byte ", place.frame, ": ", Text(size.status()));
    auto content = UnpackFrame(ByteView(part).first(*size), kItemFrameBytesMax);
    if (!content.ok())
      return DataLoss(path, " at byte ", place.frame, ": ", Text(content.status()));
    frame_.emplace(place.frame, *std::move(content));
  }
  const auto objects = ParseObjectFrame(frame_->second);
  if (!objects.ok()) return DataLoss(path, " at byte ", place.frame, ": ", Text(objects.status()));
  for (const ObjectView& o : *objects) {
    if (o.shelf == place.shelf && o.oid == place.oid) return Bytes(o.bytes.begin(), o.bytes.end());
  }
  return DataLoss(path, ": object ", ToHex(place.oid), " is not where the index says");
}

absl::StatusOr<StateNamed> Segment::ReadState() const {
  AQ_ASSIGN_OR_RETURN(const Bytes frames, ReadFile(kStateName));
  StateNamed out;
  for (ByteView rest = frames; !rest.empty();) {
    const size_t at = frames.size() - rest.size();
    const auto wrong = [&](const absl::Status& why) {
      return DataLoss(At(kStateName), " at byte ", at, ": ", Text(why));
    };
    const auto size = FirstFrame(rest);
    if (!size.ok()) return wrong(size.status());
    const auto content = UnpackFrame(rest.first(*size), kItemFrameBytesMax);
    if (!content.ok()) return wrong(content.status());
    if (const absl::Status s = ParseStateFrame(*content, out); !s.ok()) return wrong(s);
    rest = rest.subspan(*size);
  }
  return out;
}

absl::Status Segment::VerifyFiles() const {
  for (const SealedFile& file : manifest_.files) AQ_RETURN_IF_ERROR(ReadFile(file.path).status());
  return absl::OkStatus();
}

absl::Status Segment::VerifyRecords(ChainVerifier& chain) const {
  AQ_ASSIGN_OR_RETURN(const tlog::SignedCheckpoint head, ReadCheckpoint());
  tlog::Prover prover(head.checkpoint.size, head.checkpoint.root, [this](const tlog::Tile& tile) {
    return ReadTile(tile);
  });
  for (uint64_t index = manifest_.first / kRun; index < manifest_.end / kRun; ++index) {
    AQ_ASSIGN_OR_RETURN(const Bundle bundle, ReadBundle(index));
    for (const ByteView body : bundle.bodies)
      AQ_RETURN_IF_ERROR(Annotate(chain.Add(body), At(SealedBundlePath(index))));
    // The path of one leads by the hashes of all 256.
    AQ_RETURN_IF_ERROR(Annotate(prover.Inclusion(index * kRun).status(),
                                At(tlog::TilePath({0, index, tlog::kTileWidth}))));
    const auto front = authority::ParseBody<authority::Observe>(bundle.bodies.front());
    const auto back = authority::ParseBody<authority::Observe>(bundle.bodies.back());
    if (!front.ok() || !back.ok() || front->seq != index * kRun || front->log != manifest_.log)
      return DataLoss(At(SealedBundlePath(index)), " has records of another place or log");
    if ((index == manifest_.first / kRun && front->hlc != manifest_.hlc_first) ||
        (index + 1 == manifest_.end / kRun && back->hlc != manifest_.hlc_last))
      return DataLoss(At(kManifestName), " says another time than the records");
  }
  return absl::OkStatus();
}

absl::Status Segment::VerifyObjects() const {
  AQ_ASSIGN_OR_RETURN(const std::vector<ObjectPlace> index, ReadObjectIndex());
  for (const ObjectPlace& place : index) {
    AQ_ASSIGN_OR_RETURN(const Bytes bytes, ReadObject(place));
    if (!IsNamedRight({place.shelf, place.oid, bytes}))
      return DataLoss(At(kObjectsName), ": object ", ToHex(place.oid), " is not what its id says");
  }
  return ReadState().status();
}

absl::Status Segment::Verify(ChainVerifier& chain) const {
  AQ_RETURN_IF_ERROR(VerifyFiles());
  AQ_RETURN_IF_ERROR(VerifyRecords(chain));
  return VerifyObjects();
}

}  // namespace aqmesh::lineage
