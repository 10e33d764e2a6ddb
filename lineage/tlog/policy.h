// Policy: which logs are known, and which of their witnesses make a head good enough.
// Spec:   C2SP tlog-policy; spec/lineage.md §7.3.
// Wire:   lines "log VKEY [URL]", "witness NAME VKEY [URL]", "group NAME K|any|all MEMBER...", one
//         "quorum NAME|none"; words apart by spaces or tabs; empty lines and # comments.
// Bounds: kPolicyBytesMax; kPolicyNamesMax witnesses and groups. A name refers to earlier lines only,
//         so nothing recurs. Thread: a value.
// Errors: InvalidArgument naming the line; from Accept, Unauthenticated and PermissionDenied.
#ifndef AQMESH_LINEAGE_TLOG_POLICY_H_
#define AQMESH_LINEAGE_TLOG_POLICY_H_

#include "lineage/tlog/checkpoint.h"

namespace aqmesh::tlog {

inline constexpr size_t kPolicyBytesMax = 65'536;
inline constexpr size_t kPolicyNamesMax = 256;

class Policy {
 public:
  static absl::StatusOr<Policy> Parse(std::string_view text);

  struct Peer {
    NoteKey key;
    std::string url;   // may be empty: where to ask, for whoever asks
    std::string name;  // of a witness: what the policy calls it
    bool operator==(const Peer&) const = default;
  };
  const std::vector<Peer>& logs() const { return logs_; }  // named by their origins
  std::vector<Peer> witnesses() const;

  // Is the head signed by a log of the policy, under its own origin, and cosigned by the quorum?
  // Unauthenticated: no such log signed it, or a known signature is wrong. PermissionDenied: too
  // few witnesses; the message says which have cosigned.
  absl::Status Accept(const SignedCheckpoint& head) const;
  // The same of a log that the policy need not name: `logs` are its keys.
  absl::Status AcceptFrom(const SignedCheckpoint& head, std::span<const NoteKey> logs) const;

 private:
  // A witness, or a group of earlier ones.
  struct Named {
    std::string name;
    std::optional<Peer> witness;
    size_t wanted = 1;
    std::vector<size_t> members;
  };
  absl::Status TakeLine(std::span<const std::string_view> words);
  absl::Status TakeLog(std::span<const std::string_view> words);
  absl::Status TakeWitness(std::span<const std::string_view> words);
  absl::Status TakeGroup(std::span<const std::string_view> words);
  absl::Status TakeQuorum(std::span<const std::string_view> words);
  absl::Status Define(Named named);
  std::optional<size_t> Find(std::string_view name) const;

  std::vector<Peer> logs_;
  std::vector<Named> named_;
  bool has_quorum_ = false;
  std::optional<size_t> quorum_;  // none: no cosignature is needed
};

}  // namespace aqmesh::tlog

#endif  // AQMESH_LINEAGE_TLOG_POLICY_H_
