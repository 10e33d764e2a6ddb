// ForkProof: two things that one key signed where there may be one, as a file that convicts it
// where nothing else of the mesh is but the charter.
//   statements  two statements under one number of a key's stream E or R
//   votes       two cosign objects of a key for one slot
//   heads       two heads of one size that a log signed, with different roots
//   history     two heads of a log, and a proof that the longer has another beginning than the
//   shorter
// Spec:   spec/lineage.md §7.9; spec/objects.md §1 (streams), §7 (proof); spec/authority.md G.
// Wire:   "aqmesh/1/fork", "kind WORD", "first BASE64", "second BASE64"; of a history "root BASE64"
//         and "hash BASE64" lines; then "signed BASE64" lines: what says whose key it is.
// Bounds: kForkBytesMax; kForkCitedMax objects; kProofHashesMax hashes. Thread: pure.
// Errors: InvalidArgument (no such file, or what is in it does not parse), Unauthenticated (it
//         convicts nobody, and why).
// Cost:   Check: two signatures and those of a chain; one more for each cosigner of both heads.
#ifndef AQMESH_LINEAGE_FORK_PROOF_H_
#define AQMESH_LINEAGE_FORK_PROOF_H_

#include <absl/status/statusor.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "core/authority/signed.h"
#include "lineage/tlog/checkpoint.h"

namespace aqmesh::lineage {

inline constexpr std::string_view kForkHeader = "aqmesh/1/fork";
inline constexpr size_t kForkBytesMax = 4'194'304;
inline constexpr size_t kForkCitedMax = 256;

enum class ForkKind : uint8_t { kStatements = 1, kVotes = 2, kHeads = 3, kHistory = 4 };
std::string_view ForkKindName(ForkKind kind);

struct ForkProof {
  ForkKind kind{};
  std::array<Bytes, 2> two;       // Signed objects, or notes: the shorter head first
  Digest root = {};               // history: what the longer head has at the shorter one's size
  tlog::Proof hashes = {};        // history: that it is so, from there to the longer head
  std::vector<Bytes> cited = {};  // Signed: grants, rotations, keybind
  std::string Text() const;
  Digest Id() const;  // of the two alone, in either order; of statements as objects.md §7 says
  bool operator==(const ForkProof&) const = default;
};
absl::StatusOr<ForkProof> ParseForkProof(std::string_view text);

// A place in a key's streams, where one statement may stand. InvalidArgument: it has none.
struct StreamPlace {
  ScopeId scope;
  char stream = 'E';
  uint64_t seq = 0;
  auto operator<=>(const StreamPlace&) const = default;
};
absl::StatusOr<StreamPlace> PlaceOf(const authority::Signed& statement);

// What such a file says once it holds.
struct Convicted {
  Kid signer;        // whose key signed twice; of heads the member's whose log it is
  std::string name;  // by its grant; empty: a voter of the charter
  std::string what;  // one line: what was signed twice
  std::vector<std::string> cosigners = {};  // members that cosigned both heads
};
// Both are signed by one key; the key is a voter's of this charter, or of who the cited grants
// (and rotations) prove, or a log key that such a one has bound to itself; and no honest holder of
// the key could have signed both. That grants have lapsed since is no excuse.
absl::StatusOr<Convicted> CheckForkProof(const ForkProof& proof,
                                         const authority::Held<authority::Charter>& charter);

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_FORK_PROOF_H_
