// What each class of grant may be: the profile's default table, overlaid by the charter's own rows.
// Spec:   spec/objects.md §2 (Class), spec/admission.md §2 (default taxonomy, priors).
// Thread: values. Cost: a table of 17 rows; every look-up is an index.
#ifndef AQMESH_CORE_AUTHORITY_TAXONOMY_H_
#define AQMESH_CORE_AUTHORITY_TAXONOMY_H_

#include <array>
#include <cstdint>

#include "core/authority/objects.h"

namespace aqmesh::authority {

struct ClassRule {
  Class id{};
  uint32_t may_issue = 0;  // bit id-1
  uint32_t caps = 0;       // the most that a grant of this class may hold
  uint32_t max_ttl = 0;    // seconds
  uint8_t max_depth = 0;
  uint32_t prior = 0;        // Q16
  bool relative = false;     // prior is a factor on L_adm(issuer)
  bool certificate = false;  // the grant needs the voters' quorum
  bool operator==(const ClassRule&) const = default;
};

class Taxonomy {
 public:
  // A charter row replaces the profile's row of that class whole. Row 1 (ROOT, the voters) is
  // fixed.
  static Taxonomy Of(const Charter& charter);
  static Taxonomy OfProfile(Profile profile);

  // nullptr for a number that is no class.
  const ClassRule* Find(Class c) const;
  const ClassRule& Root() const { return rows_[1]; }
  bool MayIssue(Class issuer, Class child) const;

 private:
  std::array<ClassRule, 17> rows_{};  // by id; 0 unused
};

constexpr uint32_t ClassBit(Class c) { return 1u << (static_cast<uint32_t>(c) - 1); }

// L_adm at first sight, rounded down to Q16.
constexpr uint32_t PriorUnder(const ClassRule& row, uint32_t issuer_ladm) {
  return row.relative ? static_cast<uint32_t>((uint64_t{row.prior} * issuer_ladm) >> 16)
                      : row.prior;
}

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_TAXONOMY_H_
