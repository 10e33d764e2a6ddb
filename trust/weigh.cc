#include "trust/weigh.h"

#include <algorithm>

#include "core/authority/taxonomy.h"

namespace aqmesh::authority {

// The stage that mints Weighed; only this file can name its passkey.
struct Weighing {
  static Weighed Mint(Verified verified, const ChainTrust& trust) {
    return Weighed(Passkey<Weighing>(), std::move(verified), trust);
  }
};

}  // namespace aqmesh::authority

namespace aqmesh::trust {

uint32_t GapCapOf(const authority::Charter& charter) {
  constexpr uint16_t kGapCapParam = 15;
  for (const authority::Param& row : charter.params) {
    if (row.id == kGapCapParam)
      return static_cast<uint32_t>(std::min<uint64_t>(row.value, kPenaltyMax));
  }
  return charter.profile == authority::Profile::kSmallMesh ? kGapCapSmallMesh : kGapCap;
}

std::vector<Step> StepsOf(const authority::Chain& chain) {
  std::vector<Step> steps;
  if (chain.grants.empty()) return steps;
  if (!chain.voter.is_zero()) steps.push_back({chain.voter, authority::Class::kRoot});
  for (size_t i = chain.grants.size(); i-- > 0;) {
    const authority::Grant& g = chain.grants[i].body;
    steps.push_back({authority::KidOf(g.suite, g.key), g.cls});
  }
  return steps;
}

std::vector<Link> LinksOf(std::span<const Step> steps,
                          const authority::Charter& charter,
                          uint64_t epoch,
                          Known known) {
  const authority::Taxonomy taxonomy = authority::Taxonomy::Of(charter);
  const uint32_t gap_cap = GapCapOf(charter);
  std::vector<Link> links;
  uint32_t level = taxonomy.Root().prior;
  for (size_t i = 0; i < steps.size(); ++i) {
    const authority::ClassRule* row = taxonomy.Find(steps[i].cls);
    const Role role = i + 1 < steps.size() ? Role::kAuthority : Role::kPeer;
    const uint32_t prior = row == nullptr ? 0 : authority::PriorUnder(*row, level);
    links.push_back({steps[i].key, role, prior, known(steps[i].key, role, prior)});
    level = links.back().standing.Read(epoch, gap_cap).ladm;
  }
  return links;
}

authority::ChainTrust TrustIn(const authority::Charter& charter,
                              std::span<const Link> links,
                              uint64_t epoch) {
  const uint32_t gap_cap = GapCapOf(charter);
  authority::ChainTrust out{.ladm = authority::Taxonomy::Of(charter).Root().prior};
  bool first = true;
  for (const Link& link : links) {
    const Reading r = link.standing.Read(epoch, gap_cap);
    if (first || r.ladm < out.ladm) out.ladm = r.ladm, out.negative = r.negative;
    out.slope = first ? r.slope : std::min(out.slope, r.slope);
    out.scars = std::max(out.scars, r.scar);
    out.broken = out.broken || r.broken();
    first = false;
  }
  return out;
}

authority::Weighed Weigh(authority::Verified verified,
                         const authority::Charter& charter,
                         std::span<const Link> links,
                         uint64_t epoch) {
  return authority::Weighing::Mint(std::move(verified), TrustIn(charter, links, epoch));
}

}  // namespace aqmesh::trust
