// The fuzz target over a small corpus, in the plain suite.
#include <gtest/gtest.h>

#include "lineage/sealed/files.h"
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/sealed_targets.h"
#include "tests/lineage/sealed/ledger.h"

namespace aqmesh::lineage {
namespace {

TEST(SealedFuzzReplayTest, WhatIsTakenIsAsItCameAndWithinItsBounds) {
  TempDir temp;
  MemStore store;
  Ledger ledger(store);
  ledger.Write(256);
  ledger.Sign();
  ASSERT_TRUE(Seal(store, temp.Path("out"), kSeqEnd).ok());
  const std::string segment =
      SealedDirOf(temp.Path("out"), Ledger::LogOf()) + "/" + SegmentName(0, 256) + "/";
  const auto read = [&](std::string_view name) {
    return *ReadWhole(segment + std::string(name), 1 << 20);
  };
  const Bytes objects = *UnpackFrame(read(kObjectsName), kItemFrameBytesMax);
  const StateNamed state = {{"cut/1", Bytes(8, 1)}, {"held/1", Bytes(100, 2)}};
  fuzz::Replay({read(kManifestName),
                read(kObjectIndexName),
                Bytes(objects.begin(), objects.begin() + 400),
                PackFrame(Bytes(300, 7)),
                PackFrame(Bytes(100'000, 0)),
                *UnpackFrame(PackState(state), kItemFrameBytesMax)},
               fuzz::FuzzSealed);
}

}  // namespace
}  // namespace aqmesh::lineage
