#include "lineage/rocks/writer.h"

#include <latch>

#include "tests/lineage/story.h"

namespace aqmesh::lineage {
namespace {

// A disk whose commits wait until they are let through, so that a queue forms behind the first.
class SlowDisk final : public Store {
 public:
  absl::Status CommitAll(std::span<const Batch> batches) override {
    if (groups.empty()) started.count_down();
    go.wait();
    groups.push_back(batches.size());
    return mem.CommitAll(batches);
  }
  std::optional<Head> head() const override { return mem.head(); }
  absl::StatusOr<std::optional<Bytes>> GetObject(Shelf s, const Oid& o) const override {
    return mem.GetObject(s, o);
  }
  absl::Status ScanObjects(Shelf s, ObjectVisitor v) const override {
    return mem.ScanObjects(s, v);
  }
  absl::StatusOr<std::optional<Bytes>> GetState(std::string_view n) const override {
    return mem.GetState(n);
  }
  absl::Status ScanState(std::string_view p, StateVisitor v) const override {
    return mem.ScanState(p, v);
  }
  absl::Status WalkLog(Seq a, Seq b, Order o, RecordVisitor v) const override {
    return mem.WalkLog(a, b, o, v);
  }
  absl::Status WalkSubject(const Kid& k, Seq a, Seq b, Order o, RecordVisitor v) const override {
    return mem.WalkSubject(k, a, b, o, v);
  }
  absl::StatusOr<Seq> SeqAt(uint64_t hlc) const override { return mem.SeqAt(hlc); }
  tlog::Edge edge() const override { return mem.edge(); }
  absl::StatusOr<Bytes> ReadTile(const tlog::Tile& t) const override { return mem.ReadTile(t); }
  absl::Status PutSnapshot(const Snapshot& s) override { return mem.PutSnapshot(s); }
  absl::StatusOr<std::optional<Snapshot>> SnapshotAt(uint64_t n) const override {
    return mem.SnapshotAt(n);
  }

  std::latch started{1}, go{1};
  std::vector<size_t> groups;  // the log thread's; read after Stop
  MemStore mem;
};

struct Acks {
  std::vector<Ack> list;  // read after Stop
  std::function<void(const Ack&)> Taker() {
    return [this](const Ack& ack) { list.push_back(ack); };
  }
};

TEST(WriterTest, WhateverGathersDuringASyncBecomesOneCommit) {
  SlowDisk disk;
  Acks acks;
  Scribe scribe;
  Writer writer(disk, {}, acks.Taker());
  Batch first = scribe.NextBatch();
  EXPECT_EQ(writer.TryEnqueue(first), 1u);
  EXPECT_TRUE(first.empty());
  disk.started.wait();
  for (Ticket t = 2; t <= 101; ++t) {
    Batch batch = scribe.NextBatch();
    EXPECT_EQ(writer.TryEnqueue(batch), t);
  }
  disk.go.count_down();
  writer.Stop();
  EXPECT_EQ(disk.groups, (std::vector<size_t>{1, 100}));
  EXPECT_EQ(writer.groups(), 2u);
  ASSERT_EQ(acks.list.size(), 2u);
  EXPECT_EQ(acks.list[0].ticket, 1u);
  EXPECT_EQ(acks.list[0].head->seq, 0u);
  EXPECT_EQ(acks.list[1].ticket, 101u);
  EXPECT_EQ(acks.list[1].head, disk.mem.head());
  EXPECT_TRUE(disk.mem.Verify().ok());
}

TEST(WriterTest, SaysNoWhenFullAndLeavesTheBatchAlone) {
  SlowDisk disk;
  Acks acks;
  Scribe scribe;
  Writer writer(disk, {.queue_items_max = 4}, acks.Taker());
  Batch first = scribe.NextBatch(2);
  EXPECT_TRUE(writer.TryEnqueue(first));
  disk.started.wait();
  Batch large = scribe.NextBatch(3);  // what is being written still counts
  EXPECT_FALSE(writer.TryEnqueue(large));
  EXPECT_EQ(large.records.size(), 3u);
  large.records.pop_back();
  EXPECT_TRUE(writer.TryEnqueue(large));
  Batch one{.puts = {{"x", {}}}};
  EXPECT_FALSE(writer.TryEnqueue(one));
  disk.go.count_down();
  writer.Stop();
  EXPECT_EQ(disk.mem.size(), 4u);
}

TEST(WriterTest, AFullDiskIsSaidOnceAndWaitedOut) {
  MemStore disk;
  disk.SetFault(absl::ResourceExhaustedError("full"));
  Acks acks;
  Scribe scribe;
  Writer writer(disk, {.retry = std::chrono::milliseconds(1)}, acks.Taker());
  Batch batch = scribe.NextBatch();
  EXPECT_EQ(writer.TryEnqueue(batch), 1u);
  writer.Stop();  // gives up rather than hang
  ASSERT_GE(acks.list.size(), 1u);
  EXPECT_TRUE(absl::IsResourceExhausted(acks.list[0].status));
  EXPECT_EQ(acks.list[0].ticket, 0u);
  EXPECT_FALSE(acks.list[0].head);
  EXPECT_EQ(disk.size(), 0u);
}

TEST(WriterTest, ABrokenDiskEndsIt) {
  MemStore disk;
  disk.SetFault(absl::UnavailableError("EIO"));
  std::latch told(1);
  Scribe scribe;
  Writer writer(disk, {}, [&told](const Ack& ack) {
    EXPECT_TRUE(absl::IsUnavailable(ack.status));
    told.count_down();
  });
  Batch batch = scribe.NextBatch();
  EXPECT_TRUE(writer.TryEnqueue(batch));
  told.wait();
  Batch more = scribe.NextBatch();
  EXPECT_FALSE(writer.TryEnqueue(more));
}

}  // namespace
}  // namespace aqmesh::lineage
