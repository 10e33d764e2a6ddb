// What the owner of this machine allows, whatever the mesh says. It can only narrow.
// Spec:   spec/authority.md C.4 ("local policy"; absent or unreadable = deny); the daemon parses the file.
// Bounds: kDenialsMax denials. Thread: a value.
#ifndef AQMESH_ADMISSION_LOCAL_POLICY_H_
#define AQMESH_ADMISSION_LOCAL_POLICY_H_

#include <string>
#include <vector>

#include "core/authority/decision.h"

namespace aqmesh::admission {

// Denies what it matches, before any rule is asked. Doubt denies: an unclassifiable packet between
// matching parties is denied whatever protos and ports say, and a tag or node covers all that the
// party sends.
struct ExtraDenial {
  authority::Selector src, dst;
  Bytes protos;                           // IP numbers; empty or {255} = all
  std::vector<authority::Range16> ports;  // destination ports of protos that have them; empty = all
  std::string note;                       // for explain: why the owner wrote it
  bool operator==(const ExtraDenial&) const = default;
};

inline constexpr size_t kDenialsMax = 256;  // a hand-written list; the daemon refuses a longer file

struct LocalPolicy {
  bool readable = false;                                    // false: nothing is allowed
  authority::Rung default_rung = authority::Rung::kRefuse;  // ceiling for governed peers
  authority::Rung plain_ceiling =
      authority::Rung::kConstrain;  // ceiling for PLAIN peers (spec/authority.md B.2)
  std::vector<ExtraDenial> denials;
  Digest file_hash;  // of the file's bytes: goes into INPUTS
  std::string text;  // those bytes: kept beside INPUTS, so that a decision can be made again
  bool operator==(const LocalPolicy&) const = default;
};

// The gate's answer of local policy for a subject of this class.
authority::GateResult JudgeLocal(const LocalPolicy& policy, authority::Class cls);

// What `init` writes: everything the mesh grants, PLAIN at CONSTRAIN.
LocalPolicy OpenLocalPolicy();

}  // namespace aqmesh::admission

#endif  // AQMESH_ADMISSION_LOCAL_POLICY_H_
