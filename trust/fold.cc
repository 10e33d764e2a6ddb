#include "trust/fold.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/status.h"

namespace aqmesh::trust {
namespace {

uint32_t Capped(uint32_t have, uint32_t more, uint32_t cap) {
  return static_cast<uint32_t>(std::min<uint64_t>(uint64_t{have} + more, cap));
}

// S_f's half-life: what was done by one who has scars is forgotten later.
HalfLife FastBad(uint32_t kap) {
  constexpr HalfLife kByScars[] = {HalfLife::k8Days,
                                   HalfLife::k16Days,
                                   HalfLife::k32Days,
                                   HalfLife::k64Days,
                                   HalfLife::k128Days};
  return kByScars[std::min<uint32_t>(kap, 4)];
}

// A beta level: the prior is worth W of evidence.
uint32_t Level(uint32_t prior, uint32_t good, uint64_t bad) {
  const uint64_t had = (uint64_t{prior} * kPriorStrength) >> 16;
  return static_cast<uint32_t>(((good + had) << 16) / (good + bad + kPriorStrength));
}

uint32_t GapPenalty(uint64_t away, uint32_t cap) {
  if (away <= kGapFree) return 0;
  const uint64_t beyond = std::min<uint64_t>(away - kGapFree, kGapScale);  // no further: cap <= 1.0
  return static_cast<uint32_t>(std::min<uint64_t>(cap, (beyond << 16) / kGapScale));
}

}  // namespace

void Standing::DecayTo(uint64_t epoch) {
  const uint64_t gap = epoch > last ? epoch - last : 0;
  r_f = Decay(r_f, HalfLife::k2Days, gap);
  s_f = Decay(s_f, FastBad(kap), gap);
  u = Decay(u, HalfLife::k2Days, gap);
  r_s = Decay(r_s, HalfLife::k28Days, gap);
  s_s = Decay(s_s, HalfLife::k112Days, gap);
  j = Decay(j, HalfLife::k1Day, gap);
  x = gap >= x ? 0 : x - static_cast<uint32_t>(std::min<uint64_t>(x, gap * kDriftPerEpoch));
}

// Against the key: both memories, the shock, and the CUSUM, each alarm of which leaves a scar.
void Standing::AddBad(uint32_t bad) {
  s_f = Capped(s_f, bad, kBadMax);
  s_s = Capped(s_s, bad >> 2, kBadMax);
  j = Capped(j, bad >> 4, kOne);
  const uint64_t sum = uint64_t{x} + bad;
  // How often the threshold comes off until no more than the threshold is left. It is taken off and
  // the sum not reset: a reset would let more evidence against a key raise its level.
  const uint64_t alarms = sum > kDriftAlarm ? (sum - 1) / kDriftAlarm : 0;
  x = static_cast<uint32_t>(sum - alarms * kDriftAlarm);
  const uint64_t scars = alarms + (bad >= kMajor ? 1 : 0);
  kap = static_cast<uint32_t>(std::min<uint64_t>(kap + scars, kScarMax));
}

void Standing::Step(uint64_t epoch, const Evidence& evidence) {
  AQ_CHECK(epoch >= last);
  AQ_CHECK(epoch <= kEpochMax);
  DecayTo(epoch);
  last = epoch;
  u = Capped(u, std::min(evidence.u, kRumourPerEpoch), kOne);
  if (col) return;
  if (evidence.equivocation) {
    r_f = r_s = 0;
    s_f = s_s = kBadMax;
    j = kOne;
    kap = std::min(kap + kCollapseScars, kScarMax);
    col = true;
    return;
  }
  if (evidence.r > 0) e_pos = epoch;
  const uint32_t good = std::min(evidence.r, kGoodPerEpoch) >> kap;
  r_f = Capped(r_f, good, kGoodMax);
  r_s = Capped(r_s, good >> 4, kGoodMax);
  if (evidence.s > 0) AddBad(evidence.s);
}

Reading Standing::Read(uint64_t epoch, uint32_t gap_cap) const {
  Standing now = *this;
  now.DecayTo(epoch);
  Reading out;
  out.level_fast = Level(a, now.r_f, uint64_t{now.s_f} + now.u);
  out.level_slow = Level(a, now.r_s, now.s_s);
  out.slope = static_cast<int32_t>(out.level_fast) - static_cast<int32_t>(out.level_slow);
  out.gap = GapPenalty(epoch > e_pos ? epoch - e_pos : 0, gap_cap);
  out.impulse = now.j;
  out.continuity = kOne - std::min(kPenaltyMax, now.j + out.gap);
  const uint64_t lower = std::min(out.level_fast, out.level_slow);
  out.ladm = col ? 0 : static_cast<uint32_t>((lower * out.continuity) >> 16);
  out.scar = kap;
  out.negative = uint64_t{now.s_f} + now.s_s >= kNegativeFrom;
  out.collapsed = col;
  return out;
}

std::array<uint8_t, Standing::kSize> Standing::Encode() const {
  std::array<uint8_t, kSize> out;
  uint8_t* p = out.data();
  for (const uint32_t v : {a, r_f, s_f, u, r_s, s_s, j, x}) {
    StoreBe(p, v);
    p += sizeof v;
  }
  *p++ = static_cast<uint8_t>(kap);
  *p++ = col ? 1 : 0;
  StoreBe(p, last);
  StoreBe(p + sizeof last, e_pos);
  return out;
}

absl::StatusOr<Standing> Standing::Decode(ByteView bytes) {
  if (bytes.size() != kSize)
    return InvalidArgument("standing: ", bytes.size(), " bytes, not ", kSize);
  Standing s;
  struct Field {
    const char* name;
    uint32_t* value;
    uint32_t max;
  };
  const Field fields[] = {{"a", &s.a, kOne},
                          {"R_f", &s.r_f, kGoodMax},
                          {"S_f", &s.s_f, kBadMax},
                          {"U", &s.u, kOne},
                          {"R_s", &s.r_s, kGoodMax},
                          {"S_s", &s.s_s, kBadMax},
                          {"J", &s.j, kOne},
                          {"X", &s.x, kDriftAlarm}};
  const uint8_t* p = bytes.data();
  for (const Field& f : fields) {
    *f.value = LoadBe<uint32_t>(p);
    p += sizeof(uint32_t);
    if (*f.value > f.max) return InvalidArgument("standing: ", f.name, " above ", f.max);
  }
  s.kap = *p++;
  if (s.kap > kScarMax) return InvalidArgument("standing: kap above ", kScarMax);
  if (*p > 1) return InvalidArgument("standing: col is neither 0 nor 1");
  s.col = *p++ == 1;
  s.last = LoadBe<uint64_t>(p);
  s.e_pos = LoadBe<uint64_t>(p + sizeof s.last);
  if (s.last > kEpochMax) return InvalidArgument("standing: last is no epoch");
  if (s.e_pos > s.last) return InvalidArgument("standing: e_pos after last");
  if (s.col && (s.r_f != 0 || s.r_s != 0 || s.kap < kCollapseScars))
    return InvalidArgument("standing: collapsed, but with what a collapse takes away");
  return s;
}

}  // namespace aqmesh::trust
