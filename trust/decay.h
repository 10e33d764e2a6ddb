// How evidence fades: a number of Q16 halves once a half-life, by whole numbers and tables alone.
// Spec:   spec/trust.md §3: T[h][i] = floor(2^32 * 2^(-2^i/h)); for each set bit i of the gap, least
//         significant first, x = (x * T[h][i]) >> 32; a gap of 2^20 epochs or more leaves 0.
// Thread: pure. Cost: one multiplication for each set bit of the gap, 20 at most; no allocation.
#ifndef AQMESH_TRUST_DECAY_H_
#define AQMESH_TRUST_DECAY_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace aqmesh::trust {

inline constexpr uint64_t kEpochsPerDay = 288;  // an epoch is 300 s

// In epochs. Each is 9 or 63 times a power of two, which is why two tables serve them all.
enum class HalfLife : uint32_t {
  k1Day = 288,
  k2Days = 576,
  k8Days = 2'304,
  k16Days = 4'608,
  k32Days = 9'216,
  k64Days = 18'432,
  k128Days = 36'864,
  k28Days = 8'064,
  k112Days = 32'256,
};

inline constexpr size_t kDecayBits = 20;
using DecayTable = std::span<const uint32_t, kDecayBits>;

namespace decay_internal {

// floor(2^32 * 2^(-2^j/9)), j = -12..14.
inline constexpr uint32_t kNinths[] = {4'294'886'539,
                                       4'294'805'784,
                                       4'294'644'278,
                                       4'294'321'284,
                                       4'293'675'370,
                                       4'292'383'833,
                                       4'289'801'924,
                                       4'284'642'765,
                                       4'274'343'053,
                                       4'253'817'847,
                                       4'213'062'646,
                                       4'132'719'910,
                                       3'976'601'609,
                                       3'681'834'871,
                                       3'156'230'789,
                                       2'319'410'628,
                                       1'252'551'018,
                                       365'284'284,
                                       31'067'200,
                                       224'721,
                                       11,
                                       0,
                                       0,
                                       0,
                                       0,
                                       0,
                                       0};
inline constexpr size_t kNinthsShift = 12;

// floor(2^32 * 2^(-2^j/63)), j = -9..12.
inline constexpr uint32_t kSixtyThirds[] = {4'294'875'002,
                                            4'294'782'711,
                                            4'294'598'134,
                                            4'294'229'005,
                                            4'293'490'841,
                                            4'292'014'894,
                                            4'289'064'521,
                                            4'283'169'859,
                                            4'271'404'828,
                                            4'247'971'626,
                                            4'201'490'186,
                                            4'110'047'543,
                                            3'933'089'507,
                                            3'601'702'181,
                                            3'020'339'319,
                                            2'123'985'813,
                                            1'050'372'546,
                                            256'877'971,
                                            15'363'630,
                                            54'957,
                                            0,
                                            0};
inline constexpr size_t kSixtyThirdsShift = 9;

}  // namespace decay_internal

// T[h]. 2^i/h = 2^(i-k)/m with h = m * 2^k, so a table of m read from its place serves each k.
constexpr DecayTable TableOf(HalfLife h) {
  using namespace decay_internal;  // NOLINT(google-build-using-namespace)
  const auto epochs = static_cast<uint32_t>(h);
  const auto k = static_cast<size_t>(std::countr_zero(epochs));
  return epochs >> k == 9 ? DecayTable(kNinths + (kNinthsShift - k), kDecayBits)
                          : DecayTable(kSixtyThirds + (kSixtyThirdsShift - k), kDecayBits);
}

// Never above x * 2^(-gap/h), and short of it by less than popcount(gap) + 1.
constexpr uint32_t Decay(uint32_t x, HalfLife h, uint64_t gap) {
  if (gap >> kDecayBits != 0) return 0;
  uint64_t left = x;
  for (const DecayTable t = TableOf(h); gap != 0 && left != 0; gap &= gap - 1)
    left = (left * t[static_cast<size_t>(std::countr_zero(gap))]) >> 32;
  return static_cast<uint32_t>(left);
}

static_assert(TableOf(HalfLife::k2Days)[0] == 4'289'801'924);
static_assert(TableOf(HalfLife::k128Days)[0] == 4'294'886'539);
static_assert(TableOf(HalfLife::k28Days)[0] == 4'294'598'134);
static_assert(TableOf(HalfLife::k112Days)[0] == 4'294'875'002);

}  // namespace aqmesh::trust

#endif  // AQMESH_TRUST_DECAY_H_
