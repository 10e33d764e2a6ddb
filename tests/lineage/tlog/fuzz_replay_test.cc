// The fuzz targets over a small corpus, in the plain suite.
#include <gtest/gtest.h>

#include "tests/fuzz/corpus.h"
#include "tests/fuzz/tlog_targets.h"
#include "tests/lineage/tlog/slow_tree.h"

namespace aqmesh::tlog {
namespace {

Bytes Owned(std::string_view s) { return Bytes(s.begin(), s.end()); }

class TlogFuzzReplayTest : public testing::Test {
 protected:
  NoteSigner log_{"example.com/log", KeyType::kEd25519, crypto::Ed25519Seed(Bytes(32, 1))};
  std::vector<Digest> leaves_ = NumberedLeaves(9);
  SignedCheckpoint head_ = SignCheckpoint({"example.com/log", 9, SlowRoot(leaves_)}, log_);
};

TEST_F(TlogFuzzReplayTest, WhatIsTakenAsANoteIsWrittenAsItCame) {
  Edge edge;
  for (const Digest& leaf : leaves_) edge.Append(leaf);
  Bytes stored, bundle;
  edge.AppendTo(stored);
  AppendBundleEntry(bundle, Bytes(20, 3));
  const LogProof proof{{}, 4, SlowPath(4, leaves_), head_};
  fuzz::Replay({Owned(head_.note.Text()),
                Owned(head_.note.text),
                Owned(proof.Text()),
                Owned(log_.key().Vkey()),
                Owned("tile/0/x001/x234/067.p/7"),
                Owned("tile/entries/x001/x234/067"),
                stored,
                bundle},
               fuzz::FuzzNote);
}

TEST_F(TlogFuzzReplayTest, NothingIsProvenOfAHeadThatNobodyHas) {
  std::vector<Bytes> seeds;
  for (const uint64_t a : std::array<uint64_t, 5>{0, 1, 4, 8, 9}) {
    Bytes seed;
    AppendBe(seed, a);
    AppendBe(seed, uint64_t{9});
    for (const Digest& hash : leaves_) Append(seed, hash);
    seeds.push_back(seed);
  }
  fuzz::Replay(seeds, fuzz::FuzzProof);
}

TEST_F(TlogFuzzReplayTest, AWitnessCosignsOnlyWhatTheLogSigned) {
  AddCheckpoint request{2, SlowSubproof(2, leaves_, true), head_};
  fuzz::Replay({Owned(request.Text())}, fuzz::FuzzWitness);
}

}  // namespace
}  // namespace aqmesh::tlog
