// What the rule that lets a packet pass has done to it on the way: its DSCP set, the segment size
// that its SYN offers lowered. Each end does it to what it sends and to what it receives; twice is
// once.
// Spec:   spec/admission.md §6.1; RFC 2474 (DSCP), RFC 9293 §3.7.1 (MSS), RFC 1624 (checksums kept up).
// Thread: pure, on bytes that are the caller's. Errors: none. Cost: ~2 ns; nothing without marks.
#ifndef AQMESH_ADMISSION_MARKS_H_
#define AQMESH_ADMISSION_MARKS_H_

#include <optional>

#include "admission/packet.h"

namespace aqmesh::admission {

struct Marks {
  std::optional<uint8_t> dscp;  // 0..63
  uint16_t mss = 0;             // at most; 0 = as it is
  bool any() const { return dscp.has_value() || mss != 0; }
  bool operator==(const Marks&) const = default;
};

// `packet` is whole, and `info` is what Classify made of it.
void Apply(const Marks& marks, const PacketInfo& info, MutableBytes packet);

}  // namespace aqmesh::admission

#endif  // AQMESH_ADMISSION_MARKS_H_
