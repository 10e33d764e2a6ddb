// The words of the trust tests: keys and evidence by number, seeds, levels in thousandths.
#ifndef AQMESH_TESTS_TRUST_STORY_H_
#define AQMESH_TESTS_TRUST_STORY_H_

#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/base/ids.h"
#include "core/base/rng.h"
#include "trust/fold.h"

namespace aqmesh::trust {

inline constexpr uint64_t kDay = kEpochsPerDay;
inline constexpr uint32_t kColdNode = 40'106;  // .85 under a SEGMENT of .72
inline constexpr uint32_t kAdmitLevel = 45'875;

inline constexpr HalfLife kHalfLives[] = {HalfLife::k1Day,
                                          HalfLife::k2Days,
                                          HalfLife::k8Days,
                                          HalfLife::k16Days,
                                          HalfLife::k32Days,
                                          HalfLife::k64Days,
                                          HalfLife::k128Days,
                                          HalfLife::k28Days,
                                          HalfLife::k112Days};

// AQMESH_SEED, else `otherwise`; printed, so that what fails can be repeated.
inline Rng Seeded(uint64_t otherwise) {
  if (const char* text = std::getenv("AQMESH_SEED")) otherwise = std::strtoull(text, nullptr, 10);
  std::printf("AQMESH_SEED=%llu\n", static_cast<unsigned long long>(otherwise));
  Rng::Seed bytes{};
  StoreBe(bytes.data(), otherwise);
  return Rng(bytes);
}

template <class Id>
Id Numbered(uint64_t n) {
  Id id;
  StoreBe(id.data() + (Id::kSize - sizeof n), n);
  return id;
}
inline Kid Key(uint64_t n) { return Numbered<Kid>(n); }
inline Digest Proof(uint64_t n) { return Numbered<Digest>(n); }

// Evidence for a key in each epoch from..to, both included.
inline void Behave(Standing& s, uint64_t from, uint64_t to, uint32_t r = kGoodPerEpoch) {
  for (uint64_t e = from; e <= to; ++e) s.Step(e, {.r = r});
}
inline Standing Saturated(uint32_t prior) {
  Standing s = Standing::New(prior, 0);
  Behave(s, 1, 40'000);
  return s;
}

// As the tables of the spec print a Q16: thousandths, to the nearest.
inline int32_t Milli(int64_t q16) {
  const int64_t half = q16 < 0 ? -32'768 : 32'768;
  return static_cast<int32_t>((q16 * 1'000 + half) / 65'536);
}

}  // namespace aqmesh::trust

#endif  // AQMESH_TESTS_TRUST_STORY_H_
