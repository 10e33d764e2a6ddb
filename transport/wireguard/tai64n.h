// The timestamp of an initiation: TAI64N, whitened, and never the same twice in one process.
// Spec:  spec/wire.md §1.3: BE64(0x400000000000000a + unix seconds) || BE32(nanoseconds & ~0xffffff). The
//        10 s offset is fixed. Whitening hides when exactly we ran; 2^24 ns is just under the 20 ms
//        between initiations that a responder accepts.
// Thread: one owner.
#ifndef AQMESH_TRANSPORT_WIREGUARD_TAI64N_H_
#define AQMESH_TRANSPORT_WIREGUARD_TAI64N_H_

#include "core/base/bytes.h"
#include "core/base/time.h"

namespace aqmesh::wireguard {

using Tai64n = FixedBytes<12, struct Tai64nTag>;  // compares as memcmp does, which is by time

Tai64n ToTai64n(WallTime wall);  // whitened; times before 1970 become 1970

// Our own stamps. Strictly increasing even when the wall clock stands still or goes back, so that a
// peer which remembers our last one keeps answering.
class Tai64nClock {
 public:
  Tai64n Next(WallTime wall);

 private:
  int64_t last_nanos_ = -1;
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_TAI64N_H_
