#include "lineage/rocks/writer.h"

#include <utility>

#include "core/base/check.h"

namespace aqmesh::lineage {
namespace {

size_t ItemsOf(const Batch& b) {
  return b.records.size() + b.objects.size() + b.deletes.size() + b.puts.size();
}

}  // namespace

Writer::Writer(Store& store, WriterOptions options, std::function<void(const Ack&)> on_ack)
    : store_(store), options_(options), on_ack_(std::move(on_ack)), thread_([this] { Run(); }) {}

Writer::~Writer() { Stop(); }

std::optional<Ticket> Writer::TryEnqueue(Batch& batch) {
  const size_t items = ItemsOf(batch);
  const std::lock_guard lock(mutex_);
  if (stopping_ || failed_ || queue_.size() >= options_.queue_items_max) return std::nullopt;
  if (items > options_.queue_items_max - queued_items_) return std::nullopt;
  queued_items_ += items;
  queue_.push_back(std::exchange(batch, Batch{}));
  woken_.notify_one();
  return ++taken_;
}

void Writer::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  woken_.notify_all();
  if (thread_.joinable()) thread_.join();
}

uint64_t Writer::groups() const {
  const std::lock_guard lock(mutex_);
  return groups_;
}

// Whatever is queued, up to what one commit may hold; at least one batch.
std::vector<Batch> Writer::TakeGroup() {
  std::vector<Batch> group;
  size_t records = 0;
  while (!queue_.empty()) {
    records += queue_.front().records.size();
    if (records > kGroupRecordsMax && !group.empty()) break;
    group.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return group;
}

// Commits, waiting out a full disk. The group stays as it is meanwhile: its records have their
// seqs.
absl::Status Writer::CommitGroup(const std::vector<Batch>& group) {
  bool told = false;
  while (true) {
    absl::Status status = store_.CommitAll(group);
    if (!absl::IsResourceExhausted(status)) return status;
    Ack ack{status, 0, store_.head()};
    {
      const std::lock_guard lock(mutex_);
      ack.ticket = durable_;
    }
    if (!std::exchange(told, true)) on_ack_(ack);
    std::unique_lock lock(mutex_);
    if (woken_.wait_for(lock, options_.retry, [this] { return stopping_; })) return status;
  }
}

void Writer::Run() {
  while (true) {
    std::vector<Batch> group;
    {
      std::unique_lock lock(mutex_);
      woken_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      group = TakeGroup();
    }
    if (group.empty()) return;  // stopping, and all is written
    const absl::Status status = CommitGroup(group);
    Ack ack{status, 0, store_.head()};
    {
      const std::lock_guard lock(mutex_);
      // Room is made only now: what is being written still weighs on the queue.
      for (const Batch& batch : group) queued_items_ -= ItemsOf(batch);
      if (status.ok()) {
        durable_ += group.size();
        ++groups_;
      }
      failed_ = !status.ok();
      ack.ticket = durable_;
    }
    on_ack_(ack);
    if (!status.ok()) return;
  }
}

}  // namespace aqmesh::lineage
