// AttemptBook: which flows one peer and this machine opened to each other since the last FLOW
// record, and how each ended at the gate.
// Spec:   spec/lineage.md §11.1. Bounds: lineage::kAttemptRowsMax rows; further flows are counted.
// Thread: under the Datapath's lock. Cost: ~0.1 us a new flow; nothing for the packets after.
#ifndef AQMESH_NODE_ATTEMPT_BOOK_H_
#define AQMESH_NODE_ATTEMPT_BOOK_H_

#include <absl/container/flat_hash_map.h>

#include "admission/flow_cache.h"
#include "lineage/attempts.h"

namespace aqmesh::node {

class AttemptBook {
 public:
  // `packet`, the first of `flow`, judged by `policies`.
  void Note(const admission::Judgement& ruled,
            const admission::Flow& flow,
            ByteView packet,
            const admission::Policies& policies,
            WallTime now);
  bool empty() const { return rows_.empty() && unlisted_ == 0; }
  // Little room is left, and there are flows that each need a row.
  bool pressed() const { return logged_ && rows_.size() >= lineage::kAttemptRowsMax * 3 / 4; }
  lineage::Attempts Take();  // and begins anew

 private:
  struct Key {
    std::array<uint8_t, admission::Flow::kSize> flow{};  // its source port zero unless logged
    bool logged = false;
    bool opened_here = false;
    uint16_t reason = 0;
    Oid fragment = {};
    uint8_t rule = 0;
    bool operator==(const Key&) const = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& k) {
      return H::combine(
          std::move(h), k.flow, k.logged, k.opened_here, k.reason, k.fragment.bytes, k.rule);
    }
  };
  struct Tally {
    uint64_t count = 0, first_millis = 0, last_millis = 0;
    Bytes headers = {};
  };
  absl::flat_hash_map<Key, Tally> rows_;
  uint64_t unlisted_ = 0;
  bool logged_ = false;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_ATTEMPT_BOOK_H_
