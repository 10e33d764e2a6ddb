// Text that somebody else may have written, made harmless for a log and a terminal: one line, no
// control sequences, nothing that turns the direction of reading around.
// Spec:   spec/reliability.md §5 (logs).
// Bounds: at most `bytes_max` bytes of the text are shown, then "…"; a byte shown escaped takes up to 8.
// Thread: any; a function of its arguments.
#ifndef AQMESH_DAEMON_NET_PRINTABLE_H_
#define AQMESH_DAEMON_NET_PRINTABLE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace aqmesh::daemon {

inline constexpr size_t kPrintableMax = 256;

// Escaped, as \x1b or \u202e: control bytes (C0, DEL, C1), bytes that are no UTF-8, marks and
// isolates of direction, line and paragraph separators, characters without width. A backslash stays
// as it is, so what went through twice looks the same.
std::string Printable(std::string_view text, size_t bytes_max = kPrintableMax);

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_NET_PRINTABLE_H_
