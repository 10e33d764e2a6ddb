// The book of a signing key, beside it: what it voted for is on the disk before the vote leaves.
// Spec:   spec/quorum.md §7.
// Wire:   KIDHEX.votes, text, LF: "aqmesh-votes 1", "kid HEX32", "book HEX" of SlotBook's bytes,
//         "check HEX16" = H256("aqmesh/1/vote-file" || the lines above)[0..8).
// Bounds: one file a key, at most kVoteFileMax bytes: a full book, in hex.
// Errors: DataLoss (damaged), Unavailable (the disk).
// Thread: one owner; processes that share the directory take turns under its lock.
#ifndef AQMESH_ISSUING_CUSTODY_VOTE_FILE_H_
#define AQMESH_ISSUING_CUSTODY_VOTE_FILE_H_

#include "issuing/custody/private_dir.h"
#include "issuing/vote.h"

namespace aqmesh::issuing {

inline constexpr size_t kVoteFileMax = 2'048 * 512;

class VoteFile final : public VoteSource {
 public:
  explicit VoteFile(PrivateDir& dir) : dir_(&dir) {}

  absl::StatusOr<authority::SlotBook::Answer> Take(const Kid& kid,
                                                   const authority::Slot& slot,
                                                   const Oid& target,
                                                   uint64_t time) override;
  // What the key voted for so far; of one that never did, an empty book.
  absl::StatusOr<authority::SlotBook> Read(const Kid& kid) const;

 private:
  PrivateDir* dir_;
};

}  // namespace aqmesh::issuing

#endif  // AQMESH_ISSUING_CUSTODY_VOTE_FILE_H_
