// Records for people and scripts: names of what records hold in numbers, one record as a line, as a
// page and as JSON, and the filter that picks records.
// Spec:   spec/objects.md §2 `observe` (kinds), §6 (reasons), spec/authority.md F (actions).
// Bounds: a filter's limit is at most kQueryLimitMax; a prefix at most 32 bytes. Thread: pure.
// Errors: a number without a name is rendered as the number; nothing here fails.
#ifndef AQMESH_LINEAGE_RECORD_H_
#define AQMESH_LINEAGE_RECORD_H_

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "core/authority/decision.h"
#include "core/authority/objects.h"
#include "lineage/chain.h"

namespace aqmesh::lineage {

// Reasons from here on are the wire's drop codes (spec/objects.md §2, `drops`).
inline constexpr uint16_t kFirstDropReason = 64;
inline constexpr size_t kQueryLimitMax = 10'000;
inline constexpr int64_t kSlopeZero = 65'536;  // slopes travel as Q16 + 1.0

std::string_view KindName(authority::RecordKind kind);                  // "decided"
std::optional<authority::RecordKind> KindNamed(std::string_view name);  // lower case, as KindName
std::optional<authority::Rung> RungNamed(std::string_view name);        // "ADMIT", either case
std::string_view ActionName(uint16_t action);  // "install_peer"; "" if unknown
// Whether a record carries trust: weights are written by absence when zero, so that they are there
// follows from the gates beside them.
bool HasWeights(const authority::Observe& record);

// Names that other rooms own. Either may be empty: numbers and hex are printed then.
struct Names {
  std::function<std::string_view(uint16_t)> drop =
      {};                                            // wire drop code (reason - 64); "" if unknown
  std::function<std::string(const Kid&)> peer = {};  // display name of a key; "" if unknown
};
// "expired", the wire's name of a drop, or the number; "" for 0.
std::string ReasonName(uint16_t reason, const Names& names);

// "2026-11-21T14:36:15.123Z" of an hlc's milliseconds.
std::string TimeText(uint64_t hlc);

// One line: time, short id, kind, whom, rung, action, reason. No newline.
std::string RenderLine(const authority::Observe& record, const Digest& leaf, const Names& names);
// Every field present, one to a line, "name  value", with a newline after each.
std::string RenderPage(const authority::Observe& record, const Digest& leaf, const Names& names);
// One JSON object on one line. Field names are stable: id seq time hlc kind log prev scope subject
// subject_name authority inputs gates ladm_q16 slope_q16 corr_milli rung action action_id
// intent_gen observed_gen evidence reason reason_code commits flow drops. Absent fields are left
// out; digests are hex, hlc is a decimal string (it exceeds 2^53), slope_q16 is signed.
std::string RenderJson(const authority::Observe& record, const Digest& leaf, const Names& names);

// What stores keep an index of beside subject and time. Every condition set must hold.
struct Where {
  static constexpr uint32_t kAnyKind = 0xffff'ffff;
  static constexpr uint8_t kAnyRung = 0xff;

  uint32_t kinds = kAnyKind;    // bit n: kind n
  uint8_t rungs = kAnyRung;     // bit n: rung n; bit 0: records without one
  Bytes authority_prefix = {};  // first bytes of the AuthDigest
  Bytes id_prefix = {};         // first bytes of the leaf hash: "record 9f3a"

  static uint32_t Kind(authority::RecordKind kind) { return 1u << static_cast<uint32_t>(kind); }
  static uint8_t Rung(authority::Rung rung) {
    return static_cast<uint8_t>(1u << static_cast<uint32_t>(rung));
  }
  bool everything() const {
    return kinds == kAnyKind && rungs == kAnyRung && authority_prefix.empty() && id_prefix.empty();
  }
  bool operator==(const Where&) const = default;
};

// Which records. Every condition set must hold.
struct Filter {
  uint64_t from = 0;                                   // hlc, inclusive
  uint64_t to = std::numeric_limits<uint64_t>::max();  // hlc, exclusive (the maximum: no end)
  std::optional<Kid> subject = {};                     // answered from idx_about
  std::optional<Kid> peer = {};                        // the subject, or whose log it is
  Bytes authority_prefix = {};                         // first bytes of the AuthDigest
  Bytes id_prefix = {};  // first bytes of the leaf hash: "record 9f3a"
  std::optional<authority::Rung> rung = {};
  std::optional<authority::RecordKind> kind = {};
  size_t limit = 100;
  bool newest_first = true;
};
bool Matches(const Filter& filter, const authority::Observe& record, const Digest& leaf);

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_RECORD_H_
