// Sink: an engine that rows are shipped to, each once by (log, seq).
// Spec:   spec/lineage.md §6.2. Thread: one owner; every call waits for the engine, and comes back
//         soon after Hooks::stop says so (Cancelled).
// Errors: Unavailable (no answer, or not now: connect again, ask Newest, go on), FailedPrecondition
//         (a table of another shape, a refusal that trying again does not mend), InvalidArgument
//         (the address), Cancelled.
#ifndef AQMESH_LINEAGE_SHIP_SINK_H_
#define AQMESH_LINEAGE_SHIP_SINK_H_

#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "lineage/ship/schema.h"

namespace aqmesh::lineage::ship {

class Sink {
 public:
  virtual ~Sink() = default;

  // Connects, makes the table if there is none, and refuses one of another shape. Again after
  // Unavailable.
  virtual absl::Status Open() = 0;
  // The row of this log with the highest seq in the table: that seq, and its record_digest.
  struct Newest {
    Seq seq = 0;
    std::string record_digest;
  };
  virtual absl::StatusOr<std::optional<Newest>> NewestOf(const Kid& log) = 0;
  // Rows of one log, by seq, at most kBlockRows. OK: each is in the table, once, and was committed.
  // Else each is there once or not at all.
  virtual absl::Status Put(std::span<const Row> rows, const Words& words) = 0;
  // Where to, without secrets: "postgres://host/db".
  virtual std::string Name() const = 0;

 protected:
  Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
};

inline constexpr std::chrono::milliseconds kPatience{100};
inline constexpr std::chrono::seconds kBusyWithin{
    30};  // that somebody else may insert all the time
struct Hooks {
  std::function<bool()> stop;  // asked each kPatience while something is waited for
  std::function<void(std::chrono::milliseconds)> pause;
};

// What a sink needs beside its address.
struct SinkOptions {
  std::string table = std::string(kDefaultTable);
  std::string user = {}, password = {};  // ClickHouse; libpq finds its own
  Hooks hooks = {};
};
// By the scheme of the address: postgres, postgresql, http, https. Nothing is connected yet.
absl::StatusOr<std::unique_ptr<Sink>> MakeSink(const std::string& address, SinkOptions options);
absl::StatusOr<std::unique_ptr<Sink>> MakePostgres(const std::string& address, SinkOptions options);
absl::StatusOr<std::unique_ptr<Sink>> MakeClickHouse(const std::string& address,
                                                     SinkOptions options);

}  // namespace aqmesh::lineage::ship

#endif  // AQMESH_LINEAGE_SHIP_SINK_H_
