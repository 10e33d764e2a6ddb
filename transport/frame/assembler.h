// Puts pieces together: objects from OBJECT messages or GIVEs, and a peer's VECTOR from its parts.
// Spec:   spec/objects.md §4 (GIVE: slots, 60 s), §6 (OBJECT, VECTOR), §7 (rows).
// Bounds: Options: unfinished objects, bytes in all, bytes a peer. Memory is taken as an object's total
//         says, so the bounds count totals, not what has come. Full: the newcomer is refused, since
//         pushing out an older one would let a flood starve honest senders.
// Errors: Drop. Thread: one owner. Judges nothing: the caller checks that a finished object's oid begins
//         with the ref under which it came.
#ifndef AQMESH_TRANSPORT_FRAME_ASSEMBLER_H_
#define AQMESH_TRANSPORT_FRAME_ASSEMBLER_H_

#include <chrono>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/time.h"
#include "transport/frame/control.h"
#include "transport/frame/notice.h"

namespace aqmesh::frame {

class ObjectAssembler {
 public:
  struct Options {
    size_t piece_bytes = kObjectPiece;  // kGivePiece before admission
    size_t objects_max = 256;
    size_t bytes_max = size_t{1} << 20;
    size_t peer_bytes_max = size_t{64} << 10;
    std::chrono::seconds life{60};  // since its first piece: a trickle holds no slot longer
  };
  explicit ObjectAssembler(const Options& options) : options_(options) {}

  // Who sends: pieces of different peers are never mixed, so none can spoil another's object.
  using PeerKey = FixedBytes<16, struct AssemblerPeerTag>;  // a kid, or the H128 in a ticket

  // A parsed piece. Sets `finished` when it was the last one missing. A repeated piece is no error;
  // one that disagrees in total or bytes drops the whole object (kFragmentConflict).
  Drop Add(Instant now, const PeerKey& peer, const Piece& piece, std::optional<Bytes>& finished);
  void Forget(const PeerKey& peer);
  void Expire(Instant now);
  Instant NextExpiry() const;  // kNever: nothing unfinished
  size_t unfinished() const { return slots_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Slot {
    Instant born;
    Bytes object;
    uint32_t have = 0;  // bit i: piece i came
  };
  using Slots = std::map<std::pair<PeerKey, Ref16>, Slot>;
  Slots::iterator Erase(Slots::iterator it);
  size_t BytesOf(const PeerKey& peer) const;

  Options options_;
  Slots slots_;
  size_t bytes_ = 0;
};

// One peer's VECTOR. A part with another request or count of parts begins anew.
class VectorAssembler {
 public:
  // kFragmentConflict if two parts of one request disagree or their rows do not ascend across
  // parts.
  Drop Add(uint32_t request, const VectorPart& part);
  bool complete() const { return parts_ != 0 && got_ == parts_; }
  std::vector<Row> Rows() const;  // all of them, ascending; only when complete

 private:
  uint32_t request_ = 0;
  size_t parts_ = 0, got_ = 0;
  std::vector<std::optional<std::vector<Row>>> rows_;
};

}  // namespace aqmesh::frame

#endif  // AQMESH_TRANSPORT_FRAME_ASSEMBLER_H_
