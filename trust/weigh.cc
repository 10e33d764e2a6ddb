#include "trust/weigh.h"

#include <algorithm>

#include "core/authority/taxonomy.h"

namespace aqmesh::authority {

// The stage that mints Weighed; only this file can name its passkey.
struct Weighing {
  static Weighed Mint(Verified verified, uint32_t ladm, int32_t slope) {
    return Weighed(Passkey<Weighing>(), std::move(verified), ladm, slope);
  }
};

}  // namespace aqmesh::authority

namespace aqmesh::trust {

std::vector<uint32_t> Priors(const authority::Chain& chain, const authority::Charter& charter) {
  const authority::Taxonomy taxonomy = authority::Taxonomy::Of(charter);
  std::vector<uint32_t> levels = {taxonomy.Root().prior};
  for (size_t i = chain.grants.size(); i-- > 0;) {
    const authority::ClassRule* row = taxonomy.Find(chain.grants[i].body.cls);
    levels.push_back(row == nullptr ? 0 : authority::PriorUnder(*row, levels.back()));
  }
  return levels;
}

authority::Weighed Weigh(authority::Verified verified, const authority::Charter& charter) {
  const std::vector<uint32_t> levels = Priors(verified.chain(), charter);
  const uint32_t ladm = *std::min_element(levels.begin(), levels.end());
  // No observation folded yet: the short memory equals the long one.
  return authority::Weighing::Mint(std::move(verified), ladm, 0);
}

}  // namespace aqmesh::trust
