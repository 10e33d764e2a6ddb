// The next charter, and votes: what a voter signs, each question once.
// Spec:   spec/quorum.md §1 slots, §6 the next charter, §7 signing once.
// Thread: functions without state; a VoteSource keeps the book.
// Errors: InvalidArgument (a body out of its rules), FailedPrecondition (the key answered that
//         question otherwise), or the VoteSource's own. On an error nothing is signed.
#ifndef AQMESH_ISSUING_VOTE_H_
#define AQMESH_ISSUING_VOTE_H_

#include "core/authority/slot_book.h"
#include "issuing/signer.h"

namespace aqmesh::issuing {

// The book of one key, durable before it answers.
class VoteSource {
 public:
  virtual ~VoteSource() = default;
  // As SlotBook::Take; what it then holds is on the disk.
  virtual absl::StatusOr<authority::SlotBook::Answer> Take(const Kid& kid,
                                                           const authority::Slot& slot,
                                                           const Oid& target,
                                                           uint64_t time) = 0;
};

// In memory, for worlds without disks.
class MemoryVotes final : public VoteSource {
 public:
  absl::StatusOr<authority::SlotBook::Answer> Take(const Kid& kid,
                                                   const authority::Slot& slot,
                                                   const Oid& target,
                                                   uint64_t time) override;

 private:
  std::map<Kid, authority::SlotBook> books_;
};

// What follows `now` if nothing else changes: the next version of the same scope, created at
// `time`.
authority::Charter NextOf(const authority::Held<authority::Charter>& now, uint64_t time);
// Its lists in the one order in which they are signed.
void PutInOrder(authority::Charter& charter);
// Signs it, with its lists in order. The object is the signer's vote, so its book is asked first.
absl::StatusOr<authority::Held<authority::Charter>> Propose(authority::Charter body,
                                                            const crypto::Ed25519Seed& seed,
                                                            VoteSource& votes,
                                                            uint64_t time);
// A vote for `target` in its own slot (1 to 3). A vote that was made before is made again, the
// same.
absl::StatusOr<authority::Held<authority::Cosign>> Vote(const authority::Signed& target,
                                                        const crypto::Ed25519Seed& seed,
                                                        VoteSource& votes,
                                                        uint64_t time);

}  // namespace aqmesh::issuing

#endif  // AQMESH_ISSUING_VOTE_H_
