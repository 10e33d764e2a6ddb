// The oldest records leave: what stays of them, and in which order.

#include <algorithm>

#include "core/authority/signed.h"
#include "lineage/content.h"
#include "lineage/history/replay.h"
#include "lineage/rocks/rocks_impl.h"

namespace aqmesh::lineage {

namespace {

constexpr size_t kGoneBytes = 8 + Oid::kSize;
constexpr size_t kLeavesBytes = kBlockRecords * Digest::kSize;

rocksdb::Status DropRange(rocksdb::WriteBatch& batch,
                          rocksdb::ColumnFamilyHandle* family,
                          uint64_t first,
                          uint64_t end) {
  return batch.DeleteRange(family, SliceOf(BeKey(first)), SliceOf(BeKey(end)));
}

}  // namespace

absl::StatusOr<std::optional<Bytes>> RocksStore::Impl::GoneLeaves(uint64_t base,
                                                                  uint64_t block) const {
  AQ_ASSIGN_OR_RETURN(auto row, Get(kTile, SliceOf(TileKey(0, base + block))));
  if (row && row->size() != kLeavesBytes)
    return DataLoss("the hashes of records ",
                    block * kBlockRecords,
                    " to ",
                    (block + 1) * kBlockRecords - 1,
                    " in ",
                    dir,
                    " are cut short");
  return row;
}

absl::StatusOr<Gone> RocksStore::Impl::ReadGone(uint64_t base) const {
  AQ_ASSIGN_OR_RETURN(const auto row, Get(kMeta, SliceOf(PrunedKey(base))));
  if (!row) return Gone{};
  const uint64_t end = row->size() == kGoneBytes ? LoadBe<uint64_t>(row->data()) : 0;
  if (end == 0 || end % kBlockRecords != 0)
    return DataLoss("what says which records were pruned in ", dir, " is malformed");
  return Gone{end, Oid::From(ByteView(*row).subspan(8))};
}

// Gathered first: nothing is written while the log is walked.
absl::StatusOr<RocksStore::Impl::Leaving> RocksStore::Impl::Gather(const RocksStore& store,
                                                                   Seq first,
                                                                   Seq end) {
  Leaving out;
  absl::Status wrong;
  AQ_RETURN_IF_ERROR(
      store.WalkLog(first, end, Order::kOldestFirst, [&](Seq seq, const Digest& leaf, ByteView b) {
        const auto record = authority::ParseBody<authority::Observe>(b);
        if (!record.ok()) {
          wrong = DataLoss("record ", seq, " does not parse: ", Text(record.status()));
          return false;
        }
        if (record->subject) out.subjects.emplace_back(*record->subject, seq / kBlockRecords);
        if (record->kind == authority::RecordKind::kRevokeSeen && record->evidence)
          out.restrictions.emplace_back(seq, *record->evidence);
        for (const Digest& commit : record->commits) out.contents.push_back(ContentName(commit));
        Append(out.leaves, leaf);
        return true;
      }));
  AQ_RETURN_IF_ERROR(wrong);
  std::ranges::sort(out.subjects);
  const auto twice = std::ranges::unique(out.subjects);
  out.subjects.erase(twice.begin(), twice.end());
  if (out.leaves.size() != (end - first) * Digest::kSize)
    return DataLoss("records are missing between ", first, " and ", end, " in ", dir);
  return out;
}

// One write has it all: the records go with the content that they commit to, and their hashes, the
// restrictions that they tell of and the word of it come.
absl::Status RocksStore::Impl::Leave(const Leaving& leaving,
                                     uint64_t base,
                                     Seq first,
                                     const Gone& to) {
  rocksdb::WriteBatch batch;
  for (const auto& [kid, block] : leaving.subjects)
    batch.Delete(in[kSubjects], SliceOf(SubjectKey(kid, base + block)));
  for (const Oid& name : leaving.contents)
    batch.Delete(in[kObjects], SliceOf(ObjectKey(Shelf::kContent, name)));
  for (const auto& [seq, oid] : leaving.restrictions)
    batch.Put(in[kState], SliceOf(SeenName(seq)), SliceOf(oid.view()));
  for (Seq at = first; at < to.end; at += kBlockRecords) {
    const ByteView row =
        ByteView(leaving.leaves).subspan((at - first) * Digest::kSize, kLeavesBytes);
    batch.Put(in[kTile], SliceOf(TileKey(0, base + at / kBlockRecords)), SliceOf(row));
  }
  Bytes word;
  AppendBe(word, to.end);
  Append(word, *to.under);
  batch.Put(in[kMeta], SliceOf(PrunedKey(base)), SliceOf(word));
  for (const rocksdb::Status& s :
       {DropRange(batch, in[kLog], base + first, base + to.end),
        DropRange(batch, in[kBlocks], base + first / kBlockRecords, base + to.end / kBlockRecords),
        DropRange(batch, in[kSnapshot], base + first, base + to.end)})
    AQ_RETURN_IF_ERROR(Translate(s, "pruning", dir));
  const auto tell = [this, base](const Gone& gone) {
    const std::lock_guard lock(mutex);
    if (log.base == base) log.gone = gone;
  };
  const Gone before = Log().gone;
  tell(to);  // first: whoever looks for a record from now on does not take its absence for a loss
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const absl::Status written = Translate(db->Write(synced, &batch), "pruning", dir);
  if (!written.ok()) tell(before);
  return written;
}

absl::Status RocksStore::Prune(Seq end, const Oid& under) {
  if (!impl_->writable) return FailedPrecondition(impl_->dir, " is open for reading only");
  if (end % kBlockRecords != 0 || end >= size())
    return InvalidArgument("the records before ", end, " cannot be pruned of a log of ", size());
  const Seq from = first();
  const uint64_t base = impl_->Base();
  if (end <= from) return absl::OkStatus();
  AQ_ASSIGN_OR_RETURN(State state, StateOf(*this, from));
  for (Seq at = from; at < end;) {
    const Seq next = std::min(end, at + kPruneStep);
    AQ_RETURN_IF_ERROR(Advance(*this, next, state));
    AQ_ASSIGN_OR_RETURN(const Impl::Leaving leaving, impl_->Gather(*this, at, next));
    if (impl_->Base() != base) return Unavailable("another log began in ", impl_->dir);
    // Durable with what follows it in the same write-ahead log.
    AQ_RETURN_IF_ERROR(PutSnapshot({next, state.Encode()}));
    const std::shared_lock reading(impl_->db_mutex);
    if (impl_->db == nullptr) return impl_->Closed();
    AQ_RETURN_IF_ERROR(impl_->Leave(leaving, base, at, {next, under}));
    at = next;
  }
  // What the files give back costs time and nothing else: a crash leaves it to the next one.
  const std::shared_lock reading(impl_->db_mutex);
  if (impl_->db == nullptr) return absl::OkStatus();
  rocksdb::CompactRangeOptions compact;
  compact.exclusive_manual_compaction = false;
  const auto give_back = [&](Family family, const Bytes& low, const Bytes& high) {
    const rocksdb::Slice first_key = SliceOf(low), last_key = SliceOf(high);
    impl_->db->CompactRange(compact, impl_->in[family], &first_key, &last_key)
        .PermitUncheckedError();
  };
  give_back(kLog, BeKey(base + from), BeKey(base + end));
  constexpr auto kShelf = static_cast<uint8_t>(Shelf::kContent);
  give_back(kObjects, {kShelf}, {kShelf + 1});
  return absl::OkStatus();
}

}  // namespace aqmesh::lineage
