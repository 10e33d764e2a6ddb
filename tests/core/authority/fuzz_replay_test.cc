// The fuzz entries of tests/fuzz, over their small corpus.
#include <gtest/gtest.h>

#include "tests/core/authority/vectors.h"
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/targets.h"

namespace aqmesh::fuzz {
namespace {

TEST(FuzzReplayTest, SignedAndBodies) {
  std::vector<Bytes> seeds;
  for (const authority::Signed& s : authority::vectors::All()) {
    seeds.push_back(s.bytes());
    seeds.emplace_back(s.body().begin(), s.body().end());
  }
  Replay(seeds, FuzzSigned);
}

TEST(FuzzReplayTest, Armour) {
  std::vector<Bytes> seeds;
  for (const authority::Signed& s : authority::vectors::All()) {
    const std::string text = authority::Armour(s);
    seeds.emplace_back(text.begin(), text.end());
  }
  Replay(seeds, FuzzArmour);
}

}  // namespace
}  // namespace aqmesh::fuzz
