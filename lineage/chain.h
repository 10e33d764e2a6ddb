// Chain: turns decisions into records: gives each its seq, the hash of the record before it and its
// time, and so the bytes that are stored. ChainVerifier is the other direction: reads them back and
// believes nothing.
// Spec:   spec/objects.md §2 `observe` (the body is the leaf data of the log), §1 hlc; authority G, E.3.
// Wire:   leaf = SHA-256(00 || body), RFC 6962; prev of seq n = leaf of seq n-1, absent for seq 0.
// Bounds: a body is at most kRecordBytesMax. Thread: values with one owner; no clock: time is handed in.
// Errors: DataLoss naming the seq and what differs. Cost: encode ~1 us + one hash of ~300 bytes.
#ifndef AQMESH_LINEAGE_CHAIN_H_
#define AQMESH_LINEAGE_CHAIN_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>

#include "core/authority/objects.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/time.h"

namespace aqmesh::lineage {

// A record's place in its log, from 0. Below 2^63.
using Seq = uint64_t;
inline constexpr Seq kSeqEnd = uint64_t{1} << 63;

// A signed `observe` has 4,096 bytes (spec/objects.md §2), of which its envelope takes 91.
inline constexpr size_t kRecordBytesMax = 4096 - 91;

// The newest record of a log.
struct Head {
  Seq seq = 0;
  Digest leaf;
  bool operator==(const Head&) const = default;
};

// One record as it is stored: the signed-over bytes, and beside them what stores and indexes need,
// so that they parse nothing.
struct RecordEntry {
  Seq seq = 0;
  uint64_t hlc = 0;
  std::optional<Digest> prev;
  std::optional<Kid> subject;
  authority::RecordKind kind{};
  authority::Rung rung = authority::Rung::kNone;
  std::optional<Digest> authority;
  Digest leaf;
  Bytes body;
  Head head() const { return {seq, leaf}; }
  bool operator==(const RecordEntry&) const = default;
};

inline constexpr uint64_t HlcFromMillis(uint64_t ms) { return ms << 16; }
inline constexpr uint64_t MillisFromHlc(uint64_t hlc) { return hlc >> 16; }

// Time that never runs backwards: 48 bits of wall milliseconds, 16 bits of count. A wall clock that
// steps back is outlasted by counting on.
class HybridClock {
 public:
  // How far another node's time may pull ours (spec: authority#E.3).
  static constexpr uint64_t kDragMillisMax = 120'000;

  explicit HybridClock(uint64_t last = 0) : last_(last) {}
  // A time above every one given or taken before.
  uint64_t Tick(WallTime wall);
  // Takes the time of someone else's statement into account. False if it lies more than
  // kDragMillisMax ahead of our wall clock: nothing has moved then (such a statement is DEFERred).
  [[nodiscard]] bool Take(uint64_t remote, WallTime wall);
  uint64_t last() const { return last_; }

 private:
  uint64_t last_;
};

class Chain {
 public:
  // An empty log signed by log key `log`; on `clock` if another log of this node came before.
  explicit Chain(const Kid& log, HybridClock clock = HybridClock()) : log_(log), clock_(clock) {}
  // Goes on after `last`, the body of the newest durable record (store: Head(), Read()). DataLoss
  // if the body does not parse; FailedPrecondition if it belongs to another log.
  static absl::StatusOr<Chain> Resume(const Kid& log, ByteView last);

  // Chains one record. The caller fills what the record says; log, seq, prev and hlc are
  // overwritten. Hand the entries to the store in this order and without gaps, again after a
  // failure that may pass.
  RecordEntry Add(authority::Observe record, WallTime wall);

  Seq next() const { return head_ ? head_->seq + 1 : 0; }
  const std::optional<Head>& head() const { return head_; }
  const Kid& log() const { return log_; }
  HybridClock& clock() {
    return clock_;
  }  // one clock for records and for every hlc this node signs

 private:
  Kid log_;
  std::optional<Head> head_;
  HybridClock clock_;
};

// Reads the entry of a body: strict parse, leaf hash. Errors: DataLoss.
absl::StatusOr<RecordEntry> ParseEntry(ByteView body);

// Walks bodies in seq order and stops at the first that does not follow from the one before.
class ChainVerifier {
 public:
  // Starts at seq 0, where prev must be absent; or at any later record, which is believed as the
  // anchor.
  explicit ChainVerifier(Seq first = 0) : next_(first) {}
  // Checks one body: strict encoding, its seq, prev, log key, rising hlc. DataLoss names what
  // broke.
  absl::Status Add(ByteView body);
  const std::optional<Head>& head() const { return head_; }

 private:
  Seq next_;
  std::optional<Head> head_;
  std::optional<Kid> log_;
  uint64_t hlc_ = 0;
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_CHAIN_H_
