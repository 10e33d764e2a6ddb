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
  // One first packet of `flow`, judged by `policies`.
  void Note(const admission::Judgement& ruled,
            const admission::Flow& flow,
            const admission::Policies& policies,
            WallTime now);
  bool empty() const { return rows_.empty() && unlisted_ == 0; }
  lineage::Attempts Take();  // and begins anew

 private:
  struct Key {
    std::array<uint8_t, admission::Flow::kSize> flow{};  // its source port zero
    bool opened_here = false;
    uint16_t reason = 0;
    Oid fragment = {};
    uint8_t rule = 0;
    bool operator==(const Key&) const = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& k) {
      return H::combine(std::move(h), k.flow, k.opened_here, k.reason, k.fragment.bytes, k.rule);
    }
  };
  struct Tally {
    uint64_t count = 0, first_millis = 0, last_millis = 0;
  };
  absl::flat_hash_map<Key, Tally> rows_;
  uint64_t unlisted_ = 0;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_ATTEMPT_BOOK_H_
