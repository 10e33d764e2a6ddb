// Evidence as the commands make and judge it: what a record's proof cites, and whose log it is by
// the charter alone.
// Spec:   spec/lineage.md §7.7. Thread: pure; reads the store.
// Errors: NotFound (no binding of the log key), ResourceExhausted (too much is cited),
//         Unauthenticated (what does not follow from the charter), those of CheckEvidence.
#ifndef AQMESH_DAEMON_CLI_EVIDENCE_CHECK_H_
#define AQMESH_DAEMON_CLI_EVIDENCE_CHECK_H_

#include <string>
#include <string_view>
#include <vector>

#include "daemon/cli/log_owner.h"
#include "lineage/evidence.h"

namespace aqmesh::cli {

// What the record commits to: it goes with it, or stays here.
enum class Disclosure : uint8_t { kNone, kAll };

// The record with its proof under `head`, and all that a checker needs beside the charter.
// FailedPrecondition: what is to be disclosed cannot be opened here.
absl::StatusOr<lineage::Evidence> MakeEvidence(const lineage::Store& store,
                                               const KnownObjects& known,
                                               const authority::Observe& record,
                                               tlog::SignedCheckpoint head,
                                               Disclosure disclosure = Disclosure::kNone);

struct Judged {
  lineage::Proven proven;
  Member owner;                 // whose log it is
  std::vector<Member> members;  // at the record's time; proven.cosigned are places in it
  KnownObjects known;           // the cited grants, for names
};
// Nothing but the evidence and the charter is believed. `place` names the file in errors.
absl::StatusOr<Judged> JudgeEvidence(const lineage::Evidence& evidence,
                                     const Held<authority::Charter>& charter,
                                     std::string_view place);

// From an operator's file: a first charter must be signed by its own keys.
absl::StatusOr<Held<authority::Charter>> ReadCharter(Session& s, const std::string& path);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_EVIDENCE_CHECK_H_
