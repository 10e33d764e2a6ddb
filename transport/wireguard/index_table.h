// The local indices in use: handshakes and sessions of all peers share one table.
// Spec:   spec/wire.md §1.7: random, unique, unpredictable; the handshake's index becomes its session's.
// Shards: the low bits of an index name the shard that receives under it, the same for all sessions
//         of a peer: a rekey must not let two shards race with packets of one flow.
// Bounds: four a peer (one handshake, three sessions). Thread: one owner.
#ifndef AQMESH_TRANSPORT_WIREGUARD_INDEX_TABLE_H_
#define AQMESH_TRANSPORT_WIREGUARD_INDEX_TABLE_H_

#include <absl/container/flat_hash_map.h>

#include "core/base/rng.h"
#include "transport/wireguard/outbox.h"

namespace aqmesh::wireguard {

class IndexTable {
 public:
  explicit IndexTable(uint32_t shards) : shard_mask_(shards - 1) {}

  uint32_t New(Rng& rng, PeerId peer) {
    for (;;) {
      const uint32_t index = (rng.U32() & ~shard_mask_) | (peer & shard_mask_);
      if (owners_.try_emplace(index, peer).second) return index;
    }
  }
  PeerId Find(uint32_t index) const {
    const auto it = owners_.find(index);
    return it == owners_.end() ? kNoPeer : it->second;
  }
  void Free(uint32_t index) { owners_.erase(index); }
  size_t size() const { return owners_.size(); }

 private:
  const uint32_t shard_mask_;
  absl::flat_hash_map<uint32_t, PeerId> owners_;
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_INDEX_TABLE_H_
