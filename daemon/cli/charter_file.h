// A charter as a text that a person edits, and back; and what one changes against another, in
// words. Text:   TOML: every field of spec/objects.md §2 charter under its own name. [[voter]],
// [[witness]],
//         [[class]], [[param]], [[probation]] are its lists; keys and oids are hex, classes, caps
//         and flags their names, a probation service is written as in a rule.
// Bounds: those of the object. Thread: pure.
// Errors: InvalidArgument "FILE:LINE:COLUMN: what; the mend"; what the fields are together, the
//         object's own rules say when it is signed.
#ifndef AQMESH_DAEMON_CLI_CHARTER_FILE_H_
#define AQMESH_DAEMON_CLI_CHARTER_FILE_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/authority/signed.h"
#include "core/base/status.h"

namespace aqmesh::cli {

inline constexpr size_t kCharterFileMax = 64 * 1024;

// ParseCharter(PrintCharter(c)) == c for every charter that is not the first of its scope.
std::string PrintCharter(const authority::Charter& charter);
absl::StatusOr<authority::Charter> ParseCharter(std::string_view text, std::string_view file_name);

// One line a change; none: they say the same. Versions, prev and created are not among them.
std::vector<std::string> ChangesOf(const authority::Charter& now, const authority::Charter& next);
// "1 admit up", "24 how votes are counted".
std::string ParamText(uint16_t id);
std::string FlagsText(uint32_t flags);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_CHARTER_FILE_H_
