#include "lineage/store.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/authority/signed.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace aqmesh::lineage {
namespace {

absl::Status CheckRecord(const RecordEntry& entry, const std::optional<Head>& head) {
  const Seq expected = head ? head->seq + 1 : 0;
  if (entry.seq != expected) {
    return FailedPrecondition(
        "record ", entry.seq, " does not follow: the log goes on at ", expected);
  }
  if (head ? entry.prev != head->leaf : entry.prev.has_value()) {
    return FailedPrecondition("record ",
                              entry.seq,
                              " is chained to another record than the newest, ",
                              head ? ToHex(head->leaf) : "of which there is none");
  }
  if (entry.body.empty() || entry.body.size() > kRecordBytesMax) {
    return InvalidArgument("record ",
                           entry.seq,
                           " has ",
                           entry.body.size(),
                           " bytes: 1 to ",
                           kRecordBytesMax,
                           " are allowed");
  }
  return absl::OkStatus();
}

// Hashed twice, here and in the chain: a bit that flipped in between must not be made durable.
class LeafCheck {
 public:
  absl::Status Add(const RecordEntry& entry) {
    entries_[count_] = &entry;
    bodies_[count_++] = entry.body;
    return count_ == kAtOnce ? Finish() : absl::OkStatus();
  }
  absl::Status Finish() {
    const size_t count = std::exchange(count_, 0);
    crypto::MerkleLeaves(std::span(bodies_).first(count), std::span(leaves_).first(count));
    for (size_t i = 0; i < count; ++i) {
      if (leaves_[i] != entries_[i]->leaf.bytes)
        return DataLoss("record ", entries_[i]->seq, " changed in memory after it was chained");
    }
    return absl::OkStatus();
  }

 private:
  static constexpr size_t kAtOnce = 64;
  size_t count_ = 0;
  std::array<const RecordEntry*, kAtOnce> entries_;
  std::array<ByteView, kAtOnce> bodies_;
  std::array<crypto::Hash32, kAtOnce> leaves_;
};

absl::Status CheckName(std::string_view name) {
  if (name.empty() || name.size() > kStateNameBytesMax) {
    return InvalidArgument(
        "a state name of ", name.size(), " bytes: 1 to ", kStateNameBytesMax, " are allowed");
  }
  return absl::OkStatus();
}

absl::Status CheckRest(const Batch& batch) {
  for (const ObjectEntry& object : batch.objects) {
    if (object.bytes.size() > kStoredObjectBytesMax) {
      return InvalidArgument("object ",
                             ToHex(object.oid),
                             " has ",
                             object.bytes.size(),
                             " bytes: at most ",
                             kStoredObjectBytesMax,
                             " are allowed");
    }
  }
  for (const std::string& name : batch.deletes) AQ_RETURN_IF_ERROR(CheckName(name));
  for (const StatePut& put : batch.puts) {
    AQ_RETURN_IF_ERROR(CheckName(put.name));
    if (put.value.size() > kStateValueBytesMax) {
      return InvalidArgument("state ",
                             put.name,
                             " has ",
                             put.value.size(),
                             " bytes: at most ",
                             kStateValueBytesMax,
                             " are allowed");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckBatches(std::span<const Batch> batches, const std::optional<Head>& head) {
  std::optional<Head> at = head;
  LeafCheck leaves;
  size_t records = 0;
  for (const Batch& batch : batches) {
    if (batch.begins_log) at.reset();
    records += batch.records.size();
    if (records > kGroupRecordsMax) {
      return InvalidArgument("more than ", kGroupRecordsMax, " records in one commit");
    }
    for (const RecordEntry& entry : batch.records) {
      AQ_RETURN_IF_ERROR(CheckRecord(entry, at));
      AQ_RETURN_IF_ERROR(leaves.Add(entry));
      at = entry.head();
    }
    AQ_RETURN_IF_ERROR(CheckRest(batch));
  }
  return leaves.Finish();
}

Digest SnapshotHash(uint64_t records, ByteView state) {
  uint8_t count[8];
  StoreBe(count, records);
  return Digest{crypto::H256({AsBytes("aqmesh/1/snapshot"), count, state})};
}

std::string SeenName(Seq seq) {
  uint8_t place[8];
  StoreBe(place, seq);
  return Join(kSeenPrefix, ToHex(place));
}

std::string GoneText(const Gone& gone) {
  if (gone.end == 0) return "no record was pruned";
  return Join("records 0 to ",
              gone.end - 1,
              gone.under ? Join(" were pruned under ", ToHex(*gone.under)) : " are not here");
}

uint64_t Store::size() const {
  const std::optional<Head> h = head();
  return h ? h->seq + 1 : 0;
}

absl::Status Store::WalkWhere(
    const Where&, Seq first, Seq end, Order order, RecordVisitor visit) const {
  return WalkLog(first, end, order, visit);
}

absl::StatusOr<Bytes> Store::Read(Seq seq) const {
  std::optional<Bytes> found;
  if (const Gone g = gone(); seq < g.end)
    return NotFound(
        "record ", seq, ": ", GoneText(g), "; `aqmesh lineage import` brings back what was sealed");
  if (seq < kSeqEnd) {
    AQ_RETURN_IF_ERROR(
        WalkLog(seq, seq + 1, Order::kOldestFirst, [&found](Seq, const Digest&, ByteView body) {
          found.emplace(body.begin(), body.end());
          return false;
        }));
  }
  if (!found) return NotFound("record ", seq, " is not in the log, which has ", size());
  return *std::move(found);
}

absl::StatusOr<tlog::Prover> Store::ProverAt(uint64_t size) const {
  const auto read = [this](const tlog::Tile& tile) { return ReadTile(tile); };
  const tlog::Edge whole = edge();
  if (size > whole.size())
    return InvalidArgument("a head of ", size, " records: the log has ", whole.size());
  tlog::Prover prover(whole.size(), whole.Root(), read);
  if (size == whole.size()) return prover;
  AQ_ASSIGN_OR_RETURN(const tlog::Edge edge, prover.EdgeAt(size));
  return tlog::Prover(size, edge.Root(), read);
}

absl::StatusOr<std::vector<FoundRecord>> Store::Query(const Filter& filter) const {
  std::vector<FoundRecord> found;
  const size_t limit = std::min(filter.limit, kQueryLimitMax);
  if (limit == 0 || filter.from >= filter.to) return found;
  AQ_ASSIGN_OR_RETURN(const Seq first, SeqAt(filter.from));
  Seq end = size();
  if (filter.to != std::numeric_limits<uint64_t>::max()) {
    AQ_ASSIGN_OR_RETURN(end, SeqAt(filter.to));
  }
  absl::Status broken;
  const auto visit = [&](Seq seq, const Digest& leaf, ByteView body) {
    auto record = authority::ParseBody<authority::Observe>(body);
    if (!record.ok()) {
      broken = DataLoss("record ", seq, " does not parse: ", Text(record.status()));
      return false;
    }
    if (Matches(filter, *record, leaf)) found.push_back({leaf, *std::move(record)});
    return found.size() < limit;
  };
  const Order order = filter.newest_first ? Order::kNewestFirst : Order::kOldestFirst;
  Where where{.authority_prefix = filter.authority_prefix, .id_prefix = filter.id_prefix};
  if (filter.kind) where.kinds = Where::Kind(*filter.kind);
  if (filter.rung) where.rungs = Where::Rung(*filter.rung);
  AQ_RETURN_IF_ERROR(filter.subject ? WalkSubject(*filter.subject, first, end, order, visit)
                                    : WalkWhere(where, first, end, order, visit));
  AQ_RETURN_IF_ERROR(broken);
  return found;
}

absl::Status Store::Verify(uint64_t count) const {
  const std::optional<Head> end = head();
  if (!end) return absl::OkStatus();
  const Seq first = std::max(this->first(), end->seq + 1 > count ? end->seq + 1 - count : 0);
  ChainVerifier verifier(first);
  absl::Status broken;
  AQ_RETURN_IF_ERROR(
      WalkLog(first, end->seq + 1, Order::kOldestFirst, [&](Seq, const Digest&, ByteView body) {
        broken = verifier.Add(body);
        return broken.ok();
      }));
  AQ_RETURN_IF_ERROR(broken);
  if (verifier.head() != end) {
    return DataLoss("the log ends at record ",
                    verifier.head() ? verifier.head()->seq : 0,
                    ", hash ",
                    verifier.head() ? ToHex(verifier.head()->leaf) : "none",
                    ", its head is record ",
                    end->seq,
                    ", hash ",
                    ToHex(end->leaf));
  }
  return absl::OkStatus();
}

absl::Status MemStore::CommitAll(std::span<const Batch> batches) {
  AQ_RETURN_IF_ERROR(CheckBatches(batches, head()));
  AQ_RETURN_IF_ERROR(fault_);
  for (const Batch& batch : batches) {
    if (batch.begins_log) {
      past_.push_back(std::exchange(log_, {}));
      edge_ = {};
      tiles_.clear();
      snapshots_.clear();
      by_subject_.clear();
    }
    for (const RecordEntry& entry : batch.records) {
      log_.push_back(entry);
      edge_.Append(entry.leaf, [this](const tlog::TileEntry& made) {
        if (made.level > 0) tiles_[{made.level, made.index}] = made.hash;
      });
      if (entry.subject) by_subject_[*entry.subject].push_back(entry.seq);
    }
    for (const ObjectEntry& o : batch.objects) objects_[{o.shelf, o.oid}] = o.bytes;
    for (const std::string& name : batch.deletes) state_.erase(name);
    for (const StatePut& put : batch.puts) state_[put.name] = put.value;
  }
  return absl::OkStatus();
}

std::optional<Head> MemStore::head() const {
  if (log_.empty()) return std::nullopt;
  return log_.back().head();
}

absl::StatusOr<std::optional<Bytes>> MemStore::GetObject(Shelf shelf, const Oid& oid) const {
  const auto it = objects_.find({shelf, oid});
  if (it == objects_.end()) return std::optional<Bytes>();
  return std::optional<Bytes>(it->second);
}

absl::Status MemStore::ScanObjects(Shelf shelf, ObjectVisitor visit) const {
  for (auto it = objects_.lower_bound({shelf, Oid{}});
       it != objects_.end() && it->first.first == shelf;
       ++it) {
    if (!visit(it->first.second, it->second)) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Bytes>> MemStore::GetState(std::string_view name) const {
  const auto it = state_.find(name);
  if (it == state_.end()) return std::optional<Bytes>();
  return std::optional<Bytes>(it->second);
}

absl::Status MemStore::ScanState(std::string_view prefix, StateVisitor visit) const {
  for (auto it = state_.lower_bound(prefix); it != state_.end() && it->first.starts_with(prefix);
       ++it) {
    if (!visit(it->first, it->second)) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> MemStore::Show(const RecordEntry& entry, RecordVisitor visit) const {
  if (crypto::MerkleLeaf(entry.body) != entry.leaf.bytes) {
    return DataLoss("record ", entry.seq, " does not have the hash it was stored under");
  }
  return visit(entry.seq, entry.leaf, entry.body);
}

absl::Status MemStore::WalkLog(Seq first, Seq end, Order order, RecordVisitor visit) const {
  end = std::min<Seq>(end, log_.size());
  for (Seq i = first; i < end; ++i) {
    const Seq seq = order == Order::kOldestFirst ? i : end - 1 - (i - first);
    AQ_ASSIGN_OR_RETURN(const bool more, Show(log_[seq], visit));
    if (!more) break;
  }
  return absl::OkStatus();
}

absl::Status MemStore::WalkSubject(
    const Kid& subject, Seq first, Seq end, Order order, RecordVisitor visit) const {
  const auto it = by_subject_.find(subject);
  if (it == by_subject_.end()) return absl::OkStatus();
  std::vector<Seq> seqs;
  std::copy_if(
      it->second.begin(), it->second.end(), std::back_inserter(seqs), [first, end](Seq seq) {
        return seq >= first && seq < end;
      });
  if (order == Order::kNewestFirst) std::reverse(seqs.begin(), seqs.end());
  for (Seq seq : seqs) {
    AQ_ASSIGN_OR_RETURN(const bool more, Show(log_[seq], visit));
    if (!more) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<Seq> MemStore::SeqAt(uint64_t hlc) const {
  // Times rise along a log, so it is its own index.
  const auto it = std::lower_bound(
      log_.begin(), log_.end(), hlc, [](const RecordEntry& e, uint64_t h) { return e.hlc < h; });
  return static_cast<Seq>(it - log_.begin());
}

absl::StatusOr<Bytes> MemStore::ReadTile(const tlog::Tile& tile) const {
  Bytes out;
  for (unsigned i = 0; i < tile.width; ++i) {
    const uint64_t index = tile.index * tlog::kTileWidth + i;
    if (tile.level == 0 && index < log_.size()) {
      Append(out, log_[index].leaf);
      continue;
    }
    const auto it = tiles_.find({tile.level, index});
    if (it == tiles_.end()) return NotFound(tlog::TilePath(tile), ": the log is not that long");
    Append(out, it->second);
  }
  return out;
}

absl::Status MemStore::PutSnapshot(const Snapshot& s) {
  snapshots_[s.records] = {SnapshotHash(s.records, s.state), s.state};
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Snapshot>> MemStore::SnapshotAt(uint64_t records) const {
  for (auto it = snapshots_.upper_bound(records); it != snapshots_.begin();) {
    const auto& [count, kept] = *--it;
    if (SnapshotHash(count, kept.second) == kept.first) return Snapshot{count, kept.second};
  }
  return std::optional<Snapshot>();
}

void MemStore::RotSnapshot(uint64_t records, size_t bit) {
  uint8_t& byte = snapshots_.at(records).second[bit / 8];
  byte = static_cast<uint8_t>(byte ^ (1u << (bit % 8)));
}

void MemStore::Rot(Seq seq, size_t bit) {
  uint8_t& byte = log_[seq].body[bit / 8];
  byte = static_cast<uint8_t>(byte ^ (1u << (bit % 8)));
}

}  // namespace aqmesh::lineage
