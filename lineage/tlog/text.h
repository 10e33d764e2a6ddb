// The grammar that notes, checkpoints, requests and proofs share: lines, decimal numbers, hashes in
// base64, names and UTF-8.
// Spec:   C2SP signed-note (characters, key names), tlog-checkpoint (sizes); spec/lineage.md §7.3.
// Bounds: reads inside the view that it was given. Thread: pure. Errors: nullopt or false.
#ifndef AQMESH_LINEAGE_TLOG_TEXT_H_
#define AQMESH_LINEAGE_TLOG_TEXT_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/ids.h"

namespace aqmesh::tlog {

// "0", or digits that do not begin with 0; below 2^63.
std::optional<uint64_t> ParseDecimal(std::string_view text);
// 32 bytes in the one base64 that ToBase64 gives.
std::optional<Digest> ParseHash(std::string_view text);
// Takes the line up to the first newline from the front of `text`, without it. nullopt and nothing
// taken if there is no newline.
std::optional<std::string_view> TakeLine(std::string_view& text);

// Valid UTF-8 (shortest forms, no surrogates) without control characters below 0x20 but newline.
bool IsNoteText(std::string_view text);
// Not empty, valid UTF-8, no white space of Unicode's, no control character, no plus; at most
// kNameBytesMax.
inline constexpr size_t kNameBytesMax = 255;  // an origin in an ML-DSA cosignature has a u8 length
bool IsKeyName(std::string_view text);

}  // namespace aqmesh::tlog

#endif  // AQMESH_LINEAGE_TLOG_TEXT_H_
