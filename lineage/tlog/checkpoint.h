// Checkpoints: the head of a log as a signed note; cosignatures on it; and proofs that travel with
// one.
// Spec:   C2SP tlog-checkpoint v1.0.0, tlog-cosignature, tlog-proof; spec/lineage.md §7.3.
// Wire:   text: origin, size in decimal, root in base64, further non-empty lines, each with its
//         newline. A proof: "c2sp.org/tlog-proof@v1", "index N", hashes in base64, an empty line,
//         the checkpoint.
// Bounds: as note.h; kExtensionsMax lines; kProofHashesMax hashes. Thread: pure.
// Errors: InvalidArgument naming the line. Parsing checks no signature.
#ifndef AQMESH_LINEAGE_TLOG_CHECKPOINT_H_
#define AQMESH_LINEAGE_TLOG_CHECKPOINT_H_

#include "lineage/tlog/note.h"
#include "lineage/tlog/proof.h"

namespace aqmesh::tlog {

inline constexpr size_t kExtensionsMax = 16;

struct Checkpoint {
  std::string origin;
  uint64_t size = 0;
  Digest root;
  std::vector<std::string> extensions = {};
  std::string Text() const;  // what is signed
  bool operator==(const Checkpoint&) const = default;
};
absl::StatusOr<Checkpoint> ParseCheckpointText(std::string_view text);

// With its signatures; the note is what came.
struct SignedCheckpoint {
  Checkpoint checkpoint;
  Note note;
  bool operator==(const SignedCheckpoint&) const = default;
};
absl::StatusOr<SignedCheckpoint> ParseCheckpoint(std::string_view bytes);
// By the log itself: the signer's name is the origin, its type 1. AQ_CHECKs both.
SignedCheckpoint SignCheckpoint(Checkpoint checkpoint, const NoteSigner& log);

// Takes the lines that are cosignatures (type 4) of known cosigners, each once, into the note;
// lines of others are left. How many were new. Errors: InvalidArgument (no lines), Unauthenticated
// (a known cosigner's line is wrong: nothing was taken), ResourceExhausted (kNoteLinesMax).
absl::StatusOr<size_t> TakeCosignatures(std::string_view answer,
                                        std::span<const NoteKey> cosigners,
                                        SignedCheckpoint& into);

// The id under which a checkpoint is cited: BLAKE2b-256 of its text, so that cosignatures gathered
// later change nothing (spec/objects.md §7).
Oid NoteOid(std::string_view text);

// A record's place in a log, to be verified without the log.
struct LogProof {
  Bytes extra = {};  // nobody signed it
  uint64_t index = 0;
  Proof hashes;
  SignedCheckpoint head;
  std::string Text() const;
  bool operator==(const LogProof&) const = default;
};
absl::StatusOr<LogProof> ParseLogProof(std::string_view bytes);
// The path alone, from the leaf to the head's root; the signatures are VerifyNote's.
absl::Status VerifyPath(const LogProof& proof, const Digest& leaf);

}  // namespace aqmesh::tlog

#endif  // AQMESH_LINEAGE_TLOG_CHECKPOINT_H_
