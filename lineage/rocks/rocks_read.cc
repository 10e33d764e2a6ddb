// What RocksStore shows: objects, state, records by place, subject and block, snapshots.

#include <algorithm>

#include "core/authority/signed.h"
#include "lineage/rocks/rocks_impl.h"

namespace aqmesh::lineage {

namespace {

// Below so many of a block's records each is sought by its key; above, they are passed over in
// turn.
constexpr size_t kSeekBelow = 16;

}  // namespace

std::optional<Block> RocksStore::Impl::TakeBlock(rocksdb::Iterator& it,
                                                 uint64_t number,
                                                 Order order) const {
  const Bytes key = BeKey(Base() + number);
  if (!it.Valid() || !Equal(BytesOf(it.key()), key)) it.Seek(SliceOf(key));
  if (!it.Valid() || !Equal(BytesOf(it.key()), key)) return std::nullopt;
  std::optional<Block> block = Block::Parse(BytesOf(it.value()));
  order == Order::kOldestFirst ? it.Next() : it.Prev();
  return block;
}

absl::StatusOr<bool> RocksStore::Impl::ShowHits(rocksdb::Iterator& rows,
                                                const BlockHits& hits,
                                                std::pair<Seq, Seq> range,
                                                Order order,
                                                RecordVisitor visit) const {
  const auto [first, end] = range;
  const bool forward = order == Order::kOldestFirst;
  const bool sparse = hits.count() < kSeekBelow;
  const uint64_t base = Base();
  bool placed = false;
  for (Seq i = first; i < end; ++i) {
    const Seq seq = forward ? i : end - 1 - (i - first);
    const bool hit = hits[seq % kBlockRecords];
    if (!hit && (sparse || !placed)) continue;
    if (sparse || !placed) {
      rows.Seek(SliceOf(BeKey(base + seq)));
    } else {
      forward ? rows.Next() : rows.Prev();
    }
    placed = true;
    if (!rows.Valid() || !Equal(BytesOf(rows.key()), BeKey(base + seq))) {
      AQ_RETURN_IF_ERROR(Translate(rows.status(), "reading", dir));
      return DataLoss("record ", seq, " is missing in ", dir);
    }
    if (!hit) continue;
    AQ_ASSIGN_OR_RETURN(const bool more, Show(seq, BytesOf(rows.value()), visit));
    if (!more) return false;
  }
  return true;
}

absl::StatusOr<Block> RocksStore::Impl::BlockOf(const RocksStore& store, Seq first, Seq end) const {
  Block block;
  absl::Status parsed;
  AQ_RETURN_IF_ERROR(
      store.WalkLog(first, end, Order::kOldestFirst, [&](Seq, const Digest&, ByteView body) {
        const auto entry = ParseEntry(body);
        parsed = entry.status();
        if (entry.ok()) block.Add(*entry);
        return entry.ok();
      }));
  AQ_RETURN_IF_ERROR(parsed);
  return block;
}

absl::Status RocksStore::Impl::LoadBlocks(const RocksStore& store, uint64_t at_most) {
  const uint64_t base = Base(), records = Mark().records - base;
  const uint64_t whole = records / kBlockRecords;
  AQ_ASSIGN_OR_RETURN(tail, BlockOf(store, whole * kBlockRecords, records));
  AQ_ASSIGN_OR_RETURN(const auto it, Iterate(kBlocks));
  const uint64_t oldest = store.first() / kBlockRecords;  // those before have left with theirs
  it->Seek(SliceOf(BeKey(base + oldest)));
  AQ_RETURN_IF_ERROR(Translate(it->status(), "reading", dir));
  const uint64_t missing = it->Valid() ? LoadBe<uint64_t>(BytesOf(it->key()).data()) - base : whole;
  for (uint64_t n = missing; n > oldest && missing - n < at_most; --n) {
    AQ_ASSIGN_OR_RETURN(const Block block,
                        BlockOf(store, (n - 1) * kBlockRecords, n * kBlockRecords));
    // Not synced: what a crash takes is built again. Downwards, so that there is no gap.
    const rocksdb::WriteOptions options;
    const rocksdb::Status s =
        db->Put(options, in[kBlocks], SliceOf(BeKey(base + n - 1)), SliceOf(block.Encode()));
    AQ_RETURN_IF_ERROR(Translate(s, "writing", dir));
  }
  return absl::OkStatus();
}

// The old rows are kid 16 || BE64 place. Not synced before the end: as long as they are there, this
// is done again.
absl::Status RocksStore::Impl::LoadSubjects() {
  if (old_subjects == nullptr) return absl::OkStatus();
  constexpr int kRowsAtOnce = 4'096;
  rocksdb::WriteBatch rows;
  std::optional<std::pair<Kid, uint64_t>> about;  // whom the hits are of, and in which block
  BlockHits hits;
  const auto put = [&] {
    if (about)
      rows.Put(in[kSubjects],
               SliceOf(SubjectKey(about->first, about->second)),
               SliceOf(EncodeHits(hits)));
    hits.reset();
    if (rows.Count() < kRowsAtOnce) return rocksdb::Status::OK();
    const rocksdb::Status s = db->Write(rocksdb::WriteOptions(), &rows);
    rows.Clear();
    return s;
  };
  const std::unique_ptr<rocksdb::Iterator> it(
      db->NewIterator(rocksdb::ReadOptions(), old_subjects));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const ByteView key = BytesOf(it->key());
    if (key.size() != 24) continue;
    const uint64_t place = LoadBe<uint64_t>(key.data() + 16);
    const uint64_t base = *(std::ranges::upper_bound(bases, place) - 1);
    const std::pair here(*Kid::From(key.first(16)), base + (place - base) / kBlockRecords);
    if (about && here != *about) AQ_RETURN_IF_ERROR(Translate(put(), "writing", dir));
    about = here;
    hits.set((place - base) % kBlockRecords);
  }
  AQ_RETURN_IF_ERROR(Translate(it->status(), "reading", dir));
  AQ_RETURN_IF_ERROR(Translate(put(), "writing", dir));
  rocksdb::WriteOptions synced;
  synced.sync = true;
  AQ_RETURN_IF_ERROR(Translate(db->Write(synced, &rows), "writing", dir));
  AQ_RETURN_IF_ERROR(Translate(db->DropColumnFamily(old_subjects), "dropping an index of", dir));
  db->DestroyColumnFamilyHandle(old_subjects);
  old_subjects = nullptr;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Bytes>> RocksStore::GetObject(Shelf shelf, const Oid& oid) const {
  const std::shared_lock reading(impl_->db_mutex);
  return impl_->Get(kObjects, SliceOf(ObjectKey(shelf, oid)));
}

absl::StatusOr<std::optional<Bytes>> RocksStore::GetState(std::string_view name) const {
  const std::shared_lock reading(impl_->db_mutex);
  return impl_->Get(kState, SliceOf(name));
}

absl::Status RocksStore::ScanObjects(Shelf shelf, ObjectVisitor visit) const {
  const std::shared_lock reading(impl_->db_mutex);
  const uint8_t prefix = static_cast<uint8_t>(shelf);
  absl::Status broken;
  AQ_RETURN_IF_ERROR(impl_->Scan(kObjects, {&prefix, 1}, [&](ByteView key, ByteView value) {
    const std::optional<Oid> oid = Oid::From(key);
    if (!oid) broken = DataLoss("an object's key in ", impl_->dir, " has ", key.size(), " bytes");
    return oid && visit(*oid, value);
  }));
  return broken;
}

absl::Status RocksStore::ScanState(std::string_view prefix, StateVisitor visit) const {
  const std::shared_lock reading(impl_->db_mutex);
  return impl_->Scan(kState, AsBytes(prefix), [&](ByteView rest, ByteView value) {
    return visit(Join(prefix, AsText(rest)), value);
  });
}

absl::Status RocksStore::WalkLog(Seq first, Seq end, Order order, RecordVisitor visit) const {
  end = std::min<Seq>(end, size());
  const std::shared_lock reading(impl_->db_mutex);
  const bool forward = order == Order::kOldestFirst;
  const uint64_t base = impl_->Base();
  AQ_ASSIGN_OR_RETURN(const auto it, impl_->Iterate(kLog));
  first = std::max(first, this->first());  // after the iterator: what leaves now, it still has
  if (first >= end) return absl::OkStatus();
  it->Seek(SliceOf(BeKey(base + (forward ? first : end - 1))));
  for (Seq i = first; i < end; ++i) {
    const Seq seq = forward ? i : end - 1 - (i - first);
    if (!it->Valid() || !Equal(BytesOf(it->key()), BeKey(base + seq))) {
      AQ_RETURN_IF_ERROR(Translate(it->status(), "reading", impl_->dir));
      return DataLoss("record ", seq, " is missing in ", impl_->dir);
    }
    AQ_ASSIGN_OR_RETURN(const bool more, impl_->Show(seq, BytesOf(it->value()), visit));
    if (!more) break;
    forward ? it->Next() : it->Prev();
  }
  return absl::OkStatus();
}

absl::Status RocksStore::WalkSubject(
    const Kid& subject, Seq first, Seq end, Order order, RecordVisitor visit) const {
  const Seq records = size();
  end = std::min<Seq>(end, records);
  const std::shared_lock reading(impl_->db_mutex);
  AQ_ASSIGN_OR_RETURN(const auto log, impl_->Iterate(kLog));
  first = std::max(first, this->first());  // after the iterator: what leaves now, it still has
  AQ_ASSIGN_OR_RETURN(const auto rows, impl_->Iterate(kSubjects));
  if (first >= end) return absl::OkStatus();
  const bool has_rows = impl_->in[kSubjects] != nullptr;
  const Seq whole = std::clamp(has_rows ? records / kBlockRecords * kBlockRecords : 0, first, end);
  const auto indexed = [&] {
    return impl_->ShowAbout(*log, *rows, subject, {first, whole}, order, visit);
  };
  const auto rest = [&] { return impl_->SearchAbout(*log, subject, {whole, end}, order, visit); };
  AQ_ASSIGN_OR_RETURN(const bool more, order == Order::kOldestFirst ? indexed() : rest());
  if (!more) return absl::OkStatus();
  return (order == Order::kOldestFirst ? rest() : indexed()).status();
}

absl::StatusOr<bool> RocksStore::Impl::ShowAbout(rocksdb::Iterator& records,
                                                 rocksdb::Iterator& rows,
                                                 const Kid& subject,
                                                 std::pair<Seq, Seq> range,
                                                 Order order,
                                                 RecordVisitor visit) const {
  const auto [first, end] = range;
  if (first >= end) return true;
  const bool forward = order == Order::kOldestFirst;
  const uint64_t base = Base(), lowest = base + first / kBlockRecords,
                 highest = base + (end - 1) / kBlockRecords;
  if (forward)
    rows.Seek(SliceOf(SubjectKey(subject, lowest)));
  else
    rows.SeekForPrev(SliceOf(SubjectKey(subject, highest)));
  for (; rows.Valid(); forward ? rows.Next() : rows.Prev()) {
    const ByteView key = BytesOf(rows.key());
    if (key.size() != 24 || !Equal(key.first(16), subject)) break;
    const uint64_t number = LoadBe<uint64_t>(key.data() + 16);
    if (number < lowest || number > highest) break;
    const Seq start = (number - base) * kBlockRecords;
    const std::optional<BlockHits> hits = ParseHits(BytesOf(rows.value()));
    if (!hits)
      return DataLoss(
          "which of the records from ", start, " are about whom in ", dir, " is malformed");
    const std::pair<Seq, Seq> here = {std::max(first, start), std::min(end, start + kBlockRecords)};
    AQ_ASSIGN_OR_RETURN(const bool more, ShowHits(records, *hits, here, order, visit));
    if (!more) return false;
  }
  AQ_RETURN_IF_ERROR(Translate(rows.status(), "reading", dir));
  return true;
}

absl::StatusOr<bool> RocksStore::Impl::SearchAbout(rocksdb::Iterator& records,
                                                   const Kid& subject,
                                                   std::pair<Seq, Seq> range,
                                                   Order order,
                                                   RecordVisitor visit) const {
  absl::Status parsed;
  const auto seek = [&](Seq seq, const Digest& leaf, ByteView body) {
    const auto record = authority::ParseBody<authority::Observe>(body);
    if (!record.ok()) parsed = DataLoss("record ", seq, " in ", dir, ": ", Text(record.status()));
    if (!record.ok() || record->subject != subject) return parsed.ok();
    return visit(seq, leaf, body);
  };
  AQ_ASSIGN_OR_RETURN(const bool more, ShowHits(records, BlockHits().set(), range, order, seek));
  AQ_RETURN_IF_ERROR(parsed);
  return more;
}

absl::Status RocksStore::WalkWhere(
    const Where& where, Seq first, Seq end, Order order, RecordVisitor visit) const {
  if (where.everything() || !impl_->HasBlocks()) return WalkLog(first, end, order, visit);
  end = std::min<Seq>(end, size());
  const std::shared_lock reading(impl_->db_mutex);
  AQ_ASSIGN_OR_RETURN(const auto log, impl_->Iterate(kLog));
  first = std::max(first, this->first());
  AQ_ASSIGN_OR_RETURN(const auto blocks, impl_->Iterate(kBlocks));
  if (first >= end) return absl::OkStatus();
  const uint64_t lowest = first / kBlockRecords, highest = (end - 1) / kBlockRecords;
  for (uint64_t i = lowest; i <= highest; ++i) {
    const uint64_t number = order == Order::kOldestFirst ? i : highest - (i - lowest);
    const std::optional<Block> block = impl_->TakeBlock(*blocks, number, order);
    const BlockHits hits = block ? block->Find(where) : BlockHits().set();
    if (hits.none()) continue;
    const std::pair<Seq, Seq> range = {std::max(first, number * kBlockRecords),
                                       std::min(end, (number + 1) * kBlockRecords)};
    AQ_ASSIGN_OR_RETURN(const bool more, impl_->ShowHits(*log, hits, range, order, visit));
    if (!more) break;
  }
  return Translate(blocks->status(), "reading", impl_->dir);
}

// Time rises along a log, so it is its own index: some 24 records are read of ten million.
absl::StatusOr<Seq> RocksStore::SeqAt(uint64_t hlc) const {
  const std::shared_lock reading(impl_->db_mutex);
  const uint64_t base = impl_->Base();
  Seq first = this->first(), end = size();
  while (first < end) {
    const Seq middle = first + (end - first) / 2;
    AQ_ASSIGN_OR_RETURN(const auto row, impl_->Get(kLog, SliceOf(BeKey(base + middle))));
    if (!row && middle < this->first()) {  // it left meanwhile
      first = middle + 1;
      continue;
    }
    auto record = row && row->size() > 32
                      ? authority::ParseBody<authority::Observe>(ByteView(*row).subspan(32))
                      : absl::StatusOr<authority::Observe>(DataLoss("it is not there"));
    if (!record.ok())
      return DataLoss("record ", middle, " in ", impl_->dir, ": ", Text(record.status()));
    record->hlc < hlc ? first = middle + 1 : end = middle;
  }
  return first;
}

// Not synced: it becomes durable with the next commit, and what is lost is folded again.
absl::Status RocksStore::PutSnapshot(const Snapshot& snapshot) {
  if (!impl_->writable) return FailedPrecondition(impl_->dir, " is open for reading only");
  const std::shared_lock reading(impl_->db_mutex);
  if (impl_->db == nullptr) return impl_->Closed();
  const Digest hash = SnapshotHash(snapshot.records, snapshot.state);
  rocksdb::WriteBatch batch;
  batch.Put(impl_->in[kSnapshot],
            SliceOf(BeKey(impl_->Base() + snapshot.records)),
            SliceOf(Concat({hash, snapshot.state})));
  return Translate(impl_->db->Write(rocksdb::WriteOptions(), &batch), "writing", impl_->dir);
}

absl::StatusOr<std::optional<Snapshot>> RocksStore::SnapshotAt(uint64_t records) const {
  const std::shared_lock reading(impl_->db_mutex);
  AQ_ASSIGN_OR_RETURN(const auto it, impl_->Iterate(kSnapshot));
  const uint64_t base = impl_->Base();
  for (it->SeekForPrev(SliceOf(BeKey(base + records))); it->Valid(); it->Prev()) {
    const ByteView key = BytesOf(it->key()), value = BytesOf(it->value());
    if (key.size() != 8 || value.size() < Digest::kSize) continue;
    if (LoadBe<uint64_t>(key.data()) <= base) break;  // of the log before
    const uint64_t count = LoadBe<uint64_t>(key.data()) - base;
    const ByteView state = value.subspan(Digest::kSize);
    if (!Equal(SnapshotHash(count, state), value.first(Digest::kSize))) continue;
    return Snapshot{count, Bytes(state.begin(), state.end())};
  }
  // A block that rotted ends the search: what lies before it cannot be reached by going back.
  if (it->status().IsCorruption()) return std::optional<Snapshot>();
  AQ_RETURN_IF_ERROR(Translate(it->status(), "reading", impl_->dir));
  return std::optional<Snapshot>();
}

}  // namespace aqmesh::lineage
