// Appends records to the log of a machine whose daemon is down, so that a story need not wait until
// it has lived that long.
//   fill_log STATE_DIR COUNT
#include <cstdio>
#include <cstdlib>

#include "core/base/status.h"
#include "daemon/cli/state.h"
#include "lineage/chain.h"
#include "transport/os/clock.h"

namespace {

constexpr size_t kGroup = 1'000;

absl::Status Fill(const std::string& path, size_t count) {
  using namespace aqmesh;  // NOLINT(google-build-using-namespace)
  AQ_ASSIGN_OR_RETURN(const cli::StateDir state, cli::StateDir::Open(path));
  AQ_ASSIGN_OR_RETURN(const Kid log, state.KidOfKey(cli::kLogKey));
  AQ_ASSIGN_OR_RETURN(const auto store, state.OpenStore());
  if (!store->head()) return FailedPrecondition("the log has no record to go on after");
  AQ_ASSIGN_OR_RETURN(const Bytes last, store->Read(store->head()->seq));
  AQ_ASSIGN_OR_RETURN(lineage::Chain chain, lineage::Chain::Resume(log, last));
  while (count > 0) {
    lineage::Batch batch;
    for (; count > 0 && batch.records.size() < kGroup; --count) {
      authority::Observe record;
      record.kind = authority::RecordKind::kDrops;
      record.drops = {{static_cast<uint16_t>(64 + count % 7), 1 + count}};
      batch.records.push_back(chain.Add(std::move(record), os::ReadNow().wall));
    }
    AQ_RETURN_IF_ERROR(store->Commit(batch));
  }
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: fill_log STATE_DIR COUNT\n");
    return 2;
  }
  const absl::Status filled = Fill(argv[1], std::strtoul(argv[2], nullptr, 10));
  if (!filled.ok()) std::fprintf(stderr, "fill_log: %s\n", aqmesh::Text(filled).c_str());
  return filled.ok() ? 0 : 1;
}
