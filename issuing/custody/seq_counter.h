// The numbers of a signing key, on disk before anything is signed under them.
// Spec:   spec/objects.md §1 streams; authority A.6: one key per device, fsync before signing, refuse a state
//         that went backwards (a restored backup would make an honest key look like an
//         equivocator).
// Wire:   KIDHEX.seq, text, LF: "aqmesh-seq 1", "kid HEX32", "e N", "r N OIDHEX|-", "last CTX
// BODYHEX|-",
//         "check HEX16" = H256("aqmesh/1/seq-file" || the lines above)[0..8).
// Bounds: one file a key, at most kSeqFileMax bytes.
// Errors: FailedPrecondition (no file: Create was never called, or it was lost), DataLoss (damaged, or
//         behind what this process or a peer has seen), Unavailable (the disk).
// Thread: one owner; processes that share the directory take turns under its lock.
// Cost:   one file written, two fsyncs a number.
#ifndef AQMESH_ISSUING_CUSTODY_SEQ_COUNTER_H_
#define AQMESH_ISSUING_CUSTODY_SEQ_COUNTER_H_

#include <absl/container/flat_hash_map.h>

#include "issuing/custody/private_dir.h"
#include "issuing/signer.h"

namespace aqmesh::issuing {

inline constexpr size_t kSeqFileMax = 4'096;

class SeqCounter final : public SeqSource {
 public:
  explicit SeqCounter(PrivateDir& dir) : dir_(&dir) {}

  // Once per key, before its first signature (and before its key file exists). AlreadyExists
  // otherwise.
  absl::Status Create(const Kid& kid);

  absl::StatusOr<uint64_t> ReserveExpansion(const Kid& kid) override;
  absl::StatusOr<RestrictionHead> LastRestriction(const Kid& kid) override;
  absl::Status ReserveRestriction(const Kid& kid, const RestrictionHead& next) override;

  // A peer holds statements of this key up to these: never number below them. DataLoss if the
  // peer's R head has our number and another oid, or is ahead of ours: then the disk is a restored
  // one, and stream R cannot go on without the statements it lost.
  absl::Status Raise(const Kid& kid, uint64_t expansion, const RestrictionHead& restriction);

 private:
  struct State {
    uint64_t expansion = 0;
    RestrictionHead restriction;
  };
  absl::StatusOr<State> Load(const Kid& kid);
  absl::Status Store(const Kid& kid, const State& state, PrivateDir::Replace replace);
  static std::string Print(const Kid& kid, const State& state);
  static absl::StatusOr<State> Parse(const Kid& kid, std::string_view text);

  PrivateDir* dir_;
  absl::flat_hash_map<Kid, State> seen_;  // the highest that this process has read or written
};

}  // namespace aqmesh::issuing

#endif  // AQMESH_ISSUING_CUSTODY_SEQ_COUNTER_H_
