// Why an object was refused, and at which byte: one sentence for people, one number for tools.
// Spec:   spec/objects.md §1-2.
// Errors: ToStatus gives InvalidArgument "grant: field 11 obligations at byte 143: unknown bit 0x0080
//         (spec/objects.md §2)"; RefusedByte reads the number back, for a tool's "byte".
#ifndef AQMESH_CORE_WIRE_REFUSAL_H_
#define AQMESH_CORE_WIRE_REFUSAL_H_

#include <absl/status/status.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace aqmesh::wire {

struct Refusal {
  std::string thing;     // "grant", "envelope"
  std::string field;     // "field 12 voters, field 3 weight"; empty: the whole
  size_t byte = 0;       // from the start of the thing
  std::string rule;      // "unknown bit 0x0080"
  unsigned section = 1;  // of spec/objects.md
  absl::Status ToStatus() const;
};

// The byte of a status that ToStatus made, however annotated since; nullopt for any other status.
std::optional<size_t> RefusedByte(const absl::Status& status);

}  // namespace aqmesh::wire

#endif  // AQMESH_CORE_WIRE_REFUSAL_H_
