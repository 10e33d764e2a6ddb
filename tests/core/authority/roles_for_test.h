// The same stories under every cast of suites: each alone, root, issuer and leaf in every mixture
// of two, and authorities whose signatures are large.
#ifndef AQMESH_TESTS_CORE_AUTHORITY_ROLES_FOR_TEST_H_
#define AQMESH_TESTS_CORE_AUTHORITY_ROLES_FOR_TEST_H_

#include <gtest/gtest.h>

#include "tests/core/authority/world_for_test.h"

namespace aqmesh::authority::testing {

// In the stories seed 1 is the root, 2 issues, 3 is a leaf; the others follow by thirds.
inline Roles Mixed(const char* name, Suite root, Suite issuer, Suite leaf) {
  return {name, [=](uint8_t n) { return n % 3 == 1 ? root : n % 3 == 2 ? issuer : leaf; }, {1, 2}};
}

// Their signatures all have the size that datagrams are counted for.
inline std::vector<Roles> SmallRoles() {
  constexpr Suite kE = Suite::kEd25519, kR = Suite::kRistretto;
  return {
      {"Ed25519", [](uint8_t) { return kE; }, {1}},
      {"Ristretto", [](uint8_t) { return kR; }, {2}},
      {"RistrettoBesideEd25519", [](uint8_t) { return kR; }, {1, 2}},
      Mixed("EER", kE, kE, kR),
      Mixed("ERE", kE, kR, kE),
      Mixed("ERR", kE, kR, kR),
      Mixed("REE", kR, kE, kE),
      Mixed("RER", kR, kE, kR),
      Mixed("RRE", kR, kR, kE),
  };
}

inline std::vector<Roles> AllRoles() {
  std::vector<Roles> all = SmallRoles();
  // The root, the key that it moves to, and two that issue; nobody who presents itself.
  all.push_back({"LargeAuthorities",
                 [](uint8_t n) {
                   const bool large = n == 1 || n == 9 || n == 12 || n == 30;
                   return large ? Suite::kLargeTest : Suite::kRistretto;
                 },
                 {2, 65281}});
  return all;
}

class RolesTest : public ::testing::TestWithParam<Roles> {
 private:
  Cast cast_{GetParam()};
};

inline std::string NameOfRoles(const ::testing::TestParamInfo<Roles>& info) {
  return info.param.name;
}
inline void PrintTo(const Roles& roles, std::ostream* out) { *out << roles.name; }

}  // namespace aqmesh::authority::testing

#endif  // AQMESH_TESTS_CORE_AUTHORITY_ROLES_FOR_TEST_H_
