// The trees over the logs of a store, and which logs there are.

#include <algorithm>

#include "core/authority/signed.h"
#include "lineage/rocks/rocks_impl.h"

namespace aqmesh::lineage {

namespace {

constexpr size_t kLogsMax = 1024;       // restores from a backup, in a machine's life
constexpr uint64_t kTreeStep = 16'384;  // records of a tree that is built late, per write

// The bases of the logs, rising from 0; nullopt if these are not such.
std::optional<std::vector<uint64_t>> ParseBases(ByteView bytes) {
  std::vector<uint64_t> out;
  if (bytes.empty() || bytes.size() % 8 != 0 || bytes.size() / 8 > kLogsMax) return std::nullopt;
  for (; !bytes.empty(); bytes = bytes.subspan(8)) {
    out.push_back(LoadBe<uint64_t>(bytes.data()));
    if (out.size() == 1 ? out[0] != 0 : out.back() < out[out.size() - 2]) return std::nullopt;
  }
  return out;
}

}  // namespace

absl::StatusOr<Bytes> RocksStore::Impl::ReadTile(uint64_t base, const tlog::Tile& tile) const {
  Bytes out;
  const uint64_t first = tile.index * tlog::kTileWidth;
  if (tile.level == 0) {
    AQ_RETURN_IF_ERROR(
        Leaves(base, first, first + tile.width, [&out](const Digest& leaf) { Append(out, leaf); }));
    return out;
  }
  for (uint64_t i = first; i < first + tile.width; ++i) {
    AQ_ASSIGN_OR_RETURN(const auto row, Get(kTile, SliceOf(TileKey(tile.level, base + i))));
    if (row && row->size() != 32)
      return DataLoss("tile ", tlog::TilePath(tile), " in ", dir, " is malformed");
    if (row) {
      Append(out, *row);
      continue;
    }
    AQ_ASSIGN_OR_RETURN(const Bytes below, ReadTile(base, {tile.level - 1, i}));
    tlog::Edge edge;
    for (size_t at = 0; at < below.size(); at += 32)
      edge.Append(*Digest::From(ByteView(below).subspan(at, 32)));
    Append(out, edge.Root());
  }
  return out;
}

tlog::Edge RocksStore::edge() const { return impl_->Log().edge; }

// A row that is missing, of a log that an older program wrote, is computed from the level below.
absl::StatusOr<Bytes> RocksStore::ReadTile(const tlog::Tile& tile) const {
  const Span log = impl_->Log();
  const uint64_t first = tile.index * tlog::kTileWidth;
  const unsigned shift = tile.level * tlog::kTileHeight;
  if (tile.level > tlog::kTileLevelMax || tile.width == 0 || tile.width > tlog::kTileWidth ||
      tile.index > (tlog::kTreeSizeMax >> shift) || first + tile.width > (log.edge.size() >> shift))
    return NotFound(tlog::TilePath(tile), ": the log is not that long");
  const std::shared_lock reading(impl_->db_mutex);
  return impl_->ReadTile(log.base, tile);
}

absl::StatusOr<std::vector<RocksStore::Log>> RocksStore::Logs() const {
  std::vector<uint64_t> bases;
  uint64_t end = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    bases = impl_->bases;
    end = impl_->places;
  }
  std::vector<Log> out;
  const std::shared_lock reading(impl_->db_mutex);
  for (size_t i = 0; i < bases.size(); ++i) {
    Log log{std::nullopt, (i + 1 < bases.size() ? bases[i + 1] : end) - bases[i]};
    if (log.records != 0) {
      AQ_ASSIGN_OR_RETURN(const Gone gone, impl_->ReadGone(bases[i]));
      AQ_ASSIGN_OR_RETURN(const auto row, impl_->Get(kLog, SliceOf(BeKey(bases[i] + gone.end))));
      auto record = row && row->size() > 32
                        ? authority::ParseBody<authority::Observe>(ByteView(*row).subspan(32))
                        : absl::StatusOr<authority::Observe>(DataLoss("it is not there"));
      if (!record.ok())
        return DataLoss(
            "the first record of log ", i, " in ", impl_->dir, ": ", Text(record.status()));
      log.kid = record->log;
    }
    out.push_back(log);
  }
  return out;
}

// Shows another of the logs there were.
absl::Status RocksStore::SelectLog(const Kid& kid) {
  AQ_ASSIGN_OR_RETURN(const std::vector<Log> logs, Logs());
  for (size_t i = 0; i < logs.size(); ++i) {
    if (logs[i].kid != kid) continue;
    if (i + 1 == logs.size()) return absl::OkStatus();
    {
      AQ_ASSIGN_OR_RETURN(const Gone gone, impl_->ReadGone(impl_->bases[i]));
      const std::lock_guard lock(impl_->mutex);
      impl_->log = {impl_->bases[i], {}, gone};
      impl_->mark.records = impl_->bases[i] + logs[i].records;
    }
    AQ_RETURN_IF_ERROR(BuildTree());
    const std::lock_guard lock(impl_->mutex);
    AQ_ASSIGN_OR_RETURN(const auto row, impl_->Get(kLog, SliceOf(BeKey(impl_->mark.records - 1))));
    if (row && row->size() > 32) impl_->mark.leaf = *Digest::From(ByteView(*row).first(32));
    return absl::OkStatus();
  }
  return NotFound("log ", ToHex(kid), " is not in ", impl_->dir);
}

// The tree of the newest log: as it was stored, or made anew where an older program stored none.
absl::Status RocksStore::LoadTree() {
  AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> logs, impl_->Get(kMeta, SliceOf(kLogsKey)));
  AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> stored, impl_->Get(kMeta, SliceOf(kEdgeKey)));
  uint64_t size = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    if (logs) {
      auto bases = ParseBases(*logs);
      if (!bases || bases->back() > impl_->mark.records)
        return DataLoss(
            "the list of logs in ", impl_->dir, " is malformed: restore the state directory");
      impl_->bases = *std::move(bases);
    }
    impl_->log.base = impl_->bases.back();
    impl_->places = impl_->mark.records;
    size = impl_->mark.records - impl_->log.base;
  }
  {
    AQ_ASSIGN_OR_RETURN(const Gone gone, impl_->ReadGone(impl_->Base()));
    if (gone.end > size)
      return DataLoss("the log in ", impl_->dir, " says that more of it was pruned than it has");
    const std::lock_guard lock(impl_->mutex);
    impl_->log.gone = gone;
  }
  if (!stored) return BuildTree();
  auto edge = tlog::Edge::Parse(*stored);
  if (!edge.ok() || edge->size() != size) return BuildTree();
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->log.edge = *edge;
  }
  // The stored edge against the stored tiles and leaves.
  tlog::Prover prover(
      size, edge->Root(), [this](const tlog::Tile& tile) { return ReadTile(tile); });
  return Annotate(prover.EdgeAt(size).status(), Join("the tree in ", impl_->dir));
}

absl::Status RocksStore::BuildTree() {
  Span log{impl_->Base(), {}, impl_->Log().gone};
  const uint64_t size = impl_->Mark().records - log.base;
  while (log.edge.size() < size) {
    rocksdb::WriteBatch rows;
    const uint64_t first = log.edge.size();
    const std::shared_lock reading(impl_->db_mutex);
    AQ_RETURN_IF_ERROR(
        impl_->Leaves(log.base, first, std::min(size, first + kTreeStep), [&](const Digest& leaf) {
          log.edge.Append(leaf, [&](const tlog::TileEntry& made) {
            if (made.level == 0) return;
            rows.Put(impl_->in[kTile],
                     SliceOf(TileKey(made.level, log.base + made.index)),
                     SliceOf(made.hash.view()));
          });
        }));
    // Not synced: a row that is lost is computed again.
    if (impl_->writable)
      AQ_RETURN_IF_ERROR(Translate(
          impl_->db->Write(rocksdb::WriteOptions(), &rows), "writing the tree of", impl_->dir));
  }
  const std::lock_guard lock(impl_->mutex);
  impl_->log = log;
  return absl::OkStatus();
}

}  // namespace aqmesh::lineage
