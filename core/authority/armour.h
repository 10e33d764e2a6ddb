// Signed objects as text that survives mail and git.
// Spec:   spec/objects.md §5 "Armour".
// Wire:   -----BEGIN AQMESH GRANT----- (name of the ctx in capitals), base64 with padding in lines
// of 64,
//         -----END AQMESH GRANT-----; LF after each.
// Bounds: at most kArmourTextMax bytes of text and kArmourBlocksMax blocks.
// Errors: InvalidArgument naming the line, counted from 1, and what is wrong there.
// Thread: all functions are pure.
#ifndef AQMESH_CORE_AUTHORITY_ARMOUR_H_
#define AQMESH_CORE_AUTHORITY_ARMOUR_H_

#include "core/authority/signed.h"

namespace aqmesh::authority {

inline constexpr size_t kArmourTextMax = 4u << 20;
inline constexpr size_t kArmourBlocksMax = 1'024;

std::string Armour(const Signed& object);

// One block after another; text outside blocks, CRLF and blanks at line ends are passed over.
// Refused: anything else inside a block, base64 that encodes differently when written again, a
// block whose object is of another kind than its word says, and a text without any block.
absl::StatusOr<std::vector<Signed>> ParseArmour(std::string_view text);
// Exactly one block.
absl::StatusOr<Signed> ParseArmourOne(std::string_view text);
// Whether the text has a line that opens a block: how a reader of files tells armour from bytes.
bool LooksLikeArmour(std::string_view text);

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_ARMOUR_H_
