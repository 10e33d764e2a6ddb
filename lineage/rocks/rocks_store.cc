#include "lineage/rocks/rocks_store.h"

#include <absl/time/clock.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "lineage/rocks/rocks_impl.h"

namespace aqmesh::lineage {

namespace {

constexpr int kReadOnlyTries = 5;  // a live writer may drop files while they are being opened
constexpr absl::Duration kReadOnlyPause = absl::Milliseconds(20);

absl::Status PrepareDirectory(const std::string& dir) {
  const auto fail = [&dir](std::string_view doing) {
    return Unavailable(doing, " ", dir, ": ", std::generic_category().message(errno));
  };
  if (mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) return fail("creating");
  const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fail("opening");
  const absl::Status status = fchmod(fd, 0700) == 0 ? absl::OkStatus() : fail("closing to others");
  close(fd);
  return status;
}

absl::StatusOr<HeadFile> OpenHead(const std::string& dir, bool writable) {
  const std::string path = dir + "/HEAD";
  const bool has_log = access((dir + "/db/CURRENT").c_str(), F_OK) == 0;
  if (writable && !has_log) AQ_RETURN_IF_ERROR(HeadFile::Create(path));
  auto head = HeadFile::Open(path, writable);
  if (absl::IsNotFound(head.status()) && has_log) {
    return DataLoss(path,
                    " is missing, so the log beside it cannot be shown to be complete: restore it, "
                    "or start a new log");
  }
  return head;
}

CommitMark MarkAfter(std::span<const Batch> batches, CommitMark mark) {
  ++mark.commit;
  for (const Batch& batch : batches) {
    mark.records += batch.records.size();
    if (!batch.records.empty()) mark.leaf = batch.records.back().leaf;
  }
  return mark;
}

}  // namespace

RocksStore::RocksStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RocksStore::~RocksStore() = default;

absl::StatusOr<std::unique_ptr<RocksStore>> RocksStore::Open(const std::string& dir,
                                                             RocksOptions options) {
  AQ_RETURN_IF_ERROR(PrepareDirectory(dir));
  auto impl = std::make_unique<Impl>();
  impl->dir = dir;
  impl->writable = true;
  AQ_ASSIGN_OR_RETURN(HeadFile head, OpenHead(dir, true));
  impl->head_file.emplace(std::move(head));
  AQ_RETURN_IF_ERROR(impl->OpenDatabase(Access::kWrite));
  std::unique_ptr<RocksStore> store(new RocksStore(std::move(impl)));
  AQ_RETURN_IF_ERROR(store->CheckHead(options));
  AQ_RETURN_IF_ERROR(store->impl_->LoadSubjects());
  AQ_RETURN_IF_ERROR(store->impl_->LoadBlocks(*store, kBlocksAtOpen));
  AQ_RETURN_IF_ERROR(store->impl_->Shred());
  return store;
}

absl::StatusOr<std::unique_ptr<RocksStore>> RocksStore::OpenReadOnly(const std::string& dir,
                                                                     RocksOptions options) {
  absl::Status last;
  for (int i = 0; i < kReadOnlyTries; ++i) {
    if (i > 0) absl::SleepFor(kReadOnlyPause);
    auto impl = std::make_unique<Impl>();
    impl->dir = dir;
    // HEAD first: a live writer goes on meanwhile, and what HEAD names is in the log before HEAD
    // names it.
    AQ_ASSIGN_OR_RETURN(HeadFile head, OpenHead(dir, false));
    impl->head_file.emplace(std::move(head));
    last = impl->OpenDatabase(Access::kRead);
    if (!last.ok()) continue;
    std::unique_ptr<RocksStore> store(new RocksStore(std::move(impl)));
    last = store->CheckHead(options);
    if (!last.ok()) continue;
    if (options.log) AQ_RETURN_IF_ERROR(store->SelectLog(*options.log));
    return store;
  }
  return last;
}

// The log against HEAD, and the newest links of its chain.
absl::Status RocksStore::CheckHead(const RocksOptions& options) {
  const CommitMark told = impl_->head_file->mark();
  AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> stored, impl_->Get(kMeta, SliceOf(kCommitKey)));
  const std::optional<CommitMark> here = stored ? ParseMark(*stored) : CommitMark{};
  if (!here)
    return DataLoss(
        "the commit mark in ", impl_->dir, " is malformed: restore the state directory");
  const std::string both = Join("HEAD names commit ",
                                told.commit,
                                ", ",
                                told.records,
                                " records, hash ",
                                ToHex(told.leaf),
                                "; the log has commit ",
                                here->commit,
                                ", ",
                                here->records,
                                " records, hash ",
                                ToHex(here->leaf));
  if (here->commit < told.commit || here->records < told.records) {
    return DataLoss("the log in ",
                    impl_->dir,
                    " has lost records that were acknowledged: ",
                    both,
                    ": restore the newer log, or start a new one");
  }
  // A crash between the log's sync and HEAD's leaves the log one commit ahead, never two.
  if (impl_->writable && here->commit > told.commit + 1) {
    return DataLoss("HEAD in ",
                    impl_->dir,
                    " is older than the log: ",
                    both,
                    ": restore the HEAD that belongs to it");
  }
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->mark = *here;
  }
  AQ_RETURN_IF_ERROR(LoadTree());
  if (told.records > 0) {
    std::optional<Digest> leaf;
    const std::shared_lock reading(impl_->db_mutex);
    AQ_RETURN_IF_ERROR(
        impl_->Leaves(0, told.records - 1, told.records, [&leaf](const Digest& l) { leaf = l; }));
    if (leaf != told.leaf)
      return DataLoss(
          "the log in ", impl_->dir, " is not the one that HEAD was written for: ", both);
  }
  AQ_RETURN_IF_ERROR(Annotate(Verify(options.verify_last), impl_->dir));
  return impl_->writable && *here != told ? impl_->head_file->Write(*here) : absl::OkStatus();
}

bool RocksStore::IsOpenElsewhere(const std::string& dir) {
  const int fd = ::open((dir + "/db/LOCK").c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return false;
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool held = ::fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  ::close(fd);
  return held;
}

absl::Status RocksStore::CommitAll(std::span<const Batch> batches) {
  if (!impl_->writable) return FailedPrecondition(impl_->dir, " is open for reading only");
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->broken.ok()) return impl_->broken;
  }
  const CommitMark mark = impl_->Mark();
  Span log = impl_->Log();
  const uint64_t base = log.base;
  AQ_RETURN_IF_ERROR(CheckBatches(batches, HeadOf(mark, base)));
  if (std::all_of(batches.begin(), batches.end(), [](const Batch& b) { return b.empty(); }))
    return absl::OkStatus();
  const CommitMark next = MarkAfter(batches, mark);
  AQ_RETURN_IF_ERROR(impl_->Write(batches, next, log));
  const absl::Status told = impl_->head_file->Write(next);
  if (!told.ok()) return impl_->Break(told);
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->mark = next;
    if (log.base != base) impl_->bases.push_back(log.base);
    impl_->places = next.records;
    if (log.base == base) log.gone = impl_->log.gone;  // records may have left meanwhile
    impl_->log = log;
  }
  // The commit stands. What a failure leaves behind, the next start does.
  if (std::ranges::any_of(batches, &Batch::shreds)) (void)impl_->Shred();
  return absl::OkStatus();
}

std::optional<Head> RocksStore::head() const {
  const std::lock_guard lock(impl_->mutex);
  return HeadOf(impl_->mark, impl_->log.base);
}
uint64_t RocksStore::commits() const { return impl_->Mark().commit; }
Gone RocksStore::gone() const { return impl_->Log().gone; }

}  // namespace aqmesh::lineage
