// What the benchmarks of the lineage share: a directory on a real disk (AQMESH_BENCH_DIR), and
// batches of chained records.
#ifndef AQMESH_BENCH_MICRO_LINEAGE_STORY_H_
#define AQMESH_BENCH_MICRO_LINEAGE_STORY_H_

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "core/base/check.h"
#include "lineage/store.h"

namespace aqmesh::bench {

inline constexpr uint64_t kStart = 1'700'000'000;

class Directory {
 public:
  Directory() {
    const char* base = std::getenv("AQMESH_BENCH_DIR");
    std::string path =
        (base != nullptr ? std::filesystem::path(base) : std::filesystem::temp_directory_path()) /
        "lineage-XXXXXX";
    AQ_CHECK(::mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  std::string store() const { return path_ + "/store"; }

 private:
  std::string path_;
};

inline authority::Observe Decided() {
  authority::Observe r;
  r.kind = authority::RecordKind::kDecided;
  r.scope.emplace().bytes.fill(1);
  r.subject.emplace().bytes.fill(2);
  r.authority.emplace().bytes.fill(3);
  r.inputs.emplace().bytes.fill(4);
  r.gates = authority::Gates{6, 6, 6, 6, 6, 6};
  r.ladm = 49'152;
  r.slope = 65'600;
  r.rung = authority::Rung::kAdmit;
  r.action = 3;
  return r;
}

inline Kid LogKey() {
  Kid k;
  k.bytes.fill(9);
  return k;
}

inline lineage::Batch NextBatch(lineage::Chain& chain, size_t records) {
  lineage::Batch batch;
  for (size_t i = 0; i < records; ++i)
    batch.records.push_back(chain.Add(Decided(), WallTime::FromSeconds(kStart)));
  return batch;
}

}  // namespace aqmesh::bench

#endif  // AQMESH_BENCH_MICRO_LINEAGE_STORY_H_
