// Evidence: one record with its proof and what it cites, as a file that is checked where nothing
// else of the log is.
// Spec:   spec/lineage.md §7.7; C2SP tlog-proof for the part behind the empty line.
// Wire:   "aqmesh/1/evidence", "record BASE64", then "signed", "inputs", "proof", "note", "policy"
// or
//         "opening" BASE64 for what is cited, an empty line, a tlog-proof.
// Bounds: kEvidenceBytesMax; kCitedMax things of kStoredObjectBytesMax each. Thread: pure.
// Errors: InvalidArgument (no such file), Unauthenticated (signatures, path), DataLoss (what it
//         cites is not what the record names).
#ifndef AQMESH_LINEAGE_EVIDENCE_H_
#define AQMESH_LINEAGE_EVIDENCE_H_

#include "lineage/content.h"
#include "lineage/store.h"
#include "lineage/tlog/checkpoint.h"

namespace aqmesh::lineage {

inline constexpr size_t kEvidenceBytesMax = 4'194'304;
inline constexpr size_t kCitedMax = 256;

struct Cited {
  Shelf shelf = Shelf::kSigned;
  Bytes bytes;
  bool operator==(const Cited&) const = default;
};

struct Evidence {
  Bytes record;  // the body, as it is in the log
  std::vector<Cited> cited = {};
  tlog::LogProof proof;
  std::string Text() const;
  bool operator==(const Evidence&) const = default;
};
absl::StatusOr<Evidence> ParseEvidence(std::string_view text);

// What an evidence file says once it holds. Whose log that is, and whether those cosigners are
// enough, is the caller's question: the answers are in what it cites.
struct Proven {
  authority::Observe record;
  Digest leaf;
  std::vector<tlog::Signer> cosigned;  // places in `cosigners`, with their times
  Content content;                     // kClosed: what the record commits to was not disclosed
};
// `log`: the key of the log that the record names (a keybind says whose it is). In this order: the
// record parses and names that key and the proof's place; the head is of its log, signed by it; no
// known cosigner's line is wrong; the path leads from the record to the head; inputs that are cited
// are those that the record names; openings are of what it commits to.
absl::StatusOr<Proven> CheckEvidence(const Evidence& evidence,
                                     const Ed25519Key& log,
                                     std::span<const tlog::NoteKey> cosigners);

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_EVIDENCE_H_
