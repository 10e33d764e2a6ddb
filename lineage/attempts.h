// Attempts: which flows one peer and this machine opened to each other, let through or refused, as
// the content that a FLOW record commits to (lineage/content.h).
// Spec:   spec/lineage.md §11.1; strict subset of protobuf, spec/objects.md §1.
// Wire:   Attempts: 1*256 rows Attempt; 2? unlisted u64
//         Attempt: 1! flow b38, its source port (or echo identifier) zero unless logged; 2? opened
//         u8 1 = by this machine; 3? reason u16, absent = let through; 4? fragment b32, 5? rule u8
//         1 + index, both iff let through; 6! count u64; 7! first u64 ms; 8! last u64 ms; 9? logged
//         u8 1; 10? headers b1-64, only if logged.
// Bounds: kAttemptRowsMax rows, strictly ascending as encoded. Thread: values.
// Errors: InvalidArgument naming the field, the rule and the byte.
#ifndef AQMESH_LINEAGE_ATTEMPTS_H_
#define AQMESH_LINEAGE_ATTEMPTS_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/net.h"

namespace aqmesh::lineage {

inline constexpr size_t kAttemptRowsMax = 256;
inline constexpr size_t kAttemptsBytesMax = 49'152;
inline constexpr size_t kAttemptHeadersMax = 64;

// Flows that differ in their source port alone, which ended the same way by the same rule. One that
// had to be logged is a row of its own.
struct Attempt {
  struct Rule {
    Oid fragment;
    uint8_t index = 0;
    bool operator==(const Rule&) const = default;
  };
  IpAddress src, dst;        // of the first packet
  uint8_t proto = 0;         // 255: it could not be classified
  uint16_t port = 0;         // at dst; 0 where the protocol has none
  uint16_t src_port = 0;     // or the echo identifier; 0 unless logged
  bool opened_here = false;  // by this machine; else by the peer
  uint16_t reason = 0;       // authority::Reason of the refusal; 0: let through ...
  std::optional<Rule> rule;  // ... by this rule
  uint64_t count = 0;        // flows
  uint64_t first_millis = 0, last_millis = 0;  // wall time of the first packets
  bool logged = false;  // a rule, an obligation or the rung asked for a row of its own
  Bytes headers = {};   // and for how its first packet began
  bool allowed() const { return reason == 0; }
  bool operator==(const Attempt&) const = default;
};

struct Attempts {
  std::vector<Attempt> rows;
  uint64_t unlisted = 0;  // further flows, when kAttemptRowsMax rows were full
  bool empty() const { return rows.empty() && unlisted == 0; }
  bool operator==(const Attempts&) const = default;
};

// Sorts the rows. AQ_CHECKs the bounds and what is required.
Bytes EncodeAttempts(const Attempts& attempts);
absl::StatusOr<Attempts> ParseAttempts(ByteView bytes);

std::string ProtocolName(uint8_t proto);  // "tcp", "other", or the number

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_ATTEMPTS_H_
