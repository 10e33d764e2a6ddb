// A small deterministic corpus: seeds, their prefixes and their mutations, replayed through a fuzz
// target in the plain suite. Same seeds, same inputs; AQMESH_SEED plays no part here.
#ifndef AQMESH_TESTS_FUZZ_CORPUS_H_
#define AQMESH_TESTS_FUZZ_CORPUS_H_

#include "core/base/rng.h"

namespace aqmesh::fuzz {

// One to four edits: a flipped bit, a byte set, cut out, doubled or put in.
inline Bytes Mutated(Bytes b, Rng& rng) {
  for (uint64_t edits = 1 + rng.Below(4); edits > 0 && !b.empty(); --edits) {
    const auto at = b.begin() + static_cast<std::ptrdiff_t>(rng.Below(b.size()));
    switch (rng.Below(5)) {
      case 0: *at = static_cast<uint8_t>(*at ^ (1u << rng.Below(8))); break;
      case 1: *at = static_cast<uint8_t>(rng.U32()); break;
      case 2: b.erase(at); break;
      case 3: b.insert(at, *at); break;
      case 4: b.insert(at, static_cast<uint8_t>(rng.Below(4))); break;
    }
  }
  return b;
}

template <class Target>
void Replay(const std::vector<Bytes>& seeds, Target target, size_t mutations_per_seed = 300) {
  Rng rng(Rng::Seed{0x66, 0x75, 0x7a, 0x7a});
  target(ByteView());
  for (const Bytes& seed : seeds) {
    for (size_t n = 0; n <= seed.size(); ++n) target(ByteView(seed).first(n));
    for (size_t i = 0; i < mutations_per_seed; ++i) target(ByteView(Mutated(seed, rng)));
  }
}

}  // namespace aqmesh::fuzz

#endif  // AQMESH_TESTS_FUZZ_CORPUS_H_
