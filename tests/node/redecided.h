// The audit of a test's node: every decision on its disk, made again from what its record names.
#ifndef AQMESH_TESTS_NODE_REDECIDED_H_
#define AQMESH_TESTS_NODE_REDECIDED_H_

#include "node/redecide.h"
#include "tests/node/pair.h"

namespace aqmesh::node {

// How many decisions there are. `policy`: the local policy that each was made under, by its hash.
inline size_t ExpectRedecided(const TestNode& n,
                              const std::function<admission::LocalPolicy(const Digest&)>& policy) {
  size_t decisions = 0;
  auto redecider = Redecider::Open(
      n.disk, [&policy](const Digest& hash, const std::optional<Bytes>&) { return policy(hash); });
  EXPECT_TRUE(redecider.ok()) << Text(redecider.status());
  if (!redecider.ok()) return 0;
  const absl::Status all = redecider->All([&](const Redecider::Result& r) {
    ++decisions;
    EXPECT_TRUE(r.same()) << n.name() << " record " << r.seq << ": " << Text(r.status) << r.differs;
    return true;
  });
  EXPECT_TRUE(all.ok()) << Text(all);
  return decisions;
}

}  // namespace aqmesh::node

#endif  // AQMESH_TESTS_NODE_REDECIDED_H_
