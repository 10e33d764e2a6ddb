// The inside of Trace: searches in the logs, and what decisions and restrictions speak of, read
// from their objects once. For trace.cc alone.
// Bounds: a search reads kNearby records. Thread: none of its own.
// Errors: kept in status(); what is not kept in a store is as if it said nothing.
#ifndef AQMESH_LINEAGE_HISTORY_TRACE_READER_H_
#define AQMESH_LINEAGE_HISTORY_TRACE_READER_H_

#include <absl/functional/function_ref.h>

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "lineage/history/trace.h"

namespace aqmesh::lineage {

struct SearchSpan {
  Seq first = 0, end = kSeqEnd;
  Order order = Order::kOldestFirst;
  size_t some = 1;  // as many are enough
};

class TraceReader {
 public:
  static constexpr uint64_t kNearby = 4'096;

  using Found = std::vector<FoundRecord>;
  using Take = absl::FunctionRef<bool(const authority::Observe&, const Digest& leaf)>;
  // Whom a restriction speaks of.
  struct Target {
    std::optional<Kid> kid;
    std::optional<Oid> oid;
  };
  // What a decision was made from.
  struct Ground {
    std::vector<Oid> oids;
    std::set<Kid> kids;          // signers and subjects of the grants among them
    std::optional<Oid> opened;   // the presentation or request that came
    std::optional<Oid> answers;  // of a presentation: the one that it answers
  };

  explicit TraceReader(std::span<const TracedLog> logs) : logs_(logs) {}

  // The first records about `kid`, or of the whole log, that `take` takes.
  Found About(size_t log, const Kid& kid, SearchSpan span, Take take);
  Found InLog(size_t log, SearchSpan span, Take take);
  // Where another log's records around that time begin and end.
  SearchSpan Around(size_t log, uint64_t hlc);
  std::string ObjectText(size_t log, const Oid& oid);  // "NODE grant borealis"
  const Ground& GroundOf(size_t log, const authority::Observe& decision);
  Target TargetOf(size_t log, const authority::Observe& seen);
  bool Hits(const Target& target, size_t log, const authority::Observe& decision);
  bool IsMadeFrom(size_t log, const authority::Observe& decision, const Oid& oid);
  // Some decision that was read so far was about this presentation.
  bool Opened(const Oid& presentation) const;
  const absl::Status& status() const { return status_; }

 private:
  template <class Walk>
  Found Search(Walk walk, SearchSpan span, Take take);
  std::optional<Bytes> Object(size_t log, const Oid& oid);
  void ReadGround(size_t log, const Oid& oid, Ground& ground);

  std::span<const TracedLog> logs_;
  std::map<Oid, Ground> grounds_;  // by id of the inputs
  absl::Status status_;
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_HISTORY_TRACE_READER_H_
