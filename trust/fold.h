// The trust slope of one key as one observer sees it: evidence of an epoch in, levels out.
// Spec:   spec/trust.md §2-§5. Q16 unless said; whole numbers, rounded down, each step as written.
// Wire:   Standing, 50 bytes, big-endian: a, R_f, S_f, U, R_s, S_s, J, X u32 each; kap u8; col u8;
//         last u64; e_pos u64.
// Bounds: a fixed size. Any evidence and any epoch is taken; sums stop at their caps before they overflow.
// Thread: values; all functions are pure. No clock, no allocation.
// Errors: Decode says InvalidArgument naming the field. An epoch before `last` is ours and a failed check.
// Cost:   a Step 40 ns, a Read 70: six decays each.
#ifndef AQMESH_TRUST_FOLD_H_
#define AQMESH_TRUST_FOLD_H_

#include <absl/status/statusor.h>

#include <array>
#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "trust/decay.h"

namespace aqmesh::trust {

inline constexpr uint32_t kOne = 65'536;

inline constexpr uint32_t kPriorStrength = 4 * kOne;   // W: the evidence that a prior is worth
inline constexpr uint32_t kGoodMax = 8 * kOne;         // RCAP
inline constexpr uint32_t kBadMax = 4'096 * kOne;      // SCAP
inline constexpr uint32_t kGoodPerEpoch = kOne / 4;    // RMAX
inline constexpr uint32_t kRumourPerEpoch = kOne / 4;  // of u
inline constexpr uint32_t kDriftPerEpoch = 28;         // K: what CUSUM forgives, 0.123 a day
inline constexpr uint32_t kDriftAlarm = 4 * kOne;      // XH
inline constexpr uint32_t kMajor = 4 * kOne;           // s of an epoch that leaves a scar by itself
inline constexpr uint32_t kScarMax = 15;               // kap
inline constexpr uint32_t kScarCapsAt = 4;             // kap from which CONSTRAIN is the most
inline constexpr uint32_t kCollapseScars = 4;
inline constexpr uint64_t kGapFree = 3 * kEpochsPerDay;  // G0
inline constexpr uint64_t kGapScale = 28 * kEpochsPerDay;
inline constexpr uint32_t kGapCap = kOne / 4;    // of the standard profile
inline constexpr uint32_t kGapCapSmallMesh = 0;  // who slept is not suspect
inline constexpr uint32_t kPenaltyMax = kOne / 2;
inline constexpr uint32_t kNegativeFrom = kOne / 4;  // S_f + S_s that counts as negative evidence
inline constexpr int32_t kPromotionSlope = -1'311;   // -0.02
inline constexpr int32_t kBreakSlope = -9'830;       // -0.15
inline constexpr uint32_t kBreakImpulse = 1'024;

inline constexpr uint64_t kEpochMillis = 300'000;
inline constexpr uint64_t kEpochMax = UINT64_MAX / kEpochMillis;
constexpr uint64_t EpochOf(uint64_t hlc_millis) { return hlc_millis / kEpochMillis; }

// What one epoch brought, summed before it is folded.
struct Evidence {
  uint32_t r = 0;             // for the key, proven or seen
  uint32_t s = 0;             // against it, proven or seen
  uint32_t u = 0;             // against it, told by others without proof
  bool equivocation = false;  // proven
  bool operator==(const Evidence&) const = default;
};

struct Reading {
  uint32_t level_fast = 0;  // L_f
  uint32_t level_slow = 0;  // L_s
  int32_t slope = 0;        // L_f - L_s
  uint32_t gap = 0;         // G: the penalty for absence
  uint32_t continuity = 0;  // what is left of a level after impulse and gap
  uint32_t ladm = 0;        // 0..65536
  uint32_t impulse = 0;     // J, decayed
  uint32_t scar = 0;        // kap
  bool negative = false;    // S_f + S_s >= kNegativeFrom
  bool collapsed = false;

  bool promotable() const { return slope >= kPromotionSlope; }
  bool broken() const { return slope <= kBreakSlope && impulse >= kBreakImpulse; }  // slope break
  bool capped() const { return scar >= kScarCapsAt; }  // CONSTRAIN at the most, until a pardon
  bool operator==(const Reading&) const = default;
};

// The state. It changes in Step alone; what stands here is as of `last`, and a Read decays a copy.
struct Standing {
  static constexpr size_t kSize = 50;

  uint32_t a = 0;      // prior; fixed at the first fold
  uint32_t r_f = 0;    // short memory, for: half-life 2 d
  uint32_t s_f = 0;    // short memory, against: 8 d, doubled by each scar up to 128 d
  uint32_t u = 0;      // rumour: 2 d
  uint32_t r_s = 0;    // long memory, for: 28 d
  uint32_t s_s = 0;    // long memory, against: 112 d
  uint32_t j = 0;      // recent shock: 1 d
  uint32_t x = 0;      // CUSUM of what is against
  uint32_t kap = 0;    // scars; never fall
  uint64_t last = 0;   // epoch of the last fold, at first of creation
  uint64_t e_pos = 0;  // of the last fold with r > 0, at first of creation
  bool col = false;    // collapsed by an equivocation, for good

  static Standing New(uint32_t prior, uint64_t epoch) {
    AQ_CHECK(prior <= kOne);
    Standing fresh;
    fresh.a = prior;
    fresh.last = fresh.e_pos = epoch;
    return fresh;
  }

  // Folds one epoch's evidence; epoch >= last. Not to be called for an epoch that brought nothing.
  void Step(uint64_t epoch, const Evidence& evidence);
  // As it is in `epoch`; an epoch before `last` reads as `last`. gap_cap is the profile's.
  Reading Read(uint64_t epoch, uint32_t gap_cap = kGapCap) const;

  std::array<uint8_t, kSize> Encode() const;
  static absl::StatusOr<Standing> Decode(ByteView bytes);

  bool operator==(const Standing&) const = default;

 private:
  void DecayTo(uint64_t epoch);
  void AddBad(uint32_t bad);
};

}  // namespace aqmesh::trust

#endif  // AQMESH_TRUST_FOLD_H_
