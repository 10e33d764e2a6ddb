// What the lineage tests are told in: records with everything in them, batches, a directory that
// goes away.
#ifndef AQMESH_TESTS_LINEAGE_STORY_H_
#define AQMESH_TESTS_LINEAGE_STORY_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/authority/signed.h"
#include "core/base/rng.h"
#include "core/base/status.h"
#include "lineage/chain.h"
#include "lineage/store.h"

namespace aqmesh::lineage {

inline constexpr uint64_t kStartSeconds = 1'700'000'000;

template <class Fixed>
Fixed Filled(uint8_t byte) {
  Fixed f;
  f.bytes.fill(byte);
  return f;
}
inline Kid LogKid() { return Filled<Kid>(0x10); }

inline authority::Observe Decided(uint8_t subject, authority::Rung rung = authority::Rung::kAdmit) {
  authority::Observe r;
  r.kind = authority::RecordKind::kDecided;
  r.scope = Filled<ScopeId>(0x20);
  r.subject = Filled<Kid>(subject);
  r.authority = Filled<Digest>(static_cast<uint8_t>(subject + 0x80));
  r.inputs = Filled<Oid>(0x40);
  r.gates = authority::Gates{6, 6, 6, 6, 6, static_cast<uint8_t>(rung)};
  r.ladm = 49'152;
  r.slope = 65'600;
  r.corr = 1500;
  r.rung = rung;
  r.action = 3;
  return r;
}

// A log that has not yet been written anywhere: hands out batches of chained records.
class Scribe {
 public:
  explicit Scribe(Chain chain = Chain(LogKid())) : chain_(std::move(chain)) {}
  static Scribe After(const Store& store) {
    if (!store.head()) return Scribe();
    return Scribe(*Chain::Resume(LogKid(), *store.Read(store.head()->seq)));
  }
  RecordEntry Next(uint8_t subject = 1) {
    return chain_.Add(Decided(subject), WallTime::FromSeconds(kStartSeconds + chain_.next()));
  }
  uint64_t size() const { return chain_.next(); }
  const HybridClock& clock() { return chain_.clock(); }
  RecordEntry Add(authority::Observe record) {
    return chain_.Add(std::move(record), WallTime::FromSeconds(kStartSeconds + chain_.next()));
  }
  Batch NextBatch(size_t records = 1) {
    Batch batch;
    for (size_t i = 0; i < records; ++i)
      batch.records.push_back(Next(static_cast<uint8_t>(1 + chain_.next() % 5)));
    return batch;
  }

 private:
  Chain chain_;
};

class TempDir {
 public:
  TempDir() {
    std::string path = (std::filesystem::temp_directory_path() / "aqmesh-lineage-XXXXXX").string();
    path_ = mkdtemp(path.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline Rng SeededRng() {
  uint64_t seed = 1;
  if (const char* text = std::getenv("AQMESH_SEED")) seed = std::strtoull(text, nullptr, 10);
  std::printf("AQMESH_SEED=%llu\n", static_cast<unsigned long long>(seed));
  Rng::Seed bytes{};
  StoreBe(bytes.data(), seed);
  return Rng(bytes);
}

}  // namespace aqmesh::lineage

#endif  // AQMESH_TESTS_LINEAGE_STORY_H_
