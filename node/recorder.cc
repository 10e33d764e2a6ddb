#include "node/recorder.h"

#include "core/base/check.h"

namespace aqmesh::node {

Digest Recorder::Record(authority::Observe record, WallTime wall) {
  if (record.kind != authority::RecordKind::kCheckpoint) ++worth_;
  lineage::RecordEntry entry = chain_.Add(std::move(record), wall);
  edge_.Append(entry.leaf);
  const Digest leaf = entry.leaf;
  batch_.records.push_back(std::move(entry));
  return leaf;
}

void Recorder::PutObject(lineage::Shelf shelf, const Oid& oid, ByteView bytes) {
  batch_.objects.push_back({shelf, oid, Bytes(bytes.begin(), bytes.end())});
}

void Recorder::PutState(std::string name, Bytes value) {
  // Deletes are done before puts, so a put after a delete of the same name in one turn stands.
  std::erase_if(batch_.puts, [&name](const lineage::StatePut& p) { return p.name == name; });
  batch_.puts.push_back({std::move(name), std::move(value)});
}

void Recorder::DeleteState(std::string name) {
  std::erase_if(batch_.puts, [&name](const lineage::StatePut& p) { return p.name == name; });
  batch_.deletes.push_back(std::move(name));
}

void Recorder::ShredState(std::string name) {
  DeleteState(std::move(name));
  batch_.shreds = true;
}

void Recorder::Flush(std::vector<lineage::Batch>& out) {
  if (batch_.empty()) return;
  AQ_CHECK(batch_.records.size() <= lineage::kGroupRecordsMax);  // a turn is bounded far below that
  out.push_back(std::exchange(batch_, {}));
  ++sent_;
}

void Recorder::BeginLog(const Kid& log, std::vector<lineage::Batch>& out) {
  Flush(out);
  chain_ = lineage::Chain(log, chain_.clock());
  edge_ = {};
  worth_ = 0;
  batch_.begins_log = true;
}

bool Recorder::RunDue() {
  bool ran = false;
  while (!waiting_.empty() && waiting_.front().ticket <= durable_) {
    const auto task = std::move(waiting_.front().task);
    waiting_.pop_front();
    task->Run();
    ran = true;
  }
  return ran;
}

}  // namespace aqmesh::node
