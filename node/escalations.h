// Escalations: what waits for a person. One item a subject and cause, the same all over the mesh;
// it lapses by itself, and comes back if there is still cause.
// Spec:   spec/admission.md §4; spec/objects.md §7. State: "escalation/ITEM", 32 bytes.
// Bounds: kMax items; full, the one about whom is trusted least goes, of those the oldest.
// Thread: the control engine's.
#ifndef AQMESH_NODE_ESCALATIONS_H_
#define AQMESH_NODE_ESCALATIONS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/authority/approval.h"
#include "core/authority/decision.h"
#include "core/base/time.h"
#include "node/recorder.h"

namespace aqmesh::node {

struct Escalation {
  Kid subject = {};
  authority::Cause cause{};
  authority::Rung rung = authority::Rung::kNone;
  authority::Reason reason = authority::Reason::kNone;
  uint64_t opened = 0;  // wall seconds
  uint32_t ladm = 0;
  bool operator==(const Escalation&) const = default;
};

class Escalations {
 public:
  static constexpr size_t kMax = 1'024;
  static constexpr uint64_t kLife = 3'600;  // seconds

  explicit Escalations(Recorder& recorder) : recorder_(recorder) {}

  void Load(std::string_view name, ByteView value);
  // True: it was not open yet.
  bool Open(const authority::Nonce16& item, const Escalation& e);
  void Close(const authority::Nonce16& item);
  void Expire(uint64_t now);
  const std::map<authority::Nonce16, Escalation>& all() const { return all_; }

 private:
  Recorder& recorder_;
  std::map<authority::Nonce16, Escalation> all_;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_ESCALATIONS_H_
