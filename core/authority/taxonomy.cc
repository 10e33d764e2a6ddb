#include "core/authority/taxonomy.h"

#include <span>

namespace aqmesh::authority {

namespace {

constexpr uint32_t kDay = 86'400;
constexpr uint32_t kYears10 = 3'650 * kDay;
constexpr uint32_t kNodeCaps = kCapJoin | kCapAccept | kCapForward | kCapAttest;

// Classes lo..hi as bits.
constexpr uint32_t From(uint32_t lo, uint32_t hi) {
  return ((1u << hi) - 1) & ~((1u << (lo - 1)) - 1);
}
static_assert(From(4, 4) == ClassBit(Class::kNode));

// hundredths -> Q16, rounded down.
constexpr uint32_t Q16(uint32_t hundredths) { return hundredths * 65'536 / 100; }

struct Default {
  Class id;
  uint32_t may_issue, caps, max_ttl;
  uint8_t max_depth;
  uint32_t prior_standard, prior_small;  // hundredths
  bool relative, certificate;
};

using enum Class;
constexpr Default kDefaults[] = {
    {kRoot, From(2, 16), kCapsAll, UINT32_MAX, 4, 80, 95, false, false},
    {kRegion, From(3, 16), kCapsAll & ~kCapSshSign, 400 * kDay, 3, 75, 93, false, true},
    {kSegment, From(4, 16), kCapsAll & ~kCapFederate, 400 * kDay, 3, 72, 92, false, true},
    {kNode, 0, kNodeCaps, 30 * kDay, 0, 85, 90, true, false},
    {kRouter, 0, kNodeCaps | kCapAdvertise, 30 * kDay, 0, 85, 90, true, false},
    {kRelay, 0, kNodeCaps | kCapRelay, 30 * kDay, 0, 85, 90, true, false},
    {kWitness, 0, kNodeCaps | kCapCosign, 400 * kDay, 0, 85, 90, true, false},
    {kPosture, 0, kCapJoin | kCapAttest, 400 * kDay, 0, 85, 90, true, false},
    {kSshCa, 0, kCapJoin | kCapSshSign, 400 * kDay, 0, 85, 90, true, true},
    {kDns, 0, kCapJoin | kCapDnsSet, 400 * kDay, 0, 85, 90, true, false},
    {kAuditor, 0, kCapJoin, 30 * kDay, 0, 85, 90, true, false},
    {kUser, 0, kCapJoin | kCapAccept, kDay / 2, 0, 85, 90, true, false},
    {kWorkload, 0, kCapJoin | kCapAccept, kDay, 0, 85, 90, true, false},
    {kBootstrap, 0, kCapJoin | kCapAccept | kCapAttest, 30 * kDay, 0, 85, 90, true, false},
    {kEnroller,
     ClassBit(kNode) | ClassBit(kEnroller),
     kNodeCaps | kCapIssueGrant | kCapRevokeDesc | kCapApprove,
     400 * kDay,
     3,
     85,
     97,
     true,
     false},
    {kPlain, 0, kCapJoin, 400 * kDay, 0, 60, 60, true, false},
};
static_assert(std::size(kDefaults) == 16);

}  // namespace

Taxonomy Taxonomy::OfProfile(Profile profile) {
  Taxonomy t;
  const bool small = profile == Profile::kSmallMesh;
  for (const Default& d : kDefaults) {
    t.rows_[static_cast<size_t>(d.id)] = {
        .id = d.id,
        .may_issue = d.may_issue,
        .caps = d.caps,
        // The small mesh's enrollers live ten years, so that no clock is a trap.
        .max_ttl = small && d.id == kEnroller ? kYears10 : d.max_ttl,
        .max_depth = d.max_depth,
        .prior = Q16(small ? d.prior_small : d.prior_standard),
        .relative = d.relative,
        .certificate = d.certificate,
    };
  }
  return t;
}

Taxonomy Taxonomy::Of(const Charter& charter) {
  Taxonomy t = OfProfile(charter.profile);
  for (const ClassRow& row : charter.classes) {
    if (row.id < 2 || row.id > 16) continue;  // the parser refuses these already
    t.rows_[row.id] = {
        .id = static_cast<Class>(row.id),
        .may_issue = row.may_issue,
        .caps = row.caps,
        .max_ttl = row.max_ttl,
        .max_depth = row.max_depth,
        .prior = row.prior,
        .relative = row.relative != 0,
        .certificate = row.certificate != 0,
    };
  }
  return t;
}

const ClassRule* Taxonomy::Find(Class c) const {
  const auto i = static_cast<size_t>(c);
  return i >= 1 && i < rows_.size() ? &rows_[i] : nullptr;
}

bool Taxonomy::MayIssue(Class issuer, Class child) const {
  const ClassRule* row = Find(issuer);
  return row != nullptr && Find(child) != nullptr && (row->may_issue & ClassBit(child)) != 0;
}

}  // namespace aqmesh::authority
